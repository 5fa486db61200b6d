// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Queues: the rings of the ABI.
 *
 * The thread that serves a queue owns the filter's end of its request ring without a lock. The filter's end of the
 * verdict ring is under queue->lock, as replies may come from any thread.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static size_t window_bytes(const struct bfuse_register *reg)
{
	return (size_t)reg->depth * reg->window_size;
}

static void *map_file(const struct bfuse *bfuse, void *hint, size_t bytes, int protection, uint64_t offset)
{
	return mmap(hint, bytes, protection, MAP_SHARED, bfuse->fd, (off_t)offset);
}

/* A free place for so many bytes, at a multiple of @align, a power of two; for now, and NULL if there is none. */
static void *aligned_place(size_t bytes, size_t align)
{
	void *place = mmap(NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (place == MAP_FAILED)
		return NULL;
	munmap(place, bytes + align);
	return (void *)(((uintptr_t)place + align - 1) & ~(uintptr_t)(align - 1));
}

/*
 * The data of large requests, if the filter wants them so. The kernel fills and empties the page tables of one window at a time: one that
 * does not begin at a multiple of its size may lie in one more than it must.
 */
static int map_windows(struct bfuse_queue *queue)
{
	const struct bfuse_register *reg = &queue->bfuse->reg;
	size_t bytes = window_bytes(reg);
	void *map;
	int err;

	if (!bytes)
		return 0;
	map = map_file(queue->bfuse, aligned_place(bytes, reg->window_size), bytes, PROT_READ,
		       reg->off_windows + queue->number * (uint64_t)bytes);
	if (map == MAP_FAILED) {
		err = -errno;
		return bfuse__fail(queue->bfuse, err, BFUSE_EXIT_OTHER, "%s: can't map the windows of queue %u (%zu bytes): %s",
				   reg->name, queue->number, bytes, strerror(-err));
	}
	queue->windows = map;
	return 0;
}

int bfuse__queue_map(struct bfuse *bfuse, unsigned int number)
{
	const struct bfuse_register *reg = &bfuse->reg;
	struct bfuse_queue *queue = &bfuse->queues[number];
	void *map = map_file(bfuse, NULL, reg->queue_bytes, PROT_READ | PROT_WRITE, number * reg->queue_bytes);
	int err;

	if (map == MAP_FAILED) {
		err = -errno;
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't map queue %u (%llu bytes): %s", reg->name,
				   number, (unsigned long long)reg->queue_bytes, strerror(-err));
	}
	queue->bfuse = bfuse;
	queue->number = number;
	queue->map = map;
	queue->windows = NULL;
	queue->head = map;
	queue->requests = (const void *)((char *)map + reg->off_requests);
	queue->verdicts = (void *)((char *)map + reg->off_verdicts);
	queue->slots = reg->slot_size ? (unsigned char *)map + reg->off_slots : NULL;
	queue->taken = queue->head->request_head;
	queue->put = queue->head->verdict_tail;
	pthread_mutex_init(&queue->lock, NULL);
	err = map_windows(queue);
	if (err)
		bfuse__queue_unmap(queue);
	return err;
}

void bfuse__queue_unmap(struct bfuse_queue *queue)
{
	bfuse__ios_free(queue);
	munmap(queue->map, queue->bfuse->reg.queue_bytes);
	if (queue->windows)
		munmap((void *)queue->windows, window_bytes(&queue->bfuse->reg));
	pthread_mutex_destroy(&queue->lock);
}

/* What was taken has been looked at. */
void bfuse__queue_publish(struct bfuse_queue *queue)
{
	if (queue->head->request_head != queue->taken)
		__atomic_store_n(&queue->head->request_head, queue->taken, __ATOMIC_RELEASE);
}

unsigned int bfuse_queue_get(struct bfuse_queue *queue, struct bfuse_request *entries, unsigned int count)
{
	uint32_t mask = queue->bfuse->reg.entries - 1;
	uint32_t tail = __atomic_load_n(&queue->head->request_tail, __ATOMIC_ACQUIRE);
	unsigned int n = 0;

	bfuse__queue_publish(queue);
	while (n < count && queue->taken != tail)
		entries[n++] = queue->requests[queue->taken++ & mask];
	return n;
}

static bool verdicts_full(const struct bfuse_queue *queue)
{
	uint32_t head = __atomic_load_n(&queue->head->verdict_head, __ATOMIC_ACQUIRE);

	return queue->put - head >= queue->bfuse->reg.entries;
}

static void publish_put(struct bfuse_queue *queue)
{
	__atomic_store_n(&queue->head->verdict_tail, queue->put, __ATOMIC_RELEASE);
}

static int put(struct bfuse_queue *queue, const struct bfuse_verdict *verdicts, unsigned int count)
{
	uint32_t mask = queue->bfuse->reg.entries - 1;
	unsigned int i;
	int err = 0;

	pthread_mutex_lock(&queue->lock);
	for (i = 0; i < count && !err; i++) {
		/* Only replies given twice can fill it. The kernel consumes bad entries too, so this ends. */
		while (verdicts_full(queue) && !err) {
			publish_put(queue);
			err = bfuse_queue_flush(queue);
		}
		if (!err)
			queue->verdicts[queue->put++ & mask] = verdicts[i];
	}
	publish_put(queue);
	pthread_mutex_unlock(&queue->lock);
	return err;
}

int bfuse_queue_put(struct bfuse_queue *queue, const struct bfuse_verdict *verdict)
{
	return put(queue, verdict, 1);
}

/* The answers that the callbacks of a batch returned. In the thread that serves the queue. */
int bfuse__queue_put_own(struct bfuse_queue *queue)
{
	int err = queue->nr_own ? put(queue, queue->own, queue->nr_own) : 0;

	queue->nr_own = 0;
	return err;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Does the kernel's thread not look at what is in the verdict ring? */
static bool wants_enter(const struct bfuse_queue *queue)
{
	if (__atomic_load_n(&queue->head->verdict_head, __ATOMIC_ACQUIRE) == queue->head->verdict_tail)
		return false;
	/* It sets the flag and looks once more; we have published, and look at the flag. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&queue->head->flags, __ATOMIC_RELAXED) & BFUSE_QUEUE_NEED_ENTER;
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

#define TURNS_PER_LOOK_AT_THE_CLOCK 128

/* Spins for requests, reg.spin_us at most. Returns how many there are, or a negative errno. */
int bfuse__queue_look(struct bfuse_queue *queue)
{
	uint64_t end = now_us() + queue->bfuse->reg.spin_us;
	uint32_t ready;
	int err = 0, i;

	bfuse__queue_publish(queue);
	do {
		for (i = 0; i < TURNS_PER_LOOK_AT_THE_CLOCK && !err; i++) {
			ready = __atomic_load_n(&queue->head->request_tail, __ATOMIC_ACQUIRE) - queue->taken;
			if (ready)
				return (int)ready;
			if (wants_enter(queue))
				err = bfuse_queue_flush(queue);
			relax();
		}
	} while (!err && !atomic_load(&queue->bfuse->finished) && now_us() < end);
	return err;
}

int bfuse_queue_pass(struct bfuse_queue *queue, uint64_t tag, uint16_t flags)
{
	struct bfuse_verdict verdict = { .type = BFUSE_PASS, .flags = flags, .tag = tag };

	return bfuse_queue_put(queue, &verdict);
}

int bfuse_queue_complete(struct bfuse_queue *queue, uint64_t tag, int status, uint16_t flags)
{
	struct bfuse_verdict verdict = { .type = BFUSE_COMPLETE, .flags = flags, .status = status, .tag = tag };

	return bfuse_queue_put(queue, &verdict);
}

/* The entry may have been overwritten since by another thread; then the message names a wrong tag. */
void bfuse__log_refusal(const struct bfuse_queue *queue, uint32_t entry, uint32_t reason)
{
	const struct bfuse_register *reg = &queue->bfuse->reg;
	const struct bfuse_verdict *verdict = &queue->verdicts[entry & (reg->entries - 1)];

	bfuse__log(queue->bfuse, LOG_ERR,
		   "%s: queue %u: verdict %u (%s, flags %#x, status %d) of tag %#llx refused: %s", reg->name,
		   queue->number, entry, bfuse_verdict_name(verdict->type), verdict->flags, verdict->status,
		   (unsigned long long)verdict->tag, bfuse_reason_text(reason));
}

int bfuse__fail_enter(struct bfuse_queue *queue, int err)
{
	return bfuse__fail(queue->bfuse, err, BFUSE_EXIT_OTHER, "%s: queue %u: %s", queue->bfuse->reg.name,
			   queue->number, err == -ESHUTDOWN ? "the module has given this filter up" : strerror(-err));
}

/*
 * BFUSE_ENTER until all verdicts are handed over: behind a refused one the rest stays in the ring. A signal ends the wait,
 * which is no error.
 */
static int enter_queue(struct bfuse_queue *queue, struct bfuse_enter *enter)
{
	int err;

	enter->size = sizeof(*enter);
	enter->queue = queue->number;
	for (;;) {
		enter->reason = BFUSE_REASON_NONE;
		err = bfuse__ioctl(queue->bfuse, BFUSE_ENTER, enter);
		if (err != -EINVAL || enter->reason == BFUSE_REASON_NONE)
			break;
		bfuse__log_refusal(queue, enter->entry, enter->reason);
		if (enter->reason == BFUSE_REASON_RING)
			break;
	}
	return !err || err == -EINTR ? 0 : bfuse__fail_enter(queue, err);
}

int bfuse_queue_flush(struct bfuse_queue *queue)
{
	struct bfuse_enter enter = { .min_requests = 0 };

	return enter_queue(queue, &enter);
}

int bfuse__queue_ready(const struct bfuse_queue *queue)
{
	return (int)(__atomic_load_n(&queue->head->request_tail, __ATOMIC_ACQUIRE) - queue->taken);
}

int bfuse_queue_wait(struct bfuse_queue *queue, unsigned int min, uint64_t timeout_ns)
{
	struct bfuse_enter enter = { .min_requests = min, .timeout_ns = timeout_ns };
	int err;

	bfuse__queue_publish(queue);
	err = enter_queue(queue, &enter);
	return err ? err : bfuse__queue_ready(queue);
}

/* No library function in here that isn't async-signal-safe. */
int bfuse_queue_wake(struct bfuse_queue *queue)
{
	struct bfuse_enter enter = { .size = sizeof(enter), .queue = queue->number, .flags = BFUSE_ENTER_WAKE };
	int saved = errno;
	int err = bfuse__ioctl(queue->bfuse, BFUSE_ENTER, &enter);

	errno = saved;
	/* It hands over verdicts as well. A refused one is gone, and whoever waits next sees to those behind it. */
	return err == -EINVAL && enter.reason != BFUSE_REASON_NONE ? 0 : err;
}

void *bfuse_queue_slot(const struct bfuse_queue *queue, uint64_t tag)
{
	return queue->slots ? queue->slots + (size_t)bfuse__index(queue, tag) * queue->bfuse->reg.slot_size : NULL;
}

const void *bfuse_queue_window(const struct bfuse_queue *queue, uint64_t tag)
{
	return queue->windows ? queue->windows + (size_t)bfuse__index(queue, tag) * queue->bfuse->reg.window_size : NULL;
}

static int move_data(struct bfuse_queue *queue, struct bfuse_data *data)
{
	data->size = sizeof(*data);
	data->queue = queue->number;
	return bfuse__ioctl(queue->bfuse, BFUSE_DATA, data);
}

int bfuse_queue_fetch(struct bfuse_queue *queue, uint64_t tag, void *buffer, uint32_t offset, uint32_t length)
{
	struct bfuse_data data = { .tag = tag, .address = (uintptr_t)buffer, .offset = offset, .length = length };

	return move_data(queue, &data);
}

int bfuse_queue_store(struct bfuse_queue *queue, uint64_t tag, const void *buffer, uint32_t offset, uint32_t length)
{
	struct bfuse_data data = { .tag = tag, .address = (uintptr_t)buffer, .offset = offset, .length = length };

	data.flags = BFUSE_DATA_STORE;
	return move_data(queue, &data);
}
