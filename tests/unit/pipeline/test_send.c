// SPDX-License-Identifier: BSD-3-Clause
//
// A device that takes nothing for a while loses nothing of a flow; only what has no flow is lost,
// and counted.
#include "tests/unit/pipeline/lab.h"

#include <stdlib.h>

static void test_full_device_loses_nothing_of_a_flow(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");

	lab_heard(client);
	lab->device_full = true;
	lab_say(lab, client, "DATA\r\ntext\r\n.\r\nQUIT\r\n");
	assert_heard(client, "");
	lab->device_full = false;
	lab_run(lab, LAB_MOMENT_MS);
	assert_string_equal(lab_heard(client),
			    "354 Start mail input; end with <CRLF>.<CRLF>\r\n"
			    "250 queued as 1\r\n"
			    "221 2.0.0 Service closing transmission channel\r\n");
	assert_int_equal(lab->delivered, 1);
	// Its segments waited and were not lost; a question for a neighbour may be.
	assert_in_range(lab->port_rows[0].frames_out_lost, 0, 1);
	assert_in_range(lab->port_rows[1].frames_out_lost, 0, 1);
	lab_close(lab);
}

static void test_answer_to_a_syn_is_lost_and_counted(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);
	unsigned long long frames_out;

	lab_say(lab, client, "QUIT\r\n");
	frames_out = lab->port_rows[0].frames_out;
	lab->device_full = true;
	lab_connect(lab);
	assert_int_equal(lab->reasons[REASON_syn_unsent].count, 1);
	assert_int_equal(lab->connector.syns, 1);
	assert_int_equal(lab->port_rows[0].frames_out_lost, 1);
	assert_int_equal(lab->port_rows[0].frames_out, frames_out);
	lab->device_full = false;
	lab_run(lab, 5000);
	assert_int_equal(lab->connector.sessions, 2);
	lab_close(lab);
}

// RFC 9293 MUST-59: what came together is acknowledged together.
static void test_one_acknowledgment_for_a_burst(void **state)
{
	static const char line[] = "half a dozen segments of a message that is long enough\r\n";
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_asking(lab, "a");
	struct flying flying[PIPELINE_BURST];
	struct slice frames[PIPELINE_BURST];
	unsigned long long before;
	unsigned count = 0;

	lab_say(lab, client, "DATA\r\n");
	for (unsigned i = 0; i < 160; i++)
		tcp_send(lab->client.tcp, client->connection->flow, slice_of_text(line));
	host_turn(&lab->client, lab->now);
	lab->now.now_us += 1000;
	while (count < PIPELINE_BURST &&
	       wire_receive(&lab->wire, lab->now.now_us, &flying[count])) {
		assert_int_equal(flying[count].to, STATION_GATE_OUTSIDE);
		frames[count] = slice_of(flying[count].bytes, flying[count].length);
		count++;
	}
	assert_in_range(count, 6, 8);
	before = lab->port_rows[0].frames_out;
	pipeline_input(lab->pipeline, 0, frames, count, lab->now, &lab->outbox);
	assert_int_equal(lab->port_rows[0].frames_out - before, 1);
	while (count > 0)
		free(flying[--count].bytes);
	lab_run(lab, LAB_MOMENT_MS);
	lab_close(lab);
}

// Who uses up his share of the resets leaves that of others alone, and learns nothing of them.
static void test_resets_are_rationed_by_source(void **state)
{
	struct lab *lab = lab_open("", "");
	struct view view = {.kind = VIEW_TCP, .flags = TCP_ACK, .source_port = 9};
	unsigned long long before, *sent = &lab->port_rows[0].frames_out;

	view.destination = lab->policy->ports[0].addresses[0].address;
	view.source = lab->client_address.address;
	before = *sent;
	for (unsigned i = 0; i < 100000; i++)
		send_reset_for(lab->pipeline, &view);
	assert_in_range(*sent - before, 100, 1000);
	before = *sent;
	view.source.bytes[15]++;
	send_reset_for(lab->pipeline, &view);
	assert_int_equal(*sent - before, 1);
	lab_run(lab, 1100);
	before = *sent;
	view.source.bytes[15]--;
	send_reset_for(lab->pipeline, &view);
	assert_int_equal(*sent - before, 1);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_device_loses_nothing_of_a_flow),
		cmocka_unit_test(test_one_acknowledgment_for_a_burst),
		cmocka_unit_test(test_resets_are_rationed_by_source),
		cmocka_unit_test(test_answer_to_a_syn_is_lost_and_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
