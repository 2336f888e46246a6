// SPDX-License-Identifier: BSD-3-Clause
//
// The cluster behind a replayed gate, played in this process: it answers ARP and neighbour
// discovery for the policy's servers and gateways, accepts TCP connections to the servers and
// speaks as much SMTP as the gate does. Frames go in and come out as on a wire that loses nothing
// and takes no time. Keeps no mail. One backend plays all servers of the policy.
#ifndef RELAYGATE_CONTROL_REPLAY_BACKEND_H
#define RELAYGATE_CONTROL_REPLAY_BACKEND_H

#include "dataplane/base/slice.h"
#include "dataplane/base/tick.h"

struct packet_port;
struct policy;
struct view;
struct replay_backend;

enum replay_backend_mood {
	REPLAY_BACKEND_ACCEPT, // every recipient and every message
	REPLAY_BACKEND_REFUSE, // 550 to every recipient
	REPLAY_BACKEND_DOWN,   // no SYN is answered
};

// accept, refuse or down. False for anything else.
bool replay_backend_mood_parse(const char *text, enum replay_backend_mood *mood);

// policy and the gate's ports outlive the backend. NULL when out of memory.
struct replay_backend *replay_backend_create(const struct policy *policy,
					     const struct packet_port *ports,
					     enum replay_backend_mood mood, uint64_t now_us);
void replay_backend_destroy(struct replay_backend *backend);

// Is this address and TCP port one of the policy's servers?
struct endpoint;
bool replay_backend_plays(const struct policy *policy, const struct endpoint *endpoint);

// A captured frame that the gate is given: where the gate asks for its sender, or for the gateway
// that it came through, it is told this frame's source MAC.
void replay_backend_heard(struct replay_backend *backend, const struct view *view);

// A frame that the gate sent at a port; *view is its parsed form. What does not concern the backend
// changes nothing.
void replay_backend_input(struct replay_backend *backend, const struct view *view, struct tick now);
// Runs timers; returns when it wants to be called again, UINT64_MAX: not before the next input.
uint64_t replay_backend_turn(struct replay_backend *backend, struct tick now);

// The oldest frame that the backend sent and that nobody took: true and *frame, which belongs to
// the caller until the next call, and the port at which the gate receives it.
bool replay_backend_take(struct replay_backend *backend, uint16_t *port, struct slice *frame);

#endif
