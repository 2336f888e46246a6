// SPDX-License-Identifier: BSD-3-Clause
//
// See telemetry.h. A container of this DPDK holds an array of plain values: so a reply has columns,
// and no rows. DPDK's callbacks carry no context, and there is one EAL a process: so one reader
// a process, behind a lock, as each client of the socket has a thread.

#include "control/telemetry.h"

#include "bpf/view_reader.h"
#include "control/status.h"

#include <pthread.h>
#include <rte_telemetry.h>
#include <stdlib.h>
#include <string.h>

// Of DPDK's 16 KB, and what a number or a text takes of them with its punctuation.
#define REPLY_BYTES  15000
#define NUMBER_BYTES 21
#define TEXT_BYTES   68

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct view_reader *reader;

// As many rows as surely fit.
static unsigned rows_a_reply(const struct row_layout *layout)
{
	unsigned texts = layout->second ? 2 : 1;

	return REPLY_BYTES / (layout->field_count * NUMBER_BYTES + texts * TEXT_BYTES);
}

static struct rte_tel_data *add_column(struct rte_tel_data *reply, const char *name,
				       enum rte_tel_value_type type)
{
	struct rte_tel_data *column = rte_tel_data_alloc();

	if (!column)
		return NULL;
	rte_tel_data_start_array(column, type);
	if (rte_tel_data_add_dict_container(reply, name, column, 0) == 0)
		return column;
	rte_tel_data_free(column);
	return NULL;
}

struct part {
	const struct view_snapshot *view;
	enum row_kind kind;
	unsigned first, end;
};

static int add_texts(struct rte_tel_data *reply, const struct part *part, const char *name,
		     const char *(*text_of)(const struct row_layout *, const void *, char *))
{
	struct rte_tel_data *column = add_column(reply, name, RTE_TEL_STRING_VAL);
	char text[ROW_TEXT_MAX];

	for (unsigned i = part->first; column && i < part->end; i++)
		rte_tel_data_add_array_string(
			column, text_of(&row_layouts[part->kind],
					view_row_at(part->view, part->kind, i), text));
	return column ? 0 : -1;
}

static int add_numbers(struct rte_tel_data *reply, const struct part *part,
		       const struct row_field *field)
{
	struct rte_tel_data *column = add_column(reply, field->name, RTE_TEL_U64_VAL);

	for (unsigned i = part->first; column && i < part->end; i++)
		rte_tel_data_add_array_u64(
			column, row_number(view_row_at(part->view, part->kind, i), field));
	return column ? 0 : -1;
}

static int add_rows(struct rte_tel_data *reply, const struct view_snapshot *view,
		    enum row_kind kind, const char *parameters)
{
	const struct row_layout *layout = &row_layouts[kind];
	unsigned long first = parameters ? strtoul(parameters, NULL, 10) : 0;
	unsigned count = view->of[kind].count, most = rows_a_reply(layout);
	struct part part = {view, kind, first < count ? (unsigned)first : count, count};
	int result;

	if (part.end - part.first > most)
		part.end = part.first + most;
	rte_tel_data_start_dict(reply);
	rte_tel_data_add_dict_u64(reply, "rows", count);
	result = add_texts(reply, &part, "name", row_name);
	if (layout->second)
		result |= add_texts(reply, &part, layout->second, row_second);
	for (unsigned i = 0; i < layout->field_count; i++)
		result |= add_numbers(reply, &part, &layout->fields[i]);
	return result;
}

static int answer_rows(const char *command, const char *parameters, struct rte_tel_data *reply)
{
	const char *many = strrchr(command, '/') + 1;
	int result = -1;

	pthread_mutex_lock(&lock);
	for (unsigned kind = 0; kind < ROW_KINDS && reader; kind++)
		if (strcmp(many, row_layouts[kind].many) == 0)
			result = add_rows(reply, view_reader_take(reader), (enum row_kind)kind,
					  parameters);
	pthread_mutex_unlock(&lock);
	return result;
}

static void add_status(struct rte_tel_data *reply, const struct view_snapshot *view)
{
	const struct instance_record *instance = &view->instance;

	rte_tel_data_start_dict(reply);
	rte_tel_data_add_dict_string(reply, "state", status_state(view));
	rte_tel_data_add_dict_string(reply, "build", instance->build);
	rte_tel_data_add_dict_string(reply, "file", instance->file);
	rte_tel_data_add_dict_u64(reply, "pid", instance->pid);
	rte_tel_data_add_dict_u64(reply, "started_us", instance->started_us);
	rte_tel_data_add_dict_u64(reply, "uptime_seconds",
				  status_age(view, instance->started_us) / 1000000);
	rte_tel_data_add_dict_u64(reply, "generation", instance->generation);
	rte_tel_data_add_dict_string(reply, "reload_result", instance->reload_result);
	rte_tel_data_add_dict_u64(reply, "reloads_applied", instance->reloads_applied);
	rte_tel_data_add_dict_u64(reply, "reloads_refused", instance->reloads_refused);
}

static int answer_status(const char *command, const char *parameters, struct rte_tel_data *reply)
{
	int result = -1;

	pthread_mutex_lock(&lock);
	if (reader) {
		add_status(reply, view_reader_take(reader));
		result = 0;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

int telemetry_start(const char *pin_directory)
{
	char error[EXPORT_ERROR_MAX], command[64], help[96];
	int result;

	pthread_mutex_lock(&lock);
	result = view_reader_open(pin_directory, &reader, error);
	pthread_mutex_unlock(&lock);
	if (result == 0)
		result = rte_telemetry_register_cmd("/relaygate/status", answer_status,
						    "State of the gate. Takes no parameters");
	for (unsigned kind = 0; kind < ROW_KINDS && result == 0; kind++) {
		const char *many = row_layouts[kind].many;

		snprintf(command, sizeof(command), "/relaygate/%s", many);
		snprintf(help, sizeof(help), "Rows of the map %s. Parameters: int first_row", many);
		result = rte_telemetry_register_cmd(command, answer_rows, help);
	}
	return result ? -1 : 0;
}

void telemetry_stop(void)
{
	pthread_mutex_lock(&lock);
	view_reader_close(reader);
	reader = NULL;
	pthread_mutex_unlock(&lock);
}
