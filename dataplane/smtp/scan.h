// SPDX-License-Identifier: BSD-3-Clause
//
// The one question that both the command line and the message body ask of every byte: is it CR, LF
// or NUL? Answered 16 bytes at a time, since all of a 25 MB message passes here once.
#ifndef RELAYGATE_SMTP_SCAN_H
#define RELAYGATE_SMTP_SCAN_H

#include "dataplane/base/slice.h"

// Index of the first CR, LF or NUL; the length when there is none.
static inline size_t scan_control(struct slice in)
{
	typedef uint8_t block __attribute__((vector_size(16)));
	size_t at = 0;
	while (in.length - at >= sizeof(block)) {
		block bytes;
		memcpy(&bytes, in.data + at, sizeof(bytes));
		// Comparisons of vectors give all ones for a lane that is equal.
		block hit = (block)((bytes == '\r') | (bytes == '\n') | (bytes == 0));
		uint64_t halves[2];
		memcpy(halves, &hit, sizeof(halves));
		if (halves[0] | halves[1])
			break;
		at += sizeof(block);
	}
	while (at < in.length && in.data[at] != '\r' && in.data[at] != '\n' && in.data[at] != 0)
		at++;
	return at;
}

#endif
