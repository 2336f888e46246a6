// SPDX-License-Identifier: BSD-3-Clause
//
// The two rows through which a gate and its tools talk, over real pins: whole records, requests
// that are raised and answered, and what there is when no gate ever ran. Needs root and a kernel
// with BPF; skipped (exit code 77) otherwise.
#include "bpf/instance_reader.h"
#include "control/standing.h"
#include "tests/unit/bpf/bpffs.h"

#include <errno.h>

static const struct export_shape shape = {
	.workers = 1, .connectors_max = 4, .ports_max = 2, .log_records = 8};

static struct export *open_gate(const char *directory, struct standing *standing)
{
	char error[EXPORT_ERROR_MAX];
	struct export *export = NULL;

	assert_int_equal(export_open(directory, &shape, &export, error), 0);
	standing_init(standing, export_instance(export), export_requests(export));
	return export;
}

static void test_a_record_is_read_as_it_was_published(void **state)
{
	struct instance_record record;
	struct instance_reader reader;
	struct standing standing;
	char error[EXPORT_ERROR_MAX];
	struct export *export = open_gate(*state, &standing);

	assert_int_equal(export_instance_open(*state, false, &reader, error), 0);
	assert_true(export_instance_read(&reader, &record));
	assert_string_equal(record.state, "starting");
	assert_int_equal(record.pid, getpid());
	standing.next.generation = 7;
	standing_enter(&standing, "running");
	assert_true(export_instance_read(&reader, &record));
	assert_string_equal(record.state, "running");
	assert_int_equal(record.generation, 7);
	// A record that is being written is no record.
	export_instance(export)->sequence++;
	assert_false(export_instance_read(&reader, &record));
	standing_publish(&standing);
	assert_true(export_instance_read(&reader, &record));
	export_instance_close(&reader);
	export_close(export);
}

// bpftool shows a field as text only if nothing but zeros is behind its NUL.
static void test_a_shorter_text_leaves_nothing_of_a_longer_one(void **state)
{
	static const char zeros[sizeof(((struct instance_record *)0)->message)];
	struct instance_record record;
	struct instance_reader reader;
	struct standing standing;
	char error[EXPORT_ERROR_MAX];
	struct export *export = open_gate(*state, &standing);

	assert_int_equal(export_instance_open(*state, false, &reader, error), 0);
	strcpy(standing.next.message, "gate.ini:65: BanTime: unit missing\n");
	strcpy(standing.next.reload_cause, "request");
	standing_publish(&standing);
	strcpy(standing.next.message, "gate.ini:3: short\n");
	strcpy(standing.next.reload_cause, "file");
	standing_publish(&standing);
	assert_true(export_instance_read(&reader, &record));
	assert_string_equal(record.message, "gate.ini:3: short\n");
	assert_memory_equal(record.message + strlen(record.message), zeros,
			    sizeof(record.message) - strlen(record.message));
	assert_string_equal(record.reload_cause, "file");
	assert_memory_equal(record.reload_cause + 4, zeros, sizeof(record.reload_cause) - 4);
	export_instance_close(&reader);
	export_close(export);
}

static void test_requests_are_seen_once_and_answered(void **state)
{
	struct instance_record record;
	struct instance_reader reader;
	struct standing standing;
	char error[EXPORT_ERROR_MAX];
	struct export *export = open_gate(*state, &standing);
	uint64_t number;
	bool drain;

	assert_int_equal(export_instance_open(*state, true, &reader, error), 0);
	assert_false(standing_reload_asked(&standing));
	number = export_instance_ask_reload(&reader);
	assert_true(standing_reload_asked(&standing));
	assert_false(standing_reload_asked(&standing));
	assert_true(export_instance_read(&reader, &record));
	assert_true(record.reload_answered < number);
	standing_answer_reload(&standing);
	assert_true(export_instance_read(&reader, &record));
	assert_int_equal(record.reload_answered, number);

	assert_false(standing_drain_asked(&standing, &drain));
	number = export_instance_ask_drain(&reader, true);
	assert_true(standing_drain_asked(&standing, &drain));
	assert_true(drain);
	export_instance_ask_drain(&reader, false);
	assert_true(standing_drain_asked(&standing, &drain));
	assert_false(drain);
	standing_answer_drain(&standing);
	assert_true(export_instance_read(&reader, &record));
	assert_int_equal(record.drain_answered, number + 1);
	export_instance_close(&reader);
	export_close(export);
}

// A gate that starts anew does not obey what its predecessor was asked.
static void test_old_requests_are_not_obeyed_again(void **state)
{
	struct instance_reader reader;
	struct standing standing;
	char error[EXPORT_ERROR_MAX];
	struct export *export = open_gate(*state, &standing);

	assert_int_equal(export_instance_open(*state, true, &reader, error), 0);
	export_instance_ask_reload(&reader);
	export_close(export);
	export = open_gate(*state, &standing);
	assert_false(standing_reload_asked(&standing));
	// Who had the pin open asks the new one.
	export_instance_ask_reload(&reader);
	assert_true(standing_reload_asked(&standing));
	export_instance_close(&reader);
	export_close(export);
}

static void test_no_gate_is_said(void **state)
{
	struct instance_reader reader;
	char error[EXPORT_ERROR_MAX];

	assert_int_equal(export_instance_open(*state, true, &reader, error), -ENOENT);
	assert_non_null(strstr(error, "PinDirectory"));
	export_instance_close(&reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bpffs_setup, bpffs_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_record_is_read_as_it_was_published),
		TEST(test_a_shorter_text_leaves_nothing_of_a_longer_one),
		TEST(test_requests_are_seen_once_and_answered),
		TEST(test_old_requests_are_not_obeyed_again),
		TEST(test_no_gate_is_said),
	};

	if (!bpffs_usable())
		return 77;
	return cmocka_run_group_tests_name("instance_reader", tests, NULL, NULL);
}
