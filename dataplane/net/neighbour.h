// SPDX-License-Identifier: BSD-3-Clause
//
// The neighbour table: which MAC address a next hop has, and whether it still answers. The states
// of RFC 4861 7.3.2 for both families: ARP is treated as neighbour discovery with other packets.
// Three kinds of entries:
//   pinned   gateways and servers that the policy names: made at start, never evicted;
//   wanted   next hops that something was sent to: evicted oldest first, by wanted ones only;
//   learned  stations that asked for our addresses: a small share, evicted oldest first.
// So a flood of forged requests can displace nothing but other strangers.
// Decides only: what is to be sent comes back as an action. Sends nothing, knows no packet format.
#ifndef RELAYGATE_NET_NEIGHBOUR_H
#define RELAYGATE_NET_NEIGHBOUR_H

#include <sys/queue.h>

#include "dataplane/base/hash.h"
#include "dataplane/base/pool.h"
#include "dataplane/base/random.h"
#include "dataplane/base/view.h"

#define NEIGHBOUR_MAX         4096 // wanted and learned entries
#define NEIGHBOUR_LEARNED_MAX 1024
#define NEIGHBOUR_BUCKETS     8192 // a power of two

// RFC 4861 section 10
#define NEIGHBOUR_SOLICITATIONS     3 // MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT
#define NEIGHBOUR_RETRANSMIT_US     1000000u
#define NEIGHBOUR_DELAY_US          5000000u  // DELAY_FIRST_PROBE_TIME
#define NEIGHBOUR_REACHABLE_BASE_US 30000000u // times 0.5 to 1.5, drawn anew each time
// How long a next hop that did not answer is left alone.
#define NEIGHBOUR_HOLD_US 1000000u

enum neighbour_state {
	NEIGHBOUR_NONE,       // pinned or new: nothing known, nothing asked
	NEIGHBOUR_INCOMPLETE, // asked, MAC unknown
	NEIGHBOUR_REACHABLE,
	NEIGHBOUR_STALE,  // MAC known, reachability not confirmed lately, nothing sent since
	NEIGHBOUR_DELAY,  // used while stale: the peer's TCP gets a chance to confirm
	NEIGHBOUR_PROBE,  // asked by unicast
	NEIGHBOUR_FAILED, // did not answer: held for NEIGHBOUR_HOLD_US
};

enum neighbour_kind {
	NEIGHBOUR_PINNED,
	NEIGHBOUR_WANTED,
	NEIGHBOUR_LEARNED,
	NEIGHBOUR_KINDS,
};

enum neighbour_action {
	NEIGHBOUR_NOTHING,
	NEIGHBOUR_SOLICIT_ALL, // ask by broadcast or multicast
	NEIGHBOUR_SOLICIT_ONE, // ask the known MAC
	NEIGHBOUR_UNRESOLVED,  // report that it does not answer
};

struct neighbour {
	struct address address;
	uint8_t mac[LINK_ADDRESS_BYTES]; // valid from REACHABLE to PROBE
	uint16_t port;
	enum neighbour_state state;
	enum neighbour_kind kind;
	unsigned solicitations;      // sent in this state
	uint64_t deadline_us;        // while the state has a timer
	uint64_t reachable_until_us; // in REACHABLE
	uint64_t confirmed_us;       // when it last became REACHABLE
	uint64_t used_us;
	LIST_ENTRY(neighbour) bucket;
	TAILQ_ENTRY(neighbour) age;   // in its kind's list, oldest first
	TAILQ_ENTRY(neighbour) timer; // in its state's list
};

LIST_HEAD(neighbour_bucket, neighbour);
TAILQ_HEAD(neighbour_list, neighbour);

// One list for each length of time: entries join at the end, so each is sorted by deadline.
enum neighbour_timer {
	NEIGHBOUR_TIMER_RETRANSMIT,
	NEIGHBOUR_TIMER_DELAY,
	NEIGHBOUR_TIMER_HOLD,
	NEIGHBOUR_TIMERS,
	NEIGHBOUR_TIMER_NONE = NEIGHBOUR_TIMERS,
};

struct neighbour_table {
	struct pool pool;
	struct random *random;
	struct hash_key key;
	struct neighbour_bucket *buckets;
	struct neighbour_list ages[NEIGHBOUR_KINDS];
	struct neighbour_list timers[NEIGHBOUR_TIMERS];
	unsigned learned_count;
	bool lost;                   // an entry had to go, or found no room:
	struct address lost_address; // whose
};

// Room for NEIGHBOUR_MAX entries beside pinned_max pinned ones. random outlives the table. 0 or
// -ENOMEM.
int neighbour_table_init(struct neighbour_table *table, unsigned pinned_max, struct random *random);
void neighbour_table_fini(struct neighbour_table *table);

// NULL when there is none.
struct neighbour *neighbour_find(const struct neighbour_table *table, uint16_t port,
				 const struct address *address);
// The entry, made if necessary, as a pinned one. At most pinned_max times.
struct neighbour *neighbour_pin(struct neighbour_table *table, uint16_t port,
				const struct address *address);
// A new wanted entry; there must be none. Evicts the oldest learned or else wanted entry when full.
struct neighbour *neighbour_want(struct neighbour_table *table, uint16_t port,
				 const struct address *address, uint64_t now_us);
// A station that asked for one of our addresses, and its MAC (RFC 826, RFC 4861 7.2.3).
void neighbour_learn(struct neighbour_table *table, uint16_t port, const struct address *address,
		     const uint8_t *mac);

// Something is to be sent over the entry. Afterwards neighbour_has_mac says whether it can be.
enum neighbour_action neighbour_use(struct neighbour_table *table, struct neighbour *neighbour,
				    uint64_t now_us);
bool neighbour_has_mac(const struct neighbour *neighbour);

struct neighbour_news {
	const uint8_t *mac; // NULL: not said
	bool solicited;     // an answer to us; believed only while we are asking
	bool override;      // replaces a different MAC that is known
};

// ARP or ND from the neighbour itself (RFC 4861 7.2.5). False when it changes nothing because we
// never asked for this neighbour.
bool neighbour_heard(struct neighbour_table *table, struct neighbour *neighbour,
		     const struct neighbour_news *news, uint64_t now_us);
// An upper layer made progress over the neighbour (RFC 4861 7.3.1).
void neighbour_confirm(struct neighbour_table *table, struct neighbour *neighbour, uint64_t now_us);

// The next entry whose timer is due, moved to its next state, and what is to be done about it. NULL
// when none is left. The entry is valid until the next call for the table.
struct neighbour *neighbour_expire(struct neighbour_table *table, uint64_t now_us,
				   enum neighbour_action *action);
// When the next timer is due; UINT64_MAX when none runs.
uint64_t neighbour_next_us(const struct neighbour_table *table);

// Whether an entry was evicted (or a stranger found no room) since the last call, and whose.
bool neighbour_take_lost(struct neighbour_table *table, struct address *address);

#endif
