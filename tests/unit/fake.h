/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A kernel for unit tests: open(2) and ioctl(2) of the library come here (ld --wrap). The rings are in a memfd, so that
 * mmap(2) is the real one.
 */
#ifndef FAKE_H
#define FAKE_H

#include <bfuse.h>
#include <check.h>

#define FAKE_MAX 4096

/**
 * struct fake - what it is told, and what it has seen.
 * @open_error, @attach_error, @log_error, @target_error, @match_error: positive errno or 0.
 * @log_first: number of the oldest entry of the log.
 * @features: what BFUSE_GET_INFO tells.
 * @start: first value of all ring indexes.
 * @refuse: tag whose verdict is refused, with BFUSE_REASON_STATE; 0 for none.
 * @shut: ENTER fails with ESHUTDOWN.
 * @verdicts: all that were applied, in order.
 * @stored: bytes that BFUSE_DATA_STORE brought; every byte a fetch gets is @fill.
 * @match: the last rule, @matches how many; at once BFUSE_EVENT_MATCHED comes.
 * @offer: what BFUSE_OFFER tells.
 * @answers: all answers, in order.
 * @mark, @marks: the generation that ended last, and its bitmap.
 * @injects: how many were tried. They fail when nobody is attached any more.
 * @taken_late: 1 if request_head was moved past a DONE entry too early, see fake_expect_held().
 */
struct fake {
	int open_error;
	int attach_error;
	int log_error;
	int target_error;
	int match_error;
	uint64_t log_first;
	uint32_t abi;
	uint64_t features;
	uint32_t start;
	uint64_t refuse;
	bool shut;
	struct bfuse_next owner;

	struct bfuse_register reg;
	struct bfuse_attach attach;
	unsigned int attachments;
	unsigned int targets;
	unsigned int detached;
	struct bfuse_verdict verdicts[FAKE_MAX];
	unsigned int nr_verdicts;
	unsigned char stored[FAKE_MAX * 64];
	uint32_t stored_bytes;
	unsigned char fill;
	unsigned int enters;
	struct bfuse_match match;
	unsigned int matches;
	struct bfuse_offer offer;
	struct bfuse_answer answers[16];
	unsigned int nr_answers;
	struct bfuse_mark mark;
	uint64_t marks[9000];
	unsigned int injects;
};

extern struct fake fake;

void fake_reset(void);
/* Publishes an entry; blocks while the ring is full. */
void fake_push(unsigned int queue, const struct bfuse_request *entry);
/* The same for a request of these properties. */
void fake_request(unsigned int queue, unsigned int op, uint64_t tag, uint64_t sector, uint32_t length);
void fake_event(unsigned int event, uint32_t attachment, int status);
/* A call with this cookie. */
void fake_call(unsigned int event, uint32_t attachment, uint64_t cookie);
void fake_wait_injects(unsigned int count);
void fake_wait_answers(unsigned int count);
void fake_done(unsigned int queue, uint64_t tag, int status);
/* Waits until so many verdicts were applied; fails the test after 5 s. */
void fake_wait_verdicts(unsigned int count);
struct bfuse_queue_head *fake_head(unsigned int queue);
void *fake_window(unsigned int queue, uint64_t tag);

/* A handle that is open and collects log lines in log_lines. */
extern char log_lines[8192];
struct bfuse *new_handle(void);

Suite *confine_suite(void);
Suite *interest_suite(void);
Suite *names_suite(void);
Suite *options_suite(void);
Suite *error_suite(void);
Suite *queue_suite(void);
Suite *run_suite(void);
Suite *places_suite(void);
Suite *calls_suite(void);
Suite *protect_suite(void);
Suite *trace_suite(void);
Suite *window_suite(void);

#endif
