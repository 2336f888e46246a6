// SPDX-License-Identifier: BSD-3-Clause
//
// Collects one command line, however it is cut into segments. A line that arrives whole is not
// copied; a partial one sits in chunks, and only up to the limit: after that nothing but the
// fact that it is being discarded is remembered. Only CR LF ends a line.
#ifndef RELAYGATE_SMTP_LINE_H
#define RELAYGATE_SMTP_LINE_H

#include "dataplane/base/chunk.h"

// Octets of the longest command line, CR LF included: MAIL and RCPT with ESMTP parameters. (RFC
// 5321 section 4.5.3.1.4 asks for 512 for all others; that limit is in the command's row.)
#define LINE_MAX_OCTETS 1024
// With XLONGADDR (connector reference, section 5.2).
#define LINE_LONG_OCTETS 8000

enum line_result {
	LINE_PARTIAL,    // all input used
	LINE_WHOLE,      // scan->text is the line without CR LF
	LINE_TOO_LONG,   // a line above the limit was discarded to its end
	LINE_NO_BUFFER,  // discarded to its end because no chunk was free
	LINE_BAD_ENDING, // bare CR, bare LF or NUL
	LINE_FOREIGN,    // another protocol's (foreign.h); may have a bad ending
};

struct line {
	struct chunk_queue text;
	uint8_t discarding;   // enum line_result that the line will end with, 0 = collecting
	bool carriage_return; // the last byte was CR
	bool long_lines;      // up to LINE_LONG_OCTETS: the owner's to set between lines
};

void line_init(struct line *line);
// Forgets a partial line and gives its chunk back.
void line_clear(struct line *line, struct pool *chunks);

struct line_scan {
	size_t consumed; // bytes of the input that belong to this line
	// WHOLE, BAD_ENDING, FOREIGN: the line or its beginning, in the input or in scratch.
	struct slice text;
	uint8_t scratch[LINE_LONG_OCTETS];
};

enum line_result line_input(struct line *line, struct pool *chunks, struct slice in,
			    struct line_scan *scan);

// What of a whole line may be shown to others: of AUTH (RFC 4954) no more than the mechanism, since
// what follows may be a password, refused or not.
struct slice line_without_secrets(struct slice line);

#endif
