// SPDX-License-Identifier: BSD-3-Clause
//
// Between the workers, who want to know whether DNS lists have a client, and the one helper thread
// that asks them (control/resolver): a bounded ring of clients from each worker, and a cache of
// fixed size with what the lists said. Neither side waits for the other: a full ring means that the
// client is not asked about, a full set of the cache that its oldest answer is forgotten. Knows no
// DNS but the names that are looked up. Belongs to one set of lists, since an answer is bits of
// them: a policy with other lists needs a restart.
#ifndef RELAYGATE_GATE_DNSBL_H
#define RELAYGATE_GATE_DNSBL_H

#include "config/policy.h"
#include "dataplane/base/hash.h"

#include <stdbool.h>

struct dnsbl;

// Clients whose answers are remembered, and those that one worker's ring takes.
#define DNSBL_ENTRIES 65536
#define DNSBL_WAITING 2048

// Bit i: of the policy's list i.
struct dnsbl_answer {
	uint32_t listed;   // it has the client
	uint32_t answered; // it said so or not, or it will not say any more
};

// NULL when out of memory.
struct dnsbl *dnsbl_create(unsigned workers, const struct hash_key *key);
// Neither a worker nor the helper uses it any more. NULL is fine.
void dnsbl_destroy(struct dnsbl *dnsbl);

// ---- The workers' side -----------------------------------------------------------------------
// False when nothing (any more) is known of the client.
bool dnsbl_find(const struct dnsbl *dnsbl, const struct address *client, uint64_t now_us,
		struct dnsbl_answer *answer);
// False when the worker's ring is full.
bool dnsbl_ask(struct dnsbl *dnsbl, unsigned worker, const struct address *client);

enum dnsbl_verdict {
	DNSBL_VERDICT_OPEN, // the lists that have not answered decide
	DNSBL_VERDICT_CLEAN,
	DNSBL_VERDICT_LISTED,
};
// Whether the weights of the lists that have the client come to the threshold, whatever those say
// that have not answered. *heaviest: the list that weighs most of them.
enum dnsbl_verdict dnsbl_judge(const struct policy *policy, uint32_t threshold,
			       const struct dnsbl_answer *answer, unsigned *heaviest);

// ---- The helper's side -----------------------------------------------------------------------
// The next client that a worker asks about; false when there is none.
bool dnsbl_next(struct dnsbl *dnsbl, struct address *client);
// Remembers what is known until then, in place of what was. False when that made another client's
// answer be forgotten before its time.
bool dnsbl_put(struct dnsbl *dnsbl, const struct address *client, const struct dnsbl_answer *answer,
	       uint64_t until_us, uint64_t now_us);

#define DNSBL_NAME_MAX 256
// The name to look up (RFC 5782 sections 2.1 and 2.4): octets or nibbles backwards, then the zone.
char *dnsbl_name(const struct address *client, const char *zone, char name[DNSBL_NAME_MAX]);

#endif
