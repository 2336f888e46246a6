// SPDX-License-Identifier: BSD-3-Clause
//
// A gate with two ports on an imaginary wire, in virtual time, for the tests of net/: frames go in
// as exact-size heap blocks (so that AddressSanitizer sees a read past their end), what comes out
// is kept in the order in which it was sent. Port 0 is the one that vectors.h describes; port 1 has
// 198.51.100.10/24 on another link.
#ifndef RELAYGATE_TESTS_NET_FIXTURE_H
#define RELAYGATE_TESTS_NET_FIXTURE_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "config/policy.h"
#include "dataplane/net/net.h"
#include "tests/unit/net/vectors.h"

#define SENT_MAX    16384
#define SECOND_US   1000000ull
#define START_US    5000000000ull
#define PEER_MAC    ((const uint8_t[]){2, 0, 0, 0, 0, 0xaa})
#define GATEWAY_MAC ((const uint8_t[]){2, 0, 0, 0, 0, 0xfe})

struct sent_frame {
	uint8_t *bytes;
	size_t length;
	uint16_t port;
	uint64_t when_us;
};

struct fixture {
	struct outbox outbox; // first: the callbacks get the fixture by it
	struct policy policy;
	struct port_settings settings[2];
	struct interface_address addresses[2][4];
	struct address gateways[2];
	struct backend backend;
	struct endpoint servers[4];
	struct packet_port ports[2];
	struct random random;
	struct net *net;
	struct tick now;
	uint64_t due_us; // what net_timeout asked for
	bool blocked;    // the outbox has no room
	uint8_t *reserved;
	uint16_t reserved_port;
	struct sent_frame sent[SENT_MAX];
	unsigned sent_count, sent_taken;
};

static inline struct address address_of(const char *text)
{
	struct address address;
	const char *why;
	assert_int_equal(address_parse(text, &address, &why), 0);
	return address;
}

static inline uint8_t *fixture_reserve(struct outbox *outbox, uint16_t port)
{
	struct fixture *f = (struct fixture *)outbox;
	assert_null(f->reserved);
	assert_true(port < 2);
	if (f->blocked)
		return NULL;
	f->reserved = malloc((size_t)f->settings[port].mtu + 18);
	memset(f->reserved, 0xa5, (size_t)f->settings[port].mtu + 18);
	f->reserved_port = port;
	return f->reserved;
}

static inline void fixture_commit(struct outbox *outbox, uint16_t length)
{
	struct fixture *f = (struct fixture *)outbox;
	assert_non_null(f->reserved);
	if (length) {
		assert_true(f->sent_count < SENT_MAX);
		f->sent[f->sent_count++] = (struct sent_frame){
			.bytes = realloc(f->reserved, length),
			.length = length,
			.port = f->reserved_port,
			.when_us = f->now.now_us,
		};
	} else {
		free(f->reserved);
	}
	f->reserved = NULL;
}

static inline void fixture_add_address(struct fixture *f, unsigned port, const char *text)
{
	const char *why;
	struct port_settings *settings = &f->settings[port];
	assert_int_equal(
		interface_address_parse(text, &f->addresses[port][settings->address_count++], &why),
		0);
}

// The policy without its net: a test may change it before fixture_create_net.
static inline struct fixture *fixture_prepare(void)
{
	struct fixture *f = calloc(1, sizeof(*f));
	f->outbox = (struct outbox){.reserve = fixture_reserve, .commit = fixture_commit};
	f->policy.ports = f->settings;
	f->policy.port_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		f->settings[i].addresses = f->addresses[i];
		f->settings[i].mtu = 1500;
		f->ports[i] = (struct packet_port){.mac = {2, 0, 0, 0, (uint8_t)i, 1},
						   .index = (uint16_t)i};
	}
	fixture_add_address(f, 0, "192.0.2.10/24");
	fixture_add_address(f, 0, "2001:db8::10/64");
	fixture_add_address(f, 1, "198.51.100.10/24");
	f->gateways[0] = address_of("192.0.2.1");
	f->gateways[1] = address_of("2001:db8::1");
	f->settings[0].gateways = f->gateways;
	f->settings[0].gateway_count = 2;
	f->policy.backends = &f->backend;
	f->policy.backend_count = 1;
	f->backend.servers = f->servers;
	f->servers[0] = (struct endpoint){address_of("192.0.2.20"), 25};
	f->servers[1] = (struct endpoint){address_of("2001:db8::20"), 25};
	f->servers[2] = (struct endpoint){address_of("203.0.113.5"), 25};
	f->servers[3] = (struct endpoint){address_of("192.0.2.20"), 26};
	f->backend.server_count = 4;
	f->now.now_us = START_US;
	random_init(&f->random, (const uint8_t[16]){1, 2, 3});
	return f;
}

static inline void fixture_create_net(struct fixture *f)
{
	f->net = net_create(&f->policy, f->ports, &f->random);
	assert_non_null(f->net);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = fixture_prepare();
	fixture_create_net(f);
	*state = f;
	return 0;
}

static inline void fixture_forget_sent(struct fixture *f)
{
	for (unsigned i = 0; i < f->sent_count; i++)
		free(f->sent[i].bytes);
	f->sent_count = f->sent_taken = 0;
}

static inline void fixture_destroy(struct fixture *f)
{
	net_destroy(f->net);
	fixture_forget_sent(f);
	free(f);
}

static inline int fixture_teardown(void **state)
{
	fixture_destroy(*state);
	return 0;
}

// One frame from the wire, through parser and checksums to net_input.
static inline enum reason fixture_deliver_to(struct fixture *f, unsigned port, const uint8_t *bytes,
					     size_t length)
{
	uint8_t *block = malloc(length);
	struct view view;
	memcpy(block, bytes, length);
	enum reason reason = packet_parse(&f->ports[port], slice_of(block, length), &view);
	if (!reason)
		reason = packet_verify(&f->ports[port], &view);
	if (!reason && view.kind != VIEW_TCP)
		reason = net_input(f->net, &view, f->now, &f->outbox);
	free(block);
	return reason;
}

#define deliver(f, vector) fixture_deliver_to(f, 0, vector, sizeof(vector))

// Lets time pass, calling net_timeout exactly when it asked to be called.
static inline void fixture_advance(struct fixture *f, uint64_t microseconds)
{
	uint64_t end_us = f->now.now_us + microseconds;
	for (;;) {
		f->due_us = net_timeout(f->net, f->now, &f->outbox);
		assert_true(f->due_us > f->now.now_us); // nothing that is due may stay undone
		if (f->due_us > end_us)
			break;
		f->now.now_us = f->due_us;
	}
	f->now.now_us = end_us;
}

static inline const struct sent_frame *fixture_next_sent(struct fixture *f)
{
	if (f->sent_taken == f->sent_count)
		return NULL;
	return &f->sent[f->sent_taken++];
}

static inline void fixture_expect_bytes(struct fixture *f, const uint8_t *bytes, size_t length)
{
	const struct sent_frame *frame = fixture_next_sent(f);
	assert_non_null(frame);
	assert_int_equal(frame->length, length);
	assert_memory_equal(frame->bytes, bytes, length);
}

// The next frame that was sent is exactly this one.
#define expect_sent(f, vector) fixture_expect_bytes(f, vector, sizeof(vector))
#define expect_silence(f)      assert_int_equal((f)->sent_taken, (f)->sent_count)

static inline void fixture_expect_event(struct fixture *f, enum reason reason, const char *address)
{
	struct net_event event = net_take_event(f->net);
	struct address expected = address_of(address);
	assert_int_equal(event.reason, reason);
	assert_memory_equal(&event.address, &expected, sizeof(expected));
}

#define expect_event(f, name, address) fixture_expect_event(f, REASON_##name, address)
#define expect_no_event(f)             assert_int_equal(net_take_event((f)->net).reason, REASON_NONE)

static inline enum next_hop fixture_next_hop(struct fixture *f, const char *destination,
					     struct link *link, struct address *source)
{
	struct address address = address_of(destination);
	return net_next_hop(f->net, &address, f->now, &f->outbox, link, source);
}

// The plain checksum, two bytes at a time: what the product's is compared with.
static inline uint16_t plain_checksum(const uint8_t *bytes, size_t length, uint32_t sum)
{
	for (size_t i = 0; i < length; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline void put_checksum(uint8_t *field, uint16_t value)
{
	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}

// Repairs the checksums of an untagged frame after a test changed it. Lengths are the frame's own
// claims and must be inside it; transport at 34 (IPv4), 54 or, behind a router alert, 62.
static inline void repair_checksums(uint8_t *frame)
{
	uint8_t *ip = frame + 14;
	bool ipv4 = frame[12] == 0x08 && frame[13] == 0;
	size_t header = ipv4 ? 20 : 40;
	uint8_t protocol = ipv4 ? ip[9] : ip[6];
	size_t length = ipv4 ? (size_t)(ip[2] << 8 | ip[3]) - 20 : (size_t)(ip[4] << 8 | ip[5]);
	if (ipv4) {
		ip[10] = ip[11] = 0;
		put_checksum(ip + 10, plain_checksum(ip, 20, 0));
	}
	if (protocol == 0) {
		header += 8;
		length -= 8;
		protocol = ip[40];
	}
	uint8_t *transport = ip + header;
	uint8_t *field = transport + (protocol == 6 ? 16 : 2);
	uint32_t pseudo = 0;
	if (protocol != 1) {
		pseudo = (uint32_t)length + protocol;
		for (size_t i = ipv4 ? 12 : 8; i < (ipv4 ? 20u : 40u); i += 2)
			pseudo += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	}
	field[0] = field[1] = 0;
	put_checksum(field, plain_checksum(transport, length, pseudo));
}

// A vector with some bytes changed and its checksums made right again.
struct change {
	uint16_t offset;
	uint8_t value;
};

static inline enum reason deliver_changed(struct fixture *f, const uint8_t *bytes, size_t length,
					  const struct change *changes, unsigned count)
{
	uint8_t *frame = malloc(length);
	memcpy(frame, bytes, length);
	for (unsigned i = 0; i < count; i++)
		frame[changes[i].offset] = changes[i].value;
	repair_checksums(frame);
	enum reason reason = fixture_deliver_to(f, 0, frame, length);
	free(frame);
	return reason;
}

#define changed(f, vector, ...)                                                                    \
	deliver_changed(f, vector, sizeof(vector), (const struct change[]){__VA_ARGS__},           \
			sizeof((const struct change[]){__VA_ARGS__}) / sizeof(struct change))

#endif
