// SPDX-License-Identifier: MIT
/*
 * Keeps a journal of all writes: no write reaches the device before its line is on stable media.
 *
 *	journal --device /dev/vda --log /var/log/vda.journal [--with uring|aio]
 *
 * A line has 64 bytes: time in nanoseconds since 1970, process, operation, first sector, bytes. One thread does everything in one
 * loop: it waits for requests, for the end of its own writes to the journal, and for signals, by io_uring (uring.c) or, where there
 * is none or it is disabled (sysctl kernel.io_uring_disabled), by epoll and libaio (aio.c). Lines are written together: while a
 * batch is under way the next one gathers.
 *
 * The journal can't be on the device itself. A filter doesn't see the I/O of its own process, but it does see what the file system
 * writes for it: that would want a line before it is done, and the line, that it is done. The same disk is refused, also with dm,
 * md, btrfs or a loop device between the two; what else there may be is for the administrator to see to.
 *
 * When a line can't be written the write that it is about fails.
 */
#include "journal.h"

#include "../common/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OPS                                                                                                          \
	(1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_DISCARD | 1u << BFUSE_OP_SECURE_ERASE | 1u << BFUSE_OP_WRITE_ZEROES | \
	 1u << BFUSE_OP_ZONE_APPEND | 1u << BFUSE_OP_ZONE_RESET | 1u << BFUSE_OP_ZONE_RESET_ALL |                    \
	 1u << BFUSE_OP_ZONE_FINISH)

/* Of OPS, so short that a line has room for them. */
static const char *const names[BFUSE_OP_COUNT] = {
	[BFUSE_OP_WRITE] = "write",
	[BFUSE_OP_DISCARD] = "discard",
	[BFUSE_OP_SECURE_ERASE] = "erase",
	[BFUSE_OP_WRITE_ZEROES] = "zeroes",
	[BFUSE_OP_ZONE_APPEND] = "append",
	[BFUSE_OP_ZONE_RESET] = "reset",
	[BFUSE_OP_ZONE_RESET_ALL] = "reset-all",
	[BFUSE_OP_ZONE_FINISH] = "finish",
};

/* What a time of CLOCK_MONOTONIC, which begins anew with each boot, lacks to CLOCK_REALTIME. */
static int64_t since_1970(void)
{
	struct timespec real, monotonic;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	return (real.tv_sec - monotonic.tv_sec) * 1000000000ll + real.tv_nsec - monotonic.tv_nsec;
}

static void format_line(char *line, const struct bfuse_request *request, int64_t epoch)
{
	const char *name = request->op < BFUSE_OP_COUNT && names[request->op] ? names[request->op] : "other";
	char text[LINE + 1];

	/* Times and processes have room to spare; whatever comes, a line has its length. */
	snprintf(text, sizeof(text), "%20lld %8u %-9.9s %12llu %9u", (long long)((int64_t)request->time + epoch),
		 request->tgid, name, (unsigned long long)request->sector, request->length);
	memset(line, ' ', LINE - 1);
	memcpy(line, text, strnlen(text, LINE - 1));
	line[LINE - 1] = '\n';
}

/* Begins to write what waits, unless a write is under way. What is left of the last block reads as empty lines. */
static void write_lines(struct journal *journal)
{
	size_t bytes = journal->carry, padded;
	int64_t epoch = since_1970();
	unsigned int i;
	int err;

	if (journal->nr_writing || !journal->nr_waiting)
		return;
	for (i = 0; i < journal->nr_waiting; i++, bytes += LINE)
		format_line(journal->buffer + bytes, &journal->waiting[i], epoch);
	memcpy(journal->writing, journal->waiting, journal->nr_waiting * sizeof(journal->waiting[0]));
	journal->nr_writing = journal->nr_waiting;
	journal->nr_waiting = 0;
	padded = (bytes + BLOCK - 1) / BLOCK * BLOCK;
	memset(journal->buffer + bytes, '\n', padded - bytes);
	err = journal->backend->write(journal, journal->buffer, padded, journal->offset);
	if (err)
		journal_written(journal, err);
}

static void answer(struct journal *journal, uint64_t tag, bool ok)
{
	int err = ok ? bfuse_queue_pass(journal->queue, tag, 0) : bfuse_queue_complete(journal->queue, tag, -EIO, 0);

	if (err)
		journal->error = err;
	journal->answered = true;
}

void journal_written(struct journal *journal, long result)
{
	size_t bytes = journal->carry + journal->nr_writing * LINE, full = bytes / BLOCK * BLOCK;
	bool ok = result >= (long)bytes;
	unsigned int i;

	for (i = 0; i < journal->nr_writing; i++)
		answer(journal, journal->writing[i].tag, ok);
	if (ok) {
		journal->lines += journal->nr_writing;
		journal->carry = bytes - full;
		journal->offset += (off_t)full;
		memmove(journal->buffer, journal->buffer + full, journal->carry);
	}
	if (ok && journal->failing)
		journal_say("lines can be written again");
	else if (!ok && !journal->failing)
		journal_say("%s; what can't have its line fails", result < 0 ? strerror((int)-result) : "short write");
	journal->failing = !ok;
	journal->nr_writing = 0;
	write_lines(journal);
}

void journal_requests(struct journal *journal)
{
	struct bfuse_request entries[DEPTH];
	unsigned int i, n = bfuse_queue_get(journal->queue, entries, DEPTH);

	for (i = 0; i < n; i++) {
		if (entries[i].kind == BFUSE_REQUEST)
			journal->waiting[journal->nr_waiting++] = entries[i];
		else if (entries[i].kind == BFUSE_EVENT && entries[i].op == BFUSE_EVENT_DETACHED)
			journal->attachments--;
	}
	write_lines(journal);
}

/* Leaves the devices; the loop goes on until the last requests are answered. */
void journal_signal(struct journal *journal)
{
	struct signalfd_siginfo info;

	if (read(journal->signals, &info, sizeof(info)) == sizeof(info))
		bfuse_detach(journal->bfuse, journal->attachment, 0);
}

static int fail(const struct journal *journal, int err)
{
	fprintf(stderr, "journal: %s\n", bfuse_error(journal->bfuse)[0] ? bfuse_error(journal->bfuse) : strerror(-err));
	return bfuse_exit_status(journal->bfuse) ? bfuse_exit_status(journal->bfuse) : BFUSE_EXIT_OTHER;
}

static int begin(struct journal *journal, const char *device)
{
	struct bfuse_register reg = { .name = "journal", .altitude = 950, .nr_queues = 1, .depth = DEPTH };
	int err = bfuse_open(journal->bfuse);

	reg.known_ops = BFUSE_OPS_ALL;
	reg.unknown = BFUSE_POLICY_ERROR;
	reg.defaults.ops = OPS;
	reg.defaults.verdicts = 1u << BFUSE_PASS | 1u << BFUSE_COMPLETE;
	if (err)
		return err;
	bfuse_harden(journal->bfuse);
	err = bfuse_register(journal->bfuse, &reg);
	if (err)
		return err;
	journal->queue = bfuse_queue(journal->bfuse, 0);
	err = journal->backend ? journal->backend->open(journal) : uring_backend.open(journal);
	if (err && !journal->backend) {
		fprintf(stderr, "journal: io_uring: %s; with libaio instead\n", strerror(-err));
		journal->backend = &aio_backend;
		err = aio_backend.open(journal);
	} else if (!err && !journal->backend) {
		journal->backend = &uring_backend;
	}
	if (!err)
		err = bfuse_attach(journal->bfuse, device, NULL, &journal->attachment);
	if (!err) {
		journal->attachments = 1;
		journal_say("attached to %s, with %s", device, journal->backend->name);
	}
	return err;
}

static int open_files(struct journal *journal, const char *log)
{
	struct stat st;
	off_t end;

	journal->file = open(log, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC | O_CLOEXEC, 0600);
	if (journal->file >= 0 && (fstat(journal->file, &st) || !S_ISREG(st.st_mode))) {
		fprintf(stderr, "journal: %s: is no file; choose one\n", log);
		return -1;
	}
	/* First: nobody else moves the end. */
	if (journal->file >= 0 && flock(journal->file, LOCK_EX | LOCK_NB)) {
		fprintf(stderr, "journal: %s: %s\n", log,
			errno == EWOULDBLOCK ? "another journal writes to it; choose another" : strerror(errno));
		return -1;
	}
	end = journal->file < 0 ? -1 : lseek(journal->file, 0, SEEK_END);
	if (end < 0 || posix_memalign((void **)&journal->buffer, BLOCK, BUFFER)) {
		fprintf(stderr, "journal: %s: %s\n", log, strerror(errno));
		return -1;
	}
	journal->offset = (end + BLOCK - 1) / BLOCK * BLOCK;
	journal->signals = bfuse_signalfd(SFD_NONBLOCK | SFD_CLOEXEC);
	return journal->signals < 0 ? -1 : 0;
}

static int run(struct journal *journal, const char *device)
{
	int err = begin(journal, device);

	while (!err && journal->attachments) {
		err = journal->backend->round(journal);
		if (!err)
			err = journal->error;
	}
	if (err)
		return fail(journal, err);
	journal->backend->close(journal);
	printf("%llu lines, with %s\n", journal->lines, journal->backend->name);
	return BFUSE_EXIT_OK;
}

static int usage(FILE *out, int status)
{
	fprintf(out, "usage: journal --device PATH --log FILE [--with uring|aio]\n");
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "device", required_argument, NULL, 'd' },
						 { "log", required_argument, NULL, 'l' },
						 { "with", required_argument, NULL, 'w' },
						 { NULL, 0, NULL, 0 } };
	static struct journal journal;
	const char *device = NULL, *log = NULL;
	int option, status;

	if (argc == 2 && !strcmp(argv[1], "--help"))
		return usage(stdout, BFUSE_EXIT_OK);
	while ((option = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (option == 'd')
			device = optarg;
		else if (option == 'l')
			log = optarg;
		else if (option == 'w' && (!strcmp(optarg, "uring") || !strcmp(optarg, "aio")))
			journal.backend = optarg[0] == 'u' ? &uring_backend : &aio_backend;
		else
			return usage(stderr, BFUSE_EXIT_USAGE);
	}
	if (!device || !log || optind < argc)
		return usage(stderr, BFUSE_EXIT_USAGE);
	journal.bfuse = bfuse_new();
	if (!journal.bfuse || open_files(&journal, log))
		return BFUSE_EXIT_OTHER;
	if (disk_carries(device, log)) {
		fprintf(stderr, "journal: %s: is on %s, whose journal it is to be; choose another disk\n", log, device);
		return BFUSE_EXIT_USAGE;
	}
	status = run(&journal, device);
	/* Not to detach is to have died: what would come without a line is for the policy. */
	if (status)
		return status;
	bfuse_free(journal.bfuse);
	free(journal.buffer);
	return status;
}
