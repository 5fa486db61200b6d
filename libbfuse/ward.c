// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * The process that serves for a guardian, see guard.c: it has no privilege, and answers requests.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Listens to the guardian. read(2) and write(2) instead of recv(2) and send(2): they need no place in the list of
 * system calls, and SIGPIPE is blocked.
 */
static void *listen_to_guardian(void *argument)
{
	struct bfuse *bfuse = argument;
	struct message message;

	while (read(bfuse->control, &message, sizeof(message)) == sizeof(message)) {
		if (message.kind == MESSAGE_ATTACHED && bfuse->filter->attached && !atomic_load(&bfuse->finished)) {
			bfuse->filter->attached(&message.next, bfuse->user);
		} else if (message.kind == MESSAGE_FINISH) {
			bfuse__ward_leave(bfuse);
			return NULL;
		}
	}
	_exit(BFUSE_EXIT_OTHER);
}

static void tell(struct bfuse *bfuse, const struct message *message)
{
	ssize_t written = write(bfuse->control, message, sizeof(*message));

	(void)written;
}

void bfuse__ward_tell(struct bfuse *bfuse, enum message_kind kind, uint32_t attachment)
{
	tell(bfuse, &(struct message){ .kind = kind, .attachment = attachment });
}

int bfuse__ward_fail(struct bfuse *bfuse, int err)
{
	struct message message = { .kind = MESSAGE_FAILED };

	message.failure.err = err;
	message.failure.status = bfuse_exit_status(bfuse) ? bfuse_exit_status(bfuse) : BFUSE_EXIT_OTHER;
	snprintf(message.failure.text, sizeof(message.failure.text), "%s", bfuse_error(bfuse));
	tell(bfuse, &message);
	return err;
}

/*
 * Confined and serving before the guardian attaches. The module takes for the server who calls first: that must be us,
 * for our own I/O is not for ourselves, and our death is the filter's.
 */
int bfuse__ward_begin(struct bfuse *bfuse, const struct bfuse_confinement *how)
{
	struct message ready = { .kind = MESSAGE_READY, .reg = bfuse->reg };
	pthread_t thread;
	int err = bfuse_confine(bfuse, how);

	if (!err)
		err = bfuse_start(bfuse);
	if (!err)
		err = bfuse_queue_flush(&bfuse->queues[0]);
	if (!err && bfuse__thread(&thread, listen_to_guardian, bfuse))
		err = bfuse__fail(bfuse, -EAGAIN, BFUSE_EXIT_OTHER, "%s: can't start a thread", bfuse->reg.name);
	if (!err)
		tell(bfuse, &ready);
	return err;
}

/* Mappings are not inherited, nor is locked memory. */
static int settle_in(struct bfuse *bfuse)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < bfuse->nr_queues && !err; i++)
		err = bfuse__queue_map(bfuse, i);
	if (!err && bfuse->hardened)
		bfuse_harden(bfuse);
	return err;
}

/* The life of a ward whose guardian has registered already. Returns its exit status. */
int bfuse__ward_serve(struct bfuse *bfuse, const struct bfuse_confinement *how)
{
	int err = settle_in(bfuse);

	if (!err)
		err = bfuse__ward_begin(bfuse, how);
	if (!err)
		err = bfuse_wait(bfuse);
	if (err)
		bfuse__ward_fail(bfuse, err);
	fflush(NULL);
	return err ? BFUSE_EXIT_OTHER : BFUSE_EXIT_OK;
}
