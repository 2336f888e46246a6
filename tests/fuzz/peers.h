// SPDX-License-Identifier: BSD-3-Clause
//
// The stations around a gate under attack: clients outside, servers inside, each one end of a TCP
// connection that knows just enough to speak in sequence numbers relative to it. What they do by
// themselves (answering ARP, acknowledging, playing an SMTP server) can be switched off. They take
// the gate's frames, check them, and put frames of their own into a queue.
#ifndef RELAYGATE_TESTS_FUZZ_PEERS_H
#define RELAYGATE_TESTS_FUZZ_PEERS_H

#include "dataplane/net/packet.h"
#include "tests/fuzz/operations.h"

#define CLIENTS    8
#define SERVERS    8
#define FRAMES_MAX 256
#define SAID_BYTES 16384 // of a peer's stream that it can repeat

struct frame {
	uint8_t *bytes; // a heap block of exactly
	uint16_t length;
	uint16_t port; // 0 outside, 1 inside
};

struct frames {
	unsigned count;
	struct frame frame[FRAMES_MAX];
};

void frames_add(struct frames *frames, uint16_t port, struct slice bytes); // dropped when full
void frames_clear(struct frames *frames);

enum peers_mode {
	MODE_NEIGHBOURS = 1,  // answer ARP and neighbour solicitations
	MODE_ACKNOWLEDGE = 2, // in-order segments are acknowledged, handshakes completed
	MODE_SERVE = 4,       // servers speak SMTP
	MODE_CLOSE = 8,       // FIN is answered by FIN
	MODE_REPEAT = 16,     // what was not acknowledged is sent again when time passes
};

enum server_reply {
	REPLY_GREETING,
	REPLY_EHLO,
	REPLY_MAIL,
	REPLY_RCPT,
	REPLY_DATA,
	REPLY_END,
	REPLY_OTHER,
	REPLIES
};

struct peer {
	bool used;
	bool open; // both SYNs are known
	bool server;
	uint16_t port;
	struct address address, gate; // its own, and the gate's
	uint16_t port_number, gate_port;
	uint32_t isn, next;                    // what it said
	uint32_t acked;                        // by the gate
	uint32_t gate_isn, expected, gate_end; // what the gate said: in order, and the furthest
	uint32_t edge;                         // right edge of the gate's window
	uint8_t scale;                         // of the gate's window
	bool edge_known;
	bool timestamps;
	uint32_t gate_time;
	bool acknowledges; // a segment came that asks for an ACK
	bool gate_closed, closed;
	// Of a server:
	bool greeted, in_data;
	uint64_t chunk_left; // octets of BDAT on their way
	bool chunk_last;
	bool scripted; // an operation spoke for it
	char line[600];
	unsigned line_length;
	uint8_t said[SAID_BYTES];
};

struct peers {
	uint8_t mode; // bits of enum peers_mode
	uint32_t now_ms;
	struct peer clients[CLIENTS], servers[SERVERS];
	unsigned server_count; // ever
	struct slice replies[REPLIES];
	struct packet_port ports[2];
	struct frames out; // to the gate
	bool relays;       // the client that may relay has been there
};

// chunking: servers take BDAT, BINARYMIME and all else that the gate knows of.
void peers_init(struct peers *peers, uint8_t mode, bool chunking);
void peers_fini(struct peers *peers);

// A frame that the gate sent.
void peers_hear(struct peers *peers, uint16_t port, struct slice frame);
// What they do by themselves after a burst.
void peers_react(struct peers *peers);
// What was said and not acknowledged, once more.
void peers_repeat(struct peers *peers);

// The operations. `who` picks a client, or a server counted from the newest.
struct peer *peers_client(struct peers *peers, uint8_t who);
struct peer *peers_server(struct peers *peers, uint8_t who); // NULL = there is none
void peer_connect(struct peers *peers, struct peer *peer, const struct operation *operation);
void peer_segment(struct peers *peers, struct peer *peer, const struct operation *operation);
void peer_say(struct peers *peers, struct peer *peer, struct slice text);
void peer_shut(struct peers *peers, struct peer *peer, uint8_t flags); // FIN or RST, in order
void peer_too_big(struct peers *peers, struct peer *peer, const struct operation *operation);

// ---- frames.c: their bytes -------------------------------------------------------------------
struct frame_segment {
	uint32_t sequence, acknowledgment;
	uint16_t window;
	uint8_t flags;
	struct slice options; // a multiple of 4
	struct slice payload; // data NULL = any bytes
	bool bad_checksum;
};
void frame_tcp(struct peers *peers, const struct peer *peer, const struct frame_segment *segment);
// "Packet too big" about a segment of the gate's to the peer that began at sequence.
void frame_too_big(struct peers *peers, const struct peer *peer, uint32_t sequence, uint16_t mtu);
// The answer to an ARP request or a neighbour solicitation; nothing to anything else.
void frame_neighbour(struct peers *peers, const struct view *view);
// Stations' MAC addresses.
extern const uint8_t frame_gate_mac[2][LINK_ADDRESS_BYTES];

#endif
