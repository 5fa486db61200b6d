// SPDX-License-Identifier: GPL-2.0
/*
 * What COPY_BEFORE does, who waits for it, and how it fails, on the bare ABI: target-copies DEVICE OTHER FILE
 */
#include "gate.h"

static bool to_copy(struct raw *r, uint64_t tag, uint64_t source, uint32_t length, uint64_t to, uint16_t flags)
{
	uint32_t reason;

	return !give(r, (struct bfuse_verdict){ .tag = tag, .flags = BFUSE_VERDICT_COPY_BEFORE | flags, .copy_target = disk,
						.copy_source = source, .copy_length = length, .copy_sector = to }, &reason);
}

/* While a copy is under way nothing else changes the range, and all else goes on. */
static void copying(struct raw *r)
{
	struct bfuse_request rq, at_gate;
	pid_t first, second, elsewhere;

	put(device, 0, 'D', 16 * K4);
	first = start_write(0, '1', K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 0, 8 * K4, 512, BFUSE_VERDICT_NOTIFY), "copy");
	at_gate = gate_next();
	expect(at_gate.sector == 512 && at_gate.length == 8 * K4 && at_gate.flags & BFUSE_RQ_INJECTED, "%llu %u", at_gate.sector,
	       at_gate.length);
	second = start_write(56, '2', 2 * K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	elsewhere = start_write(72, '3', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	expect(result(elsewhere) == 0, "write elsewhere");
	expect(is_under_way(first) && is_under_way(second), "done already");
	expect(holds(device, 0, 'D', 9 * K4) && holds(device, 72, '3', K4), "the device");
	gate_answer(at_gate.tag, 0);
	expect(result(first) == 0 && result(second) == 0, "writes");
	expect(holds(other, 512, 'D', 8 * K4), "the copy");
	expect(holds(device, 0, '1', K4) && holds(device, 8, 'D', 6 * K4) && holds(device, 56, '2', 2 * K4), "the device");

	/* Below: the same device. */
	first = start_write(0, '4', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_source = 0, .copy_length = 2 * K4, .copy_sector = 1024);
	expect(result(first) == 0, "write");
	expect(holds(device, 1024, '1', K4) && holds(device, 1032, 'D', K4) && holds(device, 0, '4', K4), "the device");
}

/* A copy that has to wait for another one protects what it is to copy, too. */
static void waiting_copy(struct raw *r)
{
	struct bfuse_request rq, at_gate;
	pid_t first, second, third;

	put(device, 0, 'D', 16 * K4);
	first = start_write(0, '1', K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 0, 8 * K4, 512, 0), "copy");
	at_gate = gate_next();
	second = start_write(56, '2', 2 * K4);
	raw_next(r, &rq);
	expect(to_copy(r, rq.tag, 64, 2 * K4, 768, 0), "second copy");
	third = start_write(72, '3', K4);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag);
	expect(is_under_way(second) && is_under_way(third), "done already");
	gate_answer(at_gate.tag, 0);
	expect(result(first) == 0, "first");
	at_gate = gate_next();
	expect(at_gate.sector == 768 && at_gate.length == 2 * K4, "%llu %u", at_gate.sector, at_gate.length);
	expect(is_under_way(second) && is_under_way(third), "done already");
	gate_answer(at_gate.tag, 0);
	expect(result(second) == 0 && result(third) == 0, "writes");
	expect(holds(other, 768, 'D', 2 * K4), "the copy");
	expect(holds(device, 56, '2', 2 * K4) && holds(device, 72, '3', K4), "the device");
}

static void failing_copies(struct raw *r)
{
	struct bfuse_request rq, at_gate, waiting;
	pid_t first, second;

	put(device, 0, 'D', 16 * K4);
	for (int lenient = 0; lenient < 2; lenient++) {
		int want = lenient ? 0 : ENOSPC;

		first = start_write(0, '1', K4);
		raw_next(r, &rq);
		expect(to_copy(r, rq.tag, 0, 8 * K4, 512, lenient ? BFUSE_VERDICT_LENIENT : 0), "copy");
		at_gate = gate_next();
		second = start_write(8, '2', K4);
		raw_next(r, &waiting);
		ACCEPTED(r, .tag = waiting.tag);
		gate_answer(at_gate.tag, -ENOSPC);
		expect(result(first) == want && result(second) == want, "writes");
		rq = next_done(r, rq.tag);
		expect(rq.flags == BFUSE_RQ_COPY_FAILED && rq.other_status == -ENOSPC && rq.status == -want, "%#x %d %d", rq.flags,
		       rq.other_status, rq.status);
		if (!lenient) {
			rq = next_done(r, waiting.tag);
			expect(rq.flags == BFUSE_RQ_COPY_FAILED && rq.status == -ENOSPC, "%#x %d", rq.flags, rq.status);
		}
		expect(holds(device, 0, lenient ? '1' : 'D', K4) && holds(device, 8, lenient ? '2' : 'D', K4), "the device");
	}
}

/* What waits for two copies fails with the one that fails, though it may have been parked behind the other. */
static void failing_beside(struct raw *r)
{
	struct bfuse_request copying, failing, waiting, done, well, badly;
	pid_t first, second, third;

	put(device, 0, 'D', 16 * K4);
	first = start_write(0, '1', K4);
	raw_next(r, &copying);
	expect(to_copy(r, copying.tag, 0, 8 * K4, 512, 0), "copy");
	well = gate_next();
	second = start_write(64, '2', K4);
	raw_next(r, &failing);
	expect(to_copy(r, failing.tag, 64, 8 * K4, 768, 0), "second copy");
	badly = gate_next();
	third = start_write(56, '3', 2 * K4);
	raw_next(r, &waiting);
	ACCEPTED(r, .tag = waiting.tag);
	gate_answer(badly.tag, -ENOSPC);
	expect(result(second) == ENOSPC, "second");
	expect(is_under_way(first) && is_under_way(third), "done already");
	gate_answer(well.tag, 0);
	expect(result(first) == 0 && result(third) == ENOSPC, "writes");
	done = next_done(r, failing.tag);
	expect(done.status == -ENOSPC, "%d", done.status);
	done = next_done(r, waiting.tag);
	expect(done.flags == BFUSE_RQ_COPY_FAILED && done.status == -ENOSPC, "%#x %d", done.flags, done.status);
	expect(holds(device, 0, '1', K4) && holds(device, 56, 'D', 3 * K4), "the device");
}

/* A copy of its own saves a request from another's failure only if it has what that did not preserve. */
static void failing_narrow(struct raw *r)
{
	static const struct {
		uint64_t source;
		uint32_t length;
		uint16_t flags;
		int result, third;
	} kinds[] = {
		{ 8, K4, 0, ENOSPC, ENOSPC },
		{ 8, K4, BFUSE_VERDICT_LENIENT, 0, 0 },
		{ 0, 2 * K4, 0, 0, 0 },
	};
	struct bfuse_request rq, at_gate, narrow, done;
	pid_t first, second, third;

	for (int i = 0; i < 3; i++) {
		put(device, 0, 'D', 16 * K4);
		first = start_write(0, '1', K4);
		raw_next(r, &rq);
		expect(to_copy(r, rq.tag, 0, K4, 512, 0), "copy");
		at_gate = gate_next();
		second = start_write(0, '2', 2 * K4);
		raw_next(r, &narrow);
		expect(to_copy(r, narrow.tag, kinds[i].source, kinds[i].length, 768, BFUSE_VERDICT_NOTIFY | kinds[i].flags), "narrow");
		third = start_write(8, '3', K4);
		raw_next(r, &rq);
		ACCEPTED(r, .tag = rq.tag);
		gate_answer(at_gate.tag, -ENOSPC);
		expect(result(first) == ENOSPC, "first");
		if (!kinds[i].result)
			gate_answer(gate_next().tag, 0);
		expect(result(second) == kinds[i].result && result(third) == kinds[i].third, "kind %d", i);
		done = next_done(r, narrow.tag);
		expect(!(done.flags & BFUSE_RQ_COPY_FAILED) == (i == 2), "kind %d: %#x", i, done.flags);
		expect(holds(device, 0, kinds[i].result ? 'D' : '2', K4), "kind %d", i);
		expect(holds(device, 8, kinds[i].result ? 'D' : '3', K4), "kind %d", i);
		if (!kinds[i].result)
			expect(holds(other, i == 2 ? 776 : 768, 'D', K4), "kind %d", i);
	}
}

/* Of chunks of 64 KiB. */
static uint64_t *map_chunks(struct raw *r, struct bfuse_chunks *arg)
{
	*arg = (struct bfuse_chunks){ .size = sizeof(*arg), .attachment = r->attachment, .chunk_shift = 16,
				      .flags = BFUSE_CHUNKS_SET };
	if (ioctl(r->fd, BFUSE_CHUNKS, arg))
		err(1, "BFUSE_CHUNKS");
	return mmap(NULL, arg->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, (off_t)arg->offset);
}

static bool bit_is_set(const uint64_t *bitmap)
{
	return __atomic_load_n(bitmap, __ATOMIC_SEQ_CST) & 1;
}

/* A chunk is not cleared while a copy from it is under way, nor after one that failed, whatever the request does that says so. */
static void clearing(struct raw *r)
{
	struct bfuse_request rq, at_gate;
	struct bfuse_chunks chunks;
	uint64_t *bitmap = map_chunks(r, &chunks);
	pid_t first, second;
	unsigned char *data;
	uint32_t reason;

	/* Well, badly, and badly but leniently. */
	for (int kind = 0; kind < 3; kind++) {
		int status = kind ? -ENOSPC : 0;

		for (int write = 0; write < 2; write++) {
			*bitmap = 1;
			put(device, 0, 'D', 16 * K4);
			data = bytes_of('D', K4);
			first = start_write(0, '1', K4);
			raw_next(r, &rq);
			expect(to_copy(r, rq.tag, 0, K4, 512, kind == 2 ? BFUSE_VERDICT_LENIENT : 0), "copy");
			at_gate = gate_next();
			/* In the same chunk, elsewhere. */
			second = start_io(write, 64, K4, data);
			raw_next(r, &rq);
			ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_CLEAR);
			expect(is_under_way(second) && bit_is_set(bitmap), "write %d", write);
			gate_answer(at_gate.tag, status);
			expect(result(first) == (kind == 1 ? ENOSPC : 0) && result(second) == 0, "write %d, kind %d", write, kind);
			expect(bit_is_set(bitmap) == !!kind, "write %d, kind %d", write, kind);
			free(data);
		}
	}

	*bitmap = 1;
	first = start_write(0, '1', K4);
	raw_next(r, &rq);
	expect(give(r, (struct bfuse_verdict){ .tag = rq.tag, .type = BFUSE_COMPLETE, .flags = BFUSE_VERDICT_CLEAR }, &reason) &&
	       reason == BFUSE_REASON_FLAGS, "reason %u", reason);
	ACCEPTED(r, .tag = rq.tag);
	expect(result(first) == 0, "write");
	munmap(bitmap, chunks.bytes);
	chunks = (struct bfuse_chunks){ .size = sizeof(chunks), .attachment = r->attachment };
	expect(!ioctl(r->fd, BFUSE_CHUNKS, &chunks), "no bitmap any more");
}

/* Larger than a piece, for a discard; all at once. */
static void large_copy(struct raw *r)
{
	struct bfuse_request rq;
	uint32_t length = 3 * (1 << 20) + K4;
	pid_t pid;

	put(device, 0, 'L', length);
	pid = start_ioctl(BLKDISCARD, 0, length);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_COPY_BEFORE, .copy_target = backing, .copy_length = length,
		 .copy_sector = 1000);
	expect(result(pid) == 0, "discard");
	expect(holds(file, 1000, 'L', length), "the copy");
}

int main(int argc, char **argv)
{
	struct raw r = gate_filter(argc, argv);

	if (add(&r, other, O_RDWR, 0, &disk) || add(&r, file, O_RDWR, 0, &backing))
		errx(1, "targets");
	large_copy(&r);
	gate_open();
	copying(&r);
	waiting_copy(&r);
	failing_copies(&r);
	failing_beside(&r);
	failing_narrow(&r);
	clearing(&r);
	gate_close();
	gate_leave(&r);
	printf("%d failures\n", failures);
	return failures != 0;
}
