// SPDX-License-Identifier: BSD-3-Clause
//
// Keyed hash of 4-tuples over libsodium's SipHash-2-4. A tuple of IPv4 addresses is hashed by what
// differs in it, 12 bytes of 36: two thirds of the rounds. The forms hash messages of different
// lengths, and SipHash covers the length: one key may serve all without one foretelling another.
// Messages are put together in words of eight bytes, as they are read: a load of eight is not
// served by two stores of four that are still on their way, but waits for all before it.
// Does not derive or hold keys; sodium_init() is the business of whoever starts the process.
#include "dataplane/base/hash.h"

#include "dataplane/base/siphash_lanes.h"

#include <assert.h>
#include <sodium/crypto_shorthash.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "SipHash key");

// Room for a number, two addresses and two ports.
#define WORDS_MAX   SIPHASH_WORDS_MAX
#define PORTS_BYTES 4u

// Fewer are hashed one by one: a group of lanes costs as much as so many.
#define WORTH_LANES 4

_Static_assert(HASH_BURST == SIPHASH_BURST, "one call of a burst");

static uint32_t load_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t load_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

static bool is_ipv4(const struct tuple *tuple)
{
	return address_is_ipv4(&tuple->remote) && address_is_ipv4(&tuple->local);
}

// Fills in the tuple behind other words, each `stride` words behind the one before; returns how
// many bytes they are together.
static inline __attribute__((always_inline)) size_t
put_tuple(uint64_t *words, unsigned stride, unsigned used, const struct tuple *tuple)
{
	const uint8_t *local = tuple->local.bytes, *remote = tuple->remote.bytes;
	const uint32_t ports = tuple->local_port | (uint32_t)tuple->remote_port << 16;

	if (is_ipv4(tuple)) {
		words[used++ * stride] = load_u32(local + 12) | (uint64_t)load_u32(remote + 12)
									<< 32;
	} else {
		words[used++ * stride] = load_u64(local);
		words[used++ * stride] = load_u64(local + 8);
		words[used++ * stride] = load_u64(remote);
		words[used++ * stride] = load_u64(remote + 8);
	}
	words[used * stride] = ports;
	return used * sizeof(words[0]) + PORTS_BYTES;
}

static uint64_t hash_words(const struct hash_key *key, const uint64_t *words, size_t length)
{
	uint64_t hash;
	crypto_shorthash_siphash24((uint8_t *)&hash, (const uint8_t *)words, length, key->bytes);
	return hash;
}

uint64_t hash_tuple(const struct hash_key *key, const struct tuple *tuple)
{
	uint64_t words[WORDS_MAX];

	return hash_words(key, words, put_tuple(words, 1, 0, tuple));
}

uint64_t hash_tuple_with(const struct hash_key *key, const struct tuple *tuple, uint64_t extra)
{
	uint64_t words[WORDS_MAX];

	words[0] = extra;
	return hash_words(key, words, put_tuple(words, 1, 1, tuple));
}

uint64_t hash_numbers(const struct hash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t words[] = {a, b};
	return hash_words(key, words, sizeof(words));
}

// SipHash ends a message with its length.
static uint64_t ending(size_t length)
{
	return (uint64_t)length << 56;
}

// How many tuples are of the first one's form.
static unsigned alike(const struct tuple *const tuples[], unsigned count)
{
	bool ipv4 = is_ipv4(tuples[0]);
	unsigned same = 1;

	while (same < count && is_ipv4(tuples[same]) == ipv4)
		same++;
	return same;
}

static void hash_alike(const struct hash_key *key, const struct tuple *const tuples[],
		       const uint64_t extras[], unsigned count, uint64_t hashes[])
{
	const unsigned used = extras ? 1 : 0;
	struct siphash_messages messages;
	size_t length = 0;

	messages.count = count;
	for (unsigned i = 0; i < count; i++) {
		if (extras)
			messages.words[0][i] = extras[i];
		length = put_tuple(&messages.words[0][i], HASH_BURST, used, tuples[i]);
		messages.words[length / sizeof(uint64_t)][i] |= ending(length);
	}
	messages.word_count = (unsigned)(length / sizeof(uint64_t)) + 1;
	siphash_lanes(key->bytes, &messages, hashes);
}

void hash_tuples(const struct hash_key *key, const struct tuple *const tuples[],
		 const uint64_t extras[], unsigned count, uint64_t hashes[])
{
	unsigned run;

	assert(count <= HASH_BURST);
	for (unsigned done = 0; done < count; done += run) {
		run = alike(tuples + done, count - done);
		if (run >= WORTH_LANES) {
			hash_alike(key, tuples + done, extras ? extras + done : NULL, run,
				   hashes + done);
			continue;
		}
		for (unsigned i = done; i < done + run; i++)
			hashes[i] = extras ? hash_tuple_with(key, tuples[i], extras[i])
					   : hash_tuple(key, tuples[i]);
	}
}

void hash_many_numbers(const struct hash_key *key, const uint64_t a[], uint64_t b, unsigned count,
		       uint64_t hashes[])
{
	struct siphash_messages messages;

	assert(count <= HASH_BURST);
	if (count < WORTH_LANES) {
		for (unsigned i = 0; i < count; i++)
			hashes[i] = hash_numbers(key, a[i], b);
		return;
	}
	messages.word_count = 3;
	messages.count = count;
	for (unsigned i = 0; i < count; i++) {
		messages.words[0][i] = a[i];
		messages.words[1][i] = b;
		messages.words[2][i] = ending(2 * sizeof(uint64_t));
	}
	siphash_lanes(key->bytes, &messages, hashes);
}
