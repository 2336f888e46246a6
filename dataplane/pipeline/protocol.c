// SPDX-License-Identifier: BSD-3-Clause
//
// What the protocol log gets to know of a session whose connector asks for it
// (ProtocolLoggingLevel = Verbose): every line said and heard, its rights, how it ended. Records go
// into the worker's ring; one that finds no room is lost and counted, and its sequence number is
// missing in the log. Never sees message content, and keeps what a client says behind AUTH to
// itself. Does not format or write files (control/protocol_log.c).

#include "dataplane/base/protocol_record.h"
#include "dataplane/base/record_ring.h"
#include "dataplane/pipeline/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

// In the order in which Exchange writes them.
static const enum right token_order[] = {
	RIGHT_SUBMIT,
	RIGHT_ACCEPT_ANY_RECIPIENT,
	RIGHT_ACCEPT_AUTHENTICATION_FLAG,
	RIGHT_ACCEPT_ANY_SENDER,
	RIGHT_ACCEPT_AUTHORITATIVE_SENDER,
	RIGHT_BYPASS_ANTI_SPAM,
	RIGHT_BYPASS_MESSAGE_SIZE_LIMIT,
	RIGHT_ACCEPT_EXCH50,
	RIGHT_ACCEPT_HEADERS_ROUTING,
	RIGHT_ACCEPT_HEADERS_FOREST,
	RIGHT_ACCEPT_HEADERS_ORGANIZATION,
};
#define TOKENS     (sizeof(token_order) / sizeof(token_order[0]))
#define TOKENS_MAX (TOKENS * 40)

static void write_record(struct pipeline *pipeline, struct client *client,
			 enum protocol_event event, unsigned context, struct slice data)
{
	const struct session_peer *peer = &client->session.peer;
	struct protocol_record *record;

	data = slice_first(data, PROTOCOL_DATA_MAX);
	client->protocol_lines++;
	record = record_ring_reserve(pipeline->protocol, sizeof(*record) + data.length);
	if (!record) {
		count_reason(pipeline, REASON_protocol_log_full);
		return;
	}
	*record = (struct protocol_record){
		.wall_us = pipeline->now.wall_us,
		.session = peer->id,
		.sequence = client->protocol_lines - 1,
		.connector = generation_slot(client->generation, client->connector),
		.context = (uint16_t)context,
		.length = (uint16_t)data.length,
		.event = (char)event,
		.local = peer->local,
		.remote = peer->client,
	};
	if (data.length)
		memcpy(record->data, data.data, data.length);
	record_ring_commit(pipeline->protocol, sizeof(*record) + data.length);
}

void protocol_permissions(struct pipeline *pipeline, struct client *client)
{
	const struct session_peer *peer = &client->session.peer;
	const rights_mask rights = connector_rights(peer->connector, peer->identities);
	char text[TOKENS_MAX] = "None";
	size_t length = 0;

	for (size_t i = 0; i < TOKENS; i++)
		if (rights & token_order[i])
			length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
						   length ? " " : "", right_token(token_order[i]));
	write_record(pipeline, client, PROTOCOL_INFORMATION, PROTOCOL_CONTEXT_PERMISSIONS,
		     slice_of_text(text));
}

void protocol_open(struct pipeline *pipeline, struct client *client)
{
	write_record(pipeline, client, PROTOCOL_CONNECT, PROTOCOL_CONTEXT_NONE, slice_of_text(""));
	protocol_permissions(pipeline, client);
}

void protocol_close(struct pipeline *pipeline, struct client *client)
{
	unsigned why = client->ended ? client->ended : PROTOCOL_CONTEXT_LOCAL;

	write_record(pipeline, client, PROTOCOL_DISCONNECT, why, slice_of_text(""));
}

void protocol_reply(struct pipeline *pipeline, struct client *client, struct slice reply)
{
	while (reply.length > 0) {
		const uint8_t *end = memchr(reply.data, '\n', reply.length);
		size_t length = end ? (size_t)(end - reply.data) : reply.length;
		struct slice line = slice_first(reply, length);

		if (length > 0 && line.data[length - 1] == '\r')
			line.length--;
		write_record(pipeline, client, PROTOCOL_SENT, PROTOCOL_CONTEXT_NONE, line);
		reply = slice_from(reply, end ? length + 1 : length);
	}
}

// In the words of Exchange, which writes a TimeSpan: d.hh:mm:ss, and what is left of a second.
void protocol_tarpit(struct pipeline *pipeline, struct client *client)
{
	const uint32_t ms = client->session.peer.connector->tarpit_interval_ms;
	char text[64], fraction[12] = "";

	if (ms % 1000)
		snprintf(fraction, sizeof(fraction), ".%03u0000", ms % 1000);
	snprintf(text, sizeof(text), "Tarpit for '%u.%02u:%02u:%02u%s'", ms / 86400000,
		 ms / 3600000 % 24, ms / 60000 % 60, ms / 1000 % 60, fraction);
	write_record(pipeline, client, PROTOCOL_INFORMATION, PROTOCOL_CONTEXT_NONE,
		     slice_of_text(text));
}

// The end of a message was read: how much there was of it.
static bool is_end_of_message(const struct session_step *step)
{
	if (step->intent == SESSION_END)
		return true;
	return step->consumed > 0 && step->code != 0 && strcmp(step->verb, "BODY") == 0;
}

void protocol_step(struct pipeline *pipeline, struct client *client,
		   const struct session_step *step)
{
	char octets[24];

	if (step->line.data)
		write_record(pipeline, client, PROTOCOL_RECEIVED, PROTOCOL_CONTEXT_NONE,
			     line_without_secrets(step->line));
	if (is_end_of_message(step)) {
		snprintf(octets, sizeof(octets), "%" PRIu64, client->session.message_octets);
		write_record(pipeline, client, PROTOCOL_INFORMATION, PROTOCOL_CONTEXT_OCTETS,
			     slice_of_text(octets));
	}
	if (step->reason != REASON_NONE)
		write_record(pipeline, client, PROTOCOL_INFORMATION, step->reason,
			     slice_of_text(""));
}
