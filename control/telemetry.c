// SPDX-License-Identifier: BSD-3-Clause
//
// See telemetry.h. DPDK's callbacks carry no context, and there is one EAL a process: so one reader
// a process, behind a lock, as each client of the socket has a thread.

#include "control/telemetry.h"

#include "bpf/view_reader.h"
#include "control/status.h"

#include <pthread.h>
#include <rte_telemetry.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_A_REPLY 16

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct view_reader *reader;

static void add_row(struct rte_tel_data *to, enum row_kind kind, const void *row)
{
	const struct row_layout *layout = &row_layouts[kind];
	char text[ROW_TEXT_MAX];

	rte_tel_data_add_dict_string(to, "name", row_name(layout, row, text));
	if (layout->second)
		rte_tel_data_add_dict_string(to, layout->second, row_second(layout, row, text));
	for (unsigned i = 0; i < layout->field_count; i++)
		rte_tel_data_add_dict_u64(to, layout->fields[i].name,
					  row_number(row, &layout->fields[i]));
}

static int add_rows(struct rte_tel_data *reply, const struct view_snapshot *view,
		    enum row_kind kind, const char *parameters)
{
	unsigned long first = parameters ? strtoul(parameters, NULL, 10) : 0;

	rte_tel_data_start_array(reply, RTE_TEL_CONTAINER);
	for (unsigned long i = first; i < view->of[kind].count && i < first + ROWS_A_REPLY; i++) {
		struct rte_tel_data *row = rte_tel_data_alloc();

		if (!row)
			return -1;
		rte_tel_data_start_dict(row);
		add_row(row, kind, view_row_at(view, kind, (unsigned)i));
		rte_tel_data_add_array_container(reply, row, 0);
	}
	return 0;
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
				  (view->wall_us - instance->started_us) / 1000000);
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
