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
 * Privilege
 *	BFUSE_GET_INFO needs none. All else needs that the file was opened with CAP_SYS_ADMIN. What controls (REGISTER,
 *	ATTACH, DETACH, NEXT, NEXT_FILTER, LOG) needs that the caller has it, too; what serves (mmap(2), poll(2), ENTER, DATA,
 *	INJECT) does not. So a privileged process can open, register and attach, and hand the file to one that may only
 *	serve.
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

/* bfuse_request.kind */
#define BFUSE_REQUEST		0	/* wants exactly one verdict */
#define BFUSE_DONE		1	/* a passed request has completed; only BFUSE_RQ_HELD wants an answer */
#define BFUSE_EVENT		2	/* see enum bfuse_event; no answer */
#define BFUSE_INJECTED		3	/* what BFUSE_INJECT began has completed: @tag is its cookie; no answer */

/**
 * enum bfuse_event - what bfuse_request.op means in an entry of kind BFUSE_EVENT. Events come on queue 0.
 * @BFUSE_EVENT_ATTACHED: somebody else (``bfuse attach``) attached this filter; BFUSE_NEXT tells more of the
 *	attachment.
 * @BFUSE_EVENT_DETACHED: the attachment is gone and none of its requests is left; status tells why: 0 it was asked for
 *	by BFUSE_DETACH, -ENODEV the device was removed, -ESTALE a successor has taken its place.
 */
enum bfuse_event {
	BFUSE_EVENT_ATTACHED	= 0,
	BFUSE_EVENT_DETACHED	= 1,
};

/**
 * struct bfuse_request - entry of the request ring, written by the kernel.
 * @kind: BFUSE_REQUEST, BFUSE_DONE, BFUSE_EVENT or BFUSE_INJECTED. Skip unknown kinds.
 * @op: enum bfuse_op; for events enum bfuse_event.
 * @ioprio: I/O priority as in ioprio_set(2).
 * @flags: BFUSE_RQ_*.
 * @tag: name of the request in verdicts and BFUSE_DATA; opaque. In a BFUSE_DONE the tag of the request that it ends;
 *	the tag and its slot are the filter's until bfuse_queue_head.request_head has passed the entry.
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
 *	it: see bfuse_verdict.layer.
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
	__u16	layers;
};

/**
 * enum bfuse_verb - what a verdict can do with a request. The first are types of verdicts, the rest comes on top by flags.
 * A filter may only use what it listed in bfuse_interest.verdicts.
 * @BFUSE_PASS: on to the next lower altitude, at last to the device.
 * @BFUSE_COMPLETE: ends here with @status; nothing below sees it. A successful read takes its data from the slot, after
 *	BFUSE_VERDICT_STORED from what BFUSE_DATA stored, after BFUSE_VERDICT_ZERO reads as zeroes; bytes that nobody
 *	supplied read as zero, never as stale memory.
 * @BFUSE_MODIFY: BFUSE_VERDICT_MODIFY.
 * @BFUSE_HOLD: BFUSE_VERDICT_HOLD.
 */
enum bfuse_verb {
	BFUSE_PASS		= 0,
	BFUSE_COMPLETE		= 1,
	BFUSE_VERDICT_TYPES	= 2,	/* those below are no values of bfuse_verdict.type */
	BFUSE_MODIFY		= 3,
	BFUSE_HOLD		= 6,
	BFUSE_VERBS		= 7,	/* grows with the ABI */
};

/*
 * bfuse_verdict.flags
 *
 * NOTIFY	PASS: tell me with a BFUSE_DONE when it has completed.
 * STORED	the data were stored with BFUSE_DATA: COMPLETE of a read, MODIFY.
 * ZERO		COMPLETE of a read: all zeroes.
 * MODIFY	PASS of a WRITE or ZONE_APPEND: what is written are the data of the slot, which must hold all of it, or, with
 *		STORED, what BFUSE_DATA stored; bytes that nobody stored are those of the request. The submitter's own memory
 *		is not changed. For reads see HOLD.
 * HOLD		PASS: when it has completed, a BFUSE_DONE with BFUSE_RQ_HELD says how, and waits for a second verdict with the
 *		same tag, under the same deadline and policy as the first. PASS lets it complete as it did; PASS with MODIFY
 *		completes a successful read with other data; COMPLETE ends it with that status, a read with data as said at
 *		BFUSE_COMPLETE. Other flags have no meaning there. BFUSE_DATA fetches the data of a held read, and stores for
 *		it. If the filter dies, policy PASS completes it as it did, ERROR fails it, and for HOLD the successor gets the
 *		request anew, as if it had not been done yet. ZONE_APPEND can't be held.
 *
 * Neither MODIFY nor HOLD works on what has an inline encryption context or integrity metadata: BFUSE_REASON_CONTEXT.
 */
#define BFUSE_VERDICT_NOTIFY	(1u << 0)
#define BFUSE_VERDICT_STORED	(1u << 1)
#define BFUSE_VERDICT_ZERO	(1u << 2)
#define BFUSE_VERDICT_HOLD	(1u << 3)
#define BFUSE_VERDICT_MODIFY	(1u << 4)

/**
 * struct bfuse_verdict - entry of the verdict ring, written by the filter.
 * @type: BFUSE_PASS or BFUSE_COMPLETE.
 * @flags: BFUSE_VERDICT_*.
 * @status: COMPLETE: 0 or a negative errno out of EIO, EOPNOTSUPP, ENOSPC, ENODATA, EBADE, EILSEQ, ENOLINK, EREMOTEIO,
 *	ETIMEDOUT, ENOMEM, EROFS and EPERM (both reach the submitter as EIO), and EAGAIN (only for BFUSE_RQ_NOWAIT;
 *	io_uring hands it to the application instead of trying again).
 * @tag: the request's.
 * @layer: out of bfuse_request.layers, whose verdict it is. Those before it in the mask pass the request, as BFUSE_PASS
 *	without flags; to those behind it, if it passes as well, the request is presented on its own. The BFUSE_DONE has
 *	the attachment of this layer, and a second verdict this layer.
 */
struct bfuse_verdict {
	__u8	type;
	__u8	layer;
	__u16	flags;
	__s32	status;
	__u64	tag;
	__u64	__reserved[6];
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
 *	slot at delivery. Needs slot_size. EINVAL for operations without data.
 * @verdicts: mask of 1u << enum bfuse_verb that the filter may use; BFUSE_PASS is always allowed.
 * @policy: enum bfuse_policy.
 * @fallback: BFUSE_POLICY_PASS or BFUSE_POLICY_ERROR, for BFUSE_POLICY_HOLD only; 0 stands for ERROR.
 * @deadline_ms: how long the filter may keep a request, 1 to BFUSE_DEADLINE_MAX; 0 stands for 30,000. Checked with a
 *	coarseness of an eighth of the value.
 * @hold_ms: for BFUSE_POLICY_HOLD, how much longer to wait, 1 to BFUSE_DEADLINE_MAX; 0 stands for 30,000.
 */
struct bfuse_interest {
	__u32	ops;
	__u32	payload;
	__u32	verdicts;
	__u32	policy;
	__u32	fallback;
	__u32	deadline_ms;
	__u32	hold_ms;
	__u32	__reserved[9];
};

/* struct bfuse_info.features, bfuse_register.features */
#define BFUSE_F_NOTIFY		(1ull << 0)	/* BFUSE_VERDICT_NOTIFY */
#define BFUSE_F_COMPLETE	(1ull << 1)	/* BFUSE_COMPLETE */
#define BFUSE_F_PAYLOAD		(1ull << 2)	/* slots, bfuse_interest.payload, BFUSE_DATA */
#define BFUSE_F_HOLD		(1ull << 3)	/* BFUSE_POLICY_HOLD, adoption by a successor */
#define BFUSE_F_HELD		(1ull << 4)	/* BFUSE_VERDICT_HOLD */
#define BFUSE_F_MODIFY		(1ull << 5)	/* BFUSE_VERDICT_MODIFY */
#define BFUSE_F_INJECT		(1ull << 7)	/* BFUSE_INJECT */
#define BFUSE_F_REPLACE		(1ull << 10)	/* BFUSE_ATTACH_REPLACE */
#define BFUSE_F_LOG		(1ull << 12)	/* BFUSE_LOG */
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
 *	(zone % nr_queues): answered in the order of the queue, writes to a zone stay in order.
 * @depth: tags per queue, a power of two from 1 to BFUSE_DEPTH_MAX. A tag is taken from interception to completion.
 * @slot_size: bytes of payload per tag: 0 (none) or a power of two from 4096 to BFUSE_SLOT_MAX.
 * @known_ops: mask of enum bfuse_op that the filter knows, whether it wants to see them or not.
 * @unknown: what becomes of operations that it does not know: BFUSE_POLICY_PASS, or BFUSE_POLICY_ERROR (they fail with
 *	EOPNOTSUPP; for filters whose promise would be broken by any I/O that they don't understand).
 * @spin_us: 0, or for a filter that spins on its request ring rather than wait in BFUSE_ENTER: up to BFUSE_SPIN_MAX. A kernel
 *	thread for each queue applies verdicts as they appear, until so many microseconds after the last one, or until one is
 *	refused, which the next BFUSE_ENTER tells; then it sleeps, and bfuse_queue_head.flags says so. A BFUSE_ENTER
 *	with verdicts and without min_requests has it look again. It takes a processor as a spinning filter does. The first
 *	call of a thread that serves must be a BFUSE_ENTER all the same.
 * @defaults: what BFUSE_ATTACH uses with BFUSE_ATTACH_DEFAULTS.
 * @filter: out: id of the filter, unique until the module is unloaded.
 * @entries: out: entries of each ring, a power of two. The request ring has room for all that can be in flight.
 * @queue_bytes: out: bytes to map for each queue, with MAP_SHARED, PROT_READ | PROT_WRITE. Queue q is at file offset
 *	q * queue_bytes.
 * @off_requests: out: offset of the request ring in the mapping (struct bfuse_request[entries]).
 * @off_verdicts: out: offset of the verdict ring (struct bfuse_verdict[entries]).
 * @off_slots: out: offset of the slots; that of a tag is off_slots + (tag & (depth - 1)) * slot_size.
 *
 * EBUSY: this file is a filter already. ENOMEM; E2BIG: more than BFUSE_MEMORY_MAX.
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
	__u32	spin_us;
	struct bfuse_interest defaults;
	__u32	filter;
	__u32	entries;
	__u64	queue_bytes;
	__u32	off_requests;
	__u32	off_verdicts;
	__u32	off_slots;
	__u32	__reserved1;
};

/* struct bfuse_attach.flags */
#define BFUSE_ATTACH_DEFAULTS	(1u << 0)	/* use bfuse_register.defaults; @interest is all zero */
#define BFUSE_ATTACH_REPLACE	(1u << 2)	/* take over from a living filter of the same name at this altitude */

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
 * has an attachment at this altitude. ENXIO: the device is gone. EOPNOTSUPP: its driver has rw_page, which bypasses
 * bios.
 * ENOSPC: the filter's queues have fewer tags than it then has attachments to stacked devices, and one for the others.
 * ENOENT: no such filter, or this file is not registered. EACCES: @filter is not BFUSE_FILTER_ATTACHABLE. EBUSY: the
 * function submit_bio_noacct can't be hooked now (another module redirects it, or kernel.ftrace_enabled is 0).
 * ESHUTDOWN: the filter is dead.
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
	__u32	altitude;
	__u32	layer;
};

/* struct bfuse_detach.flags */
#define BFUSE_DETACH_WAIT	(1u << 0)	/* return when the last request is answered; not in a serving thread */

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
	BFUSE_REASON_STATE	= 3,	/* the tag is not waiting for a verdict: answered twice, or never delivered */
	BFUSE_REASON_TYPE	= 4,	/* unknown type, or a verb that is not in bfuse_interest.verdicts */
	BFUSE_REASON_FLAGS	= 5,	/* flag unknown, or senseless for this type and operation */
	BFUSE_REASON_STATUS	= 6,	/* status not in the list at struct bfuse_verdict, or senseless */
	BFUSE_REASON_LENGTH	= 7,	/* more data than the slot can hold, without STORED or ZERO; too long for MODIFY */
	BFUSE_REASON_RESERVED	= 8,	/* a reserved field is not zero */
	BFUSE_REASON_OP		= 9,	/* a verb that is not defined for this operation */
	BFUSE_REASON_LAYER	= 14,	/* not one of those that the request is presented to */
	BFUSE_REASON_CONTEXT	= 11,	/* inline encryption context or integrity metadata: can't be changed or held */
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
 * Any thread may call it. Fetching works for operations that carry data to the device and for held reads, storing for
 * these and for reads to be completed, if bfuse_interest.verdicts lets the verdict use it; else EINVAL. Fetching gives the
 * request's own data, whatever was stored. ENOMEM.
 * ENOENT: no such tag, or it does not wait for a verdict (any more).
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
};

/**
 * struct bfuse_next_filter - BFUSE_NEXT_FILTER: walk over all registered filters, attached or not.
 * @size: sizeof(struct bfuse_next_filter).
 * @filter: in: answer the first filter with a greater id (begin with 0); out: its id.
 * @name, @altitude, @pid, @nr_queues, @depth, @slot_size, @flags, @defaults: out: see struct bfuse_register.
 * @attachments: out: how many it has.
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
};

/* struct bfuse_inject.flags: BFUSE_RQ_FUA, PREFLUSH, SYNC, META, PRIO, RAHEAD, IDLE, NOUNMAP */

/**
 * struct bfuse_inject - BFUSE_INJECT: start a request of one's own.
 * @size: sizeof(struct bfuse_inject).
 * @queue: on which a BFUSE_INJECTED entry will tell of the completion.
 * @attachment: an attachment of this filter: to its device, seen by lower altitudes only.
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
 * deadlines. When the attachment ends those under way still complete.
 *
 * EAGAIN: depth requests of this queue are under way, or completed and without a place in the ring. ENOENT: no such
 * attachment (any more). EROFS: the device is read-only. EFAULT, ENOMEM, ESHUTDOWN. What the device or the block layer
 * say comes with the completion.
 */
struct bfuse_inject {
	__u32	size;
	__u32	queue;
	__u32	attachment;
	__u32	__reserved0;
	__u32	op;
	__u32	flags;
	__u64	cookie;
	__u64	sector;
	__u64	address;
	__u32	length;
	__u32	__reserved1;
};

/**
 * enum bfuse_log_event - what the module keeps a log of.
 */
enum bfuse_log_event {
	BFUSE_LOG_ATTACHED	= 0,
	BFUSE_LOG_DETACHED	= 1,	/* @status as in BFUSE_EVENT_DETACHED */
	BFUSE_LOG_DIED		= 7,	/* the filter of this attachment */
	BFUSE_LOG_STALLED	= 8,	/* a deadline has passed and nobody is looking */
	BFUSE_LOG_BACK		= 9,	/* served again after that */
	BFUSE_LOG_TIMEOUT	= 10,	/* @count requests were late */
	BFUSE_LOG_ADOPTED	= 11,	/* by this attachment; @count requests */
	BFUSE_LOG_ABANDONED	= 12,	/* no successor came in time */
};

/* struct bfuse_log.flags */
#define BFUSE_LOG_WAIT		(1u << 0)	/* for an entry to come */
#define BFUSE_LOG_NEWEST	(1u << 1)	/* don't answer an entry, only @seq: that of the next one to come */

/**
 * struct bfuse_log - BFUSE_LOG: read the module's log of events. On any file.
 * @size: sizeof(struct bfuse_log).
 * @flags: BFUSE_LOG_*.
 * @seq: in: number of the wanted entry, from 1; out: of the one answered, which is greater if those between were overwritten.
 *	The log keeps the last 256.
 * @time: out: CLOCK_REALTIME, nanoseconds.
 * @count: out: see the event.
 * @event: out: enum bfuse_log_event.
 * @status: out: see the event.
 * @attachment, @filter, @altitude, @pid, @name: out: whose.
 * @major, @minor, @device: out: of the device.
 *
 * ENOENT: there is none yet. EINTR: a signal came while waiting.
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
#define BFUSE_INJECT		_IOW(BFUSE_IOCTL_TYPE, 0x0b, struct bfuse_inject)
#define BFUSE_LOG		_IOWR(BFUSE_IOCTL_TYPE, 0x0c, struct bfuse_log)

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
BFUSE_ASSERT_SIZE(bfuse_register, 176);
BFUSE_ASSERT_SIZE(bfuse_attach, 104);
BFUSE_ASSERT_SIZE(bfuse_detach, 16);
BFUSE_ASSERT_SIZE(bfuse_enter, 40);
BFUSE_ASSERT_SIZE(bfuse_data, 40);
BFUSE_ASSERT_SIZE(bfuse_stat, 504);
BFUSE_ASSERT_SIZE(bfuse_next, 680);
BFUSE_ASSERT_SIZE(bfuse_next_filter, 136);
BFUSE_ASSERT_SIZE(bfuse_inject, 56);
BFUSE_ASSERT_SIZE(bfuse_log, 128);

#endif
