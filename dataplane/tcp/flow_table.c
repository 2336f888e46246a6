// SPDX-License-Identifier: BSD-3-Clause
//
// Tuple -> flow: buckets of chains of 32-bit flow indexes, linked through the flows themselves.
// Not rte_hash: it keeps a second copy of each key, needs EAL for its memory, and a test could not
// have it. Here the memory is exactly one index a bucket, the keyed hash keeps chains short against
// a peer who chooses its ports, and insertion cannot fail. Owns the flows' pool.
#include "dataplane/base/block.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/tcp/flow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Smallest power of two that is not below count.
static uint32_t buckets_for(uint32_t count)
{
	uint32_t buckets = 1;

	while (buckets < count && buckets < (1u << 31))
		buckets <<= 1;
	return buckets;
}

int flow_table_init(struct tcp *tcp)
{
	// Many more than flows: the first one in a bucket is then nearly always the one that is
	// meant, so that what is fetched ahead is what is needed.
	uint32_t buckets = buckets_for(4 * tcp->settings.flows);

	if (pool_init(&tcp->flows, sizeof(struct flow), tcp->settings.flows) != 0)
		return -ENOMEM;
	tcp->buckets = block_allocate((size_t)buckets * sizeof(tcp->buckets[0]));
	if (tcp->buckets == NULL) {
		pool_fini(&tcp->flows);
		return -ENOMEM;
	}
	memset(tcp->buckets, 0xff, (size_t)buckets * sizeof(tcp->buckets[0])); // all FLOW_NONE
	tcp->bucket_mask = buckets - 1;
	return 0;
}

void flow_table_fini(struct tcp *tcp)
{
	free(tcp->buckets);
	pool_fini(&tcp->flows);
}

static struct flow *find(const struct tcp *tcp, const struct tuple *tuple, uint32_t hash)
{
	uint32_t index = tcp->buckets[hash & tcp->bucket_mask];

	while (index != FLOW_NONE) {
		struct flow *flow = pool_at(&tcp->flows, index);

		if (flow->hash == hash && tuple_equal(&flow->tuple, tuple))
			return flow;
		index = flow->next;
	}
	return NULL;
}

uint32_t tcp_hash(const struct tcp *tcp, const struct tuple *tuple)
{
	return (uint32_t)hash_tuple(&tcp->settings.hash_key, tuple);
}

void tcp_hash_all(const struct tcp *tcp, const struct tuple *const tuples[], unsigned count,
		  uint64_t hashes[])
{
	hash_tuples(&tcp->settings.hash_key, tuples, NULL, count, hashes);
}

void tcp_prefetch_bucket(const struct tcp *tcp, uint32_t hash)
{
	prefetch(&tcp->buckets[hash & tcp->bucket_mask], 1);
}

static struct flow *first_in_bucket(const struct tcp *tcp, uint32_t hash)
{
	uint32_t index = tcp->buckets[hash & tcp->bucket_mask];

	return index == FLOW_NONE ? NULL : pool_at(&tcp->flows, index);
}

void tcp_prefetch_flow(const struct tcp *tcp, uint32_t hash)
{
	const struct flow *flow = first_in_bucket(tcp, hash);

	if (flow)
		prefetch(flow, sizeof(*flow));
	else
		time_wait_prefetch(tcp->time_wait, hash); // a handshake, likely
}

const void *tcp_likely_user(const struct tcp *tcp, uint32_t hash)
{
	const struct flow *flow = first_in_bucket(tcp, hash);

	if (!flow)
		return NULL;
	// Its last reply is likely acknowledged now, and the next one then takes its chunk.
	chunk_queue_prefetch(&flow->send);
	return flow->user;
}

struct flow *tcp_find_hashed(const struct tcp *tcp, const struct tuple *tuple, uint32_t hash)
{
	return find(tcp, tuple, hash);
}

struct flow *tcp_find(const struct tcp *tcp, const struct tuple *tuple)
{
	return find(tcp, tuple, tcp_hash(tcp, tuple));
}

void flow_table_insert(struct tcp *tcp, struct flow *flow)
{
	flow->hash = tcp_hash(tcp, &flow->tuple);
	assert(find(tcp, &flow->tuple, flow->hash) == NULL);

	uint32_t *bucket = &tcp->buckets[flow->hash & tcp->bucket_mask];
	flow->next = *bucket;
	*bucket = pool_index(&tcp->flows, flow);
}

void flow_table_remove(struct tcp *tcp, struct flow *flow)
{
	uint32_t index = pool_index(&tcp->flows, flow);
	uint32_t *link = &tcp->buckets[flow->hash & tcp->bucket_mask];

	while (*link != index) {
		assert(*link != FLOW_NONE);
		link = &((struct flow *)pool_at(&tcp->flows, *link))->next;
	}
	*link = flow->next;
}
