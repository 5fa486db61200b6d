// SPDX-License-Identifier: GPL-2.0
/*
 * What a confined process may do, tried by processes that have just that program for seccomp(2).
 */
#include "fake.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIVED 7

struct call {
	long nr;
	long a, b, c, d;
};

/* Returns the wait status of a child that makes the call, having allowed itself @more. */
static int try(const struct call *call, const long *more, size_t count)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (bfuse__seccomp(more, count))
			_exit(1);
		syscall(call->nr, call->a, call->b, call->c, call->d, 0, 0);
		_exit(LIVED);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool lives(const struct call *call)
{
	int status = try(call, NULL, 0);

	ck_assert(WIFEXITED(status) ? WEXITSTATUS(status) == LIVED : WTERMSIG(status) == SIGSYS);
	return WIFEXITED(status);
}

/* All calls of the module, whatever size they carry. */
START_TEST(test_module)
{
	unsigned int size, nr = (unsigned int)_i;

	for (size = 0; size <= 40; size += 40) {
		struct call call = { SYS_ioctl, -1, (long)_IOC(_IOC_READ | _IOC_WRITE, BFUSE_IOCTL_TYPE, nr, size), 0, 0 };
		bool serves = nr == 0x04 || nr == 0x05 || nr == 0x09 || nr == 0x0b || nr == 0x11;

		ck_assert_msg(lives(&call) == serves, "call %#x", nr);
		ck_assert_int_eq(bfuse__serves((unsigned long)call.b), serves);
	}
}
END_TEST

static const struct call allowed[] = {
	{ SYS_ioctl, 1, TCGETS, 0, 0 },
	{ SYS_read, -1, 0, 0, 0 },
	{ SYS_pwritev2, -1, 0, 0, 0 },
	{ SYS_futex, 0, 0, 0, 0 },
	{ SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS },
	{ SYS_mprotect, 0, 0, PROT_READ | PROT_WRITE, 0 },
	{ SYS_clone, CLONE_THREAD, 0, 0, 0 }, /* which is invalid without CLONE_VM */
	{ SYS_clone3, 0, 0, 0, 0 },
	{ SYS_prctl, PR_GET_NAME, 0, 0, 0 },
	{ SYS_fcntl, 0, F_GETFL, 0, 0 },
	{ SYS_newfstatat, 0, 0, 0, AT_EMPTY_PATH },
	{ SYS_exit_group, LIVED, 0, 0, 0 },
};

static const struct call forbidden[] = {
	{ SYS_ioctl, 1, TIOCSTI, 0, 0 },
	{ SYS_openat, AT_FDCWD, 0, 0, 0 },
	{ SYS_openat2, AT_FDCWD, 0, 0, 0 },
	{ SYS_socket, 1, 1, 0, 0 },
	{ SYS_execve, 0, 0, 0, 0 },
	{ SYS_clone, SIGCHLD, 0, 0, 0 },
	{ SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS },
	{ SYS_mprotect, 0, 0, PROT_EXEC, 0 },
	{ SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0 },
	{ SYS_fcntl, 0, F_DUPFD, 0, 0 },
	{ SYS_newfstatat, AT_FDCWD, 0, 0, 0 },
	{ SYS_kill, 1, 0, 0, 0 },
	{ SYS_tgkill, 1, 1, 0, 0 },
	{ SYS_ptrace, 0, 0, 0, 0 },
	{ SYS_io_uring_setup, 1, 0, 0, 0 },
	{ SYS_io_uring_enter, -1, 0, 0, 0 },
	{ SYS_pidfd_getfd, -1, 0, 0, 0 },
	{ SYS_bpf, 0, 0, 0, 0 },
	{ SYS_setresuid, 0, 0, 0, 0 },
	{ SYS_mount, 0, 0, 0, 0 },
#ifdef __x86_64__
	{ SYS_open, 0, 0, 0, 0 },
	{ 0x40000000 + SYS_read, -1, 0, 0, 0 }, /* of the x32 ABI */
#endif
};

START_TEST(test_allowed)
{
	ck_assert(lives(&allowed[_i]));
}
END_TEST

START_TEST(test_forbidden)
{
	ck_assert(!lives(&forbidden[_i]));
}
END_TEST

START_TEST(test_more)
{
	const struct call call = { SYS_socket, -1, 0, 0, 0 };
	long more[600] = { SYS_dup, SYS_socket };

	ck_assert_int_eq(WEXITSTATUS(try(&call, more, 2)), LIVED);
	ck_assert_int_eq(try(&call, more, 1), SIGSYS);
	ck_assert_int_eq(bfuse__seccomp(more, ARRAY_SIZE(more)), -E2BIG);
}
END_TEST

static void *sleep_on(void *argument)
{
	(void)argument;
	pause();
	return NULL;
}

/* It takes from all threads, or from none. */
START_TEST(test_threads)
{
	struct bfuse *bfuse = bfuse_new();
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, sleep_on, NULL), 0);
	ck_assert_int_eq(bfuse_confine(bfuse, NULL), -EBUSY);
	ck_assert_ptr_nonnull(strstr(bfuse_error(bfuse), "several threads"));
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	bfuse_free(bfuse);
}
END_TEST

/* What controls is refused by the library, before the kernel would kill for it. */
START_TEST(test_control)
{
	struct bfuse_next next = { .attachment = 0 };
	struct bfuse *bfuse = new_handle();

	bfuse->confined = true;
	ck_assert_int_eq(bfuse_detach(bfuse, 1, 0), -EPERM);
	ck_assert_int_eq(bfuse_next_attachment(bfuse, &next), -EPERM);
	ck_assert_int_eq(bfuse_attach(bfuse, "/dev/null", NULL, NULL), -EPERM);
	bfuse->confined = false;
	bfuse_free(bfuse);
}
END_TEST

Suite *confine_suite(void)
{
	Suite *suite = suite_create("confine");
	TCase *tests = tcase_create("confine");

	tcase_add_checked_fixture(tests, fake_reset, NULL);
	tcase_add_loop_test(tests, test_module, 0, 256);
	tcase_add_loop_test(tests, test_allowed, 0, ARRAY_SIZE(allowed));
	tcase_add_loop_test(tests, test_forbidden, 0, ARRAY_SIZE(forbidden));
	tcase_add_test(tests, test_more);
	tcase_add_test(tests, test_threads);
	tcase_add_test(tests, test_control);
	suite_add_tcase(suite, tests);
	return suite;
}
