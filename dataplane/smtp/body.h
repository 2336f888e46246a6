// SPDX-License-Identifier: BSD-3-Clause
//
// The end-of-data scanner: tells message bytes from the CR LF . CR LF that ends them, whatever way
// the stream is cut into pieces (RFC 5321 section 4.1.1.4 and 4.5.2). Bytes pass in DATA form, with
// dots stuffed, or as they are meant (RFC 3030); lines may have any length. A bare CR, a bare LF,
// CR CR LF or NUL is refused before it was passed on. State is one byte of the caller's.
// Where a bare LF is accepted it becomes CR LF, and the line behind it never ends the message: if
// it begins with a dot, it gets another one in DATA form, so that no server sees the end there.
#ifndef RELAYGATE_SMTP_BODY_H
#define RELAYGATE_SMTP_BODY_H

#include "dataplane/base/slice.h"

#include <stdbool.h>

enum body_verdict {
	BODY_MORE,            // consumed bytes are dealt with; the message goes on
	BODY_END,             // consumed bytes finish the end of data; nothing is passed on
	BODY_BAD_LINE_ENDING, // bare CR, bare LF (unless accepted) or NUL; nothing is passed on
};

// How a message is read, and how it goes on.
enum {
	BODY_TAKE_BARE_LF = 1 << 0,
	BODY_UNSTUFFED = 1 << 1, // as it is meant; else in DATA form
};

struct body_scan {
	enum body_verdict verdict;
	size_t consumed;
	struct slice held; // what goes before: kept back by an earlier call, or ours; constant text
	struct slice run;  // of the input; goes after held
	size_t octets;     // of held and run together, stuffed dots undone
};

// The state before the first byte after DATA.
void body_init(uint8_t *state);

// Looks at as much of `in` as lets at most `room` bytes pass on: held.length + run.length <= room.
// consumed is 0 when room is too small for anything (0, or 1 while a byte is kept back or owed).
// The final
// ". CR LF" is never passed on; END comes in a call of its own, after the message's last bytes.
void body_input(uint8_t *state, struct slice in, size_t room, unsigned how, struct body_scan *scan);

// The content of a BDAT chunk (RFC 3030): no end of data in it, no stuffed dots. Otherwise as
// above; the verdict is MORE or BAD_LINE_ENDING.
void body_chunk(uint8_t *state, struct slice in, size_t room, unsigned how, struct body_scan *scan);
// What the bytes so far ended with: a CR whose LF did not come; a line without its end.
bool body_has_half_a_line_end(uint8_t state);
bool body_in_line(uint8_t state);

#endif
