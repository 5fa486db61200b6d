// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse explain: of the I/O of a device, what crosses to which filter, what doesn't, and why.
 */
#include "bfuse-tool.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { DEVICE, ALTITUDE, FILTER, OP, CROSSES, WHY, COLUMNS };

static const struct column columns[COLUMNS] = {
	[DEVICE] = { "DEVICE", false }, [ALTITUDE] = { "ALTITUDE", true }, [FILTER] = { "FILTER", false },
	[OP] = { "OP", false },		[CROSSES] = { "CROSSES", false },  [WHY] = { "WHY", false },
};

/* What becomes of the requests of a filter that does not serve now. */
static const char *by_policy(const struct bfuse_next *next, const char **crosses)
{
	switch (next->interest.policy) {
	case BFUSE_POLICY_ERROR:
		*crosses = "fails";
		return next->state == BFUSE_STATE_ORPHAN ? "the filter died; policy error, until it is replaced or detached" :
							   "the filter does not answer; policy error, until it does";
	case BFUSE_POLICY_HOLD:
		*crosses = "waits";
		return next->state == BFUSE_STATE_ORPHAN ? "the filter died; policy hold: for a successor, then the fallback" :
							   "the filter does not answer; policy hold, then the fallback";
	default:
		*crosses = "no";
		return "the filter does not answer; policy pass, until it does";
	}
}

static const char *explain_op(const struct bfuse_next *next, unsigned int op, const char **crosses)
{
	*crosses = "no";
	if (!(next->interest.ops & 1u << op))
		return "of no interest to the filter";
	if (next->state == BFUSE_STATE_LEAVING)
		return "the filter is being detached";
	if (next->state != BFUSE_STATE_LIVE)
		return by_policy(next, crosses);
	*crosses = "yes";
	return next->interest.payload & 1u << op ? "wanted, with a copy of its data" : "wanted; descriptor only, no data are copied";
}

static void put(struct table *table, const struct bfuse_next *next, const char *op, const char *crosses, const char *why)
{
	table_row(table);
	table_text(table, DEVICE, next->device);
	table_number(table, ALTITUDE, next->altitude);
	table_text(table, FILTER, next->name);
	table_text(table, OP, op);
	table_text(table, CROSSES, crosses);
	table_text(table, WHY, why);
}

static const char *describe_limits(const struct bfuse_next *next, char *text, size_t size)
{
	const struct bfuse_interest *interest = &next->interest;

	if (interest->policy == BFUSE_POLICY_HOLD)
		snprintf(text, size, "%s; policy hold: after %u ms late, or dead, %u ms for a successor, then %s",
			 bfuse_state_name(next->state), interest->deadline_ms, interest->hold_ms,
			 bfuse_policy_name(interest->fallback));
	else
		snprintf(text, size, "%s; policy %s: when %u ms late, or dead", bfuse_state_name(next->state),
			 bfuse_policy_name(interest->policy), interest->deadline_ms);
	return text;
}

static const char *describe_counters(const struct bfuse_stat *stat, char *text, size_t size)
{
	snprintf(text, size,
		 "so far %" PRIu64 " seen, %" PRIu64 " bypassed, %" PRIu64 " delivered, %" PRIu64 " timed out; now %u wait, %u with it",
		 (uint64_t)stat->seen, (uint64_t)stat->bypassed, (uint64_t)stat->delivered, (uint64_t)stat->timeouts,
		 stat->waiting, stat->with_filter);
	return text;
}

/* What else must be true of a request to cross. */
static void put_condition(struct table *table, const struct bfuse_next *next, bool except, const char *what)
{
	char text[300];

	snprintf(text, sizeof(text), "%s %s", except ? "all but what" : "only what", what);
	put(table, next, "all", "if", text);
}

static void put_submitter(struct table *table, const struct bfuse_next *next)
{
	const struct bfuse_interest *interest = &next->interest;
	char text[256] = "has one of the flags";
	unsigned int bit;
	size_t n;

	for (bit = 0; bit < 32; bit++) {
		n = strlen(text);
		if (interest->flags & 1u << bit && bfuse_flag_name(bit))
			snprintf(text + n, sizeof(text) - n, " %s", bfuse_flag_name(bit));
	}
	if (interest->flags)
		put_condition(table, next, false, text);
	snprintf(text, sizeof(text), "process %u submits", interest->process);
	if (interest->process)
		put_condition(table, next, interest->except & BFUSE_EXCEPT_PROCESS, text);
	snprintf(text, sizeof(text), "is charged to cgroup %llu or one below it", (unsigned long long)interest->cgroup);
	if (interest->cgroup)
		put_condition(table, next, interest->except & BFUSE_EXCEPT_CGROUP, text);
}

static void put_places(struct table *table, const struct bfuse_next *next)
{
	char text[256];

	snprintf(text, sizeof(text), "touches one of %u ranges, or has no length", next->ranges);
	if (next->ranges)
		put_condition(table, next, false, text);
	snprintf(text, sizeof(text), "touches a chunk of %u KiB whose bit the filter has set, or has no length",
		 next->chunk_shift ? 1u << (next->chunk_shift - 10) : 0);
	if (next->chunk_shift)
		put_condition(table, next, false, text);
	snprintf(text, sizeof(text), "the kernel marks chunks of %u KiB that change; nothing crosses for that",
		 next->mark_shift ? 1u << (next->mark_shift - 10) : 0);
	if (next->mark_shift)
		put(table, next, "all", "no", text);
}

/* Operations of the same fate share a line. */
static void put_attachment(struct table *table, const struct bfuse_next *next)
{
	uint32_t left = BFUSE_OPS_ALL;
	char ops[256], text[256];

	while (left) {
		unsigned int op, first = (unsigned int)__builtin_ctz(left);
		const char *crosses, *why = explain_op(next, first, &crosses);
		uint32_t same = 0;

		for (op = first; op < BFUSE_OP_COUNT; op++) {
			const char *other;

			if (left & 1u << op && explain_op(next, op, &other) == why)
				same |= 1u << op;
		}
		left &= ~same;
		put(table, next, bfuse_ops_format(same, ops, sizeof(ops)), crosses, why);
	}
	put_submitter(table, next);
	put_places(table, next);
	/* A dead one has no I/O, and its number may be another's by now. */
	if (next->state != BFUSE_STATE_ORPHAN) {
		snprintf(text, sizeof(text), "a filter does not see the I/O of its own process, %u", next->pid);
		put(table, next, "any", "no", text);
	}
	put(table, next, "all", "", describe_limits(next, text, sizeof(text)));
	put(table, next, "all", "", describe_counters(&next->stat, text, sizeof(text)));
}

/* Its directory in sysfs; @device is a path or, as for the other commands, a kernel name. */
static void sysfs_of(const char *device, char *directory, size_t size)
{
	struct stat st;

	if (stat(device, &st) == 0 && S_ISBLK(st.st_mode))
		snprintf(directory, size, "/sys/dev/block/%u:%u", major(st.st_rdev), minor(st.st_rdev));
	else
		snprintf(directory, size, "/sys/class/block/%s", device);
}

/* The whole disk that @device is a partition of, by its kernel name; false for a disk. */
static bool whole_disk(const char *device, char *disk, size_t size)
{
	char link[256], target[512], partition[512], *end;
	ssize_t n;

	sysfs_of(device, link, sizeof(link));
	snprintf(partition, sizeof(partition), "%s/partition", link);
	if (access(partition, F_OK) < 0)
		return false;
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	end = strrchr(target, '/');
	if (!end)
		return false;
	*end = '\0';
	end = strrchr(target, '/');
	snprintf(disk, size, "%.*s", (int)size - 1, end ? end + 1 : target);
	return true;
}

/* Returns how many attachments there were, or -1 after a line, with *@status set. */
static int put_device(struct table *table, struct bfuse *bfuse, const char *device, int *status)
{
	struct selection selection = { .device = device };
	struct attachments all;
	size_t i;

	*status = select_attachments(bfuse, &selection, &all);
	for (i = 0; !*status && i < all.count; i++)
		put_attachment(table, &all.list[i]);
	free(all.list);
	return *status ? -1 : (int)all.count;
}

static int explain(struct bfuse *bfuse, const char *device, bool json)
{
	struct table *table = table_new("explain", columns, COLUMNS, json);
	struct bfuse_info info;
	char disk[256];
	int status, more = 0;
	int found = put_device(table, bfuse, device, &status);

	/* A bio meets the filters of its partition, then those of the disk. */
	if (found >= 0 && whole_disk(device, disk, sizeof(disk)))
		more = put_device(table, bfuse, disk, &status);
	if (found < 0 || more < 0)
		return status;
	if (found + more || json)
		table_print(table);
	if (json)
		return BFUSE_EXIT_OK;
	if (!(found + more))
		printf("%s: nothing crosses, no filter is attached to it (its partitions have their own); bfuse attach says if its driver can't be filtered\n",
		       device);
	if (bfuse_get_info(bfuse, &info))
		return fail_library(bfuse);
	printf("The hook is %s, for %u attachments on all devices.\n", info.hooked ? "active" : "not active", info.attachments);
	printf("Never seen by any filter: passthrough requests (SG_IO, NVMe commands), and what the block layer itself refuses.\n");
	return BFUSE_EXIT_OK;
}

int explain_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 } };
	struct bfuse *bfuse;
	bool json = false;
	int id, status;

	opterr = 0;
	while ((id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		json = true;
	}
	if (argc - optind != 1)
		return usage_error(argv[0], "one device is wanted; see: lsblk");
	bfuse = open_module(&status);
	if (!bfuse)
		return status;
	status = explain(bfuse, argv[optind], json);
	bfuse_free(bfuse);
	return status;
}
