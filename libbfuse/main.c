// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * bfuse_main(): a whole filter program around a table of callbacks. The only part of the library that prints.
 */
#include "internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void print_log(void *user, int level, const char *line)
{
	const struct bfuse__command *command = user;

	if (level < LOG_INFO || command->verbose)
		fprintf(stderr, "%s: %s\n", command->program, line);
}

/*
 * Waits for the signals that end a program, which all threads have blocked. The first asks the filter to leave its
 * devices, the second is from somebody who doesn't want to wait for that.
 */
static void *watch_signals(void *argument)
{
	struct bfuse *bfuse = argument;
	sigset_t set;
	int number;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	sigwait(&set, &number);
	bfuse__log(bfuse, LOG_INFO, "%s: leaving", strsignal(number));
	bfuse_stop(bfuse);
	sigwait(&set, &number);
	_exit(128 + number);
}

static int start_watching(struct bfuse *bfuse, pthread_t *thread)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return pthread_create(thread, NULL, watch_signals, bfuse);
}

static int attach_layers(struct bfuse *bfuse, const struct bfuse__command *command, const char *device)
{
	uint32_t flags = command->replace ? BFUSE_ATTACH_REPLACE : 0;
	unsigned int layer = 0;
	int err;

	do {
		err = bfuse_attach_layer(bfuse, device, NULL, layer ? bfuse->reg.altitude - layer : 0, layer, flags, NULL);
		if (err)
			return err;
		fprintf(stderr, "%s: attached to %s at altitude %u\n", command->program, device,
			bfuse->reg.altitude - layer);
	} while (++layer < bfuse->filter->layers);
	return 0;
}

static int attach_all(struct bfuse *bfuse, const struct bfuse__command *command)
{
	unsigned int i;
	int err;

	for (i = 0; i < command->nr_devices; i++) {
		err = attach_layers(bfuse, command, command->devices[i]);
		if (err)
			return err;
	}
	bfuse__ready(bfuse, command->ready_fd);
	return 0;
}

/*
 * The order matters: hardened before anything is allocated for good; and serving before attaching, as from then on this
 * thread too may have to wait for the device, were it only to print to a log file there. Returns 0 or a negative errno;
 * then bfuse_error() has the line.
 */
static int serve(struct bfuse *bfuse, const struct bfuse__command *command, const struct bfuse_filter *filter,
		 void *user)
{
	int err = bfuse_open(bfuse);
	int failed;

	if (err)
		return err;
	bfuse_harden(bfuse);
	if (command->realtime)
		bfuse__realtime(bfuse);
	err = bfuse_set_filter(bfuse, filter, user, &command->reg);
	if (!err)
		err = bfuse_start(bfuse);
	if (err)
		return err;
	failed = attach_all(bfuse, command);
	if (failed)
		bfuse_stop(bfuse);
	err = bfuse_wait(bfuse);
	return failed ? failed : err;
}

static int run_command(const struct bfuse__command *command, const struct bfuse_filter *filter, void *user)
{
	struct bfuse *bfuse = bfuse_new();
	int status = BFUSE_EXIT_OK;
	pthread_t watcher;
	int err;

	if (!bfuse || start_watching(bfuse, &watcher)) {
		fprintf(stderr, "%s: no memory\n", command->program);
		bfuse_free(bfuse);
		return BFUSE_EXIT_OTHER;
	}
	bfuse_set_log(bfuse, print_log, (void *)command);
	err = serve(bfuse, command, filter, user);
	if (err) {
		fprintf(stderr, "%s: %s\n", command->program, bfuse_error(bfuse));
		status = bfuse_exit_status(bfuse) ? bfuse_exit_status(bfuse) : BFUSE_EXIT_OTHER;
	}
	pthread_cancel(watcher);
	pthread_join(watcher, NULL);
	bfuse_free(bfuse);
	return status;
}

int bfuse_main(int argc, char **argv, const struct bfuse_filter *filter, void *user)
{
	struct bfuse__command command = { .ready_fd = -1 };
	int status = bfuse__parse(&command, argc, argv, filter, user);
	const char *wrong;

	if (!status && command.help) {
		bfuse__usage(&command, filter);
	} else if (!status) {
		wrong = filter->configure ? filter->configure(&command.reg, user) : NULL;
		if (wrong) {
			fprintf(stderr, "%s: %s\n", command.program, wrong);
			status = BFUSE_EXIT_USAGE;
		} else {
			status = run_command(&command, filter, user);
		}
	}
	free(command.devices);
	return status;
}
