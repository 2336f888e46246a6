// SPDX-License-Identifier: BSD-3-Clause
//
// Which port of the gate a captured frame belongs to, or why it is not played. Two looks at a
// capture: the first learns the MAC addresses that the policy's addresses had in it, the second
// asks for each frame. Reads headers only as far as they are there; whether they are sound is the
// data path's to judge and to count.
#ifndef RELAYGATE_CONTROL_REPLAY_PLACE_H
#define RELAYGATE_CONTROL_REPLAY_PLACE_H

#include "config/policy.h"
#include "dataplane/net/packet.h"

#define REPLAY_SEEN_MAX 8 // destinations remembered for a person

enum replay_place {
	REPLAY_PLACE_GATE,    // to be fed at the port
	REPLAY_PLACE_SERVER,  // from our addresses: what the real server answered then
	REPLAY_PLACE_BACKEND, // from one of the policy's servers: played here instead
	REPLAY_PLACE_FOREIGN, // concerns none of our addresses
};

struct replay_places {
	const struct policy *policy;
	struct packet_port *ports; // [policy->port_count]: the link layer of the gate's ports
	bool *learned;             // [policy->port_count]: the MAC is the capture's
	uint64_t ours;             // frames to our addresses that the first look found
	struct address seen[REPLAY_SEEN_MAX]; // other destinations of IP packets
	unsigned seen_count;
	bool seen_more; // than those
};

// policy outlives the places. 0, or -1 when out of memory.
int replay_places_init(struct replay_places *places, const struct policy *policy);
void replay_places_fini(struct replay_places *places);

// The first look. A port's MAC address is the destination of the first frame to it alone; if that
// has no VLAN tag, as in a capture of the VLAN's interface, the port has none either.
void replay_places_learn(struct replay_places *places, struct slice frame);
// The second; *port is filled for REPLAY_PLACE_GATE.
enum replay_place replay_places_find(const struct replay_places *places, struct slice frame,
				     uint16_t *port);

#endif
