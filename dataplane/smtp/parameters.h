// SPDX-License-Identifier: BSD-3-Clause
//
// What follows the path in MAIL and RCPT: ESMTP parameters (RFC 5321 section 4.1.2), of which MAIL
// knows SIZE (RFC 1870) and BODY (RFC 6152), and RCPT none.
#ifndef RELAYGATE_SMTP_PARAMETERS_H
#define RELAYGATE_SMTP_PARAMETERS_H

#include "dataplane/base/slice.h"

enum parameters_result {
	PARAMETERS_GOOD,
	PARAMETERS_UNKNOWN, // well formed, but a keyword that was not offered: 555
	PARAMETERS_BAD,     // malformed, a value that cannot be, or given twice: 501
};

struct parameters {
	unsigned given; // bit of each row of the table in parameters.c: internal
	uint64_t size;  // 0 when not given
	bool body_8bit;
};

// `in` is what follows the path, trailing blanks removed. known: whether SIZE and BODY may be given
// (MAIL after EHLO); *out is filled then. *culprit is the parameter that was not understood.
enum parameters_result parameters_parse(struct slice in, bool known, struct parameters *out,
					struct slice *culprit);

#endif
