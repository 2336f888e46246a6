// SPDX-License-Identifier: BSD-3-Clause
//
// Two backends for the tests of servers: "one" with three servers, "two" with a single one.
#ifndef RELAYGATE_TESTS_UNIT_RELAY_CLUSTER_H
#define RELAYGATE_TESTS_UNIT_RELAY_CLUSTER_H

#include "dataplane/base/random.h"
#include "dataplane/relay/servers.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define ONE             0u
#define TWO             1u
#define BACKENDS        2u
#define ONE_SERVERS     3u
#define MAX_CONNECTIONS 2u
#define MAX_WAITING     3u
#define SECOND          UINT64_C(1000000)
#define WAIT_TIMEOUT    (4 * SECOND)
#define IDLE_TIMEOUT    (60 * SECOND)
#define PROBE_INTERVAL  (30 * SECOND)

#define LIMITS                                                                                     \
	.max_connections = MAX_CONNECTIONS, .max_waiting = MAX_WAITING, .wait_timeout_ms = 4000,   \
	.idle_timeout_ms = 60000, .probe_interval_ms = 30000

static struct endpoint cluster_servers[] = {
	{{{10, 1}}, 25},
	{{{10, 2}}, 25},
	{{{10, 3}}, 25},
	{{{10, 4}}, 25},
};
static struct backend cluster_backends[] = {
	{.name = (char *)"one", .servers = cluster_servers, .server_count = ONE_SERVERS, LIMITS},
	{.name = (char *)"two", .servers = cluster_servers + 3, .server_count = 1, LIMITS},
};
static const struct policy cluster_policy = {
	.backends = cluster_backends,
	.backend_count = BACKENDS,
};
static struct random cluster_random;

static inline struct servers *cluster_create(void)
{
	static const uint8_t key[16] = {7};
	struct servers *servers;

	random_init(&cluster_random, key);
	servers = servers_create(&cluster_policy, &cluster_random, NULL, 0);
	assert_non_null(servers);
	return servers;
}

// Every probe that is due succeeds or fails.
static unsigned cluster_probe(struct servers *servers, uint64_t now_us, bool alive)
{
	unsigned backend, server, count = 0;

	while (servers_next_probe(servers, now_us, &backend, &server)) {
		servers_probed(servers, backend, server, alive, 3, 1000, now_us);
		count++;
	}
	return count;
}

#endif
