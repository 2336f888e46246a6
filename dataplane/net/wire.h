// SPDX-License-Identifier: BSD-3-Clause
//
// The link and network layers' fixed numbers, and unaligned access to fields in network byte order.
// Readers take a pointer whose bytes the caller has checked to be inside the slice; nothing here
// checks bounds.
#ifndef RELAYGATE_NET_WIRE_H
#define RELAYGATE_NET_WIRE_H

#include <stdint.h>
#include <string.h>

#include "dataplane/base/view.h"

enum {
	ETHERNET_HEADER_BYTES = 14,
	VLAN_TAG_BYTES = 4,
	ARP_BYTES = 28,
	IPV4_HEADER_BYTES = 20,
	IPV6_HEADER_BYTES = 40,
	TCP_HEADER_BYTES = 20,
	ICMP_HEADER_BYTES = 8, // of every ICMP and ICMPv6 message that matters here
	// Hop-by-hop header that holds a router alert and nothing else (RFC 2711, RFC 3810 5).
	ROUTER_ALERT_BYTES = 8,
};

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
	ETHERTYPE_IPV6 = 0x86dd,
};

enum {
	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_ICMP6 = 58,
};

enum {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
};

enum {
	ICMP_ECHO_REPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_FRAGMENTATION_NEEDED = 4, // code of unreachable
	ICMP_ECHO_REQUEST = 8,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_MLD_QUERY = 130,
	ICMP6_MLD_REPORT = 131, // version 1
	ICMP6_MLD_DONE = 132,
	ICMP6_ROUTER_SOLICITATION = 133,
	ICMP6_NEIGHBOUR_SOLICITATION = 135,
	ICMP6_NEIGHBOUR_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
};

// The options of a router alert for MLD, padded: the last six bytes of its hop-by-hop header.
#define ROUTER_ALERT_OPTIONS                                                                       \
	{                                                                                          \
		5, 2, 0, 0, 1, 0                                                                   \
	}

static inline uint16_t get_u16(const uint8_t *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof(value));
	return __builtin_bswap16(value);
}

static inline uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return __builtin_bswap32(value);
}

static inline void put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, (uint16_t)(value >> 16));
	put_u16(at + 2, (uint16_t)value);
}

static inline bool mac_equal(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, LINK_ADDRESS_BYTES) == 0;
}

// A station's own address: neither a group (broadcast included) nor all zero.
static inline bool mac_is_station(const uint8_t *mac)
{
	static const uint8_t zero[LINK_ADDRESS_BYTES];
	return !(mac[0] & 1) && !mac_equal(mac, zero);
}

// An address that a host can have: not 0/8, loopback, multicast, class E.
static inline bool wire_ipv4_possible(const uint8_t *address)
{
	return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

// Can the source of this IPv4 header have sent it? Not from what is no host's, nor as who it is for
// (LAND).
static inline bool wire_ipv4_sender_possible(const uint8_t *ip)
{
	return wire_ipv4_possible(ip + 12) && memcmp(ip + 12, ip + 16, 4) != 0;
}

// ::/96 (unspecified, loopback, v4-compatible) and ::ffff:0:0/96. A v4-mapped address on the wire
// would pass for the IPv4 address inside it, which is judged by other rules.
static inline bool wire_ipv6_holds_ipv4(const uint8_t *address)
{
	static const uint8_t zero[12];
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(address, zero, 12) == 0 || memcmp(address, mapped, 12) == 0;
}

// The same of an IPv6 header; :: is left to who knows the protocol.
static inline bool wire_ipv6_sender_possible(const uint8_t *ip)
{
	return ip[8] != 0xff && !wire_ipv6_holds_ipv4(ip + 8) && memcmp(ip + 8, ip + 24, 16) != 0;
}

// struct address holds IPv4 as ::ffff:a.b.c.d; spelled out here because parsing is the hot path.
static inline struct address wire_ipv4(const uint8_t *at)
{
	struct address address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}};
	memcpy(address.bytes + 12, at, 4);
	return address;
}

static inline struct address wire_ipv6(const uint8_t *at)
{
	struct address address;
	memcpy(address.bytes, at, sizeof(address.bytes));
	return address;
}

static inline bool wire_is_ipv4(const struct address *address)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	return memcmp(address->bytes, mapped, sizeof(mapped)) == 0;
}

static inline bool wire_address_equal(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool wire_is_multicast(const struct address *address)
{
	return wire_is_ipv4(address) ? (address->bytes[12] & 0xf0) == 0xe0
				     : address->bytes[0] == 0xff;
}

static inline bool wire_is_link_local(const struct address *address)
{
	return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

static inline bool wire_is_unspecified6(const struct address *address)
{
	static const uint8_t zero[16];
	return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

#endif
