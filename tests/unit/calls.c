// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that are offered and that leave, in front of the fake kernel.
 */
#include "fake.h"
#include "internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct bfuse *bfuse;
static bool accepts;
static char offered_name[32];
static unsigned int left, torn;
static pthread_t runner;
static int run_status;

static int any(struct bfuse_io *io, void *user)
{
	(void)io, (void)user;
	return BFUSE_REPLY_PASS;
}

static bool offered(const struct bfuse_arrival *device, struct bfuse_interest *interest, void *user)
{
	(void)user;
	memcpy(offered_name, device->offer.device, sizeof(offered_name));
	interest->deadline_ms = 77;
	return accepts;
}

static void leaving(struct bfuse *handle, uint32_t attachment, void *user)
{
	(void)user;
	left += handle == bfuse ? attachment : 1000;
}

static void torn_out(struct bfuse *handle, uint32_t attachment, void *user)
{
	(void)user;
	torn += handle == bfuse ? attachment : 1000;
}

static const struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "test",
	.altitude = 500,
	.queues = 2,
	.depth = 64,
	.call_ms = 123,
	.any = any,
	.offered = offered,
	.leaving = leaving,
	.torn_out = torn_out,
};

static void *run(void *argument)
{
	(void)argument;
	run_status = bfuse_wait(bfuse);
	return NULL;
}

static void setup(void)
{
	fake_reset();
	accepts = true;
	left = torn = 0;
	strcpy(fake.offer.device, "sda");
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, NULL, NULL), 0);
	ck_assert_int_eq(bfuse_start(bfuse), 0);
}

static void match(const char *name, const char *serial, enum bfuse_rule_kind kind)
{
	struct bfuse_rule rule = { .name = name, .serial = serial, .kind = kind };

	ck_assert_int_eq(bfuse_match(bfuse, &rule), 0);
	bfuse_wait_matched(bfuse);
	pthread_create(&runner, NULL, run, NULL);
}

static void teardown(void)
{
	bfuse_stop(bfuse);
	pthread_join(runner, NULL);
	ck_assert_int_eq(run_status, 0);
	bfuse_free(bfuse);
}

START_TEST(test_registration)
{
	ck_assert_uint_eq(fake.reg.features & BFUSE_F_EVENTS, BFUSE_F_EVENTS);
	ck_assert_uint_eq(fake.reg.call_ms, 123);
	match("s*", NULL, BFUSE_RULE_BOTH);
	ck_assert_str_eq(fake.match.name, "s*");
	ck_assert_uint_eq(fake.match.flags, BFUSE_MATCH_DISKS | BFUSE_MATCH_PARTITIONS);
}
END_TEST

START_TEST(test_accept)
{
	match("s*", NULL, BFUSE_RULE_DISKS);
	fake_call(BFUSE_EVENT_OFFERED, 0, 42);
	fake_wait_answers(1);
	ck_assert_str_eq(offered_name, "sda");
	ck_assert_uint_eq(fake.answers[0].answer, BFUSE_ANSWER_ACCEPT);
	ck_assert_uint_eq(fake.answers[0].cookie, 42);
	ck_assert_uint_eq(fake.answers[0].interest.deadline_ms, 77);
	ck_assert_uint_eq(fake.answers[0].interest.ops, BFUSE_OPS_ALL);
}
END_TEST

/* Its last device has gone: more may come. */
START_TEST(test_goes_on)
{
	match("s*", NULL, BFUSE_RULE_DISKS);
	fake_call(BFUSE_EVENT_OFFERED, 0, 1);
	fake_wait_answers(1);
	fake_event(BFUSE_EVENT_DETACHED, 1, -ENODEV);
	fake_call(BFUSE_EVENT_OFFERED, 0, 2);
	fake_wait_answers(2);
	ck_assert_uint_eq(fake.answers[1].answer, BFUSE_ANSWER_ACCEPT);
}
END_TEST

START_TEST(test_decline)
{
	accepts = false;
	match("s*", NULL, BFUSE_RULE_DISKS);
	fake_call(BFUSE_EVENT_OFFERED, 0, 7);
	fake_wait_answers(1);
	ck_assert_uint_eq(fake.answers[0].answer, BFUSE_ANSWER_DECLINE);
	ck_assert_uint_eq(fake.answers[0].cookie, 7);
}
END_TEST

/* What the kernel can't know, and what another rule was meant for. */
START_TEST(test_rules)
{
	match("s*", _i ? NULL : "S/N*", BFUSE_RULE_DISKS);
	fake.offer.disk_major = 4095;
	fake.offer.flags = _i ? BFUSE_OFFER_PARTITION : 0;
	fake_call(BFUSE_EVENT_OFFERED, 0, 7);
	fake_wait_answers(1);
	ck_assert_uint_eq(fake.answers[0].answer, BFUSE_ANSWER_DECLINE);
	ck_assert_str_eq(offered_name, "");
}
END_TEST

START_TEST(test_failed_attach)
{
	match("s*", NULL, BFUSE_RULE_DISKS);
	fake.attach_error = EEXIST;
	fake_call(BFUSE_EVENT_OFFERED, 0, 7);
	fake_wait_answers(2);
	ck_assert_uint_eq(fake.answers[1].answer, BFUSE_ANSWER_DECLINE);
	ck_assert_ptr_nonnull(strstr(log_lines, "sda: can't be filtered: somebody else is at this altitude"));
}
END_TEST

START_TEST(test_leaving)
{
	match("s*", NULL, BFUSE_RULE_DISKS);
	fake_call(BFUSE_EVENT_LEAVING, 3, 8);
	fake_call(BFUSE_EVENT_TORN_OUT, 5, 9);
	fake_wait_answers(2);
	ck_assert_uint_eq(left, 3);
	ck_assert_uint_eq(torn, 5);
	ck_assert_uint_eq(fake.answers[0].answer, BFUSE_ANSWER_DONE);
	ck_assert_uint_eq(fake.answers[0].cookie, 8);
	ck_assert_uint_eq(fake.answers[1].answer, BFUSE_ANSWER_DONE);
	ck_assert_uint_eq(fake.answers[1].cookie, 9);
}
END_TEST

START_TEST(test_bad_rules)
{
	const struct bfuse_rule long_name = { .name = "01234567890123456789012345678901" };
	const struct bfuse_rule rule = { .name = "*" };

	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_match(bfuse, &long_name), -ENAMETOOLONG);
	ck_assert_int_eq(bfuse_exit_status(bfuse), BFUSE_EXIT_USAGE);
	fake.match_error = EOPNOTSUPP;
	ck_assert_int_eq(bfuse_match(bfuse, &rule), -EOPNOTSUPP);
	ck_assert_int_eq(bfuse_exit_status(bfuse), BFUSE_EXIT_ABI);
	/* Nobody waits for what was refused. */
	bfuse_wait_matched(bfuse);
	bfuse_free(bfuse);
}
END_TEST

/* What a ward says of itself counts once: it may be somebody else's by then. */
START_TEST(test_ready_once)
{
	const struct message messages[] = {
		{ .kind = MESSAGE_READY, .reg = { .filter = 3, .name = "honest" } },
		{ .kind = MESSAGE_READY, .reg = { .filter = 4, .name = "other" } },
		{ .kind = MESSAGE_MATCHED, .attachment = 1 },
	};
	int ends[2];
	size_t i;

	fake_reset();
	bfuse = bfuse_new();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(send(ends[1], &messages[i], sizeof(messages[i]), 0), sizeof(messages[i]));
	close(ends[1]);
	bfuse->control = ends[0];
	ck_assert_int_eq(bfuse__guard_begin(bfuse), 0);
	ck_assert_uint_eq(bfuse->reg.filter, 3);
	bfuse->nr_rules = 1;
	bfuse__guard_wait_matched(bfuse);
	ck_assert_uint_eq(bfuse->matched, 1);
	ck_assert_uint_eq(bfuse->reg.filter, 3);
	ck_assert_str_eq(bfuse->reg.name, "honest");
	bfuse->nr_rules = 0;
	bfuse_free(bfuse);
}
END_TEST

Suite *calls_suite(void)
{
	Suite *suite = suite_create("calls");
	TCase *served = tcase_create("served");
	TCase *others = tcase_create("others");

	tcase_add_checked_fixture(served, setup, teardown);
	tcase_add_test(served, test_registration);
	tcase_add_test(served, test_accept);
	tcase_add_test(served, test_goes_on);
	tcase_add_test(served, test_decline);
	tcase_add_loop_test(served, test_rules, 0, 2);
	tcase_add_test(served, test_failed_attach);
	tcase_add_test(served, test_leaving);
	tcase_add_test(others, test_bad_rules);
	tcase_add_test(others, test_ready_once);
	suite_add_tcase(suite, served);
	suite_add_tcase(suite, others);
	return suite;
}
