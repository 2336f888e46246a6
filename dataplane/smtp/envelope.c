// SPDX-License-Identifier: BSD-3-Clause
//
// The texts that a session gives to its backend leg: reverse-path, forward-path, trace header. They
// are the client's own bytes, so that what was judged is what is sent.
#include "dataplane/smtp/date.h"
#include "dataplane/smtp/received.h"
#include "dataplane/smtp/session.h"

#include <assert.h>
#include <stdio.h>

static struct slice path_text(const struct chunk_queue *path, char *scratch, size_t scratch_size)
{
	assert(path->length <= scratch_size);
	chunk_queue_copy(path, 0, (uint8_t *)scratch, path->length);
	return slice_of(scratch, path->length);
}

struct slice session_sender(const struct session *session, unsigned server_extensions,
			    char *scratch, size_t scratch_size, bool *possible)
{
	struct slice text = path_text(&session->sender, scratch, scratch_size);

	if (session->sender_length) {
		assert(session->sender_length <= scratch_size);
		memcpy(scratch, session->short_sender, session->sender_length);
		text = slice_of(scratch, session->sender_length);
	}
	*possible = !(session->needed & ~server_extensions);
	if (text.length == 0)
		return text;
	char parameters[64] = "";
	int length = 0;
	if (session->declared_size && server_extensions & SMTP_EXTENSION_SIZE)
		length = snprintf(parameters, sizeof(parameters), " SIZE=%llu",
				  (unsigned long long)session->declared_size);
	if (session->needed & SMTP_EXTENSION_8BITMIME && *possible)
		length += snprintf(parameters + length, sizeof(parameters) - (size_t)length,
				   " BODY=8BITMIME");
	if (session->needed & SMTP_EXTENSION_BINARYMIME && *possible)
		length += snprintf(parameters + length, sizeof(parameters) - (size_t)length,
				   " BODY=BINARYMIME");
	assert(text.length + (size_t)length <= scratch_size);
	memcpy(scratch + text.length, parameters, (size_t)length);
	text.length += (size_t)length;
	return text;
}

struct slice session_recipient(const struct session *session, char *scratch, size_t scratch_size)
{
	return path_text(&session->recipient, scratch, scratch_size);
}

static struct slice hello_text(const struct session *session, char scratch[SESSION_HELLO_MAX])
{
	if (session->long_hello.length == 0)
		return slice_of(session->hello, session->hello_length);
	chunk_queue_copy(&session->long_hello, 0, (uint8_t *)scratch, session->hello_length);
	return slice_of(scratch, session->hello_length);
}

static size_t write_received(const struct session *session, struct tick now, char *buffer,
			     size_t size)
{
	const struct session_peer *peer = &session->peer;
	char address[ADDRESS_TEXT_MAX];
	char literal[ADDRESS_TEXT_MAX + sizeof("IPv6:")];
	char unnamed[sizeof(literal) + 2];
	char scratch[SESSION_HELLO_MAX];
	char id[17];
	char date[DATE_TEXT_MAX];

	address_format(&peer->client.address, address);
	snprintf(literal, sizeof(literal), "%s%s",
		 address_is_ipv4(&peer->client.address) ? "" : "IPv6:", address);
	snprintf(unnamed, sizeof(unnamed), "[%s]", literal);
	snprintf(id, sizeof(id), "%016llX", (unsigned long long)peer->id);
	const bool utf8 = session->needed & SMTP_EXTENSION_SMTPUTF8;
	const struct received received = {
		.hello = session->hello_length ? hello_text(session, scratch)
					       : slice_of_text(unnamed),
		.literal = literal,
		.by = peer->connector->fqdn,
		.protocol = utf8                ? "UTF8SMTP"
			    : session->extended ? "ESMTP"
						: "SMTP",
		.id = id,
		.date = date_format(now.wall_us, date),
	};
	return received_format(&received, buffer, size);
}

// One stamp. There is room for all of them.
static size_t write_stamp(char *buffer, size_t size, const char *name, const char *value)
{
	const int length =
		snprintf(buffer, size, "X-MS-Exchange-Organization-%s: %s\r\n", name, value);
	assert(length > 0 && (size_t)length < size);
	return (size_t)length;
}

size_t session_added_header(const struct session *session, struct tick now, char *buffer,
			    size_t size)
{
	const struct connector *connector = session->peer.connector;
	const rights_mask rights = connector_rights(connector, session->peer.identities);
	const bool secured = session->peer.identities & 1u << PRINCIPAL_EXTERNALLY_SECURED;
	size_t length = write_received(session, now, buffer, size);

	if (rights & RIGHT_ACCEPT_HEADERS_ORGANIZATION)
		return length;
	length += write_stamp(buffer + length, size - length, "AuthAs",
			      secured || session->trusted ? "Internal" : "Anonymous");
	length += write_stamp(buffer + length, size - length, "AuthSource", connector->fqdn);
	// Whom an address alone makes trusted gets the mechanism's number, and no SCL.
	if (secured)
		return length + write_stamp(buffer + length, size - length, "AuthMechanism", "10");
	if (!session->peer.allowed && !(rights & RIGHT_BYPASS_ANTI_SPAM))
		return length;
	length += write_stamp(buffer + length, size - length, "SCL", "-1");
	return length + write_stamp(buffer + length, size - length, "Antispam-Report",
				    session->peer.allowed ? "IPOnAllowList"
							  : "MessageSecurityAntispamBypass");
}
