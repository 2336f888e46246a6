// SPDX-License-Identifier: BSD-3-Clause
//
// See top_frame.h. A section is a title and rows, the busiest first; what one does not need goes to
// the others. A section that is cut says how many rows it left out in its title.
#include "control/top_frame.h"

#include "control/columns.h"
#include "control/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_WIDTH     24
#define LINE_MAX_BYTES 512

struct pair {
	const void *now, *before; // before NULL: the row is new
	double weight;
};

struct section {
	enum row_kind kind;
	struct pair *rows;
	unsigned count; // that are worth showing
	unsigned shown;
};

struct frame {
	const struct view_snapshot *before, *now;
	double seconds; // between both
	unsigned columns;
	FILE *out;
};

static uint64_t number(enum row_kind kind, const void *row, const char *field)
{
	return row ? row_number(row, row_field(kind, field)) : 0;
}

static double grown(enum row_kind kind, const struct pair *pair, const char *field)
{
	uint64_t now = number(kind, pair->now, field), before = number(kind, pair->before, field);

	return now > before ? (double)(now - before) : 0;
}

static double rate(const struct frame *frame, enum row_kind kind, const struct pair *pair,
		   const char *field)
{
	return pair->before && frame->seconds > 0 ? grown(kind, pair, field) / frame->seconds : 0;
}

static void put_line(const struct frame *frame, const char *text)
{
	unsigned used;

	fprintf(frame->out, "%.*s\n", (int)columns_cut(text, frame->columns, &used), text);
}

// A row opens with its name, cut or filled up to width.
static int put_name(enum row_kind kind, const void *row, unsigned width, char line[LINE_MAX_BYTES])
{
	char text[STATUS_NAME_MAX];
	size_t length = status_name(kind, row, width, text);

	memcpy(line, text, length + 1);
	return (int)length;
}

// ---- A line of each kind ---------------------------------------------------------------------

static void line_worker(const struct frame *frame, const struct pair *pair)
{
	double busy = grown(ROWS_WORKERS, pair, "busy_cycles");
	double all = busy + grown(ROWS_WORKERS, pair, "idle_cycles");
	double bursts = grown(ROWS_WORKERS, pair, "bursts");
	char line[LINE_MAX_BYTES];
	int at = put_name(ROWS_WORKERS, pair->now, 6, line);

	snprintf(line + at, sizeof(line) - (size_t)at,
		 " %5.1f%% %8.0f %5.1f %7" PRIu64 " %7" PRIu64 " %9" PRIu64 " %9" PRIu64
		 " %7" PRIu64 "/%" PRIu64,
		 all > 0 ? busy * 100 / all : 0, rate(frame, ROWS_WORKERS, pair, "burst_frames"),
		 bursts > 0 ? grown(ROWS_WORKERS, pair, "burst_frames") / bursts : 0,
		 number(ROWS_WORKERS, pair->now, "clients"),
		 number(ROWS_WORKERS, pair->now, "servers"),
		 number(ROWS_WORKERS, pair->now, "time_wait"),
		 number(ROWS_WORKERS, pair->now, "half_open"),
		 number(ROWS_WORKERS, pair->now, "chunks_used"),
		 number(ROWS_WORKERS, pair->now, "chunks"));
	put_line(frame, line);
}

static void line_port(const struct frame *frame, const struct pair *pair)
{
	char line[LINE_MAX_BYTES];
	int at = put_name(ROWS_PORTS, pair->now, 15, line);

	snprintf(line + at, sizeof(line) - (size_t)at, " %9.0f %9.0f %9.0f %8.2f %9.0f %8.2f %6.0f",
		 rate(frame, ROWS_PORTS, pair, "frames_in"),
		 rate(frame, ROWS_PORTS, pair, "frames_accepted"),
		 rate(frame, ROWS_PORTS, pair, "frames_banned"),
		 rate(frame, ROWS_PORTS, pair, "bytes_in") * 8 / 1e6,
		 rate(frame, ROWS_PORTS, pair, "frames_out"),
		 rate(frame, ROWS_PORTS, pair, "bytes_out") * 8 / 1e6,
		 rate(frame, ROWS_PORTS, pair, "frames_out_lost") +
			 rate(frame, ROWS_PORTS, pair, "device_missed"));
	put_line(frame, line);
}

static void line_connector(const struct frame *frame, const struct pair *pair)
{
	char line[LINE_MAX_BYTES];
	int at = put_name(ROWS_CONNECTORS, pair->now, NAME_WIDTH, line);

	snprintf(line + at, sizeof(line) - (size_t)at,
		 " %7" PRIu64 " %9.0f %9.1f %9.1f %9.1f %6.1f",
		 number(ROWS_CONNECTORS, pair->now, "sessions_open"),
		 rate(frame, ROWS_CONNECTORS, pair, "frames"),
		 rate(frame, ROWS_CONNECTORS, pair, "sessions"),
		 rate(frame, ROWS_CONNECTORS, pair, "messages"),
		 rate(frame, ROWS_CONNECTORS, pair, "recipients_refused") +
			 rate(frame, ROWS_CONNECTORS, pair, "senders_refused") +
			 rate(frame, ROWS_CONNECTORS, pair, "messages_refused"),
		 rate(frame, ROWS_CONNECTORS, pair, "message_bytes") / 1e6);
	put_line(frame, line);
}

static void line_server(const struct frame *frame, const struct pair *pair)
{
	char line[LINE_MAX_BYTES], text[ROW_TEXT_MAX], backend[15 * 4 + 1], span[STATUS_SPAN_MAX];
	int at = put_name(ROWS_SERVERS, pair->now, NAME_WIDTH, line);
	const char *state = number(ROWS_SERVERS, pair->now, "live")   ? "live"
			    : number(ROWS_SERVERS, pair->now, "down") ? "DOWN"
								      : "?";

	columns_put(backend, sizeof(backend),
		    row_second(&row_layouts[ROWS_SERVERS], pair->now, text), 15);
	snprintf(line + at, sizeof(line) - (size_t)at,
		 " %s %-4s %-11s %5" PRIu64 "/%-5" PRIu64 " %7" PRIu64, backend, state,
		 status_span(status_age(frame->now, number(ROWS_SERVERS, pair->now, "since_us")),
			     span),
		 number(ROWS_SERVERS, pair->now, "connections"),
		 number(ROWS_SERVERS, pair->now, "connections_max"),
		 number(ROWS_SERVERS, pair->now, "waiting"));
	put_line(frame, line);
}

static void line_reason(const struct frame *frame, const struct pair *pair)
{
	char line[LINE_MAX_BYTES], text[ROW_TEXT_MAX];
	int at = put_name(ROWS_REASONS, pair->now, NAME_WIDTH + 8, line);

	snprintf(line + at, sizeof(line) - (size_t)at, " %-8s %12.1f %15" PRIu64,
		 row_second(&row_layouts[ROWS_REASONS], pair->now, text),
		 rate(frame, ROWS_REASONS, pair, "count"),
		 number(ROWS_REASONS, pair->now, "count"));
	put_line(frame, line);
}

static void line_offender(const struct frame *frame, const struct pair *pair)
{
	char line[LINE_MAX_BYTES], text[ROW_TEXT_MAX], span[STATUS_SPAN_MAX];
	int at = put_name(ROWS_OFFENDERS, pair->now, NAME_WIDTH, line);

	snprintf(line + at, sizeof(line) - (size_t)at, " %11" PRIu64 " %9" PRIu64 " %-22.22s %s",
		 number(ROWS_OFFENDERS, pair->now, "frames"),
		 number(ROWS_OFFENDERS, pair->now, "frames_over"),
		 row_second(&row_layouts[ROWS_OFFENDERS], pair->now, text),
		 status_span(status_age(frame->now, number(ROWS_OFFENDERS, pair->now, "seen_us")),
			     span));
	put_line(frame, line);
}

// In the order of the frame. `busy` orders the rows, the largest first; NULL = as they are.
static const struct {
	enum row_kind kind;
	const char *title;
	const char *busy, *worth; // a field's growth; a field that must not be 0 to be shown
	void (*line)(const struct frame *frame, const struct pair *pair);
} section_rows[] = {
	{ROWS_WORKERS,
	 "worker   busy frames/s burst clients servers time-wait half-open buffers used", NULL,
	 NULL, line_worker},
	{ROWS_PORTS,
	 "port                 in/s    kept/s  banned/s   Mbit/s     out/s   Mbit/s lost/s", NULL,
	 NULL, line_port},
	{ROWS_CONNECTORS,
	 "connector                   open  frames/s    sess/s messages/s refused/s   MB/s",
	 "frames", NULL, line_connector},
	{ROWS_SERVERS,
	 "server                   backend         state for         connections waiting", NULL,
	 NULL, line_server},
	{ROWS_REASONS, "reason                           kind            per s           total",
	 "count", "count", line_reason},
	{ROWS_OFFENDERS,
	 "source                        frames        +- last dropped for       ago", NULL, NULL,
	 line_offender},
};
#define SECTIONS (sizeof(section_rows) / sizeof(section_rows[0]))

// ---- The frame -------------------------------------------------------------------------------

static int by_weight(const void *a, const void *b)
{
	double x = ((const struct pair *)a)->weight, y = ((const struct pair *)b)->weight;

	return (x < y) - (x > y);
}

static int fill_section(const struct frame *frame, unsigned which, struct section *section)
{
	enum row_kind kind = section_rows[which].kind;
	const char *worth = section_rows[which].worth, *busy = section_rows[which].busy;
	unsigned count = frame->now->of[kind].count;
	char text[ROW_TEXT_MAX];

	section->kind = kind;
	section->rows = calloc(count + 1, sizeof(*section->rows));
	for (unsigned i = 0; section->rows && i < count; i++) {
		struct pair *pair = &section->rows[section->count];

		pair->now = view_row_at(frame->now, kind, i);
		pair->before = view_row(frame->before, kind,
					row_name(&row_layouts[kind], pair->now, text));
		// Of equals the one that happened more often, then the order of the map.
		pair->weight = busy ? rate(frame, kind, pair, busy) * 1e12 +
					       (double)number(kind, pair->now, busy) + 1.0 / (i + 1)
				    : -(double)i;
		section->count += !worth || number(kind, pair->now, worth);
	}
	if (section->rows)
		qsort(section->rows, section->count, sizeof(*section->rows), by_weight);
	return section->rows ? 0 : -1;
}

// One line after the other to each section that wants more.
static void share_lines(struct section sections[SECTIONS], unsigned lines)
{
	bool more = true;

	while (lines > 0 && more) {
		more = false;
		for (unsigned i = 0; i < SECTIONS && lines > 0; i++) {
			if (sections[i].shown == sections[i].count)
				continue;
			sections[i].shown++;
			lines--;
			more = true;
		}
	}
}

static void put_head(const struct frame *frame)
{
	const struct view_snapshot *now = frame->now;
	char line[LINE_MAX_BYTES], span[STATUS_SPAN_MAX], time[STATUS_TIME_MAX];
	uint64_t since = now->pid ? now->instance.started_us : now->instance.alive_us;

	snprintf(line, sizeof(line), "relaygate %s  %s%s %s  generation %" PRIu64 "  %s  q: end",
		 now->instance.build, status_state(now), now->pid ? " for" : ", last seen",
		 status_span(status_age(now, since), span), (uint64_t)now->instance.generation,
		 status_time(now->wall_us, time));
	put_line(frame, line);
}

// How many rows are shown stands above the names, where that does not move the title's columns.
static void put_title(const struct frame *frame, const char *title, const struct section *section)
{
	size_t word = strcspn(title, " "), blanks = strspn(title + word, " ");
	char line[LINE_MAX_BYTES], of[32];
	size_t length;

	length = (size_t)snprintf(of, sizeof(of), " (%u of %u)", section->shown, section->count);
	snprintf(line, sizeof(line), "%s", title);
	if (section->shown < section->count && length < blanks)
		memcpy(line + word, of, length);
	else if (section->shown < section->count)
		snprintf(line, sizeof(line), "%s%s", title, of);
	put_line(frame, line);
}

static void put_section(const struct frame *frame, unsigned which, const struct section *section)
{
	put_title(frame, section_rows[which].title, section);
	for (unsigned i = 0; i < section->shown; i++)
		section_rows[which].line(frame, &section->rows[i]);
}

char *top_frame(const struct view_snapshot *before, const struct view_snapshot *now, unsigned lines,
		unsigned columns)
{
	struct frame frame = {before, now, (double)(now->now_us - before->now_us) / 1e6, columns,
			      NULL};
	struct section sections[SECTIONS] = {0};
	unsigned titles = 0, left = lines > 1 ? lines - 1 : 0;
	char *text = NULL;
	size_t size = 0;
	int failed = 0;

	frame.out = open_memstream(&text, &size);
	if (!frame.out)
		return NULL;
	for (unsigned i = 0; i < SECTIONS; i++)
		failed |= fill_section(&frame, i, &sections[i]);
	for (unsigned i = 0; i < SECTIONS; i++)
		titles += sections[i].count > 0;
	share_lines(sections, left > titles ? left - titles : 0);
	put_head(&frame);
	for (unsigned i = 0; i < SECTIONS && !failed; i++)
		if (sections[i].shown)
			put_section(&frame, i, &sections[i]);
	for (unsigned i = 0; i < SECTIONS; i++)
		free(sections[i].rows);
	fclose(frame.out);
	return text;
}
