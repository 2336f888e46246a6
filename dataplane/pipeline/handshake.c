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

static bool send_syn_ack(struct pipeline *pipeline, const struct half_open_entry *entry)
{
	const struct handshake *handshake = &entry->handshake;
	uint16_t mtu = pipeline->policy->ports[entry->link.port].mtu;
	struct segment segment = {
		.tuple = entry->tuple,
		.sequence = handshake->our_isn,
		.acknowledgment = handshake->client_isn + 1,
		.flags = TCP_SYN | TCP_ACK,
	};
	uint32_t window = pipeline->policy->gate.receive_buffer;

	segment.window = (uint16_t)(window < UINT16_MAX ? window : UINT16_MAX);
	tcp_syn_ack_options(pipeline->tcp, &handshake->options,
			    (uint16_t)(mtu - (address_is_ipv4(&entry->tuple.remote) ? 40 : 60)),
			    handshake->our_timestamp, &segment);
	return send_segment(pipeline, &entry->link, &segment);
}

// Does the SYN ask for something that only an entry can remember?
static bool wants_entry(const struct tcp_options *options)
{
	return !options->timestamps &&
	       (options->window_scale != TCP_NO_WINDOW_SCALE || options->sack_permitted);
}

static enum reason answer_syn(struct pipeline *pipeline, const struct half_open_entry *entry,
			      uint16_t connector)
{
	if (!send_syn_ack(pipeline, entry))
		return REASON_syn_unsent;
	pipeline->counters.connectors[connector]->syns++;
	return REASON_NONE;
}

// Asked only when the cache begins to fill: it decides who keeps a place there.
static bool is_proven(const struct pipeline *pipeline, const struct view *view)
{
	return !half_open_offers_options(pipeline->half_open) &&
	       sources_remembers(pipeline->sources, &view->source);
}

static enum reason syn_input(struct pipeline *pipeline, const struct view *view, uint32_t hash,
			     uint16_t connector)
{
	struct half_open_entry entry = {.tuple = tcp_tuple_of(view), .link = view->link};
	const struct half_open_entry *known =
		half_open_find(pipeline->half_open, &entry.tuple, hash);
	struct tcp_options options;
	enum reason reason;
	bool has_entry;

	if (!net_can_be_peer(pipeline->net, &view->source))
		return REASON_ip_martian_source;
	if (pipeline->draining || pipeline->closed)
		return REASON_draining;
	reason = admit_syn(pipeline, view, connector);
	if (reason != REASON_NONE)
		return reason;
	// The same SYN again: the same answer, whatever the cookie's epoch is by now. But to where
	// this one came from: another router may have brought it.
	if (known && known->handshake.client_isn == view->sequence) {
		entry.handshake = known->handshake;
		return answer_syn(pipeline, &entry, connector);
	}
	if (!options_parse(view->options, true, &options))
		return REASON_syn_malformed;
	has_entry = wants_entry(&options) && half_open_offers_options(pipeline->half_open);
	cookie_make(&pipeline->cookie_keys, &entry.tuple, view->sequence, &options, has_entry,
		    pipeline->now.now_us, &entry.handshake);
	entry.proven = is_proven(pipeline, view);
	if (half_open_insert(pipeline->half_open, &entry, hash, pipeline->now.now_us) ==
	    HALF_OPEN_KEPT_FOR_OLDEST)
		count_reason(pipeline, REASON_half_open_evicted);
	return answer_syn(pipeline, &entry, connector);
}

// Bytes of a client that does not wait for the greeting may overtake its ACK. The ACK, or the same
// bytes again, will follow: no RST for them, nor for an ACK right behind a window full of them.
static bool is_ahead_of_ack(const struct pipeline *pipeline, const struct view *view,
			    const struct tuple *tuple, uint32_t hash)
{
	const struct half_open_entry *entry = half_open_find(pipeline->half_open, tuple, hash);
	uint32_t ahead;

	if (!entry || view->acknowledgment != entry->handshake.our_isn + 1)
		return false;
	ahead = view->sequence - entry->handshake.client_isn - 1;
	return ahead > 0 && ahead <= pipeline->policy->gate.receive_buffer;
}

// Is this the ACK of a SYN-ACK of ours? Fills what the handshake agreed on.
static enum reason check_cookie(struct pipeline *pipeline, const struct view *view,
				const struct tuple *tuple, uint32_t hash,
				struct handshake *handshake)
{
	const struct half_open_entry *entry;
	struct tcp_options options;

	if (!options_parse(view->options, false, &options) ||
	    !cookie_check(&pipeline->cookie_keys, tuple, view->sequence, view->acknowledgment,
			  &options, pipeline->now.now_us, handshake))
		return is_ahead_of_ack(pipeline, view, tuple, hash) ? REASON_tcp_state
								    : REASON_cookie_invalid;
	if (!handshake->has_entry)
		return REASON_NONE;
	entry = half_open_find(pipeline->half_open, tuple, hash);
	if (!entry || entry->handshake.our_isn != handshake->our_isn ||
	    entry->handshake.client_isn != handshake->client_isn)
		return REASON_cookie_no_entry;
	*handshake = entry->handshake;
	return REASON_NONE;
}

static enum reason ack_input(struct pipeline *pipeline, const struct view *view, uint32_t hash,
			     uint16_t connector)
{
	struct tcp_accept accept = {.tuple = tcp_tuple_of(view),
				    .our_mss = mss_of(pipeline, view),
				    .peer_window = view->window};
	struct admission_result admitted;
	struct handshake handshake;
	struct client *client;
	enum reason reason;
	unsigned events = 0;

	reason = check_cookie(pipeline, view, &accept.tuple, hash, &handshake);
	if (reason == REASON_NONE && pipeline->draining)
		reason = REASON_draining;
	if (reason != REASON_NONE)
		return reason;
	reason = admit_handshake(pipeline, view, connector, &admitted);
	if (reason != REASON_NONE) {
		// In silence the handshake stays open: it is judged again when its ACK comes again.
		if (pipeline->policy->connectors[connector].limits[admitted.limit].action ==
		    ABOVE_RESET)
			half_open_remove(pipeline->half_open, &accept.tuple, hash);
		return reason;
	}
	accept.our_isn = handshake.our_isn;
	accept.peer_isn = handshake.client_isn;
	accept.options = handshake.options;
	accept.timestamp_offset = handshake.timestamp_offset;
	evict_for_newcomer(pipeline, admitted.limit != LIMIT_WITHIN);
	client = client_create(pipeline, &accept, &view->link, connector, &admitted);
	half_open_remove(pipeline->half_open, &accept.tuple, hash); // refused, it is over, too
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
static enum reason reset_input(struct pipeline *pipeline, const struct view *view, uint32_t hash)
{
	struct tuple tuple = tcp_tuple_of(view);
	const struct half_open_entry *entry = half_open_find(pipeline->half_open, &tuple, hash);

	if (!entry || view->sequence != entry->handshake.client_isn + 1)
		return REASON_no_flow;
	half_open_remove(pipeline->half_open, &tuple, hash);
	return REASON_NONE;
}

// The SYN that reopened left no trace in the record: its ACK is known by the cookie, if it is newer
// than all of the old connection. REASON_time_wait when it does not complete a handshake.
static enum reason reopening_input(struct pipeline *pipeline, const struct view *view,
				   uint32_t hash, uint16_t connector)
{
	enum reason reason;

	if ((view->flags & (TCP_SYN | TCP_RST | TCP_ACK)) != TCP_ACK ||
	    !tcp_time_wait_newer(pipeline->tcp, view))
		return REASON_time_wait;
	reason = ack_input(pipeline, view, hash, connector);
	return reason == REASON_NONE || admit_refused(reason) ? reason : REASON_time_wait;
}

enum reason handshake_input(struct pipeline *pipeline, const struct view *view, uint32_t hash,
			    uint16_t connector)
{
	enum tcp_time_wait time_wait = TCP_TIME_WAIT_NONE;
	struct segment answer;
	enum reason reason = admit_source(pipeline, view);

	if (reason != REASON_NONE)
		return reason;

	if (tcp_time_wait_likely(pipeline->tcp, hash))
		time_wait = tcp_time_wait_input(pipeline->tcp, view, pipeline->now.now_us, &answer);
	switch (time_wait) {
	case TCP_TIME_WAIT_ANSWER:
		reason = reopening_input(pipeline, view, hash, connector);
		if (reason == REASON_time_wait)
			send_segment(pipeline, &view->link, &answer);
		return reason;
	case TCP_TIME_WAIT_DROP:
		return reopening_input(pipeline, view, hash, connector);
	case TCP_TIME_WAIT_NONE:
	case TCP_TIME_WAIT_REOPEN:
		break;
	}
	if (view->flags & TCP_RST)
		return reset_input(pipeline, view, hash);
	if (view->flags & TCP_SYN)
		reason = view->flags & TCP_ACK ? REASON_no_flow
					       : syn_input(pipeline, view, hash, connector);
	else
		reason = view->flags & TCP_ACK ? ack_input(pipeline, view, hash, connector)
					       : REASON_no_flow;
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

	while ((entry = half_open_expire(pipeline->half_open, pipeline->now.now_us)))
		send_syn_ack(pipeline, entry);
}
