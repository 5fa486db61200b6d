// SPDX-License-Identifier: MIT
/*
 * A filter that answers for the device out of memory: memory --device DEVICE --size BYTES [--later] [--slot BYTES]
 *
 * The device below sees nothing. What is written must be what is read again, whichever way the library moves the data:
 * along with the request, fetched or stored by the kernel's copy, longer than the slot; answered at once or by another
 * thread.
 */
#include <bfuse.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 8192u /* all tags of two queues */

struct memory {
	unsigned char *bytes;
	uint64_t size;
	uint32_t slot_size;
	bool later;
	bool no_payload;
	pthread_mutex_t lock; /* the fields below */
	pthread_cond_t more;
	struct bfuse_io *waiting[WAITING_MAX];
	uint32_t head;
	uint32_t tail;
};

static int move(struct memory *memory, struct bfuse_io *io)
{
	uint64_t offset = io->request.sector << 9;
	void *data;
	ssize_t n;

	if (offset + io->request.length > memory->size)
		return -EIO;
	/* Pieces of some, so that partial copies are tried too. */
	if (io->request.op == BFUSE_OP_READ && io->request.sector % 3 == 0) {
		n = bfuse_io_store(io, memory->bytes + offset, 0, 512);
		if (!n && io->request.length > 512)
			n = bfuse_io_store(io, memory->bytes + offset + 512, 512, io->request.length - 512);
		return n < 0 ? (int)n : BFUSE_REPLY_COMPLETE;
	}
	n = bfuse_io_data(io, &data);
	if (n < 0)
		return (int)n;
	if (io->request.op == BFUSE_OP_READ)
		memcpy(data, memory->bytes + offset, (size_t)n);
	else
		memcpy(memory->bytes + offset, data, (size_t)n);
	return BFUSE_REPLY_COMPLETE;
}

static void *answer_later(void *user)
{
	struct memory *memory = user;
	struct bfuse_io *io;

	for (;;) {
		pthread_mutex_lock(&memory->lock);
		while (memory->head == memory->tail)
			pthread_cond_wait(&memory->more, &memory->lock);
		io = memory->waiting[memory->head++ % WAITING_MAX];
		pthread_mutex_unlock(&memory->lock);
		bfuse_reply(io, move(memory, io));
	}
	return NULL;
}

static int handle(struct bfuse_io *io, void *user)
{
	struct memory *memory = user;

	if (!memory->later)
		return move(memory, io);
	pthread_mutex_lock(&memory->lock);
	memory->waiting[memory->tail++ % WAITING_MAX] = io;
	pthread_cond_signal(&memory->more);
	pthread_mutex_unlock(&memory->lock);
	return BFUSE_REPLY_LATER;
}

/* Nothing is below that would have to be flushed. */
static int flush(struct bfuse_io *io, void *user)
{
	(void)io;
	(void)user;
	return BFUSE_REPLY_COMPLETE;
}

static const char *option(const char *name, const char *value, void *user)
{
	struct memory *memory = user;

	if (!strcmp(name, "size"))
		memory->size = strtoull(value, NULL, 0);
	else if (!strcmp(name, "slot"))
		memory->slot_size = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(name, "later"))
		memory->later = true;
	else
		memory->no_payload = true;
	return NULL;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	struct memory *memory = user;
	sigset_t all, old;
	pthread_t thread;
	int err;

	memory->bytes = calloc(1, memory->size);
	if (!memory->bytes)
		return "no memory for --size";
	reg->slot_size = memory->slot_size;
	if (!memory->slot_size || memory->no_payload)
		reg->defaults.payload = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, NULL, answer_later, memory);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err ? "can't start a thread" : NULL;
}

static const struct bfuse_option options[] = {
	{ "size", "BYTES", "of the device" },
	{ "slot", "BYTES", "size of a slot; default: none" },
	{ "later", NULL, "answer from another thread" },
	{ "no-payload", NULL, "let the data be fetched though there are slots" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	static const struct bfuse_filter filter = {
		.size = sizeof(filter),
		.name = "memory",
		.altitude = 200,
		.summary = "Answers for the device out of memory.",
		.completes = true,
		.payload = 1u << BFUSE_OP_WRITE,
		.read = handle,
		.write = handle,
		.flush = flush,
		.options = options,
		.option = option,
		.configure = configure,
	};
	static struct memory memory = {
		.size = 64 << 20,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.more = PTHREAD_COND_INITIALIZER,
	};

	return bfuse_main(argc, argv, &filter, &memory);
}
