// SPDX-License-Identifier: BSD-3-Clause
//
// Received frames: a burst of mbufs shown as slices, and given back. Nearly every burst is plain,
// and then both are done without looking at each mbuf twice.
#ifndef RELAYGATE_IO_FRAMES_H
#define RELAYGATE_IO_FRAMES_H

#include "dataplane/base/slice.h"

struct rte_mbuf;

// Makes each frame whole, whatever the driver did to it; mbufs[] may change by that. A frame that
// cannot be made whole is shown as empty. True: the burst is plain, which is that all frames came
// whole, belong to nobody else, and are of one pool.
bool frames_show(struct rte_mbuf *mbufs[], unsigned count, struct slice frames[]);
// Our part of the frames is over. plain: what frames_show said, and nobody was given one since.
void frames_release(struct rte_mbuf *mbufs[], unsigned count, bool plain);

#endif
