// SPDX-License-Identifier: MIT
/*
 * An image of a device as it is now, written out while the device goes on being used.
 *
 *	snapshot /dev/vda /var/tmp/store /mnt/backup.img
 *
 * Before a chunk of the device changes for the first time the module copies it to the store, a file that grows or
 * another device; only that first change of a chunk is slower. Meanwhile a thread writes the image: what it reads of a
 * chunk that has not been changed comes from the device, all else from the store. When it is done it says so, and the
 * filter leaves the device.
 *
 * "Now" is the moment of the attach, when what was submitted before has completed, and file systems on the device are
 * frozen: so they are in the image, as if unmounted but for a journal to replay. (Unless it says that they
 * were frozen they are there as after a crash.) When the store is full the snapshot is lost, and not the device's writes: its copies
 * are lenient. It is lost as well when anything has changed the device without being seen: because the program was
 * stopped for longer than its deadline, or was detached. (What nobody notices is that a partition is changed by way of
 * the whole disk: dd of=/dev/vda.) An image is good if, and only if, the exit status is 0.
 *
 * Where the chunks are takes 128 MiB of locked memory for each TiB of the device.
 */
#include "common/disk.h"

#include <bfuse.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/blkzoned.h>
#include <linux/fs.h>

#define CHUNK 65536u
#define SECTORS (CHUNK / 512)
#define DRAIN_MS 30000

/* Where the store has a chunk: 0 nowhere, PENDING and not yet. */
#define PENDING (1ull << 63)
#define PLACE(sector) ((sector) + 1)
#define SECTOR_OF(place) (((place) & ~PENDING) - 1)

struct snapshot {
	int device, store, image;
	struct bfuse *bfuse;
	uint32_t target, attachment;
	uint64_t sectors; /* of the device, when it was attached to */
	uint64_t room; /* sectors of the store */
	uint64_t *places; /* by chunk; with @lock */
	uint64_t next; /* free sector of the store */
	const char *broken; /* why nothing will come of it; with @lock */
	bool exported;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t exporter;
};

struct copy {
	uint64_t first, last; /* chunks */
	uint64_t sector; /* of the first, in the store */
};

/* A chunk between them may be preserved already: then this copy of it is too late, and nobody looks at it. */
static void mark(struct snapshot *s, const struct copy *copy, bool pending)
{
	uint64_t c;

	for (c = copy->first; c <= copy->last; c++) {
		uint64_t place = PLACE(copy->sector + (c - copy->first) * SECTORS);

		if (pending && !s->places[c])
			s->places[c] = place | PENDING;
		else if (!pending && s->places[c] == (place | PENDING))
			s->places[c] = place;
	}
}

static uint64_t end_of(const struct snapshot *s, uint64_t chunk)
{
	uint64_t end = (chunk + 1) * SECTORS;

	return end < s->sectors ? end : s->sectors;
}

/* Narrows @copy to what has to be preserved. False: nothing. */
static bool narrow(const struct snapshot *s, struct copy *copy)
{
	while (copy->first <= copy->last && s->places[copy->first])
		copy->first++;
	while (copy->last > copy->first && s->places[copy->last])
		copy->last--;
	return copy->first <= copy->last;
}

/* The device's changes go on. */
static int give_up(struct snapshot *s, const char *why)
{
	s->broken = why;
	pthread_cond_broadcast(&s->changed);
	return BFUSE_REPLY_PASS;
}

static int change_locked(struct snapshot *s, struct bfuse_io *io)
{
	const struct bfuse_request *rq = &io->request;
	struct copy c = { .first = rq->sector / SECTORS, .last = (rq->sector + rq->length / 512 - 1) / SECTORS, .sector = s->next };
	uint64_t bytes;

	/* What the device has grown by is not in the image. */
	if (c.last > (s->sectors - 1) / SECTORS)
		c.last = (s->sectors - 1) / SECTORS;
	if (s->broken || !narrow(s, &c))
		return BFUSE_REPLY_PASS;
	bytes = (end_of(s, c.last) - c.first * SECTORS) * 512;
	if (bytes > UINT32_MAX)
		return give_up(s, "a discard is too large to preserve what was there");
	/* The module would refuse it, and the device's change would wait. */
	if (s->next + (c.last - c.first + 1) * SECTORS > s->room)
		return give_up(s, "the store is full");
	io->user = malloc(sizeof(c));
	if (!io->user)
		return give_up(s, "no memory");
	memcpy(io->user, &c, sizeof(c));
	mark(s, &c, true);
	s->next += (c.last - c.first + 1) * SECTORS;
	bfuse_io_copy_before(io, s->target, c.sector, c.first * SECTORS, bytes);
	bfuse_io_lenient(io);
	return BFUSE_REPLY_NOTIFY;
}

static int change(struct bfuse_io *io, void *user)
{
	struct snapshot *s = user;
	int reply;

	pthread_mutex_lock(&s->lock);
	reply = change_locked(s, io);
	pthread_mutex_unlock(&s->lock);
	return reply;
}

/* Who knows what it changes. */
static int change_unknown(struct bfuse_io *io, void *user)
{
	struct snapshot *s = user;

	(void)io;
	pthread_mutex_lock(&s->lock);
	give_up(s, "an operation that is not known here may have changed the device");
	pthread_mutex_unlock(&s->lock);
	return BFUSE_REPLY_PASS;
}

static void done(struct bfuse_io *io, const struct bfuse_request *entry, void *user)
{
	struct snapshot *s = user;

	pthread_mutex_lock(&s->lock);
	if (entry->flags & BFUSE_RQ_COPY_FAILED)
		give_up(s, "the store failed, or is full");
	else if (io->user)
		mark(s, io->user, false);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	free(io->user);
}

/* Has every change since the attach been seen? */
static bool has_seen_all(struct snapshot *s)
{
	struct bfuse_next next = { .attachment = s->attachment - 1 };

	return bfuse_next_attachment(s->bfuse, &next) == 1 && next.attachment == s->attachment && next.state == BFUSE_STATE_LIVE &&
	       !next.stat.timeouts && !next.stat.passed_by_policy;
}

/* For a while: the end of a copy that was begun too late, or refused, is never told. */
static void wait_for_copy(struct snapshot *s)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec++;
	if (pthread_cond_timedwait(&s->changed, &s->lock, &end) == ETIMEDOUT && !s->broken && !has_seen_all(s))
		give_up(s, "a change was not seen");
}

/* Where the chunk has been preserved, 0: nowhere, as it has not changed; waits for a copy under way. */
static uint64_t place_of(struct snapshot *s, uint64_t chunk, const char **broken)
{
	uint64_t place;

	pthread_mutex_lock(&s->lock);
	while (s->places[chunk] & PENDING && !s->broken)
		wait_for_copy(s);
	place = s->places[chunk];
	*broken = s->broken;
	pthread_mutex_unlock(&s->lock);
	return place;
}

struct reading {
	struct snapshot *s;
	int status; /* 1: under way; with the lock */
};

static void has_read(int status, void *user)
{
	struct reading *r = user;

	pthread_mutex_lock(&r->s->lock);
	r->status = status;
	pthread_cond_broadcast(&r->s->changed);
	pthread_mutex_unlock(&r->s->lock);
}

/*
 * Below the filter, and not by read(2): even with O_DIRECT that would first write back what others have changed in the page
 * cache, as this process' own I/O, which its filter does not see.
 */
static bool read_device(struct snapshot *s, void *buffer, size_t bytes, uint64_t sector)
{
	struct reading r = { .s = s, .status = 1 };

	if (bfuse_inject(s->bfuse, s->attachment, BFUSE_OP_READ, 0, sector, buffer, (uint32_t)bytes, has_read, &r))
		return false;
	pthread_mutex_lock(&s->lock);
	while (r.status > 0)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return !r.status;
}

static bool read_all(int fd, void *buffer, size_t bytes, uint64_t sector)
{
	return pread(fd, buffer, bytes, sector * 512) == (ssize_t)bytes;
}

/* What is read of the device counts if nothing has changed it until after that. */
static const char *export_chunk(struct snapshot *s, uint64_t chunk, void *buffer, unsigned long *preserved)
{
	size_t bytes = (end_of(s, chunk) - chunk * SECTORS) * 512;
	bool fine = read_device(s, buffer, bytes, chunk * SECTORS);
	const char *broken;
	uint64_t place = place_of(s, chunk, &broken);

	if (broken)
		return broken;
	if (place)
		fine = read_all(s->store, buffer, bytes, SECTOR_OF(place));
	*preserved += !!place;
	if (!fine)
		return has_seen_all(s) ? "can't be read" : "what has changed was not seen";
	return pwrite(s->image, buffer, bytes, chunk * CHUNK) == (ssize_t)bytes ? NULL : "the image can't be written";
}

static void *export(void *user)
{
	struct snapshot *s = user;
	void *buffer = aligned_alloc(4096, CHUNK);
	const char *wrong = buffer ? NULL : "no memory";
	uint64_t chunk, last = 0, chunks = (s->sectors + SECTORS - 1) / SECTORS;
	unsigned long preserved = 0;

	/* Not before: what was there may be the last good image. A device (EINVAL) keeps its length. */
	if (ftruncate(s->image, 0) && errno != EINVAL)
		wrong = "the image can't be written";
	for (chunk = 0; !wrong && chunk < chunks; chunk++) {
		last = chunk;
		wrong = export_chunk(s, chunk, buffer, &preserved);
	}
	/* What the file system could not write it may have said to nobody yet. */
	if (!wrong && fsync(s->store))
		wrong = "the store failed, or is full";
	if (!wrong && fsync(s->image))
		wrong = "the image can't be written";
	if (!wrong && !has_seen_all(s))
		wrong = "a change was not seen";
	if (wrong)
		fprintf(stderr, "snapshot: chunk %llu: %s\n", (unsigned long long)last, wrong);
	else
		printf("%llu chunks of %u bytes, %lu of them from the store\n", (unsigned long long)chunks, CHUNK, preserved);
	s->exported = !wrong;
	free(buffer);
	bfuse_stop(s->bfuse);
	return NULL;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		err(errno == EACCES || errno == EPERM ? BFUSE_EXIT_PERMISSION : BFUSE_EXIT_OTHER, "%s", path);
	return fd;
}

static bool is_block_device(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* A moment after a snapshot has ended the module still has its store open: so not at the first refusal. */
static bool try_again(unsigned int *tries)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	if (++*tries > 200)
		return false;
	nanosleep(&pause, NULL);
	return true;
}

/* What is overwritten is ours alone: nobody has mounted it, nor does another snapshot write to it. */
static int claim_device(const char *path, int flags)
{
	unsigned int tries = 0;
	int fd;

	do {
		fd = open(path, flags | O_EXCL | O_CLOEXEC);
	} while (fd < 0 && errno == EBUSY && try_again(&tries));
	if (fd < 0 && errno == EBUSY)
		errx(BFUSE_EXIT_OTHER, "%s: in use: mounted, part of another device, or another snapshot's; choose another", path);
	if (fd < 0)
		err(BFUSE_EXIT_OTHER, "%s", path);
	return fd;
}

static int claim_file(const char *path, int flags)
{
	int fd = open_or_die(path, flags | O_CREAT);
	unsigned int tries = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			err(BFUSE_EXIT_OTHER, "%s: can't be locked", path);
		if (!try_again(&tries))
			errx(BFUSE_EXIT_OTHER, "%s: in use by another snapshot; choose another", path);
	}
	return fd;
}

static int claim(const char *path, int flags)
{
	return is_block_device(path) ? claim_device(path, flags) : claim_file(path, flags);
}

/* What the module writes to a device is not in the page cache: there read-ahead would leave what was there before. */
static int claim_store(const char *path)
{
	return claim(path, is_block_device(path) ? O_RDWR | O_DIRECT : O_RDWR);
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat one, other;

	return !stat(a, &one) && !stat(b, &other) && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Would writing the image change @other? */
static bool spoils(const char *image, const char *other)
{
	if (!is_block_device(image))
		return is_same_file(image, other);
	return disk_carries(image, other) || (is_block_device(other) && disk_carries(other, image));
}

/*
 * A store that lies where the changes are would itself be a change. The module refuses that, but only when it comes to the first
 * copy, and that change would wait for the deadline. All this before there is an image, unless there is one already.
 */
static void refuse_itself(char **paths)
{
	/* There has to be a file to know where it lies. */
	close(open_or_die(paths[1], is_block_device(paths[1]) ? O_RDONLY : O_RDONLY | O_CREAT));
	if (disk_carries(paths[0], paths[1]))
		errx(BFUSE_EXIT_USAGE, "%s: is on %s, or on its disk; choose a store on another disk", paths[1], paths[0]);
	if (spoils(paths[2], paths[1]) || spoils(paths[2], paths[0]))
		errx(BFUSE_EXIT_USAGE, "%s: is where the %s is, too; choose another image", paths[2],
		     spoils(paths[2], paths[1]) ? "store" : "device");
}

/* Of a zone nothing can be kept before it is reset. */
static void refuse_zones(const struct snapshot *s, const char *path)
{
	uint32_t sectors;

	if (!ioctl(s->device, BLKGETZONESZ, &sectors) && sectors)
		errx(BFUSE_EXIT_UNFILTERABLE, "%s: is zoned; a snapshot can only be had of the device on top of it", path);
}

static void set_up(struct snapshot *s, char **paths)
{
	uint64_t bytes;

	if (access(paths[0], F_OK))
		err(BFUSE_EXIT_NO_DEVICE, "%s", paths[0]);
	if (!is_block_device(paths[0]))
		errx(BFUSE_EXIT_NO_DEVICE, "%s: not a block device; see: lsblk", paths[0]);
	s->device = open_or_die(paths[0], O_RDONLY | O_DIRECT);
	refuse_zones(s, paths[0]);
	refuse_itself(paths);
	s->store = claim_store(paths[1]);
	s->image = claim(paths[2], O_WRONLY);
	if (ioctl(s->device, BLKGETSIZE64, &bytes))
		err(BFUSE_EXIT_NO_DEVICE, "%s", paths[0]);
	s->sectors = bytes / 512;
	s->places = calloc(s->sectors / SECTORS + 1, sizeof(*s->places));
	if (!s->places)
		errx(BFUSE_EXIT_OTHER, "no memory");
}

/*
 * Verdicts take effect in the order of one queue: a change that passes finds the copy that it needs under way, and
 * waits for it. If this program dies the device is none the worse.
 */
static const struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "snapshot",
	.altitude = 300,
	.copies = true,
	.policy = BFUSE_POLICY_PASS,
	.unknown = BFUSE_POLICY_PASS,
	.queues = 1,
	.write = change,
	.discard = change,
	.write_zeroes = change,
	.secure_erase = change,
	.other = change_unknown,
	.done = done,
};

/* The threads serve until here, whatever else has failed. */
static int serve(struct snapshot *s, const char *device)
{
	uint32_t drained;
	int failed = bfuse_attach_drained(s->bfuse, device, NULL, DRAIN_MS, &drained, &s->attachment);

	if (failed) {
		bfuse_stop(s->bfuse);
		bfuse_wait(s->bfuse);
		return failed;
	}
	fprintf(stderr, "snapshot: attached to %s%s\n", device,
		drained == BFUSE_DRAINED_FROZEN ? ", with the file systems on it frozen" : "");
	if (pthread_create(&s->exporter, NULL, export, s))
		errx(BFUSE_EXIT_OTHER, "no thread");
	failed = bfuse_wait(s->bfuse);
	pthread_join(s->exporter, NULL);
	return failed;
}

/* How much the store takes; a file as much as its file system allows. */
static int make_target(struct snapshot *s, const char *path)
{
	struct bfuse_target target = { .fd = s->store };
	int failed = bfuse_describe_target(s->bfuse, &target);

	if (!failed && s->sectors * 512 % target.block_size)
		errx(BFUSE_EXIT_USAGE, "%s: has blocks of %u bytes, of which the device is no multiple; choose another store", path,
		     target.block_size);
	s->target = target.target;
	s->room = target.sectors;
	return failed;
}

static int run(struct snapshot *s, char **paths)
{
	bfuse_harden(s->bfuse);
	if (bfuse_set_filter(s->bfuse, &filter, s, NULL) || make_target(s, paths[1]) ||
	    bfuse_start(s->bfuse))
		return -1;
	return serve(s, paths[0]);
}

int main(int argc, char **argv)
{
	static struct snapshot s = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	int status = BFUSE_EXIT_OTHER;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return puts("usage: snapshot DEVICE STORE IMAGE\n\nWrites DEVICE as it is now to IMAGE. What changes meanwhile is first "
			    "copied to STORE.\nSTORE and IMAGE, files or devices, are overwritten. IMAGE is good only if the exit status "
			    "is 0."), BFUSE_EXIT_OK;
	if (argc != 4)
		errx(BFUSE_EXIT_USAGE, "usage: snapshot DEVICE STORE IMAGE");
	s.bfuse = bfuse_new();
	if (!s.bfuse)
		errx(BFUSE_EXIT_OTHER, "no memory");
	/* Before anything is made that it may not need. */
	if (bfuse_open(s.bfuse))
		errx(bfuse_exit_status(s.bfuse), "%s", bfuse_error(s.bfuse));
	set_up(&s, argv + 1);
	if (run(&s, argv + 1)) {
		status = bfuse_exit_status(s.bfuse);
		warnx("%s", bfuse_error(s.bfuse));
	} else if (s.exported) {
		status = BFUSE_EXIT_OK;
	}
	bfuse_free(s.bfuse);
	free(s.places);
	return status;
}
