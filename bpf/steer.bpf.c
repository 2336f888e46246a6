// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0)
//
// The XDP program of an af_xdp port: frames for the gate go to the AF_XDP socket of their receive
// queue, everything else on to the kernel. It judges by addresses and ports only; whatever looks
// odd but is meant for the gate goes to the gate, which counts it. It drops, and counts, one thing:
// TCP of a banned source to a binding, unless the gate is to answer it.
//
// To the gate, on its VLAN only:
//   ARP       whose target or sender is an address of ours (a sender claims it: a conflict)
//   ICMPv6    to an address of ours; neighbour solicitations and advertisements about one, whatever
//             their destination; MLD queries to all nodes or to a group of ours, if we have IPv6
//   ICMP      to an address of ours
//   TCP       to a binding; from a backend server to an address of ours
//   pieces    IPv4 fragments of TCP and ICMP, and IPv6 extension headers that lead to TCP, ICMPv6
//   or
//             further ones, to an address of ours: they show no ports
// A kernel address may equal ours (ssh on the same address), so other ports and protocols pass.
#include "vmlinux.h"

#include "bpf/steer.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_IPV6 = 0x86dd,

	PROTOCOL_HOP_BY_HOP = 0,
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_ROUTING = 43,
	PROTOCOL_FRAGMENT = 44,
	PROTOCOL_AUTHENTICATION = 51,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_DESTINATION_OPTIONS = 60,
	PROTOCOL_MOBILITY = 135,

	MLD_QUERY = 130,
	NEIGHBOUR_SOLICITATION = 135,
	NEIGHBOUR_ADVERTISEMENT = 136,

	VLAN_ID_MASK = 0x0fff,
	FRAGMENT_MASK = 0x3fff, // more fragments, and the offset
};

struct ethernet_header {
	__u8 destination[6], source[6];
	__be16 type;
} __attribute__((packed));

struct vlan_tag {
	__be16 control;
	__be16 type;
} __attribute__((packed));

struct arp_packet {
	__be16 hardware, protocol;
	__u8 hardware_bytes, protocol_bytes;
	__be16 operation;
	__u8 sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed));

struct ipv4_header {
	__u8 version_length, service;
	__be16 total_length, identification, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__u8 source[4], destination[4];
} __attribute__((packed));

struct ipv6_header {
	__u8 version, rest[3];
	__be16 payload_length;
	__u8 next_header, hop_limit;
	struct steer_address source, destination;
} __attribute__((packed));

struct tcp_ports {
	__be16 source, destination;
} __attribute__((packed));

struct icmpv6_message {
	__u8 type, code;
	__be16 checksum;
	__u32 reserved;
} __attribute__((packed));

struct extension_header {
	__u8 next_header, length; // in units of 8 bytes beyond the first 8
} __attribute__((packed));

// The frame between what was read and its end.
struct frame {
	void *here;
	void *end;
	bool answer_banned;
	bool banned;
};

// One AF_XDP socket a receive queue; the DPDK driver puts them in.
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, STEER_QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} xsks_map SEC(".maps");

// Our addresses and their solicited-node groups.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_ADDRESSES_MAX);
	__type(key, struct steer_address);
	__type(value, __u32);
} steer_addresses SEC(".maps");

// Where clients connect to; a binding to any address stands here once for each address of ours.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_ENDPOINTS_MAX);
	__type(key, struct steer_endpoint);
	__type(value, __u32);
} steer_bindings SEC(".maps");

// Where backends answer from.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, STEER_ENDPOINTS_MAX);
	__type(key, struct steer_endpoint);
	__type(value, __u32);
} steer_servers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_config);
} steer_config SEC(".maps");

// The one map of bans that all interfaces of an instance share; export puts it in.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(map_flags, BPF_F_NO_PREALLOC);
			__uint(max_entries, 1);
			__uint(key_size, sizeof(struct ban_source));
			__uint(value_size, sizeof(struct ban));
		});
} steer_bans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} steer_dropped SEC(".maps");

// The next bytes as a header, or NULL when the frame ends before; moves on behind them.
static __always_inline void *take(struct frame *frame, __u32 bytes)
{
	void *header = frame->here;

	if (header + bytes > frame->end)
		return NULL;
	frame->here = header + bytes;
	return header;
}

static __always_inline bool is_kind(const struct steer_address *address, __u32 kind)
{
	struct steer_address key = *address;
	__u32 *found = bpf_map_lookup_elem(&steer_addresses, &key);

	return found && *found == kind;
}

static __always_inline struct steer_address from_ipv4(const __u8 bytes[4])
{
	struct steer_address address = {};

	address.bytes[10] = 0xff;
	address.bytes[11] = 0xff;
	__builtin_memcpy(&address.bytes[12], bytes, 4);
	return address;
}

static __always_inline bool arp_wanted(struct frame *frame)
{
	struct arp_packet *arp = take(frame, sizeof(*arp));
	struct steer_address target, sender;

	if (!arp)
		return false;
	target = from_ipv4(arp->target);
	sender = from_ipv4(arp->sender);
	return is_kind(&target, STEER_OWN) || is_kind(&sender, STEER_OWN);
}

static __always_inline struct ban *find_ban(const struct steer_address *source)
{
	struct ban_source key = {{0xff}};
	__u32 first = 0;
	void *bans = bpf_map_lookup_elem(&steer_bans, &first);
	bool ipv4 = source->bytes[10] == 0xff && source->bytes[11] == 0xff;

	if (!bans)
		return NULL;
	for (int i = 0; i < 10; i++)
		ipv4 &= source->bytes[i] == 0;
	if (ipv4)
		__builtin_memcpy(key.prefix + 4, source->bytes + 12, 4);
	else
		__builtin_memcpy(key.prefix, source->bytes, 8);
	return bpf_map_lookup_elem(bans, &key);
}

static __always_inline bool tcp_wanted(struct frame *frame, const struct steer_address *source,
				       const struct steer_address *destination)
{
	struct tcp_ports *ports = take(frame, sizeof(*ports));
	struct steer_endpoint endpoint = {};
	struct ban *ban;
	bool to_binding;

	if (!ports) // cut off before its ports: whose it is, only the address says
		return is_kind(destination, STEER_OWN);
	endpoint.address = *destination;
	endpoint.port = ports->destination;
	to_binding = bpf_map_lookup_elem(&steer_bindings, &endpoint);
	endpoint.address = *source;
	endpoint.port = ports->source;
	if (!to_binding)
		return bpf_map_lookup_elem(&steer_servers, &endpoint) &&
		       is_kind(destination, STEER_OWN);
	if (frame->answer_banned)
		return true;
	ban = find_ban(source);
	// A server of ours is heard, whatever was put into the map.
	if (ban && !bpf_map_lookup_elem(&steer_servers, &endpoint)) {
		__sync_fetch_and_add(&ban->packets, 1);
		frame->banned = true;
	}
	return true;
}

static __always_inline bool ipv4_wanted(struct frame *frame)
{
	struct ipv4_header *ip = take(frame, sizeof(*ip));
	struct steer_address source, destination;
	__u32 options;

	if (!ip || ip->version_length >> 4 != 4 || (ip->version_length & 15) < 5)
		return false;
	if (ip->protocol != PROTOCOL_TCP && ip->protocol != PROTOCOL_ICMP)
		return false;
	source = from_ipv4(ip->source);
	destination = from_ipv4(ip->destination);
	if (ip->protocol == PROTOCOL_ICMP || ip->fragment & bpf_htons(FRAGMENT_MASK))
		return is_kind(&destination, STEER_OWN);
	options = (ip->version_length & 15) * 4 - sizeof(*ip);
	if (!take(frame, options & 63))
		return is_kind(&destination, STEER_OWN);
	return tcp_wanted(frame, &source, &destination);
}

// ff02::1, or the solicited-node group of an address of ours.
static __always_inline bool is_our_group(const struct steer_address *destination)
{
	static const struct steer_address all_nodes = {{0xff, 2, [15] = 1}};
	bool same = true;

	for (int i = 0; i < 16; i++)
		same &= destination->bytes[i] == all_nodes.bytes[i];
	return same || is_kind(destination, STEER_GROUP);
}

static __always_inline bool icmpv6_wanted(struct frame *frame,
					  const struct steer_address *destination)
{
	struct icmpv6_message *icmp = take(frame, sizeof(*icmp));
	struct steer_address *target;

	if (icmp &&
	    (icmp->type == NEIGHBOUR_SOLICITATION || icmp->type == NEIGHBOUR_ADVERTISEMENT)) {
		target = take(frame, sizeof(*target));
		if (target && is_kind(target, STEER_OWN))
			return true;
	}
	if (icmp && icmp->type == MLD_QUERY && is_our_group(destination))
		return true;
	return is_kind(destination, STEER_OWN);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == PROTOCOL_HOP_BY_HOP || protocol == PROTOCOL_ROUTING ||
	       protocol == PROTOCOL_FRAGMENT || protocol == PROTOCOL_AUTHENTICATION ||
	       protocol == PROTOCOL_DESTINATION_OPTIONS || protocol == PROTOCOL_MOBILITY;
}

// The first extension header is looked at, no chain is walked. An MLD query carries one, with its
// router alert (RFC 2710 section 3).
static __always_inline bool extension_wanted(struct frame *frame, const struct ipv6_header *ip)
{
	struct extension_header *extension = take(frame, sizeof(*extension));
	struct icmpv6_message *icmp;

	if (!extension)
		return is_kind(&ip->destination, STEER_OWN);
	if (ip->destination.bytes[0] == 0xff) {
		if (ip->next_header != PROTOCOL_HOP_BY_HOP ||
		    extension->next_header != PROTOCOL_ICMPV6 ||
		    !take(frame, extension->length * 8 + 8 - sizeof(*extension)))
			return false;
		icmp = take(frame, sizeof(*icmp));
		return icmp && icmp->type == MLD_QUERY && is_our_group(&ip->destination);
	}
	if (extension->next_header != PROTOCOL_TCP && extension->next_header != PROTOCOL_ICMPV6 &&
	    !is_extension(extension->next_header))
		return false;
	return is_kind(&ip->destination, STEER_OWN);
}

static __always_inline bool ipv6_wanted(struct frame *frame)
{
	struct ipv6_header *ip = take(frame, sizeof(*ip));
	struct steer_address source, destination;

	if (!ip || ip->version >> 4 != 6)
		return false;
	source = ip->source;
	destination = ip->destination;
	if (ip->next_header == PROTOCOL_TCP)
		return tcp_wanted(frame, &source, &destination);
	if (ip->next_header == PROTOCOL_ICMPV6)
		return icmpv6_wanted(frame, &destination);
	return is_extension(ip->next_header) && extension_wanted(frame, ip);
}

static __always_inline bool frame_wanted(struct frame *frame)
{
	struct ethernet_header *ethernet = take(frame, sizeof(*ethernet));
	__u32 first = 0;
	struct steer_config *config = bpf_map_lookup_elem(&steer_config, &first);
	__u16 vlan = 0; // a tag of id 0 carries a priority only (802.1Q section 6.9)
	__be16 type;

	if (!ethernet || !config || !config->ready)
		return false;
	frame->answer_banned = config->answer_banned;
	type = ethernet->type;
	if (type == bpf_htons(ETHERTYPE_VLAN)) {
		struct vlan_tag *tag = take(frame, sizeof(*tag));

		if (!tag)
			return false;
		vlan = bpf_ntohs(tag->control) & VLAN_ID_MASK;
		type = tag->type;
	}
	if (vlan != config->vlan)
		return false;
	if (type == bpf_htons(ETHERTYPE_IPV4))
		return ipv4_wanted(frame);
	if (type == bpf_htons(ETHERTYPE_IPV6))
		return config->ipv6 && ipv6_wanted(frame);
	return type == bpf_htons(ETHERTYPE_ARP) && arp_wanted(frame);
}

static __always_inline int drop(void)
{
	__u32 first = 0;
	__u64 *dropped = bpf_map_lookup_elem(&steer_dropped, &first);

	if (dropped)
		(*dropped)++; // this CPU's own
	return XDP_DROP;
}

SEC("xdp")
int relaygate_steer(struct xdp_md *context)
{
	// Read once, before anything else: the verifier refuses the load that clang makes out of
	// two.
	__u32 queue = context->rx_queue_index;
	struct frame frame = {
		.here = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};

	if (!frame_wanted(&frame))
		return XDP_PASS;
	if (frame.banned)
		return drop();
	// A queue without a socket (the gate died, or does not serve it) leaves the frame alone.
	return (int)bpf_redirect_map(&xsks_map, queue, XDP_PASS);
}
