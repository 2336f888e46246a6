// SPDX-License-Identifier: BSD-3-Clause
//
// The lists of a port become sets of keys: solicited-node groups are derived from IPv6 addresses,
// and a binding to any address becomes one to each address of ours of that family, so that the XDP
// program needs one look-up. Keys are sorted, so that leftovers are found by binary search.
#include "bpf/steering.h"

#include "bpf/message.h"
#include "bpf/steer.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Keys of one map with the value of each; keys are steer_address or steer_endpoint, value last.
struct key_set {
	size_t key_bytes;
	size_t row_bytes; // key, then the value as u32
	unsigned char *rows;
	unsigned count;
};

static const unsigned char ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const uint8_t address[16])
{
	return memcmp(address, ipv4_prefix, sizeof(ipv4_prefix)) == 0;
}

static bool is_any(const uint8_t address[16])
{
	static const uint8_t zero[16];

	return memcmp(address, zero, 16) == 0 ||
	       (is_ipv4(address) && memcmp(address + 12, zero, 4) == 0);
}

static int key_set_init(struct key_set *set, size_t key_bytes, size_t rows_max)
{
	*set = (struct key_set){.key_bytes = key_bytes, .row_bytes = key_bytes + sizeof(uint32_t)};
	set->rows = calloc(rows_max ? rows_max : 1, set->row_bytes);
	return set->rows ? 0 : -ENOMEM;
}

static void key_set_add(struct key_set *set, const void *key, uint32_t value)
{
	unsigned char *row = set->rows + set->count++ * set->row_bytes;

	memcpy(row, key, set->key_bytes);
	memcpy(row + set->key_bytes, &value, sizeof(value));
}

static void add_endpoint(struct key_set *set, const uint8_t address[16], uint16_t port)
{
	struct steer_endpoint key = {.port = htons(port)};

	memcpy(key.address.bytes, address, sizeof(key.address.bytes));
	key_set_add(set, &key, 1);
}

static int compare_addresses(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct steer_address));
}

static int compare_endpoints(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct steer_endpoint));
}

static int address_set(struct key_set *set, const struct export_steering *steering)
{
	int result = key_set_init(set, sizeof(struct steer_address),
				  2 * (size_t)steering->address_count);

	for (unsigned i = 0; result == 0 && i < steering->address_count; i++) {
		const uint8_t *address = steering->addresses[i];
		uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff};

		key_set_add(set, address, STEER_OWN);
		if (is_ipv4(address))
			continue;
		for (int byte = 13; byte < 16; byte++)
			group[byte] = address[byte];
		key_set_add(set, group, STEER_GROUP);
	}
	return result;
}

static int binding_set(struct key_set *set, const struct export_steering *steering)
{
	size_t most = 0;
	int result;

	for (unsigned i = 0; i < steering->binding_count; i++)
		most += is_any(steering->binding_addresses[i]) ? steering->address_count : 1;
	result = key_set_init(set, sizeof(struct steer_endpoint), most);
	for (unsigned i = 0; result == 0 && i < steering->binding_count; i++) {
		const uint8_t *bound = steering->binding_addresses[i];
		uint16_t port = steering->binding_ports[i];

		if (!is_any(bound)) {
			add_endpoint(set, bound, port);
			continue;
		}
		for (unsigned j = 0; j < steering->address_count; j++) {
			if (is_ipv4(bound) == is_ipv4(steering->addresses[j]))
				add_endpoint(set, steering->addresses[j], port);
		}
	}
	return result;
}

static int server_set(struct key_set *set, const struct export_steering *steering)
{
	int result = key_set_init(set, sizeof(struct steer_endpoint), steering->server_count);

	for (unsigned i = 0; result == 0 && i < steering->server_count; i++)
		add_endpoint(set, steering->server_addresses[i], steering->server_ports[i]);
	return result;
}

// Deletes every key of the map that is not in the (sorted) set.
static int remove_others(int map, const struct key_set *set,
			 int (*compare)(const void *, const void *))
{
	unsigned char key[sizeof(struct steer_endpoint)], next[sizeof(key)];
	bool more = bpf_map_get_next_key(map, NULL, next) == 0;

	while (more) {
		memcpy(key, next, sizeof(key));
		// First onwards, then delete: the walk would start anew behind a deleted key.
		more = bpf_map_get_next_key(map, key, next) == 0;
		if (!bsearch(key, set->rows, set->count, set->row_bytes, compare) &&
		    bpf_map_delete_elem(map, key) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int put_set(int map, struct key_set *set, int (*compare)(const void *, const void *))
{
	qsort(set->rows, set->count, set->row_bytes, compare);
	for (unsigned i = 0; i < set->count; i++) {
		unsigned char *row = set->rows + i * set->row_bytes;
		uint32_t value;

		memcpy(&value, row + set->key_bytes, sizeof(value));
		if (bpf_map_update_elem(map, row, &value, BPF_ANY) < 0)
			return -errno;
	}
	return remove_others(map, set, compare);
}

static int fill_one(int map, const struct export_steering *steering,
		    int (*make)(struct key_set *, const struct export_steering *),
		    int (*compare)(const void *, const void *))
{
	struct key_set set;
	int result = make(&set, steering);

	if (result == 0)
		result = put_set(map, &set, compare);
	free(set.rows);
	return result;
}

int steering_fill(const struct steering_maps *maps, const struct export_steering *steering,
		  const char *subject, char error[EXPORT_ERROR_MAX])
{
	const struct {
		const char *what;
		int map;
		unsigned most;
		int (*make)(struct key_set *, const struct export_steering *);
		int (*compare)(const void *, const void *);
	} lists[] = {
		{"addresses", maps->addresses, STEER_ADDRESSES_MAX, address_set, compare_addresses},
		{"bindings", maps->bindings, STEER_ENDPOINTS_MAX, binding_set, compare_endpoints},
		{"servers", maps->servers, STEER_ENDPOINTS_MAX, server_set, compare_endpoints},
	};
	struct steer_config config = {
		.ready = 1, .vlan = steering->vlan, .answer_banned = steering->answer_banned};
	uint32_t first = 0;

	for (unsigned i = 0; i < steering->address_count; i++)
		config.ipv6 |= !is_ipv4(steering->addresses[i]);
	for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		int result = fill_one(lists[i].map, steering, lists[i].make, lists[i].compare);

		if (result == -E2BIG)
			return message_set(error, result,
					   "%s: more %s than the XDP program holds (%u)", subject,
					   lists[i].what, lists[i].most);
		if (result)
			return message_failed(error, result, subject,
					      "fill the XDP program's maps");
	}
	if (bpf_map_update_elem(maps->config, &first, &config, BPF_ANY) < 0)
		return message_failed(error, -errno, subject, "fill the XDP program's maps");
	return 0;
}
