// SPDX-License-Identifier: BSD-3-Clause
//
// Our presence on the links: ARP (RFC 826, 5227), neighbour discovery (RFC 4861, 4862), MLD reports
// (RFC 2710 / 3810), echo replies (RFC 792, 4443), and the neighbour table that resolves next hops.
// A gratuitous ARP and an unsolicited NA announce every address at start; another station that
// claims one of them is reported, defended and counted (RFC 5227 2.4).
// Owns the table (fixed size; the oldest entry makes room). Sends through the outbox that is passed
// in; asks for the time. One instance a worker. Does not do duplicate address detection before use:
// a gate's addresses are assigned to it alone; conflicts are events.
#ifndef RELAYGATE_NET_NET_H
#define RELAYGATE_NET_NET_H

#include "dataplane/base/outbox.h"
#include "dataplane/base/random.h"
#include "dataplane/base/tick.h"
#include "dataplane/net/packet.h"

struct policy;
struct net;

// Faults that net noticed; the pipeline drains and counts them, once a burst. A conflict is
// reported at most once in 10 s for each address; each frame of it is counted as address_claimed.
struct net_event {
	enum reason
		reason; // address_conflict, neighbour_full, neighbour_unresolved; NONE = no event
	struct address address;
	uint8_t mac[LINK_ADDRESS_BYTES];
};

// ports[i] describes policy->ports[i]; both must outlive the net. Derives every address's solicited
// node group and, for IPv6, a link-local address from the MAC (RFC 4291 appendix A) unless the port
// has one configured. NULL when out of memory.
struct net *net_create(const struct policy *policy, const struct packet_port *ports,
		       struct random *random);
void net_destroy(struct net *net);
// Another policy with the same ports holds from now on, and outlives the net. Its servers' next
// hops are kept as those that traffic asks for; those of the first policy stay pinned.
void net_adopt(struct net *net, const struct policy *policy);

// Another worker speaks for our addresses: this net learns and asks for its own next hops, but
// announces nothing, answers no ARP, neighbour discovery or MLD, and defends no address (that frame
// is still address_claimed). Before net_start.
void net_silence(struct net *net);
// Is this ARP, neighbour discovery or MLD: a frame that each worker's net has to see? Of a view
// that packet_parse passed.
bool net_teaches(const struct view *view);

// Announces addresses and groups; addresses again two seconds later (RFC 5227 2.3), groups within
// one (RFC 3810 6.1).
void net_start(struct net *net, struct tick now, struct outbox *outbox);

// ARP, ICMP or ICMPv6 that packet_parse and packet_verify passed: answers it, learns from it. Other
// frames' source and destination are not judged here: see net_is_ours.
enum reason net_input(struct net *net, const struct view *view, struct tick now,
		      struct outbox *outbox);

// Retransmits, probes and announces what is due. Returns the next time it wants to be called
// (UINT64_MAX: not before the next input).
uint64_t net_timeout(struct net *net, struct tick now, struct outbox *outbox);

enum next_hop {
	NEXT_HOP_RESOLVED,    // *link is filled
	NEXT_HOP_PENDING,     // a request was sent or is on its way; ask again later
	NEXT_HOP_UNREACHABLE, // no port or gateway leads there, or it does not answer
};

// Where a packet to destination goes now: an on-link prefix, else the gateway of its family. Stale
// entries are used while they are re-resolved (RFC 4861 7.3); an entry that stopped answering is
// forgotten; one that cannot be resolved is an event (neighbour_unresolved), unreachable for a
// second and then tried again. Our own addresses and a prefix's broadcast address are unreachable.
// source, if not NULL, receives our address to use towards destination.
enum next_hop net_next_hop(struct net *net, const struct address *destination, struct tick now,
			   struct outbox *outbox, struct link *link, struct address *source);

// TCP progress from this peer, by a frame from `link`: its next hop is confirmed (RFC 4861 7.3.1),
// if it is the station that sent the frame. The MAC address that a forger put in its place is not,
// whatever the peer goes on sending by the right way.
void net_confirm(struct net *net, const struct address *destination, const struct link *link,
		 struct tick now);

// The groups that a kernel socket must join for a port (AF_XDP cannot set multicast filters): IPv6
// group addresses, all-nodes among them, none for a port without IPv6; returns how many were
// written, at most max.
unsigned net_groups(const struct net *net, unsigned port, struct address *groups, unsigned max);

// True for every address of ours on any port, the derived link-local ones among them.
// Our addresses on a port, the derived link-local one included; returns how many were written, at
// most max.
unsigned net_addresses(const struct net *net, unsigned port, struct address *addresses,
		       unsigned max);

bool net_is_ours(const struct net *net, const struct address *address);
// May a packet have this source? Not an address of ours, and no network or broadcast address of a
// network of ours (RFC 1122 3.2.1.3): those are no station's.
bool net_can_be_peer(const struct net *net, const struct address *address);
struct net_event net_take_event(struct net *net);

#endif
