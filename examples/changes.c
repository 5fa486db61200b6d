// SPDX-License-Identifier: MIT
/*
 * What has changed on a device since the last time, for incremental backups: the kernel marks the chunks that are written to, and
 * nothing ever crosses to this process.
 *
 *	changes [--chunk KIB] [--interval SECONDS] [--merge] [--drain-timeout MS] [--json] DEVICE
 *
 * Prints "ready" when all I/O that was under way has completed, so that a full backup which begins now and what follows have every
 * change; it waits for that up to 30 s, or so long (0: not at all). Then at each SIGUSR1, every so many seconds, and when it ends
 * by SIGTERM or SIGINT, it prints the chunks that have changed since the time before: a generation. A backup copies these from the
 * device, or better from a snapshot that was taken after the line that ends the generation. With --merge each generation has all
 * of those before it: for a backup that is always made from the first one.
 *
 * If this process dies the kernel goes on to mark, and the next one on the same device carries on where it ended; it says so. Its
 * first generation has all of the last one before it, too, which may not have been read to its end. To give up the marks end it by
 * a signal that it can see, or use bfuse detach. When it ends with an error they stay, too.
 */
#include <bfuse.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct changes {
	struct bfuse *bfuse;
	const char *device;
	uint32_t attachment;
	unsigned int chunk_shift;
	int interval_ms;
	uint32_t drain_ms;
	uint32_t flags;
	uint32_t first_flags; /* in addition, for the first generation */
	bool json;

	uint64_t generation; /* the one that is being printed */
	uint64_t sectors;
};

/* The sizes that the kernel knows are powers of two. */
static bool parse_chunk(const char *value, unsigned int *shift)
{
	char *end;
	unsigned long kib = strtoul(value, &end, 10);

	for (*shift = BFUSE_CHUNK_SHIFT_MIN; *shift <= BFUSE_CHUNK_SHIFT_MAX; (*shift)++)
		if (!*end && kib << 10 == 1ul << *shift)
			return true;
	return false;
}

static bool parse_interval(const char *value, int *ms)
{
	char *end;
	double seconds = strtod(value, &end);

	*ms = seconds > 0 && seconds < 1e6 ? (int)(seconds * 1000) : 0;
	return !*end && *ms > 0;
}

static bool parse_timeout(const char *value, uint32_t *ms)
{
	char *end;
	unsigned long number = strtoul(value, &end, 10);

	*ms = (uint32_t)number;
	return *value >= '0' && *value <= '9' && !*end && number <= BFUSE_DEADLINE_MAX;
}

static bool parse(struct changes *changes, int argc, char **argv)
{
	static const struct option options[] = {
		{ "chunk", required_argument, NULL, 'c' },
		{ "interval", required_argument, NULL, 'i' },
		{ "merge", no_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "drain-timeout", required_argument, NULL, 'd' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int id;

	while (good && (id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == 'c')
			good = parse_chunk(optarg, &changes->chunk_shift);
		else if (id == 'i')
			good = parse_interval(optarg, &changes->interval_ms);
		else if (id == 'm')
			changes->flags = BFUSE_MARK_MERGE;
		else if (id == 'd')
			good = parse_timeout(optarg, &changes->drain_ms);
		else if (id == 'j')
			changes->json = true;
		else
			good = false;
	}
	if (!good || optind != argc - 1)
		return false;
	changes->device = argv[optind];
	return true;
}

/* Nothing is to be presented, so what the policy does to requests does not matter: it keeps the attachment, and so the marks. */
static int begin(struct changes *changes)
{
	struct bfuse_register reg = {
		.name = "changes", .altitude = 100, .nr_queues = 1, .depth = 16, .known_ops = BFUSE_OPS_ALL,
		.unknown = BFUSE_POLICY_PASS, .features = BFUSE_F_MARK, .defaults = { .policy = BFUSE_POLICY_ERROR },
	};
	struct bfuse_mark mark;
	int err = bfuse_open(changes->bfuse);

	if (!err)
		err = bfuse_register(changes->bfuse, &reg);
	if (!err)
		err = bfuse_attach(changes->bfuse, changes->device, NULL, &changes->attachment);
	if (!err)
		err = bfuse_mark_begin(changes->bfuse, changes->attachment, changes->chunk_shift, changes->drain_ms,
				       &mark);
	if (err)
		return err;
	if (mark.flags & BFUSE_MARK_INHERITED)
		changes->first_flags = BFUSE_MARK_MERGE;
	if (changes->json)
		printf("{\"ready\":true,\"inherited\":%s}\n", mark.flags & BFUSE_MARK_INHERITED ? "true" : "false");
	else
		puts(mark.flags & BFUSE_MARK_INHERITED ? "ready, with the marks of a predecessor" : "ready");
	return fflush(stdout) ? -EIO : 0;
}

static int print_range(uint64_t sector, uint64_t sectors, void *user)
{
	struct changes *changes = user;
	char count[24] = "rest"; /* the device has grown by nobody knows how much */

	if (sectors != UINT64_MAX - sector)
		snprintf(count, sizeof(count), "%" PRIu64, sectors);
	else if (changes->json)
		strcpy(count, "null");
	changes->sectors += sectors == UINT64_MAX - sector ? 0 : sectors;
	if (changes->json)
		printf("{\"generation\":%" PRIu64 ",\"sector\":%" PRIu64 ",\"sectors\":%s}\n", changes->generation,
		       sector, count);
	else
		printf("%" PRIu64 " %" PRIu64 " %s\n", changes->generation, sector, count);
	return 0;
}

static int print_generation(struct changes *changes)
{
	struct bfuse_mark mark;
	int err = bfuse_mark_switch(changes->bfuse, changes->attachment, changes->flags | changes->first_flags, &mark);

	if (err)
		return err;
	changes->first_flags = 0;
	changes->generation = mark.generation;
	changes->sectors = 0;
	err = bfuse_mark_read(changes->bfuse, &mark, print_range, changes);
	/* Not all was read: nothing may look like the end of the generation. */
	if (err)
		return err;
	if (changes->json)
		printf("{\"generation\":%" PRIu64 ",\"changed_sectors\":%" PRIu64 "}\n", changes->generation,
		       changes->sectors);
	else
		printf("generation %" PRIu64 ": %" PRIu64 " sectors\n", changes->generation, changes->sectors);
	return fflush(stdout) || ferror(stdout) ? -EIO : 0;
}

/* The only thing that ever comes is that the attachment is gone. */
static bool is_detached(struct changes *changes)
{
	struct bfuse_request entry;

	while (bfuse_queue_get(bfuse_queue(changes->bfuse, 0), &entry, 1))
		if (entry.kind == BFUSE_EVENT && entry.op == BFUSE_EVENT_DETACHED)
			return true;
	return false;
}

static int run(struct changes *changes, int signals)
{
	struct pollfd fds[] = { { .fd = signals, .events = POLLIN },
				{ .fd = bfuse_fd(changes->bfuse), .events = POLLIN } };
	struct signalfd_siginfo info = { 0 };
	bool ends = false;
	int err = 0;

	while (!err && !ends) {
		if (poll(fds, 2, changes->interval_ms ? changes->interval_ms : -1) < 0)
			return -errno;
		if (fds[1].revents && is_detached(changes))
			return -ENODEV;
		if (fds[0].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			ends = info.ssi_signo != SIGUSR1;
		else if (fds[1].revents)
			continue;
		err = print_generation(changes);
	}
	return err;
}

static bool has_marks(struct changes *changes)
{
	struct bfuse_next next = { .attachment = changes->attachment - 1 };

	return changes->attachment && bfuse_next_attachment(changes->bfuse, &next) == 1 &&
	       next.attachment == changes->attachment && next.mark_shift;
}

static int usage(FILE *out, int status)
{
	fputs("usage: changes [--chunk 4..1024 (KiB)] [--interval SECONDS] [--merge] [--drain-timeout MS] [--json] DEVICE\n", out);
	return status;
}

int main(int argc, char **argv)
{
	struct changes changes = { .chunk_shift = 16, .drain_ms = 30000 };
	sigset_t set;
	int err;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout, BFUSE_EXIT_OK);
	if (!parse(&changes, argc, argv))
		return usage(stderr, BFUSE_EXIT_USAGE);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	changes.bfuse = bfuse_new();
	if (!changes.bfuse)
		return BFUSE_EXIT_OTHER;
	err = begin(&changes);
	if (!err)
		err = run(&changes, signalfd(-1, &set, SFD_CLOEXEC));
	if (err == -ENODEV && !*bfuse_error(changes.bfuse))
		fprintf(stderr, "%s: %s: detached; what has changed since generation %" PRIu64 " is not known\n", argv[0],
			changes.device, changes.generation);
	else if (err)
		fprintf(stderr, "%s: %s\n", argv[0],
			*bfuse_error(changes.bfuse) ? bfuse_error(changes.bfuse) : strerror(-err));
	/* A mistake, or a moment without memory, does not cost what is marked: it is as if this process had died. */
	if (err && has_marks(&changes)) {
		fprintf(stderr, "%s: %s: the kernel goes on to mark, for the next one\n", argv[0], changes.device);
		_exit(bfuse_exit_status(changes.bfuse) ?: BFUSE_EXIT_OTHER);
	}
	err = err ? (bfuse_exit_status(changes.bfuse) ?: BFUSE_EXIT_OTHER) : BFUSE_EXIT_OK;
	bfuse_free(changes.bfuse);
	return err;
}
