// SPDX-License-Identifier: BSD-3-Clause
//
// A device that takes nothing for a while loses nothing of a flow; only what has no flow is lost,
// and counted. And whose budget an answer to a stray segment is taken from.
#include "dataplane/net/build.h"
#include "tests/unit/pipeline/lab.h"

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

// So many ACKs of nothing from a source; returns how many were answered.
static unsigned stray_acks_of(struct lab *lab, struct address source, unsigned count)
{
	static const struct packet_port theirs = {.mac = {2, 0, 0, 0, 0, 0x99}};
	unsigned long long before = lab->port_rows[0].frames_out;
	struct link link = {.port = 0};
	uint8_t frame[OUTBOX_FRAME_MAX];

	memcpy(link.peer, lab->ports[0].mac, sizeof(link.peer));
	for (unsigned i = 0; i < count; i++) {
		struct segment segment = {
			.tuple = {.local = source,
				  .remote = address_from_ipv4((const uint8_t[]){192, 0, 2, 10}),
				  .local_port = (uint16_t)(1024 + i),
				  .remote_port = 25},
			.sequence = i,
			.acknowledgment = i * 77,
			.flags = TCP_ACK,
		};
		struct slice slice =
			slice_of(frame, build_segment(frame, &theirs, &link, &segment));
		pipeline_input(lab->pipeline, 0, &slice, 1, lab->now, &lab->outbox);
	}
	return (unsigned)(lab->port_rows[0].frames_out - before);
}

static unsigned stray_acks(struct lab *lab, uint8_t x, unsigned count)
{
	return stray_acks_of(lab, address_from_ipv4((const uint8_t[]){192, 0, 2, x}), count);
}

// What one source is still told must not depend on what others, or he in their name, have used.
static void test_resets_of_one_source_are_not_anothers(void **state)
{
	struct lab *lab = lab_open("", "");
	unsigned hit = 0, seconds = 0;

	for (; seconds < 64; seconds++) {
		assert_int_equal(stray_acks(lab, 100, 1000), 160);
		assert_int_equal(stray_acks(lab, 100, 10), 0);
		// They may share a bucket, but not for long.
		unsigned answered = stray_acks(lab, 101, 160);
		assert_true(answered == 0 || answered == 160);
		hit += answered == 0;
		lab_run(lab, 1000);
	}
	assert_true(hit < seconds / 8);
	assert_int_equal(lab->reasons[REASON_cookie_invalid].count, 64 * 1170);
	lab_close(lab);
}

// From all addresses of 192.0.2.128/25, each so many.
static unsigned flood_of_acks(struct lab *lab, unsigned each)
{
	unsigned answered = 0;

	for (unsigned i = 0; i < 1024; i++)
		answered += stray_acks(lab, (uint8_t)(128 + i % 120), each);
	return answered;
}

// A flood of strays is answered in its first second as a crash's would be, then sparely; each
// source that is not part of it still has its share, and after it all is as before.
static void test_a_flood_of_strays_gets_few_resets(void **state)
{
	struct lab *lab = lab_open("", "");
	unsigned first = flood_of_acks(lab, 20);

	assert_in_range(first, 32 * 160, 64 * 160);
	for (unsigned second = 0; second < 5; second++) {
		lab_run(lab, 1000);
		assert_in_range(stray_acks(lab, 100, 10), 10, 10);
		assert_in_range(flood_of_acks(lab, 20), 32 * 16, 64 * 16);
	}
	lab_run(lab, 1000);
	assert_int_equal(stray_acks(lab, 100, 1000), 16);
	lab_run(lab, 1000);
	assert_int_equal(stray_acks(lab, 100, 1000), 160);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_device_loses_nothing_of_a_flow),
		cmocka_unit_test(test_answer_to_a_syn_is_lost_and_counted),
		cmocka_unit_test(test_resets_of_one_source_are_not_anothers),
		cmocka_unit_test(test_a_flood_of_strays_gets_few_resets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
