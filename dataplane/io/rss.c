// SPDX-License-Identifier: BSD-3-Clause
//
// Key and redirection table into the device and back again. A device with another key length or a
// table that ours does not divide, or that cannot hash both families, is left alone.

#include "dataplane/io/rss.h"

#include "dataplane/base/spread.h"

#include <string.h>

#define TCP_HASHES     (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)
#define RETA_GROUPS    (RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE)
#define DEFAULT_LENGTH SPREAD_KEY_BYTES // of a device that does not say

struct table {
	struct rte_eth_rss_reta_entry64 groups[RETA_GROUPS];
};

static uint8_t key_length(const struct rte_eth_dev_info *info)
{
	return info->hash_key_size ? info->hash_key_size : DEFAULT_LENGTH;
}

static bool is_able(const struct rte_eth_dev_info *info)
{
	return (info->flow_type_rss_offloads & TCP_HASHES) == TCP_HASHES &&
	       key_length(info) >= SPREAD_KEY_BYTES && key_length(info) <= RSS_KEY_MAX &&
	       info->reta_size >= SPREAD_BUCKETS && info->reta_size % SPREAD_BUCKETS == 0 &&
	       info->reta_size <= RTE_ETH_RSS_RETA_SIZE_512;
}

static struct rte_eth_rss_conf with_our_key(struct rss *rss, const struct spread *spread,
					    const struct rte_eth_dev_info *info)
{
	*rss = (struct rss){0};
	memcpy(rss->key, spread->key, SPREAD_KEY_BYTES);
	return (struct rte_eth_rss_conf){
		.rss_key = rss->key, .rss_key_len = key_length(info), .rss_hf = TCP_HASHES};
}

void rss_ask(uint16_t device, const struct spread *spread, struct rss *rss,
	     struct rte_eth_conf *configuration)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(device, &info) || !is_able(&info))
		return;
	configuration->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	configuration->rx_adv_conf.rss_conf = with_our_key(rss, spread, &info);
}

static void fill(struct table *table, const struct spread *spread, unsigned size)
{
	memset(table, 0, sizeof(*table));
	for (unsigned i = 0; i < size; i++) {
		struct rte_eth_rss_reta_entry64 *group =
			&table->groups[i / RTE_ETH_RETA_GROUP_SIZE];

		group->mask = UINT64_MAX;
		group->reta[i % RTE_ETH_RETA_GROUP_SIZE] = spread->owner[i % SPREAD_BUCKETS];
	}
}

static bool shows_table(uint16_t device, const struct spread *spread, unsigned size)
{
	struct table shown = {0}, ours;

	fill(&ours, spread, size);
	for (unsigned i = 0; i < size / RTE_ETH_RETA_GROUP_SIZE; i++)
		shown.groups[i].mask = UINT64_MAX;
	return rte_eth_dev_rss_reta_query(device, shown.groups, (uint16_t)size) == 0 &&
	       memcmp(&shown, &ours, sizeof(shown)) == 0;
}

static bool shows_key(uint16_t device, const struct spread *spread, uint8_t length)
{
	uint8_t key[RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf shown = {.rss_key = key, .rss_key_len = length};

	return rte_eth_dev_rss_hash_conf_get(device, &shown) == 0 &&
	       (shown.rss_hf & TCP_HASHES) == TCP_HASHES &&
	       memcmp(key, spread->key, SPREAD_KEY_BYTES) == 0;
}

bool rss_is_ours(uint16_t device, const struct spread *spread)
{
	struct rte_eth_dev_info info;

	return rte_eth_dev_info_get(device, &info) == 0 && is_able(&info) &&
	       shows_table(device, spread, info.reta_size) &&
	       shows_key(device, spread, key_length(&info));
}

bool rss_install(uint16_t device, const struct spread *spread)
{
	struct rte_eth_dev_info info;
	struct rte_eth_rss_conf hash;
	struct table table;
	struct rss rss;

	if (rte_eth_dev_info_get(device, &info) || !is_able(&info))
		return false;
	hash = with_our_key(&rss, spread, &info);
	fill(&table, spread, info.reta_size);
	// What fails here shows below.
	rte_eth_dev_rss_hash_update(device, &hash);
	rte_eth_dev_rss_reta_update(device, table.groups, info.reta_size);
	return rss_is_ours(device, spread);
}
