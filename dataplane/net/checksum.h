// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum (RFC 1071), summed eight bytes at a time in the machine's own byte order:
// the sum commutes with byte swapping, so nothing is swapped until a field is stored.
// Carries collect in the upper half of 64 bits; one packet (64 KB) cannot overflow it.
#ifndef RELAYGATE_NET_CHECKSUM_H
#define RELAYGATE_NET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// sum with length bytes added. Only the last run of a packet may have an odd length.
uint64_t checksum_add(uint64_t sum, const void *bytes, size_t length);

// sum with the pseudo header of a packet added: ip points at a complete IPv4 or IPv6 header, length
// counts the bytes from the transport header on, protocol is the transport's (RFC 9293 3.1,
// RFC 8200 8.1).
uint64_t checksum_add_pseudo(uint64_t sum, const uint8_t *ip, uint8_t protocol, uint32_t length);

// True when everything summed, the checksum field included, is as its sender made it.
bool checksum_good(uint64_t sum);

// Writes the checksum of sum (to which the field itself contributed zero) to the two bytes at
// field.
void checksum_store(uint8_t *field, uint64_t sum);

#endif
