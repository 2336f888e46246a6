// SPDX-License-Identifier: BSD-3-Clause
//
// Rings of mbufs and a futex beside each. Owns the rings, not what is in them.

#include "dataplane/io/inbox.h"

#include "dataplane/io/port.h"

#include <linux/futex.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct inbox {
	struct rte_ring *ring;
	_Atomic uint32_t asleep; // its worker sleeps, or is about to
} __attribute__((aligned(RTE_CACHE_LINE_SIZE)));

struct inboxes {
	unsigned workers;
	struct inbox of[];
};

struct inboxes *inboxes_create(unsigned workers)
{
	size_t size = sizeof(struct inboxes) + workers * sizeof(struct inbox);
	struct inboxes *inboxes = aligned_alloc(_Alignof(struct inboxes), size);

	if (!inboxes)
		return NULL;
	memset(inboxes, 0, size);
	for (; inboxes->workers < workers; inboxes->workers++) {
		struct inbox *inbox = &inboxes->of[inboxes->workers];
		char name[32];

		snprintf(name, sizeof(name), "inbox%u", inboxes->workers);
		inbox->ring = rte_ring_create(name, INBOX_MAX, SOCKET_ID_ANY, RING_F_SC_DEQ);
		if (!inbox->ring) {
			inboxes_destroy(inboxes);
			return NULL;
		}
	}
	return inboxes;
}

void inboxes_destroy(struct inboxes *inboxes)
{
	if (!inboxes)
		return;
	while (inboxes->workers > 0)
		rte_ring_free(inboxes->of[--inboxes->workers].ring);
	free(inboxes);
}

bool inboxes_put(struct inboxes *inboxes, unsigned worker, struct rte_mbuf *frame)
{
	if (rte_ring_mp_enqueue(inboxes->of[worker].ring, frame))
		return false;
	inboxes_wake(inboxes, worker);
	return true;
}

unsigned inboxes_take(struct inboxes *inboxes, unsigned worker, struct rte_mbuf **frames,
		      unsigned max)
{
	return rte_ring_sc_dequeue_burst(inboxes->of[worker].ring, (void **)frames, max, NULL);
}

void inboxes_wake(struct inboxes *inboxes, unsigned worker)
{
	_Atomic uint32_t *asleep = &inboxes->of[worker].asleep;

	if (atomic_load_explicit(asleep, memory_order_relaxed) && atomic_exchange(asleep, 0))
		syscall(SYS_futex, asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void inboxes_sleep_begin(struct inboxes *inboxes, unsigned worker)
{
	atomic_store(&inboxes->of[worker].asleep, 1);
}

void inboxes_sleep(struct inboxes *inboxes, unsigned worker, const struct timespec *pause)
{
	struct inbox *inbox = &inboxes->of[worker];

	if (pause && rte_ring_empty(inbox->ring))
		syscall(SYS_futex, &inbox->asleep, FUTEX_WAIT_PRIVATE, 1, pause, NULL, 0);
	atomic_store_explicit(&inbox->asleep, 0, memory_order_relaxed);
}
