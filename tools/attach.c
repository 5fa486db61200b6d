// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse attach
 */
#include "bfuse-tool.h"

#include <getopt.h>
#include <string.h>

/* The one filter of that name (and process): 0 and *@filter, or enum bfuse_exit after a line. */
static int find_filter(struct bfuse *bfuse, const char *name, uint32_t pid, uint32_t *filter)
{
	struct bfuse_next_filter next = { .filter = 0 };
	uint32_t first_pid = 0, flags = 0;
	unsigned int matches = 0;
	int found;

	while ((found = bfuse_next_filter(bfuse, &next)) == 1) {
		if (strcmp(next.name, name) != 0 || (pid && next.pid != pid))
			continue;
		if (matches++)
			return fail(BFUSE_EXIT_USAGE,
				    "%s: several filters have this name (pid %u, pid %u); choose with --pid", name,
				    first_pid, next.pid);
		first_pid = next.pid;
		flags = next.flags;
		*filter = next.filter;
	}
	if (found < 0)
		return fail_library(bfuse);
	if (!matches)
		return fail(BFUSE_EXIT_NOT_FOUND, "%s: no filter of this name%s; see: bfuse list", name,
			    pid ? " and process" : "");
	if (!(flags & BFUSE_FILTER_ATTACHABLE))
		return fail(BFUSE_EXIT_PERMISSION, "%s: doesn't let others attach it; start it with --attachable",
			    name);
	return 0;
}

struct request {
	const char *name;
	uint32_t pid;
	bool drain;
	uint32_t drain_ms;
};

static int attach(const char *device, const struct request *request)
{
	uint32_t filter = 0;
	int status, err = 0;
	struct bfuse *bfuse = open_module(&status);

	if (!bfuse)
		return status;
	status = find_filter(bfuse, request->name, request->pid, &filter);
	if (!status && request->drain)
		err = bfuse_attach_other_drained(bfuse, device, filter, request->drain_ms, NULL, NULL);
	else if (!status)
		err = bfuse_attach_other(bfuse, device, filter, NULL);
	if (err)
		status = fail_library(bfuse);
	bfuse_free(bfuse);
	return status;
}

int attach_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "filter", required_argument, NULL, 'f' },
		{ "pid", required_argument, NULL, 'p' },
		{ "drain", no_argument, NULL, 'd' },
		{ "drain-timeout", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct request request = { .name = NULL };
	int id, status = 0;

	opterr = 0;
	while (!status && (id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		if (id == 'f')
			request.name = optarg;
		else if (id == 'd')
			request.drain = true;
		else if (id == 't')
			status = parse_number(argv[0], "drain-timeout", optarg, 1, BFUSE_DEADLINE_MAX, &request.drain_ms);
		else
			status = parse_number(argv[0], "pid", optarg, 1, INT32_MAX, &request.pid);
	}
	if (status)
		return status;
	if (request.drain_ms && !request.drain)
		return usage_error(argv[0], "--drain-timeout makes sense only with --drain");
	if (argc - optind != 1 || !request.name)
		return usage_error(argv[0], "one DEVICE and --filter NAME are wanted; see: bfuse list");
	return attach(argv[optind], &request);
}
