// SPDX-License-Identifier: BSD-3-Clause
//
// Two workers behind one device: whoever receives a frame, mail passes, each flow stays with its
// owner, both learn their neighbours, one of them answers for both, and every frame is counted once
// (lab_close adds up).
#include "tests/unit/pipeline/lab.h"

static unsigned sessions_of(const struct lab *lab, unsigned worker)
{
	return pipeline_levels(lab->crew[worker]).clients;
}

// Sessions with a delivered message each, until both workers have some.
static void fill_both(struct lab *lab)
{
	unsigned i;

	for (i = 0; i < 12 && !(sessions_of(lab, 0) && sessions_of(lab, 1)); i++) {
		struct peer *client = lab_asking(lab, "a");

		assert_heard(client, "250 recipient\r\n");
		lab_say(lab, client, "DATA\r\ntext\r\n.\r\n");
		assert_heard(client, "354 Start mail input; end with <CRLF>.<CRLF>\r\n"
				     "250 queued as 1\r\n");
	}
	assert_true(sessions_of(lab, 0) && sessions_of(lab, 1));
	assert_int_equal(lab->delivered, i);
}

static unsigned long long handed(const struct lab *lab)
{
	return lab->port_rows[0].frames_handed + lab->port_rows[1].frames_handed;
}

static void test_mail_passes_whoever_receives(void **state)
{
	static const enum lab_delivery deliveries[] = {LAB_RIGHT, LAB_WRONG, LAB_FIRST, LAB_LAST};

	for (unsigned i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++) {
		struct lab *lab = lab_open_crew("", "", deliveries[i]);

		fill_both(lab);
		if (deliveries[i] == LAB_RIGHT)
			assert_int_equal(handed(lab), 0);
		else
			assert_true(handed(lab) > 0);
		lab_close(lab);
	}
}

// A device may change its mind in the middle of a flow (a fanout that rolls over).
static void test_a_flow_stays_with_its_owner(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_FIRST);
	struct peer *client;
	unsigned before[2];

	fill_both(lab);
	for (unsigned i = 0; i < 2; i++)
		before[i] = sessions_of(lab, i);
	lab->delivery = LAB_LAST;
	for (unsigned i = 0; i < lab->client_count; i++) {
		client = &lab->clients[i];
		lab_say(lab, client, "NOOP\r\n");
		assert_heard(client, "250 2.0.0 OK\r\n");
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(sessions_of(lab, i), before[i]);
	lab_close(lab);
}

// A router's word about a segment reaches the worker that sent it.
static void test_packet_too_big_reaches_the_owner(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_WRONG);
	char line[1024];

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line + 900, "\r\n", 3);
	fill_both(lab);
	lab->path_mtu = 1400;
	for (unsigned i = 0; i < lab->client_count; i++) {
		struct peer *client = &lab->clients[i];
		unsigned delivered = lab->delivered;

		lab_say(lab, client,
			"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@accepted.test>\r\nDATA\r\n");
		for (unsigned j = 0; j < 6; j++)
			client->connection->transport->send(client->connection,
							    slice_of_text(line));
		lab_say(lab, client, ".\r\n");
		assert_int_equal(lab->delivered, delivered + 1);
		lab->path_mtu -= 40; // the next one must learn anew
	}
	lab_close(lab);
}

static void test_each_frame_is_counted_where_it_came_in_or_ended(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_WRONG);
	unsigned long long frames_in, frames_handed;
	struct peer *client;

	fill_both(lab);
	lab_run(lab, 1000);
	client = &lab->clients[0];
	frames_in = lab->port_rows[0].frames_in;
	frames_handed = lab->port_rows[0].frames_handed;
	lab_say(lab, client, "NOOP\r\n");
	// The command and the acknowledgment of the reply, each behind a frame that is nothing.
	assert_int_equal(lab->port_rows[0].frames_in - frames_in, 4);
	assert_int_equal(lab->port_rows[0].frames_handed - frames_handed, 2);
	lab_close(lab);
}

static void test_full_way_loses_frames_and_counts_them(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_WRONG);
	struct peer *client = lab_connect(lab);
	unsigned long long frames_handed = lab->port_rows[0].frames_handed;

	assert_heard(client, "220 hello\r\n");
	lab->others_full = true;
	lab_say(lab, client, "NOOP\r\n");
	assert_heard(client, "");
	assert_true(lab->reasons[REASON_handover_full].count > 0);
	assert_int_equal(lab->port_rows[0].frames_handed, frames_handed);
	// What is lost comes again.
	lab->others_full = false;
	lab_run(lab, 5000);
	assert_heard(client, "250 2.0.0 OK\r\n");
	lab_close(lab);
}

static void opened(struct connection *connection)
{
}

static void moved(struct connection *connection)
{
}

static void ended(struct connection *connection)
{
}

static uint64_t never(const struct connection *connection)
{
	return UINT64_MAX;
}

// What the gate drops is dropped where it came in: it costs the owner nothing.
static void test_dropped_frames_are_not_handed_over(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_WRONG);
	unsigned long long before = handed(lab);
	struct tuple tuple = {.local = lab->client_address.address,
			      .remote = lab->policy->ports[0].addresses[0].address,
			      .local_port = 40000,
			      .remote_port = 26};
	static const struct application nothing = {opened, moved, ended, never};

	lab->client.now = lab->now;
	for (unsigned i = 0; i < 8; i++, tuple.local_port++)
		assert_non_null(host_connect(&lab->client, &tuple, &nothing, NULL, lab->now));
	lab_run(lab, 300);
	assert_int_equal(lab->reasons[REASON_no_binding].count, 8);
	assert_int_equal(handed(lab), before);
	lab_close(lab);
}

static bool knows(struct lab *lab, unsigned worker, const struct address *address)
{
	struct link link;

	return net_next_hop(lab->crew[worker]->net, address, lab->now, &lab->outbox, &link, NULL) ==
	       NEXT_HOP_RESOLVED;
}

// The client's question and the server's answer come to one worker only.
static void test_all_learn_and_one_answers(void **state)
{
	static const enum lab_delivery deliveries[] = {LAB_FIRST, LAB_LAST};

	for (unsigned i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++) {
		struct lab *lab = lab_open_crew("", "", deliveries[i]);

		lab_run(lab, 5000);
		assert_int_equal(lab->announcements, 4); // two addresses, twice
		assert_int_equal(lab->arp_answers, 1);   // to the server, who was probed
		lab_connect(lab);
		assert_int_equal(lab->arp_answers, 2);
		for (unsigned worker = 0; worker < 2; worker++)
			assert_true(knows(lab, worker, &lab->client_address.address));
		fill_both(lab);
		for (unsigned worker = 0; worker < 2; worker++)
			assert_true(knows(lab, worker, &lab->server_address.address));
		assert_int_equal(lab->arp_answers, 2);
		assert_int_equal(lab->reasons[REASON_neighbour_unresolved].count, 0);
		lab_close(lab);
	}
}

static void test_one_start_one_stop(void **state)
{
	struct lab *lab = lab_open_crew("", "", LAB_RIGHT);

	assert_int_equal(lab->reasons[REASON_gate_started].count, 1);
	for (unsigned i = 0; i < 2; i++)
		pipeline_stop(lab->crew[i], lab->now);
	assert_int_equal(lab->reasons[REASON_gate_stopped].count, 1);
	lab_close(lab);
}

// MaxSessions is the gate's; a worker has its half of it.
static void test_limits_are_the_gates(void **state)
{
	struct lab *lab = lab_open_crew("HalfOpenEntries = 33\n", "", LAB_WRONG);

	for (unsigned i = 0; i < 60; i++) {
		lab_connect(lab);
		if (lab->client_count == LAB_PEERS)
			lab->client_count = 0; // a new page for the peers
	}
	assert_int_equal(lab->connector.sessions_open, 32);
	assert_int_equal(sessions_of(lab, 0), 16);
	assert_int_equal(sessions_of(lab, 1), 16);
	assert_true(lab->reasons[REASON_sessions_full].count +
			    lab->reasons[REASON_session_evicted].count >
		    0);
	lab_close(lab);
}

// A server that takes two at once gets two, though each worker has mail for more; and none of them
// waits for ever.
static void test_connections_of_both_together(void **state)
{
	struct lab *lab = lab_open_crew("", "MaxConnections = 2\nWaitTimeout = 60s\n", LAB_WRONG);
	struct peer *clients[10];
	unsigned open, waiting = 0;

	lab->plan.final = ""; // the server keeps them
	for (unsigned i = 0; i < 10; i++) {
		clients[i] = lab_asking(lab, "a");
		waiting += clients[i]->length == 0;
		// Who has a connection is not to lose it by silence.
		for (unsigned j = 0; j < i; j++)
			if (clients[j]->length)
				lab_say(lab, clients[j],
					"RCPT TO:<x@accepted.test>\r\nRCPT "
					"TO:<y@accepted.test>\r\n");
	}
	assert_true(sessions_of(lab, 0) && sessions_of(lab, 1));
	assert_int_equal(waiting, 8);
	open = pipeline_levels(lab->crew[0]).servers + pipeline_levels(lab->crew[1]).servers;
	assert_int_equal(open, 2);
	lab->plan.final = lab_good_plan.final;
	for (unsigned i = 0; i < 10; i++) {
		lab_say(lab, clients[i], "DATA\r\ntext\r\n.\r\n");
		lab_heard(clients[i]);
		lab_say(lab, clients[i], "QUIT\r\n");
	}
	assert_int_equal(lab->delivered, 10);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mail_passes_whoever_receives),
		cmocka_unit_test(test_a_flow_stays_with_its_owner),
		cmocka_unit_test(test_packet_too_big_reaches_the_owner),
		cmocka_unit_test(test_each_frame_is_counted_where_it_came_in_or_ended),
		cmocka_unit_test(test_full_way_loses_frames_and_counts_them),
		cmocka_unit_test(test_dropped_frames_are_not_handed_over),
		cmocka_unit_test(test_all_learn_and_one_answers),
		cmocka_unit_test(test_one_start_one_stop),
		cmocka_unit_test(test_limits_are_the_gates),
		cmocka_unit_test(test_connections_of_both_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
