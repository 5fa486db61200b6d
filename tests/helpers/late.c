// SPDX-License-Identifier: MIT
/*
 * A filter that never answers the first request: late DEVICE...
 *
 * It is attached to all the devices, with two tags, passes what else comes, and never stops to wait for more. Prints "ready".
 */
#include "raw.h"

int main(int argc, char **argv)
{
	struct raw r = raw_new(500, 1u << BFUSE_OP_READ);
	struct bfuse_request rq;
	struct bfuse_enter e;
	bool first = true;
	int i;

	setlinebuf(stdout);
	r.reg.depth = 2;
	r.reg.slot_size = 0;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.defaults.deadline_ms = 500;
	raw_register(&r);
	for (i = 1; i < argc; i++)
		if (raw_attach(&r, argv[i]))
			errx(1, "attach to %s", argv[i]);
	puts("ready");
	for (;;) {
		while (raw_pop(&r, 0, &rq)) {
			if (rq.kind == BFUSE_REQUEST && !first)
				raw_push(&r, 0, &(struct bfuse_verdict){ .tag = rq.tag });
			first &= rq.kind != BFUSE_REQUEST;
		}
		if (raw_enter(&r, &e, 1, 0))
			errx(1, "BFUSE_ENTER: reason %u", e.reason);
	}
}
