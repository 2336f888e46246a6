// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot as text, JSON, Prometheus and a frame of top: names that want escaping stay one label
// and one string, names of any script stand in their columns, what is dead has no gauges, and a
// frame keeps to the lines and columns it is given, however many rows there are.
#include "bpf/counters.h"
#include "bpf/state.h"
#include "control/status.h"
#include "control/top_frame.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOSTILE "a\"b\\c\nd"
#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"
#define MANY    40

static struct connector_counters connectors[MANY];
static struct reason_counter reasons[REASON_COUNT];
static struct port_counters ports[1];
static struct worker_counters workers[1];
static struct server_counters servers[1];
static struct offender_counters offenders[1];

static struct view_snapshot snapshot(unsigned connector_count)
{
	struct view_snapshot view = {.wall_us = 1795330403000000, .now_us = 5000000, .pid = 77};

	strcpy(view.instance.build, "0.0.0");
	strcpy(view.instance.state, "running");
	view.instance.started_us = view.wall_us - 7000000;
	view.of[ROWS_CONNECTORS] = (struct view_rows){(void *)connectors, connector_count};
	view.of[ROWS_REASONS] = (struct view_rows){(void *)reasons, 3};
	view.of[ROWS_PORTS] = (struct view_rows){(void *)ports, 1};
	view.of[ROWS_WORKERS] = (struct view_rows){(void *)workers, 1};
	view.of[ROWS_SERVERS] = (struct view_rows){(void *)servers, 1};
	view.of[ROWS_OFFENDERS] = (struct view_rows){(void *)offenders, 1};
	return view;
}

static int fill(void **state)
{
	memset(connectors, 0, sizeof(connectors));
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(connectors[i].name, sizeof(connectors[i].name), "connector %u", i);
		connectors[i].frames = i;
		connectors[i].listed = 1;
	}
	strcpy(connectors[0].name, HOSTILE);
	memcpy(connectors[1].name, LONGEST, COUNTERS_NAME_BYTES); // without a NUL
	connectors[0].messages = 12;
	connectors[0].sessions_open = 3;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(reasons[i].name, sizeof(reasons[i].name), "reason_%u", i);
		strcpy(reasons[i].kind, "drop");
		reasons[i].count = i; // the first one never happened
	}
	strcpy(ports[0].name, "outside");
	strcpy(workers[0].name, "0");
	strcpy(servers[0].name, "10.0.0.1:25");
	strcpy(servers[0].backend, "cluster");
	servers[0].since_us = 1795330400123456;
	strcpy(offenders[0].name, "192.0.2.1");
	strcpy(offenders[0].reason, "reason_2");
	offenders[0].frames = 9;
	return 0;
}

static char *printed(void (*print)(const struct view_snapshot *, FILE *),
		     const struct view_snapshot *view)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	print(view, out);
	fclose(out);
	return text;
}

static void print_text(const struct view_snapshot *view, FILE *out)
{
	status_print_text(view, NULL, out);
}

static void test_prometheus(void **state)
{
	struct view_snapshot view = snapshot(2);
	char *text = printed(status_print_prometheus, &view);

	assert_non_null(strstr(text, "\nrelaygate_connector_messages_total{connector=\"a\\\"b\\\\c"
				     "\\nd\"} 12\n"));
	assert_non_null(strstr(text, "{connector=\"" LONGEST "\"} "));
	assert_non_null(strstr(text, "# TYPE relaygate_connector_messages_total counter\n"));
	assert_non_null(strstr(text, "# TYPE relaygate_connector_sessions_open gauge\n"));
	assert_non_null(strstr(text, "# HELP relaygate_connector_sessions_open SMTP sessions open "
				     "now\n"));
	assert_non_null(strstr(text, "relaygate_server_since_timestamp_seconds{server=\"10.0.0.1:25"
				     "\",backend=\"cluster\"} 1795330400.123456\n"));
	assert_null(strstr(text, "192.0.2.1"));
	assert_non_null(strstr(text, "relaygate_up 1\n"));
	free(text);
}

static void test_the_dead_have_no_gauges(void **state)
{
	struct view_snapshot view = snapshot(2);
	struct json_object *object, *rows;
	char *text;

	view.pid = 0;
	text = printed(status_print_prometheus, &view);
	assert_non_null(strstr(text, "relaygate_up 0\n"));
	assert_non_null(strstr(text, "relaygate_connector_messages_total{"));
	assert_null(strstr(text, "sessions_open"));
	free(text);
	object = status_json(&view);
	assert_false(json_object_get_boolean(json_object_object_get(object, "running")));
	assert_string_equal(json_object_get_string(json_object_object_get(object, "state")),
			    "died");
	rows = json_object_object_get(object, "connectors");
	assert_null(json_object_object_get(json_object_array_get_idx(rows, 0), "sessions_open"));
	json_object_put(object);
	text = printed(print_text, &view);
	assert_non_null(strstr(text, ": died;"));
	free(text);
}

// What is shown happened before now, whatever the clock said then.
static void test_clock_set_back(void **state)
{
	struct view_snapshot view = snapshot(2);
	struct json_object *object;
	char *text;

	strcpy(view.instance.reload_result, "applied");
	view.instance.reload_us = view.instance.alive_us = view.wall_us;
	offenders[0].seen_us = view.wall_us;
	view.wall_us = servers[0].since_us - 3600000000;
	text = printed(print_text, &view);
	assert_non_null(strstr(text, "started 0 s ago"));
	assert_null(strstr(text, " d "));
	free(text);
	view.pid = 0;
	text = printed(print_text, &view);
	assert_null(strstr(text, " d "));
	free(text);
	view.pid = 77;
	text = top_frame(&view, &view, 40, 120);
	assert_null(strstr(text, " d "));
	free(text);
	object = status_json(&view);
	assert_int_equal(json_object_get_int64(json_object_object_get(object, "uptime_seconds")),
			 0);
	json_object_put(object);
}

static void test_json(void **state)
{
	struct view_snapshot view = snapshot(2);
	struct json_object *object = status_json(&view);
	struct json_object *row =
		json_object_array_get_idx(json_object_object_get(object, "connectors"), 0);

	assert_string_equal(json_object_get_string(json_object_object_get(row, "name")), HOSTILE);
	assert_int_equal(json_object_get_int64(json_object_object_get(row, "messages")), 12);
	assert_int_equal(json_object_get_int64(json_object_object_get(row, "sessions_open")), 3);
	row = json_object_array_get_idx(json_object_object_get(object, "offenders"), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(row, "reason")),
			    "reason_2");
	assert_int_equal(json_object_get_int64(json_object_object_get(object, "uptime_seconds")),
			 7);
	json_object_put(object);
}

static unsigned lines_within(const char *text, unsigned columns)
{
	unsigned lines = 0;

	while (*text) {
		size_t length = strcspn(text, "\n");

		assert_true(length <= columns);
		assert_int_equal(text[length], '\n');
		text += length + 1;
		lines++;
	}
	return lines;
}

static void test_frame_keeps_its_size(void **state)
{
	static const struct {
		unsigned lines, columns;
	} sizes[] = {{24, 80}, {50, 132}, {10, 40}, {3, 20}, {1, 5}, {1000, 300}};
	struct view_snapshot before = snapshot(MANY), now = snapshot(MANY);

	strcpy(connectors[0].name, "first");
	now.now_us += 1000000;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = top_frame(&before, &now, sizes[i].lines, sizes[i].columns);

		assert_non_null(text);
		assert_true(lines_within(text, sizes[i].columns) <= sizes[i].lines);
		assert_int_equal(strncmp(text, "relaygate", sizes[i].columns < 9 ? 5 : 9), 0);
		free(text);
	}
}

static void test_frame_shows_rates(void **state)
{
	struct view_snapshot before = snapshot(2), now = snapshot(2);
	struct reason_counter later[3];
	char *text;

	memcpy(later, reasons, sizeof(later));
	later[1].count += 500;
	now.of[ROWS_REASONS].rows = (void *)later;
	now.now_us += 2000000;
	strcpy(connectors[0].name, "first");
	text = top_frame(&before, &now, 40, 120);
	// The busiest first, although the other one happened more often; none that never happened.
	assert_non_null(strstr(text, "\nreason_1                         drop            250.0"));
	assert_true(strstr(text, "\nreason_1 ") < strstr(text, "\nreason_2 "));
	assert_null(strstr(text, "\nreason_0 "));
	free(text);
	// Rows that are cut are told.
	before = snapshot(MANY);
	now = snapshot(MANY);
	text = top_frame(&before, &now, 24, 120);
	assert_non_null(strstr(text, " of 40)"));
	free(text);
}

// What most terminals have is enough for every column, and for how many rows there are beside.
static void test_frame_fits_80_columns(void **state)
{
	struct view_snapshot before = snapshot(2), now = snapshot(2);
	struct port_counters later = ports[0];
	char *text;

	strcpy(connectors[0].name, "first");
	workers[0].chunks = 32768;
	workers[0].chunks_used = 30000;
	later.frames_in += 9000000;
	later.frames_banned += 1234567;
	later.frames_out_lost += 17;
	now.of[ROWS_PORTS].rows = (void *)&later;
	now.now_us += 1000000;
	text = top_frame(&before, &now, 40, 200);
	assert_true(lines_within(text, 80) > 10);
	assert_non_null(strstr(text, " 30000/32768\n"));
	assert_non_null(strstr(text, "\noutside           9000000         0   1234567"));
	assert_non_null(strstr(text, " 17\n"));
	free(text);
	text = top_frame(&before, &now, 14, 80);
	assert_non_null(strstr(text, "\nreason (1 of 2)                  kind "));
	free(text);
	text = printed(print_text, &now);
	assert_non_null(strstr(text, "\noutside              9000000            0      1234567"));
	free(text);
}

// Names of any script stand in their columns, and that of a connector which is gone says so.
static void test_names(void **state)
{
	struct view_snapshot before = snapshot(3), now = snapshot(3);
	char *texts[2];

	strcpy(connectors[0].name, "Почта снаружи, вторая стойка");
	strcpy(connectors[1].name, "日本語のメールサーバーの名前");
	strcpy(connectors[2].name, "Anonymous Relay in Bür");
	connectors[2].listed = 0;
	now.now_us += 1000000;
	texts[0] = printed(print_text, &now);
	texts[1] = top_frame(&before, &now, 40, 80);
	for (unsigned i = 0; i < 2; i++) {
		assert_non_null(strstr(texts[i], "\nПочта снаружи, вторая ст "));
		assert_non_null(strstr(texts[i], "\n日本語のメールサーバーの "));
		assert_non_null(strstr(texts[i], "\nAnonymous Relay i (gone) "));
		free(texts[i]);
	}
	// A terminal that ends in the midst of a name.
	texts[0] = top_frame(&before, &now, 40, 5);
	assert_non_null(strstr(texts[0], "\nПочта\n"));
	assert_non_null(strstr(texts[0], "\n日本\n"));
	free(texts[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_prometheus, fill),
		cmocka_unit_test_setup(test_the_dead_have_no_gauges, fill),
		cmocka_unit_test_setup(test_json, fill),
		cmocka_unit_test_setup(test_clock_set_back, fill),
		cmocka_unit_test_setup(test_frame_keeps_its_size, fill),
		cmocka_unit_test_setup(test_frame_shows_rates, fill),
		cmocka_unit_test_setup(test_frame_fits_80_columns, fill),
		cmocka_unit_test_setup(test_names, fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
