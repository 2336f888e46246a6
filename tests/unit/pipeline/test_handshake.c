// SPDX-License-Identifier: BSD-3-Clause
//
// Handshakes: what is counted when a SYN comes twice, when there is no session left, and when the
// segment belongs to nothing.
#include "dataplane/base/random.h"
#include "dataplane/net/checksum.h"
#include "tests/sim/literal.h"
#include "tests/unit/net/vectors.h"
#include "tests/unit/pipeline/lab.h"
#include "tests/unit/pipeline/twins.h"

static void test_repeated_syn_is_answered_and_counted_again(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);

	lab_say(lab, client, "QUIT\r\n");
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	client = lab_connect(lab);
	assert_int_equal(lab->connector.syns, 2);
	lab_run(lab, 1500); // it asks again after a second
	assert_int_equal(lab->connector.syns, 3);
	assert_int_equal(lab->connector.sessions, 1);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_run(lab, 10000);
	assert_int_equal(lab->connector.sessions, 2);
	assert_heard(client, "220 hello\r\n");
	lab_close(lab);
}

static void test_no_session_left(void **state)
{
	struct lab *lab = lab_open("MaxSessions = 1\n", "");
	struct peer *client = lab_connect(lab);

	assert_heard(client, "220 hello\r\n");
	assert_int_equal(lab->connector.sessions_open, 1);
	client = lab_connect(lab);
	assert_null(client->connection);
	assert_true(client->reset);
	assert_int_equal(lab->reasons[REASON_sessions_full].count, 1);
	assert_int_equal(lab->connector.sessions, 1);
	// No SYN-ACK follows the RST.
	assert_int_equal(pipeline_levels(lab->pipeline).half_open, 0);
	lab_close(lab);
}

// One SYN too many: nobody is refused, one entry is gone.
static void test_oldest_half_open_makes_room(void **state)
{
	struct lab *lab = lab_open("HalfOpenEntries = 16\n", "");

	lab_connect(lab); // knows the gate's MAC address from then on
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	for (unsigned i = 0; i < 16; i++)
		lab_connecting(lab);
	assert_int_equal(lab->reasons[REASON_half_open_evicted].count, 0);
	lab_connecting(lab);
	assert_int_equal(lab->reasons[REASON_half_open_evicted].count, 1);
	assert_int_equal(pipeline_levels(lab->pipeline).half_open, 16);
	assert_int_equal(lab->connector.syns, 18);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_close(lab);
}

// The banner finds no buffer: the client is told by RST, and nothing is left of it.
static void test_no_buffer_for_the_banner(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client;

	lab_exhaust(lab, 0);
	client = lab_connect(lab);
	assert_true(client->reset);
	assert_int_equal(lab->reasons[REASON_buffers_low].count, 1);
	assert_int_equal(lab->connector.sessions_open, 0);
	lab_replenish(lab);
	assert_heard(lab_connect(lab), "220 hello\r\n");
	lab_close(lab);
}

#define STRANGERS_ISN 5000u

// A segment of a client that is no host, by the MAC address that ends with this byte; returns what
// the gate sent, the last of it.
static struct literal stranger_from(struct lab *lab, uint8_t mac, const struct address *source,
				    struct literal segment)
{
	uint8_t bytes[LITERAL_FRAME_MAX];
	struct slice frame;
	struct literal answer;

	memcpy(segment.source_mac, (uint8_t[]){2, 0, 0, 0, 9, mac}, 6);
	memcpy(segment.destination_mac, lab->ports[0].mac, 6);
	memcpy(segment.ends.source, source->bytes, 16);
	memcpy(segment.ends.destination, lab->policy->ports[0].addresses[0].address.bytes, 16);
	segment.ends.source_port = 50000;
	segment.ends.destination_port = 25;
	segment.window = 65535;
	segment.scale = -1;
	frame = slice_of(bytes, literal_write(&segment, bytes));
	memset(lab->frame, 0, sizeof(lab->frame));
	pipeline_input(lab->pipeline, 0, &frame, 1, lab->now, &lab->outbox);
	literal_read(lab->frame, sizeof(lab->frame), &answer);
	return answer;
}

static struct literal stranger(struct lab *lab, uint8_t mac, struct literal segment)
{
	return stranger_from(lab, mac, &lab->client_address.address, segment);
}

// More SYNs than there are entries; each source sends one.
static void flood_from(struct lab *lab, uint8_t first, uint8_t last)
{
	struct address source = lab->client_address.address;
	struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};

	for (unsigned i = first; i <= last; i++) {
		source.bytes[15] = (uint8_t)i;
		stranger_from(lab, 3, &source, syn);
	}
}

// The final ACK of a handshake is lost in a flood of forged SYNs. Who was a client before has its
// place among the half-open ones still, and so the SYN-ACK comes again; another one's is gone.
static void test_flood_displaces_strangers_first(void **state)
{
	for (unsigned known = 0; known < 2; known++) {
		struct lab *lab = lab_open("HalfOpenEntries = 16\n", "");
		struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};
		struct literal bytes = {.flags = LITERAL_ACK,
					.sequence = STRANGERS_ISN + 7,
					.payload = (const uint8_t *)"NOOP\r\n",
					.length = 6};

		if (known)
			lab_connect(lab);
		flood_from(lab, 100, 120);
		bytes.acknowledgment = stranger(lab, 1, syn).sequence + 1;
		flood_from(lab, 121, 200);
		// What is ahead of the lost ACK gets RST only where nothing is remembered.
		assert_int_equal(stranger(lab, 1, bytes).flags & LITERAL_RST,
				 known ? 0 : LITERAL_RST);
		assert_int_equal(pipeline_levels(lab->pipeline).half_open, 16);
		lab_run(lab, 40000);
		lab_close(lab);
	}
}

// The same for a newcomer: a flood out of another network displaces its own entries.
static void test_flood_of_another_network(void **state)
{
	static const uint8_t floods[][4] = {{198, 51, 0, 0}, {192, 0, 4, 0}};

	for (unsigned own = 0; own < 2; own++) {
		struct lab *lab = lab_open("HalfOpenEntries = 128\n", "");
		struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};
		struct literal bytes = {.flags = LITERAL_ACK,
					.sequence = STRANGERS_ISN + 7,
					.payload = (const uint8_t *)"NOOP\r\n",
					.length = 6};
		struct address source = address_from_ipv4(floods[own]);

		bytes.acknowledgment = stranger(lab, 1, syn).sequence + 1;
		// Slow enough that it displaces its own, fast enough that no SYN-ACK comes again.
		for (unsigned i = 0; i < 600; i++) {
			source.bytes[14] = (uint8_t)((source.bytes[14] & 0xfc) | i >> 8);
			source.bytes[15] = (uint8_t)i;
			assert_int_equal(stranger_from(lab, 3, &source, syn).flags,
					 LITERAL_SYN | LITERAL_ACK);
			lab_run(lab, 1);
		}
		assert_int_equal(stranger(lab, 1, bytes).flags & LITERAL_RST,
				 own ? LITERAL_RST : 0);
		assert_int_equal(pipeline_levels(lab->pipeline).half_open, 128);
		lab_run(lab, 40000);
		lab_close(lab);
	}
}

// A host that never asked answers the SYN-ACK with RST: nothing is left to repeat. A RST that is
// not the answer to it changes nothing.
static void test_reset_ends_the_half_open_one(void **state)
{
	struct lab *lab = lab_open("", "");
	struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};
	struct literal reset = {.flags = LITERAL_RST, .sequence = STRANGERS_ISN};

	assert_int_equal(stranger(lab, 1, syn).flags, LITERAL_SYN | LITERAL_ACK);
	assert_int_equal(stranger(lab, 1, reset).flags, 0);
	assert_int_equal(pipeline_levels(lab->pipeline).half_open, 1);
	reset.sequence = STRANGERS_ISN + 1;
	assert_int_equal(stranger(lab, 1, reset).flags, 0);
	assert_int_equal(pipeline_levels(lab->pipeline).half_open, 0);
	lab_close(lab);
}

// A client that does not wait for the greeting, on a path that changes the order of its segments.
static void test_bytes_ahead_of_the_ack(void **state)
{
	struct lab *lab = lab_open("", "");
	struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};
	struct literal bytes = {.flags = LITERAL_ACK,
				.sequence = STRANGERS_ISN + 100,
				.payload = (const uint8_t *)"NOOP\r\n",
				.length = 6};
	struct literal ack = {.flags = LITERAL_ACK, .sequence = STRANGERS_ISN + 1};
	struct literal answer = stranger(lab, 1, syn);

	assert_int_equal(answer.flags, LITERAL_SYN | LITERAL_ACK);
	bytes.acknowledgment = ack.acknowledgment = answer.sequence + 1;
	assert_int_equal(stranger(lab, 1, bytes).flags, 0);
	assert_int_equal(lab->reasons[REASON_tcp_state].count, 1);
	// Who filled the window says next what has no bytes any more, right behind it.
	struct literal edge = {.flags = LITERAL_ACK, .acknowledgment = bytes.acknowledgment};
	edge.sequence = STRANGERS_ISN + 1 + (uint32_t)lab->policy->gate.receive_buffer;
	assert_int_equal(stranger(lab, 1, edge).flags, 0);
	assert_int_equal(lab->reasons[REASON_tcp_state].count, 2);
	// A wrong acknowledgment is no business of that handshake; nor are bytes beyond the window.
	bytes.acknowledgment++;
	assert_true(stranger(lab, 1, bytes).flags & LITERAL_RST);
	bytes.acknowledgment--;
	bytes.sequence += 1 << 24;
	assert_true(stranger(lab, 1, bytes).flags & LITERAL_RST);
	assert_int_equal(lab->reasons[REASON_cookie_invalid].count, 2);
	assert_int_equal(lab->connector.sessions, 0);
	assert_true(stranger(lab, 1, ack).length > 0); // the greeting
	assert_int_equal(lab->connector.sessions, 1);
	lab_close(lab);
}

// The SYN comes again by another router, or the first one's source was garbled.
static void test_repeated_syn_is_answered_where_it_came_from(void **state)
{
	struct lab *lab = lab_open("", "");
	struct literal syn = {.flags = LITERAL_SYN, .sequence = STRANGERS_ISN, .mss = 1460};
	struct literal first = stranger(lab, 1, syn), second = stranger(lab, 2, syn);

	assert_int_equal(first.destination_mac[5], 1);
	assert_int_equal(second.destination_mac[5], 2);
	assert_int_equal(second.sequence, first.sequence);
	lab_run(lab, 40000);
	lab_close(lab);
}

#define SYN_BURSTS        3000
#define SYN_BURST_MAX     31 // of larger ones not each offender is noted
#define SYN_OPTIONS_BYTES 20
#define SYN_FRAME_MAX     (sizeof(tcp6_syn))

// A listed client's SYN: one of few, so that many come again; as the vectors, but for its options.
static unsigned random_syn(struct random *random, bool ipv6, uint8_t frame[])
{
	static const uint8_t options[][SYN_OPTIONS_BYTES] = {
		{2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}, // all
		{2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2},                          // no timestamps
		{2, 4, 2, 0x18},
		{1, 1, 1, 1, 4, 2},
		{1, 1, 3, 3, 14, 2, 4, 0xff, 0xff},
		{2, 0}, // malformed
	};
	const unsigned length = ipv6 ? sizeof(tcp6_syn) : sizeof(tcp4_syn);
	uint8_t *ip = frame + 14, *tcp = ip + (ipv6 ? 40 : 20);

	memcpy(frame, ipv6 ? tcp6_syn : tcp4_syn, length);
	frame[11] = (uint8_t)random_below(random, 3); // by one router or another
	if (ipv6) {
		memcpy(ip + 8, (const uint8_t[8]){0x20, 1, 0x0d, 0xb8, 0, 5}, 8);
		ip[23] = (uint8_t)random_below(random, 4);
	} else {
		memcpy(ip + 12, (const uint8_t[4]){198, 51, 100, (uint8_t)random_below(random, 8)},
		       4);
		ip[10] = ip[11] = 0;
		checksum_store(ip + 10, checksum_add(0, ip, 20));
	}
	tcp[1] = (uint8_t)random_below(random, 32);
	tcp[7] = (uint8_t)random_below(random, 2); // its number
	memcpy(tcp + 20, options[random_below(random, sizeof(options) / sizeof(options[0]))],
	       SYN_OPTIONS_BYTES);
	return length;
}

// In bursts of both families, in a cache that fills and empties within them.
static void test_burst_is_answered_as_if_each_came_alone(void **state)
{
	static uint8_t bytes[SYN_BURST_MAX][SYN_FRAME_MAX];
	struct slice frames[SYN_BURST_MAX];
	struct twins *twins = twins_open("");
	struct random random;

	random_init(&random, (const uint8_t[16]){7});
	for (unsigned i = 0; i < SYN_BURSTS; i++) {
		unsigned count = 1 + random_below(&random, SYN_BURST_MAX);
		bool ipv6 = random_below(&random, 2);

		for (unsigned k = 0; k < count; k++) {
			ipv6 ^= random_below(&random, 8) == 0;
			frames[k] = slice_of(bytes[k], random_syn(&random, ipv6, bytes[k]));
		}
		twins_input_apart(twins, 0, frames, count);
		twins_pass(twins, i % 64 == 0 ? 40000000 : random_below(&random, 30000));
	}
	assert_true(twins->other.connectors[0].syns > SYN_BURSTS * 8);
	assert_int_equal(twins->other.answered, twins->other.connectors[0].syns);
	assert_int_equal(twins->watched.answered, 0);
	assert_true(twins->other.reasons[REASON_syn_malformed].count > SYN_BURSTS / 8);
	assert_true(twins->other.reasons[REASON_half_open_full].count > SYN_BURSTS / 8);
	assert_true(twins->other.reasons[REASON_half_open_evicted].count > SYN_BURSTS / 8);
	twins_close(twins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeated_syn_is_answered_and_counted_again),
		cmocka_unit_test(test_no_session_left),
		cmocka_unit_test(test_oldest_half_open_makes_room),
		cmocka_unit_test(test_flood_displaces_strangers_first),
		cmocka_unit_test(test_flood_of_another_network),
		cmocka_unit_test(test_no_buffer_for_the_banner),
		cmocka_unit_test(test_reset_ends_the_half_open_one),
		cmocka_unit_test(test_bytes_ahead_of_the_ack),
		cmocka_unit_test(test_repeated_syn_is_answered_where_it_came_from),
		cmocka_unit_test(test_burst_is_answered_as_if_each_came_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
