// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate capture`: frames of the running gate, received and sent, with what became of each,
// into a pcapng file; what tcpdump cannot see of a device that DPDK has. The filter is tcpdump's.
// The gate is not slowed by a reader that is: frames are lost then, and counted. Ends by itself
// when this process does, however that ends.

#include "bpf/capture_reader.h"
#include "bpf/view_reader.h"
#include "config/policy.h"
#include "control/capture_file.h"
#include "control/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS      500000
#define RENEW_US     200000
#define GATE_LOOK_US 1000000
// Answers stand before their questions in a ring: so long is a frame kept back, to be put in order.
#define HOLD_US  5000
#define HELD_MAX 8192
// Until the workers have noticed an order.
#define NOTICE_US 2000000

static volatile sig_atomic_t ended;

static void end(int number)
{
	ended = 1;
}

struct held {
	struct capture_record record;
	unsigned worker;
	uint64_t order; // of reading
};

struct capturing {
	struct capture_reader *reader;
	struct view_reader *views;
	struct capture_file *file;
	struct held *held[HELD_MAX];
	unsigned held_count;
	uint64_t read, written, most;
	uint64_t end_us; // 0 = never
	const char *path;
	bool cut; // the file takes no more, which was told
};

static int fail(const char *format, const char *text)
{
	fprintf(stderr, "relaygate: ");
	fprintf(stderr, format, text);
	fputc('\n', stderr);
	return -1;
}

static int cut(struct capturing *capturing)
{
	if (!capturing->cut)
		fprintf(stderr, "relaygate: %s: %s: the file is not whole\n", capturing->path,
			strerror(errno));
	capturing->cut = true;
	return -1;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// ---- The order -------------------------------------------------------------------------------

static int read_number(const char *text, const char *option, uint64_t most, uint64_t *number)
{
	char *rest;

	if (!text)
		return 0;
	errno = 0;
	*number = strtoull(text, &rest, 10);
	if (errno || rest == text || *rest || text[0] == '-' || *number == 0 || *number > most) {
		fprintf(stderr, "relaygate: %s %s: a number from 1 to %" PRIu64 "\n", option, text,
			most);
		return -1;
	}
	return 0;
}

static int read_reason(const char *name, struct capture_order *order)
{
	static const struct {
		const char *name, *kind;
	} reasons[REASON_COUNT] = {
#define X(reason, kind, help) [REASON_##reason] = {#reason, #kind},
		REASONS(X)
#undef X
	};

	if (!name)
		return 0;
	for (unsigned i = 1; i < REASON_COUNT; i++)
		if (strcmp(reasons[i].name, name) == 0 && strcmp(reasons[i].kind, "drop") == 0)
			order->reason = i;
	return order->reason ? 0 : fail("--reason %s: no frame is dropped for that", name);
}

static int compile(const char *filter, struct capture_order *order)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CAPTURE_DATA_BYTES);
	struct bpf_program program;
	int result = -1;

	if (!dead)
		return fail("%s", "out of memory");
	if (pcap_compile(dead, &program, filter, 1, PCAP_NETMASK_UNKNOWN)) {
		fail("filter: %s", pcap_geterr(dead));
	} else if (program.bf_len > CAPTURE_PROGRAM_MAX) {
		pcap_freecode(&program);
		fail("filter: %s", "too long");
	} else {
		order->program_length = program.bf_len;
		memcpy(order->program, program.bf_insns,
		       program.bf_len * sizeof(order->program[0]));
		pcap_freecode(&program);
		result = 0;
	}
	pcap_close(dead);
	return result;
}

static int read_order(const struct command_options *options, const struct view_snapshot *view,
		      struct capture_order *order)
{
	uint64_t snap = CAPTURE_DATA_BYTES;

	if (read_number(options->snap, "--snap", CAPTURE_DATA_BYTES, &snap) ||
	    read_reason(options->reason, order))
		return -1;
	order->snap = (uint32_t)snap;
	order->dropped = options->dropped;
	if (options->connector) {
		if (!view_row(view, ROWS_CONNECTORS, options->connector))
			return fail("--connector %s: there is none of this name",
				    options->connector);
		memcpy(order->connector, options->connector, strlen(options->connector));
	}
	return options->filter ? compile(options->filter, order) : 0;
}

// ---- Frames ----------------------------------------------------------------------------------

// Of one burst: received ones first.
static int by_time(const void *a, const void *b)
{
	const struct held *x = *(struct held *const *)a, *y = *(struct held *const *)b;

	if (x->record.wall_us != y->record.wall_us)
		return x->record.wall_us < y->record.wall_us ? -1 : 1;
	if (x->record.sent != y->record.sent)
		return x->record.sent ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

// Everything that is in the rings now, as far as it can be held.
static void read_rings(struct capturing *capturing)
{
	while (capturing->held_count < HELD_MAX) {
		struct held **held = &capturing->held[capturing->held_count];

		if (!*held)
			*held = malloc(sizeof(**held));
		if (!*held ||
		    !capture_reader_next(capturing->reader, &(*held)->record, &(*held)->worker))
			return;
		(*held)->order = capturing->read++;
		capturing->held_count++;
	}
}

// Writes what is old enough, or all that is held.
static int write_held(struct capturing *capturing, bool all)
{
	uint64_t old = clock_us(CLOCK_REALTIME) - HOLD_US;
	unsigned done = 0, count = capturing->held_count;
	struct held *spare[HELD_MAX];

	qsort(capturing->held, count, sizeof(capturing->held[0]), by_time);
	while (done < count && capturing->written < capturing->most &&
	       (all || count == HELD_MAX || capturing->held[done]->record.wall_us < old)) {
		if (capture_file_write(capturing->file, &capturing->held[done]->record,
				       capturing->held[done]->worker))
			return -1;
		capturing->written++;
		done++;
	}
	// Those that were written become free ones behind those that were not.
	memcpy(spare, capturing->held, done * sizeof(spare[0]));
	memmove(capturing->held, capturing->held + done,
		(HELD_MAX - done) * sizeof(capturing->held[0]));
	memcpy(capturing->held + HELD_MAX - done, spare, done * sizeof(spare[0]));
	capturing->held_count -= done;
	return done ? capture_file_flush(capturing->file) : 0;
}

// The workers have gone round twice since the order was given: they know it.
static bool noticed(const struct capturing *capturing)
{
	const struct view_snapshot *view = view_reader_take(capturing->views);
	uint64_t turns[POLICY_WORKERS_MAX] = {0}, deadline = view->now_us + NOTICE_US;
	const struct row_field *field = row_field(ROWS_WORKERS, "turns");
	struct timespec pause = {.tv_nsec = POLL_NS};
	unsigned count = view->of[ROWS_WORKERS].count, passed = 0;

	for (unsigned i = 0; i < count; i++)
		turns[i] = row_number(view_row_at(view, ROWS_WORKERS, i), field);
	while (passed < count && view->now_us < deadline) {
		nanosleep(&pause, NULL);
		view = view_reader_take(capturing->views);
		for (passed = 0; passed < count; passed++)
			if (row_number(view_row_at(view, ROWS_WORKERS, passed), field) <
			    turns[passed] + 2)
				break;
	}
	return passed == count;
}

static int frames(struct capturing *capturing)
{
	struct timespec pause = {.tv_nsec = POLL_NS};
	uint64_t renewed = 0, looked = clock_us(CLOCK_MONOTONIC);

	while (!ended && capturing->written < capturing->most) {
		uint64_t now = clock_us(CLOCK_MONOTONIC);

		if (capturing->end_us && now >= capturing->end_us)
			return 0;
		if (now - renewed >= RENEW_US && !capture_reader_renew(capturing->reader))
			return fail("%s", "another process took the capture over");
		if (now - renewed >= RENEW_US)
			renewed = now;
		if (now - looked >= GATE_LOOK_US) {
			if (!view_reader_take(capturing->views)->pid)
				return fail("%s", "the gate does not run any more");
			looked = now;
		}
		read_rings(capturing);
		if (write_held(capturing, false))
			return cut(capturing);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int run(struct capturing *capturing, const struct capture_order *order, const char *path)
{
	char error[EXPORT_ERROR_MAX];
	int result;

	// In this order: the process that captures already may be writing this very file.
	if (capture_reader_begin(capturing->reader, order, error))
		return fail("%s", error);
	capturing->path = path;
	capturing->file = capture_file_open(path, order->snap);
	if (!capturing->file) {
		fprintf(stderr, "relaygate: %s: %s\n", path, strerror(errno));
		return -1;
	}
	result = noticed(capturing) ? 0 : fail("%s", "the gate does not answer");
	if (result == 0) {
		fprintf(stderr, "relaygate: capturing; Ctrl-C ends it\n");
		result = frames(capturing);
	}
	read_rings(capturing);
	if (!capturing->cut && write_held(capturing, true))
		result = cut(capturing);
	if (capture_file_close(capturing->file, capture_reader_lost(capturing->reader)))
		result = cut(capturing);
	if (!capturing->cut)
		fprintf(stderr, "relaygate: %" PRIu64 " frames captured, %" PRIu64 " lost\n",
			capturing->written, capture_reader_lost(capturing->reader));
	return result;
}

static int open_instance(struct capturing *capturing, const char *directory)
{
	char error[EXPORT_ERROR_MAX];

	if (view_reader_open(directory, &capturing->views, error) ||
	    capture_reader_open(directory, &capturing->reader, error))
		return fail("%s", error);
	if (!view_reader_take(capturing->views)->pid)
		return fail("%s: the gate does not run", directory);
	return 0;
}

int command_capture(const struct command_options *options)
{
	struct capturing *capturing = calloc(1, sizeof(*capturing));
	struct capture_order *order = aligned_alloc(64, sizeof(*order));
	struct sigaction stop = {.sa_handler = end};
	char *directory = instance_directory(options);
	uint64_t seconds = 0;
	int result = -1;

	if (!capturing || !order || !directory)
		goto release;
	memset(order, 0, sizeof(*order));
	capturing->most = UINT64_MAX;
	if (open_instance(capturing, directory) ||
	    read_number(options->count, "--count", UINT64_MAX, &capturing->most) ||
	    read_number(options->seconds, "--seconds", 86400 * 365, &seconds) ||
	    read_order(options, view_reader_take(capturing->views), order))
		goto release;
	if (seconds)
		capturing->end_us = clock_us(CLOCK_MONOTONIC) + seconds * 1000000;
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	result = run(capturing, order, options->write);

release:
	if (capturing) {
		capture_reader_close(capturing->reader);
		view_reader_close(capturing->views);
		for (unsigned i = 0; i < HELD_MAX; i++)
			free(capturing->held[i]);
	}
	free(capturing);
	free(order);
	free(directory);
	return result ? EXIT_WRONG : EXIT_FINE;
}
