// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse list
 */
#include "bfuse-tool.h"

#include <getopt.h>
#include <stdlib.h>

enum { DEVICE, ALTITUDE, FILTER, STATE, POLICY, QUEUES, DEPTH, INFLIGHT, WAITING, PID, ATTACHMENT, OPS, COLUMNS };

/* The widest one last. */
static const struct column columns[COLUMNS] = {
	[DEVICE] = { "DEVICE", false }, [ALTITUDE] = { "ALTITUDE", true },     [FILTER] = { "FILTER", false },
	[STATE] = { "STATE", false },	[POLICY] = { "POLICY", false },	       [QUEUES] = { "QUEUES", true },
	[DEPTH] = { "DEPTH", true },	[INFLIGHT] = { "INFLIGHT", true },     [WAITING] = { "WAITING", true },
	[PID] = { "PID", true },	[ATTACHMENT] = { "ATTACHMENT", true }, [OPS] = { "OPS", false },
};

static void put_interest(struct table *table, const struct bfuse_interest *interest)
{
	char ops[256];

	table_text(table, POLICY, bfuse_policy_name(interest->policy));
	table_text(table, OPS, bfuse_ops_format(interest->ops, ops, sizeof(ops)));
}

static void put_attachment(struct table *table, const struct bfuse_next *next)
{
	table_row(table);
	table_text(table, DEVICE, next->device);
	table_number(table, ALTITUDE, next->altitude);
	table_text(table, FILTER, next->name);
	table_text(table, STATE, bfuse_state_name(next->state));
	put_interest(table, &next->interest);
	table_number(table, QUEUES, next->nr_queues);
	table_number(table, DEPTH, next->depth);
	table_number(table, INFLIGHT, next->stat.inflight);
	table_number(table, WAITING, next->stat.waiting);
	table_number(table, PID, next->pid);
	table_number(table, ATTACHMENT, next->attachment);
}

/* A filter that waits to be attached: cells about an attachment stay empty. */
static void put_filter(struct table *table, const struct bfuse_next_filter *next)
{
	table_row(table);
	table_number(table, ALTITUDE, next->altitude);
	table_text(table, FILTER, next->name);
	table_text(table, STATE, next->rules ? "matching" : "idle");
	put_interest(table, &next->defaults);
	table_number(table, QUEUES, next->nr_queues);
	table_number(table, DEPTH, next->depth);
	table_number(table, PID, next->pid);
}

static int put_idle_filters(struct table *table, struct bfuse *bfuse, size_t *rows)
{
	struct bfuse_next_filter next = { .filter = 0 };
	int found;

	while ((found = bfuse_next_filter(bfuse, &next)) == 1) {
		if (!next.attachments) {
			put_filter(table, &next);
			++*rows;
		}
	}
	return found < 0 ? fail_library(bfuse) : 0;
}

enum { F_ALTITUDE, F_FILTER, F_PID, F_ATTACHMENTS, F_RULES, F_CALL_MS, F_OFFERED, F_UNANSWERED, F_COLUMNS };

static const struct column filter_columns[F_COLUMNS] = {
	[F_ALTITUDE] = { "ALTITUDE", true }, [F_FILTER] = { "FILTER", false },
	[F_PID] = { "PID", true },	     [F_ATTACHMENTS] = { "ATTACHMENTS", true },
	[F_RULES] = { "RULES", true },	     [F_CALL_MS] = { "CALL-MS", true },
	[F_OFFERED] = { "OFFERED", true },   [F_UNANSWERED] = { "UNANSWERED", true },
};

static int print_filters(struct bfuse *bfuse, bool json)
{
	struct table *table = table_new("filters", filter_columns, F_COLUMNS, json);
	struct bfuse_next_filter next = { .filter = 0 };
	int found;

	while ((found = bfuse_next_filter(bfuse, &next)) == 1) {
		table_row(table);
		table_number(table, F_ALTITUDE, next.altitude);
		table_text(table, F_FILTER, next.name);
		table_number(table, F_PID, next.pid);
		table_number(table, F_ATTACHMENTS, next.attachments);
		table_number(table, F_RULES, next.rules);
		table_number(table, F_CALL_MS, next.call_ms);
		table_number(table, F_OFFERED, next.offered);
		table_number(table, F_UNANSWERED, next.unanswered);
	}
	if (found < 0)
		return fail_library(bfuse);
	table_print(table);
	return 0;
}

static int print_list(struct bfuse *bfuse, const struct selection *selection, bool json)
{
	struct attachments all;
	struct table *table;
	int status = select_attachments(bfuse, selection, &all);
	size_t i, rows = all.count;

	if (status) {
		free(all.list);
		return status;
	}
	table = table_new("attachments", columns, COLUMNS, json);
	for (i = 0; i < all.count; i++)
		put_attachment(table, &all.list[i]);
	free(all.list);
	if (!selection->device)
		status = put_idle_filters(table, bfuse, &rows);
	if (!status && (rows || json))
		table_print(table);
	return status;
}

int list_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "filters", no_argument, NULL, 'f' },
						 { NULL, 0, NULL, 0 } };
	struct selection selection = { NULL, 0, NULL };
	struct bfuse *bfuse;
	bool json = false, filters = false;
	int id, status;

	opterr = 0;
	while ((id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		json |= id == 'j';
		filters |= id == 'f';
	}
	if (argc - optind > 1)
		return usage_error(argv[0], "%s: unexpected; one device at most", argv[optind + 1]);
	if (filters && optind < argc)
		return usage_error(argv[0], "%s: unexpected with --filters", argv[optind]);
	selection.device = argv[optind];
	bfuse = open_module(&status);
	if (!bfuse)
		return status;
	status = filters ? print_filters(bfuse, json) : print_list(bfuse, &selection, json);
	bfuse_free(bfuse);
	return status;
}
