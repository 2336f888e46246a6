// SPDX-License-Identifier: BSD-3-Clause
//
// One line of the protocol log on its way from a worker to who writes it: what happened, to which
// session, when. Data are the peer's bytes as they came; quoting is the writer's.
#ifndef RELAYGATE_BASE_PROTOCOL_RECORD_H
#define RELAYGATE_BASE_PROTOCOL_RECORD_H

#include "bpf/counters.h"
#include "config/address.h"

#include <stdint.h>

// Of a line's data no more is kept: a command line has at most 1,024 octets, CR LF included.
#define PROTOCOL_DATA_MAX 1024

enum protocol_event {
	PROTOCOL_CONNECT = '+',
	PROTOCOL_DISCONNECT = '-',
	PROTOCOL_SENT = '>',
	PROTOCOL_RECEIVED = '<',
	PROTOCOL_INFORMATION = '*',
};

// The last column: nothing, the name of a reason (the ids below), or a text of its own.
enum protocol_context {
	PROTOCOL_CONTEXT_NONE = REASON_NONE,
	PROTOCOL_CONTEXT_LOCAL = REASON_COUNT, // we closed
	PROTOCOL_CONTEXT_REMOTE,               // the client did
	PROTOCOL_CONTEXT_PERMISSIONS,          // data: the rights of the session
	PROTOCOL_CONTEXT_OCTETS,               // data: how long the message was
	PROTOCOL_CONTEXT_COUNT
};

struct protocol_record {
	uint64_t wall_us; // since 1970-01-01 UTC
	uint64_t session;
	uint32_t sequence;  // of the session, from 0; one that is missing was lost
	uint16_t connector; // index into the policy's
	uint16_t context;   // enum protocol_context or enum reason
	uint16_t length;    // of data
	char event;         // enum protocol_event
	struct endpoint local, remote;
	uint8_t data[];
};

#endif
