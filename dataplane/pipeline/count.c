// SPDX-License-Identifier: BSD-3-Clause
//
// Counters and the log ring: the only writer of both. Rows are this worker's own memory, so a count
// is one plain store; a log record is 256 bytes copied into a ring that readers outside the process
// check by its sequence number. Does not add workers up (bpf/export) and never formats for people.

#include "dataplane/pipeline/worker.h"

#define LOGGED_DROPS_PER_SECOND    16
#define LOGGED_REFUSALS_PER_SECOND 200
#define LOGGED_A_SESSION           16
#define SECOND_US                  1000000

// From so many frames on a burst says that there are more than a worker has time for, and offenders
// are told of one drop in so many. A full one says that of all that there is to say.
#define LARGE_BURST   32
#define LARGE_SAMPLED 8
#define FULL_SAMPLED  64 // likewise a power of two

void count_reason(struct pipeline *pipeline, enum reason reason)
{
	pipeline->counters.reasons[reason].count++;
}

void count_drops(struct pipeline *pipeline, enum reason reason, unsigned count)
{
	pipeline->counters.reasons[reason].count += count;
}

struct connector_counters *client_counters(struct pipeline *pipeline, const struct client *client)
{
	return client->generation->shares[pipeline->share].connectors[client->connector];
}

// Untrusted bytes become printable ASCII, so that a terminal may show them.
static void copy_printable(char *destination, size_t size, struct slice text)
{
	size_t length = text.length < size - 1 ? text.length : size - 1;

	for (size_t i = 0; i < length; i++) {
		uint8_t byte = text.data[i];
		destination[i] = byte >= 0x20 && byte < 0x7f ? (char)byte : '?';
	}
	memset(destination + length, 0, size - length);
}

// A name of at most COUNTERS_NAME_BYTES, NUL-padded; at full length without a NUL.
static void copy_name(char destination[COUNTERS_NAME_BYTES], const char *name)
{
	size_t length = name ? strnlen(name, COUNTERS_NAME_BYTES) : 0;

	if (length)
		memcpy(destination, name, length);
	memset(destination + length, 0, COUNTERS_NAME_BYTES - length);
}

void log_write(struct pipeline *pipeline, const struct log_entry *entry)
{
	if (pipeline->counters.log_records == 0)
		return;
	uint64_t sequence = ++pipeline->log_sequence;
	struct log_record *record =
		&pipeline->counters.log[sequence % pipeline->counters.log_records];

	// A reader that sees 0, or a sequence that changed under it, discards the record.
	__atomic_store_n(&record->sequence, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	record->wall_us = pipeline->now.wall_us;
	memcpy(record->source, entry->source.address.bytes, sizeof(record->source));
	record->source_port = entry->source.port;
	record->reason = (uint16_t)entry->reason;
	record->code = entry->code;
	record->reserved = 0;
	copy_printable(record->verb, sizeof(record->verb),
		       slice_of_text(entry->verb ? entry->verb : ""));
	copy_name(record->connector, entry->connector);
	copy_printable(record->detail, sizeof(record->detail), entry->detail);
	__atomic_store_n(&record->sequence, sequence, __ATOMIC_RELEASE);
}

// Of a large burst every LARGE_SAMPLED'th frame, of a full one a single frame; which ones, changes
// with the time.
struct sample count_sample(const struct pipeline *pipeline, unsigned frames)
{
	uint64_t now_us = pipeline->now.now_us;

	if (frames < LARGE_BURST)
		return (struct sample){UINT64_MAX, 1};
	if (frames < FULL_SAMPLED)
		return (struct sample){UINT64_C(0x0101010101010101) << now_us % LARGE_SAMPLED,
				       LARGE_SAMPLED};
	return (struct sample){UINT64_C(1) << now_us % FULL_SAMPLED, FULL_SAMPLED};
}

void count_offender(struct pipeline *pipeline, const struct address *source, enum reason reason,
		    const struct sample *sample)
{
	if (pipeline->counters.offenders)
		offenders_note(pipeline->counters.offenders, source, reason, sample->weight,
			       pipeline->now.now_us);
}

// Only who asks for a connection is worth a record.
static bool asks_for_connection(uint8_t flags)
{
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

bool log_wants_drop(const struct pipeline *pipeline, uint8_t flags)
{
	return asks_for_connection(flags) &&
	       allowance_left(&pipeline->logged_drops, SECOND_US, pipeline->now.now_us);
}

bool log_drop(struct pipeline *pipeline, const struct view *view, enum reason reason)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!asks_for_connection(view->flags))
		return true;
	// A flood must not wash the ring out.
	if (!allowance_take(&pipeline->logged_drops, LOGGED_DROPS_PER_SECOND, SECOND_US,
			    pipeline->now.now_us))
		return false;
	endpoint_format(&(struct endpoint){view->destination, view->destination_port}, text);
	log_write(pipeline, &(struct log_entry){
				    .reason = reason,
				    .source = {view->source, view->source_port},
				    .verb = "SYN",
				    .detail = slice_of_text(text),
			    });
	return true;
}

enum kind { KIND_drop, KIND_refusal, KIND_fault };

// Did something of ours run out, or the backend fail?
static bool is_fault(enum reason reason)
{
	static const enum kind kinds[REASON_COUNT] = {
#define X(name, kind, help) [REASON_##name] = KIND_##kind,
		REASONS(X)
#undef X
	};

	return kinds[reason] == KIND_fault;
}

// Was it the backend's word, or the want of one?
static bool of_backend(enum reason reason)
{
	return is_fault(reason) || reason == REASON_backend_refused_recipient ||
	       reason == REASON_backend_refused_message;
}

// What a reason of the session means for its connector's row.
static void count_refusal(struct connector_counters *row, const struct session_step *step)
{
	switch (step->reason) {
	case REASON_smtp_too_many_errors:
		row->closed_protocol_errors++;
		break;
	case REASON_smtp_bad_line_ending:
		row->bad_line_endings++;
		break;
	case REASON_smtp_timeout:
	case REASON_smtp_session_timeout:
		row->sessions_timed_out++;
		break;
	default:
		break;
	}
	// A backend's 500 is not the client's mistake.
	if (step->code >= 500 && step->code < 510 && !of_backend(step->reason))
		row->protocol_errors++;
}

static void count_success(struct connector_counters *row, const struct session_step *step,
			  const struct client *client)
{
	if (strcmp(step->verb, "MAIL") == 0) {
		row->transactions++;
	} else if (strcmp(step->verb, "RCPT") == 0) {
		row->recipients++;
	} else if (strcmp(step->verb, "BODY") == 0) {
		row->messages++;
		row->message_bytes += client->session.message_octets;
	}
}

static void count_failure(struct connector_counters *row, const struct session_step *step)
{
	// Cut off inside its body it is an aborted message and no refused one.
	if (strcmp(step->verb, "BODY") == 0 && step->transaction_ended_by_client)
		return;
	if (strcmp(step->verb, "BODY") == 0 ||
	    (strcmp(step->verb, "DATA") == 0 && of_backend(step->reason))) {
		if (step->code >= 500)
			row->messages_refused++;
		else
			row->messages_deferred++;
	} else if (strcmp(step->verb, "MAIL") == 0) {
		row->senders_refused++;
	} else if (strcmp(step->verb, "RCPT") == 0) {
		if (of_backend(step->reason))
			row->recipients_refused_backend++;
		else
			row->recipients_refused++;
	}
}

// One client must not wash the ring out: so many records a session, and of all sessions a second.
// What the backends did is always told.
static bool may_log(struct pipeline *pipeline, struct client *client, enum reason reason)
{
	if (is_fault(reason))
		return true;
	if (client->logged == LOGGED_A_SESSION)
		return false;
	client->logged++;
	return allowance_take(&pipeline->logged_refusals, LOGGED_REFUSALS_PER_SECOND, SECOND_US,
			      pipeline->now.now_us);
}

void count_step(struct pipeline *pipeline, struct client *client, const struct session_step *step)
{
	struct connector_counters *row = client_counters(pipeline, client);

	if (step->transaction_ended_by_client)
		row->messages_aborted++;
	if (step->code >= 200 && step->code < 300)
		count_success(row, step, client);
	else if (step->code >= 400)
		count_failure(row, step);
	if (step->reason == REASON_NONE)
		return;
	count_refusal(row, step);
	// A fault was counted where it struck, once, however many commands it refuses.
	if (!is_fault(step->reason))
		count_reason(pipeline, step->reason);
	ban_offence(pipeline, client, step);
	if (!may_log(pipeline, client, step->reason))
		return;
	log_write(pipeline, &(struct log_entry){
				    .reason = step->reason,
				    .source = client->session.peer.client,
				    .connector = client->session.peer.connector->name,
				    .code = step->code,
				    .verb = step->verb,
				    .detail = slice_of_text(step->detail ? step->detail : ""),
			    });
}
