// SPDX-License-Identifier: BSD-3-Clause
//
// What bench_gate and its peers have in common: a policy of so many connectors with so many ranges,
// and SYNs or forged ACKs from distinct sources that lie in none of them, or in all. Ranges and
// sources are spread over the whole address space by a bijection, so that each program makes the
// same ones from the same numbers: listed addresses are even, unlisted ones odd. An IPv4 range is
// one host, an IPv6 range a /64. Owns nothing; measures nothing.
#ifndef RELAYGATE_BENCH_SYNS_H
#define RELAYGATE_BENCH_SYNS_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/address.h"

#define SYNS_FRAME_MAX 80
// The gate's MAC address is the device's; theirs is the gateway's.
#define SYNS_PORT 25

struct syns {
	unsigned family; // 4 or 6
	uint32_t connectors;
	uint32_t ranges;
	uint32_t frames;    // distinct sources
	bool listed;        // the sources are
	uint32_t half_open; // HalfOpenEntries; 0: the default
	bool acks;          // ACKs of numbers at random instead of SYNs
};

// --family, --connectors and --ranges, as a child of a program's options; its input is the struct
// syns. What is out of range ends the program.
extern const struct argp syns_argp;

// The gate's address of a family, which the SYNs go to.
struct address syns_gate(unsigned family);
// Fills all ranges (count of them) or all sources of SYNs.
void syns_ranges(const struct syns *syns, struct address ranges[]);
void syns_sources(const struct syns *syns, struct address sources[]);
// A policy for device, to be freed; more connectors than ranges are bound to further ports.
char *syns_policy(const struct syns *syns, const char *device);
// Frame number `index`: with good checksums and an MSS option, padded to 60 bytes; its length.
unsigned syns_frame(const struct syns *syns, const struct address *source, uint32_t index,
		    const uint8_t gate_mac[6], uint8_t frame[SYNS_FRAME_MAX]);
// All frames as a capture file; false with errno.
bool syns_write_capture(const struct syns *syns, const uint8_t gate_mac[6], const char *file);

#endif
