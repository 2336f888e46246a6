// SPDX-License-Identifier: BSD-3-Clause
//
// The connector's row after each kind of refusal, as its help says, and the log's records.
#include "tests/unit/pipeline/lab.h"

static struct connector_counters with_sender(void)
{
	return (struct connector_counters){.transactions = 1};
}

static void test_refusals(void **state)
{
	struct connector_counters sender_refused = {.senders_refused = 1};
	struct connector_counters malformed_sender = {.senders_refused = 1, .protocol_errors = 1};
	struct connector_counters relay = with_sender(), malformed = with_sender();
	struct connector_counters by_server = with_sender(), unknown = {.protocol_errors = 1};

	relay.recipients_refused = 1;
	malformed.recipients_refused = malformed.protocol_errors = 1;
	by_server.recipients_refused_backend = 1;
	const struct {
		const char *text;
		struct connector_counters row;
	} cases[] = {
		{"MAIL FROM:<a@c.test> SIZE=99999999999\r\n", sender_refused},
		{"MAIL FROM:a@c.test>\r\n", malformed_sender},
		{"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@elsewhere.test>\r\n", relay},
		{"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@@accepted.test>\r\n", malformed},
		{"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@accepted.test>\r\n", by_server},
		{"XYZZY\r\n", unknown},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open("", "");
		struct peer *client = lab_connect(lab);
		const struct connector_counters *want = &cases[i].row;

		lab->plan.recipient = "550 5.1.1 nobody\r\n";
		lab_say(lab, client, "EHLO c.test\r\n");
		lab_say(lab, client, cases[i].text);
		print_message("%s", cases[i].text);
		assert_int_equal(lab->connector.transactions, want->transactions);
		assert_int_equal(lab->connector.senders_refused, want->senders_refused);
		assert_int_equal(lab->connector.recipients_refused, want->recipients_refused);
		assert_int_equal(lab->connector.recipients_refused_backend,
				 want->recipients_refused_backend);
		assert_int_equal(lab->connector.protocol_errors, want->protocol_errors);
		lab_close(lab);
	}
}

// What cuts a body off, and the one counter of messages that it moves.
static void test_messages_that_end_in_their_body(void **state)
{
	static const struct {
		const char *text;
		unsigned seconds;
		unsigned aborted, refused, deferred;
	} cases[] = {
		{"half", 310, .aborted = 1},                 // the client is silent
		{"bare\n.\r\n", 0, .aborted = 1},            // bad form
		{"much too much\r\n.\r\n", 0, .refused = 1}, // the server's 552
		{"later\r\n.\r\n", 0, .deferred = 1},        // its 452
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open("", "");
		struct peer *client;

		lab->plan.final = cases[i].refused ? "552 no\r\n" : "452 later\r\n";
		client = lab_asking(lab, "a");
		lab_say(lab, client, "DATA\r\n");
		lab_say(lab, client, cases[i].text);
		lab_run(lab, cases[i].seconds * 1000);
		print_message("%s\n", cases[i].text);
		assert_int_equal(lab->connector.messages_aborted, cases[i].aborted);
		assert_int_equal(lab->connector.messages_refused, cases[i].refused);
		assert_int_equal(lab->connector.messages_deferred, cases[i].deferred);
		assert_int_equal(lab->connector.messages, 0);
		lab_close(lab);
	}
}

static void test_recipient_refused_for_want_of_a_connection(void **state)
{
	struct lab *lab = lab_open("", "");

	lab->plan.greeting = "554 no\r\n";
	lab_asking(lab, "a");
	assert_int_equal(lab->connector.recipients_refused_backend, 1);
	assert_int_equal(lab->connector.recipients_refused, 0);
	lab_close(lab);
}

static const struct log_record *newest(const struct lab *lab)
{
	const struct log_record *record = &lab->log[0];

	for (unsigned i = 1; i < LAB_LOG; i++)
		if (lab->log[i].sequence > record->sequence)
			record = &lab->log[i];
	return record;
}

static void test_record_of_a_refusal(void **state)
{
	struct lab *lab = lab_open("", "");
	struct peer *client = lab_connect(lab);
	const struct log_record *record;

	lab_run(lab, LAB_MOMENT_MS);
	lab_say(lab, client, "EHLO c.test\r\n");
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n");
	lab_say(lab, client, "RCPT TO:<\033[2J\"x@elsewhere.test>\r\n");
	record = newest(lab);
	assert_string_equal(record->connector, "clients");
	assert_string_equal(record->verb, "RCPT");
	assert_int_equal(record->source_port, 40000);
	assert_memory_equal(record->source, lab->client_address.address.bytes, 16);
	assert_int_equal(record->wall_us / 1000000, lab->now.wall_us / 1000000);
	assert_null(strchr(record->detail, '\033'));
	assert_non_null(strstr(record->detail, "elsewhere"));
	lab_close(lab);
}

static void refuse(struct lab *lab, struct peer *client, unsigned times)
{
	lab_say(lab, client, "EHLO c.test\r\n");
	lab_say(lab, client, "MAIL FROM:<a@c.test>\r\n");
	for (unsigned i = 0; i < times; i++)
		lab_say(lab, client, "RCPT TO:<x@elsewhere.test>\r\n");
}

static void test_ring_goes_round(void **state)
{
	struct lab *lab = lab_open("", "");
	uint64_t first = newest(lab)->sequence;

	for (unsigned i = 0; i < 4; i++)
		refuse(lab, lab_connect(lab), LAB_LOG / 2);
	for (unsigned i = 0; i < LAB_LOG; i++) {
		assert_int_equal(lab->log[i].sequence % LAB_LOG, i);
		assert_true(lab->log[i].sequence > first + LAB_LOG);
		assert_true(lab->log[i].sequence <= first + 2 * LAB_LOG);
	}
	lab_close(lab);
}

// One client cannot wash the others' records out of the ring; what it did is counted all the same.
static void test_a_session_has_its_share_of_the_log(void **state)
{
	struct lab *lab = lab_open("", "");
	uint64_t first = newest(lab)->sequence;

	refuse(lab, lab_connect(lab), 100);
	assert_int_equal(newest(lab)->sequence, first + 16);
	assert_int_equal(lab->connector.recipients_refused, 100);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_messages_that_end_in_their_body),
		cmocka_unit_test(test_recipient_refused_for_want_of_a_connection),
		cmocka_unit_test(test_record_of_a_refusal),
		cmocka_unit_test(test_ring_goes_round),
		cmocka_unit_test(test_a_session_has_its_share_of_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
