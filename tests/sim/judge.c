// SPDX-License-Identifier: BSD-3-Clause
//
// The relay rules by the ledger, the connections by the watch, the gate's own books, what is left
// over, and in worlds where nothing went wrong for others: that nothing went wrong, and soon.

#include "tests/sim/judge.h"

#include "dataplane/gate/sources.h"

#include <stdio.h>

#define DRAIN_US     (1000ull * 1000 * 1000)
#define TIME_WAIT_US (62ull * 1000 * 1000)

// ---- Everything must go well -----------------------------------------------------------------

static const char *judge_reasons(const struct world *world, const enum reason reasons[],
				 unsigned count, char text[JUDGE_TEXT])
{
	static const char *const names[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = #name,
		REASONS(X)
#undef X
	};

	for (unsigned i = 0; i < world->gate_count; i++)
		for (unsigned j = 0; j < count; j++)
			if (gate_reason(&world->gates[i], reasons[j])) {
				snprintf(text, JUDGE_TEXT, "%s in a good world", names[reasons[j]]);
				return text;
			}
	return NULL;
}

// What must not happen when peers are polite and little is lost; and when nothing is lost either.
static const enum reason in_vain[] = {
	REASON_smtp_session_timeout, REASON_backend_timeout,         REASON_backend_busy,
	REASON_retransmit_exhausted, REASON_linger_expired,          REASON_backend_unavailable,
	REASON_backend_lost,         REASON_backend_malformed_reply, REASON_flows_full,
	REASON_ports_full,           REASON_neighbour_full,          REASON_backend_connect_failed,
	REASON_handover_full,
};
static const enum reason lossless[] = {
	REASON_tcp_checksum,
	REASON_tcp_malformed,
	REASON_tcp_flags,
	REASON_tcp_options,
	REASON_tcp_paws,
	REASON_tcp_ack_unacceptable,
	REASON_tcp_no_buffer,
	REASON_tcp_out_of_order_full,
	REASON_tcp_syn_challenged,
	REASON_buffers_low,
	REASON_cookie_no_entry,
	REASON_sessions_full,
	REASON_half_open_evicted,
	REASON_half_open_full,
	REASON_out_of_order_evicted,
	REASON_neighbour_unresolved,
};

// A client's reset was lost, perhaps: its session waits in vain.
static bool may_time_out(const struct world *world)
{
	for (unsigned i = 0; i < world->ledger.count; i++)
		if (world->ledger.mails[i].kind == MAIL_CUT && world->plan.climate != CLIMATE_CALM)
			return true;
	return false;
}

// Nothing in the plan makes segments odd, or come again: each must be fine.
static bool plain(const struct plan *plan)
{
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < 2; j++)
			if (plan->gates[i].mtu[j] < 1500 || plan->gates[i].later_mtu[j] < 1500)
				return false;
	for (unsigned i = 0; i < plan->client_count; i++)
		if (plan->clients[i].literal)
			return false;
	return !plan->server_literal && plan->forgeries == 0;
}

// No segment is outside of the window but keep-alives, by which the first gate looks after its idle
// connections to the second one: each of those is.
static const char *judge_unacceptable(const struct world *world, char text[JUDGE_TEXT])
{
	for (unsigned i = 0; i < world->gate_count; i++) {
		const struct gate *gate = &world->gates[i];
		unsigned long long counted = gate_reason(gate, REASON_tcp_unacceptable);

		if (counted == gate->watch.keep_alives)
			continue;
		snprintf(text, JUDGE_TEXT, "%llu times tcp_unacceptable, %u keep-alives came",
			 counted, gate->watch.keep_alives);
		return text;
	}
	return NULL;
}

// The first gate hears of the second one's keywords now and then. Those that depend on a server are
// gone while a reload has left the second gate only servers that it has not probed yet; a client
// that was told of them before, and uses them, is put off.
static bool may_be_put_off(const struct world *world, const struct mail *mail)
{
	return mail->code == 451 && mail->binary && world->plan.chain && world->gates[1].withdrew &&
	       gate_reason(&world->gates[0], REASON_backend_lacks_extension) > 0;
}

// Every mail that may pass is acknowledged, if no mail before it ended the session.
static const char *judge_mails(const struct world *world, char text[JUDGE_TEXT])
{
	bool open = true;

	for (unsigned i = 0; i < world->ledger.count; i++) {
		const struct mail *mail = &world->ledger.mails[i];

		open |= mail->first;
		if (open && (mail->kind == MAIL_ORDINARY || mail->kind == MAIL_HALF_CLOSED) &&
		    mail->code != 250 && !may_be_put_off(world, mail)) {
			snprintf(text, JUDGE_TEXT, "mail %u was answered %u in a good world", i,
				 mail->code);
			return text;
		}
		open &= mail->kind != MAIL_BARE_LINE_FEED && mail->kind != MAIL_CUT &&
			mail->kind != MAIL_LEFT && mail->kind != MAIL_SLOW;
	}
	return NULL;
}

static const char *judge_good(const struct world *world, char text[JUDGE_TEXT])
{
	const char *verdict = NULL;

	if (world->plan.climate == CLIMATE_ROUGH)
		return NULL;
	verdict = judge_mails(world, text);
	if (!verdict)
		verdict = judge_reasons(world, in_vain, sizeof(in_vain) / sizeof(in_vain[0]), text);
	if (!verdict && !may_time_out(world))
		verdict = judge_reasons(world, &(enum reason){REASON_smtp_timeout}, 1, text);
	if (verdict || world->plan.climate != CLIMATE_CALM || !plain(&world->plan))
		return verdict;
	verdict = judge_unacceptable(world, text);
	if (!verdict)
		verdict = judge_reasons(world, lossless, sizeof(lossless) / sizeof(lossless[0]),
					text);
	return verdict;
}

// ---- The gate's books ------------------------------------------------------------------------

// Frames in are frames accepted and drops.
static bool frames_add_up(const struct gate *gate)
{
	unsigned long long in = 0, sum = 0;

	for (unsigned i = 0; i < gate->worker_count; i++)
		for (unsigned j = 0; j < GATE_PORTS; j++) {
			in += gate->workers[i].port_rows[j].frames_in;
			sum += gate->workers[i].port_rows[j].frames_accepted;
		}
#define drop                1
#define refusal             0
#define fault               0
#define X(name, kind, help) sum += kind ? gate_reason(gate, REASON_##name) : 0;
	REASONS(X)
#undef X
#undef drop
#undef refusal
#undef fault
	return in == sum;
}

// The last gate counts each message that the server took, unless the server's answer was lost on
// its way; the first one each that a client read 250 for.
static const char *judge_messages(const struct world *world, char text[JUDGE_TEXT])
{
	unsigned long long read = 0, delivered = 0, counted = 0;
	const struct gate *gate = &world->gates[0];

	for (unsigned i = 0; i < world->ledger.count; i++) {
		read += world->ledger.mails[i].code == 250 &&
			world->ledger.mails[i].kind != MAIL_WITHDRAWN;
		delivered += world->ledger.mails[i].delivered;
	}
	for (unsigned i = 0; i < gate->worker_count; i++)
		for (unsigned j = 0; j < GATE_CONNECTORS; j++)
			counted += gate->workers[i].connector[j].messages;
	if (read <= counted && counted <= delivered &&
	    (world->plan.climate != CLIMATE_CALM || read == counted))
		return NULL;
	snprintf(text, JUDGE_TEXT, "%llu messages counted, %llu acknowledged, %llu delivered",
		 counted, read, delivered);
	return text;
}

static bool log_goes_on(const struct gate_worker *worker)
{
	for (unsigned i = 0; i < GATE_LOG_RECORDS; i++) {
		const struct log_record *record = &worker->log[i];
		const struct log_record *next = &worker->log[(i + 1) % GATE_LOG_RECORDS];

		if (next->sequence == record->sequence + 1 && next->wall_us < record->wall_us)
			return false;
	}
	return true;
}

static const char *judge_rows(const struct gate_worker *worker)
{
	for (unsigned i = 0; i < GATE_CONNECTORS; i++) {
		const struct connector_counters *row = &worker->connector[i];

		if (row->sessions_open)
			return "sessions_open is not zero at the end";
		if (row->messages > row->transactions)
			return "more messages than transactions";
	}
	return NULL;
}

// Who waits for each reply is never told to have spoken early, whatever the wire does to segments:
// the rushed clients are the only ones that do not, and the second gate's client is the first one.
static const char *judge_greetings(const struct world *world, char text[JUDGE_TEXT])
{
	unsigned long long rushed = 0, seen;

	for (unsigned i = 0; i < world->plan.client_count; i++)
		rushed += world->plan.clients[i].script.rushed;
	for (unsigned i = 0; i < world->gate_count; i++) {
		// A recipient that is refused for it is counted once more.
		bool refused = strcmp(world->gates[i].plan.offence_action, "reject") == 0;

		seen = gate_reason(&world->gates[i], REASON_greet_early_talker) +
		       gate_reason(&world->gates[i], REASON_greet_pipelining);
		if (seen <= (i == 0 ? rushed * (refused ? 2 : 1) : 0))
			continue;
		snprintf(text, JUDGE_TEXT, "%llu clients spoke early, of %llu that may have", seen,
			 i == 0 ? rushed : 0);
		return text;
	}
	return NULL;
}

// The newest policy is in use by the workers alone, and the others, if all workers left them, by
// nobody.
static bool generations_freed(const struct gate *gate)
{
	for (unsigned i = 0; i < gate->worker_count; i++) {
		uint64_t users = 0;

		for (unsigned j = 0; j < gate->held_count; j++)
			users += gate->held[j]->shares[i].users;
		// One more if it has not looked for the newest yet.
		if (users != 1 && users != 2)
			return false;
	}
	return true;
}

static const char *judge_books(const struct world *world, char text[JUDGE_TEXT])
{
	for (unsigned i = 0; i < world->gate_count; i++) {
		const struct gate *gate = &world->gates[i];

		if (!frames_add_up(gate))
			return "frames in are not frames accepted plus drops";
		for (unsigned j = 0; j < gate->worker_count; j++) {
			const char *wrong = judge_rows(&gate->workers[j]);

			if (wrong)
				return wrong;
			if (!log_goes_on(&gate->workers[j]))
				return "the log goes back in time";
		}
		if (gate_reason(gate, REASON_gate_started) != 1 ||
		    gate_reason(gate, REASON_gate_stopped) != 1)
			return "the gate did not start and stop once";
		if (!generations_freed(gate))
			return "a former policy is held though nothing is left";
		if (gate_shared_connections(gate))
			return "a connection to a server counts for ever";
		if (world->plan.climate == CLIMATE_CALM && gate->answers != gate->questions)
			return "a neighbour's question was not answered";
	}
	return judge_messages(world, text);
}

// ---- What is left over -----------------------------------------------------------------------

// What the buffers of that many connections can hold, with a list and a scoreboard each, and runs
// beyond gaps where segments can be missing.
static const char *judge_memory(const struct world *world, char text[JUDGE_TEXT])
{
	for (unsigned i = 0; i < world->gate_count; i++) {
		const struct gate *gate = &world->gates[i];
		uint32_t queues =
			gate->plan.send_kb * 1024 / 2032 + gate->plan.receive_kb * 1024 / 2032 + 4;
		uint32_t runs = world->plan.climate == CLIMATE_CALM ? 4 : 65;

		for (unsigned j = 0; j < gate->worker_count; j++) {
			const struct gate_worker *worker = &gate->workers[j];
			uint32_t bound = worker->most_flows * (queues + runs);

			if (worker->most_chunks <= bound)
				continue;
			snprintf(text, JUDGE_TEXT, "%u chunks in use by %u connections, %u at most",
				 worker->most_chunks, worker->most_flows, bound);
			return text;
		}
	}
	return NULL;
}

static const char *judge_levels(const struct world *world, char text[JUDGE_TEXT])
{
	for (unsigned i = 0; i < world->gate_count; i++) {
		struct pipeline_levels levels = gate_levels(&world->gates[i]);

		struct sources_totals totals =
			sources_totals(world->gates[i].sources, world->now.now_us);

		if (totals.sessions | totals.connector_sessions) {
			snprintf(text, JUDGE_TEXT,
				 "left over: %llu sessions of sources, %llu of "
				 "connectors",
				 (unsigned long long)totals.sessions,
				 (unsigned long long)totals.connector_sessions);
			return text;
		}
		if (!(levels.clients | levels.servers | levels.flows | levels.chunks_used |
		      levels.timers | levels.time_wait | levels.half_open))
			continue;
		snprintf(text, JUDGE_TEXT,
			 "left over: %u clients, %u servers, %u flows, %u chunks, %lu timers, "
			 "%u in TIME-WAIT, %u half open",
			 levels.clients, levels.servers, levels.flows, levels.chunks_used,
			 (unsigned long)levels.timers, levels.time_wait, levels.half_open);
		return text;
	}
	return NULL;
}

static bool drained(const struct world *world)
{
	for (unsigned i = 0; i < world->gate_count; i++)
		if (!gate_drained(&world->gates[i]))
			return false;
	return true;
}

static const char *drain(struct world *world, char text[JUDGE_TEXT])
{
	uint64_t until = world->now.now_us + DRAIN_US;
	const char *fault;

	for (unsigned i = 0; i < world->gate_count; i++)
		gate_drain(&world->gates[i], world->now);
	while (!drained(world) && world->now.now_us < until && !world_fault(world))
		world_turn(world);
	if ((fault = world_fault(world)))
		return fault;
	if (!drained(world))
		return "the drain did not end within the bound";
	until = world->now.now_us + TIME_WAIT_US;
	while (world->now.now_us < until)
		world_turn(world);
	for (unsigned i = 0; i < world->gate_count; i++)
		gate_stop(&world->gates[i], world->now);
	return judge_levels(world, text);
}

static const char *run_clients(struct world *world)
{
	uint64_t until = world->now.now_us + world->plan.bound_us;
	const char *fault;

	while (!world_clients_done(world)) {
		if (world->now.now_us > until)
			return "a session did not end within the bound";
		if ((fault = world_fault(world)))
			return fault;
		world_turn(world);
	}
	world->clients_over_us = world->now.now_us;
	return world_fault(world);
}

const char *judge_run(struct world *world, char text[JUDGE_TEXT])
{
	const char *verdict = run_clients(world);

	if (!verdict)
		verdict = ledger_verdict(&world->ledger, text);
	if (!verdict)
		verdict = judge_good(world, text);
	if (!verdict)
		verdict = drain(world, text);
	if (!verdict)
		verdict = ledger_verdict(&world->ledger, text);
	if (!verdict)
		verdict = judge_books(world, text);
	if (!verdict)
		verdict = judge_memory(world, text);
	if (!verdict)
		verdict = judge_greetings(world, text);
	return verdict;
}
