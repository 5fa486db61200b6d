// SPDX-License-Identifier: MIT
/*
 * One line per request, much as blkparse prints them, and a histogram of latencies at the end.
 *
 *	trace --device /dev/vda [--json] [--submit]
 *
 * The threads that serve the queues only put a record into a buffer; a thread of its own formats and writes. When it
 * can't keep up, records are dropped and counted: so the trace may be written to the very device that is traced without
 * ever waiting for itself. A filter does not see the I/O of its own process; but what it writes through the page cache
 * is written back by a kernel worker, and that is traced.
 */
#include <bfuse.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RECORDS 32768u /* a power of two */
#define COMM_CACHE 64u
#define COMM_LIFE_NS 1000000000ull
#define BUCKETS 64
#define NAMES 256

struct record {
	struct bfuse_request request;
	uint64_t latency_ns;
	int32_t status;
	char comm[16];
};

/* Latencies of one operation; bucket n counts those from 2^n to 2^(n+1) - 1 ns. */
struct histogram {
	uint64_t count;
	uint64_t errors;
	uint64_t bytes;
	uint64_t total_ns;
	uint64_t max_ns;
	uint64_t buckets[BUCKETS];
};

struct trace {
	bool json;
	bool submit;
	bool quiet;

	pthread_mutex_t lock; /* the fields up to names */
	pthread_cond_t wake;
	struct record *records;
	uint32_t head;
	uint32_t tail;
	uint64_t lost;
	bool ending;
	struct {
		uint32_t attachment;
		char device[32];
	} names[NAMES];
	unsigned int nr_names;

	struct bfuse *bfuse;
	pthread_t writer; /* all below is its own */
	bool started;
	int error; /* of the output */
	struct histogram histograms[BFUSE_OP_COUNT];
};

/*
 * The threads that serve
 */

/* A process calls itself as it likes, and terminals and readers of JSON are particular. */
static void tidy(char *comm)
{
	for (; *comm; comm++)
		if (*comm < ' ' || *comm > '~')
			*comm = '?';
}

/* A process may be gone when its request completes, or change its name: so it is looked up early, and kept for a second. */
static void find_comm(const struct bfuse_request *request, char comm[static 16])
{
	static __thread struct {
		uint64_t time;
		uint32_t pid;
		char comm[16];
	} cache[COMM_CACHE], *slot;
	char path[32];
	ssize_t n;
	int fd;

	slot = &cache[request->pid % COMM_CACHE];
	if (slot->pid != request->pid || !slot->time || request->time - slot->time > COMM_LIFE_NS) {
		snprintf(path, sizeof(path), "/proc/%u/comm", request->pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? 0 : read(fd, slot->comm, sizeof(slot->comm) - 1);
		if (fd >= 0)
			close(fd);
		slot->comm[n > 0 ? n : 0] = '\0';
		slot->comm[strcspn(slot->comm, "\n")] = '\0';
		tidy(slot->comm);
		slot->pid = request->pid;
		slot->time = request->time;
	}
	memcpy(comm, slot->comm, sizeof(slot->comm));
}

static void put_record(struct trace *trace, const struct record *record)
{
	pthread_mutex_lock(&trace->lock);
	if (trace->tail - trace->head < RECORDS) {
		trace->records[trace->tail++ % RECORDS] = *record;
		if (trace->tail - trace->head == RECORDS / 4)
			pthread_cond_signal(&trace->wake);
	} else {
		trace->lost++;
	}
	pthread_mutex_unlock(&trace->lock);
}

static int see(struct bfuse_io *io, void *user)
{
	struct trace *trace = user;
	struct record record = { .request = io->request };

	if (trace->submit) {
		find_comm(&io->request, record.comm);
		put_record(trace, &record);
		return BFUSE_REPLY_PASS;
	}
	io->user = malloc(sizeof(record.comm));
	if (io->user)
		find_comm(&io->request, io->user);
	return BFUSE_REPLY_NOTIFY;
}

static void see_done(struct bfuse_io *io, const struct bfuse_request *done, void *user)
{
	struct record record = { .request = io->request, .status = done->status };

	if (done->time > io->request.time)
		record.latency_ns = done->time - io->request.time;
	if (io->user)
		memcpy(record.comm, io->user, sizeof(record.comm));
	free(io->user);
	put_record(user, &record);
}

static void see_attached(const struct bfuse_next *attachment, void *user)
{
	struct trace *trace = user;
	unsigned int i;

	pthread_mutex_lock(&trace->lock);
	i = trace->nr_names++ % NAMES;
	trace->names[i].attachment = attachment->attachment;
	snprintf(trace->names[i].device, sizeof(trace->names[i].device), "%.31s", attachment->device);
	pthread_mutex_unlock(&trace->lock);
}

/*
 * The thread that writes
 */

static void find_device(struct trace *trace, uint32_t attachment, char device[static 32])
{
	unsigned int i;

	snprintf(device, 32, "#%u", attachment);
	pthread_mutex_lock(&trace->lock);
	for (i = 0; i < NAMES && i < trace->nr_names; i++) {
		if (trace->names[i].attachment == attachment)
			memcpy(device, trace->names[i].device, 32);
	}
	pthread_mutex_unlock(&trace->lock);
}

/* blktrace's letters; zones and zeroes as newer kernels have them. */
static void format_rwbs(const struct bfuse_request *request, char rwbs[static 12])
{
	static const char *const ops[BFUSE_OP_COUNT] = { "R",  "W",   "F",  "D",  "DE", "WZ", "ZA",
							 "ZR", "ZRA", "ZO", "ZC", "ZF", "N" };
	uint32_t flags = request->flags;

	snprintf(rwbs, 12, "%s%s%s%s%s%s", flags & BFUSE_RQ_PREFLUSH && request->op != BFUSE_OP_FLUSH ? "F" : "",
		 request->op < BFUSE_OP_COUNT ? ops[request->op] : "N", flags & BFUSE_RQ_FUA ? "F" : "",
		 flags & BFUSE_RQ_RAHEAD ? "A" : "", flags & BFUSE_RQ_SYNC ? "S" : "",
		 flags & BFUSE_RQ_META ? "M" : "");
}

static void print_text(const struct trace *trace, const struct record *record, const char *device)
{
	const struct bfuse_request *request = &record->request;
	const char *status = record->status ? strerrorname_np(-record->status) : "ok";
	char rwbs[12];

	format_rwbs(request, rwbs);
	printf("%-8s %3u %6llu.%09llu %7u %-15s %-5s %12llu + %-6u", device, request->cpu,
	       (unsigned long long)(request->time / 1000000000), (unsigned long long)(request->time % 1000000000),
	       request->pid, record->comm[0] ? record->comm : "-", rwbs, (unsigned long long)request->sector,
	       request->length >> 9);
	if (trace->submit)
		printf("\n");
	else
		printf(" %-8s %10.1f us\n", status ? status : "error", (double)record->latency_ns / 1000);
}

static void print_json(const struct trace *trace, const struct record *record, const char *device)
{
	const struct bfuse_request *request = &record->request;
	struct json_object *line = json_object_new_object();
	struct json_object *flags = json_object_new_array();
	unsigned int bit;

	for (bit = 0; bit < 32; bit++) {
		if (request->flags & 1u << bit && bfuse_flag_name(bit))
			json_object_array_add(flags, json_object_new_string(bfuse_flag_name(bit)));
	}
	json_object_object_add(line, "time_ns", json_object_new_uint64(request->time));
	json_object_object_add(line, "cpu", json_object_new_int(request->cpu));
	json_object_object_add(line, "op", json_object_new_string(bfuse_op_name(request->op)));
	json_object_object_add(line, "flags", flags);
	json_object_object_add(line, "sector", json_object_new_uint64(request->sector));
	json_object_object_add(line, "bytes", json_object_new_int64(request->length));
	json_object_object_add(line, "pid", json_object_new_int64(request->pid));
	json_object_object_add(line, "comm", json_object_new_string(record->comm));
	json_object_object_add(line, "cgroup", json_object_new_uint64(request->cgroup));
	json_object_object_add(line, "attachment", json_object_new_int64(request->attachment));
	json_object_object_add(line, "device", json_object_new_string(device));
	if (!trace->submit) {
		json_object_object_add(line, "status", json_object_new_int(record->status));
		json_object_object_add(line, "latency_ns", json_object_new_uint64(record->latency_ns));
	}
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(line);
}

static unsigned int bucket_of(uint64_t ns)
{
	return ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;
}

static void count_record(struct trace *trace, const struct record *record)
{
	unsigned int op = record->request.op < BFUSE_OP_COUNT ? record->request.op : BFUSE_OP_OTHER;
	struct histogram *histogram = &trace->histograms[op];

	histogram->count++;
	histogram->errors += record->status < 0;
	histogram->bytes += record->request.length;
	histogram->total_ns += record->latency_ns;
	if (record->latency_ns > histogram->max_ns)
		histogram->max_ns = record->latency_ns;
	histogram->buckets[bucket_of(record->latency_ns)]++;
}

static void write_record(struct trace *trace, const struct record *record)
{
	char device[32];

	count_record(trace, record);
	if (trace->quiet)
		return;
	find_device(trace, record->request.attachment, device);
	if (trace->json)
		print_json(trace, record, device);
	else
		print_text(trace, record, device);
}

/* Waits up to a tenth of a second for more records. Returns false when all are written and none will come. */
static bool wait_for_records(struct trace *trace, uint32_t *tail)
{
	struct timespec until;
	bool more;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&trace->lock);
	if (!trace->ending && trace->tail - trace->head < RECORDS / 4)
		pthread_cond_timedwait(&trace->wake, &trace->lock, &until);
	*tail = trace->tail;
	more = !trace->ending || trace->tail != trace->head;
	pthread_mutex_unlock(&trace->lock);
	return more;
}

/* Nobody reads any more, or there is no room: then there is nothing to trace for. */
static void note_error(struct trace *trace, int error)
{
	if (!ferror(stdout) || trace->error)
		return;
	trace->error = error ? error : EIO;
	bfuse_stop(trace->bfuse);
}

static void *write_records(void *user)
{
	struct trace *trace = user;
	uint32_t i, tail;

	while (wait_for_records(trace, &tail)) {
		/* Nobody else changes head, nor the records between it and tail. */
		errno = 0;
		for (i = trace->head; i != tail; i++)
			write_record(trace, &trace->records[i % RECORDS]);
		fflush(stdout);
		note_error(trace, errno);
		pthread_mutex_lock(&trace->lock);
		trace->head = tail;
		pthread_mutex_unlock(&trace->lock);
	}
	return NULL;
}

/*
 * The end
 */

static void print_histogram(FILE *out, const char *op, const struct histogram *histogram)
{
	unsigned int i;

	fprintf(out, "\n%s: %llu requests, %llu errors, %llu bytes, latency mean %.1f us, max %.1f us\n", op,
		(unsigned long long)histogram->count, (unsigned long long)histogram->errors,
		(unsigned long long)histogram->bytes, (double)histogram->total_ns / 1000 / (double)histogram->count,
		(double)histogram->max_ns / 1000);
	for (i = 0; i < BUCKETS; i++) {
		if (histogram->buckets[i])
			fprintf(out, "  < %12.1f us %10llu %5.1f %%\n", (double)(2ull << i) / 1000,
				(unsigned long long)histogram->buckets[i],
				100.0 * (double)histogram->buckets[i] / (double)histogram->count);
	}
}

static void print_summary(const struct trace *trace)
{
	FILE *out = trace->json ? stderr : stdout; /* objects and nothing else are on stdout then */
	unsigned int op;

	for (op = 0; op < BFUSE_OP_COUNT; op++) {
		const struct histogram *histogram = &trace->histograms[op];

		if (histogram->count && trace->submit)
			fprintf(out, "\n%s: %llu requests, %llu bytes\n", bfuse_op_name(op),
				(unsigned long long)histogram->count, (unsigned long long)histogram->bytes);
		else if (histogram->count)
			print_histogram(out, bfuse_op_name(op), histogram);
	}
	if (trace->lost)
		fprintf(out, "\n%llu requests lost: the output was too slow\n", (unsigned long long)trace->lost);
	fflush(out);
}

static const char *option(const char *name, const char *value, void *user)
{
	struct trace *trace = user;

	(void)value;
	if (!strcmp(name, "json"))
		trace->json = true;
	else if (!strcmp(name, "submit"))
		trace->submit = true;
	else
		trace->quiet = true;
	return NULL;
}

static const char *configure(struct bfuse_register *reg, void *user)
{
	struct trace *trace = user;

	(void)reg;
	trace->records = calloc(RECORDS, sizeof(*trace->records));
	return trace->records ? NULL : "no memory for records";
}

/* Begins to write. Signals are for the main thread. */
static int registered(struct bfuse *bfuse, void *user)
{
	struct trace *trace = user;
	pthread_attr_t attr;
	sigset_t all, old;

	trace->bfuse = bfuse;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	/* Real-time priority is for what serves. */
	if (sched_getscheduler(0) == SCHED_RR) {
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	}
	trace->started = !pthread_create(&trace->writer, &attr, write_records, trace);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return trace->started ? 0 : -EAGAIN;
}

/* While there is still a filter for the writer to stop; or, if nothing was ever served, by main(). */
static void end(void *user)
{
	struct trace *trace = user;

	if (!trace->started)
		return;
	pthread_mutex_lock(&trace->lock);
	trace->ending = true;
	pthread_cond_signal(&trace->wake);
	pthread_mutex_unlock(&trace->lock);
	pthread_join(trace->writer, NULL);
	trace->started = false;
	print_summary(trace);
}

static const struct bfuse_option options[] = {
	{ "json", NULL, "one JSON object per line; the summary goes to standard error" },
	{ "submit", NULL, "a line when a request comes instead of when it has completed" },
	{ "quiet", NULL, "no lines, only the summary" },
	{ NULL, NULL, NULL },
};

int main(int argc, char **argv)
{
	/* Confined it can't look for the names of processes, and shows none. */
	static const long open_calls[] = { SYS_openat };
	static const struct bfuse_confinement confinement = {
		.size = sizeof(confinement), .refused = open_calls, .nr_refused = 1,
	};
	static const struct bfuse_filter filter = {
		.size = sizeof(filter),
		.name = "trace",
		.altitude = 900,
		.summary = "Prints a line for each request, and latencies at the end.",
		.any = see,
		.done = see_done,
		.registered = registered,
		.attached = see_attached,
		.ended = end,
		.options = options,
		.option = option,
		.configure = configure,
		.confinement = &confinement,
	};
	static struct trace trace = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	int status = bfuse_main(argc, argv, &filter, &trace);

	end(&trace);
	free(trace.records);
	if (ferror(stdout)) {
		fprintf(stderr, "trace: standard output: %s\n", strerror(trace.error ? trace.error : errno));
		return status ? status : BFUSE_EXIT_OTHER;
	}
	return status;
}
