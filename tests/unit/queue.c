// SPDX-License-Identifier: GPL-2.0
/*
 * The rings, by the functions of the async layer.
 */
#include "fake.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>

/* Wraps after 5 entries. */
#define NEAR_WRAP 0xfffffffbu

static struct bfuse *bfuse;
static struct bfuse_queue *queue;

static void setup(void)
{
	struct bfuse_register reg = { .name = "test", .altitude = 500, .nr_queues = 2, .depth = 4, .slot_size = 4096 };

	fake_reset();
	fake.start = NEAR_WRAP;
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), 0);
	ck_assert_uint_eq(bfuse_queue_count(bfuse), 2);
	queue = bfuse_queue(bfuse, 1);
}

static void teardown(void)
{
	bfuse_free(bfuse);
}

START_TEST(test_requests_wrap)
{
	struct bfuse_request entries[4];
	uint64_t tag, expected = 1;
	unsigned int i, n;

	for (tag = 1; tag <= 30; tag += 3) {
		for (i = 0; i < 3; i++)
			fake_request(1, BFUSE_OP_READ, tag + i, 0, 4096);
		n = bfuse_queue_get(queue, entries, 4);
		ck_assert_uint_eq(n, 3);
		for (i = 0; i < n; i++)
			ck_assert_uint_eq(entries[i].tag, expected++);
		/* Not yet ours to give back. */
		ck_assert_uint_ne(fake_head(1)->request_head, fake_head(1)->request_tail);
		ck_assert_uint_eq(bfuse_queue_get(queue, entries, 4), 0);
		ck_assert_uint_eq(fake_head(1)->request_head, fake_head(1)->request_tail);
	}
	ck_assert_uint_lt(fake_head(1)->request_head, NEAR_WRAP);
}
END_TEST

START_TEST(test_get_takes_at_most)
{
	struct bfuse_request entries[2];
	uint64_t tag;

	for (tag = 1; tag <= 3; tag++)
		fake_request(1, BFUSE_OP_READ, tag, 0, 4096);
	ck_assert_uint_eq(bfuse_queue_get(queue, entries, 2), 2);
	ck_assert_int_eq(bfuse_queue_wait(queue, 1, 0), 1);
	ck_assert_uint_eq(bfuse_queue_get(queue, entries, 2), 1);
	ck_assert_uint_eq(entries[0].tag, 3);
}
END_TEST

START_TEST(test_verdicts_wrap)
{
	uint64_t tag;

	for (tag = 1; tag <= 20; tag++) {
		ck_assert_int_eq(bfuse_queue_pass(queue, tag, BFUSE_VERDICT_NOTIFY), 0);
		if (tag % 5 == 0)
			ck_assert_int_eq(bfuse_queue_flush(queue), 0);
	}
	ck_assert_uint_eq(fake.nr_verdicts, 20);
	for (tag = 1; tag <= 20; tag++) {
		ck_assert_uint_eq(fake.verdicts[tag - 1].tag, tag);
		ck_assert_uint_eq(fake.verdicts[tag - 1].type, BFUSE_PASS);
		ck_assert_uint_eq(fake.verdicts[tag - 1].flags, BFUSE_VERDICT_NOTIFY);
	}
}
END_TEST

/* 8 entries; the ninth hands the others over. */
START_TEST(test_full_ring_flushes)
{
	uint64_t tag;

	for (tag = 1; tag <= 9; tag++)
		ck_assert_int_eq(bfuse_queue_complete(queue, tag, -EIO, 0), 0);
	ck_assert_uint_eq(fake.nr_verdicts, 8);
	ck_assert_int_eq(bfuse_queue_flush(queue), 0);
	ck_assert_uint_eq(fake.nr_verdicts, 9);
	ck_assert_int_eq(fake.verdicts[8].status, -EIO);
	ck_assert_uint_eq(fake.verdicts[8].type, BFUSE_COMPLETE);
}
END_TEST

START_TEST(test_refused_verdict)
{
	uint64_t tag;

	fake.refuse = 2;
	for (tag = 1; tag <= 4; tag++)
		ck_assert_int_eq(bfuse_queue_pass(queue, tag, 0), 0);
	ck_assert_int_eq(bfuse_queue_flush(queue), 0);
	ck_assert_uint_eq(fake.nr_verdicts, 3);
	ck_assert_uint_eq(fake.verdicts[1].tag, 3);
	ck_assert_ptr_nonnull(
		strstr(log_lines, "test: queue 1: verdict 4294967292 (pass, flags 0, status 0) of tag 0x2 refused"));
	ck_assert_ptr_nonnull(strstr(log_lines, "answered twice?"));
}
END_TEST

START_TEST(test_dead_filter)
{
	fake.shut = true;
	ck_assert_int_eq(bfuse_queue_wait(queue, 1, 0), -ESHUTDOWN);
	ck_assert_str_eq(bfuse_error(bfuse), "test: queue 1: the module has given this filter up");
}
END_TEST

START_TEST(test_wake)
{
	ck_assert_int_eq(bfuse_queue_wake(queue), 0);
	ck_assert_int_eq(bfuse_queue_wait(queue, 1, 0), 0);
}
END_TEST

START_TEST(test_slots)
{
	unsigned char *slot = bfuse_queue_slot(queue, 0);

	ck_assert_ptr_eq(bfuse_queue_slot(queue, 0x7000000000000003ull), slot + 3 * 4096);
	ck_assert_ptr_eq(bfuse_queue_slot(queue, 0xffffffff00000004ull), slot);
	ck_assert_ptr_null(bfuse_queue(bfuse, 2));
}
END_TEST

/* The command is in the last 16 bytes of an SQE. */
static const struct bfuse_uring_enter *prep(struct io_uring_sqe *sqe, unsigned int min)
{
	memset(sqe, 0xff, sizeof(*sqe));
	bfuse_queue_prep_wait(queue, sqe, min);
	return (const void *)((const char *)sqe + 48);
}

START_TEST(test_uring_prep)
{
	struct io_uring_sqe sqe, same = { .opcode = IORING_OP_URING_CMD, .fd = bfuse_fd(bfuse), .off = BFUSE_ENTER };
	const struct bfuse_uring_enter *enter = prep(&sqe, 3);
	struct bfuse_request entry;

	ck_assert_mem_eq(&sqe, &same, 48);
	ck_assert_uint_eq(enter->queue, 1);
	ck_assert_uint_eq(enter->flags, 0);
	ck_assert_uint_eq(enter->min_requests, 3);
	ck_assert_uint_ne(enter->refusal, 0);
	/* It gives back what was taken. */
	fake_request(1, BFUSE_OP_READ, 1, 0, 4096);
	ck_assert_uint_eq(bfuse_queue_get(queue, &entry, 1), 1);
	ck_assert_uint_ne(fake_head(1)->request_head, fake_head(1)->request_tail);
	prep(&sqe, 1);
	ck_assert_uint_eq(fake_head(1)->request_head, fake_head(1)->request_tail);
}
END_TEST

START_TEST(test_uring_waited)
{
	struct io_uring_sqe sqe;
	struct bfuse_refusal *refusal = (void *)(uintptr_t)prep(&sqe, 1)->refusal;

	fake_request(1, BFUSE_OP_READ, 1, 0, 4096);
	fake_request(1, BFUSE_OP_READ, 2, 0, 4096);
	ck_assert_int_eq(bfuse_queue_waited(queue, 0), 2);
	ck_assert_int_eq(bfuse_queue_waited(queue, -ECANCELED), -ECANCELED);
	ck_assert_int_eq(bfuse_queue_waited(queue, -EBUSY), -EBUSY);
	ck_assert_int_eq(bfuse_queue_waited(queue, -ESHUTDOWN), -ESHUTDOWN);
	ck_assert_ptr_nonnull(strstr(bfuse_error(bfuse), "given this filter up"));
	ck_assert_int_eq(bfuse_queue_waited(queue, -EINVAL), -EINVAL);
	ck_assert_str_eq(log_lines, "");
	/* A refused verdict is told once, and is no end. */
	*refusal = (struct bfuse_refusal){ .reason = BFUSE_REASON_STATE, .entry = 7 };
	ck_assert_int_eq(bfuse_queue_waited(queue, -EINVAL), 2);
	ck_assert_ptr_nonnull(strstr(log_lines, "verdict 7"));
	ck_assert_int_eq(bfuse_queue_waited(queue, -EINVAL), -EINVAL);
	refusal->reason = BFUSE_REASON_RING;
	ck_assert_int_eq(bfuse_queue_waited(queue, -EINVAL), -EINVAL);
}
END_TEST

Suite *queue_suite(void)
{
	Suite *suite = suite_create("queue");
	TCase *tests = tcase_create("queue");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_requests_wrap);
	tcase_add_test(tests, test_get_takes_at_most);
	tcase_add_test(tests, test_verdicts_wrap);
	tcase_add_test(tests, test_full_ring_flushes);
	tcase_add_test(tests, test_refused_verdict);
	tcase_add_test(tests, test_dead_filter);
	tcase_add_test(tests, test_wake);
	tcase_add_test(tests, test_slots);
	tcase_add_test(tests, test_uring_prep);
	tcase_add_test(tests, test_uring_waited);
	suite_add_tcase(suite, tests);
	return suite;
}
