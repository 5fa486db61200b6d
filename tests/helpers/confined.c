// SPDX-License-Identifier: MIT
/*
 * A filter that passes what it sees and at the first request does something that a filter has no business to do:
 * confined --device PATH --do ACTION [--confine]
 *
 * "did ACTION RESULT" on stdout: it lived to tell.
 */
#include <bfuse.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *action = "nothing";
static struct bfuse_confinement more = { .size = sizeof(more) };
static int module;

static long call(unsigned long request, void *arg)
{
	return ioctl(module, request, arg);
}

static long try_attach(void)
{
	struct bfuse_attach attach = { .size = sizeof(attach), .flags = BFUSE_ATTACH_DEFAULTS, .fd = -1 };

	return call(BFUSE_ATTACH, &attach);
}

static long try_detach(void)
{
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = 1 };

	return call(BFUSE_DETACH, &detach);
}

static long try_list(void)
{
	struct bfuse_next next = { .size = sizeof(next) };

	return call(BFUSE_NEXT, &next);
}

static long try_list_filters(void)
{
	struct bfuse_next_filter next = { .size = sizeof(next) };

	return call(BFUSE_NEXT_FILTER, &next);
}

/* Allowed, and refused for its size. */
static long try_enter(void)
{
	struct bfuse_enter enter = { .size = 1 };

	return call(BFUSE_ENTER, &enter);
}

static long try_open(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static long try_raw_open(void)
{
#ifdef SYS_open
	return syscall(SYS_open, "/etc/passwd", O_RDONLY);
#else
	return try_open();
#endif
}

static long try_module(void)
{
	return open(BFUSE_PATH, O_RDWR);
}

static long try_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static long try_fork(void)
{
	return syscall(SYS_clone, 17 /* SIGCHLD */, NULL, NULL, NULL, NULL);
}

static long try_exec(void)
{
	return execl("/bin/true", "true", NULL);
}

static long try_kill(void)
{
	return syscall(SYS_kill, 1, 0);
}

static long try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static long try_ring(void)
{
	return syscall(SYS_io_uring_setup, 8, NULL);
}

static long try_dup(void)
{
	return dup(0);
}

/* Says to its guardian that it is gone. */
static long try_feign(void)
{
	for (int fd = 3; fd < 64; fd++)
		shutdown(fd, SHUT_WR);
	return 0;
}

static const struct {
	const char *name;
	long (*try)(void);
} actions[] = {
	{ "attach", try_attach }, { "detach", try_detach }, { "list", try_list },     { "list-filters", try_list_filters },
	{ "enter", try_enter },	  { "open", try_open },	    { "raw-open", try_raw_open }, { "module", try_module },
	{ "socket", try_socket }, { "fork", try_fork },	    { "exec", try_exec },     { "kill", try_kill },
	{ "code", try_code },	  { "ring", try_ring },	    { "dup", try_dup },
	{ "feign", try_feign },
};

static void act(void)
{
	for (unsigned int i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (!strcmp(actions[i].name, action)) {
			errno = 0;
			long result = actions[i].try();

			printf("did %s %ld %s\n", action, result, strerror(errno));
		}
}

static int see(struct bfuse_io *io, void *user)
{
	static atomic_flag acted = ATOMIC_FLAG_INIT;

	(void)io, (void)user;
	if (!atomic_flag_test_and_set(&acted))
		act();
	return BFUSE_REPLY_PASS;
}

static void attached(const struct bfuse_next *attachment, void *user)
{
	(void)user;
	printf("attached %s by %d\n", attachment->device, getpid());
}

static void detached(uint32_t attachment, int status, void *user)
{
	(void)user, (void)attachment;
	printf("detached %d\n", status);
}

static const char *option(const char *name, const char *value, void *user)
{
	static const long too[] = { SYS_dup, SYS_shutdown };

	(void)user;
	if (!strcmp(name, "do"))
		action = value;
	more.syscalls = too;
	if (!strcmp(name, "allow-more"))
		more.nr_syscalls = sizeof(too) / sizeof(*too);
	return NULL;
}

/* The last chance to open something. */
static const char *configure(struct bfuse_register *reg, void *user)
{
	(void)reg, (void)user;
	module = open(BFUSE_PATH, O_RDWR);
	setlinebuf(stdout);
	printf("configured by %d as user %d\n", getpid(), getuid());
	return strcmp(action, "misconfigure") ? NULL : "no good";
}

int main(int argc, char **argv)
{
	static const struct bfuse_option options[] = {
		{ "do", "ACTION", "at the first request" }, { "allow-more", NULL, "" }, { NULL, NULL, NULL }
	};
	static const struct bfuse_filter filter = {
		.size = sizeof(filter),
		.name = "confined",
		.altitude = 500,
		.any = see,
		.attached = attached,
		.detached = detached,
		.options = options,
		.option = option,
		.configure = configure,
		.confinement = &more,
	};
	int status = bfuse_main(argc, argv, &filter, NULL);

	printf("after %d\n", status);
	return status;
}
