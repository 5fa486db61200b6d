// SPDX-License-Identifier: MIT
/*
 * What has been marked: mark-list DEVICE SHIFT
 *
 * For each line of the standard input, "switch" or "merge", it switches generations so, and prints in a line what has changed in the
 * one that has ended: SECTOR+SECTORS each, "end" for a number that is all up to the end of the device.
 */
#include <bfuse.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int print(uint64_t sector, uint64_t sectors, void *user)
{
	(void)user;
	if (sector + sectors == UINT64_MAX)
		printf(" %llu+end", (unsigned long long)sector);
	else
		printf(" %llu+%llu", (unsigned long long)sector, (unsigned long long)sectors);
	return 0;
}

int main(int argc, char **argv)
{
	struct bfuse_register reg = {
		.name = "mark-list", .altitude = 500, .nr_queues = 1, .depth = 16, .known_ops = BFUSE_OPS_ALL,
		.unknown = BFUSE_POLICY_PASS, .features = BFUSE_F_MARK,
	};
	struct bfuse *bfuse = bfuse_new();
	struct bfuse_mark mark;
	uint32_t attachment;
	char line[16];

	if (argc != 3)
		errx(2, "usage: mark-list DEVICE SHIFT");
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (bfuse_open(bfuse) || bfuse_register(bfuse, &reg) || bfuse_attach(bfuse, argv[1], NULL, &attachment) ||
	    bfuse_mark_begin(bfuse, attachment, (unsigned int)atoi(argv[2]), 0, NULL))
		errx(1, "%s", bfuse_error(bfuse));
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		uint32_t flags = strcmp(line, "merge\n") ? 0 : BFUSE_MARK_MERGE;

		if (bfuse_mark_switch(bfuse, attachment, flags, &mark) || bfuse_mark_read(bfuse, &mark, print, NULL))
			errx(1, "%s", bfuse_error(bfuse));
		puts(" .");
	}
	bfuse_free(bfuse);
	return 0;
}
