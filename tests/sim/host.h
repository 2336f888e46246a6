// SPDX-License-Identifier: BSD-3-Clause
//
// A peer on the imaginary wire with the gate's own TCP and neighbour table. That hides faults which
// both sides make alike: the watch and the literal peer are there for those.
#ifndef RELAYGATE_SIM_HOST_H
#define RELAYGATE_SIM_HOST_H

#include "config/policy.h"
#include "dataplane/gate/half_open.h"
#include "dataplane/net/build.h"
#include "dataplane/net/net.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"
#include "tests/sim/connection.h"
#include "tests/sim/wire.h"

struct host;

struct host_connection {
	struct connection base; // first
	struct host *host;
	struct flow *flow;
	struct host_connection *next;
};

struct host {
	struct outbox outbox; // first
	struct wire *wire;
	enum station towards; // where its frames go
	struct port_settings settings;
	struct policy policy;
	struct packet_port port;
	struct random random;
	struct net *net;
	struct pool chunks;
	struct tcp *tcp;
	struct half_open *half_open;
	struct cookie_keys cookies;
	uint16_t listen_port; // 0 = none
	bool deaf;            // the host vanished
	bool blocked;         // a connection's next hop is not known
	const struct application *listen_application;
	void *listen_state; // state of each new connection, before its application is told
	struct host_connection *connections;
	struct tick now;
	uint8_t frame[OUTBOX_FRAME_MAX];
};

// addresses: those of its interface; gateways none: everything is on link.
void host_init(struct host *host, struct wire *wire, enum station towards,
	       struct interface_address *addresses, unsigned count, const uint8_t mac[6]);
void host_fini(struct host *host);
// Opens a connection from local (port chosen by the caller).
struct connection *host_connect(struct host *host, const struct tuple *tuple,
				const struct application *application, void *state,
				struct tick now);
void host_receive(struct host *host, struct slice frame, struct tick now);
// Runs timers and applications; returns when it wants to run again.
uint64_t host_turn(struct host *host, struct tick now);

#endif
