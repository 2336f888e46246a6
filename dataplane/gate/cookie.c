// SPDX-License-Identifier: BSD-3-Clause
//
// SYN cookies: one SipHash for a SYN, one for an ACK. Its low 28 bits are the MAC in the ISN, its
// high 32 the offset of the flow's timestamp clock: seeing the one tells nothing about the other.
// Owns nothing. Does not decide whether a SYN is answered, nor keep half-open entries; does not
// handle what a SYN may carry beyond options (its data is never acknowledged by the SYN-ACK).
#include "dataplane/gate/cookie.h"

#include <sodium/crypto_shorthash.h>
#include <string.h>

#define MAC_BITS   28
#define MAC_MASK   ((1u << MAC_BITS) - 1)
#define FIELD_MASK 0xfu

// What is under the MAC beside the tuple, in one word: the client's ISN, from here on the fields,
// then the options in our TSval, and whether there are timestamps.
#define WORD_FIELDS     32
#define WORD_CARRIED    36
#define WORD_TIMESTAMPS (1ull << 41)

// The four bits above the MAC.
#define FIELD_EPOCH     0x8u
#define FIELD_HAS_ENTRY 0x4u
#define FIELD_MSS       0x3u

// The low bits of the SYN-ACK's TSval.
#define TIMESTAMP_BITS     5
#define TIMESTAMP_MASK     ((1u << TIMESTAMP_BITS) - 1)
#define TIMESTAMP_SCALE    0xfu // 15 = not offered
#define TIMESTAMP_SACK     0x10u
#define TIMESTAMP_NO_SCALE 0xfu
#define WINDOW_SCALE_MAX   14 // RFC 7323 2.3
#define TIMESTAMP_LIFE_MS  (2 * COOKIE_EPOCH_US / 1000 + TIMESTAMP_MASK)
#define MSS_DEFAULT_IPV4   536 // RFC 9293 3.7.1
#define MSS_DEFAULT_IPV6   1220

// The published distribution of offers (Alcock and Nelson, "An Analysis of TCP Maximum Segment
// Sizes", 2011): 1460 is the most frequent by far, 1300-1459 (tunnels, PPPoE) nearly all the rest,
// below 536 fewer than 0.2 %. What we send to a client is replies, which seldom fill a segment, so
// a class too low costs nothing, while one above the offer would break RFC 9293 3.7.1 (MUST-16)
// and a path of small frames: the classes therefore also serve the small end, where embedded stacks
// offer 536 in both families.
static const uint16_t mss_classes[2][4] = {
	{COOKIE_MSS_FLOOR, 536, 1300, 1460},
	{COOKIE_MSS_FLOOR, 536, 1220, 1440},
};

static const uint16_t *classes_of(const struct tuple *tuple)
{
	return mss_classes[!address_is_ipv4(&tuple->remote)];
}

static unsigned mss_index(const struct tuple *tuple, uint16_t offer)
{
	if (offer == 0)
		offer = address_is_ipv4(&tuple->remote) ? MSS_DEFAULT_IPV4 : MSS_DEFAULT_IPV6;
	const uint16_t *classes = classes_of(tuple);
	unsigned index = 3;
	while (index > 0 && classes[index] > offer)
		index--;
	return index;
}

static struct hash_key derive(const struct cookie_secret *secret, uint64_t epoch)
{
	struct hash_key key;
	for (uint64_t half = 0; half < 2; half++) {
		uint64_t message[2] = {epoch, half};
		crypto_shorthash(key.bytes + half * 8, (const uint8_t *)message, sizeof(message),
				 secret->key.bytes);
	}
	return key;
}

void cookie_keys_init(struct cookie_keys *keys, const struct cookie_secret *secret, uint64_t now_us)
{
	keys->secret = *secret;
	keys->epoch = now_us / COOKIE_EPOCH_US;
	keys->live[keys->epoch & 1] = derive(secret, keys->epoch);
	keys->live[~keys->epoch & 1] = derive(secret, keys->epoch - 1);
}

void cookie_keys_advance(struct cookie_keys *keys, uint64_t now_us)
{
	uint64_t epoch = now_us / COOKIE_EPOCH_US;
	if (epoch == keys->epoch)
		return;
	if (epoch == keys->epoch + 1) {
		keys->live[epoch & 1] = derive(&keys->secret, epoch);
		keys->epoch = epoch;
	} else {
		struct cookie_secret secret = keys->secret;
		cookie_keys_init(keys, &secret, now_us);
	}
}

// carried: carried_word of the options in our TSval, or 0 without timestamps.
static uint64_t covered_word(uint32_t client_isn, uint32_t fields, uint64_t carried)
{
	return carried | (uint64_t)fields << WORD_FIELDS | client_isn;
}

static uint64_t carried_word(uint32_t bits)
{
	return WORD_TIMESTAMPS | (uint64_t)bits << WORD_CARRIED;
}

// The fields are masked with the MAC's lowest bits.
static uint32_t isn_of(uint64_t hash, uint32_t fields)
{
	return ((fields ^ (uint32_t)hash) & FIELD_MASK) << MAC_BITS | ((uint32_t)hash & MAC_MASK);
}

static uint32_t fields_of(uint32_t isn)
{
	return (isn >> MAC_BITS ^ isn) & FIELD_MASK;
}

static uint32_t carried_bits(uint8_t window_scale, bool sack_permitted)
{
	uint32_t bits = window_scale == TCP_NO_WINDOW_SCALE ? TIMESTAMP_NO_SCALE : window_scale;
	return bits | (sack_permitted ? TIMESTAMP_SACK : 0);
}

// The latest value with these low bits that the clock has reached.
static uint32_t timestamp_with(uint32_t clock, uint32_t bits)
{
	return clock - ((clock - bits) & TIMESTAMP_MASK);
}

static uint32_t clock_of(uint64_t now_us, uint32_t offset)
{
	return (uint32_t)(now_us / 1000) + offset;
}

uint64_t cookie_begin(const struct cookie_keys *keys, const struct tuple *tuple,
		      uint32_t client_isn, const struct tcp_options *syn, bool has_entry,
		      struct handshake *handshake)
{
	// Field by field: a copy of all of *syn would wait for its parser's last stores.
	unsigned mss = mss_index(tuple, syn->mss);
	uint8_t window_scale = syn->window_scale;
	bool sack_permitted = syn->sack_permitted;
	if (window_scale != TCP_NO_WINDOW_SCALE && window_scale > WINDOW_SCALE_MAX)
		window_scale = WINDOW_SCALE_MAX;

	bool worth_keeping = window_scale != TCP_NO_WINDOW_SCALE || sack_permitted;
	has_entry = has_entry && worth_keeping && !syn->timestamps;
	if (!has_entry && !syn->timestamps) {
		window_scale = TCP_NO_WINDOW_SCALE;
		sack_permitted = false;
	}

	uint32_t fields =
		(keys->epoch & 1 ? FIELD_EPOCH : 0) | (has_entry ? FIELD_HAS_ENTRY : 0) | mss;
	uint32_t bits = carried_bits(window_scale, sack_permitted);
	handshake->client_isn = client_isn;
	handshake->has_entry = has_entry;
	handshake->options.mss = classes_of(tuple)[mss];
	handshake->options.window_scale = window_scale;
	handshake->options.sack_permitted = sack_permitted;
	handshake->options.timestamps = syn->timestamps;
	handshake->options.timestamp_value = syn->timestamp_value;
	handshake->options.timestamp_echo = syn->timestamp_echo;
	return covered_word(client_isn, fields, syn->timestamps ? carried_word(bits) : 0);
}

void cookie_hashes(const struct cookie_keys *keys, const struct tuple *const tuples[],
		   const uint64_t covered[], unsigned count, uint64_t hashes[])
{
	hash_tuples(&keys->live[keys->epoch & 1], tuples, covered, count, hashes);
}

void cookie_end(uint64_t covered, uint64_t hash, uint64_t now_us, struct handshake *handshake)
{
	uint32_t offset = (uint32_t)(hash >> 32);
	uint32_t bits = (uint32_t)(covered >> WORD_CARRIED) & TIMESTAMP_MASK;

	handshake->our_isn = isn_of(hash, (uint32_t)(covered >> WORD_FIELDS) & FIELD_MASK);
	handshake->our_timestamp = 0;
	handshake->timestamp_offset = offset;
	if (covered & WORD_TIMESTAMPS)
		handshake->our_timestamp = timestamp_with(clock_of(now_us, offset), bits);
}

void cookie_make(const struct cookie_keys *keys, const struct tuple *tuple, uint32_t client_isn,
		 const struct tcp_options *syn, bool has_entry, uint64_t now_us,
		 struct handshake *handshake)
{
	uint64_t hash;
	uint64_t covered = cookie_begin(keys, tuple, client_isn, syn, has_entry, handshake);

	cookie_hashes(keys, &tuple, &covered, 1, &hash);
	cookie_end(covered, hash, now_us, handshake);
}

bool cookie_check(const struct cookie_keys *keys, const struct tuple *tuple, uint32_t sequence,
		  uint32_t acknowledgment, const struct tcp_options *options, uint64_t now_us,
		  struct handshake *handshake)
{
	uint32_t isn = acknowledgment - 1;
	uint32_t client_isn = sequence - 1;
	uint32_t fields = fields_of(isn);
	uint32_t echo = options->timestamps ? options->timestamp_echo : 0;
	uint32_t bits = echo & TIMESTAMP_MASK;
	uint64_t carried = options->timestamps ? carried_word(bits) : 0;
	uint64_t hash = hash_tuple_with(&keys->live[!!(fields & FIELD_EPOCH)], tuple,
					covered_word(client_isn, fields, carried));
	// Stops whoever did not see the SYN-ACK, an expired key and altered fields or options.
	if (isn_of(hash, fields) != isn)
		return false;
	uint32_t offset = (uint32_t)(hash >> 32);
	// Stops an echo from the flow's future or from before the cookie's life: the flow's clock
	// would jump, and its round-trip times with it.
	if (options->timestamps && clock_of(now_us, offset) - echo > TIMESTAMP_LIFE_MS)
		return false;

	bool scaled = options->timestamps && (bits & TIMESTAMP_SCALE) != TIMESTAMP_NO_SCALE;
	*handshake = (struct handshake){
		.client_isn = client_isn,
		.our_isn = isn,
		.has_entry = fields & FIELD_HAS_ENTRY,
		.options = {.mss = classes_of(tuple)[fields & FIELD_MSS],
			    .window_scale = scaled ? bits & TIMESTAMP_SCALE : TCP_NO_WINDOW_SCALE,
			    .sack_permitted = options->timestamps && (bits & TIMESTAMP_SACK),
			    .timestamps = options->timestamps,
			    .timestamp_value = options->timestamps ? options->timestamp_value : 0},
		.our_timestamp = echo,
		.timestamp_offset = offset,
	};
	return true;
}
