// SPDX-License-Identifier: BSD-3-Clause
//
// The load of a scanner's or a refused sender's life: handshake, EHLO, MAIL, a RCPT that is
// refused, QUIT, close. Many thousand sessions at once, each from an address of its own and each
// time from another port, one frame after the other, so that caches see what they would see of a
// real crowd. Every reply's code is looked at, and of every 64th session the checksums.
#include "tests/bench/run.h"

#include <assert.h>
#include <stdlib.h>

enum step { STEP_HANDSHAKE, STEP_BANNER, STEP_HELLO, STEP_MAIL, STEP_RCPT, STEP_QUIT, STEP_END };

// What a session waits for, and what it says then.
static const struct {
	const char *expect, *say;
} script[] = {
	[STEP_BANNER] = {"220", "EHLO host.sender.test\r\n"},
	[STEP_HELLO] = {"250", "MAIL FROM:<reports@sender.test>\r\n"},
	[STEP_MAIL] = {"250", "RCPT TO:<customer@foreign.test>\r\n"},
	[STEP_RCPT] = {"550", "QUIT\r\n"},
	[STEP_QUIT] = {"221", ""},
};

struct session {
	struct peer peer;
	enum step step;
	bool owes_ack; // a bare one before what it says
	bool silent;   // has nothing to say but that ACK
};

struct crowd {
	struct load load; // first
	struct session *sessions;
	uint32_t count, begun;
	uint32_t *ready; // ring of those who have something to say, each at most once
	uint32_t first, waiting;
	struct run_frame arp; // an answer that is due; length 0 = none
	unsigned frames;      // since a session began first
	bool bare_acks;
};

// Sessions begin one by one, not all at once: else they would march in step for ever.
#define FRAMES_TO_BEGIN 16

static void make_ready(struct crowd *crowd, struct session *session, bool owes_ack, bool silent)
{
	session->owes_ack = owes_ack;
	session->silent = silent;
	crowd->ready[(crowd->first + crowd->waiting++) % crowd->count] =
		(uint32_t)(session - crowd->sessions);
}

static void begin(struct crowd *crowd, struct session *session)
{
	struct peer *peer = &session->peer;

	session->step = STEP_HANDSHAKE;
	peer->local_port = (uint16_t)(peer->local_port == 65535 ? 1024 : peer->local_port + 1);
	peer->sequence += 0x01234567;
	peer->acknowledgment = 0;
	peer->echo = 0;
	make_ready(crowd, session, false, false);
}

static bool next(struct load *load, struct run_frame *out, uint32_t now_ms)
{
	struct crowd *crowd = (struct crowd *)load;
	struct session *session;
	const char *say = "";
	uint8_t flags = 0;

	if (crowd->arp.length) {
		*out = crowd->arp;
		crowd->arp.length = 0;
		return true;
	}
	if (crowd->begun < crowd->count &&
	    (crowd->waiting == 0 || ++crowd->frames % FRAMES_TO_BEGIN == 0))
		begin(crowd, &crowd->sessions[crowd->begun++]);
	if (crowd->waiting == 0)
		return false;
	session = &crowd->sessions[crowd->ready[crowd->first]];
	if (session->owes_ack && !session->silent) {
		session->owes_ack = false; // and stays in its place
	} else {
		crowd->first = (crowd->first + 1) % crowd->count;
		crowd->waiting--;
		if (session->step == STEP_HANDSHAKE)
			flags = TCP_SYN;
		else if (session->step == STEP_END)
			flags = TCP_FIN;
		else if (!session->silent)
			say = script[session->step - 1].say;
	}
	out->port = 0;
	out->length = peer_build(out->bytes, &session->peer, flags, slice_of_text(say), now_ms);
	return true;
}

static void take_reply(struct crowd *crowd, struct session *session,
		       const struct peer_segment *segment)
{
	if (segment->payload.length) {
		if (memcmp(segment->payload.data, script[session->step].expect, 3) != 0)
			crowd->load.wrong++;
		if (session->step != STEP_QUIT) {
			session->step++;
			make_ready(crowd, session, crowd->bare_acks, false);
		}
	}
	if (segment->flags & TCP_FIN) {
		crowd->load.wrong += session->step != STEP_QUIT;
		session->step = STEP_END;
		make_ready(crowd, session, crowd->bare_acks, false);
	}
}

static void take(struct load *load, const struct run_frame *frame, uint32_t now_ms)
{
	struct crowd *crowd = (struct crowd *)load;
	struct slice bytes = slice_of(frame->bytes, frame->length);
	struct peer_segment segment;
	struct session *session;
	uint32_t number;

	if (!peer_parse(bytes, &segment)) {
		crowd->arp.port = frame->port;
		crowd->arp.length =
			peer_answer_arp(bytes, run_peer_mac[frame->port], crowd->arp.bytes);
		return;
	}
	number = segment.destination - RUN_CLIENTS;
	if (number >= crowd->count) // the probe of the backend: nobody is there
		return;
	session = &crowd->sessions[number];
	if (segment.destination_port != session->peer.local_port ||
	    !peer_trim(&session->peer, &segment))
		return;
	if (number % 64 == 0 && !peer_checksums_good(bytes))
		load->wrong++;
	if (segment.flags & TCP_RST) {
		load->wrong++;
		return;
	}
	if (session->step == STEP_END) { // our FIN is acknowledged
		load->done++;
		begin(crowd, session);
		return;
	}
	if (session->step == STEP_HANDSHAKE) {
		load->wrong += !(segment.flags & TCP_SYN);
		session->step = STEP_BANNER;
		peer_take(&session->peer, &segment);
		make_ready(crowd, session, true, true);
		return;
	}
	if (segment.payload.length || segment.flags & TCP_FIN) {
		peer_take(&session->peer, &segment);
		take_reply(crowd, session, &segment);
	}
}

int main(int argc, char **argv)
{
	struct run_options options = run_options_of(argc, argv,
						    (struct run_options){.count = 400000,
									 .concurrent = 16384,
									 .burst = 64,
									 .messages = 1,
									 .bytes = 4096,
									 .timestamps = true});
	struct crowd crowd = {.load = {next, take, "session", 0, 0},
			      .count = options.concurrent,
			      .bare_acks = options.bare_acks};
	int result;

	crowd.sessions = calloc(crowd.count, sizeof(*crowd.sessions));
	crowd.ready = calloc(crowd.count, sizeof(*crowd.ready));
	assert(crowd.sessions && crowd.ready);
	for (uint32_t i = 0; i < crowd.count; i++)
		crowd.sessions[i].peer = run_client(i, options.timestamps);
	result = run(&crowd.load, &options);
	free(crowd.sessions);
	free(crowd.ready);
	return result;
}
