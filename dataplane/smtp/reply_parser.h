// SPDX-License-Identifier: BSD-3-Clause
//
// A server's replies (RFC 5321 section 4.2), parsed as they stream in: multi-line ones collected
// into a bounded text whose form is checked, so that what is passed on to the client is SMTP
// whatever the server sent: printable ASCII (other bytes become '?'), CR LF line ends, one code
// throughout; lines cut at 512 octets. CR LF alone ends a line, and a code
// alone is a line, too.
#ifndef RELAYGATE_SMTP_REPLY_PARSER_H
#define RELAYGATE_SMTP_REPLY_PARSER_H

#include "dataplane/base/slice.h"
#include <stdbool.h>
#include <stdint.h>

#define REPLY_PARSER_TEXT_MAX 2048

enum reply_parser_result {
	REPLY_PARSER_MORE,      // all input used, reply unfinished
	REPLY_PARSER_DONE,      // one whole reply; input after it not touched
	REPLY_PARSER_MALFORMED, // not SMTP, codes differ, or beyond REPLY_PARSER_TEXT_MAX
};

// State that survives between segments is small; the text is a worker's scratch for short replies
// and therefore belongs to the caller.
struct reply_parser {
	uint16_t code;      // complete after DONE
	uint16_t line_code; // of the line being read
	uint16_t length;    // of text so far
	uint16_t column;    // of text in the line being read
	uint8_t state;
	char text[REPLY_PARSER_TEXT_MAX]; // "250-one\r\n250 two\r\n", not NUL-terminated
};

void reply_parser_init(struct reply_parser *parser);
// Feeds bytes; *used says how many belong to this reply. After DONE or MALFORMED the parser is
// spent until reply_parser_init.
enum reply_parser_result reply_parser_input(struct reply_parser *parser, struct slice in,
					    size_t *used);

#endif
