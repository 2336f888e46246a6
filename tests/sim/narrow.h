// SPDX-License-Identifier: BSD-3-Clause
//
// A link on the way that takes smaller packets than the port does: the router before it throws away
// what is too large and says so (RFC 792, RFC 4443). A router sends such messages as if from the
// packet's destination here, for the simulated networks have one hop only.
#ifndef RELAYGATE_SIM_NARROW_H
#define RELAYGATE_SIM_NARROW_H

#include "dataplane/base/outbox.h"
#include "dataplane/base/slice.h"

// True when the frame (untagged, from the gate) is longer than mtu allows. *length bytes of answer
// are then the router's frame to the gate; none when the frame was no TCP.
bool narrow_refuses(struct slice frame, uint16_t mtu, uint8_t answer[OUTBOX_FRAME_MAX],
		    size_t *length);

#endif
