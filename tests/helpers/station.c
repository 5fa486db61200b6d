// SPDX-License-Identifier: MIT
/*
 * A filter that tells what happens to it. Several that append to one file tell it in order: a line is one write(2). The time is in
 * milliseconds, and a clock may be coarse.
 *
 *	station --match GLOB|--device DEVICE [--altitude N] [--accept GLOB] [--write SECTOR] [--park] [--die EVENT]
 *		[--sleep MS] [--requests N]
 *
 *	TIME ALTITUDE offered NAME arriving|existing disk|partition SECTORS SERIAL MODEL
 *	TIME ALTITUDE attached NAME
 *	TIME ALTITUDE read|write|... SECTOR+LENGTH of NAME	(the first N requests of each attachment, 20)
 *	TIME ALTITUDE injected SECTOR+LENGTH of NAME by FILTER
 *	TIME ALTITUDE leaving|torn-out NAME
 *	TIME ALTITUDE wrote STATUS				(what --write injected)
 *	TIME ALTITUDE done NAME					(with either)
 *	TIME ALTITUDE detached NAME STATUS
 */
#include <bfuse.h>

#include <fnmatch.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ATTACHMENTS 256

static struct {
	char name[32];
	unsigned long requests;
} seen[ATTACHMENTS];
static unsigned int altitude;
static const char *accepted = "*";
static const char *fatal = "";
static long sector = -1;
static unsigned long wait_ms, shown = 20;
static bool park;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int written;

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	char line[256];
	struct timespec now;
	va_list arguments;
	int n;

	clock_gettime(CLOCK_MONOTONIC, &now);
	n = snprintf(line, sizeof(line), "%lld %u ", now.tv_sec * 1000LL + now.tv_nsec / 1000000, altitude);
	va_start(arguments, format);
	vsnprintf(line + n, sizeof(line) - (size_t)n, format, arguments);
	va_end(arguments);
	strcat(line, "\n");
	if (write(STDOUT_FILENO, line, strlen(line)) < 0)
		_exit(1);
}

static const char *name_of(uint32_t attachment)
{
	const char *name = seen[attachment % ATTACHMENTS].name;

	return *name ? name : "?";
}

static void happen(const char *event)
{
	if (!strcmp(fatal, event))
		_exit(9);
	usleep((useconds_t)wait_ms * 1000);
}

static int any(struct bfuse_io *io, void *user)
{
	const struct bfuse_request *rq = &io->request;
	bool own = rq->flags & BFUSE_RQ_INJECTED;

	(void)user;
	/* The first may come before attached(). */
	for (int i = 0; i < 1000 && *name_of(rq->attachment) == '?'; i++)
		usleep(1000);
	if (__atomic_fetch_add(&seen[rq->attachment % ATTACHMENTS].requests, 1, __ATOMIC_RELAXED) < shown || own)
		say("%s %llu+%u of %s%s", own ? "injected" : bfuse_op_name(rq->op), (unsigned long long)rq->sector,
		    rq->length, name_of(rq->attachment), own ? " from above" : "");
	return park ? BFUSE_REPLY_LATER : BFUSE_REPLY_PASS;
}

static void attached(const struct bfuse_next *attachment, void *user)
{
	(void)user;
	altitude = attachment->altitude;
	memcpy(seen[attachment->attachment % ATTACHMENTS].name, attachment->device, sizeof(seen[0].name));
	say("attached %s", attachment->device);
}

static void detached(uint32_t attachment, int status, void *user)
{
	(void)user;
	say("detached %s %d", name_of(attachment), status);
	seen[attachment % ATTACHMENTS].name[0] = '\0';
}

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static bool offered(const struct bfuse_arrival *device, struct bfuse_interest *interest, void *user)
{
	const struct bfuse_offer *offer = &device->offer;

	(void)interest, (void)user;
	say("offered %s %s %s %llu %s %s", offer->device, offer->flags & BFUSE_OFFER_EXISTING ? "existing" : "arriving",
	    offer->flags & BFUSE_OFFER_PARTITION ? "partition" : "disk", (unsigned long long)offer->sectors,
	    or_dash(device->serial), or_dash(device->model));
	happen("offered");
	return !fnmatch(accepted, offer->device, 0);
}

static void injected(int status, void *user)
{
	(void)user;
	pthread_mutex_lock(&lock);
	written = status;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

static void write_one(struct bfuse *bfuse, uint32_t attachment)
{
	static char data[4096] __attribute__((aligned(4096)));

	memset(data, 'a' + (int)(altitude / 100), sizeof(data));
	pthread_mutex_lock(&lock);
	written = bfuse_inject(bfuse, attachment, BFUSE_OP_WRITE, 0, (uint64_t)sector, data, sizeof(data), injected, NULL);
	if (!written)
		written = 1;
	while (written > 0)
		pthread_cond_wait(&changed, &lock);
	say("wrote %d", written);
	pthread_mutex_unlock(&lock);
}

static void leaving(struct bfuse *bfuse, uint32_t attachment, void *user)
{
	(void)user;
	say("leaving %s", name_of(attachment));
	happen("leaving");
	if (sector >= 0)
		write_one(bfuse, attachment);
	say("done %s", name_of(attachment));
}

static void torn_out(struct bfuse *bfuse, uint32_t attachment, void *user)
{
	(void)bfuse, (void)user;
	say("torn-out %s", name_of(attachment));
	happen("torn-out");
	say("done %s", name_of(attachment));
}

static const struct bfuse_option options[] = {
	{ "accept", "GLOB", "of what is offered" }, { "write", "SECTOR", "4096 bytes when a device leaves" },
	{ "park", NULL, "answer no request" },	    { "die", "EVENT", "offered, leaving, torn-out" },
	{ "sleep", "MS", "in each event" },	    { "requests", "N", "to be shown" },
	{ NULL, NULL, NULL },
};

static const char *option(const char *name, const char *value, void *user)
{
	(void)user;
	if (!strcmp(name, "accept"))
		accepted = value;
	else if (!strcmp(name, "write"))
		sector = atol(value);
	else if (!strcmp(name, "park"))
		park = true;
	else if (!strcmp(name, "die"))
		fatal = value;
	else if (!strcmp(name, "sleep"))
		wait_ms = strtoul(value, NULL, 0);
	else
		shown = strtoul(value, NULL, 0);
	return NULL;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	(void)user;
	altitude = reg->altitude;
	return NULL;
}

static const struct bfuse_filter station = {
	.size = sizeof(station),
	.name = "station",
	.altitude = 500,
	.any = any,
	.attached = attached,
	.detached = detached,
	.offered = offered,
	.leaving = leaving,
	.torn_out = torn_out,
	.options = options,
	.option = option,
	.configure = configure,
};

int main(int argc, char **argv)
{
	return bfuse_main(argc, argv, &station, NULL);
}
