// SPDX-License-Identifier: BSD-3-Clause
//
// Values of Exchange's parameters as PowerShell 5 and 7 export them, with or without remoting,
// -> values as our INI file writes them. One reader for each type of Exchange; each takes every
// shape that the type has. Knows no parameter by name.
#ifndef RELAYGATE_CONTROL_IMPORT_READ_H
#define RELAYGATE_CONTROL_IMPORT_READ_H

#include "control/import_value.h"

#include <stdbool.h>
#include <stdint.h>

// The members of an enumeration of Exchange; the last has no name.
struct import_name {
	uint64_t number;
	const char *name;
};

// All return 0, or -1 when the value is none of the type; *out is then undefined.
// Text is the caller's.

// true, "True", a SwitchParameter ({"IsPresent": true}).
int import_read_boolean(const struct import_value *value, bool *out);
// A number, an Unlimited (object or text): UINT64_MAX when it is unlimited.
int import_read_number(const struct import_value *value, uint64_t *out);
// Bytes: a number, a ByteQuantifiedSize ("36 MB (37,748,736 bytes)") or an Unlimited of it.
int import_read_size(const struct import_value *value, uint64_t *out);
// Milliseconds: a TimeSpan or EnhancedTimeSpan, as object (Ticks), "1.00:10:00" or "PT10M".
int import_read_time(const struct import_value *value, uint64_t *out);
// "A, B": a number, a text or a list; the names of the bits, or of the number when !flags. A name
// that the table does not have is kept.
int import_read_names(const struct import_value *value, const struct import_name *names, bool flags,
		      char **out);
// A text, or an object that stands for one: ToString(), else the first of its properties Name,
// Address, Domain, RawIdentity, IPAddressToString, Value that is a text.
const char *import_read_text(const struct import_value *value);

#define IMPORT_ITEM_MAX 128
// One of RemoteIPRanges or Bindings as a range or endpoint of ours. *zone: an IPv6 zone id was left
// out. On failure *why says what is wrong.
int import_read_range(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
		      const char **why);
int import_read_binding(const struct import_value *value, char out[IMPORT_ITEM_MAX], bool *zone,
			const char **why);

#endif
