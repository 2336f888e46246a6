// SPDX-License-Identifier: BSD-3-Clause
//
// Warnings about single connectors: of no use to anybody, or open to the world.
#ifndef RELAYGATE_CONFIG_EXPOSURE_H
#define RELAYGATE_CONFIG_EXPOSURE_H

#include "config/diagnostics.h"

#include <stdbool.h>
#include <stdint.h>

struct connector;
struct policy;
struct range;

// How many addresses a connector's ranges hold: IPv4 addresses, and IPv6 networks of /64. Public:
// without those that no outsider has (RFC 1918, 4193, 6598, loopback, link-local).
struct exposure_width {
	uint64_t ipv4, ipv6, public_ipv4, public_ipv6;
	unsigned line; // of the range with the most public addresses, or of the first
};
struct exposure_width exposure_of_connector(const struct connector *connector);
struct exposure_width exposure_of_range(const struct range *range, unsigned line);
// So many that nobody knows them all: above an IPv4 /16 or an IPv6 /48.
bool exposure_is_wide(const struct exposure_width *width);
// A range that is the whole of IPv4 or IPv6.
bool exposure_is_everybody(const struct range *range);
bool exposure_shares_family(const struct connector *connector);

// No connector is refused here: an open relay may be meant, but never goes without a word.
void exposure_check(const struct policy *policy, struct diagnostics *diagnostics);

#endif
