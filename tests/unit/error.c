// SPDX-License-Identifier: GPL-2.0
/*
 * The line and the exit status of each failure.
 */
#include "fake.h"
#include "internal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void expect(struct bfuse *bfuse, int status, const char *line)
{
	ck_assert_str_eq(bfuse_error(bfuse), line);
	ck_assert_int_eq(bfuse_exit_status(bfuse), status);
	bfuse_free(bfuse);
}

static struct bfuse *fail_open(int err, uint32_t abi)
{
	struct bfuse *bfuse = bfuse_new();

	fake_reset();
	fake.open_error = err;
	fake.abi = abi;
	ck_assert_int_lt(bfuse_open(bfuse), 0);
	ck_assert_int_eq(bfuse_fd(bfuse), -1);
	return bfuse;
}

START_TEST(test_open)
{
	expect(fail_open(ENOENT, 1), BFUSE_EXIT_NO_MODULE,
	       "/dev/blkfilter: the kernel module is not loaded; try: modprobe blkfilter");
	expect(fail_open(EACCES, 1), BFUSE_EXIT_PERMISSION, "/dev/blkfilter: permission denied; try as root");
	expect(fail_open(EMFILE, 1), BFUSE_EXIT_OTHER, "/dev/blkfilter: Too many open files");
	expect(fail_open(0, 2), BFUSE_EXIT_ABI,
	       "/dev/blkfilter: the module (version ) has ABI 2, this program wants 1; install both from the same release");
}
END_TEST

static struct bfuse *registered(void)
{
	struct bfuse_register reg = { .name = "test", .altitude = 500, .nr_queues = 1, .depth = 4 };
	struct bfuse *bfuse;

	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), 0);
	return bfuse;
}

static struct bfuse *fail_attach_of(struct bfuse *bfuse, int err)
{
	int fd = memfd_create("device", MFD_CLOEXEC);

	fake.attach_error = err;
	if (err == EEXIST) {
		strcpy(fake.owner.name, "snap");
		fake.owner.altitude = 500;
		fake.owner.pid = 812;
	}
	ck_assert_int_eq(bfuse_attach_fd(bfuse, fd, "/dev/sdb1", NULL, NULL), -err);
	close(fd);
	return bfuse;
}

static struct bfuse *fail_attach(int err)
{
	return fail_attach_of(registered(), err);
}

/* Only who has the option is told of it. */
START_TEST(test_attach_of_command)
{
	struct bfuse *bfuse = registered();

	bfuse->has_options = true;
	expect(fail_attach_of(bfuse, EEXIST), BFUSE_EXIT_ALTITUDE,
	       "/dev/sdb1: already filtered at altitude 500 by \"snap\" (pid 812); choose another with --altitude");
}
END_TEST

START_TEST(test_attach)
{
	expect(fail_attach(EEXIST), BFUSE_EXIT_ALTITUDE,
	       "/dev/sdb1: already filtered at altitude 500 by \"snap\" (pid 812); choose another, or detach that one");
	expect(fail_attach(EOPNOTSUPP), BFUSE_EXIT_UNFILTERABLE,
	       "/dev/sdb1: can't be filtered, its driver bypasses bios (rw_page or DAX); filter a device on top of it that does not");
	expect(fail_attach(ENOTBLK), BFUSE_EXIT_NO_DEVICE, "/dev/sdb1: not a block device");
	expect(fail_attach(ENXIO), BFUSE_EXIT_NO_DEVICE, "/dev/sdb1: the device is gone");
	expect(fail_attach(ENOMEM), BFUSE_EXIT_OTHER, "/dev/sdb1: can't attach: Cannot allocate memory");
}
END_TEST

START_TEST(test_hook_taken)
{
	struct bfuse *bfuse = fail_attach(EBUSY);

	ck_assert_int_eq(bfuse_exit_status(bfuse), BFUSE_EXIT_HOOK);
	bfuse_free(bfuse);
}
END_TEST

START_TEST(test_paths)
{
	struct bfuse *bfuse = registered();

	ck_assert_int_eq(bfuse_attach(bfuse, "/dev/null", NULL, NULL), -ENOTBLK);
	expect(bfuse, BFUSE_EXIT_NO_DEVICE, "/dev/null: not a block device; see: lsblk");
	bfuse = registered();
	ck_assert_int_eq(bfuse_attach(bfuse, "/nowhere", NULL, NULL), -ENOENT);
	expect(bfuse, BFUSE_EXIT_NO_DEVICE, "/nowhere: No such file or directory; see: lsblk");
}
END_TEST

START_TEST(test_register)
{
	struct bfuse_register reg = { .name = "!", .altitude = 500, .nr_queues = 1, .depth = 3 };
	struct bfuse *bfuse;

	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), -EINVAL);
	expect(bfuse, BFUSE_EXIT_USAGE,
	       "!: bad parameters (altitude 500, queues 1, depth 3, slot 0, deadline 0 ms); "
	       "see struct bfuse_register in <blkfilter.h>");
}
END_TEST

START_TEST(test_free_detaches)
{
	struct bfuse *bfuse = registered();

	ck_assert_int_eq(bfuse_attach_fd(bfuse, 0, "x", NULL, NULL), 0);
	ck_assert_str_eq(bfuse_error(bfuse), "");
	bfuse_free(bfuse);
	ck_assert_uint_eq(fake.detached, 1);
	bfuse_free(NULL);
}
END_TEST

START_TEST(test_log)
{
	struct bfuse *bfuse;
	struct bfuse_log log = { .seq = 1, .count = 99 };

	fake_reset();
	bfuse = new_handle();
	fake.log_first = 5;
	ck_assert_int_eq(bfuse_next_log(bfuse, &log), 1);
	ck_assert_uint_eq(log.seq, 5);
	ck_assert_uint_eq(log.count, 0);
	ck_assert_uint_eq(strlen(log.name), sizeof(log.name) - 1);
	log.seq = 7;
	ck_assert_int_eq(bfuse_next_log(bfuse, &log), 0);
	fake.log_error = EINTR;
	ck_assert_int_eq(bfuse_next_log(bfuse, &log), -EINTR);
	fake.log_error = EPERM;
	ck_assert_int_eq(bfuse_next_log(bfuse, &log), -EPERM);
	ck_assert_int_eq(bfuse_exit_status(bfuse), BFUSE_EXIT_PERMISSION);
	/* A module before it. */
	fake.log_error = ENOTTY;
	ck_assert_int_eq(bfuse_next_log(bfuse, &log), -ENOTTY);
	ck_assert_int_eq(bfuse_exit_status(bfuse), BFUSE_EXIT_ABI);
	bfuse_free(bfuse);
}
END_TEST

Suite *error_suite(void)
{
	Suite *suite = suite_create("error");
	TCase *tests = tcase_create("error");

	tcase_add_test(tests, test_open);
	tcase_add_test(tests, test_attach);
	tcase_add_test(tests, test_attach_of_command);
	tcase_add_test(tests, test_hook_taken);
	tcase_add_test(tests, test_paths);
	tcase_add_test(tests, test_register);
	tcase_add_test(tests, test_free_detaches);
	tcase_add_test(tests, test_log);
	suite_add_tcase(suite, tests);
	return suite;
}
