// SPDX-License-Identifier: BSD-3-Clause
//
// Stations of servers and gateways, and the servers' connections on a TCP endpoint of the data
// path's kind. A SYN makes a connection at once: on a wire without loss or liars nothing is gained
// by waiting for the handshake's last ACK. Owns connections, frames not yet taken, the endpoint.
// What is said on a connection is replay_smtp.c's.
#include "control/replay_backend.h"

#include "config/policy.h"
#include "control/replay_smtp.h"
#include "dataplane/base/outbox.h"
#include "dataplane/net/build.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"

#include <sodium.h>
#include <stdlib.h>
#include <sys/queue.h>

#define BUFFER_BYTES (4u << 20) // payload chunks: what is received is read at once
#define QUEUE_BYTES  65536u     // of a connection, a direction

#define SEEN_HOPS 4096u

struct connection {
	struct flow *flow;
	struct link link;
	struct replay_smtp smtp;
	bool peer_closed;
	LIST_ENTRY(connection) next;
};

struct waiting_frame {
	STAILQ_ENTRY(waiting_frame) next;
	uint16_t port;
	size_t length;
	uint8_t bytes[];
};

LIST_HEAD(connections, connection);
STAILQ_HEAD(waiting_frames, waiting_frame);

// A station of the capture on a link of the gate's.
struct next_hop_seen {
	struct address address;
	uint16_t port;
	uint8_t mac[LINK_ADDRESS_BYTES];
};

struct replay_backend {
	const struct policy *policy;
	const struct packet_port *ports;
	enum replay_backend_mood mood;
	struct random random;
	struct pool chunks;
	struct tcp *tcp;
	struct connections connections;
	struct waiting_frames frames;
	struct waiting_frame *taken;
	uint64_t now_us;
	struct hash_key key;
	struct next_hop_seen seen[SEEN_HOPS]; // by hash: one that shares a place is displaced
};

bool replay_backend_mood_parse(const char *text, enum replay_backend_mood *mood)
{
	static const char *const names[] = {
		[REPLAY_BACKEND_ACCEPT] = "accept",
		[REPLAY_BACKEND_REFUSE] = "refuse",
		[REPLAY_BACKEND_DOWN] = "down",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) != 0)
			continue;
		*mood = (enum replay_backend_mood)i;
		return true;
	}
	return false;
}

bool replay_backend_plays(const struct policy *policy, const struct endpoint *endpoint)
{
	for (unsigned i = 0; i < policy->backend_count; i++)
		for (unsigned j = 0; j < policy->backends[i].server_count; j++) {
			const struct endpoint *server = &policy->backends[i].servers[j];

			if (server->port == endpoint->port &&
			    address_compare(&server->address, &endpoint->address) == 0)
				return true;
		}
	return false;
}

// As many connections as the gate can have, and as many that are closing.
static uint32_t connections_of(const struct policy *policy)
{
	uint32_t count = 0;

	for (unsigned i = 0; i < policy->backend_count; i++)
		count += policy->backends[i].server_count *
			 (2 * policy->backends[i].max_connections + 4);
	return count;
}

struct replay_backend *replay_backend_create(const struct policy *policy,
					     const struct packet_port *ports,
					     enum replay_backend_mood mood, uint64_t now_us)
{
	struct replay_backend *backend = calloc(1, sizeof(*backend));
	struct tcp_settings settings = {
		.flows = connections_of(policy),
		.time_wait_entries = connections_of(policy),
		.receive_buffer = QUEUE_BYTES,
		.send_buffer = QUEUE_BYTES,
	};
	uint8_t key[16];

	if (!backend)
		return NULL;
	backend->policy = policy;
	backend->ports = ports;
	backend->mood = mood;
	backend->now_us = now_us;
	LIST_INIT(&backend->connections);
	STAILQ_INIT(&backend->frames);
	randombytes_buf(key, sizeof(key));
	random_init(&backend->random, key);
	randombytes_buf(&backend->key, sizeof(backend->key));
	randombytes_buf(&settings.hash_key, sizeof(settings.hash_key));
	if (chunk_pool_init(&backend->chunks, BUFFER_BYTES))
		goto free_backend;
	settings.chunks = &backend->chunks;
	settings.random = &backend->random;
	backend->tcp = tcp_create(&settings);
	if (backend->tcp)
		return backend;
	pool_fini(&backend->chunks);

free_backend:
	free(backend);
	return NULL;
}

static void remove_connection(struct replay_backend *backend, struct connection *connection)
{
	LIST_REMOVE(connection, next);
	tcp_release(backend->tcp, connection->flow, backend->now_us);
	free(connection);
}

void replay_backend_destroy(struct replay_backend *backend)
{
	struct waiting_frame *frame;

	if (!backend)
		return;
	while (!LIST_EMPTY(&backend->connections))
		remove_connection(backend, LIST_FIRST(&backend->connections));
	while ((frame = STAILQ_FIRST(&backend->frames))) {
		STAILQ_REMOVE_HEAD(&backend->frames, next);
		free(frame);
	}
	free(backend->taken);
	tcp_destroy(backend->tcp);
	pool_fini(&backend->chunks);
	free(backend);
}

// ---- Frames ----------------------------------------------------------------------------------

// The link layer of the stations at one of the gate's ports.
static struct packet_port station_at(const struct replay_backend *backend, uint16_t port)
{
	return (struct packet_port){.mac = {2, 0, 0, 0, 1, (uint8_t)port},
				    .index = port,
				    .vlan = backend->ports[port].vlan};
}

// Without memory the frame is lost, as frames may be.
static void queue_frame(struct replay_backend *backend, uint16_t port, const uint8_t *bytes,
			size_t length)
{
	struct waiting_frame *frame = malloc(sizeof(*frame) + length);

	if (!frame)
		return;
	frame->port = port;
	frame->length = length;
	memcpy(frame->bytes, bytes, length);
	STAILQ_INSERT_TAIL(&backend->frames, frame, next);
}

bool replay_backend_take(struct replay_backend *backend, uint16_t *port, struct slice *frame)
{
	free(backend->taken);
	backend->taken = STAILQ_FIRST(&backend->frames);
	if (!backend->taken)
		return false;
	STAILQ_REMOVE_HEAD(&backend->frames, next);
	*port = backend->taken->port;
	*frame = slice_of(backend->taken->bytes, backend->taken->length);
	return true;
}

static void send_segment(struct replay_backend *backend, const struct link *link,
			 const struct segment *segment)
{
	const struct packet_port station = station_at(backend, link->port);
	uint8_t buffer[OUTBOX_FRAME_MAX];

	queue_frame(backend, link->port, buffer, build_segment(buffer, &station, link, segment));
}

// ---- ARP and neighbour discovery ---------------------------------------------------------------

// Where a next hop is remembered.
static struct next_hop_seen *seen_at(struct replay_backend *backend, uint16_t port,
				     const struct address *address)
{
	uint64_t hash =
		hash_tuple(&backend->key, &(struct tuple){.remote = *address, .remote_port = port});

	return &backend->seen[hash % SEEN_HOPS];
}

void replay_backend_heard(struct replay_backend *backend, const struct view *view)
{
	const struct port_settings *port = &backend->policy->ports[view->link.port];
	const struct address *hop = NULL;
	struct next_hop_seen *seen;

	for (unsigned i = 0; i < port->address_count; i++)
		if (interface_address_covers(&port->addresses[i], &view->source))
			hop = &view->source;
	for (unsigned i = 0; i < port->gateway_count && !hop; i++)
		if (address_is_ipv4(&port->gateways[i]) == address_is_ipv4(&view->source))
			hop = &port->gateways[i];
	if (!hop)
		return;
	seen = seen_at(backend, view->link.port, hop);
	seen->address = *hop;
	seen->port = view->link.port;
	memcpy(seen->mac, view->link.peer, LINK_ADDRESS_BYTES);
}

// Fills the station that answers when the gate asks for an address; false when it is the gate's
// own.
static bool find_station(struct replay_backend *backend, const struct view *view,
			 const struct address *address, struct packet_port *station)
{
	const struct port_settings *port = &backend->policy->ports[view->link.port];
	const struct next_hop_seen *seen = seen_at(backend, view->link.port, address);

	for (unsigned i = 0; i < port->address_count; i++)
		if (address_compare(&port->addresses[i].address, address) == 0)
			return false;
	*station = station_at(backend, view->link.port);
	if (seen->port == view->link.port && address_compare(&seen->address, address) == 0)
		memcpy(station->mac, seen->mac, LINK_ADDRESS_BYTES);
	return true;
}

static void answer_arp(struct replay_backend *backend, const struct view *view)
{
	struct packet_port station;
	const uint8_t *asked = view->frame.data + view->network_offset;
	static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4, 0, ARP_REPLY};
	uint8_t buffer[64];
	uint8_t *at;

	if (asked[7] != ARP_REQUEST || !find_station(backend, view, &view->destination, &station))
		return;
	at = build_ethernet(buffer, &station, view->link.peer, ETHERTYPE_ARP);
	memcpy(at, fixed, sizeof(fixed));
	memcpy(at + 8, station.mac, LINK_ADDRESS_BYTES);
	memcpy(at + 14, asked + 24, 4);
	memcpy(at + 18, asked + 8, LINK_ADDRESS_BYTES + 4);
	queue_frame(backend, view->link.port, buffer, (size_t)(at + ARP_BYTES - buffer));
}

// A solicitation is answered with an advertisement (RFC 4861 4.4), solicited and overriding.
static void answer_solicitation(struct replay_backend *backend, const struct view *view)
{
	struct packet_port station;
	const uint8_t *asked = view->frame.data + view->transport_offset;
	const uint16_t length = 4 + 4 + 16 + 8;
	uint8_t buffer[128];
	uint8_t *at, *ip;
	struct address target;

	if (asked[0] != ICMP6_NEIGHBOUR_SOLICITATION ||
	    view->frame.length - view->transport_offset < 24) // stops reads past the target
		return;
	target = address_from_ipv6(asked + 8);
	if (!find_station(backend, view, &target, &station))
		return;
	ip = build_ethernet(buffer, &station, view->link.peer, ETHERTYPE_IPV6);
	at = build_ip(ip, &(struct build_ip){.source = &target,
					     .destination = &view->source,
					     .protocol = PROTOCOL_ICMP6,
					     .hop_limit = 255,
					     .payload_length = length});
	memset(at, 0, length);
	at[0] = ICMP6_NEIGHBOUR_ADVERTISEMENT;
	at[4] = 0x60;
	memcpy(at + 8, target.bytes, 16);
	at[24] = 2; // target link-layer address, 8 bytes
	at[25] = 1;
	memcpy(at + 26, station.mac, LINK_ADDRESS_BYTES);
	checksum_store(at + 2, checksum_add(checksum_add_pseudo(0, ip, PROTOCOL_ICMP6, length), at,
					    length));
	queue_frame(backend, view->link.port, buffer, (size_t)(at + length - buffer));
}

// ---- TCP -------------------------------------------------------------------------------------

static uint16_t mss_of(const struct replay_backend *backend, const struct view *view)
{
	uint16_t mtu = backend->policy->ports[view->link.port].mtu;

	return (uint16_t)(mtu - (address_is_ipv4(&view->source) ? 40 : 60));
}

static void flush(struct replay_backend *backend, struct connection *connection)
{
	struct segment segment;

	while (tcp_output(backend->tcp, connection->flow, backend->now_us, &segment))
		send_segment(backend, &connection->link, &segment);
}

static void read_all(struct replay_backend *backend, struct connection *connection)
{
	struct slice in, reply;

	while ((in = tcp_received(connection->flow)).length) {
		size_t used = 0;

		while (used < in.length) {
			reply = replay_smtp_byte(&connection->smtp, in.data[used++]);
			tcp_send(backend->tcp, connection->flow, reply);
		}
		tcp_consume(backend->tcp, connection->flow, used);
	}
	if (connection->smtp.closing || connection->peer_closed)
		tcp_close(backend->tcp, connection->flow);
}

static void after(struct replay_backend *backend, struct connection *connection, unsigned events)
{
	if (events & TCP_EVENT_PEER_CLOSED)
		connection->peer_closed = true;
	read_all(backend, connection);
	tcp_settle(backend->tcp, connection->flow, backend->now_us);
	flush(backend, connection);
	if (events & (TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT))
		remove_connection(backend, connection);
}

static void syn_input(struct replay_backend *backend, const struct view *view)
{
	struct tcp_accept accept = {.tuple = tcp_tuple_of(view),
				    .our_isn = (uint32_t)random_u64(&backend->random),
				    .peer_isn = view->sequence,
				    .our_mss = mss_of(backend, view)};
	struct segment answer = {.tuple = accept.tuple,
				 .sequence = accept.our_isn,
				 .acknowledgment = view->sequence + 1,
				 .flags = TCP_SYN | TCP_ACK,
				 .window = UINT16_MAX};
	struct connection *connection;

	if (!options_parse(view->options, true, &accept.options))
		return;
	accept.peer_window = view->window; // of a SYN: not scaled yet
	if (accept.options.window_scale != TCP_NO_WINDOW_SCALE)
		accept.peer_window = (uint16_t)(view->window >> accept.options.window_scale);
	connection = calloc(1, sizeof(*connection));
	if (!connection)
		return;
	connection->flow = tcp_accept(backend->tcp, &accept, backend->now_us);
	if (!connection->flow) {
		free(connection);
		return;
	}
	connection->link = view->link;
	tcp_set_user(connection->flow, connection);
	LIST_INSERT_HEAD(&backend->connections, connection, next);
	tcp_syn_ack_options(backend->tcp, &accept.options, accept.our_mss,
			    (uint32_t)(backend->now_us / 1000), &answer);
	send_segment(backend, &connection->link, &answer);
	tcp_send(backend->tcp, connection->flow,
		 replay_smtp_open(&connection->smtp, backend->mood == REPLAY_BACKEND_REFUSE));
	after(backend, connection, 0);
}

static void tcp_frame(struct replay_backend *backend, const struct view *view)
{
	struct endpoint to = {view->destination, view->destination_port};
	struct tuple tuple = tcp_tuple_of(view);
	struct flow *flow = tcp_find(backend->tcp, &tuple);
	struct segment answer;
	unsigned events = 0;

	if (backend->mood == REPLAY_BACKEND_DOWN || !replay_backend_plays(backend->policy, &to))
		return;
	if (flow) {
		tcp_input(backend->tcp, flow, view, backend->now_us, &events);
		after(backend, tcp_user(flow), events);
		return;
	}
	if ((view->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN)
		syn_input(backend, view);
	else if (tcp_time_wait_input(backend->tcp, view, backend->now_us, &answer) ==
		 TCP_TIME_WAIT_ANSWER)
		send_segment(backend, &view->link, &answer);
	else if (build_reset_for(view, &answer))
		send_segment(backend, &view->link, &answer);
}

void replay_backend_input(struct replay_backend *backend, const struct view *view, struct tick now)
{
	backend->now_us = now.now_us;
	tcp_advance(backend->tcp, now.now_us);
	switch (view->kind) {
	case VIEW_ARP:
		answer_arp(backend, view);
		break;
	case VIEW_ICMP6:
		answer_solicitation(backend, view);
		break;
	case VIEW_TCP:
		tcp_frame(backend, view);
		break;
	case VIEW_ICMP4:
		break;
	}
}

uint64_t replay_backend_turn(struct replay_backend *backend, struct tick now)
{
	struct connection *connection, *following;
	uint64_t next = UINT64_MAX;

	backend->now_us = now.now_us;
	tcp_advance(backend->tcp, now.now_us);
	for (connection = LIST_FIRST(&backend->connections); connection; connection = following) {
		unsigned events = 0;

		following = LIST_NEXT(connection, next);
		if (tcp_deadline(connection->flow) > now.now_us)
			continue;
		tcp_timeout(backend->tcp, connection->flow, now.now_us, &events);
		after(backend, connection, events);
	}
	LIST_FOREACH(connection, &backend->connections, next)
	{
		uint64_t deadline = tcp_deadline(connection->flow);

		next = deadline < next ? deadline : next;
	}
	return next;
}
