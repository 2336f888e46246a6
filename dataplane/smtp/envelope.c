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
	*possible = !session->body_8bit || server_extensions & SMTP_EXTENSION_8BITMIME;
	if (text.length == 0)
		return text;
	char parameters[64] = "";
	int length = 0;
	if (session->declared_size && server_extensions & SMTP_EXTENSION_SIZE)
		length = snprintf(parameters, sizeof(parameters), " SIZE=%llu",
				  (unsigned long long)session->declared_size);
	if (session->body_8bit && *possible)
		length += snprintf(parameters + length, sizeof(parameters) - (size_t)length,
				   " BODY=8BITMIME");
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

size_t session_received_header(const struct session *session, struct tick now, char *buffer,
			       size_t size)
{
	const struct session_peer *peer = &session->peer;
	char address[ADDRESS_TEXT_MAX];
	char literal[ADDRESS_TEXT_MAX + sizeof("IPv6:")];
	char scratch[SESSION_HELLO_MAX];
	char id[17];
	char date[DATE_TEXT_MAX];

	address_format(&peer->client.address, address);
	snprintf(literal, sizeof(literal), "%s%s",
		 address_is_ipv4(&peer->client.address) ? "" : "IPv6:", address);
	snprintf(id, sizeof(id), "%016llX", (unsigned long long)peer->id);
	const struct received received = {
		.hello = hello_text(session, scratch),
		.literal = literal,
		.by = peer->connector->fqdn,
		.protocol = session->extended ? "ESMTP" : "SMTP",
		.id = id,
		.date = date_format(now.wall_us, date),
	};
	return received_format(&received, buffer, size);
}
