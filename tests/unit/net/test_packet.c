// SPDX-License-Identifier: BSD-3-Clause
//
// Frame -> view or reason: what good frames yield, every attack on the headers by name, every frame
// cut at every byte.
#include "dataplane/net/packet.h"

#include "tests/unit/net/fixture.h"
#include "tests/unit/overread.h"

static const struct packet_port untagged = {
	.mac = {2, 0, 0, 0, 0, 1}, .index = 3, .trust_checksums = false};
static const struct packet_port tagged = {.mac = {2, 0, 0, 0, 0, 1}, .vlan = 42};
static const struct packet_port trusting = {.mac = {2, 0, 0, 0, 0, 1}, .trust_checksums = true};

#define PATCHES_MAX 36

struct frame_case {
	const char *what;
	const uint8_t *base;
	size_t base_length;
	struct {
		uint16_t offset;
		uint8_t value;
	} patches[PATCHES_MAX]; // end at offset 0; a patch of byte 0 uses patch_first
	bool has_first;
	uint8_t first;   // byte 0 of the frame
	int grow;        // bytes appended (0xee) or, negative, cut off
	uint8_t tags[8]; // inserted behind the MAC addresses
	unsigned tag_length;
	const struct packet_port *port; // NULL = untagged
	enum reason expected;
};

#define OF(vector) .base = vector, .base_length = sizeof(vector)
#define AS(name)   .expected = REASON_##name

// The frame of a case in a heap block of exactly its length.
static uint8_t *make_frame(const struct frame_case *c, size_t *length)
{
	size_t full = c->base_length + c->tag_length;
	*length = (size_t)((long)full + c->grow);
	uint8_t *frame = malloc(full > *length ? full : *length);
	memset(frame, 0xee, full > *length ? full : *length);
	memcpy(frame, c->base, 12);
	memcpy(frame + 12, c->tags, c->tag_length);
	memcpy(frame + 12 + c->tag_length, c->base + 12, c->base_length - 12);
	if (c->has_first)
		frame[0] = c->first;
	for (unsigned i = 0; i < PATCHES_MAX && c->patches[i].offset; i++)
		frame[c->patches[i].offset] = c->patches[i].value;
	return realloc(frame, *length ? *length : 1);
}

static enum reason parse_and_verify(const struct packet_port *port, struct slice frame,
				    struct view *view)
{
	enum reason reason = packet_parse(port, frame, view);
	return reason ? reason : packet_verify(port, view);
}

static void run_cases(const struct frame_case *cases, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		size_t length;
		uint8_t *frame = make_frame(&cases[i], &length);
		struct view view;
		enum reason reason = parse_and_verify(cases[i].port ? cases[i].port : &untagged,
						      slice_of(frame, length), &view);
		if (reason != cases[i].expected)
			fail_msg("%s: reason %d, expected %d", cases[i].what, reason,
				 cases[i].expected);
		free(frame);
	}
}

static void expect_address(const struct address *address, const char *text)
{
	char buffer[ADDRESS_TEXT_MAX];
	assert_string_equal(address_format(address, buffer), text);
}

static void tcp_views(void **state)
{
	static const struct {
		const uint8_t *frame;
		size_t length;
		const char *source, *destination;
		unsigned transport;
		bool syn;
	} cases[] = {
		{tcp4_syn, sizeof(tcp4_syn), "192.0.2.55", "192.0.2.10", 34, true},
		{tcp4_data, sizeof(tcp4_data), "192.0.2.55", "192.0.2.10", 34, false},
		{tcp6_syn, sizeof(tcp6_syn), "2001:db8::55", "2001:db8::10", 54, true},
		{tcp6_data, sizeof(tcp6_data), "2001:db8::55", "2001:db8::10", 54, false},
	};
	for (unsigned i = 0; i < 4; i++) {
		struct view view;
		assert_int_equal(parse_and_verify(&untagged,
						  slice_of(cases[i].frame, cases[i].length), &view),
				 REASON_NONE);
		assert_int_equal(view.kind, VIEW_TCP);
		assert_memory_equal(view.link.peer, PEER_MAC, 6);
		assert_int_equal(view.link.port, 3);
		assert_false(view.link_broadcast);
		expect_address(&view.source, cases[i].source);
		expect_address(&view.destination, cases[i].destination);
		assert_int_equal(view.hop_limit, 57);
		assert_int_equal(view.network_offset, 14);
		assert_int_equal(view.transport_offset, cases[i].transport);
		assert_int_equal(view.source_port, 40000);
		assert_int_equal(view.destination_port, 25);
		if (cases[i].syn) {
			assert_int_equal(view.sequence, 0x01020304);
			assert_int_equal(view.flags, TCP_SYN);
			assert_int_equal(view.window, 64240);
			assert_int_equal(view.options.length, 20);
			assert_int_equal(view.options.data[0], 2);
			assert_int_equal(view.payload.length, 0);
		} else {
			assert_int_equal(view.sequence, 0x01020305);
			assert_int_equal(view.acknowledgment, 0xfffffff0);
			assert_int_equal(view.flags, TCP_PSH | TCP_ACK);
			assert_int_equal(view.options.length, 0);
			assert_true(slice_equals_text(view.payload, "EHLO a.test\r\n"));
		}
	}
}

static void other_views(void **state)
{
	struct view view;

	assert_int_equal(
		parse_and_verify(&untagged, slice_of(arp_request, sizeof(arp_request)), &view),
		REASON_NONE);
	assert_int_equal(view.kind, VIEW_ARP);
	assert_true(view.link_broadcast);
	expect_address(&view.source, "192.0.2.55");
	expect_address(&view.destination, "192.0.2.10");
	assert_int_equal(parse_and_verify(&untagged, slice_of(echo4, sizeof(echo4)), &view),
			 REASON_NONE);
	assert_int_equal(view.kind, VIEW_ICMP4);
	assert_int_equal(view.transport_offset, 34);
	assert_int_equal(parse_and_verify(&untagged, slice_of(ns, sizeof(ns)), &view), REASON_NONE);
	assert_int_equal(view.kind, VIEW_ICMP6);
	assert_int_equal(view.transport_offset, 54);
	assert_int_equal(view.hop_limit, 255);
	// behind its router alert
	assert_int_equal(
		parse_and_verify(&untagged, slice_of(mld2_query, sizeof(mld2_query)), &view),
		REASON_NONE);
	assert_int_equal(view.kind, VIEW_ICMP6);
	assert_int_equal(view.transport_offset, 62);
}

static void padding_is_never_data(void **state)
{
	static const struct frame_case cases[] = {
		{OF(tcp4_data), .grow = 11},
		{OF(tcp6_data), .grow = 1},
		{OF(tcp4_data), .grow = 500, .tags = {0x81, 0, 0, 42}, .tag_length = 4,
		 .port = &tagged},
	};
	for (unsigned i = 0; i < 3; i++) {
		size_t length;
		uint8_t *frame = make_frame(&cases[i], &length);
		struct view view;
		assert_int_equal(parse_and_verify(cases[i].port ? cases[i].port : &untagged,
						  slice_of(frame, length), &view),
				 REASON_NONE);
		assert_true(slice_equals_text(view.payload, "EHLO a.test\r\n"));
		assert_int_equal(view.frame.length, length - (size_t)cases[i].grow);
		free(frame);
	}
	// ARP is short: switches always pad it
	const struct frame_case arp = {OF(arp_request), .grow = 18};
	size_t length;
	uint8_t *frame = make_frame(&arp, &length);
	struct view view;
	assert_int_equal(packet_parse(&untagged, slice_of(frame, length), &view), REASON_NONE);
	assert_int_equal(view.frame.length, 42);
	free(frame);
}

static void link_layer(void **state)
{
	static const struct frame_case cases[] = {
		{"another station's", OF(tcp4_syn), .patches = {{5, 2}}, AS(frame_foreign_mac)},
		{"broadcast source", OF(tcp4_syn), .patches = {{6, 0xff}}, AS(frame_source_mac)},
		{"multicast source", OF(tcp4_syn), .patches = {{6, 0x33}}, AS(frame_source_mac)},
		{"zero source", OF(tcp4_syn), .patches = {{6, 0}, {11, 0}}, AS(frame_source_mac)},
		{"our own source", OF(tcp4_syn), .patches = {{11, 1}}, AS(frame_source_mac)},
		{"TCP to a broadcast MAC", OF(tcp4_syn), .has_first = true, .first = 0xff,
		 AS(frame_broadcast)},
		{"TCP6 to a multicast MAC", OF(tcp6_syn), .has_first = true, .first = 0x33,
		 AS(frame_broadcast)},
		{"echo to a multicast MAC", OF(echo4), .has_first = true, .first = 1,
		 AS(frame_broadcast)},
		{"802.3 length", OF(tcp4_syn), .patches = {{12, 0}, {13, 60}}, AS(frame_ethertype)},
		{"802.3 length 1500", OF(tcp4_syn), .patches = {{12, 5}, {13, 0xdc}},
		 AS(frame_ethertype)},
		{"LLDP", OF(tcp4_syn), .patches = {{12, 0x88}, {13, 0xcc}}, AS(frame_ethertype)},
		{"tag on an untagged port", OF(tcp4_syn), .tags = {0x81, 0, 0, 42}, .tag_length = 4,
		 AS(frame_vlan)},
		{"priority tag on an untagged port", OF(tcp4_syn), .tags = {0x81, 0, 0xe0, 0},
		 .tag_length = 4, AS(NONE)},
		{"our tag", OF(tcp4_syn), .tags = {0x81, 0, 0, 42}, .tag_length = 4,
		 .port = &tagged, AS(NONE)},
		{"our tag with priority and drop eligible", OF(tcp4_syn),
		 .tags = {0x81, 0, 0xf0, 42}, .tag_length = 4, .port = &tagged, AS(NONE)},
		{"another tag", OF(tcp4_syn), .tags = {0x81, 0, 0, 43}, .tag_length = 4,
		 .port = &tagged, AS(frame_vlan)},
		{"no tag on a tagged port", OF(tcp4_syn), .port = &tagged, AS(frame_vlan)},
		{"priority tag on a tagged port", OF(tcp4_syn), .tags = {0x81, 0, 0, 0},
		 .tag_length = 4, .port = &tagged, AS(frame_vlan)},
		{"QinQ outside", OF(tcp4_syn), .tags = {0x88, 0xa8, 0, 42, 0x81, 0, 0, 42},
		 .tag_length = 8, .port = &tagged, AS(frame_vlan)},
		{"QinQ on an untagged port", OF(tcp4_syn),
		 .tags = {0x88, 0xa8, 0, 0, 0x81, 0, 0, 0}, .tag_length = 8, AS(frame_vlan)},
		{"two tags", OF(tcp4_syn), .tags = {0x81, 0, 0, 42, 0x81, 0, 0, 42},
		 .tag_length = 8, .port = &tagged, AS(frame_vlan)},
		{"service tag inside", OF(tcp4_syn), .tags = {0x81, 0, 0, 42, 0x88, 0xa8, 0, 42},
		 .tag_length = 8, .port = &tagged, AS(frame_vlan)},
		{"old QinQ", OF(tcp4_syn), .tags = {0x91, 0, 0, 0, 0x81, 0, 0, 0}, .tag_length = 8,
		 AS(frame_vlan)},
	};
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void ipv4_headers(void **state)
{
	static const struct frame_case cases[] = {
		{"version 5", OF(tcp4_syn), .patches = {{14, 0x55}}, AS(ipv4_malformed)},
		{"version 6 under IPv4's type", OF(tcp4_syn), .patches = {{14, 0x65}},
		 AS(ipv4_malformed)},
		{"IHL 0", OF(tcp4_syn), .patches = {{14, 0x40}}, AS(ipv4_malformed)},
		{"IHL 4", OF(tcp4_syn), .patches = {{14, 0x44}}, AS(ipv4_malformed)},
		{"IHL 6", OF(tcp4_syn), .patches = {{14, 0x46}}, AS(ipv4_options)},
		{"IHL 10", OF(tcp4_syn), .patches = {{14, 0x4a}}, AS(ipv4_options)},
		{"IHL 15", OF(tcp4_syn), .patches = {{14, 0x4f}}, AS(ipv4_options)},
		{"IHL past the total length", OF(tcp4_syn), .patches = {{14, 0x4f}, {17, 59}},
		 AS(ipv4_malformed)},
		{"total length 0", OF(tcp4_syn), .patches = {{17, 0}}, AS(ipv4_malformed)},
		{"total length 19", OF(tcp4_syn), .patches = {{17, 19}}, AS(ipv4_malformed)},
		{"total length 20: no TCP", OF(tcp4_syn), .patches = {{17, 20}}, AS(tcp_malformed)},
		{"total length above the frame", OF(tcp4_syn), .patches = {{17, 61}},
		 AS(frame_runt)},
		{"total length 65535", OF(tcp4_syn), .patches = {{16, 0xff}, {17, 0xff}},
		 AS(frame_runt)},
		{"total length cuts the data: sum", OF(tcp4_data), .patches = {{17, 52}},
		 AS(ipv4_checksum)},
		{"reserved bit", OF(tcp4_syn), .patches = {{20, 0x80}}, AS(ipv4_malformed)},
		{"first fragment", OF(tcp4_syn), .patches = {{20, 0x20}}, AS(ipv4_fragment)},
		{"last fragment", OF(tcp4_syn), .patches = {{21, 1}}, AS(ipv4_fragment)},
		{"offset that overwrites flags", OF(tcp4_syn), .patches = {{21, 1}, {20, 0x20}},
		 AS(ipv4_fragment)},
		{"last offset", OF(tcp4_syn), .patches = {{20, 0x1f}, {21, 0xff}},
		 AS(ipv4_fragment)},
		{"DF with offset", OF(tcp4_syn), .patches = {{20, 0x41}}, AS(ipv4_fragment)},
		{"fragment of ICMP", OF(echo4), .patches = {{20, 0x20}}, AS(ipv4_fragment)},
		{"header sum", OF(tcp4_syn), .patches = {{25, 0}}, AS(ipv4_checksum)},
		{"header sum on a trusting port", OF(tcp4_syn), .patches = {{25, 0}},
		 .port = &trusting, AS(ipv4_checksum)},
		{"UDP", OF(tcp4_syn), .patches = {{23, 17}}, AS(ip_protocol)},
		{"IPv6 in IPv4", OF(tcp4_syn), .patches = {{23, 41}}, AS(ip_protocol)},
		{"ICMPv6 in IPv4", OF(tcp4_syn), .patches = {{23, 58}}, AS(ip_protocol)},
		{"source 0.0.0.0", OF(tcp4_syn), .patches = {{26, 0}, {28, 0}, {29, 0}},
		 AS(ip_martian_source)},
		{"source 0.1.2.3", OF(tcp4_syn), .patches = {{26, 0}}, AS(ip_martian_source)},
		{"source 127.0.0.1", OF(tcp4_syn), .patches = {{26, 127}}, AS(ip_martian_source)},
		{"source 224.0.0.1", OF(tcp4_syn), .patches = {{26, 224}}, AS(ip_martian_source)},
		{"source 239.255.255.255", OF(tcp4_syn), .patches = {{26, 239}},
		 AS(ip_martian_source)},
		{"source 240.0.0.1", OF(tcp4_syn), .patches = {{26, 240}}, AS(ip_martian_source)},
		{"source 255.255.255.255", OF(tcp4_syn),
		 .patches = {{26, 255}, {27, 255}, {28, 255}, {29, 255}}, AS(ip_martian_source)},
		{"LAND", OF(tcp4_syn), .patches = {{29, 10}}, AS(ip_martian_source)},
		{"to 224.0.0.1", OF(tcp4_syn), .patches = {{30, 224}}, AS(ip_not_ours)},
		{"to 255.255.255.255", OF(tcp4_syn),
		 .patches = {{30, 255}, {31, 255}, {32, 255}, {33, 255}}, AS(ip_not_ours)},
		{"to 127.0.0.1", OF(tcp4_syn), .patches = {{30, 127}}, AS(ip_not_ours)},
		{"to 0.0.0.0", OF(tcp4_syn), .patches = {{30, 0}}, AS(ip_not_ours)},
		{"echo to 224.0.0.1", OF(echo4), .patches = {{30, 224}}, AS(ip_not_ours)},
		{"echo sum", OF(echo4), .patches = {{36, 0}}, AS(icmp_checksum)},
		{"ICMP of 7 bytes", OF(echo4), .patches = {{17, 27}}, AS(icmp_malformed)},
	};
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void ipv6_headers(void **state)
{
	static const struct frame_case cases[] = {
		{"version 4 under IPv6's type", OF(tcp6_syn), .patches = {{14, 0x40}},
		 AS(ipv6_malformed)},
		{"version 7", OF(tcp6_syn), .patches = {{14, 0x70}}, AS(ipv6_malformed)},
		{"flow label and class do not matter", OF(tcp6_syn),
		 .patches = {{14, 0x6f}, {15, 0xff}, {16, 0xff}, {17, 0xff}}, AS(NONE)},
		{"payload length 0", OF(tcp6_syn), .patches = {{19, 0}}, AS(ipv6_malformed)},
		{"jumbogram", OF(tcp6_syn), .patches = {{19, 0}, {20, 0}}, AS(ipv6_malformed)},
		{"payload length above the frame", OF(tcp6_syn), .patches = {{19, 41}},
		 AS(frame_runt)},
		{"payload length 65535", OF(tcp6_syn), .patches = {{18, 0xff}, {19, 0xff}},
		 AS(frame_runt)},
		{"payload length inside TCP", OF(tcp6_syn), .patches = {{19, 19}},
		 AS(tcp_malformed)},
		{"hop-by-hop", OF(tcp6_syn), .patches = {{20, 0}}, AS(ipv6_extension)},
		{"routing header 0", OF(tcp6_syn), .patches = {{20, 43}}, AS(ipv6_extension)},
		{"fragment", OF(tcp6_syn), .patches = {{20, 44}}, AS(ipv6_extension)},
		{"atomic fragment", OF(tcp6_syn),
		 .patches = {{20, 44}, {54, 6}, {55, 0}, {56, 0}, {57, 0}}, AS(ipv6_extension)},
		{"ESP", OF(tcp6_syn), .patches = {{20, 50}}, AS(ipv6_extension)},
		{"AH", OF(tcp6_syn), .patches = {{20, 51}}, AS(ipv6_extension)},
		{"destination options", OF(tcp6_syn), .patches = {{20, 60}}, AS(ipv6_extension)},
		{"mobility", OF(tcp6_syn), .patches = {{20, 135}}, AS(ipv6_extension)},
		{"HIP", OF(tcp6_syn), .patches = {{20, 139}}, AS(ipv6_extension)},
		{"shim6", OF(tcp6_syn), .patches = {{20, 140}}, AS(ipv6_extension)},
		{"experiment", OF(tcp6_syn), .patches = {{20, 253}}, AS(ipv6_extension)},
		{"no next header", OF(tcp6_syn), .patches = {{20, 59}}, AS(ip_protocol)},
		{"UDP", OF(tcp6_syn), .patches = {{20, 17}}, AS(ip_protocol)},
		{"ICMP in IPv6", OF(tcp6_syn), .patches = {{20, 1}}, AS(ip_protocol)},
		{"source ::", OF(tcp6_syn),
		 .patches = {{22, 0}, {23, 0}, {24, 0}, {25, 0}, {37, 0}}, AS(ip_martian_source)},
		{"source ::1", OF(tcp6_syn),
		 .patches = {{22, 0}, {23, 0}, {24, 0}, {25, 0}, {37, 1}}, AS(ip_martian_source)},
		{"source ff02::55", OF(tcp6_syn), .patches = {{22, 0xff}, {23, 2}},
		 AS(ip_martian_source)},
		{"source ::ffff:0.0.0.55", OF(tcp6_syn),
		 .patches = {{22, 0}, {23, 0}, {24, 0}, {25, 0}, {32, 0xff}, {33, 0xff}},
		 AS(ip_martian_source)},
		{"LAND", OF(tcp6_syn), .patches = {{37, 0x10}}, AS(ip_martian_source)},
		{"TCP to a group", OF(tcp6_syn), .patches = {{38, 0xff}, {39, 2}}, AS(ip_not_ours)},
		{"to ::ffff:192.0.2.10, ours in IPv4", OF(tcp6_syn),
		 .patches = {{38, 0},
			     {39, 0},
			     {40, 0},
			     {41, 0},
			     {48, 0xff},
			     {49, 0xff},
			     {50, 192},
			     {51, 0},
			     {52, 2},
			     {53, 10}},
		 AS(ip_not_ours)},
		{"to ::1", OF(tcp6_syn), .patches = {{38, 0}, {39, 0}, {40, 0}, {41, 0}, {53, 1}},
		 AS(ip_not_ours)},
		{"echo to a group", OF(echo6), .patches = {{38, 0xff}, {39, 2}}, AS(ip_not_ours)},
		{"echo from ::", OF(echo6),
		 .patches = {{22, 0}, {23, 0}, {24, 0}, {25, 0}, {37, 0}}, AS(ip_martian_source)},
		{"duplicate detection from ::", OF(ns_dad), AS(NONE)},
		{"advertisement from ::", OF(ns_dad), .patches = {{54, 136}},
		 AS(ip_martian_source)},
		{"ICMPv6 of 7 bytes", OF(echo6), .patches = {{19, 7}}, AS(icmp_malformed)},
		{"ICMPv6 sum", OF(echo6), .patches = {{56, 0}}, AS(icmp_checksum)},
		{"MLD query", OF(mld2_query), AS(NONE)},
		{"MLD query, padding first", OF(mld2_query),
		 .patches = {{56, 1}, {57, 0}, {58, 5}, {59, 2}, {60, 0}, {61, 0}}, AS(NONE)},
		{"another router alert", OF(mld2_query), .patches = {{59, 1}}, AS(ipv6_extension)},
		{"hop-by-hop of 16 bytes", OF(mld2_query), .patches = {{55, 1}},
		 AS(ipv6_extension)},
		{"hop-by-hop then TCP", OF(mld2_query), .patches = {{54, 6}}, AS(ipv6_extension)},
		{"echo behind a router alert", OF(mld2_query), .patches = {{62, 128}},
		 AS(ipv6_extension)},
		{"solicitation behind a router alert", OF(mld2_query), .patches = {{62, 135}},
		 AS(ipv6_extension)},
		{"hop-by-hop and nothing", OF(mld2_query), .patches = {{19, 8}},
		 AS(ipv6_extension)},
		{"MLD query of 7 bytes", OF(mld2_query), .patches = {{19, 15}}, AS(icmp_malformed)},
	};
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void tcp_headers(void **state)
{
	static const struct frame_case cases[] = {
		{"data offset 0", OF(tcp4_syn), .patches = {{46, 0}}, AS(tcp_malformed)},
		{"data offset 4", OF(tcp4_syn), .patches = {{46, 0x40}}, AS(tcp_malformed)},
		{"data offset past the end", OF(tcp4_syn), .patches = {{46, 0xb0}},
		 AS(tcp_malformed)},
		{"data offset 15", OF(tcp4_data), .patches = {{46, 0xf0}}, AS(tcp_malformed)},
		{"data offset past the end, IPv6", OF(tcp6_syn), .patches = {{66, 0xb0}},
		 AS(tcp_malformed)},
		{"data offset into padding", OF(tcp4_syn), .patches = {{46, 0xb0}}, .grow = 4,
		 AS(tcp_malformed)},
		{"sum", OF(tcp4_syn), .patches = {{50, 0}}, AS(tcp_checksum)},
		{"sum, IPv6", OF(tcp6_syn), .patches = {{70, 0}}, AS(tcp_checksum)},
		{"sum on a trusting port", OF(tcp4_syn), .patches = {{50, 0}}, .port = &trusting,
		 AS(NONE)},
		{"data changed", OF(tcp4_data), .patches = {{60, 'X'}}, AS(tcp_checksum)},
		{"source port 0", OF(tcp4_syn), .patches = {{34, 0}, {35, 0}}, AS(tcp_port_zero)},
		{"destination port 0", OF(tcp4_syn), .patches = {{37, 0}}, AS(tcp_port_zero)},
		{"null scan", OF(tcp4_syn), .patches = {{47, 0}}, AS(tcp_flags)},
		{"FIN scan", OF(tcp4_syn), .patches = {{47, 0x01}}, AS(tcp_flags)},
		{"XMAS scan", OF(tcp4_syn), .patches = {{47, 0x29}}, AS(tcp_flags)},
		{"all flags", OF(tcp4_syn), .patches = {{47, 0xff}}, AS(tcp_flags)},
		{"PSH alone", OF(tcp4_syn), .patches = {{47, 0x08}}, AS(tcp_flags)},
		{"URG and CWR", OF(tcp4_syn), .patches = {{47, 0xa0}}, AS(tcp_flags)},
		{"SYN FIN", OF(tcp4_syn), .patches = {{47, 0x03}}, AS(tcp_flags)},
		{"SYN FIN ACK", OF(tcp4_syn), .patches = {{47, 0x13}}, AS(tcp_flags)},
		{"SYN RST", OF(tcp4_syn), .patches = {{47, 0x06}}, AS(tcp_flags)},
		{"FIN RST", OF(tcp4_syn), .patches = {{47, 0x05}}, AS(tcp_flags)},
		{"null scan, IPv6", OF(tcp6_syn), .patches = {{67, 0}}, AS(tcp_flags)},
		{"SYN with ECN", OF(tcp4_syn), .patches = {{47, 0xc2}}, .port = &trusting,
		 AS(NONE)},
		{"RST", OF(tcp4_syn), .patches = {{47, 0x04}}, .port = &trusting, AS(NONE)},
		{"FIN ACK", OF(tcp4_syn), .patches = {{47, 0x11}}, .port = &trusting, AS(NONE)},
	};
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static void arp_packets(void **state)
{
	static const struct frame_case cases[] = {
		{"request", OF(arp_request), AS(NONE)},
		{"reply", OF(arp_gateway_answer), AS(NONE)},
		{"probe", OF(arp_probe), AS(NONE)},
		{"reply without sender", OF(arp_probe), .patches = {{21, 2}}, AS(arp_malformed)},
		{"hardware type 6", OF(arp_request), .patches = {{15, 6}}, AS(arp_malformed)},
		{"protocol IPv6", OF(arp_request), .patches = {{16, 0x86}, {17, 0xdd}},
		 AS(arp_malformed)},
		{"hardware length 8", OF(arp_request), .patches = {{18, 8}}, AS(arp_malformed)},
		{"protocol length 16", OF(arp_request), .patches = {{19, 16}}, AS(arp_malformed)},
		{"operation 0", OF(arp_request), .patches = {{21, 0}}, AS(arp_malformed)},
		{"RARP", OF(arp_request), .patches = {{21, 3}}, AS(arp_malformed)},
		{"operation 257", OF(arp_request), .patches = {{20, 1}}, AS(arp_malformed)},
		{"broadcast sender", OF(arp_request), .patches = {{22, 0xff}}, AS(arp_malformed)},
		{"multicast sender", OF(arp_request), .patches = {{22, 3}}, AS(arp_malformed)},
		{"zero sender", OF(arp_request), .patches = {{22, 0}, {27, 0}}, AS(arp_malformed)},
		{"sender 127.0.0.1", OF(arp_request), .patches = {{28, 127}}, AS(arp_malformed)},
		{"sender 224.0.0.1", OF(arp_request), .patches = {{28, 224}}, AS(arp_malformed)},
		{"sender 255.255.255.255", OF(arp_request),
		 .patches = {{28, 255}, {29, 255}, {30, 255}, {31, 255}}, AS(arp_malformed)},
		{"sender 0.0.0.1", OF(arp_request), .patches = {{28, 0}, {30, 0}, {31, 1}},
		 AS(arp_malformed)},
	};
	run_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

static const struct {
	const uint8_t *bytes;
	size_t length;
} good_frames[] = {
	{tcp4_syn, sizeof(tcp4_syn)},
	{tcp4_data, sizeof(tcp4_data)},
	{tcp6_syn, sizeof(tcp6_syn)},
	{tcp6_data, sizeof(tcp6_data)},
	{arp_request, sizeof(arp_request)},
	{echo4, sizeof(echo4)},
	{echo6, sizeof(echo6)},
	{ns, sizeof(ns)},
	{mld2_query, sizeof(mld2_query)},
};
#define GOOD_FRAMES (sizeof(good_frames) / sizeof(good_frames[0]))

// Cut on the wire: the frame no longer holds what its headers promise.
static void every_cut_is_a_runt(void **state)
{
	for (unsigned i = 0; i < GOOD_FRAMES; i++) {
		for (size_t length = 0; length < good_frames[i].length; length++) {
			uint8_t *frame = malloc(length);
			struct view view;
			memcpy(frame, good_frames[i].bytes, length);
			assert_int_equal(packet_parse(&untagged, slice_of(frame, length), &view),
					 REASON_frame_runt);
			free(frame);
		}
		// the same behind a tag
		for (size_t length = 0; length < good_frames[i].length + 4; length++) {
			struct frame_case cut = {
				.base = good_frames[i].bytes,
				.base_length = good_frames[i].length,
				.tags = {0x81, 0, 0, 42},
				.tag_length = 4,
				.grow = (int)length - (int)good_frames[i].length - 4,
			};
			struct view view;
			size_t got;
			uint8_t *frame = make_frame(&cut, &got);
			assert_int_equal(got, length);
			enum reason reason = packet_parse(&tagged, slice_of(frame, got), &view);
			// between the tag's type and its end there is no telling a tag
			assert_int_equal(reason, REASON_frame_runt);
			free(frame);
		}
	}
}

// Cut by a sender that keeps its lengths consistent: each length is either good or has a name, and
// nothing reads past the end.
static void every_consistent_cut(void **state)
{
	for (unsigned i = 0; i < GOOD_FRAMES; i++) {
		bool ipv4 = good_frames[i].bytes[12] == 0x08 && good_frames[i].bytes[13] == 0;
		bool arp = good_frames[i].bytes[13] == 0x06;
		size_t header = ipv4 ? 34 : 54;
		for (size_t length = header; !arp && length < good_frames[i].length; length++) {
			uint8_t *frame = malloc(length);
			struct view view;
			memcpy(frame, good_frames[i].bytes, length);
			put_checksum(frame + (ipv4 ? 16 : 18),
				     (uint16_t)(length - (ipv4 ? 14 : 54)));
			enum reason reason =
				parse_and_verify(&trusting, slice_of(frame, length), &view);
			assert_true(reason != REASON_frame_runt);
			if (reason == REASON_NONE)
				assert_int_equal(view.frame.length, length);
			free(frame);
		}
	}
}

static void parse_slice(struct slice input, void *context)
{
	struct view view;
	parse_and_verify(context, input, &view);
}

static void overreads_would_be_seen(void **state)
{
	// the last byte of the Ethernet header, and of what is parsed or summed
	for (unsigned i = 0; i < GOOD_FRAMES; i++) {
		assert_true(overread_is_seen(parse_slice, (void *)&untagged, good_frames[i].bytes,
					     good_frames[i].length));
		assert_true(
			overread_is_seen(parse_slice, (void *)&untagged, good_frames[i].bytes, 14));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp_views),
		cmocka_unit_test(other_views),
		cmocka_unit_test(padding_is_never_data),
		cmocka_unit_test(link_layer),
		cmocka_unit_test(ipv4_headers),
		cmocka_unit_test(ipv6_headers),
		cmocka_unit_test(tcp_headers),
		cmocka_unit_test(arp_packets),
		cmocka_unit_test(every_cut_is_a_runt),
		cmocka_unit_test(every_consistent_cut),
		cmocka_unit_test(overreads_would_be_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
