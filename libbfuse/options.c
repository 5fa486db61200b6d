// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * The command line of bfuse_main().
 */
#include "internal.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_DEVICE = 256,
	OPT_MATCH,
	OPT_MATCH_SERIAL,
	OPT_MATCH_MODEL,
	OPT_PARTITIONS,
	OPT_CALL,
	OPT_ALTITUDE,
	OPT_NAME,
	OPT_QUEUES,
	OPT_DEPTH,
	OPT_POLICY,
	OPT_FALLBACK,
	OPT_DEADLINE,
	OPT_HOLD,
	OPT_ATTACHABLE,
	OPT_REPLACE,
	OPT_REALTIME,
	OPT_SPIN,
	OPT_CONFINE,
	OPT_DRAIN,
	OPT_DRAIN_TIMEOUT,
	OPT_READY_FD,
	OPT_VERBOSE,
	OPT_HELP,
	OPT_OWN, /* the filter's first one */
};

struct common_option {
	struct bfuse_option shown;
	int id;
};

static const struct common_option common[] = {
	{ { "device", "PATH", "filter this block device; repeat it for several" }, OPT_DEVICE },
	{ { "match", "GLOB", "filter the disks so called (\"sd*\") and those to come; repeat it for several" }, OPT_MATCH },
	{ { "match-serial", "GLOB", "of these, those with such a serial number" }, OPT_MATCH_SERIAL },
	{ { "match-model", "GLOB", "of these, those of such a model" }, OPT_MATCH_MODEL },
	{ { "partitions", NULL, "match partitions, not disks" }, OPT_PARTITIONS },
	{ { "call", "MS", "how long an answer to an event may take" }, OPT_CALL },
	{ { "altitude", "N", "where: 1 is nearest to the device, 1000000 to the file system" }, OPT_ALTITUDE },
	{ { "name", "NAME", "what others see the filter called" }, OPT_NAME },
	{ { "queues", "N", "queues, each with a thread; default: one per CPU" }, OPT_QUEUES },
	{ { "depth", "N", "requests in flight per queue, a power of two" }, OPT_DEPTH },
	{ { "policy", "pass|error|hold", "for requests that the filter can't answer" }, OPT_POLICY },
	{ { "fallback", "pass|error", "what ends a hold" }, OPT_FALLBACK },
	{ { "deadline", "MS", "how long the filter may keep a request" }, OPT_DEADLINE },
	{ { "hold", "MS", "how long a hold lasts" }, OPT_HOLD },
	{ { "attachable", NULL, "let \"bfuse attach\" put it on further devices" }, OPT_ATTACHABLE },
	{ { "replace", NULL, "take over from a running filter of the same name and altitude, without a gap" }, OPT_REPLACE },
	{ { "realtime", NULL, "serve with real-time priority; callbacks must never compute for long" }, OPT_REALTIME },
	{ { "spin", "US", "look for requests so long before sleeping, without system calls; takes two CPUs a queue" }, OPT_SPIN },
	{ { "confine", "[=USER]", "serve in a process without privileges, of this user (nobody)" }, OPT_CONFINE },
	{ { "drain", NULL, "begin when all I/O that was submitted to the devices named before has completed" }, OPT_DRAIN },
	{ { "drain-timeout", "MS", "how long that may take; default: 30000" }, OPT_DRAIN_TIMEOUT },
	{ { "ready-fd", "FD", "write a newline there when all devices are filtered" }, OPT_READY_FD },
	{ { "verbose", NULL, "say more" }, OPT_VERBOSE },
	{ { "help", NULL, "this" }, OPT_HELP },
};

static int complain(const struct bfuse__command *command, const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "%s: --%s%s%s: %s\n", command->program, option, value ? " " : "", value ? value : "", wanted);
	return BFUSE_EXIT_USAGE;
}

static int parse_number(const struct bfuse__command *command, const char *option, const char *value, uint32_t min,
			uint32_t max, uint32_t *out)
{
	unsigned long long number;
	char wanted[80];
	char *end;

	errno = 0;
	number = strtoull(value, &end, bfuse_number_base(value));
	if (!errno && *value >= '0' && *value <= '9' && !*end && number >= min && number <= max) {
		*out = (uint32_t)number;
		return 0;
	}
	snprintf(wanted, sizeof(wanted), "a number from %u to %u is wanted", min, max);
	return complain(command, option, value, wanted);
}

static int parse_depth(struct bfuse__command *command, const char *value)
{
	int status = parse_number(command, "depth", value, 1, BFUSE_DEPTH_MAX, &command->reg.depth);

	if (!status && command->reg.depth & (command->reg.depth - 1))
		return complain(command, "depth", value, "a power of two is wanted");
	return status;
}

static int parse_name(struct bfuse__command *command, const char *value)
{
	const char *c;

	for (c = value; *c > ' ' && *c <= '~' && *c != '/'; c++)
		;
	if (*c || c == value || c - value >= BFUSE_NAME_MAX)
		return complain(command, "name", value,
				"up to 31 printable characters without '/' and blanks are wanted");
	memset(command->reg.name, 0, sizeof(command->reg.name));
	memcpy(command->reg.name, value, (size_t)(c - value));
	return 0;
}

static int parse_policy(struct bfuse__command *command, const char *option, const char *value, uint32_t max,
			uint32_t *out)
{
	int policy = bfuse_policy_parse(value);

	if (policy < BFUSE_POLICY_PASS || policy > (int)max)
		return complain(command, option, value,
				max == BFUSE_POLICY_HOLD ? "pass, error or hold is wanted" : "pass or error is wanted");
	*out = (uint32_t)policy;
	return 0;
}

static int add_device(struct bfuse__command *command, const char *path)
{
	const char **more = realloc(command->devices, (command->nr_devices + 1) * sizeof(*more));

	if (!more)
		return complain(command, "device", path, strerror(ENOMEM));
	command->devices = more;
	more[command->nr_devices++] = path;
	return 0;
}

/* A name or a number. A process of root's could do much with nothing but its files. */
static int parse_confine(struct bfuse__command *command, const char *user)
{
	const struct passwd *entry = user ? getpwnam(user) : NULL;
	char none = 0, *end = &none;

	command->confine = true;
	if (!user)
		return 0;
	command->uid = entry ? entry->pw_uid : (uid_t)strtoul(user, &end, 10);
	command->gid = entry ? entry->pw_gid : command->uid;
	if (command->uid && command->uid != (uid_t)-1 && !*end)
		return 0;
	return complain(command, "confine", user, "a user other than root is wanted");
}

static int add_rule(struct bfuse__command *command, const char *name)
{
	struct bfuse_rule *more = realloc(command->rules, (command->nr_rules + 1) * sizeof(*more));

	if (!more)
		return complain(command, "match", name, strerror(ENOMEM));
	command->rules = more;
	more[command->nr_rules++] = (struct bfuse_rule){ .name = name };
	command->reg.features |= BFUSE_F_EVENTS;
	return 0;
}

static int parse_match(struct bfuse__command *command, int id, const char *value)
{
	switch (id) {
	case OPT_MATCH:
		if (strlen(value) >= sizeof(((struct bfuse_match *)0)->name))
			return complain(command, "match", value, "up to 31 characters are wanted");
		return add_rule(command, value);
	case OPT_MATCH_SERIAL:
		command->serial = value;
		return 0;
	case OPT_MATCH_MODEL:
		command->model = value;
		return 0;
	default:
		command->partitions = true;
		return 0;
	}
}

/* What restricts the rules holds for all of them, and makes one of its own if there is none. */
static int complete_rules(struct bfuse__command *command)
{
	bool restricted = command->serial || command->model || command->partitions;
	unsigned int i;
	int status = 0;

	if (restricted && !command->nr_rules)
		status = add_rule(command, "*");
	for (i = 0; i < command->nr_rules; i++) {
		command->rules[i].serial = command->serial;
		command->rules[i].model = command->model;
		command->rules[i].kind = command->partitions ? BFUSE_RULE_PARTITIONS : BFUSE_RULE_DISKS;
	}
	return status;
}

static int parse_common(struct bfuse__command *command, int id, const char *value)
{
	struct bfuse_register *reg = &command->reg;
	struct bfuse_interest *interest = &reg->defaults;
	uint32_t fd;
	int status = 0;

	switch (id) {
	case OPT_DEVICE:
		return add_device(command, value);
	case OPT_MATCH:
	case OPT_MATCH_SERIAL:
	case OPT_MATCH_MODEL:
	case OPT_PARTITIONS:
		return parse_match(command, id, value);
	case OPT_CALL:
		reg->features |= BFUSE_F_EVENTS;
		return parse_number(command, "call", value, 1, BFUSE_CALL_MS_MAX, &reg->call_ms);
	case OPT_ALTITUDE:
		return parse_number(command, "altitude", value, BFUSE_ALTITUDE_MIN, BFUSE_ALTITUDE_MAX, &reg->altitude);
	case OPT_NAME:
		return parse_name(command, value);
	case OPT_QUEUES:
		return parse_number(command, "queues", value, 1, BFUSE_QUEUES_MAX, &reg->nr_queues);
	case OPT_DEPTH:
		return parse_depth(command, value);
	case OPT_POLICY:
		return parse_policy(command, "policy", value, BFUSE_POLICY_HOLD, &interest->policy);
	case OPT_FALLBACK:
		return parse_policy(command, "fallback", value, BFUSE_POLICY_ERROR, &interest->fallback);
	case OPT_DEADLINE:
		return parse_number(command, "deadline", value, 1, BFUSE_DEADLINE_MAX, &interest->deadline_ms);
	case OPT_HOLD:
		return parse_number(command, "hold", value, 1, BFUSE_DEADLINE_MAX, &interest->hold_ms);
	case OPT_ATTACHABLE:
		reg->flags |= BFUSE_FILTER_ATTACHABLE;
		return 0;
	case OPT_REPLACE:
		command->replace = true;
		return 0;
	case OPT_REALTIME:
		command->realtime = true;
		return 0;
	case OPT_SPIN:
		return parse_number(command, "spin", value, 1, BFUSE_SPIN_MAX, &reg->spin_us);
	case OPT_CONFINE:
		return parse_confine(command, value);
	case OPT_DRAIN:
		command->drain = true;
		return 0;
	case OPT_DRAIN_TIMEOUT:
		return parse_number(command, "drain-timeout", value, 1, BFUSE_DEADLINE_MAX, &command->drain_ms);
	case OPT_READY_FD:
		status = parse_number(command, "ready-fd", value, 0, 65535, &fd);
		command->ready_fd = status ? -1 : (int)fd;
		return status;
	case OPT_VERBOSE:
		command->verbose = true;
		return 0;
	default:
		command->help = true;
		return 0;
	}
}

static int parse_own(struct bfuse__command *command, const struct bfuse_filter *filter, int i, const char *value,
		     void *user)
{
	const char *name = filter->options[i].name;
	const char *wrong = filter->option(name, value, user);

	return wrong ? complain(command, name, value, wrong) : 0;
}

static size_t count_own(const struct bfuse_filter *filter)
{
	size_t n = 0;

	while (filter->options && filter->options[n].name)
		n++;
	return n;
}

static void to_long_option(struct option *option, const struct bfuse_option *shown, int id)
{
	option->name = shown->name;
	option->has_arg = !shown->argument ? no_argument : *shown->argument == '[' ? optional_argument : required_argument;
	option->val = id;
}

/* Ends with an entry of zeroes, as getopt_long_only() wants it. */
static struct option *long_options(const struct bfuse_filter *filter)
{
	size_t i, own = count_own(filter);
	struct option *options = calloc(ARRAY_SIZE(common) + own + 1, sizeof(*options));

	if (!options)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(common); i++)
		to_long_option(&options[i], &common[i].shown, common[i].id);
	for (i = 0; i < own; i++)
		to_long_option(&options[ARRAY_SIZE(common) + i], &filter->options[i], OPT_OWN + (int)i);
	return options;
}

static void show(const struct bfuse_option *option)
{
	const char *argument = option->argument ? option->argument : "";
	char left[40];

	snprintf(left, sizeof(left), "--%s%s%s", option->name, *argument == '[' ? "" : " ", argument);
	printf("  %-26s  %s\n", left, option->help);
}

void bfuse__usage(const struct bfuse__command *command, const struct bfuse_filter *filter)
{
	size_t i, own = count_own(filter);

	printf("usage: %s --device PATH...|--match GLOB... [OPTION...]\n", command->program);
	if (filter->summary)
		printf("%s\n", filter->summary);
	printf("\n");
	for (i = 0; i < own; i++)
		show(&filter->options[i]);
	for (i = 0; i < ARRAY_SIZE(common); i++)
		show(&common[i].shown);
	printf("\nExit status: 0 ok, 1 other, 2 usage, 3 module not loaded, 4 not permitted, 5 no such block device,\n"
	       "6 altitude taken, 7 other ABI, 8 device can't be filtered, 9 no such filter, 10 can't intercept.\n");
}

static int check_command(const struct bfuse__command *command, const struct bfuse_filter *filter, char **rest)
{
	bool waits = command->nr_rules || filter->match || command->reg.flags & BFUSE_FILTER_ATTACHABLE;

	if (*rest) {
		fprintf(stderr, "%s: %s: unexpected; name devices with --device\n", command->program, *rest);
		return BFUSE_EXIT_USAGE;
	}
	if (command->confine && (command->serial || command->model)) {
		fprintf(stderr, "%s: --match-serial and --match-model don't go with --confine, which can't look at sysfs\n",
			command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (!command->nr_devices && !waits) {
		fprintf(stderr, "%s: no device given; use --device PATH, or --match or --attachable to wait for some\n",
			command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (command->realtime && command->reg.spin_us) {
		fprintf(stderr, "%s: --spin with --realtime would leave a CPU to nothing else\n", command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (command->reg.defaults.policy != BFUSE_POLICY_HOLD &&
	    (command->reg.defaults.hold_ms || command->reg.defaults.fallback)) {
		fprintf(stderr, "%s: --hold and --fallback make sense only with --policy hold\n", command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (command->drain_ms && !command->drain) {
		fprintf(stderr, "%s: --drain-timeout makes sense only with --drain\n", command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (command->drain && (command->nr_rules || !command->nr_devices)) {
		fprintf(stderr, "%s: --drain is for devices that --device names; those that come otherwise would not be drained\n",
			command->program);
		return BFUSE_EXIT_USAGE;
	}
	if (command->drain && command->replace) {
		fprintf(stderr, "%s: --drain and --replace exclude each other: a predecessor has seen what came before\n",
			command->program);
		return BFUSE_EXIT_USAGE;
	}
	return 0;
}

static int parse_all(struct bfuse__command *command, int argc, char **argv, const struct bfuse_filter *filter,
		     void *user, const struct option *options)
{
	int id, status = 0;

	optind = 0;
	opterr = 0;
	while (!status && (id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?') {
			fprintf(stderr, "%s: %s: unknown option, or without its value; see --help\n", command->program,
				argv[optind - 1]);
			status = BFUSE_EXIT_USAGE;
		} else if (id >= OPT_OWN) {
			status = parse_own(command, filter, id - OPT_OWN, optarg, user);
		} else {
			status = parse_common(command, id, optarg);
		}
	}
	if (!status)
		status = complete_rules(command);
	return status || command->help ? status : check_command(command, filter, argv + optind);
}

int bfuse__parse(struct bfuse__command *command, int argc, char **argv, const struct bfuse_filter *filter, void *user)
{
	struct option *options = long_options(filter);
	int status;

	command->program = argc && strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argc ? argv[0] : filter->name;
	command->ready_fd = -1;
	bfuse_derive(filter, &command->reg);
	if (!options) {
		fprintf(stderr, "%s: %s\n", command->program, strerror(ENOMEM));
		return BFUSE_EXIT_OTHER;
	}
	status = parse_all(command, argc, argv, filter, user, options);
	free(options);
	return status;
}
