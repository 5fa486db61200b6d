// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of what runs in user space. UNIT_TAP=FILE has them report there as TAP.
 */
#include "fake.h"

#include <stdlib.h>

int main(void)
{
	SRunner *runner = srunner_create(names_suite());
	int failed;

	srunner_add_suite(runner, confine_suite());
	srunner_add_suite(runner, options_suite());
	srunner_add_suite(runner, error_suite());
	srunner_add_suite(runner, queue_suite());
	srunner_add_suite(runner, interest_suite());
	srunner_add_suite(runner, run_suite());
	srunner_add_suite(runner, places_suite());
	srunner_add_suite(runner, calls_suite());
	srunner_add_suite(runner, protect_suite());
	srunner_add_suite(runner, trace_suite());
	srunner_add_suite(runner, window_suite());
	if (getenv("UNIT_TAP"))
		srunner_set_tap(runner, getenv("UNIT_TAP"));
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
