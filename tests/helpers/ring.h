/* SPDX-License-Identifier: MIT */
/* A filter by hand, see raw.h, that waits by commands of io_uring. */
#ifndef RING_H
#define RING_H

#include "raw.h"

#include <liburing.h>

/* The command's field of an SQE, whatever the C library's headers call it. */
static inline void *ring_cmd(struct io_uring_sqe *sqe)
{
	return (char *)sqe + 48;
}

static inline struct bfuse_uring_enter *ring_prep(struct io_uring_sqe *sqe, int fd, unsigned int op, uint64_t user)
{
	memset(sqe, 0, 64);
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fd;
	sqe->off = op;
	sqe->user_data = user;
	return ring_cmd(sqe);
}

/* Submits, and waits for the completion of @user; others are dropped. */
static inline int ring_run(struct io_uring *ring, uint64_t user)
{
	struct io_uring_cqe *cqe;
	int res, ret;

	for (;;) {
		ret = io_uring_submit_and_wait(ring, 1);
		if (ret < 0 && ret != -EINTR)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-ret));
		while (!io_uring_peek_cqe(ring, &cqe)) {
			bool ours = cqe->user_data == user;

			res = cqe->res;
			io_uring_cqe_seen(ring, cqe);
			if (ours)
				return res;
		}
	}
}

#endif
