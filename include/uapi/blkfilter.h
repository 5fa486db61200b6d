/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * blkfilter: the interface between the kernel module and a filter process.
 *
 * A *filter* is one open file of /dev/blkfilter that has called BFUSE_REGISTER; it has a name and an altitude. An
 * *attachment* is one filter on one block device. A bio that reaches a device is presented to the attachments of that
 * device from the highest altitude to the lowest; each presentation is a *request*, it occupies a *tag*, and the
 * filter answers it with a *verdict*.
 *
 * Life of a filter
 *	open(2) -> BFUSE_REGISTER -> mmap(2) each queue -> BFUSE_ATTACH -> BFUSE_ENTER ... -> close(2)
 *
 * Each queue has a request ring (kernel to filter) and a verdict ring (filter to kernel). A ring's indexes run freely
 * over 2^32; the entry is index & (entries - 1). poll(2) gives EPOLLIN while any queue's request ring is not empty, and
 * EPOLLERR | EPOLLHUP when the filter is dead. The producer stores its tail with release semantics after it has
 * written the entries, the consumer its head with release semantics after it has read them. Each queue is served by
 * one thread at a time; queues need no synchronisation among each other.
 *
 * Growth rules
 *	- Every ioctl argument begins with its size. The kernel accepts a shorter one (the rest reads as zero) and a
 *	  longer one whose tail is zero; a non-zero tail is refused with E2BIG. ioctls are told apart by type and
 *	  number, never by the encoded size.
 *	- Reserved fields and unknown flag bits must be zero, else EINVAL. What they mean later is announced by a
 *	feature
 *	  bit in struct bfuse_info.features; a filter lists the ones that it relies on in bfuse_register.features.
 *	- Descriptors are 64 bytes for ever. An unknown bfuse_request.kind is to be skipped by the filter.
 *	- An operation that a filter did not list in known_ops is never passed through it unseen: its
 *	  bfuse_register.unknown says what becomes of it.
 *
 * Change log
 *	1	first version
 *
 * io_uring
 *	BFUSE_ENTER also works as a command of a ring (IORING_OP_URING_CMD), see struct bfuse_uring_enter.
 *
 * Privilege
 *	BFUSE_GET_INFO needs none. All else needs that the file was opened with CAP_SYS_ADMIN. What controls (REGISTER,
 *	ATTACH, DETACH, MATCH, TARGET, UNTARGET, NEXT, NEXT_FILTER, LOG) needs that the caller has it, too; what serves (mmap(2),
 *	poll(2), ENTER, DATA, INJECT, RANGES, CHUNKS, MARK, OFFER, ANSWER) does not. So a privileged process can open, register
 *	and attach, and hand the file to one that may only serve; what it made rules for, that one may accept.
 *
 * Errors common to all ioctls: EFAULT (bad pointer), EINVAL (size too small, reserved or unknown bits), E2BIG (see
 * above), ENOTTY (unknown ioctl), EPERM (see privilege).
 */
#ifndef _UAPI_BLKFILTER_H
#define _UAPI_BLKFILTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define BFUSE_ABI_VERSION	1
#define BFUSE_PATH		"/dev/blkfilter"

#define BFUSE_NAME_MAX		32	/* bytes, with the terminating NUL */
#define BFUSE_ALTITUDE_MIN	1
#define BFUSE_ALTITUDE_MAX	1000000	/* nearest to the file system */
#define BFUSE_QUEUES_MAX	64	/* queues per filter */
#define BFUSE_DEPTH_MAX		4096	/* tags per queue */
#define BFUSE_SLOT_MAX		(1u << 20)	/* bytes of payload per tag */
#define BFUSE_MEMORY_MAX	(1ull << 30)	/* bytes of rings and slots per filter */
#define BFUSE_DEADLINE_MAX	3600000	/* milliseconds */
#define BFUSE_SPIN_MAX		1000000	/* microseconds */
#define BFUSE_LAYERS_MAX	8	/* attachments of one filter to one device */
#define BFUSE_INJECT_MAX	(1u << 20)	/* bytes of data of one injected request */
#define BFUSE_CALL_MS_MAX	60000	/* milliseconds */
#define BFUSE_RULES_MAX		64	/* per filter */
#define BFUSE_TARGETS_MAX	64	/* targets per filter */
#define BFUSE_RANGES_MAX	1000000	/* ranges per attachment */
#define BFUSE_CHUNK_SHIFT_MIN	12	/* a chunk has 1 << shift bytes: 4 KiB */
#define BFUSE_CHUNK_SHIFT_MAX	20	/* 1 MiB */
#define BFUSE_WINDOW_MAX	(1u << 24)	/* bytes that a window shows of a request */
#define BFUSE_WINDOWS_MAX	(1ull << 36)	/* bytes of address space for the windows of a filter */
#define BFUSE_BITMAP_MAX	(1ull << 29)	/* bytes of one bitmap */

/**
 * enum bfuse_op - block operations, as bits of an operation mask: 1u << op.
 *
 * FLUSH is an empty request that asks for the device's volatile cache to be written. A WRITE may carry the same demand
 * in BFUSE_RQ_PREFLUSH; who must see every flush asks for both. OTHER stands for operations that this version of the
 * module does not know.
 */
enum bfuse_op {
	BFUSE_OP_READ		= 0,
	BFUSE_OP_WRITE		= 1,
	BFUSE_OP_FLUSH		= 2,
	BFUSE_OP_DISCARD	= 3,
	BFUSE_OP_SECURE_ERASE	= 4,
	BFUSE_OP_WRITE_ZEROES	= 5,
	BFUSE_OP_ZONE_APPEND	= 6,
	BFUSE_OP_ZONE_RESET	= 7,
	BFUSE_OP_ZONE_RESET_ALL	= 8,
	BFUSE_OP_ZONE_OPEN	= 9,
	BFUSE_OP_ZONE_CLOSE	= 10,
	BFUSE_OP_ZONE_FINISH	= 11,
	BFUSE_OP_OTHER		= 12,
	BFUSE_OP_COUNT		= 13,	/* grows with the ABI */
};

#define BFUSE_OPS_ALL		((1u << BFUSE_OP_COUNT) - 1)

/* bfuse_request.flags: the bio's own, by meaning rather than by the running kernel's bit. */
#define BFUSE_RQ_FUA		(1u << 0)	/* must be on stable media when it completes */
#define BFUSE_RQ_PREFLUSH	(1u << 1)	/* flush the volatile cache first */
#define BFUSE_RQ_SYNC		(1u << 2)	/* somebody waits for it */
#define BFUSE_RQ_META		(1u << 3)	/* file system metadata */
#define BFUSE_RQ_PRIO		(1u << 4)
#define BFUSE_RQ_RAHEAD		(1u << 5)	/* read ahead: may fail at any time */
#define BFUSE_RQ_BACKGROUND	(1u << 6)
#define BFUSE_RQ_NOWAIT		(1u << 7)	/* may be completed with -EAGAIN */
#define BFUSE_RQ_POLLED		(1u << 8)	/* the submitter polls for completion */
#define BFUSE_RQ_NOUNMAP	(1u << 9)	/* write zeroes: keep the blocks allocated */
#define BFUSE_RQ_FAILFAST	(1u << 10)	/* no retries below */
#define BFUSE_RQ_SWAP		(1u << 11)
#define BFUSE_RQ_ATOMIC		(1u << 12)	/* all or nothing, never split */
#define BFUSE_RQ_IDLE		(1u << 13)	/* more is to come */
#define BFUSE_RQ_NOMERGE	(1u << 14)
#define BFUSE_RQ_INTEGRITY	(1u << 15)	/* carries integrity metadata */
#define BFUSE_RQ_ENCRYPTED	(1u << 16)	/* carries an inline encryption context: the data are plaintext */
/* bfuse_request.flags: blkfilter's own */
#define BFUSE_RQ_REDELIVERED	(1u << 24)	/* a predecessor of this filter died on it; it may have acted already */
#define BFUSE_RQ_PAYLOAD	(1u << 25)	/* the slot holds the first min(length, slot_size) bytes of the data */
#define BFUSE_RQ_INJECTED	(1u << 26)	/* a filter started it: @injector */
#define BFUSE_RQ_HELD		(1u << 27)	/* in a BFUSE_DONE: the completion waits for a second verdict */
#define BFUSE_RQ_MIRROR_FAILED	(1u << 28)	/* in a BFUSE_DONE: @other_status says how */
#define BFUSE_RQ_COPY_FAILED	(1u << 29)	/* in a BFUSE_DONE: likewise the copy, or one that it had to wait for */
#define BFUSE_RQ_MAPPED		(1u << 30)	/* all of the data are in the tag's window, and nothing of them in the slot */

/* bfuse_request.kind */
#define BFUSE_REQUEST		0	/* wants exactly one verdict */
#define BFUSE_DONE		1	/* a passed request has completed; only BFUSE_RQ_HELD wants an answer */
#define BFUSE_EVENT		2	/* see enum bfuse_event */
#define BFUSE_INJECTED		3	/* what BFUSE_INJECT began has completed: @tag is its cookie; no answer */

/**
 * enum bfuse_event - what bfuse_request.op means in an entry of kind BFUSE_EVENT. Events come on queue 0. OFFERED, LEAVING
 *	and TORN_OUT are calls: somebody waits for BFUSE_ANSWER to the cookie in @tag, see there. The others want no answer.
 * @BFUSE_EVENT_ATTACHED: somebody else (``bfuse attach``) attached this filter; BFUSE_NEXT tells more of the
 *	attachment.
 * @BFUSE_EVENT_DETACHED: the attachment is gone and none of its requests is left; status tells why: 0 it was asked for
 *	by BFUSE_DETACH, -ENODEV the device was removed, -ESTALE a successor has taken its place.
 * @BFUSE_EVENT_OFFERED: a device that a rule of this filter matches has arrived, or is there already; BFUSE_OFFER tells more.
 *	Answer BFUSE_ANSWER_ACCEPT or DECLINE. Nobody has read or written an arriving device before the answer.
 * @BFUSE_EVENT_LEAVING: the device of @attachment will be removed when this filter, and then those below, have answered
 *	BFUSE_ANSWER_DONE. It still works (see struct bfuse_answer), and lower filters see what this one injects.
 * @BFUSE_EVENT_TORN_OUT: the device of @attachment is gone. What waits for a verdict fails with EIO after this call. Answer
 *	BFUSE_ANSWER_DONE.
 * @BFUSE_EVENT_MATCHED: the existing devices have been offered for the first @tag rules of this filter.
 */
enum bfuse_event {
	BFUSE_EVENT_ATTACHED	= 0,
	BFUSE_EVENT_DETACHED	= 1,
	BFUSE_EVENT_OFFERED	= 2,
	BFUSE_EVENT_LEAVING	= 3,
	BFUSE_EVENT_TORN_OUT	= 4,
	BFUSE_EVENT_MATCHED	= 5,
};

/**
 * struct bfuse_request - entry of the request ring, written by the kernel.
 * @kind: BFUSE_REQUEST, BFUSE_DONE, BFUSE_EVENT or BFUSE_INJECTED. Skip unknown kinds.
 * @op: enum bfuse_op; for events enum bfuse_event.
 * @ioprio: I/O priority as in ioprio_set(2).
 * @flags: BFUSE_RQ_*.
 * @tag: name of the request in verdicts and BFUSE_DATA; opaque. In a BFUSE_DONE the tag of the request that it ends;
 *	the tag and its slot are the filter's until bfuse_queue_head.request_head has passed the entry. BFUSE_EVENT: see the
 *	event.
 * @sector: first sector in units of 512 bytes, counted from the start of the attached device (for an attachment to a
 *	whole disk also for I/O that entered through a partition).
 * @length: bytes, a multiple of 512; 0 for a flush. Up to 2^32 - 512 for discards and zeroes.
 * @attachment: id of the attachment that it is presented to.
 * @time: CLOCK_MONOTONIC, nanoseconds: interception; for BFUSE_DONE completion.
 * @cgroup: id (inode number) of the cgroup that the I/O is charged to, or 0.
 * @pid: thread that submitted the bio, in the initial pid namespace. For write-back a kernel worker.
 * @tgid: process of that thread.
 * @status: BFUSE_DONE, BFUSE_INJECTED: 0 or a negative errno. BFUSE_EVENT: see the event.
 * @injector: BFUSE_REQUEST with BFUSE_RQ_INJECTED: id of the filter that did; pid and tgid are its thread's. Otherwise 0.
 * @cpu: CPU that submitted, or for BFUSE_DONE completed, the bio.
 * @layers: BFUSE_REQUEST: mask of 1u << bfuse_attach.layer. The lowest bit is @attachment; the others are attachments of this
 *	filter to the same device that the request meets next, one directly after the other, if those before them pass
 *	it: see bfuse_verdict.layer. None stands in it below one that promises BFUSE_COPY_BEFORE: what that lets pass may
 *	have to wait for a copy first.
 * @other_status: BFUSE_DONE with BFUSE_RQ_MIRROR_FAILED or BFUSE_RQ_COPY_FAILED: the negative errno of that, for both
 *	that of the copy. Otherwise 0.
 */
struct bfuse_request {
	__u8	kind;
	__u8	op;
	__u16	ioprio;
	__u32	flags;
	__u64	tag;
	__u64	sector;
	__u32	length;
	__u32	attachment;
	__u64	time;
	__u64	cgroup;
	__u32	pid;
	__u32	tgid;
	union {
		__s32	status;
		__u32	injector;
	};
	__u16	cpu;
	union {
		__s16	other_status;
		__u16	layers;
	};
};

/**
 * enum bfuse_verb - what a verdict can do with a request. The first are types of verdicts, the rest comes on top by flags.
 * A filter may only use what it listed in bfuse_interest.verdicts.
 * @BFUSE_PASS: on to the next lower altitude, at last to the device.
 * @BFUSE_COMPLETE: ends here with @status; nothing below sees it. A successful read takes its data from the slot, which
 *	must hold all of it: what the filter has not written there may be an earlier request's. With BFUSE_VERDICT_STORED it
 *	takes what BFUSE_DATA stored, and bytes that nobody stored read as zero; with BFUSE_VERDICT_ZERO all of it does.
 * @BFUSE_REDIRECT: to another place instead: to @sector of @target. For a target of 0 that is another place of the same
 *	device, seen by lower altitudes only; any other device gets it from the top of its chain. For READ, WRITE, FLUSH
 *	(@sector is 0), DISCARD, WRITE_ZEROES and SECURE_ERASE; nothing reaches the place that it came for. It completes
 *	as the target does, whose errors are its own: EOPNOTSUPP for an operation that the target does not have. NOTIFY,
 *	HOLD, MODIFY, MIRROR and COPY_BEFORE work as for PASS.
 * @BFUSE_MODIFY: BFUSE_VERDICT_MODIFY.
 * @BFUSE_COPY_BEFORE: BFUSE_VERDICT_COPY_BEFORE.
 * @BFUSE_MIRROR: BFUSE_VERDICT_MIRROR.
 * @BFUSE_HOLD: BFUSE_VERDICT_HOLD.
 */
enum bfuse_verb {
	BFUSE_PASS		= 0,
	BFUSE_COMPLETE		= 1,
	BFUSE_REDIRECT		= 2,
	BFUSE_VERDICT_TYPES	= 3,	/* those below are no values of bfuse_verdict.type */
	BFUSE_MODIFY		= 3,
	BFUSE_COPY_BEFORE	= 4,
	BFUSE_MIRROR		= 5,
	BFUSE_HOLD		= 6,
	BFUSE_VERBS		= 7,	/* grows with the ABI */
};

/*
 * bfuse_verdict.flags
 *
 * What is said of PASS here goes for REDIRECT, too.
 *
 * NOTIFY	PASS: tell me with a BFUSE_DONE when it has completed.
 * STORED	the data were stored with BFUSE_DATA: COMPLETE of a read, MODIFY.
 * ZERO		COMPLETE of a read: all zeroes.
 * MODIFY	PASS of a WRITE or ZONE_APPEND: what is written are the data of the slot, which must hold all of it, or, with
 *		STORED, what BFUSE_DATA stored; bytes that nobody stored are those of the request. The submitter's own memory
 *		is not changed. For reads see HOLD. What can't be split (ZONE_APPEND, BFUSE_RQ_ATOMIC) must not be longer than
 *		256 pages, or as many as the device takes segments: BFUSE_REASON_LENGTH.
 * HOLD		PASS: when it has completed, a BFUSE_DONE with BFUSE_RQ_HELD says how, and waits for a second verdict with the
 *		same tag, under the same deadline and policy as the first. PASS lets it complete as it did; PASS with MODIFY
 *		completes a successful read with other data; COMPLETE ends it with that status, a read with data as said at
 *		BFUSE_COMPLETE. Other flags are refused there. BFUSE_DATA fetches the data of a held read, and stores for
 *		it. If the filter dies, policy PASS completes it as it did, ERROR fails it, and for HOLD the successor gets the
 *		request anew, as if it had not been done yet. ZONE_APPEND can't be held, nor can WRITE or WRITE_ZEROES
 *		to a zoned device.
 *
 * COPY_BEFORE	PASS of a WRITE, DISCARD, WRITE_ZEROES or SECURE_ERASE: @copy_length bytes of the device from
 *		@copy_source on, as they are below this altitude, are first written to @copy_sector of @copy_target (0:
 *		the same device, below this altitude). Which range that is, and whether it is what the request
 *		overwrites, is the filter's choice; the kernel moves it in pieces of up to 1 MiB. When all of it is
 *		written the request goes on. Until then no other request of this attachment that would change the range,
 *		and whose verdict came later, goes down: it waits for the copy. Verdicts come in the order of a queue's
 *		ring; between two queues the filter itself must see to it, for instance by keeping what would change the
 *		range until the BFUSE_DONE. What was passed before, and has not completed yet, may or may not be in the
 *		copy. If the copy fails (an error of the device in reading, of the target in writing, ENOSPC when that
 *		is full) the request fails with that status and is not done: nothing is overwritten that was not
 *		preserved; and so fail those that waited for it and would overwrite some of it, unless their own copy has
 *		what that is. A verdict that comes after the failure is taken for what it says: the filter is told by
 *		BFUSE_DONE. A successor waits for its predecessor's copies if it may copy itself. The copy is on stable media
 *		only if the target says so for its writes; if not, flush that. Not on zoned devices, nor to their sequential zones.
 * MIRROR	PASS of a WRITE, FLUSH, DISCARD, WRITE_ZEROES or SECURE_ERASE: the same at @mirror_sector (of a FLUSH:
 *		0) of @mirror, which is not 0. With MODIFY it gets the modified data. Both begin at the same time, and
 *		the request completes when both have: with the device's status if that failed, else, if the mirror
 *		failed (for instance with EOPNOTSUPP, when it does not know the operation), with the mirror's. What is
 *		where then is not known, as after any failed write. Both take the data from the same memory: who changes
 *		it while it is being written (as some do with direct I/O) may find different data in the two, and so who
 *		writes to one place twice without waiting.
 * LENIENT	with COPY_BEFORE or MIRROR: a failure of these, with COPY_BEFORE also of a copy that it waited for, is not the
 *		request's, which goes on and ends with the device's status.
 *
 * A failed copy or mirror is always told by a BFUSE_DONE with BFUSE_RQ_COPY_FAILED or BFUSE_RQ_MIRROR_FAILED, LENIENT
 * and NOTIFY or not. Once the verdict is given the filter's death changes nothing of all this.
 *
 * CLEAR	the chunks that the request touches are of no interest any more (BFUSE_CHUNKS): their bits are cleared before the
 *		request goes on or ends; with COPY_BEFORE when the copy has succeeded. If the attachment may COPY_BEFORE, the request
 *		waits for all copies from these chunks that are under way, whatever it does itself, and clears nothing if one fails
 *		that is not also its own. So what comes to these chunks later and is not presented comes after all that the filter
 *		did before this verdict; what was intercepted before it is still presented. Needs a chunk bitmap, and a request that
 *		has a length and, unlike ZONE_APPEND, a place. Not in a second verdict; nor, where it may COPY_BEFORE, with COMPLETE.
 *
 * Neither MODIFY nor HOLD nor MIRROR nor REDIRECT works on what has an inline encryption context or integrity metadata:
 * BFUSE_REASON_CONTEXT.
 */
#define BFUSE_VERDICT_NOTIFY	(1u << 0)
#define BFUSE_VERDICT_STORED	(1u << 1)
#define BFUSE_VERDICT_ZERO	(1u << 2)
#define BFUSE_VERDICT_HOLD	(1u << 3)
#define BFUSE_VERDICT_MODIFY	(1u << 4)
#define BFUSE_VERDICT_COPY_BEFORE (1u << 5)
#define BFUSE_VERDICT_MIRROR	(1u << 6)
#define BFUSE_VERDICT_LENIENT	(1u << 7)
#define BFUSE_VERDICT_CLEAR	(1u << 8)

/**
 * struct bfuse_verdict - entry of the verdict ring, written by the filter.
 * @type: BFUSE_PASS, BFUSE_COMPLETE or BFUSE_REDIRECT.
 * @flags: BFUSE_VERDICT_*.
 * @status: COMPLETE: 0 or a negative errno out of EIO, EOPNOTSUPP, ENOSPC, ENODATA, EBADE, EILSEQ, ENOLINK, EREMOTEIO,
 *	ETIMEDOUT, ENOMEM, EROFS and EPERM (both reach the submitter as EIO), and EAGAIN (only for BFUSE_RQ_NOWAIT;
 *	io_uring hands it to the application instead of trying again).
 * @tag: the request's.
 * @layer: out of bfuse_request.layers, whose verdict it is. Those before it in the mask pass the request, as BFUSE_PASS
 *	without flags; to those behind it, if it passes as well, the request is presented on its own. The BFUSE_DONE has
 *	the attachment of this layer, and a second verdict this layer.
 * @target, @sector: REDIRECT: where to; 0 in all other verdicts.
 * @mirror, @mirror_sector: MIRROR: where to; else 0.
 * @copy_target, @copy_sector: COPY_BEFORE: where to; else 0.
 * @copy_source, @copy_length: COPY_BEFORE: what, a sector and bytes; else 0.
 *
 * Targets are ids of struct bfuse_target. Sectors count 512 bytes from the start of the target, or of the attached
 * device. Each range must begin and end at logical blocks of the device that it is on, and lie inside it:
 * BFUSE_REASON_TARGET.
 */
struct bfuse_verdict {
	__u8	type;
	__u8	layer;
	__u16	flags;
	__s32	status;
	__u64	tag;
	__u32	target;
	__u32	mirror;
	__u64	sector;
	__u64	mirror_sector;
	__u32	copy_target;
	__u32	copy_length;
	__u64	copy_sector;
	__u64	copy_source;
};

/**
 * struct bfuse_queue_head - first page of a queue's mapping. Each index has a cache line of its own.
 * @request_tail: written by the kernel: entries published in the request ring.
 * @request_head: written by the filter: entries it has consumed.
 * @verdict_tail: written by the filter: entries published in the verdict ring.
 * @verdict_head: written by the kernel: entries it has consumed.
 * @flags: written by the kernel: BFUSE_QUEUE_*. For filters that registered with spin_us only.
 */
struct bfuse_queue_head {
	__u32	request_tail;
	__u32	__pad0[15];
	__u32	request_head;
	__u32	__pad1[15];
	__u32	verdict_tail;
	__u32	__pad2[15];
	__u32	verdict_head;
	__u32	flags;
	__u32	__pad3[14];
};

/*
 * bfuse_queue_head.flags
 *
 * NEED_ENTER	nobody looks at the verdict ring: verdicts want a BFUSE_ENTER. Look at it after the store to verdict_tail,
 *		with a full memory barrier in between.
 */
#define BFUSE_QUEUE_NEED_ENTER	(1u << 0)

/**
 * enum bfuse_policy - what becomes of requests that the filter can't answer: it died, or the deadline has passed.
 * @BFUSE_POLICY_DEFAULT: BFUSE_POLICY_PASS for a filter whose verdicts are only BFUSE_PASS, else BFUSE_POLICY_ERROR.
 * @BFUSE_POLICY_PASS: they go on as if the filter were not there.
 * @BFUSE_POLICY_ERROR: they fail with EIO. After a death the attachment stays, failing all I/O that the filter asked to
 *	see, until a successor takes over or somebody detaches it.
 * @BFUSE_POLICY_HOLD: they wait for the filter, or for a successor (same name, altitude and device), up to hold_ms;
 *	then bfuse_interest.fallback decides.
 */
enum bfuse_policy {
	BFUSE_POLICY_DEFAULT	= 0,
	BFUSE_POLICY_PASS	= 1,
	BFUSE_POLICY_ERROR	= 2,
	BFUSE_POLICY_HOLD	= 3,
};

/**
 * struct bfuse_interest - what an attachment wants to see and promises to do.
 * @ops: mask of enum bfuse_op to be delivered. All else bypasses the filter; 0 is allowed.
 * @payload: subset of @ops whose data are copied: READ to the slot before its BFUSE_DONE, WRITE and ZONE_APPEND to the
 *	slot at delivery; or shown in a window: see struct bfuse_register. Needs slot_size. EINVAL for operations without data.
 * @verdicts: mask of 1u << enum bfuse_verb that the filter may use; BFUSE_PASS is always allowed.
 * @policy: enum bfuse_policy.
 * @fallback: BFUSE_POLICY_PASS or BFUSE_POLICY_ERROR, for BFUSE_POLICY_HOLD only; 0 stands for ERROR.
 * @deadline_ms: how long the filter may keep a request, 1 to BFUSE_DEADLINE_MAX; 0 stands for 30,000. Checked with a
 *	coarseness of an eighth of the value.
 * @hold_ms: for BFUSE_POLICY_HOLD, how much longer to wait, 1 to BFUSE_DEADLINE_MAX; 0 stands for 30,000.
 * @flags: BFUSE_RQ_FUA to BFUSE_RQ_ENCRYPTED: only requests with at least one of these; 0: whatever their flags.
 * @cgroup: id (inode number) of a cgroup: only I/O that is charged to it or to one below it; 0: to any. Write-back is charged
 *	to the cgroup that made the pages dirty, if the file system supports that.
 * @process: thread group id in the initial pid namespace: only what this process submits; 0: any. Write-back is submitted by
 *	kernel workers. The number may be another process' after its end.
 * @except: BFUSE_EXCEPT_*: all but those.
 *
 * The conditions all have to be met, also those of BFUSE_RANGES and BFUSE_CHUNKS. Nothing crosses for what doesn't meet
 * them. @flags to @except need BFUSE_F_RANGES.
 */
struct bfuse_interest {
	__u32	ops;
	__u32	payload;
	__u32	verdicts;
	__u32	policy;
	__u32	fallback;
	__u32	deadline_ms;
	__u32	hold_ms;
	__u32	flags;
	__u64	cgroup;
	__u32	process;
	__u32	except;
	__u32	__reserved[4];
};

/* struct bfuse_interest.except */
#define BFUSE_EXCEPT_PROCESS	(1u << 0)	/* @process is the one not to be seen */
#define BFUSE_EXCEPT_CGROUP	(1u << 1)	/* @cgroup, and those below it, are not to be seen */

/* struct bfuse_info.features, bfuse_register.features */
#define BFUSE_F_NOTIFY		(1ull << 0)	/* BFUSE_VERDICT_NOTIFY */
#define BFUSE_F_COMPLETE	(1ull << 1)	/* BFUSE_COMPLETE */
#define BFUSE_F_PAYLOAD		(1ull << 2)	/* slots, bfuse_interest.payload, BFUSE_DATA */
#define BFUSE_F_HOLD		(1ull << 3)	/* BFUSE_POLICY_HOLD, adoption by a successor */
#define BFUSE_F_HELD		(1ull << 4)	/* BFUSE_VERDICT_HOLD */
#define BFUSE_F_MODIFY		(1ull << 5)	/* BFUSE_VERDICT_MODIFY */
#define BFUSE_F_TARGETS		(1ull << 6)	/* BFUSE_TARGET, REDIRECT, COPY_BEFORE, MIRROR, bfuse_inject.target */
#define BFUSE_F_INJECT		(1ull << 7)	/* BFUSE_INJECT */
#define BFUSE_F_EVENTS		(1ull << 8)	/* BFUSE_MATCH, OFFER, ANSWER; a filter that lists it is called at removals */
#define BFUSE_F_DRAIN		(1ull << 9)	/* BFUSE_ATTACH_DRAIN */
#define BFUSE_F_REPLACE		(1ull << 10)	/* BFUSE_ATTACH_REPLACE */
#define BFUSE_F_URING		(1ull << 11)	/* BFUSE_ENTER as a command of io_uring */
#define BFUSE_F_LOG		(1ull << 12)	/* BFUSE_LOG */
#define BFUSE_F_RANGES		(1ull << 13)	/* BFUSE_RANGES; flags, cgroup, process in struct bfuse_interest */
#define BFUSE_F_CHUNKS		(1ull << 14)	/* BFUSE_CHUNKS, BFUSE_VERDICT_CLEAR */
#define BFUSE_F_MARK		(1ull << 15)	/* BFUSE_MARK */
#define BFUSE_F_MAPPED		(1ull << 16)	/* bfuse_register.window_size, BFUSE_RQ_MAPPED; must be registered to use them */
#define BFUSE_F_SPIN		(1ull << 17)	/* bfuse_register.spin_us */
#define BFUSE_F_LAYERS		(1ull << 18)	/* bfuse_attach.altitude and layer; must be registered to use them */

/**
 * struct bfuse_info - BFUSE_GET_INFO: what this module can do. Needs no privilege beyond opening the device.
 * @size: sizeof(struct bfuse_info).
 * @abi: out: BFUSE_ABI_VERSION of the module.
 * @features: out: BFUSE_F_*.
 * @ops: out: mask of enum bfuse_op that it delivers.
 * @verdicts: out: mask of 1u << enum bfuse_verb.
 * @attachments: out: attachments at this moment.
 * @hooked: out: 1 while submit_bio_noacct is intercepted, which is while anything is attached.
 * @version: out: the module's version, for people.
 */
struct bfuse_info {
	__u32	size;
	__u32	abi;
	__u64	features;
	__u32	ops;
	__u32	verdicts;
	__u32	attachments;
	__u32	hooked;
	char	version[32];
};

/* struct bfuse_register.flags */
#define BFUSE_FILTER_ATTACHABLE	(1u << 0)	/* others may attach me to further devices; I handle the events */

/**
 * struct bfuse_register - BFUSE_REGISTER: make this open file a filter.
 * @size: sizeof(struct bfuse_register).
 * @abi: BFUSE_ABI_VERSION that the filter was built for. EPROTO if the module can't serve it.
 * @features: BFUSE_F_* that the filter relies on. EOPNOTSUPP if one is missing.
 * @name: printable ASCII without '/' or blanks, NUL-terminated, not empty. Need not be unique.
 * @altitude: BFUSE_ALTITUDE_MIN to BFUSE_ALTITUDE_MAX.
 * @flags: BFUSE_FILTER_*.
 * @nr_queues: 1 to BFUSE_QUEUES_MAX. A request goes to the queue number (submitting CPU % nr_queues), on zoned devices to
 *	(zone % nr_queues): answered in the order of the queue, writes to a zone stay in order. They do so as well when the
 *	filter dies and after that a successor with as many queues comes, unless a thread was just in BFUSE_DATA, or at a window. But what it
 *	has in hand when it is late, is detached, dies with BFUSE_POLICY_PASS or is replaced alive may be overtaken by a later
 *	write to the same zone, which the device then fails: change filters of zoned devices when nobody writes. And so it may be by
 *	writes that the filter does not see: one to zones should want WRITE, WRITE_ZEROES and ZONE_APPEND, or none of them; not
 *	some by their flags, process or cgroup; and not begin to want less of a zone while it has writes to it in hand.
 * @depth: tags per queue, a power of two from 1 to BFUSE_DEPTH_MAX. A tag is taken from interception to completion.
 * @slot_size: bytes of payload per tag: 0 (none) or a power of two from 4096 to BFUSE_SLOT_MAX.
 * @known_ops: mask of enum bfuse_op that the filter knows, whether it wants to see them or not.
 * @unknown: what becomes of operations that it does not know: BFUSE_POLICY_PASS, or BFUSE_POLICY_ERROR (they fail with
 *	EOPNOTSUPP; for filters whose promise would be broken by any I/O that they don't understand).
 * @call_ms: how long the filter may take for the answer to an event, 1 to BFUSE_CALL_MS_MAX; 0 stands for 5,000. Only with
 *	BFUSE_F_EVENTS.
 * @spin_us: 0, or for a filter that spins on its request ring rather than wait in BFUSE_ENTER: up to BFUSE_SPIN_MAX. A kernel
 *	thread for each queue applies verdicts as they appear, until so many microseconds after the last one, or until one is
 *	refused, which the next BFUSE_ENTER tells; then it sleeps, and bfuse_queue_head.flags says so. A BFUSE_ENTER
 *	with verdicts and without min_requests has it look again. It takes a processor as a spinning filter does. The first
 *	call of a thread that serves must be a BFUSE_ENTER all the same.
 * @window_size: 0, or with BFUSE_F_MAPPED, which needs it and @slot_size: bytes of the window of each tag, a power of two from the
 *	size of a page to BFUSE_WINDOW_MAX. See below.
 * @map_min: bytes from which on data are shown and not copied, up to @window_size; 0 stands for 65536, or @window_size if that is
 *	less. Only with BFUSE_F_MAPPED.
 * @off_windows: in 0; out: file offset of the windows.
 * @defaults: what BFUSE_ATTACH uses with BFUSE_ATTACH_DEFAULTS.
 * @filter: out: id of the filter, unique until the module is unloaded.
 * @entries: out: entries of each ring, a power of two. The request ring has room for all that can be in flight.
 * @queue_bytes: out: bytes to map for each queue, with MAP_SHARED, PROT_READ | PROT_WRITE. Queue q is at file offset
 *	q * queue_bytes. No mapping of a filter is inherited by fork(2): the child maps it again.
 * @off_requests: out: offset of the request ring in the mapping (struct bfuse_request[entries]).
 * @off_verdicts: out: offset of the verdict ring (struct bfuse_verdict[entries]).
 * @off_slots: out: offset of the slots; that of a tag is off_slots + (tag & (depth - 1)) * slot_size.
 *
 * Windows: to copy large data costs more than to show them. With BFUSE_F_MAPPED the data of a WRITE, ZONE_APPEND or held READ in
 * bfuse_interest.payload, of @map_min to @window_size bytes, are shown in place if they are whole pages of ordinary memory, and
 * the kernel does not check who maps a page (page_table_check=on).
 * BFUSE_RQ_MAPPED in the request, of a READ in the BFUSE_DONE with BFUSE_RQ_HELD, says so; otherwise they are copied to the slot as
 * ever. The windows of queue q are @depth * @window_size bytes at file offset @off_windows + q * @depth * @window_size, to be mapped as
 * a whole with MAP_SHARED and PROT_READ; that of a tag is at (tag & (depth - 1)) * @window_size. What nobody touches costs nothing;
 * the first touch maps all of the request. At an address that is a multiple of @window_size no window needs more page tables than it
 * must, which is cheaper.
 *
 *	- They can be read until the verdict is handed over; from then on, or when the deadline, a detach or the death of the
 *	  filter has settled the request, a touch raises SIGBUS. So does one of a window of no such request, and one behind the data.
 *	- They are the submitter's own memory and no snapshot: who writes with direct I/O, or to a file system without stable pages,
 *	  may change them at any time, also while the device takes them. A filter that checks first and uses then should use
 *	  BFUSE_DATA, which copies, as it does for any request.
 *	- They can't be written to, executed, moved, unmapped in part, inherited by fork(2) or dumped. System calls can read from there, but not direct
 *	  I/O nor what else pins pages (EFAULT).
 *	- BFUSE_VERDICT_MODIFY means the slot as ever, which then has to be filled with all of the data; or store them.
 *
 * munmap(2) and mprotect(2) of a part of the mapping fail with EINVAL. mmap(2): EACCES: to be written to or executed; EMFILE: mapped
 * too often.
 *
 * EBUSY: this file is a filter already. ENOMEM; E2BIG: more than BFUSE_MEMORY_MAX, or windows of more than BFUSE_WINDOWS_MAX.
 */
struct bfuse_register {
	__u32	size;
	__u32	abi;
	__u64	features;
	char	name[BFUSE_NAME_MAX];
	__u32	altitude;
	__u32	flags;
	__u32	nr_queues;
	__u32	depth;
	__u32	slot_size;
	__u32	known_ops;
	__u32	unknown;
	__u32	call_ms;
	struct bfuse_interest defaults;
	__u32	filter;
	__u32	entries;
	__u64	queue_bytes;
	__u32	off_requests;
	__u32	off_verdicts;
	__u32	off_slots;
	__u32	spin_us;
	__u32	window_size;
	__u32	map_min;
	__u64	off_windows;
};

/* struct bfuse_attach.flags */
#define BFUSE_ATTACH_DEFAULTS	(1u << 0)	/* use bfuse_register.defaults; @interest is all zero */
#define BFUSE_ATTACH_DRAIN	(1u << 1)	/* return when all that was submitted before has completed */
#define BFUSE_ATTACH_REPLACE	(1u << 2)	/* take over from a living filter of the same name at this altitude */

/**
 * enum bfuse_drained - what BFUSE_ATTACH_DRAIN has achieved.
 * @BFUSE_DRAINED_NOT: nothing: it was not asked for, or the attachment took over from a dead predecessor.
 * @BFUSE_DRAINED_RAW: everything that was submitted to the device before has completed.
 * @BFUSE_DRAINED_FROZEN: that, and while it did, the file systems on the device (of a whole disk: also those on its partitions)
 *	were frozen: the first requests find them clean on the device.
 */
enum bfuse_drained {
	BFUSE_DRAINED_NOT	= 0,
	BFUSE_DRAINED_RAW	= 1,
	BFUSE_DRAINED_FROZEN	= 2,
};

/**
 * struct bfuse_attach - BFUSE_ATTACH: put a filter on a block device, whole disk or partition.
 * @size: sizeof(struct bfuse_attach).
 * @fd: open file descriptor of the block device; only looked at during the call.
 * @filter: 0 for the caller's own filter; another filter's id needs its BFUSE_FILTER_ATTACHABLE and
 *	BFUSE_ATTACH_DEFAULTS here, and may be called on an unregistered file.
 * @flags: BFUSE_ATTACH_*.
 * @interest: see there.
 * @attachment: out: id, unique until the module is unloaded.
 * @policy: out: the policy in force, never BFUSE_POLICY_DEFAULT.
 * @adopted: out: requests taken over from a predecessor that died under BFUSE_POLICY_HOLD or is replaced.
 * @drain_ms: BFUSE_ATTACH_DRAIN: how long it may take, 1 to BFUSE_DEADLINE_MAX; 0 stands for 30,000. Otherwise 0.
 * @drained: out: enum bfuse_drained.
 *
 * The filter does not see the I/O of its own process, or it could wait for itself. What others have left in the page cache of a block
 * device, or in memory that is swapped out, is not its own, whoever happens to write it back (read(2) of the device does, even
 * with O_DIRECT; so may fsync(2)): it is presented, unless a thread does so that itself calls BFUSE_ENTER, or the process exits.
 * Such a thread reads the device with BFUSE_INJECT.
 *
 * BFUSE_ATTACH_DRAIN: when the call returns, whatever was submitted to the device before has completed, wherever it was: in
 * the driver, with filters below, parked by a cgroup's io.max, in the hands of a submitter that had no CPU. So what the filter
 * sees is all that changes on the device from then on, but for its own process' I/O. Meanwhile new requests wait, and no later than
 * after a quarter of drain_ms are delivered: something may wait for them that the drain waits for. The disk's queue is
 * frozen for the last part. The file systems on the device are frozen meanwhile if they can be; one on a device that is stacked
 * on this one is not, nor are swap and databases: see @drained. Not from a thread that serves a filter which these may need.
 * Not with BFUSE_ATTACH_REPLACE; an attachment that takes over from a dead predecessor drains nothing.
 * ETIMEDOUT, EINTR (a signal came), ENXIO (the device is gone, or somebody has detached it): the attachment is undone;
 * requests that waited go on as if it had never been. What hangs is in the kernel's log. EOPNOTSUPP with the flag also:
 * the driver takes bios and does not count what it has under way (its iostats are off).
 *
 * @altitude: 0, or where to attach instead of the filter's own altitude: a filter may have several attachments to a device.
 * @layer: 0 to BFUSE_LAYERS_MAX - 1, greater for a lower altitude of the same device, else EINVAL. Layers that
 *	follow each other directly see a request in one crossing: see bfuse_request.layers. 0 for somebody else's filter.
 *
 * BFUSE_ATTACH_REPLACE is for the next version of a running filter: from one moment to the next requests go to the new
 * attachment. The predecessor answers what it has, and then gets BFUSE_EVENT_DETACHED; if it dies first, its successor
 * gets that, too. For a dead predecessor it is as without the flag. ESRCH: there is no filter of this name to replace. Only
 * for one's own filter.
 *
 * Requests submitted from now on are seen whole. EBADF, ENOTBLK: @fd is not an open block device. EEXIST: the device
 * has an attachment at this altitude. ENXIO: the device is gone. EOPNOTSUPP: its driver has rw_page or can do DAX, which bypasses
 * bios.
 * ENOSPC: the filter's queues have fewer tags than it then has attachments to stacked devices, and one for the others.
 * ENOENT: no such filter, or this file is not registered. EACCES: @filter is not BFUSE_FILTER_ATTACHABLE. EBUSY: the
 * function submit_bio_noacct can't be hooked now (another module redirects it, or kernel.ftrace_enabled is 0).
 * ESHUTDOWN: the filter is dead. ENOMEM.
 */
struct bfuse_attach {
	__u32	size;
	__s32	fd;
	__u32	filter;
	__u32	flags;
	struct bfuse_interest interest;
	__u32	attachment;
	__u32	policy;
	__u64	adopted;
	__u32	drain_ms;
	__u32	drained;
	__u32	altitude;
	__u32	layer;
};

/* struct bfuse_detach.flags */
#define BFUSE_DETACH_WAIT	(1u << 0)	/* return when the last request has completed; not in a serving thread */

/**
 * struct bfuse_detach - BFUSE_DETACH: end an attachment. Works on anybody's.
 * @size: sizeof(struct bfuse_detach).
 * @attachment: its id.
 * @flags: BFUSE_DETACH_*.
 *
 * From now on no new request is presented; those that the filter has keep their deadline and want their verdicts.
 * BFUSE_EVENT_DETACHED tells the filter when the last is done, also of its own BFUSE_DETACH. ENOENT: no such
 * attachment. EINTR: a signal came while waiting; the detach goes on.
 */
struct bfuse_detach {
	__u32	size;
	__u32	attachment;
	__u32	flags;
	__u32	__reserved;
};

/**
 * enum bfuse_reason - why BFUSE_ENTER refused a verdict.
 */
enum bfuse_reason {
	BFUSE_REASON_NONE	= 0,
	BFUSE_REASON_RING	= 1,	/* verdict_tail is over a ring ahead of verdict_head; nothing was consumed */
	BFUSE_REASON_TAG	= 2,	/* no such tag in this queue */
	BFUSE_REASON_STATE	= 3,	/* the tag is not waiting for a verdict: answered twice, never delivered, or in BFUSE_DATA */
	BFUSE_REASON_TYPE	= 4,	/* unknown type, or a verb that is not in bfuse_interest.verdicts */
	BFUSE_REASON_FLAGS	= 5,	/* flag unknown, or senseless for this type and operation */
	BFUSE_REASON_STATUS	= 6,	/* status not in the list at struct bfuse_verdict, or senseless */
	BFUSE_REASON_LENGTH	= 7,	/* more data than the slot can hold, without STORED or ZERO; too long for MODIFY */
	BFUSE_REASON_RESERVED	= 8,	/* a reserved field is not zero */
	BFUSE_REASON_OP		= 9,	/* a verb that is not defined for this operation */
	BFUSE_REASON_TARGET	= 10,	/* no such target, read-only, or a range that is not in it or not of whole blocks */
	BFUSE_REASON_CONTEXT	= 11,	/* inline encryption context or integrity metadata: can't be changed, held or sent elsewhere */
	BFUSE_REASON_LAYER	= 14,	/* not one of those that the request is presented to */
	BFUSE_REASON_LOOP	= 13,	/* the target is, or lies on, a device that the filter filters: see struct bfuse_target */
};

/* struct bfuse_target.flags */
#define BFUSE_TARGET_READ_ONLY	(1u << 0)	/* nothing but READ and FLUSH; @fd need not be open for writing */

/**
 * struct bfuse_target - BFUSE_TARGET: make a block device or a regular file known as a place for data.
 * @size: sizeof(struct bfuse_target).
 * @fd: open for reading and, unless BFUSE_TARGET_READ_ONLY, writing. The open file is the filter's, and stays open,
 *	until BFUSE_UNTARGET or the filter's end. With O_DSYNC each write is on stable media before it counts as done.
 * @flags: BFUSE_TARGET_*.
 * @target: out: id, of this filter only.
 * @block_size: out: bytes; what sectors and lengths must be multiples of.
 * @sectors: out: capacity at this moment; of a file as much as it may grow to.
 *
 * A block device sees what goes there from the top of its own chain, all but the attachments of this filter and of others
 * that its process serves: a filter's own requests are never for itself. The descriptors there say BFUSE_RQ_INJECTED, and
 * name this filter. Two filters that mirror to each other's device must leave alone what says so, or it has no end.
 *
 * A file is read and written through its page cache, or past it if it is opened with O_DIRECT. It grows as it is
 * written to, and reads as zeroes behind its end. As with a loop device an error of the file system in writing back may
 * only be told by the next FLUSH, unless the file has O_DSYNC. DISCARD and WRITE_ZEROES punch holes; SECURE_ERASE fails
 * with EOPNOTSUPP.
 *
 * BFUSE_REASON_LOOP when a verdict names what can't be a target there: the attached device itself, the disk around it
 * or a partition in it (another place of the same device is REDIRECT with target 0), or a file whose file system is on
 * one of these or on any disk that this filter is attached to. Deeper stacks (a file on dm on the attached disk) are
 * not noticed: there requests may wait for each other for ever.
 *
 * EBADF; EINVAL: neither a block device nor a regular file, or one that can't be read and written; EACCES: not open for
 * what @flags say; ENOSPC: BFUSE_TARGETS_MAX; ENOMEM; ENOENT: not registered; ESHUTDOWN: the filter is dead.
 */
struct bfuse_target {
	__u32	size;
	__s32	fd;
	__u32	flags;
	__u32	target;
	__u32	block_size;
	__u32	__reserved;
	__u64	sectors;
};

/**
 * struct bfuse_untarget - BFUSE_UNTARGET: give a target up.
 * @size: sizeof(struct bfuse_untarget).
 * @target: its id, which later targets don't get again before 2^31 others have had theirs.
 *
 * ENOENT: there is none. EBUSY: a request uses it.
 */
struct bfuse_untarget {
	__u32	size;
	__u32	target;
};

/* struct bfuse_enter.flags */
#define BFUSE_ENTER_WAKE	(1u << 0)	/* end the wait in this queue that is, or else the next one */

/**
 * struct bfuse_enter - BFUSE_ENTER: hand over verdicts, then wait for requests.
 * @size: sizeof(struct bfuse_enter).
 * @queue: 0 to nr_queues - 1.
 * @flags: BFUSE_ENTER_*.
 * @min_requests: wait until the request ring holds as many entries (0: don't wait; at most depth).
 * @timeout_ns: longest wait in nanoseconds; 0 for ever. A wait that ends so, or by BFUSE_ENTER_WAKE, returns 0 with
 *	@ready possibly less than @min_requests.
 * @verdicts: out: entries of the verdict ring that were applied.
 * @reason: out: enum bfuse_reason; not 0 goes with EINVAL.
 * @entry: out: ring index of the refused entry.
 * @ready: out: entries that the request ring holds now.
 *
 * Verdicts apply in order. A refused one is consumed without effect, and those behind it stay in the ring for the next
 * call, so that one bad entry harms nothing else; no waiting is done then. A verdict for a request that was settled
 * meanwhile by its deadline is accepted and has no effect.
 *
 * Threads may call it for the same queue at the same time, one waiting and another handing over a verdict, as long as
 * they agree among themselves who writes to the verdict ring and who reads the request ring.
 *
 * A thread that has called it is not frozen when the machine is suspended or hibernated (or by a version 1 freezer cgroup): I/O that
 * others wait for would keep them from being frozen. It goes on to serve until the processors stop, and should not write to
 * file systems meanwhile. So it is with threads and processes that it makes afterwards, until they exec: make those first.
 *
 * EINVAL: see @reason; or bad @queue. EINTR: a signal came while waiting.
 * ENOENT: not registered. ESHUTDOWN: the filter is dead, because the process that served it exited.
 * The out fields are written for EINVAL by verdict and EINTR too.
 */
struct bfuse_enter {
	__u32	size;
	__u32	queue;
	__u32	flags;
	__u32	min_requests;
	__u64	timeout_ns;
	__u32	verdicts;
	__u32	reason;
	__u32	entry;
	__u32	ready;
};

/**
 * struct bfuse_refusal - which verdict a command of io_uring refused.
 * @reason: enum bfuse_reason.
 * @entry: ring index of the entry.
 */
struct bfuse_refusal {
	__u32	reason;
	__u32	entry;
};

/**
 * struct bfuse_uring_enter - BFUSE_ENTER as a command of io_uring: in the cmd field of an SQE of opcode IORING_OP_URING_CMD and
 * cmd_op BFUSE_ENTER.
 * @queue, @flags, @min_requests: as in struct bfuse_enter.
 * @refusal: address of a struct bfuse_refusal, or 0. Written if a verdict is refused, before io_uring_enter(2) returns.
 *
 * Verdicts are applied when the command is submitted, by whoever submits it, and as BFUSE_ENTER does. The command completes when the
 * request ring holds @min_requests entries, with their number, or with a negative errno; with a lower number, possibly 0, by
 * BFUSE_ENTER_WAKE, or at any time on kernels before 6.7, which can't cancel a command: then submit it again. For a limit of time
 * put a timeout of io_uring beside it. In a ring with IORING_SETUP_SQE128 the rest of the field is zero. Files that are registered
 * with the ring can be used; as long as they are, close(2) of all descriptors does not end the filter, while the exit of the process
 * that serves does.
 *
 * EBUSY: a command waits for this queue already; BFUSE_ENTER_WAKE ends it. EINVAL, ENOENT, EPERM: as for BFUSE_ENTER. ENOTTY: other
 * cmd_op. EOPNOTSUPP: the kernel has no io_uring commands, or the ring is for polled I/O. ESHUTDOWN, also of a command that waits:
 * the filter is dead. ECANCELED: the ring or the task that submitted the command ends.
 */
struct bfuse_uring_enter {
	__u16	queue;
	__u16	flags;
	__u32	min_requests;
	__u64	refusal;
};

/* struct bfuse_data.flags */
#define BFUSE_DATA_STORE	(1u << 0)	/* data that the verdict will refer to; else fetch the request's */

/**
 * struct bfuse_data - BFUSE_DATA: copy data of a request that waits for its verdict, of any length, slot or not.
 * @size: sizeof(struct bfuse_data).
 * @queue: queue of the tag.
 * @tag: the request's.
 * @address: the filter's buffer.
 * @offset: bytes from the start of the request.
 * @length: bytes; @offset + @length is at most the request's length.
 * @flags: BFUSE_DATA_*.
 *
 * Any thread may call it; one at a time for a request, and not beside its verdict. Fetching works for operations that
 * carry data to the device and for held reads, storing for these and for reads to be completed, if
 * bfuse_interest.verdicts lets the verdict use it; else EINVAL. Fetching gives the request's own data, whatever was
 * stored. ENOMEM. ENOENT: no such tag, or it does not wait for a verdict (any more), or another thread is at it.
 */
struct bfuse_data {
	__u32	size;
	__u32	queue;
	__u64	tag;
	__u64	address;
	__u32	offset;
	__u32	length;
	__u32	flags;
	__u32	__reserved;
};

/**
 * enum bfuse_state - state of an attachment.
 * @BFUSE_STATE_LIVE: served.
 * @BFUSE_STATE_STALLED: a deadline has passed and nobody is looking: requests follow the policy until the filter is
 *	back.
 * @BFUSE_STATE_ORPHAN: the filter died; the attachment stays by its policy (error, hold).
 * @BFUSE_STATE_LEAVING: detached; the last requests are being answered.
 */
enum bfuse_state {
	BFUSE_STATE_LIVE	= 0,
	BFUSE_STATE_STALLED	= 1,
	BFUSE_STATE_ORPHAN	= 2,
	BFUSE_STATE_LEAVING	= 3,
};

/**
 * struct bfuse_stat - counters of an attachment since it was made; requests unless said otherwise.
 * @seen: reached this altitude.
 * @bypassed: of @seen, not presented: of no interest, its own I/O, or passed by while it was stalled.
 * @delivered: presented to the filter.
 * @verdicts: by enum bfuse_verb.
 * @notified: BFUSE_DONE entries.
 * @ops: delivered, by enum bfuse_op.
 * @bytes_read, @bytes_written: delivered, bytes of READ; of WRITE and ZONE_APPEND.
 * @timeouts: settled because of the deadline.
 * @late: verdicts that came after that.
 * @passed_by_policy, @failed_by_policy: settled without a verdict.
 * @refused: failed because the filter does not know the operation.
 * @redelivered: adopted from a predecessor.
 * @injected: requests that the filter injected below here.
 * @waiting: at this moment without a tag.
 * @inflight: at this moment with a tag, @with_filter of them waiting for a verdict.
 */
struct bfuse_stat {
	__u64	seen;
	__u64	bypassed;
	__u64	delivered;
	__u64	verdicts[16];
	__u64	notified;
	__u64	ops[32];
	__u64	bytes_read;
	__u64	bytes_written;
	__u64	timeouts;
	__u64	late;
	__u64	passed_by_policy;
	__u64	failed_by_policy;
	__u64	refused;
	__u64	redelivered;
	__u64	injected;
	__u32	waiting;
	__u32	inflight;
	__u32	with_filter;
	__u32	__reserved;
};

/**
 * struct bfuse_next - BFUSE_NEXT: walk over all attachments.
 * @size: sizeof(struct bfuse_next).
 * @attachment: in: answer the first attachment with a greater id (begin with 0); out: its id.
 * @filter: out: id of its filter.
 * @state: out: enum bfuse_state.
 * @major, @minor: out: the device.
 * @device: out: the device's kernel name ("vda1").
 * @name, @altitude, @pid, @nr_queues, @depth, @slot_size, @filter_flags: out: of the filter. @pid is the process that
 *	serves it, or registered it.
 * @interest: out: with the policy in force.
 * @stat: out.
 * @ranges: out: how many BFUSE_RANGES has set; 0: it has no ranges.
 * @chunk_shift, @mark_shift: out: of its chunk bitmap, and of its mark bitmap; 0: it has none.
 *
 * ENOENT: no further one.
 */
struct bfuse_next {
	__u32	size;
	__u32	attachment;
	__u32	filter;
	__u32	state;
	__u32	major;
	__u32	minor;
	char	device[32];
	char	name[BFUSE_NAME_MAX];
	__u32	altitude;
	__u32	pid;
	__u32	nr_queues;
	__u32	depth;
	__u32	slot_size;
	__u32	filter_flags;
	struct bfuse_interest interest;
	struct bfuse_stat stat;
	__u32	ranges;
	__u32	chunk_shift;
	__u32	mark_shift;
	__u32	__reserved;
};

/**
 * struct bfuse_next_filter - BFUSE_NEXT_FILTER: walk over all registered filters, attached or not.
 * @size: sizeof(struct bfuse_next_filter).
 * @filter: in: answer the first filter with a greater id (begin with 0); out: its id.
 * @name, @altitude, @pid, @nr_queues, @depth, @slot_size, @flags, @defaults: out: see struct bfuse_register.
 * @attachments: out: how many it has.
 * @rules: out: how many it has by BFUSE_MATCH. This and the rest are as old as BFUSE_F_EVENTS.
 * @call_ms: out: see struct bfuse_register.
 * @offered: out: devices that were offered to it.
 * @unanswered: out: calls (offers and removals) that it did not answer in time.
 *
 * ENOENT: no further one.
 */
struct bfuse_next_filter {
	__u32	size;
	__u32	filter;
	char	name[BFUSE_NAME_MAX];
	__u32	altitude;
	__u32	pid;
	__u32	nr_queues;
	__u32	depth;
	__u32	slot_size;
	__u32	flags;
	__u32	attachments;
	__u32	__reserved;
	struct bfuse_interest defaults;
	__u32	rules;
	__u32	call_ms;
	__u64	offered;
	__u64	unanswered;
};

/*
 * struct bfuse_inject.flags: BFUSE_RQ_SYNC, META, PRIO, RAHEAD, IDLE; of a write also FUA and PREFLUSH, of write zeroes also
 * NOUNMAP; else EINVAL.
 */

/**
 * struct bfuse_inject - BFUSE_INJECT: start a request of one's own.
 * @size: sizeof(struct bfuse_inject).
 * @queue: on which a BFUSE_INJECTED entry will tell of the completion.
 * @attachment: an attachment of this filter: to its device, seen by lower altitudes only. 0 with a @target.
 * @target: 0, or a target of this filter that is a block device: to that, seen by its whole chain. ENOTBLK for a file,
 * ENOENT if there is none.
 * @op: BFUSE_OP_READ, WRITE, FLUSH, DISCARD or WRITE_ZEROES.
 * @flags: see above.
 * @cookie: becomes bfuse_request.tag of the BFUSE_INJECTED entry.
 * @sector: first sector, counted as bfuse_request.sector; 0 for a flush.
 * @address: the buffer for a read or write, aligned to 512 bytes; the filter's memory, which the device uses until the
 *	completion. Else 0.
 * @length: bytes, a multiple of the logical block size; for a read or write at most BFUSE_INJECT_MAX, and at most so much that
 *	the buffer lies in 256 pages; 0 for a flush.
 *
 * Any thread may call it. What the block layer splits off it is its own, too. It counts neither in queue depths nor for
 * deadlines. When the attachment ends those under way still complete; who removes a Device Mapper device waits for them. To stop
 * another device whose driver has no requests of its own (md, zram) fails with EBUSY while one is under way, or the request fails.
 *
 * EAGAIN: depth requests of this queue are under way, or completed and without a place in the ring. ENOENT: no such
 * attachment (any more). EROFS: the device or target is read-only. EFAULT, ENOMEM, ESHUTDOWN. What the device or the block layer
 * say comes with the completion.
 */
struct bfuse_inject {
	__u32	size;
	__u32	queue;
	__u32	attachment;
	__u32	target;
	__u32	op;
	__u32	flags;
	__u64	cookie;
	__u64	sector;
	__u64	address;
	__u32	length;
	__u32	__reserved1;
};

/* struct bfuse_match.flags */
#define BFUSE_MATCH_DISKS	(1u << 0)	/* whole disks */
#define BFUSE_MATCH_PARTITIONS	(1u << 1)

/**
 * struct bfuse_match - BFUSE_MATCH: offer this filter the devices that match, those that are there and those to come.
 * @size: sizeof(struct bfuse_match).
 * @flags: BFUSE_MATCH_*, at least one.
 * @name: pattern of the kernel name ("sd*", "nvme?n1"), with '*', '?', '[...]' and backslash; NUL-terminated. Empty: any name.
 *
 * A device that arrives and matches several rules is offered once. What else may distinguish a device (serial number, model) is in
 * sysfs, which the filter can read while it is offered, and then decline.
 *
 * An arriving device is offered to one filter after the other, the lowest altitude first, before anybody can open it and
 * before its partition table is read. Each is attached, if it accepts, before the next one is asked. A filter that does not
 * answer within its bfuse_register.call_ms is passed over, which the log tells, and a dead one at once.
 *
 * Devices that are there are offered one by one after this call has returned; BFUSE_EVENT_MATCHED tells of the end. What the
 * filter is attached to already is left out.
 *
 * Not offered are: hidden disks; those whose driver bypasses bios; what the filter's own process makes arrive, as it would wait
 * for itself.
 *
 * EOPNOTSUPP: the filter did not list BFUSE_F_EVENTS. ENOSPC: it has BFUSE_RULES_MAX rules. ENOENT: not registered. ESHUTDOWN.
 */
struct bfuse_match {
	__u32	size;
	__u32	flags;
	char	name[32];
	__u64	__reserved[3];
};

/* struct bfuse_offer.flags */
#define BFUSE_OFFER_EXISTING	(1u << 0)	/* it was there before; else it arrives */
#define BFUSE_OFFER_PARTITION	(1u << 1)
#define BFUSE_OFFER_READ_ONLY	(1u << 2)
#define BFUSE_OFFER_ZONED	(1u << 3)
#define BFUSE_OFFER_REMOVABLE	(1u << 4)	/* its medium is */

/**
 * struct bfuse_offer - BFUSE_OFFER: what is offered with BFUSE_EVENT_OFFERED.
 * @size: sizeof(struct bfuse_offer).
 * @flags: out: BFUSE_OFFER_*.
 * @cookie: bfuse_request.tag of the event.
 * @major, @minor: out: the device; /sys/dev/block/MAJOR:MINOR is there. Don't open an arriving device: that would wait.
 * @disk_major, @disk_minor: out: of its whole disk, or the same.
 * @sectors: out: its size in units of 512 bytes at this moment; may still be 0 (loop, device mapper).
 * @block_size: out: logical block size, bytes.
 * @left_ms: out: how much time is left for the answer.
 * @device: out: kernel name.
 *
 * ENOENT: nobody waits for the answer (any more).
 */
struct bfuse_offer {
	__u32	size;
	__u32	flags;
	__u64	cookie;
	__u32	major;
	__u32	minor;
	__u32	disk_major;
	__u32	disk_minor;
	__u64	sectors;
	__u32	block_size;
	__u32	left_ms;
	char	device[32];
};

/* bfuse_answer.answer */
#define BFUSE_ANSWER_DECLINE	0	/* an offer */
#define BFUSE_ANSWER_ACCEPT	1	/* an offer: attach me */
#define BFUSE_ANSWER_DONE	2	/* LEAVING, TORN_OUT: I have done what I wanted */

/**
 * struct bfuse_answer - BFUSE_ANSWER: answer a call.
 * @size: sizeof(struct bfuse_answer).
 * @answer: BFUSE_ANSWER_*.
 * @cookie: bfuse_request.tag of the event.
 * @flags: ACCEPT: BFUSE_ATTACH_DEFAULTS; BFUSE_ATTACH_REPLACE: if a living filter of the same name is at this altitude, take over
 *	from it.
 * @interest: ACCEPT, without BFUSE_ATTACH_DEFAULTS: what to see; else all zero.
 * @attachment, @policy: out: ACCEPT: as in struct bfuse_attach.
 *
 * The call is over when this returns, and whoever waited goes on; there is no BFUSE_EVENT_ATTACHED. After an answer to LEAVING or
 * TORN_OUT the attachment ends, with BFUSE_EVENT_DETACHED when its last request is done. What was delivered before LEAVING still wants
 * its verdict, until bfuse_register.call_ms after the call; then it follows the policy. What comes later goes on below unseen, and
 * what was passed completes as ever.
 *
 * A regular removal (LEAVING) asks the highest altitude first, each filter has nothing left to answer before the next is asked, and
 * attachments of partitions come before those of their disk. A device that is torn out (TORN_OUT) asks the lowest first.
 * Device mapper's removals are regular. SCSI and virtio-blk hardly ever report a surprise. What the driver has ended before the removal
 * reaches the block layer no longer works in LEAVING: SCSI refuses all I/O when the device was deleted (not when its driver
 * was unbound); NVMe sets the size to 0, but injected requests still get there. Switching off a loop device (losetup -d)
 * or ejecting a medium removes no device. A partition that is deleted leaves alone, before its disk. A filter whose own process removes
 * the device is not called, as it would wait for itself; nor is one that did not list BFUSE_F_EVENTS; but each leaves in its turn.
 *
 * ENOENT: nobody waits for this answer of this filter (any more). EINVAL: not an answer to this event; the call goes on. For
 * ACCEPT all errors of BFUSE_ATTACH, which end the call as if it were declined, except EINVAL for a bad interest.
 */
struct bfuse_answer {
	__u32	size;
	__u32	answer;
	__u64	cookie;
	__u32	flags;
	__u32	__reserved;
	struct bfuse_interest interest;
	__u32	attachment;
	__u32	policy;
};

/**
 * struct bfuse_range - sectors of the attached device, counted as bfuse_request.sector.
 * @first: the first of them.
 * @sectors: how many, at least 1; the range may reach beyond the end of the device, but not beyond 2^64 - 1.
 */
struct bfuse_range {
	__u64	first;
	__u64	sectors;
};

/**
 * struct bfuse_ranges - BFUSE_RANGES: what parts of the device an attachment of this filter wants to see.
 * @size: sizeof(struct bfuse_ranges).
 * @attachment: its id.
 * @count: number of ranges, 0 to BFUSE_RANGES_MAX; with 0 it wants to see all parts, as in the beginning.
 * @ranges: address of an array of struct bfuse_range, by increasing @first, which do not overlap.
 *
 * Replaces all that was set before: a request is judged by the old ranges or by the new ones. It is presented if it has at least
 * one sector in a range. Requests without a length (flushes, operations on zones but the append) are in all ranges; and on a zoned
 * device what writes is in the ranges of its zone, for a filter sees all writes to a zone or none. A lookup takes logarithmic time. A successor sets its own. Any thread may call it.
 *
 * ENOENT: no such attachment of this filter. EINVAL: not in order, overlapping or empty. E2BIG: too many. ENOMEM.
 */
struct bfuse_ranges {
	__u32	size;
	__u32	attachment;
	__u32	count;
	__u32	__reserved;
	__u64	ranges;
};

/* struct bfuse_chunks.flags */
#define BFUSE_CHUNKS_SET	(1u << 0)	/* new bits are set; else clear */

/**
 * struct bfuse_chunks - BFUSE_CHUNKS: give an attachment of this filter a bitmap of the chunks that it wants to see.
 * @size: sizeof(struct bfuse_chunks).
 * @attachment: its id.
 * @chunk_shift: a chunk has 1 << chunk_shift bytes, BFUSE_CHUNK_SHIFT_MIN to _MAX; 0 ends the bitmap: all chunks are wanted.
 * @flags: BFUSE_CHUNKS_*.
 * @chunks: out: number of chunks, of which the last may be partial: the device's capacity at this moment.
 * @bytes: out: length for mmap(2).
 * @offset: out: offset for mmap(2), at least 2^40.
 *
 * The filter maps the bitmap with MAP_SHARED. Bit n % 64 of the little-endian 64-bit word n / 64 stands for chunk n. The kernel
 * reads it whenever a request comes: if no bit of a chunk that the request touches is set, the request is not presented. The filter
 * may set and clear bits at any time, by atomic operations on the words, as the kernel clears bits (BFUSE_VERDICT_CLEAR) in the
 * same words; what it writes to them can harm nobody but itself. Requests without a length are presented whatever the bitmap; on a
 * zoned device what writes, if a chunk of its zone is set.
 *
 * Chunks behind the end of the bitmap are always of interest. So when the device has grown nothing is missed until
 * BFUSE_CHUNKS is called again, which makes a new bitmap for the present capacity. If the chunks are of the same size it has the
 * bits of the old one, as far as that reached; bits that the filter itself changes during the call may be missing. The old mapping
 * can stay, but is looked at by nobody. A successor makes a bitmap of its own.
 *
 * ENOENT: no such attachment of this filter. E2BIG: more than BFUSE_BITMAP_MAX bytes. ENOMEM, EOVERFLOW: too many were made.
 * EMFILE of mmap(2): more bitmaps are mapped than two for each attachment, and some.
 */
struct bfuse_chunks {
	__u32	size;
	__u32	attachment;
	__u32	chunk_shift;
	__u32	flags;
	__u64	chunks;
	__u64	bytes;
	__u64	offset;
};

/**
 * enum bfuse_mark_command - what BFUSE_MARK is to do.
 * @BFUSE_MARK_BEGIN: begin to mark, in generation 1, with chunks of 1 << @chunk_shift bytes. If the attachment has inherited
 *	marks from its predecessor, with chunks of that size, they go on: see BFUSE_MARK_INHERITED.
 * @BFUSE_MARK_SWITCH: end the current generation and begin the next one, in which nothing is marked but what is still in flight.
 * @BFUSE_MARK_READ: read the bitmap of the generation that was ended last.
 * @BFUSE_MARK_END: mark no more, and forget all marks.
 */
enum bfuse_mark_command {
	BFUSE_MARK_BEGIN	= 0,
	BFUSE_MARK_SWITCH	= 1,
	BFUSE_MARK_READ		= 2,
	BFUSE_MARK_END		= 3,
};

/* struct bfuse_mark.flags */
#define BFUSE_MARK_MERGE	(1u << 0)	/* in, SWITCH: add the marks of the generation ended before, whose backup failed */
#define BFUSE_MARK_ALL		(1u << 1)	/* out: the whole device counts as changed, whatever the bitmap says */
#define BFUSE_MARK_BEYOND	(1u << 2)	/* out: all behind the last chunk counts as changed: the device has grown, or was larger */
#define BFUSE_MARK_INHERITED	(1u << 3)	/* out, BEGIN: marks of a predecessor go on, without a gap */
#define BFUSE_MARK_DRAIN	(1u << 4)	/* in, BEGIN: return when what was submitted before has completed, or will be marked */

/**
 * struct bfuse_mark - BFUSE_MARK: the kernel keeps a bitmap of the chunks that are written to. Nothing crosses for it.
 * @size: sizeof(struct bfuse_mark).
 * @attachment: an attachment of this filter.
 * @command: enum bfuse_mark_command.
 * @chunk_shift: BEGIN: in, BFUSE_CHUNK_SHIFT_MIN to _MAX; else in 0, out.
 * @flags: BFUSE_MARK_*; in only MERGE and DRAIN.
 * @drain_ms: with BFUSE_MARK_DRAIN: how long that may take, up to BFUSE_DEADLINE_MAX; 0: 30,000 ms. Else 0.
 * @generation: out: number of the generation that SWITCH has ended and READ reads; BEGIN: of the current one.
 * @chunks: out: how many chunks its bitmap has, of which the last may be partial: the capacity at its beginning.
 * @offset: READ: in, bytes from the start of the bitmap, a multiple of 8.
 * @address: READ: in, where to put a part of the bitmap: little-endian 64-bit words, bit n % 64 of word n / 64 is chunk n.
 * @length: READ: in, bytes, a multiple of 8; out: how many of them there were.
 *
 * Whatever may change data of the attached device marks the chunks that it touches: WRITE, WRITE_ZEROES, DISCARD, SECURE_ERASE,
 * and ZONE_APPEND, ZONE_RESET and ZONE_FINISH, which mark their zone; ZONE_RESET_ALL and OTHER mark all. They do so above all
 * altitudes: also what a filter completes, what filters inject, the filter's own I/O, and for an attachment to a partition what
 * reaches it by the whole disk. The operations in bfuse_interest.ops have nothing to do with it and may be 0.
 *
 * Whatever was submitted after BEGIN and has completed before a SWITCH is in the generation that this ends, or in an earlier
 * one. What was submitted before the SWITCH and completes after it is in both: it may be on the medium, or not yet, when the
 * backup of the ended generation reads it. So the backups of all generations together have every change.
 *
 * The I/O that was under way at BEGIN is in no generation, and may reach the medium after a full backup has read it there. With
 * BFUSE_MARK_DRAIN the call returns when it has completed (as with BFUSE_ATTACH_DRAIN, which says where it may be), but for what
 * filters still have and is marked when they send it on; a full backup that begins then, and the generations after it, have every
 * change. Nothing new has to wait for that. File systems on the device are frozen meanwhile if the attachment's bfuse_interest.ops
 * is 0; if not, their I/O may need an answer from the very thread that calls this. So it takes the caller's CAP_SYS_ADMIN: EPERM.
 * ETIMEDOUT, EOPNOTSUPP, EINTR, ENXIO: as of BFUSE_ATTACH; ENOENT: ended meanwhile; nothing is marked then. Who takes the filter's place meanwhile inherits no marks.
 * Inherited marks have no gap, and are not waited for.
 *
 * If the filter dies, marking goes on as long as the attachment stays (BFUSE_POLICY_ERROR, or HOLD within its time; with
 * bfuse_interest.ops 0 nothing can fail or wait), and a successor inherits the marks. If the attachment ends they are lost, and
 * the next backup has to be a full one. SWITCH waits for no I/O; it takes some milliseconds.
 *
 * Any thread may call it. ENOENT: no such attachment of this filter, or it doesn't mark. EEXIST: BEGIN, it does already, or has
 * inherited marks of chunks of another size. ENODATA: READ, none was ended yet. E2BIG: more than BFUSE_BITMAP_MAX bytes. ENOMEM:
 * also of SWITCH, and then the generation goes on. EINTR.
 */
struct bfuse_mark {
	__u32	size;
	__u32	attachment;
	__u32	command;
	__u32	chunk_shift;
	__u32	flags;
	__u32	drain_ms;
	__u64	generation;
	__u64	chunks;
	__u64	offset;
	__u64	address;
	__u64	length;
};

/**
 * enum bfuse_log_event - what the module keeps a log of.
 */
enum bfuse_log_event {
	BFUSE_LOG_ATTACHED	= 0,
	BFUSE_LOG_DETACHED	= 1,	/* @status as in BFUSE_EVENT_DETACHED, or why it was undone (BFUSE_ATTACH_DRAIN) */
	BFUSE_LOG_OFFERED	= 2,	/* the device to the filter; @attachment is 0. What follows is ATTACHED or one of these: */
	BFUSE_LOG_DECLINED	= 3,	/* the offer; @status: 0, or why the filter could not be attached */
	BFUSE_LOG_UNANSWERED	= 4,	/* OFFERED, LEAVING or TORN_OUT; @status: -ETIMEDOUT, after @count milliseconds,
					 * -ESHUTDOWN the filter died, -EINTR who waited was killed, -ENODEV the device left
					 */
	BFUSE_LOG_LEAVING	= 5,	/* the device; said of each attachment when its turn comes */
	BFUSE_LOG_TORN_OUT	= 6,	/* the same */
	BFUSE_LOG_DIED		= 7,	/* the filter of this attachment */
	BFUSE_LOG_STALLED	= 8,	/* a deadline has passed and nobody is looking */
	BFUSE_LOG_BACK		= 9,	/* served again after that */
	BFUSE_LOG_TIMEOUT	= 10,	/* @count requests were late */
	BFUSE_LOG_ADOPTED	= 11,	/* by this attachment; @count requests */
	BFUSE_LOG_ABANDONED	= 12,	/* no successor came in time */
	BFUSE_LOG_DRAINED	= 13,	/* before the attach returned; @count: enum bfuse_drained */
	BFUSE_LOG_COPY_FAILED	= 14,	/* @count copies since the last entry of this; @status of the latest. At most one a second */
	BFUSE_LOG_MIRROR_FAILED	= 15,	/* likewise */
};

/* struct bfuse_log.flags */
#define BFUSE_LOG_WAIT		(1u << 0)	/* for an entry to come */
#define BFUSE_LOG_NEWEST	(1u << 1)	/* don't answer an entry, only @seq: that of the next one to come */

/**
 * struct bfuse_log - BFUSE_LOG: read the module's log of events. On any file.
 * @size: sizeof(struct bfuse_log).
 * @flags: in: BFUSE_LOG_*; out: 0.
 * @seq: in: number of the wanted entry, from 1; out: of the one answered, which is greater if those between were overwritten.
 *	The log keeps the last 256.
 * @time: out: CLOCK_REALTIME, nanoseconds.
 * @count: out: see the event.
 * @event: out: enum bfuse_log_event.
 * @status: out: see the event.
 * @attachment, @filter, @altitude, @pid, @name: out: whose.
 * @major, @minor, @device: out: of the device.
 *
 * ENOENT: there is none yet. EINTR: a signal came while waiting, whose handler has no SA_RESTART.
 */
struct bfuse_log {
	__u32	size;
	__u32	flags;
	__u64	seq;
	__u64	time;
	__u64	count;
	__u32	event;
	__s32	status;
	__u32	attachment;
	__u32	filter;
	__u32	altitude;
	__u32	pid;
	__u32	major;
	__u32	minor;
	char	device[32];
	char	name[BFUSE_NAME_MAX];
};

#define BFUSE_IOCTL_TYPE	0xBF

#define BFUSE_GET_INFO		_IOWR(BFUSE_IOCTL_TYPE, 0x00, struct bfuse_info)
#define BFUSE_REGISTER		_IOWR(BFUSE_IOCTL_TYPE, 0x01, struct bfuse_register)
#define BFUSE_ATTACH		_IOWR(BFUSE_IOCTL_TYPE, 0x02, struct bfuse_attach)
#define BFUSE_DETACH		_IOW(BFUSE_IOCTL_TYPE, 0x03, struct bfuse_detach)
#define BFUSE_ENTER		_IOWR(BFUSE_IOCTL_TYPE, 0x04, struct bfuse_enter)
#define BFUSE_DATA		_IOW(BFUSE_IOCTL_TYPE, 0x05, struct bfuse_data)
#define BFUSE_NEXT		_IOWR(BFUSE_IOCTL_TYPE, 0x06, struct bfuse_next)
#define BFUSE_NEXT_FILTER	_IOWR(BFUSE_IOCTL_TYPE, 0x07, struct bfuse_next_filter)
#define BFUSE_MATCH		_IOW(BFUSE_IOCTL_TYPE, 0x08, struct bfuse_match)
#define BFUSE_ANSWER		_IOWR(BFUSE_IOCTL_TYPE, 0x09, struct bfuse_answer)
#define BFUSE_TARGET		_IOWR(BFUSE_IOCTL_TYPE, 0x0a, struct bfuse_target)
#define BFUSE_INJECT		_IOW(BFUSE_IOCTL_TYPE, 0x0b, struct bfuse_inject)
#define BFUSE_LOG		_IOWR(BFUSE_IOCTL_TYPE, 0x0c, struct bfuse_log)
#define BFUSE_RANGES		_IOW(BFUSE_IOCTL_TYPE, 0x0d, struct bfuse_ranges)
#define BFUSE_CHUNKS		_IOWR(BFUSE_IOCTL_TYPE, 0x0e, struct bfuse_chunks)
#define BFUSE_MARK		_IOWR(BFUSE_IOCTL_TYPE, 0x0f, struct bfuse_mark)
#define BFUSE_UNTARGET		_IOW(BFUSE_IOCTL_TYPE, 0x10, struct bfuse_untarget)
#define BFUSE_OFFER		_IOWR(BFUSE_IOCTL_TYPE, 0x11, struct bfuse_offer)

/* The layout is the contract: the same on every architecture, without implicit padding. */
#ifdef __cplusplus
#define BFUSE_ASSERT_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define BFUSE_ASSERT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif
BFUSE_ASSERT_SIZE(bfuse_request, 64);
BFUSE_ASSERT_SIZE(bfuse_verdict, 64);
BFUSE_ASSERT_SIZE(bfuse_queue_head, 256);
BFUSE_ASSERT_SIZE(bfuse_interest, 64);
BFUSE_ASSERT_SIZE(bfuse_info, 64);
BFUSE_ASSERT_SIZE(bfuse_register, 192);
BFUSE_ASSERT_SIZE(bfuse_attach, 112);
BFUSE_ASSERT_SIZE(bfuse_detach, 16);
BFUSE_ASSERT_SIZE(bfuse_enter, 40);
BFUSE_ASSERT_SIZE(bfuse_refusal, 8);
BFUSE_ASSERT_SIZE(bfuse_uring_enter, 16);
BFUSE_ASSERT_SIZE(bfuse_data, 40);
BFUSE_ASSERT_SIZE(bfuse_stat, 504);
BFUSE_ASSERT_SIZE(bfuse_next, 696);
BFUSE_ASSERT_SIZE(bfuse_next_filter, 160);
BFUSE_ASSERT_SIZE(bfuse_match, 64);
BFUSE_ASSERT_SIZE(bfuse_offer, 80);
BFUSE_ASSERT_SIZE(bfuse_answer, 96);
BFUSE_ASSERT_SIZE(bfuse_target, 32);
BFUSE_ASSERT_SIZE(bfuse_untarget, 8);
BFUSE_ASSERT_SIZE(bfuse_inject, 56);
BFUSE_ASSERT_SIZE(bfuse_log, 128);
BFUSE_ASSERT_SIZE(bfuse_range, 16);
BFUSE_ASSERT_SIZE(bfuse_ranges, 24);
BFUSE_ASSERT_SIZE(bfuse_chunks, 40);
BFUSE_ASSERT_SIZE(bfuse_mark, 64);

#endif
