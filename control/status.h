// SPDX-License-Identifier: BSD-3-Clause
//
// A snapshot of an instance as `relaygate status` prints it, in three forms. All show the same
// numbers. Of a gate that does not run only what goes on at the next start is shown: a gauge of it
// says nothing.
#ifndef RELAYGATE_CONTROL_STATUS_H
#define RELAYGATE_CONTROL_STATUS_H

#include "bpf/view_reader.h"

#include <stdio.h>

struct json_object;

// busy[i]: share of its time that the worker of row i was busy just now, 0 to 1; NULL = not known.
void status_print_text(const struct view_snapshot *view, const double *busy, FILE *out);
// The caller owns what is returned.
struct json_object *status_json(const struct view_snapshot *view);
// The text exposition format of Prometheus, for node_exporter's textfile collector. Offenders are
// left out: each would make a time series for ever.
void status_print_prometheus(const struct view_snapshot *view, FILE *out);

// "2026-11-22T04:55:03Z"; "-" for 0. Returns text.
#define STATUS_TIME_MAX 24
char *status_time(uint64_t wall_us, char text[STATUS_TIME_MAX]);
// Microseconds between then and the snapshot; 0 when the clock has been set back behind it.
uint64_t status_age(const struct view_snapshot *view, uint64_t wall_us);
// "12 s", "3 h 12 min", "5 d 3 h". Returns text.
#define STATUS_SPAN_MAX 32
char *status_span(uint64_t us, char text[STATUS_SPAN_MAX]);
// A row's name, cut or filled up to so many columns, NUL-ended; that of a connector which the
// policy in force has no more ends in "(gone)". Returns the bytes.
#define STATUS_NAME_MAX 200
size_t status_name(enum row_kind kind, const void *row, unsigned columns,
		   char text[STATUS_NAME_MAX]);
// What the gate does: its state, or that it does not run.
const char *status_state(const struct view_snapshot *view);

#endif
