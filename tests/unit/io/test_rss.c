// SPDX-License-Identifier: BSD-3-Clause
//
// A device that can hash is given our key and table, and believed when it shows them; one that
// cannot is left alone. DPDK's null devices stand for the first kind, a ring device for the second.
#include "dataplane/io/rss.h"

#include "dataplane/base/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <rte_eal.h>

#define WORKERS 3

static struct spread spread;

static uint16_t port_of(const char *name)
{
	uint16_t port = UINT16_MAX;

	assert_int_equal(rte_eth_dev_get_port_by_name(name, &port), 0);
	return port;
}

static void start(uint16_t port, const struct rte_eth_conf *configuration, unsigned queues)
{
	static struct rte_mempool *pool;

	if (!pool)
		pool = rte_pktmbuf_pool_create("rss", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
					       SOCKET_ID_ANY);
	assert_non_null(pool);
	assert_int_equal(
		rte_eth_dev_configure(port, (uint16_t)queues, (uint16_t)queues, configuration), 0);
	for (uint16_t i = 0; i < queues; i++) {
		assert_int_equal(rte_eth_rx_queue_setup(port, i, 64, 0, NULL, pool), 0);
		assert_int_equal(rte_eth_tx_queue_setup(port, i, 64, 0, NULL), 0);
	}
	assert_int_equal(rte_eth_dev_start(port), 0);
}

static void test_key_and_table_are_in_the_device(void **state)
{
	uint16_t port = port_of("net_null0");
	struct rte_eth_conf configuration = {0};
	struct rte_eth_rss_reta_entry64 table[2] = {{.mask = UINT64_MAX}, {.mask = UINT64_MAX}};
	uint8_t key[SPREAD_KEY_BYTES] = {0};
	struct rte_eth_rss_conf shown = {.rss_key = key, .rss_key_len = sizeof(key)};
	struct rss rss;

	rss_ask(port, &spread, &rss, &configuration);
	assert_int_equal(configuration.rxmode.mq_mode, RTE_ETH_MQ_RX_RSS);
	start(port, &configuration, WORKERS);
	assert_true(rss_install(port, &spread));
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(port, &shown), 0);
	assert_memory_equal(key, spread.key, sizeof(key));
	assert_int_equal(rte_eth_dev_rss_reta_query(port, table, 128), 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(table[i / 64].reta[i % 64], spread.owner[i % SPREAD_BUCKETS]);
}

// The device does otherwise than it was told: with another key, or another table.
static void test_another_key_or_table_is_noticed(void **state)
{
	uint16_t port = port_of("net_null1");
	struct rte_eth_conf configuration = {0};
	struct rte_eth_rss_reta_entry64 table[2] = {{.mask = UINT64_MAX}, {.mask = UINT64_MAX}};
	uint8_t key[SPREAD_KEY_BYTES] = {0};
	struct rte_eth_rss_conf shown = {.rss_key = key, .rss_key_len = sizeof(key)};
	struct rss rss;

	rss_ask(port, &spread, &rss, &configuration);
	start(port, &configuration, WORKERS);
	assert_true(rss_install(port, &spread));
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(port, &shown), 0);
	key[7] ^= 1;
	assert_int_equal(rte_eth_dev_rss_hash_update(port, &shown), 0);
	assert_false(rss_is_ours(port, &spread));
	key[7] ^= 1;
	assert_int_equal(rte_eth_dev_rss_hash_update(port, &shown), 0);
	assert_true(rss_is_ours(port, &spread));
	assert_int_equal(rte_eth_dev_rss_reta_query(port, table, 128), 0);
	table[1].reta[63] ^= 1;
	assert_int_equal(rte_eth_dev_rss_reta_update(port, table, 128), 0);
	assert_false(rss_is_ours(port, &spread));
}

static void test_device_without_rss_is_left_alone(void **state)
{
	static const struct rte_eth_conf untouched;
	uint16_t port = port_of("net_ring0");
	struct rte_eth_conf configuration = {0};
	struct rss rss;

	rss_ask(port, &spread, &rss, &configuration);
	assert_memory_equal(&configuration, &untouched, sizeof(configuration));
	start(port, &configuration, 1);
	assert_false(rss_install(port, &spread));
}

int main(void)
{
	static char *arguments[] = {(char *)"test",
				    (char *)"--no-huge",
				    (char *)"--no-shconf",
				    (char *)"--no-telemetry",
				    (char *)"--no-pci",
				    (char *)"-m64",
				    (char *)"--lcores=0@0",
				    (char *)"--vdev=net_null0",
				    (char *)"--vdev=net_null1",
				    (char *)"--vdev=net_ring0"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_and_table_are_in_the_device),
		cmocka_unit_test(test_another_key_or_table_is_noticed),
		cmocka_unit_test(test_device_without_rss_is_left_alone),
	};
	uint8_t key[SPREAD_KEY_BYTES];

	if (rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), arguments) < 0)
		return 1;
	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(i * 37 + 11);
	spread_init(&spread, key, WORKERS);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
