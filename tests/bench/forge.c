// SPDX-License-Identifier: BSD-3-Clause
//
// Forged ACKs: so many random acknowledgment numbers go to the check of SYN cookies, and those that
// pass are counted. Whoever did not see the SYN-ACK can do no better. Half of them say that options
// lie in a half-open entry, and are refused when there is none: counted apart.
#include "dataplane/base/random.h"
#include "dataplane/gate/cookie.h"

#include <argp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <x86intrin.h>

#define NOW_US   1000000000ull
#define EXPECTED (1.0 / (1u << 28)) // cookie.h: a MAC of 28 bits

struct options {
	uint64_t tries;
	bool timestamps;
	const char *json;
};

struct result {
	uint64_t passed, without_entry;
	double cycles;
};

static struct result forge(const struct options *options)
{
	struct tcp_options segment = {.timestamps = options->timestamps,
				      .window_scale = TCP_NO_WINDOW_SCALE};
	struct tuple tuple = {.local = address_from_ipv4((const uint8_t[]){192, 0, 2, 10}),
			      .remote = address_from_ipv4((const uint8_t[]){198, 51, 100, 1}),
			      .local_port = 25};
	struct result result = {0};
	struct cookie_secret secret;
	struct cookie_keys keys;
	struct random random;
	uint8_t seed[16];
	uint64_t begin;

	randombytes_buf(&secret, sizeof(secret));
	randombytes_buf(seed, sizeof(seed));
	random_init(&random, seed);
	cookie_keys_init(&keys, &secret, NOW_US);
	begin = __rdtsc();
	for (uint64_t i = 0; i < options->tries; i++) {
		uint64_t number = random_u64(&random);
		struct handshake handshake;

		tuple.remote_port = (uint16_t)(1024 + (i & 0x7fff));
		segment.timestamp_echo = (uint32_t)(number >> 7) * 2654435761u;
		if (!cookie_check(&keys, &tuple, (uint32_t)i, (uint32_t)(number >> 32), &segment,
				  NOW_US, &handshake))
			continue;
		result.passed++;
		result.without_entry += !handshake.has_entry;
	}
	result.cycles = (double)(__rdtsc() - begin) / (double)options->tries;
	return result;
}

enum { KEY_JSON = 1000, KEY_TIMESTAMPS };

static const struct argp_option arguments[] = {
	{"tries", 'n', "N", 0, "forged ACKs", 0},
	{"timestamps", KEY_TIMESTAMPS, NULL, 0, "they have timestamps, random ones", 0},
	{"json", KEY_JSON, "FILE", 0, "figures as JSON, too", 0},
	{0},
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'n':
		options->tries = strtoull(value, NULL, 10);
		break;
	case KEY_TIMESTAMPS:
		options->timestamps = true;
		break;
	case KEY_JSON:
		options->json = value;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {arguments, parse, NULL, NULL, NULL, NULL, NULL};
	struct options options = {.tries = 100000000};
	struct result result;
	FILE *json;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	if (!options.tries || sodium_init() < 0)
		return 1;
	result = forge(&options);
	printf("%llu forged ACKs%s: %llu passed the check, %.2f expected; %llu of them need no "
	       "entry; %.0f cycles each\n",
	       (unsigned long long)options.tries, options.timestamps ? " with timestamps" : "",
	       (unsigned long long)result.passed, (double)options.tries * EXPECTED,
	       (unsigned long long)result.without_entry, result.cycles);
	json = options.json ? fopen(options.json, "w") : NULL;
	if (json) {
		fprintf(json,
			"{\"tries\": %llu, \"timestamps\": %s, \"passed\": %llu, \"expected\": "
			"%.3f, \"without_entry\": %llu, \"cycles\": %.1f}\n",
			(unsigned long long)options.tries, options.timestamps ? "true" : "false",
			(unsigned long long)result.passed, (double)options.tries * EXPECTED,
			(unsigned long long)result.without_entry, result.cycles);
		fclose(json);
	}
	// Far more than chance allows: then the check is broken.
	return result.passed > 20 + 4 * (double)options.tries * EXPECTED;
}
