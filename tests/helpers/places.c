// SPDX-License-Identifier: MIT
/*
 * A filter that uses other places: places --device DEVICE [--redirect PATH] [--mirror PATH] [--copy PATH] [--lenient]
 *
 * Everything goes to --redirect, and every change also to --mirror. With --copy each chunk of 64 KiB is copied to its own place there
 * before it is first changed. It prints how many copies and mirrors failed.
 */
#include <bfuse.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 128u	/* sectors */
#define CHUNKS (1u << 20)

static const char *redirect, *mirror, *copy;
static uint32_t redirect_id, mirror_id, copy_id;
static bool lenient;
static unsigned char copied[CHUNKS];
static unsigned long failed_copies, failed_mirrors;

static bool changes(const struct bfuse_io *io)
{
	return io->request.op != BFUSE_OP_READ && io->request.op != BFUSE_OP_FLUSH;
}

/* From the first to the last chunk that has not been, and all between; fio's aligned writes touch one. */
static void preserve(struct bfuse_io *io)
{
	uint64_t first = io->request.sector / CHUNK, last = (io->request.sector + io->request.length / 512 - 1) / CHUNK;

	while (first <= last && copied[first])
		first++;
	while (last > first && copied[last])
		last--;
	if (first > last)
		return;
	memset(copied + first, 1, last - first + 1);
	bfuse_io_copy_before(io, copy_id, first * CHUNK, first * CHUNK, (last - first + 1) * CHUNK * 512);
}

static int any(struct bfuse_io *io, void *user)
{
	uint64_t sector = io->request.op == BFUSE_OP_FLUSH ? 0 : io->request.sector;

	(void)user;
	if (io->request.op > BFUSE_OP_WRITE_ZEROES)
		return -EOPNOTSUPP;
	if (redirect)
		bfuse_io_redirect(io, redirect_id, sector);
	if (mirror && io->request.op != BFUSE_OP_READ)
		bfuse_io_mirror(io, mirror_id, sector);
	if (copy && changes(io))
		preserve(io);
	if (lenient && io->request.op != BFUSE_OP_READ && (mirror || (copy && changes(io))))
		bfuse_io_lenient(io);
	return BFUSE_REPLY_PASS;
}

static void done(struct bfuse_io *io, const struct bfuse_request *entry, void *user)
{
	(void)io;
	(void)user;
	failed_copies += !!(entry->flags & BFUSE_RQ_COPY_FAILED);
	failed_mirrors += !!(entry->flags & BFUSE_RQ_MIRROR_FAILED);
}

static const char *option(const char *name, const char *value, void *user)
{
	(void)user;
	if (!strcmp(name, "redirect"))
		redirect = value;
	else if (!strcmp(name, "mirror"))
		mirror = value;
	else if (!strcmp(name, "copy"))
		copy = value;
	else
		lenient = true;
	return NULL;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	(void)user;
	reg->nr_queues = copy ? 1 : reg->nr_queues;
	return NULL;
}

static const struct bfuse_option options[] = {
	{ "redirect", "PATH", "where everything goes" },
	{ "mirror", "PATH", "where every change goes, too" },
	{ "copy", "PATH", "where chunks are copied before they change" },
	{ "lenient", NULL, "failures of the last two don't count" },
	{ 0 },
};

static int make_target(struct bfuse *bfuse, const char *path, uint32_t *target)
{
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	int ret = path ? bfuse_target(bfuse, fd, 0, target) : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static int registered(struct bfuse *bfuse, void *user)
{
	int ret = make_target(bfuse, redirect, &redirect_id);

	(void)user;
	if (!ret)
		ret = make_target(bfuse, mirror, &mirror_id);
	return ret ? ret : make_target(bfuse, copy, &copy_id);
}

static const struct bfuse_filter places = {
	.size = sizeof(places),
	.name = "places",
	.altitude = 500,
	.summary = "sends requests elsewhere, mirrors them, or copies what they overwrite",
	.completes = true,
	.redirects = true,
	.mirrors = true,
	.copies = true,
	.any = any,
	.done = done,
	.registered = registered,
	.options = options,
	.option = option,
	.configure = configure,
};

int main(int argc, char **argv)
{
	int status = bfuse_main(argc, argv, &places, NULL);

	printf("failed copies %lu mirrors %lu\n", failed_copies, failed_mirrors);
	return status;
}
