// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Which signals end a filter program, and when one is not waited for any more.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Less is not impatience: a SIGTERM has a SIGHUP behind it when systemd ends a session, and who closes a terminal gets one SIGHUP
 * from its shell, and one from the kernel.
 */
#define PATIENCE_MS 2000

static const int ends[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };

/* As under nohup, or in the background of a script. */
static bool is_ignored(int number)
{
	struct sigaction old;

	return number != SIGTERM && !sigaction(number, NULL, &old) && old.sa_handler == SIG_IGN;
}

int bfuse_signalfd(int flags)
{
	sigset_t set;
	unsigned int i;
	int fd;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ends); i++)
		if (!is_ignored(ends[i]))
			sigaddset(&set, ends[i]);
	fd = signalfd(-1, &set, flags);
	if (fd < 0)
		return -errno;
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return fd;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* The next one; by read(2), where the thread may be cancelled. */
static int next_signal(int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) != sizeof(info))
		;
	return (int)info.ssi_signo;
}

/* The first asks the filter to leave its devices, another is from somebody who doesn't want to wait for that. */
static void *watch(void *argument)
{
	struct bfuse *bfuse = argument;
	int number = next_signal(bfuse->signals);
	int64_t asked = now_ms();

	bfuse__log(bfuse, LOG_INFO, "%s: leaving", strsignal(number));
	bfuse_stop(bfuse);
	do {
		number = next_signal(bfuse->signals);
	} while (number == SIGHUP || now_ms() - asked < PATIENCE_MS);
	_exit(128 + number);
}

/* Returns 0 or an errno. */
int bfuse__watch_signals(struct bfuse *bfuse, pthread_t *thread)
{
	bfuse->signals = bfuse_signalfd(SFD_CLOEXEC);
	return bfuse->signals < 0 ? -bfuse->signals : bfuse__thread(thread, watch, bfuse);
}
