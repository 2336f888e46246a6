// SPDX-License-Identifier: BSD-3-Clause
//
// Receive-side scaling of a device, made to put each flow's frames into its owner's queue: our key,
// our table, TCP over both families. Believed only after both were read back; what the device does
// all the same, the pipeline corrects.
#ifndef RELAYGATE_IO_RSS_H
#define RELAYGATE_IO_RSS_H

#include <rte_ethdev.h>
#include <stdbool.h>

struct spread;

#define RSS_KEY_MAX 64

// What a device's configuration points to until rte_eth_dev_configure has returned.
struct rss {
	uint8_t key[RSS_KEY_MAX];
};

// Before the device is configured, with a queue for each worker: asks for our hash if the device
// says that it can. Leaves the configuration as it is otherwise.
void rss_ask(uint16_t device, const struct spread *spread, struct rss *rss,
	     struct rte_eth_conf *configuration);
// After it was started: sets the table, and the key once more, as some drivers take it only then.
// True when rss_is_ours.
bool rss_install(uint16_t device, const struct spread *spread);
// Does the device show our key, our table and the hash of TCP's tuples?
bool rss_is_ours(uint16_t device, const struct spread *spread);

#endif
