// SPDX-License-Identifier: BSD-3-Clause
//
// One reload: read and check the file, see that nothing changed that was chosen at the start,
// compile aside, and only then widen the steering, swap, and tell. A fault at any step before the
// swap leaves what runs untouched; there are no steps behind it that can fail. Called by the main
// thread; owns nothing between calls. When a reload is due is run.c's to know.
#ifndef RELAYGATE_CONTROL_RELOAD_H
#define RELAYGATE_CONTROL_RELOAD_H

struct address;
struct export;
struct generations;
struct protocol_log;
struct standing;

struct own_addresses {
	struct address *addresses;
	unsigned count;
};

struct reload_parts {
	struct generations *generations;
	struct export *export;
	struct protocol_log *protocol_log; // NULL: none was wanted at the start
	struct standing *standing;         // told of the outcome
	const struct own_addresses *own;   // [port_count]
};

// cause: request, signal, file. 0, or -1 with the faults on stderr and in standing->next.message.
int reload(const struct reload_parts *parts, const char *cause);
// A generation was freed: what only it needed of the interfaces is the kernel's again.
void reload_narrow(const struct reload_parts *parts);

#endif
