// SPDX-License-Identifier: BSD-3-Clause
//
// What a session does about a client that is suspect: it spoke when it was not its turn, or the DNS
// lists list it. Who noticed it is the pipeline; what comes of it is the connector's to say. Owns
// the session's offence and listing; a refusal waits until RCPT, so that the log names recipients.
#include "dataplane/smtp/command.h"

#include <assert.h>

bool session_is_unknown(const struct session_peer *peer)
{
	return peer->identities == 1u << PRINCIPAL_ANONYMOUS && !peer->allowed;
}

void session_offend(struct session *session, enum reason reason, struct reply_buffer *reply,
		    struct session_step *step)
{
	const struct connector *connector = session->peer.connector;
	const bool early = reason == REASON_greet_early_talker;
	struct turn turn = {.session = session, .reply = reply, .step = step};

	assert(early || reason == REASON_greet_pipelining);
	turn_begin(&turn);
	step->reason = reason;
	switch (early ? connector->early_talker_action : connector->early_pipelining_action) {
	case EARLY_COUNT:
		break;
	case EARLY_REJECT:
		session->offence = (uint16_t)reason;
		break;
	case EARLY_CLOSE:
		turn_reply(&turn, early ? REPLY_spoke_early_closing : REPLY_pipelined_early_closing,
			   NULL);
		turn_close(&turn);
		break;
	}
}

static const char *list_name(const struct session *session)
{
	const struct policy *policy = session->peer.policy;

	return session->list < policy->dnsbl_count ? policy->dnsbls[session->list].name
						   : "a DNS list";
}

static void ask_lists(struct session *session)
{
	struct session_quota *quota = session->peer.quota;
	unsigned list = 0;

	if (!quota || !quota->listing)
		return;
	session->listing = (uint8_t)quota->listing(quota, &session->peer, &list);
	session->list = (uint8_t)list;
}

// The lists' verdict on this RCPT: true when it was refused.
static bool refuse_listed(struct turn *turn, struct slice recipient)
{
	struct session *session = turn->session;
	const enum dnsbl_action action = session->peer.connector->dnsbl_action;

	if (action == DNSBL_NONE || !session->peer.tested)
		return false;
	if (session->listing == SESSION_LISTING_OPEN) {
		ask_lists(session);
		// What nobody is refused for is told once.
		if (session->listing == SESSION_LISTING_LISTED)
			turn->step->reason = REASON_dnsbl_listed;
	}
	if (session->listing != SESSION_LISTING_LISTED)
		return false;
	// Later it would hold a server's connection.
	turn->step->slow = action == DNSBL_TARPIT && session->recipients == 0;
	if (action != DNSBL_REJECT)
		return false;
	session_say_again(session, REPLY_dnsbl_listed, turn->reply);
	turn->step->code = (uint16_t)reply_id_code(REPLY_dnsbl_listed);
	turn->step->reason = REASON_dnsbl_listed;
	turn->step->detail = reply_set_detail(turn->reply, recipient);
	return true;
}

bool session_refuse_suspect(struct turn *turn, struct slice recipient)
{
	const enum reason offence = (enum reason)turn->session->offence;

	if (offence == REASON_NONE)
		return refuse_listed(turn, recipient);
	turn_refuse_uncounted(turn, reply_of_reason(offence), offence, recipient);
	return true;
}

void session_say_again(const struct session *session, unsigned row, struct reply_buffer *reply)
{
	char peer[ADDRESS_TEXT_MAX];

	address_format(&session->peer.client.address, peer);
	reply_clear(reply);
	reply_add(reply, session->peer.policy->gate.dialect, (enum reply_id)row,
		  (const char *[]){peer, list_name(session)});
}
