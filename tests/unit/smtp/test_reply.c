// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/reply: the table's rows are well-formed replies in both dialects, and the buffer
// keeps them so.
#include "dataplane/smtp/reply.h"
#include "dataplane/smtp/reply_parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const values[] = {"one", "two", NULL};

// Every row, read back by the parser that reads other servers' replies.
static void test_every_row_is_a_reply(void **state)
{
	static struct reply_buffer reply;
	static struct reply_parser parser;
	for (int id = REPLY_NONE + 1; id < REPLY_COUNT; id++) {
		for (int dialect = 0; dialect <= REPLY_DIALECT_2016; dialect++) {
			size_t used;
			reply_clear(&reply);
			reply_add(&reply, (enum reply_dialect)dialect, (enum reply_id)id, values);
			assert_int_equal(reply_code(&reply), reply_id_code((enum reply_id)id));
			reply_parser_init(&parser);
			assert_int_equal(reply_parser_input(&parser, reply_bytes(&reply), &used),
					 REPLY_PARSER_DONE);
			assert_int_equal(used, reply.length);
			assert_memory_equal(parser.text, reply.text, used);
			assert_null(memmem(reply.text, reply.length, "{}", 2));
		}
	}
}

static void expect(enum reply_dialect dialect, enum reply_id id, const char *text)
{
	static struct reply_buffer reply;
	reply_clear(&reply);
	reply_add(&reply, dialect, id, values);
	assert_int_equal(reply.length, strlen(text));
	assert_memory_equal(reply.text, text, reply.length);
}

// The words of the connector reference, section 3.
static void test_dialects(void **state)
{
	static const struct {
		enum reply_id id;
		const char *text_2007, *text_2016;
	} rows[] = {
		{REPLY_not_authenticated, "530 5.7.1 Client was not authenticated\r\n",
		 "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL "
		 "FROM\r\n"},
		{REPLY_unable_to_relay, "550 5.7.1 Unable to relay\r\n",
		 "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain\r\n"},
		{REPLY_sender_not_permitted,
		 "550 5.7.1 Client does not have permissions to send as this sender\r\n",
		 "550 5.7.60 SMTP; Client does not have permissions to send as this sender\r\n"},
		{REPLY_own_sender_not_permitted,
		 "550 5.7.1 Anonymous client does not have permissions to send as this sender\r\n",
		 "550 5.7.1 Anonymous client does not have permissions to send as this sender\r\n"},
		{REPLY_too_large, "552 5.3.4 Message size exceeds fixed maximum message size\r\n",
		 "552 5.3.4 Message size exceeds fixed maximum message size\r\n"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		expect(REPLY_DIALECT_2007, rows[i].id, rows[i].text_2007);
		expect(REPLY_DIALECT_2016, rows[i].id, rows[i].text_2016);
	}
}

static void test_lines_join(void **state)
{
	static struct reply_buffer reply;
	static const char text[] = "250-one Hello [two]\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
	reply_clear(&reply);
	reply_add(&reply, REPLY_DIALECT_2007, REPLY_hello, values);
	reply_add(&reply, REPLY_DIALECT_2007, REPLY_ehlo_pipelining, NULL);
	reply_add(&reply, REPLY_DIALECT_2007, REPLY_ehlo_8bitmime, NULL);
	assert_int_equal(reply.length, sizeof(text) - 1);
	assert_memory_equal(reply.text, text, reply.length);
}

static void test_long_value_is_cut(void **state)
{
	static struct reply_buffer reply;
	char name[2000];
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	reply_clear(&reply);
	reply_add(&reply, REPLY_DIALECT_2007, REPLY_hello, (const char *[]){name, "x"});
	assert_int_equal(reply.length, REPLY_LINE_MAX);
	assert_memory_equal(reply.text + REPLY_LINE_MAX - 3, "n\r\n", 3);
	reply_add(&reply, REPLY_DIALECT_2007, REPLY_ehlo_pipelining, NULL);
	assert_memory_equal(reply.text + REPLY_LINE_MAX, "250 PIPELINING\r\n", 16);
}

static void test_reasons_have_replies(void **state)
{
	// All distinct, for an operator has only the client's log to look at.
	static const enum reason faults[] = {REASON_backend_unavailable, REASON_backend_busy,
					     REASON_backend_lost, REASON_backend_timeout,
					     REASON_backend_malformed_reply};
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		assert_int_equal(reply_id_code(reply_of_reason(faults[i])), 451);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(reply_of_reason(faults[i]),
					     reply_of_reason(faults[k]));
	}
	// Whatever else may go wrong, the client is asked to come back.
	for (int reason = 1; reason < REASON_COUNT; reason++)
		assert_in_range(reply_id_code(reply_of_reason((enum reason)reason)), 400, 599);
}

static void test_detail_is_printable(void **state)
{
	static struct reply_buffer reply;
	char text[300];
	memset(text, 'x', sizeof(text));
	assert_string_equal(reply_set_detail(&reply, slice_of("a\r\n\0\x80 b", 7)), "a???? b");
	assert_int_equal(strlen(reply_set_detail(&reply, slice_of(text, sizeof(text)))),
			 REPLY_DETAIL_MAX - 1);
	assert_string_equal(reply_set_detail(&reply, slice_of("", 0)), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_a_reply),
		cmocka_unit_test(test_dialects),
		cmocka_unit_test(test_lines_join),
		cmocka_unit_test(test_long_value_is_cut),
		cmocka_unit_test(test_reasons_have_replies),
		cmocka_unit_test(test_detail_is_printable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
