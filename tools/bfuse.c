// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse: see and change who filters which device.
 */
#include "bfuse-tool.h"

#include <string.h>

static const struct command commands[] = {
	{ "list", "[--json] [--filters | DEVICE]", "attachments, and filters without any; or all filters", list_main },
	{ "stat", "[--json] [--all] [--interval S] [--count N] [DEVICE]", "counters; repeated: per second", stat_main },
	{ "attach", "DEVICE --filter NAME [--pid N] [--drain] [--drain-timeout MS]", "put a running filter on a further device", attach_main },
	{ "detach", "DEVICE [--altitude N] [--name NAME] [--all] [--wait]", "end attachments", detach_main },
	{ "events", "[--json] [--all | --past]", "what happens to filters, as it happens; with what was before, or only that",
	  events_main },
	{ "explain", "[--json] DEVICE", "what of its I/O crosses to which filter, what doesn't, and why", explain_main },
	{ "features", "[--json]", "what the kernel module can do", features_main },
};

static int usage(FILE *out, int status)
{
	size_t i;

	fprintf(out, "usage:\n");
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  bfuse %s %s\n        %s\n", commands[i].name, commands[i].arguments, commands[i].help);
	fprintf(out,
		"\nExit status: 0 ok, 1 other, 2 usage, 3 module not loaded, 4 not permitted, 5 no such block device,\n"
		"6 altitude taken, 7 other ABI, 8 device can't be filtered, 9 no such attachment or filter,\n"
		"10 can't intercept.\n");
	return status;
}

/* A full disk or a closed pipe must not look like success. */
static int finish_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	return status ? status : fail(BFUSE_EXIT_OTHER, "standard output: can't write");
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2)
		return usage(stderr, BFUSE_EXIT_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help"))
		return finish_output(usage(stdout, BFUSE_EXIT_OK));
	if (!strcmp(argv[1], "--version")) {
		printf("bfuse " VERSION ", ABI %d\n", BFUSE_ABI_VERSION);
		return finish_output(BFUSE_EXIT_OK);
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[1], commands[i].name) && argc == 3 && !strcmp(argv[2], "--help"))
			return finish_output(usage(stdout, BFUSE_EXIT_OK));
		if (!strcmp(argv[1], commands[i].name))
			return finish_output(commands[i].run(argc - 1, argv + 1));
	}
	return fail(BFUSE_EXIT_USAGE, "%s: no such command; see: bfuse --help", argv[1]);
}
