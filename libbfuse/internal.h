/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * What the files of the library share. Names that the linker sees but nobody else should use begin with bfuse__.
 */
#ifndef BFUSE_INTERNAL_H
#define BFUSE_INTERNAL_H

#include "bfuse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define BFUSE_ERROR_MAX 512

/**
 * enum data_place - where the data that a callback sees of a request are.
 */
enum data_place {
	DATA_NOWHERE, /* nobody asked */
	DATA_SLOT,
	DATA_BUFFER, /* struct io.buffer */
	DATA_STORED, /* bfuse_io_store() was used */
};

/**
 * struct io - what is behind a struct bfuse_io; one per tag.
 * @buffer: allocated; for data that don't fit into the slot.
 * @done: the request has completed, its DONE entry is being looked at, or held: @held.
 */
struct io {
	struct bfuse_io public;
	struct bfuse_queue *queue;
	void *buffer;
	enum data_place place;
	bool done;
	bool held;
	uint32_t done_flags;
};

/* Entries that are taken and answered together. */
#define BATCH 64

/**
 * struct bfuse_queue - one pair of rings.
 * @taken: index in the request ring up to which entries were taken; published with the next get or wait, so that the
 *	kernel leaves the slots of DONE entries alone until they have been looked at.
 * @lock: protects the filter's end of the verdict ring.
 * @put: index in the verdict ring up to which verdicts were put.
 * @ios: one per tag, for callback filters.
 * @own: what callbacks of this batch have answered, not yet put: the serving thread's own.
 * @server: the thread that serves the queue, valid if @served.
 */
struct bfuse_queue {
	struct bfuse *bfuse;
	unsigned int number;
	void *map;
	struct bfuse_queue_head *head;
	const struct bfuse_request *requests;
	struct bfuse_verdict *verdicts;
	unsigned char *slots;
	uint32_t taken;
	pthread_mutex_t lock;
	uint32_t put;
	struct bfuse_verdict own[BATCH];
	unsigned int nr_own;
	struct io *ios;
	pthread_t server;
	atomic_bool served;
};

/**
 * struct bfuse - a handle.
 * @lock: protects @attachments, @error and @exit_status.
 * @attachments: ids of what this filter is attached to.
 * @left: bfuse_stop() has been heeded: everything is being detached.
 * @injects: under way; the threads serve until there are none.
 * @finished: nothing is attached any more, or an error came: the threads return.
 */
struct bfuse {
	int fd;
	struct bfuse_register reg;
	struct bfuse_queue *queues;
	unsigned int nr_queues;

	pthread_mutex_t lock;
	uint32_t *attachments;
	unsigned int nr_attachments;
	char error[BFUSE_ERROR_MAX];
	int exit_status;

	const struct bfuse_filter *filter;
	void *user;
	bfuse_op_fn ops[BFUSE_OP_COUNT];
	atomic_bool stop;
	bool left;
	atomic_bool finished;
	atomic_int failure;
	atomic_uint injects;
	pthread_t *threads;
	unsigned int nr_threads;

	bfuse_log_fn log;
	void *log_user;
};

/**
 * struct bfuse__command - what the command line of a filter program says.
 */
struct bfuse__command {
	const char *program;
	const char **devices;
	unsigned int nr_devices;
	int ready_fd;
	bool replace;
	bool realtime;
	bool verbose;
	bool help;
	struct bfuse_register reg;
};

/* error.c: sets bfuse_error() and bfuse_exit_status(), and returns err */
int bfuse__fail(struct bfuse *bfuse, int err, enum bfuse_exit status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void bfuse__log(struct bfuse *bfuse, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
int bfuse__ioctl(const struct bfuse *bfuse, unsigned long request, void *argument);

/* attach.c */
int bfuse__remember(struct bfuse *bfuse, uint32_t attachment);
unsigned int bfuse__forget(struct bfuse *bfuse, uint32_t attachment);
void bfuse__detach_all(struct bfuse *bfuse);
void bfuse__tell_attached(struct bfuse *bfuse, uint32_t attachment);

/* queue.c */
int bfuse__queue_put_own(struct bfuse_queue *queue);
int bfuse__queue_look(struct bfuse_queue *queue);
int bfuse__queue_map(struct bfuse *bfuse, unsigned int number);
void bfuse__queue_unmap(struct bfuse_queue *queue);

/* io.c */
int bfuse__ios_new(struct bfuse_queue *queue);
void bfuse__ios_free(struct bfuse_queue *queue);
struct io *bfuse__io_begin(struct bfuse_queue *queue, const struct bfuse_request *request);
void bfuse__io_end(struct io *io);

int bfuse__reply_here(struct io *io, int reply);
bool bfuse__is_served_here(const struct bfuse_queue *queue);

/* inject.c */
unsigned int bfuse__inject_done(struct bfuse *bfuse, const struct bfuse_request *entry);

/* options.c: 0, or enum bfuse_exit after a line on stderr */
int bfuse__parse(struct bfuse__command *command, int argc, char **argv, const struct bfuse_filter *filter, void *user);
void bfuse__usage(const struct bfuse__command *command, const struct bfuse_filter *filter);

/* harden.c */
void bfuse__realtime(struct bfuse *bfuse);

/* ready.c */
void bfuse__ready(struct bfuse *bfuse, int fd);

static inline struct io *bfuse__io(struct bfuse_io *io)
{
	return (struct io *)io;
}

/* Index of a tag's slot and struct io. */
static inline uint32_t bfuse__index(const struct bfuse_queue *queue, uint64_t tag)
{
	return tag & (queue->bfuse->reg.depth - 1);
}

#endif
