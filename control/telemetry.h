// SPDX-License-Identifier: BSD-3-Clause
//
// What `relaygate status` shows, as commands of DPDK's telemetry: /relaygate/status and, for each
// kind of rows, /relaygate/KIND[,FIRST]: how many rows there are, and an array a column, as many
// rows from FIRST on as fit into a reply of DPDK's (16 KB). Answered by DPDK's own threads from the
// pins, as any reader outside would.
#ifndef RELAYGATE_CONTROL_TELEMETRY_H
#define RELAYGATE_CONTROL_TELEMETRY_H

// Before root is given up, after the counters were opened. 0, or -1 when they cannot be read or the
// commands cannot be registered: the gate runs without.
int telemetry_start(const char *pin_directory);
// Later commands find nothing.
void telemetry_stop(void);

#endif
