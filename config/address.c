// SPDX-License-Identifier: BSD-3-Clause
//
// Addresses, ranges and endpoints as text and back.
// libc's inet_pton() and inet_ntop() are the judges of what an address is and how it is printed;
// this file owns what they do not know: a/n, a-b, address:port, the one type for both families,
// and the words that tell a person what is wrong. Does not resolve names.
#include "config/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool address_is_any(const struct address *address)
{
	static const uint8_t zeros[16];

	if (address_is_ipv4(address))
		return memcmp(address_ipv4_bytes(address), zeros, 4) == 0;
	return memcmp(address->bytes, zeros, sizeof(zeros)) == 0;
}

bool address_is_multicast(const struct address *address)
{
	if (address_is_ipv4(address))
		return (address->bytes[12] & 0xf0) == 0xe0;
	return address->bytes[0] == 0xff;
}

bool address_is_loopback(const struct address *address)
{
	static const uint8_t ipv6_loopback[16] = {[15] = 1};

	if (address_is_ipv4(address))
		return address->bytes[12] == 127;
	return memcmp(address->bytes, ipv6_loopback, sizeof(ipv6_loopback)) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

struct address address_from_ipv4(const uint8_t bytes[4])
{
	struct address address;

	memcpy(address.bytes, ipv4_prefix, sizeof(ipv4_prefix));
	memcpy(address.bytes + sizeof(ipv4_prefix), bytes, 4);
	return address;
}

struct address address_from_ipv6(const uint8_t bytes[16])
{
	struct address address;

	memcpy(address.bytes, bytes, sizeof(address.bytes));
	return address;
}

const uint8_t *address_ipv4_bytes(const struct address *address)
{
	return address->bytes + sizeof(ipv4_prefix);
}

// ---- Reading ---------------------------------------------------------------------------------

// A decimal number without sign, blank or leading zero; -1 when it is none or above the maximum.
static long decimal(const char *text, long maximum)
{
	long value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -1;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		value = value * 10 + (*text - '0');
		if (value > maximum)
			return -1;
	}
	return value;
}

// What inet_pton() does not say: why a text without a colon is no IPv4 address.
static const char *explain_ipv4(const char *text)
{
	unsigned octets = 0;

	if (text[0] == '\0')
		return "address missing";
	if (strchr(text, '%') != NULL)
		return "zone ids (%eth0) are not supported";
	if (strpbrk(text, "{}\"'") != NULL)
		return "braces and quotes do not belong around addresses here";
	if (strpbrk(text, " \t") != NULL)
		return "blank inside an address: a comma separates two";
	if (strchr(text, '/') != NULL)
		return "a single address is wanted here, without a prefix length";
	if (strspn(text, "0123456789.-") != strlen(text)) {
		if (strchr(text, '(') != NULL)
			return "netmasks are not supported: write a prefix length such as /24";
		if (strchr(text, '*') != NULL)
			return "no wildcards: write a range such as 192.0.2.0/24";
		if (strstr(text, "0x") != NULL || strstr(text, "0X") != NULL)
			return "octets are decimal, not hexadecimal";
		return "not an IP address (host names are not looked up)";
	}
	if (strchr(text, '-') != NULL)
		return "a single address is wanted here, not a range";
	for (const char *octet = text;; octet++) {
		size_t digits = strcspn(octet, ".");

		octets++;
		if (digits == 0)
			return "empty octet";
		if (digits > 1 && octet[0] == '0')
			return "octet with a leading zero (would be octal elsewhere)";
		if (digits > 3 || (digits == 3 && strncmp(octet, "255", 3) > 0))
			return "octet above 255";
		octet += digits;
		if (*octet == '\0')
			break;
	}
	return octets == 4 ? "not an IPv4 address" : "an IPv4 address has four octets";
}

static const char *explain_ipv6(const char *text)
{
	const char *gap = strstr(text, "::");

	if (strchr(text, '%') != NULL)
		return "zone ids (%eth0) are not supported";
	if (strpbrk(text, "{}\"'") != NULL)
		return "braces and quotes do not belong around addresses here";
	if (strpbrk(text, " \t") != NULL)
		return "blank inside an address: a comma separates two";
	if (strpbrk(text, "[]") != NULL)
		return "brackets belong only around an IPv6 address that a port may follow";
	if (strchr(text, '/') != NULL)
		return "a single address is wanted here, without a prefix length";
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text)) {
		if (strchr(text, '-') != NULL)
			return "a single address is wanted here, not a range";
		return "not an IP address (host names are not looked up)";
	}
	if (gap != NULL && strstr(gap + 1, "::") != NULL)
		return "an IPv6 address has at most one ::";
	return "not an IPv6 address: eight groups of one to four hexadecimal digits, or fewer and "
	       "::";
}

int address_parse(const char *text, struct address *out, const char **why)
{
	uint8_t ipv4[4];

	if (strchr(text, ':') != NULL) {
		if (inet_pton(AF_INET6, text, out->bytes) == 1)
			return 0;
		*why = explain_ipv6(text);
		return -EINVAL;
	}
	if (inet_pton(AF_INET, text, ipv4) == 1) {
		*out = address_from_ipv4(ipv4);
		return 0;
	}
	*why = explain_ipv4(text);
	return -EINVAL;
}

static int prefix_length_parse(const char *text, const struct address *address, uint8_t *out,
			       const char **why)
{
	bool ipv4 = address_is_ipv4(address);
	long length = decimal(text, ipv4 ? 32 : 128);

	if (length >= 0) {
		*out = (uint8_t)length;
		return 0;
	}
	if (text[0] != '\0' && strspn(text, "0123456789.") == strlen(text) && strchr(text, '.'))
		*why = "netmasks are not supported: write a prefix length such as /24";
	else if (text[0] == '0' && strspn(text, "0123456789") == strlen(text))
		*why = "prefix length with a leading zero";
	else if (ipv4)
		*why = "prefix length must be 0 to 32 (::ffff:a.b.c.d counts as IPv4)";
	else
		*why = "prefix length must be 0 to 128";
	return -EINVAL;
}

// Copies the first `length` bytes of a text; false when they do not fit.
static bool head_copy(char head[RANGE_TEXT_MAX], const char *text, size_t length)
{
	if (length >= RANGE_TEXT_MAX)
		return false;
	memcpy(head, text, length);
	head[length] = '\0';
	return true;
}

int interface_address_parse(const char *text, struct interface_address *out, const char **why)
{
	const char *slash = strchr(text, '/');
	char head[RANGE_TEXT_MAX];

	if (slash == NULL) {
		*why = "prefix length missing: write ADDRESS/LENGTH, for example 192.0.2.10/24";
		return -EINVAL;
	}
	if (!head_copy(head, text, (size_t)(slash - text))) {
		*why = "too long for an address";
		return -EINVAL;
	}
	if (address_parse(head, &out->address, why) != 0)
		return -EINVAL;
	return prefix_length_parse(slash + 1, &out->address, &out->prefix_length, why);
}

static int range_ends_parse(const char *text, const char *dash, struct range *out, const char **why)
{
	char head[RANGE_TEXT_MAX];

	if (!head_copy(head, text, (size_t)(dash - text))) {
		*why = "too long for a range";
		return -EINVAL;
	}
	if (strchr(dash + 1, '/') != NULL || strchr(head, '/') != NULL) {
		*why = "a range is a, a/n or a-b, not a mixture";
		return -EINVAL;
	}
	if (address_parse(head, &out->first, why) != 0 ||
	    address_parse(dash + 1, &out->last, why) != 0)
		return -EINVAL;
	if (address_is_ipv4(&out->first) != address_is_ipv4(&out->last)) {
		*why = "one end is IPv4, the other IPv6";
		return -EINVAL;
	}
	if (address_compare(&out->first, &out->last) > 0) {
		*why = "the first address is above the last";
		return -EINVAL;
	}
	return 0;
}

int range_parse(const char *text, struct range *out, const char **why)
{
	const char *dash = strchr(text, '-');
	const char *slash = strchr(text, '/');
	struct interface_address prefix;

	// "10.0.0.0/-1" is a bad prefix length, not a range.
	if (dash != NULL && dash != text && (slash == NULL || dash > slash + 1 || dash < slash))
		return range_ends_parse(text, dash, out, why);
	if (slash != NULL) {
		if (interface_address_parse(text, &prefix, why) != 0)
			return -EINVAL;
		*out = range_from_prefix(&prefix.address, prefix.prefix_length);
		return 0;
	}
	if (address_parse(text, &out->first, why) != 0)
		return -EINVAL;
	out->last = out->first;
	return 0;
}

static int port_parse(const char *text, uint16_t *out, const char **why)
{
	long port = decimal(text, 65535);

	if (port < 1) {
		*why = "port must be 1 to 65535";
		return -EINVAL;
	}
	*out = (uint16_t)port;
	return 0;
}

int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out, const char **why)
{
	const char *colon = strchr(text, ':');
	const char *start = text, *end, *port;
	char head[RANGE_TEXT_MAX];

	if (text[0] == '[') {
		start = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
			*why = "write [IPV6]:PORT";
			return -EINVAL;
		}
		if (memchr(start, ':', (size_t)(end - start)) == NULL) {
			*why = "brackets are for IPv6 addresses only";
			return -EINVAL;
		}
		port = end[1] == ':' ? end + 2 : NULL;
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		end = colon; // a single colon cannot be IPv6
		port = colon + 1;
	} else {
		end = text + strlen(text);
		port = NULL;
	}
	if (!head_copy(head, start, (size_t)(end - start))) {
		*why = "too long for an address";
		return -EINVAL;
	}
	if (address_parse(head, &out->address, why) != 0)
		return -EINVAL;
	if (port != NULL)
		return port_parse(port, &out->port, why);
	if (default_port == 0) {
		*why = "port missing: write IPV4:PORT or [IPV6]:PORT";
		return -EINVAL;
	}
	out->port = default_port;
	return 0;
}

// ---- Printing --------------------------------------------------------------------------------

// By hand: the answer to every EHLO holds one, and inet_ntop goes through printf.
static void format_ipv4(const uint8_t bytes[4], char *at)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			*at++ = '.';
		if (bytes[i] >= 100)
			*at++ = (char)('0' + bytes[i] / 100);
		if (bytes[i] >= 10)
			*at++ = (char)('0' + bytes[i] / 10 % 10);
		*at++ = (char)('0' + bytes[i] % 10);
	}
	*at = '\0';
}

char *address_format(const struct address *address, char buffer[ADDRESS_TEXT_MAX])
{
	if (address_is_ipv4(address))
		format_ipv4(address_ipv4_bytes(address), buffer);
	else
		assert(inet_ntop(AF_INET6, address->bytes, buffer, ADDRESS_TEXT_MAX));
	return buffer;
}

char *range_format(const struct range *range, char buffer[RANGE_TEXT_MAX])
{
	unsigned widest = address_is_ipv4(&range->first) ? 32 : 128;
	size_t length;

	address_format(&range->first, buffer);
	if (address_compare(&range->first, &range->last) == 0)
		return buffer;
	length = strlen(buffer);
	for (unsigned prefix = 0; prefix < widest; prefix++) {
		struct range candidate = range_from_prefix(&range->first, prefix);

		if (address_compare(&candidate.first, &range->first) == 0 &&
		    address_compare(&candidate.last, &range->last) == 0) {
			snprintf(buffer + length, RANGE_TEXT_MAX - length, "/%u", prefix);
			return buffer;
		}
	}
	buffer[length++] = '-';
	address_format(&range->last, buffer + length);
	return buffer;
}

char *endpoint_format(const struct endpoint *endpoint, char buffer[ENDPOINT_TEXT_MAX])
{
	char text[ADDRESS_TEXT_MAX];

	address_format(&endpoint->address, text);
	snprintf(buffer, ENDPOINT_TEXT_MAX,
		 address_is_ipv4(&endpoint->address) ? "%s:%u" : "[%s]:%u", text,
		 (unsigned)endpoint->port);
	return buffer;
}

// ---- Sets ------------------------------------------------------------------------------------

bool range_contains(const struct range *range, const struct address *address)
{
	return address_is_ipv4(&range->first) == address_is_ipv4(address) &&
	       address_compare(&range->first, address) <= 0 &&
	       address_compare(address, &range->last) <= 0;
}

struct range range_from_prefix(const struct address *address, unsigned prefix_length)
{
	bool ipv4 = address_is_ipv4(address);
	unsigned bits = prefix_length + (ipv4 ? 96 : 0);
	struct range range = {*address, *address};

	assert(bits <= 128);
	for (unsigned i = 0; i < sizeof(address->bytes); i++) {
		unsigned network_bits = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;
		uint8_t host = (uint8_t)(0xff >> network_bits);

		range.first.bytes[i] &= (uint8_t)~host;
		range.last.bytes[i] |= host;
	}
	// ::/80 to ::fffe:0:0/95 would end inside the block that stands for IPv4.
	if (!ipv4 && address_is_ipv4(&range.last)) {
		range.last.bytes[11] = 0xfe;
		assert(address_compare(&range.first, &range.last) <= 0);
	}
	return range;
}

bool interface_address_covers(const struct interface_address *interface,
			      const struct address *address)
{
	struct range range = range_from_prefix(&interface->address, interface->prefix_length);

	return range_contains(&range, address);
}
