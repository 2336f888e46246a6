// SPDX-License-Identifier: BSD-3-Clause
//
// After privileges_drop a child process is the user in every thread, keeps one capability, and
// cannot become root again. Needs root for that; skipped without.
#include "control/privileges.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_unknown_user(void **state)
{
	uint32_t uid, gid;
	char error[256];

	assert_int_equal(privileges_lookup("no-such-user-here", &uid, &gid), -ENOENT);
	assert_int_equal(privileges_drop("no-such-user-here", error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "\"no-such-user-here\""));
	assert_null(strchr(error, '\n'));
	assert_int_equal(privileges_lookup("root", &uid, &gid), 0);
	assert_int_equal(uid, 0);
}

struct other {
	sem_t dropped;
	bool is_nobody, has_capability;
};

static bool has_any_capability(cap_flag_t flag, cap_value_t but)
{
	cap_t set = cap_get_proc();
	cap_flag_value_t value;
	bool any = false;

	for (cap_value_t i = 0; i <= CAP_LAST_CAP; i++)
		any |= i != but && cap_get_flag(set, i, flag, &value) == 0 && value == CAP_SET;
	cap_free(set);
	return any;
}

// A thread that was there before, as DPDK's are.
static void *look(void *argument)
{
	struct other *other = argument;

	sem_wait(&other->dropped);
	other->is_nobody = geteuid() == 65534 && getegid() == 65534;
	other->has_capability = has_any_capability(CAP_PERMITTED, -1);
	return NULL;
}

// 0, or which expectation failed.
static int drop_in_child(void)
{
	struct other other = {0};
	pthread_t thread;
	char error[256];
	cap_flag_value_t value = CAP_CLEAR;

	sem_init(&other.dropped, 0, 0);
	if (pthread_create(&thread, NULL, look, &other) ||
	    privileges_drop("nobody", error, sizeof(error)))
		return 1;
	sem_post(&other.dropped);
	pthread_join(thread, NULL);
	if (!other.is_nobody || other.has_capability)
		return 2;
	if (getuid() != 65534 || geteuid() != 65534 || getegid() != 65534)
		return 3;
	cap_t set = cap_get_proc();
	cap_get_flag(set, CAP_NET_ADMIN, CAP_EFFECTIVE, &value);
	cap_free(set);
	if (value != CAP_SET || has_any_capability(CAP_PERMITTED, CAP_NET_ADMIN))
		return 4;
	return setuid(0) == 0 || setgid(0) == 0 ? 5 : 0;
}

static void test_drop(void **state)
{
	uint32_t uid, gid;
	int status;
	pid_t child;

	assert_int_equal(privileges_lookup("nobody", &uid, &gid), 0);
	assert_int_equal(uid, 65534);
	assert_int_equal(gid, 65534);
	child = fork();
	if (child == 0)
		_exit(drop_in_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_drop),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: it gives root up\n");
		return 77; // as meson and scripts/test know: not run, which is a failure in CI
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
