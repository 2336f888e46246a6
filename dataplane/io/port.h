// SPDX-License-Identifier: BSD-3-Clause
//
// One port of the policy as a DPDK Ethernet device: buffers, queues, start, filters, stop. Worker i
// has queue i if the device has so many.
// Cold path; errors are -errno and one line for a person.
#ifndef RELAYGATE_IO_PORT_H
#define RELAYGATE_IO_PORT_H

#include "dataplane/net/packet.h"

#include <stddef.h>

struct policy;
struct rte_mempool;
struct rte_ring;
struct spread;

#define PORT_ERROR_MAX 320
// Frames that may wait: for one port's transmit queue, in a worker; for a worker, in its inbox; for
// worker 0 to send them through one port.
#define WAITING_MAX  512
#define INBOX_MAX    2048
#define OUTGOING_MAX 1024

struct port {
	uint16_t device;             // DPDK port id
	unsigned queues;             // receive and transmit queues each, at most one a worker
	bool spreads;                // the device puts a flow's frames into its owner's queue
	struct rte_mempool *buffers; // of frames in and out
	struct rte_ring *outgoing;   // frames of workers without a queue; NULL = each has one
	struct packet_port packet;   // what net/ must know
	int group_socket;            // keeps multicast filters set on a kernel interface, -1 = none
};

// spread: whose flow is whose; NULL for an only worker.
int port_open(const struct policy *policy, unsigned index, const struct spread *spread,
	      struct port *port, char error[PORT_ERROR_MAX]);
// Bytes that the buffers of a port will take with so many queues.
uint64_t port_buffer_bytes(const struct policy *policy, unsigned index, unsigned queues);
// The IPv6 groups whose frames must reach us.
int port_join(const struct policy *policy, struct port *port, const struct address *groups,
	      unsigned count, char error[PORT_ERROR_MAX]);
void port_close(struct port *port);
// Frames that the device lost before we could take them.
uint64_t port_missed(const struct port *port);

#endif
