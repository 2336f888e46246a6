// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot as JSON: what the instance says of itself, then each kind of rows as an array whose
// elements have the fields' names, as bpftool shows them.

#include "control/status.h"

#include <json-c/json.h>
#include <string.h>

static void put(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void put_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static struct json_object *json_of_row(const struct view_snapshot *view, enum row_kind kind,
				       const void *row)
{
	const struct row_layout *layout = &row_layouts[kind];
	struct json_object *object = json_object_new_object();
	char text[ROW_TEXT_MAX];

	put(object, "name", row_name(layout, row, text));
	if (layout->second)
		put(object, layout->second, row_second(layout, row, text));
	for (unsigned i = 0; i < layout->field_count; i++)
		if (view->pid || !layout->fields[i].gauge)
			put_number(object, layout->fields[i].name,
				   row_number(row, &layout->fields[i]));
	return object;
}

static struct json_object *json_of_rows(const struct view_snapshot *view, enum row_kind kind)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < view->of[kind].count; i++)
		json_object_array_add(array, json_of_row(view, kind, view_row_at(view, kind, i)));
	return array;
}

static struct json_object *json_of_reload(const struct instance_record *instance)
{
	struct json_object *object = json_object_new_object();
	char time[STATUS_TIME_MAX];

	put(object, "result", instance->reload_result);
	put(object, "cause", instance->reload_cause);
	put(object, "time", status_time(instance->reload_us, time));
	put(object, "message", instance->message);
	put_number(object, "applied", instance->reloads_applied);
	put_number(object, "refused", instance->reloads_refused);
	return object;
}

struct json_object *status_json(const struct view_snapshot *view)
{
	const struct instance_record *instance = &view->instance;
	struct json_object *object = json_object_new_object();
	char time[STATUS_TIME_MAX];

	json_object_object_add(object, "running", json_object_new_boolean(view->pid != 0));
	put(object, "state", status_state(view));
	put(object, "time", status_time(view->wall_us, time));
	put(object, "build", instance->build);
	put(object, "file", instance->file);
	put(object, "started", status_time(instance->started_us, time));
	if (view->pid) {
		put_number(object, "pid", (uint64_t)view->pid);
		put_number(object, "uptime_seconds",
			   status_age(view, instance->started_us) / 1000000);
		put_number(object, "generation", instance->generation);
		put(object, "restart_needed", instance->restart_needed);
	}
	json_object_object_add(object, "reload", json_of_reload(instance));
	for (unsigned kind = 0; kind < ROW_KINDS; kind++)
		json_object_object_add(object, row_layouts[kind].many,
				       json_of_rows(view, (enum row_kind)kind));
	return object;
}
