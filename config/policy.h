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
#define POLICY_KEYS_MAX       96 // keys of one section, see keys.h
#define POLICY_WORKERS_MAX    16
#define GATE_DNS_SERVERS_MAX  8
#define POLICY_DNSBLS_MAX     32 // bits of a word, see gate/dnsbl.h

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

// What a connector is for: it chooses the defaults of its other keys (usage.h).
enum connector_usage {
	USAGE_CUSTOM,
	USAGE_CLIENT,
	USAGE_INTERNAL,
	USAGE_INTERNET,
	USAGE_PARTNER,
};

enum size_offer {
	SIZE_ENABLED,               // SIZE and the limit
	SIZE_ENABLED_WITHOUT_VALUE, // SIZE alone
	SIZE_DISABLED,              // not offered; MAIL may carry it nevertheless
};

enum rate_source {
	RATE_SOURCE_NONE,
	RATE_SOURCE_IP_ADDRESS,
	RATE_SOURCE_USER, // who authenticated: nobody, as long as nobody can
	RATE_SOURCE_ALL,  // both
};

enum protocol_logging {
	PROTOCOL_LOGGING_NONE,
	PROTOCOL_LOGGING_VERBOSE,
};

// What a connection gets that would be above a limit, or whose source is blocked or banned.
enum limit_action {
	ABOVE_DROP,   // nothing
	ABOVE_RESET,  // RST
	ABOVE_TARPIT, // 421 after TarpitInterval, then FIN
	ABOVE_REPLY,  // the same at once
	ABOVE_REJECT, // of the IP Block list: 550 to every recipient, then FIN, as Exchange does
};

// The limits on connections of a connector, in the order in which they are asked; and what is asked
// before them, of the whole gate.
enum connection_limit_kind {
	LIMIT_SYN_RATE,    // SYNs a second
	LIMIT_CONNECTIONS, // open sessions
	LIMIT_PER_SOURCE,  // those of a source: an IPv4 address or an IPv6 /64
	LIMIT_PERCENTAGE, // the same, as a percentage of the sessions that are left; 100 = no limit
	LIMIT_PER_PREFIX, // those of a prefix
	LIMIT_SOURCE_RATE, // connections a minute of a source
	LIMIT_PREFIX_RATE, // of a prefix
	LIMIT_COUNT,
	LIMIT_WITHIN = LIMIT_COUNT,
	LIMIT_BLOCK_LIST, // the source is on the IP Block list
	LIMIT_BAN,        // the source is banned
};

struct connection_limit {
	uint32_t most; // 0 and UINT32_MAX = unlimited
	enum limit_action action;
};

// What a client gets that spoke before it was its turn.
enum early_action {
	EARLY_COUNT,  // nothing: it is counted and logged
	EARLY_REJECT, // 550 to every recipient of the session
	EARLY_CLOSE,  // 521 at once
};

enum dnsbl_action {
	DNSBL_NONE,   // no list is asked
	DNSBL_COUNT,  // a listed client is counted and logged
	DNSBL_TARPIT, // and the first recipient of each message waits for TarpitInterval
	DNSBL_REJECT, // or each recipient gets 550
};

struct gate_settings {
	char *name;          // FQDN: banner, EHLO, Received
	char *user;          // run as, after start-up; NULL = stay as started
	char *pin_directory; // bpffs folder of this instance
	enum refuse_action refuse;
	enum reply_dialect dialect;
	bool huge_pages;
	bool spin;                  // idle workers busy-poll instead of sleeping
	bool realtime;              // workers run before all ordinary threads; never with spin
	uint32_t workers;           // threads that carry the traffic; they divide the totals below
	uint32_t max_sessions;      // client sessions at once
	uint32_t half_open_entries; // SYN-ACKs remembered for retransmission
	uint32_t time_wait_entries;
	uint32_t source_entries;     // sources and prefixes whose connections are counted
	uint32_t source_prefix_ipv4; // bits of what is a prefix
	uint32_t source_prefix_ipv6;
	uint64_t buffer_memory;  // bytes of payload buffers
	uint32_t receive_buffer; // bytes a flow may hold unread: the window offered
	uint32_t send_buffer;    // bytes a flow may hold unsent and unacknowledged
	uint32_t log_records;    // refusals and events remembered
	uint32_t drain_timeout_ms;
	uint32_t linger_timeout_ms;
	bool auto_reload;
	char *protocol_log_path;              // NULL = none
	uint64_t protocol_log_file_size;      // bytes of a file
	uint64_t protocol_log_directory_size; // and of all of them
	uint64_t protocol_log_age_ms;         // of a file's last line; 0 = any
	uint64_t greet_pass_time_ms;          // a client that waited need not wait again; 0 = never
	struct endpoint *dns_servers;         // none: those of /etc/resolv.conf
	unsigned dns_server_count;
	uint32_t dns_timeout_ms; // for the answers of all lists about one client
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
	bool all_domains;      // the name is "*", and it is meant
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
	enum connector_usage usage;
	struct endpoint
		*bindings; // port always set; 0.0.0.0 and [::] mean every address of the family
	unsigned binding_count;
	struct connector_range *ranges;
	unsigned range_count;
	uint32_t permission_groups; // bits of enum permission_group
	uint32_t mechanisms;        // bits of enum mechanism
	rights_mask granted[PRINCIPAL_COUNT], denied[PRINCIPAL_COUNT]; // beside the groups
	char *backend_name; // as written; NULL = the only one
	unsigned backend;   // index into policy.backends
	char *fqdn;         // gate.name unless set
	char *banner;       // text after 220, NULL = Exchange's default form

	uint64_t max_message_size; // bytes or POLICY_SIZE_UNLIMITED
	uint64_t max_header_size;  // bytes
	uint32_t max_hop_count;
	uint32_t max_local_hop_count; // 0 = not counted
	uint32_t max_recipients;
	uint32_t max_protocol_errors; // UINT32_MAX = unlimited
	uint32_t message_rate_limit;  // a minute; UINT32_MAX = unlimited
	enum rate_source message_rate_source;
	struct connection_limit limits[LIMIT_COUNT]; // by enum connection_limit_kind
	char *limit_reply;                           // text after 421; NULL = Exchange's own
	uint32_t tarpit_interval_ms;                 // 0 = none
	uint32_t greet_delay_ms;                     // before the greeting; 0 = none
	bool greet_teaser; // its first line goes out at once, the last one after the delay
	enum early_action early_talker_action;
	enum early_action early_pipelining_action;
	enum dnsbl_action dnsbl_action;
	uint32_t dnsbl_threshold; // sum of weights from which on a client counts as listed
	uint32_t connection_timeout_ms;
	uint32_t inactivity_timeout_ms;
	uint64_t min_data_rate; // bytes a second, of who keeps a server from others; 0 = any

	// What EHLO offers, as far as the backends have it too.
	enum size_offer size;
	bool pipelining;
	bool delivery_status_notification;
	bool enhanced_status_codes;
	bool eight_bit_mime;
	bool binary_mime; // only with chunking
	bool chunking;
	bool long_addresses;
	bool orar; // Originator Requested Alternate Recipient
	bool smtp_utf8;

	bool bare_linefeed_rejection;
	bool require_ehlo_domain;
	bool require_tls; // an error in this version
	bool reject_reserved_top_level;
	bool reject_reserved_second_level;
	bool reject_single_label;
	enum protocol_logging protocol_logging;
	unsigned line;
	struct policy_lines lines;
};

// An entry of [ip-allow] or [ip-block].
struct ip_entry {
	struct range range;
	uint64_t expires_s;   // seconds since 1970 (UTC) from which on it counts no more; 0 = never
	struct address reach; // the last address of this entry and all before it
	unsigned line;
};

struct ip_list {
	struct ip_entry *entries; // by their first address, once ip_list_sort() was called
	unsigned count;
	enum limit_action action; // of [ip-block], as all that follows
	char *reply;              // text after 421; NULL = our own
	unsigned line;
	struct policy_lines lines;
};

// What sessions are banned for: each kind of offence has its points (pipeline/offence.c says which
// reasons are of which kind).
enum offence {
	OFFENCE_RELAY,       // a recipient that may not be relayed to
	OFFENCE_RECIPIENT,   // an unknown or impossible one
	OFFENCE_GREETING,    // talking before it is one's turn
	OFFENCE_PROTOCOL,    // closed after MaxProtocolErrors
	OFFENCE_LINE_ENDING, // smuggling: bare CR, bare LF, NUL
	OFFENCE_NOT_SMTP,    // another protocol's first line
	OFFENCE_COUNT
};

struct ban_settings {
	bool enabled; // sources are banned by their scores; by hand always
	uint32_t threshold;
	uint32_t points[OFFENCE_COUNT];
	uint64_t point_ms; // a score falls by one point in this time
	uint64_t time_ms, time_max_ms;
	uint64_t remembered_ms; // a ban that is over, for the next one's length
	uint32_t entries;
	enum limit_action action;
	char *reply; // text after 421; NULL = our own
	unsigned line;
	struct policy_lines lines;
};

// A DNS list of addresses (RFC 5782): a blocklist, or an allow list by its negative weight.
struct dnsbl_list {
	char *name; // what a refusal names
	char *zone;
	int32_t weight;
	struct range *replies; // the IPv4 addresses by which it says "listed"; none: the default
	unsigned reply_count;
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
	struct ip_list ip_allow, ip_block;
	struct ban_settings ban;
	bool domains_sorted; // set by policy_sort_domains(): makes the search below logarithmic
	struct connector *connectors;
	unsigned connector_count;
	struct backend *backends;
	unsigned backend_count;
	struct dnsbl_list *dnsbls;
	unsigned dnsbl_count;
};

void policy_destroy(struct policy *policy); // NULL is fine
// Frees the ranges of all connectors: whoever made a ruleset of them needs them no more.
void policy_forget_ranges(struct policy *policy);
// Frees the entries of [ip-allow] and [ip-block].
void policy_forget_ip_lists(struct policy *policy);

// Does the connector limit this?
bool limit_is_set(const struct connector *connector, enum connection_limit_kind kind);

// Bits (1 << enum principal) of a session that has not authenticated: anonymous, and externally
// secured where AuthMechanism says so.
unsigned connector_identities(const struct connector *connector);
// What a session of these identities may do: groups + grants - denials. A denial to any of them
// wins.
rights_mask connector_rights(const struct connector *connector, unsigned identities);
// The same for a session that has not authenticated.
rights_mask connector_session_rights(const struct connector *connector);

// Orders a list for ip_list_find(). The loader does it.
void ip_list_sort(struct ip_list *list);
// The entry of a list that holds an address at a time (microseconds since 1970), or NULL.
const struct ip_entry *ip_list_find(const struct ip_list *list, const struct address *address,
				    uint64_t wall_us);

// Is an address of this range on a list at that time?
bool ip_list_touches(const struct ip_list *list, const struct range *range, uint64_t wall_us);

// May a source never be banned: is one of its addresses (an IPv4 address, an IPv6 /64) a server's,
// or on the IP Allow list?
bool policy_never_banned(const struct policy *policy, const struct range *source, uint64_t wall_us);

// Does the list say by this address (IPv4) that it has the client? Without Replies everything but
// 127.0.0.0, .1 and what lies above 127.0.255.255 says so.
bool dnsbl_list_matches(const struct dnsbl_list *list, const struct address *reply);

// Orders the accepted domains by name. The loader does it; a policy made by hand works without.
void policy_sort_domains(struct policy *policy);

// The accepted domain that a domain name belongs to: exact match first, then the longest suffix,
// then "*".
// name need not be NUL-terminated; compared without regard to ASCII case. NULL when none.
const struct accepted_domain *policy_accepted_domain(const struct policy *policy, const char *name,
						     size_t length);

// The same without the exact match: the wildcard or MatchSubDomains entry that name lies below.
const struct accepted_domain *policy_covering_domain(const struct policy *policy, const char *name,
						     size_t length);

#endif
