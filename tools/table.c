// SPDX-License-Identifier: GPL-2.0
/*
 * Tables, for people or as JSON.
 */
#include "bfuse-tool.h"

#include <errno.h>
#include <libsmartcols.h>
#include <stdlib.h>

struct table {
	struct libscols_table *table;
	struct libscols_line *line;
};

/* libsmartcols returns negative errnos; the only one that can come here is ENOMEM. */
static void need(int err)
{
	if (err)
		exit(fail(BFUSE_EXIT_OTHER, "no memory"));
}

static void add_column(struct libscols_table *table, const struct column *column)
{
	struct libscols_column *added =
		scols_table_new_column(table, column->name, 0, column->number ? SCOLS_FL_RIGHT : 0);

	need(!added);
	need(scols_column_set_json_type(added, column->number ? SCOLS_JSON_NUMBER : SCOLS_JSON_STRING));
}

struct table *table_new(const char *name, const struct column *columns, size_t count, bool json)
{
	struct table *table = calloc(1, sizeof(*table));
	size_t i;

	need(!table);
	table->table = scols_new_table();
	need(!table->table);
	need(scols_table_set_name(table->table, name));
	scols_table_enable_json(table->table, json);
	for (i = 0; i < count; i++)
		add_column(table->table, &columns[i]);
	return table;
}

void table_row(struct table *table)
{
	table->line = scols_table_new_line(table->table, NULL);
	need(!table->line);
}

void table_text(struct table *table, size_t column, const char *text)
{
	need(scols_line_set_data(table->line, column, text));
}

void table_number(struct table *table, size_t column, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	table_text(table, column, text);
}

void table_print(struct table *table)
{
	need(scols_print_table(table->table));
	scols_unref_table(table->table);
	free(table);
}
