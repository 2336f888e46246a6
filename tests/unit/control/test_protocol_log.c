// SPDX-License-Identifier: BSD-3-Clause
//
// Lines of the protocol log: exact text, quoting, bytes that no terminal should get, and the order
// of several workers' records.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/policy.h"
#include "control/protocol_log.h"
#include "dataplane/base/protocol_record.h"
#include "dataplane/base/record_ring.h"

#define NOON_US 1790078400000000ull // 2026-09-22T12:00:00Z

static struct connector connectors[] = {{.name = (char *)"Internet"},
					{.name = (char *)"Comma, \"quoted\""}};
static struct policy policy = {
	.gate = {.name = (char *)"mx.example.com",
		 .protocol_log_file_size = 65536,
		 .protocol_log_directory_size = 1 << 20},
	.connectors = connectors,
	.connector_count = 2,
};

static struct endpoint endpoint(const char *text)
{
	struct endpoint out;
	const char *why;

	assert_int_equal(endpoint_parse(text, 25, &out, &why), 0);
	return out;
}

static size_t format(const struct protocol_record *record, char line[PROTOCOL_FILES_LINE_MAX])
{
	return protocol_log_format(policy.gate.name, policy.connectors[record->connector].name,
				   record, line);
}

static size_t make(struct protocol_record *record, uint64_t wall_us, const char *data)
{
	*record = (struct protocol_record){
		.wall_us = wall_us,
		.session = 0xabcdef,
		.sequence = 7,
		.length = (uint16_t)strlen(data),
		.event = '<',
		.local = endpoint("192.0.2.10:25"),
		.remote = endpoint("[2001:db8::7]:50000"),
	};
	memcpy(record->data, data, record->length);
	return sizeof(*record) + record->length;
}

#define FRONT                                                                                      \
	"2026-09-22T12:00:00.123Z,mx\\Internet,0000000000ABCDEF,7,192.0.2.10:25,"                  \
	"[2001:db8::7]:50000,<,"

static void test_data(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"RCPT TO:<b@c.test>", "RCPT TO:<b@c.test>"},
		{"250 a, b", "\"250 a, b\""},
		{"say \"x\"", "\"say \"\"x\"\"\""},
		{"a\tb\033[31m\x7f", "a?b?[31m?"},
		{"J\303\266rg", "J\303\266rg"},
		{"cut \303", "cut ?"},
		{"Arabic \330\233 \330\235", "Arabic \330\233 \330\235"},
		{"overlong \300\257", "overlong ??"},
		{"latin \344,", "\"latin ?,\""},
		{"C1 \302\233m \302\240", "C1 ?m \302\240"},
		{"turned \342\200\256 \342\201\246 \342\200\250 \330\234", "turned ? ? ? ?"},
		{"not \342\200\223 \342\202\254 \342\201\252",
		 "not \342\200\223 \342\202\254 \342\201\252"},
	};
	_Alignas(8) char memory[2048];
	struct protocol_record *record = (void *)memory;
	char line[PROTOCOL_FILES_LINE_MAX], expected[512];
	size_t length;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(record, NOON_US + 123456, cases[i][0]);
		length = format(record, line);
		assert_int_equal(length, strlen(line));
		snprintf(expected, sizeof(expected), FRONT "%s,\r\n", cases[i][1]);
		assert_string_equal(line, expected);
	}
}

static void test_contexts(void **state)
{
	static const struct {
		unsigned context;
		const char *text;
	} cases[] = {
		{PROTOCOL_CONTEXT_LOCAL, "Local"},
		{PROTOCOL_CONTEXT_REMOTE, "Remote"},
		{PROTOCOL_CONTEXT_PERMISSIONS, "Set Session Permissions"},
		{REASON_smtp_timeout, "smtp_timeout"},
		{REASON_gate_stopped, "gate_stopped"},
	};
	_Alignas(8) char memory[2048];
	struct protocol_record *record = (void *)memory;
	char line[PROTOCOL_FILES_LINE_MAX], expected[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(record, NOON_US + 123456, "x");
		record->context = (uint16_t)cases[i].context;
		format(record, line);
		snprintf(expected, sizeof(expected), FRONT "x,%s\r\n", cases[i].text);
		assert_string_equal(line, expected);
	}
	record->connector = 1;
	format(record, line);
	assert_non_null(strstr(line, "Z,\"mx\\Comma, \"\"quoted\"\"\",0000"));
}

// Names, addresses and data at their longest, and all of it quotes.
static void test_longest(void **state)
{
	char name[POLICY_NAME_MAX + 1], line[PROTOCOL_FILES_LINE_MAX];
	_Alignas(8) static char memory[4096];
	static char data[PROTOCOL_DATA_MAX + 1];
	struct protocol_record *record = (void *)memory;
	char *kept = connectors[0].name;

	memset(name, '"', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	memset(data, '"', sizeof(data) - 1);
	connectors[0].name = name;
	make(record, NOON_US, data);
	record->sequence = UINT32_MAX;
	record->local = record->remote =
		endpoint("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	record->context = PROTOCOL_CONTEXT_PERMISSIONS;
	assert_in_range(format(record, line), 2200, PROTOCOL_FILES_LINE_MAX - 1);
	connectors[0].name = kept;
}

static void put(struct protocol_log *log, unsigned worker, uint64_t wall_us, const char *data)
{
	struct protocol_record *record = record_ring_reserve(protocol_log_ring(log, worker), 512);

	record_ring_commit(protocol_log_ring(log, worker), make(record, wall_us, data));
}

static void test_workers_in_the_order_of_time(void **state)
{
	char parent[] = "/tmp/protocol-log-XXXXXX", error[PROTOCOL_FILES_ERROR_MAX];
	char folder[64], name[96], text[4096], *at;
	struct protocol_log *log;
	FILE *file;

	assert_non_null(mkdtemp(parent));
	snprintf(folder, sizeof(folder), "%s/log", parent);
	policy.gate.protocol_log_path = folder;
	log = protocol_log_create(&policy, 2, "1.2", error);
	assert_int_equal(protocol_log_adopt(log, &policy, NULL), 0);
	assert_non_null(log);
	put(log, 1, NOON_US + 1, "1st");
	put(log, 0, NOON_US + 2, "2nd");
	put(log, 1, NOON_US + 3, "3rd");
	put(log, 1, NOON_US + 4, "4th");
	put(log, 0, NOON_US + 5, "5th");
	assert_int_equal(protocol_log_drain(log, NOON_US), 0);
	assert_int_equal(protocol_log_drain(log, NOON_US), 0);
	snprintf(name, sizeof(name), "%s/RECV20260922-1.log", folder);
	file = fopen(name, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	at = text;
	for (unsigned i = 1; i <= 5; i++) {
		static const char *const words[] = {"1st", "2nd", "3rd", "4th", "5th"};

		at = strstr(at, words[i - 1]);
		assert_non_null(at);
	}
	assert_null(strstr(at + 1, "1st"));
	// A directory that is gone, and its parent: lost, and counted. The policy is gone before.
	unlink(name);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(parent), 0);
	memset(folder, 0, sizeof(folder));
	put(log, 0, NOON_US + 6, "6th");
	put(log, 1, NOON_US + 7, "7th");
	assert_int_equal(protocol_log_drain(log, NOON_US), 2);
	protocol_log_destroy(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_contexts),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_workers_in_the_order_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
