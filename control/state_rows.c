// SPDX-License-Identifier: BSD-3-Clause
//
// See state_rows.h. Readers see each number whole; a row changes its name last of all, and is
// emptied before, so that no name stands beside another's numbers.
#include "control/state_rows.h"

#include "bpf/export.h"
#include "config/policy.h"
#include "control/crew.h"
#include "dataplane/base/tick.h"
#include "dataplane/gate/offenders.h"
#include "dataplane/relay/servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFENDERS_INTERVAL_US 1000000

struct state_rows {
	struct server_counters *servers;
	unsigned server_rows;
	struct server_counters *before; // the servers' rows as they were written last
	struct offender_counters *offenders;
	uint64_t offenders_due_us;
	unsigned capacity; // of found
	struct offender *found;
};

static const char *const reason_names[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
	REASONS(X)
#undef X
};

unsigned state_rows_servers(const struct policy *policy)
{
	unsigned count = 0;

	for (unsigned i = 0; i < policy->backend_count; i++)
		count += policy->backends[i].server_count;
	return count * 2 + 16;
}

struct state_rows *state_rows_create(struct export *export, unsigned server_rows)
{
	struct state_rows *rows = calloc(1, sizeof(*rows));

	if (!rows)
		return NULL;
	rows->servers = export_servers(export);
	rows->server_rows = server_rows;
	rows->before = aligned_alloc(_Alignof(struct server_counters),
				     server_rows * sizeof(rows->before[0]));
	if (!rows->before) {
		free(rows);
		return NULL;
	}
	rows->offenders = export_offenders(export);
	return rows;
}

void state_rows_destroy(struct state_rows *rows)
{
	if (!rows)
		return;
	free(rows->found);
	free(rows->before);
	free(rows);
}

static void put(unsigned long long *field, uint64_t value)
{
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

// A row of another name starts anew. name of at most COUNTERS_NAME_BYTES; the rest is zero.
static void name_row(void *row, size_t bytes, const char *name, const char *second)
{
	char *texts = row; // both kinds of rows open with two of them

	if (strncmp(texts, name, COUNTERS_NAME_BYTES) == 0 &&
	    strncmp(texts + COUNTERS_NAME_BYTES, second, COUNTERS_NAME_BYTES) == 0)
		return;
	memset(row, 0, bytes);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy(texts + COUNTERS_NAME_BYTES, second, strnlen(second, COUNTERS_NAME_BYTES));
	memcpy(texts, name, strnlen(name, COUNTERS_NAME_BYTES));
}

// What was said of the server last; a reload may have moved it to another row. NULL: it is new.
static const struct server_counters *find_before(const struct state_rows *rows, unsigned at)
{
	const struct server_counters *row = &rows->servers[at];

	for (unsigned i = 0; i < rows->server_rows; i++) {
		const struct server_counters *before = &rows->before[(at + i) % rows->server_rows];

		if (memcmp(before->name, row->name, sizeof(row->name)) == 0 &&
		    memcmp(before->backend, row->backend, sizeof(row->backend)) == 0)
			return before;
	}
	return NULL;
}

static void write_server(const struct state_rows *rows, unsigned at, const struct backend *backend,
			 const struct servers_view *view, uint64_t wall_us)
{
	struct server_counters *row = &rows->servers[at];
	const struct server_counters *before = find_before(rows, at);
	bool live = view->health == SERVER_LIVE, down = view->health == SERVER_DOWN;
	bool same = before && before->live == live && before->down == down;

	put(&row->since_us, same ? before->since_us : wall_us);
	put(&row->live, live);
	put(&row->down, down);
	put(&row->connections, view->connections);
	put(&row->connections_max, backend->max_connections);
	put(&row->waiting, view->waiting);
}

static void write_servers(struct state_rows *rows, const struct policy *policy,
			  const struct servers_shared *shared, uint64_t wall_us)
{
	char text[ENDPOINT_TEXT_MAX];
	unsigned at = 0;

	memcpy(rows->before, rows->servers, rows->server_rows * sizeof(rows->before[0]));
	for (unsigned i = 0; i < policy->backend_count; i++) {
		const struct backend *backend = &policy->backends[i];

		for (unsigned j = 0; j < backend->server_count && at < rows->server_rows; j++) {
			struct server_counters *row = &rows->servers[at];
			struct servers_view view = servers_shared_view(shared, policy, i, j);

			endpoint_format(&backend->servers[j], text);
			name_row(row, sizeof(*row), text, backend->name);
			write_server(rows, at, backend, &view, wall_us);
			at++;
		}
	}
	memset(&rows->servers[at], 0, (rows->server_rows - at) * sizeof(rows->servers[0]));
}

static int by_source(const void *a, const void *b)
{
	return memcmp(&((const struct offender *)a)->source, &((const struct offender *)b)->source,
		      sizeof(struct address));
}

static int by_frames(const void *a, const void *b)
{
	uint64_t x = ((const struct offender *)a)->frames, y = ((const struct offender *)b)->frames;

	return x != y ? (x < y ? 1 : -1) : by_source(a, b);
}

// One entry a source, the numbers of all workers added up; returns how many.
static unsigned merge(struct offender *found, unsigned count)
{
	unsigned merged = 0;

	qsort(found, count, sizeof(*found), by_source);
	for (unsigned i = 0; i < count; i++) {
		struct offender *last = merged ? &found[merged - 1] : NULL;

		if (!last || by_source(last, &found[i]) != 0) {
			found[merged++] = found[i];
			continue;
		}
		last->frames += found[i].frames;
		last->over += found[i].over;
		if (found[i].seen_us > last->seen_us) {
			last->seen_us = found[i].seen_us;
			last->reason = found[i].reason;
		}
	}
	qsort(found, merged, sizeof(*found), by_frames);
	return merged;
}

static void write_offender(struct offender_counters *row, const struct offender *offender,
			   struct tick now)
{
	char text[COUNTERS_NAME_BYTES];
	uint64_t age_us = now.now_us > offender->seen_us ? now.now_us - offender->seen_us : 0;

	address_format(&offender->source, text);
	if (!address_is_ipv4(&offender->source))
		strcat(text, "/64");
	name_row(row, sizeof(*row), text, reason_names[offender->reason]);
	put(&row->frames, offender->frames);
	put(&row->frames_over, offender->over);
	put(&row->seen_us, now.wall_us - age_us);
}

static void write_offenders(struct state_rows *rows, const struct crew *crew, struct tick now)
{
	unsigned workers = crew_workers(crew), count = 0;

	if (rows->capacity < workers * OFFENDERS_ENTRIES) {
		free(rows->found);
		rows->found = calloc(workers * OFFENDERS_ENTRIES, sizeof(*rows->found));
		rows->capacity = rows->found ? workers * OFFENDERS_ENTRIES : 0;
		if (!rows->found)
			return; // next time
	}
	for (unsigned i = 0; i < workers; i++)
		count += offenders_read(crew_offenders(crew, i), now.now_us, rows->found + count);
	count = merge(rows->found, count);
	if (count > OFFENDERS_SHOWN)
		count = OFFENDERS_SHOWN;
	for (unsigned i = 0; i < count; i++)
		write_offender(&rows->offenders[i], &rows->found[i], now);
	memset(&rows->offenders[count], 0, (OFFENDERS_SHOWN - count) * sizeof(rows->offenders[0]));
}

void state_rows_servers_write(struct state_rows *rows, const struct policy *policy,
			      const struct servers_shared *servers, struct tick now)
{
	write_servers(rows, policy, servers, now.wall_us);
}

void state_rows_offenders_write(struct state_rows *rows, const struct crew *crew, struct tick now)
{
	if (now.now_us < rows->offenders_due_us)
		return;
	rows->offenders_due_us = now.now_us + OFFENDERS_INTERVAL_US;
	write_offenders(rows, crew, now);
}
