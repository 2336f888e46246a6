// SPDX-License-Identifier: BSD-3-Clause
//
// Counters as an operator sees them: through the pins, with bpftool's and cat's eyes, while the
// gate runs, after it died, and after a restart with the same or another shape. Needs root and
// a kernel with BPF; skipped (exit code 77) otherwise.
#include "bpf/export.h"
#include "tests/unit/bpf/bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct export_shape shape = {
	.workers = 3, .connectors_max = 4, .ports_max = 2, .log_records = 8};

// A name of 64 bytes has no NUL in its row.
#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

static struct export *open_shape(const char *directory, const struct export_shape *wanted)
{
	char error[EXPORT_ERROR_MAX] = "unset";
	struct export *export = NULL;
	int result = export_open(directory, wanted, &export, error);

	if (result)
		fail_msg("export_open: %d: %s", result, error);
	assert_string_equal(error, "");
	return export;
}

static unsigned connector(struct export *export, const char *name)
{
	unsigned slot = ~0U;

	assert_int_equal(export_connector_slot(export, name, &slot), 0);
	return slot;
}

// What the pinned totals say about a name; -1 when no row has it.
static long long total_messages(const char *directory, const char *name)
{
	char path[256];
	struct connector_counters row;
	int fd;

	snprintf(path, sizeof(path), "%s/connectors", directory);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	for (unsigned key = 0; bpf_map_lookup_elem(fd, &key, &row) == 0; key++) {
		if (strncmp(row.name, name, sizeof(row.name)) == 0) {
			close(fd);
			return (long long)row.messages;
		}
	}
	close(fd);
	return -1;
}

static void test_totals_are_the_workers_sums(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	unsigned a = connector(export, "Anonymous Relay"), b = connector(export, LONGEST);

	assert_int_not_equal(a, b);
	for (unsigned worker = 0; worker < shape.workers; worker++) {
		export_worker(export, worker).connectors[a].messages = 10 + worker;
		export_worker(export, worker).connectors[b].messages = UINT32_MAX;
	}
	assert_int_equal(total_messages(directory, "Anonymous Relay"), 0);
	export_sum(export);
	assert_int_equal(total_messages(directory, "Anonymous Relay"), 33);
	assert_int_equal(total_messages(directory, LONGEST), 3LL * UINT32_MAX);
	assert_int_equal(total_messages(directory, "nobody"), -1);
	export_close(export);
}

static void test_close_adds_up_a_last_time(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	unsigned slot = connector(export, "last");

	export_worker(export, 2).connectors[slot].messages = 7;
	export_close(export);
	assert_int_equal(total_messages(directory, "last"), 7);
}

static void test_table_is_exact_when_read(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	unsigned slot = connector(export, "Anonymous Relay"), port;
	unsigned long long messages = 0;
	char text[65536];

	assert_int_equal(export_port_slot(export, "outside", &port), 0);
	for (unsigned worker = 0; worker < shape.workers; worker++) {
		struct export_worker rows = export_worker(export, worker);

		rows.connectors[slot].messages = 1000 + worker;
		rows.ports[port].bytes_in = 1ULL << 40;
		rows.reasons[REASON_no_connector].count = 5;
	}
	// Nothing was added up: the totals are still zero.
	assert_int_equal(total_messages(directory, "Anonymous Relay"), 0);
	bpffs_read(directory, "connectors_table", text, sizeof(text));
	assert_int_equal(bpffs_lines(text), 2);
	assert_true(bpffs_cell(text, "Anonymous Relay", "messages", &messages));
	assert_int_equal(messages, 3003);
	assert_true(bpffs_cell(text, "Anonymous Relay", "bad_line_endings", &messages));
	assert_int_equal(messages, 0);
	bpffs_read(directory, "ports_table", text, sizeof(text));
	assert_true(bpffs_cell(text, "outside", "bytes_in", &messages));
	assert_true(messages == 3ULL << 40);
	bpffs_read(directory, "reasons_table", text, sizeof(text));
	assert_int_equal(bpffs_lines(text), 2); // reasons that never happened are not shown
	assert_non_null(strstr(text, "\nno_connector "));
	assert_non_null(strstr(text, " drop                 15  source in no RemoteIPRanges"));
	export_close(export);
}

static void test_bpftool_names_the_fields(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	char command[256], text[65536] = "";
	FILE *output;

	export_worker(export, 1).connectors[connector(export, "Anonymous Relay")].syns = 77;
	export_worker(export, 1).reasons[REASON_no_flow].count = 8;
	export_sum(export);
	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin; bpftool map dump pinned %s/connectors && "
		 "bpftool map dump pinned %s/reasons",
		 directory, directory);
	output = popen(command, "r");
	assert_non_null(output);
	assert_true(fread(text, 1, sizeof(text) - 1, output) > 0);
	assert_int_equal(pclose(output), 0);
	assert_non_null(strstr(text, "\"name\": \"Anonymous Relay\""));
	assert_non_null(strstr(text, "\"syns\": 77,"));
	assert_non_null(strstr(text, "\"name\": \"no_flow\",\n            \"kind\": \"drop\",\n"
				     "            \"count\": 8,"));
	export_close(export);
}

static void test_table_columns_stand_in_line(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	char text[65536];
	size_t width = 0;

	connector(export, "short");
	connector(export, LONGEST);
	export_worker(export, 0).connectors[0].message_bytes = 123456789012345ULL;
	bpffs_read(directory, "connectors_table", text, sizeof(text));
	assert_int_equal(bpffs_lines(text), 3);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (width)
			assert_int_equal(strlen(line), width);
		width = strlen(line);
	}
	export_close(export);
}

static void test_restart_keeps_rows_and_counts(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	unsigned first = connector(export, "first"), second = connector(export, "second");
	struct export_worker rows;

	for (unsigned worker = 0; worker < shape.workers; worker++) {
		rows = export_worker(export, worker);
		rows.connectors[second].messages = 100;
		rows.connectors[second].sessions_open = 4;
		rows.reasons[REASON_no_flow].count = 1;
	}
	export_close(export);
	export = open_shape(directory, &shape);
	assert_int_equal(total_messages(directory, "second"), 300);
	// Asked in another order: the rows stay.
	assert_int_equal(connector(export, "second"), second);
	assert_int_equal(connector(export, "first"), first);
	rows = export_worker(export, 0);
	assert_int_equal(rows.connectors[second].messages, 300);
	assert_int_equal(rows.connectors[second].sessions_open, 0); // no session outlives its gate
	assert_int_equal(rows.reasons[REASON_no_flow].count, 3);
	assert_int_equal(export_worker(export, 1).connectors[second].messages, 0);
	rows.connectors[second].messages++;
	export_sum(export);
	assert_int_equal(total_messages(directory, "second"), 301);
	export_close(export);
}

static void test_other_shape_takes_counts_over(void **state)
{
	const char *directory = *state;
	static const struct export_shape shapes[] = {
		{.workers = 1, .connectors_max = 4, .ports_max = 2, .log_records = 8},
		{.workers = 5, .connectors_max = 4, .ports_max = 2, .log_records = 8},
		{.workers = 4, .connectors_max = 15, .ports_max = 7, .log_records = 3},
		// the same number of rows in all, differently divided
		{.workers = 15, .connectors_max = 4, .ports_max = 4, .log_records = 4},
		{.workers = 3, .connectors_max = 4, .ports_max = 2, .log_records = 8},
	};
	struct export *export = open_shape(directory, &shape);
	unsigned slot, port;

	connector(export, "other");
	slot = connector(export, "kept");
	assert_int_equal(export_port_slot(export, "inside", &port), 0);
	export_worker(export, 0).connectors[slot].messages = 5;
	export_worker(export, 2).connectors[slot].messages = 6;
	export_worker(export, 1).ports[port].frames_in = 9;
	export_worker(export, 1).reasons[REASON_draining].count = 2;
	export_close(export);
	for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		export = open_shape(directory, &shapes[i]);
		assert_int_equal(total_messages(directory, "kept"), 11 + i);
		slot = connector(export, "kept");
		assert_int_equal(export_port_slot(export, "inside", &port), 0);
		assert_int_equal(export_worker(export, 0).ports[port].frames_in, 9);
		assert_int_equal(export_worker(export, 0).reasons[REASON_draining].count, 2);
		export_worker(export, shapes[i].workers - 1).connectors[slot].messages++;
		export_close(export);
	}
}

static void test_foreign_map_is_replaced(void **state)
{
	const char *directory = *state;
	char path[256];
	struct export *export;
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "connectors", 8, 16, 5, NULL);

	assert_true(fd >= 0);
	assert_int_equal(mkdir(directory, 0700), 0);
	snprintf(path, sizeof(path), "%s/connectors", directory);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	export = open_shape(directory, &shape);
	connector(export, "x");
	assert_int_equal(total_messages(directory, "x"), 0);
	export_close(export);
}

static void test_rows_are_reused_last(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	unsigned gone, slot;

	connector(export, "a");
	gone = connector(export, "gone");
	connector(export, "b");
	export_worker(export, 1).connectors[gone].messages = 50;
	export_connector_release(export, gone);
	export_sum(export);
	// An empty row is left: the released one stays readable.
	assert_int_not_equal(connector(export, "c"), gone);
	assert_int_equal(total_messages(directory, "gone"), 50);
	assert_int_equal(connector(export, "d"), gone);
	export_sum(export);
	assert_int_equal(total_messages(directory, "gone"), -1);
	assert_int_equal(total_messages(directory, "d"), 0);
	assert_int_equal(export_connector_slot(export, "e", &slot), -ENOSPC);
	assert_int_equal(export_connector_slot(export, "", &slot), -EINVAL);
	assert_int_equal(export_connector_slot(export, LONGEST "x", &slot), -EINVAL);
	export_close(export);
}

static void test_second_live_instance_is_refused(void **state)
{
	const char *directory = *state;
	char error[EXPORT_ERROR_MAX], wanted[64];
	struct export *export;
	int ready[2], status;
	char byte;
	pid_t child;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); // does not outlive a failed test
		if (export_open(directory, &shape, &export, error) == 0 &&
		    write(ready[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(export_open(directory, &shape, &export, error), -EBUSY);
	snprintf(wanted, sizeof(wanted), "in use by process %d:", (int)child);
	assert_non_null(strstr(error, wanted));
	assert_int_equal(export_remove(directory, error), -EBUSY);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	export = open_shape(directory, &shape);
	export_close(export);
	close(ready[0]);
}

static void test_errors_say_what_to_do(void **state)
{
	static const struct {
		const char *directory;
		int result;
		const char *text;
	} cases[] = {
		{"/sys/fs/bpf/no-such-parent/relaygate", -ENOENT, "mount -t bpf bpf /sys/fs/bpf"},
		{"/tmp/relaygate", -EINVAL, "/tmp is not in a bpffs: mount one"},
		{"/sys/fs/bpf/relay.gate", -EINVAL, "may hold no dot"},
		{"relaygate", -EINVAL, "absolute path"},
	};
	struct export *export;
	char error[EXPORT_ERROR_MAX];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(export_open(cases[i].directory, &shape, &export, error),
				 cases[i].result);
		assert_non_null(strstr(error, cases[i].text));
		assert_null(strchr(error, '\n'));
	}
	assert_int_equal(export_remove("/tmp", error), -EINVAL);
	assert_int_equal(access("/tmp", F_OK), 0);
}

static void test_without_root(void **state)
{
	const char *directory = *state;
	int result[2], status;
	char text[EXPORT_ERROR_MAX] = "";
	pid_t child;

	assert_int_equal(pipe(result), 0);
	child = fork();
	if (child == 0) {
		struct export *export;

		if (setgid(65534) || setuid(65534) ||
		    export_open(directory, &shape, &export, text) != -EPERM ||
		    write(result[1], text, sizeof(text)) != sizeof(text))
			_exit(1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(result[0], text, sizeof(text)), sizeof(text));
	assert_non_null(strstr(text, "run as root"));
	assert_int_equal(access(directory, F_OK), -1); // nothing is left behind
	close(result[0]);
	close(result[1]);
}

// A kernel without BTF counts, though it prints no tables; the caller is told.
static void test_without_kernel_btf(void **state)
{
	const char *directory = *state;
	int result[2], status;
	char text[EXPORT_ERROR_MAX] = "";
	pid_t child;

	assert_int_equal(pipe(result), 0);
	child = fork();
	if (child == 0) {
		struct export *export;

		if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL) ||
		    export_open(directory, &shape, &export, text) ||
		    write(result[1], text, sizeof(text)) != sizeof(text))
			_exit(1);
		export_worker(export, 1).connectors[connector(export, "a")].messages = 3;
		export_close(export);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(read(result[0], text, sizeof(text)), sizeof(text));
	assert_non_null(strstr(text, "no BTF"));
	assert_int_equal(total_messages(directory, "a"), 3);
	close(result[0]);
	close(result[1]);
}

static void test_chown_then_remove_without_root(void **state)
{
	const char *directory = *state;
	struct export *export = open_shape(directory, &shape);
	char error[EXPORT_ERROR_MAX];
	int status;
	pid_t child;

	assert_int_equal(export_chown(export, 65534, 65534), 0);
	export_close(export);
	child = fork();
	if (child == 0)
		_exit(setgid(65534) || setuid(65534) || export_remove(directory, error));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(access(directory, F_OK), -1);
}

static unsigned pins_in(const char *directory)
{
	DIR *stream = opendir(directory);
	unsigned count = 0;

	while (stream && readdir(stream))
		count++;
	if (stream)
		closedir(stream);
	return count;
}

// A start that fails: of an instance that was never there nothing is left, and of a former one
// everything, whether its maps were adopted, replaced or filled up with other names.
static void test_abandoned_start_leaves_what_was(void **state)
{
	const char *directory = *state;
	static const struct export_shape wider = {
		.workers = 2, .connectors_max = 3, .ports_max = 4, .log_records = 16};
	struct export *export = open_shape(directory, &shape);
	unsigned slot, pins;

	connector(export, "never");
	export_abandon(export);
	assert_int_equal(access(directory, F_OK), -1);

	export = open_shape(directory, &shape);
	for (unsigned i = 0; i < shape.connectors_max; i++) {
		slot = connector(export, (const char *[]){"a", "b", "c", "d"}[i]);
		export_worker(export, i % 3).connectors[slot].messages = 10 + i;
	}
	export_settle(export);
	export_close(export);
	pins = pins_in(directory);

	export = open_shape(directory, &shape);
	for (unsigned i = 0; i < shape.connectors_max; i++)
		connector(export, (const char *[]){"e", "f", "g", "h"}[i]);
	assert_int_equal(total_messages(directory, "a"), -1);
	export_abandon(export);
	export = open_shape(directory, &wider);
	connector(export, "i");
	export_abandon(export);
	assert_int_equal(pins_in(directory), pins);
	assert_int_equal(total_messages(directory, "e"), -1);

	export = open_shape(directory, &shape);
	export_sum(export);
	for (unsigned i = 0; i < shape.connectors_max; i++)
		assert_int_equal(total_messages(directory, (const char *[]){"a", "b", "c", "d"}[i]),
				 10 + i);
	export_close(export);
	assert_int_equal(pins_in(directory), pins);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bpffs_setup, bpffs_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_totals_are_the_workers_sums),
		TEST(test_close_adds_up_a_last_time),
		TEST(test_table_is_exact_when_read),
		TEST(test_bpftool_names_the_fields),
		TEST(test_table_columns_stand_in_line),
		TEST(test_restart_keeps_rows_and_counts),
		TEST(test_other_shape_takes_counts_over),
		TEST(test_foreign_map_is_replaced),
		TEST(test_rows_are_reused_last),
		TEST(test_second_live_instance_is_refused),
		TEST(test_errors_say_what_to_do),
		TEST(test_without_root),
		TEST(test_without_kernel_btf),
		TEST(test_chown_then_remove_without_root),
		TEST(test_abandoned_start_leaves_what_was),
	};

	// The tables need the kernel's BTF.
	if (!bpffs_usable() || access("/sys/kernel/btf/vmlinux", R_OK))
		return 77;
	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
