// SPDX-License-Identifier: MIT
/*
 * A filter that passes everything, wants to hear of each completion, and prints the events of its attachment:
 * events --device DEVICE --altitude N
 *
 * Ends after "detached STATUS".
 */
#include "raw.h"

int main(int argc, char **argv)
{
	struct bfuse_request rq;
	struct bfuse_enter e;
	struct raw r;
	int ret;

	if (argc != 5 || strcmp(argv[1], "--device") || strcmp(argv[3], "--altitude"))
		errx(2, "usage: events --device DEVICE --altitude N");
	setlinebuf(stdout);
	r = raw_new(strtoul(argv[4], NULL, 10), BFUSE_OPS_ALL);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	ret = raw_attach(&r, argv[2]);
	if (ret)
		errx(1, "attach: %s", strerror(-ret));
	fprintf(stderr, "events: attached to %s\n", argv[2]);
	for (;;) {
		while (raw_pop(&r, 0, &rq)) {
			if (rq.kind == BFUSE_REQUEST)
				raw_push(&r, 0, &(struct bfuse_verdict){ .tag = rq.tag, .flags = BFUSE_VERDICT_NOTIFY });
			else if (rq.kind == BFUSE_EVENT && rq.op == BFUSE_EVENT_DETACHED)
				return printf("detached %d\n", rq.status) < 0;
		}
		ret = raw_enter(&r, &e, 1, 0);
		if (ret)
			errx(1, "BFUSE_ENTER: %s, reason %u", strerror(-ret), e.reason);
	}
}
