// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * bfuse_main(): a whole filter program around a table of callbacks. The only part of the library that prints.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
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

static const char *const guarantees[] = {
	[BFUSE_DRAINED_NOT] = "",
	[BFUSE_DRAINED_RAW] = ", drained",
	[BFUSE_DRAINED_FROZEN] = ", drained with its file system frozen",
};

/* *@drained is what came of --drain. */
static int attach_first(struct bfuse *bfuse, const struct bfuse__command *command, const char *device, uint32_t *drained,
			uint32_t *attachment)
{
	if (command->drain)
		return bfuse_attach_drained(bfuse, device, NULL, command->drain_ms, drained, attachment);
	return command->replace ? bfuse_replace(bfuse, device, NULL, attachment) : bfuse_attach(bfuse, device, NULL, attachment);
}

/* @layer: 0 is at the filter's altitude, and the others directly below it. */
static int attach_one(struct bfuse *bfuse, const struct bfuse__command *command, const char *device, unsigned int layer,
		      uint32_t *drained)
{
	uint32_t altitude = bfuse->reg.altitude - layer, flags = command->replace ? BFUSE_ATTACH_REPLACE : 0, attachment;
	bool inherits;
	int err = bfuse__check_place(bfuse, device, altitude, command->replace, &inherits);

	if (!err)
		err = layer ? bfuse_attach_layer(bfuse, device, NULL, altitude, layer, flags, &attachment) :
			      attach_first(bfuse, command, device, drained, &attachment);
	if (!err && inherits)
		bfuse__inherited(bfuse, attachment);
	return err;
}

/* None is touched before it is known that all are there and free. */
static int check_all(struct bfuse *bfuse, const struct bfuse__command *command, unsigned int layers)
{
	unsigned int i, layer;
	bool inherits;
	int err = 0;

	for (i = 0; i < command->nr_devices; i++)
		for (layer = 0; !err && layer < layers; layer++)
			err = bfuse__check_place(bfuse, command->devices[i], bfuse->reg.altitude - layer, command->replace,
						 &inherits);
	return err;
}

static int attach_all(struct bfuse *bfuse, const struct bfuse__command *command, const struct bfuse_filter *filter)
{
	unsigned int i, layer, layers = filter->layers ? filter->layers : 1;
	int err = check_all(bfuse, command, layers);

	for (i = 0; i < command->nr_devices; i++) {
		uint32_t drained = BFUSE_DRAINED_NOT;

		for (layer = 0; !err && layer < layers; layer++)
			err = attach_one(bfuse, command, command->devices[i], layer, &drained);
		if (err)
			return err;
		fprintf(stderr, "%s: attached to %s at altitude %u%s\n", command->program, command->devices[i],
			bfuse->reg.altitude, drained < ARRAY_SIZE(guarantees) ? guarantees[drained] : "");
	}
	return err;
}

/* The filter's own rules are for when the user says nothing of devices. */
static int match_all(struct bfuse *bfuse, const struct bfuse__command *command, const struct bfuse_filter *filter)
{
	const struct bfuse_rule *own = command->nr_rules || command->nr_devices ? NULL : filter->match;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < command->nr_rules; i++)
		err = bfuse_match(bfuse, &command->rules[i]);
	for (; !err && own && own->name; own++)
		err = bfuse_match(bfuse, own);
	if (!err && bfuse->child)
		bfuse__guard_wait_matched(bfuse);
	else if (!err)
		bfuse_wait_matched(bfuse);
	return err || !atomic_load(&bfuse->stop) ? err : -ECANCELED;
}

/*
 * Everything attached, or an error; to have been asked to end before that is none. After an error the devices that it was given, and
 * has taken over from one that died or that it was to replace, are not let go: they were filtered, and the policy says what is next.
 */
static int attach(struct bfuse *bfuse, const struct bfuse__command *command, const struct bfuse_filter *filter)
{
	int failed = attach_all(bfuse, command, filter);
	bool asked;

	if (!failed)
		failed = match_all(bfuse, command, filter);
	asked = failed == -ECANCELED && (atomic_load(&bfuse->stop) || bfuse->left);
	if (failed && !asked)
		bfuse__abandon(bfuse, true);
	if (failed)
		bfuse_stop(bfuse);
	else
		bfuse__ready(bfuse, command->ready_fd);
	return asked ? 0 : failed;
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
	bfuse->replace = command->replace;
	err = bfuse_set_filter(bfuse, filter, user, &command->reg);
	if (!err)
		err = bfuse_start(bfuse);
	if (err)
		return err;
	failed = attach(bfuse, command, filter);
	err = bfuse_wait(bfuse);
	return failed ? failed : err;
}

static int report(struct bfuse *bfuse, const struct bfuse__command *command)
{
	fprintf(stderr, "%s: %s\n", command->program, bfuse_error(bfuse));
	return bfuse_exit_status(bfuse) ? bfuse_exit_status(bfuse) : BFUSE_EXIT_OTHER;
}

static int configure(struct bfuse__command *command, const struct bfuse_filter *filter, void *user)
{
	const char *wrong = filter->configure ? filter->configure(&command->reg, user) : NULL;

	if (!wrong)
		return 0;
	fprintf(stderr, "%s: %s\n", command->program, wrong);
	return BFUSE_EXIT_USAGE;
}

static int run_alone(struct bfuse *bfuse, struct bfuse__command *command, const struct bfuse_filter *filter, void *user)
{
	int status = configure(command, filter, user);
	pthread_t watcher;

	if (status)
		return status;
	if (bfuse__watch_signals(bfuse, &watcher)) {
		fprintf(stderr, "%s: no memory\n", command->program);
		return BFUSE_EXIT_OTHER;
	}
	if (serve(bfuse, command, filter, user))
		status = report(bfuse, command);
	pthread_cancel(watcher);
	pthread_join(watcher, NULL);
	return status;
}

/*
 * The filter itself, confined. It makes itself known to the module while it may, and everything of its own too:
 * configure() is still privileged. What fails from then on the guardian reports.
 */
static int run_ward(struct bfuse *bfuse, struct bfuse__command *command, const struct bfuse_filter *filter, void *user)
{
	struct bfuse_confinement how = { .size = sizeof(how) };
	int status, err;

	if (command->ready_fd > STDERR_FILENO)
		close(command->ready_fd);
	signal(SIGPIPE, SIG_IGN);
	status = configure(command, filter, user);
	if (status)
		return status;
	if (filter->confinement)
		how = *filter->confinement;
	if (command->uid) {
		how.uid = command->uid;
		how.gid = command->gid;
	}
	bfuse->replace = command->replace;
	bfuse_harden(bfuse);
	if (command->realtime)
		bfuse__realtime(bfuse);
	err = bfuse_set_filter(bfuse, filter, user, &command->reg);
	if (!err)
		err = bfuse__ward_begin(bfuse, &how);
	if (!err)
		err = bfuse_wait(bfuse);
	if (err)
		bfuse__ward_fail(bfuse, err);
	return err ? BFUSE_EXIT_OTHER : BFUSE_EXIT_OK;
}

/* Everything that needs privileges. Its main() is not for it to end, as its filter has another process for that. */
static void run_guardian(struct bfuse *bfuse, const struct bfuse__command *command, const struct bfuse_filter *filter)
{
	pthread_t watcher;
	int failed, err;

	if (bfuse__watch_signals(bfuse, &watcher))
		_exit(BFUSE_EXIT_OTHER);
	bfuse_harden(bfuse);
	if (bfuse__guard_begin(bfuse))
		_exit(bfuse->child_failed || bfuse->child_status < 0 ? report(bfuse, command) : bfuse->child_status);
	failed = attach(bfuse, command, filter);
	if (failed)
		failed = report(bfuse, command);
	err = bfuse_wait(bfuse);
	if (err && !failed)
		failed = report(bfuse, command);
	pthread_cancel(watcher);
	pthread_join(watcher, NULL);
	bfuse_free(bfuse);
	_exit(failed ? failed : bfuse->child_status);
}

/* The ward's struct bfuse stays until it exits: its guardian may still have something to say. */
static int run_confined(struct bfuse *bfuse, struct bfuse__command *command, const struct bfuse_filter *filter,
			void *user)
{
	pid_t pid;

	if (bfuse_open(bfuse))
		return report(bfuse, command);
	pid = bfuse__split(bfuse);
	if (pid < 0)
		return report(bfuse, command);
	if (pid)
		run_guardian(bfuse, command, filter);
	return run_ward(bfuse, command, filter, user);
}

static int run_command(struct bfuse__command *command, const struct bfuse_filter *filter, void *user)
{
	struct bfuse *bfuse;
	int status;

	/* Before anything is opened, which could get its number, and be closed for it. */
	if (command->ready_fd >= 0 && fcntl(command->ready_fd, F_GETFD) < 0) {
		fprintf(stderr, "%s: --ready-fd %d: %s; give an open file descriptor\n", command->program, command->ready_fd,
			strerror(errno));
		return BFUSE_EXIT_USAGE;
	}
	bfuse = bfuse_new();
	if (!bfuse) {
		fprintf(stderr, "%s: no memory\n", command->program);
		return BFUSE_EXIT_OTHER;
	}
	bfuse_set_log(bfuse, print_log, command);
	bfuse->has_options = true;
	status = command->confine ? run_confined(bfuse, command, filter, user) : run_alone(bfuse, command, filter, user);
	if (bfuse->ward)
		bfuse_set_log(bfuse, NULL, NULL);
	else
		bfuse_free(bfuse);
	return status;
}

int bfuse_main(int argc, char **argv, const struct bfuse_filter *filter, void *user)
{
	struct bfuse__command command = { .ready_fd = -1 };
	int status = bfuse__parse(&command, argc, argv, filter, user);

	if (!status && command.help)
		bfuse__usage(&command, filter);
	else if (!status)
		status = run_command(&command, filter, user);
	free(command.devices);
	free(command.rules);
	return status;
}
