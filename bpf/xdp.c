// SPDX-License-Identifier: BSD-3-Clause
//
// The life of our XDP program on an interface, around net_af_xdp, which loads and attaches it by
// itself: before the port opens the remains of a dead instance go, once it is open the program and
// its maps are found, pinned and filled, and at stop they go again. Judges whose a program is;
// finding and detaching are steer_program.c's, the maps' content is steering.c's.
#include "bpf/export.h"

#include "bpf/export_internal.h"
#include "bpf/message.h"
#include "bpf/pins.h"
#include "bpf/promiscuous.h"
#include "bpf/steer.h"
#include "bpf/steer_program.h"
#include "bpf/steering.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct steered {
	struct steered *next;
	char interface[IF_NAMESIZE];
	int program;
	int sockets;
	int bans, dropped;
	struct steering_maps maps;
};

#define PIN_BEFORE  "before"
#define PIN_PROGRAM "program"

static const char *const pin_suffixes[] = {PIN_PROGRAM, "sockets", "addresses", "bindings",
					   "servers",   "config",  "bans",      "dropped"};

// xdp_INTERFACE_SUFFIX. bpffs allows no dot in a name, and an interface's name no colon.
static void pin_name(const char *interface, const char *suffix, char name[NAME_MAX])
{
	snprintf(name, NAME_MAX, "xdp_%s_%s", interface, suffix);
	for (char *dot = strchr(name, '.'); dot; dot = strchr(dot, '.'))
		*dot = ':';
}

static void remove_pins(const char *directory, const char *interface)
{
	char name[NAME_MAX];

	for (unsigned i = 0; i < sizeof(pin_suffixes) / sizeof(pin_suffixes[0]); i++) {
		pin_name(interface, pin_suffixes[i], name);
		pins_remove(directory, name);
	}
}

// Was this program pinned by an instance of this directory (another version of ours, perhaps)?
static bool is_pinned(const char *directory, const char *interface, uint32_t id)
{
	char name[NAME_MAX], path[PATH_MAX];
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	bool same;
	int fd;

	pin_name(interface, PIN_PROGRAM, name);
	if (pins_path(directory, name, path) < 0)
		return false;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	same = bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.id == id;
	close(fd);
	return same;
}

static int detach_dead(const char *interface, const char *directory,
		       const struct steer_attached *attached, char error[EXPORT_ERROR_MAX])
{
	pid_t holder;
	int result;

	if (attached->several ||
	    (!attached->same && !is_pinned(directory, interface, attached->id)))
		return message_set(error, -EBUSY,
				   "%s: has an XDP program that is not ours (%s, id %u): detach it "
				   "(`ip link set dev %s xdp off`) or use another interface",
				   interface, attached->name[0] ? attached->name : "no name",
				   attached->id, interface);
	holder = steer_program_holder(attached->id);
	if (holder)
		return message_set(error, -EBUSY,
				   "%s: in use by process %d, which holds its XDP program: stop it "
				   "or use another interface",
				   interface, (int)holder);
	result = steer_program_detach(interface, attached);
	return result ? message_failed(error, result, interface,
				       "detach the XDP program of a dead instance")
		      : 0;
}

int export_xdp_reclaim(const char *interface, const char *directory, char error[EXPORT_ERROR_MAX])
{
	struct steer_attached attached;
	char name[NAME_MAX];
	int result;

	error[0] = '\0';
	message_capture();
	result = steer_program_find(interface, &attached, error);
	if (result)
		return result;
	if (attached.fd >= 0) {
		result = detach_dead(interface, directory, &attached, error);
		close(attached.fd);
	}
	if (result)
		return result;
	remove_pins(directory, interface);
	pin_name(interface, PIN_BEFORE, name);
	return promiscuous_remember(interface, directory, name, error);
}

static struct steered *find_steered(struct export *export, const char *interface)
{
	struct steered *steered = export->steered;

	while (steered && strcmp(steered->interface, interface) != 0)
		steered = steered->next;
	return steered;
}

static void close_steered(struct steered *steered)
{
	const int fds[] = {steered->program,       steered->sockets,      steered->maps.addresses,
			   steered->maps.bindings, steered->maps.servers, steered->maps.config,
			   steered->bans,          steered->dropped};

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(steered);
}

static int open_maps(struct steered *steered)
{
	const struct {
		const char *name;
		int *fd;
	} maps[] = {
		{STEER_SOCKETS, &steered->sockets},
		{STEER_ADDRESSES, &steered->maps.addresses},
		{STEER_BINDINGS, &steered->maps.bindings},
		{STEER_SERVERS, &steered->maps.servers},
		{STEER_CONFIG, &steered->maps.config},
		{STEER_BANS, &steered->bans},
		{STEER_DROPPED, &steered->dropped},
	};

	for (unsigned i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		*maps[i].fd = steer_program_map(steered->program, maps[i].name);
		if (*maps[i].fd < 0)
			return *maps[i].fd;
	}
	return 0;
}

static int pin_all(const struct steered *steered, const char *directory)
{
	const int fds[] = {steered->program,       steered->sockets,      steered->maps.addresses,
			   steered->maps.bindings, steered->maps.servers, steered->maps.config,
			   steered->bans,          steered->dropped};
	char name[NAME_MAX];
	int result = 0;

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]) && result == 0; i++) {
		pin_name(steered->interface, pin_suffixes[i], name);
		result = pins_replace(fds[i], directory, name);
	}
	return result;
}

// From here on the program drops what is in the instance's map.
static int share_bans(const struct steered *steered, int bans)
{
	uint32_t first = 0;

	return bpf_map_update_elem(steered->bans, &first, &bans, BPF_ANY) < 0 ? -errno : 0;
}

// Takes over the program's descriptor, whatever happens.
static int adopt(struct export *export, const char *interface, int program,
		 char error[EXPORT_ERROR_MAX])
{
	struct steered *steered = malloc(sizeof(*steered));
	int result;

	if (!steered) {
		close(program);
		return message_failed(error, -ENOMEM, interface, "keep its XDP program");
	}
	*steered = (struct steered){.program = program,
				    .sockets = -1,
				    .bans = -1,
				    .dropped = -1,
				    .maps = {-1, -1, -1, -1}};
	snprintf(steered->interface, sizeof(steered->interface), "%s", interface);
	result = open_maps(steered);
	if (result == 0)
		result = share_bans(steered, export_bans(export));
	if (result == 0)
		result = pin_all(steered, export->directory);
	if (result) {
		remove_pins(export->directory, interface);
		close_steered(steered);
		return message_failed(error, result, interface, "pin its XDP program");
	}
	steered->next = export->steered;
	export->steered = steered;
	return 0;
}

int export_xdp_adopt(struct export *export, const char *interface,
		     const struct export_steering *steering, char error[EXPORT_ERROR_MAX])
{
	struct steer_attached attached;
	int result;

	error[0] = '\0';
	message_capture();
	if (find_steered(export, interface))
		return export_xdp_update(export, interface, steering, error);
	result = steer_program_find(interface, &attached, error);
	if (result)
		return result;
	if (attached.fd < 0)
		return message_set(error, -ENOENT, "%s: has no XDP program: its port is not open",
				   interface);
	if (!attached.same) {
		close(attached.fd);
		return message_set(error, -EBUSY, "%s: its XDP program (%s, id %u) is not ours",
				   interface, attached.name, attached.id);
	}
	result = adopt(export, interface, attached.fd, error);
	return result ? result : export_xdp_update(export, interface, steering, error);
}

int export_xdp_update(struct export *export, const char *interface,
		      const struct export_steering *steering, char error[EXPORT_ERROR_MAX])
{
	const struct steered *steered = find_steered(export, interface);

	error[0] = '\0';
	if (!steered)
		return message_set(error, -ENOENT, "%s: its XDP program was not adopted",
				   interface);
	return steering_fill(&steered->maps, steering, interface, error);
}

int export_xdp_dropped(struct export *export, const char *interface, uint64_t *frames)
{
	const struct steered *steered = find_steered(export, interface);
	int cpus = libbpf_num_possible_cpus(), result = 0;
	uint64_t *counts = calloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*counts));
	uint32_t first = 0;

	*frames = 0;
	if (!steered || cpus <= 0 || !counts)
		result = steered ? -ENOMEM : -ENOENT;
	else if (bpf_map_lookup_elem(steered->dropped, &first, counts) < 0)
		result = -errno;
	for (int i = 0; result == 0 && i < cpus; i++)
		*frames += counts[i];
	free(counts);
	return result;
}

void export_xdp_release(struct export *export, const char *interface)
{
	struct steered *steered = find_steered(export, interface), **link;
	char error[EXPORT_ERROR_MAX], name[NAME_MAX];
	struct steer_attached attached;
	int result = 0;

	message_capture();
	if (steer_program_find(interface, &attached, error) == 0 && attached.fd >= 0) {
		if (is_pinned(export->directory, interface, attached.id))
			result = steer_program_detach(interface, &attached);
		close(attached.fd);
	}
	// Without the privilege to detach, the pin tells the next start whose program it is.
	if (result == 0)
		remove_pins(export->directory, interface);
	pin_name(interface, PIN_BEFORE, name);
	promiscuous_restore(interface, export->directory, name);
	if (!steered)
		return;
	for (link = &export->steered; *link != steered; link = &(*link)->next)
		continue;
	*link = steered->next;
	close_steered(steered);
}

void export_xdp_forget(struct export *export)
{
	while (export->steered) {
		struct steered *steered = export->steered;

		export->steered = steered->next;
		close_steered(steered);
	}
}
