// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Calls: devices that are offered, that leave, that are torn out. The kernel waits for each answer.
 *
 * They come as events on queue 0 and are passed to a thread of their own, so that requests go on meanwhile: leaving() may
 * want to inject, and waits for what the thread of queue 0 has to say of it. The threads of the queues serve until this one
 * has nothing left to do (run.c, is_over()).
 */
#include "internal.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bfuse__call {
	struct bfuse__call *next;
	struct bfuse_request event;
};

/*
 * Rules
 */

static bool pattern_fits(const char *pattern, const char *text)
{
	return !pattern || !*pattern || !fnmatch(pattern, text, 0);
}

static bool rule_fits(const struct bfuse_rule *rule, const struct bfuse_arrival *device)
{
	bool partition = device->offer.flags & BFUSE_OFFER_PARTITION;

	if (partition ? rule->kind == BFUSE_RULE_DISKS : rule->kind == BFUSE_RULE_PARTITIONS)
		return false;
	return pattern_fits(rule->name, device->offer.device) && pattern_fits(rule->serial, device->serial) &&
	       pattern_fits(rule->model, device->model);
}

/* The kernel has looked at names. What another process that had the file before us made rules for is not for us to judge. */
static bool any_rule_fits(struct bfuse *bfuse, const struct bfuse_arrival *device)
{
	unsigned int i;
	bool fits;

	pthread_mutex_lock(&bfuse->lock);
	fits = !bfuse->nr_rules;
	for (i = 0; i < bfuse->nr_rules; i++)
		fits |= rule_fits(&bfuse->rules[i], device);
	pthread_mutex_unlock(&bfuse->lock);
	return fits;
}

static int fail_match(struct bfuse *bfuse, const struct bfuse_rule *rule, int err)
{
	const char *name = rule->name ? rule->name : "*";

	switch (err) {
	case -EPERM:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_PERMISSION, "match %s: needs CAP_SYS_ADMIN; try as root", name);
	case -ENOTTY:
	case -EOPNOTSUPP:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_ABI,
				   "match %s: the filter was not registered for events, or the module lacks them", name);
	case -ENOSPC:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_USAGE, "match %s: a filter can have %u rules", name,
				   BFUSE_RULES_MAX);
	default:
		return bfuse__fail(bfuse, err, BFUSE_EXIT_OTHER, "match %s: %s", name, strerror(-err));
	}
}

/* The caller holds bfuse->lock: the first offer comes at once, and wants to find its rule. */
static int remember_rule(struct bfuse *bfuse, const struct bfuse_rule *rule)
{
	struct bfuse_rule *more = realloc(bfuse->rules, (bfuse->nr_rules + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	bfuse->rules = more;
	more[bfuse->nr_rules++] = *rule;
	return 0;
}

int bfuse_match(struct bfuse *bfuse, const struct bfuse_rule *rule)
{
	struct bfuse_match match = { .size = sizeof(match) };
	int err;

	if (rule->kind != BFUSE_RULE_PARTITIONS)
		match.flags |= BFUSE_MATCH_DISKS;
	if (rule->kind != BFUSE_RULE_DISKS)
		match.flags |= BFUSE_MATCH_PARTITIONS;
	if (rule->name && strlen(rule->name) >= sizeof(match.name))
		return bfuse__fail(bfuse, -ENAMETOOLONG, BFUSE_EXIT_USAGE, "match %s: the pattern is too long", rule->name);
	if (rule->name)
		memcpy(match.name, rule->name, strlen(rule->name));
	pthread_mutex_lock(&bfuse->lock);
	err = remember_rule(bfuse, rule);
	if (!err) {
		err = bfuse__ioctl(bfuse, BFUSE_MATCH, &match);
		bfuse->nr_rules -= !!err;
	}
	pthread_mutex_unlock(&bfuse->lock);
	return err ? fail_match(bfuse, rule, err) : 0;
}

/* The kernel says for how many rules it has offered what was there. */
void bfuse__matched(struct bfuse *bfuse, uint64_t rules)
{
	pthread_mutex_lock(&bfuse->lock);
	bfuse->matched = rules;
	pthread_cond_broadcast(&bfuse->changed);
	pthread_mutex_unlock(&bfuse->lock);
}

void bfuse_wait_matched(struct bfuse *bfuse)
{
	pthread_mutex_lock(&bfuse->lock);
	while (bfuse->matched < bfuse->nr_rules && !atomic_load(&bfuse->finished))
		pthread_cond_wait(&bfuse->changed, &bfuse->lock);
	pthread_mutex_unlock(&bfuse->lock);
}

/*
 * Answers
 */

static int answer(struct bfuse *bfuse, uint64_t cookie, uint32_t what)
{
	struct bfuse_answer answer = { .size = sizeof(answer), .answer = what, .cookie = cookie };

	return bfuse__ioctl(bfuse, BFUSE_ANSWER, &answer);
}

/* The lock is held as in attach_own(); and who is stopping takes nothing on. */
static int accept_locked(struct bfuse *bfuse, struct bfuse_answer *answer)
{
	int err;

	if (bfuse->closed || atomic_load(&bfuse->stop))
		return -ECANCELED;
	err = bfuse__ioctl(bfuse, BFUSE_ANSWER, answer);
	return err ? err : bfuse__remember_locked(bfuse, answer->attachment);
}

/* From what we know ourselves: who only serves may not ask the kernel. */
static void tell_attached(struct bfuse *bfuse, const struct bfuse_arrival *device, const struct bfuse_answer *answer)
{
	const struct bfuse_register *reg = &bfuse->reg;
	struct bfuse_next next = {
		.size = sizeof(next),
		.attachment = answer->attachment,
		.filter = reg->filter,
		.major = device->offer.major,
		.minor = device->offer.minor,
		.altitude = reg->altitude,
		.pid = (uint32_t)getpid(),
		.nr_queues = reg->nr_queues,
		.depth = reg->depth,
		.slot_size = reg->slot_size,
		.filter_flags = reg->flags,
		.interest = answer->interest,
	};

	memcpy(next.device, device->offer.device, sizeof(next.device));
	memcpy(next.name, reg->name, sizeof(next.name));
	next.interest.policy = answer->policy;
	if (bfuse->filter->attached)
		bfuse->filter->attached(&next, bfuse->user);
}

/* False: not attached. */
static bool accept_device(struct bfuse *bfuse, const struct bfuse_arrival *device, const struct bfuse_interest *interest)
{
	struct bfuse_answer answer = {
		.size = sizeof(answer),
		.answer = BFUSE_ANSWER_ACCEPT,
		.cookie = device->offer.cookie,
		.flags = bfuse->replace ? BFUSE_ATTACH_REPLACE : 0,
		.interest = *interest,
	};
	int err;

	pthread_mutex_lock(&bfuse->lock);
	err = accept_locked(bfuse, &answer);
	pthread_mutex_unlock(&bfuse->lock);
	if (err) {
		bfuse__log(bfuse, err == -ECANCELED ? LOG_INFO : LOG_WARNING, "%s: can't be filtered: %s",
			   device->offer.device,
			   err == -ENOENT ? "the answer was too late" :
			   err == -EEXIST ? "somebody else is at this altitude" :
					    strerror(-err));
		return false;
	}
	bfuse__log(bfuse, LOG_NOTICE, "attached to /dev/%s at altitude %u", device->offer.device, bfuse->reg.altitude);
	/* Its guardian remembers it, and lets it tell. */
	if (bfuse->ward)
		bfuse__ward_tell(bfuse, MESSAGE_ATTACHED, answer.attachment);
	else
		tell_attached(bfuse, device, &answer);
	return true;
}

static void handle_offer(struct bfuse *bfuse, const struct bfuse_request *event)
{
	const struct bfuse_filter *filter = bfuse->filter;
	struct bfuse_arrival device = { .offer = { .size = sizeof(device.offer), .cookie = event->tag } };
	struct bfuse_interest interest = bfuse->reg.defaults;
	bool wanted;

	if (bfuse__ioctl(bfuse, BFUSE_OFFER, &device.offer))
		return;
	if (!bfuse->confined)
		bfuse__read_identity(&device);
	wanted = any_rule_fits(bfuse, &device) && (!filter->offered || filter->offered(&device, &interest, bfuse->user));
	/* After an acceptance that failed perhaps nobody waits any more. */
	if (!wanted || !accept_device(bfuse, &device, &interest))
		answer(bfuse, event->tag, BFUSE_ANSWER_DECLINE);
}

static void handle_call(struct bfuse *bfuse, const struct bfuse_request *event)
{
	const struct bfuse_filter *filter = bfuse->filter;

	if (event->op == BFUSE_EVENT_OFFERED) {
		handle_offer(bfuse, event);
		return;
	}
	if (event->op == BFUSE_EVENT_LEAVING && filter->leaving)
		filter->leaving(bfuse, event->attachment, bfuse->user);
	else if (event->op == BFUSE_EVENT_TORN_OUT && filter->torn_out)
		filter->torn_out(bfuse, event->attachment, bfuse->user);
	answer(bfuse, event->tag, BFUSE_ANSWER_DONE);
}

/*
 * Their thread
 */

/* Without memory the kernel waits for its limit. */
void bfuse__call_push(struct bfuse *bfuse, const struct bfuse_request *event)
{
	struct bfuse__call *call = malloc(sizeof(*call)), **end = &bfuse->calls;

	if (!call) {
		bfuse__log(bfuse, LOG_ERR, "%s: no memory to answer an event", bfuse->reg.name);
		return;
	}
	call->next = NULL;
	call->event = *event;
	atomic_fetch_add(&bfuse->open_calls, 1);
	pthread_mutex_lock(&bfuse->lock);
	while (*end)
		end = &(*end)->next;
	*end = call;
	pthread_cond_broadcast(&bfuse->changed);
	pthread_mutex_unlock(&bfuse->lock);
}

/* NULL: there will be none any more. */
static struct bfuse__call *pop(struct bfuse *bfuse)
{
	struct bfuse__call *call;

	pthread_mutex_lock(&bfuse->lock);
	while (!bfuse->calls && !bfuse->calls_over)
		pthread_cond_wait(&bfuse->changed, &bfuse->lock);
	call = bfuse->calls;
	if (call)
		bfuse->calls = call->next;
	pthread_mutex_unlock(&bfuse->lock);
	return call;
}

static void *call_thread(void *argument)
{
	struct bfuse *bfuse = argument;
	struct bfuse__call *call;

	while ((call = pop(bfuse))) {
		handle_call(bfuse, &call->event);
		free(call);
		bfuse__call_done(bfuse);
	}
	return NULL;
}

int bfuse__calls_start(struct bfuse *bfuse)
{
	int err;

	if (!(bfuse->reg.features & BFUSE_F_EVENTS))
		return 0;
	err = bfuse__thread(&bfuse->caller, call_thread, bfuse);
	bfuse->has_caller = !err;
	return -err;
}

/* When the queues are served no more. */
void bfuse__calls_join(struct bfuse *bfuse)
{
	if (!bfuse->has_caller)
		return;
	pthread_mutex_lock(&bfuse->lock);
	bfuse->calls_over = true;
	pthread_cond_broadcast(&bfuse->changed);
	pthread_mutex_unlock(&bfuse->lock);
	pthread_join(bfuse->caller, NULL);
	bfuse->has_caller = false;
}
