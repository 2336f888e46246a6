// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 791, 8200, 9293, 7323, 2018, 826 and 4861 as offsets.

#include "tests/sim/literal.h"

#include <string.h>

#define ETHERNET 14u
#define IPV4     20u
#define IPV6     40u
#define TCP      20u

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t sum16(uint32_t sum, const uint8_t *at, size_t length)
{
	uint64_t wide = sum;

	for (; length > 1; length -= 2, at += 2)
		wide += get16(at);
	if (length)
		wide += (uint32_t)at[0] << 8;
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	return (uint32_t)wide;
}

// The transport checksum over a packet whose addresses stand at `addresses`.
static uint16_t transport_sum(const uint8_t *addresses, size_t bytes, uint8_t protocol,
			      const uint8_t *at, size_t length)
{
	uint32_t sum = sum16((uint32_t)(protocol + length), addresses, bytes);

	return (uint16_t)~sum16(sum, at, length);
}

uint32_t literal_span(const struct literal *segment)
{
	return (uint32_t)segment->length + (segment->flags & LITERAL_SYN ? 1 : 0) +
	       (segment->flags & LITERAL_FIN ? 1 : 0);
}

static bool read_option(const uint8_t *option, size_t length, struct literal *segment)
{
	switch (option[0]) {
	case 2:
		segment->mss = length == 4 ? get16(option + 2) : 0;
		return length == 4;
	case 3:
		segment->scale = option[2];
		return length == 3;
	case 4:
		segment->sack_permitted = true;
		return length == 2;
	case 5:
		if (length < 10 || (length - 2) % 8 || (length - 2) / 8 > LITERAL_BLOCKS)
			return false;
		segment->blocks = (unsigned)(length - 2) / 8;
		for (unsigned i = 0; i < segment->blocks; i++) {
			segment->block[i][0] = get32(option + 2 + 8 * i);
			segment->block[i][1] = get32(option + 6 + 8 * i);
		}
		return true;
	case 8:
		segment->timestamps = true;
		segment->timestamp = get32(option + 2);
		segment->echo = get32(option + 6);
		return length == 10;
	default:
		return true;
	}
}

static bool read_options(const uint8_t *option, size_t length, struct literal *segment)
{
	size_t at = 0;

	while (at < length && option[at] != 0) {
		if (option[at] == 1) {
			at++;
			continue;
		}
		if (at + 1 >= length || option[at + 1] < 2 || at + option[at + 1] > length ||
		    !read_option(option + at, option[at + 1], segment))
			return false;
		at += option[at + 1];
	}
	return true;
}

static bool read_tcp(const uint8_t *tcp, size_t length, struct literal *segment)
{
	size_t header = (size_t)(tcp[12] >> 4) * 4;

	if (header < TCP || header > length)
		return false;
	segment->ends.source_port = get16(tcp);
	segment->ends.destination_port = get16(tcp + 2);
	segment->sequence = get32(tcp + 4);
	segment->acknowledgment = get32(tcp + 8);
	segment->flags = tcp[13];
	segment->window = get16(tcp + 14);
	segment->payload = tcp + header;
	segment->length = length - header;
	segment->options = (unsigned)(header - TCP);
	return read_options(tcp + TCP, header - TCP, segment);
}

bool literal_is_tcp(const uint8_t *frame, size_t length)
{
	return (length > ETHERNET + 9 && get16(frame + 12) == 0x0800 && frame[ETHERNET + 9] == 6) ||
	       (length > ETHERNET + 6 && get16(frame + 12) == 0x86dd && frame[ETHERNET + 6] == 6);
}

bool literal_is_icmp(const uint8_t *frame, size_t length)
{
	return (length > ETHERNET + 9 && get16(frame + 12) == 0x0800 && frame[ETHERNET + 9] == 1) ||
	       (length > ETHERNET + IPV6 && get16(frame + 12) == 0x86dd &&
		frame[ETHERNET + 6] == 58 && frame[ETHERNET + IPV6] < 128);
}

static bool is_arp(const uint8_t *frame, size_t length, unsigned operation)
{
	return length >= ETHERNET + 28 && get16(frame + 12) == 0x0806 &&
	       get16(frame + ETHERNET + 6) == operation;
}

static bool is_discovery(const uint8_t *frame, size_t length, uint8_t type)
{
	return length >= ETHERNET + IPV6 + 24 && get16(frame + 12) == 0x86dd &&
	       frame[ETHERNET + 6] == 58 && frame[ETHERNET + IPV6] == type;
}

bool literal_is_question(const uint8_t *frame, size_t length)
{
	const uint8_t *arp = frame + ETHERNET;

	return (is_arp(frame, length, 1) && memcmp(arp + 14, arp + 24, 4) != 0) ||
	       is_discovery(frame, length, 135);
}

bool literal_is_answer(const uint8_t *frame, size_t length)
{
	return is_arp(frame, length, 2) ||
	       (is_discovery(frame, length, 136) && frame[ETHERNET + IPV6 + 4] & 0x40); // solicited
}

bool literal_read(const uint8_t *frame, size_t length, struct literal *segment)
{
	const uint8_t *ip = frame + ETHERNET;
	size_t total;

	*segment = (struct literal){.scale = -1};
	if (length < ETHERNET + IPV4 + TCP)
		return false;
	memcpy(segment->destination_mac, frame, 6);
	memcpy(segment->source_mac, frame + 6, 6);
	if (get16(frame + 12) == 0x0800) {
		total = get16(ip + 2);
		if (ip[0] != 0x45 || ip[9] != 6 || total < IPV4 + TCP ||
		    total > length - ETHERNET || sum16(0, ip, IPV4) != 0xffff ||
		    (get16(ip + 6) & 0x3fff) ||
		    transport_sum(ip + 12, 8, 6, ip + IPV4, total - IPV4) != 0)
			return false;
		memcpy(segment->ends.source, mapped, 12);
		memcpy(segment->ends.destination, mapped, 12);
		memcpy(segment->ends.source + 12, ip + 12, 4);
		memcpy(segment->ends.destination + 12, ip + 16, 4);
		return read_tcp(ip + IPV4, total - IPV4, segment);
	}
	if (get16(frame + 12) != 0x86dd || length < ETHERNET + IPV6 + TCP)
		return false;
	total = get16(ip + 4);
	if (ip[0] >> 4 != 6 || ip[6] != 6 || total < TCP || total > length - ETHERNET - IPV6 ||
	    transport_sum(ip + 8, 32, 6, ip + IPV6, total) != 0)
		return false;
	memcpy(segment->ends.source, ip + 8, 16);
	memcpy(segment->ends.destination, ip + 24, 16);
	return read_tcp(ip + IPV6, total, segment);
}

static size_t write_options(const struct literal *segment, uint8_t *at)
{
	uint8_t *start = at;

	if (segment->mss) {
		*at++ = 2;
		*at++ = 4;
		put16(at, segment->mss);
		at += 2;
	}
	if (segment->scale >= 0) {
		*at++ = 3;
		*at++ = 3;
		*at++ = (uint8_t)segment->scale;
	}
	if (segment->sack_permitted) {
		*at++ = 4;
		*at++ = 2;
	}
	if (segment->timestamps) {
		*at++ = 8;
		*at++ = 10;
		put32(at, segment->timestamp);
		put32(at + 4, segment->echo);
		at += 8;
	}
	if (segment->blocks) {
		*at++ = 5;
		*at++ = (uint8_t)(2 + 8 * segment->blocks);
		for (unsigned i = 0; i < segment->blocks; i++, at += 8) {
			put32(at, segment->block[i][0]);
			put32(at + 4, segment->block[i][1]);
		}
	}
	while ((at - start) % 4)
		*at++ = 1;
	return (size_t)(at - start);
}

static size_t write_tcp(const struct literal *segment, uint8_t *tcp)
{
	size_t header = TCP + write_options(segment, tcp + TCP);

	put16(tcp, segment->ends.source_port);
	put16(tcp + 2, segment->ends.destination_port);
	put32(tcp + 4, segment->sequence);
	put32(tcp + 8, segment->acknowledgment);
	tcp[12] = (uint8_t)(header / 4 << 4);
	tcp[13] = segment->flags;
	put16(tcp + 14, segment->window);
	put32(tcp + 16, 0);
	if (segment->length)
		memcpy(tcp + header, segment->payload, segment->length);
	return header + segment->length;
}

size_t literal_write(const struct literal *segment, uint8_t *frame)
{
	uint8_t *ip = frame + ETHERNET;
	size_t length;

	memcpy(frame, segment->destination_mac, 6);
	memcpy(frame + 6, segment->source_mac, 6);
	if (memcmp(segment->ends.source, mapped, 12) == 0) {
		put16(frame + 12, 0x0800);
		length = write_tcp(segment, ip + IPV4);
		memset(ip, 0, IPV4);
		ip[0] = 0x45;
		put16(ip + 2, (uint32_t)(IPV4 + length));
		put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, segment->ends.source + 12, 4);
		memcpy(ip + 16, segment->ends.destination + 12, 4);
		put16(ip + 10, ~sum16(0, ip, IPV4));
		put16(ip + IPV4 + 16, transport_sum(ip + 12, 8, 6, ip + IPV4, length));
		return ETHERNET + IPV4 + length;
	}
	put16(frame + 12, 0x86dd);
	length = write_tcp(segment, ip + IPV6);
	memset(ip, 0, 8);
	ip[0] = 0x60;
	put16(ip + 4, (uint32_t)length);
	ip[6] = 6;
	ip[7] = 64;
	memcpy(ip + 8, segment->ends.source, 16);
	memcpy(ip + 24, segment->ends.destination, 16);
	put16(ip + IPV6 + 16, transport_sum(ip + 8, 32, 6, ip + IPV6, length));
	return ETHERNET + IPV6 + length;
}

static size_t answer_arp(const uint8_t *frame, const uint8_t address[16], const uint8_t mac[6],
			 uint8_t *answer)
{
	const uint8_t *arp = frame + ETHERNET;

	if (get16(arp + 6) != 1 || memcmp(address, mapped, 12) != 0 ||
	    memcmp(arp + 24, address + 12, 4) != 0 || memcmp(arp + 14, arp + 24, 4) == 0)
		return 0;
	memcpy(answer, frame + 6, 6);
	memcpy(answer + 6, mac, 6);
	put16(answer + 12, 0x0806);
	memcpy(answer + ETHERNET, arp, 6);
	put16(answer + ETHERNET + 6, 2);
	memcpy(answer + ETHERNET + 8, mac, 6);
	memcpy(answer + ETHERNET + 14, address + 12, 4);
	memcpy(answer + ETHERNET + 18, arp + 8, 10);
	return ETHERNET + 28;
}

static size_t answer_solicitation(const uint8_t *frame, const uint8_t address[16],
				  const uint8_t mac[6], uint8_t *answer)
{
	const uint8_t *ip = frame + ETHERNET;
	uint8_t *reply = answer + ETHERNET, *icmp = reply + IPV6;

	if (ip[6] != 58 || ip[IPV6] != 135 || memcmp(ip + IPV6 + 8, address, 16) != 0)
		return 0;
	memcpy(answer, frame + 6, 6);
	memcpy(answer + 6, mac, 6);
	put16(answer + 12, 0x86dd);
	memset(reply, 0, IPV6 + 32);
	reply[0] = 0x60;
	put16(reply + 4, 32);
	reply[6] = 58;
	reply[7] = 255;
	memcpy(reply + 8, address, 16);
	memcpy(reply + 24, ip + 8, 16);
	icmp[0] = 136;
	icmp[4] = 0x60; // solicited, override
	memcpy(icmp + 8, address, 16);
	icmp[24] = 2;
	icmp[25] = 1;
	memcpy(icmp + 26, mac, 6);
	put16(icmp + 2, transport_sum(reply + 8, 32, 58, icmp, 32));
	return ETHERNET + IPV6 + 32;
}

size_t literal_resolve(const uint8_t *frame, size_t length, const uint8_t address[16],
		       const uint8_t mac[6], uint8_t *answer)
{
	if (length >= ETHERNET + 28 && get16(frame + 12) == 0x0806)
		return answer_arp(frame, address, mac, answer);
	if (length >= ETHERNET + IPV6 + 24 && get16(frame + 12) == 0x86dd)
		return answer_solicitation(frame, address, mac, answer);
	return 0;
}
