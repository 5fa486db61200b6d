// SPDX-License-Identifier: MIT
/*
 * While one thread waits for what was under way when marks begin, another ends these marks and begins its own: mark-turns DEVICE
 *
 * The first drain must fail, as something is under way for longer; the marks that have begun since must be there all the same.
 */
#include <bfuse.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIFT 12
#define DRAIN_MS 3000

static struct bfuse *bfuse;
static uint32_t attachment;

static void *begin_drained(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)bfuse_mark_begin(bfuse, attachment, SHIFT, DRAIN_MS, NULL);
}

int main(int argc, char **argv)
{
	struct bfuse_register reg = {
		.name = "mark-turns", .altitude = 500, .nr_queues = 1, .depth = 16, .known_ops = BFUSE_OPS_ALL,
		.unknown = BFUSE_POLICY_PASS, .features = BFUSE_F_MARK,
	};
	struct bfuse_mark mark;
	pthread_t thread;
	void *result;
	int tries, status;

	if (argc != 2)
		errx(2, "usage: mark-turns DEVICE");
	bfuse = bfuse_new();
	if (bfuse_open(bfuse) || bfuse_register(bfuse, &reg) || bfuse_attach(bfuse, argv[1], NULL, &attachment) ||
	    pthread_create(&thread, NULL, begin_drained, NULL))
		errx(1, "%s", bfuse_error(bfuse));
	for (tries = 0; (status = bfuse_mark_end(bfuse, attachment)) == -ENOENT && tries < 1000; tries++)
		usleep(1000);
	if (status || bfuse_mark_begin(bfuse, attachment, SHIFT, 0, NULL))
		errx(1, "status %d: %s", status, bfuse_error(bfuse));
	if (pthread_join(thread, &result))
		errx(1, "no thread");
	printf("first: %s\n", strerror(-(int)(intptr_t)result));
	status = bfuse_mark_switch(bfuse, attachment, 0, &mark);
	printf("second: %s\n", strerror(-status));
	bfuse_free(bfuse);
	return 0;
}
