// SPDX-License-Identifier: GPL-2.0
/*
 * The filter that tests/bench/measure.sh measures: it passes everything, and does nothing else.
 *
 *	filter DEVICE none|pass|copy
 *
 * none: interested in no operation. pass: decides on the descriptor alone. copy: gets the data of each write before it
 * passes it, and of each read after (BFUSE_VERDICT_NOTIFY). Says "attached" when it is; ends when killed.
 *
 * On the bare ABI, but not better than the library's own loop: all requests that are there are answered by one
 * BFUSE_ENTER, which waits for the next ones too.
 */
#include "../helpers/raw.h"

#define DATA_OPS	(1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE)
#define LARGEST		131072	/* block of measure.sh */

static void serve(struct raw *r, bool copy)
{
	struct bfuse_request rq;
	struct bfuse_verdict v = { .type = BFUSE_PASS };
	struct bfuse_enter e;

	for (;;) {
		while (raw_pop(r, 0, &rq)) {
			if (rq.kind != BFUSE_REQUEST)
				continue;
			v.tag = rq.tag;
			v.flags = copy && rq.op == BFUSE_OP_READ ? BFUSE_VERDICT_NOTIFY : 0;
			raw_push(r, 0, &v);
		}
		if (raw_enter(r, &e, 1, 0))
			err(1, "BFUSE_ENTER");
	}
}

int main(int argc, char **argv)
{
	struct raw r;
	bool copy;
	int error;

	if (argc != 3 || !strstr(" none pass copy ", argv[2]))
		errx(2, "usage: filter DEVICE none|pass|copy");
	copy = !strcmp(argv[2], "copy");

	r = raw_new(500, strcmp(argv[2], "none") ? BFUSE_OPS_ALL : 0);
	r.reg.slot_size = copy ? LARGEST : 0;
	r.reg.defaults.payload = copy ? DATA_OPS : 0;
	r.reg.defaults.verdicts = 1u << BFUSE_PASS;
	raw_register(&r);
	error = raw_attach(&r, argv[1]);
	if (error)
		errx(1, "%s: %s", argv[1], strerror(-error));
	puts("attached");
	fflush(stdout);
	serve(&r, copy);
}
