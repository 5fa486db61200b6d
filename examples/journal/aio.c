// SPDX-License-Identifier: MIT
/* The journal's loop without io_uring: epoll on the filter, on a signalfd, and on an eventfd that libaio counts up. */
#include "journal.h"

#include <errno.h>
#include <libaio.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { REQUESTS, WRITTEN, SIGNAL };

struct aio {
	io_context_t context;
	struct iocb write;
	int event;
	int epoll;
};

static int watch(const struct aio *aio, int fd, uint32_t what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = what };

	return epoll_ctl(aio->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void close_aio(struct journal *journal)
{
	struct aio *aio = journal->backend_data;

	if (aio->context)
		io_destroy(aio->context);
	if (aio->event >= 0)
		close(aio->event);
	if (aio->epoll >= 0)
		close(aio->epoll);
	free(aio);
}

static int open_aio(struct journal *journal)
{
	struct aio *aio = calloc(1, sizeof(*aio));
	int err;

	if (!aio)
		return -ENOMEM;
	journal->backend_data = aio;
	aio->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	aio->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = io_setup(1, &aio->context);
	if (!err && (aio->event < 0 || aio->epoll < 0 || watch(aio, bfuse_fd(journal->bfuse), REQUESTS) < 0 ||
		     watch(aio, aio->event, WRITTEN) < 0 || watch(aio, journal->signals, SIGNAL) < 0))
		err = -errno;
	if (err)
		close_aio(journal);
	return err;
}

static int start_write(struct journal *journal, const void *data, size_t bytes, off_t offset)
{
	struct aio *aio = journal->backend_data;
	struct iocb *list = &aio->write;
	int ret;

	io_prep_pwrite(&aio->write, journal->file, (void *)(uintptr_t)data, bytes, offset);
	io_set_eventfd(&aio->write, aio->event);
	ret = io_submit(aio->context, 1, &list);
	return ret == 1 ? 0 : ret < 0 ? ret : -EAGAIN;
}

static void take_written(struct journal *journal)
{
	struct aio *aio = journal->backend_data;
	struct timespec now = { 0, 0 };
	struct io_event event;
	uint64_t count;

	if (read(aio->event, &count, sizeof(count)) < 0)
		return;
	if (io_getevents(aio->context, 0, 1, &event, &now) == 1)
		journal_written(journal, (long)event.res);
}

static int round_(struct journal *journal)
{
	struct aio *aio = journal->backend_data;
	struct epoll_event events[3];
	int i, n, err = bfuse_queue_wait(journal->queue, 0, 0);

	if (err < 0)
		return err;
	n = epoll_wait(aio->epoll, events, 3, -1);
	for (i = 0; i < n; i++) {
		if (events[i].data.u32 == WRITTEN)
			take_written(journal);
		else if (events[i].data.u32 == SIGNAL)
			journal_signal(journal);
		else if (events[i].events & (EPOLLERR | EPOLLHUP))
			return -ESHUTDOWN;
		else
			journal_requests(journal);
	}
	return n < 0 && errno != EINTR ? -errno : 0;
}

const struct backend aio_backend = {
	.name = "libaio",
	.open = open_aio,
	.write = start_write,
	.round = round_,
	.close = close_aio,
};
