// SPDX-License-Identifier: GPL-2.0
/*
 * A filter that does nothing, at a chosen cost: what the benchmarks measure.
 */
#include <bfuse.h>
#include <stdlib.h>
#include <string.h>

struct bench {
	uint32_t ops;
	uint32_t slot_size;
	unsigned long busy;
	bool payload;
	bool notify;
	bool zero;
	bool look;
	bool hold;
	unsigned long map_min;
	unsigned long every;
	struct bfuse *bfuse;
};

#define PAGE 4096
#define RANGES 1024
#define RANGE 8
#define WINDOW (1u << 20)

/* At a word of each page. */
static void look(struct bfuse_io *io)
{
	void *data;
	ssize_t i, length = bfuse_io_data(io, &data);

	for (i = 0; i < length; i += PAGE)
		(void)*(const volatile long *)((const char *)data + i);
}

static int handle(struct bfuse_io *io, void *user)
{
	const struct bench *bench = user;
	volatile unsigned long i;

	for (i = 0; i < bench->busy; i++)
		;
	if (bench->look && io->request.op == BFUSE_OP_WRITE)
		look(io);
	if (bench->zero)
		return io->request.op == BFUSE_OP_ZONE_APPEND ? BFUSE_REPLY_PASS : BFUSE_REPLY_COMPLETE;
	if (bench->hold && io->request.op == BFUSE_OP_READ)
		return BFUSE_REPLY_HOLD;
	return bench->notify ? BFUSE_REPLY_NOTIFY : BFUSE_REPLY_PASS;
}

static int handle_held(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	const struct bench *bench = user;

	if (bench->look && !done->status)
		look(io);
	return BFUSE_REPLY_PASS;
}

static void handle_done(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	const struct bench *bench = user;

	if (bench->look && !done->status)
		look(io);
}

static const char *parse_number(const char *value, unsigned long *number)
{
	char *end;

	*number = strtoul(value, &end, 0);
	return *value >= '0' && *value <= '9' && !*end ? NULL : "a number is wanted";
}

static struct bfuse_filter filter;

static const char *option(const char *name, const char *value, void *user)
{
	struct bench *bench = user;
	const char *wrong = NULL;
	unsigned long number;

	if (!strcmp(name, "ops")) {
		wrong = bfuse_ops_parse(value, &bench->ops) ? "a list such as read,write, or all or none is wanted" :
							      NULL;
	} else if (!strcmp(name, "slot")) {
		wrong = parse_number(value, &number);
		bench->slot_size = (uint32_t)number;
	} else if (!strcmp(name, "busy")) {
		wrong = parse_number(value, &bench->busy);
	} else if (!strcmp(name, "layers")) {
		wrong = parse_number(value, &number);
		filter.layers = (uint32_t)number;
	} else if (!strcmp(name, "map-min")) {
		wrong = parse_number(value, &bench->map_min);
	} else if (!strcmp(name, "every")) {
		wrong = parse_number(value, &bench->every);
	} else if (!strcmp(name, "mapped")) {
		bench->map_min = bench->map_min ? bench->map_min : 1;
		bench->payload = true;
	} else if (!strcmp(name, "held")) {
		filter.held = handle_held;
		bench->hold = true;
	} else if (!strcmp(name, "look")) {
		bench->look = true;
	} else if (!strcmp(name, "payload")) {
		bench->payload = true;
	} else if (!strcmp(name, "notify")) {
		bench->notify = true;
	} else {
		bench->zero = true;
	}
	return wrong;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	const uint32_t with_data = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_ZONE_APPEND;
	const struct bench *bench = user;

	reg->defaults.ops = bench->ops;
	reg->slot_size = bench->slot_size;
	if (bench->payload) {
		reg->defaults.payload = bench->ops & with_data;
		reg->slot_size = bench->slot_size ? bench->slot_size : 65536;
	}
	if (bench->map_min) {
		reg->window_size = WINDOW;
		reg->map_min = (uint32_t)bench->map_min;
	}
	if (bench->hold)
		reg->defaults.verdicts |= 1u << BFUSE_HOLD;
	if (bench->zero) {
		reg->defaults.verdicts |= 1u << BFUSE_COMPLETE;
		reg->unknown = BFUSE_POLICY_ERROR;
	}
	return NULL;
}

static int remember(struct bfuse *bfuse, void *user)
{
	struct bench *bench = user;

	bench->bfuse = bfuse;
	return 0;
}

static void narrow(const struct bfuse_next *attachment, void *user)
{
	const struct bench *bench = user;
	struct bfuse_range ranges[RANGES];

	for (unsigned int i = 0; i < RANGES; i++)
		ranges[i] = (struct bfuse_range){ i * bench->every, RANGE };
	if (bench->every && bfuse_set_ranges(bench->bfuse, attachment->attachment, ranges, RANGES))
		exit(1);
}

static const struct bfuse_option options[] = {
	{ "ops", "LIST", "interest: read,write,..., all (default) or none" },
	{ "payload", NULL, "have the data copied" },
	{ "slot", "BYTES", "size of a slot" },
	{ "mapped", NULL, "have the data shown instead, of any size" },
	{ "map-min", "BYTES", "show them from this size on; copy less" },
	{ "look", NULL, "read a word of each page of the data of writes, and of reads that have completed (--notify, --held)" },
	{ "held", NULL, "hold the completions of reads" },
	{ "notify", NULL, "ask for completions" },
	{ "zero", NULL, "complete everything at once: reads give zeroes, writes are lost" },
	{ "every", "N", "see only 8 sectors of each N, for 1024 times" },
	{ "layers", "N", "so many filters of this kind, one below the other, in one" },
	{ "busy", "N", "turns of an empty loop per request" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	struct bench bench = { .ops = BFUSE_OPS_ALL };

	filter = (struct bfuse_filter){
		.size = sizeof(filter),
		.name = "bench",
		.altitude = 500,
		.summary = "Does nothing, at a chosen cost.",
		.any = handle,
		.done = handle_done,
		.registered = remember,
		.attached = narrow,
		.options = options,
		.option = option,
		.configure = configure,
	};

	return bfuse_main(argc, argv, &filter, &bench);
}
