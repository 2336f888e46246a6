// SPDX-License-Identifier: BSD-3-Clause
//
// The rows that control writes about the gate as a whole (bpf/state.h): the backends' servers, and
// the sources that were dropped the most, merged over the workers. Workers write their own rows.
#ifndef RELAYGATE_CONTROL_STATE_ROWS_H
#define RELAYGATE_CONTROL_STATE_ROWS_H

#include <stdint.h>

struct crew;
struct export;
struct policy;
struct servers_shared;
struct state_rows;
struct tick;

// Rows for the servers of a policy, and for as many again that a later one may have.
unsigned state_rows_servers(const struct policy *policy);

// server_rows: what state_rows_servers said when the maps were made. NULL when out of memory.
struct state_rows *state_rows_create(struct export *export, unsigned server_rows);
void state_rows_destroy(struct state_rows *rows); // NULL is fine

// Writes the servers of the policy in force, every 100 ms.
void state_rows_servers_write(struct state_rows *rows, const struct policy *policy,
			      const struct servers_shared *servers, struct tick now);
// Writes the offenders, once a second, however often it is called.
void state_rows_offenders_write(struct state_rows *rows, const struct crew *crew, struct tick now);

#endif
