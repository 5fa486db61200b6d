// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Waiting for requests by io_uring. The ring is the program's, by liburing or by hand; the library only fills in what
 * is submitted.
 */
#include "internal.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

/* Where the command of an SQE begins. Older headers have no name for it. */
#define COMMAND_OFFSET 48

void bfuse_queue_prep_wait(struct bfuse_queue *queue, struct io_uring_sqe *sqe, unsigned int min)
{
	const struct bfuse_uring_enter enter = {
		.queue = (uint16_t)queue->number,
		.min_requests = min,
		.refusal = (uintptr_t)&queue->refusal,
	};

	bfuse__queue_publish(queue);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = queue->bfuse->fd;
	sqe->off = BFUSE_ENTER; /* which is cmd_op and padding */
	memcpy((char *)sqe + COMMAND_OFFSET, &enter, sizeof(enter));
}

int bfuse_queue_waited(struct bfuse_queue *queue, int result)
{
	const struct bfuse_refusal refusal = queue->refusal;

	if (result >= 0)
		return bfuse__queue_ready(queue);
	if (result == -ECANCELED || result == -EBUSY)
		return result;
	if (result != -EINVAL || refusal.reason == BFUSE_REASON_NONE)
		return bfuse__fail_enter(queue, result);
	queue->refusal.reason = BFUSE_REASON_NONE;
	bfuse__log_refusal(queue, refusal.entry, refusal.reason);
	return refusal.reason == BFUSE_REASON_RING ? bfuse__fail_enter(queue, result) : bfuse__queue_ready(queue);
}
