// SPDX-License-Identifier: BSD-3-Clause
//
// EAL arguments out of a policy: which CPUs, how much memory of which kind, which devices; and how
// urgent the workers' threads are. What the EAL prints is kept back and its last line becomes part
// of our own one-line error.
// Does not configure ports (port.c).

#include "dataplane/io/environment.h"

#include "config/policy.h"
#include "dataplane/io/port.h"

#include <errno.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_launch.h>
#include <rte_log.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
// The CPUs as ranges: at worst every second one, "1022,".
#define CPU_LIST_BYTES (CPU_SETSIZE / 2 * 5)
// DPDK's own tables, and a port's beside its packet buffers, in MiB.
#define MEMORY_BASE_MIB   32
#define MEMORY_A_PORT_MIB 16

struct arguments {
	int count;
	char *values[ARGUMENTS_MAX];
};

static int add(struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int add(struct arguments *arguments, const char *format, ...)
{
	va_list list;
	int length;

	if (arguments->count == ARGUMENTS_MAX)
		return -E2BIG;
	va_start(list, format);
	length = vasprintf(&arguments->values[arguments->count], format, list);
	va_end(list);
	if (length < 0)
		return -ENOMEM;
	arguments->count++;
	return 0;
}

const char *environment_interface(const char *device)
{
	if (strncmp(device, "af_xdp:", 7) == 0)
		return device + 7;
	if (strncmp(device, "af_packet:", 10) == 0)
		return device + 10;
	return NULL;
}

void environment_device_name(const struct policy *policy, unsigned port, char name[64])
{
	const char *device = policy->ports[port].device;

	if (strncmp(device, "af_xdp:", 7) == 0)
		snprintf(name, 64, "net_af_xdp%u", port);
	else if (strncmp(device, "af_packet:", 10) == 0)
		snprintf(name, 64, "net_af_packet%u", port);
	else if (strncmp(device, "pci:", 4) == 0)
		snprintf(name, 64, "%s", device + 4);
	else
		snprintf(name, 64, "%.*s", (int)strcspn(device + 5, ","), device + 5);
}

// The interface's queues; all zero when it does not say.
static struct ethtool_channels interface_channels(const char *interface)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (char *)&channels};
	int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (handle < 0 || ioctl(handle, SIOCETHTOOL, &request))
		channels = (struct ethtool_channels){0};
	if (handle >= 0)
		close(handle);
	return channels;
}

// One a worker, where the device is made by us.
static unsigned device_queues(const struct policy *policy, unsigned port)
{
	const char *device = policy->ports[port].device;
	unsigned workers = policy->gate.workers, queues;

	if (strncmp(device, "af_xdp:", 7) != 0)
		return workers;
	// DPDK takes combined queues only.
	queues = interface_channels(device + 7).combined_count;
	return queues == 0 ? 1 : queues < workers ? queues : workers;
}

static int add_device(struct arguments *arguments, const struct policy *policy, unsigned port,
		      const char *xdp_object)
{
	const char *device = policy->ports[port].device;
	char name[64];

	environment_device_name(policy, port, name);
	if (strncmp(device, "af_xdp:", 7) == 0)
		return add(arguments, "--vdev=%s,iface=%s,xdp_prog=%s,queue_count=%u", name,
			   device + 7, xdp_object, device_queues(policy, port));
	if (strncmp(device, "af_packet:", 10) == 0)
		return add(arguments, "--vdev=%s,iface=%s,framesz=%u,blocksz=%u,qpairs=%u", name,
			   device + 10, 2048, 4096, device_queues(policy, port));
	if (strncmp(device, "pci:", 4) == 0)
		return add(arguments, "-a%s", device + 4);
	return add(arguments, "--vdev=%s", device + 5);
}

static bool uses_pci(const struct policy *policy)
{
	for (unsigned i = 0; i < policy->port_count; i++)
		if (strncmp(policy->ports[i].device, "pci:", 4) == 0)
			return true;
	return false;
}

void environment_cpu_list(const cpu_set_t *set, char *text, size_t size)
{
	size_t length = 0;
	unsigned last;

	text[0] = '\0';
	for (unsigned cpu = 0; cpu < CPU_SETSIZE && length < size; cpu = last + 1) {
		last = cpu;
		if (!CPU_ISSET(cpu, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		length += (size_t)snprintf(text + length, size - length, "%s%u", length ? "," : "",
					   cpu);
		if (last > cpu && length < size)
			length += (size_t)snprintf(text + length, size - length, "-%u", last);
	}
}

// Every lcore may run on every CPU that we may use; with Spin = yes a worker has one to itself.
static int add_lcores(struct arguments *arguments, const struct policy *policy, unsigned workers)
{
	char cpus[CPU_LIST_BYTES], *lcores = NULL;
	unsigned numbers[CPU_SETSIZE];
	unsigned count = 0;
	size_t size = 0;
	FILE *stream;
	cpu_set_t set;
	int error;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -errno;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			numbers[count++] = cpu;
	environment_cpu_list(&set, cpus, sizeof(cpus));
	stream = open_memstream(&lcores, &size);
	if (!stream)
		return -ENOMEM;
	fprintf(stream, "0@(%s)", cpus);
	for (unsigned worker = 1; worker <= workers; worker++) {
		if (policy->gate.spin && count > worker)
			fprintf(stream, ",%u@%u", worker, numbers[count - worker]);
		else
			fprintf(stream, ",%u@(%s)", worker, cpus);
	}
	error = fclose(stream) ? -ENOMEM : add(arguments, "--lcores=%s", lcores);
	free(lcores);
	return error;
}

static unsigned memory_mib(const struct policy *policy)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < policy->port_count; i++)
		bytes += port_buffer_bytes(policy, i, device_queues(policy, i));
	return MEMORY_BASE_MIB + MEMORY_A_PORT_MIB * policy->port_count + (unsigned)(bytes >> 20);
}

const char *environment_prefix(const struct policy *policy)
{
	const char *slash = strrchr(policy->gate.pin_directory, '/');

	const char *name = slash ? slash + 1 : policy->gate.pin_directory;

	return strchr(name, '%') ? "relaygate" : name; // which DPDK does not take
}

static bool writable(const char *directory)
{
	return (mkdir(directory, 0700) == 0 || errno == EEXIST) && access(directory, W_OK) == 0;
}

// DPDK would not start without the place for its socket. It is made as DPDK makes it.
bool environment_telemetry(const struct policy *policy)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dpdk", getuid() && runtime ? runtime : "/var/run");
	if (!writable(path))
		return false;
	snprintf(path, sizeof(path), "%s/dpdk/%s", getuid() && runtime ? runtime : "/var/run",
		 environment_prefix(policy));
	return writable(path);
}

static int add_all(struct arguments *arguments, const struct policy *policy, const char *xdp_object,
		   unsigned workers)
{
	int error = add(arguments, "relaygate");

	error = error ? error : add_lcores(arguments, policy, workers);
	// A name of its own: the directory of its sockets, beside other instances'.
	error = error ? error : add(arguments, "--file-prefix=%s", environment_prefix(policy));
	if (!environment_telemetry(policy))
		error = error ? error : add(arguments, "--no-telemetry");
	error = error ? error : add(arguments, "--no-shconf");
	if (!policy->gate.huge_pages)
		error = error ? error : add(arguments, "--no-huge");
	else
		// Anonymous huge pages: no mount is needed, and no file outlives the process.
		error = error ? error : add(arguments, "--in-memory");
	error = error ? error : add(arguments, "-m%u", memory_mib(policy));
	if (!uses_pci(policy))
		error = error ? error : add(arguments, "--no-pci");
	for (unsigned i = 0; i < policy->port_count; i++)
		error = error ? error : add_device(arguments, policy, i, xdp_object);
	return error;
}

// An interface that is not there is said by name, before DPDK says it in its own words.
static bool interface_is_up(const char *interface)
{
	struct ifreq request = {0};
	int handle = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool up;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	// Who cannot ask goes on: what comes then will say why.
	up = handle < 0 || ioctl(handle, SIOCGIFFLAGS, &request) || request.ifr_flags & IFF_UP;
	if (handle >= 0)
		close(handle);
	return up;
}

// Huge pages that are not there are said in our words, before DPDK says it in its own.
static int check_huge_pages(const struct policy *policy, char error[ENVIRONMENT_ERROR_MAX])
{
	unsigned long free_pages = 0, page_kib = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "r");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "HugePages_Free: %lu", &free_pages) != 1)
			sscanf(line, "Hugepagesize: %lu kB", &page_kib);
	fclose(file);
	if (!page_kib || free_pages * page_kib >= memory_mib(policy) * 1024ul)
		return 0;
	snprintf(error, ENVIRONMENT_ERROR_MAX,
		 "[gate] HugePages: %lu huge pages of %lu kB are free, %lu are needed; "
		 "reserve them in /proc/sys/vm/nr_hugepages",
		 free_pages, page_kib, (memory_mib(policy) * 1024ul + page_kib - 1) / page_kib);
	return -ENOMEM;
}

// AF_XDP gets nothing of what comes in at a queue that no worker has: the kernel would, and drop
// it.
static int check_queues(const struct policy *policy, unsigned index,
			char error[ENVIRONMENT_ERROR_MAX])
{
	const struct port_settings *port = &policy->ports[index];
	const char *interface = environment_interface(port->device);
	struct ethtool_channels channels;
	unsigned ours = device_queues(policy, index);

	if (strncmp(port->device, "af_xdp:", 7) != 0)
		return 0;
	channels = interface_channels(interface);
	if (channels.combined_count + channels.rx_count <= ours)
		return 0;
	snprintf(
		error, ENVIRONMENT_ERROR_MAX,
		"%s:%u: [port %s] Device: interface \"%s\" receives into %u queues, the gate takes "
		"%u (at most one a worker); \"ethtool -L %s %s %u\" first",
		policy->file, port->line, port->name, interface,
		channels.combined_count + channels.rx_count, ours, interface,
		channels.combined_count ? "combined" : "rx", ours);
	return -ERANGE;
}

int environment_check(const struct policy *policy, char error[ENVIRONMENT_ERROR_MAX])
{
	for (unsigned i = 0; i < policy->port_count; i++) {
		const struct port_settings *port = &policy->ports[i];
		const char *interface = environment_interface(port->device);

		if (!interface)
			continue;
		if (if_nametoindex(interface)) {
			if (interface_is_up(interface)) {
				int result = check_queues(policy, i, error);

				if (result)
					return result;
				continue;
			}
			snprintf(error, ENVIRONMENT_ERROR_MAX,
				 "%s:%u: [port %s] Device: interface \"%s\" is down; "
				 "\"ip link set %s up\" first",
				 policy->file, port->line, port->name, interface, interface);
			return -ENETDOWN;
		}
		snprintf(error, ENVIRONMENT_ERROR_MAX,
			 "%s:%u: [port %s] Device: there is no interface \"%s\" here; "
			 "\"ip link\" lists those there are",
			 policy->file, port->line, port->name, interface);
		return -ENODEV;
	}
	return policy->gate.huge_pages ? check_huge_pages(policy, error) : 0;
}

// Of the thread that runs it. Round robin would take turns with the other workers on a CPU, which
// are as urgent: first in, first out, until it sleeps.
static int become_realtime(void *unused)
{
	const struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};

	(void)unused;
	return sched_setscheduler(0, SCHED_FIFO, &lowest) ? -errno : 0;
}

static int make_realtime(const struct policy *policy, unsigned workers,
			 char error[ENVIRONMENT_ERROR_MAX])
{
	int result = 0;

	for (unsigned lcore = 1; lcore <= workers && policy->gate.realtime && !result; lcore++) {
		result = rte_eal_remote_launch(become_realtime, NULL, lcore);
		result = result ? result : rte_eal_wait_lcore(lcore);
	}
	if (result)
		snprintf(error, ENVIRONMENT_ERROR_MAX,
			 "[gate] Realtime: %s; start as root or with CAP_SYS_NICE, or leave it out",
			 strerror(-result));
	return result;
}

// The last line of what the EAL said, without its newline.
static const char *last_line(char *text)
{
	size_t length = strlen(text);
	char *start;

	while (length && text[length - 1] == '\n')
		text[--length] = '\0';
	start = strrchr(text, '\n');
	return start ? start + 1 : text;
}

int environment_start(const struct policy *policy, const char *xdp_object, unsigned workers,
		      char error[ENVIRONMENT_ERROR_MAX])
{
	struct arguments arguments = {0};
	char *said = NULL;
	size_t said_size = 0;
	FILE *stream;
	int result;

	if (add_all(&arguments, policy, xdp_object, workers)) {
		snprintf(error, ENVIRONMENT_ERROR_MAX, "too many ports for DPDK's command line");
		return -E2BIG;
	}
	stream = open_memstream(&said, &said_size);
	if (stream)
		rte_openlog_stream(stream);
	result = rte_eal_init(arguments.count, arguments.values);
	rte_openlog_stream(NULL);
	if (stream)
		fclose(stream);
	rte_log_set_global_level(RTE_LOG_ERR);
	if (result < 0) {
		snprintf(error, ENVIRONMENT_ERROR_MAX, "DPDK does not start: %s (%s)",
			 rte_strerror(rte_errno), said ? last_line(said) : "no reason given");
		result = rte_errno ? -rte_errno : -EIO;
	} else {
		result = make_realtime(policy, workers, error);
	}
	free(said);
	// The EAL keeps pointers to its arguments: they live as long as the process.
	return result;
}
