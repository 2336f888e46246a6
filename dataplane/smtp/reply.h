// SPDX-License-Identifier: BSD-3-Clause
//
// Replies to the client: one table of every reply that the gate itself gives, in the words of
// Exchange (connector reference, section 3) in both dialects, and a buffer to write them in.
#ifndef RELAYGATE_SMTP_REPLY_H
#define RELAYGATE_SMTP_REPLY_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/slice.h"

// Room for the longest answer to one input: an EHLO reply or a backend's multi-line reply.
#define REPLY_MAX 4096

// A worker's scratch: filled by one call, sent, forgotten.
struct reply_buffer {
	uint16_t length;
	char text[REPLY_MAX];
};

static inline struct slice reply_bytes(const struct reply_buffer *reply)
{
	return slice_of(reply->text, reply->length);
}

// The reply code at the front (0 when empty).
unsigned reply_code(const struct reply_buffer *reply);

#endif
