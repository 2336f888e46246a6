// SPDX-License-Identifier: BSD-3-Clause
//
// One gate between a client's host and a server's, in virtual time: the client says what the test
// says, the server answers by a plan, and both remember what they heard. Owns the peers and the
// gate; the wire and the hosts are the simulation's.
#ifndef RELAYGATE_TEST_PIPELINE_LAB_H
#define RELAYGATE_TEST_PIPELINE_LAB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/load.h"
#include "dataplane/base/handover.h"
#include "dataplane/base/spread.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/pipeline/worker.h"
#include "tests/sim/host.h"

#define LAB_LOG   16
#define LAB_CREW  2 // workers, at most
#define LAB_PEERS 32
// For everything that one side said to be heard, acknowledged and answered.
#define LAB_MOMENT_MS 500
// Among the lines of gate: clients and their side of the gate are of IPv6.
#define LAB_IPV6 "; IPv6\n"

// One end of a connection, as a person at a terminal sees it.
struct peer {
	struct connection *connection; // NULL once it ended
	char heard[8192];              // newest bytes are lost when it is full
	size_t length;
	bool reset; // it ended so, and not by FIN
	bool stays; // does not close when the other side did
	// Of a server's end only:
	size_t line; // where the line begins that is being read
	bool in_data;
	bool reset_due; // as soon as all that it said was heard
};

// Who receives a frame, of several workers: the owner of its flow, another, or always the same one.
// A frame without a flow goes to worker 0 when all is right, else to the last one.
enum lab_delivery { LAB_RIGHT, LAB_WRONG, LAB_FIRST, LAB_LAST };

// The way from one worker to the others.
struct lab_way {
	struct handover handover; // first
	struct lab *lab;
};

// A frame that was handed over.
struct lab_handed {
	struct lab_handed *next;
	unsigned worker;
	uint16_t port;
	size_t length;
	uint8_t bytes[];
};

// What the server says to each command: "" is nothing; a "!RST" or "!FIN" behind the text is done,
// too. Taken when the command comes.
struct plan {
	const char *greeting, *hello, *mail, *recipient, *data, *final;
};
extern const struct plan lab_good_plan;

struct lab {
	struct outbox outbox; // first
	struct policy *policy;
	struct ruleset *ruleset;
	struct packet_port ports[2];
	struct connector_counters connector, *connectors[1];
	struct port_counters port_rows[2], *port_row[2];
	struct reason_counter reasons[REASON_COUNT];
	struct log_record log[LAB_LOG];
	struct pipeline *pipeline; // of worker 0
	struct pipeline *crew[LAB_CREW];
	unsigned workers;
	struct spread spread;
	struct servers_shared *shared;
	struct sources *sources;
	struct lab_way ways[LAB_CREW];
	struct lab_handed *handed, **handed_end;
	struct slice received; // the frame that a worker is working on
	uint16_t received_port;
	enum lab_delivery delivery;
	uint16_t path_mtu;    // to the server, behind its link; 0 = as the link's
	bool others_full;     // nothing can be handed over
	unsigned arp_answers; // of the gate, since it started
	unsigned announcements;
	struct random random;
	struct wire wire;
	struct host client, server;
	struct interface_address client_address, server_address;
	struct tick now;
	uint8_t frame[OUTBOX_FRAME_MAX];
	uint16_t frame_port;
	bool device_full; // reserve gives nothing
	uint16_t next_port;

	struct plan plan;
	unsigned mails_reset; // so many MAILs are answered by RST before the plan counts
	struct peer clients[LAB_PEERS], servers[LAB_PEERS];
	unsigned client_count, server_count; // ever
	unsigned delivered;                  // messages that the server answered 250
	char message[65536];                 // the last one, whole, without the dot
	size_t message_length;
	char senders[1024]; // "<a><b>", in the order of MAIL
	void *taken[4096];  // payload buffers that lab_exhaust took
	unsigned taken_count;
};

// gate and backend: further lines of these sections; MaxSessions is 32 unless gate says it. The
// server's first probe has succeeded.
struct lab *lab_open(const char *gate, const char *backend);
// The same with two workers that share the counters' rows.
struct lab *lab_open_crew(const char *gate, const char *backend, enum lab_delivery delivery);
// All counters add up, and nothing is left in any pool after a forced drain.
void lab_close(struct lab *lab);
void lab_run(struct lab *lab, unsigned ms);
// One turn of the gate after so much time at once: every timer that is due strikes in it.
void lab_jump(struct lab *lab, unsigned ms);

struct peer *lab_connect(struct lab *lab);
// The same, but only the SYN leaves.
struct peer *lab_connecting(struct lab *lab);
// Text into the connection, and a moment for it to arrive and be answered.
void lab_say(struct lab *lab, struct peer *peer, const char *text);
// What the client has heard since the last call.
const char *lab_heard(struct peer *peer);
// A client whose RCPT is being asked: banner, EHLO and MAIL are behind it, and forgotten.
struct peer *lab_asking(struct lab *lab, const char *sender);
// The server's newest connection.
struct peer *lab_server(struct lab *lab);

// Takes all payload buffers of the gate but so many, and gives them back.
void lab_exhaust(struct lab *lab, uint32_t left);
void lab_replenish(struct lab *lab);

#define assert_heard(peer, text) assert_string_equal(lab_heard(peer), text)

#endif
