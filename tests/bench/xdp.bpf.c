// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0)
//
// What an operator could write in place of the gate: a hash of bindings, an LPM trie of sources,
// and for those who are listed a SYN cookie of the kernel's (bpf_tcp_raw_gen_syncookie). Run by
// BPF_PROG_TEST_RUN, which repeats one packet: so each run first takes the next source of the flood
// from an array (`feed` does only that; the loader subtracts it).
#include "vmlinux.h"

#include "tests/bench/xdp.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct ethernet {
	__u8 destination[6], source[6];
	__be16 type;
} __attribute__((packed));

struct packet4 {
	struct ethernet ethernet;
	struct iphdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct packet6 {
	struct ethernet ethernet;
	struct ipv6hdr ip;
	struct tcphdr tcp;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, XDP_SOURCES_MAX);
	__type(key, __u32);
	__type(value, struct xdp_address);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct xdp_binding);
	__type(value, __u32);
} bindings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, XDP_RANGES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xdp_range4);
	__type(value, __u32);
} ranges4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, XDP_RANGES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct xdp_range6);
	__type(value, __u32);
} ranges6 SEC(".maps");

__u32 next_source;
__u64 dropped, listed, damaged;

static struct xdp_address *take_source(void)
{
	__u32 index = next_source++ & (XDP_SOURCES_MAX - 1);

	return bpf_map_lookup_elem(&sources, &index);
}

SEC("xdp")
int feed(struct xdp_md *context)
{
	struct packet4 *packet = (void *)(long)context->data;
	struct xdp_address *source = take_source();

	if (!source || (void *)(packet + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&packet->ip.saddr, source->bytes + 12, 4);
	return XDP_DROP;
}

// ---- The gate --------------------------------------------------------------------------------

static bool syn_to_binding(const struct tcphdr *tcp, const struct xdp_binding *binding)
{
	return tcp->doff >= 5 && bpf_map_lookup_elem(&bindings, binding);
}

static bool admits4(const struct packet4 *packet)
{
	struct xdp_binding binding = {.port = packet->tcp.dest};
	struct xdp_range4 range = {.prefix_length = 32};

	if (packet->ethernet.type != bpf_htons(0x0800) || packet->ip.version != 4 ||
	    packet->ip.ihl != 5 || packet->ip.frag_off & bpf_htons(0x3fff) ||
	    packet->ip.protocol != 6)
		return false;
	binding.address.bytes[10] = binding.address.bytes[11] = 0xff;
	__builtin_memcpy(binding.address.bytes + 12, &packet->ip.daddr, 4);
	__builtin_memcpy(range.bytes, &packet->ip.saddr, 4);
	return syn_to_binding(&packet->tcp, &binding) && bpf_map_lookup_elem(&ranges4, &range);
}

static bool admits6(const struct packet6 *packet)
{
	struct xdp_binding binding = {.port = packet->tcp.dest};
	struct xdp_range6 range = {.prefix_length = 128};

	if (packet->ethernet.type != bpf_htons(0x86dd) || packet->ip.version != 6 ||
	    packet->ip.nexthdr != 6)
		return false;
	__builtin_memcpy(binding.address.bytes, &packet->ip.daddr, 16);
	__builtin_memcpy(range.bytes, &packet->ip.saddr, 16);
	return syn_to_binding(&packet->tcp, &binding) && bpf_map_lookup_elem(&ranges6, &range);
}

SEC("xdp")
int gate4(struct xdp_md *context)
{
	struct packet4 *packet = (void *)(long)context->data;
	struct xdp_address *source = take_source();

	if (!source || (void *)(packet + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&packet->ip.saddr, source->bytes + 12, 4);
	if (admits4(packet)) {
		listed++;
		return XDP_PASS;
	}
	dropped++;
	return XDP_DROP;
}

SEC("xdp")
int gate6(struct xdp_md *context)
{
	struct packet6 *packet = (void *)(long)context->data;
	struct xdp_address *source = take_source();

	if (!source || (void *)(packet + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&packet->ip.saddr, source->bytes, 16);
	if (admits6(packet)) {
		listed++;
		return XDP_PASS;
	}
	dropped++;
	return XDP_DROP;
}

// ---- The answer ------------------------------------------------------------------------------

static __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

__u8 syn[SYN_BYTES]; // as it came, but for the source

// The SYN anew, as the run before made an answer of it. NULL: out of bounds, for the verifier.
static struct packet4 *take_syn(struct xdp_md *context)
{
	struct packet4 *packet = (void *)(long)context->data;
	struct xdp_address *source = take_source();

	if (!source || (void *)packet + SYN_BYTES > (void *)(long)context->data_end)
		return NULL;
	__builtin_memcpy(packet, syn, SYN_BYTES);
	__builtin_memcpy(&packet->ip.saddr, source->bytes + 12, 4);
	return packet;
}

SEC("xdp")
int feed_syn(struct xdp_md *context)
{
	return take_syn(context) ? XDP_DROP : XDP_ABORTED;
}

static void turn_round(struct packet4 *packet)
{
	struct ethernet ethernet = packet->ethernet;
	__be32 address = packet->ip.saddr;
	__be16 port = packet->tcp.source;

	__builtin_memcpy(packet->ethernet.destination, ethernet.source, 6);
	__builtin_memcpy(packet->ethernet.source, ethernet.destination, 6);
	packet->ip.saddr = packet->ip.daddr;
	packet->ip.daddr = address;
	packet->tcp.source = packet->tcp.dest;
	packet->tcp.dest = port;
	packet->tcp.ack = 1;
}

// Both sums of a SYN or its answer: 0 when they are good, else what their fields have to be.
static __u16 tcp_sum(struct packet4 *packet)
{
	__s64 sum = bpf_csum_diff(NULL, 0, (void *)&packet->tcp, SYN_TCP_BYTES, 0);

	return fold((__u64)sum + packet->ip.saddr + packet->ip.daddr +
		    bpf_htons(6 + SYN_TCP_BYTES));
}

static __u16 ip_sum(struct packet4 *packet)
{
	return fold((__u64)bpf_csum_diff(NULL, 0, (void *)&packet->ip, sizeof(packet->ip), 0));
}

SEC("xdp")
int cookie4(struct xdp_md *context)
{
	struct packet4 *packet = take_syn(context);
	__s64 cookie;

	if (!packet)
		return XDP_ABORTED;
	if (!admits4(packet) || !packet->tcp.syn || packet->tcp.ack) {
		dropped++;
		return XDP_DROP;
	}
	// The sources here are not those that the sums were made for: looked at, and not believed.
	damaged += ip_sum(packet) != 0 || tcp_sum(packet) != 0;
	cookie = bpf_tcp_raw_gen_syncookie_ipv4(&packet->ip, &packet->tcp, SYN_TCP_BYTES);
	if (cookie < 0)
		return XDP_ABORTED;
	turn_round(packet);
	packet->tcp.ack_seq = bpf_htonl(bpf_ntohl(packet->tcp.seq) + 1);
	packet->tcp.seq = bpf_htonl((__u32)cookie);
	packet->tcp.check = packet->ip.check = 0;
	packet->ip.check = ip_sum(packet);
	packet->tcp.check = tcp_sum(packet);
	listed++;
	return XDP_TX;
}

// SYNs for the kernel's own stack, of which this is the sender: with good sums, so that it answers.
SEC("xdp")
int generate4(struct xdp_md *context)
{
	struct packet4 *packet = take_syn(context);

	if (!packet)
		return XDP_ABORTED;
	packet->tcp.check = packet->ip.check = 0;
	packet->ip.check = ip_sum(packet);
	packet->tcp.check = tcp_sum(packet);
	return XDP_PASS;
}

// Those for rules that look at no sum.
SEC("xdp")
int generate6(struct xdp_md *context)
{
	struct packet6 *packet = (void *)(long)context->data;
	struct xdp_address *source = take_source();

	if (!source || (void *)(packet + 1) > (void *)(long)context->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&packet->ip.saddr, source->bytes, 16);
	return XDP_PASS;
}
