/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands of bfuse share.
 */
#ifndef BFUSE_TOOL_H
#define BFUSE_TOOL_H

#include <bfuse.h>
#include <stdio.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/**
 * struct command - a subcommand.
 * @run: argv[0] is its name; returns enum bfuse_exit.
 */
struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(int argc, char **argv);
};

int list_main(int argc, char **argv);
int stat_main(int argc, char **argv);
int attach_main(int argc, char **argv);
int detach_main(int argc, char **argv);
int events_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int features_main(int argc, char **argv);

/* command.c */

/* One line on standard error; returns BFUSE_EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What getopt_long() didn't like: "?". */
int bad_option(char **argv);

/* One line on standard error; returns @status. */
int fail(enum bfuse_exit status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The last failure of the library; returns its exit status. */
int fail_library(const struct bfuse *bfuse);

/* 0, or BFUSE_EXIT_USAGE after a line. */
int parse_number(const char *command, const char *option, const char *value, uint32_t min, uint32_t max,
		 uint32_t *number);

/* An open handle, or NULL after a line; then @status is set. */
struct bfuse *open_module(int *status);

/* selection.c */

/**
 * struct selection - attachments that were asked for.
 * @device: path or kernel name; NULL: all.
 * @altitude, @name: 0, NULL: any.
 */
struct selection {
	const char *device;
	uint32_t altitude;
	const char *name;
};

/**
 * struct attachments - by device, and from the highest altitude to the lowest.
 */
struct attachments {
	struct bfuse_next *list;
	size_t count;
};

/* Returns 0 or enum bfuse_exit after a line. The caller frees all->list. */
int select_attachments(struct bfuse *bfuse, const struct selection *selection, struct attachments *all);

/* table.c */

/**
 * struct column - of a table.
 * @number: right-aligned, and a number in JSON.
 */
struct column {
	const char *name;
	bool number;
};

struct table;

/* Ends the program if there is no memory. @name: of the array in JSON. */
struct table *table_new(const char *name, const struct column *columns, size_t count, bool json);
void table_row(struct table *table);
void table_text(struct table *table, size_t column, const char *text);
void table_number(struct table *table, size_t column, uint64_t number);
/* Prints and frees it. */
void table_print(struct table *table);

#endif
