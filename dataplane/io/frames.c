// SPDX-License-Identifier: BSD-3-Clause
//
// See frames.h. What a plain mbuf is, is asked of its first cache line alone: one segment, one
// reference, bytes of its own. Does not know what is done with the frames between.

#include "dataplane/io/frames.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#define NOT_PLAIN (RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)

// What the driver took out of the frame goes back in; a chain becomes one piece. A frame that
// cannot be made whole is counted as a runt.
static struct slice whole_frame(struct rte_mbuf **mbuf)
{
	if (((*mbuf)->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED && rte_vlan_insert(mbuf)) ||
	    rte_pktmbuf_linearize(*mbuf))
		return slice_of(NULL, 0);
	return slice_of(rte_pktmbuf_mtod(*mbuf, const uint8_t *), (*mbuf)->data_len);
}

bool frames_show(struct rte_mbuf *mbufs[], unsigned count, struct slice frames[])
{
	uintptr_t pool = count ? (uintptr_t)mbufs[0]->pool : 0;
	uint64_t odd = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct rte_mbuf *mbuf = mbufs[i];

		odd |= mbuf->ol_flags & NOT_PLAIN;
		odd |= (mbuf->nb_segs ^ 1u) | (rte_mbuf_refcnt_read(mbuf) ^ 1u);
		odd |= (uintptr_t)mbuf->pool ^ pool;
		frames[i] = slice_of(rte_pktmbuf_mtod(mbuf, const uint8_t *), mbuf->data_len);
	}
	if (!odd)
		return true;
	for (unsigned i = 0; i < count; i++)
		frames[i] = whole_frame(&mbufs[i]);
	return false;
}

void frames_release(struct rte_mbuf *mbufs[], unsigned count, bool plain)
{
	if (plain && count)
		rte_mempool_put_bulk(mbufs[0]->pool, (void *const *)mbufs, count);
	else
		rte_pktmbuf_free_bulk(mbufs, count);
}
