// SPDX-License-Identifier: BSD-3-Clause
//
// The map from a captured server's numbers to the gate's: each case is a short conversation, with
// what the client's segment must say to the gate. Frames are real, so checksums are part of it.
#include "control/replay_sequence.h"

#include "dataplane/net/build.h"
#include "dataplane/tcp/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define CLIENT_ISN 1000u
#define SERVER_ISN 0xfffffff0u // wraps within the conversation
#define GATE_ISN   500000u

enum who { CLIENT, SERVER, GATE };

static struct replay_sequence *sequence;
static uint8_t buffer[2048], altered[2048];
static const struct packet_port port = {.mac = {2, 0, 0, 0, 0, 1}};

static int set_up(void **state)
{
	assert_true(sodium_init() >= 0);
	sequence = replay_sequence_create(2, &(struct hash_key){{1}});
	assert_non_null(sequence);
	return 0;
}

static int tear_down(void **state)
{
	replay_sequence_destroy(sequence);
	return 0;
}

struct said {
	uint32_t sequence, acknowledgment;
	uint8_t flags;
	uint16_t length; // of payload
	uint32_t tsval, tsecr;
	struct sack_blocks sack;
	uint16_t client_port; // 0: 40000
	bool spoiled;         // checksum
};

// Builds the segment, and its view as the other side has it.
static struct view segment_of(enum who who, const struct said *said)
{
	struct tuple tuple = {.local = address_from_ipv4((uint8_t[]){192, 0, 2, 20}),
			      .remote = address_from_ipv4((uint8_t[]){192, 0, 2, 10}),
			      .local_port = said->client_port ? said->client_port : 40000,
			      .remote_port = 25};
	struct link link = {.peer = {2, 0, 0, 0, 0, 1}};
	struct packet_port sender = {.mac = {2, 0, 0, 0, 0, 2}};
	struct tcp_options options = {.window_scale = TCP_NO_WINDOW_SCALE,
				      .timestamps = said->tsval != 0,
				      .timestamp_value = said->tsval,
				      .timestamp_echo = said->tsecr};
	struct segment segment = {.tuple = tuple,
				  .sequence = said->sequence,
				  .acknowledgment = said->acknowledgment,
				  .flags = said->flags};
	struct chunk_queue queue;
	struct pool pool;
	uint8_t zeros[1500] = {0};
	struct view view;
	uint16_t length;

	if (who != CLIENT)
		segment.tuple = (struct tuple){tuple.remote, tuple.local, tuple.remote_port,
					       tuple.local_port};
	segment.options_length = options_write(&options, segment.options);
	segment.options_length =
		options_write_sack(&said->sack, segment.options, segment.options_length);
	assert_int_equal(chunk_pool_init(&pool, 8192), 0);
	chunk_queue_init(&queue);
	assert_int_equal(chunk_queue_append(&queue, &pool, slice_of(zeros, said->length)),
			 said->length);
	segment.payload = &queue;
	segment.payload_length = said->length;
	length = build_segment(buffer, &sender, &link, &segment);
	chunk_queue_clear(&queue, &pool);
	pool_fini(&pool);
	if (said->spoiled)
		buffer[14 + 20 + 17] ^= 1;
	assert_int_equal(packet_parse(&port, slice_of(buffer, length), &view), REASON_NONE);
	return view;
}

// What a client's segment becomes.
static struct view becomes(const struct said *said)
{
	struct view view = segment_of(CLIENT, said), after;
	enum reason before = packet_verify(&port, &view);

	replay_sequence_client(sequence, &view, before == REASON_NONE, buffer);
	assert_int_equal(packet_verify(&port, &view), before);
	memcpy(altered, buffer, view.frame.length);
	assert_int_equal(packet_parse(&port, slice_of(altered, view.frame.length), &after),
			 REASON_NONE);
	assert_int_equal(after.sequence, said->sequence);
	return after;
}

static uint32_t client(uint32_t number, uint32_t acknowledgment, uint8_t flags)
{
	return becomes(&(struct said){.sequence = number,
				      .acknowledgment = acknowledgment,
				      .flags = flags})
		.acknowledgment;
}

static uint32_t acks(uint32_t acknowledgment)
{
	return client(CLIENT_ISN + 1, acknowledgment, TCP_ACK);
}

static void server(uint32_t number, uint16_t length, uint8_t flags)
{
	struct view view = segment_of(
		SERVER, &(struct said){.sequence = number, .flags = flags, .length = length});

	replay_sequence_server(sequence, &view);
}

static void gate(uint32_t number, uint16_t length, uint8_t flags)
{
	struct view view = segment_of(
		GATE, &(struct said){.sequence = number, .flags = flags, .length = length});

	replay_sequence_gate(sequence, &view);
}

static void handshake(void)
{
	client(CLIENT_ISN, 0, TCP_SYN);
	gate(GATE_ISN, 0, TCP_SYN | TCP_ACK);
	server(SERVER_ISN, 0, TCP_SYN | TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
}

static void test_longer_and_shorter_answers(void **state)
{
	handshake();
	gate(GATE_ISN + 1, 100, TCP_ACK);
	server(SERVER_ISN + 1, 30, TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 31), GATE_ISN + 101);
	gate(GATE_ISN + 101, 10, TCP_ACK);
	server(SERVER_ISN + 31, 200, TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 231), GATE_ISN + 111);
	// Seen again, all of it is still all of it.
	assert_int_equal(acks(SERVER_ISN + 231), GATE_ISN + 111);
	// Both FINs, in whatever order they come.
	gate(GATE_ISN + 111, 5, TCP_ACK | TCP_FIN);
	server(SERVER_ISN + 231, 0, TCP_ACK | TCP_FIN);
	assert_int_equal(acks(SERVER_ISN + 232), GATE_ISN + 117);
}

static void test_parts(void **state)
{
	handshake();
	gate(GATE_ISN + 1, 100, TCP_ACK);
	server(SERVER_ISN + 1, 1000, TCP_ACK);
	server(SERVER_ISN + 1001, 1000, TCP_ACK);
	// So many bytes further, but nothing that was not sent.
	assert_int_equal(acks(SERVER_ISN + 1 + 40), GATE_ISN + 1 + 40);
	assert_int_equal(acks(SERVER_ISN + 1001), GATE_ISN + 101);
	// Older ones go back as far, not before the handshake.
	assert_int_equal(acks(SERVER_ISN + 991), GATE_ISN + 91);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
	assert_int_equal(acks(SERVER_ISN + 2001), GATE_ISN + 101);
}

static void test_impossible_stays_impossible(void **state)
{
	client(CLIENT_ISN, 0, TCP_SYN);
	gate(GATE_ISN, 0, TCP_SYN | TCP_ACK);
	server(SERVER_ISN, 0, TCP_SYN | TCP_ACK);
	// A guessed cookie is as wrong as it was.
	assert_int_equal(acks(SERVER_ISN + 2), GATE_ISN + 2);
	assert_int_equal(acks(SERVER_ISN), GATE_ISN);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
	gate(GATE_ISN + 1, 10, TCP_ACK);
	server(SERVER_ISN + 1, 20, TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 21 + 1000000), GATE_ISN + 11 + 1000000);
	assert_int_equal(acks(SERVER_ISN + 21), GATE_ISN + 11);
	// A segment that nobody believes moves nothing.
	gate(GATE_ISN + 11, 10, TCP_ACK);
	server(SERVER_ISN + 21, 20, TCP_ACK);
	becomes(&(struct said){.sequence = CLIENT_ISN + 1,
			       .acknowledgment = SERVER_ISN + 41,
			       .flags = TCP_ACK,
			       .spoiled = true});
	assert_int_equal(acks(SERVER_ISN + 22), GATE_ISN + 12);
}

static void test_server_unseen(void **state)
{
	client(CLIENT_ISN, 0, TCP_SYN);
	gate(GATE_ISN, 0, TCP_SYN | TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
	gate(GATE_ISN + 1, 77, TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 31), GATE_ISN + 78);
	gate(GATE_ISN + 78, 7, TCP_ACK);
	assert_int_equal(acks(SERVER_ISN + 3031), GATE_ISN + 85);
}

static void test_timestamps(void **state)
{
	struct said said = {.sequence = CLIENT_ISN, .flags = TCP_SYN, .tsval = 7};
	struct view view;
	struct tcp_options options;
	// What the client echoes, what the gate must read.
	static const uint32_t echoes[][2] = {
		{9000, 100}, {9010, 110}, {9040, 140}, {9999, 150}, {8990, 90}};

	becomes(&said);
	view = segment_of(
		GATE,
		&(struct said){.sequence = GATE_ISN, .flags = TCP_SYN | TCP_ACK, .tsval = 100});
	replay_sequence_gate(sequence, &view);
	view = segment_of(
		SERVER,
		&(struct said){.sequence = SERVER_ISN, .flags = TCP_SYN | TCP_ACK, .tsval = 9000});
	replay_sequence_server(sequence, &view);
	view = segment_of(GATE, &(struct said){.sequence = GATE_ISN + 1,
					       .flags = TCP_ACK,
					       .tsval = 150,
					       .length = 9});
	replay_sequence_gate(sequence, &view);
	for (size_t i = 0; i < sizeof(echoes) / sizeof(echoes[0]); i++) {
		said = (struct said){.sequence = CLIENT_ISN + 1,
				     .acknowledgment = SERVER_ISN + 1,
				     .flags = TCP_ACK,
				     .tsval = 8,
				     .tsecr = echoes[i][0]};
		view = becomes(&said);
		assert_true(options_parse(view.options, false, &options));
		assert_int_equal(options.timestamp_value, 8);
		assert_int_equal(options.timestamp_echo, echoes[i][1]);
	}
}

static struct sack_blocks sacked(uint32_t start, uint32_t end)
{
	struct said said = {.sequence = CLIENT_ISN + 1,
			    .acknowledgment = SERVER_ISN + 1,
			    .flags = TCP_ACK,
			    .sack = {1, {{start, end}}}};
	struct view view = becomes(&said);
	struct sack_blocks blocks;

	options_parse_sack(view.options, &blocks);
	return blocks;
}

static void test_sack(void **state)
{
	struct sack_blocks blocks;

	handshake();
	gate(GATE_ISN + 1, 100, TCP_ACK);
	server(SERVER_ISN + 1, 50, TCP_ACK);
	server(SERVER_ISN + 51, 50, TCP_ACK);
	blocks = sacked(SERVER_ISN + 51, SERVER_ISN + 101);
	assert_int_equal(blocks.count, 1);
	assert_int_equal(blocks.block[0].start, GATE_ISN + 51);
	assert_int_equal(blocks.block[0].end, GATE_ISN + 101);
	// Of more than was sent, or turned round: nothing is said.
	assert_int_equal(sacked(SERVER_ISN + 51, SERVER_ISN + 5000).count, 0);
	assert_int_equal(sacked(SERVER_ISN + 90, SERVER_ISN + 60).count, 0);
}

// What is left of a SYN's timestamps after its handshake was foreseen.
static bool offers_timestamps(uint32_t isn)
{
	struct view view = becomes(&(struct said){.sequence = isn, .flags = TCP_SYN, .tsval = 7});
	struct tcp_options options;

	assert_true(options_parse(view.options, true, &options));
	return options.timestamps;
}

static void test_options_that_the_server_refused(void **state)
{
	struct said said = {.sequence = SERVER_ISN,
			    .acknowledgment = CLIENT_ISN + 1,
			    .flags = TCP_SYN | TCP_ACK};
	struct view view;

	assert_true(offers_timestamps(CLIENT_ISN));
	view = segment_of(SERVER, &said);
	replay_sequence_foresee(sequence, &view);
	assert_false(offers_timestamps(CLIENT_ISN));
	assert_true(offers_timestamps(CLIENT_ISN + 1));
	said.acknowledgment++;
	said.tsval = 5;
	view = segment_of(SERVER, &said);
	replay_sequence_foresee(sequence, &view);
	assert_true(offers_timestamps(CLIENT_ISN + 1));
	// The server was not seen: the client's first ACK tells.
	said = (struct said){.sequence = CLIENT_ISN + 3, .acknowledgment = 99, .flags = TCP_ACK};
	view = segment_of(CLIENT, &said);
	replay_sequence_foresee(sequence, &view);
	assert_false(offers_timestamps(CLIENT_ISN + 2));
}

static void test_table(void **state)
{
	struct said syn = {.sequence = CLIENT_ISN, .flags = TCP_SYN};

	// Without an answer of the gate nothing is altered.
	assert_int_equal(acks(77), 77);
	handshake();
	// The same SYN again changes nothing, another one begins anew.
	becomes(&syn);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
	syn.sequence++;
	becomes(&syn);
	assert_int_equal(acks(SERVER_ISN + 1), SERVER_ISN + 1);
	assert_int_equal(replay_sequence_forgotten(sequence), 0);
	for (syn.client_port = 1; syn.client_port <= 2; syn.client_port++)
		becomes(&syn);
	assert_int_equal(replay_sequence_forgotten(sequence), 1);
	// A reset of the gate says nothing about its numbers.
	handshake();
	gate(GATE_ISN + 999, 0, TCP_RST);
	assert_int_equal(acks(SERVER_ISN + 1), GATE_ISN + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		CASE(test_longer_and_shorter_answers),
		CASE(test_parts),
		CASE(test_impossible_stays_impossible),
		CASE(test_server_unseen),
		CASE(test_timestamps),
		CASE(test_sack),
		CASE(test_options_that_the_server_refused),
		CASE(test_table),
#undef CASE
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
