// SPDX-License-Identifier: BSD-3-Clause
//
// What matches a pattern is what packet_parse accepts as the same: every byte of good frames with
// every value, several at once, every length; and what may differ does.
#include "dataplane/net/pattern.h"

#include "dataplane/base/random.h"
#include "dataplane/net/packet.h"
#include "tests/unit/net/fixture.h"
#include "tests/unit/overread.h"

#define FRAME_MAX 128
#define RANDOM    200000
// The others decide nothing about a segment without a flow.
#define JUDGED_FLAGS (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)
#define HEADERS      78 // of Ethernet, a tag, IPv6 and TCP

static const struct packet_port ports[] = {{.mac = {2, 0, 0, 0, 0, 1}},
					   {.mac = {2, 0, 0, 0, 0, 1}, .vlan = 42}};

struct sample {
	uint8_t bytes[FRAME_MAX];
	size_t length;
	const struct packet_port *port;
	struct view view;
	struct pattern pattern;
};

static void begin(struct sample *sample, struct slice base, bool tagged, unsigned padding)
{
	static const uint8_t tag[] = {0x81, 0, 0, 42};

	memset(sample, 0, sizeof(*sample));
	sample->port = &ports[tagged];
	memcpy(sample->bytes, base.data, 12);
	memcpy(sample->bytes + 12, tag, sizeof(tag));
	sample->length = base.length + (tagged ? sizeof(tag) : 0) + padding;
	memcpy(sample->bytes + sample->length - padding - (base.length - 12), base.data + 12,
	       base.length - 12);
	assert_int_equal(
		packet_parse(sample->port, slice_of(sample->bytes, sample->length), &sample->view),
		REASON_NONE);
	pattern_of(&sample->view, &sample->pattern);
}

static void each_sample(void (*test)(struct sample *sample))
{
	static const struct slice bases[] = {{tcp4_syn, sizeof(tcp4_syn)},
					     {tcp4_data, sizeof(tcp4_data)},
					     {tcp6_syn, sizeof(tcp6_syn)},
					     {tcp6_data, sizeof(tcp6_data)}};

	for (unsigned i = 0; i < 16; i++) {
		struct sample sample;

		begin(&sample, bases[i % 4], i & 4, i & 8 ? 6 : 0);
		test(&sample);
	}
}

static struct address source_of(const struct sample *sample, const struct pattern_matches *matches)
{
	uint32_t ipv4 = __builtin_bswap32(matches->sources.ipv4[0]);

	return sample->pattern.ipv4 ? address_from_ipv4((const uint8_t *)&ipv4)
				    : matches->sources.ipv6[0];
}

// Does the frame match? If so, it has to be what packet_parse says.
static bool matches(const struct sample *sample, const uint8_t *bytes, size_t length)
{
	uint8_t *block = malloc(length ? length : 1);
	struct slice frame = slice_of(block, length);
	struct pattern_matches found;
	struct view view;

	memcpy(block, bytes, length);
	pattern_match(&sample->pattern, &frame, 1, &found);
	if (found.count) {
		struct address source = source_of(sample, &found);

		assert_int_equal(found.frames[0], 0);
		assert_int_equal(packet_parse(sample->port, frame, &view), REASON_NONE);
		assert_int_equal(view.kind, VIEW_TCP);
		assert_int_equal(view.flags & JUDGED_FLAGS, sample->pattern.flags);
		assert_int_equal(sample->view.flags & JUDGED_FLAGS, sample->pattern.flags);
		assert_int_equal(view.destination_port, sample->view.destination_port);
		assert_int_equal(address_compare(&view.destination, &sample->view.destination), 0);
		assert_int_equal(address_compare(&view.source, &source), 0);
	}
	free(block);
	return found.count;
}

static void every_byte(struct sample *sample)
{
	assert_true(matches(sample, sample->bytes, sample->length));
	for (size_t i = 0; i < sample->length; i++) {
		uint8_t was = sample->bytes[i];

		for (unsigned value = 0; value < 256; value++) {
			sample->bytes[i] = (uint8_t)value;
			matches(sample, sample->bytes, sample->length);
		}
		sample->bytes[i] = was;
	}
}

// What needs more than one byte to be wrong, as a port of 0.
static void every_field_empty(struct sample *sample)
{
	static const uint8_t sizes[] = {2, 4, 6, 12, 16};

	for (unsigned i = 0; i < sizeof(sizes); i++)
		for (size_t at = 0; at + sizes[i] <= sample->length; at++) {
			uint8_t changed[FRAME_MAX];

			for (unsigned value = 0; value < 256; value += 255) {
				memcpy(changed, sample->bytes, sample->length);
				memset(changed + at, (int)value, sizes[i]);
				matches(sample, changed, sample->length);
			}
		}
}

static void every_length(struct sample *sample)
{
	const struct slice none = {NULL, 0}; // of an mbuf that cannot be made whole
	struct pattern_matches found;

	for (size_t length = 0; length <= sample->length; length++)
		assert_int_equal(matches(sample, sample->bytes, length),
				 length >= sample->view.frame.length);
	pattern_match(&sample->pattern, &none, 1, &found);
	assert_int_equal(found.count, 0);
}

static void several_bytes(struct sample *sample)
{
	static const uint8_t values[] = {0, 1, 0x0f, 0x10, 0x40, 0x45, 0x60, 0x7f, 0xe0, 0xff};
	uint8_t changed[FRAME_MAX];
	struct random random;

	random_init(&random, sample->bytes);
	for (unsigned i = 0; i < RANDOM / 16; i++) {
		memcpy(changed, sample->bytes, sample->length);
		for (unsigned k = random_below(&random, 6); k; k--)
			changed[random_below(&random, HEADERS) % sample->length] =
				values[random_below(&random, sizeof(values))];
		matches(sample, changed, sample->length);
	}
}

// Type of service, identification, lifetime, sums, source, sequence numbers, window, options.
static void what_may_differ(struct sample *sample)
{
	static const uint8_t free4[] = {1, 4, 5, 8, 10, 11, 13, 14, 15};
	static const uint8_t free6[] = {1, 2, 3, 7, 12, 13, 14, 22, 23};
	static const uint8_t free_tcp[] = {0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19};
	uint8_t *ip = sample->bytes + sample->view.network_offset;
	uint8_t *tcp = sample->bytes + sample->view.transport_offset;

	for (unsigned i = 0; i < sizeof(free4); i++)
		ip[sample->pattern.ipv4 ? free4[i] : free6[i]] ^= 0x15;
	for (unsigned i = 0; i < sizeof(free_tcp); i++)
		tcp[free_tcp[i]] ^= 0x15;
	tcp[12] ^= 0x0f; // reserved
	tcp[13] ^= 0xe8; // PSH, URG, ECN
	if (sample->pattern.ipv4)
		ip[6] ^= 0x40; // may be fragmented
	if (sample->port->vlan)
		sample->bytes[14] ^= 0xf0; // priority
	for (size_t i = (size_t)(tcp + 20 - sample->bytes); i < sample->length; i++)
		sample->bytes[i] ^= 0x15;
	assert_true(matches(sample, sample->bytes, sample->length));
}

static void test_every_byte(void **state)
{
	each_sample(every_byte);
}

static void test_every_field_empty(void **state)
{
	each_sample(every_field_empty);
}

static void test_every_length(void **state)
{
	each_sample(every_length);
}

static void test_several_bytes(void **state)
{
	each_sample(several_bytes);
}

static void test_what_may_differ(void **state)
{
	each_sample(what_may_differ);
}

// Of a burst those that match, in order, and none that was not asked for.
static void test_bursts(void **state)
{
	struct sample sample, other;
	struct slice frames[PATTERN_BURST];
	struct pattern_matches found;

	begin(&sample, slice_of(tcp4_syn, sizeof(tcp4_syn)), false, 0);
	begin(&other, slice_of(tcp6_syn, sizeof(tcp6_syn)), false, 0);
	for (unsigned i = 0; i < PATTERN_BURST; i++) {
		struct sample *from = i % 3 ? &sample : &other;
		frames[i] = slice_of(from->bytes, from->length);
	}
	pattern_match(&sample.pattern, frames, ~UINT64_C(3), &found);
	assert_int_equal(found.count, 41);
	assert_int_equal(found.frames[0], 2);
	assert_int_equal(found.frames[1], 4);
	assert_int_equal(found.frames[40], 62);
	pattern_match(&other.pattern, frames, UINT64_MAX, &found);
	assert_int_equal(found.count, 22);
	assert_int_equal(found.frames[21], 63);
	pattern_match(&other.pattern, frames, 0, &found);
	assert_int_equal(found.count, 0);
}

static void match_once(struct slice input, void *context)
{
	const struct sample *sample = context;
	struct pattern_matches found;

	pattern_match(&sample->pattern, &input, 1, &found);
}

// A frame that ends with its TCP header: the last bytes that are compared are its last ones.
static void test_no_byte_too_far(void **state)
{
	struct sample sample;

	begin(&sample, slice_of(tcp4_data, sizeof(tcp4_data)), true, 0);
	sample.bytes[14 + 4 + 3] = 40;
	sample.length = 14 + 4 + 40;
	assert_int_equal(
		packet_parse(sample.port, slice_of(sample.bytes, sample.length), &sample.view),
		REASON_NONE);
	pattern_of(&sample.view, &sample.pattern);
	every_length(&sample);
	assert_true(overread_is_seen(match_once, &sample, sample.bytes, sample.length));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),      cmocka_unit_test(test_every_field_empty),
		cmocka_unit_test(test_every_length),    cmocka_unit_test(test_several_bytes),
		cmocka_unit_test(test_what_may_differ), cmocka_unit_test(test_bursts),
		cmocka_unit_test(test_no_byte_too_far),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
