// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Requests of callback filters: their data and their answers.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define OPS_WITH_DATA_DOWN (1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_ZONE_APPEND)

int bfuse__ios_new(struct bfuse_queue *queue)
{
	unsigned int i, depth = queue->bfuse->reg.depth;

	queue->ios = calloc(depth, sizeof(*queue->ios));
	if (!queue->ios)
		return -ENOMEM;
	for (i = 0; i < depth; i++)
		queue->ios[i].queue = queue;
	return 0;
}

static void drop_buffer(struct io *io)
{
	if (io->buffer) {
		free(io->buffer);
		io->buffer = NULL;
	}
	io->place = DATA_NOWHERE;
}

void bfuse__ios_free(struct bfuse_queue *queue)
{
	unsigned int i;

	for (i = 0; queue->ios && i < queue->bfuse->reg.depth; i++)
		drop_buffer(&queue->ios[i]);
	free(queue->ios);
	queue->ios = NULL;
}

struct io *bfuse__io_begin(struct bfuse_queue *queue, const struct bfuse_request *request)
{
	struct io *io = &queue->ios[bfuse__index(queue, request->tag)];

	drop_buffer(io);
	io->public.request = *request;
	io->public.user = NULL;
	io->places = (struct bfuse_verdict){ .type = BFUSE_PASS };
	io->done = false;
	io->held = false;
	return io;
}

void bfuse__io_end(struct io *io)
{
	drop_buffer(io);
	io->done = false;
	io->held = false;
}

static bool is_read(const struct io *io)
{
	return io->public.request.op == BFUSE_OP_READ;
}

static uint32_t slot_size(const struct io *io)
{
	return io->queue->bfuse->reg.slot_size;
}

/* Not for writing, which would end in SIGSEGV. */
static void *window(const struct io *io)
{
	return (void *)bfuse_queue_window(io->queue, io->public.request.tag);
}

static void *slot(const struct io *io)
{
	return bfuse_queue_slot(io->queue, io->public.request.tag);
}

/* What of BFUSE_RQ_* says where the kernel has put the data. */
static uint32_t data_flags(const struct io *io)
{
	return io->held ? io->done_flags : io->public.request.flags;
}

static bool is_shown(const struct io *io)
{
	return (!io->done || io->held) && data_flags(io) & BFUSE_RQ_MAPPED;
}

/* Who may change the data gets a copy that can be. */
static bool may_modify(const struct io *io)
{
	return io->queue->bfuse->reg.defaults.verdicts & 1u << BFUSE_MODIFY;
}

/* In done(): what the kernel has left in the slot. */
static ssize_t data_when_done(struct io *io, void **data)
{
	uint32_t length = io->public.request.length;

	if (!is_read(io))
		return -EINVAL;
	if (!(io->done_flags & BFUSE_RQ_PAYLOAD))
		return -ENOENT;
	*data = slot(io);
	return length < slot_size(io) ? length : slot_size(io);
}

/* Makes a place for all of the data, and fills it unless the request is a read. */
static int place_data(struct io *io)
{
	const struct bfuse_request *request = &io->public.request;
	bool fits = request->length <= slot_size(io);
	int err;

	if (is_shown(io) && !may_modify(io)) {
		io->place = DATA_WINDOW;
		return 0;
	}
	if (fits && data_flags(io) & BFUSE_RQ_PAYLOAD) {
		io->place = DATA_SLOT;
		return 0;
	}
	if (!fits) {
		/* Zeroed: what the filter leaves untouched of a read must not be a piece of its heap. */
		io->buffer = calloc(1, request->length);
		if (!io->buffer)
			return -ENOMEM;
	}
	if (!is_read(io) || io->held) {
		err = bfuse_queue_fetch(io->queue, request->tag, fits ? slot(io) : io->buffer, 0, request->length);
		if (err) {
			drop_buffer(io);
			return err;
		}
	}
	io->place = fits ? DATA_SLOT : DATA_BUFFER;
	return 0;
}

ssize_t bfuse_io_data(struct bfuse_io *public, void **data)
{
	struct io *io = bfuse__io(public);
	int err;

	if (io->done && !io->held)
		return data_when_done(io, data);
	if (io->held && !is_read(io))
		return -EINVAL;
	if (!is_read(io) && !(1u << public->request.op & OPS_WITH_DATA_DOWN))
		return -EINVAL;
	if (io->place == DATA_STORED)
		return -EINVAL;
	if (io->place == DATA_NOWHERE) {
		err = place_data(io);
		if (err)
			return err;
	}
	*data = io->place == DATA_WINDOW ? window(io) : io->place == DATA_SLOT ? slot(io) : io->buffer;
	return public->request.length;
}

ssize_t bfuse_io_view(struct bfuse_io *public, const void **data)
{
	struct io *io = bfuse__io(public);
	void *writable = NULL;
	ssize_t bytes;

	if (io->place == DATA_NOWHERE && is_shown(io)) {
		*data = window(io);
		return public->request.length;
	}
	bytes = bfuse_io_data(public, &writable);
	*data = writable;
	return bytes;
}

int bfuse_io_fetch(struct bfuse_io *public, void *buffer, uint32_t offset, uint32_t length)
{
	return bfuse_queue_fetch(bfuse__io(public)->queue, public->request.tag, buffer, offset, length);
}

int bfuse_io_store(struct bfuse_io *public, const void *buffer, uint32_t offset, uint32_t length)
{
	struct io *io = bfuse__io(public);
	int err;

	if (io->place != DATA_NOWHERE && io->place != DATA_STORED)
		return -EINVAL;
	err = bfuse_queue_store(io->queue, public->request.tag, buffer, offset, length);
	if (!err)
		io->place = DATA_STORED;
	return err;
}

/* What BFUSE_COMPLETE may carry; the kernel refuses the rest, and then the request would wait for its deadline. */
static bool status_is_known(const struct bfuse_request *request, int status)
{
	switch (-status) {
	case 0:
		return request->op != BFUSE_OP_ZONE_APPEND;
	case EIO:
	case EOPNOTSUPP:
	case ENOSPC:
	case ENODATA:
	case EBADE:
	case EILSEQ:
	case ENOLINK:
	case EREMOTEIO:
	case ETIMEDOUT:
	case ENOMEM:
	case EROFS:
	case EPERM:
		return true;
	case EAGAIN:
		return request->flags & BFUSE_RQ_NOWAIT;
	default:
		return false;
	}
}

/* A successful read: from where are its data? Returns BFUSE_VERDICT_*, or a negative errno to complete it with. */
static int supply_read(struct io *io)
{
	const struct bfuse_request *request = &io->public.request;
	int err;

	switch (io->place) {
	case DATA_SLOT:
		return 0;
	case DATA_STORED:
		return BFUSE_VERDICT_STORED;
	case DATA_BUFFER:
		err = bfuse_queue_store(io->queue, request->tag, io->buffer, 0, request->length);
		/* ENOENT: the deadline has settled it, so the verdict is late and has no effect. */
		if (err && err != -ENOENT)
			return -EIO;
		return BFUSE_VERDICT_STORED;
	default:
		return BFUSE_VERDICT_ZERO;
	}
}

/* Other data: of a write on its way down, of a read on its way up. Returns BFUSE_VERDICT_*, or a negative errno. */
static int supply_modified(struct io *io)
{
	const struct bfuse_request *request = &io->public.request;
	int err;

	if (io->place != DATA_BUFFER)
		return BFUSE_VERDICT_MODIFY;
	err = bfuse_queue_store(io->queue, request->tag, io->buffer, 0, request->length);
	if (err && err != -ENOENT)
		return -EIO;
	return BFUSE_VERDICT_MODIFY | (err ? 0 : BFUSE_VERDICT_STORED);
}

static void modify_verdict(struct io *io, struct bfuse_verdict *verdict)
{
	int flags = supply_modified(io);

	if (flags < 0) {
		verdict->type = BFUSE_COMPLETE;
		verdict->status = flags;
	} else {
		verdict->flags = flags;
	}
}

static void complete_verdict(struct io *io, int status, struct bfuse_verdict *verdict)
{
	const struct bfuse_request *request = &io->public.request;
	int flags = 0;

	if (!status_is_known(request, status)) {
		bfuse__log(io->queue->bfuse, LOG_WARNING,
			   "%s: a %s can't be completed with status %d; it fails with EIO", io->queue->bfuse->reg.name,
			   bfuse_op_name(request->op), status);
		status = -EIO;
	}
	if (!status && io->held && io->place == DATA_WINDOW)
		return; /* as it did: these are the data */
	if (!status && is_read(io))
		flags = supply_read(io);
	verdict->type = BFUSE_COMPLETE;
	verdict->status = flags < 0 ? flags : status;
	verdict->flags = flags < 0 ? 0 : flags;
}

/* In another thread than the queue's own nobody will soon hand over what we put. */
bool bfuse__is_served_here(const struct bfuse_queue *queue)
{
	return atomic_load_explicit(&queue->served, memory_order_acquire) &&
	       pthread_equal(queue->server, pthread_self());
}

/* MODIFY is for a write on its way down and a read on its way up, whose data the filter has looked at. */
static bool is_reply(const struct io *io, int reply)
{
	if (reply == BFUSE_REPLY_MODIFY)
		return is_read(io) == io->held && (io->place == DATA_SLOT || io->place == DATA_BUFFER);
	if (io->held && (reply == BFUSE_REPLY_NOTIFY || reply == BFUSE_REPLY_HOLD))
		return false;
	return reply != BFUSE_REPLY_LATER && reply <= BFUSE_REPLY_MODIFY;
}

void bfuse_io_redirect(struct bfuse_io *public, uint32_t target, uint64_t sector)
{
	struct bfuse_verdict *places = &bfuse__io(public)->places;

	places->type = BFUSE_REDIRECT;
	places->target = target;
	places->sector = sector;
}

void bfuse_io_mirror(struct bfuse_io *public, uint32_t target, uint64_t sector)
{
	struct bfuse_verdict *places = &bfuse__io(public)->places;

	places->flags |= BFUSE_VERDICT_MIRROR;
	places->mirror = target;
	places->mirror_sector = sector;
}

void bfuse_io_copy_before(struct bfuse_io *public, uint32_t target, uint64_t sector, uint64_t source, uint32_t length)
{
	struct bfuse_verdict *places = &bfuse__io(public)->places;

	places->flags |= BFUSE_VERDICT_COPY_BEFORE;
	places->copy_target = target;
	places->copy_sector = sector;
	places->copy_source = source;
	places->copy_length = length;
}

void bfuse_io_lenient(struct bfuse_io *public)
{
	bfuse__io(public)->places.flags |= BFUSE_VERDICT_LENIENT;
}

static bool goes_on(const struct io *io, int reply)
{
	return !io->held && (reply == BFUSE_REPLY_PASS || reply == BFUSE_REPLY_NOTIFY || reply == BFUSE_REPLY_HOLD ||
			     reply == BFUSE_REPLY_MODIFY);
}

static uint32_t verbs_of_places(const struct io *io)
{
	const struct bfuse_verdict *places = &io->places;
	uint32_t verbs = places->type == BFUSE_REDIRECT ? 1u << BFUSE_REDIRECT : 0;

	if (places->flags & BFUSE_VERDICT_MIRROR)
		verbs |= 1u << BFUSE_MIRROR;
	if (places->flags & BFUSE_VERDICT_COPY_BEFORE)
		verbs |= 1u << BFUSE_COPY_BEFORE;
	return verbs;
}

static uint32_t verb_of(int reply)
{
	switch (reply) {
	case BFUSE_REPLY_PASS:
	case BFUSE_REPLY_NOTIFY:
		return 1u << BFUSE_PASS;
	case BFUSE_REPLY_HOLD:
		return 1u << BFUSE_HOLD;
	case BFUSE_REPLY_MODIFY:
		return 1u << BFUSE_MODIFY;
	default:
		return 1u << BFUSE_COMPLETE;
	}
}

/*
 * The kernel refuses what the filter did not say that it would do, and the request would wait for its deadline. A filter
 * that said it would only watch gets what its policy would lead to then, and a line that tells its author.
 */
static int keep_promise(struct io *io, int reply)
{
	struct bfuse *bfuse = io->queue->bfuse;
	uint32_t promised = bfuse->reg.defaults.verdicts | 1u << BFUSE_PASS;
	uint32_t wanted = verb_of(reply) | (goes_on(io, reply) ? verbs_of_places(io) : 0);

	if (!(wanted & ~promised))
		return reply;
	bfuse__log(bfuse, LOG_ERR,
		   "%s: the callback for %s returned %d, for which the filter lacks .completes, .modifies, .held, .redirects, "
		   ".mirrors or .copies; it %s",
		   bfuse->reg.name, bfuse_op_name(io->public.request.op), reply,
		   promised & 1u << BFUSE_COMPLETE ? "fails" : "passes");
	io->places = (struct bfuse_verdict){ .type = BFUSE_PASS };
	return promised & 1u << BFUSE_COMPLETE ? -EIO : BFUSE_REPLY_PASS;
}

static void add_places(const struct io *io, struct bfuse_verdict *verdict)
{
	struct bfuse_verdict with = io->places;

	/* Of what is not done it matters not how a failure would be taken. */
	if (!(with.flags & (BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_MIRROR)))
		with.flags &= ~BFUSE_VERDICT_LENIENT;
	with.flags |= verdict->flags;
	with.tag = verdict->tag;
	with.layer = verdict->layer;
	*verdict = with;
}

/* Does nothing come of the request but that it goes on? Then it is the next layer's turn. */
bool bfuse__passes(const struct io *io, int reply)
{
	return reply == BFUSE_REPLY_PASS && io->places.type == BFUSE_PASS && !io->places.flags;
}

/* The kernel refuses it otherwise, and the request would wait for its deadline. */
static bool may_clear(const struct io *io, const struct bfuse_verdict *verdict)
{
	struct bfuse *bfuse = io->queue->bfuse;

	if (verdict->type != BFUSE_COMPLETE || !(bfuse->reg.defaults.verdicts & 1u << BFUSE_COPY_BEFORE))
		return true;
	bfuse__log(bfuse, LOG_ERR, "%s: the callback for %s completes and clears, which a filter with .copies can't; it only completes",
		   bfuse->reg.name, bfuse_op_name(io->public.request.op));
	return false;
}

static int to_verdict(struct io *io, int reply, struct bfuse_verdict *verdict)
{
	bool clear = reply > 0 && reply & BFUSE_REPLY_CLEAR;

	*verdict = (struct bfuse_verdict){ .tag = io->public.request.tag, .layer = (uint8_t)io->public.layer };
	if (clear)
		reply &= ~BFUSE_REPLY_CLEAR;
	if (!is_reply(io, reply) || (clear && io->held))
		return -EINVAL;
	reply = keep_promise(io, reply);
	if (reply == BFUSE_REPLY_NOTIFY)
		verdict->flags = BFUSE_VERDICT_NOTIFY;
	else if (reply == BFUSE_REPLY_HOLD)
		verdict->flags = BFUSE_VERDICT_HOLD;
	else if (reply == BFUSE_REPLY_MODIFY)
		modify_verdict(io, verdict);
	else if (reply != BFUSE_REPLY_PASS)
		complete_verdict(io, reply < 0 ? reply : 0, verdict);
	if (goes_on(io, reply) && verdict->type == BFUSE_PASS)
		add_places(io, verdict);
	if (clear && !verdict->status && may_clear(io, verdict))
		verdict->flags |= BFUSE_VERDICT_CLEAR;
	/* From the moment that the verdict is in the ring the tag may come again at any time: @io isn't ours any more. */
	drop_buffer(io);
	return 0;
}

int bfuse_reply(struct bfuse_io *public, int reply)
{
	struct io *io = bfuse__io(public);
	struct bfuse_queue *queue = io->queue;
	struct bfuse_verdict verdict;
	int err = to_verdict(io, reply, &verdict);

	if (!err)
		err = bfuse_queue_put(queue, &verdict);
	return err || bfuse__is_served_here(queue) ? err : bfuse_queue_flush(queue);
}

/* What a callback returned: kept until the whole batch has been handled, and then put into the ring at once. */
int bfuse__reply_here(struct io *io, int reply)
{
	struct bfuse_queue *queue = io->queue;
	int err = to_verdict(io, reply, &queue->own[queue->nr_own]);

	queue->nr_own += !err;
	return err;
}
