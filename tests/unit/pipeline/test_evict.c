// SPDX-License-Identifier: BSD-3-Clause
//
// Who goes first when sessions or payload buffers are used up, in both families: the longest idle
// before MAIL, then those that linger, then idle transactions; never who is inside a message body
// or awaits a server's answer. Counters are exact.
#include "tests/unit/pipeline/lab.h"

#include <stdio.h>

static const char banner[] = "220 hello\r\n";
static const char evicted[] = "421 4.3.2 Service not available, closing transmission channel\r\n";
static const char noop[] = "250 2.0.0 OK\r\n";
// The sender is longer than a session itself keeps: it holds a payload buffer.
static const char mail[] =
	"EHLO c.test\r\n"
	"MAIL FROM:<a-sender-of-more-than-fifty-two-octets@with-a-long.c.test>\r\n";

// The test's parameter: IPv6 or not.
static struct lab *open_lab(void **state, const char *gate)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s", gate, *(const bool *)*state ? LAB_IPV6 : "");
	return lab_open(text, "");
}

static unsigned long long count_of(const struct lab *lab, enum reason reason)
{
	return lab->reasons[reason].count;
}

static void assert_counts(const struct lab *lab, unsigned sessions, unsigned half_closed,
			  unsigned refused)
{
	assert_int_equal(count_of(lab, REASON_session_evicted), sessions);
	assert_int_equal(count_of(lab, REASON_half_closed_evicted), half_closed);
	assert_int_equal(count_of(lab, REASON_sessions_full), refused);
}

static struct peer *greeted(struct lab *lab)
{
	struct peer *peer = lab_connect(lab);

	assert_heard(peer, banner);
	return peer;
}

static void assert_refused(struct lab *lab)
{
	struct peer *peer = lab_connect(lab);

	assert_heard(peer, "");
	assert_null(peer->connection);
	assert_true(peer->reset);
}

static void assert_lives(struct lab *lab, struct peer *peer)
{
	lab_say(lab, peer, "NOOP\r\n");
	assert_heard(peer, noop);
}

// Its first greeting: it came nearer to a message.
static void assert_greets(struct lab *lab, struct peer *peer)
{
	lab_say(lab, peer, "EHLO c.test\r\n");
	assert_non_null(strstr(lab_heard(peer), "Hello"));
}

static struct peer *in_transaction(struct lab *lab)
{
	struct peer *peer = greeted(lab);

	lab_say(lab, peer, mail);
	assert_non_null(strstr(lab_heard(peer), "250 2.1.0 Sender OK"));
	return peer;
}

// Its last reply was given, and it goes on as if nothing had been said.
static struct peer *lingering(struct lab *lab)
{
	struct peer *peer = greeted(lab);

	peer->stays = true;
	lab_say(lab, peer, "QUIT\r\n");
	assert_heard(peer, "221 2.0.0 Service closing transmission channel\r\n");
	return peer;
}

static struct peer *in_body(struct lab *lab)
{
	struct peer *peer = lab_asking(lab, "a");

	assert_heard(peer, "250 recipient\r\n");
	lab_say(lab, peer, "DATA\r\n");
	assert_heard(peer, "354 Start mail input; end with <CRLF>.<CRLF>\r\n");
	return peer;
}

static void test_longest_idle_makes_room(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 3\n");
	struct peer *a = greeted(lab), *b = greeted(lab), *c = greeted(lab), *d;

	assert_greets(lab, a); // it came first, but it went on last
	lab->wire.weather[STATION_GATE_OUTSIDE].delay_us = 5000;
	d = lab_connecting(lab);
	lab_run(lab, 11);
	assert_heard(b, evicted);
	assert_non_null(b->connection); // no RST right behind it: only when b answers
	lab_run(lab, LAB_MOMENT_MS);
	assert_null(b->connection);
	assert_heard(d, banner);
	assert_counts(lab, 1, 0, 0);
	assert_int_equal(lab->connector.sessions_open, 3);
	assert_int_equal(lab->connector.sessions, 4);
	assert_int_equal(lab->connector.sessions_reset, 0);
	assert_lives(lab, a);
	assert_lives(lab, c);
	assert_lives(lab, d);
	lab_close(lab);
}

static void test_nobody_idle_for_a_second(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 1\n");
	struct peer *client = greeted(lab);

	lab_run(lab, 2000);
	assert_greets(lab, client);
	assert_refused(lab);
	assert_counts(lab, 0, 0, 1);
	assert_lives(lab, client);
	lab_close(lab);
}

// What one can say for ever keeps no place, before MAIL nor behind it.
static void test_who_only_stays_makes_room(void **state)
{
	static const struct {
		const char *first, *odd, *even;
		unsigned moments; // of half a second
	} ways[] = {
		{"", "NOOP\r\n", "NOOP\r\n", 3},
		{"", "N", "O", 3},
		{"EHLO c.test\r\n", "EHLO c.test\r\n", "HELO c.test\r\n", 3},
		{"EHLO c.test\r\n", "HELP\r\n", "VRFY a\r\n", 3},
		{mail, "RSET\r\n", "MAIL FROM:<a@c.test>\r\n", 21},
		{mail, "RCPT TO:<a@foreign.test>\r\n", "RCPT TO:<a@foreign.test>\r\n", 21},
		{mail, "NOOP\r\n", "VRFY a\r\n", 21},
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct lab *lab = open_lab(state, "MaxSessions = 1\n");
		struct peer *stays = greeted(lab);

		lab_say(lab, stays, ways[i].first);
		for (unsigned moment = 0; moment < ways[i].moments; moment++) {
			lab_run(lab, 500);
			lab_say(lab, stays, moment % 2 ? ways[i].even : ways[i].odd);
		}
		lab_heard(stays);
		greeted(lab);
		assert_heard(stays, evicted);
		assert_counts(lab, 1, 0, 0);
		lab_close(lab);
	}
}

// What cannot go out does not hold the place.
static void test_evicted_without_a_device(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 1\n");
	struct peer *old = greeted(lab);
	struct peer *client;

	lab_run(lab, 2000);
	lab->wire.weather[STATION_GATE_OUTSIDE].delay_us = 5000;
	client = lab_connecting(lab);
	lab_run(lab, 5); // its SYN was answered
	lab->device_full = true;
	lab_run(lab, 5);
	assert_counts(lab, 1, 0, 0);
	lab->device_full = false;
	lab_run(lab, LAB_MOMENT_MS);
	assert_heard(client, banner);
	assert_heard(old, "");
	assert_counts(lab, 1, 0, 0);
	// Its next word finds nobody.
	lab_say(lab, old, "NOOP\r\n");
	assert_true(old->reset);
	lab_close(lab);
}

// One of each class is there; newcomers that stay busy take their places in the order of the
// classes, whatever the order in which they came.
static void test_order_of_classes(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 5\n");
	struct peer *body = in_body(lab), *asking, *transaction, *closed, *idle;

	lab->plan.recipient = "";
	asking = lab_asking(lab, "b");
	transaction = in_transaction(lab);
	closed = lingering(lab);
	idle = greeted(lab);
	lab_run(lab, 1000);

	in_transaction(lab);
	assert_heard(idle, evicted);
	assert_counts(lab, 1, 0, 0);
	in_transaction(lab);
	assert_null(closed->connection);
	assert_true(closed->reset);
	assert_counts(lab, 1, 1, 0);
	assert_refused(lab); // a transaction has ten seconds
	assert_counts(lab, 1, 1, 1);
	lab_run(lab, 10000);
	assert_heard(transaction, "");
	greeted(lab);
	assert_heard(transaction, evicted);
	assert_counts(lab, 2, 1, 1);
	lab_run(lab, 12000);
	// The other three may go: five newcomers at once find room for three.
	for (unsigned i = 0; i < 5; i++)
		lab_connecting(lab);
	lab_run(lab, LAB_MOMENT_MS);
	assert_counts(lab, 5, 1, 3);
	assert_int_equal(lab->connector.sessions_open, 5);

	lab_say(lab, lab_server(lab), "250 recipient\r\n");
	assert_heard(asking, "250 recipient\r\n");
	lab_say(lab, body, "text\r\n.\r\n");
	assert_heard(body, "250 queued as 1\r\n");
	lab_close(lab);
}

static void test_a_body_survives_a_flood(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 4\n");
	struct peer *body = in_body(lab);

	for (unsigned i = 0; i < 100; i++) {
		lab->client_count = 1; // a new page for the others
		for (unsigned k = 0; k < 6; k++)
			lab_connecting(lab);
		lab_run(lab, 1500);
		assert_int_equal(lab->connector.sessions_open, 4);
		if (i % 10 == 0)
			lab_say(lab, body, "text\r\n");
	}
	// Three of six found room each time; those of the time before had been idle.
	assert_counts(lab, 99 * 3, 0, 100 * 3);
	lab_say(lab, body, ".\r\n");
	assert_heard(body, "250 queued as 1\r\n");
	assert_int_equal(lab->delivered, 1);
	assert_non_null(strstr(lab->message, "text\r\ntext\r\ntext\r\n"));
	lab_close(lab);
}

// The rest of a message that was refused already is worth less than a newcomer.
static void test_a_refused_body_makes_room(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 1\n");
	struct peer *body = in_body(lab);

	for (unsigned hop = 0; hop < 61; hop++)
		lab_say(lab, body, "Received: x\r\n");
	lab_run(lab, 10000);
	greeted(lab);
	assert_heard(body, evicted);
	assert_counts(lab, 1, 0, 0);
	assert_int_equal(lab->delivered, 0);
	lab_close(lab);
}

// Its server must not keep what it was told.
static void test_evicted_transaction_leaves_its_server(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 1\n");
	struct peer *client = lab_asking(lab, "a");

	assert_heard(client, "250 recipient\r\n");
	lab_run(lab, 10000);
	greeted(lab);
	assert_heard(client, evicted);
	assert_true(lab_server(lab)->reset);
	assert_counts(lab, 1, 0, 0);
	assert_int_equal(lab->delivered, 0);
	assert_int_equal(lab->connector.messages_aborted, 0); // by the client, that is
	lab_close(lab);
}

// Half-closed connections have half of the places, and sixteen at least.
static void test_half_closed_are_bounded(void **state)
{
	struct lab *lab = open_lab(state, "MaxSessions = 32\n");
	struct peer *idle = greeted(lab), *first = lingering(lab);

	for (unsigned i = 1; i < 16; i++)
		lingering(lab);
	assert_counts(lab, 0, 0, 0);
	assert_non_null(first->connection);
	lingering(lab);
	assert_null(first->connection);
	assert_true(first->reset);
	assert_non_null(lab->clients[2].connection);
	assert_counts(lab, 0, 1, 0);
	assert_lives(lab, idle);
	lab_close(lab);
}

// ---- Payload buffers -------------------------------------------------------------------------

static struct peer *half_a_line(struct lab *lab)
{
	struct peer *peer = greeted(lab);

	lab_say(lab, peer, "N");
	return peer;
}

static void test_who_holds_buffers_makes_room_for_replies(void **state)
{
	struct lab *lab = open_lab(state, "");
	struct peer *without = greeted(lab), *c = half_a_line(lab), *a = half_a_line(lab);
	struct peer *body = in_body(lab), *b = half_a_line(lab);

	lab_say(lab, c, "OOP\r\nEHLO c.test\r\nNO"); // it began first, but it went on last
	lab_heard(c);
	lab_run(lab, 1000);
	lab_exhaust(lab, client_chunks_reserved(lab->pipeline) - 2);
	lab_run(lab, LAB_MOMENT_MS);
	assert_heard(a, evicted);
	assert_heard(b, evicted);
	assert_counts(lab, 2, 0, 0);
	lab_replenish(lab);
	lab_say(lab, c, "OP\r\n");
	assert_heard(c, noop);
	assert_lives(lab, without);
	lab_say(lab, body, "text\r\n.\r\n");
	assert_heard(body, "250 queued as 1\r\n");
	lab_close(lab);
}

// So says the server's side: who is inside a body is not closed, however short buffers are.
static void test_a_body_is_never_closed_for_buffers(void **state)
{
	struct lab *lab = open_lab(state, "");
	struct peer *body = in_body(lab), *line = half_a_line(lab);
	struct peer *transaction = in_transaction(lab);

	lab_run(lab, 10000);
	lab_exhaust(lab, 0);
	lab_run(lab, LAB_MOMENT_MS);
	assert_null(line->connection);
	assert_null(transaction->connection);
	assert_counts(lab, 2, 0, 0);
	lab_run(lab, 5000);
	assert_non_null(body->connection);
	lab_replenish(lab);
	lab_say(lab, body, "text\r\n.\r\n");
	assert_heard(body, "250 queued as 1\r\n");
	lab_close(lab);
}

// The first of two segments is lost; what follows waits at the gate.
static void leave_a_gap(struct lab *lab, struct peer *peer, const char *first, const char *second)
{
	struct connection *connection = peer->connection;

	lab->wire.weather[STATION_GATE_OUTSIDE].loss_permille = 1000;
	connection->transport->send(connection, slice_of_text(first));
	lab_run(lab, 5);
	lab->wire.weather[STATION_GATE_OUTSIDE].loss_permille = 0;
	connection->transport->send(connection, slice_of_text(second));
	lab_run(lab, 5);
}

// Bytes of the client's wait in the gate's flow.
static bool waits(struct lab *lab, const struct peer *peer)
{
	const struct tuple *tuple = tcp_tuple(((struct host_connection *)peer->connection)->flow);
	struct tuple gates = {.local = tuple->remote,
			      .remote = tuple->local,
			      .local_port = tuple->remote_port,
			      .remote_port = tuple->local_port};

	return tcp_holds_chunks(tcp_find(lab->pipeline->tcp, &gates));
}

static void test_oldest_gap_goes_first(void **state)
{
	struct lab *lab = open_lab(state, "");
	struct peer *a = in_body(lab), *b = in_body(lab);
	uint32_t below = lab->pipeline->chunks.count / 8;

	// The clients hear nothing of their gaps, or they would repair them at once.
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	leave_a_gap(lab, a, "one\r\n", "two\r\n");
	leave_a_gap(lab, b, "three\r\n", "four\r\n.\r\n");
	lab_exhaust(lab, below);
	lab_run(lab, 5);
	assert_int_equal(count_of(lab, REASON_out_of_order_evicted), 0);
	assert_true(waits(lab, a) && waits(lab, b));
	lab_exhaust(lab, below - 1); // a gap holds two: its list and its bytes
	lab_run(lab, 5);
	assert_int_equal(count_of(lab, REASON_out_of_order_evicted), 1);
	assert_true(!waits(lab, a) && waits(lab, b));
	lab_exhaust(lab, below - 1);
	lab_run(lab, 5);
	assert_int_equal(count_of(lab, REASON_out_of_order_evicted), 2);
	lab_replenish(lab);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_run(lab, 5000);
	assert_heard(b, "250 queued as 1\r\n");
	assert_non_null(strstr(lab->message, "three\r\nfour\r\n"));
	lab_say(lab, a, ".\r\n");
	assert_heard(a, "250 queued as 1\r\n");
	assert_non_null(strstr(lab->message, "one\r\ntwo\r\n"));
	assert_counts(lab, 0, 0, 0);
	lab_close(lab);
}

#define BOTH(test)                                                                                 \
	{#test, test, NULL, NULL, &families[0]},                                                   \
	{                                                                                          \
#test " (IPv6)", test, NULL, NULL, &families[1]                                    \
	}

int main(void)
{
	static bool families[] = {false, true};
	const struct CMUnitTest tests[] = {
		BOTH(test_longest_idle_makes_room),
		BOTH(test_nobody_idle_for_a_second),
		BOTH(test_who_only_stays_makes_room),
		BOTH(test_evicted_without_a_device),
		BOTH(test_order_of_classes),
		BOTH(test_a_body_survives_a_flood),
		BOTH(test_a_refused_body_makes_room),
		BOTH(test_evicted_transaction_leaves_its_server),
		BOTH(test_half_closed_are_bounded),
		BOTH(test_who_holds_buffers_makes_room_for_replies),
		BOTH(test_a_body_is_never_closed_for_buffers),
		BOTH(test_oldest_gap_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
