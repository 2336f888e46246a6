// SPDX-License-Identifier: BSD-3-Clause
//
// A connection as an application of the simulation sees it: bytes both ways, whichever TCP carries
// them (the gate's own in host.c, the literal one in peer.c).
#ifndef RELAYGATE_SIM_CONNECTION_H
#define RELAYGATE_SIM_CONNECTION_H

#include "dataplane/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;

// What runs on a connection. Called after anything happened; may read, send and close.
struct application {
	void (*opened)(struct connection *connection);
	void (*moved)(struct connection *connection);
	// The connection ends, and with it what the application keeps.
	void (*ended)(struct connection *connection);
	// When it wants to be moved next; UINT64_MAX = not by time.
	uint64_t (*deadline)(const struct connection *connection);
};

struct transport {
	struct slice (*received)(const struct connection *connection);
	void (*consume)(struct connection *connection, size_t length);
	size_t (*room)(const struct connection *connection);
	size_t (*send)(struct connection *connection, struct slice bytes); // returns how many
	void (*close)(struct connection *connection);  // FIN behind what was sent; idempotent
	void (*abort)(struct connection *connection);  // RST; it ends when its application returned
	void (*vanish)(struct connection *connection); // neither hears nor says anything any more
};

// The beginning of both kinds.
struct connection {
	const struct transport *transport;
	const struct application *application;
	void *state;
	uint64_t now_us;
	bool peer_closed; // FIN received, all bytes before it are readable or were read
	bool aborted;
	bool reset; // it ended so, by either side
};

#endif
