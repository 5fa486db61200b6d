// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * The handle: opening the module, becoming a filter, closing.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DEPTH 128

/* Where one is closed the next file to be opened would get its number, be it a store: and then what is printed. */
static void fill_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

struct bfuse *bfuse_new(void)
{
	struct bfuse *bfuse = calloc(1, sizeof(*bfuse));

	if (!bfuse)
		return NULL;
	fill_standard_files();
	bfuse->fd = -1;
	bfuse->control = -1;
	bfuse->wake = -1;
	bfuse->signals = -1;
	pthread_mutex_init(&bfuse->lock, NULL);
	pthread_cond_init(&bfuse->changed, NULL);
	return bfuse;
}

void bfuse_set_log(struct bfuse *bfuse, bfuse_log_fn log, void *user)
{
	bfuse->log = log;
	bfuse->log_user = user;
}

int bfuse_fd(const struct bfuse *bfuse)
{
	return bfuse->fd;
}

static int fail_open(struct bfuse *bfuse, int err)
{
	switch (err) {
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_NO_MODULE,
				   BFUSE_PATH ": the kernel module is not loaded; try: modprobe blkfilter");
	case -EACCES:
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, BFUSE_PATH ": permission denied; try as root");
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, BFUSE_PATH ": %s", strerror(-err));
	}
}

static int check_abi(struct bfuse *bfuse)
{
	struct bfuse_info info;
	int err = bfuse_get_info(bfuse, &info);

	if (err)
		return err;
	if (info.abi == BFUSE_ABI_VERSION)
		return 0;
	return bfuse__fail(bfuse, -EPROTO, BFUSE_EXIT_ABI,
			   BFUSE_PATH ": the module (version %.32s) has ABI %u, this program wants %u; "
				      "install both from the same release",
			   info.version, info.abi, BFUSE_ABI_VERSION);
}

int bfuse_open(struct bfuse *bfuse)
{
	int err;

	if (bfuse->fd >= 0)
		return bfuse__fail(bfuse, -EBUSY, BFUSE_EXIT_OTHER, BFUSE_PATH ": this handle is open already");
	bfuse->fd = open(BFUSE_PATH, O_RDWR | O_CLOEXEC);
	if (bfuse->fd < 0)
		return fail_open(bfuse, -errno);
	err = check_abi(bfuse);
	if (err) {
		close(bfuse->fd);
		bfuse->fd = -1;
	}
	return err;
}

/* What the caller of bfuse_register() left to us. */
static void complete_registration(struct bfuse_register *reg)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	reg->size = sizeof(*reg);
	reg->abi = BFUSE_ABI_VERSION;
	if (!reg->nr_queues)
		reg->nr_queues = cpus < 1 ? 1 : cpus > BFUSE_QUEUES_MAX ? BFUSE_QUEUES_MAX : cpus;
	if (!reg->depth)
		reg->depth = DEFAULT_DEPTH;
	if (reg->defaults.verdicts & 1u << BFUSE_COMPLETE)
		reg->features |= BFUSE_F_COMPLETE;
	if (reg->defaults.verdicts & 1u << BFUSE_MODIFY)
		reg->features |= BFUSE_F_MODIFY;
	if (reg->defaults.verdicts & 1u << BFUSE_HOLD)
		reg->features |= BFUSE_F_HELD;
	if (reg->spin_us)
		reg->features |= BFUSE_F_SPIN;
	if (reg->defaults.verdicts & (1u << BFUSE_REDIRECT | 1u << BFUSE_COPY_BEFORE | 1u << BFUSE_MIRROR))
		reg->features |= BFUSE_F_TARGETS;
	if (reg->defaults.flags || reg->defaults.cgroup || reg->defaults.process)
		reg->features |= BFUSE_F_RANGES;
	if (reg->slot_size)
		reg->features |= BFUSE_F_PAYLOAD;
	if (reg->defaults.policy == BFUSE_POLICY_HOLD)
		reg->features |= BFUSE_F_HOLD;
}

static int fail_register(struct bfuse *bfuse, const struct bfuse_register *reg, int err)
{
	const char *name = reg->name;

	switch (err) {
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "%s: a filter needs CAP_SYS_ADMIN; try as root",
				   name);
	case -EPROTO:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_ABI,
				   "%s: the module can't serve ABI %u; install both from the same release", name,
				   BFUSE_ABI_VERSION);
	case -EOPNOTSUPP:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_ABI,
				   "%s: the module lacks features of %#llx; see: bfuse features", name,
				   (unsigned long long)reg->features);
	case -EBUSY:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: this handle is a filter already", name);
	case -E2BIG:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE,
				   "%s: %u queues of %u tags of %u bytes are more than %llu MiB, or windows of %u bytes more "
				   "than %llu MiB; choose fewer",
				   name, reg->nr_queues, reg->depth, reg->slot_size, BFUSE_MEMORY_MAX >> 20, reg->window_size,
				   BFUSE_WINDOWS_MAX >> 20);
	case -EINVAL:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE,
				   "%s: bad parameters (altitude %u, queues %u, depth %u, slot %u, deadline %u ms); "
				   "see struct bfuse_register in <blkfilter.h>",
				   name, reg->altitude, reg->nr_queues, reg->depth, reg->slot_size,
				   reg->defaults.deadline_ms);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "%s: can't register: %s", name, strerror(-err));
	}
}

static int map_queues(struct bfuse *bfuse)
{
	unsigned int nr = bfuse->reg.nr_queues;
	int err;

	bfuse->queues = calloc(nr, sizeof(*bfuse->queues));
	if (!bfuse->queues)
		return bfuse__fail(bfuse, -ENOMEM, BFUSE_EXIT_OTHER, "%s: no memory for %u queues", bfuse->reg.name,
				   nr);
	for (; bfuse->nr_queues < nr; bfuse->nr_queues++) {
		err = bfuse__queue_map(bfuse, bfuse->nr_queues);
		if (err)
			return err;
	}
	return 0;
}

/* Windows are a matter of cost only: a module that doesn't have them copies. */
static void drop_windows(struct bfuse *bfuse, struct bfuse_register *reg)
{
	struct bfuse_info info;

	if (!reg->window_size || reg->features & BFUSE_F_MAPPED)
		return;
	if (!bfuse_get_info(bfuse, &info) && info.features & BFUSE_F_MAPPED)
		reg->features |= BFUSE_F_MAPPED;
	else
		reg->window_size = reg->map_min = 0;
}

int bfuse_register(struct bfuse *bfuse, struct bfuse_register *reg)
{
	int err;

	complete_registration(reg);
	drop_windows(bfuse, reg);
	err = bfuse__ioctl(bfuse, BFUSE_REGISTER, reg);
	if (err)
		return fail_register(bfuse, reg, err);
	bfuse->reg = *reg;
	return map_queues(bfuse);
}

unsigned int bfuse_queue_count(const struct bfuse *bfuse)
{
	return bfuse->nr_queues;
}

struct bfuse_queue *bfuse_queue(struct bfuse *bfuse, unsigned int number)
{
	return number < bfuse->nr_queues ? &bfuse->queues[number] : NULL;
}

void bfuse_free(struct bfuse *bfuse)
{
	if (!bfuse)
		return;
	/* Before close(2), or an attachment whose policy isn't PASS would stay behind as an orphan and fail all I/O. */
	bfuse__detach_all(bfuse);
	while (bfuse->nr_queues)
		bfuse__queue_unmap(&bfuse->queues[--bfuse->nr_queues]);
	if (bfuse->fd >= 0)
		close(bfuse->fd);
	if (bfuse->control >= 0)
		close(bfuse->control);
	if (bfuse->wake >= 0)
		close(bfuse->wake);
	if (bfuse->signals >= 0)
		close(bfuse->signals);
	pthread_cond_destroy(&bfuse->changed);
	pthread_mutex_destroy(&bfuse->lock);
	free(bfuse->rules);
	free(bfuse->attachments);
	free(bfuse->queues);
	free(bfuse);
}
