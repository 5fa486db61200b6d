/* SPDX-License-Identifier: MIT */
/* What the journal and its two ways of waiting share. */
#ifndef JOURNAL_H
#define JOURNAL_H

#include <bfuse.h>

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DEPTH 128		/* requests at a time */
#define LINE 64			/* bytes of a line of the journal */
#define BLOCK 4096		/* of direct I/O */
#define BUFFER (4 * BLOCK)	/* an unfinished block, and a line for each request */

struct backend;

/**
 * struct journal - the program.
 * @waiting: requests that the journal has no line of yet.
 * @writing: requests whose lines are being written; while there are any, @buffer is the device's.
 * @buffer: begins with @carry bytes that are in the file already, at @offset: the last block, if it isn't full.
 */
struct journal {
	struct bfuse *bfuse;
	struct bfuse_queue *queue;
	const struct backend *backend;
	void *backend_data;
	int file;
	int signals; /* a signalfd */
	struct bfuse_request waiting[DEPTH], writing[DEPTH];
	unsigned int nr_waiting, nr_writing;
	char *buffer;
	size_t carry;
	off_t offset;
	uint32_t attachment;
	unsigned int attachments; /* 1, then 0 */
	bool answered; /* since a backend has handed over verdicts */
	bool failing; /* the last lines could not be written */
	unsigned long long lines;
	int error;
};

/**
 * struct backend - how the one loop waits for requests, for what it writes, and for signals.
 * @open: returns 0 or a negative errno; then there are other backends.
 * @write: starts to write at @offset of journal->file.
 * @round: hands over verdicts and waits until something has happened, for which it calls the functions below. Returns 0 or a
 *	negative errno.
 */
struct backend {
	const char *name;
	int (*open)(struct journal *journal);
	int (*write)(struct journal *journal, const void *data, size_t bytes, off_t offset);
	int (*round)(struct journal *journal);
	void (*close)(struct journal *journal);
};

extern const struct backend uring_backend;
extern const struct backend aio_backend;

void journal_requests(struct journal *journal);
void journal_written(struct journal *journal, long result);
void journal_signal(struct journal *journal);
void journal_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
