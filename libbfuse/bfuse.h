/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * libbfuse: write filters for live block devices.
 *
 * Three ways to use it, each built on the one before:
 *
 *	queues		bfuse_queue_*(): entries of the rings, for programs that own their event loop
 *	callbacks	struct bfuse_filter and bfuse_run(): one thread per queue calls you for each request
 *	programs	bfuse_main(): a callback filter with a command line around it
 *
 * Conventions
 *	- Functions that can fail return 0 (or a count) or a negative errno; bfuse_error() then has one line for people,
 *	  but for those that are called for each request (bfuse_queue_*(), bfuse_io_*(), bfuse_reply*(), bfuse_inject*()).
 *	- The library never prints (except bfuse_main()), has no global state, and opens everything with O_CLOEXEC.
 *	- Threads: functions that take a struct bfuse are to be called by one thread at a time per handle, unless their
 *	  description says otherwise. For queues and requests see there.
 *	- <blkfilter.h> describes what the two sides exchange; the library adds no words of its own for that.
 */
#ifndef BFUSE_H
#define BFUSE_H

#include <blkfilter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bfuse;
struct bfuse_queue;
struct io_uring_sqe; /* <linux/io_uring.h>, <liburing.h> */

/**
 * enum bfuse_exit - exit statuses of all programs of the project.
 */
enum bfuse_exit {
	BFUSE_EXIT_OK		= 0,
	BFUSE_EXIT_OTHER	= 1,	/* anything that has no number below */
	BFUSE_EXIT_USAGE	= 2,	/* bad command line or parameter */
	BFUSE_EXIT_NO_MODULE	= 3,	/* there is no /dev/blkfilter: modprobe blkfilter */
	BFUSE_EXIT_PERMISSION	= 4,	/* needs root (CAP_SYS_ADMIN) */
	BFUSE_EXIT_NO_DEVICE	= 5,	/* no such device, or not a block device */
	BFUSE_EXIT_ALTITUDE	= 6,	/* the device is filtered at this altitude already */
	BFUSE_EXIT_ABI		= 7,	/* module and library don't fit, or the module lacks a feature */
	BFUSE_EXIT_UNFILTERABLE	= 8,	/* the device's driver bypasses bios */
	BFUSE_EXIT_NOT_FOUND	= 9,	/* no such attachment or filter */
	BFUSE_EXIT_HOOK		= 10,	/* the hook is taken by another module, or kernel.ftrace_enabled is 0 */
};

/*
 * Handle
 */

/**
 * bfuse_log_fn - receives what the library has to say; may be called by any thread, also by several at a time.
 * @user: as given to bfuse_set_log().
 * @level: LOG_ERR to LOG_DEBUG of syslog(3).
 * @line: without newline; valid during the call.
 */
typedef void (*bfuse_log_fn)(void *user, int level, const char *line);

/**
 * bfuse_new - make a handle. Of the file descriptors 0 to 2 those that are closed become /dev/null: a file that is opened later
 * must not be taken for standard error.
 *
 * Returns it, to be ended with bfuse_free(), or NULL if there is no memory. Any thread.
 */
struct bfuse *bfuse_new(void);

/**
 * bfuse_set_log - where messages go; before bfuse_open(). Without it they are dropped.
 * @log: NULL for nowhere.
 */
void bfuse_set_log(struct bfuse *bfuse, bfuse_log_fn log, void *user);

/**
 * bfuse_open - open /dev/blkfilter and see whether its ABI is ours.
 *
 * Returns 0, -ENOENT: the module is not loaded, -EACCES or -EPERM: not allowed, -EPROTO: other ABI.
 */
int bfuse_open(struct bfuse *bfuse);

/**
 * bfuse_register - become a filter, and map the queues.
 * @reg: in: all but size and abi, which the library sets; features that follow from the other fields are added;
 *	nr_queues 0 stands for one per online CPU and depth 0 for 128; out: as the ABI says. For call_ms you add BFUSE_F_EVENTS.
 *
 * The mappings are not inherited by fork(2): fork, or daemon(3), before this. Returns 0 or a negative errno of BFUSE_REGISTER
 * or mmap(2).
 */
int bfuse_register(struct bfuse *bfuse, struct bfuse_register *reg);

/**
 * bfuse_attach - filter a device.
 * @path: a block device node; opened only for the duration of the call, and never for writing.
 * @interest: what to see; NULL for the defaults of bfuse_register().
 * @attachment: out: id; may be NULL.
 *
 * Requests arrive from now on, so serve the queues soon. Any thread may call it, also from a callback.
 *
 * Returns 0 or a negative errno: of open(2), -ENOTBLK, -ECANCELED: after bfuse_stop(), or when the last attachment that
 * bfuse_start()'s threads served has ended, or as described at struct bfuse_attach.
 */
int bfuse_attach(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t *attachment);

/**
 * bfuse_attach_fd - the same for a device that is open already.
 * @fd: the caller's; not needed after the call.
 * @label: how messages call the device.
 */
int bfuse_attach_fd(struct bfuse *bfuse, int fd, const char *label, const struct bfuse_interest *interest,
		    uint32_t *attachment);

/**
 * bfuse_attach_drained - filter a device, from a moment at which all that was submitted to it before has completed.
 * @timeout_ms: how long that may take; 0 stands for 30 s.
 * @drained: out: enum bfuse_drained, how much is guaranteed; may be NULL.
 *
 * As bfuse_attach(), with BFUSE_ATTACH_DRAIN. Not from a thread that serves a queue, of this filter or of one that the device or
 * what is mounted on it may need; bfuse_start() comes first. -ETIMEDOUT: not attached.
 */
int bfuse_attach_drained(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t timeout_ms,
			 uint32_t *drained, uint32_t *attachment);

/**
 * bfuse_replace - take the place of a running filter of the same name and altitude on a device, without a gap.
 *
 * As bfuse_attach(), with BFUSE_ATTACH_REPLACE. -ESRCH: there is none.
 */
int bfuse_replace(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t *attachment);

/**
 * bfuse_attach_layer - filter a device at a further altitude.
 * @altitude: where; 0 stands for the filter's own.
 * @layer: as struct bfuse_attach says: greater for a lower altitude; bfuse_io.layer tells it to the callbacks.
 * @flags: 0 or BFUSE_ATTACH_REPLACE.
 *
 * Otherwise as bfuse_attach(). -EINVAL, too: the filter was registered without BFUSE_F_LAYERS.
 */
int bfuse_attach_layer(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t altitude,
		       unsigned int layer, uint32_t flags, uint32_t *attachment);

/**
 * bfuse_attach_other - put somebody else's filter on a device.
 * @filter: its id, see bfuse_next_filter(); it must be BFUSE_FILTER_ATTACHABLE.
 *
 * Needs no bfuse_register(). Returns 0 or a negative errno as bfuse_attach(); -EACCES: the filter is not attachable.
 */
int bfuse_attach_other(struct bfuse *bfuse, const char *path, uint32_t filter, uint32_t *attachment);

/**
 * bfuse_attach_other_drained - the same, as bfuse_attach_drained() does it for one's own.
 */
int bfuse_attach_other_drained(struct bfuse *bfuse, const char *path, uint32_t filter, uint32_t timeout_ms,
			       uint32_t *drained, uint32_t *attachment);

/**
 * bfuse_detach - end an attachment, one's own or anybody's.
 * @flags: BFUSE_DETACH_*; BFUSE_DETACH_WAIT not from a thread that serves a queue of it.
 *
 * Any thread may call it. Returns 0, -ENOENT: no such attachment, -EINTR: while waiting; the detach goes on.
 */
int bfuse_detach(struct bfuse *bfuse, uint32_t attachment, uint32_t flags);

/**
 * bfuse_target - make a block device or regular file known as a place for data, see struct bfuse_target.
 * @fd: the caller's, not needed after the call: the module keeps what it refers to.
 * @flags: BFUSE_TARGET_READ_ONLY or 0.
 * @target: out: id, for the functions below.
 *
 * After bfuse_register() or bfuse_set_filter(). Any thread may call it. Returns 0 or a negative errno as struct
 * bfuse_target says.
 */
int bfuse_target(struct bfuse *bfuse, int fd, uint32_t flags, uint32_t *target);

/**
 * bfuse_describe_target - the same, for who wants to know more of it.
 * @target: in: @target->fd and @flags, the rest 0; out: @target->target, and what it takes: @block_size and @sectors.
 */
int bfuse_describe_target(struct bfuse *bfuse, struct bfuse_target *target);

/**
 * bfuse_untarget - give a target up. Any thread.
 *
 * Returns 0, -ENOENT: there is none, -EBUSY: a request uses it.
 */
int bfuse_untarget(struct bfuse *bfuse, uint32_t target);

/**
 * bfuse_fd - file descriptor for poll(2): readable while any queue has entries. Owned by the handle.
 */
int bfuse_fd(const struct bfuse *bfuse);

/**
 * bfuse_free - detach what this handle attached, unmap, close and free. NULL is fine.
 *
 * Requests that are still unanswered follow their policy. No other thread may use the handle or its queues any more: after
 * bfuse_start() first bfuse_stop(), unless it is over, and bfuse_wait().
 */
void bfuse_free(struct bfuse *bfuse);

/**
 * bfuse_error - the last failure in one line that names the thing and the remedy; "" if there was none.
 *
 * Valid until the next failure on this handle.
 */
const char *bfuse_error(const struct bfuse *bfuse);

/**
 * bfuse_exit_status - what a program that can't go on after the last failure should exit with: enum bfuse_exit.
 */
int bfuse_exit_status(const struct bfuse *bfuse);

/**
 * bfuse_harden - make the process fit to serve the disk that it may itself be swapped to or started from.
 *
 * Locks all memory, sets PR_SET_IO_FLUSHER, keeps the OOM killer away, and ignores the signals by which a terminal stops its
 * processes (SIGTSTP, SIGTTIN, SIGTTOU): who stops a filter stops the disk. What is not permitted is logged as a warning and left
 * out. PR_SET_IO_FLUSHER is for the calling thread, and those that it starts from then on. bfuse_main() calls it.
 */
void bfuse_harden(struct bfuse *bfuse);

/**
 * bfuse_signalfd - have the signals by which a filter program is to end come by a file, see signalfd(2).
 * @flags: SFD_CLOEXEC, SFD_NONBLOCK.
 *
 * These are SIGINT, SIGQUIT, SIGTERM and SIGHUP, but for those (other than SIGTERM) that were ignored when the program began, as
 * under nohup(1). They are blocked, in the calling thread and those that it starts from then on, and SIGPIPE is ignored. bfuse_main()
 * does so. Returns the file, which the caller closes, or a negative errno.
 */
int bfuse_signalfd(int flags);

/*
 * Enumeration. None of these needs bfuse_register().
 */

/**
 * bfuse_get_info - what the module can do. Needs no privilege; not after bfuse_confine().
 *
 * Returns 0 or a negative errno.
 */
int bfuse_get_info(struct bfuse *bfuse, struct bfuse_info *info);

/**
 * bfuse_next_attachment - walk over all attachments of the machine, by increasing id.
 * @next: in: next->attachment is 0 to begin, else as the last call left it; out: all of it.
 *
 * Returns 1, 0 at the end, or a negative errno.
 */
int bfuse_next_attachment(struct bfuse *bfuse, struct bfuse_next *next);

/**
 * bfuse_next_filter - walk over all filters of the machine, by increasing id; as bfuse_next_attachment().
 */
int bfuse_next_filter(struct bfuse *bfuse, struct bfuse_next_filter *next);

/**
 * bfuse_next_log - read the module's log of what happened to filters.
 * @log: in: log->seq, the number of the entry to read, and log->flags, BFUSE_LOG_WAIT or 0; out: the next one from there on,
 *	with flags of 0: set them for each call. The one after it has log->seq + 1. With BFUSE_LOG_NEWEST only the
 *	number of the next entry to come is answered.
 *
 * Returns 1, 0: there is none yet, -EINTR: a signal came while waiting, whose handler has no SA_RESTART, or a negative errno.
 */
int bfuse_next_log(struct bfuse *bfuse, struct bfuse_log *log);

/*
 * Interest beyond operations, of attachments of this handle. Any thread may call these functions. For flags, cgroup and process
 * see struct bfuse_interest.
 */

/**
 * bfuse_set_ranges - be presented only what touches these parts of the device.
 * @ranges: by increasing first sector, without overlaps; not needed after the call.
 * @count: up to BFUSE_RANGES_MAX; 0: everything, as in the beginning.
 *
 * Replaces what was set before, at once; see struct bfuse_ranges. Returns 0 or a negative errno as said there.
 */
int bfuse_set_ranges(struct bfuse *bfuse, uint32_t attachment, const struct bfuse_range *ranges, uint32_t count);

/**
 * struct bfuse_chunk_map - a chunk bitmap, mapped. To be changed by the functions below only.
 * @words: little-endian.
 * @chunks: how many there are; what lies behind is always presented.
 * @bytes: of the mapping.
 * @chunk_shift: a chunk has 1 << chunk_shift bytes.
 */
struct bfuse_chunk_map {
	uint64_t *words;
	uint64_t chunks;
	uint64_t bytes;
	unsigned int chunk_shift;
};

/**
 * bfuse_map_chunks - be presented only what touches chunks whose bit is set; see struct bfuse_chunks.
 * @chunk_shift: BFUSE_CHUNK_SHIFT_MIN to BFUSE_CHUNK_SHIFT_MAX.
 * @set: how bits begin, but for those of an earlier bitmap with the same chunks, which are kept.
 * @map: out: the caller's, for bfuse_unmap_chunks(), also after the attachment has ended. Not inherited by fork(2).
 *
 * To follow a device that has grown or shrunk call it again with another @map, then use that one and unmap the old one. Returns 0
 * or a negative errno of BFUSE_CHUNKS, after which all is as it was, or mmap(2), after which everything is presented.
 */
int bfuse_map_chunks(struct bfuse *bfuse, uint32_t attachment, unsigned int chunk_shift, bool set, struct bfuse_chunk_map *map);

/**
 * bfuse_unmap_chunks - give back a mapping. What the bitmap says goes on to hold.
 */
void bfuse_unmap_chunks(struct bfuse_chunk_map *map);

/**
 * bfuse_end_chunks - be presented all chunks again.
 *
 * Returns 0 or a negative errno.
 */
int bfuse_end_chunks(struct bfuse *bfuse, uint32_t attachment);

/* These three are for any thread at any time; @chunk is less than map->chunks. Setting and clearing are full barriers. */

/* In memory, a little-endian word has bit n in byte n / 8. */
static inline unsigned char *bfuse_chunk_byte(const struct bfuse_chunk_map *map, uint64_t chunk)
{
	return (unsigned char *)map->words + chunk / 8;
}

static inline bool bfuse_chunk_test(const struct bfuse_chunk_map *map, uint64_t chunk)
{
	return __atomic_load_n(bfuse_chunk_byte(map, chunk), __ATOMIC_ACQUIRE) & 1u << chunk % 8;
}

static inline void bfuse_chunk_set(const struct bfuse_chunk_map *map, uint64_t chunk)
{
	__atomic_fetch_or(bfuse_chunk_byte(map, chunk), (unsigned char)(1u << chunk % 8), __ATOMIC_SEQ_CST);
}

static inline void bfuse_chunk_clear(const struct bfuse_chunk_map *map, uint64_t chunk)
{
	__atomic_fetch_and(bfuse_chunk_byte(map, chunk), (unsigned char)~(1u << chunk % 8), __ATOMIC_SEQ_CST);
}

/**
 * bfuse_mark_begin - have the kernel mark the chunks that are written to, without presenting anything; see struct bfuse_mark.
 * @chunk_shift: BFUSE_CHUNK_SHIFT_MIN to BFUSE_CHUNK_SHIFT_MAX.
 * @drain_ms: milliseconds to wait at most, up to BFUSE_DEADLINE_MAX, until all I/O that was under way has completed, or will be
 *	marked, so that a full backup which begins after that, and the generations, have every change (BFUSE_MARK_DRAIN); 0: don't
 *	wait, they may not.
 * @mark: out: the current generation; flags tell by BFUSE_MARK_INHERITED that a predecessor's marks go on. May be NULL.
 *
 * Returns 0 or a negative errno.
 */
int bfuse_mark_begin(struct bfuse *bfuse, uint32_t attachment, unsigned int chunk_shift, uint32_t drain_ms,
		     struct bfuse_mark *mark);

/**
 * bfuse_mark_switch - end a generation, and begin the next.
 * @flags: BFUSE_MARK_MERGE or 0.
 * @mark: out: the generation that has ended, for bfuse_mark_read().
 *
 * Returns 0 or a negative errno; then the generation goes on.
 */
int bfuse_mark_switch(struct bfuse *bfuse, uint32_t attachment, uint32_t flags, struct bfuse_mark *mark);

/**
 * bfuse_mark_fn - a part of the device that has changed.
 * @sector, @sectors: whole chunks. The last may reach beyond the end of the device; with @sector + @sectors of UINT64_MAX it is
 *	all up to the end, wherever that is.
 *
 * Returns 0 to go on, else what bfuse_mark_read() shall return.
 */
typedef int (*bfuse_mark_fn)(uint64_t sector, uint64_t sectors, void *user);

/**
 * bfuse_mark_read - all that has changed in a generation that has ended, by increasing sector, adjacent chunks in one.
 * @mark: from bfuse_mark_switch(), the last one of this attachment.
 *
 * Returns 0, what @fn returned, -ESTALE: there was another bfuse_mark_switch() meanwhile, or a negative errno.
 */
int bfuse_mark_read(struct bfuse *bfuse, const struct bfuse_mark *mark, bfuse_mark_fn fn, void *user);

/**
 * bfuse_mark_end - mark no more.
 *
 * Returns 0 or a negative errno.
 */
int bfuse_mark_end(struct bfuse *bfuse, uint32_t attachment);

/*
 * Queues. All functions of one queue that take entries out (bfuse_queue_get(), bfuse_queue_wait(),
 * bfuse_queue_prep_wait(), bfuse_queue_waited()) belong to one thread at a time; of a request, one at a time may fetch
 * or store, and not beside its verdict; the rest may be called by any thread at any time.
 */

/**
 * bfuse_queue_count - number of queues; 0 before bfuse_register().
 */
unsigned int bfuse_queue_count(const struct bfuse *bfuse);

/**
 * bfuse_queue - a queue, owned by the handle; NULL if there is no such number.
 */
struct bfuse_queue *bfuse_queue(struct bfuse *bfuse, unsigned int number);

/**
 * bfuse_queue_get - take entries out of the request ring, without a system call.
 * @entries: the caller's; receives copies.
 * @count: how many at most.
 *
 * The tags of BFUSE_DONE entries, and so their slots, are the caller's until its next bfuse_queue_get() or
 * bfuse_queue_wait(). Returns how many there were, perhaps 0.
 */
unsigned int bfuse_queue_get(struct bfuse_queue *queue, struct bfuse_request *entries, unsigned int count);

/**
 * bfuse_queue_put - put a verdict into the verdict ring; handed over by bfuse_queue_wait() or bfuse_queue_flush().
 *
 * Returns 0 or, if the ring is full and can't be handed over, a negative errno as bfuse_queue_flush().
 */
int bfuse_queue_put(struct bfuse_queue *queue, const struct bfuse_verdict *verdict);

/**
 * bfuse_queue_pass - put a verdict: pass.
 * @flags: BFUSE_VERDICT_NOTIFY, HOLD, MODIFY, STORED, CLEAR or 0.
 */
int bfuse_queue_pass(struct bfuse_queue *queue, uint64_t tag, uint16_t flags);

/**
 * bfuse_queue_complete - put a verdict: complete.
 * @status: 0 or a negative errno, see struct bfuse_verdict.
 * @flags: BFUSE_VERDICT_STORED, BFUSE_VERDICT_ZERO, BFUSE_VERDICT_CLEAR (not where copies may be made) or 0.
 */
int bfuse_queue_complete(struct bfuse_queue *queue, uint64_t tag, int status, uint16_t flags);

/**
 * bfuse_queue_flush - hand over all verdicts that were put, by whichever thread.
 *
 * Verdicts that the kernel refuses are logged with reason and tag. Returns 0 or a negative errno; -ESHUTDOWN: the
 * filter is dead.
 */
int bfuse_queue_flush(struct bfuse_queue *queue);

/**
 * bfuse_queue_wait - hand over all verdicts and wait until the request ring has entries.
 * @min: how many to wait for; 0 doesn't wait.
 * @timeout_ns: longest wait in nanoseconds; 0 for ever.
 *
 * Returns the number of entries that bfuse_queue_get() will find, which may be 0 after a timeout, a signal or
 * bfuse_queue_wake(), or a negative errno as bfuse_queue_flush().
 */
int bfuse_queue_wait(struct bfuse_queue *queue, unsigned int min, uint64_t timeout_ns);

/**
 * bfuse_queue_prep_wait - have bfuse_queue_wait() done by io_uring: a command that a ring waits for, beside a program's own I/O.
 * @sqe: one of any ring; all of it is overwritten, so set user_data and IOSQE_* flags afterwards. With IORING_SETUP_SQE128 the
 *	second half must be zero.
 * @min: as there; with 0 it is bfuse_queue_flush().
 *
 * To be called when what was taken from the queue has been looked at. Verdicts that were put before it is submitted are handed over
 * then, by whoever submits it. One that waits is allowed per queue; beside it others with @min 0 may be used, and the functions
 * that enter the kernel. Needs BFUSE_F_URING.
 */
void bfuse_queue_prep_wait(struct bfuse_queue *queue, struct io_uring_sqe *sqe, unsigned int min);

/**
 * bfuse_queue_waited - what the completion of bfuse_queue_prep_wait() means.
 * @result: cqe->res.
 *
 * Returns the number of entries that bfuse_queue_get() will find, possibly less than was waited for, or a negative errno as
 * bfuse_queue_flush(); -ECANCELED: the ring ends, -EBUSY: another waits. A refused verdict is logged, and ends the wait.
 */
int bfuse_queue_waited(struct bfuse_queue *queue, int result);

/**
 * bfuse_queue_wake - end the bfuse_queue_wait() of this queue, or the next one. Async-signal-safe.
 *
 * Returns 0 or a negative errno.
 */
int bfuse_queue_wake(struct bfuse_queue *queue);

/**
 * bfuse_queue_slot - the slot of a tag: slot_size bytes, shared with the kernel. NULL if the filter has no slots.
 */
void *bfuse_queue_slot(const struct bfuse_queue *queue, uint64_t tag);

/**
 * bfuse_queue_window - the data of a request with BFUSE_RQ_MAPPED, read only, until its verdict is put: see struct bfuse_register.
 *
 * NULL if the filter has no windows.
 */
const void *bfuse_queue_window(const struct bfuse_queue *queue, uint64_t tag);

/**
 * bfuse_queue_fetch - copy data of a write or of a held read that waits for its verdict, of any length.
 * @offset, @length: bytes within the request.
 *
 * Returns 0, -ENOENT: it doesn't wait for a verdict, or another thread fetches or stores, -EINVAL: no data there, -ENOMEM, -EFAULT:
 * the verdict is still owed.
 */
int bfuse_queue_fetch(struct bfuse_queue *queue, uint64_t tag, void *buffer, uint32_t offset, uint32_t length);

/**
 * bfuse_queue_store - supply data for a request that waits for its verdict, which then has BFUSE_VERDICT_STORED.
 *
 * As bfuse_queue_fetch().
 */
int bfuse_queue_store(struct bfuse_queue *queue, uint64_t tag, const void *buffer, uint32_t offset, uint32_t length);

/**
 * bfuse_queue_inject - start a request of one's own below this filter's altitude.
 * @inject: all but size and queue; see struct bfuse_inject. Its completion is an entry of kind BFUSE_INJECTED in this queue.
 *
 * For programs that take the entries out themselves; with callbacks use bfuse_inject(). Returns 0 or a negative errno.
 */
int bfuse_queue_inject(struct bfuse_queue *queue, const struct bfuse_inject *inject);

/*
 * Callbacks
 */

/**
 * struct bfuse_io - a request in the hands of a callback filter.
 * @request: as the kernel delivered it. For a layer other than the first in @request.layers @request.attachment is that of the
 *	first.
 * @layer: for filters with layers, whose turn it is. The callback is called for one layer after the other while they return
 *	BFUSE_REPLY_PASS, all in one crossing where nobody else is in between.
 * @user: the filter's, for whatever it wants to remember until done(); NULL at delivery.
 *
 * Belongs to the filter from its callback until it is answered, or until done() returns if it was answered with
 * BFUSE_REPLY_NOTIFY; with BFUSE_REPLY_HOLD until the answer to held(). One thread at a time.
 */
struct bfuse_io {
	struct bfuse_request request;
	void *user;
	unsigned int layer;
};

/* What a callback returns, or what bfuse_reply() is given. */
#define BFUSE_REPLY_PASS	0	/* on to the next lower altitude */
#define BFUSE_REPLY_NOTIFY	1	/* pass, and call done() when it has completed */
#define BFUSE_REPLY_COMPLETE	2	/* success, ends here; a read has the data of bfuse_io_data() or _store(), else zeroes */
#define BFUSE_REPLY_LATER	3	/* bfuse_reply() will follow, from any thread */
#define BFUSE_REPLY_HOLD	4	/* pass, and call held() when it has completed, which decides how it ends */
#define BFUSE_REPLY_MODIFY	5	/* pass a write, or end a held read, with the data of bfuse_io_data() as they are now */
#define BFUSE_REPLY_CLEAR	0x100	/* or-ed to one of these but LATER (with .copies also but COMPLETE): see
					 * BFUSE_VERDICT_CLEAR; not in held()
					 */
/* < 0: a negative errno: ends here with this error; one that block devices don't know becomes EIO */

typedef int (*bfuse_op_fn)(struct bfuse_io *io, void *user);

/**
 * enum bfuse_rule_kind - which block devices a rule is for.
 */
enum bfuse_rule_kind {
	BFUSE_RULE_DISKS,	/* whole disks */
	BFUSE_RULE_PARTITIONS,
	BFUSE_RULE_BOTH,
};

/**
 * struct bfuse_rule - which devices shall be offered to the filter; all that is given must fit.
 * @name: pattern of the kernel name, such as "sd*"; see glob(7). Less than 32 bytes.
 * @serial, @model: patterns of serial number and model as sysfs has them, without blanks around; of a partition its disk's. NULL:
 *	any, also none. What does not fit is declined by the library, which looks there: to the kernel only names are rules. A
 *	confined process can't look: there nothing fits.
 */
struct bfuse_rule {
	const char *name;
	const char *serial;
	const char *model;
	enum bfuse_rule_kind kind;
};

/**
 * struct bfuse_arrival - a device that is offered.
 * @offer: what the kernel says of it, see struct bfuse_offer.
 * @serial, @model: what sysfs says; empty if nothing, and in a confined process; cut off if longer.
 */
struct bfuse_arrival {
	struct bfuse_offer offer;
	char serial[64];
	char model[64];
};

/**
 * struct bfuse_option - an option of a filter's own command line, see bfuse_main().
 * @name: without "--"; NULL ends the table.
 * @argument: what it wants, for the help ("FIRST+COUNT"); NULL: it wants none.
 * @help: a phrase.
 */
struct bfuse_option {
	const char *name;
	const char *argument;
	const char *help;
};

/**
 * struct bfuse_filter - what a filter is. It may be const, and must live as long as the handle.
 * @size: sizeof(struct bfuse_filter).
 * @name: see struct bfuse_register.
 * @altitude: default; the command line may set another.
 * @summary: one line for --help.
 * @flags: BFUSE_FILTER_*.
 * @completes: its callbacks may return BFUSE_REPLY_COMPLETE or an error, now or later. This makes BFUSE_POLICY_ERROR the
 *	default policy and the default for unknown operations: nothing gets past the filter when it is not there.
 * @modifies: they may return BFUSE_REPLY_MODIFY. It includes @completes: what can't be changed can fail.
 * @redirects, @mirrors, @copies: they may call bfuse_io_redirect(), _mirror(), _copy_before(). They include @completes, too.
 *	A reply that needs one of these, which the filter has not, fails with EIO, and so does what is no reply at all; if it has
 *	none of them, and no @held, the request passes. The log says so.
 * @payload: mask of operations whose data shall come along, see struct bfuse_interest; each needs a callback.
 * @layers: how many attachments bfuse_main() makes on each device that --device names: at the altitude, and those directly below
 *	it. 0 stands for 1. On a device that comes by a rule it is one.
 * @queues, @depth, @slot_size: see struct bfuse_register; 0: one per CPU, 128, and 65536 if there is a payload.
 * @window_size: 0: all payload is copied; else data of @map_min (0: 65536) to so many bytes are shown where they are, which is
 *	cheaper: see struct bfuse_register. Then bfuse_io_data() gives the submitter's own memory, read only, unless the filter
 *	@modifies; a callback that writes there, or looks after the reply or the deadline, gets SIGSEGV or SIGBUS. A module without
 *	BFUSE_F_MAPPED copies.
 * @policy, @fallback, @deadline_ms, @hold_ms: see struct bfuse_interest; 0 for defaults.
 * @unknown: BFUSE_POLICY_PASS or BFUSE_POLICY_ERROR for operations newer than this library; 0 for the default.
 * @read to @other: called for each such request, by the thread of its queue, which has a stack of 1 MiB. The kernel doesn't cross for operations
 *	whose callback is NULL: they cost nothing.
 * @any: stands in for all that are NULL.
 * @done: a request answered with BFUSE_REPLY_NOTIFY has completed: @done->status, @done->time, @done->cpu. Also one
 *	whose copy or mirror failed, however it was answered: @done->flags, @done->other_status. It does not come for a
 *	request that its deadline has settled.
 * @held: a request answered with BFUSE_REPLY_HOLD has completed, as @done says, and waits for the reply: BFUSE_REPLY_PASS
 *	completes it so, BFUSE_REPLY_MODIFY a successful read with other data, BFUSE_REPLY_COMPLETE with success (of a read
 *	with the data of bfuse_io_data() or _store()), an errno with that; BFUSE_REPLY_LATER. MODIFY needs @modifies.
 *	It includes @completes.
 * @registered: the filter is registered, and nothing is attached yet: the place for bfuse_target(). 0, or a negative errno, with
 *	which bfuse_set_filter() then fails. With bfuse_main() it is also the place to start threads of one's own, as what bfuse_harden()
 *	does is done, and the process is the one that serves; for bfuse_start_confined() it is called in the parent.
 * @attached: this filter is on a device now, by bfuse_attach() (called in there), by a rule (by the thread that calls @offered)
 *	or by somebody else (called by the thread of queue 0). The first requests may come before.
 * @detached: an attachment is gone; 0 on demand, -ENODEV the device was removed, -ESTALE a successor has taken over. By the
 *	thread of queue 0.
 * @ended: in the process that serves, by bfuse_wait() after bfuse_start(), when no request will come any more: the place to end
 *	threads of one's own, which must not call bfuse_reply() any more when it returns.
 * @match: devices that bfuse_main() has offered to the filter, unless the command line names others; ends with a name of NULL.
 *	Others call bfuse_match(). Such a filter goes on when its last device has gone.
 * @call_ms: see struct bfuse_register; how long @offered, @leaving or @torn_out may take. The removal of a device, or its arrival,
 *	waits for them, with locks held: they must not open the device, nor wait for others who do.
 * @offered: a device that fits a rule has arrived or is there. Returns whether to attach to it, with @interest, which begins as
 *	the defaults. NULL: yes. Nobody has read or written an arriving device yet.
 * @leaving: the attachment's device will be removed when this returns; bfuse_inject() still works and so do lower filters.
 *	Requests go on. Wait for no longer than you must for what you inject.
 * @torn_out: the attachment's device is gone; its requests that wait for a reply fail, and late replies have no effect. These three
 *	are called by a thread of their own, one at a time, and in the end @detached.
 * @options: the filter's own options for bfuse_main().
 * @option: one of @options was given; value is NULL if it wants none. Returns NULL, or what is wrong with the value.
 * @configure: all options are known; may change @reg, which was derived from this table and the command line, for
 *	instance narrow @reg->defaults.ops. Returns NULL, or what is wrong. With --confine this and @registered are the last
 *	that may open files.
 * @confinement: for --confine; NULL: as struct bfuse_confinement says.
 */
struct bfuse_filter {
	size_t size;
	const char *name;
	uint32_t altitude;
	const char *summary;
	uint32_t flags;
	bool completes;
	bool modifies;
	bool redirects;
	bool mirrors;
	bool copies;
	uint32_t payload;
	uint32_t layers;
	uint32_t queues;
	uint32_t depth;
	uint32_t slot_size;
	uint32_t window_size;
	uint32_t map_min;
	uint32_t policy;
	uint32_t fallback;
	uint32_t deadline_ms;
	uint32_t hold_ms;
	uint32_t unknown;
	bfuse_op_fn read;
	bfuse_op_fn write;
	bfuse_op_fn flush;
	bfuse_op_fn discard;
	bfuse_op_fn secure_erase;
	bfuse_op_fn write_zeroes;
	bfuse_op_fn zone_append;
	bfuse_op_fn zone_reset;
	bfuse_op_fn zone_reset_all;
	bfuse_op_fn zone_open;
	bfuse_op_fn zone_close;
	bfuse_op_fn zone_finish;
	bfuse_op_fn other;
	bfuse_op_fn any;
	void (*done)(struct bfuse_io *io, const struct bfuse_request *done, void *user);
	int (*held)(struct bfuse_io *io, const struct bfuse_request *done, void *user);
	int (*registered)(struct bfuse *bfuse, void *user);
	void (*attached)(const struct bfuse_next *attachment, void *user);
	void (*detached)(uint32_t attachment, int status, void *user);
	void (*ended)(void *user);
	const struct bfuse_rule *match;
	uint32_t call_ms;
	bool (*offered)(const struct bfuse_arrival *device, struct bfuse_interest *interest, void *user);
	void (*leaving)(struct bfuse *bfuse, uint32_t attachment, void *user);
	void (*torn_out)(struct bfuse *bfuse, uint32_t attachment, void *user);
	const struct bfuse_option *options;
	const char *(*option)(const char *name, const char *value, void *user);
	const char *(*configure)(struct bfuse_register *reg, void *user);
	const struct bfuse_confinement *confinement;
};

/**
 * struct bfuse_confinement - what is left to a process that only serves.
 * @size: sizeof(struct bfuse_confinement).
 * @uid, @gid: who it is to be; 0: 65534, which is nobody.
 * @refused, @nr_refused: system calls that fail with EPERM instead of ending the process, for what the filter can do without.
 * @syscalls, @nr_syscalls: further system calls, by number (SYS_sendto). io_uring_enter() opens a way around all of this, unless
 *	the ring has its own restrictions: see io_uring_register(2), IORING_REGISTER_RESTRICTIONS.
 */
struct bfuse_confinement {
	size_t size;
	uid_t uid;
	gid_t gid;
	const long *syscalls;
	size_t nr_syscalls;
	const long *refused;
	size_t nr_refused;
};

/**
 * bfuse_derive - what a table means in terms of the ABI: interest, verdicts, features, sizes.
 * @reg: out; ready for bfuse_register(), and free to be changed before.
 */
void bfuse_derive(const struct bfuse_filter *filter, struct bfuse_register *reg);

/**
 * bfuse_set_filter - make the handle a callback filter; before bfuse_attach().
 * @user: handed to every callback.
 * @reg: changed by the caller after bfuse_derive(); NULL: as derived.
 *
 * Returns as bfuse_register(), which it calls.
 */
int bfuse_set_filter(struct bfuse *bfuse, const struct bfuse_filter *filter, void *user, const struct bfuse_register *reg);

/**
 * bfuse_start - begin to serve: one thread per queue, in which all signals are blocked. Once per handle.
 *
 * Best before bfuse_attach(): from the attach on I/O waits for these threads, maybe that of the calling thread too.
 * Returns 0 or a negative errno.
 */
int bfuse_start(struct bfuse *bfuse);

/**
 * bfuse_match - have devices offered to the filter, those that are there and those to come.
 * @rule: its strings must live as long as the handle.
 *
 * After bfuse_start(), for a filter that has one of @offered, @leaving, @torn_out or @match, or whose registration lists
 * BFUSE_F_EVENTS. Any thread. Returns 0 or a negative errno: -EPERM, -ENAMETOOLONG, -ENOSPC: too many rules, -EOPNOTSUPP.
 */
int bfuse_match(struct bfuse *bfuse, const struct bfuse_rule *rule);

/**
 * bfuse_wait_matched - wait until the existing devices have been offered for all rules, or the filter is over.
 *
 * Any thread, but no callback.
 */
void bfuse_wait_matched(struct bfuse *bfuse);

/**
 * bfuse_wait - wait for the end of what bfuse_start() began.
 *
 * Returns 0 when the last attachment has gone (an attachable filter, or one with rules, goes on), or after bfuse_stop(); a negative errno if a
 * queue can't be served any more. Then it is as if the filter had died: what it is attached to is not detached by bfuse_free(), but
 * left to its policy.
 */
int bfuse_wait(struct bfuse *bfuse);

/**
 * bfuse_run - bfuse_start() and bfuse_wait() in one.
 */
int bfuse_run(struct bfuse *bfuse);

/**
 * bfuse_stop - have the threads detach from all devices, see to every request that is left, and end.
 *
 * Requests answered with BFUSE_REPLY_LATER hold it up until they have their bfuse_reply() or their deadline has passed.
 * Any thread, any callback; async-signal-safe. Before bfuse_start() it makes the threads end at once.
 */
void bfuse_stop(struct bfuse *bfuse);

/**
 * bfuse_confine - give up all privileges but that of serving. For good.
 * @how: NULL for the defaults.
 *
 * The process becomes another user without groups and capabilities, can't be dumped or traced by others of that user, opens
 * no further file, and is killed (SIGSYS) by any system call beyond these: what serves (bfuse_queue_*(), bfuse_io_*(),
 * bfuse_inject()), what the C library needs for memory, threads, locks, time and signals, and reading, writing and polling
 * files that are open already. So open before what you need, and nothing that you don't. Functions of this library that
 * control return -EPERM.
 *
 * Call it after bfuse_register() and bfuse_harden(). Whoever is to attach and detach then must be another process that has the
 * same open file: see bfuse_start_confined(). Needs CAP_SETUID and CAP_SETGID, and /proc. It holds for all threads; if there are
 * any the process must be root's. Returns 0 or a negative errno, with which the process may be confined in part: it should end.
 * -EBUSY: a thread keeps capabilities, or has a program for seccomp of its own. -EOPNOTSUPP: the library doesn't know the
 * system calls of this machine.
 */
int bfuse_confine(struct bfuse *bfuse, const struct bfuse_confinement *how);

/**
 * bfuse_start_confined - as bfuse_start(), but a child process serves, which is confined; all callbacks run there.
 * @how: see bfuse_confine(); may be NULL.
 *
 * The calling process, the guardian, keeps its privileges and touches no request. It may have threads. Callbacks don't share
 * its memory; attached() is called by a thread of its own. All functions of attachments, bfuse_wait(), bfuse_stop() and
 * bfuse_free() work as usual in the guardian (bfuse_wait_matched() while another thread is in bfuse_wait()), bfuse_stop() in the
 * child, too. If the guardian dies so does the child; if the
 * child does, the policies decide, and bfuse_wait() returns -ECHILD. The child ends by _exit(2), after fflush(3).
 *
 * bfuse_main() has this as --confine; there the child returns from bfuse_main(), and the guardian never does.
 */
int bfuse_start_confined(struct bfuse *bfuse, const struct bfuse_confinement *how);

/**
 * bfuse_run_confined - bfuse_start_confined() and bfuse_wait() in one, after bfuse_attach().
 */
int bfuse_run_confined(struct bfuse *bfuse, const struct bfuse_confinement *how);

/**
 * bfuse_reply - answer a request whose callback returned BFUSE_REPLY_LATER.
 * @io: not to be touched any more, except in done().
 * @reply: as a callback's return value, but not BFUSE_REPLY_LATER.
 *
 * Any thread; from another than the one that serves the queue it takes effect at once. Returns 0 or a negative errno as
 * bfuse_queue_flush(), -EINVAL: bad @reply; the request then still waits.
 */
int bfuse_reply(struct bfuse_io *io, int reply);

/**
 * bfuse_io_data - the data of a request, in one piece.
 * @data: out: for a write what is to be written, fetched now unless it came along; for a read before its reply the place
 *	where to put what it shall have, to be filled whole; in done() of a read with payload, that has not failed, what was read;
 *	in held() of a read what was read. Changes take effect by BFUSE_REPLY_MODIFY. For a filter with @window_size that
 *	doesn't modify it may be read only.
 *
 * Valid until the reply, or until done() returns. Returns the number of bytes there: the request's length, except in
 * done(), where it is at most slot_size. Or -EINVAL: the operation carries no data, -ENOENT: done() of a request that had
 * no payload or has failed; or its deadline, or the end of its device, has settled it before the reply, which has no effect any
 * more; -ENOMEM.
 */
ssize_t bfuse_io_data(struct bfuse_io *io, void **data);

/**
 * bfuse_io_view - the same to look at only: also for a filter that @modifies without a copy, where the data are shown.
 * @data: out: as they are now; of a request that is shown, and whose bfuse_io_data() has not been asked for, the submitter's
 *	own memory, which may change at any time.
 *
 * Returns as bfuse_io_data(), which is still to be asked before the data can be changed.
 */
ssize_t bfuse_io_view(struct bfuse_io *io, const void **data);

/**
 * bfuse_io_fetch - copy a part of the data of a write; before its reply. As bfuse_queue_fetch().
 */
int bfuse_io_fetch(struct bfuse_io *io, void *buffer, uint32_t offset, uint32_t length);

/**
 * bfuse_io_store - copy a part of what a read shall have, to be answered with BFUSE_REPLY_COMPLETE; what is never stored
 * reads as zeroes. Not together with bfuse_io_data(), and not with BFUSE_REPLY_MODIFY. As bfuse_queue_store().
 */
int bfuse_io_store(struct bfuse_io *io, const void *buffer, uint32_t offset, uint32_t length);

/*
 * Other places. What these four say takes effect when the request is answered with BFUSE_REPLY_PASS, NOTIFY, HOLD or
 * MODIFY, and only then; all of them may be said of one request. What each does, and how it fails: BFUSE_REDIRECT and
 * BFUSE_VERDICT_* in <blkfilter.h>. A @target is an id of bfuse_target(), and sectors are of 512 bytes.
 */

/**
 * bfuse_io_redirect - instead of where it came for it goes to @sector of @target; 0: of the same device, below this
 * filter.
 */
void bfuse_io_redirect(struct bfuse_io *io, uint32_t target, uint64_t sector);

/**
 * bfuse_io_mirror - the same is also done at @sector of @target.
 */
void bfuse_io_mirror(struct bfuse_io *io, uint32_t target, uint64_t sector);

/**
 * bfuse_io_copy_before - before it goes on what the device has is copied.
 * @target, @sector: to where; 0: the same device, below this filter.
 * @source, @length: what: first sector, bytes.
 */
void bfuse_io_copy_before(struct bfuse_io *io, uint32_t target, uint64_t sector, uint64_t source, uint32_t length);

/**
 * bfuse_io_lenient - it is not to fail when its mirror or copy does, if it has one.
 */
void bfuse_io_lenient(struct bfuse_io *io);

/**
 * bfuse_inject_fn - a request of bfuse_inject() has completed.
 * @status: 0 or a negative errno.
 */
typedef void (*bfuse_inject_fn)(int status, void *user);

/**
 * bfuse_inject - start a request of one's own, seen by lower altitudes only.
 * @attachment: one of this filter's.
 * @op: BFUSE_OP_READ, WRITE, FLUSH, DISCARD or WRITE_ZEROES.
 * @flags: BFUSE_RQ_*, see struct bfuse_inject.
 * @sector, @length: where, and how many bytes; 0 for a flush.
 * @buffer: for a read or write, aligned to 512 bytes; the device's until @done is called. Else NULL.
 * @done: called once by the thread of a queue, unless this function fails.
 *
 * This is also how to read the device that one filters. A filter does not see the I/O of its own process, and read(2) on the
 * device, even with O_DIRECT, first writes back what others have changed in the page cache: in a callback, whose thread can't
 * serve meanwhile, that would pass unseen.
 *
 * Any thread may call it, also in a callback, after bfuse_start(). bfuse_wait() waits for what is under way. Returns 0 or a
 * negative errno as struct bfuse_inject says; -EAGAIN: too many are under way, try again when one has completed.
 */
int bfuse_inject(struct bfuse *bfuse, uint32_t attachment, unsigned int op, uint32_t flags, uint64_t sector, void *buffer,
		 uint32_t length, bfuse_inject_fn done, void *user);

/**
 * bfuse_inject_target - the same to a target that is a block device, seen by its whole chain. As bfuse_inject().
 */
int bfuse_inject_target(struct bfuse *bfuse, uint32_t target, unsigned int op, uint32_t flags, uint64_t sector, void *buffer,
			uint32_t length, bfuse_inject_fn done, void *user);

/**
 * bfuse_main - the main() of a filter program: command line, messages, signals, hardening.
 * @user: handed to every callback.
 *
 * Prints one line to standard error for each attachment, and one for a failure. Returns enum bfuse_exit.
 */
int bfuse_main(int argc, char **argv, const struct bfuse_filter *filter, void *user);

/*
 * Names. All of these may be called by any thread.
 */

/**
 * bfuse_op_name - "read", "write-zeroes", ...; "unknown" for an operation newer than this library. Static.
 */
const char *bfuse_op_name(unsigned int op);

/**
 * bfuse_op_parse - the operation of that name, or -EINVAL.
 */
int bfuse_op_parse(const char *name);

/**
 * bfuse_number_base - the base of a number on a command line, for strtoull(3): 16 after "0x", else 10, for who writes 0100 means 100.
 */
int bfuse_number_base(const char *text);

/**
 * bfuse_ops_parse - a list of operations, such as "read,write", "all" or "none".
 * @ops: out: mask.
 *
 * Returns 0 or -EINVAL.
 */
int bfuse_ops_parse(const char *list, uint32_t *ops);

/**
 * bfuse_ops_format - the reverse of bfuse_ops_parse().
 * @size: bytes of @buffer; 256 are always enough, what doesn't fit is cut off.
 *
 * Returns @buffer.
 */
char *bfuse_ops_format(uint32_t ops, char *buffer, size_t size);

/**
 * bfuse_flag_name - name of one bit of bfuse_request.flags ("fua"), NULL for a bit that has none. Static.
 */
const char *bfuse_flag_name(unsigned int bit);

/**
 * bfuse_policy_name - "default", "pass", "error", "hold", "unknown". Static.
 */
const char *bfuse_policy_name(unsigned int policy);

/**
 * bfuse_policy_parse - enum bfuse_policy of that name, or -EINVAL.
 */
int bfuse_policy_parse(const char *name);

/**
 * bfuse_state_name - "live", "stalled", "orphan", "leaving", "unknown". Static.
 */
const char *bfuse_state_name(unsigned int state);

/**
 * bfuse_reason_text - why a verdict was refused, as a phrase. Static.
 */
const char *bfuse_reason_text(unsigned int reason);

/**
 * bfuse_log_event_name - "attached", "died", ...; "unknown" for one newer than this library. Static.
 */
const char *bfuse_log_event_name(unsigned int event);

/**
 * bfuse_verdict_name - enum bfuse_verb: "pass", "complete", "redirect", ...; "unknown". Static.
 */
const char *bfuse_verdict_name(unsigned int type);

/**
 * bfuse_feature_name - name of one bit of bfuse_info.features ("notify"), NULL for a bit that has none. Static.
 */
const char *bfuse_feature_name(unsigned int bit);

#ifdef __cplusplus
}
#endif

#endif
