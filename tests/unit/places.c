// SPDX-License-Identifier: GPL-2.0
/*
 * What callbacks say of other places, in front of the fake kernel.
 */
#include "fake.h"

#include <errno.h>
#include <string.h>

static struct bfuse *bfuse;
static int reply;
static uint32_t target;
static unsigned int failed;
static int registered_result;
static bool only_lenient;

static int handle(struct bfuse_io *io, void *user)
{
	(void)user;
	bfuse_io_lenient(io);
	if (only_lenient)
		return reply;
	bfuse_io_redirect(io, 1, 8);
	bfuse_io_mirror(io, 2, 16);
	bfuse_io_copy_before(io, 3, 24, 32, 4096);
	return reply;
}

static void handle_done(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	(void)io, (void)user;
	failed += done->flags & BFUSE_RQ_COPY_FAILED && done->other_status == -ENOSPC;
}

static int registered(struct bfuse *handle, void *user)
{
	(void)user;
	ck_assert_uint_eq(fake.attachments, 0);
	return registered_result ? registered_result : bfuse_target(handle, 0, 0, &target);
}

static struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "places",
	.altitude = 500,
	.queues = 1,
	.depth = 4,
	.any = handle,
	.done = handle_done,
	.registered = registered,
};

static void promise(bool all)
{
	filter.redirects = filter.mirrors = filter.copies = filter.completes = all;
}

static void start(void)
{
	fake_reset();
	target = failed = registered_result = 0;
	only_lenient = false;
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_start(bfuse), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
}

static void finish(void)
{
	bfuse_stop(bfuse);
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	bfuse_free(bfuse);
}

static const struct bfuse_verdict *ask(int answer)
{
	reply = answer;
	fake_request(0, BFUSE_OP_WRITE, 5, 0, 4096);
	fake_wait_verdicts(1);
	return &fake.verdicts[0];
}

START_TEST(test_all_of_it)
{
	const struct bfuse_verdict *v;

	promise(true);
	start();
	ck_assert_uint_eq(target, 1);
	ck_assert(fake.reg.features & BFUSE_F_TARGETS);
	v = ask(BFUSE_REPLY_NOTIFY);
	ck_assert_uint_eq(v->type, BFUSE_REDIRECT);
	ck_assert_uint_eq(v->tag, 5);
	ck_assert_uint_eq(v->flags, BFUSE_VERDICT_NOTIFY | BFUSE_VERDICT_MIRROR | BFUSE_VERDICT_COPY_BEFORE | BFUSE_VERDICT_LENIENT);
	ck_assert_uint_eq(v->target, 1);
	ck_assert_uint_eq(v->sector, 8);
	ck_assert_uint_eq(v->mirror, 2);
	ck_assert_uint_eq(v->mirror_sector, 16);
	ck_assert_uint_eq(v->copy_target, 3);
	ck_assert_uint_eq(v->copy_sector, 24);
	ck_assert_uint_eq(v->copy_source, 32);
	ck_assert_uint_eq(v->copy_length, 4096);
	finish();
}
END_TEST

/* A verdict that says it and copies nothing would be refused, and its request wait for the deadline. */
START_TEST(test_lenient_of_nothing)
{
	const struct bfuse_verdict want = { .type = BFUSE_PASS, .tag = 5 };

	promise(true);
	start();
	only_lenient = true;
	ck_assert_mem_eq(ask(BFUSE_REPLY_PASS), &want, sizeof(want));
	finish();
}
END_TEST

/* What ends here goes nowhere. */
START_TEST(test_not_when_it_ends_here)
{
	const struct bfuse_verdict want = { .type = BFUSE_COMPLETE, .status = _i, .tag = 5 };

	promise(true);
	start();
	ck_assert_mem_eq(ask(_i ? _i : BFUSE_REPLY_COMPLETE), &want, sizeof(want));
	finish();
}
END_TEST

START_TEST(test_not_promised)
{
	const struct bfuse_verdict want = { .type = BFUSE_PASS, .tag = 5 };

	promise(false);
	start();
	ck_assert_mem_eq(ask(BFUSE_REPLY_PASS), &want, sizeof(want));
	ck_assert_ptr_nonnull(strstr(log_lines, ".copies"));
	finish();
}
END_TEST

/* done() hears of it, though nobody asked for that. */
START_TEST(test_failure_is_told)
{
	struct bfuse_request entry = { .kind = BFUSE_DONE, .tag = 5, .flags = BFUSE_RQ_COPY_FAILED, .other_status = -ENOSPC };

	promise(true);
	start();
	ask(BFUSE_REPLY_PASS);
	fake_push(0, &entry);
	finish();
	ck_assert_uint_eq(failed, 1);
}
END_TEST

START_TEST(test_targets_fail)
{
	static const int errors[] = { EINVAL, EACCES, ENOSPC, EPERM, EBUSY, ENOENT };

	promise(true);
	fake_reset();
	bfuse = new_handle();
	registered_result = -EXDEV;
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, NULL, NULL), -EXDEV);
	fake.target_error = errors[_i];
	ck_assert_int_eq(bfuse_target(bfuse, 0, 0, &target), -errors[_i]);
	ck_assert_str_ne(bfuse_error(bfuse), "");
	ck_assert_int_eq(bfuse_untarget(bfuse, 1), -errors[_i]);
	ck_assert_ptr_nonnull(strstr(bfuse_error(bfuse), "target 1"));
	bfuse_free(bfuse);
	registered_result = 0;
}
END_TEST

Suite *places_suite(void)
{
	Suite *suite = suite_create("places");
	TCase *tests = tcase_create("places");

	tcase_add_test(tests, test_all_of_it);
	tcase_add_loop_test(tests, test_not_when_it_ends_here, -1, 1);
	tcase_add_test(tests, test_lenient_of_nothing);
	tcase_add_test(tests, test_not_promised);
	tcase_add_test(tests, test_failure_is_told);
	tcase_add_loop_test(tests, test_targets_fail, 0, 6);
	suite_add_tcase(suite, tests);
	return suite;
}
