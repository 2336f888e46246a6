// SPDX-License-Identifier: BSD-3-Clause
//
// What layer 7 learns, layer 3 enforces: the reasons that sessions are refused for are offences,
// offences are points of their source, and who has too many is banned. Refuses segments of banned
// sources, closes their sessions once no message is on its way, and writes what the main thread
// noticed about bans into the log. How long a ban lasts is gate/bans' business, scores are
// gate/sources'; the XDP program's map is control/'s.

#include "dataplane/pipeline/worker.h"

#include "dataplane/base/notice.h"
#include "dataplane/base/record_ring.h"
#include "dataplane/gate/bans.h"
#include "dataplane/gate/sources.h"

#include <stdio.h>
#include <stdlib.h>

// One look at all sessions after new bans: how many a turn (64 a word), and how long until the next
// one.
#define LAP_WORDS       8
#define LAP_INTERVAL_US 500000u
// Records of the main thread that one turn writes.
#define NOTICES_A_TURN 16

#define NO_OFFENCE 0
#define IS(kind)   (OFFENCE_##kind + 1)

// A reason of a session -> its kind of offence. Only completed handshakes have sessions, so nobody
// can have another one banned by forging his address.
static const uint8_t offences[REASON_COUNT] = {
	[REASON_smtp_unable_to_relay] = IS(RELAY),
	[REASON_backend_refused_recipient] = IS(RECIPIENT),
	[REASON_smtp_bad_address] = IS(RECIPIENT),
	[REASON_smtp_reserved_top_level] = IS(RECIPIENT),
	[REASON_smtp_reserved_second_level] = IS(RECIPIENT),
	[REASON_smtp_single_label] = IS(RECIPIENT),
	[REASON_greet_early_talker] = IS(GREETING),
	[REASON_greet_pipelining] = IS(GREETING),
	[REASON_smtp_too_many_errors] = IS(PROTOCOL),
	[REASON_smtp_bad_line_ending] = IS(LINE_ENDING),
	[REASON_smtp_not_smtp] = IS(NOT_SMTP),
};

static const char *const reason_names[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
	REASONS(X)
#undef X
};

static uint64_t now_s(const struct pipeline *pipeline)
{
	return pipeline->now.wall_us / 1000000;
}

// ---- Offences --------------------------------------------------------------------------------

static struct range range_of_source(const struct address *address)
{
	return range_from_prefix(address, address_is_ipv4(address) ? 32 : 64);
}

static void tell(struct pipeline *pipeline, const struct client *client,
		 const struct ban_state *ban)
{
	char text[80];

	snprintf(text, sizeof(text), "for %llu s, %u in a row: %s",
		 (unsigned long long)(ban->until_s - now_s(pipeline)), ban->level,
		 reason_names[ban->reason]);
	count_reason(pipeline, REASON_source_banned);
	log_write(pipeline, &(struct log_entry){
				    .reason = REASON_source_banned,
				    .source = {client->session.peer.client.address, 0},
				    .connector = client->session.peer.connector->name,
				    .detail = slice_of_text(text),
			    });
}

static void ban(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	const struct ban_settings *settings = &pipeline->policy->ban;
	const struct address *address = &client->session.peer.client.address;
	const struct range source = range_of_source(address);
	const struct bans_terms terms = {
		.time_s = (uint32_t)(settings->time_ms / 1000),
		.time_max_s = (uint32_t)(settings->time_max_ms / 1000),
		.remembered_s = (uint32_t)(settings->remembered_ms / 1000),
	};
	struct ban_state state;
	enum bans_result result;

	if (policy_never_banned(pipeline->policy, &source, pipeline->now.wall_us))
		return;
	result = bans_offender(pipeline->bans, sources_number(address), (uint16_t)reason, &terms,
			       now_s(pipeline), &state);
	if (result == BANS_FULL || result == BANS_MADE_ROOM)
		count_reason(pipeline, REASON_bans_full);
	if (result == BANS_FULL)
		return;
	client->banned = true;
	if (result != BANS_ALREADY)
		tell(pipeline, client, &state);
}

// "Try again later" is no word about a recipient, and a bad address of MAIL is no recipient. Who
// spoke early did so once, whatever is answered then and to each recipient.
static bool scores(const struct session_step *step, uint8_t offence)
{
	const bool recipient = strcmp(step->verb, "RCPT") == 0;

	if (offence == IS(GREETING))
		return !recipient;
	return offence == IS(RECIPIENT) ? recipient && step->code >= 500 : step->code >= 400;
}

// Who is more than anonymous is somebody's server, and not to be judged by its users' mistakes.
void ban_offence(struct pipeline *pipeline, struct client *client, const struct session_step *step)
{
	const struct ban_settings *settings = &pipeline->policy->ban;
	const struct session_peer *peer = &client->session.peer;
	const uint8_t offence = offences[step->reason];
	uint32_t points, score;

	if (offence == NO_OFFENCE || !settings->enabled || peer->allowed ||
	    peer->identities != 1u << PRINCIPAL_ANONYMOUS || !scores(step, offence))
		return;
	points = settings->points[offence - 1];
	if (points == 0)
		return;
	score = sources_offend(pipeline->sources, &peer->client.address, points,
			       pipeline->now.now_us);
	if (score == 0)
		count_reason(pipeline, REASON_offence_unscored);
	else if (score >= settings->threshold)
		ban(pipeline, client, step->reason);
}

// ---- Segments --------------------------------------------------------------------------------

void ban_look_ahead(const struct pipeline *pipeline, const struct view *view)
{
	if (view->flags & TCP_SYN && bans_any(pipeline->bans))
		bans_prefetch(pipeline->bans, sources_number(&view->source));
}

bool ban_refuses(const struct pipeline *pipeline, const struct address *source)
{
	return bans_any(pipeline->bans) &&
	       bans_hold(pipeline->bans, sources_number(source), now_s(pipeline)) &&
	       !ip_list_find(&pipeline->policy->ip_allow, source, pipeline->now.wall_us);
}

// ---- Sessions --------------------------------------------------------------------------------

int ban_init(struct pipeline *pipeline)
{
	struct ban_lap *lap = &pipeline->ban_lap;

	lap->words = (pipeline->clients.count + 63) / 64;
	lap->at = lap->words;
	lap->generation = bans_generation(pipeline->bans);
	lap->open = calloc(lap->words, sizeof(lap->open[0]));
	return lap->open ? 0 : -1;
}

void ban_fini(struct pipeline *pipeline)
{
	free(pipeline->ban_lap.open);
}

void ban_enter(struct pipeline *pipeline, const struct client *client)
{
	uint32_t index = pool_index(&pipeline->clients, client);

	pipeline->ban_lap.open[index / 64] |= 1ull << index % 64;
}

void ban_leave(struct pipeline *pipeline, const struct client *client)
{
	uint32_t index = pool_index(&pipeline->clients, client);

	pipeline->ban_lap.open[index / 64] &= ~(1ull << index % 64);
}

static void look_at_word(struct pipeline *pipeline, uint32_t word)
{
	uint64_t open = pipeline->ban_lap.open[word];

	for (; open; open &= open - 1) {
		uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(open);
		struct client *client = pool_at(&pipeline->clients, index);

		if (client->banned || client->leg.doomed || client->refused != LIMIT_WITHIN ||
		    !ban_refuses(pipeline, &client->session.peer.client.address))
			continue;
		client->banned = true;
		client_pump(pipeline, client);
	}
}

// Sessions of sources that another worker, or a person, banned. New ones are not let in meanwhile,
// so that one lap after the ban finds them all.
static void walk(struct pipeline *pipeline)
{
	struct ban_lap *lap = &pipeline->ban_lap;
	uint32_t generation = bans_generation(pipeline->bans);

	if (lap->at == lap->words && lap->generation != generation &&
	    lap->next_us <= pipeline->now.now_us) {
		lap->generation = generation;
		lap->at = 0;
		lap->next_us = pipeline->now.now_us + LAP_INTERVAL_US;
	}
	for (unsigned i = 0; i < LAP_WORDS && lap->at < lap->words; i++)
		look_at_word(pipeline, lap->at++);
}

static void write_notices(struct pipeline *pipeline)
{
	const struct notice *notice;
	size_t length;

	for (unsigned i = 0; i < NOTICES_A_TURN; i++) {
		notice = record_ring_peek(pipeline->notices, &length);
		if (!notice)
			return;
		count_reason(pipeline, notice->reason);
		log_write(pipeline, &(struct log_entry){.reason = notice->reason,
							.source = {notice->source, 0},
							.detail = slice_of_text(notice->detail)});
		record_ring_release(pipeline->notices);
	}
}

uint64_t ban_turn(struct pipeline *pipeline)
{
	const struct ban_lap *lap = &pipeline->ban_lap;

	if (pipeline->notices)
		write_notices(pipeline);
	walk(pipeline);
	if (lap->at < lap->words)
		return pipeline->now.now_us;
	return lap->generation != bans_generation(pipeline->bans) ? lap->next_us : UINT64_MAX;
}
