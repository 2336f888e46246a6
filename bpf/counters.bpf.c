// SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0)
//
// The counter maps and the tables that `cat` prints. The maps are arrays that user space maps into
// its memory; their BTF value types are the structs of counters.h, so that bpftool prints fields by
// name. The iterators run over the totals' rows, and add the workers' rows up at the moment of
// reading: a table is exact, however old the totals are.
// Sizes (max_entries and the three constants below) are set by export.c before the load.

// Relocated accesses would make libbpf ask for the kernel's BTF even when no iterator is loaded,
// and counting must work without. The iterators' context has not changed since Linux 5.9, and the
// verifier checks each access against the running kernel's types.
#define BPF_NO_PRESERVE_ACCESS_INDEX
#include "vmlinux.h"

#include "bpf/capture.h"
#include "bpf/counters.h"
#include "bpf/state.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 worker_count = 1;
const volatile __u32 connectors_max = 1;
const volatile __u32 ports_max = 1;

// Widest name in use, for the tables' first column; raised by export.c as names get rows.
__u32 connector_width = sizeof("connector") - 1;
__u32 port_width = sizeof("port") - 1;

#define COUNTER_MAP(map, type_of_row)                                                              \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(map_flags, BPF_F_MMAPABLE);                                                 \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, type_of_row);                                                        \
	} map SEC(".maps")

// worker x connectors_max + row: written by the workers with plain stores
COUNTER_MAP(connectors_worker, struct connector_counters);
// row: the workers' rows added up by control
COUNTER_MAP(connectors, struct connector_counters);
// worker x REASON_COUNT + enum reason
COUNTER_MAP(reasons_worker, struct reason_counter);
// enum reason
COUNTER_MAP(reasons, struct reason_counter);
// worker x ports_max + row
COUNTER_MAP(ports_worker, struct port_counters);
// row
COUNTER_MAP(ports, struct port_counters);
// worker x records of a worker + sequence % records of a worker
COUNTER_MAP(log, struct log_record);
// worker: written by each
COUNTER_MAP(workers, struct worker_counters);
// written by control: a row a server, the largest sources of drops first
COUNTER_MAP(servers, struct server_counters);
COUNTER_MAP(offenders, struct offender_counters);
// what `relaygate capture` wants; worker x CAPTURE_RECORDS + sequence % CAPTURE_RECORDS
COUNTER_MAP(capture, struct capture_order);
COUNTER_MAP(captured, struct capture_record);
// one row each: what the gate says of itself, and what others ask of it
COUNTER_MAP(instance, struct instance_record);
COUNTER_MAP(requests, struct request_record);

// Banned sources. Not an array: grows with what is in it.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct ban_source);
	__type(value, struct ban);
} bans SEC(".maps");

#define NUMBER_WIDTH  15 // a column's least width; NUMBER_FORMAT says the same
#define NUMBER_FORMAT "%15llu"
#define TITLE_FORMAT  "%15s"

#define BAN_SOURCE_WIDTH 43 // of an IPv6 prefix as the kernel prints it, and a blank

enum connector_column {
#define X(name, help) CONNECTOR_COLUMN_##name,
	CONNECTOR_COUNTERS(X)
#undef X
		CONNECTOR_COLUMNS
};

enum port_column {
#define X(name, help) PORT_COLUMN_##name,
	PORT_COUNTERS(X)
#undef X
		PORT_COLUMNS
};

static const char spaces[COUNTERS_NAME_BYTES + 1] =
	"                                                                ";

static const char reason_name[REASON_COUNT][40] = {[REASON_NONE] = "-",
#define X(name, kind, help) [REASON_##name] = #name,
						   REASONS(X)
#undef X
};

static const char reason_help[REASON_COUNT][120] = {
#define X(name, kind, help) [REASON_##name] = help,
	REASONS(X)
#undef X
};

// Spaces that fill up to width what takes length bytes.
static __always_inline const char *padding(__u32 length, __u32 width)
{
	__u32 missing = width > length ? width - length : 0;

	if (missing > COUNTERS_NAME_BYTES)
		missing = COUNTERS_NAME_BYTES;
	return spaces + COUNTERS_NAME_BYTES - missing;
}

// Prints name (which 64 bytes may fill without a NUL) and what is missing to width.
static __always_inline void print_name(struct seq_file *seq, const char *name, __u32 width)
{
	char text[COUNTERS_NAME_BYTES + 1] = {};
	__u32 length = 0;

	for (__u32 i = 0; i < COUNTERS_NAME_BYTES && name[i]; i++) {
		text[i] = name[i];
		length = i + 1;
	}
	BPF_SEQ_PRINTF(seq, "%s%s", text, padding(length, width));
}

// One column is as wide as its title, or NUMBER_WIDTH.
#define PRINT_TITLE(column)                                                                        \
	do {                                                                                       \
		static const char title[] = #column;                                               \
		BPF_SEQ_PRINTF(seq, " " TITLE_FORMAT, title);                                      \
	} while (0)
#define PRINT_NUMBER(column, number)                                                               \
	BPF_SEQ_PRINTF(seq, " %s" NUMBER_FORMAT, padding(NUMBER_WIDTH, sizeof(#column) - 1), number)

SEC("iter/bpf_map_elem")
int print_connectors(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct connector_counters *total = context->value;
	__u32 *row = context->key;
	__u64 sum[CONNECTOR_COLUMNS] = {};

	if (!row || !total)
		return 0;
	if (context->meta->seq_num == 0) {
		static const char title[] = "connector";

		print_name(seq, title, connector_width);
#define X(name, help) PRINT_TITLE(name);
		CONNECTOR_COUNTERS(X)
#undef X
		BPF_SEQ_PRINTF(seq, "\n");
	}
	if (!total->name[0])
		return 0;
	for (__u32 worker = 0; worker < worker_count; worker++) {
		__u32 slot = worker * connectors_max + *row;
		struct connector_counters *part = bpf_map_lookup_elem(&connectors_worker, &slot);

		if (!part)
			return 0;
#define X(name, help) sum[CONNECTOR_COLUMN_##name] += part->name;
		CONNECTOR_COUNTERS(X)
#undef X
	}
	print_name(seq, total->name, connector_width);
#define X(name, help) PRINT_NUMBER(name, sum[CONNECTOR_COLUMN_##name]);
	CONNECTOR_COUNTERS(X)
#undef X
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}

SEC("iter/bpf_map_elem")
int print_ports(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct port_counters *total = context->value;
	__u32 *row = context->key;
	__u64 sum[PORT_COLUMNS] = {};

	if (!row || !total)
		return 0;
	if (context->meta->seq_num == 0) {
		static const char title[] = "port";

		print_name(seq, title, port_width);
#define X(name, help) PRINT_TITLE(name);
		PORT_COUNTERS(X)
#undef X
		BPF_SEQ_PRINTF(seq, "\n");
	}
	if (!total->name[0])
		return 0;
	for (__u32 worker = 0; worker < worker_count; worker++) {
		__u32 slot = worker * ports_max + *row;
		struct port_counters *part = bpf_map_lookup_elem(&ports_worker, &slot);

		if (!part)
			return 0;
#define X(name, help) sum[PORT_COLUMN_##name] += part->name;
		PORT_COUNTERS(X)
#undef X
	}
	print_name(seq, total->name, port_width);
#define X(name, help) PRINT_NUMBER(name, sum[PORT_COLUMN_##name]);
	PORT_COUNTERS(X)
#undef X
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}

// Reasons that never happened are left out.
SEC("iter/bpf_map_elem")
int print_reasons(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct reason_counter *total = context->value;
	__u32 *row = context->key;
	__u64 count = 0;

	if (!row || !total)
		return 0;
	if (context->meta->seq_num == 0)
		BPF_SEQ_PRINTF(seq, "%-40s %-7s " TITLE_FORMAT "  %s\n", "reason", "kind", "count",
			       "help");
	if (*row == REASON_NONE || *row >= REASON_COUNT)
		return 0;
	for (__u32 worker = 0; worker < worker_count; worker++) {
		__u32 slot = worker * REASON_COUNT + *row;
		struct reason_counter *part = bpf_map_lookup_elem(&reasons_worker, &slot);

		if (!part)
			return 0;
		count += part->count;
	}
	if (count)
		BPF_SEQ_PRINTF(seq, "%-40s %-7s " NUMBER_FORMAT "  %s\n", total->name, total->kind,
			       count, reason_help[*row]);
	return 0;
}

// What an address is shorter than the longest line's, a full IPv6 prefix.
static __always_inline const char *padding_of_ipv4(const __u8 *bytes)
{
	__u32 length = 4 + 3; // a digit each, and the dots

	for (int i = 0; i < 4; i++)
		length += (bytes[i] > 9) + (bytes[i] > 99);
	return padding(length, BAN_SOURCE_WIDTH);
}

// In no order; the end of a ban in seconds since 1970, as it is in the map.
SEC("iter/bpf_map_elem")
int print_bans(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct ban_source *key = context->key;
	struct ban *ban = context->value;
	__u8 address[16] = {};
	__u32 reason;

	if (!key || !ban)
		return 0;
	if (context->meta->seq_num == 0)
		BPF_SEQ_PRINTF(seq, "%-43s " TITLE_FORMAT " " TITLE_FORMAT " %5s  %s\n", "source",
			       "until", "packets", "level", "reason");
	__builtin_memcpy(address, key->prefix, sizeof(key->prefix));
	if (address[0] == 0xff)
		BPF_SEQ_PRINTF(seq, "%pI4%s", address + 4, padding_of_ipv4(address + 4));
	else
		BPF_SEQ_PRINTF(seq, "%pI6/64 ", address);
	reason = ban->reason < REASON_COUNT ? ban->reason : REASON_NONE;
	BPF_SEQ_PRINTF(seq, " " NUMBER_FORMAT " " NUMBER_FORMAT " %5u  %s\n", ban->until,
		       ban->packets, ban->level, reason_name[reason]);
	return 0;
}

// Rows that nobody adds up: a name, perhaps another text, and the counters of LIST.
#define PRINT_TITLES(LIST)                                                                         \
	do {                                                                                       \
		LIST(PRINT_TITLE_OF);                                                              \
		BPF_SEQ_PRINTF(seq, "\n");                                                         \
	} while (0)
#define PRINT_TITLE_OF(name, help) PRINT_TITLE(name);
#define PRINT_FIELD_OF(name, help) PRINT_NUMBER(name, row->name);

#define STATE_WIDTH 21 // of names in these tables, at least

SEC("iter/bpf_map_elem")
int print_workers(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct worker_counters *row = context->value;
	static const char title[] = "worker";

	if (!row)
		return 0;
	if (context->meta->seq_num == 0) {
		print_name(seq, title, sizeof(title) - 1);
		PRINT_TITLES(WORKER_COUNTERS);
	}
	if (!row->name[0])
		return 0;
	print_name(seq, row->name, sizeof(title) - 1);
	WORKER_COUNTERS(PRINT_FIELD_OF)
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}

SEC("iter/bpf_map_elem")
int print_servers(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct server_counters *row = context->value;
	static const char title[] = "server", second[] = "backend";

	if (!row)
		return 0;
	if (context->meta->seq_num == 0) {
		print_name(seq, title, STATE_WIDTH);
		BPF_SEQ_PRINTF(seq, " ");
		print_name(seq, second, STATE_WIDTH);
		PRINT_TITLES(SERVER_COUNTERS);
	}
	if (!row->name[0])
		return 0;
	print_name(seq, row->name, STATE_WIDTH);
	BPF_SEQ_PRINTF(seq, " ");
	print_name(seq, row->backend, STATE_WIDTH);
	SERVER_COUNTERS(PRINT_FIELD_OF)
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}

SEC("iter/bpf_map_elem")
int print_offenders(struct bpf_iter__bpf_map_elem *context)
{
	struct seq_file *seq = context->meta->seq;
	struct offender_counters *row = context->value;
	static const char title[] = "source", second[] = "reason";

	if (!row)
		return 0;
	if (context->meta->seq_num == 0) {
		print_name(seq, title, STATE_WIDTH);
		BPF_SEQ_PRINTF(seq, " ");
		print_name(seq, second, STATE_WIDTH);
		PRINT_TITLES(OFFENDER_COUNTERS);
	}
	if (!row->name[0])
		return 0;
	print_name(seq, row->name, STATE_WIDTH);
	BPF_SEQ_PRINTF(seq, " ");
	print_name(seq, row->reason, STATE_WIDTH);
	OFFENDER_COUNTERS(PRINT_FIELD_OF)
	BPF_SEQ_PRINTF(seq, "\n");
	return 0;
}
