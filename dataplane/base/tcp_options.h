// SPDX-License-Identifier: BSD-3-Clause
//
// The TCP options that matter here, as plain values: parsed by tcp/options, carried by gate/
// through the handshake, owned by the flow afterwards.
#ifndef RELAYGATE_BASE_TCP_OPTIONS_H
#define RELAYGATE_BASE_TCP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define TCP_NO_WINDOW_SCALE 0xff

struct tcp_options {
	uint16_t mss;         // 0 = option absent
	uint8_t window_scale; // shift 0-14 (RFC 7323 2.3: larger reads as 14), or
			      // TCP_NO_WINDOW_SCALE
	bool sack_permitted;
	bool timestamps;
	uint32_t timestamp_value; // TSval
	uint32_t timestamp_echo;  // TSecr
};

#endif
