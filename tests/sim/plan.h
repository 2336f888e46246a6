// SPDX-License-Identifier: BSD-3-Clause
//
// What a seed means: climate, gates, peers and what they are up to, drawn once, before anything
// runs.
#ifndef RELAYGATE_SIM_PLAN_H
#define RELAYGATE_SIM_PLAN_H

#include "tests/sim/mail.h"
#include "tests/sim/peer.h"
#include "tests/sim/wire.h"

#define PLAN_CLIENTS 6
#define PLAN_MAILS   4 // of a client, at most

enum climate {
	CLIMATE_CALM,  // nothing lost, refused or scarce: everything must go well, and soon
	CLIMATE_FAIR,  // frames are lost, late and doubled, but peers are polite: all must go well
	CLIMATE_ROUGH, // anything: nothing may go wrong
};

// How the NIC gives frames to workers.
enum nic {
	NIC_RIGHT,  // each to its owner
	NIC_WRONG,  // by another hash
	NIC_FIRST,  // all to worker 0
	NIC_FICKLE, // as it comes: one flow's frames here and there
};

// The workers of a gate, and how frames come to them.
struct crew_plan {
	unsigned workers;
	enum nic nic;
	unsigned ring;    // frames that may wait for one worker at most, handed over by others
	uint32_t look_us; // until it looks there, at most
	unsigned burst;   // frames that it takes at once, at most
	unsigned sleep_permille; // that it does nothing for a while, turn by turn
	unsigned full_permille;  // that the device takes no more for a while, frame by frame
};

// Limits on connections; what is not limited is far above what there may be.
struct limits_plan {
	unsigned connections, per_source, percentage, per_prefix, prefix_rate;
	const char *action;
};

struct gate_plan {
	struct crew_plan crew;
	struct limits_plan limits;
	unsigned ban_s; // how long a source's first ban lasts; 0 = nobody is banned
	unsigned max_sessions, buffer_kb, receive_kb, send_kb, half_open;
	unsigned max_connections, max_waiting;
	unsigned greet_delay_ms;
	bool greet_teaser;
	const char *offence_action; // of early talkers, and of early pipelining
	bool one_server;            // of the two addresses of the server
	uint64_t reload_us;         // from one reload to the next, on average; 0 = there are none
	unsigned reloads;           // at most
	bool rude_reloads;          // they may take the clients' connector away
	uint16_t mtu[2], later_mtu[2]; // of the path behind each port, IP packet
	uint64_t mtu_change_us;        // when the later one begins
};

struct client_plan {
	bool literal; // else with the gate's own TCP
	bool ipv6;
	struct quirks quirks;
	struct client_script script; // without its ledger
	enum mail_kind kinds[PLAN_MAILS];
	uint32_t sizes[PLAN_MAILS];
};

struct plan {
	enum climate climate;
	bool chain;    // two gates in a row
	bool crowded;  // several workers, reloads, limits, bans and chunks, all in one world
	bool filtered; // something between TCP and SMTP, as TLS will be
	bool filter_ends_early;
	struct gate_plan gates[2];
	struct weather weather[STATIONS];
	unsigned client_count;
	struct client_plan clients[PLAN_CLIENTS];
	bool server_literal;
	struct quirks server_quirks;
	struct server_script server; // without its ledger
	unsigned forgeries;          // ACKs that complete no handshake
	uint64_t bound_us;           // for everything to be over
	struct dice dice;            // for what happens later
	bool print_frames;
};

#define PLAN_START_US 1000000ull

// The same seed, the same plan; all but print_frames.
void plan_draw(struct plan *plan, uint64_t seed);

#endif
