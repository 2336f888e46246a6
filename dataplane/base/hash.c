// SPDX-License-Identifier: BSD-3-Clause
//
// Keyed hash of 4-tuples over libsodium's SipHash-2-4. The forms hash messages of different
// lengths, and SipHash covers the length: one key may serve all without one foretelling another.
// Does not derive or hold keys; sodium_init() is the business of whoever starts the process.
#include "dataplane/base/hash.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "SipHash key");

struct tuple_message {
	struct address local;
	struct address remote;
	uint16_t local_port;
	uint16_t remote_port;
} __attribute__((packed));

struct tuple_message_with {
	uint64_t extra_a;
	uint64_t extra_b;
	struct tuple_message tuple;
} __attribute__((packed));

static struct tuple_message message_of(const struct tuple *tuple)
{
	return (struct tuple_message){tuple->local, tuple->remote, tuple->local_port,
				      tuple->remote_port};
}

static uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length)
{
	uint64_t hash;
	crypto_shorthash((uint8_t *)&hash, bytes, length, key->bytes);
	return hash;
}

uint64_t hash_tuple(const struct hash_key *key, const struct tuple *tuple)
{
	struct tuple_message message = message_of(tuple);
	return hash_bytes(key, &message, sizeof(message));
}

uint64_t hash_tuple_with(const struct hash_key *key, const struct tuple *tuple, uint64_t extra_a,
			 uint64_t extra_b)
{
	struct tuple_message_with message = {extra_a, extra_b, message_of(tuple)};
	return hash_bytes(key, &message, sizeof(message));
}

uint64_t hash_numbers(const struct hash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t message[] = {a, b};
	return hash_bytes(key, message, sizeof(message));
}

bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       memcmp(&a->remote, &b->remote, sizeof(a->remote)) == 0 &&
	       memcmp(&a->local, &b->local, sizeof(a->local)) == 0;
}
