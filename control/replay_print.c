// SPDX-License-Identifier: BSD-3-Clause
//
// Tables and JSON of a replay. Decides nothing; reasons that did not occur are left out.
#include "control/replay_print.h"

#include "config/policy.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

struct reason_row {
	const char *name, *kind, *help;
};

static const struct reason_row reason_rows[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = {#name, #kind, help},
	REASONS(X)
#undef X
};

// The start of the gate is an event of every replay.
static bool is_told(const struct replay_results *results, unsigned reason)
{
	return reason != REASON_gate_started && results->reasons[reason].count > 0;
}

// ---- Text ------------------------------------------------------------------------------------

static void print_connectors(const struct replay_results *results)
{
	printf("%-24s %9s %9s %9s %6s %12s %9s %9s %9s\n", "connector", "frames", "SYNs",
	       "sessions", "open", "transactions", "senders", "recipients", "messages");
	printf("%-24s %9s %9s %9s %6s %12s %9s %10s\n", "", "", "", "", "", "", "refused",
	       "refused");
	for (unsigned i = 0; i < results->policy->connector_count; i++) {
		const struct connector_counters *row = &results->connectors[i];

		printf("%-24s %9llu %9llu %9llu %6llu %12llu %9llu %10llu %9llu\n",
		       results->policy->connectors[i].name, row->frames, row->syns, row->sessions,
		       row->sessions_open, row->transactions, row->senders_refused,
		       row->recipients_refused + row->recipients_refused_backend, row->messages);
	}
}

static void print_reasons(const struct replay_results *results)
{
	bool any = false;

	for (unsigned i = 1; i < REASON_COUNT; i++) {
		const struct reason_row *row = &reason_rows[i];

		if (!is_told(results, i))
			continue;
		printf("%s%-31s %-8s %9llu  %s\n", any ? "" : "\n", row->name, row->kind,
		       results->reasons[i].count, row->help);
		any = true;
	}
}

void replay_print_text(const struct replay_results *results)
{
	print_connectors(results);
	print_reasons(results);
	printf("\n");
#define X(name, text) printf("%10" PRIu64 "  %s\n", results->totals.name, text);
	REPLAY_TOTALS(X)
#undef X
	printf("%10" PRIu64 "  seconds from the first frame to the last\n", results->seconds);
	if (results->forgotten)
		printf("%10" PRIu64 "  connections forgotten to make room for others\n",
		       results->forgotten);
}

// ---- JSON ------------------------------------------------------------------------------------

static void put_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void put_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

// A new object of that name at the end of the array, which owns it.
static struct json_object *add_named(struct json_object *array, const char *name)
{
	struct json_object *object = json_object_new_object();

	put_text(object, "name", name);
	json_object_array_add(array, object);
	return object;
}

static struct json_object *json_of_connectors(const struct replay_results *results)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < results->policy->connector_count; i++) {
		const struct connector_counters *row = &results->connectors[i];
		struct json_object *object = add_named(array, results->policy->connectors[i].name);

#define X(name, help) put_number(object, #name, row->name);
		CONNECTOR_COUNTERS(X)
#undef X
	}
	return array;
}

static struct json_object *json_of_ports(const struct replay_results *results)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < results->policy->port_count; i++) {
		const struct port_counters *row = &results->ports[i];
		struct json_object *object = add_named(array, results->policy->ports[i].name);

#define X(name, help) put_number(object, #name, row->name);
		PORT_COUNTERS(X)
#undef X
	}
	return array;
}

static struct json_object *json_of_reasons(const struct replay_results *results)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 1; i < REASON_COUNT; i++) {
		struct json_object *object;

		if (!is_told(results, i))
			continue;
		object = add_named(array, reason_rows[i].name);
		put_text(object, "kind", reason_rows[i].kind);
		put_number(object, "count", results->reasons[i].count);
		put_text(object, "help", reason_rows[i].help);
	}
	return array;
}

void replay_print_json(const struct replay_results *results)
{
	struct json_object *object = json_object_new_object();
	struct json_object *totals = json_object_new_object();

#define X(name, text) put_number(totals, #name, results->totals.name);
	REPLAY_TOTALS(X)
#undef X
	put_number(totals, "seconds", results->seconds);
	put_number(totals, "connections_forgotten", results->forgotten);
	json_object_object_add(object, "connectors", json_of_connectors(results));
	json_object_object_add(object, "reasons", json_of_reasons(results));
	json_object_object_add(object, "ports", json_of_ports(results));
	json_object_object_add(object, "frames", totals);
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}
