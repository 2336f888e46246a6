// SPDX-License-Identifier: BSD-3-Clause
//
// A host with the gate's TCP. It accepts with SYN cookies and a half-open cache like the gate does,
// so that no second handshake has to be written and trusted.

#include "tests/sim/host.h"

#include <assert.h>
#include <stdlib.h>

static uint8_t *reserve(struct outbox *outbox, uint16_t port)
{
	return ((struct host *)outbox)->frame;
}

static void commit(struct outbox *outbox, uint16_t length)
{
	struct host *host = (struct host *)outbox;

	if (length)
		wire_send(host->wire, host->towards, slice_of(host->frame, length),
			  host->now.now_us);
}

#define BLOCKED_RETRY_US 20000

#define HOST_BUFFER 65536u
#define HOST_FLOWS  40u // a server has those that the gate closes too

void host_init(struct host *host, struct wire *wire, enum station towards,
	       struct interface_address *addresses, unsigned count, const uint8_t mac[6])
{
	struct hash_key key = {{(uint8_t)towards, 7}};
	struct cookie_secret secret = {{{(uint8_t)towards, 9}}};

	memset(host, 0, sizeof(*host));
	host->outbox = (struct outbox){.reserve = reserve, .commit = commit};
	host->wire = wire;
	host->towards = towards;
	host->settings = (struct port_settings){.name = (char *)"peer",
						.device = (char *)"vdev:none",
						.addresses = addresses,
						.address_count = count,
						.mtu = 1500};
	host->policy.ports = &host->settings;
	host->policy.port_count = 1;
	memcpy(host->port.mac, mac, 6);
	random_init(&host->random, key.bytes);
	host->net = net_create(&host->policy, &host->port, &host->random);
	assert(chunk_pool_init(&host->chunks, 1 << 20) == 0);
	host->tcp = tcp_create(&(struct tcp_settings){.flows = HOST_FLOWS,
						      .time_wait_entries = 64,
						      .receive_buffer = HOST_BUFFER,
						      .send_buffer = HOST_BUFFER,
						      .hash_key = key,
						      .chunks = &host->chunks,
						      .random = &host->random});
	host->half_open = half_open_create(HOST_FLOWS);
	cookie_keys_init(&host->cookies, &secret, 0);
	assert(host->net && host->tcp && host->half_open);
}

static struct slice received(const struct connection *connection)
{
	return tcp_received(((const struct host_connection *)connection)->flow);
}

static void consume(struct connection *connection, size_t length)
{
	struct host_connection *own = (struct host_connection *)connection;

	tcp_consume(own->host->tcp, own->flow, length);
}

static size_t room(const struct connection *connection)
{
	return tcp_send_room(((const struct host_connection *)connection)->flow);
}

static size_t send_bytes(struct connection *connection, struct slice bytes)
{
	struct host_connection *own = (struct host_connection *)connection;

	return tcp_send(own->host->tcp, own->flow, bytes);
}

static void close_connection(struct connection *connection)
{
	struct host_connection *own = (struct host_connection *)connection;

	tcp_close(own->host->tcp, own->flow);
}

static void abort_connection(struct connection *connection);

static void vanish(struct connection *connection)
{
	((struct host_connection *)connection)->host->deaf = true;
}

static const struct transport transport = {received,         consume,          room,  send_bytes,
					   close_connection, abort_connection, vanish};

static struct host_connection *add(struct host *host, struct flow *flow,
				   const struct application *application, void *state)
{
	struct host_connection *connection = calloc(1, sizeof(*connection));

	*connection = (struct host_connection){
		{&transport, application, state, host->now.now_us, false, false, false},
		host,
		flow,
		host->connections};
	host->connections = connection;
	tcp_set_user(flow, connection);
	return connection;
}

static void remove_connection(struct host_connection *connection)
{
	struct host *host = connection->host;
	struct host_connection **link = &host->connections;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	tcp_release(host->tcp, connection->flow, host->now.now_us);
	free(connection);
}

void host_fini(struct host *host)
{
	while (host->connections) {
		host->connections->base.application->ended(&host->connections->base);
		remove_connection(host->connections);
	}
	tcp_destroy(host->tcp);
	net_destroy(host->net);
	half_open_destroy(host->half_open);
	pool_fini(&host->chunks);
}

static void send_segment(struct host *host, const struct link *link, const struct segment *segment)
{
	uint16_t length = build_segment(host->frame, &host->port, link, segment);

	commit(&host->outbox, length);
}

static void flush(struct host_connection *connection)
{
	struct host *host = connection->host;
	struct segment segment;
	struct link link;

	if (net_next_hop(host->net, &tcp_tuple(connection->flow)->remote, host->now, &host->outbox,
			 &link, NULL) != NEXT_HOP_RESOLVED) {
		host->blocked = true;
		return;
	}
	while (tcp_output(host->tcp, connection->flow, host->now.now_us, &segment))
		send_segment(host, &link, &segment);
}

static void abort_connection(struct connection *connection)
{
	struct host_connection *own = (struct host_connection *)connection;
	struct segment reset;
	struct link link;

	if (tcp_abort(own->host->tcp, own->flow, &reset) &&
	    net_next_hop(own->host->net, &reset.tuple.remote, own->host->now, &own->host->outbox,
			 &link, NULL) == NEXT_HOP_RESOLVED)
		send_segment(own->host, &link, &reset);
	connection->aborted = true;
}

static void after(struct host_connection *connection, unsigned events)
{
	struct host *host = connection->host;
	struct connection *base = &connection->base;
	unsigned final = TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT;

	base->now_us = host->now.now_us;
	if (events & TCP_EVENT_PEER_CLOSED)
		base->peer_closed = true;
	if (events & TCP_EVENT_ESTABLISHED)
		base->application->opened(base);
	base->application->moved(base);
	if (base->aborted) {
		events |= TCP_EVENT_RESET;
	} else {
		tcp_settle(host->tcp, connection->flow, host->now.now_us);
		flush(connection);
	}
	if (events & final) {
		base->reset = events & TCP_EVENT_RESET;
		base->application->ended(base);
		remove_connection(connection);
	}
}

struct connection *host_connect(struct host *host, const struct tuple *tuple,
				const struct application *application, void *state, struct tick now)
{
	uint16_t mss = address_is_ipv4(&tuple->remote) ? 1460 : 1440;
	struct flow *flow = tcp_connect(host->tcp, tuple, mss, now.now_us);

	assert(flow);
	host->now = now;
	return &add(host, flow, application, state)->base;
}

static void syn_ack(struct host *host, const struct half_open_entry *entry)
{
	struct segment segment = {.tuple = entry->tuple,
				  .sequence = entry->handshake.our_isn,
				  .acknowledgment = entry->handshake.client_isn + 1,
				  .flags = TCP_SYN | TCP_ACK,
				  .window = 65535};

	tcp_syn_ack_options(host->tcp, &entry->handshake.options, 1440,
			    entry->handshake.our_timestamp, &segment);
	send_segment(host, &entry->link, &segment);
}

// True when the segment did something for a handshake.
static bool accept_segment(struct host *host, const struct view *view)
{
	struct half_open_entry entry = {.tuple = tcp_tuple_of(view), .link = view->link};
	struct tcp_options options;
	struct tcp_accept accept = {
		.tuple = entry.tuple, .our_mss = 1440, .peer_window = view->window};
	struct flow *flow;
	unsigned events = 0;

	cookie_keys_advance(&host->cookies, host->now.now_us);
	if (view->destination_port != host->listen_port || host->listen_port == 0 ||
	    !options_parse(view->options, view->flags & TCP_SYN, &options))
		return false;
	if (view->flags & TCP_SYN) {
		cookie_make(&host->cookies, &entry.tuple, view->sequence, &options, false,
			    host->now.now_us, &entry.handshake);
		half_open_insert(host->half_open, &entry, tcp_hash(host->tcp, &entry.tuple),
				 host->now.now_us);
		syn_ack(host, &entry);
		return true;
	}
	if (!cookie_check(&host->cookies, &entry.tuple, view->sequence, view->acknowledgment,
			  &options, host->now.now_us, &entry.handshake))
		return false;
	accept.our_isn = entry.handshake.our_isn;
	accept.peer_isn = entry.handshake.client_isn;
	accept.options = entry.handshake.options;
	accept.timestamp_offset = entry.handshake.timestamp_offset;
	flow = tcp_accept(host->tcp, &accept, host->now.now_us);
	if (!flow)
		return false;
	half_open_remove(host->half_open, &entry.tuple, tcp_hash(host->tcp, &entry.tuple));
	struct host_connection *connection =
		add(host, flow, host->listen_application, host->listen_state);
	connection->base.application->opened(&connection->base);
	tcp_input(host->tcp, flow, view, host->now.now_us, &events);
	after(connection, events);
	return true;
}

// The ACK that completes what a SYN to a connection in TIME-WAIT began.
static bool reopens(struct host *host, const struct view *view)
{
	return (view->flags & (TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK &&
	       tcp_time_wait_newer(host->tcp, view) && accept_segment(host, view);
}

static void reset_for(struct host *host, const struct view *view)
{
	struct segment reset;

	if (build_reset_for(view, &reset))
		send_segment(host, &view->link, &reset);
}

void host_receive(struct host *host, struct slice frame, struct tick now)
{
	struct view view;
	struct segment answer;
	unsigned events = 0;

	host->now = now;
	if (host->deaf || packet_parse(&host->port, frame, &view) != REASON_NONE ||
	    packet_verify(&host->port, &view) != REASON_NONE)
		return;
	if (view.kind != VIEW_TCP) {
		net_input(host->net, &view, now, &host->outbox);
		return;
	}
	// A flipped bit in the MAC address brings a neighbour's frame.
	if (!net_is_ours(host->net, &view.destination))
		return;
	struct tuple tuple = tcp_tuple_of(&view);
	struct flow *flow = tcp_find(host->tcp, &tuple);
	if (flow) {
		tcp_input(host->tcp, flow, &view, now.now_us, &events);
		after(tcp_user(flow), events);
		return;
	}
	switch (tcp_time_wait_input(host->tcp, &view, now.now_us, &answer)) {
	case TCP_TIME_WAIT_ANSWER:
		if (!reopens(host, &view))
			send_segment(host, &view.link, &answer);
		return;
	case TCP_TIME_WAIT_DROP:
		reopens(host, &view);
		return;
	default:
		break;
	}
	if (view.flags & TCP_RST) {
		half_open_remove(host->half_open, &tuple, tcp_hash(host->tcp, &tuple));
		return;
	}
	if (host->listen_port == view.destination_port && host->listen_port)
		accept_segment(host, &view);
	else
		reset_for(host, &view);
}

uint64_t host_turn(struct host *host, struct tick now)
{
	const struct half_open_entry *entry;
	struct host_connection *connection = host->connections;
	uint64_t next, deadline;

	if (host->deaf)
		return UINT64_MAX;
	host->now = now;
	host->blocked = false;
	next = net_timeout(host->net, now, &host->outbox);
	while ((entry = half_open_expire(host->half_open, now.now_us)))
		syn_ack(host, entry);
	while (connection) {
		struct host_connection *following = connection->next;
		unsigned events = 0;

		if (tcp_deadline(connection->flow) <= now.now_us)
			tcp_timeout(host->tcp, connection->flow, now.now_us, &events);
		after(connection, events);
		connection = following;
	}
	for (connection = host->connections; connection; connection = connection->next) {
		deadline = tcp_deadline(connection->flow);
		next = deadline < next ? deadline : next;
		deadline = connection->base.application->deadline(&connection->base);
		next = deadline < next ? deadline : next;
	}
	deadline = half_open_next_us(host->half_open);
	next = deadline < next ? deadline : next;
	// Nobody tells when the next hop is known.
	deadline = now.now_us + BLOCKED_RETRY_US;
	return host->blocked && deadline < next ? deadline : next;
}
