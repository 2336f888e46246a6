// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 and IPv6 addresses, ranges and endpoints as an operator writes them: parse, print, compare.
// One type for both families: 16 bytes in network byte order, IPv4 as ::ffff:a.b.c.d (RFC 4291
// section 2.5.5.2), so that ordering, hashing and ranges need no second case. A text such as
// ::ffff:192.0.2.1 therefore *is* the IPv4 address 192.0.2.1.
// Plain values; nothing here allocates. Does not handle host names or zone ids (%eth0).
#ifndef RELAYGATE_CONFIG_ADDRESS_H
#define RELAYGATE_CONFIG_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct address {
	uint8_t bytes[16]; // network byte order
};

// Inclusive at both ends; both of one family; first <= last. An IPv6 range never contains an IPv4
// address, although the numbers of ::/0 enclose those of ::ffff:0:0/96.
struct range {
	struct address first;
	struct address last;
};

struct endpoint {
	struct address address;
	uint16_t port; // host byte order
};

// An interface address with its prefix length, counted within its own family (0-32 or 0-128).
struct interface_address {
	struct address address;
	uint8_t prefix_length;
};

// Room for any output of the *_format functions, the final NUL included.
#define ADDRESS_TEXT_MAX  48
#define RANGE_TEXT_MAX    (2 * ADDRESS_TEXT_MAX)
#define ENDPOINT_TEXT_MAX (ADDRESS_TEXT_MAX + 8)

static inline bool address_is_ipv4(const struct address *address)
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address->bytes, prefix, sizeof(prefix)) == 0;
}
// The unspecified address of its family: 0.0.0.0 or ::.
bool address_is_any(const struct address *address);
bool address_is_multicast(const struct address *address); // 224.0.0.0/4, ff00::/8
bool address_is_loopback(const struct address *address);  // 127.0.0.0/8, ::1
// Order by value, as memcmp does: below, at or above zero.
int address_compare(const struct address *a, const struct address *b);
struct address address_from_ipv4(const uint8_t bytes[4]);
struct address address_from_ipv6(const uint8_t bytes[16]);
// The four bytes of an IPv4 address inside *address.
const uint8_t *address_ipv4_bytes(const struct address *address);

// Parsers take a whole NUL-terminated text, refuse anything left over, and on failure return
// -EINVAL with *why pointing at a constant text for a person ("octet above 255"); *out is then
// undefined. Strict reading: four decimal octets without leading zeros; IPv6 of RFC 4291
// section 2.2.
int address_parse(const char *text, struct address *out, const char **why);
// a | a/n | a-b. Host bits in a/n are allowed and ignored. Both ends of a-b must be of one family.
int range_parse(const char *text, struct range *out, const char **why);
// IPv4 | IPv4:port | IPv6 | [IPv6] | [IPv6]:port; default_port 0 means that the port must be there.
// Two colons or more without brackets are an address without a port: "::1:25" is ::0001:0025.
int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out, const char **why);
// a/n, n in 0-32 or 0-128.
int interface_address_parse(const char *text, struct interface_address *out, const char **why);

// Canonical text (RFC 5952 for IPv6; a range as a, a/n where it is one, else a-b). Return buffer.
char *address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX]);
char *range_format(const struct range *range, char buffer[RANGE_TEXT_MAX]);
char *endpoint_format(const struct endpoint *endpoint, char buffer[ENDPOINT_TEXT_MAX]);

// False for an address of the other family.
bool range_contains(const struct range *range, const struct address *address);
// prefix_length within the address's family, at most 32 or 128. Of an IPv6 prefix whose end lies in
// ::ffff:0:0/96, that block is left out.
struct range range_from_prefix(const struct address *address, unsigned prefix_length);
// True when the address lies in the interface's prefix.
bool interface_address_covers(const struct interface_address *interface,
			      const struct address *address);

#endif
