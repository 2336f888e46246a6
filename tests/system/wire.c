// SPDX-License-Identifier: BSD-3-Clause
//
// A bad wire: forwards frames between two interfaces, later than they came, loses some, holds some
// back so that others overtake them, and may refuse large packets as a router does. What a frame
// suffers is drawn from a generator with a seed, one for each direction. The loss happens between
// sender and receiver, where neither kernel can see it.
// Owns a packet socket on each interface; knows no address, needs none: a "too big" seems to come
// from the host that the packet was for. Frames must be whole (offloads off).
//
//   wire INTERFACE INTERFACE SEED
//
// Reads lines from standard input: "delay US", "loss PERMILLE", "reorder PERMILLE", "rate KBIT"
// (of each direction, 0 = no limit) and "mtu BYTES" (0 = any); each is answered with "ok" and holds
// for the frames that come afterwards. Ends with its input, and prints what happened then.

#include "tests/system/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX   2048
#define QUEUE       16384 // frames on their way in one direction; a power of two
#define LINK_BYTES  14
#define QUEUE_US    50000 // of waiting for the rate: what comes then is lost, as in a router
#define LATE_MIN_US 500   // a frame is held back by this or a fifth of the delay

struct frame {
	uint64_t due_us;
	uint32_t length;
	uint8_t bytes[FRAME_MAX];
};

// Frames with one delay leave in the order in which they came.
struct queue {
	struct frame *frames;
	uint32_t first, end;
};

struct direction {
	int from, to;
	uint64_t random;
	uint64_t free_us; // the rate lets the next frame start
	struct queue punctual, late;
	uint64_t passed, lost, reordered, refused, overrun;
};

struct wire {
	struct direction directions[2];
	uint64_t delay_us, loss, reorder, rate_kbit, mtu;
};

static void fail(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool chance(struct direction *direction, uint64_t permille)
{
	return next_random(&direction->random) % 1000 < permille;
}

static int open_interface(const char *name)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int one = 1, bytes = 8 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);

	if (fd < 0)
		fail("packet socket");
	address.sll_ifindex = (int)if_nametoindex(name);
	if (address.sll_ifindex == 0)
		fail(name);
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) ||
	    bind(fd, (struct sockaddr *)&address, sizeof(address)))
		fail(name);
	return fd;
}

// ---- Packet too big --------------------------------------------------------------------------

// Link layer back to the sender, and the addresses of the packet in exchanged roles.
static void turn_link(const uint8_t *bytes, uint8_t *answer)
{
	memset(answer, 0, LINK_BYTES + 48);
	memcpy(answer, bytes + 6, 6);
	memcpy(answer + 6, bytes, 6);
	memcpy(answer + 12, bytes + 12, 2);
}

// RFC 792 with RFC 1191's next-hop MTU; quotes the header and 8 bytes.
static uint32_t too_big4(const uint8_t *bytes, uint16_t mtu, uint8_t *answer)
{
	uint8_t *ip = answer + LINK_BYTES, *icmp = ip + 20;

	turn_link(bytes, answer);
	ip[0] = 0x45;
	ip[3] = 20 + 8 + 28;
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, bytes + LINK_BYTES + 16, 4);
	memcpy(ip + 16, bytes + LINK_BYTES + 12, 4);
	store_checksum(ip + 10, sum_words(0, ip, 20));
	icmp[0] = 3;
	icmp[1] = 4;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	memcpy(icmp + 8, bytes + LINK_BYTES, 28);
	store_checksum(icmp + 2, sum_words(0, icmp, 8 + 28));
	return LINK_BYTES + 20 + 8 + 28;
}

// RFC 4443 section 3.2.
static uint32_t too_big6(const uint8_t *bytes, uint16_t mtu, uint8_t *answer)
{
	uint8_t *ip = answer + LINK_BYTES, *icmp = ip + 40;
	const uint32_t length = 8 + 60;

	turn_link(bytes, answer);
	ip[0] = 0x60;
	ip[5] = (uint8_t)length;
	ip[6] = 58;
	ip[7] = 64;
	memcpy(ip + 8, bytes + LINK_BYTES + 24, 16);
	memcpy(ip + 24, bytes + LINK_BYTES + 8, 16);
	icmp[0] = 2;
	icmp[2] = icmp[3] = 0;
	icmp[6] = (uint8_t)(mtu >> 8);
	icmp[7] = (uint8_t)mtu;
	memcpy(icmp + 8, bytes + LINK_BYTES, 60);
	store_checksum(icmp + 2, sum_words(length + 58, ip + 8, 32 + length));
	return LINK_BYTES + 40 + length;
}

static bool refuse(const struct wire *wire, const struct direction *direction, const uint8_t *bytes,
		   uint32_t length)
{
	uint8_t answer[256];
	uint32_t answer_length;
	uint16_t type = (uint16_t)(bytes[12] << 8 | bytes[13]);

	if (wire->mtu == 0 || length <= LINK_BYTES + wire->mtu)
		return false;
	if (type == ETHERTYPE_IP)
		answer_length = too_big4(bytes, (uint16_t)wire->mtu, answer);
	else if (type == ETHERTYPE_IPV6)
		answer_length = too_big6(bytes, (uint16_t)wire->mtu, answer);
	else
		return false;
	if (send(direction->from, answer, answer_length, 0) < 0 && errno != ENOBUFS)
		fail("send");
	return true;
}

// ---- Forwarding ------------------------------------------------------------------------------

// When the frame has been put on the wire; 0 when too many wait for it.
static uint64_t serialize(const struct wire *wire, struct direction *direction, uint32_t length,
			  uint64_t now)
{
	if (wire->rate_kbit == 0)
		return now;
	if (direction->free_us < now)
		direction->free_us = now;
	if (direction->free_us - now > QUEUE_US)
		return 0;
	direction->free_us += (uint64_t)length * 8000 / wire->rate_kbit;
	return direction->free_us;
}

static void take(struct wire *wire, struct direction *direction, struct frame *frame, uint64_t now)
{
	bool late;

	if (refuse(wire, direction, frame->bytes, frame->length)) {
		direction->refused++;
		return;
	}
	if (chance(direction, wire->loss)) {
		direction->lost++;
		return;
	}
	frame->due_us = serialize(wire, direction, frame->length, now);
	late = chance(direction, wire->reorder);
	struct queue *queue = late ? &direction->late : &direction->punctual;
	if (frame->due_us == 0 || queue->end - queue->first == QUEUE) {
		direction->overrun++;
		return;
	}
	frame->due_us += wire->delay_us;
	if (late) {
		frame->due_us +=
			wire->delay_us / 5 > LATE_MIN_US ? wire->delay_us / 5 : LATE_MIN_US;
		direction->reordered++;
	}
	struct frame *place = &queue->frames[queue->end++ % QUEUE];
	place->due_us = frame->due_us;
	place->length = frame->length;
	memcpy(place->bytes, frame->bytes, frame->length);
}

static void receive(struct wire *wire, struct direction *direction)
{
	struct frame frame;

	for (int i = 0; i < 64; i++) {
		ssize_t length = recv(direction->from, frame.bytes, FRAME_MAX, MSG_TRUNC);

		if (length < 0 && (errno == EAGAIN || errno == EINTR || errno == ENETDOWN))
			return;
		if (length < 0)
			fail("receive");
		if (length < LINK_BYTES || length > FRAME_MAX) {
			errno = EMSGSIZE; // an offload is on
			fail("receive");
		}
		frame.length = (uint32_t)length;
		take(wire, direction, &frame, now_us());
	}
}

// Sends what is due; returns when the next frame is.
static uint64_t deliver(struct direction *direction, uint64_t now)
{
	for (;;) {
		struct queue *late = &direction->late, *queue = &direction->punctual;
		struct frame *next = &queue->frames[queue->first % QUEUE];

		if (late->first != late->end &&
		    (queue->first == queue->end ||
		     late->frames[late->first % QUEUE].due_us < next->due_us)) {
			queue = late;
			next = &queue->frames[queue->first % QUEUE];
		}
		if (queue->first == queue->end)
			return UINT64_MAX;
		if (next->due_us > now)
			return next->due_us;
		if (send(direction->to, next->bytes, next->length, 0) >= 0)
			direction->passed++;
		else if (errno == ENOBUFS || errno == EAGAIN || errno == ENETDOWN)
			direction->overrun++;
		else
			fail("send");
		queue->first++;
	}
}

static bool obey(struct wire *wire)
{
	char line[64], word[16];
	uint64_t value;
	ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);

	if (length <= 0)
		return false;
	line[length] = '\0';
	if (sscanf(line, "%15s %" SCNu64, word, &value) != 2) {
		errno = EINVAL;
		fail("input");
	}
	if (!strcmp(word, "delay"))
		wire->delay_us = value;
	else if (!strcmp(word, "loss"))
		wire->loss = value;
	else if (!strcmp(word, "reorder"))
		wire->reorder = value;
	else if (!strcmp(word, "rate"))
		wire->rate_kbit = value;
	else if (!strcmp(word, "mtu"))
		wire->mtu = value;
	puts("ok");
	fflush(stdout);
	return true;
}

static void run(struct wire *wire)
{
	struct pollfd polled[3] = {
		{.fd = STDIN_FILENO, .events = POLLIN},
		{.fd = wire->directions[0].from, .events = POLLIN},
		{.fd = wire->directions[1].from, .events = POLLIN},
	};
	uint64_t next = UINT64_MAX;

	for (;;) {
		uint64_t now = now_us(), wait = next > now ? next - now : 0;
		struct timespec pause = {(time_t)(wait / 1000000), (long)(wait % 1000000) * 1000};

		if (ppoll(polled, 3, next == UINT64_MAX ? NULL : &pause, NULL) < 0)
			fail("poll");
		if ((polled[0].revents & (POLLIN | POLLHUP)) && !obey(wire))
			return;
		next = UINT64_MAX;
		for (int i = 0; i < 2; i++) {
			if (polled[i + 1].revents)
				receive(wire, &wire->directions[i]);
			uint64_t due = deliver(&wire->directions[i], now_us());
			next = due < next ? due : next;
		}
	}
}

static void direction_init(struct direction *direction, int from, int to, uint64_t seed)
{
	*direction = (struct direction){.from = from, .to = to, .random = seed};
	direction->punctual.frames = calloc(QUEUE, sizeof(struct frame));
	direction->late.frames = calloc(QUEUE, sizeof(struct frame));
	if (!direction->punctual.frames || !direction->late.frames)
		fail("memory");
}

int main(int argc, char **argv)
{
	struct wire wire = {0};

	if (argc != 4) {
		fprintf(stderr, "usage: wire INTERFACE INTERFACE SEED\n");
		return 2;
	}
	int one = open_interface(argv[1]), other = open_interface(argv[2]);
	uint64_t seed = strtoull(argv[3], NULL, 10);

	direction_init(&wire.directions[0], one, other, seed * 2);
	direction_init(&wire.directions[1], other, one, seed * 2 + 1);
	run(&wire);
	for (int i = 0; i < 2; i++) {
		const struct direction *direction = &wire.directions[i];

		printf("%s: %" PRIu64 " passed, %" PRIu64 " lost, %" PRIu64 " reordered, %" PRIu64
		       " too big, %" PRIu64 " overrun\n",
		       argv[1 + i], direction->passed, direction->lost, direction->reordered,
		       direction->refused, direction->overrun);
	}
	return 0;
}
