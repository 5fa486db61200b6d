// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse detach
 */
#include "bfuse-tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

/* Those that are on their way out don't make it unclear who is meant. */
static int check_count(const struct selection *selection, const struct attachments *all, bool many)
{
	const struct bfuse_next *staying[2];
	size_t i, n = 0;

	for (i = 0; i < all->count && n < 2; i++)
		if (all->list[i].state != BFUSE_STATE_LEAVING)
			staying[n++] = &all->list[i];
	if (!all->count)
		return fail(BFUSE_EXIT_NOT_FOUND, "%s: not filtered%s; see: bfuse list", selection->device,
			    selection->altitude || selection->name ? " so" : "");
	if (n > 1 && !many)
		return fail(
			BFUSE_EXIT_USAGE,
			"%s: filtered by \"%s\" at altitude %u and \"%s\" at altitude %u; choose with --altitude or --all",
			selection->device, staying[0]->name, staying[0]->altitude, staying[1]->name,
			staying[1]->altitude);
	return 0;
}

/* From the highest to the lowest, all at once; only then wait. One that is gone meanwhile is what we wanted. */
static int detach_each(struct bfuse *bfuse, const struct attachments *all, uint32_t flags)
{
	size_t i;
	int err;

	for (i = 0; i < all->count; i++) {
		err = bfuse_detach(bfuse, all->list[i].attachment, flags);
		if (err && err != -ENOENT)
			return fail_library(bfuse);
	}
	return 0;
}

static int detach(const struct selection *selection, bool many, bool wait)
{
	struct attachments all;
	int status;
	struct bfuse *bfuse = open_module(&status);

	if (!bfuse)
		return status;
	status = select_attachments(bfuse, selection, &all);
	if (!status)
		status = check_count(selection, &all, many);
	if (!status)
		status = detach_each(bfuse, &all, 0);
	if (!status && wait)
		status = detach_each(bfuse, &all, BFUSE_DETACH_WAIT);
	free(all.list);
	bfuse_free(bfuse);
	return status;
}

int detach_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "altitude", required_argument, NULL, 'a' },
		{ "name", required_argument, NULL, 'n' },
		{ "all", no_argument, NULL, 'A' },
		{ "wait", no_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	struct selection selection = { NULL, 0, NULL };
	bool many = false, wait = false;
	int id, status = 0;

	opterr = 0;
	while (!status && (id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		if (id == 'a')
			status = parse_number(argv[0], "altitude", optarg, BFUSE_ALTITUDE_MIN, BFUSE_ALTITUDE_MAX,
					      &selection.altitude);
		else if (id == 'n')
			selection.name = optarg;
		else if (id == 'A')
			many = true;
		else
			wait = true;
	}
	if (status)
		return status;
	if (argc - optind != 1)
		return usage_error(argv[0], "one DEVICE is wanted; see: bfuse list");
	selection.device = argv[optind];
	return detach(&selection, many, wait);
}
