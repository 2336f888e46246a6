// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot in Prometheus' text exposition format 0.0.4: one metric a field, HELP and TYPE from
// the one list of counters, labels escaped. Names follow its conventions: counters end in _total,
// times are seconds.

#include "control/status.h"

#include <inttypes.h>
#include <string.h>

// A label's value: backslash, quote and newline escaped.
static void print_label(const char *key, const char *value, FILE *out)
{
	fprintf(out, "%s=\"", key);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '\\' || *value == '"')
			fprintf(out, "\\%c", *value);
		else
			putc(*value, out);
	}
	putc('"', out);
}

static void print_head(const char *name, const char *help, const char *type, FILE *out)
{
	fprintf(out, "# HELP %s ", name);
	for (; *help; help++) {
		if (*help == '\\')
			putc('\\', out);
		putc(*help, out);
	}
	fprintf(out, "\n# TYPE %s %s\n", name, type);
}

static bool is_time(const struct row_field *field)
{
	size_t length = strlen(field->name);

	return length > 3 && strcmp(field->name + length - 3, "_us") == 0;
}

static void name_metric(const struct row_layout *layout, const struct row_field *field,
			char name[128])
{
	if (is_time(field))
		snprintf(name, 128, "relaygate_%s_%.*s_timestamp_seconds", layout->one,
			 (int)strlen(field->name) - 3, field->name);
	else
		snprintf(name, 128, "relaygate_%s_%s%s", layout->one, field->name,
			 field->gauge ? "" : "_total");
}

static void print_metric(const struct view_snapshot *view, enum row_kind kind,
			 const struct row_field *field, FILE *out)
{
	const struct row_layout *layout = &row_layouts[kind];
	char name[128], text[ROW_TEXT_MAX];

	name_metric(layout, field, name);
	print_head(name, field->help, field->gauge ? "gauge" : "counter", out);
	for (unsigned i = 0; i < view->of[kind].count; i++) {
		const void *row = view_row_at(view, kind, i);
		uint64_t number = row_number(row, field);

		fprintf(out, "%s{", name);
		print_label(layout->one, row_name(layout, row, text), out);
		if (layout->second) {
			putc(',', out);
			print_label(layout->second, row_second(layout, row, text), out);
		}
		if (is_time(field))
			fprintf(out, "} %" PRIu64 ".%06u\n", number / 1000000,
				(unsigned)(number % 1000000));
		else
			fprintf(out, "} %" PRIu64 "\n", number);
	}
}

static void print_instance(const struct view_snapshot *view, FILE *out)
{
	const struct instance_record *instance = &view->instance;

	print_head("relaygate_up", "1 while the gate runs, 0 when only its pins are left", "gauge",
		   out);
	fprintf(out, "relaygate_up %d\n", view->pid != 0);
	print_head("relaygate_build_info", "the version that wrote the pins, as a label", "gauge",
		   out);
	fputs("relaygate_build_info{", out);
	print_label("version", instance->build, out);
	fputs("} 1\n", out);
	print_head("relaygate_start_time_seconds", "when the process started, since 1970", "gauge",
		   out);
	fprintf(out, "relaygate_start_time_seconds %" PRIu64 ".%06u\n",
		(uint64_t)(instance->started_us / 1000000),
		(unsigned)(instance->started_us % 1000000));
	print_head("relaygate_generation", "the policy in force, counted from the start", "gauge",
		   out);
	fprintf(out, "relaygate_generation %" PRIu64 "\n", (uint64_t)instance->generation);
	print_head("relaygate_restart_needed",
		   "1 while something of the file in force waits for a restart", "gauge", out);
	fprintf(out, "relaygate_restart_needed %d\n", view->pid && instance->restart_needed[0]);
	print_head("relaygate_reloads_total", "reloads since the start, by their result", "counter",
		   out);
	fprintf(out, "relaygate_reloads_total{result=\"applied\"} %" PRIu64 "\n",
		(uint64_t)instance->reloads_applied);
	fprintf(out, "relaygate_reloads_total{result=\"refused\"} %" PRIu64 "\n",
		(uint64_t)instance->reloads_refused);
}

void status_print_prometheus(const struct view_snapshot *view, FILE *out)
{
	print_instance(view, out);
	for (unsigned kind = 0; kind < ROW_KINDS; kind++) {
		const struct row_layout *layout = &row_layouts[kind];

		if (kind == ROWS_OFFENDERS)
			continue;
		for (unsigned i = 0; i < layout->field_count; i++)
			if (view->pid || !layout->fields[i].gauge)
				print_metric(view, (enum row_kind)kind, &layout->fields[i], out);
	}
}
