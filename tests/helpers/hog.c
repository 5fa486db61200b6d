// SPDX-License-Identifier: MIT
/*
 * A filter that takes requests and does not answer: hog DEVICE ALTITUDE POLICY COUNT ACTION [DEADLINE [HOLD]]
 *
 * Prints "attached"; when COUNT requests are with it prints "full" and does ACTION:
 *	exit	without detaching		close	the file, with the queues still mapped
 *	unmap	the queues, and stays		fork	a child, whose id it prints, inherits the file; the parent exits
 *	sleep	and never comes back		stop	by SIGSTOP; after SIGCONT answers all, prints "answered"
 *	answer	half of them and sleeps
 * Deadline and hold are in milliseconds, 1 s each if not given.
 */
#include <signal.h>
#include <sys/wait.h>

#include "raw.h"

static uint32_t policy_of(const char *name)
{
	static const char *const names[] = { "default", "pass", "error", "hold" };

	for (uint32_t i = 0; i < 4; i++)
		if (!strcmp(name, names[i]))
			return i;
	errx(2, "%s: no such policy", name);
}

static void answer(struct raw *r, const struct bfuse_request *rqs, unsigned int count)
{
	struct bfuse_enter e;

	for (unsigned int i = 0; i < count; i++)
		raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rqs[i].tag });
	if (raw_enter(r, &e, 0, 0) || e.verdicts != count)
		errx(1, "answered %u of %u, reason %u", e.verdicts, count, e.reason);
	puts("answered");
}

static void leave_to_child(void)
{
	pid_t pid = fork();

	if (!pid)
		return;
	printf("child %d\n", pid);
	_exit(0);
}

static void act(struct raw *r, const char *action, const struct bfuse_request *rqs, unsigned int count)
{
	if (!strcmp(action, "exit"))
		_exit(0);
	if (!strcmp(action, "close"))
		close(r->fd);
	else if (!strcmp(action, "unmap"))
		munmap(r->map[0], r->reg.queue_bytes);
	else if (!strcmp(action, "fork"))
		leave_to_child();
	else if (!strcmp(action, "stop"))
		raise(SIGSTOP), answer(r, rqs, count);
	else if (!strcmp(action, "answer"))
		answer(r, rqs, count / 2);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	struct bfuse_request *rqs;
	unsigned int count;
	struct raw r;
	int ret;

	if (argc < 6 || argc > 8)
		errx(2, "usage: hog DEVICE ALTITUDE POLICY COUNT ACTION [DEADLINE [HOLD]]");
	setlinebuf(stdout);
	count = strtoul(argv[4], NULL, 10);
	rqs = calloc(count, sizeof(*rqs));
	r = raw_new(strtoul(argv[2], NULL, 10), 1u << BFUSE_OP_WRITE);
	r.reg.defaults.policy = policy_of(argv[3]);
	r.reg.defaults.deadline_ms = argc > 6 ? strtoul(argv[6], NULL, 10) : 1000;
	if (r.reg.defaults.policy == BFUSE_POLICY_HOLD)
		r.reg.defaults.hold_ms = argc > 7 ? strtoul(argv[7], NULL, 10) : 1000;
	raw_register(&r);
	ret = raw_attach(&r, argv[1]);
	if (ret)
		errx(1, "attach: %s", strerror(-ret));
	puts("attached");
	for (unsigned int i = 0; i < count; i++)
		raw_next(&r, &rqs[i]);
	puts("full");
	act(&r, argv[5], rqs, count);
	return 0;
}
