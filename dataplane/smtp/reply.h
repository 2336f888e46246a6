// SPDX-License-Identifier: BSD-3-Clause
//
// Replies to the client: one table of every reply that the gate itself gives, in the words of
// Exchange (connector reference, section 3) in both dialects, and a buffer to write them in.
#ifndef RELAYGATE_SMTP_REPLY_H
#define RELAYGATE_SMTP_REPLY_H

#include "bpf/counters.h"
#include "config/policy.h"
#include "dataplane/base/slice.h"
#include "dataplane/smtp/line.h"

// Room for the longest answer to one input: an EHLO reply or a backend's multi-line reply.
#define REPLY_MAX 4096
// Octets of a reply line, CR LF included (RFC 5321 section 4.5.3.1.5): longer ones are cut.
#define REPLY_LINE_MAX 512
// What the log remembers of a refused command (struct log_record), NUL included.
#define REPLY_DETAIL_MAX 144

// X(name, code, text, text in the 2016 dialect or NULL for the same). {} stands for a value that
// the caller gives. Texts that Exchange's documents do not settle are our own.
#define REPLIES(X)                                                                                 \
	X(banner, 220, "{} Microsoft ESMTP MAIL Service ready at {}", NULL)                        \
	X(banner_configured, 220, "{}", NULL)                                                      \
	X(closing, 221, "2.0.0 Service closing transmission channel", NULL)                        \
	X(help, 214, "2.0.0 Commands: {}", NULL)                                                   \
	X(hello, 250, "{} Hello [{}]", NULL)                                                       \
	X(ehlo_size, 250, "SIZE {}", NULL)                                                         \
	X(ehlo_size_unlimited, 250, "SIZE", NULL)                                                  \
	X(ehlo_pipelining, 250, "PIPELINING", NULL)                                                \
	X(ehlo_enhanced_status_codes, 250, "ENHANCEDSTATUSCODES", NULL)                            \
	X(ehlo_8bitmime, 250, "8BITMIME", NULL)                                                    \
	X(ehlo_dsn, 250, "DSN", NULL)                                                              \
	X(ehlo_binarymime, 250, "BINARYMIME", NULL)                                                \
	X(ehlo_chunking, 250, "CHUNKING", NULL)                                                    \
	X(ehlo_xexch50, 250, "XEXCH50", NULL)                                                      \
	X(ehlo_xlongaddr, 250, "XLONGADDR", NULL)                                                  \
	X(ehlo_xorar, 250, "XORAR", NULL)                                                          \
	X(ehlo_smtputf8, 250, "SMTPUTF8", NULL)                                                    \
	X(ok, 250, "2.0.0 OK", NULL)                                                               \
	X(resetting, 250, "2.0.0 Resetting", NULL)                                                 \
	X(chunk_ok, 250, "2.6.0 CHUNK received OK, {} octets", NULL)                               \
	X(sender_ok, 250, "2.1.0 Sender OK", NULL)                                                 \
	X(cannot_verify, 252, "2.1.5 Cannot VRFY user", NULL)                                      \
	X(start_mail_input, 354, "Start mail input; end with <CRLF>.<CRLF>", NULL)                 \
	X(send_binary_data, 354, "Send binary data", NULL)                                         \
	X(service_not_available, 421, "4.3.2 Service not available, closing transmission channel", \
	  NULL)                                                                                    \
	X(connection_timed_out, 421, "4.4.1 Connection timed out", NULL)                           \
	X(limit_configured, 421, "{}", NULL)                                                       \
	X(limit_connections, 421,                                                                  \
	  "4.3.2 The maximum number of concurrent connections has exceeded a limit, closing "      \
	  "transmission channel",                                                                  \
	  "4.3.2 The maximum number of concurrent server connections has exceeded a limit, "       \
	  "closing transmission channel")                                                          \
	X(limit_per_source, 421,                                                                   \
	  "4.3.2 The maximum number of concurrent connections has exceeded a limit, closing "      \
	  "transmission channel",                                                                  \
	  "4.3.2 The maximum number of concurrent server connections has exceeded a per-source "   \
	  "limit, closing transmission channel")                                                   \
	X(limit_rate, 421,                                                                         \
	  "4.4.2 Connection rate for this client has exceeded the configured limit", NULL)         \
	X(message_rate, 421,                                                                       \
	  "4.4.2 Message submission rate for this client has exceeded the configured limit", NULL) \
	X(banned, 421, "4.7.0 Too many offences of this host, closing transmission channel", NULL) \
	X(limit_block_list, 421,                                                                   \
	  "4.7.0 This host is on the block list, closing transmission channel", NULL)              \
	X(too_many_errors, 421, "4.7.0 Too many errors, closing transmission channel", NULL)       \
	X(temporary_failure, 451, "4.3.0 Temporary failure, try again later", NULL)                \
	X(backend_malformed_reply, 451, "4.3.0 Mail server gave a reply that is not understood",   \
	  NULL)                                                                                    \
	X(backend_closing, 451, "4.3.2 Mail server is closing its channel", NULL)                  \
	X(backend_unavailable, 451, "4.4.1 No mail server is available", NULL)                     \
	X(backend_lost, 451, "4.4.2 Connection to the mail server was lost", NULL)                 \
	X(backend_timeout, 451, "4.4.1 Mail server did not answer in time", NULL)                  \
	X(backend_busy, 451, "4.4.5 Mail servers are busy", NULL)                                  \
	X(input_timeout, 451, "4.7.0 Timeout waiting for client input", NULL)                      \
	X(insufficient_resources, 452, "4.3.1 Insufficient system resources", NULL)                \
	X(too_many_recipients, 452, "4.5.3 Too many recipients", NULL)                             \
	X(unrecognized, 500, "5.3.3 Unrecognized command", NULL)                                   \
	X(line_too_long, 500, "5.5.2 Line too long", NULL)                                         \
	X(bad_recipient_address, 501, "5.1.3 Invalid address", NULL)                               \
	X(bad_sender_address, 501, "5.1.7 Invalid address", NULL)                                  \
	X(reserved_top_level, 501, "5.1.4 Recipient address reserved by RFC 2606", NULL)           \
	X(reserved_second_level, 501, "5.1.5 Recipient address reserved by RFC 2606", NULL)        \
	X(single_label, 501, "5.1.6 Recipient addresses in single label domains not accepted",     \
	  NULL)                                                                                    \
	X(hello_needs_domain, 501, "5.0.0 HELO / EHLO requires domain address", NULL)              \
	X(bad_domain_name, 501, "5.5.4 Invalid domain name", NULL)                                 \
	X(bad_arguments, 501, "5.5.4 Invalid arguments", NULL)                                     \
	X(send_hello_first, 503, "5.5.2 Send hello first", NULL)                                   \
	X(need_mail_command, 503, "5.5.2 Need mail command", NULL)                                 \
	X(need_rcpt_command, 503, "5.5.2 Need rcpt command", NULL)                                 \
	X(need_bdat_command, 503, "5.5.2 Need BDAT command", NULL)                                 \
	X(sender_already_specified, 503, "5.5.2 Sender already specified", NULL)                   \
	X(exch50_refused, 504, "Need to authenticate first", NULL)                                 \
	X(bad_line_ending, 521, "5.5.2 Bare CR, bare LF or NUL, closing transmission channel",     \
	  NULL)                                                                                    \
	X(not_smtp, 521, "5.5.1 This is not SMTP, closing transmission channel", NULL)             \
	X(spoke_early_closing, 521,                                                                \
	  "5.5.1 Protocol error: spoke before the greeting, closing transmission channel", NULL)   \
	X(pipelined_early_closing, 521,                                                            \
	  "5.5.1 Protocol error: spoke before the reply to EHLO, closing transmission channel",    \
	  NULL)                                                                                    \
	X(not_authenticated, 530, "5.7.1 Client was not authenticated",                            \
	  "5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM")     \
	X(spoke_early, 550, "5.5.1 Protocol error: spoke before the greeting", NULL)               \
	X(pipelined_early, 550, "5.5.1 Protocol error: spoke before the reply to EHLO", NULL)      \
	X(dnsbl_listed, 550, "5.7.1 Client host [{}] is blocked using {}", NULL)                   \
	X(unable_to_relay, 550, "5.7.1 Unable to relay",                                           \
	  "5.7.54 SMTP; Unable to relay recipient in non-accepted domain")                         \
	X(sender_not_permitted, 550,                                                               \
	  "5.7.1 Client does not have permissions to send as this sender",                         \
	  "5.7.60 SMTP; Client does not have permissions to send as this sender")                  \
	X(blocked, 550, "5.7.1 {} is on the block list", NULL)                                     \
	X(own_sender_not_permitted, 550,                                                           \
	  "5.7.1 Anonymous client does not have permissions to send as this sender", NULL)         \
	X(too_large, 552, "5.3.4 Message size exceeds fixed maximum message size", NULL)           \
	X(header_too_large, 552, "5.3.4 Header size exceeds fixed maximum size", NULL)             \
	X(utf8_not_asked, 553, "5.6.7 SMTPUTF8 is needed for this address", NULL)                  \
	X(hop_count, 554, "5.4.6 Hop count exceeded - possible mail loop", NULL)                   \
	X(no_valid_recipients, 554, "5.5.1 No valid recipients", NULL)                             \
	X(unknown_parameter, 555, "5.5.4 Unsupported parameter", NULL)

enum reply_id {
	REPLY_NONE,
#define X(name, code, text, text_2016) REPLY_##name,
	REPLIES(X)
#undef X
		REPLY_COUNT
};

// A worker's scratch: filled by one call, sent, forgotten.
struct reply_buffer {
	uint16_t length;
	uint16_t last_line; // where the last line begins
	uint8_t row; // enum reply_id of an only line whose values session_say_again knows, or 0
	char text[REPLY_MAX];
	char detail[REPLY_DETAIL_MAX]; // what session_step.detail points to
	struct line_scan line;         // what session_step.line may point into
};

static inline struct slice reply_bytes(const struct reply_buffer *reply)
{
	return slice_of(reply->text, reply->length);
}

// The reply code at the front (0 when empty).
unsigned reply_code(const struct reply_buffer *reply);

// The code of a row; what its reply is when the gate refuses or fails for that reason (every
// reason that a session meets has one; any other is a temporary failure).
unsigned reply_id_code(enum reply_id id);
enum reply_id reply_of_reason(enum reason reason);

void reply_clear(struct reply_buffer *reply);
// The greeting's first line instead of its only one (RFC 5321 section 4.2): more follows.
void reply_continue(struct reply_buffer *reply);
// Adds a row as a line; further lines of the same code make it a multi-line reply. values: one text
// for each {} of the row, in order; NULL when it has none.
void reply_add(struct reply_buffer *reply, enum reply_dialect dialect, enum reply_id id,
	       const char *const values[]);
// A whole reply of a backend, well formed (reply_parser.h); at most REPLY_MAX bytes.
void reply_set(struct reply_buffer *reply, struct slice text);
// Another code for each line of what reply_set took.
void reply_set_code(struct reply_buffer *reply, unsigned code);
// Sets detail to the beginning of text, printable. Returns it.
const char *reply_set_detail(struct reply_buffer *reply, struct slice text);

#endif
