// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Serving: one thread per queue.
 *
 * How it ends. bfuse_stop() sets a flag and wakes queue 0, whose thread detaches from all devices and goes on serving,
 * as do the others. Events come on queue 0: when the last attachment is reported gone, none of its requests is left, and
 * the thread sets bfuse->finished and wakes the rest. An error in any thread does that at once.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void bfuse__finish(struct bfuse *bfuse)
{
	unsigned int i;

	atomic_store(&bfuse->finished, true);
	for (i = 0; i < bfuse->nr_queues; i++)
		bfuse_queue_wake(&bfuse->queues[i]);
	pthread_mutex_lock(&bfuse->lock);
	pthread_cond_broadcast(&bfuse->changed);
	pthread_mutex_unlock(&bfuse->lock);
}

static void finish_with(struct bfuse *bfuse, int err)
{
	int none = 0;

	atomic_compare_exchange_strong(&bfuse->failure, &none, err);
	bfuse__finish(bfuse);
}

static void take_reply(struct io *io, int reply)
{
	struct bfuse *bfuse = io->queue->bfuse;
	uint8_t op = io->public.request.op;

	if (reply == BFUSE_REPLY_LATER)
		return;
	if (bfuse__reply_here(io, reply) != -EINVAL)
		return;
	bfuse__log(bfuse, LOG_ERR, "%s: the callback for %s returned %d, which is no reply here; that is taken for an error",
		   bfuse->reg.name, bfuse_op_name(op), reply);
	bfuse__reply_here(io, -EIO);
}

static void handle_request(struct bfuse_queue *queue, const struct bfuse_request *request)
{
	struct bfuse *bfuse = queue->bfuse;
	struct io *io = bfuse__io_begin(queue, request);
	bfuse_op_fn callback = request->op < BFUSE_OP_COUNT ? bfuse->ops[request->op] : NULL;
	unsigned int layers = request->layers;
	int reply;

	/* One layer after the other, while they pass it. */
	do {
		io->public.layer = layers ? (unsigned int)__builtin_ctz(layers) : 0;
		layers &= layers - 1;
		reply = callback ? callback(&io->public, bfuse->user) : BFUSE_REPLY_PASS;
	} while (layers && bfuse__passes(io, reply));
	take_reply(io, reply);
}

static void handle_held(struct bfuse_queue *queue, const struct bfuse_request *done)
{
	struct bfuse *bfuse = queue->bfuse;
	struct io *io = &queue->ios[bfuse__index(queue, done->tag)];

	io->done = true;
	io->held = true;
	io->done_flags = done->flags;
	take_reply(io, bfuse->filter->held ? bfuse->filter->held(&io->public, done, bfuse->user) : BFUSE_REPLY_PASS);
}

static void handle_done(struct bfuse_queue *queue, const struct bfuse_request *done)
{
	struct bfuse *bfuse = queue->bfuse;
	struct io *io = &queue->ios[bfuse__index(queue, done->tag)];

	io->done = true;
	io->done_flags = done->flags;
	if (bfuse->filter->done)
		bfuse->filter->done(&io->public, done, bfuse->user);
	bfuse__io_end(io);
}

/* Further devices may come; under the lock. */
static bool waits_for_devices(const struct bfuse *bfuse)
{
	return bfuse->nr_rules > 0 || bfuse->reg.flags & BFUSE_FILTER_ATTACHABLE;
}

/* True: it is time to end. An attach that is to come is refused then; one that is under way puts it off, and looks again. */
bool bfuse__close_if_idle(struct bfuse *bfuse)
{
	bool idle;

	pthread_mutex_lock(&bfuse->lock);
	idle = !bfuse->nr_attachments && (bfuse->left || !waits_for_devices(bfuse));
	bfuse->put_off = idle && bfuse->attaching;
	idle &= !bfuse->attaching;
	bfuse->closed |= idle;
	pthread_mutex_unlock(&bfuse->lock);
	return idle;
}

static void finish_if_idle(struct bfuse *bfuse)
{
	if (bfuse__close_if_idle(bfuse))
		bfuse__finish(bfuse);
}

void bfuse__look_again(struct bfuse *bfuse)
{
	if (bfuse->child)
		bfuse__guard_wake(bfuse);
	else
		finish_if_idle(bfuse);
}

static void handle_detached(struct bfuse *bfuse, const struct bfuse_request *event)
{
	bfuse__forget(bfuse, event->attachment);
	if (bfuse->filter->detached)
		bfuse->filter->detached(event->attachment, event->status, bfuse->user);
	if (bfuse->ward)
		bfuse__ward_tell(bfuse, MESSAGE_DETACHED, event->attachment);
	/* A ward knows only of what it has accepted itself, and does not end before its guardian says so. */
	if (!bfuse->ward || bfuse->left)
		finish_if_idle(bfuse);
}

static void handle_attached(struct bfuse *bfuse, const struct bfuse_request *event)
{
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = event->attachment };

	if (bfuse->ward)
		bfuse__ward_tell(bfuse, MESSAGE_ATTACHED, event->attachment);
	else if (bfuse__remember(bfuse, event->attachment) < 0)
		bfuse__log(bfuse, LOG_ERR, "%s: no memory to remember attachment %u", bfuse->reg.name,
			   event->attachment);
	else if (bfuse->left)
		bfuse__ioctl(bfuse, BFUSE_DETACH, &detach);
	else
		bfuse__tell_attached(bfuse, event->attachment);
}

static void handle_event(struct bfuse *bfuse, const struct bfuse_request *event)
{
	switch (event->op) {
	case BFUSE_EVENT_ATTACHED:
		handle_attached(bfuse, event);
		break;
	case BFUSE_EVENT_DETACHED:
		handle_detached(bfuse, event);
		break;
	case BFUSE_EVENT_OFFERED:
	case BFUSE_EVENT_LEAVING:
	case BFUSE_EVENT_TORN_OUT:
		bfuse__call_push(bfuse, event);
		break;
	case BFUSE_EVENT_MATCHED:
		bfuse__matched(bfuse, event->tag);
		if (bfuse->ward)
			bfuse__ward_tell(bfuse, MESSAGE_MATCHED, (uint32_t)event->tag);
		break;
	}
}

static void handle(struct bfuse_queue *queue, const struct bfuse_request *entry)
{
	switch (entry->kind) {
	case BFUSE_REQUEST:
		handle_request(queue, entry);
		break;
	case BFUSE_DONE:
		if (entry->flags & BFUSE_RQ_HELD)
			handle_held(queue, entry);
		else
			handle_done(queue, entry);
		break;
	case BFUSE_INJECTED:
		if (!bfuse__inject_done(queue->bfuse, entry) && atomic_load(&queue->bfuse->finished))
			bfuse__finish(queue->bfuse);
		break;
	case BFUSE_EVENT:
		handle_event(queue->bfuse, entry);
		break;
	}
}

/* Nothing is attached any more from here on. */
void bfuse__leave(struct bfuse *bfuse)
{
	pthread_mutex_lock(&bfuse->lock);
	bfuse->left = true;
	bfuse->closed = true;
	pthread_mutex_unlock(&bfuse->lock);
}

/* Heeds bfuse_stop(); in the thread of queue 0. */
static void leave(struct bfuse *bfuse)
{
	bfuse__leave(bfuse);
	bfuse__detach_all(bfuse);
	finish_if_idle(bfuse);
}

/* The guardian has detached all that it knows of. What has been accepted meanwhile it will hear of, and detach as well. */
void bfuse__ward_leave(struct bfuse *bfuse)
{
	bfuse__leave(bfuse);
	finish_if_idle(bfuse);
}

/* Whoever makes it so wakes all queues. */
static bool is_over(struct bfuse *bfuse)
{
	bool busy = atomic_load(&bfuse->injects) || atomic_load(&bfuse->open_calls);

	return atomic_load(&bfuse->finished) && (!busy || atomic_load(&bfuse->failure));
}

/* A call has been answered; in its thread. */
void bfuse__call_done(struct bfuse *bfuse)
{
	if (atomic_fetch_sub(&bfuse->open_calls, 1) == 1 && atomic_load(&bfuse->finished))
		bfuse__finish(bfuse);
}

static void serve(struct bfuse_queue *queue)
{
	struct bfuse_request entries[BATCH];
	struct bfuse *bfuse = queue->bfuse;
	unsigned int i, n;
	int ready = 0;

	while (ready >= 0) {
		n = bfuse_queue_get(queue, entries, BATCH);
		for (i = 0; i < n; i++)
			handle(queue, &entries[i]);
		ready = bfuse__queue_put_own(queue);
		if (ready < 0)
			break;
		if (!n && is_over(bfuse))
			return;
		if (queue->number == 0 && !bfuse->left && atomic_load(&bfuse->stop))
			leave(bfuse);
		ready = bfuse->reg.spin_us ? bfuse__queue_look(queue) : 0;
		if (!ready)
			ready = bfuse_queue_wait(queue, is_over(bfuse) ? 0 : 1, 0);
	}
	finish_with(bfuse, ready);
}

static void *serve_thread(void *argument)
{
	struct bfuse_queue *queue = argument;

	queue->server = pthread_self();
	atomic_store_explicit(&queue->served, true, memory_order_release);
	serve(queue);
	return NULL;
}

/* With all signals blocked, which the threads inherit. */
static int start_threads(struct bfuse *bfuse)
{
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (!err && bfuse->nr_threads < bfuse->nr_queues) {
		err = bfuse__thread(&bfuse->threads[bfuse->nr_threads], serve_thread, &bfuse->queues[bfuse->nr_threads]);
		if (!err)
			bfuse->nr_threads++;
	}
	if (!err)
		err = -bfuse__calls_start(bfuse);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -err;
}

static void join_threads(struct bfuse *bfuse)
{
	while (bfuse->nr_threads)
		pthread_join(bfuse->threads[--bfuse->nr_threads], NULL);
	bfuse__calls_join(bfuse);
	free(bfuse->threads);
	bfuse->threads = NULL;
}

int bfuse_start(struct bfuse *bfuse)
{
	int err;

	if (!bfuse->filter || !bfuse->nr_queues || bfuse->threads || atomic_load(&bfuse->finished))
		return bfuse__fail(bfuse, -EINVAL, BFUSE_EXIT_OTHER,
				   "bfuse_start() comes once, after bfuse_set_filter()");
	bfuse->threads = calloc(bfuse->nr_queues, sizeof(*bfuse->threads));
	err = bfuse->threads ? start_threads(bfuse) : -ENOMEM;
	if (!err)
		return 0;
	bfuse__finish(bfuse);
	join_threads(bfuse);
	return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't start %u threads: %s", bfuse->reg.name,
			   bfuse->nr_queues, strerror(-err));
}

int bfuse_wait(struct bfuse *bfuse)
{
	bool served = bfuse->threads;

	if (bfuse->child)
		return bfuse__guard(bfuse);
	if (!bfuse->ward && bfuse__close_if_idle(bfuse))
		bfuse_stop(bfuse);
	join_threads(bfuse);
	/* Not to be able to serve is as if it had died. */
	if (atomic_load(&bfuse->failure))
		bfuse__abandon(bfuse, false);
	if (served && bfuse->filter->ended)
		bfuse->filter->ended(bfuse->user);
	return atomic_load(&bfuse->failure);
}

int bfuse_run(struct bfuse *bfuse)
{
	int err = bfuse_start(bfuse);

	return err ? err : bfuse_wait(bfuse);
}

void bfuse_stop(struct bfuse *bfuse)
{
	if (bfuse->ward) {
		bfuse__ward_tell(bfuse, MESSAGE_STOP, 0);
		return;
	}
	atomic_store(&bfuse->stop, true);
	if (bfuse->child)
		bfuse__guard_wake(bfuse);
	else if (bfuse->nr_queues)
		bfuse_queue_wake(&bfuse->queues[0]);
}
