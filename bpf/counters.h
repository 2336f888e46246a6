/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0) */
/*
 * The one list of counters, drop reasons and log records, shared by the BPF side, the dataplane,
 * control and the tests. Plain C that includes nothing: the includer brings u8..u64 as
 * COUNTERS_U8 .. COUNTERS_U64 (vmlinux.h on the BPF side, stdint.h elsewhere, below).
 * Every row is X(name, help) or X(name, kind, help); ids, BTF field names, tables, documentation
 * and tests are made from the rows. A counter means one thing for ever: rename instead of reusing.
 * Appending a row changes the layout: the maps' BTF then differs and export makes new maps.
 */
#ifndef RELAYGATE_BPF_COUNTERS_H
#define RELAYGATE_BPF_COUNTERS_H

#ifdef __bpf__
typedef __u8 counters_u8;
typedef __u16 counters_u16;
typedef __u32 counters_u32;
typedef __u64 counters_u64;
#else
typedef unsigned char counters_u8;
typedef unsigned short counters_u16;
typedef unsigned int counters_u32;
typedef unsigned long long counters_u64;
#endif

#define COUNTERS_NAME_BYTES                                                                        \
	64 /* a connector's or port's name, NUL-padded; 64 bytes need no NUL                       \
	    */

/* One connector. Gauges go up and down, all others only up. */
#define CONNECTOR_COUNTERS(X)                                                                      \
	X(frames, "frames from a listed source to the connector's binding")                        \
	X(syns, "SYNs answered with a SYN cookie")                                                 \
	X(sessions, "handshakes completed: SMTP sessions opened")                                  \
	X(sessions_open, "gauge: SMTP sessions open now")                                          \
	X(sessions_timed_out, "sessions closed by a connector's time limit")                       \
	X(sessions_reset, "sessions that the client ended without QUIT (FIN, RST or lost)")        \
	X(transactions, "MAIL commands accepted")                                                  \
	X(senders_refused, "MAIL commands refused")                                                \
	X(recipients, "RCPT commands accepted by the backend")                                     \
	X(recipients_refused, "RCPT commands refused by the gate")                                 \
	X(recipients_refused_backend, "RCPT commands refused by the backend or for want of one")   \
	X(messages, "messages answered 250 after the backend's 2yz")                               \
	X(message_bytes, "octets of those messages as the client sent them, dots undone")          \
	X(messages_refused, "messages answered 5xx at DATA or after their end")                    \
	X(messages_deferred, "messages answered 4xx at DATA or after their end")                   \
	X(messages_aborted,                                                                        \
	  "transactions left unfinished by RSET, EHLO, QUIT, FIN, a time limit or bad form")       \
	X(protocol_errors, "commands answered 50x, and lines that broke SMTP's form")              \
	X(closed_protocol_errors, "sessions closed after MaxProtocolErrors")                       \
	X(tarpitted, "replies kept back for TarpitInterval")                                       \
	X(bad_line_endings, "sessions closed for a bare CR, bare LF or NUL")                       \
	X(connections_refused, "SYNs and handshakes above a limit of the connector")               \
	X(listed, "gauge: 1 while the policy in force has the connector")

/* One port (interface). frames_in = frames_accepted + the sum of all reasons of kind drop. */
#define PORT_COUNTERS(X)                                                                           \
	X(frames_in, "frames taken from the device")                                               \
	X(bytes_in, "their bytes, without FCS")                                                    \
	X(frames_accepted, "frames that had an effect: each other one is in the reasons")          \
	X(frames_handed, "of those taken: given to the worker that owns their flow")               \
	X(frames_out, "frames given to the device")                                                \
	X(bytes_out, "their bytes, without FCS")                                                   \
	X(frames_out_lost, "frames that the device or its queue did not take")                     \
	X(device_missed, "frames that the device lost before us (its own count)")                  \
	X(frames_banned, "frames of banned sources that the XDP program dropped: not in "          \
			 "frames_in")

/*
 * Reasons. kind drop: one received frame that was discarded or refused. kind refusal: an SMTP
 * command or session refused (its frames count as accepted). kind fault: something of ours ran out
 * or a backend failed; counted once where it struck, however many commands are refused for it.
 */
#define REASONS(X)                                                                                 \
	X(frame_runt, drop, "shorter than its headers say")                                        \
	X(frame_ethertype, drop, "neither IPv4, IPv6 nor ARP")                                     \
	X(frame_foreign_mac, drop, "unicast to another station's MAC address")                     \
	X(frame_source_mac, drop, "source MAC that no station has: multicast, zero or our own")    \
	X(frame_broadcast, drop, "packet to one address in a frame to many (RFC 1122 3.3.6)")      \
	X(frame_vlan, drop, "VLAN tag differs from the port's, or stacked tags")                   \
	X(arp_malformed, drop, "ARP that is not Ethernet/IPv4 or has impossible addresses")        \
	X(arp_not_ours, drop, "ARP that concerns none of our addresses or neighbours")             \
	X(ipv4_malformed, drop, "IPv4 version, header length or total length impossible")          \
	X(ipv4_options, drop, "IPv4 header with options")                                          \
	X(ipv4_checksum, drop, "IPv4 header checksum wrong")                                       \
	X(ipv4_fragment, drop, "IPv4 fragment")                                                    \
	X(ipv6_malformed, drop, "IPv6 version or payload length impossible")                       \
	X(ipv6_extension, drop, "IPv6 extension header, fragments included")                       \
	X(ip_not_ours, drop, "destination is none of our addresses")                               \
	X(ip_martian_source, drop, "source that cannot be a peer: 0/8, 127/8, multicast, our own") \
	X(ip_protocol, drop, "neither TCP nor ICMP")                                               \
	X(icmp_malformed, drop, "ICMP or ICMPv6 shorter than its type needs")                      \
	X(icmp_checksum, drop, "ICMP or ICMPv6 checksum wrong")                                    \
	X(icmp_ignored, drop, "ICMP type that needs no action here")                               \
	X(icmp_rate, drop, "ICMP echo above the rate that is answered")                            \
	X(icmp_too_big_unacceptable, drop, "ICMP packet too big about nothing that is in flight")  \
	X(address_claimed, drop,                                                                   \
	  "ARP or neighbour discovery of a station that claims one of our addresses")              \
	X(nd_malformed, drop, "neighbour discovery or MLD that RFC 4861 and 3810 tell to discard") \
	X(nd_not_ours, drop,                                                                       \
	  "neighbour discovery or MLD that concerns none of our addresses or neighbours")          \
	X(tcp_malformed, drop, "TCP data offset below 20 or past the end")                         \
	X(tcp_checksum, drop, "TCP checksum wrong")                                                \
	X(tcp_flags, drop,                                                                         \
	  "TCP flags that no peer sends: none, SYN+FIN, SYN+RST, FIN without ACK")                 \
	X(tcp_port_zero, drop, "TCP source or destination port 0")                                 \
	X(no_binding, drop, "TCP to a port of ours that no connector is bound to")                 \
	X(no_connector, drop, "source in no RemoteIPRanges of the binding's connectors")           \
	X(ip_blocked, drop, "source on the IP Block list, without a connection")                   \
	X(banned, drop, "segment of a banned source, without a connection")                        \
	X(limit_syn_rate, drop, "SYN above MaxSynRate")                                            \
	X(limit_connections, drop, "SYN or handshake above MaxInboundConnection")                  \
	X(limit_per_source, drop, "SYN or handshake above MaxInboundConnectionPerSource")          \
	X(limit_percentage, drop,                                                                  \
	  "SYN or handshake above MaxInboundConnectionPercentagePerSource")                        \
	X(limit_per_prefix, drop, "SYN or handshake above MaxInboundConnectionPerPrefix")          \
	X(limit_source_rate, drop, "SYN or handshake above MaxConnectionRatePerSource")            \
	X(limit_prefix_rate, drop, "SYN or handshake above MaxConnectionRatePerPrefix")            \
	X(draining, drop, "SYN or handshake refused because the gate drains or stops")             \
	X(syn_malformed, drop, "SYN with broken TCP options")                                      \
	X(syn_unsent, drop, "SYN whose SYN-ACK found no room to be sent")                          \
	X(no_flow, drop, "segment of no known flow: answered with RST while their rate allows")    \
	X(cookie_invalid, drop, "ACK that completes no handshake of ours: answered with RST")      \
	X(cookie_no_entry, drop, "ACK whose half-open entry is gone: answered with RST")           \
	X(sessions_full, drop, "handshake completed but MaxSessions are open: answered with RST")  \
	X(tcp_unacceptable, drop, "segment outside the receive window (RFC 9293 3.10.7.4)")        \
	X(tcp_ack_unacceptable, drop, "ACK of data never sent, or too old (RFC 5961 section 5)")   \
	X(tcp_reset_challenged, drop,                                                              \
	  "RST not at the expected sequence number (RFC 5961 section 3)")                          \
	X(tcp_syn_challenged, drop, "SYN in a synchronized state (RFC 5961 section 4)")            \
	X(tcp_paws, drop, "timestamp older than the last one (RFC 7323 section 5)")                \
	X(tcp_options, drop, "segment of a flow with broken TCP options")                          \
	X(tcp_state, drop, "segment that the flow's state discards")                               \
	X(tcp_out_of_order_full, drop, "out-of-order segment beyond the flow's queue")             \
	X(tcp_no_buffer, drop, "segment for which no payload buffer was free")                     \
	X(time_wait, drop, "segment of a connection in TIME-WAIT")                                 \
	X(handover_full, drop, "frame for another worker, which takes no more now")                \
	X(smtp_not_authenticated, refusal, "MAIL without the right Submit")                        \
	X(smtp_unable_to_relay, refusal,                                                           \
	  "RCPT to no accepted domain without Accept-Any-Recipient")                               \
	X(smtp_sender_not_permitted, refusal, "MAIL without Accept-Any-Sender")                    \
	X(smtp_own_sender_not_permitted, refusal,                                                  \
	  "MAIL from an authoritative domain without Accept-Authoritative-Domain-Sender")          \
	X(smtp_bad_address, refusal, "address that cannot be parsed")                              \
	X(smtp_bad_sequence, refusal, "command out of sequence")                                   \
	X(smtp_bad_parameter, refusal, "argument or ESMTP parameter that is not understood")       \
	X(smtp_unrecognized, refusal, "unknown command")                                           \
	X(smtp_line_too_long, refusal, "command line above the limit of RFC 5321")                 \
	X(smtp_bad_line_ending, refusal, "bare CR, bare LF or NUL: session closed")                \
	X(smtp_too_many_errors, refusal, "MaxProtocolErrors reached: session closed")              \
	X(smtp_too_many_recipients, refusal, "RCPT beyond MaxRecipientsPerMessage")                \
	X(smtp_too_large, refusal, "message above MaxMessageSize")                                 \
	X(smtp_reserved_top_level, refusal, "RCPT in .test, .example, .invalid or .localhost")     \
	X(smtp_reserved_second_level, refusal, "RCPT in example.com, .net or .org")                \
	X(smtp_single_label, refusal, "RCPT in a domain without a dot")                            \
	X(smtp_hello_needs_domain, refusal, "EHLO or HELO without a domain: session closed")       \
	X(smtp_utf8_not_asked, refusal, "address above ASCII in a message without SMTPUTF8")       \
	X(smtp_header_too_large, refusal, "message header above MaxHeaderSize")                    \
	X(smtp_hop_count, refusal, "message with more Received headers than MaxHopCount")          \
	X(smtp_message_rate, refusal, "MAIL above MessageRateLimit: session closed")               \
	X(smtp_blocked, refusal, "RCPT of a source on the IP Block list")                          \
	X(smtp_limit_connections, refusal, "connection above MaxInboundConnection: 421")           \
	X(smtp_limit_per_source, refusal, "connection above MaxInboundConnectionPerSource: 421")   \
	X(smtp_limit_percentage, refusal,                                                          \
	  "connection above MaxInboundConnectionPercentagePerSource: 421")                         \
	X(smtp_limit_per_prefix, refusal, "connection above MaxInboundConnectionPerPrefix: 421")   \
	X(smtp_limit_source_rate, refusal, "connection above MaxConnectionRatePerSource: 421")     \
	X(smtp_limit_prefix_rate, refusal, "connection above MaxConnectionRatePerPrefix: 421")     \
	X(smtp_exch50_refused, refusal, "XEXCH50 without the right Accept-Exch50")                 \
	X(smtp_timeout, refusal, "client silent for ConnectionInactivityTimeout")                  \
	X(smtp_session_timeout, refusal, "session above ConnectionTimeout")                        \
	X(smtp_draining, refusal, "session closed because the gate is stopping")                   \
	X(smtp_connector_gone, refusal,                                                            \
	  "MAIL after a reload that took the session's connector away: session closed")            \
	X(session_evicted, refusal, "idle session closed to make room for others")                 \
	X(holder_evicted, refusal,                                                                 \
	  "idle session closed for the server's connection it kept: others waited for one")        \
	X(slow_sender_evicted, refusal,                                                            \
	  "message below MinDataRate given up for its server's connection: others waited")         \
	X(smtp_banned, refusal, "session closed because its source is banned")                     \
	X(smtp_limit_ban, refusal, "connection of a banned source (BanAction)")                    \
	X(smtp_limit_block_list, refusal,                                                          \
	  "connection of a source on the IP Block list (BlockListAction)")                         \
	X(smtp_not_smtp, refusal, "first line of another protocol: session closed")                \
	X(greet_early_talker, refusal, "client spoke before it had the greeting")                  \
	X(greet_pipelining, refusal, "client spoke on before it had the reply to EHLO or HELO")    \
	X(dnsbl_listed, refusal, "RCPT of a client that the DNS lists list")                       \
	X(backend_refused_recipient, refusal, "RCPT refused by the backend")                       \
	X(backend_refused_message, refusal, "message refused by the backend")                      \
	X(backend_unavailable, fault, "no live server of the backend")                             \
	X(backend_busy, fault, "no backend connection within the wait limits")                     \
	X(backend_lost, fault, "backend connection lost inside a transaction")                     \
	X(backend_timeout, fault, "backend silent for its time limit")                             \
	X(backend_malformed_reply, fault,                                                          \
	  "backend reply that is not SMTP or does not fit its command")                            \
	X(backend_lacks_extension, fault, "server without 8BITMIME for an 8-bit message")          \
	X(backend_connect_failed, fault, "connection to a server refused or timed out")            \
	X(backend_down, fault, "event: a server's probe failed; it gets no more mail")             \
	X(backend_up, fault, "event: a server's probe succeeded again")                            \
	X(flows_full, fault, "no free flow for a connection to a backend")                         \
	X(ports_full, fault, "no free local port for a connection to a backend")                   \
	X(buffers_low, fault, "payload buffers exhausted while bytes waited")                      \
	X(replies_unread, fault,                                                                   \
	  "command left waiting: its client does not read while payload buffers are scarce")       \
	X(time_wait_evicted, fault, "oldest TIME-WAIT record given up for a newer one")            \
	X(half_open_evicted, fault, "oldest half-open entry given up for a newer one")             \
	X(half_open_full, fault,                                                                   \
	  "SYN answered without a half-open entry: all are taken, the oldest a moment ago")        \
	X(half_closed_evicted, fault, "oldest half-closed connection reset to make room")          \
	X(refused_evicted, fault,                                                                  \
	  "connection above a limit, reset before it had closed to make room")                     \
	X(sources_full, fault, "source let in uncounted: SourceEntries are all taken")             \
	X(out_of_order_evicted, fault,                                                             \
	  "bytes beyond a gap given up for want of payload buffers; their sender repeats them")    \
	X(neighbour_full, fault, "neighbour table full: oldest entry evicted")                     \
	X(neighbour_unresolved, fault, "next hop does not answer ARP or neighbour discovery")      \
	X(address_conflict, fault, "event: another station claims one of our addresses")           \
	X(retransmit_exhausted, fault, "client or pooled server stopped acknowledging")            \
	X(linger_expired, fault, "client still sending LingerTimeout after our close: RST")        \
	X(drain_expired, fault, "session cut by DrainTimeout")                                     \
	X(protocol_log_full, fault, "line of the protocol log lost: its worker's ring was full")   \
	X(protocol_log_unwritten, fault, "line of the protocol log lost: no file could take it")   \
	X(source_banned, fault, "event: a source was banned")                                      \
	X(source_unbanned, fault, "event: a source is banned no more")                             \
	X(offence_unscored, fault, "offence whose source found no place in the table of sources")  \
	X(ban_exempt, fault, "event: a ban by hand was taken back: server, or on IP Allow list")   \
	X(bans_full, fault, "ban given up for want of an entry: the one that ends first")          \
	X(ban_not_shared, fault, "ban that the pinned map did not take, or the gate of it")        \
	X(greet_delay_skipped, fault, "greeting without GreetDelay: few sessions are free")        \
	X(dnsbl_late, fault, "RCPT before the DNS lists had answered: the session goes on")        \
	X(dnsbl_timeout, fault, "DNS list without an answer within DnsTimeout")                    \
	X(dnsbl_failed, fault, "DNS list answered with an error, or with what it cannot mean")     \
	X(dnsbl_queue_full, fault, "client that no DNS list was asked about: too many at once")    \
	X(dnsbl_inquiries_full, fault, "the same, for too many are being asked about")             \
	X(dnsbl_cache_full, fault, "answer of DNS lists forgotten early for a newer one")          \
	X(gate_started, fault, "event: the gate began to take frames")                             \
	X(gate_stopped, fault, "event: the gate stopped")                                          \
	X(gate_reloaded, fault, "event: a reload was applied")                                     \
	X(reload_refused, fault, "event: a reload was refused: the policy in force goes on")

enum reason {
	REASON_NONE, /* accepted */
#define X(name, kind, help) REASON_##name,
	REASONS(X)
#undef X
		REASON_COUNT
};

struct connector_counters {
	char name[COUNTERS_NAME_BYTES];
#define X(name, help) counters_u64 name;
	CONNECTOR_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

struct port_counters {
	char name[COUNTERS_NAME_BYTES];
#define X(name, help) counters_u64 name;
	PORT_COUNTERS(X)
#undef X
} __attribute__((aligned(64)));

/* Index in the map = enum reason; row 0 (none) stays zero. */
struct reason_counter {
	char name[40];
	char kind[8]; /* "drop", "refusal" or "fault" */
	counters_u64 count;
	counters_u64 reserved;
} __attribute__((aligned(64)));

/*
 * The map of banned sources: what is in it, the XDP programs drop, and bpftool may put in or take
 * out. IPv4 a.b.c.d is 255 0 0 0 a b c d (where no source can be: ff00::/8 is multicast), IPv6 the
 * first half of the address, which stands for the /64.
 */
struct ban_source {
	counters_u8 prefix[8];
};

struct ban {
	counters_u64 until;   /* seconds since 1970-01-01 UTC; 0 = for ever */
	counters_u64 packets; /* that the XDP programs dropped */
	counters_u32 level;   /* how often it was banned in a row; 0 = by hand */
	counters_u32 reason;  /* enum reason of its last offence; 0 = by hand */
};

/*
 * One record of the log ring. Written by one worker: sequence 0, fields, then sequence (release); a
 * reader takes sequence before and after and discards a record that changed. sequence 0 = never
 * written, or being written; record n of a worker's ring sits at index n % records.
 */
struct log_record {
	counters_u64 sequence; /* 1, 2, 3 ... of this worker */
	counters_u64 wall_us;  /* microseconds since 1970-01-01 UTC */
	counters_u8
		source[16]; /* client's or server's address, IPv4 as ::ffff:a.b.c.d; zero = none */
	counters_u16 source_port;
	counters_u16 reason; /* enum reason */
	counters_u16 code;   /* SMTP reply code given, 0 = none */
	counters_u16 reserved;
	char verb[8]; /* "MAIL", "RCPT", "BODY" ..., NUL-padded */
	char connector[COUNTERS_NAME_BYTES];
	char detail[144]; /* address or reply text, printable ASCII, NUL-padded */
} __attribute__((aligned(64)));

/*
 * What the running gate says of itself: the one row of the map `instance`. Written by its main
 * thread alone: sequence becomes odd, then the fields, then even (release); a reader takes it
 * before and after, and again when it was odd or changed. Times are microseconds since 1970-01-01
 * UTC, 0 = never; texts end in NUL.
 */
struct instance_record {
	counters_u64 sequence;
	counters_u64 pid;
	counters_u64 started_us;
	counters_u64
		alive_us; /* the main thread's last look around: each 100 ms, but while it loads */
	counters_u64 workers;
	char build[32];
	/* starting, running, draining (on request: sessions are left), drained, stopping, stopped
	 */
	char state[16];
	/* The policy in force: 1 is that of the start, each reload that is applied makes one more.
	 */
	counters_u64 generation;
	counters_u64 generation_us;
	counters_u64 generations_held; /* in memory: that in force, and old ones still in use */
	/* The last try to reload, whatever asked for it. */
	counters_u64 reload_us;
	counters_u64 reloads_applied;
	counters_u64 reloads_refused;
	char reload_result[16]; /* applied, refused, or empty: there was none */
	char reload_cause[16];  /* request, signal, file */
	/* Of the last one that was applied: microseconds that its steps took. */
	counters_u64 load_took_us; /* reading and checking */
	counters_u64 compile_took_us, swap_took_us, free_took_us;
	/* The numbers of `requests` that were answered. */
	counters_u64 reload_answered;
	counters_u64 drain_answered;
	char file[256];
	/* What of the file in force waits for a restart: "Workers (1 -> 2), ...", or empty. */
	char restart_needed[1024];
	char message[4096]; /* of the last try: the file's faults, a line each */
} __attribute__((aligned(64)));

/*
 * What others ask of the running gate: the one row of the map `requests`, which the gate reads and
 * never writes. A number is raised by one for each request.
 */
struct request_record {
	counters_u64 reload;
	counters_u64 drain;        /* do as drain_wanted says, which is written before */
	counters_u64 drain_wanted; /* 1: no new connections; 0: new ones again */
} __attribute__((aligned(64)));

#endif
