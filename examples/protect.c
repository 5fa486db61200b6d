// SPDX-License-Identifier: MIT
/*
 * Write protection for ranges of sectors, in force while the device is in use.
 *
 *	protect --device /dev/vda --range 0+2048 --range 4096+8
 *
 * A request that touches a range with as much as one sector is refused whole. Reads and flushes never cross. The ranges
 * count from the start of the device named; with several devices they hold for each.
 *
 * Operations on zones name only where the zone begins, not how long it is: so one that begins at or below the end of a
 * range is refused, as the zone may reach into it. What can't be judged (operations on all zones, or unknown to this
 * version) is always refused.
 */
#include <bfuse.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct range {
	uint64_t first; /* sectors of 512 bytes */
	uint64_t count; /* at least 1 */
};

struct protect {
	struct range *ranges;
	unsigned int nr_ranges;
	int error;
};

static bool overlaps(const struct range *range, uint64_t first, uint64_t count)
{
	/* By differences: the ends of both may lie beyond 2^64. */
	return first < range->first ? count > range->first - first : first - range->first < range->count;
}

static bool touches(const struct protect *protect, uint64_t first, uint64_t count)
{
	unsigned int i;

	for (i = 0; i < protect->nr_ranges; i++) {
		if (overlaps(&protect->ranges[i], first, count))
			return true;
	}
	return false;
}

static int modify(struct bfuse_io *io, void *user)
{
	const struct protect *protect = user;

	return touches(protect, io->request.sector, io->request.length >> 9) ? protect->error : BFUSE_REPLY_PASS;
}

static int modify_zone(struct bfuse_io *io, void *user)
{
	const struct protect *protect = user;

	return touches(protect, io->request.sector, UINT64_MAX) ? protect->error : BFUSE_REPLY_PASS;
}

static int refuse(struct bfuse_io *io, void *user)
{
	const struct protect *protect = user;

	(void)io;
	return protect->error;
}

/* A number and what follows it; false if there is none, or it is beyond 2^64. */
static bool parse_number(const char **text, uint64_t *number)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*number = strtoull(*text, &end, bfuse_number_base(*text));
	*text = end;
	return !errno;
}

static bool parse_range(const char *text, struct range *range)
{
	return parse_number(&text, &range->first) && *text++ == '+' && parse_number(&text, &range->count) && !*text &&
	       range->count && range->first + (range->count - 1) >= range->first;
}

static const char *add_range(struct protect *protect, const char *text)
{
	struct range range, *more;

	if (!parse_range(text, &range))
		return "FIRST+COUNT in sectors of 512 bytes is wanted, such as 2048+8";
	more = realloc(protect->ranges, (protect->nr_ranges + 1) * sizeof(*more));
	if (!more)
		return strerror(ENOMEM);
	protect->ranges = more;
	more[protect->nr_ranges++] = range;
	return NULL;
}

static const char *set_error(struct protect *protect, const char *name)
{
	if (!strcmp(name, "EIO"))
		protect->error = -EIO;
	else if (!strcmp(name, "EROFS"))
		protect->error = -EROFS;
	else if (!strcmp(name, "ENOSPC"))
		protect->error = -ENOSPC;
	else
		return "EIO, EROFS or ENOSPC is wanted";
	return NULL;
}

static const char *option(const char *name, const char *value, void *user)
{
	return !strcmp(name, "range") ? add_range(user, value) : set_error(user, value);
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	const struct protect *protect = user;

	(void)reg;
	return protect->nr_ranges ? NULL : "nothing to protect; use --range FIRST+COUNT";
}

static const struct bfuse_option options[] = {
	{ "range", "FIRST+COUNT", "sectors to protect; repeat it for several" },
	{ "errno", "NAME", "what writers get: EIO (default) or ENOSPC; EROFS comes to them as EIO" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	static const struct bfuse_filter filter = {
		.size = sizeof(filter),
		.name = "protect",
		.altitude = 600,
		.summary = "Refuses whatever would change the given sectors.",
		.completes = true,
		.unknown = BFUSE_POLICY_ERROR,
		.write = modify,
		.discard = modify,
		.secure_erase = modify,
		.write_zeroes = modify,
		.zone_append = modify_zone,
		.zone_reset = modify_zone,
		.zone_finish = modify_zone,
		.zone_reset_all = refuse,
		.other = refuse,
		.options = options,
		.option = option,
		.configure = configure,
	};
	struct protect protect = { .error = -EIO };
	int status = bfuse_main(argc, argv, &filter, &protect);

	free(protect.ranges);
	return status;
}
