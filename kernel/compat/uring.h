/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands of io_uring. What changed most is how one is completed in its task: bf_uring_finish_in_task() has
 * bf_uring_finish(), which uring.c defines with BF_URING_FINISH, called there.
 */
#ifndef BLKFILTER_COMPAT_URING_H
#define BLKFILTER_COMPAT_URING_H

#include "features.h"

#ifdef HAVE_IO_URING_CMD_H
#include <linux/io_uring/cmd.h>
#else
#include <linux/io_uring.h>
#include <linux/io_uring_types.h>
#endif

/* The cmd field of the SQE: shared memory, to be read once. */
static inline const void *bf_uring_data(const struct io_uring_cmd *cmd)
{
#ifdef HAVE_IO_URING_CMD_H
	return cmd->sqe->cmd;
#else
	return cmd->cmd;
#endif
}

/* A registered file is the ring's. Others each request has a reference of its own to. */
static inline bool bf_uring_holds_file(struct io_uring_cmd *cmd)
{
	return !(cmd_to_io_kiocb(cmd)->flags & REQ_F_FIXED_FILE);
}

static inline void bf_uring_done(struct io_uring_cmd *cmd, int res, unsigned int issue_flags)
{
#ifdef HAVE_URING_DONE_3
	io_uring_cmd_done(cmd, res, issue_flags);
#else
	io_uring_cmd_done(cmd, res, 0, issue_flags);
#endif
}

/*
 * Kernels that can't cancel a command wait for its end: when the ring is closed, at execve(2), and when a task that
 * polls for submissions exits. So there it may not wait for ever. Jiffies, or 0.
 */
#ifdef HAVE_URING_CANCEL
#define BF_URING_PATIENCE	0
#else
#define BF_URING_PATIENCE	HZ
#define IO_URING_F_CANCEL	0
static inline void io_uring_cmd_mark_cancelable(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
}
#endif

#ifdef HAVE_URING_TW_REQ
#define BF_URING_WORK(name)								\
static void name##_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);		\
static void name(struct io_tw_req tw_req, io_tw_token_t tw)				\
{											\
	name##_cmd(io_uring_cmd_from_tw(tw_req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);	\
}											\
static void name##_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
#else
#define BF_URING_WORK(name)	static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)
#endif

#endif
