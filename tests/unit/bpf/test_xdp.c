// SPDX-License-Identifier: BSD-3-Clause
//
// The XDP program's life on a veth in a network namespace of the test's own, with DPDK's net_af_xdp
// as the gate uses it: a child process opens the port, is stopped cleanly or killed, and the next
// one must find the interface usable. A foreign program must never be touched.
#include "bpf/export.h"
#include "tests/unit/bpf/bpffs.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define GATE_SIDE "rgt.0" // bpffs allows no dot: pins must do without
#define PEER_SIDE "rgt1"

static const struct export_shape shape = {
	.workers = 1, .connectors_max = 2, .ports_max = 1, .log_records = 8};

struct gate {
	pid_t pid;
	int commands, answers;
};

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("%s: %d", command, status);
}

static struct export_steering steering(void)
{
	static const uint8_t addresses[][16] = {{[10] = 0xff, 0xff, 192, 0, 2, 10}};
	static const uint16_t ports[] = {25};

	return (struct export_steering){.addresses = addresses,
					.address_count = 1,
					.binding_addresses = addresses,
					.binding_ports = ports,
					.binding_count = 1};
}

// ---- The child: a gate that only receives ------------------------------------------------------

static void start_device(void)
{
	static char name[] = "gate", vdev[128];
	char *arguments[] = {name,
			     (char[]){"--no-huge"},
			     (char[]){"--no-pci"},
			     (char[]){"--no-shconf"},
			     (char[]){"--no-telemetry"},
			     (char[]){"--log-level=1"},
			     (char[]){"-l0"},
			     (char[]){"-m64"},
			     vdev};
	struct rte_eth_conf configuration = {0};
	struct rte_mempool *pool;

	snprintf(vdev, sizeof(vdev), "--vdev=net_af_xdp0,iface=%s,xdp_prog=%s", GATE_SIDE,
		 export_xdp_object_path());
	if (rte_eal_init(sizeof(arguments) / sizeof(arguments[0]), arguments) < 0)
		_exit(11);
	pool = rte_pktmbuf_pool_create("frames", 8191, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (!pool || rte_eth_dev_configure(0, 1, 1, &configuration) ||
	    rte_eth_rx_queue_setup(0, 0, 512, 0, NULL, pool) ||
	    rte_eth_tx_queue_setup(0, 0, 512, 0, NULL) || rte_eth_dev_start(0) ||
	    rte_eth_promiscuous_enable(0))
		_exit(12);
}

// Receives until count frames came in; the answer is the first frame's last byte.
static uint8_t receive(unsigned count)
{
	uint8_t last = 0;

	while (count) {
		struct rte_mbuf *frame;

		if (rte_eth_rx_burst(0, 0, &frame, 1) == 0)
			continue;
		last = *rte_pktmbuf_mtod_offset(frame, uint8_t *, frame->data_len - 1);
		rte_pktmbuf_free(frame);
		count--;
	}
	return last;
}

static void child(const char *directory, int commands, int answers)
{
	struct export_steering lists = steering();
	char error[EXPORT_ERROR_MAX];
	struct export *export;
	uint8_t byte = 0;

	if (export_open(directory, &shape, &export, error) ||
	    export_xdp_reclaim(GATE_SIDE, directory, error)) {
		fprintf(stderr, "%s\n", error);
		_exit(10);
	}
	start_device();
	if (export_xdp_adopt(export, GATE_SIDE, &lists, error)) {
		fprintf(stderr, "%s\n", error);
		_exit(13);
	}
	if (write(answers, &byte, 1) != 1)
		_exit(14);
	while (read(commands, &byte, 1) == 1 && byte) {
		byte = receive(byte);
		if (write(answers, &byte, 1) != 1)
			_exit(14);
	}
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	export_xdp_release(export, GATE_SIDE);
	export_close(export);
	_exit(0);
}

// ---- The parent --------------------------------------------------------------------------------

static struct gate start_gate(const char *directory)
{
	int commands[2], answers[2];
	struct gate gate;
	uint8_t byte;

	assert_int_equal(pipe(commands), 0);
	assert_int_equal(pipe(answers), 0);
	gate.pid = fork();
	assert_true(gate.pid >= 0);
	if (gate.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); // does not outlive a failed test
		close(commands[1]);
		close(answers[0]);
		child(directory, commands[0], answers[1]);
	}
	close(commands[0]);
	close(answers[1]);
	gate.commands = commands[1];
	gate.answers = answers[0];
	if (read(gate.answers, &byte, 1) != 1)
		fail_msg("the gate did not start");
	return gate;
}

static int end_gate(struct gate *gate, bool kill_it)
{
	int status;

	if (kill_it)
		kill(gate->pid, SIGKILL);
	close(gate->commands);
	assert_int_equal(waitpid(gate->pid, &status, 0), gate->pid);
	close(gate->answers);
	return status;
}

static uint32_t attached_program(void)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(GATE_SIDE), 0, &id), 0);
	return id;
}

static bool is_promiscuous(void)
{
	struct ifreq request = {.ifr_name = GATE_SIDE};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
	close(fd);
	return request.ifr_flags & IFF_PROMISC;
}

static bool has_pin(const char *directory, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

static unsigned count_xdp_pins(const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	while (stream && (entry = readdir(stream)))
		count += strncmp(entry->d_name, "xdp_", 4) == 0;
	if (stream)
		closedir(stream);
	return count;
}

static int reclaim(const char *directory, char error[EXPORT_ERROR_MAX])
{
	struct export *export;
	int result = export_open(directory, &shape, &export, error);

	if (result)
		return result;
	result = export_xdp_reclaim(GATE_SIDE, directory, error);
	export_close(export);
	return result;
}

// ARP requests for the address 192.0.2.last.
static void send_arp(uint8_t last)
{
	uint8_t frame[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,   1, 8, 6,
			     0,    1,    8,    0,    6,    4,    0, 1, 2, 0, 0,   0, 0, 1,
			     192,  0,    2,    1,    0,    0,    0, 0, 0, 0, 192, 0, 2, last};
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(PEER_SIDE),
				 .sll_halen = 6};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	assert_int_equal(sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(frame));
	close(fd);
}

// A program that passes everything, under a name of its own; returns its descriptor.
static int foreign_program(const char *name)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", code, 2, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(GATE_SIDE), fd, 0, NULL), 0);
	return fd;
}

static int setup(void **state)
{
	run("ip link add " GATE_SIDE " type veth peer name " PEER_SIDE);
	run("ip link set " GATE_SIDE " up && ip link set " PEER_SIDE " up");
	return bpffs_setup(state);
}

static int teardown(void **state)
{
	run("ip link del " GATE_SIDE);
	return bpffs_teardown(state);
}

static void test_gate_takes_its_frames_only(void **state)
{
	struct gate gate = start_gate(*state);
	uint8_t byte = 2;

	send_arp(99);
	send_arp(10);
	send_arp(98);
	send_arp(10);
	assert_int_equal(write(gate.commands, &byte, 1), 1);
	assert_int_equal(read(gate.answers, &byte, 1), 1);
	assert_int_equal(byte, 10); // frames keep their order: 99 and 98 did not come
	assert_int_equal(end_gate(&gate, false), 0);
}

static void test_clean_stop_leaves_nothing(void **state)
{
	struct gate gate = start_gate(*state);

	assert_int_not_equal(attached_program(), 0);
	assert_true(is_promiscuous());
	assert_true(has_pin(*state, "xdp_rgt:0_program"));
	assert_true(has_pin(*state, "xdp_rgt:0_bindings"));
	assert_int_equal(end_gate(&gate, false), 0);
	assert_int_equal(attached_program(), 0);
	assert_false(is_promiscuous());
	assert_int_equal(count_xdp_pins(*state), 0);
}

static void test_killed_gate_is_cleaned_up_after(void **state)
{
	struct gate gate = start_gate(*state);

	end_gate(&gate, true);
	assert_int_not_equal(attached_program(), 0);
	assert_true(is_promiscuous());
	gate = start_gate(*state); // reclaims, or net_af_xdp would refuse
	end_gate(&gate, true);
	gate = start_gate(*state);
	assert_int_equal(end_gate(&gate, false), 0);
	assert_int_equal(attached_program(), 0);
	assert_false(is_promiscuous());
}

static void test_lost_pins_do_not_hide_our_program(void **state)
{
	struct gate gate = start_gate(*state);
	char error[EXPORT_ERROR_MAX];

	end_gate(&gate, true);
	assert_int_equal(export_remove(*state, error), 0);
	assert_int_equal(reclaim(*state, error), 0);
	assert_int_equal(attached_program(), 0);
}

static void test_promiscuous_mode_before_the_gate_stays(void **state)
{
	struct gate gate;
	char error[EXPORT_ERROR_MAX];

	run("ip link set " GATE_SIDE " promisc on");
	gate = start_gate(*state);
	end_gate(&gate, true);
	assert_int_equal(reclaim(*state, error), 0);
	assert_true(is_promiscuous());
	gate = start_gate(*state);
	assert_int_equal(end_gate(&gate, false), 0);
}

static void test_live_gate_is_left_alone(void **state)
{
	struct gate gate = start_gate(*state);
	char error[EXPORT_ERROR_MAX], wanted[64], other[64];
	uint32_t program = attached_program();

	snprintf(other, sizeof(other), "%s-other", (char *)*state);
	snprintf(wanted, sizeof(wanted), "in use by process %d,", (int)gate.pid);
	assert_int_equal(reclaim(other, error), -EBUSY); // same interface, another directory
	assert_non_null(strstr(error, wanted));
	assert_int_equal(attached_program(), program);
	assert_int_equal(export_remove(other, error), 0);
	assert_int_equal(end_gate(&gate, false), 0);
}

static void test_foreign_program_is_never_detached(void **state)
{
	static const char *const names[] = {"firewall", "relaygate_steer"};
	char error[EXPORT_ERROR_MAX];

	for (unsigned i = 0; i < 2; i++) {
		int fd = foreign_program(names[i]);
		uint32_t program = attached_program();

		assert_int_equal(reclaim(*state, error), -EBUSY);
		assert_non_null(strstr(error, "not ours"));
		assert_non_null(strstr(error, names[i]));
		assert_int_equal(attached_program(), program);
		close(fd);
		run("ip link set dev " GATE_SIDE " xdp off");
	}
}

// The program of an earlier version has another tag: then the pin tells that it is ours.
static void test_pinned_program_of_another_version_is_reclaimed(void **state)
{
	char error[EXPORT_ERROR_MAX], path[256];
	int fd = foreign_program("relaygate_steer");

	assert_int_equal(reclaim(*state, error), -EBUSY);
	snprintf(path, sizeof(path), "%s/xdp_rgt:0_program", (char *)*state);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(reclaim(*state, error), 0);
	assert_int_equal(attached_program(), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_adopting_needs_our_program(void **state)
{
	struct export_steering lists = steering();
	char error[EXPORT_ERROR_MAX];
	struct export *export;
	int fd;

	assert_int_equal(export_open(*state, &shape, &export, error), 0);
	assert_int_equal(export_xdp_adopt(export, GATE_SIDE, &lists, error), -ENOENT);
	assert_int_equal(export_xdp_adopt(export, "nosuch", &lists, error), -ENODEV);
	assert_string_equal(error, "nosuch: no such interface");
	fd = foreign_program("firewall");
	assert_int_equal(export_xdp_adopt(export, GATE_SIDE, &lists, error), -EBUSY);
	export_xdp_release(export, GATE_SIDE);
	assert_int_not_equal(attached_program(), 0);
	assert_int_equal(count_xdp_pins(*state), 0);
	close(fd);
	export_close(export);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_gate_takes_its_frames_only),
		TEST(test_clean_stop_leaves_nothing),
		TEST(test_killed_gate_is_cleaned_up_after),
		TEST(test_lost_pins_do_not_hide_our_program),
		TEST(test_promiscuous_mode_before_the_gate_stays),
		TEST(test_live_gate_is_left_alone),
		TEST(test_foreign_program_is_never_detached),
		TEST(test_pinned_program_of_another_version_is_reclaimed),
		TEST(test_adopting_needs_our_program),
	};

	// The namespace ends with this process, and the veth with it.
	if (!bpffs_usable() || unshare(CLONE_NEWNET) < 0)
		return 77;
	return cmocka_run_group_tests_name("xdp", tests, NULL, NULL);
}
