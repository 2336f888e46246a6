// SPDX-License-Identifier: BSD-3-Clause
//
// Connections in TIME-WAIT (RFC 9293 3.6.1) without their flows: 64-byte records in a ring. All
// live equally long, so the ring is ordered by expiry: the oldest is at its head, and a full ring
// gives that one up. A record that is removed early, by a new connection of its tuple, keeps its
// place until its turn: the ring needs one place for each connection that ended in the last minute.
// The life is not prolonged by a repeated FIN: that would need reordering, and the peer's next
// repetition finds no flow and ends with RST, which is what it wants: to be gone.
#include "dataplane/base/block.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/tcp/flow.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TIME_WAIT_MS 60000u // 2 MSL, MSL of 30 s as everybody has it

struct record {
	struct tuple tuple;
	uint32_t next;       // in its bucket
	uint32_t our_next;   // SND.NXT
	uint32_t their_next; // RCV.NXT
	uint32_t ts_recent;
	uint32_t ts_offset;
	uint32_t expires_ms; // low 32 bits
	bool live;
	bool timestamps;
};
_Static_assert(sizeof(struct record) <= 64, "a record is one cache line");

struct time_wait {
	struct hash_key key;
	struct record *records;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t capacity;
	uint32_t head;     // the oldest
	uint32_t occupied; // live and dead ones in the ring
	uint32_t live;
	uint64_t evictions;
};

struct time_wait *time_wait_create(uint32_t entries, const struct hash_key *key)
{
	struct time_wait *time_wait = calloc(1, sizeof(*time_wait));
	uint32_t buckets = 1;

	if (time_wait == NULL)
		return NULL;
	// Many more than records: each new connection looks here in vain, and should touch none.
	while (buckets < 4ull * entries && buckets < (1u << 31))
		buckets <<= 1;
	time_wait->key = *key;
	time_wait->capacity = entries;
	time_wait->bucket_mask = buckets - 1;
	time_wait->buckets = block_allocate((size_t)buckets * sizeof(time_wait->buckets[0]));
	time_wait->records = block_allocate(((size_t)entries + 1) * 64);
	if (time_wait->buckets == NULL || time_wait->records == NULL) {
		time_wait_destroy(time_wait);
		return NULL;
	}
	memset(time_wait->buckets, 0xff, (size_t)buckets * sizeof(time_wait->buckets[0]));
	return time_wait;
}

void time_wait_destroy(struct time_wait *time_wait)
{
	if (time_wait == NULL)
		return;
	free(time_wait->records);
	free(time_wait->buckets);
	free(time_wait);
}

static uint32_t *bucket_at(const struct time_wait *time_wait, uint32_t hash)
{
	return &time_wait->buckets[hash & time_wait->bucket_mask];
}

static uint32_t *bucket_of(const struct time_wait *time_wait, const struct tuple *tuple)
{
	return bucket_at(time_wait, (uint32_t)hash_tuple(&time_wait->key, tuple));
}

void time_wait_prefetch(const struct time_wait *time_wait, uint32_t hash)
{
	prefetch(bucket_at(time_wait, hash), 1);
}

static struct record *find_in(const struct time_wait *time_wait, uint32_t first,
			      const struct tuple *tuple)
{
	for (uint32_t i = first; i != FLOW_NONE; i = time_wait->records[i].next) {
		if (tuple_equal(&time_wait->records[i].tuple, tuple))
			return &time_wait->records[i];
	}
	return NULL;
}

static struct record *find(const struct time_wait *time_wait, const struct tuple *tuple)
{
	if (time_wait->live == 0)
		return NULL;
	return find_in(time_wait, *bucket_of(time_wait, tuple), tuple);
}

bool tcp_time_wait_likely(const struct tcp *tcp, uint32_t hash)
{
	return *bucket_at(tcp->time_wait, hash) != FLOW_NONE;
}

// Takes a live record out of its bucket; its place in the ring stays.
static void kill_record(struct time_wait *time_wait, struct record *record)
{
	uint32_t index = (uint32_t)(record - time_wait->records);
	uint32_t *link = bucket_of(time_wait, &record->tuple);

	while (*link != index) {
		assert(*link != FLOW_NONE);
		link = &time_wait->records[*link].next;
	}
	*link = record->next;
	record->live = false;
	time_wait->live--;
}

static void drop_head(struct time_wait *time_wait)
{
	struct record *record = &time_wait->records[time_wait->head];

	if (record->live)
		kill_record(time_wait, record);
	if (++time_wait->head == time_wait->capacity)
		time_wait->head = 0;
	time_wait->occupied--;
	// At a high rate the next ones leave soon, and nobody touched them for a minute.
	prefetch(&time_wait->records[time_wait->head], sizeof(struct record));
}

void time_wait_advance(struct time_wait *time_wait, uint64_t now_us)
{
	uint32_t now_ms = (uint32_t)(now_us / 1000);

	while (time_wait->occupied > 0) {
		const struct record *record = &time_wait->records[time_wait->head];

		if (record->live && seq_before(now_ms, record->expires_ms))
			return;
		drop_head(time_wait);
	}
}

void time_wait_insert(struct time_wait *time_wait, const struct flow *flow, uint64_t now_us)
{
	time_wait_advance(time_wait, now_us);
	if (time_wait->capacity == 0) {
		time_wait->evictions++;
		return;
	}
	if (time_wait->occupied == time_wait->capacity) {
		time_wait->evictions++; // the head is live, or advance had taken it
		drop_head(time_wait);
	}

	uint32_t index = time_wait->head + time_wait->occupied;
	if (index >= time_wait->capacity)
		index -= time_wait->capacity;
	uint32_t *bucket = bucket_at(time_wait, flow->hash);

	time_wait->records[index] = (struct record){
		.tuple = flow->tuple,
		.next = *bucket,
		.our_next = flow->snd_nxt,
		.their_next = flow->rcv_nxt,
		.ts_recent = flow->ts_recent,
		.ts_offset = flow->ts_offset,
		.expires_ms = (uint32_t)(now_us / 1000) + TIME_WAIT_MS,
		.live = true,
		.timestamps = flow->flags & FLOW_TIMESTAMPS,
	};
	*bucket = index;
	time_wait->occupied++;
	time_wait->live++;
}

bool time_wait_holds(const struct time_wait *time_wait, const struct tuple *tuple)
{
	return find(time_wait, tuple) != NULL;
}

void time_wait_remove(struct time_wait *time_wait, const struct flow *flow)
{
	struct record *record = find_in(time_wait, *bucket_at(time_wait, flow->hash), &flow->tuple);

	if (record != NULL)
		kill_record(time_wait, record);
}

// May this segment belong to a new connection? Its sequence numbers or its timestamps must be
// beyond those of the old one, so that no segment of the old one can be taken for the new one's
// (RFC 6191).
static bool is_newer(const struct record *record, const struct view *view,
		     const struct tcp_options *options)
{
	if (record->timestamps && options->timestamps &&
	    options->timestamp_value != record->ts_recent)
		return seq_after(options->timestamp_value, record->ts_recent);
	return seq_after(view->sequence, record->their_next);
}

static void fill_answer(const struct tcp *tcp, const struct record *record, uint64_t now_us,
			struct segment *answer)
{
	*answer = (struct segment){
		.tuple = record->tuple,
		.sequence = record->our_next,
		.acknowledgment = record->their_next,
		.window = (uint16_t)min_u32(tcp->settings.receive_buffer, UINT16_MAX),
		.flags = TCP_ACK,
	};
	if (record->timestamps) {
		struct tcp_options options = {
			.window_scale = TCP_NO_WINDOW_SCALE,
			.timestamps = true,
			.timestamp_value = (uint32_t)(now_us / 1000) + record->ts_offset,
			.timestamp_echo = record->ts_recent,
		};
		answer->options_length = options_write(&options, answer->options);
	}
}

enum tcp_time_wait tcp_time_wait_input(struct tcp *tcp, const struct view *view, uint64_t now_us,
				       struct segment *answer)
{
	struct tuple tuple = tcp_tuple_of(view);
	struct tcp_options options;

	time_wait_advance(tcp->time_wait, now_us);
	const struct record *record = find(tcp->time_wait, &tuple);
	if (record == NULL)
		return TCP_TIME_WAIT_NONE;
	// RFC 1337: a stray RST must not end the quiet time.
	if (view->flags & TCP_RST)
		return TCP_TIME_WAIT_DROP;
	if (!options_parse(view->options, view->flags & TCP_SYN, &options))
		return TCP_TIME_WAIT_DROP;
	if ((view->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && is_newer(record, view, &options))
		return TCP_TIME_WAIT_REOPEN;
	// A bare ACK needs no answer, and answering could start a war of ACKs. Whatever occupies
	// sequence numbers (the FIN again, because our ACK was lost) is told where we are.
	if (view->payload.length == 0 && !(view->flags & (TCP_FIN | TCP_SYN)))
		return TCP_TIME_WAIT_DROP;
	fill_answer(tcp, record, now_us, answer);
	return TCP_TIME_WAIT_ANSWER;
}

bool tcp_time_wait_newer(const struct tcp *tcp, const struct view *view)
{
	struct tuple tuple = tcp_tuple_of(view);
	const struct record *record = find(tcp->time_wait, &tuple);
	struct tcp_options options;

	return record != NULL && options_parse(view->options, false, &options) &&
	       is_newer(record, view, &options);
}

uint32_t tcp_time_wait_used(const struct tcp *tcp)
{
	return tcp->time_wait->live;
}

uint64_t tcp_take_evictions(struct tcp *tcp)
{
	uint64_t evictions = tcp->time_wait->evictions;

	tcp->time_wait->evictions = 0;
	return evictions;
}
