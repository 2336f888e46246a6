// SPDX-License-Identifier: BSD-3-Clause
//
// Segments of a listed client that belong to no flow: SYNs are answered with a cookie and no state
// but a bounded half-open entry; the ACK that brings the cookie back opens the session; everything
// else is refused with RST. Decides with gate/cookie and gate/half_open, opens through
// client_create.

#include "dataplane/pipeline/worker.h"

static uint16_t mss_of(const struct pipeline *pipeline, const struct view *view)
{
	uint16_t mtu = pipeline->policy->ports[view->link.port].mtu;

	return (uint16_t)(mtu - (address_is_ipv4(&view->source) ? 40 : 60));
}

static void make_syn_ack(const struct pipeline *pipeline, const struct tuple *tuple,
			 const struct link *link, const struct handshake *handshake,
			 struct segment *segment)
{
	uint16_t mtu = pipeline->policy->ports[link->port].mtu;

	// But for its options, each field by itself: a flood waits for it.
	segment->tuple = *tuple;
	segment->sequence = handshake->our_isn;
	segment->acknowledgment = handshake->client_isn + 1;
	segment->flags = TCP_SYN | TCP_ACK;
	segment->payload = NULL;
	segment->payload_offset = 0;
	segment->payload_length = 0;
	tcp_syn_ack_options(pipeline->tcp, &handshake->options,
			    (uint16_t)(mtu - (address_is_ipv4(&tuple->remote) ? 40 : 60)),
			    handshake->our_timestamp, segment);
}

static bool is_syn(const struct view *view)
{
	return (view->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

// Does the SYN ask for something that only an entry can remember?
static bool wants_entry(const struct tcp_options *options)
{
	return !options->timestamps &&
	       (options->window_scale != TCP_NO_WINDOW_SCALE || options->sack_permitted);
}

// Asked only when the cache begins to fill: it decides who keeps a place there.
static bool wants_proof(const struct pipeline *pipeline)
{
	return !half_open_offers_options(pipeline->half_open);
}

static bool is_proven(const struct pipeline *pipeline, const struct arrival *syn)
{
	return syn->draft.place && sources_remembers(pipeline->sources, syn->draft.place);
}

// The SYNs of a burst, side by side as they are hashed.
struct syns {
	unsigned count;
	struct syn_draft *drafts[PIPELINE_BURST];
	const struct tuple *tuples[PIPELINE_BURST];
	const struct address *sources[PIPELINE_BURST];
	uint64_t covered[PIPELINE_BURST];
};

static void add_syn(const struct pipeline *pipeline, struct arrival *arrival, struct syns *syns)
{
	const struct view *view = arrival->view;
	struct syn_draft *draft = &arrival->draft;
	struct tcp_options options;

	half_open_prefetch_bucket(pipeline->half_open, arrival->hash);
	draft->place = 0;
	draft->offered = half_open_offers_options(pipeline->half_open);
	draft->malformed = !options_parse(view->options, true, &options);
	if (draft->malformed)
		return;
	syns->covered[syns->count] =
		cookie_begin(&pipeline->cookie_keys, &arrival->tuple, view->sequence, &options,
			     draft->offered && wants_entry(&options), &draft->handshake);
	syns->tuples[syns->count] = &arrival->tuple;
	syns->sources[syns->count] = &view->source;
	syns->drafts[syns->count++] = draft;
}

void handshake_draft(const struct pipeline *pipeline, struct arrival arrivals[], unsigned count)
{
	uint64_t hashes[PIPELINE_BURST], places[PIPELINE_BURST];
	struct syns syns;

	syns.count = 0;
	for (unsigned i = 0; i < count; i++)
		if (is_syn(arrivals[i].view))
			add_syn(pipeline, &arrivals[i], &syns);
	if (wants_proof(pipeline)) {
		sources_look_ahead_all(pipeline->sources, syns.sources, syns.count, places);
		for (unsigned i = 0; i < syns.count; i++)
			syns.drafts[i]->place = places[i];
	}
	cookie_hashes(&pipeline->cookie_keys, syns.tuples, syns.covered, syns.count, hashes);
	for (unsigned i = 0; i < syns.count; i++)
		cookie_end(syns.covered[i], hashes[i], pipeline->now.now_us,
			   &syns.drafts[i]->handshake);
}

// known: the entry that there is, or NULL.
static void remember(struct pipeline *pipeline, const struct arrival *syn,
		     const struct half_open_entry *known)
{
	const bool proven = is_proven(pipeline, syn);
	const uint64_t now_us = pipeline->now.now_us;
	enum half_open_result result = HALF_OPEN_REFUSED;

	// In a flood there is seldom room: then nothing is written.
	if (known || half_open_has_room(pipeline->half_open, &syn->view->source, proven, now_us)) {
		const struct half_open_entry entry = {.tuple = syn->tuple,
						      .link = syn->view->link,
						      .handshake = syn->draft.handshake,
						      .proven = proven};
		result = half_open_insert(pipeline->half_open, &entry, syn->hash, now_us);
	}
	if (result == HALF_OPEN_KEPT_FOR_OLDEST)
		count_reason(pipeline, REASON_half_open_evicted);
	else if (result == HALF_OPEN_REFUSED)
		count_reason(pipeline, REASON_half_open_full);
}

// What its SYN-ACK says; NULL: the SYN is malformed.
static const struct handshake *agree(struct pipeline *pipeline, struct arrival *syn)
{
	const struct half_open_entry *known =
		half_open_find(pipeline->half_open, &syn->tuple, syn->hash);

	// The same SYN again: the same answer, whatever the cookie's epoch is by now.
	if (known && known->handshake.client_isn == syn->view->sequence)
		return &known->handshake;
	// The cache filled, or was emptied, within the burst.
	if (syn->draft.offered != half_open_offers_options(pipeline->half_open))
		handshake_draft(pipeline, syn, 1);
	if (syn->draft.malformed)
		return NULL;
	remember(pipeline, syn, known);
	return &syn->draft.handshake;
}

static enum reason syn_input(struct pipeline *pipeline, struct arrival *syn)
{
	const struct view *view = syn->view;
	const struct handshake *handshake;
	struct segment syn_ack;
	enum reason reason;

	if (!net_can_be_peer(pipeline->net, &view->source))
		return REASON_ip_martian_source;
	if (pipeline->draining || pipeline->closed)
		return REASON_draining;
	reason = admit_syn(pipeline, view, syn->connector);
	if (reason != REASON_NONE)
		return reason;
	handshake = agree(pipeline, syn);
	if (!handshake)
		return REASON_syn_malformed;
	// To where this SYN came from: another router may have brought it than the one before.
	make_syn_ack(pipeline, &syn->tuple, &view->link, handshake, &syn_ack);
	if (!send_answer(pipeline, syn->index, &view->link, &syn_ack))
		return REASON_syn_unsent;
	pipeline->counters.connectors[syn->connector]->syns++;
	return REASON_NONE;
}

// Bytes of a client that does not wait for the greeting may overtake its ACK. The ACK, or the same
// bytes again, will follow: no RST for them, nor for an ACK right behind a window full of them.
static bool is_ahead_of_ack(const struct pipeline *pipeline, const struct arrival *ack)
{
	const struct half_open_entry *entry =
		half_open_find(pipeline->half_open, &ack->tuple, ack->hash);
	const struct view *view = ack->view;
	uint32_t ahead;

	if (!entry || view->acknowledgment != entry->handshake.our_isn + 1)
		return false;
	ahead = view->sequence - entry->handshake.client_isn - 1;
	return ahead > 0 && ahead <= pipeline->policy->gate.receive_buffer;
}

// Is this the ACK of a SYN-ACK of ours? Fills what the handshake agreed on.
static enum reason check_cookie(struct pipeline *pipeline, const struct arrival *ack,
				struct handshake *handshake)
{
	const struct view *view = ack->view;
	const struct half_open_entry *entry;
	struct tcp_options options;

	if (!options_parse(view->options, false, &options) ||
	    !cookie_check(&pipeline->cookie_keys, &ack->tuple, view->sequence, view->acknowledgment,
			  &options, pipeline->now.now_us, handshake))
		return is_ahead_of_ack(pipeline, ack) ? REASON_tcp_state : REASON_cookie_invalid;
	if (!handshake->has_entry)
		return REASON_NONE;
	entry = half_open_find(pipeline->half_open, &ack->tuple, ack->hash);
	if (!entry || entry->handshake.our_isn != handshake->our_isn ||
	    entry->handshake.client_isn != handshake->client_isn)
		return REASON_cookie_no_entry;
	*handshake = entry->handshake;
	return REASON_NONE;
}

static enum reason ack_input(struct pipeline *pipeline, const struct arrival *ack)
{
	const struct view *view = ack->view;
	const uint16_t connector = ack->connector;
	struct tcp_accept accept = {.tuple = ack->tuple,
				    .our_mss = mss_of(pipeline, view),
				    .peer_window = view->window};
	struct admission_result admitted;
	struct handshake handshake;
	struct client *client;
	enum reason reason;
	unsigned events = 0;

	reason = check_cookie(pipeline, ack, &handshake);
	if (reason == REASON_NONE && pipeline->draining)
		reason = REASON_draining;
	if (reason != REASON_NONE)
		return reason;
	reason = admit_handshake(pipeline, view, connector, &admitted);
	if (reason != REASON_NONE) {
		// In silence the handshake stays open: it is judged again when its ACK comes again.
		if (pipeline->policy->connectors[connector].limits[admitted.limit].action ==
		    ABOVE_RESET)
			half_open_remove(pipeline->half_open, &ack->tuple, ack->hash);
		return reason;
	}
	accept.our_isn = handshake.our_isn;
	accept.peer_isn = handshake.client_isn;
	accept.options = handshake.options;
	accept.timestamp_offset = handshake.timestamp_offset;
	evict_for_newcomer(pipeline, admitted.limit != LIMIT_WITHIN);
	client = client_create(pipeline, &accept, &view->link, connector, &admitted);
	half_open_remove(pipeline->half_open, &ack->tuple, ack->hash); // refused, it is over, too
	if (!client) {
		if (admitted.limit == LIMIT_WITHIN)
			admission_close(pipeline->sources,
					generation_slot(pipeline->generation, connector),
					&admitted.admission);
		return REASON_sessions_full;
	}
	reason = tcp_input(pipeline->tcp, client->leg.flow, view, pipeline->now.now_us, &events);
	client_events(pipeline, client, events);
	return reason;
}

// A reset ends the half-open entry if it is in sequence; nothing else listens to it.
static enum reason reset_input(struct pipeline *pipeline, const struct arrival *reset)
{
	const struct half_open_entry *entry =
		half_open_find(pipeline->half_open, &reset->tuple, reset->hash);

	if (!entry || reset->view->sequence != entry->handshake.client_isn + 1)
		return REASON_no_flow;
	half_open_remove(pipeline->half_open, &reset->tuple, reset->hash);
	return REASON_NONE;
}

// The SYN that reopened left no trace in the record: its ACK is known by the cookie, if it is newer
// than all of the old connection. REASON_time_wait when it does not complete a handshake.
static enum reason reopening_input(struct pipeline *pipeline, struct arrival *arrival)
{
	const struct view *view = arrival->view;
	enum reason reason;

	if ((view->flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK ||
	    !tcp_time_wait_newer(pipeline->tcp, view))
		return REASON_time_wait;
	reason = ack_input(pipeline, arrival);
	return reason == REASON_NONE || admit_refused(reason) ? reason : REASON_time_wait;
}

enum reason handshake_input(struct pipeline *pipeline, struct arrival *arrival)
{
	const struct view *view = arrival->view;
	enum tcp_time_wait time_wait = TCP_TIME_WAIT_NONE;
	struct segment answer;
	enum reason reason = admit_source(pipeline, view);

	if (reason != REASON_NONE)
		return reason;

	if (tcp_time_wait_likely(pipeline->tcp, arrival->hash))
		time_wait = tcp_time_wait_input(pipeline->tcp, view, pipeline->now.now_us, &answer);
	switch (time_wait) {
	case TCP_TIME_WAIT_ANSWER:
		reason = reopening_input(pipeline, arrival);
		if (reason == REASON_time_wait)
			send_segment(pipeline, &view->link, &answer);
		return reason;
	case TCP_TIME_WAIT_DROP:
		return reopening_input(pipeline, arrival);
	case TCP_TIME_WAIT_NONE:
	case TCP_TIME_WAIT_REOPEN:
		break;
	}
	if (view->flags & TCP_RST)
		return reset_input(pipeline, arrival);
	if (view->flags & TCP_SYN)
		reason = view->flags & TCP_ACK ? REASON_no_flow : syn_input(pipeline, arrival);
	else
		reason = view->flags & TCP_ACK ? ack_input(pipeline, arrival) : REASON_no_flow;
	switch (reason) {
	case REASON_draining:
		if (!pipeline->draining && pipeline->policy->gate.refuse != REFUSE_RESET)
			break;
		/* fall through */
	case REASON_no_flow:
	case REASON_cookie_invalid:
	case REASON_cookie_no_entry:
	case REASON_sessions_full:
		send_reset_for(pipeline, view);
		break;
	default:
		break;
	}
	return reason;
}

void handshake_timeout(struct pipeline *pipeline)
{
	const struct half_open_entry *entry;
	struct segment syn_ack;

	while ((entry = half_open_expire(pipeline->half_open, pipeline->now.now_us))) {
		make_syn_ack(pipeline, &entry->tuple, &entry->link, &entry->handshake, &syn_ack);
		send_segment(pipeline, &entry->link, &syn_ack);
	}
}
