// SPDX-License-Identifier: BSD-3-Clause
//
// Ports: a receive and a transmit queue for each worker, as far as the device has them, buffers
// large enough for the MTU in one segment, multicast filters through the device or, where the
// driver has none (AF_XDP, AF_PACKET), through a kernel socket's membership. Owns the mempool and
// the socket. Does not steer (bpf/export) nor poll.

#include "dataplane/io/port.h"

#include "config/policy.h"
#include "dataplane/base/spread.h"
#include "dataplane/io/environment.h"
#include "dataplane/io/rss.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 2048
// Fill ring, receive ring, transmit ring and completion ring of AF_XDP at once, and some in hand.
#define BUFFERS_A_QUEUE (4 * DESCRIPTORS)
#define CACHE           256
// Beyond that, of each of several workers: what it may hold back, and what may lie in its inbox.
#define BUFFERS_A_WORKER (WAITING_MAX + INBOX_MAX + 2 * CACHE)
#define PAGE_BYTES       4096
#define LINK_BYTES       (RTE_ETHER_HDR_LEN + 4) // with one VLAN tag

static int fail(char error[PORT_ERROR_MAX], const struct policy *policy, unsigned index,
		const char *what, int result)
{
	const struct port_settings *settings = &policy->ports[index];

	snprintf(error, PORT_ERROR_MAX, "%s:%u: [port %s] %s: %s: %s", policy->file, settings->line,
		 settings->name, settings->device, what, rte_strerror(-result));
	return result;
}

static unsigned buffer_room(const struct policy *policy, unsigned index)
{
	unsigned room = RTE_PKTMBUF_HEADROOM + policy->ports[index].mtu + LINK_BYTES;

	return room > RTE_MBUF_DEFAULT_BUF_SIZE ? room : RTE_MBUF_DEFAULT_BUF_SIZE;
}

static unsigned buffer_count(const struct policy *policy, unsigned queues)
{
	unsigned workers = policy->gate.workers, count = queues * BUFFERS_A_QUEUE - 1;

	return workers > 1 ? count + workers * BUFFERS_A_WORKER + OUTGOING_MAX : count;
}

uint64_t port_buffer_bytes(const struct policy *policy, unsigned index, unsigned queues)
{
	uint64_t object =
		sizeof(struct rte_mbuf) + buffer_room(policy, index) + RTE_CACHE_LINE_SIZE;

	// By default no object crosses a page that it could lie in.
	object = (object + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
	return buffer_count(policy, queues) * object;
}

// AF_XDP takes the pool's memory as one run of equal frames, count x size. By default a pool leaves
// gaps, so that no object crosses a page (without huge pages that is one object a page), and the
// frames behind the end of that run can neither be sent nor received into.
static struct rte_mempool *create_gapless(const char *name, unsigned count, uint16_t room)
{
	struct rte_mempool *pool =
		rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + room, CACHE,
					 sizeof(struct rte_pktmbuf_pool_private), SOCKET_ID_ANY,
					 RTE_MEMPOOL_F_NO_IOVA_CONTIG);

	if (!pool)
		return NULL;
	rte_pktmbuf_pool_init(pool, NULL);
	if (rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	if (pool->nb_mem_chunks != 1) {
		rte_mempool_free(pool);
		rte_errno = ENOMEM;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

static struct rte_mempool *create_buffers(const struct policy *policy, unsigned index,
					  unsigned queues)
{
	char name[32];
	unsigned room = buffer_room(policy, index), count = buffer_count(policy, queues);

	snprintf(name, sizeof(name), "frames%u", index);
	if (strncmp(policy->ports[index].device, "af_xdp:", 7) == 0)
		return create_gapless(name, count, (uint16_t)room);
	return rte_pktmbuf_pool_create(name, count, CACHE, 0, (uint16_t)room, SOCKET_ID_ANY);
}

// As many queues as there are workers, if the device has them.
static int count_queues(struct port *port, unsigned workers)
{
	struct rte_eth_dev_info info;
	int result = rte_eth_dev_info_get(port->device, &info);

	port->queues = workers;
	if (port->queues > info.max_rx_queues)
		port->queues = info.max_rx_queues;
	if (port->queues > info.max_tx_queues)
		port->queues = info.max_tx_queues;
	return result ? result : port->queues ? 0 : -ENODEV;
}

static int set_up_queues(struct port *port)
{
	unsigned socket = (unsigned)rte_eth_dev_socket_id(port->device);
	uint16_t receive = DESCRIPTORS, transmit = DESCRIPTORS;
	int result = rte_eth_dev_adjust_nb_rx_tx_desc(port->device, &receive, &transmit);

	if (result && result != -ENOTSUP)
		return result;
	result = 0;
	for (uint16_t i = 0; i < port->queues && !result; i++)
		result = rte_eth_rx_queue_setup(port->device, i, receive, socket, NULL,
						port->buffers);
	for (uint16_t i = 0; i < port->queues && !result; i++)
		result = rte_eth_tx_queue_setup(port->device, i, transmit, socket, NULL);
	return result;
}

static int configure(struct port *port, const struct spread *spread, uint16_t mtu)
{
	struct rte_eth_conf configuration = {0};
	struct rss rss;
	uint16_t present = 0;
	int result;

	if (spread && port->queues == spread->workers)
		rss_ask(port->device, spread, &rss, &configuration);
	result = rte_eth_dev_configure(port->device, (uint16_t)port->queues, (uint16_t)port->queues,
				       &configuration);
	if (result)
		return result;
	// Virtual devices differ: some have no MTU to set; one that is large enough is good.
	if (rte_eth_dev_set_mtu(port->device, mtu) &&
	    (rte_eth_dev_get_mtu(port->device, &present) || present < mtu))
		return -ERANGE;
	return set_up_queues(port);
}

// The way of workers without a queue; none is needed when each has one.
static int create_outgoing(struct port *port, unsigned index, unsigned workers)
{
	char name[32];

	port->outgoing = NULL;
	if (port->queues >= workers)
		return 0;
	snprintf(name, sizeof(name), "outgoing%u", index);
	port->outgoing = rte_ring_create(name, OUTGOING_MAX, SOCKET_ID_ANY, RING_F_SC_DEQ);
	return port->outgoing ? 0 : -rte_errno;
}

int port_open(const struct policy *policy, unsigned index, const struct spread *spread,
	      struct port *port, char error[PORT_ERROR_MAX])
{
	const struct port_settings *settings = &policy->ports[index];
	struct rte_ether_addr mac;
	char name[64];
	int result;

	port->group_socket = -1;
	environment_device_name(policy, index, name);
	result = rte_eth_dev_get_port_by_name(name, &port->device);
	if (result)
		return fail(error, policy, index, "DPDK made no device of it", result);
	result = count_queues(port, policy->gate.workers);
	if (result)
		return fail(error, policy, index, "the device has no queues", result);
	port->buffers = create_buffers(policy, index, port->queues);
	if (!port->buffers)
		return fail(error, policy, index, "no memory for packet buffers", -rte_errno);
	result = create_outgoing(port, index, policy->gate.workers);
	if (result) {
		fail(error, policy, index, "no memory for the workers' ring", result);
		goto free_buffers;
	}
	result = configure(port, spread, settings->mtu);
	if (result) {
		fail(error, policy, index,
		     result == -ERANGE ? "the device does not take this Mtu"
				       : "the device's queues cannot be set up",
		     result);
		goto free_outgoing;
	}
	result = rte_eth_dev_start(port->device);
	if (result) {
		fail(error, policy, index, "the device does not start", result);
		goto free_outgoing;
	}
	port->spreads =
		spread && port->queues == spread->workers && rss_install(port->device, spread);
	rte_eth_macaddr_get(port->device, &mac);
	memcpy(port->packet.mac, mac.addr_bytes, sizeof(port->packet.mac));
	port->packet.index = (uint16_t)index;
	port->packet.vlan = settings->vlan;
	port->packet.trust_checksums = settings->trust_checksums;
	return 0;

free_outgoing:
	rte_ring_free(port->outgoing);
free_buffers:
	rte_mempool_free(port->buffers);
	return result;
}

// RFC 2464 section 7.
static void group_mac(const struct address *group, uint8_t mac[6])
{
	mac[0] = 0x33;
	mac[1] = 0x33;
	memcpy(mac + 2, group->bytes + 12, 4);
}

static int join_by_socket(struct port *port, const char *interface, const struct address *groups,
			  unsigned count)
{
	struct packet_mreq request = {.mr_ifindex = (int)if_nametoindex(interface),
				      .mr_type = PACKET_MR_MULTICAST,
				      .mr_alen = 6};

	// Protocol 0: the socket receives nothing, it only holds memberships.
	port->group_socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (port->group_socket < 0)
		return -errno;
	for (unsigned i = 0; i < count; i++) {
		group_mac(&groups[i], request.mr_address);
		if (setsockopt(port->group_socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
			       sizeof(request)))
			return -errno;
	}
	return 0;
}

int port_join(const struct policy *policy, struct port *port, const struct address *groups,
	      unsigned count, char error[PORT_ERROR_MAX])
{
	unsigned index = port->packet.index;
	const char *interface = environment_interface(policy->ports[index].device);
	int result;

	if (count == 0)
		return 0;
	if (interface)
		result = join_by_socket(port, interface, groups, count);
	else
		result = rte_eth_allmulticast_enable(port->device);
	// Devices without filters (vdev) see every frame anyway.
	if (result == 0 || (!interface && result == -ENOTSUP))
		return 0;
	return fail(error, policy, index, "cannot join the neighbour discovery groups", result);
}

void port_close(struct port *port)
{
	if (port->group_socket >= 0)
		close(port->group_socket);
	port->group_socket = -1;
	rte_eth_dev_stop(port->device);
	rte_eth_dev_close(port->device);
	rte_ring_free(port->outgoing);
	rte_mempool_free(port->buffers);
}

uint64_t port_missed(const struct port *port)
{
	struct rte_eth_stats stats;

	return rte_eth_stats_get(port->device, &stats) == 0 ? stats.imissed : 0;
}
