// SPDX-License-Identifier: BSD-3-Clause
//
// Keyed hash of a flow's 4-tuple (SipHash-2-4 through libsodium): whoever does not know the key
// cannot choose tuples that collide, nor foretell what is derived from the hash.
#ifndef RELAYGATE_BASE_HASH_H
#define RELAYGATE_BASE_HASH_H

#include "config/address.h"

#include <string.h>

struct hash_key {
	uint8_t bytes[16];
};

// local and remote as seen from this machine.
struct tuple {
	struct address local;
	struct address remote;
	uint16_t local_port;  // host byte order
	uint16_t remote_port; // host byte order
};
_Static_assert(sizeof(struct tuple) == 36, "no padding: equal tuples are equal bytes");

uint64_t hash_tuple(const struct hash_key *key, const struct tuple *tuple);
// The same with extra bits mixed in (a time, options, a peer's sequence number).
uint64_t hash_tuple_with(const struct hash_key *key, const struct tuple *tuple, uint64_t extra);
// Of two numbers; foretells neither of the above.
uint64_t hash_numbers(const struct hash_key *key, uint64_t a, uint64_t b);

// The same of a burst, in a third of the time and less: hash_tuple, or hash_tuple_with if there are
// extras, of each tuple; hash_numbers of each `a` and one b
// (hashes may be `a`). At most HASH_BURST.
#define HASH_BURST 64
void hash_tuples(const struct hash_key *key, const struct tuple *const tuples[],
		 const uint64_t extras[], unsigned count, uint64_t hashes[]);
void hash_many_numbers(const struct hash_key *key, const uint64_t a[], uint64_t b, unsigned count,
		       uint64_t hashes[]);

static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

#endif
