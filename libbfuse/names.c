// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Names of the ABI's numbers, for people and command lines.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

static const char *const ops[BFUSE_OP_COUNT] = {
	[BFUSE_OP_READ] = "read",
	[BFUSE_OP_WRITE] = "write",
	[BFUSE_OP_FLUSH] = "flush",
	[BFUSE_OP_DISCARD] = "discard",
	[BFUSE_OP_SECURE_ERASE] = "secure-erase",
	[BFUSE_OP_WRITE_ZEROES] = "write-zeroes",
	[BFUSE_OP_ZONE_APPEND] = "zone-append",
	[BFUSE_OP_ZONE_RESET] = "zone-reset",
	[BFUSE_OP_ZONE_RESET_ALL] = "zone-reset-all",
	[BFUSE_OP_ZONE_OPEN] = "zone-open",
	[BFUSE_OP_ZONE_CLOSE] = "zone-close",
	[BFUSE_OP_ZONE_FINISH] = "zone-finish",
	[BFUSE_OP_OTHER] = "other",
};

static const char *const flags[] = {
	[0] = "fua",	    [1] = "preflush",	[2] = "sync",	      [3] = "meta",	[4] = "prio",
	[5] = "rahead",	    [6] = "background", [7] = "nowait",	      [8] = "polled",	[9] = "nounmap",
	[10] = "failfast",  [11] = "swap",	[12] = "atomic",      [13] = "idle",	[14] = "nomerge",
	[15] = "integrity", [16] = "encrypted", [24] = "redelivered", [25] = "payload",
	[26] = "injected",  [27] = "held",	[28] = "mirror-failed", [29] = "copy-failed",
	[30] = "mapped",
};

static const char *const policies[] = {
	[BFUSE_POLICY_DEFAULT] = "default",
	[BFUSE_POLICY_PASS] = "pass",
	[BFUSE_POLICY_ERROR] = "error",
	[BFUSE_POLICY_HOLD] = "hold",
};

static const char *const states[] = {
	[BFUSE_STATE_LIVE] = "live",
	[BFUSE_STATE_STALLED] = "stalled",
	[BFUSE_STATE_ORPHAN] = "orphan",
	[BFUSE_STATE_LEAVING] = "leaving",
};

static const char *const verdicts[BFUSE_VERBS] = {
	[BFUSE_PASS] = "pass",
	[BFUSE_COMPLETE] = "complete",
	[BFUSE_REDIRECT] = "redirect",
	[BFUSE_MODIFY] = "modify",
	[BFUSE_COPY_BEFORE] = "copy-before",
	[BFUSE_MIRROR] = "mirror",
	[BFUSE_HOLD] = "hold",
};

static const char *const features[] = { "notify", "complete", "payload", "hold", "held", "modify", "targets",
	[7] = "inject", [8] = "events", [9] = "drain", [10] = "replace", [11] = "uring", [12] = "log",
	[13] = "ranges", [14] = "chunks", [15] = "mark", [16] = "mapped", [17] = "spin", [18] = "layers" };

static const char *const log_events[] = {
	[BFUSE_LOG_ATTACHED] = "attached",   [BFUSE_LOG_DETACHED] = "detached", [BFUSE_LOG_DIED] = "died",
	[BFUSE_LOG_STALLED] = "stalled",     [BFUSE_LOG_BACK] = "back",		[BFUSE_LOG_TIMEOUT] = "timeout",
	[BFUSE_LOG_OFFERED] = "offered",     [BFUSE_LOG_DECLINED] = "declined", [BFUSE_LOG_UNANSWERED] = "unanswered",
	[BFUSE_LOG_LEAVING] = "leaving",     [BFUSE_LOG_TORN_OUT] = "torn-out",
	[BFUSE_LOG_ADOPTED] = "adopted",     [BFUSE_LOG_ABANDONED] = "abandoned",
	[BFUSE_LOG_COPY_FAILED] = "copy-failed", [BFUSE_LOG_MIRROR_FAILED] = "mirror-failed",
	[BFUSE_LOG_DRAINED] = "drained",
};

static const char *const reasons[] = {
	[BFUSE_REASON_NONE] = "not refused",
	[BFUSE_REASON_RING] = "the ring's indexes are inconsistent",
	[BFUSE_REASON_TAG] = "there is no such tag in this queue",
	[BFUSE_REASON_STATE] = "the request does not wait for a verdict (answered twice?)",
	[BFUSE_REASON_TYPE] = "the filter did not list this type of verdict, or what its flags ask for, in its interest",
	[BFUSE_REASON_FLAGS] = "its flags make no sense for this type and operation",
	[BFUSE_REASON_STATUS] = "its status is not one that a block device can return here",
	[BFUSE_REASON_LENGTH] = "the request is longer than its slot, and no data were stored; or it is too long to be modified",
	[BFUSE_REASON_RESERVED] = "a reserved field is not zero",
	[BFUSE_REASON_OP] = "what it asks for is not defined for this operation",
	[BFUSE_REASON_TARGET] = "there is no such target, it is read-only, or the range is not in it or not of whole blocks",
	[BFUSE_REASON_LAYER] = "not a layer that the request was presented to",
	[BFUSE_REASON_CONTEXT] =
		"a request with an inline encryption context or integrity metadata can't be changed, held or sent elsewhere",
	[BFUSE_REASON_LOOP] = "the target is, or lies on, a device that the filter itself filters",
};

static const char *name_in(const char *const *names, size_t count, unsigned int i)
{
	return i < count && names[i] ? names[i] : NULL;
}

static const char *name_or_unknown(const char *const *names, size_t count, unsigned int i)
{
	const char *name = name_in(names, count, i);

	return name ? name : "unknown";
}

static int parse(const char *const *names, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!strcmp(names[i], name))
			return (int)i;
	}
	return -EINVAL;
}

const char *bfuse_op_name(unsigned int op)
{
	return name_or_unknown(ops, ARRAY_SIZE(ops), op);
}

int bfuse_op_parse(const char *name)
{
	return parse(ops, ARRAY_SIZE(ops), name);
}

static int add_op(const char *name, size_t length, uint32_t *mask)
{
	char copy[32];
	int op;

	if (length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, name, length);
	copy[length] = '\0';
	op = bfuse_op_parse(copy);
	if (op < 0)
		return op;
	*mask |= 1u << op;
	return 0;
}

int bfuse_ops_parse(const char *list, uint32_t *mask)
{
	*mask = 0;
	if (!strcmp(list, "none"))
		return 0;
	if (!strcmp(list, "all")) {
		*mask = BFUSE_OPS_ALL;
		return 0;
	}
	for (;;) {
		size_t length = strcspn(list, ",");
		int err = add_op(list, length, mask);

		if (err)
			return err;
		if (!list[length])
			return 0;
		list += length + 1;
	}
}

char *bfuse_ops_format(uint32_t mask, char *buffer, size_t size)
{
	size_t used = 0;
	unsigned int op;

	snprintf(buffer, size, "%s", mask == BFUSE_OPS_ALL ? "all" : mask ? "" : "none");
	for (op = 0; mask != BFUSE_OPS_ALL && op < 32 && used < size; op++) {
		if (mask & 1u << op)
			used += (size_t)snprintf(buffer + used, size - used, "%s%s", used ? "," : "",
						 bfuse_op_name(op));
	}
	return buffer;
}

const char *bfuse_flag_name(unsigned int bit)
{
	return name_in(flags, ARRAY_SIZE(flags), bit);
}

const char *bfuse_policy_name(unsigned int policy)
{
	return name_or_unknown(policies, ARRAY_SIZE(policies), policy);
}

int bfuse_policy_parse(const char *name)
{
	return parse(policies, ARRAY_SIZE(policies), name);
}

const char *bfuse_state_name(unsigned int state)
{
	return name_or_unknown(states, ARRAY_SIZE(states), state);
}

const char *bfuse_reason_text(unsigned int reason)
{
	return reason < ARRAY_SIZE(reasons) && reasons[reason] ? reasons[reason] : "unknown reason";
}

const char *bfuse_verdict_name(unsigned int type)
{
	return name_or_unknown(verdicts, ARRAY_SIZE(verdicts), type);
}

const char *bfuse_log_event_name(unsigned int event)
{
	return name_or_unknown(log_events, ARRAY_SIZE(log_events), event);
}

const char *bfuse_feature_name(unsigned int bit)
{
	return name_in(features, ARRAY_SIZE(features), bit);
}

int bfuse_number_base(const char *text)
{
	return text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
}
