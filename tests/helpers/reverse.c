// SPDX-License-Identifier: MIT
/*
 * A filter that takes COUNT writes and then lets them go in reverse order: reverse DEVICE COUNT
 *
 * Prints "attached", then "answered".
 */
#include "raw.h"

int main(int argc, char **argv)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_WRITE);
	struct bfuse_request *rqs;
	struct bfuse_enter e;
	unsigned int count;

	if (argc != 3)
		errx(2, "usage: reverse DEVICE COUNT");
	setlinebuf(stdout);
	count = strtoul(argv[2], NULL, 10);
	rqs = calloc(count, sizeof(*rqs));
	r.reg.depth = 1024;
	r.reg.slot_size = 0;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	if (raw_attach(&r, argv[1]))
		errx(1, "attach");
	puts("attached");
	for (unsigned int i = 0; i < count; i++)
		raw_next(&r, &rqs[i]);
	for (unsigned int i = count; i--;)
		raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rqs[i].tag });
	if (raw_enter(&r, &e, 0, 0))
		errx(1, "enter: reason %u", e.reason);
	puts("answered");
	return 0;
}
