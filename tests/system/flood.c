// SPDX-License-Identifier: BSD-3-Clause
//
// Sends frames with forged sources at a steady rate, straight to a link: what a flood looks like to
// the gate. TCP SYNs, or KIND: ack (numbers at random), udp, fragment (the first of a TCP segment),
// scan (SYNs to all ports). Bounded in number, so that it always ends; SIGTERM ends it early.
// Owns a packet socket in the namespace that it is started in; works only on frames, so no kernel
// answers for the forged sources. Does not read what comes back.
//
//   flood INTERFACE GATE-MAC SOURCE-NETWORK PREFIX-LENGTH DESTINATION PORT COUNT RATE SEED [KIND]
//
// Prints the frames that the interface took and the microseconds that it needed.

#include "tests/system/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64
#define LINK_BYTES  14
#define TCP_BYTES   24 // with the MSS option
#define PIECE_BYTES 8  // the IPv6 fragment header
#define FRAME_BYTES (LINK_BYTES + 40 + PIECE_BYTES + TCP_BYTES)

enum kind { KIND_SYN, KIND_ACK, KIND_UDP, KIND_FRAGMENT, KIND_SCAN, KINDS };

static const char *const kinds[KINDS] = {"syn", "ack", "udp", "fragment", "scan"};
static volatile sig_atomic_t ended;

struct flood {
	int socket;
	uint8_t destination_mac[6], source_mac[6];
	uint8_t network[16], destination[16]; // network byte order; IPv4 in the first four
	unsigned prefix_length;
	unsigned address_bytes; // 4 or 16
	uint16_t port;
	uint64_t random;
	enum kind kind;
};

static void fail(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void random_source(struct flood *flood, uint8_t *source)
{
	uint64_t low = next_random(&flood->random), high = next_random(&flood->random);

	for (unsigned i = 0; i < flood->address_bytes; i++) {
		unsigned before = 8 * i;
		uint8_t mask = before >= flood->prefix_length ? 0xff
			       : before + 8 <= flood->prefix_length
				       ? 0
				       : (uint8_t)(0xff >> (flood->prefix_length - before));
		uint8_t byte = (uint8_t)((i < 8 ? high : low) >> (8 * (i % 8)));

		source[i] = (uint8_t)(flood->network[i] | (byte & mask));
	}
}

static uint8_t *build_ip(struct flood *flood, uint8_t *frame)
{
	bool ipv6 = flood->address_bytes == 16, piece = flood->kind == KIND_FRAGMENT;
	uint8_t *ip = frame + LINK_BYTES, protocol = flood->kind == KIND_UDP ? 17 : 6;
	uint8_t *addresses = ip + (ipv6 ? 8 : 12);

	random_source(flood, addresses);
	memcpy(addresses + flood->address_bytes, flood->destination, flood->address_bytes);
	if (!ipv6) {
		ip[0] = 0x45;
		ip[3] = 20 + TCP_BYTES;
		ip[6] = piece ? 0x20 : 0; // more fragments
		ip[8] = 64;
		ip[9] = protocol;
		store_checksum(ip + 10, sum_words(0, ip, 20));
		return ip + 20;
	}
	ip[0] = 0x60;
	ip[5] = (uint8_t)(TCP_BYTES + (piece ? PIECE_BYTES : 0));
	ip[6] = piece ? 44 : protocol;
	ip[7] = 64;
	if (!piece)
		return ip + 40;
	memcpy(ip + 40, (uint8_t[PIECE_BYTES]){protocol, 0, 0, 1}, PIECE_BYTES);
	return ip + 40 + PIECE_BYTES;
}

static void build_tcp(struct flood *flood, uint8_t *tcp)
{
	uint64_t random = next_random(&flood->random);
	uint16_t port = flood->kind == KIND_SCAN ? (uint16_t)(random >> 16) : flood->port;

	tcp[0] = (uint8_t)(4 + (random & 0x7f)); // 1024 and above
	tcp[1] = (uint8_t)(random >> 8);
	tcp[2] = (uint8_t)(port >> 8);
	tcp[3] = (uint8_t)port;
	if (flood->kind == KIND_UDP) {
		tcp[5] = TCP_BYTES; // its length; no checksum in IPv4
		return;
	}
	memcpy(tcp + 4, (uint8_t *)&random + 4, 4);
	if (flood->kind == KIND_ACK) {
		random = next_random(&flood->random);
		memcpy(tcp + 8, &random, 4);
	}
	tcp[12] = TCP_BYTES / 4 << 4;
	tcp[13] = flood->kind == KIND_ACK ? 0x10 : 0x02;
	tcp[14] = 0xfa;
	memcpy(tcp + 20, (uint8_t[]){2, 4, 0x05, 0xb4}, 4); // MSS 1460
}

// One frame of the flood; returns its length.
static unsigned build_frame(struct flood *flood, uint8_t frame[FRAME_BYTES])
{
	bool ipv6 = flood->address_bytes == 16, udp = flood->kind == KIND_UDP;
	uint8_t *addresses = frame + LINK_BYTES + (ipv6 ? 8 : 12), *tcp;
	uint32_t sum;

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, flood->destination_mac, 6);
	memcpy(frame + 6, flood->source_mac, 6);
	frame[12] = ipv6 ? 0x86 : 0x08;
	frame[13] = ipv6 ? 0xdd : 0x00;
	tcp = build_ip(flood, frame);
	build_tcp(flood, tcp);
	sum = sum_words((udp ? 17 : 6) + TCP_BYTES, addresses, 2 * flood->address_bytes);
	store_checksum(tcp + (udp ? 6 : 16), sum_words(sum, tcp, TCP_BYTES));
	return (unsigned)(tcp + TCP_BYTES - frame);
}

// A batch of frames; returns how many the interface took.
static unsigned send_batch(struct flood *flood, unsigned count)
{
	static uint8_t frames[BATCH][FRAME_BYTES];
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	int sent;

	memset(messages, 0, sizeof(messages));
	for (unsigned i = 0; i < count; i++) {
		parts[i].iov_base = frames[i];
		parts[i].iov_len = build_frame(flood, frames[i]);
		messages[i].msg_hdr.msg_iov = &parts[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(flood->socket, messages, count, 0);
	if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
		fail("send");
	return sent < 0 ? 0 : (unsigned)sent;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void open_link(struct flood *flood, const char *interface)
{
	struct sockaddr_ll link = {.sll_family = AF_PACKET,
				   .sll_ifindex = (int)if_nametoindex(interface)};
	socklen_t length = sizeof(link);
	int one = 1;

	// Protocol 0: this socket receives nothing.
	flood->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (flood->socket < 0)
		fail("packet socket");
	if (!link.sll_ifindex || bind(flood->socket, (struct sockaddr *)&link, sizeof(link)))
		fail(interface);
	if (setsockopt(flood->socket, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		fail("PACKET_QDISC_BYPASS");
	if (getsockname(flood->socket, (struct sockaddr *)&link, &length))
		fail("own MAC address");
	memcpy(flood->source_mac, link.sll_addr, 6);
}

static void end(int number)
{
	ended = 1;
}

static bool parse_kind(struct flood *flood, const char *name)
{
	while (flood->kind < KINDS && strcmp(name, kinds[flood->kind]) != 0)
		flood->kind++;
	return flood->kind < KINDS;
}

static bool parse(struct flood *flood, char **arguments)
{
	unsigned mac[6];
	int family = strchr(arguments[3], ':') ? AF_INET6 : AF_INET;

	if (sscanf(arguments[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6)
		return false;
	for (unsigned i = 0; i < 6; i++)
		flood->destination_mac[i] = (uint8_t)mac[i];
	flood->address_bytes = family == AF_INET6 ? 16 : 4;
	flood->prefix_length = (unsigned)atoi(arguments[4]);
	flood->port = (uint16_t)atoi(arguments[6]);
	flood->random = strtoull(arguments[9], NULL, 0);
	return inet_pton(family, arguments[3], flood->network) == 1 &&
	       inet_pton(family, arguments[5], flood->destination) == 1 &&
	       flood->prefix_length <= 8 * flood->address_bytes;
}

int main(int argc, char **argv)
{
	struct flood flood = {0};
	uint64_t count, rate, started, sent = 0;

	if (argc < 10 || argc > 11 || !parse(&flood, argv) ||
	    (argc == 11 && !parse_kind(&flood, argv[10])) ||
	    !(rate = strtoull(argv[8], NULL, 10))) {
		fprintf(stderr, "usage: flood INTERFACE GATE-MAC SOURCE-NETWORK PREFIX-LENGTH "
				"DESTINATION PORT COUNT RATE SEED [KIND]\n");
		return 1;
	}
	count = strtoull(argv[7], NULL, 10);
	open_link(&flood, argv[1]);
	signal(SIGTERM, end);
	started = now_ns();
	while (sent < count && !ended) {
		uint64_t due = started + sent * 1000000000 / rate, now = now_ns();
		struct timespec pause = {.tv_nsec = 200000};

		if (now < due) {
			nanosleep(&pause, NULL);
			continue;
		}
		sent += send_batch(&flood, count - sent < BATCH ? (unsigned)(count - sent) : BATCH);
	}
	printf("%" PRIu64 " %" PRIu64 "\n", sent, (now_ns() - started) / 1000);
	return 0;
}
