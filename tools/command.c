// SPDX-License-Identifier: GPL-2.0
/*
 * Command lines and messages of the subcommands.
 */
#include "bfuse-tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

int usage_error(const char *command, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "bfuse %s: ", command);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return BFUSE_EXIT_USAGE;
}

int bad_option(char **argv)
{
	return usage_error(argv[0], "%s: unknown option, or without its value; see: bfuse --help", argv[optind - 1]);
}

int fail(enum bfuse_exit status, const char *format, ...)
{
	va_list arguments;

	fputs("bfuse: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	return status;
}

int fail_library(const struct bfuse *bfuse)
{
	return fail(bfuse_exit_status(bfuse), "%s", bfuse_error(bfuse));
}

int parse_number(const char *command, const char *option, const char *value, uint32_t min, uint32_t max,
		 uint32_t *number)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(value, &end, bfuse_number_base(value));
	if (errno || *value < '0' || *value > '9' || *end || n < min || n > max)
		return usage_error(command, "--%s %s: a number from %u to %u is wanted", option, value, min, max);
	*number = (uint32_t)n;
	return 0;
}

struct bfuse *open_module(int *status)
{
	struct bfuse *bfuse = bfuse_new();

	if (!bfuse) {
		*status = fail(BFUSE_EXIT_OTHER, "no memory");
		return NULL;
	}
	if (!bfuse_open(bfuse))
		return bfuse;
	*status = fail_library(bfuse);
	bfuse_free(bfuse);
	return NULL;
}
