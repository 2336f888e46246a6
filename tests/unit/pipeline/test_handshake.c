// SPDX-License-Identifier: BSD-3-Clause
//
// Handshakes: what is counted when a SYN comes twice, when there is no session left, and when the
// segment belongs to nothing.
#include "tests/unit/pipeline/lab.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_repeated_syn_is_answered_and_counted_again),
		cmocka_unit_test(test_no_session_left),
		cmocka_unit_test(test_oldest_half_open_makes_room),
		cmocka_unit_test(test_no_buffer_for_the_banner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
