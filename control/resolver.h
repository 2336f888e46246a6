// SPDX-License-Identifier: BSD-3-Clause
//
// Asks the DNS lists about clients: one helper thread with c-ares, which sends and reads by the
// kernel's network and not by a port of ours. Workers hand clients over and find answers through
// gate/dnsbl, and never wait for it. Whatever goes wrong with DNS (silence, errors, forged or
// broken answers, more clients than may be asked about at once) is counted and costs no mail. Lists
// and name servers are those of the start; a reload cannot change them (config/restart.h).
#ifndef RELAYGATE_CONTROL_RESOLVER_H
#define RELAYGATE_CONTROL_RESOLVER_H

#include "dataplane/gate/dnsbl.h"

struct resolver;

#define RESOLVER_ERROR_MAX 160

// Reads DnsServers, or /etc/resolv.conf. NULL, with a line for a person, when that is impossible or
// there is no memory.
struct resolver *resolver_create(const struct policy *policy, unsigned workers,
				 char error[RESOLVER_ERROR_MAX]);
// Starts the thread, which gives up every capability before it does anything: to be called when
// root was given up. 0, or -1 with a line for a person.
int resolver_launch(struct resolver *resolver, char error[RESOLVER_ERROR_MAX]);
// Ends the thread, whatever is still being asked. No worker runs any more. NULL is fine.
void resolver_destroy(struct resolver *resolver);

// What the workers share with it; NULL when resolver is.
struct dnsbl *resolver_dnsbl(struct resolver *resolver);

// What happened since the last call, for the counters of the same names.
struct resolver_counts {
	uint64_t dnsbl_timeout, dnsbl_failed, dnsbl_inquiries_full, dnsbl_cache_full;
};
struct resolver_counts resolver_take(struct resolver *resolver);

#endif
