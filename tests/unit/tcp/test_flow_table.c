// SPDX-License-Identifier: BSD-3-Clause
//
// Finding flows: against a plain array, with as many flows as fit and both address families.
#include "tests/unit/tcp/lab.h"

#define FLOWS 64

static struct tuple tuple_of(uint32_t n)
{
	uint8_t remote4[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
	uint8_t remote6[16] = {0x20, 1, 0xd, 0xb8, [14] = (uint8_t)(n >> 8), (uint8_t)n};
	uint8_t local4[4] = {192, 0, 2, 1};
	uint8_t local6[16] = {0x20, 1, 0xd, 0xb8, 9};

	return (struct tuple){
		.local = n & 1 ? address_from_ipv6(local6) : address_from_ipv4(local4),
		.remote = n & 1 ? address_from_ipv6(remote6) : address_from_ipv4(remote4),
		.local_port = 25,
		.remote_port = (uint16_t)(1024 + n / 7),
	};
}

static void test_against_an_array(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.no_handshake = true});
	struct flow *flows[300] = {NULL};
	unsigned used = 0;

	for (int step = 0; step < 20000; step++) {
		uint32_t n = random_below(&lab->random, 300);
		struct tuple tuple = tuple_of(n);

		assert_ptr_equal(tcp_find(lab->tcp, &tuple), flows[n]);
		assert_ptr_equal(tcp_find_hashed(lab->tcp, &tuple, tcp_hash(lab->tcp, &tuple)),
				 flows[n]);
		if (flows[n]) {
			assert_true(tuple_equal(tcp_tuple(flows[n]), &tuple));
			assert_ptr_equal(tcp_user(flows[n]), &flows[n]);
			tcp_release(lab->tcp, flows[n], lab->now);
			flows[n] = NULL;
			used--;
		} else {
			flows[n] = tcp_connect(lab->tcp, &tuple, LAB_MSS, lab->now);
			assert_int_equal(flows[n] == NULL, used == FLOWS); // all in use
			if (flows[n]) {
				tcp_set_user(flows[n], &flows[n]);
				used++;
			}
		}
		assert_int_equal(tcp_flows_used(lab->tcp), used);
	}
	for (int n = 0; n < 300; n++) {
		if (flows[n])
			tcp_release(lab->tcp, flows[n], lab->now);
	}
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_an_array),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
