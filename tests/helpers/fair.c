// SPDX-License-Identifier: MIT
/*
 * One tag for two devices: fair DEVICE DEVICE COUNT
 *
 * Prints "attached", waits until COUNT writes wait at each device, then serves all. The devices must have taken turns.
 */
#include "raw.h"

static uint32_t attachments[2];

static void attach(struct raw *r, int i, const char *device)
{
	int ret = raw_attach(r, device);

	if (ret)
		errx(1, "attach: %s", strerror(-ret));
	attachments[i] = r->attachment;
}

static uint32_t pending(struct raw *r, int i)
{
	struct bfuse_next next = { .size = sizeof(next), .attachment = attachments[i] - 1 };

	if (ioctl(r->fd, BFUSE_NEXT, &next) || next.attachment != attachments[i])
		err(1, "BFUSE_NEXT");
	return next.stat.waiting + next.stat.inflight;
}

int main(int argc, char **argv)
{
	unsigned int count, run = 0, longest = 0, served[2] = { 0, 0 };
	struct bfuse_request rq;
	struct bfuse_enter e;
	int last = -1;
	struct raw r;

	if (argc != 4)
		errx(2, "usage: fair DEVICE DEVICE COUNT");
	setlinebuf(stdout);
	count = strtoul(argv[3], NULL, 10);
	r = raw_new(500, 1u << BFUSE_OP_WRITE);
	r.reg.depth = 1;
	r.reg.defaults.deadline_ms = 60000;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	attach(&r, 0, argv[1]);
	attach(&r, 1, argv[2]);
	puts("attached");
	while (pending(&r, 0) < count || pending(&r, 1) < count)
		usleep(10000);
	while (served[0] < count || served[1] < count) {
		int i;

		raw_next(&r, &rq);
		i = rq.attachment == attachments[1];
		served[i]++;
		run = i == last ? run + 1 : 1;
		last = i;
		if (served[!i] < count && run > longest)
			longest = run;
		raw_push(&r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
		if (raw_enter(&r, &e, 0, 0))
			errx(1, "verdict refused, reason %u", e.reason);
	}
	printf("served %u and %u, at most %u in a row\n", served[0], served[1], longest);
	return longest > 2;
}
