// SPDX-License-Identifier: MIT
/*
 * A privileged process makes a filter and attaches it; its child, which has no privilege, serves it and tries what it must not:
 * privilege DEVICE COUNT
 *
 * Prints "ready", then passes COUNT requests.
 */
#include "raw.h"

#include <grp.h>
#include <sys/wait.h>

static void drop_privileges(void)
{
	if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
		err(1, "can't become nobody");
}

static void must_not(int fd, unsigned long call, void *arg, const char *name)
{
	if (!ioctl(fd, call, arg))
		errx(1, "%s works", name);
	if (errno != EPERM)
		err(1, "%s", name);
}

static void try_control(struct raw *r, int device)
{
	struct bfuse_attach attach = { .size = sizeof(attach), .flags = BFUSE_ATTACH_DEFAULTS, .fd = device };
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = r->attachment };
	struct bfuse_next next = { .size = sizeof(next) };
	struct bfuse_next_filter next_filter = { .size = sizeof(next_filter) };
	struct bfuse_register reg = r->reg;
	struct bfuse_info info = { .size = sizeof(info) };
	struct bfuse_match match = { .size = sizeof(match), .flags = BFUSE_MATCH_DISKS };
	struct bfuse_offer offer = { .size = sizeof(offer) };
	struct bfuse_answer answer = { .size = sizeof(answer) };

	must_not(r->fd, BFUSE_REGISTER, &reg, "BFUSE_REGISTER");
	must_not(r->fd, BFUSE_ATTACH, &attach, "BFUSE_ATTACH");
	must_not(r->fd, BFUSE_DETACH, &detach, "BFUSE_DETACH");
	must_not(r->fd, BFUSE_NEXT, &next, "BFUSE_NEXT");
	must_not(r->fd, BFUSE_NEXT_FILTER, &next_filter, "BFUSE_NEXT_FILTER");
	must_not(r->fd, BFUSE_MATCH, &match, "BFUSE_MATCH");
	/* These it may; only, nobody has asked. */
	if (!ioctl(r->fd, BFUSE_OFFER, &offer) || errno != ENOENT)
		err(1, "BFUSE_OFFER");
	if (!ioctl(r->fd, BFUSE_ANSWER, &answer) || errno != ENOENT)
		err(1, "BFUSE_ANSWER");
	if (ioctl(r->fd, BFUSE_GET_INFO, &info))
		err(1, "BFUSE_GET_INFO");
	if (open(BFUSE_PATH, O_RDWR) >= 0)
		errx(1, BFUSE_PATH " can be opened");
}

/* The mappings were not inherited. */
static void map_again(struct raw *r)
{
	r->map[0] = mmap(NULL, r->reg.queue_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->map[0] == MAP_FAILED)
		err(1, "mmap");
}

static void serve(struct raw *r, unsigned int count)
{
	struct bfuse_request rq;
	struct bfuse_enter e;

	while (count--) {
		raw_next(r, &rq);
		raw_push(r, 0, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
		if (raw_enter(r, &e, 0, 0))
			errx(1, "enter: reason %u", e.reason);
	}
}

int main(int argc, char **argv)
{
	struct raw r = raw_new(500, BFUSE_OPS_ALL);
	int device, status;

	if (argc != 3)
		errx(2, "usage: privilege DEVICE COUNT");
	setlinebuf(stdout);
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	raw_register(&r);
	device = open(argv[1], O_RDONLY);
	if (raw_attach(&r, argv[1]))
		errx(1, "attach");
	if (!fork()) {
		drop_privileges();
		try_control(&r, device);
		map_again(&r);
		puts("ready");
		serve(&r, strtoul(argv[2], NULL, 10));
		return 0;
	}
	close(r.fd);
	wait(&status);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}
