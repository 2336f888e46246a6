// SPDX-License-Identifier: BSD-3-Clause
//
// Frames for those who watch: which are in the ring under which order, with what became of them;
// and that no order, however broken, does more than capture nothing.
#include "tests/unit/pipeline/lab.h"

#include <sys/types.h>

#include <pcap/pcap.h>

#define LEASE_US 10000000

static struct capture_order order;
static struct capture_record ring[CAPTURE_RECORDS];

static struct lab *open_watched(void)
{
	struct lab *lab = lab_open("", "");

	memset(&order, 0, sizeof(order));
	memset(ring, 0, sizeof(ring));
	strcpy(lab->connector.name, "only");
	strcpy(lab->port_rows[0].name, "outside");
	strcpy(lab->port_rows[1].name, "inside");
	lab->pipeline->counters.capture = &order;
	lab->pipeline->counters.captured = ring;
	return lab;
}

static void begin(struct lab *lab)
{
	order.snap = order.snap ? order.snap : CAPTURE_DATA_BYTES;
	order.lease_us = lab->now.now_us + LEASE_US;
	order.serial++;
	lab_run(lab, 2); // a turn
}

static unsigned captured(void)
{
	unsigned count = 0;

	while (count < CAPTURE_RECORDS && ring[(count + 1) % CAPTURE_RECORDS].sequence)
		count++;
	return count;
}

// A dialogue with frames of all kinds: a session, and a segment that fits nothing.
static void talk(struct lab *lab)
{
	struct peer *client = lab_connect(lab);

	lab_say(lab, client, "EHLO c.test\r\nMAIL FROM:<a@c.test>\r\n");
	client->connection->transport->close(client->connection);
	lab_run(lab, 100);
}

static uint64_t all_frames(const struct lab *lab)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 2; i++)
		sum += lab->port_rows[i].frames_in + lab->port_rows[i].frames_out;
	return sum;
}

static void test_nothing_unasked(void **state)
{
	struct lab *lab = open_watched();

	talk(lab);
	assert_int_equal(captured(), 0);
	lab_close(lab);
}

static void test_each_frame_once(void **state)
{
	struct lab *lab = open_watched();
	uint64_t before;
	unsigned sent = 0, of_connector = 0;

	begin(lab);
	before = all_frames(lab);
	assert_int_equal(captured(), 0);
	talk(lab);
	assert_int_equal(captured(), all_frames(lab) - before);
	assert_true(captured() > 6);
	for (unsigned i = 1; i <= captured(); i++) {
		assert_int_equal(ring[i].sequence, i);
		assert_int_equal(ring[i].serial, order.serial);
		assert_int_equal(ring[i].captured, ring[i].length);
		assert_string_equal(ring[i].port_name, ring[i].port ? "inside" : "outside");
		sent += ring[i].sent;
		of_connector += strcmp(ring[i].connector, "only") == 0;
	}
	assert_true(sent > 2 && of_connector > 5);
	lab_close(lab);
}

static void test_ends_with_its_lease(void **state)
{
	struct lab *lab = open_watched();
	unsigned before;

	begin(lab);
	talk(lab);
	assert_true(captured() > 0);
	lab_run(lab, LEASE_US / 1000 + 1);
	before = captured();
	talk(lab);
	assert_int_equal(captured(), before);
	// Its tool lives on after all.
	order.lease_us = lab->now.now_us + LEASE_US;
	lab_run(lab, 2);
	talk(lab);
	assert_true(captured() > before);
	lab_close(lab);
}

static void compile(const char *filter)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CAPTURE_DATA_BYTES);
	struct bpf_program program;

	assert_int_equal(pcap_compile(dead, &program, filter, 1, PCAP_NETMASK_UNKNOWN), 0);
	order.program_length = program.bf_len;
	memcpy(order.program, program.bf_insns, program.bf_len * sizeof(order.program[0]));
	pcap_freecode(&program);
	pcap_close(dead);
}

static void test_filters(void **state)
{
	static const struct {
		const char *filter, *connector;
		bool dropped;
		bool some, sent, received;
	} cases[] = {
		{"tcp", "", false, true, true, true},
		{"tcp[tcpflags] == tcp-syn", "", false, true, false, true},
		{"src port 25", "", false, true, true, false},
		{"udp", "", false, false, false, false},
		{NULL, "only", false, true, true, true},
		{NULL, "other", false, false, false, false},
		{NULL, "", true, false, false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = open_watched();
		bool sent = false, received = false;

		if (cases[i].filter)
			compile(cases[i].filter);
		strcpy(order.connector, cases[i].connector);
		order.dropped = cases[i].dropped;
		begin(lab);
		talk(lab);
		print_message("%s\n", cases[i].filter ? cases[i].filter : cases[i].connector);
		assert_int_equal(captured() > 0, cases[i].some);
		for (unsigned k = 1; k <= captured(); k++) {
			sent |= ring[k].sent;
			received |= !ring[k].sent;
		}
		assert_int_equal(sent, cases[i].sent);
		assert_int_equal(received, cases[i].received);
		lab_close(lab);
	}
}

static void test_snap(void **state)
{
	struct lab *lab = open_watched();

	order.snap = 34;
	begin(lab);
	talk(lab);
	for (unsigned i = 1; i <= captured(); i++) {
		assert_true(ring[i].length > 34);
		assert_int_equal(ring[i].captured, 34);
		assert_int_equal(ring[i].data[34], 0);
	}
	assert_true(captured() > 0);
	lab_close(lab);
}

// What anybody with the right to write there could write.
static void test_broken_orders_capture_nothing(void **state)
{
	static const struct {
		uint32_t length;
		struct capture_instruction program[2];
	} cases[] = {
		{CAPTURE_PROGRAM_MAX + 1, {{BPF_RET | BPF_K, 0, 0, 1}}},
		{UINT32_MAX, {{BPF_RET | BPF_K, 0, 0, 1}}},
		{1, {{BPF_LD | BPF_IMM, 0, 0, 1}}}, // runs off the end
		{2, {{BPF_JMP | BPF_JA, 0, 0, 100}, {BPF_RET | BPF_K, 0, 0, 1}}}, // leaps out
		{2, {{BPF_JMP | BPF_JEQ, 200, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}},
		{2, {{BPF_ST, 0, 0, 1000}, {BPF_RET | BPF_K, 0, 0, 1}}}, // no such cell
		{2, {{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}},
		{2, {{0xffff, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}}, // no such instructions
		{2, {{BPF_MISC | 0xf8, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}},
		{2, {{BPF_LD | BPF_MSH, 0, 0, 0}, {BPF_RET | BPF_K, 0, 0, 1}}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = open_watched();

		order.program_length = cases[i].length;
		memcpy(order.program, cases[i].program, sizeof(cases[i].program));
		begin(lab);
		talk(lab);
		assert_int_equal(captured(), 0);
		lab_close(lab);
	}
}

static void test_reads_beyond_a_frame_do_not_match(void **state)
{
	struct lab *lab = open_watched();
	static const struct capture_instruction program[2] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0x7ffffff0}, {BPF_RET | BPF_K, 0, 0, 1}};

	order.snap = UINT32_MAX; // cut to what a record holds
	order.program_length = 2;
	memcpy(order.program, program, sizeof(program));
	begin(lab);
	talk(lab);
	assert_int_equal(captured(), 0);
	order.program_length = 0;
	begin(lab);
	talk(lab);
	assert_true(captured() > 0);
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_unasked),
		cmocka_unit_test(test_each_frame_once),
		cmocka_unit_test(test_ends_with_its_lease),
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_snap),
		cmocka_unit_test(test_broken_orders_capture_nothing),
		cmocka_unit_test(test_reads_beyond_a_frame_do_not_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
