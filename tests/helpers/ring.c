// SPDX-License-Identifier: MIT
/*
 * A filter that passes what it sees and waits only by commands of io_uring: ring --device PATH [WORD...]
 *
 *	error|hold	its policy, which else is pass
 *	sqpoll, defer	what the ring is made with
 *	fixed, closed	the module's file is registered with the ring; and then its descriptor is closed
 *	async		the commands are issued by workers
 *	min=N		so many requests at a time
 *	reopen		the ring is closed, with commands in it, and made anew, all the time
 *	exec		becomes another program after a second, with commands in the ring
 *
 * Ends well after SIGTERM, having printed the number of requests.
 */
#include "ring.h"

#include <signal.h>

#define QUEUES 2

static struct raw r;
static struct io_uring ring;
static bool fixed, closed, async, reopen, becomes;
static unsigned int setup, min = 1;
static unsigned long requests, rings;
static bool gone;

static void make_ring(void)
{
	struct io_uring_params params = { .flags = setup, .sq_thread_idle = 50 };
	int ret = io_uring_queue_init_params(8, &ring, &params);

	if (ret)
		errx(77, "io_uring_setup: %s", strerror(-ret));
	if (fixed && (ret = io_uring_register_files(&ring, &r.fd, 1)))
		errx(1, "io_uring_register_files: %s", strerror(-ret));
	rings++;
}

static void submit_enter(unsigned int q)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct bfuse_uring_enter *enter = ring_prep(sqe, fixed ? 0 : r.fd, BFUSE_ENTER, q);

	if (fixed)
		sqe->flags |= IOSQE_FIXED_FILE;
	if (async)
		sqe->flags |= IOSQE_ASYNC;
	enter->queue = q;
	enter->min_requests = min;
}

static void serve(unsigned int q)
{
	struct bfuse_request rq;

	while (raw_pop(&r, q, &rq)) {
		if (rq.kind == BFUSE_REQUEST) {
			raw_push(&r, q, &(struct bfuse_verdict){ .type = BFUSE_PASS, .tag = rq.tag });
			requests++;
		} else if (rq.kind == BFUSE_EVENT && rq.op == BFUSE_EVENT_DETACHED) {
			gone = true;
		}
	}
}

/* The commands of the ring before may not have ended yet. */
static void take(const struct io_uring_cqe *cqe)
{
	unsigned int q = cqe->user_data;

	if (cqe->res == -EBUSY && reopen)
		usleep(1000);
	else if (cqe->res < 0)
		errx(1, "command for queue %u: %s", q, strerror(-cqe->res));
	serve(q);
	submit_enter(q);
}

/* The signal's handler: what it does wakes the loop. */
static void leave(int number)
{
	struct bfuse_detach detach = { .size = sizeof(detach), .attachment = r.attachment };
	int fd = open(BFUSE_PATH, O_RDWR);

	min = 1;
	if (ioctl(fd, BFUSE_DETACH, &detach))
		_exit(number);
	for (unsigned int q = 0; q < QUEUES && !closed; q++) {
		struct bfuse_enter wake = { .size = sizeof(wake), .queue = q, .flags = BFUSE_ENTER_WAKE };

		ioctl(r.fd, BFUSE_ENTER, &wake);
	}
}

static void make_anew(void)
{
	io_uring_queue_exit(&ring);
	make_ring();
	for (unsigned int q = 0; q < QUEUES; q++)
		submit_enter(q);
}

static void run(void)
{
	struct io_uring_cqe *cqe;
	int ret;

	while (!gone) {
		ret = io_uring_submit_and_wait(&ring, 1);
		if (ret < 0 && ret != -EINTR)
			errx(1, "io_uring_submit_and_wait: %s", strerror(-ret));
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			struct io_uring_cqe copy = *cqe;

			io_uring_cqe_seen(&ring, cqe);
			take(&copy);
		}
		if (becomes) {
			usleep(1000000);
			execl("/bin/true", "true", NULL);
		}
		if (reopen && requests > rings * 50) {
			io_uring_submit(&ring);
			make_anew();
		}
	}
}

static void parse(const char *word)
{
	if (!strcmp(word, "error"))
		r.reg.defaults.policy = BFUSE_POLICY_ERROR;
	else if (!strcmp(word, "hold"))
		r.reg.defaults.policy = BFUSE_POLICY_HOLD;
	else if (!strcmp(word, "sqpoll"))
		setup |= IORING_SETUP_SQPOLL;
	else if (!strcmp(word, "defer"))
		setup |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	else if (!strncmp(word, "min=", 4))
		min = atoi(word + 4);
	fixed |= !strcmp(word, "fixed") || !strcmp(word, "closed");
	closed |= !strcmp(word, "closed");
	async |= !strcmp(word, "async");
	reopen |= !strcmp(word, "reopen");
	becomes |= !strcmp(word, "exec");
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = leave };
	int ret;

	if (argc < 3)
		errx(2, "usage: ring --device PATH [WORD...]");
	r = raw_new(500, BFUSE_OPS_ALL);
	r.reg.nr_queues = QUEUES;
	r.reg.defaults.policy = BFUSE_POLICY_PASS;
	for (int i = 3; i < argc; i++)
		parse(argv[i]);
	sigaction(SIGTERM, &action, NULL);
	raw_register(&r);
	make_ring();
	for (unsigned int q = 0; q < QUEUES; q++)
		submit_enter(q);
	io_uring_submit(&ring);
	ret = raw_attach(&r, argv[2]);
	if (ret)
		errx(1, "%s: %s", argv[2], strerror(-ret));
	if (closed)
		close(r.fd);
	fprintf(stderr, "attached to %s\n", argv[2]);
	run();
	printf("%lu requests, %lu rings\n", requests, rings);
	return 0;
}
