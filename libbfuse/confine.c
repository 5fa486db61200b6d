// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Giving up every privilege but that of serving. What the process could still do afterwards with a file of the module
 * that somebody privileged opened is in the hands of the module; what it could do with the rest of the system, in
 * seccomp's.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

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

/* -1 would mean: stay who you are. */
static int become(uid_t uid, gid_t gid)
{
	if (uid == (uid_t)-1 || gid == (gid_t)-1)
		return -EINVAL;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/*
 * Capabilities belong to a thread. Those of others go when the C library makes all threads another user, if they were
 * root's. What they keep of bounds is of no use with no_new_privs, which seccomp gives to all.
 */
static int check_thread(const char *name)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = atoi(name) };
	struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, has) < 0)
		return errno == ESRCH ? 0 : -errno;
	return has[0].permitted || has[1].permitted ? -EBUSY : 0;
}

static int check_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *task;
	int err = 0;

	if (!tasks)
		return -errno;
	while (!err && (task = readdir(tasks))) {
		if (task->d_name[0] != '.')
			err = check_thread(task->d_name);
	}
	closedir(tasks);
	return err;
}

/* Of this thread, and then nobody has any. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	return syscall(SYS_capset, &header, none) < 0 ? -errno : check_threads();
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

	drop_bounds();
	*what = "can't become another user";
	err = become(how->uid ? how->uid : NOBODY, how->gid ? how->gid : NOBODY);
	if (err)
		return err;
	*what = "can't drop the capabilities of all its threads";
	err = drop_capabilities();
	if (err)
		return err;
	*what = "can't limit its files";
	err = limit_files();
	if (!err)
		err = seal();
	if (err)
		return err;
	*what = "can't limit its system calls";
	return bfuse__seccomp(how);
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
