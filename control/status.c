// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate status`: how the gate is now, from its pins, without asking it anything. The pins
// outlive the process, so whether it runs is told by the lock on their directory.

#include "control/status.h"

#include "control/commands.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// How long the workers' load is looked at.
#define LOOK_NS 200000000

static uint64_t worker_number(const struct view_snapshot *view, unsigned worker, const char *field)
{
	return row_number(view_row_at(view, ROWS_WORKERS, worker), row_field(ROWS_WORKERS, field));
}

// Each worker's busy share between now and a moment later, which becomes the view.
static double *look(struct view_reader *reader, const struct view_snapshot *view)
{
	struct timespec pause = {.tv_nsec = LOOK_NS};
	unsigned count = view->of[ROWS_WORKERS].count;
	double *busy = calloc(count + 1, sizeof(*busy));
	uint64_t *before = calloc(2 * count + 1, sizeof(*before));

	for (unsigned i = 0; busy && before && i < count; i++) {
		before[2 * i] = worker_number(view, i, "busy_cycles");
		before[2 * i + 1] = worker_number(view, i, "idle_cycles");
	}
	nanosleep(&pause, NULL);
	view_reader_take(reader);
	for (unsigned i = 0; busy && before && i < count; i++) {
		double working = (double)(worker_number(view, i, "busy_cycles") - before[2 * i]);
		double idling = (double)(worker_number(view, i, "idle_cycles") - before[2 * i + 1]);

		busy[i] = working + idling > 0 ? working / (working + idling) : 0;
	}
	free(before);
	return busy;
}

static void print_json(const struct view_snapshot *view)
{
	struct json_object *object = status_json(view);

	printf("%s\n", json_object_to_json_string_ext(
			       object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
}

static void print_text(struct view_reader *reader, const struct view_snapshot *view)
{
	double *busy = view->pid ? look(reader, view) : NULL;

	status_print_text(view, busy, stdout);
	free(busy);
}

int command_status(const struct command_options *options)
{
	char error[EXPORT_ERROR_MAX];
	char *directory = instance_directory(options);
	const struct view_snapshot *view;
	struct view_reader *reader;
	int result;

	if (!directory)
		return EXIT_WRONG;
	result = view_reader_open(directory, &reader, error);
	free(directory);
	if (result) {
		fprintf(stderr, "relaygate: %s\n", error);
		return EXIT_WRONG;
	}
	view = view_reader_take(reader);
	if (options->json)
		print_json(view);
	else if (options->prometheus)
		status_print_prometheus(view, stdout);
	else
		print_text(reader, view);
	result = view->pid && !fflush(stdout) ? EXIT_FINE : EXIT_WRONG;
	if (!view->pid)
		fprintf(stderr, "relaygate: not running; what is shown is what it had counted\n");
	view_reader_close(reader);
	return result;
}
