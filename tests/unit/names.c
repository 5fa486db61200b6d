// SPDX-License-Identifier: GPL-2.0
#include "fake.h"

#include <errno.h>
#include <string.h>

START_TEST(test_ops_round_trip)
{
	uint32_t mask = 1u << _i | 1u << BFUSE_OP_OTHER, parsed;
	char text[256];

	ck_assert_int_eq(bfuse_op_parse(bfuse_op_name((unsigned int)_i)), _i);
	ck_assert_int_eq(bfuse_ops_parse(bfuse_ops_format(mask, text, sizeof(text)), &parsed), 0);
	ck_assert_uint_eq(parsed, mask);
}
END_TEST

START_TEST(test_ops_all_and_none)
{
	char text[256];
	uint32_t ops;

	ck_assert_str_eq(bfuse_ops_format(BFUSE_OPS_ALL, text, sizeof(text)), "all");
	ck_assert_str_eq(bfuse_ops_format(0, text, sizeof(text)), "none");
	ck_assert_str_eq(bfuse_ops_format(1u << 31, text, sizeof(text)), "unknown");
	ck_assert_int_eq(bfuse_ops_parse("all", &ops), 0);
	ck_assert_uint_eq(ops, BFUSE_OPS_ALL);
	ck_assert_int_eq(bfuse_ops_parse("none", &ops), 0);
	ck_assert_uint_eq(ops, 0);
}
END_TEST

START_TEST(test_ops_errors)
{
	static const char *const bad[] = { "",	    ",",
					   "read,", "read,,write",
					   "READ",  "reads",
					   "rea",   "a-name-that-is-longer-than-any-operation-will-ever-be" };
	uint32_t ops;

	ck_assert_int_eq(bfuse_ops_parse(bad[_i], &ops), -EINVAL);
}
END_TEST

START_TEST(test_format_is_bounded)
{
	char text[6] = "12345";

	bfuse_ops_format(BFUSE_OPS_ALL & ~1u, text, 5);
	ck_assert_str_eq(text, "writ");
}
END_TEST

START_TEST(test_numbers_beyond)
{
	ck_assert_str_eq(bfuse_op_name(BFUSE_OP_COUNT), "unknown");
	ck_assert_str_eq(bfuse_policy_name(99), "unknown");
	ck_assert_str_eq(bfuse_state_name(99), "unknown");
	ck_assert_str_eq(bfuse_verdict_name(99), "unknown");
	ck_assert_str_eq(bfuse_reason_text(99), "unknown reason");
	ck_assert_ptr_null(bfuse_flag_name(20));
	ck_assert_ptr_null(bfuse_flag_name(99));
	ck_assert_ptr_null(bfuse_feature_name(63));
	ck_assert_str_eq(bfuse_log_event_name(99), "unknown");
}
END_TEST

START_TEST(test_flags_by_bit)
{
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_FUA)), "fua");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_ENCRYPTED)), "encrypted");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_REDELIVERED)), "redelivered");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_PAYLOAD)), "payload");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_MAPPED)), "mapped");
}
END_TEST

START_TEST(test_log_events)
{
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_ATTACHED), "attached");
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_ABANDONED), "abandoned");
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_DRAINED), "drained");
	ck_assert_str_eq(bfuse_feature_name(9), "drain");
	ck_assert_str_eq(bfuse_log_event_name(99), "unknown");
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_OFFERED), "offered");
	ck_assert_str_eq(bfuse_feature_name((unsigned int)__builtin_ctzll(BFUSE_F_LOG)), "log");
	ck_assert_str_eq(bfuse_feature_name((unsigned int)__builtin_ctzll(BFUSE_F_SPIN)), "spin");
	ck_assert_str_eq(bfuse_feature_name((unsigned int)__builtin_ctzll(BFUSE_F_LAYERS)), "layers");
	ck_assert_str_eq(bfuse_feature_name((unsigned int)__builtin_ctzll(BFUSE_F_MAPPED)), "mapped");
}
END_TEST

START_TEST(test_places)
{
	ck_assert_str_eq(bfuse_verdict_name(BFUSE_REDIRECT), "redirect");
	ck_assert_str_eq(bfuse_verdict_name(BFUSE_COPY_BEFORE), "copy-before");
	ck_assert_str_eq(bfuse_verdict_name(BFUSE_MIRROR), "mirror");
	ck_assert_str_eq(bfuse_feature_name((unsigned int)__builtin_ctzll(BFUSE_F_TARGETS)), "targets");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_MIRROR_FAILED)), "mirror-failed");
	ck_assert_str_eq(bfuse_flag_name((unsigned int)__builtin_ctz(BFUSE_RQ_COPY_FAILED)), "copy-failed");
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_COPY_FAILED), "copy-failed");
	ck_assert_str_eq(bfuse_log_event_name(BFUSE_LOG_MIRROR_FAILED), "mirror-failed");
	ck_assert_str_ne(bfuse_reason_text(BFUSE_REASON_TARGET), "unknown reason");
	ck_assert_str_ne(bfuse_reason_text(BFUSE_REASON_LOOP), "unknown reason");
}
END_TEST

START_TEST(test_policies)
{
	ck_assert_int_eq(bfuse_policy_parse(bfuse_policy_name((unsigned int)_i)), _i);
	ck_assert_int_eq(bfuse_policy_parse("Pass"), -EINVAL);
}
END_TEST

Suite *names_suite(void)
{
	Suite *suite = suite_create("names");
	TCase *tests = tcase_create("names");

	tcase_add_loop_test(tests, test_ops_round_trip, 0, BFUSE_OP_COUNT);
	tcase_add_test(tests, test_ops_all_and_none);
	tcase_add_loop_test(tests, test_ops_errors, 0, 8);
	tcase_add_test(tests, test_format_is_bounded);
	tcase_add_test(tests, test_numbers_beyond);
	tcase_add_test(tests, test_flags_by_bit);
	tcase_add_test(tests, test_log_events);
	tcase_add_test(tests, test_places);
	tcase_add_loop_test(tests, test_policies, 0, 4);
	suite_add_tcase(suite, tests);
	return suite;
}
