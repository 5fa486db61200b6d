// SPDX-License-Identifier: GPL-2.0
/*
 * bfuse features
 */
#include "bfuse-tool.h"

#include <getopt.h>
#include <string.h>

enum { VERSION_COLUMN, ABI, HOOKED, ATTACHMENTS, FEATURES, VERDICTS, OPS, COLUMNS };

static const struct column columns[COLUMNS] = {
	[VERSION_COLUMN] = { "VERSION", false },
	[ABI] = { "ABI", true },
	[HOOKED] = { "HOOKED", true },
	[ATTACHMENTS] = { "ATTACHMENTS", true },
	[FEATURES] = { "FEATURES", false },
	[VERDICTS] = { "VERDICTS", false },
	[OPS] = { "OPS", false },
};

/* A list of the names of the bits; one without a name by its number. */
static const char *format_bits(uint64_t bits, const char *(*name_of)(unsigned int), char *buffer, size_t size)
{
	unsigned int bit;
	size_t used = 0;

	buffer[0] = '\0';
	for (bit = 0; bit < 64 && used < size; bit++) {
		const char *name = name_of(bit);

		if (!(bits & 1ull << bit))
			continue;
		used += (size_t)snprintf(buffer + used, size - used, used ? ",%s" : "%s", name ? name : "");
		if (!name && used < size)
			used += (size_t)snprintf(buffer + used, size - used, "%u", bit);
	}
	return buffer;
}

static void print_features(const struct bfuse_info *info, bool json)
{
	struct table *table = table_new("features", columns, COLUMNS, json);
	char text[512];

	table_row(table);
	table_text(table, VERSION_COLUMN, info->version);
	table_number(table, ABI, info->abi);
	table_number(table, HOOKED, info->hooked);
	table_number(table, ATTACHMENTS, info->attachments);
	table_text(table, FEATURES, format_bits(info->features, bfuse_feature_name, text, sizeof(text)));
	table_text(table, VERDICTS, format_bits(info->verdicts, bfuse_verdict_name, text, sizeof(text)));
	table_text(table, OPS, format_bits(info->ops, bfuse_op_name, text, sizeof(text)));
	table_print(table);
}

int features_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { NULL, 0, NULL, 0 } };
	struct bfuse_info info;
	struct bfuse *bfuse;
	bool json = false;
	int id, status = 0;

	opterr = 0;
	while ((id = getopt_long_only(argc, argv, "", options, NULL)) >= 0) {
		if (id == '?')
			return bad_option(argv);
		json = true;
	}
	if (optind < argc)
		return usage_error(argv[0], "%s: unexpected", argv[optind]);
	bfuse = open_module(&status);
	if (!bfuse)
		return status;
	if (bfuse_get_info(bfuse, &info))
		status = fail_library(bfuse);
	else
		print_features(&info, json);
	bfuse_free(bfuse);
	return status;
}
