// SPDX-License-Identifier: MIT
/*
 * A filter that detaches and owes an answer: owe DEVICE
 *
 * Prints "ready", when it has been given a request "owes", and when nobody waits for that any more "detached".
 */
#include "raw.h"

int main(int argc, char **argv)
{
	struct bfuse_detach detach = { .size = sizeof(detach) };
	struct raw r = raw_new(500, 1u << BFUSE_OP_WRITE);
	struct bfuse_request rq;
	struct bfuse_enter e;

	if (argc != 2)
		errx(2, "usage: owe DEVICE");
	setlinebuf(stdout);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	r.reg.features = BFUSE_F_EVENTS;
	r.reg.call_ms = 2000;
	raw_register(&r);
	if (raw_attach(&r, argv[1]))
		errx(1, "attach");
	puts("ready");
	raw_next(&r, &rq);
	detach.attachment = r.attachment;
	if (ioctl(r.fd, BFUSE_DETACH, &detach))
		err(1, "BFUSE_DETACH");
	puts("owes");
	do {
		while (!raw_pop(&r, 0, &rq))
			if (raw_enter(&r, &e, 1, 0))
				err(1, "BFUSE_ENTER");
	} while (rq.kind != BFUSE_EVENT || rq.op != BFUSE_EVENT_DETACHED);
	puts("detached");
	return 0;
}
