// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot for a person at a terminal of 80 columns: what matters first, the largest first where
// there are many. All numbers are in the other forms; the tables in the pin directory have more.

#include "control/status.h"

#include "control/columns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REASONS_SHOWN  10
#define OFFENDERS_TOLD 10
#define NAME_WIDTH     24
#define PORT_WIDTH     15

char *status_time(uint64_t wall_us, char text[STATUS_TIME_MAX])
{
	time_t seconds = (time_t)(wall_us / 1000000);
	struct tm parts;

	if (wall_us == 0 || !gmtime_r(&seconds, &parts) ||
	    !strftime(text, STATUS_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts))
		strcpy(text, "-");
	return text;
}

uint64_t status_age(const struct view_snapshot *view, uint64_t wall_us)
{
	return view->wall_us > wall_us ? view->wall_us - wall_us : 0;
}

char *status_span(uint64_t us, char text[STATUS_SPAN_MAX])
{
	unsigned long long seconds = us / 1000000;

	if (seconds < 120)
		snprintf(text, STATUS_SPAN_MAX, "%llu s", seconds);
	else if (seconds < 7200)
		snprintf(text, STATUS_SPAN_MAX, "%llu min", seconds / 60);
	else if (seconds < 172800)
		snprintf(text, STATUS_SPAN_MAX, "%llu h %llu min", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(text, STATUS_SPAN_MAX, "%llu d %llu h", seconds / 86400,
			 seconds / 3600 % 24);
	return text;
}

const char *status_state(const struct view_snapshot *view)
{
	if (view->pid)
		return view->instance.state;
	return strcmp(view->instance.state, "stopped") == 0 ? "stopped" : "died";
}

static uint64_t number(enum row_kind kind, const void *row, const char *field)
{
	return row_number(row, row_field(kind, field));
}

size_t status_name(enum row_kind kind, const void *row, unsigned columns,
		   char text[STATUS_NAME_MAX])
{
	static const char gone[] = " (gone)";
	bool is_gone = kind == ROWS_CONNECTORS && !number(kind, row, "listed");
	char name[ROW_TEXT_MAX];
	unsigned used;
	size_t length;

	row_name(&row_layouts[kind], row, name);
	if (!is_gone)
		return columns_put(text, STATUS_NAME_MAX, name, columns);
	length = columns_cut(name, columns - (unsigned)strlen(gone), &used);
	name[length] = '\0';
	length = columns_put(text, STATUS_NAME_MAX, name, used);
	return length + columns_put(text + length, STATUS_NAME_MAX - length, gone, columns - used);
}

static void print_name(enum row_kind kind, const void *row, unsigned width, FILE *out)
{
	char text[STATUS_NAME_MAX];

	status_name(kind, row, width, text);
	fputs(text, out);
}

static void print_instance(const struct view_snapshot *view, FILE *out)
{
	const struct instance_record *instance = &view->instance;
	char span[STATUS_SPAN_MAX], time[STATUS_TIME_MAX];

	if (view->pid)
		fprintf(out, "relaygate %s, process %d: %s; started %s ago\n", instance->build,
			view->pid, instance->state,
			status_span(status_age(view, instance->started_us), span));
	else
		fprintf(out, "relaygate %s: %s; started %s, last sign of life %s ago\n",
			instance->build, status_state(view),
			status_time(instance->started_us, time),
			status_span(status_age(view, instance->alive_us), span));
	fprintf(out, "policy: %s, generation %" PRIu64 "\n", instance->file,
		(uint64_t)instance->generation);
	if (view->pid && instance->restart_needed[0])
		fprintf(out, "restart needed for: %s\n", instance->restart_needed);
	if (instance->reload_result[0])
		fprintf(out, "last reload: %s (%s) %s ago%s%.*s\n", instance->reload_result,
			instance->reload_cause,
			status_span(status_age(view, instance->reload_us), span),
			instance->message[0] ? ": " : "", (int)strcspn(instance->message, "\n"),
			instance->message);
}

static void print_workers(const struct view_snapshot *view, const double *busy, FILE *out)
{
	fprintf(out, "\n%-6s %6s %12s %8s %8s %9s %9s %15s\n", "worker", "busy", "frames/burst",
		"clients", "servers", "time-wait", "half-open", "buffers used");
	for (unsigned i = 0; i < view->of[ROWS_WORKERS].count; i++) {
		const void *row = view_row_at(view, ROWS_WORKERS, i);
		uint64_t bursts = number(ROWS_WORKERS, row, "bursts");
		uint64_t frames = number(ROWS_WORKERS, row, "burst_frames");

		print_name(ROWS_WORKERS, row, 6, out);
		fprintf(out, " %5.1f%% %12.1f %8" PRIu64 " %8" PRIu64 " %9" PRIu64 " %9" PRIu64,
			busy ? busy[i] * 100 : 0.0, bursts ? (double)frames / (double)bursts : 0.0,
			number(ROWS_WORKERS, row, "clients"), number(ROWS_WORKERS, row, "servers"),
			number(ROWS_WORKERS, row, "time_wait"),
			number(ROWS_WORKERS, row, "half_open"));
		fprintf(out, " %7" PRIu64 "/%7" PRIu64 "\n",
			number(ROWS_WORKERS, row, "chunks_used"),
			number(ROWS_WORKERS, row, "chunks"));
	}
}

static void print_ports(const struct view_snapshot *view, FILE *out)
{
	fprintf(out, "\n%-*s %12s %12s %12s %12s %12s\n", PORT_WIDTH, "port", "frames in",
		"accepted", "banned", "frames out", "lost");
	for (unsigned i = 0; i < view->of[ROWS_PORTS].count; i++) {
		const void *row = view_row_at(view, ROWS_PORTS, i);

		print_name(ROWS_PORTS, row, PORT_WIDTH, out);
		fprintf(out,
			" %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n",
			number(ROWS_PORTS, row, "frames_in"),
			number(ROWS_PORTS, row, "frames_accepted"),
			number(ROWS_PORTS, row, "frames_banned"),
			number(ROWS_PORTS, row, "frames_out"),
			number(ROWS_PORTS, row, "frames_out_lost") +
				number(ROWS_PORTS, row, "device_missed"));
	}
}

static void print_connectors(const struct view_snapshot *view, FILE *out)
{
	char open[24];

	fprintf(out, "\n%-*s %8s %10s %10s %10s %12s\n", NAME_WIDTH, "connector", "open",
		"sessions", "messages", "deferred", "refused");
	for (unsigned i = 0; i < view->of[ROWS_CONNECTORS].count; i++) {
		const void *row = view_row_at(view, ROWS_CONNECTORS, i);

		snprintf(open, sizeof(open), "%" PRIu64,
			 number(ROWS_CONNECTORS, row, "sessions_open"));
		print_name(ROWS_CONNECTORS, row, NAME_WIDTH, out);
		fprintf(out, " %8s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %12" PRIu64 "\n",
			view->pid ? open : "-", number(ROWS_CONNECTORS, row, "sessions"),
			number(ROWS_CONNECTORS, row, "messages"),
			number(ROWS_CONNECTORS, row, "messages_deferred"),
			number(ROWS_CONNECTORS, row, "messages_refused") +
				number(ROWS_CONNECTORS, row, "recipients_refused") +
				number(ROWS_CONNECTORS, row, "senders_refused"));
	}
}

static void print_servers(const struct view_snapshot *view, FILE *out)
{
	char text[ROW_TEXT_MAX], backend[16 * 4 + 1], span[STATUS_SPAN_MAX];

	fprintf(out, "\n%-*s %-16s %-20s %11s\n", NAME_WIDTH, "server", "backend", "state",
		"connections");
	for (unsigned i = 0; i < view->of[ROWS_SERVERS].count; i++) {
		const void *row = view_row_at(view, ROWS_SERVERS, i);
		const char *state = number(ROWS_SERVERS, row, "live")   ? "live"
				    : number(ROWS_SERVERS, row, "down") ? "DOWN"
									: "not probed";
		uint64_t since = status_age(view, number(ROWS_SERVERS, row, "since_us"));
		uint64_t waiting = number(ROWS_SERVERS, row, "waiting");

		print_name(ROWS_SERVERS, row, NAME_WIDTH, out);
		columns_put(backend, sizeof(backend),
			    row_second(&row_layouts[ROWS_SERVERS], row, text), 16);
		fprintf(out, " %s %-4s for %-11s %5" PRIu64 "/%5" PRIu64, backend, state,
			status_span(since, span), number(ROWS_SERVERS, row, "connections"),
			number(ROWS_SERVERS, row, "connections_max"));
		if (waiting)
			fprintf(out, " %" PRIu64 " wait", waiting);
		putc('\n', out);
	}
}

static int by_count(const void *a, const void *b)
{
	const struct reason_counter *const *x = a, *const *y = b;

	return (*x)->count < (*y)->count ? 1 : (*x)->count > (*y)->count ? -1 : 0;
}

static void print_reasons(const struct view_snapshot *view, FILE *out)
{
	unsigned count = view->of[ROWS_REASONS].count;
	const struct reason_counter **sorted = calloc(count + 1, sizeof(*sorted));

	fprintf(out, "\n%-*s %-8s %15s\n", 2 * NAME_WIDTH - 12, "most frequent reasons", "kind",
		"count");
	for (unsigned i = 0; sorted && i < count; i++)
		sorted[i] = view_row_at(view, ROWS_REASONS, i);
	if (sorted)
		qsort(sorted, count, sizeof(*sorted), by_count);
	for (unsigned i = 0; sorted && i < count && i < REASONS_SHOWN && sorted[i]->count; i++)
		fprintf(out, "%-*.40s %-8.8s %15" PRIu64 "\n", 2 * NAME_WIDTH - 12, sorted[i]->name,
			sorted[i]->kind, (uint64_t)sorted[i]->count);
	free(sorted);
}

static void print_offenders(const struct view_snapshot *view, FILE *out)
{
	char text[ROW_TEXT_MAX], span[STATUS_SPAN_MAX];

	fprintf(out, "\n%-*s %10s %9s %-20s %s\n", NAME_WIDTH, "sources most often dropped",
		"frames", "+-", "last for", "ago");
	for (unsigned i = 0; i < view->of[ROWS_OFFENDERS].count && i < OFFENDERS_TOLD; i++) {
		const void *row = view_row_at(view, ROWS_OFFENDERS, i);

		print_name(ROWS_OFFENDERS, row, NAME_WIDTH + 2, out);
		fprintf(out, " %10" PRIu64 " %9" PRIu64 " %-20.20s %s\n",
			number(ROWS_OFFENDERS, row, "frames"),
			number(ROWS_OFFENDERS, row, "frames_over"),
			row_second(&row_layouts[ROWS_OFFENDERS], row, text),
			status_span(status_age(view, number(ROWS_OFFENDERS, row, "seen_us")),
				    span));
	}
}

void status_print_text(const struct view_snapshot *view, const double *busy, FILE *out)
{
	print_instance(view, out);
	if (view->pid)
		print_workers(view, busy, out);
	print_ports(view, out);
	print_connectors(view, out);
	if (view->pid)
		print_servers(view, out);
	print_reasons(view, out);
	if (view->pid)
		print_offenders(view, out);
}
