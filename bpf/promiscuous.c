// SPDX-License-Identifier: BSD-3-Clause
//
// Reads and writes IFF_PROMISC, the flag of `ip link set promisc`; what tcpdump and other packet
// sockets ask for is counted apart by the kernel and not touched. An interface that was made anew
// under the same name has another index: then the memory is void.
#include "bpf/promiscuous.h"

#include "bpf/message.h"
#include "bpf/pins.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct memory {
	uint32_t interface_index;
	uint32_t promiscuous; // before the gate
};

static int control_flags(const char *interface, unsigned long request, struct ifreq *control)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -errno;
	snprintf(control->ifr_name, sizeof(control->ifr_name), "%s", interface);
	result = ioctl(fd, request, control) < 0 ? -errno : 0;
	close(fd);
	return result;
}

static int is_promiscuous(const char *interface)
{
	struct ifreq control = {0};
	int result = control_flags(interface, SIOCGIFFLAGS, &control);

	return result ? result : !!(control.ifr_flags & IFF_PROMISC);
}

static int switch_off(const char *interface)
{
	struct ifreq control = {0};
	int result = control_flags(interface, SIOCGIFFLAGS, &control);

	if (result)
		return result;
	control.ifr_flags &= (short)~IFF_PROMISC;
	return control_flags(interface, SIOCSIFFLAGS, &control);
}

static bool recall(const char *interface, const char *directory, const char *pin,
		   struct memory *memory)
{
	int map = pins_open_map(directory, pin);
	uint32_t first = 0;
	bool found;

	if (map < 0)
		return false;
	found = bpf_map_lookup_elem(map, &first, memory) == 0 &&
		memory->interface_index == if_nametoindex(interface);
	close(map);
	return found;
}

static int restore(const char *interface, const char *directory, const char *pin)
{
	struct memory memory;

	if (recall(interface, directory, pin, &memory) && !memory.promiscuous &&
	    is_promiscuous(interface) == 1)
		return switch_off(interface);
	return 0;
}

int promiscuous_remember(const char *interface, const char *directory, const char *pin,
			 char error[EXPORT_ERROR_MAX])
{
	int result = restore(interface, directory, pin), mode = is_promiscuous(interface), map;
	struct memory memory = {if_nametoindex(interface), mode == 1};
	uint32_t first = 0;

	if (result || mode < 0)
		return message_failed(error, result ? result : mode, interface,
				      "restore its promiscuous mode");
	map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "xdp_before", sizeof(first), sizeof(memory), 1,
			     NULL);
	if (map < 0)
		return message_failed(error, -errno, interface, "remember its promiscuous mode");
	result = bpf_map_update_elem(map, &first, &memory, BPF_ANY) < 0 ? -errno : 0;
	if (result == 0)
		result = pins_replace(map, directory, pin);
	close(map);
	if (result)
		return message_failed(error, result, directory, "remember its promiscuous mode");
	return 0;
}

int promiscuous_restore(const char *interface, const char *directory, const char *pin)
{
	int result = restore(interface, directory, pin);

	if (result == 0)
		pins_remove(directory, pin);
	return result;
}
