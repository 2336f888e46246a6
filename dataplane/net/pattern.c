// SPDX-License-Identifier: BSD-3-Clause
//
// See pattern.h. What is judged of a frame is a mask over its first bytes: the link header whole,
// of a tag, IP and TCP what packet.c looks at. A field that it begins to look at has to be added
// here; tests compare the two.
#include "dataplane/net/pattern.h"

#include "dataplane/net/wire.h"

enum {
	BLOCK_BYTES = 16,
	PATTERN_BYTES = PATTERN_BLOCKS * BLOCK_BYTES,
	TCP_DATA_OFFSET = 12,
	TCP_FLAGS = 13,
};

#define JUDGED_FLAGS (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)

// One compare of the processor's, wherever the bytes begin.
typedef uint64_t block __attribute__((vector_size(BLOCK_BYTES)));

static void judge(uint8_t judged[], unsigned first, unsigned count)
{
	memset(judged + first, 0xff, count);
}

static void judge_ipv4(uint8_t judged[], unsigned ip)
{
	judge(judged, ip, 1);      // version, header length
	judge(judged, ip + 2, 2);  // total length
	judge(judged, ip + 6, 2);  // fragments,
	judged[ip + 6] = 0xbf;     // but whether it may be fragmented
	judge(judged, ip + 9, 1);  // protocol
	judge(judged, ip + 16, 4); // destination
}

static void judge_ipv6(uint8_t judged[], unsigned ip)
{
	judged[ip] = 0xf0;          // version
	judge(judged, ip + 4, 3);   // payload length, next header
	judge(judged, ip + 24, 16); // destination
}

void pattern_of(const struct view *view, struct pattern *pattern)
{
	unsigned tcp = view->transport_offset, end = tcp + TCP_HEADER_BYTES;
	uint8_t judged[PATTERN_BYTES] = {0}, expected[PATTERN_BYTES];

	pattern->destination = view->destination;
	pattern->destination_port = view->destination_port;
	pattern->flags = view->flags & JUDGED_FLAGS;
	pattern->network_offset = (uint8_t)view->network_offset;
	pattern->length = (uint32_t)view->frame.length;
	pattern->ipv4 = wire_is_ipv4(&view->source);
	judge(judged, 0, view->network_offset);
	if (view->network_offset > ETHERNET_HEADER_BYTES)
		judged[ETHERNET_HEADER_BYTES] = 0x0f; // of a tag not its priority
	if (pattern->ipv4)
		judge_ipv4(judged, view->network_offset);
	else
		judge_ipv6(judged, view->network_offset);
	judge(judged, tcp + 2, 2); // destination port
	judged[tcp + TCP_DATA_OFFSET] = 0xf0;
	judged[tcp + TCP_FLAGS] = JUDGED_FLAGS;
	for (unsigned i = 0; i < end; i++)
		expected[i] = view->frame.data[i] & judged[i];

	pattern->blocks = (uint8_t)((tcp + TCP_FLAGS) / BLOCK_BYTES + 1);
	for (unsigned i = 0; i < pattern->blocks; i++) {
		unsigned at = i * BLOCK_BYTES;

		if (at + BLOCK_BYTES > end)
			at = end - BLOCK_BYTES;
		memcpy(pattern->expected[i], expected + at, BLOCK_BYTES);
		memcpy(pattern->judged[i], judged + at, BLOCK_BYTES);
		pattern->last = (uint8_t)at;
	}
}

static inline __attribute__((always_inline)) block
difference(const uint8_t *at, const struct pattern *pattern, unsigned number)
{
	block bytes, expected, judged;

	memcpy(&bytes, at, sizeof(bytes));
	memcpy(&expected, pattern->expected[number], sizeof(expected));
	memcpy(&judged, pattern->judged[number], sizeof(judged));
	return (bytes & judged) ^ expected;
}

static inline __attribute__((always_inline)) bool
matches_one(const struct pattern *pattern, unsigned blocks, bool ipv4, struct slice frame)
{
	const uint8_t *ip = frame.data + pattern->network_offset;
	block differs = {0};

	if (frame.length < pattern->length)
		return false;
	differs |= difference(frame.data, pattern, 0);
	differs |= difference(frame.data + BLOCK_BYTES, pattern, 1);
	if (blocks > 3)
		differs |= difference(frame.data + 2 * BLOCK_BYTES, pattern, 2);
	if (blocks > 4)
		differs |= difference(frame.data + 3 * BLOCK_BYTES, pattern, 3);
	differs |= difference(frame.data + pattern->last, pattern, blocks - 1);
	if (differs[0] | differs[1])
		return false;
	return ipv4 ? wire_ipv4_sender_possible(ip) && get_u16(ip + IPV4_HEADER_BYTES)
		    : wire_ipv6_sender_possible(ip) && get_u16(ip + IPV6_HEADER_BYTES);
}

// `blocks` and `ipv4` are the pattern's, known to the compiler.
static inline __attribute__((always_inline)) void match(const struct pattern *pattern,
							unsigned blocks, bool ipv4,
							const struct slice frames[], uint64_t among,
							struct pattern_matches *matches)
{
	unsigned count = 0;

	for (; among; among &= among - 1) {
		unsigned at = (unsigned)__builtin_ctzll(among);
		const uint8_t *ip = frames[at].data + pattern->network_offset;

		if (!matches_one(pattern, blocks, ipv4, frames[at]))
			continue;
		if (ipv4)
			matches->sources.ipv4[count] = get_u32(ip + 12);
		else
			matches->sources.ipv6[count] = wire_ipv6(ip + 8);
		matches->frames[count++] = (uint8_t)at;
	}
	matches->count = count;
}

void pattern_match(const struct pattern *pattern, const struct slice frames[], uint64_t among,
		   struct pattern_matches *matches)
{
	if (!pattern->ipv4)
		match(pattern, 5, false, frames, among, matches);
	else if (pattern->blocks == 3)
		match(pattern, 3, true, frames, among, matches);
	else
		match(pattern, 4, true, frames, among, matches);
}
