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

/* Returns the wait status of a child that makes the call. */
static int try(const struct call *call, const struct bfuse_confinement *how)
{
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (bfuse__seccomp(how))
			_exit(1);
		status = syscall(call->nr, call->a, call->b, call->c, call->d, 0, 0) < 0 && errno == EPERM;
		_exit(LIVED + status);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool lives(const struct call *call)
{
	int status = try(call, &(struct bfuse_confinement){ .uid = 0 });

	ck_assert(WIFEXITED(status) ? WEXITSTATUS(status) == LIVED : WTERMSIG(status) == SIGSYS);
	return WIFEXITED(status);
}

/* All calls of the module, whatever size they carry. */
START_TEST(test_module)
{
	unsigned int size, nr = (unsigned int)_i;

	for (size = 0; size <= 40; size += 40) {
		struct call call = { SYS_ioctl, -1, (long)_IOC(_IOC_READ | _IOC_WRITE, BFUSE_IOCTL_TYPE, nr, size), 0, 0 };
		bool serves = strchr("\x04\x05\x09\x0b\x0d\x0e\x0f\x11", (int)nr) && nr;

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
	struct bfuse_confinement how = { .syscalls = more, .nr_syscalls = 2 };

	ck_assert_int_eq(WEXITSTATUS(try(&call, &how)), LIVED);
	how.nr_syscalls = 1;
	ck_assert_int_eq(try(&call, &how), SIGSYS);
	how.refused = more;
	how.nr_refused = 2;
	ck_assert_int_eq(WEXITSTATUS(try(&call, &how)), LIVED + 1);
	how.nr_syscalls = ARRAY_SIZE(more);
	ck_assert_int_eq(bfuse__seccomp(&how), -E2BIG);
}
END_TEST

/* What a thread does when it gets a byte; the process exits with what it thinks of it. */
static int start[2];

static void *misbehave(void *argument)
{
	char byte;

	if (read(start[0], &byte, 1) != 1 || getuid() != 65534 || geteuid() != 65534)
		_exit(1);
	syscall(SYS_openat, AT_FDCWD, argument, O_RDONLY);
	_exit(2);
}

static void confine_with_a_thread(void)
{
	struct bfuse *bfuse = bfuse_new();
	pthread_t thread;

	if (pipe(start) || pthread_create(&thread, NULL, misbehave, (void *)"/"))
		_exit(3);
	if (bfuse_confine(bfuse, NULL) || write(start[1], "", 1) != 1)
		_exit(4);
	pthread_join(thread, NULL);
	_exit(5);
}

/* It is for all threads that there are. */
START_TEST(test_threads)
{
	pid_t pid = geteuid() ? -1 : fork();
	int status = SIGSYS;

	if (!pid)
		confine_with_a_thread();
	if (pid > 0)
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, SIGSYS);
}
END_TEST

/* Who can't become another user, or would stay root, is told so. */
START_TEST(test_user)
{
	struct bfuse_confinement how = { .size = sizeof(how), .uid = (uid_t)-1 };
	struct bfuse *bfuse = bfuse_new();

	ck_assert_int_eq(bfuse_confine(bfuse, &how), -EINVAL);
	ck_assert_ptr_nonnull(strstr(bfuse_error(bfuse), "can't become another user"));
	how.size--;
	ck_assert_int_eq(bfuse_confine(bfuse, &how), -EINVAL);
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
	tcase_add_test(tests, test_user);
	tcase_add_test(tests, test_control);
	suite_add_tcase(suite, tests);
	return suite;
}
