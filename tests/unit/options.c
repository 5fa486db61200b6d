// SPDX-License-Identifier: GPL-2.0
/*
 * Command lines of filter programs.
 */
#include "fake.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static char seen[64];

static const char *own_option(const char *name, const char *value, void *user)
{
	(void)user;
	snprintf(seen, sizeof(seen), "%s=%s", name, value ? value : "(none)");
	return value && !strcmp(value, "bad") ? "something good is wanted" : NULL;
}

static const struct bfuse_option own[] = { { "flag", NULL, "" }, { "value", "X", "" }, { NULL, NULL, NULL } };

static const struct bfuse_filter filter = { .size = sizeof(filter),
					    .name = "test",
					    .altitude = 500,
					    .options = own,
					    .option = own_option };

/* Splits at blanks; what goes to standard error is in messages. */
static char messages[1024];

static int parse(struct bfuse__command *command, const char *line)
{
	static char copy[512];
	char *argv[32] = { (char *)"/usr/bin/test" };
	int argc = 1, status;
	FILE *real = stderr;

	memset(command, 0, sizeof(*command));
	memset(messages, 0, sizeof(messages));
	strcpy(copy, line);
	for (argv[argc] = strtok(copy, " "); argv[argc]; argv[argc] = strtok(NULL, " "))
		argc++;
	stderr = fmemopen(messages, sizeof(messages) - 1, "w");
	status = bfuse__parse(command, argc, argv, &filter, NULL);
	fclose(stderr);
	stderr = real;
	return status;
}

START_TEST(test_all)
{
	struct bfuse__command command;

	ck_assert_int_eq(parse(&command,
			       "--device /dev/a --altitude 07 --name n.1 --queues 2 --depth 64 --policy hold "
			       "--fallback pass --deadline 5 --hold 3600000 --attachable --ready-fd 9 --verbose "
			       "--flag --value=v --device /dev/b"),
			 0);
	ck_assert_uint_eq(command.nr_devices, 2);
	ck_assert_str_eq(command.devices[1], "/dev/b");
	ck_assert_str_eq(command.reg.name, "n.1");
	ck_assert_uint_eq(command.reg.altitude, 7);
	ck_assert_uint_eq(command.reg.nr_queues, 2);
	ck_assert_uint_eq(command.reg.depth, 64);
	ck_assert_uint_eq(command.reg.flags, BFUSE_FILTER_ATTACHABLE);
	ck_assert_uint_eq(command.reg.defaults.policy, BFUSE_POLICY_HOLD);
	ck_assert_uint_eq(command.reg.defaults.fallback, BFUSE_POLICY_PASS);
	ck_assert_uint_eq(command.reg.defaults.deadline_ms, 5);
	ck_assert_uint_eq(command.reg.defaults.hold_ms, 3600000);
	ck_assert_int_eq(command.ready_fd, 9);
	ck_assert(command.verbose && !command.help);
	ck_assert_str_eq(seen, "value=v");
	ck_assert_str_eq(command.program, "test");
	free(command.devices);
}
END_TEST

START_TEST(test_drain)
{
	struct bfuse__command command;

	ck_assert_int_eq(parse(&command, "--device /dev/a --drain"), 0);
	ck_assert(command.drain && !command.drain_ms);
	free(command.devices);
	ck_assert_int_eq(parse(&command, "--device /dev/a --drain --drain-timeout 250"), 0);
	ck_assert(command.drain);
	ck_assert_uint_eq(command.drain_ms, 250);
	free(command.devices);
}
END_TEST

START_TEST(test_defaults)
{
	struct bfuse__command command;

	ck_assert_int_eq(parse(&command, "--device /dev/a"), 0);
	ck_assert_str_eq(command.reg.name, "test");
	ck_assert_uint_eq(command.reg.altitude, 500);
	ck_assert_int_eq(command.ready_fd, -1);
	free(command.devices);
	ck_assert(!command.confine);
	ck_assert_int_eq(parse(&command, "--device /dev/a --confine"), 0);
	ck_assert(command.confine);
	free(command.devices);
	ck_assert_int_eq(parse(&command, "--device /dev/a --confine=daemon"), 0);
	ck_assert(command.confine && command.uid && command.gid);
	free(command.devices);
	ck_assert_int_eq(parse(&command, "--help"), 0);
	ck_assert(command.help);
}
END_TEST

START_TEST(test_rules)
{
	struct bfuse__command command;

	ck_assert_int_eq(parse(&command, "--match a* --match-serial S* --match b --partitions --call 7"), 0);
	ck_assert_uint_eq(command.nr_rules, 2);
	ck_assert_str_eq(command.rules[0].name, "a*");
	ck_assert_str_eq(command.rules[1].name, "b");
	ck_assert_str_eq(command.rules[0].serial, "S*");
	ck_assert_str_eq(command.rules[1].serial, "S*");
	ck_assert_int_eq(command.rules[1].kind, BFUSE_RULE_PARTITIONS);
	ck_assert_uint_eq(command.reg.features, BFUSE_F_EVENTS);
	ck_assert_uint_eq(command.reg.call_ms, 7);
	free(command.rules);
	ck_assert_int_eq(parse(&command, "--match-model M"), 0);
	ck_assert_uint_eq(command.nr_rules, 1);
	ck_assert_str_eq(command.rules[0].name, "*");
	ck_assert_str_eq(command.rules[0].model, "M");
	ck_assert_int_eq(command.rules[0].kind, BFUSE_RULE_DISKS);
	free(command.rules);
}
END_TEST

START_TEST(test_mistakes)
{
	static const char *const cases[][2] = {
		{ "", "test: no device given; use --device PATH, or --match or --attachable to wait for some\n" },
		{ "--match 01234567890123456789012345678901",
		  "test: --match 01234567890123456789012345678901: up to 31 characters are wanted\n" },
		{ "--match x --match-serial y --confine",
		  "test: --match-serial and --match-model don't go with --confine, which can't look at sysfs\n" },
		{ "--call 0", "test: --call 0: a number from 1 to 60000 is wanted\n" },
		{ "/dev/a", "test: /dev/a: unexpected; name devices with --device\n" },
		{ "--nonsense", "test: --nonsense: unknown option, or without its value; see --help\n" },
		{ "--device /dev/a -nonsense", "test: -nonsense: unknown option, or without its value; see --help\n" },
		{ "--device", "test: --device: unknown option, or without its value; see --help\n" },
		{ "--altitude 0", "test: --altitude 0: a number from 1 to 1000000 is wanted\n" },
		{ "--altitude 1000001", "test: --altitude 1000001: a number from 1 to 1000000 is wanted\n" },
		{ "--altitude -1", "test: --altitude -1: a number from 1 to 1000000 is wanted\n" },
		{ "--altitude 5x", "test: --altitude 5x: a number from 1 to 1000000 is wanted\n" },
		{ "--altitude 99999999999999999999",
		  "test: --altitude 99999999999999999999: a number from 1 to 1000000 is wanted\n" },
		{ "--queues 65", "test: --queues 65: a number from 1 to 64 is wanted\n" },
		{ "--depth 12", "test: --depth 12: a power of two is wanted\n" },
		{ "--name a/b", "test: --name a/b: up to 31 printable characters without '/' and blanks are wanted\n" },
		{ "--name 12345678901234567890123456789012",
		  "test: --name 12345678901234567890123456789012: up to 31 printable characters without '/' and blanks are "
		  "wanted\n" },
		{ "--policy default", "test: --policy default: pass, error or hold is wanted\n" },
		{ "--fallback hold", "test: --fallback hold: pass or error is wanted\n" },
		{ "--device x --hold 5", "test: --hold and --fallback make sense only with --policy hold\n" },
		{ "--confine=root", "test: --confine root: a user other than root is wanted\n" },
		{ "--confine=-1", "test: --confine -1: a user other than root is wanted\n" },
		{ "--confine=4294967295", "test: --confine 4294967295: a user other than root is wanted\n" },
		{ "--confine=0", "test: --confine 0: a user other than root is wanted\n" },
		{ "--confine=5x", "test: --confine 5x: a user other than root is wanted\n" },
		{ "--confine=no.such.user", "test: --confine no.such.user: a user other than root is wanted\n" },
		{ "--device x --drain-timeout 5", "test: --drain-timeout makes sense only with --drain\n" },
		{ "--device x --match y --drain",
		  "test: --drain is for devices that --device names; those that come otherwise would not be drained\n" },
		{ "--attachable --drain",
		  "test: --drain is for devices that --device names; those that come otherwise would not be drained\n" },
		{ "--device x --drain --replace",
		  "test: --drain and --replace exclude each other: a predecessor has seen what came before\n" },
		{ "--value bad", "test: --value bad: something good is wanted\n" },
	};
	struct bfuse__command command;

	ck_assert_int_eq(parse(&command, cases[_i][0]), BFUSE_EXIT_USAGE);
	ck_assert_str_eq(messages, cases[_i][1]);
	free(command.devices);
	free(command.rules);
}
END_TEST

Suite *options_suite(void)
{
	Suite *suite = suite_create("options");
	TCase *tests = tcase_create("options");

	tcase_add_test(tests, test_all);
	tcase_add_test(tests, test_drain);
	tcase_add_test(tests, test_defaults);
	tcase_add_test(tests, test_rules);
	tcase_add_loop_test(tests, test_mistakes, 0, 30);
	suite_add_tcase(suite, tests);
	return suite;
}
