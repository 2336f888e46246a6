// SPDX-License-Identifier: BSD-3-Clause
//
// Multicast listener discovery, the listener's side: reports our solicited-node groups, so that
// snooping switches pass solicitations for our addresses on. Version 2 (RFC 3810); version 1
// (RFC 2710) on a link whose querier speaks that.
// Every group is listened to from all sources; a query about some sources is answered with the
// whole group, which is true as well. Version 1 reports of others never silence ours: a forged one
// would cut us off, an extra one costs a frame.
#include <errno.h>
#include <stdlib.h>

#include "dataplane/base/cursor.h"
#include "dataplane/net/build.h"
#include "dataplane/net/stack.h"

enum {
	QUERY_BYTES = 24,        // of version 1: it has exactly this length
	REPORT_BYTES = 24,       // of version 1
	REPORT_HEADER_BYTES = 8, // of version 2
	RECORD_BYTES = 20,
	RECORDS_MAX = 61,           // in one report: fills 1,280 bytes, the smallest MTU of a port
	RECORD_MODE_IS_EXCLUDE = 2, // with no sources: we listen to all
	RECORD_CHANGE_TO_EXCLUDE = 4, // we have begun to
	MLD_HOP_LIMIT = 1,
	JOIN_REPORTS = 2,           // Robustness Variable
	JOIN_INTERVAL_US = 1000000, // Unsolicited Report Interval
	// Older Version Querier Present Timeout: 2 x Query Interval + Query Response Interval
	VERSION1_TIMEOUT_US = 260000000,
};

static const struct address all_mld2_routers = {{0xff, 0x02, [15] = 0x16}};

int mld_init(struct net *net)
{
	struct mld *mld = &net->mld;

	mld->groups = calloc((size_t)net->routes.own_count + 1, sizeof(*mld->groups));
	mld->ports = calloc((size_t)net->port_count + 1, sizeof(*mld->ports));
	if (!mld->groups || !mld->ports)
		return -ENOMEM;
	for (unsigned i = 0; i < net->port_count; i++)
		mld->ports[i].due_us = UINT64_MAX;
	for (unsigned i = 0; i < net->routes.own_count; i++) {
		const struct own_address *own = &net->routes.own[i];
		if (wire_is_ipv4(&own->address))
			continue;
		mld->ports[own->port].active = true;
		struct mld_group group = {.group = discovery_group(&own->address),
					  .port = own->port,
					  .due_us = UINT64_MAX};
		bool known = false; // addresses with equal last 24 bits share their group
		for (unsigned j = 0; j < mld->group_count && !known; j++)
			known = mld->groups[j].port == group.port &&
				wire_address_equal(&mld->groups[j].group, &group.group);
		if (!known)
			mld->groups[mld->group_count++] = group;
	}
	mld->next_us = UINT64_MAX;
	return 0;
}

void mld_fini(struct net *net)
{
	free(net->mld.groups);
	free(net->mld.ports);
}

static struct icmp6_plan plan_for(const struct net *net, uint16_t port)
{
	return (struct icmp6_plan){
		.port = port,
		.source = &net->routes.ports[port].link_local,
		.hop_limit = MLD_HOP_LIMIT,
		.router_alert = true,
	};
}

static void send_version1(struct net *net, const struct mld_group *group, struct outbox *outbox)
{
	struct icmp6_plan plan = plan_for(net, group->port);
	struct icmp6_frame frame;
	uint8_t mac[LINK_ADDRESS_BYTES];

	build_group_mac(mac, &group->group);
	plan.destination_mac = mac;
	plan.destination = &group->group;
	plan.type = ICMP6_MLD_REPORT;
	plan.length = REPORT_BYTES;
	if (!icmp6_begin(net, &plan, outbox, &frame))
		return;
	memcpy(frame.message + 8, group->group.bytes, 16);
	icmp6_end(&plan, outbox, &frame);
}

// One version 2 report of the given groups, all of one port.
static void send_version2(struct net *net, uint8_t record, const struct mld_group *const *groups,
			  unsigned count, struct outbox *outbox)
{
	struct icmp6_plan plan = plan_for(net, groups[0]->port);
	struct icmp6_frame frame;
	uint8_t mac[LINK_ADDRESS_BYTES];

	build_group_mac(mac, &all_mld2_routers);
	plan.destination_mac = mac;
	plan.destination = &all_mld2_routers;
	plan.type = ICMP6_MLD2_REPORT;
	plan.length = (uint16_t)(REPORT_HEADER_BYTES + RECORD_BYTES * count);
	if (!icmp6_begin(net, &plan, outbox, &frame))
		return;
	put_u16(frame.message + 6, (uint16_t)count);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *at = frame.message + REPORT_HEADER_BYTES + (size_t)RECORD_BYTES * i;
		at[0] = record;
		memcpy(at + 4, groups[i]->group.bytes, 16);
	}
	icmp6_end(&plan, outbox, &frame);
}

static bool is_version1(const struct net *net, uint16_t port, struct tick now)
{
	return now.now_us < net->mld.ports[port].version1_until_us;
}

// Reports all groups of the port, in as many packets as they need.
static void report_port(struct net *net, uint16_t port, uint8_t record, struct tick now,
			struct outbox *outbox)
{
	const struct mld_group *batch[RECORDS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < net->mld.group_count; i++) {
		const struct mld_group *group = &net->mld.groups[i];
		if (group->port != port)
			continue;
		if (is_version1(net, port, now)) {
			send_version1(net, group, outbox);
			continue;
		}
		batch[count++] = group;
		if (count == RECORDS_MAX) {
			send_version2(net, record, batch, count, outbox);
			count = 0;
		}
	}
	if (count)
		send_version2(net, record, batch, count, outbox);
}

static void find_next(struct mld *mld, unsigned port_count)
{
	mld->next_us = UINT64_MAX;
	for (unsigned i = 0; i < port_count; i++) {
		const struct mld_port *port = &mld->ports[i];
		if (port->due_us < mld->next_us)
			mld->next_us = port->due_us;
		if (port->joins_left && port->join_due_us < mld->next_us)
			mld->next_us = port->join_due_us;
	}
	for (unsigned i = 0; i < mld->group_count; i++) {
		if (mld->groups[i].due_us < mld->next_us)
			mld->next_us = mld->groups[i].due_us;
	}
}

static void send_join(struct net *net, uint16_t port, struct tick now, struct outbox *outbox)
{
	struct mld_port *mld_port = &net->mld.ports[port];

	mld_port->joins_left--;
	mld_port->join_due_us = now.now_us + 1 + random_below(net->random, JOIN_INTERVAL_US);
	report_port(net, port, RECORD_CHANGE_TO_EXCLUDE, now, outbox);
}

void mld_start(struct net *net, struct tick now, struct outbox *outbox)
{
	for (unsigned i = 0; i < net->port_count; i++) {
		if (!net->mld.ports[i].active)
			continue;
		net->mld.ports[i].joins_left = JOIN_REPORTS;
		send_join(net, (uint16_t)i, now, outbox);
	}
	find_next(&net->mld, net->port_count);
}

void mld_timeout(struct net *net, struct tick now, struct outbox *outbox)
{
	struct mld *mld = &net->mld;

	if (now.now_us < mld->next_us)
		return;
	for (unsigned i = 0; i < net->port_count; i++) {
		struct mld_port *port = &mld->ports[i];
		if (port->joins_left && port->join_due_us <= now.now_us)
			send_join(net, (uint16_t)i, now, outbox);
		if (port->due_us <= now.now_us) {
			port->due_us = UINT64_MAX;
			report_port(net, (uint16_t)i, RECORD_MODE_IS_EXCLUDE, now, outbox);
		}
	}
	for (unsigned i = 0; i < mld->group_count; i++) {
		struct mld_group *group = &mld->groups[i];
		if (group->due_us > now.now_us)
			continue;
		group->due_us = UINT64_MAX;
		if (is_version1(net, group->port, now))
			send_version1(net, group, outbox);
		else
			send_version2(net, RECORD_MODE_IS_EXCLUDE,
				      (const struct mld_group *const[]){group}, 1, outbox);
	}
	find_next(mld, net->port_count);
}

// RFC 3810 5.1.3: above 32767 the code is a float of 12 bits mantissa and 3 bits exponent.
static uint32_t response_delay_ms(uint16_t code, bool version1)
{
	if (version1 || code < 0x8000)
		return code;
	return (uint32_t)((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
}

// What waits for an answer is forgotten when the version changes (RFC 3810 8.2.1).
static void forget_pending(struct mld *mld, uint16_t port)
{
	mld->ports[port].due_us = UINT64_MAX;
	for (unsigned i = 0; i < mld->group_count; i++) {
		if (mld->groups[i].port == port)
			mld->groups[i].due_us = UINT64_MAX;
	}
}

// Answers at a random time within the delay; sooner stays sooner. group NULL = all.
static void schedule(struct net *net, uint16_t port, const struct address *group, uint32_t delay_ms,
		     struct tick now)
{
	struct mld *mld = &net->mld;
	uint32_t bound_us = delay_ms < UINT32_MAX / 1000 ? delay_ms * 1000 : UINT32_MAX - 1;

	if (!group && !is_version1(net, port, now)) {
		uint64_t due_us = now.now_us + random_below(net->random, bound_us + 1);
		if (due_us < mld->ports[port].due_us)
			mld->ports[port].due_us = due_us;
		return;
	}
	for (unsigned i = 0; i < mld->group_count; i++) {
		struct mld_group *entry = &mld->groups[i];
		if (entry->port != port || (group && !wire_address_equal(&entry->group, group)))
			continue;
		uint64_t due_us = now.now_us + random_below(net->random, bound_us + 1);
		// a general answer that comes first answers this, too (RFC 3810 6.2)
		if (due_us < entry->due_us && due_us < mld->ports[port].due_us)
			entry->due_us = due_us;
	}
}

static bool listens_to(const struct mld *mld, uint16_t port, const struct address *group)
{
	for (unsigned i = 0; i < mld->group_count; i++) {
		if (mld->groups[i].port == port && wire_address_equal(&mld->groups[i].group, group))
			return true;
	}
	return false;
}

enum reason mld_query_input(struct net *net, const struct view *view, struct tick now)
{
	struct slice message = icmp_message(view);
	struct cursor cursor = cursor_of(message);
	uint16_t port = view->link.port;
	struct mld_port *mld_port = &net->mld.ports[port];

	// RFC 3810 6.2: a querier is a neighbour and says so; the parser let no query pass that
	// lacks its router alert but for one without any hop-by-hop header
	if (!wire_is_link_local(&view->source) || view->hop_limit != MLD_HOP_LIMIT ||
	    view->transport_offset != view->network_offset + IPV6_HEADER_BYTES + ROUTER_ALERT_BYTES)
		return REASON_nd_malformed;
	cursor_take(&cursor, 4); // type, code, checksum
	uint16_t code = cursor_u16(&cursor);
	cursor_u16(&cursor); // reserved
	struct address group = {{0}};
	struct slice bytes = cursor_take(&cursor, sizeof(group.bytes));
	// a query cut inside its group
	if (cursor.failed)
		return REASON_nd_malformed;
	memcpy(group.bytes, bytes.data, sizeof(group.bytes));
	bool version1 = message.length == QUERY_BYTES;
	if (!version1) {
		cursor_u16(&cursor); // suppress flag, robustness, query interval
		uint16_t sources = cursor_u16(&cursor);
		cursor_take(&cursor, (size_t)sources * 16);
		// 25 to 27 bytes are of no version; sources past the end
		if (cursor.failed)
			return REASON_nd_malformed;
	}
	bool general = wire_is_unspecified6(&group);
	if (!general && !listens_to(&net->mld, port, &group))
		return REASON_nd_not_ours;
	if (!mld_port->active)
		return REASON_nd_not_ours;
	if (net->silent)
		return REASON_NONE;
	if (version1) {
		if (!is_version1(net, port, now))
			forget_pending(&net->mld, port);
		mld_port->version1_until_us = now.now_us + VERSION1_TIMEOUT_US;
	}
	schedule(net, port, general ? NULL : &group, response_delay_ms(code, version1), now);
	find_next(&net->mld, net->port_count);
	return REASON_NONE;
}
