// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * The system calls of a process that only serves, as a program for seccomp(2). Whatever is not in here ends the
 * process.
 *
 * A call is told by its number, and where the number alone would allow too much by one argument. Pointers can't be
 * looked behind, so clone3() is said not to exist, and the C library uses clone(). io_uring_enter() is left out on
 * purpose: what a ring does seccomp doesn't see, and a ring can open files.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#else
#define OWN_ARCH 0 /* unknown here: bfuse__seccomp() refuses */
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define PROGRAM_MAX 1024

/* The calls of the module that need no privilege of the caller. They are told apart by number, whatever size they carry. */
static const unsigned int serving[] = {
	_IOC_NR(BFUSE_ENTER),
	_IOC_NR(BFUSE_DATA),
	_IOC_NR(BFUSE_INJECT),
	_IOC_NR(BFUSE_RANGES),
	_IOC_NR(BFUSE_CHUNKS),
	_IOC_NR(BFUSE_MARK),
	_IOC_NR(BFUSE_OFFER),
	_IOC_NR(BFUSE_ANSWER),
};

/* Those that say nothing about, and change nothing but, the process itself and what it has open already. */
static const long harmless[] = {
	/* the C library's locks, threads and memory */
	SYS_futex, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_set_robust_list, SYS_rseq, SYS_sched_yield,
	SYS_sched_getaffinity, SYS_getrandom, SYS_sysinfo, SYS_membarrier,
	/* time */
	SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday,
	/* signals and the end */
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_restart_syscall,
	SYS_exit, SYS_exit_group,
	/* who am I */
	SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getcpu, SYS_getrusage,
	/* files that are open */
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2,
	SYS_pwritev2, SYS_lseek, SYS_fstat, SYS_fsync, SYS_fdatasync, SYS_fallocate, SYS_ftruncate, SYS_sync_file_range,
	SYS_close,
	/* waiting for them */
	SYS_ppoll, SYS_epoll_pwait, SYS_epoll_ctl, SYS_timerfd_settime, SYS_io_submit, SYS_io_getevents,
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_epoll_wait
	SYS_epoll_wait,
#endif
#ifdef SYS_time
	SYS_time,
#endif
};

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned short length;
};

static void put(struct program *program, unsigned short code, unsigned char yes, unsigned char no, unsigned int k)
{
	if (program->length < PROGRAM_MAX)
		program->code[program->length++] = (struct sock_filter){ code, yes, no, k };
}

static void put_load(struct program *program, size_t offset)
{
	put(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned int)offset);
}

static void put_return(struct program *program, unsigned int action)
{
	put(program, BPF_RET | BPF_K, 0, 0, action);
}

/* If the accumulator is @value. */
static void put_case(struct program *program, unsigned int value, unsigned int action)
{
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
	put_return(program, action);
}

static size_t low_half(unsigned int argument)
{
	size_t offset = offsetof(struct seccomp_data, args) + argument * sizeof(__u64);

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? offset : offset + sizeof(__u32);
}

/*
 * The call number @nr is allowed if its argument, seen through @mask, is one of @values. With the number in the
 * accumulator, where it still is behind it for all other calls.
 */
static void put_checked(struct program *program, long nr, unsigned int argument, unsigned int mask,
			const unsigned int *values, unsigned int count)
{
	unsigned int i;

	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, (unsigned char)(3 + 2 * count), (unsigned int)nr);
	put_load(program, low_half(argument));
	put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	for (i = 0; i < count; i++)
		put_case(program, values[i], SECCOMP_RET_ALLOW);
	put_return(program, SECCOMP_RET_KILL_PROCESS);
}

#define CHECKED(program, nr, argument, mask, ...)                                      \
	put_checked(program, nr, argument, mask, (const unsigned int[]){ __VA_ARGS__ }, \
		    ARRAY_SIZE(((const unsigned int[]){ __VA_ARGS__ })))

/* As glibc asks from 2.42 on; its headers don't have it beside TCGETS. */
#define TCGETS2_LOW 0x542a

/* First, as it is what a serving thread does all day. Asking whether a file is a terminal is stdio's. */
static void put_ioctl(struct program *program)
{
	unsigned int values[ARRAY_SIZE(serving) + 2] = { TCGETS & 0xffff, TCGETS2_LOW };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(serving); i++)
		values[i + 2] = _IOC(0, BFUSE_IOCTL_TYPE, serving[i], 0);
	put_checked(program, SYS_ioctl, 1, 0xffff, values, ARRAY_SIZE(values));
}

static void put_arch(struct program *program)
{
	put_load(program, offsetof(struct seccomp_data, arch));
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCH);
	put_return(program, SECCOMP_RET_KILL_PROCESS);
	put_load(program, offsetof(struct seccomp_data, nr));
}

static void build(struct program *program, const struct bfuse_confinement *how)
{
	size_t i;

	program->length = 0;
	put_arch(program);
	for (i = 0; i < how->nr_syscalls; i++)
		put_case(program, (unsigned int)how->syscalls[i], SECCOMP_RET_ALLOW);
	for (i = 0; i < how->nr_refused; i++)
		put_case(program, (unsigned int)how->refused[i], SECCOMP_RET_ERRNO | EPERM);
	put_ioctl(program);
	for (i = 0; i < ARRAY_SIZE(harmless); i++)
		put_case(program, (unsigned int)harmless[i], SECCOMP_RET_ALLOW);
	CHECKED(program, SYS_mmap, 2, PROT_EXEC, 0);
	CHECKED(program, SYS_mprotect, 2, PROT_EXEC, 0);
	CHECKED(program, SYS_clone, 0, CLONE_THREAD, CLONE_THREAD);
	put_case(program, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
	CHECKED(program, SYS_prctl, 0, ~0u, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA);
	CHECKED(program, SYS_tgkill, 0, ~0u, (unsigned int)getpid());
	CHECKED(program, SYS_fcntl, 1, ~0u, F_GETFL, F_GETFD);
	CHECKED(program, SYS_newfstatat, 3, ~0u, AT_EMPTY_PATH);
	put_return(program, SECCOMP_RET_KILL_PROCESS);
}

bool bfuse__serves(unsigned long request)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(serving); i++) {
		if (_IOC_TYPE(request) == BFUSE_IOCTL_TYPE && _IOC_NR(request) == serving[i])
			return true;
	}
	return false;
}

/* For all threads. */
int bfuse__seccomp(const struct bfuse_confinement *how)
{
	struct program program;
	struct sock_fprog fprog = { .filter = program.code };
	long failed;

	if (!OWN_ARCH)
		return -EOPNOTSUPP;
	build(&program, how);
	if (program.length == PROGRAM_MAX)
		return -E2BIG;
	fprog.len = program.length;
	failed = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &fprog);
	/* Greater than 0: a thread that has a program of its own. */
	return failed < 0 ? -errno : failed ? -EBUSY : 0;
}
