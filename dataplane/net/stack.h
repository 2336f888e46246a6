// SPDX-License-Identifier: BSD-3-Clause
//
// Inside net/ only: the state behind struct net, and what its files ask of one another. Each
// protocol's file answers its own packets; net.c joins them to the neighbour table and to time.
#ifndef RELAYGATE_NET_STACK_H
#define RELAYGATE_NET_STACK_H

#include "dataplane/net/neighbour.h"
#include "dataplane/net/net.h"
#include "dataplane/net/route.h"
#include "dataplane/net/wire.h"

// Announcements of our addresses after start, and the time between them (RFC 5227 1.1).
#define ANNOUNCE_COUNT       2
#define ANNOUNCE_INTERVAL_US 2000000u
// A conflict is answered at most once in this time for each address (RFC 5227 1.1
// DEFEND_INTERVAL).
#define DEFEND_INTERVAL_US 10000000u
// Echo replies, both families together; and how many may go out back to back.
#define ECHO_REPLIES_PER_SECOND 1000u
#define ECHO_REPLIES_AT_ONCE    100u
// Events kept until the pipeline takes them; a burst of frames makes fewer.
#define EVENTS_MAX 256u

// One solicited-node group on one port.
struct mld_group {
	struct address group;
	uint16_t port;
	uint64_t due_us; // a query is answered then; UINT64_MAX = none waits
};

struct mld_port {
	bool active;                // has IPv6
	uint64_t version1_until_us; // an MLDv1 querier was heard (RFC 3810 8.2.1)
	uint64_t due_us;            // a general query is answered then; UINT64_MAX = none waits
	unsigned joins_left;        // unsolicited reports still to be sent
	uint64_t join_due_us;
};

struct mld {
	struct mld_group *groups;
	unsigned group_count;
	struct mld_port *ports;
	uint64_t next_us; // the earliest of all due times
};

struct net {
	const struct policy *policy;
	const struct packet_port *ports;
	unsigned port_count;
	struct random *random;
	bool silent; // another worker speaks
	struct route_table routes;
	struct neighbour_table neighbours;
	struct mld mld;
	unsigned announcements_left;
	uint64_t announce_due_us;
	uint64_t echo_full_us; // the echo bucket, as the time at which it is full again
	struct net_event events[EVENTS_MAX];
	unsigned event_first, event_count;
};

// net.c

void net_report(struct net *net, enum reason reason, const struct address *address,
		const uint8_t *mac); // mac may be NULL
// Another station claims *own: reports and defends it, at most once in DEFEND_INTERVAL_US.
enum reason net_conflict(struct net *net, struct own_address *own, const uint8_t *mac,
			 struct tick now, struct outbox *outbox);
// True when the MAC is one of our ports': what we sent ourselves, seen by another port of ours.
bool net_is_our_mac(const struct net *net, const uint8_t *mac);
// A station that asked for an address of ours over this port: remembered if it can be on the link.
void net_learn(struct net *net, uint16_t port, const struct address *address, const uint8_t *mac);

// arp.c
enum reason arp_input(struct net *net, const struct view *view, struct tick now,
		      struct outbox *outbox);
// Asks for the neighbour; by broadcast, or its known MAC only.
void arp_solicit(struct net *net, const struct neighbour *neighbour, bool broadcast,
		 struct outbox *outbox);
void arp_announce(struct net *net, const struct own_address *own, struct outbox *outbox);

// icmp.c
enum reason icmp4_input(struct net *net, const struct view *view, struct tick now,
			struct outbox *outbox);
enum reason icmp6_input(struct net *net, const struct view *view, struct tick now,
			struct outbox *outbox);
// An ICMPv6 message of ours being built: begin writes the headers, the caller the message behind
// its four bytes of type, code and checksum, end the checksum.
struct icmp6_frame {
	uint8_t *buffer;
	uint8_t *ip;
	uint8_t *message; // where the ICMPv6 message goes
};
struct icmp6_plan {
	uint16_t port;
	const uint8_t *destination_mac;
	const struct address *source;
	const struct address *destination;
	uint16_t length; // of the message
	uint8_t type;
	uint8_t hop_limit;
	bool router_alert; // MLD's hop-by-hop header goes in front of the message
};
// Reserves a frame and writes its headers and the message's type; false when nothing can be sent
// now. The message's other bytes are zero.
bool icmp6_begin(struct net *net, const struct icmp6_plan *plan, struct outbox *outbox,
		 struct icmp6_frame *frame);
// Fills in the checksum and sends.
void icmp6_end(const struct icmp6_plan *plan, struct outbox *outbox,
	       const struct icmp6_frame *frame);
// The whole ICMP or ICMPv6 message of a view.
struct slice icmp_message(const struct view *view);

// discovery.c
enum reason discovery_solicitation_input(struct net *net, const struct view *view, struct tick now,
					 struct outbox *outbox);
enum reason discovery_advertisement_input(struct net *net, const struct view *view, struct tick now,
					  struct outbox *outbox);
void discovery_solicit(struct net *net, const struct neighbour *neighbour, bool multicast,
		       struct outbox *outbox);
void discovery_announce(struct net *net, const struct own_address *own, struct outbox *outbox);
// The solicited-node group of an address (RFC 4291 2.7.1).
struct address discovery_group(const struct address *address);

// mld.c
int mld_init(struct net *net);
void mld_fini(struct net *net);
void mld_start(struct net *net, struct tick now, struct outbox *outbox);
enum reason mld_query_input(struct net *net, const struct view *view, struct tick now);
void mld_timeout(struct net *net, struct tick now, struct outbox *outbox);

#endif
