/* SPDX-License-Identifier: MIT */
/* For tests of windows: a look that survives its signal, and data that are known again. */
#ifndef WINDOW_H
#define WINDOW_H

#include "raw.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#define PAGE 4096

#define require(condition)                                            \
	do {                                                          \
		if (!(condition))                                     \
			errx(1, "line %d: %s", __LINE__, #condition); \
	} while (0)

static __thread sigjmp_buf window_fell;

static inline void window_fall(int sig)
{
	siglongjmp(window_fell, sig);
}

static inline void window_catch(void)
{
	struct sigaction action = { .sa_handler = window_fall };

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
}

/* The byte there, or the signal that came instead, negative. */
static inline int touch(const void *at)
{
	int sig = sigsetjmp(window_fell, 1);

	return sig ? -sig : *(const volatile unsigned char *)at;
}

static inline unsigned char pattern(uint64_t at, unsigned int seed)
{
	return (unsigned char)(at * 7 + at / PAGE * 13 + seed);
}

static inline void fill(unsigned char *to, uint32_t bytes, unsigned int seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		to[i] = pattern(i, seed);
}

static inline bool is_pattern(const unsigned char *data, uint32_t bytes, unsigned int seed)
{
	for (uint32_t i = 0; i < bytes; i++)
		if (data[i] != pattern(i, seed))
			return false;
	return true;
}

static inline int end(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline size_t all_windows(const struct raw *r)
{
	return (size_t)r->reg.depth * r->reg.window_size;
}

static inline void *map_windows(const struct raw *r, int protection, int flags, size_t bytes)
{
	return mmap(NULL, bytes, protection, flags, r->fd, (off_t)r->reg.off_windows);
}

#endif
