/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/*
 * Keys that the XDP programs of bench_xdp and their loader share. Includes nothing.
 */
#ifndef RELAYGATE_BENCH_XDP_H
#define RELAYGATE_BENCH_XDP_H

#define XDP_SOURCES_MAX 16384 /* a power of two */
#define XDP_RANGES_MAX  1048576

#define SYN_TCP_BYTES 24 /* with an MSS option */
#define SYN_BYTES     (14 + 20 + SYN_TCP_BYTES)

struct xdp_address {
	unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct xdp_binding {
	struct xdp_address address;
	unsigned int port; /* network byte order */
};

struct xdp_range4 {
	unsigned int prefix_length;
	unsigned char bytes[4];
};

struct xdp_range6 {
	unsigned int prefix_length;
	unsigned char bytes[16];
};

#endif
