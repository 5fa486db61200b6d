// SPDX-License-Identifier: GPL-2.0
/*
 * Which attachments a command is about.
 */
#include "bfuse-tool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A path of a device node, or a kernel name: an orphan's device may be one that has no node any more. */
static int find_device(const char *device, dev_t *number)
{
	const char *wrong = "not a block device";
	struct stat st;

	*number = 0;
	if (stat(device, &st) < 0) {
		wrong = strerror(errno);
	} else if (S_ISBLK(st.st_mode)) {
		*number = st.st_rdev;
		return 0;
	}
	return strchr(device, '/') ? fail(BFUSE_EXIT_NO_DEVICE, "%s: %s; see: lsblk", device, wrong) : 0;
}

static bool is_selected(const struct bfuse_next *next, const struct selection *selection, dev_t number)
{
	if (selection->device && number && makedev(next->major, next->minor) != number)
		return false;
	if (selection->device && !number && strcmp(next->device, selection->device) != 0)
		return false;
	if (selection->altitude && next->altitude != selection->altitude)
		return false;
	return !selection->name || !strcmp(next->name, selection->name);
}

static int compare(const void *a, const void *b)
{
	const struct bfuse_next *x = a, *y = b;
	int order = strverscmp(x->device, y->device);

	return order ? order : (y->altitude > x->altitude) - (y->altitude < x->altitude);
}

static int add(struct attachments *all, const struct bfuse_next *next)
{
	struct bfuse_next *more = realloc(all->list, (all->count + 1) * sizeof(*more));

	if (!more)
		return fail(BFUSE_EXIT_OTHER, "no memory");
	all->list = more;
	more[all->count++] = *next;
	return 0;
}

/* No attachment has that kernel name: is there such a device? */
static int check_name(const char *device)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/block/%s", device);
	return !*device || access(path, F_OK) ? fail(BFUSE_EXIT_NO_DEVICE, "%s: no such device; see: lsblk", device) : 0;
}

int select_attachments(struct bfuse *bfuse, const struct selection *selection, struct attachments *all)
{
	struct bfuse_next next = { .attachment = 0 };
	dev_t number = 0;
	int found, status = 0;

	all->list = NULL;
	all->count = 0;
	if (selection->device)
		status = find_device(selection->device, &number);
	while (!status && (found = bfuse_next_attachment(bfuse, &next)) != 0) {
		if (found < 0)
			status = fail_library(bfuse);
		else if (is_selected(&next, selection, number))
			status = add(all, &next);
	}
	if (!status && selection->device && !number && !all->count)
		status = check_name(selection->device);
	if (all->count)
		qsort(all->list, all->count, sizeof(*all->list), compare);
	return status;
}
