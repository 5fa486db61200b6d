// SPDX-License-Identifier: MIT
/*
 * What verdicts with MODIFY and HOLD do, and which of them are refused, on the bare ABI: verbs DEVICE
 *
 * The slot is one page, so that requests of two don't fit.
 */
#include "verdicts.h"

#define SLOT 4096u

/* The completion of @tag, which must be held. */
static struct bfuse_request next_held(struct raw *r, uint64_t tag)
{
	struct bfuse_request rq = next_done(r, tag);

	expect(rq.flags & BFUSE_RQ_HELD, "flags %#x", rq.flags);
	return rq;
}

static unsigned char *slot(struct raw *r, uint64_t tag)
{
	return r->map[0] + r->reg.off_slots + (tag & (r->reg.depth - 1)) * SLOT;
}

static void modified_writes(struct raw *r)
{
	unsigned char *old = bytes_of('o', 2 * SLOT), *new = bytes_of('n', 2 * SLOT);
	struct bfuse_request rq;
	pid_t pid = start_io(true, 0, SLOT, old);

	raw_next(r, &rq);
	expect(!memcmp(slot(r, rq.tag), old, SLOT), "payload");
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_STORED);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_STORED);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_ZERO);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .type = BFUSE_COMPLETE, .flags = BFUSE_VERDICT_MODIFY);
	memcpy(slot(r, rq.tag), new, SLOT);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	expect(result(pid) == 0, "write");
	expect(device_has(0, new, SLOT), "the device");

	pid = start_io(true, 0, 2 * SLOT, old);
	raw_next(r, &rq);
	REFUSED(r, BFUSE_REASON_LENGTH, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	expect(move(r, rq.tag, new, SLOT, 512, BFUSE_DATA_STORE) == 0, "store");
	expect(move(r, rq.tag, new, 2 * SLOT, 512, BFUSE_DATA_STORE) == EINVAL, "store behind the end");
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_STORED);
	expect(result(pid) == 0, "write");
	memset(old + SLOT, 'n', 512);
	expect(device_has(0, old, 2 * SLOT), "the device");

	/* What was stored for a verdict that then has no use for it is dropped. */
	memset(old, 'p', 2 * SLOT);
	pid = start_io(true, 0, 2 * SLOT, old);
	raw_next(r, &rq);
	expect(move(r, rq.tag, new, 0, 512, BFUSE_DATA_STORE) == 0, "store");
	ACCEPTED(r, .tag = rq.tag);
	expect(result(pid) == 0, "write");
	expect(device_has(0, old, 2 * SLOT), "the device");
	free(old);
	free(new);
}

static void held_reads(struct raw *r)
{
	unsigned char *disk = bytes_of('p', 2 * SLOT), *other = bytes_of('x', 2 * SLOT), *in = malloc(2 * SLOT);
	struct bfuse_request rq;
	pid_t pid = start_io(false, 0, SLOT, other);

	raw_next(r, &rq);
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	expect(next_held(r, rq.tag).status == 0, "held");
	expect(!memcmp(slot(r, rq.tag), disk, SLOT), "payload");
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_NOTIFY);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	REFUSED(r, BFUSE_REASON_FLAGS, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_STORED);
	memcpy(slot(r, rq.tag), other, SLOT);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	REFUSED(r, BFUSE_REASON_STATE, .tag = rq.tag);
	expect(result(pid) == 0, "read");

	pid = start_io(false, 0, SLOT, disk);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	next_held(r, rq.tag);
	ACCEPTED(r, .tag = rq.tag);
	expect(result(pid) == 0, "read");

	pid = start_io(false, 0, SLOT, disk);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	next_held(r, rq.tag);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_COMPLETE, .status = -EIO);
	expect(result(pid) == EIO, "read");

	/* Longer than the slot: all of it can be fetched, and stored in part. */
	memcpy(other, disk, 2 * SLOT);
	memset(other + 512, 'y', 512);
	pid = start_io(false, 0, 2 * SLOT, other);
	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	next_held(r, rq.tag);
	expect(move(r, rq.tag, in, 0, 2 * SLOT, 0) == 0 && !memcmp(in, disk, 2 * SLOT), "fetch");
	REFUSED(r, BFUSE_REASON_LENGTH, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	expect(move(r, rq.tag, other + 512, 512, 512, BFUSE_DATA_STORE) == 0, "store");
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_STORED);
	expect(result(pid) == 0, "read");
	free(disk);
	free(other);
	free(in);
}

static void held_write(struct raw *r)
{
	unsigned char *data = bytes_of('h', SLOT);
	struct bfuse_request rq;
	pid_t pid = start_io(true, 64, SLOT, data);

	raw_next(r, &rq);
	ACCEPTED(r, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	expect(next_held(r, rq.tag).status == 0, "held");
	expect(device_has(64, data, SLOT), "the device");
	expect(move(r, rq.tag, data, 0, 512, BFUSE_DATA_STORE) == EINVAL, "store");
	expect(move(r, rq.tag, data, 0, 512, 0) == EINVAL, "fetch");
	REFUSED(r, BFUSE_REASON_OP, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	ACCEPTED(r, .tag = rq.tag, .type = BFUSE_COMPLETE, .status = -ENOSPC);
	expect(result(pid) == ENOSPC, "write");
	free(data);
}

/* A filter may only do what it said that it would. */
static void not_promised(void)
{
	struct raw r = raw_new(400, 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE);
	unsigned char *data = bytes_of('q', SLOT);
	struct bfuse_request rq;
	pid_t pid;

	raw_register(&r);
	expect(!raw_attach(&r, device), "attach");
	pid = start_io(true, 128, SLOT, data);
	raw_next(&r, &rq);
	REFUSED(&r, BFUSE_REASON_TYPE, .tag = rq.tag, .flags = BFUSE_VERDICT_MODIFY);
	REFUSED(&r, BFUSE_REASON_TYPE, .tag = rq.tag, .flags = BFUSE_VERDICT_HOLD);
	expect(move(&r, rq.tag, data, 0, 512, BFUSE_DATA_STORE) == EINVAL, "store");
	ACCEPTED(&r, .tag = rq.tag);
	expect(result(pid) == 0, "write");
	free(data);
	ioctl(r.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = r.attachment });
	close(r.fd);
}

int main(int argc, char **argv)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE);

	if (argc != 2)
		errx(2, "usage: verbs DEVICE");
	setlinebuf(stdout);
	device = argv[1];
	r.reg.slot_size = SLOT;
	r.reg.defaults.payload = r.reg.defaults.ops;
	r.reg.defaults.verdicts = 1u << BFUSE_PASS | 1u << BFUSE_COMPLETE | 1u << BFUSE_MODIFY | 1u << BFUSE_HOLD;
	raw_register(&r);
	if (raw_attach(&r, device))
		errx(1, "attach");
	modified_writes(&r);
	held_reads(&r);
	held_write(&r);
	ioctl(r.fd, BFUSE_DETACH, &(struct bfuse_detach){ .size = sizeof(struct bfuse_detach), .attachment = r.attachment });
	not_promised();
	printf("%d failures\n", failures);
	return failures != 0;
}
