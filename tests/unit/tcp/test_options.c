// SPDX-License-Identifier: BSD-3-Clause
//
// Options on the wire: what a parser must refuse, skip and keep, and that what we write reads back.
#include "tests/unit/tcp/lab.h"

struct parse_case {
	const char *name;
	uint8_t length;
	uint8_t bytes[40];
	bool syn;
	bool fine;
	struct tcp_options want;
};

#define NO_SCALE .window_scale = TCP_NO_WINDOW_SCALE

static const struct parse_case parse_cases[] = {
	{"none", 0, {0}, true, true, {NO_SCALE}},
	{"mss", 4, {2, 4, 5, 180}, true, true, {.mss = 1460, NO_SCALE}},
	{"mss outside a SYN", 4, {2, 4, 5, 180}, false, true, {NO_SCALE}},
	{"first of two mss", 8, {2, 4, 5, 180, 2, 4, 1, 1}, true, true, {.mss = 1460, NO_SCALE}},
	{"mss of a wrong length", 4, {2, 3, 5, 1}, true, true, {NO_SCALE}},
	{"scale 7", 4, {1, 3, 3, 7}, true, true, {.window_scale = 7}},
	{"scale 15 reads as 14", 3, {3, 3, 15}, true, true, {.window_scale = 14}},
	{"scale outside a SYN", 3, {3, 3, 7}, false, true, {NO_SCALE}},
	{"sack permitted", 2, {4, 2}, true, true, {.sack_permitted = true, NO_SCALE}},
	{"sack blocks are skipped",
	 12,
	 {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2},
	 false,
	 true,
	 {NO_SCALE}},
	{"timestamps",
	 12,
	 {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8},
	 false,
	 true,
	 {.timestamps = true,
	  .timestamp_value = 0x01020304,
	  .timestamp_echo = 0x05060708,
	  NO_SCALE}},
	{"unknown, then mss",
	 9,
	 {254, 5, 1, 2, 3, 2, 4, 2, 24},
	 true,
	 true,
	 {.mss = 536, NO_SCALE}},
	{"nothing after the end", 5, {0, 2, 4, 5, 180}, true, true, {NO_SCALE}},
	{"40 NOPs",
	 40,
	 {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
	 false,
	 true,
	 {NO_SCALE}},
	{"length 0", 4, {9, 0, 1, 1}, true, false, {NO_SCALE}},
	{"length 1", 4, {9, 1, 1, 1}, true, false, {NO_SCALE}},
	{"no length", 1, {2}, true, false, {NO_SCALE}},
	{"past the end", 3, {2, 4, 5}, true, false, {NO_SCALE}},
	{"kept up to the fault", 6, {2, 4, 5, 180, 8, 10}, true, false, {.mss = 1460, NO_SCALE}},
};

static void same(const struct tcp_options *got, const struct tcp_options *want, const char *name)
{
	if (got->mss != want->mss || got->window_scale != want->window_scale ||
	    got->sack_permitted != want->sack_permitted || got->timestamps != want->timestamps ||
	    got->timestamp_value != want->timestamp_value ||
	    got->timestamp_echo != want->timestamp_echo)
		fail_msg("%s: other options than expected", name);
}

static void test_parse(void **state)
{
	for (size_t i = 0; i < sizeof(parse_cases) / sizeof(parse_cases[0]); i++) {
		const struct parse_case *row = &parse_cases[i];
		uint8_t *exact = malloc(row->length ? row->length : 1);
		struct tcp_options got;

		memcpy(exact, row->bytes, row->length);
		if (options_parse(slice_of(exact, row->length), row->syn, &got) != row->fine)
			fail_msg("%s: wrong verdict", row->name);
		same(&got, &row->want, row->name);
		free(exact);
	}
}

static void test_every_cut_is_safe(void **state)
{
	static const uint8_t all[] = {2, 4, 5, 180, 4, 2, 8, 10, 0, 0,
				      0, 1, 0, 0,   0, 0, 1, 3,  3, 7};

	for (size_t length = 0; length <= sizeof(all); length++) {
		uint8_t *exact = malloc(length ? length : 1);
		struct tcp_options got;

		memcpy(exact, all, length);
		options_parse(slice_of(exact, length), true, &got);
		assert_int_equal(got.mss, length >= 4 ? 1460 : 0);
		assert_int_equal(got.timestamps, length >= 16);
		free(exact);
	}
}

static void test_write_reads_back(void **state)
{
	static const struct tcp_options cases[] = {
		{NO_SCALE},
		{.mss = 1460, NO_SCALE},
		{.window_scale = 0},
		{.mss = 1220,
		 .window_scale = 7,
		 .sack_permitted = true,
		 .timestamps = true,
		 .timestamp_value = 0xfffefdfc,
		 .timestamp_echo = 1},
	};
	static const uint8_t lengths[] = {0, 4, 4, 24};

	for (size_t i = 0; i < 4; i++) {
		uint8_t buffer[40];
		struct tcp_options got;

		assert_int_equal(options_write(&cases[i], buffer), lengths[i]);
		assert_true(options_parse(slice_of(buffer, lengths[i]), true, &got));
		same(&got, &cases[i], "written");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_every_cut_is_safe),
		cmocka_unit_test(test_write_reads_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
