// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Giving up every privilege but that of serving. What the process could still do afterwards with a file of the module that
 * somebody privileged opened is in the hands of the module; what it could do with the rest of the system, in seccomp's.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

/* Capabilities, the filter and much else belong to a thread, not to a process. Who may not ask for this has no such right. */
static int be_alone(void)
{
	return unshare(CLONE_THREAD) < 0 && errno == EINVAL ? -EBUSY : 0;
}

/*
 * No descriptor more than there are: a new one would get the lowest free number, and that is beyond the limit. poll(2)
 * refuses more files than the limit, so it isn't 0.
 */
static int limit_files(void)
{
	int lowest = fcntl(0, F_DUPFD, 0);
	struct rlimit limit;

	if (lowest < 0)
		lowest = errno == EBADF ? 0 : -errno;
	else
		close(lowest);
	if (lowest < 0)
		return lowest;
	limit = (struct rlimit){ (rlim_t)lowest, (rlim_t)lowest };
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

/* Before the user changes, as that takes away the right to do it. */
static void drop_bounds(void)
{
	unsigned long cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

/* Nobody of the same user looks into it or traces it, and nothing that it could run gains anything. */
static int seal(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

static int confine(const struct bfuse_confinement *how, const char **what)
{
	int err;

	*what = "this process has several threads";
	err = be_alone();
	if (err)
		return err;
	*what = "can't limit its files";
	err = limit_files();
	if (err)
		return err;
	drop_bounds();
	*what = "can't become another user";
	err = become(how->uid ? how->uid : NOBODY, how->gid ? how->gid : NOBODY);
	if (err)
		return err;
	*what = "can't drop capabilities";
	err = drop_capabilities();
	if (!err)
		err = seal();
	if (err)
		return err;
	*what = "can't limit its system calls";
	return bfuse__seccomp(how->syscalls, how->nr_syscalls);
}

int bfuse_confine(struct bfuse *bfuse, const struct bfuse_confinement *how)
{
	static const struct bfuse_confinement usual = { .size = sizeof(usual) };
	const char *what;
	int err;

	if (how && how->size != sizeof(*how))
		return bfuse__fail(bfuse, -EINVAL, BFUSE_EXIT_ABI,
				   "%s: was built for another version of libbfuse; build it again", bfuse->reg.name);
	err = confine(how ? how : &usual, &what);
	if (err)
		return bfuse__fail(bfuse, err, err == -EPERM ? BFUSE_EXIT_PERMISSION : BFUSE_EXIT_OTHER,
				   "%s: can't be confined: %s: %s", bfuse->reg.name, what, strerror(-err));
	bfuse->confined = true;
	return 0;
}
