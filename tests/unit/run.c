// SPDX-License-Identifier: GPL-2.0
/*
 * Callback filters in front of the fake kernel.
 */
#include "fake.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static struct bfuse *bfuse;
static int reply;
static bool ask_data;
static ssize_t data_bytes;
static unsigned char data_byte;
static struct bfuse_io *later;
static unsigned int dones, ended;
static int detach_status;
static bool head_moved;
static ssize_t done_bytes;
/* Check's assertions are for the test's own thread only; callbacks count what is wrong. */
static unsigned int wrong;

static int handle(struct bfuse_io *io, void *user)
{
	void *data;

	wrong += user != &bfuse || io->user || ended;
	io->user = io;
	if (ask_data) {
		data_bytes = bfuse_io_data(io, &data);
		if (data_bytes > 0 && io->request.op == BFUSE_OP_READ)
			memset(data, 0x5a, (size_t)data_bytes);
		if (data_bytes > 0)
			data_byte = ((unsigned char *)data)[data_bytes - 1];
	}
	__atomic_store_n(&later, io, __ATOMIC_RELEASE);
	return reply;
}

static void handle_done(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	void *data;

	(void)user;
	done_bytes = bfuse_io_data(io, &data);
	wrong += io->user != io || io->request.tag != done->tag || done->status != (done->flags ? 0 : -EIO);
	head_moved = fake_head(0)->request_head == fake_head(0)->request_tail;
	dones++;
}

static void handle_detached(uint32_t attachment, int status, void *user)
{
	(void)user;
	wrong += attachment != 1;
	detach_status = status;
}

/* Nothing is called behind it. */
static void handle_ended(void *user)
{
	wrong += user != &bfuse || ended++;
}

static int handle_held(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	(void)io, (void)done, (void)user;
	return BFUSE_REPLY_PASS;
}

static const struct bfuse_filter filter = {
	.size = sizeof(filter),
	.name = "test",
	.altitude = 500,
	.completes = true,
	.modifies = true,
	.payload = 1u << BFUSE_OP_WRITE,
	.queues = 2,
	.depth = 4,
	.slot_size = 4096,
	.any = handle,
	.done = handle_done,
	.held = handle_held,
	.detached = handle_detached,
	.ended = handle_ended,
};

static void setup(void)
{
	fake_reset();
	fake.start = 0xfffffffe;
	fake.fill = 0xa5;
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_start(bfuse), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
}

/* Ends with everything detached and all threads gone. */
static void teardown(void)
{
	bfuse_stop(bfuse);
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	ck_assert_uint_eq(fake.detached, 1);
	ck_assert_uint_eq(ended, 1);
	ck_assert_uint_eq(wrong, 0);
	bfuse_free(bfuse);
}

static const struct bfuse_verdict *ask(unsigned int op, uint32_t length, uint32_t flags, int answer)
{
	struct bfuse_request entry = { .kind = BFUSE_REQUEST, .op = op, .tag = 7, .length = length, .flags = flags };

	reply = answer;
	fake_push(1, &entry);
	fake_wait_verdicts(1);
	ck_assert_uint_eq(fake.verdicts[0].tag, 7);
	return &fake.verdicts[0];
}

START_TEST(test_registration)
{
	ck_assert_uint_eq(fake.reg.defaults.ops, BFUSE_OPS_ALL);
	ck_assert_uint_eq(fake.reg.known_ops, BFUSE_OPS_ALL);
	ck_assert_uint_eq(fake.reg.unknown, BFUSE_POLICY_ERROR);
	ck_assert_uint_eq(fake.reg.defaults.verdicts,
			  1u << BFUSE_PASS | 1u << BFUSE_COMPLETE | 1u << BFUSE_MODIFY | 1u << BFUSE_HOLD);
	ck_assert_uint_eq(fake.reg.features, BFUSE_F_NOTIFY | BFUSE_F_COMPLETE | BFUSE_F_PAYLOAD |
						     BFUSE_F_HELD | BFUSE_F_MODIFY);
	ck_assert_uint_eq(fake.attach.flags, BFUSE_ATTACH_DEFAULTS);
}
END_TEST

START_TEST(test_pass)
{
	const struct bfuse_verdict *verdict = ask(BFUSE_OP_WRITE, 4096, 0, BFUSE_REPLY_PASS);

	ck_assert_uint_eq(verdict->type, BFUSE_PASS);
	ck_assert_uint_eq(verdict->flags, 0);
}
END_TEST

START_TEST(test_notify)
{
	int i;

	reply = BFUSE_REPLY_NOTIFY;
	for (i = 0; i < 10; i++) {
		fake_request(0, BFUSE_OP_WRITE, 3, 8, 4096);
		fake_wait_verdicts((unsigned int)i + 1);
		ck_assert_uint_eq(fake.verdicts[i].flags, BFUSE_VERDICT_NOTIFY);
		fake_done(0, 3, -EIO);
	}
	reply = BFUSE_REPLY_PASS;
	fake_request(0, BFUSE_OP_WRITE, 3, 8, 4096);
	fake_wait_verdicts(11);
	ck_assert_uint_eq(dones, 10);
	ck_assert(!head_moved);
}
END_TEST

/* Of a read that has failed the slot has what was there before. */
START_TEST(test_data_when_done)
{
	struct bfuse_request good = { .kind = BFUSE_DONE, .tag = 7, .flags = BFUSE_RQ_PAYLOAD };
	struct bfuse_request bad = { .kind = BFUSE_DONE, .tag = 7, .status = -EIO };

	ask(BFUSE_OP_READ, 8192, 0, BFUSE_REPLY_NOTIFY);
	fake_push(1, _i ? &bad : &good);
	fake_request(1, BFUSE_OP_FLUSH, 6, 0, 0);
	fake_wait_verdicts(2);
	ck_assert_int_eq(done_bytes, _i ? -ENOENT : 4096);
}
END_TEST

START_TEST(test_errors)
{
	static const struct {
		uint32_t flags;
		int reply;
		int status;
	} cases[] = {
		{ 0, -EIO, -EIO },    { 0, -EROFS, -EROFS }, { 0, -ENOENT, -EIO },
		{ 0, -EAGAIN, -EIO }, { 0, 77, -EIO },	     { BFUSE_RQ_NOWAIT, -EAGAIN, -EAGAIN },
	};
	const struct bfuse_verdict *verdict = ask(BFUSE_OP_WRITE, 4096, cases[_i].flags, cases[_i].reply);

	ck_assert_uint_eq(verdict->type, BFUSE_COMPLETE);
	ck_assert_int_eq(verdict->status, cases[_i].status);
	ck_assert_int_eq(log_lines[0] != '\0', cases[_i].status != cases[_i].reply);
}
END_TEST

/* A callback that returns what is no reply here fails its request, rather than leave it to the deadline. */
START_TEST(test_modify_without_data_fails)
{
	const struct bfuse_verdict *verdict = ask(BFUSE_OP_WRITE, 4096, 0, BFUSE_REPLY_MODIFY);

	ck_assert_uint_eq(verdict->type, BFUSE_COMPLETE);
	ck_assert_int_eq(verdict->status, -EIO);
	ck_assert(log_lines[0]);
}
END_TEST

static int complete(struct bfuse_io *io, void *user)
{
	(void)io, (void)user;
	return -EPERM;
}

/* What becomes of a write whose callback replies what the filter has not promised. */
static const struct bfuse_verdict *verdict_of(const struct bfuse_filter *other)
{
	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, other, NULL, NULL), 0);
	ck_assert_int_eq(bfuse_start(bfuse), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
	fake_request(0, BFUSE_OP_WRITE, 3, 8, 4096);
	fake_wait_verdicts(1);
	bfuse_stop(bfuse);
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	bfuse_free(bfuse);
	return &fake.verdicts[0];
}

/* Who only watches lets it pass, and the author is told. */
START_TEST(test_unpromised_error_passes)
{
	static const struct bfuse_filter observer = {
		.size = sizeof(observer), .name = "o", .altitude = 1, .queues = 1, .write = complete
	};

	ck_assert_uint_eq(verdict_of(&observer)->type, BFUSE_PASS);
	ck_assert(strstr(log_lines, ".completes"));
}
END_TEST

static int modify(struct bfuse_io *io, void *user)
{
	(void)io, (void)user;
	return BFUSE_REPLY_MODIFY;
}

/* What can't be encrypted must not pass as it is. */
START_TEST(test_modifier_fails)
{
	static const struct bfuse_filter modifiers[] = {
		{ .size = sizeof(*modifiers), .name = "m", .altitude = 1, .queues = 1, .modifies = true, .write = complete },
		{ .size = sizeof(*modifiers), .name = "m", .altitude = 1, .queues = 1, .modifies = true, .write = modify },
	};
	const struct bfuse_verdict *verdict = verdict_of(&modifiers[_i]);

	ck_assert_uint_eq(verdict->type, BFUSE_COMPLETE);
	ck_assert_int_eq(verdict->status, _i ? -EIO : -EPERM);
}
END_TEST

START_TEST(test_hold)
{
	const struct bfuse_verdict *verdict = ask(BFUSE_OP_READ, 4096, 0, BFUSE_REPLY_HOLD);

	ck_assert_uint_eq(verdict->type, BFUSE_PASS);
	ck_assert_uint_eq(verdict->flags, BFUSE_VERDICT_HOLD);
}
END_TEST

START_TEST(test_zone_append_cannot_complete)
{
	ck_assert_int_eq(ask(BFUSE_OP_ZONE_APPEND, 4096, 0, BFUSE_REPLY_COMPLETE)->status, -EIO);
}
END_TEST

START_TEST(test_read_without_data_is_zero)
{
	const struct bfuse_verdict *verdict = ask(BFUSE_OP_READ, 4096, 0, BFUSE_REPLY_COMPLETE);

	ck_assert_uint_eq(verdict->flags, BFUSE_VERDICT_ZERO);
	ck_assert_int_eq(verdict->status, 0);
}
END_TEST

START_TEST(test_read_into_slot)
{
	ask_data = true;
	ck_assert_uint_eq(ask(BFUSE_OP_READ, 4096, 0, BFUSE_REPLY_COMPLETE)->flags, 0);
	ck_assert_int_eq(data_bytes, 4096);
	ck_assert_uint_eq(((unsigned char *)bfuse_queue_slot(bfuse_queue(bfuse, 1), 7))[4095], 0x5a);
	ck_assert_uint_eq(fake.stored_bytes, 0);
}
END_TEST

START_TEST(test_read_longer_than_slot)
{
	ask_data = true;
	ck_assert_uint_eq(ask(BFUSE_OP_READ, 8192, 0, BFUSE_REPLY_COMPLETE)->flags, BFUSE_VERDICT_STORED);
	ck_assert_int_eq(data_bytes, 8192);
	ck_assert_uint_eq(fake.stored_bytes, 8192);
	ck_assert_uint_eq(fake.stored[8191], 0x5a);
}
END_TEST

START_TEST(test_failed_read_takes_no_data)
{
	ask_data = true;
	ck_assert_uint_eq(ask(BFUSE_OP_READ, 8192, 0, -EIO)->flags, 0);
	ck_assert_uint_eq(fake.stored_bytes, 0);
}
END_TEST

START_TEST(test_write_data)
{
	static const struct {
		uint32_t length, flags;
		unsigned char byte;
	} cases[] = {
		{ 4096, BFUSE_RQ_PAYLOAD, 0x11 }, /* came along */
		{ 4096, 0, 0xa5 }, /* fetched to the slot */
		{ 8192, BFUSE_RQ_PAYLOAD, 0xa5 }, /* fetched whole, as only a part came along */
	};

	ask_data = true;
	memset(bfuse_queue_slot(bfuse_queue(bfuse, 1), 7), 0x11, 4096);
	ask(BFUSE_OP_WRITE, cases[_i].length, cases[_i].flags, BFUSE_REPLY_PASS);
	ck_assert_int_eq(data_bytes, cases[_i].length);
	ck_assert_uint_eq(data_byte, cases[_i].byte);
}
END_TEST

START_TEST(test_discard_has_no_data)
{
	ask_data = true;
	ask(BFUSE_OP_DISCARD, 0xfffffe00, 0, BFUSE_REPLY_PASS);
	ck_assert_int_eq(data_bytes, -EINVAL);
}
END_TEST

/* From this thread: must reach the kernel without any further request. */
START_TEST(test_later)
{
	reply = BFUSE_REPLY_LATER;
	fake_request(1, BFUSE_OP_READ, 7, 0, 4096);
	while (!__atomic_load_n(&later, __ATOMIC_ACQUIRE))
		usleep(1000);
	ck_assert_int_eq(bfuse_reply(later, BFUSE_REPLY_LATER), -EINVAL);
	ck_assert_int_eq(bfuse_io_store(later, "abc", 512, 3), 0);
	ck_assert_int_eq(bfuse_reply(later, BFUSE_REPLY_COMPLETE), 0);
	ck_assert_uint_eq(fake.nr_verdicts, 1);
	ck_assert_uint_eq(fake.verdicts[0].flags, BFUSE_VERDICT_STORED);
	ck_assert_int_eq(memcmp(fake.stored + 512, "abc", 3), 0);
}
END_TEST

START_TEST(test_unknown_entries_are_skipped)
{
	struct bfuse_request entry = { .kind = 77 };

	fake_push(1, &entry);
	entry.kind = BFUSE_EVENT;
	entry.op = 99;
	fake_push(0, &entry);
	ask(BFUSE_OP_READ, 4096, 0, BFUSE_REPLY_PASS);
	ck_assert_str_eq(log_lines, "");
}
END_TEST

START_TEST(test_unknown_op_passes)
{
	ck_assert_uint_eq(ask(31, 4096, 0, BFUSE_REPLY_COMPLETE)->type, BFUSE_PASS);
}
END_TEST

START_TEST(test_device_removed)
{
	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
	fake_event(BFUSE_EVENT_DETACHED, 1, -ENODEV);
	ck_assert_int_eq(bfuse_run(bfuse), 0);
	ck_assert_int_eq(detach_status, -ENODEV);
	ck_assert_uint_eq(fake.detached, 0);
	bfuse_free(bfuse);
}
END_TEST

static void *inject(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)bfuse_inject(bfuse, 1, BFUSE_OP_FLUSH, 0, 0, NULL, 0, NULL, NULL);
}

/* All threads have gone to sleep for what then does not come. */
START_TEST(test_failed_inject_is_not_waited_for)
{
	pthread_t thread;
	void *result;

	ck_assert_int_eq(pthread_create(&thread, NULL, inject, NULL), 0);
	fake_wait_injects(1);
	bfuse_stop(bfuse);
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_int_eq((intptr_t)result, -ENOENT);
}
END_TEST

START_TEST(test_dead_filter_ends_run)
{
	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/test", NULL, NULL), 0);
	fake.shut = true;
	ck_assert_int_eq(bfuse_run(bfuse), -ESHUTDOWN);
	bfuse_free(bfuse);
	/* Its attachments are for their policy. */
	ck_assert_uint_eq(fake.detached, 0);
}
END_TEST

START_TEST(test_run_without_work)
{
	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_run(bfuse), -EINVAL);
	ck_assert_int_eq(bfuse_set_filter(bfuse, &filter, &bfuse, NULL), 0);
	ck_assert_int_eq(bfuse_run(bfuse), 0);
	bfuse_free(bfuse);
}
END_TEST

/* Nobody would serve it. */
START_TEST(test_attach_after_stop)
{
	setup();
	bfuse_stop(bfuse);
	while (!__atomic_load_n(&fake.detached, __ATOMIC_ACQUIRE))
		usleep(1000);
	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "/dev/other", NULL, NULL), -ECANCELED);
	ck_assert_str_eq(bfuse_error(bfuse), "/dev/other: not attached, for the filter is ending");
	ck_assert_int_eq(bfuse_wait(bfuse), 0);
	ck_assert_uint_eq(fake.attachments, 1);
	bfuse_free(bfuse);
}
END_TEST

START_TEST(test_derive)
{
	static const struct bfuse_filter observer = {
		.size = sizeof(observer), .name = "o", .altitude = 1, .write = handle
	};
	struct bfuse_register reg;

	bfuse_derive(&observer, &reg);
	ck_assert_uint_eq(reg.defaults.ops, 1u << BFUSE_OP_WRITE);
	ck_assert_uint_eq(reg.defaults.verdicts, 1u << BFUSE_PASS);
	ck_assert_uint_eq(reg.unknown, BFUSE_POLICY_PASS);
	ck_assert_uint_eq(reg.defaults.policy, BFUSE_POLICY_DEFAULT);
	ck_assert_uint_eq(reg.slot_size, 0);
	ck_assert_uint_eq(reg.features, 0);
}
END_TEST

Suite *run_suite(void)
{
	Suite *suite = suite_create("run");
	TCase *served = tcase_create("served");
	TCase *others = tcase_create("others");

	tcase_add_checked_fixture(served, setup, teardown);
	tcase_add_test(served, test_registration);
	tcase_add_test(served, test_pass);
	tcase_add_test(served, test_notify);
	tcase_add_loop_test(served, test_errors, 0, 6);
	tcase_add_loop_test(served, test_data_when_done, 0, 2);
	tcase_add_test(served, test_modify_without_data_fails);
	tcase_add_test(served, test_hold);
	tcase_add_test(others, test_unpromised_error_passes);
	tcase_add_loop_test(others, test_modifier_fails, 0, 2);
	tcase_add_test(served, test_zone_append_cannot_complete);
	tcase_add_test(served, test_read_without_data_is_zero);
	tcase_add_test(served, test_read_into_slot);
	tcase_add_test(served, test_read_longer_than_slot);
	tcase_add_test(served, test_failed_read_takes_no_data);
	tcase_add_loop_test(served, test_write_data, 0, 3);
	tcase_add_test(served, test_discard_has_no_data);
	tcase_add_test(served, test_later);
	tcase_add_test(served, test_unknown_entries_are_skipped);
	tcase_add_test(served, test_unknown_op_passes);
	tcase_add_test(served, test_failed_inject_is_not_waited_for);
	suite_add_tcase(suite, served);
	tcase_add_test(others, test_device_removed);
	tcase_add_test(others, test_dead_filter_ends_run);
	tcase_add_test(others, test_run_without_work);
	tcase_add_test(others, test_attach_after_stop);
	tcase_add_test(others, test_derive);
	suite_add_tcase(suite, others);
	return suite;
}
