// SPDX-License-Identifier: BSD-3-Clause
//
// Frames byte by byte, written from the RFCs and without anything of the dataplane: what the watch
// and the scripted peer see of the gate, and say to it. Reading verifies every length and checksum.
// Does not handle VLAN tags, extension headers, IPv4 options or fragments: nobody here sends them.
#ifndef RELAYGATE_SIM_LITERAL_H
#define RELAYGATE_SIM_LITERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LITERAL_FIN 1u
#define LITERAL_SYN 2u
#define LITERAL_RST 4u
#define LITERAL_PSH 8u
#define LITERAL_ACK 16u

#define LITERAL_FRAME_MAX 2048
#define LITERAL_BLOCKS    4

// Are a's bytes behind b's in the sequence space?
static inline bool literal_behind(uint32_t a, uint32_t b)
{
	return a != b && b - a < 0x80000000u;
}

// Addresses in network byte order, IPv4 as ::ffff:a.b.c.d; the rest as numbers.
struct literal_ends {
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port;
};

struct literal {
	uint8_t source_mac[6], destination_mac[6];
	struct literal_ends ends;
	uint32_t sequence, acknowledgment;
	uint8_t flags;
	uint16_t window;
	uint16_t mss;        // 0 = no option
	int scale;           // -1 = no option
	bool sack_permitted; // option
	bool timestamps;     // option
	uint32_t timestamp, echo;
	unsigned options; // their bytes, padding included
	unsigned blocks;  // SACK option
	uint32_t block[LITERAL_BLOCKS][2];
	const uint8_t *payload;
	size_t length;
};

// Bytes that the segment takes of the sequence space.
uint32_t literal_span(const struct literal *segment);
// False when the frame is not a whole, right TCP segment. payload points into the frame.
bool literal_read(const uint8_t *frame, size_t length, struct literal *segment);
// Is it one at all, right or not?
bool literal_is_tcp(const uint8_t *frame, size_t length);
// An ICMP message, or an ICMPv6 error (neighbour discovery is none)?
bool literal_is_icmp(const uint8_t *frame, size_t length);
// Who has an address (ARP, neighbour discovery): asked, and answered. Announcements are neither.
bool literal_is_question(const uint8_t *frame, size_t length);
bool literal_is_answer(const uint8_t *frame, size_t length);
// Returns the frame's length, at most LITERAL_FRAME_MAX.
size_t literal_write(const struct literal *segment, uint8_t *frame);
// ARP request or neighbour solicitation for `address`? Then the answer of who has it. Returns its
// length, 0 when nothing is to be answered.
size_t literal_resolve(const uint8_t *frame, size_t length, const uint8_t address[16],
		       const uint8_t mac[6], uint8_t *answer);

#endif
