// SPDX-License-Identifier: BSD-3-Clause
//
// Policies and SYN floods out of a few numbers; see syns.h.
#include "tests/bench/syns.h"

#include "config/policy.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"

#include <stdlib.h>
#include <string.h>

// Numbers of unlisted sources begin here: ranges never reach it.
#define STRANGERS_FROM    0x20000000u
#define SYN_TCP_BYTES     24    // with an MSS option
#define HALF_OPEN_DEFAULT 16384 // the product's

static const uint8_t peer_mac[6] = {0x02, 0, 0, 0, 0, 0x99};

// Bijections of 31 and 60 bits: odd factors and shifts to the right can be undone.
static uint32_t mix31(uint32_t x)
{
	x = (x ^ x >> 15) * 0x2c1b3c6du & 0x7fffffffu;
	x = (x ^ x >> 12) * 0x297a2d39u & 0x7fffffffu;
	return x ^ x >> 15;
}

static uint64_t mix60(uint64_t x)
{
	const uint64_t mask = (1ull << 60) - 1;

	x = ((x ^ x >> 31) * 0x9e3779b97f4a7c15ull) & mask;
	x = ((x ^ x >> 29) * 0xbf58476d1ce4e5b9ull) & mask;
	return x ^ x >> 30;
}

static bool possible(uint32_t ipv4)
{
	uint32_t top = ipv4 >> 24;

	return top != 0 && top != 127 && top < 224 && top != 192 && top != 10;
}

static struct address from_ipv4(uint32_t number)
{
	uint8_t bytes[4];

	put_u32(bytes, number);
	return address_from_ipv4(bytes);
}

static struct address from_subnet6(uint64_t high, uint64_t low)
{
	uint8_t bytes[16];

	put_u32(bytes, (uint32_t)(high >> 32));
	put_u32(bytes + 4, (uint32_t)high);
	put_u32(bytes + 8, (uint32_t)(low >> 32));
	put_u32(bytes + 12, (uint32_t)low);
	return address_from_ipv6(bytes);
}

// `count` addresses, even ones of numbers from 0 on or odd ones further up. Below 2000::/3.
static void fill(unsigned family, bool odd, uint32_t count, struct address out[])
{
	uint32_t number = odd ? STRANGERS_FROM : 0;

	for (uint32_t made = 0; made < count; number++) {
		if (family == 4) {
			uint32_t ipv4 = mix31(number) << 1 | odd;

			if (possible(ipv4))
				out[made++] = from_ipv4(ipv4);
		} else {
			uint64_t high = 0x2000000000000000ull | mix60(number) << 1 | odd;

			out[made++] = from_subnet6(high, odd ? mix60(~number) : 1);
		}
	}
}

struct address syns_gate(unsigned family)
{
	return family == 4 ? from_ipv4(0xc000020au) : from_subnet6(0x20010db800010000ull, 0x10);
}

void syns_ranges(const struct syns *syns, struct address ranges[])
{
	fill(syns->family, false, syns->ranges, ranges);
}

void syns_sources(const struct syns *syns, struct address sources[])
{
	if (!syns->listed) {
		fill(syns->family, true, syns->frames, sources);
		return;
	}
	fill(syns->family, false, syns->frames < syns->ranges ? syns->frames : syns->ranges,
	     sources);
	for (uint32_t i = syns->ranges; i < syns->frames; i++)
		sources[i] = sources[i % syns->ranges];
}

static void print_connector(FILE *out, const struct syns *syns, const struct address ranges[],
			    uint32_t connector)
{
	char text[ADDRESS_TEXT_MAX];
	// As many connectors as there are ranges share a binding.
	unsigned port = SYNS_PORT + connector / syns->ranges;
	uint32_t step = syns->connectors < syns->ranges ? syns->connectors : syns->ranges;

	fprintf(out,
		"[connector c%u]\nBindings = 192.0.2.10:%u, [2001:db8:1::10]:%u\n"
		"PermissionGroups = AnonymousUsers\nRemoteIPRanges =",
		connector, port, port);
	for (uint32_t i = connector % syns->ranges; i < syns->ranges; i += step)
		fprintf(out, "\n\t%s%s", address_format(&ranges[i], text),
			syns->family == 6 ? "/64" : "");
	fprintf(out, "\n");
}

char *syns_policy(const struct syns *syns, const char *device)
{
	struct address *ranges = calloc(syns->ranges, sizeof(*ranges));
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!ranges || !out)
		abort();
	syns_ranges(syns, ranges);
	fprintf(out,
		"[gate]\nName = mx.test\nMaxSessions = 64\nHalfOpenEntries = %u\nBufferMemory = "
		"16MB\nSpin = yes\n"
		"[port outside]\nDevice = %s\nAddress = 192.0.2.10/24, 2001:db8:1::10/64\n"
		"Gateway = 192.0.2.1, 2001:db8:1::1\n[accepted-domain accepted.test]\n"
		"[backend cluster]\nServers = 192.0.2.11:25\nProbeInterval = 1h\n",
		syns->half_open ? syns->half_open : HALF_OPEN_DEFAULT, device);
	for (uint32_t i = 0; i < syns->connectors; i++)
		print_connector(out, syns, ranges, i);
	fclose(out);
	free(ranges);
	return text;
}

static uint8_t *put_ip(const struct syns *syns, const struct address *source, uint8_t *ip)
{
	struct address gate = syns_gate(syns->family);

	if (syns->family == 6) {
		memcpy(ip, (uint8_t[]){0x60, 0, 0, 0, 0, SYN_TCP_BYTES, PROTOCOL_TCP, 57}, 8);
		memcpy(ip + 8, source->bytes, 16);
		memcpy(ip + 24, gate.bytes, 16);
		return ip + IPV6_HEADER_BYTES;
	}
	memcpy(ip,
	       (uint8_t[]){0x45, 0, 0, IPV4_HEADER_BYTES + SYN_TCP_BYTES, 0, 0, 0x40, 0, 57,
			   PROTOCOL_TCP},
	       10);
	memcpy(ip + 12, address_ipv4_bytes(source), 4);
	memcpy(ip + 16, address_ipv4_bytes(&gate), 4);
	checksum_store(ip + 10, checksum_add(0, ip, IPV4_HEADER_BYTES));
	return ip + IPV4_HEADER_BYTES;
}

unsigned syns_frame(const struct syns *syns, const struct address *source, uint32_t index,
		    const uint8_t gate_mac[6], uint8_t frame[SYNS_FRAME_MAX])
{
	uint8_t *ip = frame + ETHERNET_HEADER_BYTES, *tcp;
	uint64_t sum;
	unsigned length;

	memset(frame, 0, SYNS_FRAME_MAX);
	memcpy(frame, gate_mac, 6);
	memcpy(frame + 6, peer_mac, 6);
	put_u16(frame + 12, syns->family == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
	tcp = put_ip(syns, source, ip);
	put_u16(tcp, (uint16_t)(1024 + index % 60000));
	put_u16(tcp + 2, SYNS_PORT);
	put_u32(tcp + 4, index * 2654435761u);
	put_u32(tcp + 8, syns->acks ? (index + 1) * 0x9e3779b1u : 0);
	tcp[12] = SYN_TCP_BYTES / 4 << 4;
	tcp[13] = syns->acks ? TCP_ACK : TCP_SYN;
	put_u16(tcp + 14, 64240);
	memcpy(tcp + 20, (uint8_t[]){2, 4, 5, 0xb4}, 4);
	sum = checksum_add(0, tcp, SYN_TCP_BYTES);
	sum = checksum_add_pseudo(sum, ip, PROTOCOL_TCP, SYN_TCP_BYTES);
	checksum_store(tcp + 16, sum);
	length = (unsigned)(tcp - frame) + SYN_TCP_BYTES;
	return length < 60 ? 60 : length;
}

bool syns_write_capture(const struct syns *syns, const uint8_t gate_mac[6], const char *file)
{
	static const uint32_t header[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
	struct address *sources = calloc(syns->frames, sizeof(*sources));
	FILE *out = fopen(file, "wb");
	bool written = sources && out && fwrite(header, sizeof(header), 1, out) == 1;

	if (written)
		syns_sources(syns, sources);
	for (uint32_t i = 0; written && i < syns->frames; i++) {
		uint8_t frame[SYNS_FRAME_MAX];
		unsigned length = syns_frame(syns, &sources[i], i, gate_mac, frame);
		uint32_t record[4] = {i, 0, length, length};

		written = fwrite(record, sizeof(record), 1, out) == 1 &&
			  fwrite(frame, length, 1, out) == 1;
	}
	free(sources);
	return out && fclose(out) == 0 && written;
}

// ---- Options ---------------------------------------------------------------------------------

static const struct argp_option arguments[] = {
	{"family", 'f', "4|6", 0, "of the flood and of the ranges", 0},
	{"connectors", 'c', "N", 0, "of the policy", 0},
	{"ranges", 'r', "N", 0, "of all connectors together", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct syns *syns = state->input;
	uint32_t number = value ? (uint32_t)strtoul(value, NULL, 10) : 0;

	switch (key) {
	case 'f':
		syns->family = number;
		break;
	case 'c':
		syns->connectors = number;
		break;
	case 'r':
		syns->ranges = number;
		break;
	case ARGP_KEY_END:
		if ((syns->family != 4 && syns->family != 6) || !syns->ranges ||
		    !syns->connectors || syns->connectors > POLICY_CONNECTORS_MAX)
			argp_error(state, "an option is out of range");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

const struct argp syns_argp = {arguments, parse, NULL, NULL, NULL, NULL, NULL};
