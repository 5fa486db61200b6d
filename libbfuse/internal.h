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
	DATA_WINDOW, /* the request's own, read only */
};

/**
 * struct io - what is behind a struct bfuse_io; one per tag.
 * @buffer: allocated; for data that don't fit into the slot.
 * @places: what the bfuse_io_*() functions said of other places, as fields of the verdict to come.
 * @done: the request has completed, its DONE entry is being looked at, or held: @held.
 */
struct io {
	struct bfuse_io public;
	struct bfuse_queue *queue;
	void *buffer;
	enum data_place place;
	struct bfuse_verdict places;
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
 * @refusal: of the last command of io_uring whose verdict was refused.
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
	const unsigned char *windows;
	uint32_t taken;
	pthread_mutex_t lock;
	uint32_t put;
	struct bfuse_verdict own[BATCH];
	unsigned int nr_own;
	struct bfuse_refusal refusal;
	struct io *ios;
	pthread_t server;
	atomic_bool served;
};

struct bfuse__call;

/**
 * struct bfuse__attachment - of this filter.
 * @inherited: it was another's before, which had died, or was replaced.
 */
struct bfuse__attachment {
	uint32_t id;
	bool inherited;
};

/**
 * struct bfuse - a handle.
 * @signals: bfuse_signalfd() of a program, or -1.
 * @lock: protects @attachments, @closed, @attaching, @error and @exit_status.
 * @attachments: what this filter is attached to.
 * @left: bfuse_stop() has been heeded: everything is being detached.
 * @closed: nothing is attached any more: the threads are about to end, or everything is being detached.
 * @attaching: how many attaches are under way for which the lock is not held; the threads serve until these have ended.
 * @put_off: but for these it would have ended.
 * @injects: under way; the threads serve until there are none.
 * @rules: what bfuse_match() was given; this and the rest under @lock.
 * @matched: for how many of them all existing devices have been offered.
 * @replace: acceptances take over from predecessors.
 * @calls: of the kernel, for the thread @caller; @open_calls counts these and the one that it is at.
 * @changed: @matched, @finished, @calls, @calls_over.
 * @finished: nothing is attached any more, or an error came: the threads return.
 * @has_options: it is bfuse_main()'s, so errors may name those.
 * @confined: only calls of the module that serve are made, for the others would end the process.
 *
 * Of a filter in two processes, see guard.c:
 * @control: its end of the pair of sockets.
 * @ward: this is the process that serves.
 * @child: this is the guardian, and that the ward.
 * @child_ready: it serves.
 * @child_failed: a negative errno; it can't.
 * @child_status: how it exited, -1 if it was killed.
 * @finish_told: it was told that nothing is attached any more.
 * @wake: an eventfd for bfuse_stop().
 */
struct bfuse {
	int fd;
	int signals;
	bool hardened;
	bool has_options;
	bool confined;

	int control;
	bool ward;
	pid_t child;
	bool child_ready;
	int child_failed;
	int child_status;
	bool finish_told;
	int wake;

	struct bfuse_register reg;
	struct bfuse_queue *queues;
	unsigned int nr_queues;

	pthread_mutex_t lock;
	struct bfuse__attachment *attachments;
	unsigned int nr_attachments;
	char error[BFUSE_ERROR_MAX];
	int exit_status;

	const struct bfuse_filter *filter;
	void *user;
	bfuse_op_fn ops[BFUSE_OP_COUNT];
	atomic_bool stop;
	bool left;
	bool closed;
	unsigned int attaching;
	bool put_off;
	atomic_bool finished;
	atomic_int failure;
	atomic_uint injects;
	struct bfuse_rule *rules;
	unsigned int nr_rules;
	uint64_t matched;
	bool replace;
	struct bfuse__call *calls;
	bool calls_over;
	bool has_caller;
	atomic_uint open_calls;
	pthread_t caller;
	pthread_cond_t changed;
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
	struct bfuse_rule *rules;
	unsigned int nr_rules;
	const char *serial;
	const char *model;
	bool partitions;
	bool replace;
	bool realtime;
	bool drain;
	uint32_t drain_ms;
	bool verbose;
	bool help;
	bool confine;
	uid_t uid;
	gid_t gid;
	struct bfuse_register reg;
};

/**
 * struct message - what guardian and ward tell each other, see guard.c.
 */
enum message_kind {
	MESSAGE_READY,
	MESSAGE_ATTACHED,
	MESSAGE_DETACHED,
	MESSAGE_STOP,
	MESSAGE_FAILED,
	MESSAGE_FINISH,
	MESSAGE_MATCHED,
};

struct message {
	enum message_kind kind;
	uint32_t attachment;
	union {
		struct bfuse_register reg;
		struct bfuse_next next;
		struct {
			int err;
			enum bfuse_exit status;
			char text[BFUSE_ERROR_MAX];
		} failure;
	};
};

/* error.c: sets bfuse_error() and bfuse_exit_status(), and returns err */
int bfuse__fail(struct bfuse *bfuse, int err, enum bfuse_exit status, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void bfuse__log(struct bfuse *bfuse, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
int bfuse__ioctl(const struct bfuse *bfuse, unsigned long request, void *argument);

/* attach.c */
int bfuse__remember(struct bfuse *bfuse, uint32_t attachment);
int bfuse__remember_locked(struct bfuse *bfuse, uint32_t attachment);
void bfuse__forget(struct bfuse *bfuse, uint32_t attachment);
void bfuse__inherited(struct bfuse *bfuse, uint32_t attachment);
void bfuse__abandon(struct bfuse *bfuse, bool inherited);
void bfuse__detach_all(struct bfuse *bfuse);
int bfuse__check_place(struct bfuse *bfuse, const char *path, uint32_t altitude, bool replace, bool *inherits);
void bfuse__tell_attached(struct bfuse *bfuse, uint32_t attachment);

/* calls.c */
void bfuse__matched(struct bfuse *bfuse, uint64_t rules);
void bfuse__call_push(struct bfuse *bfuse, const struct bfuse_request *event);
int bfuse__calls_start(struct bfuse *bfuse);
void bfuse__calls_join(struct bfuse *bfuse);

/* sysfs.c */
void bfuse__read_identity(struct bfuse_arrival *device);

/* run.c */
void bfuse__call_done(struct bfuse *bfuse);

/* queue.c */
int bfuse__queue_put_own(struct bfuse_queue *queue);
int bfuse__queue_look(struct bfuse_queue *queue);
int bfuse__queue_map(struct bfuse *bfuse, unsigned int number);
void bfuse__queue_unmap(struct bfuse_queue *queue);

void bfuse__queue_publish(struct bfuse_queue *queue);
int bfuse__queue_ready(const struct bfuse_queue *queue);
void bfuse__log_refusal(const struct bfuse_queue *queue, uint32_t entry, uint32_t reason);
int bfuse__fail_enter(struct bfuse_queue *queue, int err);

/* io.c */
int bfuse__ios_new(struct bfuse_queue *queue);
void bfuse__ios_free(struct bfuse_queue *queue);
struct io *bfuse__io_begin(struct bfuse_queue *queue, const struct bfuse_request *request);
void bfuse__io_end(struct io *io);

bool bfuse__passes(const struct io *io, int reply);
int bfuse__reply_here(struct io *io, int reply);
bool bfuse__is_served_here(const struct bfuse_queue *queue);

/* inject.c */
unsigned int bfuse__inject_done(struct bfuse *bfuse, const struct bfuse_request *entry);

/* options.c: 0, or enum bfuse_exit after a line on stderr */
int bfuse__parse(struct bfuse__command *command, int argc, char **argv, const struct bfuse_filter *filter, void *user);
void bfuse__usage(const struct bfuse__command *command, const struct bfuse_filter *filter);

/* harden.c */
void bfuse__realtime(struct bfuse *bfuse);
int bfuse__thread(pthread_t *thread, void *(*function)(void *argument), void *argument);

/* signals.c */
int bfuse__watch_signals(struct bfuse *bfuse, pthread_t *thread);

/* run.c */
void bfuse__finish(struct bfuse *bfuse);
bool bfuse__close_if_idle(struct bfuse *bfuse);
void bfuse__look_again(struct bfuse *bfuse);
void bfuse__leave(struct bfuse *bfuse);
void bfuse__ward_leave(struct bfuse *bfuse);

/* seccomp.c */
bool bfuse__serves(unsigned long request);
int bfuse__seccomp(const struct bfuse_confinement *how);

/* guard.c */
pid_t bfuse__split(struct bfuse *bfuse);
int bfuse__guard_begin(struct bfuse *bfuse);
void bfuse__guard_wait_matched(struct bfuse *bfuse);
int bfuse__guard(struct bfuse *bfuse);
void bfuse__guard_wake(struct bfuse *bfuse);
void bfuse__tell(struct bfuse *bfuse, const struct message *message);

/* ward.c */
int bfuse__ward_begin(struct bfuse *bfuse, const struct bfuse_confinement *how);
int bfuse__ward_serve(struct bfuse *bfuse, const struct bfuse_confinement *how);
int bfuse__ward_fail(struct bfuse *bfuse, int err);
void bfuse__ward_tell(struct bfuse *bfuse, enum message_kind kind, uint32_t attachment);

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
