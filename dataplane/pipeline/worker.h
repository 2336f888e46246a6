// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of pipeline/ share: the worker's state and its two kinds of connection legs.
// A *client* is a flow with its SMTP session; a *server leg* is a flow with its upstream. Each is
// created in one function and destroyed in one function; handlers only mark them.
#ifndef RELAYGATE_PIPELINE_WORKER_H
#define RELAYGATE_PIPELINE_WORKER_H

#include "bpf/capture.h"
#include "dataplane/base/pace.h"
#include "dataplane/base/protocol_record.h"
#include "dataplane/base/wheel.h"
#include "dataplane/gate/admission.h"
#include "dataplane/gate/dnsbl.h"
#include "dataplane/gate/half_open.h"
#include "dataplane/gate/offenders.h"
#include "dataplane/gate/passed.h"
#include "dataplane/gate/rates.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/net/build.h"
#include "dataplane/net/net.h"
#include "dataplane/net/pattern.h"
#include "dataplane/pipeline/generation.h"
#include "dataplane/pipeline/pipeline.h"
#include "dataplane/relay/servers.h"
#include "dataplane/relay/upstream.h"
#include "dataplane/smtp/session.h"
#include "dataplane/tcp/options.h"
#include "dataplane/tcp/tcp.h"

#include <assert.h>
#include <sys/queue.h>

enum leg_kind { LEG_CLIENT, LEG_SERVER };

// One TCP connection of ours, whichever way it points. First member of both kinds.
struct leg {
	enum leg_kind kind;
	bool dirty;  // on the list of legs that may have something to send
	bool doomed; // to be destroyed at the end of this turn
	struct flow *flow;
	struct link link;         // where its last frame came from
	struct wheel_timer timer; // the earliest of all its deadlines
	TAILQ_ENTRY(leg) in_dirty;
};

TAILQ_HEAD(leg_list, leg);

struct bans;
struct server_leg;
struct sieve;
struct sources;

// Who makes room first when sessions or payload buffers are used up (evict.c).
enum client_rank {
	CLIENT_REFUSED,        // above a limit: it gets its 421 and counts for nothing
	CLIENT_TARPITTED,      // a refusal is kept back, and nothing of it is at a server
	CLIENT_BEFORE_MAIL,    // no transaction is open
	CLIENT_LINGERING,      // the last reply was given: only its FIN is awaited
	CLIENT_IN_TRANSACTION, // after MAIL, and it is the client's turn to speak; or inside a
			       // message that will be refused
	CLIENT_AT_SERVER,      // likewise, and a server's connection is kept for it
	CLIENT_PROTECTED, // inside a message body that a server takes, or its answer is awaited
	CLIENT_RANKS
};

// Where the tests at a session's beginning stand (greeting.c).
enum greeting {
	GREETING_OVER,
	GREETING_DELAYED, // until held_until_us; a first line of it may have been said
	GREETING_SAID,    // whole; nothing was heard
	GREETING_HELLO,   // its first commands were answered
};

struct client {
	struct leg leg;
	struct generation *generation; // whose policy and connector the session has
	struct session session;
	TAILQ_ENTRY(client) in_rank; // of pipeline.ranks[rank][holds]
	uint64_t active_us;          // when it last came nearer to a message (evict.c)
	struct server_leg *server;   // lent to this session, or NULL
	struct servers_waiter waiter;
	uint64_t linger_deadline_us; // 0 = not lingering
	struct chunk_queue held;     // a server's refusal that the tarpit keeps back
	// The tarpit keeps a refusal or a question to the server back, or the greeting waits; 0 =
	// none.
	uint64_t held_until_us;
	uint64_t retry_us; // when to look for payload buffers again; 0 = not wanting
	uint16_t connector;
	uint16_t logged;         // its refusals that went into the log
	uint32_t protocol_lines; // of its protocol log, lost ones included
	uint16_t ended;          // enum protocol_context: what ended it first; 0 = nothing yet
	bool replaced : 1;       // a dead pooled connection, for the RCPT that is being asked
	bool peer_closed : 1;    // its FIN was seen
	bool in_body : 1;        // the server leg takes message bytes
	bool closes : 1;         // once what is held was said
	bool busy : 1;           // client_pump is running: it will see what changed
	bool holds : 1;          // payload buffers
	bool verbose : 1;        // its protocol is logged
	bool banned : 1;         // to be closed once no message is on its way
	bool tarpitted : 1;      // refused, and the 421 waits
	uint8_t rank;            // enum client_rank
	uint8_t greeting;        // enum greeting
	uint8_t held_row;        // the refusal of our own that is kept back, enum reply_id, or 0
	uint8_t refused;         // enum connection_limit_kind: LIMIT_WITHIN, or it was not counted
	struct admission admission;
};
_Static_assert(sizeof(struct client) <= 640, "with its flow below 1 KB: there may be a million");

TAILQ_HEAD(client_list, client);
TAILQ_HEAD(server_leg_list, server_leg);

struct server_leg {
	struct leg leg;
	struct generation *generation; // whose policy upstream's and connection's places are in
	struct upstream upstream;
	struct servers_connection connection;
	struct client *client;         // the session that it is lent to, or NULL
	struct pace pace;              // of that session: recipients, then octets of the message
	uint64_t octets;               // of the message, that are in pace
	struct server_leg *next_probe; // of all probes
	TAILQ_ENTRY(server_leg) in_all;
	struct chunk_queue staged; // of the message, not yet in a chunk
	uint64_t staged_until_us;  // and then in one, however few they are
	bool ending;               // what is staged is the message's rest
	bool closing;              // FIN sent or queued: nothing is read any more
};

// So many a time interval and no more.
struct allowance {
	uint32_t tokens;
	uint64_t refilled_us;
};

// RSTs that may still go out this second, by what the source's address hashes to this second. A
// budget of all would tell a source, who sees how many of his own RSTs are missing, which of the
// segments that he forged in another's name met a connection (the flaw of RFC 5961 section 7).
#define RESET_BUCKETS 64
struct reset_budget {
	struct hash_key key;
	uint64_t second; // plus one: 0 is never the current one
	uint16_t left[RESET_BUCKETS];
	uint16_t buckets_left; // in which something is
};

// A look at all sessions for those of banned sources (ban.c).
struct ban_lap {
	uint64_t *open; // a bit a client, by its index in the pool
	uint32_t words, at;
	uint32_t generation; // of the bans, at the last lap's beginning
	uint64_t next_us;
};

// What is asked of a connector's SYNs.
struct syn_limits {
	struct allowance allowance;
	uint32_t rate; // this worker's part of MaxSynRate; 0 = unlimited
	bool looks;    // some limit on sessions ends at the SYN
};

// A frame that was given to another worker, or shown by one: somebody else's to capture.
#define CAPTURE_NOT_OURS UINT16_MAX

// Of whose drops in a burst offenders hear, and how many each of them stands for.
struct sample {
	uint64_t frames; // a bit each
	uint32_t weight;
};

struct capture {
	bool on;
	const struct connector_counters *connector; // of what is being sent; NULL = none
	const uint8_t *reserved;                    // the frame that is being built
	uint64_t sequence;                          // of the last record
	struct capture_order order;                 // a copy that nobody changes meanwhile
};

struct pipeline {
	struct outbox outbox;          // first; counts what it hands on to `device`
	struct generation *generation; // the newest; the next three are its
	const struct policy *policy;
	const struct ruleset *ruleset;
	struct servers *servers;
	unsigned share;               // this worker's in each generation
	uint64_t former;              // clients and connections to servers of older generations
	struct generation_news *news; // NULL: there is one generation
	struct generation *own_generation; // where none was given
	const struct packet_port *ports;
	struct sieve *sieves; // of each port
	struct pipeline_counters counters;
	struct record_ring *protocol; // NULL: no connector's is logged

	struct random random;
	struct pool chunks;
	struct pool clients;
	struct pool servers_pool;
	struct wheel *wheel;
	unsigned worker;
	const struct spread *spread; // NULL: the only worker
	struct handover *handover;
	struct net *net;
	struct half_open *half_open;
	struct session_quota quota; // asks `rates`
	struct rates *rates;        // shared by all workers
	struct rates *own_rates;    // where there is only one
	struct sources *sources;    // likewise
	struct sources *own_sources;
	struct syn_limits *syns; // by slot: [PIPELINE_SLOTS(connector_count of the first policy)]
	struct bans *bans, *own_bans;
	struct record_ring *notices; // of the main thread; NULL: none
	struct ban_lap ban_lap;
	struct passed *passed; // shared; NULL: nobody waits for the greeting
	struct passed *own_passed;
	struct dnsbl *dnsbl; // shared; NULL: no lists
	struct cookie_keys cookie_keys;
	struct tcp *tcp;

	// All clients, those that spoke longest ago first; without and with payload buffers.
	struct client_list ranks[CLIENT_RANKS][2];
	uint32_t lingering, refused; // how many of those ranks
	uint64_t holders_us;         // when who keeps a server's connection is looked at again
	struct leg_list dirty;
	uint64_t log_sequence;
	struct reset_budget resets;
	struct allowance logged_drops, logged_refusals, logged_full;
	uint64_t session_ids;
	uint32_t server_count; // connections to servers, probes included
	struct server_leg *first_probe;
	struct server_leg_list server_legs; // all, in no order (holder.c)
	bool draining;
	struct capture capture;
	bool closed; // no new connections

	// One turn's surroundings and scratch.
	struct tick now;
	struct outbox *device; // where this turn's frames go
	bool handed;           // the burst comes from other workers
	uint16_t reserved_port;
	struct reply_buffer reply;
	struct upstream_commands commands;
};

// ---- adopt.c: generations of the policy -------------------------------------------------------
// The pipeline's first one.
void adopt_first(struct pipeline *pipeline, struct generation *generation);
// Something more, or less, of this worker refers to a generation; new ones to the newest only.
void generation_enter(struct pipeline *pipeline, struct generation *generation);
void generation_leave(struct pipeline *pipeline, struct generation *generation);
// May some worker have a flow that the newest ruleset does not list?
bool generation_former_anywhere(const struct pipeline *pipeline);

// ---- send.c: frames out ----------------------------------------------------------------------
extern const struct outbox send_counted_outbox;
void send_mark_dirty(struct pipeline *pipeline, struct leg *leg);
// Sends what the dirty legs have; those that cannot send yet stay on the list.
void send_flush(struct pipeline *pipeline);
// The doomed leg's last frames, now; RST if they cannot all go out, or if `reset` says so. Destroys
// it.
void send_last(struct pipeline *pipeline, struct leg *leg, bool reset);
// One segment outside of any flow, back where a frame came from. False when there was no room.
bool send_segment(struct pipeline *pipeline, const struct link *link,
		  const struct segment *segment);
// The same, in answer to frame `index` of this burst, which is not looked at any more: short enough
// for OUTBOX_ANSWER_MAX.
bool send_answer(struct pipeline *pipeline, unsigned index, const struct link *link,
		 const struct segment *segment);
// RST for a segment that fits nothing, within its source's share.
void send_reset_for(struct pipeline *pipeline, const struct view *view);
// The leg's own RST, as its state asks for; the leg is then only to be destroyed.
void send_leg_reset(struct pipeline *pipeline, struct leg *leg);
// True `burst` times in each interval.
bool allowance_take(struct allowance *allowance, uint32_t burst, uint32_t interval_us,
		    uint64_t now_us);
// Would the next one be?
bool allowance_left(const struct allowance *allowance, uint32_t interval_us, uint64_t now_us);

// ---- others.c: what concerns the other workers -----------------------------------------------
// Is the flow of this tuple another worker's?
bool others_own(const struct pipeline *pipeline, const struct tuple *tuple);
// Gives frame `index` of the burst to its flow's owner. REASON_NONE: it is the owner's to count.
enum reason others_take(struct pipeline *pipeline, const struct tuple *tuple, uint16_t port,
			unsigned index);
// Shows a link frame to all others. What the frame's disposition is then.
enum reason others_learn(struct pipeline *pipeline, const struct view *view, unsigned index,
			 enum reason reason);

// ---- sieve.c: floods, before a view is made of each frame ---------------------------------------
int sieve_init(struct pipeline *pipeline);
void sieve_fini(struct pipeline *pipeline);
// May it drop frames of this burst, and learn from it?
bool sieve_applies(const struct pipeline *pipeline);
// Drops and counts what it knows to be of unlisted sources, of those frames of a burst whose bits
// are set in `among`. Returns those that are left.
uint64_t sieve_drop(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
		    uint64_t among, const struct sample *sample);
// A frame of this port was dropped as no_connector.
void sieve_learn(struct pipeline *pipeline, uint16_t port, const struct view *view);

// ---- handshake.c: segments without a flow ----------------------------------------------------
// What a SYN is answered, if nothing is known of it yet; made with its burst.
struct syn_draft {
	uint64_t place;             // where its source may be known, or 0: not asked for
	struct handshake handshake; // unless malformed
	bool malformed;             // its options are
	bool offered;               // half_open_offers_options was so
};
// A segment that the gate kept, and what its burst found out about it.
struct arrival {
	const struct view *view;
	unsigned index;         // of its frame in the burst
	struct tuple tuple;     // tcp_tuple_of
	uint32_t hash;          // tcp_hash of it
	uint16_t connector;     // CONNECTOR_NONE: none of a client
	struct syn_draft draft; // of a SYN: handshake_draft
};
// Of the SYNs among a burst: drafts, and what will be looked at is fetched ahead.
void handshake_draft(const struct pipeline *pipeline, struct arrival arrivals[], unsigned count);
// A segment of a listed client that belongs to no flow.
enum reason handshake_input(struct pipeline *pipeline, struct arrival *arrival);
// SYN-ACKs that are due again.
void handshake_timeout(struct pipeline *pipeline);

// ---- ban.c: sources that misbehave -------------------------------------------------------------
int ban_init(struct pipeline *pipeline);
void ban_fini(struct pipeline *pipeline);
// A session was refused something: is that an offence, and is it enough?
void ban_offence(struct pipeline *pipeline, struct client *client, const struct session_step *step);
// Brings what ban_refuses will ask for a SYN into the cache.
void ban_look_ahead(const struct pipeline *pipeline, const struct view *view);
// Is the source banned now? Whoever is on the IP Allow list is not.
bool ban_refuses(const struct pipeline *pipeline, const struct address *source);
void ban_enter(struct pipeline *pipeline, const struct client *client);
void ban_leave(struct pipeline *pipeline, const struct client *client);
// Sessions of banned sources, and the main thread's notices. When it wants to be called again.
uint64_t ban_turn(struct pipeline *pipeline);

// ---- admit.c: who may open a connection ---------------------------------------------------------
void admit_init(struct pipeline *pipeline, unsigned workers);
// A segment without a flow: REASON_NONE, or who sent it is answered with silence or RST
// (which went out if it is RST).
enum reason admit_source(struct pipeline *pipeline, const struct view *view);
// A SYN: REASON_NONE, or it is above a limit that answers with silence or RST (which went out).
enum reason admit_syn(struct pipeline *pipeline, const struct view *view, uint16_t connector);
// The same of a completed handshake; with REASON_NONE it becomes a session, counted as
// result->admission says, or one that is refused for result->limit.
enum reason admit_handshake(struct pipeline *pipeline, const struct view *view, uint16_t connector,
			    struct admission_result *result);
// Was a segment dropped for a limit?
bool admit_refused(enum reason reason);
// What a session that is refused for a limit is counted as, and what such connections get.
enum reason admit_reason(enum connection_limit_kind limit);
enum limit_action admit_action(const struct policy *policy, const struct connector *connector,
			       enum connection_limit_kind limit);

// ---- client.c: a client's flow and session ---------------------------------------------------
// NULL when MaxSessions are open. The banner is queued, or the 421 for the limit that it is above;
// on success the admission is the client's to give back.
struct client *client_create(struct pipeline *pipeline, const struct tcp_accept *accept,
			     const struct link *link, uint16_t connector,
			     const struct admission_result *admitted);
// The session_quota of all sessions of a worker.
bool client_within_rate(struct session_quota *quota, const struct connector *connector,
			const struct address *source, uint64_t now_us);
// Its connector and policy by the newest generation, at MAIL. False: it has none there any more.
bool client_renew(struct session_quota *quota, struct session_peer *peer);
// The place of its connector's backend among pipeline->servers; false when it is no more.
bool client_backend(const struct pipeline *pipeline, const struct client *client,
		    unsigned *backend);
void client_destroy(struct pipeline *pipeline, struct client *client);
// The last reply is queued: FIN behind it, then whatever still comes is read and thrown away.
void client_linger(struct pipeline *pipeline, struct client *client);
// Moves bytes from the flow to the session and acts on what it says, until nothing moves.
void client_pump(struct pipeline *pipeline, struct client *client);
void client_events(struct pipeline *pipeline, struct client *client, unsigned events);
void client_timeout(struct pipeline *pipeline, struct client *client);
uint64_t client_deadline(const struct client *client);
// The backend side's answer to the intent that suspended the session (exchange.c calls it, and then
// client_pump: input may have waited).
void client_answer(struct pipeline *pipeline, struct client *client,
		   const struct session_answer *answer);
void client_drain(struct pipeline *pipeline, struct client *client, bool force);
// Makes room: 421 and FIN, or RST for one that lingers, and its place is free at once. The reason
// is for a session that is still open.
void client_evict(struct pipeline *pipeline, struct client *client, enum reason reason);
// Its transaction is given up for others: 421, and its server's connection is reset, whatever was
// said on it. Not while suspended nor lingering.
void client_dismiss(struct pipeline *pipeline, struct client *client, enum reason reason);
// More than a buffer of what it was told?
bool client_leaves_unread(const struct pipeline *pipeline, const struct client *client);
// Payload buffers that are kept back for replies and commands.
uint32_t client_chunks_reserved(const struct pipeline *pipeline);
struct connector_counters *client_counters(struct pipeline *pipeline, const struct client *client);

// For greeting.c: sends pipeline->reply, false when the session ended by it; does what a step
// intends; has a reply room now?
bool client_say(struct pipeline *pipeline, struct client *client);
void client_apply(struct pipeline *pipeline, struct client *client,
		  const struct session_step *step);
bool client_may_reply(struct pipeline *pipeline, struct client *client);

// ---- greeting.c: the tests at a session's beginning -------------------------------------------
// The banner is in pipeline->reply: says it, or its first line, or keeps it back.
void greeting_begin(struct pipeline *pipeline, struct client *client);
// While it is kept back: is its time over, or does the client talk, or leave?
void greeting_wait(struct pipeline *pipeline, struct client *client);
// Nothing of it is said any more.
void greeting_cancel(struct client *client);
// The client has spoken, and its turn has come: could it have read what we said last? Not any more
// once the greeting is over.
void greeting_input(struct pipeline *pipeline, struct client *client);
// The session_quota's view of the DNS lists.
enum session_listing greeting_listing(struct session_quota *quota, const struct session_peer *peer,
				      unsigned *list);

// ---- tarpit.c: refusals that wait ---------------------------------------------------------------
// Keeps the reply back if the step is a refusal that waits; false: it is to be said now.
bool tarpit_hold(struct pipeline *pipeline, struct client *client, const struct session_step *step);
// The session goes on after TarpitInterval.
void tarpit_stall(struct pipeline *pipeline, struct client *client);
// What was kept back goes out now. Nothing happens when nothing was.
void tarpit_release(struct pipeline *pipeline, struct client *client);

// ---- evict.c: who goes first under pressure ----------------------------------------------------
void evict_init(struct pipeline *pipeline);
// Puts a new client into its rank; moves one that came nearer to a message, or whose rank changed.
void evict_enter(struct pipeline *pipeline, struct client *client);
void evict_note(struct pipeline *pipeline, struct client *client);
void evict_leave(struct pipeline *pipeline, struct client *client);
bool evict_no_clients(const struct pipeline *pipeline);
// One more handshake is complete: makes a place for it when all are taken and somebody may go; for
// one that is refused only others that are.
void evict_for_newcomer(struct pipeline *pipeline, bool refused);
// Once a turn: the bounds on half-closed connections and payload buffers.
void evict_for_bounds(struct pipeline *pipeline);

// ---- holder.c: who keeps a server's connection from others -------------------------------------
// A server's connection is lent to this client: what did it send, and does its time run now?
void holder_note(struct pipeline *pipeline, struct client *client);
// Is one lent to it that others wait for now?
bool holder_awaited(const struct pipeline *pipeline, const struct client *client);
// Once a turn: where transactions wait for a server's connection, clients that keep one and are too
// slow give it up. When it wants to be called again.
uint64_t holder_relieve(struct pipeline *pipeline);

// ---- exchange.c: a session's transaction and the server leg it is lent ------------------------
void exchange_recipient(struct pipeline *pipeline, struct client *client);
void exchange_data(struct pipeline *pipeline, struct client *client);
size_t exchange_body_room(const struct pipeline *pipeline, const struct client *client);
void exchange_body(struct pipeline *pipeline, struct client *client,
		   const struct slice body[SESSION_BODY_PIECES]);
void exchange_end(struct pipeline *pipeline, struct client *client);
// The transaction is over with nothing half-sent: RSET and back to the pool.
void exchange_reset(struct pipeline *pipeline, struct client *client);
// The message is abandoned: the connection is reset without end of data; or it is kept, if the
// message came in chunks.
void exchange_abort(struct pipeline *pipeline, struct client *client);
void exchange_result(struct pipeline *pipeline, struct server_leg *leg,
		     const struct upstream_result *result);
// The same, but the connection is reset in any case: its place is free at once.
void exchange_drop(struct pipeline *pipeline, struct client *client);
// Waiting transactions that can go on, or gave up.
void exchange_waiters(struct pipeline *pipeline);
// Those that wait for a backend which the newest policy does not have.
void exchange_stranded(struct pipeline *pipeline, struct servers *old);

// ---- chunks.c: a message's way to a server with CHUNKING
// ----------------------------------------- In a transaction whose recipients are accepted.
void chunks_begin(struct pipeline *pipeline, struct server_leg *leg);
// How many bytes may be staged now.
size_t chunks_room(const struct server_leg *leg);
// False when buffers ended in it.
bool chunks_stage(struct pipeline *pipeline, struct server_leg *leg, struct slice bytes);
// Says the next chunk, if it is due and the server may be told: the last one once leg->ending.
void chunks_send(struct pipeline *pipeline, struct server_leg *leg);
void chunks_forget(struct pipeline *pipeline, struct server_leg *leg);
// When chunks_send has something to do because of time alone; UINT64_MAX when never.
uint64_t chunks_deadline(const struct server_leg *leg);

// ---- server_leg.c: a backend's flow and upstream ---------------------------------------------
// Opens a connection; it is already counted by servers_request (not for a probe). On failure the
// reason: flows_full, ports_full, neighbour_unresolved.
enum reason server_leg_create(struct pipeline *pipeline, unsigned backend, unsigned server,
			      bool probe, struct server_leg **out);
void server_leg_destroy(struct pipeline *pipeline, struct server_leg *leg);
void server_leg_pump(struct pipeline *pipeline, struct server_leg *leg);
void server_leg_events(struct pipeline *pipeline, struct server_leg *leg, unsigned events);
void server_leg_timeout(struct pipeline *pipeline, struct server_leg *leg);
uint64_t server_leg_deadline(const struct server_leg *leg);
// Gives bytes of the server (none: what is known already) to the upstream and acts on one event.
// Returns how many were used.
size_t server_leg_hear(struct pipeline *pipeline, struct server_leg *leg, struct slice in);
// Sends pipeline->commands.
void server_leg_say(struct pipeline *pipeline, struct server_leg *leg);
// The same in two steps: queues them, false when buffers ended in them; then the leg is given up.
bool server_leg_queue(struct pipeline *pipeline, struct server_leg *leg);
void server_leg_give_up(struct pipeline *pipeline, struct server_leg *leg);
// RST and destruction at the end of the turn; the leg is no longer lent.
void server_leg_abort(struct pipeline *pipeline, struct server_leg *leg);
// QUIT, then FIN.
void server_leg_quit(struct pipeline *pipeline, struct server_leg *leg);
void server_leg_probes(struct pipeline *pipeline);
void server_leg_abort_probes(struct pipeline *pipeline);
// A change of the server's health (REASON_NONE: none) is counted and logged.
void server_leg_tell_health(struct pipeline *pipeline, const struct endpoint *server,
			    enum reason change);
// The policy that the connection's server is of, and where it is counted.
const struct policy *server_leg_policy(const struct server_leg *leg);
struct servers *server_leg_servers(const struct pipeline *pipeline, const struct server_leg *leg);
struct endpoint server_leg_endpoint(const struct pipeline *pipeline, const struct server_leg *leg);

// ---- count.c: counters and the log ring ------------------------------------------------------
void count_reason(struct pipeline *pipeline, enum reason reason);
// `count` frames dropped for a reason; 0 of REASON_NONE is nothing.
void count_drops(struct pipeline *pipeline, enum reason reason, unsigned count);
struct log_entry {
	enum reason reason;
	struct endpoint source; // all zero = none
	const char *connector;  // NULL = none
	uint16_t code;
	const char *verb;    // NULL = none
	struct slice detail; // any bytes; made printable
};
void log_write(struct pipeline *pipeline, const struct log_entry *entry);
// A frame that the gate dropped, if it asks for a connection: logged while the rate allows, which
// is what it returns.
bool log_drop(struct pipeline *pipeline, const struct view *view, enum reason reason);
// Would a drop with these TCP flags be logged now?
bool log_wants_drop(const struct pipeline *pipeline, uint8_t flags);
// The sample of a burst.
struct sample count_sample(const struct pipeline *pipeline, unsigned frames);
// A frame of the sample was dropped.
void count_offender(struct pipeline *pipeline, const struct address *source, enum reason reason,
		    const struct sample *sample);
void count_step(struct pipeline *pipeline, struct client *client, const struct session_step *step);

// ---- capture.c: frames for those who watch from outside ----------------------------------------
void capture_init(struct pipeline *pipeline);
// Once a turn: what is asked for now.
void capture_look(struct pipeline *pipeline);
// Only while pipeline->capture.on: a frame and what became of it.
void capture_received(struct pipeline *pipeline, uint16_t port, struct slice frame,
		      enum reason reason, const struct connector_counters *connector);
void capture_sent(struct pipeline *pipeline, uint16_t port, struct slice frame);

// ---- protocol.c: the protocol log; only for clients that are verbose ---------------------------
void protocol_open(struct pipeline *pipeline, struct client *client);
// The rights that it has from now on; protocol_open tells the first ones.
void protocol_permissions(struct pipeline *pipeline, struct client *client);
void protocol_step(struct pipeline *pipeline, struct client *client,
		   const struct session_step *step);
void protocol_reply(struct pipeline *pipeline, struct client *client, struct slice reply);
// Its next reply is kept back for TarpitInterval.
void protocol_tarpit(struct pipeline *pipeline, struct client *client);
void protocol_close(struct pipeline *pipeline, struct client *client);

#endif
