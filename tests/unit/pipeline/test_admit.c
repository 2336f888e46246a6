// SPDX-License-Identifier: BSD-3-Clause
//
// What a connection above a limit meets on the wire: each action, Exchange's words in both dialects
// and the operator's own, in both families; what becomes of it when there is room again; and that
// those who are refused cost nobody else a session. Counters are exact, and lab_close finds that
// nothing stays counted.
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"
#include "tests/unit/pipeline/lab.h"

#include <stdlib.h>
#include <string.h>

#define BANNER "220 hello\r\n"
#define MANY                                                                                       \
	"421 4.3.2 The maximum number of concurrent connections has exceeded a limit, closing "    \
	"transmission channel\r\n"
#define MANY_2016                                                                                  \
	"421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, "     \
	"closing transmission channel\r\n"
#define SOURCE_2016                                                                                \
	"421 4.3.2 The maximum number of concurrent server connections has exceeded a per-source " \
	"limit, closing transmission channel\r\n"
#define FAST "421 4.4.2 Connection rate for this client has exceeded the configured limit\r\n"

// The test's parameter: IPv6 or not.
static struct lab *open_lab(void **state, enum connection_limit_kind kind, uint32_t most,
			    enum limit_action action)
{
	struct lab *lab = lab_open(*(const bool *)*state ? LAB_IPV6 : "", "");

	lab->policy->connectors[0].limits[kind] = (struct connection_limit){most, action};
	admit_init(lab->pipeline, 1);
	return lab;
}

static unsigned long long count_of(const struct lab *lab, enum reason reason)
{
	return lab->reasons[reason].count;
}

static void assert_greeted(struct lab *lab)
{
	assert_heard(lab_connect(lab), BANNER);
}

static const struct {
	enum connection_limit_kind kind;
	uint32_t most, in;
	enum reason refused, dropped;
	const char *text, *text_2016;
} rows[] = {
	{LIMIT_CONNECTIONS, 2, 2, REASON_smtp_limit_connections, REASON_limit_connections, MANY,
	 MANY_2016},
	{LIMIT_PER_SOURCE, 3, 3, REASON_smtp_limit_per_source, REASON_limit_per_source, MANY,
	 SOURCE_2016},
	{LIMIT_PERCENTAGE, 5, 2, REASON_smtp_limit_percentage, REASON_limit_percentage, MANY,
	 SOURCE_2016}, // of MaxSessions = 32
	{LIMIT_PER_PREFIX, 3, 3, REASON_smtp_limit_per_prefix, REASON_limit_per_prefix, MANY,
	 SOURCE_2016},
	{LIMIT_SOURCE_RATE, 4, 4, REASON_smtp_limit_source_rate, REASON_limit_source_rate, FAST,
	 FAST},
	{LIMIT_PREFIX_RATE, 4, 4, REASON_smtp_limit_prefix_rate, REASON_limit_prefix_rate, FAST,
	 FAST},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void test_reply(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct lab *lab = open_lab(state, rows[i].kind, rows[i].most, ABOVE_REPLY);

		for (uint32_t j = 0; j < rows[i].in; j++)
			assert_greeted(lab);
		for (unsigned j = 0; j < 4; j++) {
			struct peer *peer;

			lab->policy->gate.dialect = j < 2 ? REPLY_DIALECT_2007 : REPLY_DIALECT_2016;
			peer = lab_connect(lab);
			assert_heard(peer, j < 2 ? rows[i].text : rows[i].text_2016);
			assert_null(peer->connection);
			assert_false(peer->reset);
		}
		assert_int_equal(count_of(lab, rows[i].refused), 4);
		assert_int_equal(lab->connector.connections_refused, 4);
		assert_int_equal(lab->connector.sessions, rows[i].in);
		assert_int_equal(lab->connector.sessions_open, rows[i].in);
		assert_int_equal(lab->log[lab->pipeline->log_sequence % LAB_LOG].code, 421);
		lab_close(lab);
	}
}

static void test_reset(void **state)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct lab *lab = open_lab(state, rows[i].kind, rows[i].most, ABOVE_RESET);
		struct peer *peer;

		for (uint32_t j = 0; j < rows[i].in; j++)
			assert_greeted(lab);
		peer = lab_connect(lab);
		assert_heard(peer, "");
		assert_null(peer->connection);
		assert_true(peer->reset);
		// At its SYN: nothing was opened, nothing is half open.
		assert_int_equal(count_of(lab, rows[i].dropped), 1);
		assert_int_equal(lab->connector.connections_refused, 1);
		assert_int_equal(lab->connector.syns, rows[i].in);
		assert_int_equal(pipeline_levels(lab->pipeline).half_open, 0);
		lab_close(lab);
	}
}

// Silence: the client repeats its SYN, and comes in when there is room.
static void test_drop(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, ABOVE_DROP);
	struct peer *first = lab_connect(lab), *second;

	second = lab_connect(lab);
	assert_non_null(second->connection);
	assert_heard(second, "");
	assert_int_equal(count_of(lab, REASON_limit_per_source), 1);
	lab_say(lab, first, "QUIT\r\n");
	lab_run(lab, 3000);
	assert_heard(second, BANNER);
	lab_close(lab);
}

// Two handshakes at once for one place: the look at the SYN lets both pass, the second ACK does not
// come in.
static void test_handshakes_at_once(void **state)
{
	static const enum limit_action actions[] = {ABOVE_DROP, ABOVE_RESET, ABOVE_REPLY};

	for (size_t i = 0; i < 3; i++) {
		struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, actions[i]);
		struct peer *one, *two;

		lab_connecting(lab);
		lab_run(lab, LAB_MOMENT_MS);
		lab->policy->connectors[0].limits[LIMIT_PER_SOURCE].most = 2;
		one = lab_connecting(lab);
		two = lab_connecting(lab);
		lab_run(lab, LAB_MOMENT_MS);
		assert_heard(one, BANNER);
		assert_heard(two, actions[i] == ABOVE_REPLY ? MANY : "");
		assert_int_equal(two->connection == NULL, actions[i] != ABOVE_DROP);
		assert_int_equal(two->reset, actions[i] == ABOVE_RESET);
		assert_int_equal(lab->connector.sessions, 2);
		if (actions[i] == ABOVE_DROP) {
			// It believes to be connected; its ACK to our next SYN-ACK is judged again.
			lab_say(lab, one, "QUIT\r\n");
			lab_run(lab, 9000);
			assert_heard(two, BANNER);
		}
		lab_close(lab);
	}
}

static void test_tarpit(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, ABOVE_TARPIT);
	struct peer *peer, *impatient;

	lab->policy->connectors[0].tarpit_interval_ms = 5000;
	assert_greeted(lab);
	peer = lab_connect(lab);
	impatient = lab_connect(lab);
	lab_say(lab, peer, "EHLO c.test\r\nMAIL FROM:<>\r\n");
	lab_run(lab, 3000);
	assert_heard(peer, "");
	assert_int_equal(lab->connector.tarpitted, 2);
	impatient->connection->transport->abort(impatient->connection);
	lab_run(lab, 2000);
	assert_heard(peer, MANY);
	assert_null(peer->connection);
	assert_false(peer->reset);
	assert_int_equal(lab->connector.sessions_open, 1);
	lab_close(lab);
}

static void test_own_text(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, ABOVE_REPLY);

	lab->policy->connectors[0].limit_reply = strdup("4.3.2 Not so many");
	assert_greeted(lab);
	assert_heard(lab_connect(lab), "421 4.3.2 Not so many\r\n");
	lab_close(lab);
}

static void ban_client(struct lab *lab)
{
	const struct ban_state state = {.until_s = BANS_FOR_EVER, .shared = true};

	bans_set(lab->pipeline->bans, sources_number(&lab->client_address.address), &state);
}

static void block_client(struct lab *lab)
{
	struct ip_list *list = &lab->policy->ip_block;
	const struct address *address = &lab->client_address.address;

	list->entries = calloc(1, sizeof(list->entries[0])); // the policy's to free
	assert_non_null(list->entries);
	list->entries[0].range = range_from_prefix(address, address_is_ipv4(address) ? 32 : 128);
	list->count = 1;
	ip_list_sort(list);
}

// On the IP Block list, or banned: each action, and the operator's words.
static void test_not_served(void **state)
{
	static const char *const texts[2][2] = {
		{"421 4.7.0 This host is on the block list, closing transmission channel\r\n",
		 "421 4.7.0 Own words\r\n"},
		{"421 4.7.0 Too many offences of this host, closing transmission channel\r\n",
		 "421 4.7.0 Own words\r\n"},
	};

	for (unsigned i = 0; i < 8; i++) {
		const bool ban = i & 1, own = i & 2, tarpit = i & 4;
		const enum reason refused =
			ban ? REASON_smtp_limit_ban : REASON_smtp_limit_block_list;
		const enum reason dropped = ban ? REASON_banned : REASON_ip_blocked;
		struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, ABOVE_DROP);
		struct policy *policy = lab->policy;
		enum limit_action *action = ban ? &policy->ban.action : &policy->ip_block.action;
		char **reply = ban ? &policy->ban.reply : &policy->ip_block.reply;
		struct peer *peer;

		if (ban)
			ban_client(lab);
		else
			block_client(lab);
		policy->connectors[0].tarpit_interval_ms = 5000;
		*reply = own ? strdup("4.7.0 Own words") : NULL;
		*action = ABOVE_DROP;
		peer = lab_connecting(lab);
		lab_run(lab, LAB_MOMENT_MS);
		assert_heard(peer, "");
		assert_int_equal(count_of(lab, dropped), 1);
		assert_false(peer->reset);
		peer->connection->transport->abort(peer->connection);
		*action = ABOVE_RESET;
		peer = lab_connect(lab);
		assert_true(peer->reset);
		assert_int_equal(count_of(lab, dropped), 2);
		*action = tarpit ? ABOVE_TARPIT : ABOVE_REPLY;
		peer = lab_connect(lab);
		if (tarpit) {
			assert_heard(peer, "");
			lab_run(lab, 5000);
		}
		assert_heard(peer, texts[ban][own]);
		assert_null(peer->connection);
		assert_int_equal(count_of(lab, refused), 1);
		assert_int_equal(lab->connector.connections_refused, 1);
		assert_int_equal(lab->connector.sessions, 0);
		lab_close(lab);
	}
}

// SYNs a second, whoever sends them.
static void test_syn_rate(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_SYN_RATE, 3, ABOVE_RESET);
	struct peer *peers[6];
	unsigned reset = 0;

	lab_run(lab, 1000);
	for (unsigned i = 0; i < 6; i++)
		peers[i] = lab_connecting(lab);
	lab_run(lab, LAB_MOMENT_MS);
	for (unsigned i = 0; i < 6; i++)
		reset += peers[i]->reset;
	assert_int_equal(reset, 3);
	assert_int_equal(count_of(lab, REASON_limit_syn_rate), 3);
	lab_run(lab, 1000);
	assert_greeted(lab);
	lab_close(lab);
}

// A reload that takes the limit away frees all SYNs at once.
static void test_syn_rate_gone(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_SYN_RATE, 1, ABOVE_RESET);

	lab_run(lab, 1000);
	assert_greeted(lab);
	lab->policy->connectors[0].limits[LIMIT_SYN_RATE].most = UINT32_MAX;
	admit_init(lab->pipeline, 1);
	for (unsigned i = 0; i < 5; i++)
		assert_greeted(lab);
	assert_int_equal(count_of(lab, REASON_limit_syn_rate), 0);
	lab_close(lab);
}

// Who is on the IP Allow list has no limit.
static void test_allowed(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_PER_SOURCE, 1, ABOVE_REPLY);
	struct ip_entry *entry = calloc(1, sizeof(*entry));

	entry->range.first = entry->range.last = lab->client_address.address;
	lab->policy->ip_allow.entries = entry;
	lab->policy->ip_allow.count = 1;
	ip_list_sort(&lab->policy->ip_allow);
	for (unsigned i = 0; i < 5; i++)
		assert_greeted(lab);
	assert_int_equal(lab->connector.connections_refused, 0);
	lab_close(lab);
}

// MaxSessions is 32: those who are refused and do not hang up hold 16 places at most, and one of
// them makes room when all are taken.
static void test_refused_make_room(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_CONNECTIONS, 4, ABOVE_REPLY);
	struct peer *peer;

	for (unsigned i = 0; i < 4; i++)
		assert_greeted(lab);
	// Far away, so that they can stay before they know.
	lab->wire.weather[STATION_CLIENT].delay_us = 20000;
	for (unsigned i = 0; i < 18; i++) {
		peer = lab_connecting(lab);
		peer->stays = true;
		lab_run(lab, LAB_MOMENT_MS);
		assert_heard(peer, MANY);
	}
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 4 + 16);
	assert_true(lab->clients[4].reset && lab->clients[5].reset);
	assert_non_null(lab->clients[6].connection);
	assert_int_equal(count_of(lab, REASON_refused_evicted), 2);
	lab_close(lab);
}

// The same while the 421 is kept back: the oldest gets it early.
static void test_tarpitted_make_room(void **state)
{
	struct lab *lab = open_lab(state, LIMIT_CONNECTIONS, 4, ABOVE_TARPIT);
	struct peer *first = NULL;

	lab->policy->connectors[0].tarpit_interval_ms = 60000;
	for (unsigned i = 0; i < 4; i++)
		assert_greeted(lab);
	for (unsigned i = 0; i < 17; i++) {
		struct peer *peer = lab_connect(lab);

		first = first ? first : peer;
	}
	assert_int_equal(pipeline_levels(lab->pipeline).clients, 20);
	assert_int_equal(count_of(lab, REASON_refused_evicted), 1);
	assert_heard(first, MANY);
	lab->policy->connectors[0].limits[LIMIT_CONNECTIONS].most = 25;
	for (unsigned i = 0; i < 11; i++)
		if (lab->client_count < LAB_PEERS)
			assert_greeted(lab);
	assert_int_equal(count_of(lab, REASON_session_evicted), 0);
	lab_close(lab);
}

int main(void)
{
	static bool families[] = {false, true};
#define TEST(name)                                                                                 \
	{#name " IPv4", test_##name, NULL, NULL, &families[0]},                                    \
	{                                                                                          \
#name " IPv6", test_##name, NULL, NULL, &families[1]                               \
	}
	const struct CMUnitTest tests[] = {
		TEST(reply),
		TEST(reset),
		TEST(drop),
		TEST(handshakes_at_once),
		TEST(tarpit),
		TEST(own_text),
		TEST(not_served),
		TEST(syn_rate),
		TEST(syn_rate_gone),
		TEST(allowed),
		TEST(refused_make_room),
		TEST(tarpitted_make_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
