// SPDX-License-Identifier: BSD-3-Clause
//
// Which objects of an export are the connectors of the server that is meant, and what they are
// called.
#ifndef RELAYGATE_CONTROL_IMPORT_CONNECTOR_NAME_H
#define RELAYGATE_CONTROL_IMPORT_CONNECTOR_NAME_H

#include "control/import.h"

// The connectors of the server of --server, or of the only one; *sources is the caller's to free.
// With several servers and none chosen, or without any connector, an error and 0.
unsigned import_connector_sources(struct import *import, const struct import_value ***sources);

// Sets name, server and origin of a connector, and the name of its meaning: one that the file can
// have and no other connector has.
void import_connector_name(struct import *import, unsigned connector);

#endif
