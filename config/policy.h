// SPDX-License-Identifier: BSD-3-Clause
//
// What an operator asked for, as plain immutable data: the whole INI file after parsing, with every
// default filled in. Made by load.c, judged by check.c, read by everybody else.
// Owns all its memory through policy_destroy(); strings are NUL-terminated. Nothing here knows
// DPDK. Times are in milliseconds, sizes in bytes, ports in host byte order.
#ifndef RELAYGATE_CONFIG_POLICY_H
#define RELAYGATE_CONFIG_POLICY_H

#include "config/address.h"
#include "config/rights.h"

#define POLICY_NAME_MAX       64 // bytes in a connector's, port's or backend's name, without NUL
#define POLICY_CONNECTORS_MAX 65534
#define POLICY_SIZE_UNLIMITED UINT64_MAX
#define POLICY_KEYS_MAX       20 // keys of one section, see keys.h
#define POLICY_WORKERS_MAX    16

// The line of each key of a section in the file; 0 = not there, the default holds.
struct policy_lines {
	unsigned key[POLICY_KEYS_MAX]; // by key_index()
};

enum refuse_action {
	REFUSE_DROP,  // no answer
	REFUSE_RESET, // RST, rate-limited
};

enum reply_dialect {
	REPLY_DIALECT_2007, // 5.7.1 forms
	REPLY_DIALECT_2016, // 5.7.54, 5.7.57, 5.7.60 forms
};

enum domain_type {
	DOMAIN_AUTHORITATIVE,
	DOMAIN_INTERNAL_RELAY,
	DOMAIN_EXTERNAL_RELAY,
};

struct gate_settings {
	char *name;          // FQDN: banner, EHLO, Received
	char *user;          // run as, after start-up; NULL = stay as started
	char *pin_directory; // bpffs folder of this instance
	enum refuse_action refuse;
	enum reply_dialect dialect;
	bool huge_pages;
	bool spin;                  // idle workers busy-poll instead of sleeping
	uint32_t workers;           // threads that carry the traffic; they divide the totals below
	uint32_t max_sessions;      // client sessions at once
	uint32_t half_open_entries; // SYN-ACKs remembered for retransmission
	uint32_t time_wait_entries;
	uint64_t buffer_memory;  // bytes of payload buffers
	uint32_t receive_buffer; // bytes a flow may hold unread: the window offered
	uint32_t send_buffer;    // bytes a flow may hold unsent and unacknowledged
	uint32_t log_records;    // refusals and events remembered
	uint32_t drain_timeout_ms;
	uint32_t linger_timeout_ms;
	unsigned line;
	struct policy_lines lines;
};

struct port_settings {
	char *name;
	char *device; // canonical: af_xdp:IFACE, af_packet:IFACE, pci:ADDRESS or vdev:TEXT
	struct interface_address *addresses;
	unsigned address_count;
	struct address *gateways; // at most one a family
	unsigned gateway_count;
	uint16_t vlan; // 0 = untagged
	uint16_t mtu;  // bytes of an IP packet
	bool trust_checksums;
	unsigned line;
	struct policy_lines lines;
};

struct accepted_domain {
	char *name; // lower case, no trailing dot; "*.contoso.com" matches subdomains only
	enum domain_type type;
	bool match_subdomains; // name and everything below it
	unsigned line;
	struct policy_lines lines;
};

struct connector_range {
	struct range range;
	unsigned line; // of the INI file, for messages
};

struct connector {
	char *name; // 1-64 bytes; key of its counters
	bool enabled;
	struct endpoint
		*bindings; // port always set; 0.0.0.0 and [::] mean every address of the family
	unsigned binding_count;
	struct connector_range *ranges;
	unsigned range_count;
	uint32_t permission_groups;  // bits of enum permission_group
	rights_mask granted, denied; // ExtendedRights and DeniedRights, to anonymous
	char *backend_name;          // as written; NULL = the only one
	unsigned backend;            // index into policy.backends
	char *fqdn;                  // gate.name unless set
	char *banner;                // text after 220, NULL = Exchange's default form
	uint64_t max_message_size;   // bytes or POLICY_SIZE_UNLIMITED
	uint32_t max_recipients;
	uint32_t max_protocol_errors; // UINT32_MAX = unlimited
	uint32_t connection_timeout_ms;
	uint32_t inactivity_timeout_ms;
	unsigned line;
	struct policy_lines lines;
};

struct backend {
	char *name;
	struct endpoint *servers;
	unsigned server_count;
	uint32_t max_connections; // a server
	uint32_t max_waiting;     // transactions waiting for a connection, whole backend
	uint32_t wait_timeout_ms; // for one of them
	uint32_t connect_timeout_ms;
	uint32_t reply_timeout_ms;       // greeting and every command but the end of data
	uint32_t final_reply_timeout_ms; // end of data (RFC 5321 section 4.5.3.2.6)
	uint32_t idle_timeout_ms;        // of a pooled connection
	uint32_t probe_interval_ms;
	unsigned line;
	struct policy_lines lines;
};

struct policy {
	char *file; // as given, for messages
	struct gate_settings gate;
	struct port_settings *ports;
	unsigned port_count;
	struct accepted_domain *domains;
	unsigned domain_count;
	bool domains_sorted; // set by policy_sort_domains(): makes the search below logarithmic
	struct connector *connectors;
	unsigned connector_count;
	struct backend *backends;
	unsigned backend_count;
};

void policy_destroy(struct policy *policy); // NULL is fine

// What an anonymous session of the connector may do: groups + grants - denials.
rights_mask connector_anonymous_rights(const struct connector *connector);

// Orders the accepted domains by name. The loader does it; a policy made by hand works without.
void policy_sort_domains(struct policy *policy);

// The accepted domain that a domain name belongs to: exact match first, then the longest suffix.
// name need not be NUL-terminated; compared without regard to ASCII case. NULL when none.
const struct accepted_domain *policy_accepted_domain(const struct policy *policy, const char *name,
						     size_t length);

// The same without the exact match: the wildcard or MatchSubDomains entry that name lies below.
const struct accepted_domain *policy_covering_domain(const struct policy *policy, const char *name,
						     size_t length);

#endif
