// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Attachments: making, ending and remembering them.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The caller holds bfuse->lock. */
int bfuse__remember_locked(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse__attachment *more = realloc(bfuse->attachments, (bfuse->nr_attachments + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	bfuse->attachments = more;
	more[bfuse->nr_attachments++] = (struct bfuse__attachment){ .id = attachment };
	return 0;
}

int bfuse__remember(struct bfuse *bfuse, uint32_t attachment)
{
	int err;

	pthread_mutex_lock(&bfuse->lock);
	err = bfuse__remember_locked(bfuse, attachment);
	pthread_mutex_unlock(&bfuse->lock);
	return err;
}

void bfuse__forget(struct bfuse *bfuse, uint32_t attachment)
{
	unsigned int i;

	pthread_mutex_lock(&bfuse->lock);
	for (i = 0; i < bfuse->nr_attachments; i++) {
		if (bfuse->attachments[i].id == attachment) {
			bfuse->attachments[i] = bfuse->attachments[--bfuse->nr_attachments];
			break;
		}
	}
	pthread_mutex_unlock(&bfuse->lock);
}

void bfuse__inherited(struct bfuse *bfuse, uint32_t attachment)
{
	unsigned int i;

	pthread_mutex_lock(&bfuse->lock);
	for (i = 0; i < bfuse->nr_attachments; i++)
		bfuse->attachments[i].inherited |= bfuse->attachments[i].id == attachment;
	pthread_mutex_unlock(&bfuse->lock);
}

/* Leaves attachments, or those that were another's before, to their policy: they are not detached when the handle is closed. */
void bfuse__abandon(struct bfuse *bfuse, bool inherited)
{
	unsigned int i, left = 0, all;

	pthread_mutex_lock(&bfuse->lock);
	for (i = 0; i < bfuse->nr_attachments; i++)
		if (inherited && !bfuse->attachments[i].inherited)
			bfuse->attachments[left++] = bfuse->attachments[i];
	all = bfuse->nr_attachments;
	bfuse->nr_attachments = left;
	pthread_mutex_unlock(&bfuse->lock);
	if (left < all)
		bfuse__log(bfuse, LOG_NOTICE, "%s: leaves %u devices to its policy; see: bfuse list", bfuse->reg.name, all - left);
}

void bfuse__detach_all(struct bfuse *bfuse)
{
	struct bfuse_detach detach = { .size = sizeof(detach) };
	unsigned int i;
	int err;

	pthread_mutex_lock(&bfuse->lock);
	for (i = 0; i < bfuse->nr_attachments; i++) {
		detach.attachment = bfuse->attachments[i].id;
		err = bfuse__ioctl(bfuse, BFUSE_DETACH, &detach);
		if (err && err != -ENOENT)
			bfuse__log(bfuse, LOG_WARNING, "attachment %u: can't detach: %s", detach.attachment,
				   strerror(-err));
	}
	pthread_mutex_unlock(&bfuse->lock);
}

void bfuse__tell_attached(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_next next = { .attachment = attachment - 1 };

	if (!bfuse->child && (!bfuse->filter || !bfuse->filter->attached))
		return;
	if (bfuse_next_attachment(bfuse, &next) != 1 || next.attachment != attachment)
		return;
	if (bfuse->child)
		bfuse__tell(bfuse, &(struct message){ .kind = MESSAGE_ATTACHED, .next = next });
	else
		bfuse->filter->attached(&next, bfuse->user);
}

static bool ftrace_disabled(void)
{
	int fd = open("/proc/sys/kernel/ftrace_enabled", O_RDONLY | O_CLOEXEC);
	char c = '1';

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = '1';
	close(fd);
	return c == '0';
}

/* Who is at this altitude of a device? */
static bool find_at(struct bfuse *bfuse, int fd, uint32_t altitude, struct bfuse_next *next)
{
	struct stat st;

	next->attachment = 0;
	if (fstat(fd, &st) < 0)
		return false;
	while (bfuse_next_attachment(bfuse, next) == 1) {
		if (next->altitude == altitude && makedev(next->major, next->minor) == st.st_rdev &&
		    next->state != BFUSE_STATE_LEAVING)
			return true;
	}
	return false;
}

/* Somebody else is at this altitude of this device: say who. */
static int fail_altitude(struct bfuse *bfuse, int fd, const char *label, uint32_t altitude, const char *remedy)
{
	struct bfuse_next next;

	if (find_at(bfuse, fd, altitude, &next))
		return bfuse__fail(bfuse, -EEXIST, BFUSE_EXIT_ALTITUDE,
				   "%s: already filtered at altitude %u by \"%s\" (pid %u%s%s); %s", label, altitude,
				   next.name, next.pid, next.state ? ", " : "",
				   next.state ? bfuse_state_name(next.state) : "", remedy);
	return bfuse__fail(bfuse, -EEXIST, BFUSE_EXIT_ALTITUDE, "%s: already filtered at altitude %u; %s", label,
			   altitude, remedy);
}

static int fail_hook(struct bfuse *bfuse, const char *label)
{
	if (ftrace_disabled())
		return bfuse__fail(bfuse, -EBUSY, BFUSE_EXIT_HOOK,
				   "%s: can't intercept, ftrace is disabled; try: sysctl kernel.ftrace_enabled=1",
				   label);
	return bfuse__fail(bfuse, -EBUSY, BFUSE_EXIT_HOOK,
			   "%s: another module or a live patch redirects submit_bio_noacct; remove it "
			   "(see /sys/kernel/tracing/enabled_functions)",
			   label);
}

static int fail_attach(struct bfuse *bfuse, const struct bfuse_attach *attach, const char *label, int err)
{
	switch (err) {
	case -EEXIST:
		return fail_altitude(bfuse, attach->fd, label,
				     attach->altitude ? attach->altitude : bfuse->reg.altitude,
				     bfuse->has_options ? "choose another with --altitude" : "choose another, or detach that one");
	case -EBUSY:
		return fail_hook(bfuse, label);
	case -ETIMEDOUT:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER,
				   "%s: what was submitted before did not complete in time, so it is not attached; dmesg says what "
				   "it waited for; try again, or allow it more time",
				   label);
	case -ECANCELED:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: not attached, for the filter is ending", label);
	case -EINTR:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: interrupted while it was drained; it is not attached",
				   label);
	case -EOPNOTSUPP:
		if (attach->flags & BFUSE_ATTACH_DRAIN)
			return bfuse__fail(bfuse, err, BFUSE_EXIT_UNFILTERABLE,
					   "%s: can't be drained, its driver does not count its I/O; write 1 to queue/iostats in "
					   "its directory in /sys/block, or filter the device on top of it",
					   label);
		return bfuse__fail(
			bfuse, err, BFUSE_EXIT_UNFILTERABLE,
			"%s: can't be filtered, its driver bypasses bios (rw_page or DAX); filter a device on top of it that does not",
			label);
	case -ENOSPC:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER,
				   "%s: too few tags for so many stacked devices; choose more with --depth", label);
	case -ENOTBLK:
	case -EBADF:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NO_DEVICE, "%s: not a block device", label);
	case -ENXIO:
	case -ENODEV:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NO_DEVICE, "%s: the device is gone", label);
	case -EACCES:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION,
				   "%s: filter %u doesn't let others attach it; start it with --attachable", label,
				   attach->filter);
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "%s: needs CAP_SYS_ADMIN; try as root", label);
	case -ESRCH:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NOT_FOUND,
				   "%s: no filter called \"%s\" to be replaced at altitude %u; see: bfuse list %s", label,
				   bfuse->reg.name, bfuse->reg.altitude, label);
	case -ENOENT:
	case -ESHUTDOWN:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NOT_FOUND,
				   "%s: there is no such filter (any more); see: bfuse list", label);
	case -EINVAL:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE,
				   "%s: the module refuses this interest, policy or deadline; "
				   "see struct bfuse_interest in <blkfilter.h>",
				   label);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't attach: %s", label, strerror(-err));
	}
}

/* Under the lock. In a guardian nobody heeds the stop while it attaches. */
static bool is_ending(const struct bfuse *bfuse)
{
	return bfuse->closed || atomic_load(&bfuse->stop);
}

/*
 * Attaches this filter. The lock is held so that the thread of queue 0 can't see the end of the attachment before we
 * have remembered its beginning.
 */
static int attach_own(struct bfuse *bfuse, struct bfuse_attach *attach)
{
	int err;

	pthread_mutex_lock(&bfuse->lock);
	err = is_ending(bfuse) ? -ECANCELED : bfuse__ioctl(bfuse, BFUSE_ATTACH, attach);
	if (!err)
		err = bfuse__remember_locked(bfuse, attach->attachment);
	pthread_mutex_unlock(&bfuse->lock);
	if (err == -ENOMEM && attach->attachment)
		bfuse_detach(bfuse, attach->attachment, 0);
	return err;
}

static bool exists(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_next next = { .attachment = attachment - 1 };

	return bfuse_next_attachment(bfuse, &next) == 1 && next.attachment == attachment;
}

/*
 * The same when it may take long: the thread of queue 0 must not wait for the lock meanwhile, it may have to serve what is
 * waited for. An attachment that has ended already, of which it may have heard, is not remembered any more.
 */
static int attach_own_slowly(struct bfuse *bfuse, struct bfuse_attach *attach)
{
	bool attached, ending, put_off;
	int err;

	pthread_mutex_lock(&bfuse->lock);
	err = is_ending(bfuse) ? -ECANCELED : 0;
	bfuse->attaching += !err;
	pthread_mutex_unlock(&bfuse->lock);
	if (err)
		return err;
	err = bfuse__ioctl(bfuse, BFUSE_ATTACH, attach);
	attached = !err;
	pthread_mutex_lock(&bfuse->lock);
	bfuse->attaching--;
	if (attached && exists(bfuse, attach->attachment))
		err = bfuse__remember_locked(bfuse, attach->attachment);
	ending = is_ending(bfuse);
	put_off = bfuse->put_off;
	pthread_mutex_unlock(&bfuse->lock);
	if (attached && !err && ending)
		err = -ECANCELED;
	if (attached && err)
		bfuse_detach(bfuse, attach->attachment, 0);
	if (put_off)
		bfuse__look_again(bfuse);
	return err;
}

static int attach_fd(struct bfuse *bfuse, struct bfuse_attach *attach, const char *label,
		     const struct bfuse_interest *interest, uint32_t *attachment)
{
	int err;

	attach->size = sizeof(*attach);
	if (interest)
		attach->interest = *interest;
	else
		attach->flags |= BFUSE_ATTACH_DEFAULTS;
	err = attach->flags & BFUSE_ATTACH_DRAIN ? attach_own_slowly(bfuse, attach) : attach_own(bfuse, attach);
	if (err)
		return fail_attach(bfuse, attach, label, err);
	if (attach->adopted)
		bfuse__log(bfuse, LOG_NOTICE, "%s: took over %llu requests of a predecessor", label,
			   (unsigned long long)attach->adopted);
	if (attachment)
		*attachment = attach->attachment;
	bfuse__tell_attached(bfuse, attach->attachment);
	return 0;
}

int bfuse_attach_fd(struct bfuse *bfuse, int fd, const char *label, const struct bfuse_interest *interest,
		    uint32_t *attachment)
{
	struct bfuse_attach attach = { .fd = fd };

	return attach_fd(bfuse, &attach, label, interest, attachment);
}

/* O_NONBLOCK: a drive without a medium must not make us wait. Never for writing: nothing may react to our close. */
static int open_device(struct bfuse *bfuse, const char *path)
{
	int fd = bfuse->confined ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		int err = bfuse->confined ? -EPERM : -errno;
		bool denied = err == -EACCES || err == -EPERM;

		return bfuse__fail(bfuse, err, denied ? BFUSE_EXIT_PERMISSION : BFUSE_EXIT_NO_DEVICE, "%s: %s; %s",
				   path, strerror(-err), denied ? "try as root" : "see: lsblk");
	}
	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode))
		return fd;
	close(fd);
	return bfuse__fail(bfuse, -ENOTBLK, BFUSE_EXIT_NO_DEVICE, "%s: not a block device; see: lsblk", path);
}

/*
 * Could it be attached to at this altitude, as far as that can be told beforehand? *@inherits: there is somebody's attachment then,
 * which is taken over. Returns 0 or a negative errno, with its line.
 */
int bfuse__check_place(struct bfuse *bfuse, const char *path, uint32_t altitude, bool replace, bool *inherits)
{
	struct bfuse_attach attach = { .fd = open_device(bfuse, path), .altitude = altitude };
	struct bfuse_next next;
	bool same;
	int err = 0;

	if (attach.fd < 0)
		return attach.fd;
	*inherits = find_at(bfuse, attach.fd, altitude, &next);
	same = *inherits && !strcmp(next.name, bfuse->reg.name);
	if (replace && !same)
		err = fail_attach(bfuse, &attach, path, -ESRCH);
	else if (*inherits && !(same && (replace || next.state == BFUSE_STATE_ORPHAN)))
		err = fail_attach(bfuse, &attach, path, -EEXIST);
	close(attach.fd);
	return err;
}

static int attach_path(struct bfuse *bfuse, struct bfuse_attach *attach, const char *path,
		       const struct bfuse_interest *interest, uint32_t *attachment)
{
	int err;

	attach->fd = open_device(bfuse, path);
	if (attach->fd < 0)
		return attach->fd;
	err = attach_fd(bfuse, attach, path, interest, attachment);
	close(attach->fd);
	return err;
}

int bfuse_attach(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t *attachment)
{
	struct bfuse_attach attach = { .flags = 0 };

	return attach_path(bfuse, &attach, path, interest, attachment);
}

int bfuse_attach_drained(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t timeout_ms,
			 uint32_t *drained, uint32_t *attachment)
{
	struct bfuse_attach attach = { .flags = BFUSE_ATTACH_DRAIN, .drain_ms = timeout_ms };
	int err = attach_path(bfuse, &attach, path, interest, attachment);

	if (!err && drained)
		*drained = attach.drained;
	return err;
}

int bfuse_replace(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t *attachment)
{
	struct bfuse_attach attach = { .flags = BFUSE_ATTACH_REPLACE };

	return attach_path(bfuse, &attach, path, interest, attachment);
}

int bfuse_attach_layer(struct bfuse *bfuse, const char *path, const struct bfuse_interest *interest, uint32_t altitude,
		       unsigned int layer, uint32_t flags, uint32_t *attachment)
{
	struct bfuse_attach attach = { .flags = flags, .altitude = altitude, .layer = layer };

	return attach_path(bfuse, &attach, path, interest, attachment);
}

/* For the message when its altitude is taken. */
static uint32_t altitude_of(struct bfuse *bfuse, uint32_t filter)
{
	struct bfuse_next_filter next = { .filter = filter - 1 };

	return bfuse_next_filter(bfuse, &next) == 1 && next.filter == filter ? next.altitude : 0;
}

static int attach_other(struct bfuse *bfuse, struct bfuse_attach *attach, const char *path, uint32_t *attachment)
{
	int err;

	attach->size = sizeof(*attach);
	attach->flags |= BFUSE_ATTACH_DEFAULTS;
	attach->fd = open_device(bfuse, path);
	if (attach->fd < 0)
		return attach->fd;
	err = bfuse__ioctl(bfuse, BFUSE_ATTACH, attach);
	if (err == -EEXIST)
		err = fail_altitude(bfuse, attach->fd, path, altitude_of(bfuse, attach->filter),
				    "start this filter at another with --altitude");
	else if (err)
		err = fail_attach(bfuse, attach, path, err);
	else if (attachment)
		*attachment = attach->attachment;
	close(attach->fd);
	return err;
}

int bfuse_attach_other(struct bfuse *bfuse, const char *path, uint32_t filter, uint32_t *attachment)
{
	struct bfuse_attach attach = { .filter = filter };

	return attach_other(bfuse, &attach, path, attachment);
}

int bfuse_attach_other_drained(struct bfuse *bfuse, const char *path, uint32_t filter, uint32_t timeout_ms,
			       uint32_t *drained, uint32_t *attachment)
{
	struct bfuse_attach attach = { .filter = filter, .flags = BFUSE_ATTACH_DRAIN, .drain_ms = timeout_ms };
	int err = attach_other(bfuse, &attach, path, attachment);

	if (!err && drained)
		*drained = attach.drained;
	return err;
}

int bfuse_detach(struct bfuse *bfuse, uint32_t attachment, uint32_t flags)
{
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = attachment, .flags = flags };
	int err = bfuse__ioctl(bfuse, BFUSE_DETACH, &detach);

	switch (err) {
	case 0:
		return 0;
	case -ENOENT:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NOT_FOUND, "attachment %u: there is none; see: bfuse list",
				   attachment);
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "attachment %u: needs CAP_SYS_ADMIN; try as root",
				   attachment);
	case -EINTR:
		return bfuse__fail(
			bfuse, err, BFUSE_EXIT_OTHER,
			"attachment %u: interrupted while its last requests were answered; it ends nonetheless",
			attachment);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "attachment %u: can't detach: %s", attachment,
				   strerror(-err));
	}
}
