// SPDX-License-Identifier: BSD-3-Clause
//
// Keyed hash of 4-tuples over libsodium's SipHash-2-4. A tuple of IPv4 addresses is hashed by what
// differs in it, 12 bytes of 36: two thirds of the rounds. The forms hash messages of different
// lengths, and SipHash covers the length: one key may serve all without one foretelling another.
// Messages are put together in words of eight bytes, as they are read: a load of eight is not
// served by two stores of four that are still on their way, but waits for all before it.
// Does not derive or hold keys; sodium_init() is the business of whoever starts the process.
#include "dataplane/base/hash.h"

#include <sodium/crypto_shorthash.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "SipHash key");

// Room for a number, two addresses and two ports.
#define WORDS_MAX   6
#define PORTS_BYTES 4u

static uint32_t load_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return value;
}

// Fills in the tuple behind other words; returns how many bytes they are together.
static size_t put_tuple(uint64_t *words, unsigned used, const struct tuple *tuple)
{
	const uint8_t *local = tuple->local.bytes, *remote = tuple->remote.bytes;
	const uint32_t ports = tuple->local_port | (uint32_t)tuple->remote_port << 16;

	if (address_is_ipv4(&tuple->remote) && address_is_ipv4(&tuple->local)) {
		words[used++] = load_u32(local + 12) | (uint64_t)load_u32(remote + 12) << 32;
	} else {
		memcpy(words + used, local, sizeof(tuple->local));
		memcpy(words + used + 2, remote, sizeof(tuple->remote));
		used += 4;
	}
	words[used] = ports;
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

	return hash_words(key, words, put_tuple(words, 0, tuple));
}

uint64_t hash_tuple_with(const struct hash_key *key, const struct tuple *tuple, uint64_t extra)
{
	uint64_t words[WORDS_MAX];

	words[0] = extra;
	return hash_words(key, words, put_tuple(words, 1, tuple));
}

uint64_t hash_numbers(const struct hash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t words[] = {a, b};
	return hash_words(key, words, sizeof(words));
}
