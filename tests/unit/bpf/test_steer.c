// SPDX-License-Identifier: BSD-3-Clause
//
// Which frames the XDP program takes off an interface: a table of frames and verdicts, judged by
// the kernel's own test run of the loaded program. A bare AF_XDP socket stands in for the port.
#include "bpf/steer.h"
#include "bpf/steering.h"
#include "tests/unit/bpf/bpffs.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/socket.h>

struct loaded {
	struct bpf_object *object;
	int program, sockets, socket;
	struct steering_maps maps;
};

enum kind { ARP, IPV4, IPV6, OTHER };

// One frame, described by what matters to the verdict; zero = absent.
struct frame_case {
	const char *what;
	bool taken;
	enum kind kind;
	const char *source, *destination; // ARP: sender and target
	unsigned protocol;                // the last header's
	unsigned ports[2];                // source, destination
	unsigned icmp_type;
	const char *target;       // of neighbour discovery
	unsigned vlan_tag;        // 802.1Q control field + 0x10000
	unsigned second_tag;      // likewise
	unsigned fragment;        // IPv4 flags and offset
	unsigned option_bytes;    // IPv4
	unsigned extension;       // IPv6 extension header + 0x100
	unsigned extension_units; // of 8 bytes, beyond the first
	unsigned cut;             // bytes missing at the end
};

enum { TCP = 6, UDP = 17, ICMP = 1, ICMPV6 = 58 };

#define OURS    "192.0.2.10"
#define OURS6   "2001:db8::10"
#define GROUP6  "ff02::1:ff00:10"
#define PEER    "198.51.100.7"
#define PEER6   "2001:db8:ffff::7"
#define SERVER  "10.0.0.11"
#define SERVER6 "2001:db8:1::11"
#define TAG(id) ((id) | 0x10000)

static const struct frame_case untagged_cases[] = {
	{"SYN to a binding", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}},
	{"SYN to a binding, IPv6", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25}},
	{"binding to any IPv4 address", true, IPV4, PEER, "192.0.2.11", TCP,
	 .ports = {40000, 2525}},
	{"any IPv4 binds no IPv6", false, IPV6, PEER6, OURS6, TCP, .ports = {40000, 2525}},
	{"any IPv6 address", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 2626}},
	{"address without that binding", false, IPV4, PEER, "192.0.2.11", TCP,
	 .ports = {40000, 25}},
	{"ssh on the same address", false, IPV4, PEER, OURS, TCP, .ports = {40000, 22}},
	{"another station's port 25", false, IPV4, PEER, "192.0.2.99", TCP, .ports = {40000, 25}},
	{"backend's answer", true, IPV4, SERVER, OURS, TCP, .ports = {25, 31000}},
	{"backend's answer, IPv6", true, IPV6, SERVER6, OURS6, TCP, .ports = {2525, 31000}},
	{"backend's other port", false, IPV4, SERVER, OURS, TCP, .ports = {26, 31000}},
	{"backend's answer to another", false, IPV4, SERVER, "192.0.2.99", TCP,
	 .ports = {25, 31000}},
	{"UDP to our address", false, IPV4, PEER, OURS, UDP, .ports = {53, 25}},
	{"UDP to our address, IPv6", false, IPV6, PEER6, OURS6, UDP, .ports = {53, 25}},
	{"ping", true, IPV4, PEER, OURS, .protocol = ICMP},
	{"ping of another", false, IPV4, PEER, "192.0.2.99", .protocol = ICMP},
	{"ARP for ours", true, ARP, PEER, .destination = OURS},
	{"ARP that claims ours", true, ARP, OURS, .destination = OURS},
	{"ARP from ours for another", true, ARP, OURS, .destination = PEER},
	{"ARP for another", false, ARP, PEER, .destination = "192.0.2.99"},
	{"ARP cut short", false, ARP, PEER, OURS, .cut = 1},
	{"solicitation to our group", true, IPV6, PEER6, GROUP6, ICMPV6, .icmp_type = 135,
	 .target = OURS6},
	{"solicitation of a group's other member", false, IPV6, PEER6, GROUP6, ICMPV6,
	 .icmp_type = 135, .target = "fe80::10"},
	{"unicast solicitation", true, IPV6, PEER6, OURS6, ICMPV6, .icmp_type = 135,
	 .target = OURS6},
	{"advertisement to us", true, IPV6, PEER6, OURS6, ICMPV6, .icmp_type = 136,
	 .target = PEER6},
	{"advertisement to all of ours", true, IPV6, PEER6, "ff02::1", ICMPV6, .icmp_type = 136,
	 .target = OURS6},
	{"advertisement to all of another", false, IPV6, PEER6, "ff02::1", ICMPV6, .icmp_type = 136,
	 .target = PEER6},
	{"router advertisement", false, IPV6, "fe80::1", "ff02::1", ICMPV6, .icmp_type = 134},
	{"ping, IPv6", true, IPV6, PEER6, OURS6, ICMPV6, .icmp_type = 128},
	{"ping of another, IPv6", false, IPV6, PEER6, PEER6, ICMPV6, .icmp_type = 128},
	{"general MLD query", true, IPV6, "fe80::1", "ff02::1", ICMPV6, .icmp_type = 130,
	 .extension = 0x100},
	{"MLD query, long options", true, IPV6, "fe80::1", "ff02::1", ICMPV6, .icmp_type = 130,
	 .extension = 0x100, .extension_units = 31},
	{"MLD query of our group", true, IPV6, "fe80::1", GROUP6, ICMPV6, .icmp_type = 130,
	 .extension = 0x100},
	{"MLD query without router alert", true, IPV6, "fe80::1", "ff02::1", ICMPV6,
	 .icmp_type = 130},
	{"MLD query of another group", false, IPV6, "fe80::1", "ff02::1:ff00:99", ICMPV6,
	 .icmp_type = 130, .extension = 0x100},
	{"MLD report", false, IPV6, "fe80::1", "ff02::16", ICMPV6, .icmp_type = 143,
	 .extension = 0x100},
	{"MLD query cut in its options", false, IPV6, "fe80::1", "ff02::1", ICMPV6,
	 .icmp_type = 130, .extension = 0x100, .extension_units = 31, .cut = 200},
	{"first fragment", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .fragment = 0x2000},
	{"fragment to an unbound port", true, IPV4, PEER, OURS, TCP, .ports = {40000, 22},
	 .fragment = 0x2000},
	{"later fragment", true, IPV4, PEER, OURS, TCP, .ports = {7, 7}, .fragment = 0x00b9},
	{"UDP fragment", false, IPV4, PEER, OURS, UDP, .ports = {7, 7}, .fragment = 0x00b9},
	{"another's fragment", false, IPV4, PEER, "192.0.2.99", TCP, .ports = {7, 7},
	 .fragment = 0x2000},
	{"don't fragment", false, IPV4, PEER, OURS, TCP, .ports = {40000, 22}, .fragment = 0x4000},
	{"IPv4 options", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .option_bytes = 40},
	{"IPv4 options, unbound port", false, IPV4, PEER, OURS, TCP, .ports = {25, 22},
	 .option_bytes = 4},
	{"fragment header", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 22},
	 .extension = 0x100 + 44},
	{"destination options", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25},
	 .extension = 0x100 + 60, .extension_units = 2},
	{"extension before UDP", false, IPV6, PEER6, OURS6, UDP, .ports = {40000, 25},
	 .extension = 0x100 + 60},
	{"another's fragment header", false, IPV6, PEER6, PEER6, TCP, .ports = {1, 25},
	 .extension = 0x100 + 44},
	{"TCP cut before its ports", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .cut = 17},
	{"another's cut TCP", false, IPV4, PEER, "192.0.2.99", TCP, .ports = {40000, 25},
	 .cut = 17},
	{"IPv4 header cut", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .cut = 21},
	{"IPv6 header cut", false, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25}, .cut = 21},
	{"IPv6 TCP cut", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25}, .cut = 17},
	{"Ethernet header only", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .cut = 40},
	{"LLDP", false, .kind = OTHER},
	{"another VLAN", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .vlan_tag = TAG(7)},
	{"priority tag", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25},
	 .vlan_tag = TAG(0x6000)},
};

static const struct frame_case tagged_cases[] = {
	{"our VLAN", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .vlan_tag = TAG(7)},
	{"our VLAN with a priority", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25},
	 .vlan_tag = TAG(0xe007)},
	{"our VLAN, IPv6", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25}, .vlan_tag = TAG(7)},
	{"our VLAN, ARP", true, ARP, PEER, OURS, .vlan_tag = TAG(7)},
	{"our VLAN, ssh", false, IPV4, PEER, OURS, TCP, .ports = {40000, 22}, .vlan_tag = TAG(7)},
	{"another VLAN", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .vlan_tag = TAG(8)},
	{"no tag", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}},
	{"no tag, ARP", false, ARP, PEER, .destination = OURS},
	{"two tags", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .vlan_tag = TAG(7),
	 .second_tag = TAG(9)},
	{"tag cut", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}, .vlan_tag = TAG(7),
	 .cut = 42},
};

static uint8_t *put(uint8_t *at, const void *bytes, size_t count)
{
	memcpy(at, bytes, count);
	return at + count;
}

static uint8_t *put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

static uint8_t *put_address(uint8_t *at, const char *text)
{
	uint8_t bytes[16];
	bool ipv6 = strchr(text, ':');

	assert_int_equal(inet_pton(ipv6 ? AF_INET6 : AF_INET, text, bytes), 1);
	return put(at, bytes, ipv6 ? 16 : 4);
}

static uint8_t *put_transport(uint8_t *at, const struct frame_case *frame)
{
	uint8_t *start = at;

	if (frame->protocol == ICMPV6 || frame->protocol == ICMP) {
		*at = (uint8_t)frame->icmp_type;
		at += 8;
		return frame->target ? put_address(at, frame->target) : at;
	}
	put16(put16(at, frame->ports[0]), frame->ports[1]);
	start[12] = 0x50;
	return start + 20;
}

static uint8_t *put_ipv4(uint8_t *at, const struct frame_case *frame)
{
	at[0] = (uint8_t)(0x40 | (20 + frame->option_bytes) / 4);
	put16(at + 2, 40 + frame->option_bytes);
	put16(at + 6, frame->fragment);
	at[8] = 64;
	at[9] = (uint8_t)frame->protocol;
	put_address(put_address(at + 12, frame->source), frame->destination);
	return put_transport(at + 20 + frame->option_bytes, frame);
}

static uint8_t *put_ipv6(uint8_t *at, const struct frame_case *frame)
{
	at[0] = 0x60;
	at[6] = (uint8_t)(frame->extension ? frame->extension : frame->protocol);
	at[7] = 255;
	at = put_address(put_address(at + 8, frame->source), frame->destination);
	if (frame->extension) {
		at[0] = (uint8_t)frame->protocol;
		at[1] = (uint8_t)frame->extension_units;
		at += 8 + 8 * frame->extension_units;
	}
	return put_transport(at, frame);
}

static uint8_t *put_arp(uint8_t *at, const struct frame_case *frame)
{
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};

	at = put_address(put(at, request, sizeof(request)) + 6, frame->source);
	return put_address(at + 6, frame->destination);
}

static size_t build(uint8_t *bytes, const struct frame_case *frame)
{
	static const unsigned types[] = {
		[ARP] = 0x0806, [IPV4] = 0x0800, [IPV6] = 0x86dd, [OTHER] = 0x88cc};
	static uint8_t *(*const builders[])(uint8_t *, const struct frame_case *) = {
		[ARP] = put_arp, [IPV4] = put_ipv4, [IPV6] = put_ipv6, [OTHER] = NULL};
	uint8_t *at = bytes + 12;

	if (frame->vlan_tag)
		at = put16(put16(at, 0x8100), frame->vlan_tag);
	if (frame->second_tag)
		at = put16(put16(at, 0x8100), frame->second_tag);
	at = put16(at, types[frame->kind]);
	at = builders[frame->kind] ? builders[frame->kind](at, frame) : at + 46;
	return (size_t)(at - bytes) - frame->cut;
}

static int verdict(const struct loaded *loaded, const struct frame_case *frame)
{
	// A heap block of the frame's size: nothing behind it may be read.
	uint8_t bytes[1024] = {0}, *exact;
	LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = 1);
	size_t size = build(bytes, frame);

	exact = malloc(size);
	memcpy(exact, bytes, size);
	run.data_in = exact;
	run.data_size_in = (uint32_t)size;
	if (bpf_prog_test_run_opts(loaded->program, &run) < 0)
		fail_msg("%s: test run: %s", frame->what, strerror(errno));
	free(exact);
	return (int)run.retval;
}

static void map_address(const char *text, uint8_t address[16])
{
	memset(address, 0, 16);
	if (!strchr(text, ':'))
		memset(address + 10, 0xff, 2);
	put_address(strchr(text, ':') ? address : address + 12, text);
}

static int fill(const struct loaded *loaded, unsigned address_count, uint16_t vlan)
{
	uint8_t addresses[3][16], bindings[4][16], servers[2][16];
	static const uint16_t binding_ports[] = {25, 25, 2525, 2626}, server_ports[] = {25, 2525};
	char error[EXPORT_ERROR_MAX];

	map_address(OURS, addresses[0]);
	map_address("192.0.2.11", addresses[1]);
	map_address(OURS6, addresses[2]);
	map_address(OURS, bindings[0]);
	map_address(OURS6, bindings[1]);
	map_address("0.0.0.0", bindings[2]);
	map_address("::", bindings[3]);
	map_address(SERVER, servers[0]);
	map_address(SERVER6, servers[1]);
	return steering_fill(&loaded->maps,
			     &(struct export_steering){
				     .addresses = (const uint8_t(*)[16])addresses,
				     .address_count = address_count,
				     .binding_addresses = (const uint8_t(*)[16])bindings,
				     .binding_ports = binding_ports,
				     .binding_count = 4,
				     .server_addresses = (const uint8_t(*)[16])servers,
				     .server_ports = server_ports,
				     .server_count = 2,
				     .vlan = vlan,
			     },
			     "test", error);
}

static void check(const struct loaded *loaded, const struct frame_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int got = verdict(loaded, &cases[i]);

		if (got != (cases[i].taken ? XDP_REDIRECT : XDP_PASS))
			fail_msg("%s: verdict %d", cases[i].what, got);
	}
}

#define CHECK(loaded, cases) check(loaded, cases, sizeof(cases) / sizeof((cases)[0]))

// ---- Banned sources
// ------------------------------------------------------------------------------

static uint64_t dropped(const struct loaded *loaded)
{
	uint64_t counts[1024], sum = 0;
	uint32_t first = 0;
	int map = bpf_object__find_map_fd_by_name(loaded->object, STEER_DROPPED);

	assert_true(libbpf_num_possible_cpus() <= 1024);
	assert_int_equal(bpf_map_lookup_elem(map, &first, counts), 0);
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += counts[i];
	return sum;
}

// Only TCP to a binding is dropped, and never a server's; each frame is counted twice: in all, and
// in the source's entry.
static void test_banned(void **state)
{
	static const struct {
		struct frame_case frame;
		int verdict;
	} rows[] = {
		{{"banned", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}}, XDP_DROP},
		{{"banned, not TCP", true, IPV4, PEER, OURS, .protocol = ICMP}, XDP_REDIRECT},
		{{"banned, ARP", true, ARP, PEER, .destination = OURS}, XDP_REDIRECT},
		{{"banned, no binding", false, IPV4, PEER, OURS, TCP, .ports = {40000, 22}},
		 XDP_PASS},
		{{"neighbour", true, IPV4, "198.51.100.8", OURS, TCP, .ports = {40000, 25}},
		 XDP_REDIRECT},
		{{"banned /64", true, IPV6, PEER6, OURS6, TCP, .ports = {40000, 25}}, XDP_DROP},
		{{"the same /64", true, IPV6, "2001:db8:ffff:0:8000::1", OURS6, TCP,
		  .ports = {40000, 25}},
		 XDP_DROP},
		{{"another /64", true, IPV6, "2001:db8:ffff:1::7", OURS6, TCP,
		  .ports = {40000, 25}},
		 XDP_REDIRECT},
		{{"a server answers", true, IPV4, SERVER, OURS, TCP, .ports = {25, 31000}},
		 XDP_REDIRECT},
		{{"a server from its port", true, IPV4, SERVER, OURS, TCP, .ports = {25, 25}},
		 XDP_REDIRECT},
	};
	static const struct ban_source banned[] = {
		{{0xff, 0, 0, 0, 198, 51, 100, 7}},
		{{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0}},
		{{0xff, 0, 0, 0, 10, 0, 0, 11}},
	};
	static const uint64_t packets[] = {1, 2, 0};
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int bans = bpf_map_create(BPF_MAP_TYPE_HASH, "bans", sizeof(struct ban_source),
				  sizeof(struct ban), 16, &options);
	struct loaded *loaded = *state;
	int outer = bpf_object__find_map_fd_by_name(loaded->object, STEER_BANS);
	const struct steer_config answering = {.ready = 1, .ipv6 = 1, .answer_banned = 1};
	uint32_t first = 0;
	struct ban ban = {0};

	assert_int_equal(fill(loaded, 3, 0), 0);
	CHECK(loaded, untagged_cases); // without a map nothing is dropped
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(bpf_map_update_elem(bans, &banned[i], &ban, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(outer, &first, &bans, BPF_ANY), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (verdict(loaded, &rows[i].frame) != rows[i].verdict)
			fail_msg("%s: not %d", rows[i].frame.what, rows[i].verdict);
	assert_int_equal(dropped(loaded), 3);
	// The gate is to answer them: nothing is dropped, nothing is counted.
	assert_int_equal(bpf_map_update_elem(loaded->maps.config, &first, &answering, BPF_ANY), 0);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_not_equal(verdict(loaded, &rows[i].frame), XDP_DROP);
	assert_int_equal(dropped(loaded), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(bpf_map_lookup_elem(bans, &banned[i], &ban), 0);
		assert_int_equal(ban.packets, packets[i]);
		assert_int_equal(bpf_map_delete_elem(bans, &banned[i]), 0);
	}
	CHECK(loaded, untagged_cases);
	close(bans);
}

static int setup(void **state)
{
	struct loaded *loaded = calloc(1, sizeof(*loaded));
	uint32_t queue = 0;

	loaded->object = bpf_object__open_file(export_xdp_object_path(), NULL);
	if (!loaded->object || bpf_object__load(loaded->object) < 0)
		return -1;
	loaded->program = bpf_program__fd(bpf_object__next_program(loaded->object, NULL));
#define MAP(name) bpf_object__find_map_fd_by_name(loaded->object, name)
	loaded->sockets = MAP(STEER_SOCKETS);
	loaded->maps = (struct steering_maps){MAP(STEER_ADDRESSES), MAP(STEER_BINDINGS),
					      MAP(STEER_SERVERS), MAP(STEER_CONFIG)};
#undef MAP
	loaded->socket = socket(AF_XDP, SOCK_RAW, 0);
	if (loaded->socket < 0 ||
	    bpf_map_update_elem(loaded->sockets, &queue, &loaded->socket, BPF_ANY) < 0)
		return -1;
	*state = loaded;
	return 0;
}

static int teardown(void **state)
{
	struct loaded *loaded = *state;

	close(loaded->socket);
	bpf_object__close(loaded->object);
	free(loaded);
	return 0;
}

static void test_untagged_port(void **state)
{
	assert_int_equal(fill(*state, 3, 0), 0);
	CHECK(*state, untagged_cases);
}

static void test_port_on_a_vlan(void **state)
{
	assert_int_equal(fill(*state, 3, 7), 0);
	CHECK(*state, tagged_cases);
}

#define GENERAL_QUERY                                                                              \
	{                                                                                          \
		"general MLD query", false, IPV6, "fe80::1", "ff02::1", ICMPV6, .icmp_type = 130,  \
										.extension = 0x100 \
	}

static void test_port_without_ipv6_leaves_mld_alone(void **state)
{
	static const struct frame_case cases[] = {
		{"SYN to a binding", true, IPV4, PEER, OURS, TCP, .ports = {40000, 25}},
		GENERAL_QUERY,
	};

	assert_int_equal(fill(*state, 2, 0), 0);
	CHECK(*state, cases);
}

static void test_nothing_is_taken_before_the_maps_are_filled(void **state)
{
	static const struct frame_case empty[] = {
		GENERAL_QUERY,
		{"ARP for nobody", false, ARP, "0.0.0.0", .destination = "0.0.0.0"},
		{"SYN to a binding", false, IPV4, PEER, OURS, TCP, .ports = {40000, 25}},
	};

	const struct loaded *loaded = *state;
	struct steer_config unready = {.ready = 0, .ipv6 = 1};
	uint32_t zero = 0;

	CHECK(loaded, empty);
	assert_int_equal(fill(loaded, 3, 0), 0);
	assert_int_equal(bpf_map_update_elem(loaded->maps.config, &zero, &unready, BPF_ANY), 0);
	CHECK(loaded, empty);
}

static void test_dead_gate_leaves_frames_alone(void **state)
{
	const struct loaded *loaded = *state;
	uint32_t queue = 0;

	assert_int_equal(fill(loaded, 3, 0), 0);
	assert_int_equal(verdict(loaded, &untagged_cases[0]), XDP_REDIRECT);
	assert_int_equal(bpf_map_delete_elem(loaded->sockets, &queue), 0);
	assert_int_equal(verdict(loaded, &untagged_cases[0]), XDP_PASS);
}

// ---- By hand: what a frame costs
// -----------------------------------------------------------------

static void time_frame(const struct loaded *loaded, const char *what, const char *source)
{
	const struct frame_case frame = {what, true, IPV4, source, OURS, TCP, .ports = {40000, 25}};
	uint8_t bytes[1024] = {0};
	size_t size = build(bytes, &frame);
	uint32_t best = UINT32_MAX;

	for (unsigned i = 0; i < 9; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .repeat = 200000, .data_in = bytes,
			    .data_size_in = (uint32_t)size);

		assert_int_equal(bpf_prog_test_run_opts(loaded->program, &run), 0);
		best = run.duration < best ? run.duration : best;
	}
	printf("%-44s %u ns\n", what, best);
}

static int cost(void)
{
	enum { LIST = 1000000 };
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int bans = bpf_map_create(BPF_MAP_TYPE_HASH, "bans", sizeof(struct ban_source),
				  sizeof(struct ban), LIST, &options);
	const struct ban ban = {0};
	struct loaded *loaded;
	uint32_t first = 0;
	void *state;

	if (setup(&state))
		return 1;
	loaded = state;
	fill(loaded, 3, 0);
	time_frame(loaded, "to a binding, no map of bans", PEER);
	bpf_map_update_elem(bpf_object__find_map_fd_by_name(loaded->object, STEER_BANS), &first,
			    &bans, BPF_ANY);
	time_frame(loaded, "to a binding, nobody is banned", PEER);
	for (uint32_t i = 0; i < LIST; i++) {
		struct ban_source source = {{0xff}};
		uint32_t address = htonl(0x0b000000 + i);

		memcpy(source.prefix + 4, &address, sizeof(address));
		bpf_map_update_elem(bans, &source, &ban, BPF_ANY);
	}
	time_frame(loaded, "to a binding, a million others are banned", PEER);
	time_frame(loaded, "banned, of a million", "11.0.0.99");
	close(bans);
	return teardown(&state);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_untagged_port),
		TEST(test_banned),
		TEST(test_port_on_a_vlan),
		TEST(test_port_without_ipv6_leaves_mld_alone),
		TEST(test_nothing_is_taken_before_the_maps_are_filled),
		TEST(test_dead_gate_leaves_frames_alone),
	};

	if (!bpffs_usable())
		return 77;
	if (argc > 1 && strcmp(argv[1], "cost") == 0)
		return cost();
	return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
