// SPDX-License-Identifier: BSD-3-Clause
//
// ICMP and ICMPv6: echo replies at a bounded rate, the frame of every ICMPv6 message that we send,
// and the hand-over of neighbour discovery and MLD. Errors about our TCP segments have no effect
// here: lost segments are found by retransmission. The one that TCP asks for, because no
// retransmission helps against it, is read by quote.c.
// Router advertisements and redirects are ignored: routes come from the policy alone.
#include "config/policy.h"
#include "dataplane/net/build.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/stack.h"

enum {
	ECHO_HOP_LIMIT = 64,
	ECHO_INTERVAL_US = 1000000 / ECHO_REPLIES_PER_SECOND,
};

struct slice icmp_message(const struct view *view)
{
	return slice_from(view->frame, view->transport_offset);
}

// Takes one reply from the token bucket.
static bool echo_permitted(struct net *net, struct tick now)
{
	if (net->echo_full_us < now.now_us)
		net->echo_full_us = now.now_us;
	if (net->echo_full_us - now.now_us > ECHO_INTERVAL_US * (ECHO_REPLIES_AT_ONCE - 1))
		return false;
	net->echo_full_us += ECHO_INTERVAL_US;
	return true;
}

// Where the echo came from, it goes back to: same MAC, same port; no neighbour is looked up.
static enum reason echo_reply(struct net *net, const struct view *view, struct tick now,
			      struct outbox *outbox)
{
	const struct packet_port *port = &net->ports[view->link.port];
	struct slice message = icmp_message(view);
	bool ipv4 = view->kind == VIEW_ICMP4;
	size_t header_length = ipv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;

	// longer than the port's MTU does not fit the frame that the outbox has room for
	if (header_length + message.length > net->policy->ports[view->link.port].mtu)
		return REASON_icmp_ignored;
	if (!echo_permitted(net, now))
		return REASON_icmp_rate;
	uint8_t *buffer = outbox->reserve(outbox, view->link.port);
	if (!buffer)
		return REASON_icmp_rate;
	uint8_t *ip = build_ethernet(buffer, port, view->link.peer,
				     ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
	uint8_t *icmp = build_ip(ip, &(struct build_ip){
					     .source = &view->destination,
					     .destination = &view->source,
					     .protocol = ipv4 ? PROTOCOL_ICMP : PROTOCOL_ICMP6,
					     .hop_limit = ECHO_HOP_LIMIT,
					     .payload_length = (uint16_t)message.length,
				     });
	memcpy(icmp, message.data, message.length);
	icmp[0] = ipv4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY;
	put_u16(icmp + 2, 0);
	uint64_t sum = checksum_add(0, icmp, message.length);
	if (!ipv4)
		sum = checksum_add_pseudo(sum, ip, PROTOCOL_ICMP6, (uint32_t)message.length);
	checksum_store(icmp + 2, sum);
	outbox->commit(outbox, (uint16_t)(icmp + message.length - buffer));
	return REASON_NONE;
}

// A link-local address is ours on its own link only. Groups have passed packet_parse.
static bool destination_is_ours(const struct net *net, const struct view *view)
{
	if (wire_is_multicast(&view->destination))
		return true;
	if (wire_is_link_local(&view->destination))
		return route_own(&net->routes, view->link.port, &view->destination) != NULL;
	return route_is_ours(&net->routes, &view->destination);
}

enum reason icmp4_input(struct net *net, const struct view *view, struct tick now,
			struct outbox *outbox)
{
	struct slice message = icmp_message(view);

	if (!destination_is_ours(net, view))
		return REASON_ip_not_ours;
	if (route_is_ours(&net->routes, &view->source))
		return REASON_ip_martian_source;
	if (message.data[0] != ICMP_ECHO_REQUEST || message.data[1] != 0)
		return REASON_icmp_ignored;
	return echo_reply(net, view, now, outbox);
}

enum reason icmp6_input(struct net *net, const struct view *view, struct tick now,
			struct outbox *outbox)
{
	struct slice message = icmp_message(view);
	uint8_t type = message.data[0];

	if (!destination_is_ours(net, view))
		return REASON_ip_not_ours;
	if (type == ICMP6_NEIGHBOUR_SOLICITATION)
		return discovery_solicitation_input(net, view, now, outbox);
	if (type == ICMP6_NEIGHBOUR_ADVERTISEMENT)
		return discovery_advertisement_input(net, view, now, outbox);
	// in neighbour discovery that is a conflict, here nobody can have sent it
	if (route_is_ours(&net->routes, &view->source))
		return REASON_ip_martian_source;
	if (type == ICMP6_MLD_QUERY)
		return mld_query_input(net, view, now);
	// a group's echo never gets here: packet_parse
	if (type != ICMP6_ECHO_REQUEST || message.data[1] != 0)
		return REASON_icmp_ignored;
	return echo_reply(net, view, now, outbox);
}

bool icmp6_begin(struct net *net, const struct icmp6_plan *plan, struct outbox *outbox,
		 struct icmp6_frame *frame)
{
	static const uint8_t alert[ROUTER_ALERT_BYTES - 2] = ROUTER_ALERT_OPTIONS;
	uint16_t alert_length = plan->router_alert ? ROUTER_ALERT_BYTES : 0;

	frame->buffer = outbox->reserve(outbox, plan->port);
	if (!frame->buffer)
		return false;
	frame->ip = build_ethernet(frame->buffer, &net->ports[plan->port], plan->destination_mac,
				   ETHERTYPE_IPV6);
	frame->message = build_ip(
		frame->ip, &(struct build_ip){
				   .source = plan->source,
				   .destination = plan->destination,
				   .protocol = alert_length ? PROTOCOL_HOP_BY_HOP : PROTOCOL_ICMP6,
				   .hop_limit = plan->hop_limit,
				   .payload_length = (uint16_t)(alert_length + plan->length),
			   });
	if (alert_length) {
		frame->message[0] = PROTOCOL_ICMP6;
		frame->message[1] = 0; // eight bytes
		memcpy(frame->message + 2, alert, sizeof(alert));
		frame->message += alert_length;
	}
	memset(frame->message, 0, plan->length);
	frame->message[0] = plan->type;
	return true;
}

void icmp6_end(const struct icmp6_plan *plan, struct outbox *outbox,
	       const struct icmp6_frame *frame)
{
	uint64_t sum = checksum_add(0, frame->message, plan->length);

	sum = checksum_add_pseudo(sum, frame->ip, PROTOCOL_ICMP6, plan->length);
	checksum_store(frame->message + 2, sum);
	outbox->commit(outbox, (uint16_t)(frame->message + plan->length - frame->buffer));
}
