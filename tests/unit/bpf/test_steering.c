// SPDX-License-Identifier: BSD-3-Clause
//
// The steering maps hold exactly what the lists say, at the first filling and after a reload.
#include "bpf/steering.h"

#include "bpf/steer.h"
#include "tests/unit/bpf/bpffs.h"
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>

#define BINDINGS_MAX 64

static int setup(void **state)
{
	static struct steering_maps maps;
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);

#define HASH(name, key, entries)                                                                   \
	bpf_map_create(BPF_MAP_TYPE_HASH, name, sizeof(key), 4, entries, &options)
	maps = (struct steering_maps){
		HASH(STEER_ADDRESSES, struct steer_address, 16),
		HASH(STEER_BINDINGS, struct steer_endpoint, BINDINGS_MAX),
		HASH(STEER_SERVERS, struct steer_endpoint, 16),
		bpf_map_create(BPF_MAP_TYPE_ARRAY, STEER_CONFIG, 4, sizeof(struct steer_config), 1,
			       NULL),
	};
#undef HASH
	*state = &maps;
	return maps.addresses < 0 || maps.bindings < 0 || maps.servers < 0 || maps.config < 0;
}

static int teardown(void **state)
{
	struct steering_maps *maps = *state;

	close(maps->addresses);
	close(maps->bindings);
	close(maps->servers);
	close(maps->config);
	return 0;
}

static unsigned count_keys(int map)
{
	unsigned char key[sizeof(struct steer_endpoint)];
	unsigned count = 0;

	for (int result = bpf_map_get_next_key(map, NULL, key); result == 0;
	     result = bpf_map_get_next_key(map, key, key))
		count++;
	return count;
}

static bool has_endpoint(int map, const uint8_t address[16], uint16_t port)
{
	struct steer_endpoint key = {.port = htons(port)};
	uint32_t value;

	memcpy(key.address.bytes, address, 16);
	return bpf_map_lookup_elem(map, &key, &value) == 0;
}

static uint32_t address_kind(int map, const uint8_t address[16])
{
	uint32_t value = 0;

	return bpf_map_lookup_elem(map, address, &value) == 0 ? value : 0;
}

static const uint8_t first[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
static const uint8_t second[16] = {[10] = 0xff, 0xff, 192, 0, 2, 2};
static const uint8_t third[16] = {0x20, 1, 0xd, 0xb8, [13] = 0xaa, 0xbb, 0xcc};
static const uint8_t third_group[16] = {0xff, 2, [11] = 1, 0xff, 0xaa, 0xbb, 0xcc};
static const uint8_t any_ipv4[16] = {[10] = 0xff, 0xff};
static const uint8_t any_ipv6[16];

static void test_reload_replaces_lists(void **state)
{
	const struct steering_maps *maps = *state;
	uint8_t addresses[2][16], bindings[3][16];
	uint16_t ports[3] = {25, 587, 2525};
	struct export_steering lists = {.addresses = (const uint8_t(*)[16])addresses,
					.binding_addresses = (const uint8_t(*)[16])bindings,
					.binding_ports = ports,
					.server_addresses = (const uint8_t(*)[16])addresses,
					.server_ports = ports,
					.vlan = 5};
	struct steer_config config;
	char error[EXPORT_ERROR_MAX];
	uint32_t zero = 0;

	memcpy(addresses[0], first, 16);
	memcpy(addresses[1], third, 16);
	memcpy(bindings[0], any_ipv4, 16);
	memcpy(bindings[1], any_ipv6, 16);
	memcpy(bindings[2], first, 16);
	lists.address_count = 2;
	lists.binding_count = 3;
	lists.server_count = 2;
	assert_int_equal(steering_fill(maps, &lists, "eth1", error), 0);
	assert_int_equal(count_keys(maps->addresses), 3);
	assert_int_equal(address_kind(maps->addresses, third), STEER_OWN);
	assert_int_equal(address_kind(maps->addresses, third_group), STEER_GROUP);
	assert_int_equal(count_keys(maps->bindings), 3);
	assert_true(has_endpoint(maps->bindings, first, 25));
	assert_true(has_endpoint(maps->bindings, third, 587));
	assert_true(has_endpoint(maps->bindings, first, 2525));
	assert_int_equal(count_keys(maps->servers), 2);

	memcpy(addresses[1], second, 16);
	lists.binding_count = 1;
	lists.server_count = 0;
	assert_int_equal(steering_fill(maps, &lists, "eth1", error), 0);
	assert_int_equal(count_keys(maps->addresses), 2);
	assert_int_equal(address_kind(maps->addresses, third_group), 0);
	assert_int_equal(count_keys(maps->bindings), 2);
	assert_true(has_endpoint(maps->bindings, first, 25));
	assert_true(has_endpoint(maps->bindings, second, 25));
	assert_int_equal(count_keys(maps->servers), 0);
	assert_int_equal(bpf_map_lookup_elem(maps->config, &zero, &config), 0);
	assert_int_equal(config.ready, 1);
	assert_int_equal(config.vlan, 5);
	assert_int_equal(config.ipv6, 0);
}

static void test_too_long_a_list_is_named(void **state)
{
	const struct steering_maps *maps = *state;
	uint8_t bindings[BINDINGS_MAX + 1][16];
	uint16_t ports[BINDINGS_MAX + 1];
	struct export_steering lists = {.binding_addresses = (const uint8_t(*)[16])bindings,
					.binding_ports = ports,
					.binding_count = BINDINGS_MAX + 1};
	char error[EXPORT_ERROR_MAX];

	for (unsigned i = 0; i <= BINDINGS_MAX; i++) {
		memcpy(bindings[i], first, 16);
		ports[i] = (uint16_t)(1000 + i);
	}
	assert_int_equal(steering_fill(maps, &lists, "eth1", error), -E2BIG);
	assert_non_null(strstr(error, "eth1: more bindings than"));
	// Half-filled lists steer nothing: everything still passes to the kernel.
	struct steer_config config;
	uint32_t zero = 0;

	assert_int_equal(bpf_map_lookup_elem(maps->config, &zero, &config), 0);
	assert_int_equal(config.ready, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reload_replaces_lists),
		TEST(test_too_long_a_list_is_named),
	};

	if (!bpffs_usable())
		return 77;
	return cmocka_run_group_tests_name("steering", tests, NULL, NULL);
}
