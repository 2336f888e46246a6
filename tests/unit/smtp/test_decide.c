// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/decide: every right, held and not held, against every kind of address.
#include "dataplane/smtp/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SUBMIT   RIGHT_SUBMIT
#define ANY_RCPT RIGHT_ACCEPT_ANY_RECIPIENT
#define ANY_FROM RIGHT_ACCEPT_ANY_SENDER
#define OWN_FROM RIGHT_ACCEPT_AUTHORITATIVE_SENDER
#define NO_LIMIT RIGHT_BYPASS_MESSAGE_SIZE_LIMIT

static struct accepted_domain domains[] = {
	{.name = (char *)"own.test", .type = DOMAIN_AUTHORITATIVE},
	{.name = (char *)"*.wild.test", .type = DOMAIN_AUTHORITATIVE},
	{.name = (char *)"relay.test", .type = DOMAIN_INTERNAL_RELAY, .match_subdomains = true},
	{.name = (char *)"external.test", .type = DOMAIN_EXTERNAL_RELAY},
};
static const struct policy policy = {.domains = domains,
				     .domain_count = sizeof(domains) / sizeof(*domains)};

enum {
	YES = REASON_NONE,
	AUTH = REASON_smtp_not_authenticated,
	RELAY = REASON_smtp_unable_to_relay,
	FOREIGN = REASON_smtp_sender_not_permitted,
	OWN = REASON_smtp_own_sender_not_permitted,
	LARGE = REASON_smtp_too_large,
	MANY = REASON_smtp_too_many_recipients
};

static const struct {
	rights_mask rights;
	const char *path;
	uint64_t size;
	int verdict;
} senders[] = {
	{0, "<>", 0, AUTH},
	{0, "<a@own.test>", 0, AUTH},
	{ANY_FROM | OWN_FROM | ANY_RCPT | NO_LIMIT, "<a@foreign.test>", 0, AUTH},
	{SUBMIT, "<>", 0, YES},
	{SUBMIT, "<a@foreign.test>", 0, FOREIGN},
	{SUBMIT, "<a@own.test>", 0, OWN},
	{SUBMIT, "<a@OWN.Test>", 0, OWN},
	{SUBMIT, "<a@relay.test>", 0, YES},
	{SUBMIT, "<a@sub.relay.test>", 0, YES},
	{SUBMIT, "<a@external.test>", 0, YES},
	{SUBMIT, "<a@[192.0.2.1]>", 0, FOREIGN},
	{SUBMIT, "<a@sub.own.test>", 0, FOREIGN},
	{SUBMIT | OWN_FROM, "<a@own.test>", 0, YES},
	{SUBMIT | OWN_FROM, "<a@foreign.test>", 0, FOREIGN},
	{SUBMIT | OWN_FROM, "<a%foreign.test@own.test>", 0, FOREIGN},
	{SUBMIT | ANY_FROM, "<a@foreign.test>", 0, YES},
	{SUBMIT | ANY_FROM, "<>", 0, YES},
	{SUBMIT | ANY_FROM, "<a@own.test>", 0, OWN},
	// Other spellings of it for whoever normalizes Unicode.
	{SUBMIT | ANY_FROM, "<a@own\xef\xbc\x8etest>", 0, OWN},
	{SUBMIT | ANY_FROM, "<a@\xef\xbd\x8fwn.test>", 0, OWN},
	{SUBMIT | ANY_FROM | OWN_FROM, "<a@\xef\xbd\x8fwn.test>", 0, YES},
	{SUBMIT | ANY_FROM, "<a@x.wild.test>", 0, OWN},
	{SUBMIT | ANY_FROM, "<a@wild.test>", 0, YES},
	{SUBMIT | ANY_FROM, "<a@relay.test>", 0, YES},
	{SUBMIT | ANY_FROM, "<a%own.test@foreign.test>", 0, OWN},
	{SUBMIT | ANY_FROM, "<@own.test:a@foreign.test>", 0, OWN},
	{SUBMIT | ANY_FROM, "<own.test!a@foreign.test>", 0, OWN},
	{SUBMIT | ANY_FROM, "<\"a@own.test\"@foreign.test>", 0, OWN},
	{SUBMIT | ANY_FROM | OWN_FROM, "<a@own.test>", 0, YES},
	{SUBMIT | ANY_FROM, "<>", 1000, YES},
	{SUBMIT | ANY_FROM, "<>", 1001, LARGE},
	{SUBMIT | ANY_FROM, "<a@own.test>", 1001, OWN},
	{SUBMIT | ANY_FROM | NO_LIMIT, "<>", UINT64_MAX, YES},
};

static const struct {
	rights_mask rights;
	const char *path;
	uint32_t already;
	int verdict;
} recipients[] = {
	{SUBMIT, "<a@own.test>", 0, YES},
	{SUBMIT, "<a@OWN.TEST>", 0, YES},
	{SUBMIT, "<a@relay.test>", 0, YES},
	{SUBMIT, "<a@x.y.relay.test>", 0, YES},
	{SUBMIT, "<a@external.test>", 0, YES},
	{SUBMIT, "<a@x.wild.test>", 0, YES},
	{SUBMIT, "<postmaster>", 0, YES},
	{SUBMIT, "<a@wild.test>", 0, RELAY},
	{SUBMIT, "<a@foreign.test>", 0, RELAY},
	{SUBMIT, "<a@notown.test>", 0, RELAY},
	{SUBMIT, "<a@own.test.foreign.test>", 0, RELAY},
	{SUBMIT, "<postmaster@foreign.test>", 0, RELAY},
	{SUBMIT, "<a@[192.0.2.1]>", 0, RELAY},
	// S10: every way to name a second domain
	{SUBMIT, "<a%foreign.test@own.test>", 0, RELAY},
	{SUBMIT, "<a%own.test@foreign.test>", 0, RELAY},
	{SUBMIT, "<foreign.test!a@own.test>", 0, RELAY},
	{SUBMIT, "<\"a@foreign.test\"@own.test>", 0, RELAY},
	{SUBMIT, "<\"a\\@foreign.test\"@own.test>", 0, RELAY},
	{SUBMIT, "<\"a%foreign.test\"@own.test>", 0, RELAY},
	{SUBMIT, "<@foreign.test:a@own.test>", 0, RELAY},
	{SUBMIT, "<@own.test:a@foreign.test>", 0, RELAY},
	{SUBMIT, "<@own.test,@foreign.test:a@own.test>", 0, RELAY},
	{SUBMIT, "<\"@foreign.test:a\"@own.test>", 0, RELAY},
	{SUBMIT, "<\"@foreign.test:a.relay.test\"@own.test>", 0, RELAY},
	{SUBMIT, "<\"@foreign.test,b.relay.test\"@own.test>", 0, RELAY},
	{SUBMIT, "<a%@own.test>", 0, RELAY},
	{SUBMIT, "<a@own\xe3\x80\x82test>", 0, RELAY},
	{SUBMIT, "<a%own.test@own.test>", 0, YES},
	{SUBMIT, "<@own.test:a@own.test>", 0, YES},
	{SUBMIT, "<\"a b\"@own.test>", 0, YES},
	{SUBMIT | ANY_RCPT, "<a@foreign.test>", 0, YES},
	{SUBMIT | ANY_RCPT, "<a%foreign.test@own.test>", 0, YES},
	{SUBMIT | ANY_FROM | OWN_FROM | NO_LIMIT, "<a@foreign.test>", 0, RELAY},
	{SUBMIT, "<a@own.test>", 2, YES},
	{SUBMIT, "<a@own.test>", 3, MANY},
	{SUBMIT | ANY_RCPT, "<a@own.test>", 3, MANY},
	{SUBMIT, "<a@foreign.test>", 3, RELAY},
};

#define ANONYMOUS (1u << PRINCIPAL_ANONYMOUS)

static void test_senders(void **state)
{
	for (size_t i = 0; i < sizeof(senders) / sizeof(*senders); i++) {
		const struct connector connector = {.granted[PRINCIPAL_ANONYMOUS] =
							    senders[i].rights,
						    .max_message_size = 1000};
		struct path path;
		size_t used;
		assert_true(path_parse(slice_of_text(senders[i].path), &path, &used));
		const enum reason got =
			decide_sender(&policy, &connector, ANONYMOUS, &path, senders[i].size);
		if ((int)got != senders[i].verdict)
			fail_msg("row %zu, MAIL FROM:%s: %d", i, senders[i].path, got);
	}
}

static void test_recipients(void **state)
{
	for (size_t i = 0; i < sizeof(recipients) / sizeof(*recipients); i++) {
		const struct connector connector = {
			.granted[PRINCIPAL_ANONYMOUS] = recipients[i].rights, .max_recipients = 3};
		struct path path;
		size_t used;
		assert_true(path_parse(slice_of_text(recipients[i].path), &path, &used));
		const enum reason got = decide_recipient(&policy, &connector, ANONYMOUS, &path,
							 recipients[i].already);
		if ((int)got != recipients[i].verdict)
			fail_msg("row %zu, RCPT TO:%s: %d", i, recipients[i].path, got);
	}
}

// Denied wins, and groups count.
static void test_rights_come_from_the_connector(void **state)
{
	struct connector connector = {.permission_groups = PERMISSION_GROUP_ANONYMOUS_USERS,
				      .max_message_size = 1000};
	struct path path;
	size_t used;
	assert_true(path_parse(slice_of_text("<a@own.test>"), &path, &used));
	assert_int_equal(decide_sender(&policy, &connector, ANONYMOUS, &path, 0), REASON_NONE);
	connector.denied[PRINCIPAL_ANONYMOUS] = RIGHT_ACCEPT_AUTHORITATIVE_SENDER;
	assert_int_equal(decide_sender(&policy, &connector, ANONYMOUS, &path, 0), OWN);
	connector.granted[PRINCIPAL_ANONYMOUS] = RIGHT_ACCEPT_AUTHORITATIVE_SENDER;
	assert_int_equal(decide_sender(&policy, &connector, ANONYMOUS, &path, 0), OWN);
	assert_int_equal(decide_size_limit(&connector, ANONYMOUS), 1000);
	connector.granted[PRINCIPAL_ANONYMOUS] |= RIGHT_BYPASS_MESSAGE_SIZE_LIMIT;
	assert_true(decide_size_limit(&connector, ANONYMOUS) == POLICY_SIZE_UNLIMITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_rights_come_from_the_connector),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
