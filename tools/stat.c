// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse stat
 */
#include "bfuse-tool.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIELD(member) offsetof(struct bfuse_stat, member)

/**
 * struct counter - a column.
 * @gauge: the state of this moment: never a rate.
 * @extra: only with --all or --json.
 * @wide: __u64; else __u32.
 */
struct counter {
	const char *name;
	size_t offset;
	bool wide;
	bool gauge;
	bool extra;
};

static const struct counter counters[] = {
	{ "SEEN", FIELD(seen), true, false, false },
	{ "BYPASSED", FIELD(bypassed), true, false, false },
	{ "DELIVERED", FIELD(delivered), true, false, false },
	{ "PASS", FIELD(verdicts[BFUSE_PASS]), true, false, false },
	{ "COMPLETE", FIELD(verdicts[BFUSE_COMPLETE]), true, false, false },
	{ "REDIRECT", FIELD(verdicts[BFUSE_REDIRECT]), true, false, true },
	{ "MODIFY", FIELD(verdicts[BFUSE_MODIFY]), true, false, true },
	{ "COPY_BEFORE", FIELD(verdicts[BFUSE_COPY_BEFORE]), true, false, true },
	{ "MIRROR", FIELD(verdicts[BFUSE_MIRROR]), true, false, true },
	{ "HOLD", FIELD(verdicts[BFUSE_HOLD]), true, false, true },
	{ "NOTIFIED", FIELD(notified), true, false, true },
	{ "BYTES_READ", FIELD(bytes_read), true, false, false },
	{ "BYTES_WRITTEN", FIELD(bytes_written), true, false, false },
	{ "WAITING", FIELD(waiting), false, true, false },
	{ "INFLIGHT", FIELD(inflight), false, true, false },
	{ "WITH_FILTER", FIELD(with_filter), false, true, false },
	{ "TIMEOUTS", FIELD(timeouts), true, false, false },
	{ "LATE", FIELD(late), true, false, true },
	{ "PASSED_BY_POLICY", FIELD(passed_by_policy), true, false, true },
	{ "FAILED_BY_POLICY", FIELD(failed_by_policy), true, false, true },
	{ "REFUSED", FIELD(refused), true, false, true },
	{ "REDELIVERED", FIELD(redelivered), true, false, true },
	{ "INJECTED", FIELD(injected), true, false, true },
	{ "READ", FIELD(ops[BFUSE_OP_READ]), true, false, true },
	{ "WRITE", FIELD(ops[BFUSE_OP_WRITE]), true, false, true },
	{ "FLUSH", FIELD(ops[BFUSE_OP_FLUSH]), true, false, true },
	{ "DISCARD", FIELD(ops[BFUSE_OP_DISCARD]), true, false, true },
	{ "SECURE_ERASE", FIELD(ops[BFUSE_OP_SECURE_ERASE]), true, false, true },
	{ "WRITE_ZEROES", FIELD(ops[BFUSE_OP_WRITE_ZEROES]), true, false, true },
	{ "ZONE_APPEND", FIELD(ops[BFUSE_OP_ZONE_APPEND]), true, false, true },
	{ "ZONE_RESET", FIELD(ops[BFUSE_OP_ZONE_RESET]), true, false, true },
	{ "ZONE_RESET_ALL", FIELD(ops[BFUSE_OP_ZONE_RESET_ALL]), true, false, true },
	{ "ZONE_OPEN", FIELD(ops[BFUSE_OP_ZONE_OPEN]), true, false, true },
	{ "ZONE_CLOSE", FIELD(ops[BFUSE_OP_ZONE_CLOSE]), true, false, true },
	{ "ZONE_FINISH", FIELD(ops[BFUSE_OP_ZONE_FINISH]), true, false, true },
	{ "OTHER", FIELD(ops[BFUSE_OP_OTHER]), true, false, true },
};

enum { DEVICE, ALTITUDE, FILTER, ATTACHMENT, FIRST_COUNTER };

struct request {
	const char *device;
	bool json;
	bool all;
	uint32_t interval;
	uint32_t count; /* 0: for ever */
};

static uint64_t value_of(const struct bfuse_stat *stat, const struct counter *counter)
{
	uint32_t narrow;
	uint64_t value;

	if (counter->wide) {
		memcpy(&value, (const char *)stat + counter->offset, sizeof(value));
		return value;
	}
	memcpy(&narrow, (const char *)stat + counter->offset, sizeof(narrow));
	return narrow;
}

static bool is_shown(const struct request *request, const struct counter *counter)
{
	return request->all || request->json || !counter->extra;
}

static struct table *new_table(const struct request *request)
{
	struct column columns[FIRST_COUNTER + ARRAY_SIZE(counters)] = {
		[DEVICE] = { "DEVICE", false },
		[ALTITUDE] = { "ALTITUDE", true },
		[FILTER] = { "FILTER", false },
		[ATTACHMENT] = { "ATTACHMENT", true },
	};
	size_t i, n = FIRST_COUNTER;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (is_shown(request, &counters[i]))
			columns[n++] = (struct column){ counters[i].name, true };
	}
	return table_new("stat", columns, n, request->json);
}

static const struct bfuse_stat *find_stat(const struct attachments *all, uint32_t attachment)
{
	size_t i;

	for (i = 0; i < all->count; i++) {
		if (all->list[i].attachment == attachment)
			return &all->list[i].stat;
	}
	return NULL;
}

/* Per second if there is an @old, of @ms before; rounded up, so that little isn't shown as nothing. */
static uint64_t shown_value(const struct counter *counter, const struct bfuse_stat *now, const struct bfuse_stat *old, uint64_t ms)
{
	uint64_t value = value_of(now, counter), before;

	if (counter->gauge || !old)
		return value;
	before = value_of(old, counter);
	return value > before ? ((value - before) * 1000 + ms - 1) / ms : 0;
}

static void put_row(struct table *table, const struct request *request, const struct bfuse_next *next,
		    const struct bfuse_stat *old, uint64_t ms)
{
	size_t i, n = FIRST_COUNTER;

	table_row(table);
	table_text(table, DEVICE, next->device);
	table_number(table, ALTITUDE, next->altitude);
	table_text(table, FILTER, next->name);
	table_number(table, ATTACHMENT, next->attachment);
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (is_shown(request, &counters[i]))
			table_number(table, n++, shown_value(&counters[i], &next->stat, old, ms));
	}
}

/* What came between two rounds is compared with zero. */
static void print_round(const struct request *request, const struct attachments *now, const struct attachments *old, uint64_t ms)
{
	static const struct bfuse_stat zero;
	struct table *table = new_table(request);
	const struct bfuse_stat *before = NULL;
	size_t i;

	for (i = 0; i < now->count; i++) {
		if (old) {
			before = find_stat(old, now->list[i].attachment);
			before = before ? before : &zero;
		}
		put_row(table, request, &now->list[i], before, ms);
	}
	if (now->count || request->json)
		table_print(table);
	fflush(stdout);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the next round, which comes @interval after the last one was due; unless that is over, as when it was stopped. */
static void sleep_until(uint64_t *due, uint32_t interval)
{
	uint64_t now = now_ms();
	struct timespec until;

	*due += interval * 1000ull;
	if (*due <= now)
		*due = now + 1;
	until = (struct timespec){ .tv_sec = (time_t)(*due / 1000), .tv_nsec = (long)(*due % 1000) * 1000000 };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* The first round shows totals, the others what was added per second. */
static int print_rounds(struct bfuse *bfuse, const struct request *request)
{
	const struct selection selection = { request->device, 0, NULL };
	struct attachments now, old = { NULL, 0 };
	uint64_t due = now_ms(), last = due, taken;
	uint32_t round;
	int status = 0;

	for (round = 0; !ferror(stdout) && (!request->count || round < request->count); round++) {
		if (round)
			sleep_until(&due, request->interval);
		taken = now_ms();
		status = select_attachments(bfuse, &selection, &now);
		if (!status)
			print_round(request, &now, round ? &old : NULL, taken > last ? taken - last : 1);
		last = taken;
		free(old.list);
		old = now;
		if (status)
			break;
	}
	free(old.list);
	return status;
}

static int parse(struct request *request, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "all", no_argument, NULL, 'a' },
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 },
	};
	int id, status = 0;

	opterr = 0;
	while (!status && (id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		if (id == 'j')
			request->json = true;
		else if (id == 'a')
			request->all = true;
		else if (id == 'i')
			status = parse_number(argv[0], "interval", optarg, 1, 86400, &request->interval);
		else
			status = parse_number(argv[0], "count", optarg, 1, UINT32_MAX, &request->count);
	}
	if (!status && argc - optind > 1)
		return usage_error(argv[0], "%s: unexpected; one device at most", argv[optind + 1]);
	request->device = argv[optind];
	return status;
}

int stat_main(int argc, char **argv)
{
	struct request request = { NULL, false, false, 0, 0 };
	int status = parse(&request, argc, argv);
	struct bfuse *bfuse;

	if (status)
		return status;
	if (!request.interval && !request.count)
		request.count = 1;
	if (!request.interval)
		request.interval = 1;
	bfuse = open_module(&status);
	if (!bfuse)
		return status;
	status = print_rounds(bfuse, &request);
	bfuse_free(bfuse);
	return status;
}
