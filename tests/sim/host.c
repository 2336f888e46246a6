// SPDX-License-Identifier: BSD-3-Clause
//
// A simulated host. It accepts with SYN cookies and a half-open cache like the gate does, so that
// no second handshake has to be written and trusted.

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

void host_init(struct host *host, struct wire *wire, enum station towards,
	       struct interface_address *addresses, unsigned count, struct random *random)
{
	struct hash_key key = {{(uint8_t)towards, 7}};
	struct cookie_secret secret = {{{(uint8_t)towards, 9}}};

	memset(host, 0, sizeof(*host));
	host->outbox = (struct outbox){reserve, commit};
	host->wire = wire;
	host->towards = towards;
	host->random = random;
	host->settings = (struct port_settings){.name = (char *)"peer",
						.device = (char *)"vdev:none",
						.addresses = addresses,
						.address_count = count,
						.mtu = 1500};
	host->policy.ports = &host->settings;
	host->policy.port_count = 1;
	memcpy(host->port.mac, (uint8_t[]){2, 0, 0, 0, 0xaa, (uint8_t)towards}, 6);
	host->net = net_create(&host->policy, &host->port, random);
	assert(chunk_pool_init(&host->chunks, 4 << 20) == 0);
	host->tcp = tcp_create(&(struct tcp_settings){.flows = 512,
						      .time_wait_entries = 512,
						      .receive_buffer = 65536,
						      .send_buffer = 65536,
						      .hash_key = key,
						      .chunks = &host->chunks,
						      .random = random});
	host->half_open = half_open_create(256, &key);
	cookie_keys_init(&host->cookies, &secret, 0);
	assert(host->net && host->tcp && host->half_open);
}

static struct connection *add(struct host *host, struct flow *flow,
			      const struct application *application, void *state)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	*connection = (struct connection){host,  flow,  application,      state,
					  false, false, host->connections};
	host->connections = connection;
	tcp_set_user(flow, connection);
	return connection;
}

static void remove_connection(struct connection *connection)
{
	struct host *host = connection->host;
	struct connection **link = &host->connections;

	while (*link != connection)
		link = &(*link)->next;
	*link = connection->next;
	tcp_release(host->tcp, connection->flow, host->now.now_us);
	free(connection);
}

void host_fini(struct host *host)
{
	while (host->connections) {
		host->connections->application->ended(host->connections, TCP_EVENT_RESET);
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

static void flush(struct connection *connection)
{
	struct host *host = connection->host;
	struct segment segment;
	struct link link;

	if (net_next_hop(host->net, &tcp_tuple(connection->flow)->remote, host->now, &host->outbox,
			 &link, NULL) != NEXT_HOP_RESOLVED)
		return;
	while (tcp_output(host->tcp, connection->flow, host->now.now_us, &segment))
		send_segment(host, &link, &segment);
}

void host_abort(struct connection *connection)
{
	struct segment reset;
	struct link link;

	if (tcp_abort(connection->host->tcp, connection->flow, &reset) &&
	    net_next_hop(connection->host->net, &reset.tuple.remote, connection->host->now,
			 &connection->host->outbox, &link, NULL) == NEXT_HOP_RESOLVED)
		send_segment(connection->host, &link, &reset);
	connection->aborted = true;
}

static void after(struct connection *connection, unsigned events)
{
	struct host *host = connection->host;
	unsigned final = TCP_EVENT_CLOSED | TCP_EVENT_RESET | TCP_EVENT_TIMED_OUT;

	if (events & TCP_EVENT_PEER_CLOSED)
		connection->peer_closed = true;
	if (events & TCP_EVENT_ESTABLISHED)
		connection->application->opened(connection);
	connection->application->moved(connection, host->now.now_us);
	if (connection->aborted) {
		events |= TCP_EVENT_RESET;
	} else {
		tcp_settle(host->tcp, connection->flow, host->now.now_us);
		flush(connection);
	}
	if (events & final) {
		connection->application->ended(connection, events & final);
		remove_connection(connection);
	}
}

struct connection *host_connect(struct host *host, const struct tuple *tuple,
				const struct application *application, void *state)
{
	struct flow *flow = tcp_connect(
		host->tcp, tuple, address_is_ipv4(&tuple->remote) ? 1460 : 1440, host->now.now_us);

	return flow ? add(host, flow, application, state) : NULL;
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

static void accept_segment(struct host *host, const struct view *view)
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
		return;
	if (view->flags & TCP_SYN) {
		cookie_make(&host->cookies, &entry.tuple, view->sequence, &options, false,
			    host->now.now_us, &entry.handshake);
		half_open_insert(host->half_open, &entry, host->now.now_us);
		syn_ack(host, &entry);
		return;
	}
	if (!cookie_check(&host->cookies, &entry.tuple, view->sequence, view->acknowledgment,
			  &options, host->now.now_us, &entry.handshake))
		return;
	accept.our_isn = entry.handshake.our_isn;
	accept.peer_isn = entry.handshake.client_isn;
	accept.options = entry.handshake.options;
	accept.timestamp_offset = entry.handshake.timestamp_offset;
	flow = tcp_accept(host->tcp, &accept, host->now.now_us);
	if (!flow)
		return;
	half_open_remove(host->half_open, &entry.tuple);
	struct connection *connection = add(host, flow, host->listen_application, NULL);
	connection->application->opened(connection);
	tcp_input(host->tcp, flow, view, host->now.now_us, &events);
	after(connection, events);
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
		send_segment(host, &view.link, &answer);
		return;
	case TCP_TIME_WAIT_DROP:
		return;
	default:
		break;
	}
	if (view.flags & TCP_RST)
		return;
	if (host->listen_port == view.destination_port && host->listen_port)
		accept_segment(host, &view);
	else
		reset_for(host, &view);
}

uint64_t host_turn(struct host *host, struct tick now)
{
	const struct half_open_entry *entry;
	struct connection *connection = host->connections;
	uint64_t next, deadline;

	host->now = now;
	next = net_timeout(host->net, now, &host->outbox);
	while ((entry = half_open_expire(host->half_open, now.now_us)))
		syn_ack(host, entry);
	while (connection) {
		struct connection *following = connection->next;
		unsigned events = 0;

		if (!host->deaf) {
			if (tcp_deadline(connection->flow) <= now.now_us)
				tcp_timeout(host->tcp, connection->flow, now.now_us, &events);
			after(connection, events);
		}
		connection = following;
	}
	for (connection = host->connections; connection; connection = connection->next) {
		deadline = tcp_deadline(connection->flow);
		next = deadline < next ? deadline : next;
		deadline = connection->application->deadline(connection);
		next = deadline < next ? deadline : next;
	}
	deadline = half_open_next_us(host->half_open);
	return deadline < next ? deadline : next;
}
