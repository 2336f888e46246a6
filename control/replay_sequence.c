// SPDX-License-Identifier: BSD-3-Clause
//
// The table of connections and the two maps of each, for sequence numbers and for timestamps. Owns
// the table only. Sequence numbers are modulo 2^32: every comparison is a signed distance.
#include "control/replay_sequence.h"

#include "dataplane/net/checksum.h"
#include "dataplane/net/wire.h"
#include "dataplane/tcp/options.h"

#include <stdlib.h>
#include <sys/queue.h>

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_WINDOW_SCALE = 3,
	OPTION_SACK_PERMITTED = 4,
	OPTION_SACK = 5,
	OPTION_TIMESTAMPS = 8
};
// Options that a handshake went without.
enum { NO_TIMESTAMPS = 1, NO_WINDOW_SCALE = 2, NO_SACK = 4, LACKS = 7 };
enum { TIMESTAMPS_BYTES = 10, TIMESTAMPS_ECHO = 6, SACK_BLOCK_BYTES = 8 };
enum { TCP_ACKNOWLEDGMENT = 8, TCP_CHECKSUM = 16 }; // offsets in the header

// What one of both servers has sent.
struct side {
	bool known;
	uint32_t first; // ISN + 1
	uint32_t end;   // one past the last number sent
	bool has_clock;
	uint32_t clock_first, clock_last; // TSvals
};

struct connection {
	struct tuple tuple; // local = the server's
	uint32_t client_isn;
	struct side captured, gate;
	bool acknowledged; // the client has completed the captured handshake
	// The last ACK mapped: this number of the captured server became that of the gate.
	uint32_t captured_mark, gate_mark;
	LIST_ENTRY(connection) bucket;
	TAILQ_ENTRY(connection) age;
};

LIST_HEAD(bucket, connection);
TAILQ_HEAD(ages, connection);

struct replay_sequence {
	struct hash_key key;
	struct connection *connections;
	uint32_t count, used, mask;
	uint64_t forgotten;
	struct bucket *buckets;
	struct ages ages; // the longest silent first
	// Of a handshake, by its hash: the hash, with what it lacks in the lowest bits.
	uint64_t *foreseen; // [mask + 1]
};

// How far a lies behind b; negative when it lies before it.
static int32_t distance(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

struct replay_sequence *replay_sequence_create(uint32_t connections, const struct hash_key *key)
{
	struct replay_sequence *sequence = calloc(1, sizeof(*sequence));
	uint32_t buckets = 1;

	if (!sequence)
		return NULL;
	while (buckets < connections)
		buckets *= 2;
	sequence->key = *key;
	sequence->count = connections;
	sequence->mask = buckets - 1;
	sequence->connections = calloc(connections, sizeof(*sequence->connections));
	sequence->buckets = calloc(buckets, sizeof(*sequence->buckets));
	TAILQ_INIT(&sequence->ages);
	sequence->foreseen = calloc(buckets, sizeof(*sequence->foreseen));
	if (sequence->connections && sequence->buckets && sequence->foreseen)
		return sequence;
	replay_sequence_destroy(sequence);
	return NULL;
}

void replay_sequence_destroy(struct replay_sequence *sequence)
{
	if (!sequence)
		return;
	free(sequence->connections);
	free(sequence->buckets);
	free(sequence->foreseen);
	free(sequence);
}

uint64_t replay_sequence_forgotten(const struct replay_sequence *sequence)
{
	return sequence->forgotten;
}

// ---- The table -------------------------------------------------------------------------------

static struct bucket *bucket_of(const struct replay_sequence *sequence, const struct tuple *tuple)
{
	return &sequence->buckets[hash_tuple(&sequence->key, tuple) & sequence->mask];
}

static struct connection *find(struct replay_sequence *sequence, const struct tuple *tuple)
{
	struct connection *connection;

	LIST_FOREACH(connection, bucket_of(sequence, tuple), bucket)
	if (tuple_equal(&connection->tuple, tuple)) {
		TAILQ_REMOVE(&sequence->ages, connection, age);
		TAILQ_INSERT_TAIL(&sequence->ages, connection, age);
		return connection;
	}
	return NULL;
}

static struct connection *add(struct replay_sequence *sequence, const struct tuple *tuple)
{
	struct connection *connection;

	if (sequence->used < sequence->count) {
		connection = &sequence->connections[sequence->used++];
	} else {
		connection = TAILQ_FIRST(&sequence->ages);
		TAILQ_REMOVE(&sequence->ages, connection, age);
		LIST_REMOVE(connection, bucket);
		sequence->forgotten++;
	}
	connection->tuple = *tuple;
	LIST_INSERT_HEAD(bucket_of(sequence, tuple), connection, bucket);
	TAILQ_INSERT_TAIL(&sequence->ages, connection, age);
	return connection;
}

// A client's SYN: a new connection, unless it is the same SYN again.
static void begin(struct replay_sequence *sequence, const struct tuple *tuple, uint32_t client_isn)
{
	struct connection *connection = find(sequence, tuple);

	if (connection && connection->client_isn == client_isn)
		return;
	if (!connection)
		connection = add(sequence, tuple);
	connection->client_isn = client_isn;
	connection->captured = connection->gate = (struct side){0};
	connection->acknowledged = false;
	connection->captured_mark = connection->gate_mark = 0;
}

// ---- What the handshake agreed on ---------------------------------------------------------------

static struct tuple tuple_from_client(const struct view *view)
{
	return (struct tuple){.local = view->destination,
			      .remote = view->source,
			      .local_port = view->destination_port,
			      .remote_port = view->source_port};
}

static struct tuple tuple_from_server(const struct view *view)
{
	return (struct tuple){.local = view->source,
			      .remote = view->destination,
			      .local_port = view->source_port,
			      .remote_port = view->destination_port};
}

static uint64_t handshake_hash(const struct replay_sequence *sequence, const struct tuple *tuple,
			       uint32_t client_isn)
{
	return hash_tuple_with(&sequence->key, tuple, client_isn) & ~(uint64_t)LACKS;
}

static uint64_t *foreseen_at(const struct replay_sequence *sequence, uint64_t hash)
{
	return &sequence->foreseen[hash >> 32 & sequence->mask];
}

static unsigned lacking(const struct view *view, bool syn)
{
	struct tcp_options options;
	unsigned lacks = 0;

	options_parse(view->options, syn, &options); // what was read before a fault counts
	if (!options.timestamps)
		lacks |= NO_TIMESTAMPS;
	if (syn && options.window_scale == TCP_NO_WINDOW_SCALE)
		lacks |= NO_WINDOW_SCALE;
	if (syn && !options.sack_permitted)
		lacks |= NO_SACK;
	return lacks;
}

void replay_sequence_foresee(struct replay_sequence *sequence, const struct view *view)
{
	bool syn = view->flags & TCP_SYN;
	struct tuple tuple = syn ? tuple_from_server(view) : tuple_from_client(view);
	uint32_t client_isn = (syn ? view->acknowledgment : view->sequence) - 1;
	uint64_t hash = handshake_hash(sequence, &tuple, client_isn);
	uint64_t *at = foreseen_at(sequence, hash);
	unsigned lacks = 0;

	if ((view->flags & (TCP_ACK | TCP_RST | TCP_FIN)) != TCP_ACK || view->payload.length > 0)
		return;
	lacks = lacking(view, syn);
	// A SYN-ACK knows more than the ACK after it.
	if (lacks && ((*at & ~(uint64_t)LACKS) != hash || syn))
		*at = hash | lacks;
}

// ---- What both servers send -------------------------------------------------------------------

static void note(struct side *side, const struct view *view)
{
	uint32_t end = view->sequence + (uint32_t)view->payload.length + !!(view->flags & TCP_SYN) +
		       !!(view->flags & TCP_FIN);
	struct tcp_options options;

	if (view->flags & TCP_RST) // its number is the peer's word
		return;
	// A SYN cookie may change while nothing else was sent.
	if (view->flags & TCP_SYN && (!side->known || side->end == side->first))
		*side = (struct side){.known = true, .first = end, .end = end};
	if (!side->known)
		return;
	if (distance(end, side->end) > 0)
		side->end = end;
	if (!options_parse(view->options, false, &options) || !options.timestamps)
		return;
	if (!side->has_clock)
		side->clock_first = side->clock_last = options.timestamp_value;
	side->has_clock = true;
	if (distance(options.timestamp_value, side->clock_last) > 0)
		side->clock_last = options.timestamp_value;
}

// The connection of a segment that a server sent.
static struct connection *find_sent(struct replay_sequence *sequence, const struct view *view)
{
	struct tuple tuple = tuple_from_server(view);

	return find(sequence, &tuple);
}

void replay_sequence_server(struct replay_sequence *sequence, const struct view *view)
{
	struct connection *connection = find_sent(sequence, view);

	if (connection)
		note(&connection->captured, view);
}

void replay_sequence_gate(struct replay_sequence *sequence, const struct view *view)
{
	struct connection *connection = find_sent(sequence, view);

	if (!connection)
		return;
	note(&connection->gate, view);
	if (!connection->acknowledged)
		connection->gate_mark = connection->gate.first;
}

// ---- The map ---------------------------------------------------------------------------------

// The captured server as its client's ACK shows it, where it was not seen itself.
static void learn(struct connection *connection, uint32_t acknowledgment)
{
	struct side *captured = &connection->captured;
	int32_t ahead = distance(acknowledgment, captured->end);

	if (!captured->known)
		*captured = (struct side){
			.known = true, .first = acknowledgment, .end = acknowledgment};
	else if (connection->acknowledged && ahead > 0 && ahead <= (int32_t)SEQUENCE_UNSEEN_MAX)
		captured->end = acknowledgment;
	if (!connection->acknowledged)
		connection->captured_mark = captured->first;
}

static uint32_t map(const struct connection *connection, uint32_t number)
{
	const struct side *captured = &connection->captured, *gate = &connection->gate;
	uint32_t captured_mark = connection->captured_mark, gate_mark = connection->gate_mark;

	if (distance(number, captured->end) >= 0)
		return gate->end + (number - captured->end);
	if (distance(number, captured->first) < 0)
		return gate->first - (captured->first - number);
	if (distance(number, captured_mark) >= 0)
		return gate_mark + least(number - captured_mark, gate->end - gate_mark);
	return gate_mark - least(captured_mark - number, gate_mark - gate->first);
}

static uint32_t map_acknowledgment(struct connection *connection, uint32_t acknowledgment)
{
	uint32_t mapped;

	learn(connection, acknowledgment);
	mapped = map(connection, acknowledgment);
	// Of the server's own numbers only, so that an impossible ACK moves nothing.
	if (distance(acknowledgment, connection->captured.first) < 0 ||
	    distance(acknowledgment, connection->captured.end) > 0)
		return mapped;
	connection->acknowledged = true;
	if (distance(mapped, connection->gate_mark) >= 0) {
		connection->captured_mark = acknowledgment;
		connection->gate_mark = mapped;
	}
	return mapped;
}

static uint32_t map_echo(struct connection *connection, uint32_t echo)
{
	struct side *captured = &connection->captured, *gate = &connection->gate;
	int32_t passed;

	if (!gate->has_clock)
		return echo;
	if (!captured->has_clock) {
		captured->has_clock = true;
		captured->clock_first = echo;
	}
	passed = distance(echo, captured->clock_first);
	if (passed <= 0)
		return gate->clock_first + (uint32_t)passed;
	return gate->clock_first + least((uint32_t)passed, gate->clock_last - gate->clock_first);
}

// ---- The frame -------------------------------------------------------------------------------

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 24);
	at[1] = (uint8_t)(value >> 16);
	at[2] = (uint8_t)(value >> 8);
	at[3] = (uint8_t)value;
}

// Blocks that are nothing of the gate's say nothing: the option becomes padding.
static void alter_sack(const struct connection *connection, uint8_t *option, uint8_t length)
{
	bool sound = (length - 2) % SACK_BLOCK_BYTES == 0;

	for (uint8_t at = 2; sound && at < length; at += SACK_BLOCK_BYTES) {
		uint32_t start = map(connection, get32(option + at));
		uint32_t end = map(connection, get32(option + at + 4));

		sound = distance(end, start) > 0 && distance(connection->gate.end, end) >= 0;
		put32(option + at, start);
		put32(option + at + 4, end);
	}
	if (!sound)
		memset(option, OPTION_NOP, length);
}

// The option at or after *at that is no padding; *at is then behind it. NULL when there is none.
static uint8_t *next_option(uint8_t *options, size_t length, size_t *at)
{
	uint8_t *option;

	while (*at < length && options[*at] == OPTION_NOP)
		++*at;
	option = options + *at;
	// stops options that end past the header, or never
	if (length - *at < 2 || option[0] == OPTION_END || option[1] < 2 ||
	    option[1] > length - *at)
		return NULL;
	*at += option[1];
	return option;
}

static void alter_options(struct connection *connection, uint8_t *options, size_t length)
{
	uint8_t *option;
	size_t at = 0;

	while ((option = next_option(options, length, &at))) {
		if (option[0] == OPTION_TIMESTAMPS && option[1] == TIMESTAMPS_BYTES)
			put32(option + TIMESTAMPS_ECHO,
			      map_echo(connection, get32(option + TIMESTAMPS_ECHO)));
		else if (option[0] == OPTION_SACK)
			alter_sack(connection, option, option[1]);
	}
}

static void withdraw_options(uint8_t *options, size_t length, unsigned lacks)
{
	static const uint8_t needed[] = {[OPTION_TIMESTAMPS] = NO_TIMESTAMPS,
					 [OPTION_WINDOW_SCALE] = NO_WINDOW_SCALE,
					 [OPTION_SACK_PERMITTED] = NO_SACK};
	uint8_t *option;
	size_t at = 0;

	while ((option = next_option(options, length, &at)))
		if (option[0] < sizeof(needed) && needed[option[0]] & lacks)
			memset(option, OPTION_NOP, option[1]);
}

static bool checksum_is_good(const struct view *view)
{
	size_t length = view->frame.length - view->transport_offset;
	uint64_t sum = checksum_add_pseudo(0, view->frame.data + view->network_offset, PROTOCOL_TCP,
					   (uint32_t)length);

	return checksum_good(checksum_add(sum, view->frame.data + view->transport_offset, length));
}

static void restore_checksum(const struct view *view, uint8_t *field, bool was_good)
{
	size_t length = view->frame.length - view->transport_offset;
	uint64_t sum;

	if (!was_good) {
		// What is altered could make it good by chance.
		if (checksum_is_good(view))
			field[0] ^= 0x55;
		return;
	}
	field[0] = field[1] = 0;
	sum = checksum_add_pseudo(0, view->frame.data + view->network_offset, PROTOCOL_TCP,
				  (uint32_t)length);
	checksum_store(field, checksum_add(sum, view->frame.data + view->transport_offset, length));
}

static void alter_syn(struct replay_sequence *sequence, const struct view *view, uint8_t *segment)
{
	struct tuple tuple = tuple_from_client(view);
	uint64_t hash = handshake_hash(sequence, &tuple, view->sequence);
	uint64_t foreseen = *foreseen_at(sequence, hash);
	bool good = checksum_is_good(view);

	begin(sequence, &tuple, view->sequence);
	if ((foreseen & ~(uint64_t)LACKS) != hash)
		return;
	withdraw_options(segment + TCP_HEADER_BYTES, view->options.length, foreseen & LACKS);
	restore_checksum(view, segment + TCP_CHECKSUM, good);
}

void replay_sequence_client(struct replay_sequence *sequence, const struct view *view,
			    bool believed, uint8_t *frame)
{
	struct tuple tuple = tuple_from_client(view);
	uint8_t *segment = frame + view->transport_offset;
	struct connection *connection;
	bool good;

	if ((view->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN)
		alter_syn(sequence, view, segment);
	if (!(view->flags & TCP_ACK))
		return;
	connection = find(sequence, &tuple);
	if (!connection || !connection->gate.known)
		return;
	good = checksum_is_good(view);
	put32(segment + TCP_ACKNOWLEDGMENT,
	      believed ? map_acknowledgment(connection, view->acknowledgment)
		       : map(connection, view->acknowledgment));
	alter_options(connection, segment + TCP_HEADER_BYTES, view->options.length);
	restore_checksum(view, segment + TCP_CHECKSUM, good);
}
