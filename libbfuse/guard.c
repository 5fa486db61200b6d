// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * A filter in two processes. The guardian keeps its privileges, attaches and detaches, and touches no request; the ward, its
 * child (ward.c), has none and serves. They share the open file of the module, and talk over a pair of sockets.
 *
 *	guardian                                            ward
 *	bfuse__split() -------------- fork(2) ------------> maps the queues, is confined, serves
 *	                <----- READY, how it is registered
 *	BFUSE_ATTACH
 *	                ATTACHED, the attachment ---------> calls attached()
 *	                <----- ATTACHED                     somebody else did, or an offer was accepted
 *	BFUSE_MATCH     <----- MATCHED, how many rules      what is there has been offered
 *	                <----- STOP                         a callback wants to end
 *	BFUSE_DETACH    <----- DETACHED                     all its requests are answered
 *	                FINISH: none is left -------------> ends
 *	                <----- FAILED, err and words        or it can't serve any more, and ends
 *
 * What one asks of the other is never more than it could bring about by itself: the ward may end, so it may say STOP. The
 * guardian looks up what the ward says of attachments, and believes only in its own.
 *
 * One program, one fate: the ward ends at once when the guardian has gone without a word, and what becomes of its requests is
 * for their policy, as when a filter in one process dies. When the ward dies, the guardian leaves the attachments to their
 * policy, too, and reports.
 */
#include "internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

void bfuse__tell(struct bfuse *bfuse, const struct message *message)
{
	/* If the other has gone, that is heard elsewhere. */
	ssize_t sent = send(bfuse->control, message, sizeof(*message), MSG_NOSIGNAL);

	(void)sent;
}

static pid_t fork_quietly(void)
{
	struct sigaction child;
	sigset_t all, old;
	pid_t pid;

	/* Who ignores it, or was started so, would not be told how the ward ends. */
	if (!sigaction(SIGCHLD, NULL, &child) && child.sa_handler == SIG_IGN)
		signal(SIGCHLD, SIG_DFL);
	fflush(NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	/* Signals are for the guardian, also those that a terminal sends to both. */
	if (pid)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* Returns 0 in the ward, its pid in the guardian, or a negative errno. */
pid_t bfuse__split(struct bfuse *bfuse)
{
	int ends[2], wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pid_t pid;

	if (wake < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		pid = -errno;
		if (wake >= 0)
			close(wake);
		return bfuse__fail(bfuse, pid, BFUSE_EXIT_OTHER, "can't make a socket: %s", strerror(-pid));
	}
	pid = fork_quietly();
	if (pid < 0)
		pid = bfuse__fail(bfuse, -errno, BFUSE_EXIT_OTHER, "can't make a process: %s", strerror(errno));
	bfuse->control = ends[!pid];
	close(ends[!!pid]);
	if (pid > 0) {
		bfuse->wake = wake;
		bfuse->child = pid;
		return pid;
	}
	close(wake);
	if (pid < 0) {
		close(bfuse->control);
		bfuse->control = -1;
	} else {
		bfuse->ward = true;
		bfuse->nr_attachments = 0;
	}
	return pid;
}

static bool knows(struct bfuse *bfuse, uint32_t attachment)
{
	bool found = false;
	unsigned int i;

	pthread_mutex_lock(&bfuse->lock);
	for (i = 0; i < bfuse->nr_attachments; i++)
		found |= bfuse->attachments[i].id == attachment;
	pthread_mutex_unlock(&bfuse->lock);
	return found;
}

static void finish_if_idle(struct bfuse *bfuse)
{
	if (bfuse->finish_told || !bfuse__close_if_idle(bfuse))
		return;
	bfuse->finish_told = true;
	bfuse__tell(bfuse, &(struct message){ .kind = MESSAGE_FINISH });
}

static void leave(struct bfuse *bfuse)
{
	bfuse__leave(bfuse);
	bfuse__detach_all(bfuse);
}

static void take_attached(struct bfuse *bfuse, uint32_t attachment)
{
	struct bfuse_next next = { .attachment = attachment - 1 };

	if (bfuse_next_attachment(bfuse, &next) != 1 || next.attachment != attachment ||
	    next.filter != bfuse->reg.filter || knows(bfuse, attachment))
		return;
	if (bfuse__remember(bfuse, attachment) < 0)
		bfuse__log(bfuse, LOG_ERR, "%s: no memory to remember attachment %u", bfuse->reg.name, attachment);
	else if (bfuse->left)
		bfuse__detach_all(bfuse);
	else
		bfuse__tell(bfuse, &(struct message){ .kind = MESSAGE_ATTACHED, .next = next });
}

static void take_failure(struct bfuse *bfuse, struct message *message)
{
	message->failure.text[sizeof(message->failure.text) - 1] = '\0';
	bfuse->child_failed = message->failure.err < 0 ? message->failure.err : -EPROTO;
	bfuse__fail(bfuse, bfuse->child_failed, message->failure.status, "%s", message->failure.text);
}

static void take(struct bfuse *bfuse, struct message *message)
{
	switch (message->kind) {
	case MESSAGE_READY:
		/* Once, before it sees a request. What it says of itself later could make us take others' attachments for ours. */
		if (!bfuse->child_ready)
			bfuse->reg = message->reg;
		bfuse->child_ready = true;
		break;
	case MESSAGE_ATTACHED:
		take_attached(bfuse, message->attachment);
		break;
	case MESSAGE_DETACHED:
		bfuse__forget(bfuse, message->attachment);
		break;
	case MESSAGE_STOP:
		leave(bfuse);
		break;
	case MESSAGE_FAILED:
		take_failure(bfuse, message);
		break;
	case MESSAGE_MATCHED:
		bfuse__matched(bfuse, message->attachment);
		break;
	case MESSAGE_FINISH:
		break; /* is what we say */
	}
}

/* False when the ward has gone. */
static bool listen_once(struct bfuse *bfuse)
{
	struct message message;
	ssize_t got = recv(bfuse->control, &message, sizeof(message), 0);

	if (got == sizeof(message))
		take(bfuse, &message);
	return got > 0 || (got < 0 && errno == EINTR);
}

static int fail_killed(struct bfuse *bfuse, pid_t child, int number)
{
	return bfuse__fail(bfuse, -ECHILD, BFUSE_EXIT_OTHER, "%s: the process %d that served it was killed: %s%s",
			   bfuse->reg.name, (int)child, strsignal(number),
			   number == SIGSYS ? "; it is not allowed that system call, see the kernel's log" : "");
}

/* The ward has closed its end. Returns 0 if it ended in good order. */
static int bury(struct bfuse *bfuse)
{
	pid_t child = bfuse->child;
	int status = 0;
	pid_t got;

	/* For one that has closed it and stays. One that exits has its status already, and keeps it. */
	kill(child, SIGKILL);
	do {
		got = waitpid(child, &status, 0);
	} while (got < 0 && errno == EINTR);
	/* For who is in bfuse_wait_matched(). */
	pthread_mutex_lock(&bfuse->lock);
	atomic_store(&bfuse->finished, true);
	pthread_cond_broadcast(&bfuse->changed);
	pthread_mutex_unlock(&bfuse->lock);
	bfuse->child = 0;
	bfuse->child_status = got == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (!bfuse->child_failed && got == child && WIFEXITED(status) && (bfuse->finish_told || !bfuse->child_ready))
		return 0;
	/* What it has left behind is for the policy. */
	bfuse__abandon(bfuse, false);
	if (bfuse->child_failed)
		return bfuse->child_failed;
	if (got != child)
		return bfuse__fail(bfuse, -ECHILD, BFUSE_EXIT_OTHER, "%s: how the process %d that served it ended is not known",
				   bfuse->reg.name, (int)child);
	if (WIFSIGNALED(status))
		return fail_killed(bfuse, child, WTERMSIG(status));
	return bfuse__fail(bfuse, -ECHILD, BFUSE_EXIT_OTHER, "%s: the process %d that served it ended, with status %d",
			   bfuse->reg.name, (int)child, WEXITSTATUS(status));
}

/* Waits until the ward serves. */
int bfuse__guard_begin(struct bfuse *bfuse)
{
	int err;

	while (!bfuse->child_ready) {
		if (listen_once(bfuse))
			continue;
		err = bury(bfuse);
		return err ? err : bfuse__fail(bfuse, -ECHILD, bfuse->child_status, "the process that was to serve ended");
	}
	return 0;
}

/* Waits until the ward has been offered what is there; or has gone, or is to end, which bfuse__guard() then finds. */
void bfuse__guard_wait_matched(struct bfuse *bfuse)
{
	struct pollfd files[2] = { { .fd = bfuse->control, .events = POLLIN }, { .fd = bfuse->wake, .events = POLLIN } };

	while (bfuse->matched < bfuse->nr_rules && !bfuse->left && !atomic_load(&bfuse->stop))
		if (poll(files, 2, -1) > 0 && files[0].revents && !listen_once(bfuse))
			return;
}

int bfuse__guard(struct bfuse *bfuse)
{
	struct pollfd files[2] = { { .fd = bfuse->control, .events = POLLIN }, { .fd = bfuse->wake, .events = POLLIN } };
	uint64_t count;

	for (;;) {
		if (!bfuse->left && atomic_load(&bfuse->stop))
			leave(bfuse);
		finish_if_idle(bfuse);
		if (poll(files, 2, -1) < 0)
			continue;
		if (files[1].revents && read(bfuse->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return bfuse__fail(bfuse, -errno, BFUSE_EXIT_OTHER, "can't be woken: %s", strerror(errno));
		if (!files[0].revents)
			continue;
		if (!listen_once(bfuse))
			return bury(bfuse);
	}
}

/* Async-signal-safe. */
void bfuse__guard_wake(struct bfuse *bfuse)
{
	const uint64_t one = 1;
	ssize_t written = write(bfuse->wake, &one, sizeof(one));

	(void)written;
}

int bfuse_start_confined(struct bfuse *bfuse, const struct bfuse_confinement *how)
{
	pid_t pid;

	if (!bfuse->filter || !bfuse->nr_queues || bfuse->threads || bfuse->child)
		return bfuse__fail(bfuse, -EINVAL, BFUSE_EXIT_OTHER,
				   "bfuse_start_confined() comes once, after bfuse_set_filter()");
	pid = bfuse__split(bfuse);
	if (!pid)
		_exit(bfuse__ward_serve(bfuse, how));
	if (pid < 0)
		return pid;
	return bfuse__guard_begin(bfuse);
}

int bfuse_run_confined(struct bfuse *bfuse, const struct bfuse_confinement *how)
{
	int err = bfuse_start_confined(bfuse, how);

	return err ? err : bfuse_wait(bfuse);
}
