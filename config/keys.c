// SPDX-License-Identifier: BSD-3-Clause
//
// The rows, and looking them up. Defaults are texts, read by the same setters as the file's.
// Names, ranges and defaults are Exchange's where Exchange has the parameter
// ("Set-ReceiveConnector").
#include "config/keys.h"
#include "config/policy.h"
#include "config/value.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct section sections[SECTION_COUNT] = {
	[SECTION_GATE] = {"gate", "[gate]", false, "The gatekeeper as a whole."},
	[SECTION_PORT] = {"port", "[port NAME]", true,
			  "A network interface and our addresses on it."},
	[SECTION_ACCEPTED_DOMAIN] = {"accepted-domain", "[accepted-domain DOMAIN]", true,
				     "A domain that mail is accepted for: contoso.com, or "
				     "*.contoso.com for its subdomains only."},
	[SECTION_CONNECTOR] = {"connector", "[connector NAME]", true,
			       "A receive connector: who may connect where, and with which "
			       "rights."},
	[SECTION_BACKEND] = {"backend", "[backend NAME]", true,
			     "The mail servers behind a connector."},
	[SECTION_IP_ALLOW] = {"ip-allow", "[ip-allow]", false,
			      "The IP Allow list: whose mail no spam filter need look at."},
	[SECTION_IP_BLOCK] = {"ip-block", "[ip-block]", false,
			      "The IP Block list: who is not served, whatever a connector says. "
			      "Who is on both lists is allowed."},
	[SECTION_BAN] = {"ban", "[ban]", false,
			 "Sources that misbehave are dropped for a while, as early as can be. A "
			 "source is an IPv4 address or an IPv6 /64. What its sessions do gives "
			 "points; servers and the IP Allow list are never banned."},
	[SECTION_DNSBL] = {"dnsbl", "[dnsbl NAME]", true,
			   "A DNS list of addresses (RFC 5782) that connectors with a DnsblAction "
			   "ask about their clients; a refusal gives its NAME."},
};

static const char *const refuse_choices[] = {
	[REFUSE_DROP] = "drop", [REFUSE_RESET] = "reset", NULL};
static const char *const dialect_choices[] = {
	[REPLY_DIALECT_2007] = "2007", [REPLY_DIALECT_2016] = "2016", NULL};
static const char *const domain_choices[] = {[DOMAIN_AUTHORITATIVE] = "Authoritative",
					     [DOMAIN_INTERNAL_RELAY] = "InternalRelay",
					     [DOMAIN_EXTERNAL_RELAY] = "ExternalRelay",
					     NULL};
static const char *const usage_choices[] = {
	[USAGE_CUSTOM] = "Custom",     [USAGE_CLIENT] = "Client",   [USAGE_INTERNAL] = "Internal",
	[USAGE_INTERNET] = "Internet", [USAGE_PARTNER] = "Partner", NULL};
static const char *const size_choices[] = {[SIZE_ENABLED] = "Enabled",
					   [SIZE_ENABLED_WITHOUT_VALUE] = "EnabledWithoutValue",
					   [SIZE_DISABLED] = "Disabled",
					   NULL};
static const char *const rate_source_choices[] = {[RATE_SOURCE_NONE] = "None",
						  [RATE_SOURCE_IP_ADDRESS] = "IPAddress",
						  [RATE_SOURCE_USER] = "User",
						  [RATE_SOURCE_ALL] = "All",
						  NULL};
static const char *const logging_choices[] = {
	[PROTOCOL_LOGGING_NONE] = "None", [PROTOCOL_LOGGING_VERBOSE] = "Verbose", NULL};
static const char *const limit_choices[] = {[ABOVE_DROP] = "drop",
					    [ABOVE_RESET] = "reset",
					    [ABOVE_TARPIT] = "tarpit",
					    [ABOVE_REPLY] = "reply",
					    NULL};
static const char *const syn_choices[] = {[ABOVE_DROP] = "drop", [ABOVE_RESET] = "reset", NULL};
static const char *const block_choices[] = {
	[ABOVE_DROP] = "drop",   [ABOVE_RESET] = "reset",   [ABOVE_TARPIT] = "tarpit",
	[ABOVE_REPLY] = "reply", [ABOVE_REJECT] = "reject", NULL};
static const char *const early_choices[] = {
	[EARLY_COUNT] = "count", [EARLY_REJECT] = "reject", [EARLY_CLOSE] = "close", NULL};
static const char *const dnsbl_choices[] = {[DNSBL_NONE] = "none",
					    [DNSBL_COUNT] = "count",
					    [DNSBL_TARPIT] = "tarpit",
					    [DNSBL_REJECT] = "reject",
					    NULL};

#define KB     (1ull << 10)
#define MB     (1ull << 20)
#define GB     (1ull << 30)
#define TB     (1ull << 40)
#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define FIELD(type, member)                                                                        \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
#define GATE(member)          .section = SECTION_GATE, FIELD(gate_settings, member)
#define FIXED(member)         GATE(member), .restart = true
#define PORT(member)          .section = SECTION_PORT, .restart = true, FIELD(port_settings, member)
#define DOMAIN(member)        .section = SECTION_ACCEPTED_DOMAIN, FIELD(accepted_domain, member)
#define CONNECTOR(member)     .section = SECTION_CONNECTOR, FIELD(connector, member)
#define ACTION(kind)          CONNECTOR(limits[kind].action), .type = KEY_CHOICE, .choices = limit_choices
#define BACKEND(member)       .section = SECTION_BACKEND, FIELD(backend, member)
#define BAN(member)           .section = SECTION_BAN, FIELD(ban_settings, member)
#define DNSBL(member)         .section = SECTION_DNSBL, FIELD(dnsbl_list, member)
#define IP_LIST(kind, member) .section = SECTION_IP_##kind, FIELD(ip_list, member)

// clang-format off: one shape for every row.
static const struct key keys[] = {
	// [gate]
	{GATE(name), .name = "Name", .type = KEY_FQDN, .required = true,
	 .help = "Our fully qualified name: in the greeting, the reply to EHLO and Received."},
	{FIXED(user), .name = "User", .type = KEY_USER,
	 .help = "Run as this user after start-up; without it, stay as started."},
	{FIXED(pin_directory), .name = "PinDirectory", .type = KEY_PIN_DIRECTORY,
	 .fallback = "/sys/fs/bpf/relaygate",
	 .help = "Where counters are pinned, on a bpf file system; one directory an instance."},
	{GATE(refuse), .name = "Refuse", .type = KEY_CHOICE, .choices = refuse_choices,
	 .fallback = "drop",
	 .help = "What a source gets that no connector lists: silence, or RST (rate-limited)."},
	{GATE(dialect), .name = "ReplyDialect", .type = KEY_CHOICE, .choices = dialect_choices,
	 .fallback = "2007",
	 .help = "Refusals in the words of Exchange 2007 (5.7.1) or 2016 (5.7.54, 5.7.57, "
		 "5.7.60)."},
	{FIXED(huge_pages), .name = "HugePages", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Take packet memory from huge pages; they must have been reserved."},
	{FIXED(spin), .name = "Spin", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Let an idle worker poll without a pause: lowest delay, one core always busy."},
	{FIXED(realtime), .name = "Realtime", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Workers go before all ordinary programs on their CPUs (SCHED_FIFO): no frame is "
		 "lost while another program has its turn. Not with Spin."},
	{FIXED(workers), .name = "Workers", .type = KEY_NUMBER, .fallback = "1", .minimum = 1,
	 .maximum = POLICY_WORKERS_MAX,
	 .help = "Threads that carry the traffic, a core each at best. Every connection belongs to "
		 "one of them; MaxSessions, HalfOpenEntries, TimeWaitEntries and BufferMemory are "
		 "divided among them."},
	{FIXED(max_sessions), .name = "MaxSessions", .type = KEY_NUMBER, .fallback = "10000",
	 .minimum = 1, .maximum = 10000000,
	 .help = "Client sessions at once, over all connectors and workers."},
	{FIXED(half_open_entries), .name = "HalfOpenEntries", .type = KEY_NUMBER,
	 .fallback = "16384", .minimum = 16, .maximum = 16777216,
	 .help = "Handshakes whose SYN-ACK is repeated; more than that still get a SYN cookie."},
	{FIXED(time_wait_entries), .name = "TimeWaitEntries", .type = KEY_NUMBER,
	 .fallback = "65536", .minimum = 16, .maximum = 67108864,
	 .help = "Closed connections remembered; the oldest makes room when all are taken."},
	{FIXED(source_entries), .name = "SourceEntries", .type = KEY_NUMBER, .fallback = "131072",
	 .minimum = 16, .maximum = 8388608,
	 .help = "Sources and prefixes whose connections are counted, of all connectors; while all "
		 "are taken, further ones are let in uncounted."},
	{FIXED(source_prefix_ipv4), .name = "SourcePrefixIPv4", .type = KEY_NUMBER,
	 .fallback = "24", .minimum = 8, .maximum = 32,
	 .help = "Length of the prefixes that the limits per prefix are about, in bits."},
	{FIXED(source_prefix_ipv6), .name = "SourcePrefixIPv6", .type = KEY_NUMBER,
	 .fallback = "64", .minimum = 16, .maximum = 64,
	 .help = "The same for IPv6, where a source by itself is a /64."},
	{FIXED(buffer_memory), .name = "BufferMemory", .type = KEY_SIZE, .fallback = "64MB",
	 .minimum = MB, .maximum = TB, .help = "Memory for the payload of all sessions together."},
	{FIXED(receive_buffer), .name = "ReceiveBuffer", .type = KEY_SIZE, .fallback = "512KB",
	 .minimum = 4 * KB, .maximum = 16 * MB,
	 .help = "Bytes that a connection may hold unread: the TCP window that is offered."},
	{FIXED(send_buffer), .name = "SendBuffer", .type = KEY_SIZE, .fallback = "512KB",
	 .minimum = 16 * KB, .maximum = 16 * MB,
	 .help = "Bytes that a connection may hold unsent or unacknowledged."},
	{FIXED(log_records), .name = "LogRecords", .type = KEY_NUMBER, .fallback = "4096",
	 .minimum = 16, .maximum = 1048576,
	 .help = "Refusals and events remembered for `relaygate log`, a worker."},
	{GATE(drain_timeout_ms), .name = "DrainTimeout", .type = KEY_TIME, .fallback = "60s",
	 .minimum = 0, .maximum = DAY, .help = "How long open sessions may finish after SIGTERM."},
	{GATE(auto_reload), .name = "AutoReload", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Reload this file as soon as it changes, without being asked."},
	{GATE(linger_timeout_ms), .name = "LingerTimeout", .type = KEY_TIME, .fallback = "30s",
	 .minimum = SECOND, .maximum = 10 * MINUTE,
	 .help = "How long a client that we have hung up on may go on sending before it is reset."},
	{FIXED(protocol_log_path), .name = "ReceiveProtocolLogPath", .type = KEY_DIRECTORY,
	 .help = "Where the protocol log is written, for connectors whose ProtocolLoggingLevel is "
		 "Verbose; made if it is not there."},
	{FIXED(protocol_log_file_size), .name = "ReceiveProtocolLogMaxFileSize", .type = KEY_SIZE,
	 .fallback = "10MB", .minimum = 4 * KB, .maximum = TB,
	 .help = "A file of the protocol log that would become larger is followed by another one."},
	{FIXED(protocol_log_directory_size), .name = "ReceiveProtocolLogMaxDirectorySize",
	 .type = KEY_SIZE, .fallback = "250MB", .minimum = 4 * KB, .maximum = TB,
	 .help = "All files of the protocol log together; the oldest ones are removed."},
	{FIXED(protocol_log_age_ms), .name = "ReceiveProtocolLogMaxAge", .type = KEY_TIME,
	 .fallback = "30d", .minimum = 0, .maximum = 3650 * DAY,
	 .help = "Older files of the protocol log are removed; 0s = however old."},
	{GATE(greet_pass_time_ms), .name = "GreetPassTime", .type = KEY_TIME, .fallback = "1d",
	 .minimum = 0, .maximum = 30 * DAY,
	 .help = "A client that has waited for GreetDelay and then for the reply to EHLO is "
		 "greeted at once for so long; 0s = it waits each time."},
	{FIXED(dns_servers), .name = "DnsServers", .type = KEY_DNS_SERVERS,
	 .help = "Name servers that are asked about clients, by the kernel's network and not by a "
		 "port of ours; the port is 53 unless given. Without it, those of "
		 "/etc/resolv.conf."},
	{FIXED(dns_timeout_ms), .name = "DnsTimeout", .type = KEY_TIME, .fallback = "5s",
	 .minimum = 100, .maximum = MINUTE,
	 .help = "How long the DNS lists may take to answer about a client."},

	// [port NAME]
	{PORT(device), .name = "Device", .type = KEY_DEVICE, .required = true,
	 .help = "The interface; a bare name such as eth1 means af_xdp:eth1."},
	{PORT(addresses), .name = "Address", .type = KEY_INTERFACE_ADDRESSES, .required = true,
	 .help = "Our addresses on it, with the prefix lengths of their networks."},
	{PORT(gateways), .name = "Gateway", .type = KEY_GATEWAYS,
	 .help = "Next hop to everything else; at most one IPv4 and one IPv6 address."},
	{PORT(vlan), .name = "Vlan", .type = KEY_NUMBER, .fallback = "0", .minimum = 0,
	 .maximum = 4094, .help = "VLAN id of our frames; 0 = untagged."},
	{PORT(mtu), .name = "Mtu", .type = KEY_NUMBER, .fallback = "1500", .minimum = 1280,
	 .maximum = 9000, .help = "Largest IP packet in bytes."},
	{PORT(trust_checksums), .name = "TrustChecksums", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Do not verify TCP checksums: only for virtio or veth, where peers on the same "
		 "host leave them unfinished."},

	// [accepted-domain DOMAIN]
	{DOMAIN(type), .name = "Type", .type = KEY_CHOICE, .choices = domain_choices,
	 .fallback = "Authoritative",
	 .help = "Authoritative: every recipient is here, and its senders need a right of their "
		 "own. The relay types only accept recipients."},
	{DOMAIN(match_subdomains), .name = "MatchSubDomains", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Accept everything below the domain as well."},
	{DOMAIN(all_domains), .name = "AllDomains", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Says that [accepted-domain *] is meant: mail for every domain of the world, from "
		 "whoever may submit."},

	// [connector NAME]
	{CONNECTOR(enabled), .name = "Enabled", .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "A disabled connector is as if it were not there."},
	{.section = SECTION_CONNECTOR,
	 .name = "Comment",
	 .type = KEY_COMMENT,
	 .help = "Free text for those who read the file."},
	{CONNECTOR(bindings), .name = "Bindings", .type = KEY_BINDINGS, .required = true,
	 .help = "Our addresses and ports that it answers on; 0.0.0.0 and [::] mean all. The most "
		 "specific binding owns a connection."},
	{CONNECTOR(ranges), .name = "RemoteIPRanges", .type = KEY_RANGES, .required = true,
	 .help = "Who may connect. Among the connectors of a binding, the smallest range that "
		 "holds the client wins."},
	{CONNECTOR(usage), .name = "Usage", .type = KEY_CHOICE, .choices = usage_choices,
	 .fallback = "Custom",
	 .help = "What it is for; gives PermissionGroups, AuthMechanism, Bindings and "
		 "RemoteIPRanges that the section does not have. Client and Partner need "
		 "authentication, which this version does not have."},
	{CONNECTOR(permission_groups), .name = "PermissionGroups", .type = KEY_PERMISSION_GROUPS,
	 .help = "Sets of rights; without it, those of Usage."},
	{CONNECTOR(mechanisms), .name = "AuthMechanism", .type = KEY_MECHANISMS,
	 .help = "How a session becomes more than anonymous; without it, those of Usage. "
		 "ExternalAuthoritative: by its address alone, together with the group "
		 "ExchangeServers. The others are not offered in this version."},
	{CONNECTOR(granted), .name = "ExtendedRights", .type = KEY_RIGHTS,
	 .help = "Rights granted beside the groups', for example anonymous: "
		 "ms-Exch-SMTP-Accept-Any-Recipient."},
	{CONNECTOR(denied), .name = "DeniedRights", .type = KEY_RIGHTS,
	 .help = "Rights taken away, whatever grants them."},
	{CONNECTOR(backend), .name = "Backend", .type = KEY_BACKEND,
	 .help = "The [backend NAME] that gets the mail; may be left out when there is only one."},
	{CONNECTOR(fqdn), .name = "Fqdn", .type = KEY_FQDN,
	 .help = "Name in its greeting, EHLO reply and Received; without it, Name of [gate]."},
	{CONNECTOR(banner), .name = "Banner", .type = KEY_BANNER,
	 .help = "The greeting, beginning with 220; without it, Exchange's own."},
	{CONNECTOR(max_message_size), .name = "MaxMessageSize", .type = KEY_SIZE,
	 .fallback = "36MB", .minimum = 64 * KB, .maximum = 2147483647, .unlimited = true,
	 .help = "Largest message."},
	{CONNECTOR(max_header_size), .name = "MaxHeaderSize", .type = KEY_SIZE, .fallback = "256KB",
	 .minimum = 1, .maximum = 2147483647, .help = "Largest header of a message."},
	{CONNECTOR(max_hop_count), .name = "MaxHopCount", .type = KEY_NUMBER, .fallback = "60",
	 .minimum = 1, .maximum = 500,
	 .help = "Received headers of a message; with more of them it goes in circles."},
	{CONNECTOR(max_local_hop_count), .name = "MaxLocalHopCount", .type = KEY_NUMBER,
	 .fallback = "5", .minimum = 0, .maximum = 50,
	 .help = "The same for those written by this connector's Fqdn; 0 = as many as may be."},
	{CONNECTOR(max_recipients), .name = "MaxRecipientsPerMessage", .type = KEY_NUMBER,
	 .fallback = "200", .minimum = 1, .maximum = 512000,
	 .help = "Further recipients get 452; the message goes on with the first ones."},
	{CONNECTOR(max_protocol_errors), .name = "MaxProtocolErrors", .type = KEY_NUMBER,
	 .fallback = "5", .minimum = 0, .maximum = 2147483647, .unlimited = true,
	 .help = "Commands that we cannot make sense of before the session is closed."},
	{CONNECTOR(message_rate_limit), .name = "MessageRateLimit", .type = KEY_NUMBER,
	 .fallback = "unlimited", .minimum = 1, .maximum = 2147483647, .unlimited = true,
	 .help = "Messages a minute; MAIL beyond it gets 421 and the session is closed."},
	{CONNECTOR(message_rate_source), .name = "MessageRateSource", .type = KEY_CHOICE,
	 .choices = rate_source_choices, .fallback = "IPAddress",
	 .help = "Whose messages MessageRateLimit counts. Nobody is a User in this version."},
	{CONNECTOR(limits[LIMIT_CONNECTIONS].most), .name = "MaxInboundConnection",
	 .type = KEY_NUMBER, .fallback = "5000", .minimum = 1, .maximum = 2147483647,
	 .unlimited = true, .help = "Sessions of the connector at once."},
	{ACTION(LIMIT_CONNECTIONS), .name = "MaxInboundConnectionAction", .fallback = "reply",
	 .help = "What a connection above MaxInboundConnection gets: silence, RST, 421 after "
		 "TarpitInterval, or 421 at once."},
	{CONNECTOR(limits[LIMIT_PER_SOURCE].most), .name = "MaxInboundConnectionPerSource",
	 .type = KEY_NUMBER, .fallback = "20", .minimum = 1, .maximum = 10000, .unlimited = true,
	 .help = "Those of one source: an IPv4 address or an IPv6 /64. Who is on the IP Allow list "
		 "and the backends' servers have no limits but MaxSessions."},
	{ACTION(LIMIT_PER_SOURCE), .name = "MaxInboundConnectionPerSourceAction",
	 .fallback = "reply", .help = "What a connection above it gets."},
	{CONNECTOR(limits[LIMIT_PERCENTAGE].most),
	 .name = "MaxInboundConnectionPercentagePerSource", .type = KEY_NUMBER, .fallback = "2",
	 .minimum = 1, .maximum = 100,
	 .help = "The same as a percentage, rounded up, of the connections that are left: "
		 "MaxInboundConnection (at most MaxSessions) less the connector's open ones. 100 = "
		 "no such limit."},
	{ACTION(LIMIT_PERCENTAGE), .name = "MaxInboundConnectionPercentagePerSourceAction",
	 .fallback = "reply", .help = "What a connection above it gets."},
	{CONNECTOR(limits[LIMIT_PER_PREFIX].most), .name = "MaxInboundConnectionPerPrefix",
	 .type = KEY_NUMBER, .fallback = "unlimited", .minimum = 1, .maximum = 2147483647,
	 .unlimited = true,
	 .help = "Sessions at once of one prefix (SourcePrefixIPv4, SourcePrefixIPv6)."},
	{ACTION(LIMIT_PER_PREFIX), .name = "MaxInboundConnectionPerPrefixAction",
	 .fallback = "reply", .help = "What a connection above it gets."},
	{CONNECTOR(limits[LIMIT_SOURCE_RATE].most), .name = "MaxConnectionRatePerSource",
	 .type = KEY_NUMBER, .fallback = "unlimited", .minimum = 1, .maximum = 1000000,
	 .unlimited = true,
	 .help = "New connections a minute of one source: so many at once after a rest, and then "
		 "as many evenly over each minute."},
	{ACTION(LIMIT_SOURCE_RATE), .name = "MaxConnectionRatePerSourceAction", .fallback = "reply",
	 .help = "What a connection above it gets."},
	{CONNECTOR(limits[LIMIT_PREFIX_RATE].most), .name = "MaxConnectionRatePerPrefix",
	 .type = KEY_NUMBER, .fallback = "unlimited", .minimum = 1, .maximum = 1000000,
	 .unlimited = true, .help = "The same of one prefix."},
	{ACTION(LIMIT_PREFIX_RATE), .name = "MaxConnectionRatePerPrefixAction", .fallback = "reply",
	 .help = "What a connection above it gets."},
	{CONNECTOR(limits[LIMIT_SYN_RATE].most), .name = "MaxSynRate", .type = KEY_NUMBER,
	 .fallback = "unlimited", .minimum = 1, .maximum = 1000000000, .unlimited = true,
	 .help = "SYNs a second that are answered, whoever sent them; divided among the workers."},
	{CONNECTOR(limits[LIMIT_SYN_RATE].action), .name = "MaxSynRateAction", .type = KEY_CHOICE,
	 .choices = syn_choices, .fallback = "drop",
	 .help = "What a SYN above it gets: silence, or RST (rate-limited)."},
	{CONNECTOR(limit_reply), .name = "ConnectionLimitReply", .type = KEY_LIMIT_REPLY,
	 .help = "What a connection above a limit reads, beginning with 421; without it, "
		 "Exchange's own."},
	{CONNECTOR(tarpit_interval_ms), .name = "TarpitInterval", .type = KEY_TIME,
	 .fallback = "5s", .minimum = 0, .maximum = 10 * MINUTE,
	 .help = "Delay of a 5xx reply to an anonymous session, and of the 421 of a limit whose "
		 "action is tarpit; 0s = none."},
	{CONNECTOR(greet_delay_ms), .name = "GreetDelay", .type = KEY_TIME, .fallback = "0s",
	 .minimum = 0, .maximum = MINUTE,
	 .help = "How long an anonymous client waits for the greeting, unless it is on the IP "
		 "Allow list, or waited before (GreetPassTime), or three quarters of MaxSessions "
		 "are open; 0s = not at all."},
	{CONNECTOR(greet_teaser), .name = "GreetTeaser", .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Send a first line of the greeting (220-) before GreetDelay: it lures those who "
		 "take any line for the whole."},
	{CONNECTOR(early_talker_action), .name = "EarlyTalkerAction", .type = KEY_CHOICE,
	 .choices = early_choices, .fallback = "count",
	 .help = "An anonymous client that speaks before it has the greeting: only counted, or "
		 "550 to each of its recipients, or 521 at once."},
	{CONNECTOR(early_pipelining_action), .name = "EarlyPipeliningAction", .type = KEY_CHOICE,
	 .choices = early_choices, .fallback = "count",
	 .help = "The same for one that speaks on before it has the reply to its EHLO or HELO "
		 "(RFC 2920)."},
	{CONNECTOR(dnsbl_action), .name = "DnsblAction", .type = KEY_CHOICE,
	 .choices = dnsbl_choices, .fallback = "none",
	 .help = "Ask all DNS lists about anonymous clients that are not on the IP Allow list. Who "
		 "is listed at RCPT: only counted, or the first recipient of each message "
		 "waits for TarpitInterval, or each gets 550."},
	{CONNECTOR(dnsbl_threshold), .name = "DnsblThreshold", .type = KEY_NUMBER, .fallback = "1",
	 .minimum = 1, .maximum = 3200,
	 .help = "The sum of Weights from which on a client counts as listed."},
	{CONNECTOR(connection_timeout_ms), .name = "ConnectionTimeout", .type = KEY_TIME,
	 .fallback = "10m", .minimum = SECOND, .maximum = DAY,
	 .help = "Longest life of a session, even in the middle of a message."},
	{CONNECTOR(inactivity_timeout_ms), .name = "ConnectionInactivityTimeout", .type = KEY_TIME,
	 .fallback = "5m", .minimum = SECOND, .maximum = DAY,
	 .help = "Longest silence of a client; must be below ConnectionTimeout."},
	{CONNECTOR(min_data_rate), .name = "MinDataRate", .type = KEY_SIZE, .fallback = "500B",
	 .minimum = 0, .maximum = MB,
	 .help = "Bytes of a message that a client must send a second, over 10 s, while others "
		 "wait "
		 "for a connection to its backend; the slowest one below it gets 421. What the "
		 "gate or a server holds up does not count. 0 = as slow as it likes."},
	{CONNECTOR(size), .name = "SizeEnabled", .type = KEY_CHOICE, .choices = size_choices,
	 .fallback = "Enabled", .help = "Offer SIZE."},
	{CONNECTOR(pipelining), .name = "PipeliningEnabled", .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Offer PIPELINING."},
	{CONNECTOR(delivery_status_notification), .name = "DeliveryStatusNotificationEnabled",
	 .type = KEY_BOOLEAN, .fallback = "yes", .help = "Offer DSN, if all servers have it."},
	{CONNECTOR(enhanced_status_codes), .name = "EnhancedStatusCodesEnabled",
	 .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Offer ENHANCEDSTATUSCODES; the codes stay in the replies."},
	{CONNECTOR(eight_bit_mime), .name = "EightBitMimeEnabled", .type = KEY_BOOLEAN,
	 .fallback = "yes", .help = "Offer 8BITMIME, if all servers have it."},
	{CONNECTOR(chunking), .name = "ChunkingEnabled", .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Offer CHUNKING; servers without it get DATA."},
	{CONNECTOR(binary_mime), .name = "BinaryMimeEnabled", .type = KEY_BOOLEAN,
	 .fallback = "yes",
	 .help = "Offer BINARYMIME, if all servers have it and CHUNKING; needs ChunkingEnabled."},
	{CONNECTOR(long_addresses), .name = "LongAddressesEnabled", .type = KEY_BOOLEAN,
	 .fallback = "no",
	 .help = "Offer XLONGADDR, if all servers have it: addresses of up to 1860 octets, lines "
		 "of "
		 "up to 8000."},
	{CONNECTOR(orar), .name = "OrarEnabled", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Offer XORAR, if all servers have it: RCPT may name an alternate recipient "
		 "(ORAR=), "
		 "judged as a recipient is. A long address there needs LongAddressesEnabled."},
	{CONNECTOR(smtp_utf8), .name = "SmtpUtf8Enabled", .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Offer SMTPUTF8, if all servers have it."},
	{CONNECTOR(bare_linefeed_rejection), .name = "BareLinefeedRejectionEnabled",
	 .type = KEY_BOOLEAN, .fallback = "yes",
	 .help = "Refuse a message with a bare line feed. With no, it becomes CR LF, and the line "
		 "behind it never ends the message."},
	{CONNECTOR(require_ehlo_domain), .name = "RequireEHLODomain", .type = KEY_BOOLEAN,
	 .fallback = "no", .help = "Close a session whose EHLO or HELO has no domain."},
	{CONNECTOR(require_tls), .name = "RequireTLS", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Refuse mail without TLS; this version has no TLS, so yes is an error."},
	{CONNECTOR(reject_reserved_top_level), .name = "RejectReservedTopLevelRecipientDomains",
	 .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Refuse recipients in .test, .example, .invalid and .localhost."},
	{CONNECTOR(reject_reserved_second_level),
	 .name = "RejectReservedSecondLevelRecipientDomains", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Refuse recipients in example.com, example.net and example.org."},
	{CONNECTOR(reject_single_label), .name = "RejectSingleLabelRecipientDomains",
	 .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Refuse recipients in domains without a dot."},
	{CONNECTOR(protocol_logging), .name = "ProtocolLoggingLevel", .type = KEY_CHOICE,
	 .choices = logging_choices, .fallback = "None",
	 .help = "Verbose: each line of its sessions is written to the protocol log; needs "
		 "ReceiveProtocolLogPath."},

	// [backend NAME]
	{BACKEND(servers), .name = "Servers", .type = KEY_SERVERS, .required = true,
	 .help = "Addresses of the mail servers; the port is 25 unless given."},
	{BACKEND(max_connections), .name = "MaxConnections", .type = KEY_NUMBER, .fallback = "20",
	 .minimum = 1, .maximum = 50000,
	 .help = "Connections to one server at once, of all workers; Exchange takes 20 from one "
		 "source by default."},
	{BACKEND(max_waiting), .name = "MaxWaiting", .type = KEY_NUMBER, .fallback = "1000",
	 .minimum = 0, .maximum = 10000000,
	 .help = "Transactions that may wait for a connection; further ones get 451."},
	{BACKEND(wait_timeout_ms), .name = "WaitTimeout", .type = KEY_TIME, .fallback = "30s",
	 .minimum = 0, .maximum = 10 * MINUTE,
	 .help = "How long one of them may wait before it gets 451."},
	{BACKEND(connect_timeout_ms), .name = "ConnectTimeout", .type = KEY_TIME, .fallback = "10s",
	 .minimum = SECOND, .maximum = 10 * MINUTE, .help = "For the TCP handshake with a server."},
	{BACKEND(reply_timeout_ms), .name = "ReplyTimeout", .type = KEY_TIME, .fallback = "60s",
	 .minimum = SECOND, .maximum = HOUR,
	 .help = "For the greeting and the reply to every command but the end of data."},
	{BACKEND(final_reply_timeout_ms), .name = "FinalReplyTimeout", .type = KEY_TIME,
	 .fallback = "10m", .minimum = SECOND, .maximum = HOUR,
	 .help = "For the reply to the end of data; below 10m mail may arrive twice."},
	{BACKEND(idle_timeout_ms), .name = "IdleTimeout", .type = KEY_TIME, .fallback = "60s",
	 .minimum = SECOND, .maximum = HOUR,
	 .help = "How long an unused connection to a server is kept."},
	{BACKEND(probe_interval_ms), .name = "ProbeInterval", .type = KEY_TIME, .fallback = "30s",
	 .minimum = SECOND, .maximum = HOUR,
	 .help = "How often each server is asked for its health and its EHLO keywords."},

	// [ip-allow]
	{IP_LIST(ALLOW, entries), .name = "Addresses", .type = KEY_IP_ENTRIES, .required = true,
	 .help = "Who is allowed. A message of theirs is marked so that spam filters let it pass "
		 "(SCL -1)."},

	// [ip-block]
	{IP_LIST(BLOCK, entries), .name = "Addresses", .type = KEY_IP_ENTRIES, .required = true,
	 .help = "Who is blocked."},
	{IP_LIST(BLOCK, action), .name = "BlockListAction", .type = KEY_CHOICE,
	 .choices = block_choices, .fallback = "drop",
	 .help = "What the blocked get: silence, RST, 421 after TarpitInterval, 421 at once, or "
		 "550 "
		 "to every recipient as with Exchange."},
	{IP_LIST(BLOCK, reply), .name = "BlockListReply", .type = KEY_LIMIT_REPLY,
	 .help = "What they read with tarpit or reply, beginning with 421; without it, that they "
		 "are on the block list."},

	// [ban]
	{BAN(enabled), .name = "Enabled", .type = KEY_BOOLEAN, .fallback = "no",
	 .help = "Ban by points. Without it only `relaygate ban add` and bpftool ban."},
	{BAN(threshold), .name = "Threshold", .type = KEY_NUMBER, .fallback = "100", .minimum = 1,
	 .maximum = 100000, .help = "A source with so many points is banned."},
	{BAN(points[OFFENCE_RELAY]), .name = "RelayPoints", .type = KEY_NUMBER, .fallback = "40",
	 .minimum = 0, .maximum = 100000,
	 .help = "For each recipient that is refused with \"Unable to relay\"."},
	{BAN(points[OFFENCE_RECIPIENT]), .name = "RecipientPoints", .type = KEY_NUMBER,
	 .fallback = "5", .minimum = 0, .maximum = 100000,
	 .help = "For each other recipient that the gate or the mail server refuses for good "
		 "(5xx): unknown, reserved, not an address."},
	{BAN(points[OFFENCE_GREETING]), .name = "GreetingPoints", .type = KEY_NUMBER,
	 .fallback = "25", .minimum = 0, .maximum = 100000,
	 .help = "For a client that talks before it is its turn."},
	{BAN(points[OFFENCE_PROTOCOL]), .name = "ProtocolPoints", .type = KEY_NUMBER,
	 .fallback = "50", .minimum = 0, .maximum = 100000,
	 .help = "For a session that was closed after MaxProtocolErrors."},
	{BAN(points[OFFENCE_LINE_ENDING]), .name = "LineEndingPoints", .type = KEY_NUMBER,
	 .fallback = "50", .minimum = 0, .maximum = 100000,
	 .help = "For a session that was closed for a bare CR, a bare LF or a NUL, as SMTP "
		 "smuggling has them."},
	{BAN(points[OFFENCE_NOT_SMTP]), .name = "NotSmtpPoints", .type = KEY_NUMBER,
	 .fallback = "100", .minimum = 0, .maximum = 100000,
	 .help = "For a session that began with another protocol."},
	{BAN(point_ms), .restart = true, .name = "PointLifetime", .type = KEY_TIME,
	 .fallback = "30s", .minimum = SECOND, .maximum = DAY,
	 .help = "A score falls by one point in this time."},
	{BAN(time_ms), .name = "BanTime", .type = KEY_TIME, .fallback = "10m", .minimum = SECOND,
	 .maximum = 365 * DAY,
	 .help = "How long a first ban lasts; each further one lasts twice as long."},
	{BAN(time_max_ms), .name = "BanTimeMax", .type = KEY_TIME, .fallback = "1d",
	 .minimum = SECOND, .maximum = 365 * DAY, .help = "No ban by points lasts longer."},
	{BAN(remembered_ms), .name = "RepetitionTime", .type = KEY_TIME, .fallback = "1d",
	 .minimum = 0, .maximum = 365 * DAY,
	 .help = "A source is a repeated offender for so long after the end of its ban."},
	{BAN(action), .name = "BanAction", .type = KEY_CHOICE, .choices = limit_choices,
	 .fallback = "drop",
	 .help = "What a new connection of a banned source gets: silence, RST, 421 after "
		 "TarpitInterval, or 421 at once. With drop alone XDP drops its packets."},
	{BAN(reply), .name = "BanReply", .type = KEY_LIMIT_REPLY,
	 .help = "What it reads with tarpit or reply, and in its open sessions, beginning with "
		 "421; without it, that there were too many offences."},
	{BAN(entries), .restart = true, .name = "BanEntries", .type = KEY_NUMBER,
	 .fallback = "65536", .minimum = 16, .maximum = 16777216,
	 .help = "Sources that may be banned, or remembered, at once; the one whose ban ends first "
		 "makes room. 43 bytes each, and those that are banned 96 more in the kernel."},
	// [dnsbl NAME]
	{DNSBL(zone), .restart = true, .name = "Zone", .type = KEY_ZONE, .required = true,
	 .help = "The domain below which the client's address is looked up."},
	{DNSBL(weight), .name = "Weight", .type = KEY_WEIGHT, .fallback = "1",
	 .help = "What it counts when it lists the client: below 0 for a list of good ones."},
	{DNSBL(replies), .restart = true, .name = "Replies", .type = KEY_REPLIES,
	 .help = "Answers by which it lists the client. Without it, 127.0.0.2 to 127.0.255.255: "
		 "127.255.255.0/24 tells errors."},
};
// clang-format on

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const struct section *section_row(enum section_kind kind)
{
	assert(kind < SECTION_COUNT);
	return &sections[kind];
}

bool section_find(const char *name, enum section_kind *out)
{
	for (unsigned kind = 0; kind < SECTION_COUNT; kind++)
		if (strcasecmp(sections[kind].name, name) == 0) {
			*out = (enum section_kind)kind;
			return true;
		}
	return false;
}

unsigned keys_count(void)
{
	return COUNT(keys);
}

const struct key *keys_at(unsigned index)
{
	assert(index < COUNT(keys));
	return &keys[index];
}

const struct key *keys_find(enum section_kind section, const char *name)
{
	for (size_t i = 0; i < COUNT(keys); i++)
		if (keys[i].section == section && strcasecmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

unsigned key_index(const struct key *key)
{
	const struct key *first = key;

	while (first > keys && first[-1].section == key->section)
		first--;
	assert(key - first < POLICY_KEYS_MAX);
	return (unsigned)(key - first);
}

bool key_is_list(const struct key *key)
{
	return key->type >= KEY_INTERFACE_ADDRESSES;
}

unsigned keys_line(const struct policy_lines *lines, enum section_kind section, const char *name,
		   unsigned section_line)
{
	const struct key *key = keys_find(section, name);
	unsigned line;

	assert(key != NULL);
	line = lines->key[key_index(key)];
	return line != 0 ? line : section_line;
}
