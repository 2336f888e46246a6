// SPDX-License-Identifier: BSD-3-Clause
//
// Each limit by itself and in its order: what the first refused connection is, what the look at a
// SYN says meanwhile, that nothing is counted for who is refused, and that all is given back.
#include "dataplane/gate/admission.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SECOND 1000000ull

static struct sources *table(void)
{
	const struct sources_settings settings = {.entries = 1024,
						  .ipv4_prefix = 24,
						  .ipv6_prefix = 56,
						  .point_us = SECOND,
						  .key = {{9}}};
	struct sources *sources = sources_create(&settings);

	assert_non_null(sources);
	return sources;
}

static struct address address_of(const char *text)
{
	struct address address;
	const char *why;

	assert_int_equal(address_parse(text, &address, &why), 0);
	return address;
}

static struct admission_result open_from(struct sources *sources, const struct connector *connector,
					 const char *text, uint64_t now_us)
{
	const struct address address = address_of(text);
	const struct admission_request request = {.connector = connector,
						  .index = 4,
						  .address = &address,
						  .max_sessions = 1000,
						  .now_us = now_us};
	const enum connection_limit_kind look = admission_look(sources, &request);
	const struct admission_result result = admission_open(sources, &request);

	// Who looks first learns what happens then.
	assert_int_equal(look, result.limit);
	assert_false(result.uncounted);
	return result;
}

// Of connections from these two sources in turn, how many come in, and what stops the next one.
static const struct {
	struct connection_limit limits[LIMIT_COUNT];
	const char *sources[2];
	unsigned in;
	enum connection_limit_kind limit;
} rows[] = {
	{{[LIMIT_CONNECTIONS] = {.most = 3}}, {"192.0.2.1", "198.51.100.1"}, 3, LIMIT_CONNECTIONS},
	{{[LIMIT_PER_SOURCE] = {.most = 2}}, {"192.0.2.1", "198.51.100.1"}, 4, LIMIT_PER_SOURCE},
	{{[LIMIT_PER_SOURCE] = {.most = 2}}, {"192.0.2.1", "192.0.2.1"}, 2, LIMIT_PER_SOURCE},
	{{[LIMIT_PER_SOURCE] = {.most = 2}}, {"2001:db8::1", "2001:db8::2"}, 2, LIMIT_PER_SOURCE},
	{{[LIMIT_PER_SOURCE] = {.most = 2}},
	 {"2001:db8::1", "2001:db8:0:1::1"},
	 4,
	 LIMIT_PER_SOURCE},
	// 2 % of 100, 99, 98, ..., rounded up: the third one is above.
	{{[LIMIT_PERCENTAGE] = {.most = 2}, [LIMIT_CONNECTIONS] = {.most = 100}},
	 {"192.0.2.1", "192.0.2.1"},
	 2,
	 LIMIT_PERCENTAGE},
	// Half of what is left: at 34 there are 66 left, of which a half is 33.
	{{[LIMIT_PERCENTAGE] = {.most = 50}, [LIMIT_CONNECTIONS] = {.most = 100}},
	 {"192.0.2.1", "192.0.2.1"},
	 34,
	 LIMIT_PERCENTAGE},
	// Two sources leave less to each other: at 25 each there are 50 left.
	{{[LIMIT_PERCENTAGE] = {.most = 50}, [LIMIT_CONNECTIONS] = {.most = 100}},
	 {"192.0.2.1", "198.51.100.1"},
	 50,
	 LIMIT_PERCENTAGE},
	// Without MaxInboundConnection, or with one above it, of MaxSessions.
	{{[LIMIT_PERCENTAGE] = {.most = 1}}, {"192.0.2.1", "192.0.2.1"}, 10, LIMIT_PERCENTAGE},
	{{[LIMIT_PERCENTAGE] = {.most = 1}, [LIMIT_CONNECTIONS] = {.most = 5000}},
	 {"192.0.2.1", "192.0.2.1"},
	 10,
	 LIMIT_PERCENTAGE},
	// As long as one is left, who has none gets it.
	{{[LIMIT_PERCENTAGE] = {.most = 1}, [LIMIT_CONNECTIONS] = {.most = 2}},
	 {"192.0.2.1", "198.51.100.1"},
	 2,
	 LIMIT_CONNECTIONS},
	{{[LIMIT_PERCENTAGE] = {.most = 100}, [LIMIT_CONNECTIONS] = {.most = 8}},
	 {"192.0.2.1", "192.0.2.1"},
	 8,
	 LIMIT_CONNECTIONS},
	{{[LIMIT_PER_SOURCE] = {.most = 2},
	  [LIMIT_PERCENTAGE] = {.most = 50},
	  [LIMIT_CONNECTIONS] = {.most = 100}},
	 {"192.0.2.1", "192.0.2.1"},
	 2,
	 LIMIT_PER_SOURCE},
	{{[LIMIT_PER_PREFIX] = {.most = 3}}, {"192.0.2.1", "192.0.2.2"}, 3, LIMIT_PER_PREFIX},
	{{[LIMIT_PER_PREFIX] = {.most = 3}}, {"192.0.2.1", "192.0.3.2"}, 6, LIMIT_PER_PREFIX},
	{{[LIMIT_PER_PREFIX] = {.most = 3}},
	 {"2001:db8::1", "2001:db8:0:ff::2"},
	 3,
	 LIMIT_PER_PREFIX},
	{{[LIMIT_PER_PREFIX] = {.most = 3}},
	 {"2001:db8::1", "2001:db8:0:100::"},
	 6,
	 LIMIT_PER_PREFIX},
	{{[LIMIT_SOURCE_RATE] = {.most = 4}}, {"192.0.2.1", "192.0.2.2"}, 8, LIMIT_SOURCE_RATE},
	{{[LIMIT_PREFIX_RATE] = {.most = 4}}, {"192.0.2.1", "192.0.2.2"}, 4, LIMIT_PREFIX_RATE},
	// What is full first decides; of two that are, the earlier one.
	{{[LIMIT_PER_PREFIX] = {.most = 2},
	  [LIMIT_PREFIX_RATE] = {.most = 2},
	  [LIMIT_SOURCE_RATE] = {.most = 2}},
	 {"192.0.2.1", "192.0.2.1"},
	 2,
	 LIMIT_PER_PREFIX},
};

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sources *sources = table();
		struct admission admissions[64];
		struct connector connector = {0};
		struct admission_result result;
		unsigned in = 0;

		for (unsigned j = 0; j < LIMIT_COUNT; j++)
			connector.limits[j] = rows[i].limits[j];
		for (;; in++) {
			result = open_from(sources, &connector, rows[i].sources[in % 2], SECOND);
			if (result.limit != LIMIT_WITHIN)
				break;
			admissions[in] = result.admission;
		}
		assert_int_equal(in, rows[i].in);
		assert_int_equal(result.limit, rows[i].limit);
		assert_int_equal(sources_connector_sessions(sources, 4), in);
		while (in > 0)
			admission_close(sources, 4, &admissions[--in]);
		assert_int_equal(sources_totals(sources, SECOND).sessions, 0);
		assert_int_equal(sources_totals(sources, SECOND).connector_sessions, 0);
		sources_destroy(sources);
	}
}

// Room that comes back: by a session that ends, by time.
static void test_room_again(void **state)
{
	struct sources *sources = table();
	struct connector connector = {
		.limits = {[LIMIT_PER_SOURCE] = {.most = 1}, [LIMIT_SOURCE_RATE] = {.most = 3}}};
	struct admission_result result;

	for (unsigned i = 0; i < 3; i++) {
		result = open_from(sources, &connector, "192.0.2.1", SECOND);
		assert_int_equal(result.limit, LIMIT_WITHIN);
		assert_int_equal(open_from(sources, &connector, "192.0.2.1", SECOND).limit,
				 LIMIT_PER_SOURCE);
		admission_close(sources, 4, &result.admission);
	}
	assert_int_equal(open_from(sources, &connector, "192.0.2.1", 20 * SECOND).limit,
			 LIMIT_SOURCE_RATE);
	result = open_from(sources, &connector, "192.0.2.1", 21 * SECOND);
	assert_int_equal(result.limit, LIMIT_WITHIN);
	admission_close(sources, 4, &result.admission);
	assert_int_equal(open_from(sources, &connector, "192.0.2.1", 22 * SECOND).limit,
			 LIMIT_SOURCE_RATE);
	sources_destroy(sources);
}

// Who is exempt is counted for the others, and never above a limit.
static void test_exempt(void **state)
{
	struct sources *sources = table();
	struct connector connector = {
		.limits = {[LIMIT_CONNECTIONS] = {.most = 2}, [LIMIT_PER_SOURCE] = {.most = 1}}};
	const struct address address = address_of("192.0.2.1");
	const struct admission_request request = {.connector = &connector,
						  .index = 4,
						  .address = &address,
						  .exempt = true,
						  .now_us = SECOND};

	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(admission_look(sources, &request), LIMIT_WITHIN);
		assert_int_equal(admission_open(sources, &request).limit, LIMIT_WITHIN);
	}
	assert_int_equal(sources_open_sessions(sources, &address), 5);
	assert_int_equal(open_from(sources, &connector, "192.0.2.2", SECOND).limit,
			 LIMIT_CONNECTIONS);
	sources_destroy(sources);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_room_again),
		cmocka_unit_test(test_exempt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
