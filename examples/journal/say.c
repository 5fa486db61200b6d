// SPDX-License-Identifier: MIT
/*
 * Lines for people. Standard error may be a file on the disk whose writes wait for the one thread that serves, or a pipe that nobody
 * reads: so it is another thread that writes there. While a line can't be written those that follow are dropped.
 */
#include "journal.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All memory is locked: no more than it needs. */
#define STACK_BYTES 65536

static atomic_flag busy = ATOMIC_FLAG_INIT;
static char line[256];

static void *print(void *unused)
{
	ssize_t written = write(STDERR_FILENO, line, strlen(line));

	(void)written; /* there is nobody else to tell */
	atomic_flag_clear(&busy);
	return unused;
}

void journal_say(const char *format, ...)
{
	static const char program[] = "journal: ";
	const size_t room = sizeof(line) - sizeof(program) - 1;
	pthread_attr_t attr;
	pthread_t thread;
	va_list args;

	if (atomic_flag_test_and_set(&busy))
		return;
	strcpy(line, program);
	va_start(args, format);
	vsnprintf(line + strlen(program), room, format, args);
	va_end(args);
	strcat(line, "\n");
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(&thread, &attr, print, NULL))
		atomic_flag_clear(&busy);
	pthread_attr_destroy(&attr);
}
