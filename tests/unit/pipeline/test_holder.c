// SPDX-License-Identifier: BSD-3-Clause
//
// Who keeps a server's connection from those who wait for one, in both families: silent after RCPT,
// talking of something else, sending a message too slowly. What the client, the server and who
// waits hear; and who is left alone: the quick, those whom the server or the gate keeps waiting,
// and everybody while nobody waits.
#include "tests/unit/pipeline/lab.h"

#include <stdio.h>

static const char accepted[] = "250 recipient\r\n";
static const char evicted[] = "421 4.3.2 Service not available, closing transmission channel\r\n";
static const char go_on[] = "354 Start mail input; end with <CRLF>.<CRLF>\r\n";
static const char queued[] = "250 queued as 1\r\n";

// What lab_say sends each half second makes so many octets a second twice.
#define FLOOR       500
#define HALF_SECOND LAB_MOMENT_MS

// The test's parameter.
struct way {
	const char *gate;  // of the family
	const char *hello; // of the server, with CHUNKING or not
	bool chunks;       // the client's own BDAT
};

static struct lab *open_lab(void **state, const char *backend)
{
	const struct way *way = *state;
	char text[128];
	struct lab *lab;

	snprintf(text, sizeof(text), "WaitTimeout = 5m\n%s", backend);
	lab = lab_open(way->gate, text);
	lab->plan.hello = way->hello;
	return lab;
}

static unsigned long long count_of(const struct lab *lab, enum reason reason)
{
	return lab->reasons[reason].count;
}

static void assert_counts(const struct lab *lab, unsigned holders, unsigned senders)
{
	assert_int_equal(count_of(lab, REASON_holder_evicted), holders);
	assert_int_equal(count_of(lab, REASON_slow_sender_evicted), senders);
}

static struct peer *holding(struct lab *lab)
{
	struct peer *peer = lab_asking(lab, "a");

	assert_heard(peer, accepted);
	return peer;
}

// A message of 50,000 octets is on its way.
static void begin(struct lab *lab, void **state, struct peer *peer)
{
	const struct way *way = *state;

	lab_say(lab, peer, way->chunks ? "BDAT 50000 LAST\r\n" : "DATA\r\n");
	assert_heard(peer, way->chunks ? "" : go_on);
	peer->connection->transport->send(peer->connection, slice_of_text("X: y\r\n\r\n"));
}

static struct peer *sending(struct lab *lab, void **state)
{
	struct peer *peer = holding(lab);

	begin(lab, state, peer);
	return peer;
}

static void queue(struct peer *peer, size_t octets)
{
	char text[4096];

	for (size_t i = 0; i < octets; i++)
		text[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : 'x';
	assert_true(octets % 50 == 0);
	peer->connection->transport->send(peer->connection, slice_of(text, octets));
}

// For so long each of the peers sends so much every half second.
static void send_on(struct lab *lab, unsigned seconds, struct peer *const peers[],
		    const size_t octets[], unsigned count)
{
	for (unsigned i = 0; i < 2 * seconds; i++) {
		for (unsigned k = 0; k < count; k++)
			if (peers[k]->connection)
				queue(peers[k], octets[k]);
		lab_run(lab, HALF_SECOND);
	}
}

// ---- Before the message ------------------------------------------------------------------------

// Who waits for a server gets the connection of the one who has kept his in silence for ten
// seconds, not of one who goes on.
static void test_silent_holder_gives_its_connection_up(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 2\n");
	struct peer *busy = holding(lab), *silent = holding(lab), *waiting;

	lab_run(lab, 3000);
	for (unsigned i = 0; i < 5; i++)
		lab_say(lab, busy, "RCPT TO:<y@accepted.test>\r\n");
	lab_heard(busy);
	waiting = lab_asking(lab, "d");
	assert_counts(lab, 0, 0);
	assert_heard(waiting, "");
	lab_run(lab, 3000);
	assert_heard(silent, evicted);
	assert_true(lab->servers[1].reset);
	assert_heard(waiting, accepted);
	assert_counts(lab, 1, 0);
	// Nobody waits any more.
	lab_run(lab, 12000);
	assert_heard(busy, "");
	assert_counts(lab, 1, 0);
	assert_int_equal(count_of(lab, REASON_session_evicted), 0);
	lab_close(lab);
}

// Words that do not get on are none; a recipient every two seconds is enough.
static void test_talk_keeps_no_connection(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 2\n");
	struct peer *talks = holding(lab), *names = holding(lab), *waiting = lab_asking(lab, "c");

	for (unsigned i = 0; i < 5; i++) {
		if (talks->connection)
			lab_say(lab, talks, "NOOP\r\n");
		lab_say(lab, names, "RCPT TO:<y@accepted.test>\r\n");
		assert_heard(names, accepted);
		lab_run(lab, 2000 - 2 * LAB_MOMENT_MS);
	}
	lab_run(lab, 500);
	assert_non_null(strstr(lab_heard(talks), evicted));
	assert_heard(waiting, accepted);
	assert_counts(lab, 1, 0);
	for (unsigned i = 0; i < 5; i++)
		lab_say(lab, names, "RCPT TO:<y@accepted.test>\r\n");
	lab_heard(names);
	waiting = lab_asking(lab, "d");
	for (unsigned i = 0; i < 10; i++) {
		lab_say(lab, names, "RCPT TO:<y@accepted.test>\r\n");
		assert_heard(names, accepted);
		lab_run(lab, 2000 - LAB_MOMENT_MS);
	}
	assert_counts(lab, 2, 0); // the one that was waiting at first, and was silent
	lab_close(lab);
}

// The tarpit does not keep a connection that others wait for: one recipient and many refused ones
// would else have it for ten seconds, and nobody could say that the client was slow.
static void test_tarpit_keeps_no_connection(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client, *waiting;

	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	client = holding(lab);
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\n");
	assert_heard(client, "");
	waiting = lab_asking(lab, "b");
	lab_run(lab, 5000);
	assert_heard(client, "550 5.7.1 Unable to relay\r\n");
	lab_say(lab, client, "RCPT TO:<a@foreign.test>\r\nRCPT TO:<b@foreign.test>\r\n");
	assert_heard(client, "550 5.7.1 Unable to relay\r\n550 5.7.1 Unable to relay\r\n");
	assert_heard(waiting, "");
	lab_run(lab, 10000);
	assert_heard(client, evicted);
	assert_heard(waiting, accepted);
	assert_counts(lab, 1, 0);
	lab_close(lab);
}

// It is the server that takes its time.
static void test_slow_server_is_nobodys_fault(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client, *waiting;

	lab->plan.recipient = "";
	client = lab_asking(lab, "a");
	waiting = lab_asking(lab, "b");
	lab_run(lab, 30000);
	assert_counts(lab, 0, 0);
	lab_say(lab, lab_server(lab), accepted);
	assert_heard(client, accepted);
	lab_run(lab, 9000);
	assert_counts(lab, 0, 0);
	assert_heard(waiting, "");
	lab_run(lab, 1000);
	assert_counts(lab, 1, 0);
	assert_heard(client, evicted);
	lab_close(lab);
}

// ---- In the message ----------------------------------------------------------------------------

static void test_slow_sender_gives_its_connection_up(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 2\n");
	struct peer *peers[] = {sending(lab, state), sending(lab, state)}, *waiting;
	struct peer *server = &lab->servers[0];

	peers[0]->stays = true;
	send_on(lab, 15, peers, (const size_t[]){50, FLOOR / 2}, 2);
	assert_counts(lab, 0, 0); // nobody needs it
	waiting = lab_asking(lab, "c");
	lab_run(lab, 500);
	assert_heard(peers[0], evicted);
	assert_heard(waiting, accepted);
	assert_true(server->reset);
	assert_int_equal(lab->delivered, 0);
	assert_counts(lab, 0, 1);
	// It is heard out, not reset.
	send_on(lab, 2, peers, (const size_t[]){50, FLOOR / 2}, 2);
	assert_non_null(peers[0]->connection);
	peers[0]->connection->transport->close(peers[0]->connection);
	lab_run(lab, 500);
	assert_false(peers[0]->reset);
	assert_int_equal(lab->connector.messages_aborted, 0); // by the client, that is
	lab_close(lab);
}

// Exactly at the floor, with somebody waiting all the time; then below it.
static void test_the_floor(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client = holding(lab), *waiting = lab_asking(lab, "c");

	begin(lab, state, client);
	queue(client, FLOOR);
	send_on(lab, 60, &client, (const size_t[]){FLOOR / 2}, 1);
	assert_counts(lab, 0, 0);
	assert_heard(waiting, "");
	send_on(lab, 12, &client, (const size_t[]){FLOOR / 2 - 50}, 1);
	assert_counts(lab, 0, 1);
	assert_heard(client, evicted);
	assert_heard(waiting, accepted);
	lab_close(lab);
}

// One eviction for each that waits, the slowest first, however many are slow.
static void test_one_for_each_that_waits(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 5\n");
	struct peer *peers[5], *waiting[2];
	static const size_t octets[] = {200, 50, 150, 50, 100};

	for (unsigned i = 0; i < 5; i++)
		peers[i] = sending(lab, state);
	peers[3]->connection->transport->send(peers[3]->connection, slice_of_text("x\r\n"));
	send_on(lab, 15, peers, octets, 5);
	waiting[0] = lab_asking(lab, "a");
	lab_run(lab, 2000);
	assert_counts(lab, 0, 1);
	assert_heard(waiting[0], accepted);
	waiting[1] = lab_asking(lab, "b");
	lab_run(lab, 2000);
	assert_counts(lab, 0, 2);
	assert_heard(waiting[1], accepted);
	assert_heard(peers[1], evicted);
	assert_heard(peers[3], evicted);
	assert_int_equal(lab->delivered, 0);
	lab_close(lab);
}

// Its server does not take what it sends: all of it lies here, and nobody is to blame. Later it is
// slow of itself.
static void test_who_waits_for_the_server_stays(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\nReplyTimeout = 10m\n");
	struct peer *client = sending(lab, state), *waiting;

	lab->wire.weather[STATION_SERVER].loss_permille = 1000;
	for (unsigned i = 0; i < 6; i++)
		queue(client, 4000);
	waiting = lab_asking(lab, "b");
	lab_run(lab, 25000);
	assert_counts(lab, 0, 0);
	lab->wire.weather[STATION_SERVER].loss_permille = 0;
	// The gate's next attempt at the server comes by the double of its time.
	lab_run(lab, 35000);
	assert_true(lab->message_length > 20000);
	assert_heard(waiting, "");
	// The client may find out late that its window is open again.
	lab_run(lab, 40000);
	assert_counts(lab, 0, 0);
	lab_run(lab, 30000);
	assert_counts(lab, 0, 1);
	assert_heard(client, evicted);
	assert_heard(waiting, accepted);
	lab_close(lab);
}

// The end was there in time: the answer is the server's to give.
static void test_finished_message_waits_for_its_answer(void **state)
{
	const struct way *way = *state;
	struct lab *lab = open_lab(state, "MaxConnections = 1\nFinalReplyTimeout = 10m\n");
	struct peer *client = holding(lab), *waiting = lab_asking(lab, "b");

	lab->plan.final = "";
	lab_say(lab, client,
		way->chunks ? "BDAT 16 LAST\r\nX: y\r\n\r\nabc" : "DATA\r\nX: y\r\n\r\nabc");
	lab_run(lab, 9000);
	lab_heard(client);
	lab_say(lab, client, way->chunks ? "def\r\n" : "def\r\n.\r\n");
	lab_run(lab, 60000);
	assert_heard(client, "");
	assert_counts(lab, 0, 0);
	lab->delivered++;
	lab_say(lab, lab_server(lab), queued);
	assert_heard(client, queued);
	assert_heard(waiting, accepted);
	lab_close(lab);
}

// The end comes in the moment when his patience is over: he is either heard or evicted.
static void test_end_in_the_last_moment(void **state)
{
	const struct way *way = *state;
	unsigned outcomes = 0;

	for (unsigned ms = 8500; ms < 10300; ms += 40) {
		struct lab *lab = open_lab(state, "MaxConnections = 1\n");
		struct peer *client = holding(lab);
		unsigned long long slow;

		lab_asking(lab, "b");
		lab_say(lab, client,
			way->chunks ? "BDAT 16 LAST\r\nX: y\r\n\r\nabc"
				    : "DATA\r\nX: y\r\n\r\nabc");
		lab_heard(client);
		lab_run(lab, ms);
		if (client->connection)
			lab_say(lab, client, way->chunks ? "def\r\n" : "def\r\n.\r\n");
		slow = count_of(lab, REASON_slow_sender_evicted);
		assert_heard(client, slow ? evicted : queued);
		assert_int_equal(lab->delivered, !slow);
		outcomes |= 1u << slow;
		lab_close(lab);
	}
	assert_int_equal(outcomes, 3);
}

// Its server goes in the same moment.
static void test_server_leaves_meanwhile(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 2\n");
	struct peer *peers[] = {sending(lab, state), sending(lab, state)}, *waiting;

	lab_run(lab, 20000);
	lab->servers[0].connection->transport->abort(lab->servers[0].connection);
	waiting = lab_asking(lab, "b");
	lab_run(lab, 1000);
	assert_heard(waiting, accepted);
	assert_counts(lab, 0, 0);
	assert_heard(peers[0], ""); // it hears of it when it is done
	assert_heard(peers[1], "");
	lab_close(lab);
}

static void test_drain_goes_on_beside(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client = sending(lab, state), *waiting;

	lab_run(lab, 20000);
	waiting = lab_asking(lab, "b");
	pipeline_drain(lab->pipeline, false, lab->now, &lab->outbox);
	lab_run(lab, 1000);
	assert_heard(client, evicted);
	assert_heard(waiting, accepted);
	assert_counts(lab, 0, 1);
	lab_close(lab);
}

static void test_floor_of_none(void **state)
{
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client, *waiting;

	lab->policy->connectors[0].min_data_rate = 0;
	client = sending(lab, state);
	waiting = lab_asking(lab, "b");
	lab_run(lab, 60000);
	assert_counts(lab, 0, 0);
	assert_heard(client, "");
	assert_heard(waiting, "");
	lab_close(lab);
}

// Bytes that lie here because the client does not read our replies are its own doing.
static void test_who_does_not_read_is_slow(void **state)
{
	const struct way *way = *state;
	struct lab *lab = open_lab(state, "MaxConnections = 1\n");
	struct peer *client = holding(lab), *waiting;

	if (!way->chunks)
		return lab_close(lab);
	waiting = lab_asking(lab, "b");
	lab->wire.weather[STATION_CLIENT].loss_permille = 1000;
	for (unsigned i = 0; i < 2500; i++)
		client->connection->transport->send(client->connection,
						    slice_of_text("BDAT 1\r\nx"));
	lab_run(lab, 20000);
	assert_counts(lab, 0, 1);
	lab->wire.weather[STATION_CLIENT].loss_permille = 0;
	lab_run(lab, 60000);
	assert_non_null(strstr(lab_heard(waiting), accepted));
	lab_close(lab);
}

// All workers see who waits: together they free one place for him.
static void test_one_for_all_workers(void **state)
{
	const struct way *way = *state;
	struct lab *lab;
	struct peer *peers[6], *waiting;

	if (strstr(way->gate, LAB_IPV6))
		return;
	lab = lab_open_crew("", "MaxConnections = 6\n", LAB_RIGHT);
	lab->plan.hello = way->hello;
	for (unsigned i = 0; i < 6; i++)
		peers[i] = sending(lab, state);
	send_on(lab, 15, peers, (const size_t[]){50, 50, 50, 50, 50, 50}, 6);
	waiting = lab_asking(lab, "a");
	lab_run(lab, 5000);
	assert_heard(waiting, accepted);
	assert_counts(lab, 0, 1);
	lab_close(lab);
}

#define PLAIN    "250-server\r\n250 PIPELINING\r\n"
#define CHUNKING "250-server\r\n250-PIPELINING\r\n250 CHUNKING\r\n"

#define EACH(test)                                                                                 \
	{#test ", DATA to DATA", test, NULL, NULL, &ways[0]},                                      \
		{#test ", DATA to BDAT, IPv6", test, NULL, NULL, &ways[1]},                        \
		{#test ", BDAT to BDAT", test, NULL, NULL, &ways[2]},                              \
	{                                                                                          \
#test ", BDAT to DATA, IPv6", test, NULL, NULL, &ways[3]                           \
	}

int main(void)
{
	static struct way ways[] = {
		{"", PLAIN, false},
		{LAB_IPV6, CHUNKING, false},
		{"", CHUNKING, true},
		{LAB_IPV6, PLAIN, true},
	};
	const struct CMUnitTest tests[] = {
		EACH(test_silent_holder_gives_its_connection_up),
		EACH(test_talk_keeps_no_connection),
		EACH(test_tarpit_keeps_no_connection),
		EACH(test_slow_server_is_nobodys_fault),
		EACH(test_slow_sender_gives_its_connection_up),
		EACH(test_the_floor),
		EACH(test_one_for_each_that_waits),
		EACH(test_who_waits_for_the_server_stays),
		EACH(test_finished_message_waits_for_its_answer),
		EACH(test_end_in_the_last_moment),
		EACH(test_server_leaves_meanwhile),
		EACH(test_drain_goes_on_beside),
		EACH(test_floor_of_none),
		EACH(test_who_does_not_read_is_slow),
		EACH(test_one_for_all_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
