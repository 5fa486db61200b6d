// SPDX-License-Identifier: MIT
/* The journal's loop by io_uring: one ring for requests, for what it writes, and for signals. One system call a round. */
#include "journal.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

/* What a completion is of. */
enum { REQUESTS, FLUSHED, WRITTEN, SIGNAL };

struct uring {
	struct io_uring ring;
	bool waits; /* the command for requests is in the ring */
};

/* There are never more than one of each, so there is room. */
static struct io_uring_sqe *get(struct journal *journal, unsigned long long what)
{
	struct uring *uring = journal->backend_data;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	sqe->user_data = what;
	return sqe;
}

static void prep_queue(struct journal *journal, unsigned int min, unsigned long long what)
{
	struct io_uring_sqe *sqe = get(journal, what);

	bfuse_queue_prep_wait(journal->queue, sqe, min);
	sqe->user_data = what;
}

static void prep_signal(struct journal *journal)
{
	struct io_uring_sqe *sqe = get(journal, SIGNAL);

	io_uring_prep_poll_add(sqe, journal->signals, POLLIN);
	sqe->user_data = SIGNAL;
}

static int prep_write(struct journal *journal, const void *data, size_t bytes, off_t offset)
{
	struct io_uring_sqe *sqe = get(journal, WRITTEN);

	io_uring_prep_write(sqe, journal->file, data, (unsigned int)bytes, (unsigned long long)offset);
	sqe->user_data = WRITTEN;
	return 0;
}

/* The module may be older than its commands for rings. */
static int open_ring(struct journal *journal)
{
	struct bfuse_info info;
	struct uring *uring;
	int err = bfuse_get_info(journal->bfuse, &info);

	if (err || !(info.features & BFUSE_F_URING))
		return err ? err : -EOPNOTSUPP;
	uring = calloc(1, sizeof(*uring));
	err = uring ? io_uring_queue_init(16, &uring->ring, 0) : -ENOMEM;
	if (err) {
		free(uring);
		return err;
	}
	journal->backend_data = uring;
	prep_signal(journal);
	return 0;
}

static int take(struct journal *journal, const struct io_uring_cqe *cqe)
{
	struct uring *uring = journal->backend_data;
	int n = 0;

	switch (cqe->user_data) {
	case REQUESTS:
		uring->waits = false;
		n = bfuse_queue_waited(journal->queue, cqe->res);
		if (n > 0)
			journal_requests(journal);
		break;
	case FLUSHED:
		n = bfuse_queue_waited(journal->queue, cqe->res);
		break;
	case WRITTEN:
		journal_written(journal, cqe->res);
		break;
	case SIGNAL:
		journal_signal(journal);
		prep_signal(journal);
		break;
	}
	return n < 0 ? n : 0;
}

static int take_all(struct journal *journal)
{
	struct uring *uring = journal->backend_data;
	struct io_uring_cqe *cqe;
	int err = 0;

	while (!err && !io_uring_peek_cqe(&uring->ring, &cqe)) {
		struct io_uring_cqe copy = { .user_data = cqe->user_data, .res = cqe->res };

		io_uring_cqe_seen(&uring->ring, cqe);
		err = take(journal, &copy);
	}
	return err;
}

/* The command for requests takes verdicts along; while it waits in the ring another one does. */
static int round_(struct journal *journal)
{
	struct uring *uring = journal->backend_data;
	int ret;

	if (!uring->waits || journal->answered)
		prep_queue(journal, !uring->waits, uring->waits ? FLUSHED : REQUESTS);
	uring->waits = true;
	journal->answered = false;
	ret = io_uring_submit_and_wait(&uring->ring, 1);
	/* What is not submitted for lack of memory is so the next time. */
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	return take_all(journal);
}

static void close_ring(struct journal *journal)
{
	struct uring *uring = journal->backend_data;

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

const struct backend uring_backend = {
	.name = "io_uring",
	.open = open_ring,
	.write = prep_write,
	.round = round_,
	.close = close_ring,
};
