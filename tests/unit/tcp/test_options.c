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

static void test_sack_blocks(void **state)
{
	static const struct {
		const char *name;
		uint8_t length;
		uint8_t bytes[40];
		uint32_t count;
		struct sack_block want[2];
	} cases[] = {
		{"one", 12, {1, 1, 5, 10, 0, 0, 0, 1, 0xff, 0, 0, 2}, 1, {{1, 0xff000002}}},
		{"behind others", 14, {1, 8, 3, 0, 5, 10, 0, 0, 0, 9, 0, 0, 0, 11}, 1, {{9, 11}}},
		{"first of two",
		 20,
		 {5, 10, 0, 0, 0, 1, 0, 0, 0, 2, 5, 10, 0, 0, 0, 3, 0, 0, 0, 4},
		 1,
		 {{1, 2}}},
		{"half a block", 8, {5, 6, 0, 0, 0, 1, 1, 1}, 0, {{0}}},
		{"one and a half", 16, {5, 14, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 1}, 0, {{0}}},
		{"no block", 4, {5, 2, 1, 1}, 0, {{0}}},
		{"past the end", 6, {5, 10, 0, 0, 0, 1}, 0, {{0}}},
		{"behind a fault", 12, {9, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, 0, {{0}}},
		{"behind the end", 11, {0, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2}, 0, {{0}}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *exact = malloc(cases[i].length);
		struct sack_blocks got;

		memcpy(exact, cases[i].bytes, cases[i].length);
		options_parse_sack(slice_of(exact, cases[i].length), &got);
		if (got.count != cases[i].count ||
		    memcmp(got.block, cases[i].want, got.count * sizeof(got.block[0])) != 0)
			fail_msg("%s: other blocks than expected", cases[i].name);
		free(exact);
	}
}

static void test_sack_blocks_read_back(void **state)
{
	struct tcp_options options = {NO_SCALE, .timestamps = true, .timestamp_value = 9};

	for (uint32_t count = 0; count <= SACK_BLOCKS_MAX; count++) {
		struct sack_blocks blocks = {count, {{1, 2}, {3, 4}, {0xfffffff0, 5}, {6, 7}}};
		struct sack_blocks got;
		uint8_t buffer[40];

		options.timestamps = count < SACK_BLOCKS_MAX;
		uint8_t used = options_write(&options, buffer);
		uint8_t length = options_write_sack(&blocks, buffer, used);
		assert_int_equal(length - used, options_sack_bytes(count));
		options_parse_sack(slice_of(buffer, length), &got);
		assert_int_equal(got.count, count);
		assert_memory_equal(got.block, blocks.block, count * sizeof(got.block[0]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_every_cut_is_safe),
		cmocka_unit_test(test_write_reads_back),
		cmocka_unit_test(test_sack_blocks),
		cmocka_unit_test(test_sack_blocks_read_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
