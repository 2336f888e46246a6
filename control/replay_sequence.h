// SPDX-License-Identifier: BSD-3-Clause
//
// A captured client acknowledged what a captured server sent; played to the gate it must
// acknowledge what the gate sends. This maps the one to the other, a connection at a time: ACK
// numbers, SACK blocks and the timestamps that it echoes. The client's own numbers stay: the gate
// counts from them.
//
// The rule, with `seen` = one past the last captured server's number known so far and `sent` = one
// past the gate's last, FINs included:
//  - an ACK of everything seen becomes an ACK of everything sent;
//  - an ACK of a part moves on from the last mapped one by as many bytes as it did in the capture,
//    never past what was sent;
//  - an older ACK lies as far behind the last mapped one, never before the handshake;
//  - what acknowledged nothing that a server can have sent (too far ahead, or before its ISN) is
//    shifted as it is, so that the gate refuses it as the server had to;
//  - a server whose answers are not in the capture is known by the client's ACKs of it: the first
//    one gives its ISN, later ones may run ahead by SEQUENCE_UNSEEN_MAX bytes.
// A connection is known from its client's SYN on. What the gate has not answered is left alone.
// The gate must not agree to options that the captured server did not, since the client then goes
// without them: what a first look at the capture found refused is taken out of the SYN.
#ifndef RELAYGATE_CONTROL_REPLAY_SEQUENCE_H
#define RELAYGATE_CONTROL_REPLAY_SEQUENCE_H

#include "dataplane/base/hash.h"
#include "dataplane/base/view.h"

#define SEQUENCE_UNSEEN_MAX 65536u

struct replay_sequence;

// Room for so many connections; the one that was silent the longest makes room. NULL when out of
// memory.
struct replay_sequence *replay_sequence_create(uint32_t connections, const struct hash_key *key);
void replay_sequence_destroy(struct replay_sequence *sequence);

// The first look: any segment. Which of timestamps, window scale and SACK a SYN-ACK lacks, or the
// ACK that follows it, is remembered for the SYN; of so many handshakes that a few are lost to
// others' at random when there are more than connections.
void replay_sequence_foresee(struct replay_sequence *sequence, const struct view *view);

// A segment of the captured server, or one that the gate sends: what they have sent so far.
void replay_sequence_server(struct replay_sequence *sequence, const struct view *view);
void replay_sequence_gate(struct replay_sequence *sequence, const struct view *view);

// A segment of the captured client, of which *view is the parsed form: frame, the same bytes, is
// altered. A good TCP checksum is good again afterwards, a bad one stays bad. believed: the port
// takes the segment's checksum as good; one that it discards moves no map. The view's
// acknowledgment is that of before.
void replay_sequence_client(struct replay_sequence *sequence, const struct view *view,
			    bool believed, uint8_t *frame);

// Connections that had to make room.
uint64_t replay_sequence_forgotten(const struct replay_sequence *sequence);

#endif
