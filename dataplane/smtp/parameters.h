// SPDX-License-Identifier: BSD-3-Clause
//
// What follows the path in MAIL and RCPT: ESMTP parameters (RFC 5321 section 4.1.2). MAIL knows
// SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), RET and ENVID (RFC 3461), SMTPUTF8 (RFC 6531) and
// AUTH (RFC 4954); RCPT knows NOTIFY and ORCPT (RFC 3461), and ORAR (of Exchange, which does not
// say its form: config/README.md does). One is known if its extension was offered.
#ifndef RELAYGATE_SMTP_PARAMETERS_H
#define RELAYGATE_SMTP_PARAMETERS_H

#include "dataplane/base/slice.h"

// Parameters of one command that go on to the server as they are.
#define PARAMETERS_FORWARD_MAX 3

enum parameters_result {
	PARAMETERS_GOOD,
	PARAMETERS_UNKNOWN, // well formed, but a keyword that was not offered: 555
	PARAMETERS_BAD,     // malformed, a value that cannot be, or given twice: 501
};

enum parameters_command { PARAMETERS_OF_MAIL, PARAMETERS_OF_RCPT };

struct parameters {
	unsigned given;  // bit of each row of the table in parameters.c: internal
	unsigned needed; // bits of enum smtp_extension that a server needs for this command
	uint64_t size;   // 0 when not given
	struct slice forward[PARAMETERS_FORWARD_MAX]; // KEYWORD or KEYWORD=VALUE, in the input
	unsigned forward_count;
	struct slice alternate; // address in ORAR=, in xtext, in the input; empty when not given
	bool trusted;           // AUTH= names a submitter (it is not "<>")
};

// `in` is what follows the path, trailing blanks removed. offered: bits of enum smtp_extension of
// the last EHLO; extended: it was EHLO, not HELO. *out is filled when all are good. *culprit is the
// parameter that was not understood.
enum parameters_result parameters_parse(struct slice in, enum parameters_command command,
					bool extended, unsigned offered, struct parameters *out,
					struct slice *culprit);

// What the xtext stands for (RFC 3461 section 4), which parameters_parse found good: printable
// ASCII, never longer than the xtext. Returns its length.
size_t parameters_decode(struct slice xtext, uint8_t *out);

#endif
