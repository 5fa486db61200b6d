// SPDX-License-Identifier: MIT
/*
 * A filter that "encrypts" on the way down and "decrypts" on the way up, by an involution of each sector that depends on
 * its place: involute --device DEVICE [--altitude N] [--key N] [--slot BYTES] [--blind]
 *
 * --blind: not on its place, which a zone append does not know.
 */
#include <bfuse.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned char key = 0x5a;
static unsigned int slot_size = 65536;
static bool blind;

/* The sector's number goes in, so that data at a wrong place don't decrypt. */
static void involve(unsigned char *data, size_t bytes, uint64_t sector)
{
	if (blind)
		sector = 0;
	for (size_t i = 0; i < bytes; i++)
		data[i] ^= key ^ (unsigned char)((sector + (blind ? 0 : i / 512)) * 31 >> (i & 7));
}

static int change(struct bfuse_io *io)
{
	void *data;
	ssize_t bytes = bfuse_io_data(io, &data);

	if (bytes < 0)
		return -EIO;
	involve(data, bytes, io->request.sector);
	return BFUSE_REPLY_MODIFY;
}

static int write_(struct bfuse_io *io, void *user)
{
	(void)user;
	return io->request.length ? change(io) : BFUSE_REPLY_PASS;
}

static int read_(struct bfuse_io *io, void *user)
{
	(void)io, (void)user;
	return BFUSE_REPLY_HOLD;
}

static int held(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	(void)user;
	return done->status ? BFUSE_REPLY_PASS : change(io);
}

/* Zeroes that nobody encrypts would decrypt to something else. */
static int refuse(struct bfuse_io *io, void *user)
{
	(void)io, (void)user;
	return -EOPNOTSUPP;
}

static const char *option(const char *name, const char *value, void *user)
{
	(void)user;
	if (!strcmp(name, "key"))
		key = strtoul(value, NULL, 0);
	else if (!strcmp(name, "blind"))
		blind = true;
	else
		slot_size = strtoul(value, NULL, 0);
	return NULL;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	(void)user;
	reg->slot_size = slot_size;
	if (!slot_size)
		reg->defaults.payload = 0;
	return NULL;
}

static const struct bfuse_option options[] = {
	{ "key", "N", "a byte" },
	{ "blind", NULL, "the same for every sector" },
	{ "slot", "BYTES", "payload of a tag; 0: fetch and store all data" },
	{ 0 },
};

static const struct bfuse_filter involute = {
	.size = sizeof(involute),
	.name = "involute",
	.altitude = 900,
	.summary = "changes each sector on its way down, and back on its way up",
	.completes = true,
	.modifies = true,
	.payload = 1u << BFUSE_OP_READ | 1u << BFUSE_OP_WRITE | 1u << BFUSE_OP_ZONE_APPEND,
	.read = read_,
	.write = write_,
	.zone_append = write_,
	.write_zeroes = refuse,
	.held = held,
	.options = options,
	.option = option,
	.configure = configure,
};

int main(int argc, char **argv)
{
	return bfuse_main(argc, argv, &involute, NULL);
}
