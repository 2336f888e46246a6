// SPDX-License-Identifier: BSD-3-Clause
//
// The parameters of Exchange's receive connectors: one row each, with its type and with what is
// said when the gate cannot do it. Where a key of ours goes by the same name (keys.h), a row needs
// no more than the type. Constant data.
#ifndef RELAYGATE_CONTROL_IMPORT_PARAMETER_H
#define RELAYGATE_CONTROL_IMPORT_PARAMETER_H

#include "control/import_read.h"

#include <stdbool.h>

enum import_type {
	TYPE_BOOLEAN,
	TYPE_NUMBER,
	TYPE_SIZE,
	TYPE_TIME,
	TYPE_TEXT,
	TYPE_NAME,
	TYPE_FLAGS,
	TYPE_GROUPS,
	TYPE_MECHANISMS,
	TYPE_ROLE,
	TYPE_BINDINGS,
	TYPE_RANGES,
	TYPE_PRESENCE, // only whether there is anything
};

struct import_parameter {
	const char *name;
	enum import_type type;
	const struct import_name *names; // TYPE_NAME, TYPE_FLAGS
	const char *quiet;               // the value that is worth no word
	const char *refused;             // the value that is not taken, for the reason given
	const char *meaning;             // what it means that it is not taken
};

// The last row has no name.
extern const struct import_parameter import_parameters[];
// Rows that other files need: the members of TransportRole.
extern const struct import_name import_role_names[];

// Whether a property of an exported connector is a parameter, or one that has nothing to do with
// SMTP.
bool import_parameter_is_known(const char *name);

#endif
