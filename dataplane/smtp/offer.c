// SPDX-License-Identifier: BSD-3-Clause
//
// See offer.h. One row a keyword.
#include "dataplane/smtp/offer.h"
#include "dataplane/smtp/decide.h"

#include <stdio.h>

uint64_t offer_size_limit(const struct turn *turn)
{
	const struct session_peer *peer = &turn->session->peer;
	const uint64_t limit = decide_size_limit(peer->connector, peer->identities);

	return turn->servers.size && turn->servers.size < limit ? turn->servers.size : limit;
}

static void offer_size(struct turn *turn)
{
	const struct connector *connector = turn->session->peer.connector;
	const uint64_t limit = offer_size_limit(turn);
	char number[24];
	if (connector->size == SIZE_DISABLED)
		return;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)limit);
	if (limit == POLICY_SIZE_UNLIMITED || connector->size == SIZE_ENABLED_WITHOUT_VALUE)
		turn_reply(turn, REPLY_ehlo_size_unlimited, NULL);
	else
		turn_reply(turn, REPLY_ehlo_size, (const char *[]){number});
}

// The keywords of EHLO behind SIZE, in Exchange's order (connector reference, section 4.4).
static const struct offer {
	enum reply_id reply;
	size_t enabled;     // offset of the connector's switch, a bool
	unsigned extension; // that all live servers must have; 0 = the gate's own business
} offers[] = {
	{REPLY_ehlo_pipelining, offsetof(struct connector, pipelining), 0},
	{REPLY_ehlo_dsn, offsetof(struct connector, delivery_status_notification),
	 SMTP_EXTENSION_DSN},
	{REPLY_ehlo_enhanced_status_codes, offsetof(struct connector, enhanced_status_codes), 0},
	{REPLY_ehlo_8bitmime, offsetof(struct connector, eight_bit_mime), SMTP_EXTENSION_8BITMIME},
	{REPLY_ehlo_binarymime, offsetof(struct connector, binary_mime),
	 SMTP_EXTENSION_BINARYMIME | SMTP_EXTENSION_CHUNKING},
	{REPLY_ehlo_chunking, offsetof(struct connector, chunking), 0},
	{REPLY_ehlo_xlongaddr, offsetof(struct connector, long_addresses),
	 SMTP_EXTENSION_XLONGADDR},
	{REPLY_ehlo_xorar, offsetof(struct connector, orar), SMTP_EXTENSION_XORAR},
	{REPLY_ehlo_smtputf8, offsetof(struct connector, smtp_utf8), SMTP_EXTENSION_SMTPUTF8},
};

void offer_extensions(struct turn *turn)
{
	struct session *session = turn->session;

	offer_size(turn);
	for (size_t i = 0; i < sizeof(offers) / sizeof(*offers); i++) {
		const struct offer *offer = &offers[i];
		const bool *enabled =
			(const bool *)((const char *)session->peer.connector + offer->enabled);
		if (!*enabled || offer->extension & ~turn->servers.extensions)
			continue;
		if (offer->extension & SMTP_EXTENSION_BINARYMIME &&
		    !session->peer.connector->chunking)
			continue;
		session->offered |= (uint16_t)offer->extension;
		turn_reply(turn, offer->reply, NULL);
	}
	session->line.long_lines = session->offered & SMTP_EXTENSION_XLONGADDR;
	if (decide_takes_exch50(session->peer.connector, session->peer.identities))
		turn_reply(turn, REPLY_ehlo_xexch50, NULL);
}
