// SPDX-License-Identifier: GPL-2.0
/*
 * examples/protect: which requests touch a range.
 */
int protect_main(int argc, char **argv);

#define main protect_main
#include "../../examples/protect.c"
#undef main

#include "fake.h"

START_TEST(test_overlap)
{
	static const struct {
		struct range range;
		uint64_t first, count;
		bool expected;
	} cases[] = {
		{ { 100, 10 }, 90, 10, false }, /* ends just before */
		{ { 100, 10 }, 90, 11, true }, /* its last sector is the first */
		{ { 100, 10 }, 109, 1, true }, /* the last alone */
		{ { 100, 10 }, 110, 100, false }, /* begins just behind */
		{ { 100, 10 }, 0, 1000, true }, /* around it */
		{ { 100, 10 }, 103, 2, true }, /* within */
		{ { 100, 10 }, 103, 0, true }, /* nothing: better refused than misunderstood */
		{ { 0, 1 }, 0, 1, true },
		{ { 100, 10 }, 0, UINT64_MAX, true }, /* a zone of unknown length */
		{ { 100, 10 }, 109, UINT64_MAX, true },
		{ { 100, 10 }, 110, UINT64_MAX, false },
		{ { UINT64_MAX, 1 }, UINT64_MAX, 1, true }, /* the last sector there can be */
		{ { UINT64_MAX, 1 }, 0, 100, false },
	};

	ck_assert_int_eq(overlaps(&cases[_i].range, cases[_i].first, cases[_i].count), cases[_i].expected);
}
END_TEST

START_TEST(test_parse)
{
	struct range range;

	ck_assert(parse_range("2048+8", &range));
	ck_assert_uint_eq(range.first, 2048);
	ck_assert_uint_eq(range.count, 8);
	/* Not octal. */
	ck_assert(parse_range("0100+08", &range));
	ck_assert_uint_eq(range.first, 100);
	ck_assert_uint_eq(range.count, 8);
	ck_assert(parse_range("0x10+0x10", &range));
	ck_assert_uint_eq(range.first, 16);
	ck_assert(parse_range("18446744073709551615+1", &range));
}
END_TEST

START_TEST(test_parse_mistakes)
{
	static const char *const bad[] = { "",
					   "+",
					   "1",
					   "1+",
					   "+1",
					   "1+0",
					   "-1+1",
					   "1+-1",
					   "1+1x",
					   "1 +1",
					   "1+ 1",
					   "a+1",
					   "18446744073709551616+1",
					   "18446744073709551615+2" };
	struct range range;

	ck_assert(!parse_range(bad[_i], &range));
}
END_TEST

START_TEST(test_verdicts)
{
	struct range range = { 100, 10 };
	struct protect protect = { &range, 1, -EROFS };
	struct bfuse_io io = { .request = { .op = BFUSE_OP_WRITE, .sector = 96, .length = 4096 } };

	ck_assert_int_eq(modify(&io, &protect), -EROFS);
	io.request.sector = 92;
	ck_assert_int_eq(modify(&io, &protect), BFUSE_REPLY_PASS);
	ck_assert_int_eq(modify_zone(&io, &protect), -EROFS);
	io.request.sector = 128;
	ck_assert_int_eq(modify_zone(&io, &protect), BFUSE_REPLY_PASS);
	ck_assert_int_eq(refuse(&io, &protect), -EROFS);
}
END_TEST

Suite *protect_suite(void)
{
	Suite *suite = suite_create("protect");
	TCase *tests = tcase_create("protect");

	tcase_add_loop_test(tests, test_overlap, 0, 13);
	tcase_add_test(tests, test_parse);
	tcase_add_loop_test(tests, test_parse_mistakes, 0, 14);
	tcase_add_test(tests, test_verdicts);
	suite_add_tcase(suite, tests);
	return suite;
}
