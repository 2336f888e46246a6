// SPDX-License-Identifier: BSD-3-Clause
//
// Keyed hash of 4-tuples over libsodium's SipHash-2-4. A tuple of IPv4 addresses is hashed by what
// differs in it, 12 bytes of 36: two thirds of the rounds. The forms hash messages of different
// lengths, and SipHash covers the length: one key may serve all without one foretelling another.
// Does not derive or hold keys; sodium_init() is the business of whoever starts the process.
#include "dataplane/base/hash.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>

_Static_assert(sizeof(struct hash_key) == crypto_shorthash_KEYBYTES, "SipHash key");

struct ports {
	uint16_t local;
	uint16_t remote;
};

struct message {
	uint64_t extra[2];
	union {
		struct {
			uint32_t local, remote; // as in the address
			struct ports ports;
		} ipv4;
		struct {
			struct address local, remote;
			struct ports ports;
		} full;
	};
};

#define IPV4_BYTES 12u
#define FULL_BYTES 36u
_Static_assert(offsetof(struct message, ipv4.ports) + sizeof(struct ports) == 16 + IPV4_BYTES &&
		       offsetof(struct message, full.ports) + sizeof(struct ports) ==
			       16 + FULL_BYTES,
	       "nothing between the fields");

static bool both_ipv4(const struct tuple *tuple)
{
	return address_is_ipv4(&tuple->remote) && address_is_ipv4(&tuple->local);
}

// Fills in the tuple; returns its length.
static size_t put_tuple(struct message *message, const struct tuple *tuple)
{
	const struct ports ports = {tuple->local_port, tuple->remote_port};

	if (both_ipv4(tuple)) {
		memcpy(&message->ipv4.local, tuple->local.bytes + 12, 4);
		memcpy(&message->ipv4.remote, tuple->remote.bytes + 12, 4);
		message->ipv4.ports = ports;
		return IPV4_BYTES;
	}
	message->full.local = tuple->local;
	message->full.remote = tuple->remote;
	message->full.ports = ports;
	return FULL_BYTES;
}

static uint64_t hash_bytes(const struct hash_key *key, const void *bytes, size_t length)
{
	uint64_t hash;
	crypto_shorthash_siphash24((uint8_t *)&hash, bytes, length, key->bytes);
	return hash;
}

uint64_t hash_tuple(const struct hash_key *key, const struct tuple *tuple)
{
	struct message message;
	size_t length = put_tuple(&message, tuple);

	return hash_bytes(key, &message.ipv4, length);
}

uint64_t hash_tuple_with(const struct hash_key *key, const struct tuple *tuple, uint64_t extra_a,
			 uint64_t extra_b)
{
	struct message message;
	size_t length = put_tuple(&message, tuple);

	message.extra[0] = extra_a;
	message.extra[1] = extra_b;
	return hash_bytes(key, &message, sizeof(message.extra) + length);
}

uint64_t hash_numbers(const struct hash_key *key, uint64_t a, uint64_t b)
{
	const uint64_t message[] = {a, b};
	return hash_bytes(key, message, sizeof(message));
}
