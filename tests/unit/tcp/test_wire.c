// SPDX-License-Identifier: BSD-3-Clause
//
// Two endpoints against each other over a hostile wire, in virtual time: every byte exactly once
// and in order in both directions, an end in bounded time, and every pool full again. A failure
// names its seed; run it alone, with each segment printed: test_wire SEED.
#include "tests/unit/tcp/wire.h"

#define SEEDS 400

static uint32_t pick(struct random *random, const uint32_t *values, uint32_t count)
{
	return values[random_below(random, count)];
}
#define PICK(random, ...)                                                                          \
	pick(random, (const uint32_t[]){__VA_ARGS__},                                              \
	     sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static struct wire_side_config random_side(struct random *random)
{
	struct wire_side_config side = {
		.receive_buffer = PICK(random, 1, 600, 3000, 16384, 65535, 65535, 262144, 1048576),
		.send_buffer = PICK(random, 1, 1000, 8192, 65535, 65535, 262144),
		.chunks = PICK(random, 4, 8, 20, 100, 1000, 1000),
		.mss = (uint16_t)PICK(random, 88, 536, 1220, 1460, 1460, 8960),
		.bytes = 100000 + random_below(random, 400000),
		.write_max = PICK(random, 10, 2000, 20000, 100000),
		.read_max = PICK(random, 10, 2000, 20000, 100000),
		.pause_us = PICK(random, 100, 5000, 50000, 1000000),
	};

	// A pool that the application itself keeps full starves its own connection.
	if (side.chunks <= 20) {
		side.send_buffer = PICK(random, 1, 1000, side.chunks * CHUNK_BYTES / 2);
		side.read_max = PICK(random, 2000, 20000);
		side.pause_us = PICK(random, 100, 5000, 50000);
		side.mss = (uint16_t)PICK(random, 88, 536, 1460);
	}
	// Slow corners get fewer bytes: what takes a thousand turns is proven by a thousand turns.
	if (side.send_buffer == 1 || side.receive_buffer == 1)
		side.bytes = 1 + random_below(random, 300);
	else if (side.write_max == 10 || side.read_max == 10 || side.pause_us == 1000000)
		side.bytes = 1 + random_below(random, 2000);
	else if (side.mss == 88 || side.chunks < 20 || side.receive_buffer == 600)
		side.bytes = 1 + random_below(random, 30000);
	if (random_below(random, 10) == 0)
		side.bytes = 1;
	return side;
}

static bool trace;

static void run_seed(uint64_t seed)
{
	struct random random;
	uint8_t key[16] = {0xaa};

	memcpy(key + 1, &seed, 8);
	random_init(&random, key);
	struct wire_config config = {
		.seed = seed,
		.loss_per_mille = PICK(&random, 0, 0, 10, 30, 100),
		.duplicate_per_mille = PICK(&random, 0, 0, 10, 100),
		.reorder_per_mille = PICK(&random, 0, 0, 10, 300),
		.delay_us = PICK(&random, 50, 1000, 10000, 100000),
		.jitter_us = PICK(&random, 1, 3000, 50000),
		.timestamps = random_below(&random, 2),
		.scale = random_below(&random, 2),
		.isn_near_wrap = PICK(&random, 0, 1, 2, 1500, 10000, 70000),
		.sack = seed % 3 > 0,
	};
	struct wire_side_config sides[2] = {random_side(&random), random_side(&random)};
	// A slow reader slows the other side's writer down as well.
	for (int i = 0; i < 2; i++) {
		if (sides[i].bytes > 10 * sides[!i].bytes + 1000)
			sides[i].bytes = 10 * sides[!i].bytes + 1000;
	}
	// A segment at a time and every tenth one lost: then giving up may be right.
	for (int i = 0; i < 2; i++) {
		if ((sides[i].bytes < 30000 || sides[i].send_buffer == 1000) &&
		    config.loss_per_mille > 30)
			config.loss_per_mille = 30;
	}
	struct wire *wire = wire_open(&config, sides);
	wire->trace = trace;
	wire_run(wire, 20000ull * 1000000);
	wire_close(wire);
}

static uint64_t first_seed = 1, last_seed = SEEDS;

static void test_every_byte_once_and_in_order(void **state)
{
	for (uint64_t seed = first_seed; seed <= last_seed; seed++)
		run_seed(seed);
}

// A bulk transfer of 10 MB over 10 ms of round trip; returns bytes per virtual second.
static double goodput(unsigned loss_per_mille, bool timestamps, bool sack)
{
	struct wire_config config = {
		.seed = 4711,
		.loss_per_mille = loss_per_mille,
		.delay_us = 5000,
		.timestamps = timestamps,
		.sack = sack,
		.scale = true,
		.isn_near_wrap = 5000000,
	};
	struct wire_side_config sides[2] = {
		{262144, 262144, 4000, 1460, 10000000, 1 << 20, 1 << 20, 1000},
		{262144, 262144, 4000, 1460, 1, 1 << 20, 1 << 20, 1000},
	};
	struct wire *wire = wire_open(&config, sides);

	wire_run(wire, 300ull * 1000000);
	double seconds = (double)(wire->now - wire->started) / 1e6;
	print_message(
		"loss %4.1f %%, timestamps %d, SACK %d: %6.2f s, %7.2f Mbit/s, %.3f sent a byte\n",
		loss_per_mille / 10.0, timestamps, sack, seconds, 80.0 / seconds,
		(double)wire->sides[0].payload_bytes / 10000000);
	wire_close(wire);
	return 10000000 / seconds;
}

static void test_bulk_transfer_is_fast_enough(void **state)
{
	static const struct {
		unsigned loss_per_mille;
		double at_least, with_sack; // bytes a second
	} cases[] = {
		{0, 15e6, 15e6}, // 256 KB each 10 ms would be 26 MB/s
		{1, 2e6, 2e6},   {10, 600e3, 600e3}, {30, 200e3, 900e3}, {100, 20e3, 150e3},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int options = 0; options < 4; options++)
			assert_true(goodput(cases[i].loss_per_mille, options & 1, options & 2) >=
				    (options & 2 ? cases[i].with_sack : cases[i].at_least));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_once_and_in_order),
		cmocka_unit_test(test_bulk_transfer_is_fast_enough),
	};

	if (argc > 1)
		first_seed = last_seed = strtoull(argv[1], NULL, 10);
	trace = argc == 2;
	if (argc > 2)
		last_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
