// SPDX-License-Identifier: BSD-3-Clause
//
// See rows.h. Everything here is made from the lists; a new counter needs no line of this file.
#include "bpf/rows.h"

#include "bpf/counters.h"
#include "bpf/state.h"
#include <assert.h>
#include <string.h>

#define GAUGE "gauge: "
#define FIELD(type, field, text)                                                                   \
	{                                                                                          \
		.name = #field,                                                                    \
		.offset = offsetof(struct type, field),                                            \
		.gauge = sizeof(text) > sizeof(GAUGE) && __builtin_memcmp(text, GAUGE, 7) == 0,    \
		.help = &(text)[__builtin_memcmp(text, GAUGE, 7) == 0 ? sizeof(GAUGE) - 1 : 0],    \
	},

static const struct row_field connector_fields[] = {
#define X(name, help) FIELD(connector_counters, name, help)
	CONNECTOR_COUNTERS(X)
#undef X
};
static const struct row_field reason_fields[] = {
	FIELD(reason_counter, count, "frames, commands or events with this reason")};
static const struct row_field port_fields[] = {
#define X(name, help) FIELD(port_counters, name, help)
	PORT_COUNTERS(X)
#undef X
};
static const struct row_field worker_fields[] = {
#define X(name, help) FIELD(worker_counters, name, help)
	WORKER_COUNTERS(X)
#undef X
};
static const struct row_field server_fields[] = {
#define X(name, help) FIELD(server_counters, name, help)
	SERVER_COUNTERS(X)
#undef X
};
static const struct row_field offender_fields[] = {
#define X(name, help) FIELD(offender_counters, name, help)
	OFFENDER_COUNTERS(X)
#undef X
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define FIELDS(array)   .fields = array, .field_count = COUNT_OF(array)
#define SIZES(type)     .bytes = sizeof(struct type), .name_bytes = sizeof(((struct type *)0)->name)
#define SECOND(type, text)                                                                         \
	.second = #text, .second_offset = offsetof(struct type, text),                             \
	.second_bytes = sizeof(((struct type *)0)->text)

const struct row_layout row_layouts[ROW_KINDS] = {
	[ROWS_CONNECTORS] = {"connector", "connectors", "connectors_worker",
			     SIZES(connector_counters), FIELDS(connector_fields)},
	[ROWS_REASONS] = {"reason", "reasons", "reasons_worker", SECOND(reason_counter, kind),
			  SIZES(reason_counter), FIELDS(reason_fields)},
	[ROWS_PORTS] = {"port", "ports", "ports_worker", SIZES(port_counters), FIELDS(port_fields)},
	[ROWS_WORKERS] = {"worker", "workers", NULL, SIZES(worker_counters), FIELDS(worker_fields)},
	[ROWS_SERVERS] = {"server", "servers", NULL, SECOND(server_counters, backend),
			  SIZES(server_counters), FIELDS(server_fields)},
	[ROWS_OFFENDERS] = {"source", "offenders", NULL, SECOND(offender_counters, reason),
			    SIZES(offender_counters), FIELDS(offender_fields)},
};

static const char *text_at(const char *from, size_t bytes, char text[ROW_TEXT_MAX])
{
	size_t length = strnlen(from, bytes);

	assert(bytes < ROW_TEXT_MAX);
	memcpy(text, from, length);
	text[length] = '\0';
	return text;
}

const char *row_name(const struct row_layout *layout, const void *row, char text[ROW_TEXT_MAX])
{
	return text_at(row, layout->name_bytes, text);
}

const char *row_second(const struct row_layout *layout, const void *row, char text[ROW_TEXT_MAX])
{
	return text_at((const char *)row + layout->second_offset, layout->second_bytes, text);
}

const struct row_field *row_field(enum row_kind kind, const char *name)
{
	const struct row_layout *layout = &row_layouts[kind];
	unsigned i = 0;

	while (i < layout->field_count && strcmp(layout->fields[i].name, name) != 0)
		i++;
	assert(i < layout->field_count);
	return &layout->fields[i];
}
