// SPDX-License-Identifier: BSD-3-Clause
//
// One port of the policy as a DPDK Ethernet device: buffers, queues, start, filters, stop.
// Cold path; errors are -errno and one line for a person.
#ifndef RELAYGATE_IO_PORT_H
#define RELAYGATE_IO_PORT_H

#include "dataplane/net/packet.h"

#include <stddef.h>

struct policy;
struct rte_mempool;

#define PORT_ERROR_MAX 320

struct port {
	uint16_t device;             // DPDK port id
	struct rte_mempool *buffers; // of frames in and out
	struct packet_port packet;   // what net/ must know
	int group_socket;            // keeps multicast filters set on a kernel interface, -1 = none
};

int port_open(const struct policy *policy, unsigned index, struct port *port,
	      char error[PORT_ERROR_MAX]);
// The IPv6 groups whose frames must reach us.
int port_join(const struct policy *policy, struct port *port, const struct address *groups,
	      unsigned count, char error[PORT_ERROR_MAX]);
void port_close(struct port *port);
// Frames that the device lost before we could take them.
uint64_t port_missed(const struct port *port);

#endif
