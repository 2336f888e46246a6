// SPDX-License-Identifier: BSD-3-Clause
//
// A peer on the imaginary wire: its own neighbour table and TCP endpoint, and connections whose
// application is a table of functions. Clients of the gate and backend servers are such hosts.
#ifndef RELAYGATE_SIM_HOST_H
#define RELAYGATE_SIM_HOST_H

#include "config/policy.h"
#include "dataplane/gate/half_open.h"
#include "dataplane/net/build.h"
#include "dataplane/net/net.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"
#include "tests/sim/wire.h"

struct host;
struct connection;

// What runs on a connection. Called after anything happened; may read, send and close.
struct application {
	void (*opened)(struct connection *connection);
	void (*moved)(struct connection *connection, uint64_t now_us);
	// The flow ends: closed by both, reset or lost.
	void (*ended)(struct connection *connection, unsigned events);
	uint64_t (*deadline)(const struct connection *connection);
};

struct connection {
	struct host *host;
	struct flow *flow;
	const struct application *application;
	void *state;
	bool peer_closed;
	bool aborted; // by host_abort: ends after its application returned
	struct connection *next;
};

struct host {
	struct outbox outbox; // first
	struct wire *wire;
	enum station towards; // where its frames go
	struct port_settings settings;
	struct policy policy;
	struct packet_port port;
	struct random *random;
	struct net *net;
	struct pool chunks;
	struct tcp *tcp;
	struct half_open *half_open;
	struct cookie_keys cookies;
	uint16_t listen_port; // 0 = none
	bool deaf;            // receives nothing: the host vanished
	const struct application *listen_application;
	struct connection *connections;
	struct tick now;
	uint8_t frame[OUTBOX_FRAME_MAX];
};

// addresses: those of its interface; gateways none: everything is on link.
void host_init(struct host *host, struct wire *wire, enum station towards,
	       struct interface_address *addresses, unsigned count, struct random *random);
void host_fini(struct host *host);
// Opens a connection from local (port chosen by the caller).
struct connection *host_connect(struct host *host, const struct tuple *tuple,
				const struct application *application, void *state);
void host_receive(struct host *host, struct slice frame, struct tick now);
// Runs timers and applications; returns when it wants to run again.
uint64_t host_turn(struct host *host, struct tick now);
// RST to the peer; the connection ends when its application returns.
void host_abort(struct connection *connection);

#endif
