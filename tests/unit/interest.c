// SPDX-License-Identifier: GPL-2.0
/*
 * Marks: what bfuse_mark_read() makes of a bitmap. And the bits of a chunk bitmap.
 */
#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct bfuse *bfuse;
static char told[4096];

static void setup(void)
{
	struct bfuse_register reg = { .name = "test", .altitude = 500, .nr_queues = 1, .depth = 4 };

	fake_reset();
	bfuse = new_handle();
	ck_assert_int_eq(bfuse_register(bfuse, &reg), 0);
	told[0] = '\0';
}

static void teardown(void)
{
	bfuse_free(bfuse);
}

static int tell(uint64_t sector, uint64_t sectors, void *user)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof(told) - n, "%llu+%llu ", (unsigned long long)sector, (unsigned long long)sectors);
	return user ? -EBADE : 0;
}

/* A generation of chunks of 8 sectors, as the kernel would tell of it. */
static const char *read_marks(uint64_t chunks, uint32_t flags)
{
	struct bfuse_mark mark = { .attachment = 1, .generation = 7, .chunk_shift = 12, .chunks = chunks, .flags = flags };

	fake.mark = mark;
	told[0] = '\0';
	ck_assert_int_eq(bfuse_mark_read(bfuse, &mark, tell, NULL), 0);
	return told;
}

START_TEST(test_runs)
{
	ck_assert_str_eq(read_marks(200, 0), "");
	fake.marks[0] = 1;
	ck_assert_str_eq(read_marks(200, 0), "0+8 ");
	fake.marks[0] = 0xf6;
	ck_assert_str_eq(read_marks(200, 0), "8+16 32+32 ");
	/* Over the edges of words, and whole words. */
	fake.marks[0] = 1ull << 63;
	fake.marks[1] = ~0ull;
	fake.marks[2] = 1;
	fake.marks[3] = 2;
	ck_assert_str_eq(read_marks(200, 0), "504+528 1544+8 ");
}
END_TEST

/* More than the library reads at once. */
START_TEST(test_pieces)
{
	fake.marks[8191] = 3ull << 62;
	fake.marks[8192] = 1;
	ck_assert_str_eq(read_marks(8200 * 64, 0), "4194288+24 ");
}
END_TEST

START_TEST(test_all_and_beyond)
{
	fake.marks[0] = 2;
	ck_assert_str_eq(read_marks(4, BFUSE_MARK_ALL), "0+18446744073709551615 ");
	ck_assert_str_eq(read_marks(4, BFUSE_MARK_ALL | BFUSE_MARK_BEYOND), "0+18446744073709551615 ");
	ck_assert_str_eq(read_marks(4, BFUSE_MARK_BEYOND), "8+8 32+18446744073709551583 ");
	/* What adjoins is one. */
	fake.marks[0] = 0xc;
	ck_assert_str_eq(read_marks(4, BFUSE_MARK_BEYOND), "16+18446744073709551599 ");
}
END_TEST

START_TEST(test_ends)
{
	struct bfuse_mark mark = { .attachment = 1, .generation = 7, .chunk_shift = 12, .chunks = 64 };

	fake.mark = mark;
	fake.marks[0] = 5;
	ck_assert_int_eq(bfuse_mark_read(bfuse, &mark, tell, bfuse), -EBADE);
	ck_assert_str_eq(told, "0+8 ");
	/* Another one has ended meanwhile. */
	fake.mark.generation = 8;
	ck_assert_int_eq(bfuse_mark_read(bfuse, &mark, tell, NULL), -ESTALE);
}
END_TEST

START_TEST(test_bits)
{
	uint64_t words[2] = { 0 };
	struct bfuse_chunk_map map = { .words = words, .chunks = 128, .bytes = sizeof(words), .chunk_shift = 12 };

	bfuse_chunk_set(&map, 0);
	bfuse_chunk_set(&map, 77);
	ck_assert_uint_eq(words[0], 1);
	ck_assert_uint_eq(words[1], 1u << 13);
	ck_assert(bfuse_chunk_test(&map, 77));
	ck_assert(!bfuse_chunk_test(&map, 76));
	bfuse_chunk_clear(&map, 77);
	ck_assert_uint_eq(words[1], 0);
}
END_TEST

Suite *interest_suite(void)
{
	Suite *suite = suite_create("interest");
	TCase *tests = tcase_create("interest");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_runs);
	tcase_add_test(tests, test_pieces);
	tcase_add_test(tests, test_all_and_beyond);
	tcase_add_test(tests, test_ends);
	tcase_add_test(tests, test_bits);
	suite_add_tcase(suite, tests);
	return suite;
}
