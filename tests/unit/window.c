// SPDX-License-Identifier: GPL-2.0
/*
 * Data that are shown in windows, in front of the fake kernel.
 */
#include "fake.h"

#include <errno.h>
#include <string.h>

#define LENGTH 8192

static struct bfuse *bfuse;
static const void *seen;
static const void *viewed;
static ssize_t bytes, viewed_bytes;
static unsigned char first;
static int reply, second, stored;
static bool views, stores;

static void look(struct bfuse_io *io)
{
	void *data;

	if (views)
		viewed_bytes = bfuse_io_view(io, &viewed);
	bytes = bfuse_io_data(io, &data);
	seen = data;
	first = bytes > 0 ? *(const unsigned char *)data : 0;
	if (stores)
		stored = bfuse_io_store(io, "x", 0, 1);
}

static int handle(struct bfuse_io *io, void *user)
{
	(void)user;
	if (io->request.op == BFUSE_OP_WRITE)
		look(io);
	return io->request.op == BFUSE_OP_WRITE ? reply : BFUSE_REPLY_HOLD;
}

static int held(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	(void)done, (void)user;
	look(io);
	return second;
}

static struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "window",
	.altitude = 500,
	.queues = 2,
	.depth = 4,
	.slot_size = 4096,
	.any = handle,
	.held = held,
	.completes = true,
	.payload = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE,
	.window_size = 16384,
	.map_min = 8192,
};

static void start(bool modifies)
{
	fake_reset();
	fake.features = BFUSE_F_MAPPED;
	fake.fill = 0x77;
	views = stores = false;
	seen = viewed = NULL;
	reply = second = BFUSE_REPLY_PASS;
	filter.modifies = modifies;
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_start(bfuse), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
	memset(fake_window(1, 5), 0x33, LENGTH);
}

static void finish(void)
{
	bfuse_stop(bfuse);
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	bfuse_free(bfuse);
}

static void write_shown(void)
{
	const struct bfuse_request entry = { .op = BFUSE_OP_WRITE, .tag = 5, .length = LENGTH, .flags = BFUSE_RQ_MAPPED };

	fake_push(1, &entry);
	fake_wait_verdicts(1);
}

static void read_shown(void)
{
	const struct bfuse_request entry = { .op = BFUSE_OP_READ, .tag = 5, .length = LENGTH };
	const struct bfuse_request done = { .kind = BFUSE_DONE, .op = BFUSE_OP_READ, .tag = 5, .length = LENGTH,
					    .flags = BFUSE_RQ_HELD | BFUSE_RQ_MAPPED };

	fake_push(1, &entry);
	fake_wait_verdicts(1);
	fake_push(1, &done);
	fake_wait_verdicts(2);
}

START_TEST(test_registration)
{
	start(false);
	ck_assert(fake.reg.features & BFUSE_F_MAPPED);
	ck_assert_uint_eq(fake.reg.window_size, 16384);
	ck_assert_uint_eq(fake.reg.map_min, 8192);
	finish();
}
END_TEST

/* So that none lies in more page tables than it must, as each costs a walk. */
START_TEST(test_windows_are_aligned)
{
	struct bfuse_register reg = { .name = "aligned", .altitude = 1, .nr_queues = 4, .depth = 2, .slot_size = 4096,
				      .window_size = 1 << 20 };
	unsigned int queue;

	fake_reset();
	fake.features = BFUSE_F_MAPPED;
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), 0);
	for (queue = 0; queue < reg.nr_queues; queue++)
		ck_assert_uint_eq((uintptr_t)bfuse_queue_window(bfuse_queue(bfuse, queue), 1) % reg.window_size, 0);
	bfuse_free(bfuse);
}
END_TEST

/* They are a matter of cost only. */
START_TEST(test_module_without)
{
	struct bfuse_register reg = { .name = "old", .altitude = 1, .nr_queues = 1, .depth = 4, .slot_size = 4096,
				      .window_size = 16384, .map_min = 4096 };

	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), 0);
	ck_assert(!(fake.reg.features & BFUSE_F_MAPPED));
	ck_assert_uint_eq(fake.reg.window_size, 0);
	ck_assert_uint_eq(fake.reg.map_min, 0);
	ck_assert_ptr_null(bfuse_queue_window(bfuse_queue(bfuse, 0), 1));
	bfuse_free(bfuse);
}
END_TEST

START_TEST(test_no_payload_no_windows)
{
	struct bfuse_filter without = filter;
	struct bfuse_register reg;

	without.payload = 0;
	bfuse_derive(&without, &reg);
	ck_assert_uint_eq(reg.window_size, 0);
	ck_assert_uint_eq(reg.map_min, 0);
}
END_TEST

START_TEST(test_write_is_shown)
{
	start(false);
	write_shown();
	ck_assert_int_eq(bytes, LENGTH);
	ck_assert_ptr_eq(seen, bfuse_queue_window(bfuse_queue(bfuse, 1), 5));
	ck_assert_uint_eq(first, 0x33);
	finish();
}
END_TEST

/* Who may change them gets a copy; who only looks, as long as he has none, not. */
START_TEST(test_modifier_gets_a_copy)
{
	start(true);
	views = true;
	reply = BFUSE_REPLY_MODIFY;
	write_shown();
	ck_assert_ptr_eq(viewed, bfuse_queue_window(bfuse_queue(bfuse, 1), 5));
	ck_assert_int_eq(viewed_bytes, LENGTH);
	ck_assert_int_eq(bytes, LENGTH);
	ck_assert_ptr_ne(seen, viewed);
	ck_assert_uint_eq(first, 0x77);
	ck_assert_uint_eq(fake.verdicts[0].flags, BFUSE_VERDICT_MODIFY | BFUSE_VERDICT_STORED);
	ck_assert_uint_eq(fake.stored_bytes, LENGTH);
	finish();
}
END_TEST

START_TEST(test_view_of_a_copy)
{
	const struct bfuse_request entry = { .op = BFUSE_OP_WRITE, .tag = 5, .length = 4096, .flags = BFUSE_RQ_PAYLOAD };

	start(false);
	views = true;
	fake_push(1, &entry);
	fake_wait_verdicts(1);
	ck_assert_ptr_eq(viewed, bfuse_queue_slot(bfuse_queue(bfuse, 1), 5));
	ck_assert_ptr_eq(viewed, seen);
	ck_assert_int_eq(viewed_bytes, 4096);
	finish();
}
END_TEST

START_TEST(test_held_read_is_shown)
{
	const struct bfuse_verdict want = { .type = BFUSE_PASS, .tag = 5 };

	start(false);
	second = _i ? BFUSE_REPLY_COMPLETE : BFUSE_REPLY_PASS;
	read_shown();
	ck_assert_ptr_eq(seen, bfuse_queue_window(bfuse_queue(bfuse, 1), 5));
	ck_assert_uint_eq(first, 0x33);
	/* Completed with its data, which it has. */
	ck_assert_mem_eq(&fake.verdicts[1], &want, sizeof(want));
	finish();
}
END_TEST

START_TEST(test_held_read_fails)
{
	start(false);
	second = -EILSEQ;
	read_shown();
	ck_assert_uint_eq(fake.verdicts[1].type, BFUSE_COMPLETE);
	ck_assert_int_eq(fake.verdicts[1].status, -EILSEQ);
	finish();
}
END_TEST

START_TEST(test_no_store_beside)
{
	start(false);
	stores = true;
	write_shown();
	ck_assert_int_eq(stored, -EINVAL);
	ck_assert_uint_eq(fake.stored_bytes, 0);
	finish();
}
END_TEST

Suite *window_suite(void)
{
	Suite *suite = suite_create("window");
	TCase *tcase = tcase_create("window");

	tcase_add_test(tcase, test_registration);
	tcase_add_test(tcase, test_windows_are_aligned);
	tcase_add_test(tcase, test_module_without);
	tcase_add_test(tcase, test_no_payload_no_windows);
	tcase_add_test(tcase, test_write_is_shown);
	tcase_add_test(tcase, test_modifier_gets_a_copy);
	tcase_add_test(tcase, test_view_of_a_copy);
	tcase_add_loop_test(tcase, test_held_read_is_shown, 0, 2);
	tcase_add_test(tcase, test_held_read_fails);
	tcase_add_test(tcase, test_no_store_beside);
	suite_add_tcase(suite, tcase);
	return suite;
}
