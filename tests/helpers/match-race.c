// SPDX-License-Identifier: MIT
/*
 * A rule that comes while the devices that are there are looked at for another: match-race NAME FILTERS
 *
 * Again and again, a filter makes a rule that matches nothing, and a moment later one for NAME, which it must be offered.
 */
#include <sys/prctl.h>

#include "raw.h"

static void match(struct raw *r, const char *name)
{
	struct bfuse_match m = { .size = sizeof(m), .flags = BFUSE_MATCH_DISKS };

	strncpy(m.name, name, sizeof(m.name) - 1);
	if (ioctl(r->fd, BFUSE_MATCH, &m))
		err(1, "BFUSE_MATCH");
}

static void decline(struct raw *r, uint64_t cookie)
{
	struct bfuse_answer a = { .size = sizeof(a), .answer = BFUSE_ANSWER_DECLINE, .cookie = cookie };

	if (ioctl(r->fd, BFUSE_ANSWER, &a))
		err(1, "BFUSE_ANSWER");
}

/* Until so many rules have been seen to. */
static unsigned int offers(struct raw *r, uint64_t rules)
{
	struct bfuse_request rq = {};
	unsigned int count = 0;
	struct bfuse_enter e;

	while (rq.kind != BFUSE_EVENT || rq.op != BFUSE_EVENT_MATCHED || rq.tag != rules) {
		if (!raw_pop(r, 0, &rq)) {
			if (raw_enter(r, &e, 1, 0))
				err(1, "BFUSE_ENTER");
		} else if (rq.kind == BFUSE_EVENT && rq.op == BFUSE_EVENT_OFFERED) {
			decline(r, rq.tag);
			count++;
		}
	}
	return count;
}

/* As often as a filter may have such rules. */
static unsigned int missed_by_one(const char *name)
{
	struct raw r = raw_new(100, 0);
	unsigned int missed = 0;

	r.reg.features = BFUSE_F_EVENTS;
	raw_register(&r);
	for (unsigned int rules = 2; rules <= BFUSE_RULES_MAX; rules += 2) {
		match(&r, "none");
		/* The worker may have to run on this CPU. */
		usleep(random() % 300);
		match(&r, name);
		missed += !offers(&r, rules);
	}
	munmap(r.map[0], r.reg.queue_bytes);
	close(r.fd);
	return missed;
}

int main(int argc, char **argv)
{
	unsigned int missed = 0;

	if (argc != 3)
		errx(2, "usage: match-race NAME FILTERS");
	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < atoi(argv[2]); i++)
		missed += missed_by_one(argv[1]);
	printf("%u missed\n", missed);
	return !!missed;
}
