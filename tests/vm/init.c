// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of a guest, in the order in which it happens: load the drivers, change
 * over to the root disk, run one test within its time, run what looks at the
 * remains and reports to the host, reset.  Linked statically and alone in the
 * initramfs with the modules in /modules: an emulated guest spends most of its
 * start in fork and exec, so nothing here runs a program that it can do without.
 *
 * The kernel's command line gives, as environment: VM_TEST the test's name,
 * VM_TIMEOUT its seconds (0: no limit), VM_DISKS the number of its disks; VM_SHELL=1 for a
 * shell in the place of a test.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMED_OUT 124

/* The host gets a reset without a verdict, and the console has the reason. */
static void die(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* A file that this kernel doesn't have asks for nothing. */
	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
}

/* The first word of a file in sysfs, empty if there is none. */
static const char *read_word(char *word, size_t size, const char *path, long skip)
{
	FILE *file = fopen(path, "re");

	word[0] = '\0';
	if (!file)
		return word;
	if (!fseek(file, skip, SEEK_SET) && fgets(word, (int)size, file))
		word[strcspn(word, " \n")] = '\0';
	fclose(file);
	return word;
}

static void mount_one(const char *type, const char *dir, const char *options)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, options) < 0)
		fprintf(stderr, "init: no %s on %s: %s\n", type, dir, strerror(errno));
}

/* They are numbered in the order in which they depend on each other. */
static void load_modules(void)
{
	char path[64];
	int fd, number;

	for (number = 10;; number++) {
		snprintf(path, sizeof(path), "/modules/%d.ko", number);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		if (syscall(SYS_finit_module, fd, "", 0) < 0)
			fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

/* Each kind of disk keeps the serial number that QEMU was told elsewhere. */
static const char *disk_serial(char *serial, size_t size, const char *disk)
{
	static const struct {
		const char *file;
		long skip; /* a VPD page begins with a header of four bytes */
	} places[] = { { "serial", 0 }, { "device/serial", 0 }, { "device/vpd_pg80", 4 } };
	char path[320];
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "/sys/block/%s/%s", disk, places[i].file);
		if (*read_word(serial, size, path, places[i].skip))
			break;
	}
	return serial;
}

/*
 * Exports DISK_ROOT, DISK_PAYLOAD, DISK0, DISK1, ...: names like vda depend on
 * which disks a test asked for, serial numbers do not.  Returns how many.
 */
static int export_disks(void)
{
	char serial[64], name[80], path[300];
	struct dirent *entry;
	DIR *dir = opendir("/sys/block");
	int count = 0;

	if (!dir)
		die("/sys/block");
	while ((entry = readdir(dir))) {
		disk_serial(serial, sizeof(serial), entry->d_name);
		if (strncmp(serial, "DISK", 4))
			continue;
		snprintf(name, sizeof(name), "%s", serial);
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		setenv(name, path, 1);
		count++;
	}
	closedir(dir);
	return count;
}

/* Drivers go on looking for disks after they have been loaded. */
static void wait_for_disks(void)
{
	static const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int wanted = atoi(getenv("VM_DISKS")) + 2;
	int tries;

	for (tries = 0; tries < 2000; tries++) {
		if (export_disks() >= wanted)
			return;
		nanosleep(&pause, NULL);
	}
	errno = ETIMEDOUT;
	die("the disks");
}

/* The device of a port to the host, exported under a name. */
static void export_port(const char *port, const char *variable)
{
	char name[64], path[320];
	struct dirent *entry;
	DIR *dir = opendir("/sys/class/virtio-ports");

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry->d_name);
		if (strcmp(read_word(name, sizeof(name), path, 0), port))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		setenv(variable, path, 1);
	}
	if (dir)
		closedir(dir);
}

static void enter_root(void)
{
	static const char *const moved[] = { "/dev", "/proc", "/sys" };
	char to[16];
	size_t i;

	if (mount(getenv("DISK_ROOT"), "/new", "ext4", MS_RDONLY, NULL) < 0)
		die("the root disk");
	for (i = 0; i < sizeof(moved) / sizeof(moved[0]); i++) {
		snprintf(to, sizeof(to), "/new%s", moved[i]);
		if (mount(moved[i], to, NULL, MS_MOVE, NULL) < 0)
			die(to);
	}
	if (chdir("/new") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		die("the change of root");
}

/* The root disk is read-only: what is written in a guest goes to memory. */
static void mount_rest(void)
{
	static const char *const writable[] = {
		"/blkfilter", "/dev/shm", "/mnt", "/root", "/run", "/tmp", "/var",
	};
	size_t i;

	for (i = 0; i < sizeof(writable) / sizeof(writable[0]); i++)
		mount_one("tmpfs", writable[i], NULL);
	mount_one("devpts", "/dev/pts", NULL);
	mount_one("cgroup2", "/sys/fs/cgroup", NULL);
	mount_one("debugfs", "/sys/kernel/debug", NULL);
	mount_one("configfs", "/sys/kernel/config", NULL);
	mkdir("/var/tmp", 01777);
	mkdir("/run/lock", 0755);
	mkdir("/run/result", 0755);
	mkdir("/run/result/out", 0755);
	if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("fd/0", "/dev/stdin") < 0 ||
	    symlink("fd/1", "/dev/stdout") < 0 || symlink("fd/2", "/dev/stderr") < 0)
		die("/dev");
}

/*
 * A fault should show within a test's time, not after two minutes.  A guest
 * without a time limit has a clock by which nothing can be limited.
 */
static void set_limits(void)
{
	write_file("/proc/sys/kernel/hung_task_timeout_secs",
		   atoi(getenv("VM_TIMEOUT")) ? "30" : "0");
	write_file("/proc/sys/kernel/sysrq", "1");
	/* From now on the console gets everything, for the guest that dies. */
	write_file("/proc/sys/kernel/printk", "8");
}

static void set_environment(void)
{
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LC_ALL", "C", 1);
	setenv("BLKFILTER", "/blkfilter", 1);
	setenv("LD_LIBRARY_PATH", "/blkfilter/lib", 1);
	setenv("RESULT", "/run/result", 1);
	setenv("REASON", "/run/result/reason", 1);
	setenv("OUT", "/run/result/out", 1);
	/* No udev runs here: the tools have to make device nodes themselves. */
	setenv("DM_DISABLE_UDEV", "1", 1);
	setenv("MDADM_NO_UDEV", "1", 1);
	export_port("monitor", "VM_MONITOR");
	export_port("result", "VM_RESULT");
	export_port("log", "VM_LOG");
}

/* A program in a session of its own; a terminal becomes its controlling one. */
static pid_t start(int console, char *const argv[])
{
	pid_t pid = fork();
	sigset_t none;

	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	dup2(console, STDIN_FILENO);
	dup2(console, STDOUT_FILENO);
	dup2(console, STDERR_FILENO);
	ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	execvp(argv[0], argv);
	_exit(127);
}

/*
 * The exit status of @pid, or TIMED_OUT after that many seconds (0: never).
 * Orphans of the test are reaped on the way.
 */
static int wait_for(pid_t pid, long seconds)
{
	static const struct timespec second = { .tv_sec = 1 };
	struct timespec now, begin;
	sigset_t child;
	pid_t ended;
	int status;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (;;) {
		while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
			if (ended == pid)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (seconds && now.tv_sec - begin.tv_sec >= seconds)
			return TIMED_OUT;
		sigtimedwait(&child, NULL, &second);
	}
}

/* Opened once: what a test leaves running keeps the port to the host busy. */
static int open_console(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void run_shell(void)
{
	int console = open_console("/dev/ttyS0");

	wait_for(start(console, (char *[]){ "bash", "-i", NULL }), 0);
}

static void run_test(void)
{
	int log = open_console(getenv("VM_LOG"));
	char path[256], status[16];
	int code;

	snprintf(path, sizeof(path), "blkfilter: test %s starts\n", getenv("VM_TEST"));
	write_file("/dev/kmsg", path);
	snprintf(path, sizeof(path), "/blkfilter/tests/guest/%s.sh", getenv("VM_TEST"));
	code = wait_for(start(log, (char *[]){ "bash", path, NULL }),
			atol(getenv("VM_TIMEOUT")));

	snprintf(status, sizeof(status), "%d", code);
	wait_for(start(log, (char *[]){ "bash", "/blkfilter/tests/vm/epilogue", status, NULL }), 0);
}

static void unpack_payload(void)
{
	pid_t tar;

	if (chdir("/blkfilter") < 0)
		die("/blkfilter");
	tar = start(STDERR_FILENO, (char *[]){ "tar", "-xf", getenv("DISK_PAYLOAD"), NULL });
	if (wait_for(tar, 0))
		die("the payload");
}

int main(void)
{
	sigset_t all;

	/* All that is asked of this guest is to get here: tests/vm/accel.sh. */
	if (getenv("VM_PROBE"))
		reboot(RB_AUTOBOOT);

	/* sigtimedwait() wants its signal blocked. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);

	mount_one("proc", "/proc", NULL);
	mount_one("sysfs", "/sys", NULL);
	mount_one("devtmpfs", "/dev", NULL);
	load_modules();
	wait_for_disks();
	enter_root();
	mount_rest();
	set_limits();
	set_environment();
	unpack_payload();

	if (chdir("/tmp") < 0)
		die("/tmp");
	if (getenv("VM_SHELL"))
		run_shell();
	else
		run_test();
	reboot(RB_AUTOBOOT);
	return 1;
}
