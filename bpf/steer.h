/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/*
 * What steer.bpf.c and user space agree on: the keys and values of the maps that say which frames
 * the gate takes off an interface. Plain C over the integer types of counters.h.
 */
#ifndef RELAYGATE_BPF_STEER_H
#define RELAYGATE_BPF_STEER_H

#include "bpf/counters.h"

/* Names as the kernel shows them: at most 15 bytes. */
#define STEER_PROGRAM   "relaygate_steer"
#define STEER_SOCKETS   "xsks_map"        /* net_af_xdp looks for this name */
#define STEER_ADDRESSES "steer_addresses" /* steer_address -> steer_address_kind as u32 */
#define STEER_BINDINGS  "steer_bindings"  /* steer_endpoint -> 1 as u32 */
#define STEER_SERVERS   "steer_servers"   /* steer_endpoint -> 1 as u32 */
#define STEER_CONFIG    "steer_config"    /* 0 -> struct steer_config */
#define STEER_BANS      "steer_bans"      /* 0 -> the instance's map `bans` (counters.h) */
#define STEER_DROPPED   "steer_dropped"   /* 0 -> frames of banned sources, by CPU, as u64 */

#define STEER_QUEUES_MAX    256
#define STEER_ADDRESSES_MAX 4096
#define STEER_ENDPOINTS_MAX 65536

enum steer_address_kind {
	STEER_OWN = 1, /* an address of the gate */
	STEER_GROUP,   /* the solicited-node group of one (RFC 4291 section 2.7.1) */
};

/* Network byte order, IPv4 as ::ffff:a.b.c.d. */
struct steer_address {
	counters_u8 bytes[16];
};

struct steer_endpoint {
	struct steer_address address;
	counters_u16 port; /* network byte order */
	counters_u16 zero; /* keys are compared byte by byte: no byte may be left open */
};

struct steer_config {
	counters_u32 ready; /* 0 = the other maps are not filled yet: everything passes */
	counters_u16 vlan;  /* host byte order, 0 = untagged */
	counters_u16 ipv6; /* 1 = an address of ours is IPv6: multicast listener queries are ours */
	counters_u32 answer_banned; /* 1 = banned sources go to the gate, which answers them */
};

#endif
