// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse events: what happens to filters, as it happens.
 */
#include "bfuse-tool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stopped;

struct follower {
	bool json;
	bool history;
	bool follow;
};

static void describe_unanswered(const struct bfuse_log *log, char *text, size_t size)
{
	switch (log->status) {
	case -ESHUTDOWN:
		snprintf(text, size, "unanswered: it died meanwhile");
		break;
	case -ENODEV:
		snprintf(text, size, "unanswered: the device left meanwhile");
		break;
	case -EINTR:
		snprintf(text, size, "unanswered: who waited for it was killed");
		break;
	default:
		snprintf(text, size, "unanswered for %" PRIu64 " ms: it goes on without the filter", (uint64_t)log->count);
	}
}

/* What the event means, with its particulars. */
static void describe(const struct bfuse_log *log, char *text, size_t size)
{
	switch (log->event) {
	case BFUSE_LOG_ATTACHED:
		snprintf(text, size, "attached, served by process %u", log->pid);
		break;
	case BFUSE_LOG_DETACHED:
		snprintf(text, size, "detached%s",
			 log->status == -ENODEV ? ": the device was removed" :
			 log->status == -ESTALE ? ": a successor has taken over" :
			 log->status == -ETIMEDOUT ? ": what was submitted before did not complete in time" :
						     "");
		break;
	case BFUSE_LOG_OFFERED:
		snprintf(text, size, "offered to process %u", log->pid);
		break;
	case BFUSE_LOG_DECLINED:
		snprintf(text, size, "declined%s%s", log->status ? ": could not be attached: " : "",
			 log->status ? strerror(-log->status) : "");
		break;
	case BFUSE_LOG_UNANSWERED:
		describe_unanswered(log, text, size);
		break;
	case BFUSE_LOG_LEAVING:
		snprintf(text, size, "leaving: the device will be removed");
		break;
	case BFUSE_LOG_TORN_OUT:
		snprintf(text, size, "torn out: the device is gone");
		break;
	case BFUSE_LOG_DIED:
		snprintf(text, size, "died");
		break;
	case BFUSE_LOG_STALLED:
		snprintf(text, size, "stalled: has let a deadline pass and does not look; its policy decides");
		break;
	case BFUSE_LOG_BACK:
		snprintf(text, size, "back: serves again");
		break;
	case BFUSE_LOG_TIMEOUT:
		snprintf(text, size, "timeout: %" PRIu64 " requests were not answered in time", (uint64_t)log->count);
		break;
	case BFUSE_LOG_ADOPTED:
		snprintf(text, size, "adopted %" PRIu64 " requests of its predecessor", (uint64_t)log->count);
		break;
	case BFUSE_LOG_ABANDONED:
		snprintf(text, size, "abandoned: no successor came in time; the fallback decides");
		break;
	case BFUSE_LOG_DRAINED:
		snprintf(text, size, "drained: all that was submitted before has completed%s",
			 log->count == BFUSE_DRAINED_FROZEN ? ", and its file system is clean" : "");
		break;
	case BFUSE_LOG_COPY_FAILED:
	case BFUSE_LOG_MIRROR_FAILED:
		snprintf(text, size, "%s failed: %s (%" PRIu64 " since the last such line)",
			 log->event == BFUSE_LOG_COPY_FAILED ? "copy" : "mirror", strerror(-log->status), (uint64_t)log->count);
		break;
	default:
		snprintf(text, size, "unknown event %u", log->event);
	}
}

static void print_line(const struct bfuse_log *log)
{
	time_t seconds = (time_t)(log->time / 1000000000);
	char when[32], text[128];
	struct tm tm;

	strftime(when, sizeof(when), "%F %T", localtime_r(&seconds, &tm));
	describe(log, text, sizeof(text));
	printf("%s.%03u  %s  %u  %s  %s\n", when, (unsigned int)(log->time / 1000000 % 1000), log->device, log->altitude,
	       log->name, text);
}

static void print_json(const struct bfuse_log *log)
{
	struct json_object *line = json_object_new_object();

	json_object_object_add(line, "seq", json_object_new_uint64(log->seq));
	json_object_object_add(line, "time", json_object_new_uint64(log->time));
	json_object_object_add(line, "event", json_object_new_string(bfuse_log_event_name(log->event)));
	json_object_object_add(line, "device", json_object_new_string(log->device));
	json_object_object_add(line, "altitude", json_object_new_int64(log->altitude));
	json_object_object_add(line, "filter", json_object_new_string(log->name));
	json_object_object_add(line, "attachment", json_object_new_int64(log->attachment));
	json_object_object_add(line, "pid", json_object_new_int64(log->pid));
	json_object_object_add(line, "status", json_object_new_int64(log->status));
	json_object_object_add(line, "count", json_object_new_uint64(log->count));
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	json_object_put(line);
}

/* Numbers that are missing were overwritten before we came to them. */
static void say_lost(const struct follower *follower, uint64_t lost)
{
	if (follower->json)
		printf("{\"event\":\"lost\",\"count\":%" PRIu64 "}\n", lost);
	else
		printf("%" PRIu64 " events were lost\n", lost);
}

static int follow(struct bfuse *bfuse, const struct follower *follower)
{
	struct bfuse_log log = { .seq = 1, .flags = BFUSE_LOG_NEWEST };
	uint64_t wanted = 1;
	int ret = 1;

	if (!follower->history)
		ret = bfuse_next_log(bfuse, &log);
	if (ret == 1)
		wanted = log.seq;
	while (ret == 1 && !stopped) {
		log.seq = wanted;
		log.flags = follower->follow ? BFUSE_LOG_WAIT : 0;
		ret = bfuse_next_log(bfuse, &log);
		if (ret != 1)
			break;
		/* What is over before one asks for all that is left is no loss. */
		if (log.seq > wanted && (wanted > 1 || !follower->history))
			say_lost(follower, log.seq - wanted);
		if (follower->json)
			print_json(&log);
		else
			print_line(&log);
		/* main() says so. */
		if (ferror(stdout))
			return BFUSE_EXIT_OK;
		wanted = log.seq + 1;
	}
	return ret < 0 && ret != -EINTR ? fail_library(bfuse) : BFUSE_EXIT_OK;
}

/* One that comes before the wait has begun would not end it: SIGALRM will. */
static void note_signal(int number)
{
	(void)number;
	stopped = 1;
	alarm(1);
}

/* They end the wait, and with it the program, in order. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
}

int events_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "all", no_argument, NULL, 'a' },
						 { "past", no_argument, NULL, 'p' },
						 { NULL, 0, NULL, 0 } };
	struct follower follower = { .follow = true };
	struct bfuse *bfuse;
	int id, status = 0;

	opterr = 0;
	while ((id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		follower.json |= id == 'j';
		follower.history |= id != 'j';
		follower.follow &= id != 'p';
	}
	if (optind < argc)
		return usage_error(argv[0], "%s: unexpected", argv[optind]);
	bfuse = open_module(&status);
	if (!bfuse)
		return status;
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_signals();
	status = follow(bfuse, &follower);
	bfuse_free(bfuse);
	return status;
}
