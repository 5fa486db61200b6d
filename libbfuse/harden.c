// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * A filter may serve the device that holds its own program and swap. Whatever makes the kernel write to that device in
 * order to give us memory would wait for ourselves: so no page of ours may be missing, and our allocations must not
 * start I/O.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* Less likely than any ordinary process, but not exempt: a filter that leaks should not take the machine with it. */
#define OOM_SCORE_ADJ "-900"

#define STACK_BYTES (1u << 20)

static void warn(struct bfuse *bfuse, const char *what, int err, const char *remedy)
{
	bfuse__log(bfuse, LOG_WARNING, "%s: %s; %s", what, strerror(err), remedy);
}

static void lock_memory(struct bfuse *bfuse)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	/* Without the permission the limit stays, and mlockall() will tell whether it is enough. */
	setrlimit(RLIMIT_MEMLOCK, &all);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		warn(bfuse, "can't lock memory", errno, "raise ulimit -l, or don't swap to a filtered device");
}

static void keep_oom_killer_away(struct bfuse *bfuse)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, OOM_SCORE_ADJ, sizeof(OOM_SCORE_ADJ) - 1) < 0)
		warn(bfuse, "can't lower oom_score_adj", errno, "the OOM killer may choose this filter");
	if (fd >= 0)
		close(fd);
}

/*
 * With its threads, which inherit it. Whoever waits for I/O waits for us, as for a kernel thread with high priority. multipathd
 * does so as well; and the kernel leaves 5 % of a CPU to others.
 */
void bfuse__realtime(struct bfuse *bfuse)
{
	const struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_RR, &param) < 0)
		warn(bfuse, "can't get real-time priority", errno, "raise ulimit -r, or do without --realtime");
}

/* Ctrl-Z would stop the disk; a filter of it may be what the shell needs to go on. */
static void ignore_job_control(void)
{
	signal(SIGTSTP, SIG_IGN);
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

/* As all that is mapped is in memory, so is all of its stack: what is usual would be 8 MiB. Returns 0 or an errno. */
int bfuse__thread(pthread_t *thread, void *(*function)(void *argument), void *argument)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(thread, &attr, function, argument);
	pthread_attr_destroy(&attr);
	return err;
}

void bfuse_harden(struct bfuse *bfuse)
{
	bfuse->hardened = true;
	ignore_job_control();
	lock_memory(bfuse);
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0)
		warn(bfuse, "can't set PR_SET_IO_FLUSHER", errno, "low memory may make this filter wait for itself");
	keep_oom_killer_away(bfuse);
}
