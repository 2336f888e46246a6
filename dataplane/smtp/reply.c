// SPDX-License-Identifier: BSD-3-Clause
//
// See reply.h. Owns the texts and their form on the wire; which one is due is decided elsewhere.
#include "dataplane/smtp/reply.h"

#include <assert.h>

static const struct {
	uint16_t code;
	const char *text;
	const char *text_2016;
} rows[REPLY_COUNT] = {
#define X(name, code, text, text_2016) [REPLY_##name] = {code, text, text_2016},
	REPLIES(X)
#undef X
};

static const uint8_t reply_of[REASON_COUNT] = {
	[REASON_smtp_not_authenticated] = REPLY_not_authenticated,
	[REASON_smtp_unable_to_relay] = REPLY_unable_to_relay,
	[REASON_smtp_sender_not_permitted] = REPLY_sender_not_permitted,
	[REASON_smtp_own_sender_not_permitted] = REPLY_own_sender_not_permitted,
	[REASON_smtp_unrecognized] = REPLY_unrecognized,
	[REASON_smtp_line_too_long] = REPLY_line_too_long,
	[REASON_smtp_bad_line_ending] = REPLY_bad_line_ending,
	[REASON_smtp_too_many_errors] = REPLY_too_many_errors,
	[REASON_smtp_too_many_recipients] = REPLY_too_many_recipients,
	[REASON_smtp_too_large] = REPLY_too_large,
	[REASON_smtp_reserved_top_level] = REPLY_reserved_top_level,
	[REASON_smtp_reserved_second_level] = REPLY_reserved_second_level,
	[REASON_smtp_single_label] = REPLY_single_label,
	[REASON_smtp_hello_needs_domain] = REPLY_hello_needs_domain,
	[REASON_smtp_utf8_not_asked] = REPLY_utf8_not_asked,
	[REASON_smtp_header_too_large] = REPLY_header_too_large,
	[REASON_smtp_exch50_refused] = REPLY_exch50_refused,
	[REASON_smtp_hop_count] = REPLY_hop_count,
	[REASON_smtp_message_rate] = REPLY_message_rate,
	[REASON_smtp_blocked] = REPLY_blocked,
	[REASON_smtp_limit_connections] = REPLY_limit_connections,
	[REASON_smtp_limit_per_source] = REPLY_limit_per_source,
	[REASON_smtp_limit_percentage] = REPLY_limit_per_source,
	[REASON_smtp_limit_per_prefix] = REPLY_limit_per_source,
	[REASON_smtp_limit_source_rate] = REPLY_limit_rate,
	[REASON_smtp_limit_prefix_rate] = REPLY_limit_rate,
	[REASON_smtp_timeout] = REPLY_input_timeout,
	[REASON_smtp_session_timeout] = REPLY_connection_timed_out,
	[REASON_smtp_draining] = REPLY_service_not_available,
	[REASON_session_evicted] = REPLY_service_not_available,
	[REASON_holder_evicted] = REPLY_service_not_available,
	[REASON_slow_sender_evicted] = REPLY_service_not_available,
	[REASON_smtp_connector_gone] = REPLY_service_not_available,
	[REASON_smtp_banned] = REPLY_banned,
	[REASON_smtp_limit_ban] = REPLY_banned,
	[REASON_smtp_limit_block_list] = REPLY_limit_block_list,
	[REASON_smtp_not_smtp] = REPLY_not_smtp,
	[REASON_greet_early_talker] = REPLY_spoke_early,
	[REASON_greet_pipelining] = REPLY_pipelined_early,
	[REASON_dnsbl_listed] = REPLY_dnsbl_listed,
	[REASON_backend_unavailable] = REPLY_backend_unavailable,
	[REASON_backend_connect_failed] = REPLY_backend_unavailable,
	[REASON_backend_busy] = REPLY_backend_busy,
	[REASON_backend_lost] = REPLY_backend_lost,
	[REASON_backend_timeout] = REPLY_backend_timeout,
	[REASON_backend_malformed_reply] = REPLY_backend_malformed_reply,
	[REASON_flows_full] = REPLY_insufficient_resources,
	[REASON_ports_full] = REPLY_insufficient_resources,
	[REASON_buffers_low] = REPLY_insufficient_resources,
};

unsigned reply_code(const struct reply_buffer *reply)
{
	if (reply->length < 3)
		return 0;
	return (unsigned)(reply->text[0] - '0') * 100 + (unsigned)(reply->text[1] - '0') * 10 +
	       (unsigned)(reply->text[2] - '0');
}

unsigned reply_id_code(enum reply_id id)
{
	return rows[id].code;
}

enum reply_id reply_of_reason(enum reason reason)
{
	return reply_of[reason] ? reply_of[reason] : REPLY_temporary_failure;
}

void reply_clear(struct reply_buffer *reply)
{
	reply->length = 0;
	reply->last_line = 0;
	reply->row = 0;
	reply->detail[0] = '\0';
}

// Appends to the last line, which keeps room for CR LF.
static void append(struct reply_buffer *reply, const char *text, size_t length)
{
	const size_t used = reply->length - reply->last_line;
	if (length > REPLY_LINE_MAX - 2 - used)
		length = REPLY_LINE_MAX - 2 - used;
	memcpy(reply->text + reply->length, text, length);
	reply->length += (uint16_t)length;
}

// Does session_say_again know its values?
static bool can_repeat(enum reply_id id, const char *text)
{
	return id == REPLY_blocked || id == REPLY_dnsbl_listed || !strstr(text, "{}");
}

void reply_add(struct reply_buffer *reply, enum reply_dialect dialect, enum reply_id id,
	       const char *const values[])
{
	const unsigned code = rows[id].code;
	const bool newer = dialect == REPLY_DIALECT_2016 && rows[id].text_2016;
	const char *text = newer ? rows[id].text_2016 : rows[id].text;
	const char digits[4] = {(char)('0' + code / 100), (char)('0' + code / 10 % 10),
				(char)('0' + code % 10), ' '};

	assert(id > REPLY_NONE && id < REPLY_COUNT);
	assert(reply->length + REPLY_LINE_MAX <= REPLY_MAX);
	if (reply->length > 0) {
		assert(reply_code(reply) == code);
		reply->text[reply->last_line + 3] = '-';
	}
	reply->row = reply->length || !can_repeat(id, text) ? 0 : (uint8_t)id;
	reply->last_line = reply->length;
	append(reply, digits, sizeof(digits));
	for (const char *gap; (gap = strstr(text, "{}")); text = gap + 2) {
		append(reply, text, (size_t)(gap - text));
		append(reply, *values, strlen(*values));
		values++;
	}
	append(reply, text, strlen(text));
	reply->text[reply->length++] = '\r';
	reply->text[reply->length++] = '\n';
}

void reply_continue(struct reply_buffer *reply)
{
	assert(reply->length > 3);
	reply->text[reply->last_line + 3] = '-';
}

void reply_set(struct reply_buffer *reply, struct slice text)
{
	assert(text.length <= REPLY_MAX);
	memcpy(reply->text, text.data, text.length);
	reply->length = (uint16_t)text.length;
	reply->last_line = 0;
	reply->row = 0;
}

void reply_set_code(struct reply_buffer *reply, unsigned code)
{
	char *line = reply->text, *const end = reply->text + reply->length;

	assert(code >= 200 && code <= 599);
	while (end - line >= 3) {
		line[0] = (char)('0' + code / 100);
		line[1] = (char)('0' + code / 10 % 10);
		line[2] = (char)('0' + code % 10);
		char *feed = memchr(line, '\n', (size_t)(end - line));
		line = feed ? feed + 1 : end;
	}
}

const char *reply_set_detail(struct reply_buffer *reply, struct slice text)
{
	text = slice_first(text, REPLY_DETAIL_MAX - 1);
	for (size_t i = 0; i < text.length; i++) {
		const uint8_t c = text.data[i];
		reply->detail[i] = c >= 32 && c < 127 ? (char)c : '?';
	}
	reply->detail[text.length] = '\0';
	return reply->detail;
}
