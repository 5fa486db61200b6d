// SPDX-License-Identifier: GPL-2.0
/*
 * examples/trace: histogram, letters, and what happens when the writer is too slow.
 */
int trace_main(int argc, char **argv);

#define main trace_main
#include "../../examples/trace.c"
#undef main

#include "fake.h"

START_TEST(test_buckets)
{
	ck_assert_uint_eq(bucket_of(0), 0);
	ck_assert_uint_eq(bucket_of(1), 0);
	ck_assert_uint_eq(bucket_of(2), 1);
	ck_assert_uint_eq(bucket_of(1023), 9);
	ck_assert_uint_eq(bucket_of(1024), 10);
	ck_assert_uint_eq(bucket_of(UINT64_MAX), 63);
}
END_TEST

START_TEST(test_histogram)
{
	static struct trace trace;
	struct record record = { .request = { .op = BFUSE_OP_WRITE, .length = 512 }, .latency_ns = 100 };
	const struct histogram *histogram = &trace.histograms[BFUSE_OP_WRITE];

	count_record(&trace, &record);
	record.latency_ns = 300;
	record.status = -EIO;
	count_record(&trace, &record);
	record.request.op = 31;
	count_record(&trace, &record);
	ck_assert_uint_eq(histogram->count, 2);
	ck_assert_uint_eq(histogram->errors, 1);
	ck_assert_uint_eq(histogram->bytes, 1024);
	ck_assert_uint_eq(histogram->total_ns, 400);
	ck_assert_uint_eq(histogram->max_ns, 300);
	ck_assert_uint_eq(histogram->buckets[6], 1);
	ck_assert_uint_eq(histogram->buckets[8], 1);
	ck_assert_uint_eq(trace.histograms[BFUSE_OP_OTHER].count, 1);
}
END_TEST

START_TEST(test_letters)
{
	static const struct {
		unsigned int op, flags;
		const char *letters;
	} cases[] = {
		{ BFUSE_OP_READ, BFUSE_RQ_RAHEAD, "RA" },
		{ BFUSE_OP_WRITE, BFUSE_RQ_SYNC | BFUSE_RQ_META, "WSM" },
		{ BFUSE_OP_WRITE, BFUSE_RQ_PREFLUSH | BFUSE_RQ_FUA | BFUSE_RQ_SYNC, "FWFS" },
		{ BFUSE_OP_FLUSH, BFUSE_RQ_PREFLUSH, "F" },
		{ BFUSE_OP_SECURE_ERASE, 0, "DE" },
		{ BFUSE_OP_ZONE_RESET_ALL,
		  BFUSE_RQ_PREFLUSH | BFUSE_RQ_FUA | BFUSE_RQ_RAHEAD | BFUSE_RQ_SYNC | BFUSE_RQ_META, "FZRAFASM" },
		{ 31, 0, "N" },
	};
	struct bfuse_request request = { .op = (__u8)cases[_i].op, .flags = cases[_i].flags };
	char rwbs[12];

	format_rwbs(&request, rwbs);
	ck_assert_str_eq(rwbs, cases[_i].letters);
}
END_TEST

START_TEST(test_lost)
{
	static struct trace trace = { .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
	struct record record = { .request = { .length = 512 } };
	unsigned int i;

	trace.records = calloc(RECORDS, sizeof(record));
	trace.head = trace.tail = 0xfffffff0;
	for (i = 0; i < RECORDS + 3; i++)
		put_record(&trace, &record);
	ck_assert_uint_eq(trace.lost, 3);
	trace.quiet = true;
	trace.ending = true;
	write_records(&trace);
	ck_assert_uint_eq(trace.histograms[BFUSE_OP_READ].count, RECORDS);
	free(trace.records);
}
END_TEST

START_TEST(test_comm)
{
	struct bfuse_request request = { .pid = (uint32_t)getpid(), .time = 5 };
	char comm[16], expected[16] = "unit";

	pthread_getname_np(pthread_self(), expected, sizeof(expected));
	find_comm(&request, comm);
	ck_assert_str_eq(comm, expected);
	request.pid = 0x7fffffff;
	find_comm(&request, comm);
	ck_assert_str_eq(comm, "");
}
END_TEST

Suite *trace_suite(void)
{
	Suite *suite = suite_create("trace");
	TCase *tests = tcase_create("trace");

	tcase_add_test(tests, test_buckets);
	tcase_add_test(tests, test_histogram);
	tcase_add_loop_test(tests, test_letters, 0, 7);
	tcase_add_test(tests, test_lost);
	tcase_add_test(tests, test_comm);
	suite_add_tcase(suite, tests);
	return suite;
}
