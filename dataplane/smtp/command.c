// SPDX-License-Identifier: BSD-3-Clause
//
// The SMTP commands (RFC 5321 section 4.1.1). A row says which states refuse a command and how, its
// handler does the rest; the verb that has no row is unrecognized. Owns no state. Lenient in two
// points where Exchange is and nothing is at stake: trailing blanks, and spaces between "FROM:" or
// "TO:" and the path.
#include "dataplane/smtp/command.h"
#include "dataplane/smtp/chunking.h"
#include "dataplane/smtp/decide.h"
#include "dataplane/smtp/offer.h"
#include "dataplane/smtp/parameters.h"

#include <assert.h>
#include <strings.h>

#define VERB_MAX 8

static const struct slice no_detail = {NULL, 0};

static bool printable(struct slice text)
{
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < 32 || text.data[i] > 126)
			return false;
	}
	return true;
}

// Ends a transaction at the client's wish, by a command that was accepted.
static void leave_transaction(struct turn *turn)
{
	if (session_transaction_open(turn->session)) {
		turn->step->transaction_ended_by_client = true;
		// A server that has a part of the message must not take it for all of it.
		turn->step->intent = turn->session->state == SESSION_STATE_CHUNKS ? SESSION_ABORT
										  : SESSION_RESET;
	}
	session_end_transaction(turn->session);
}

// False when there is no chunk for a long one; the name given before stays then.
static bool keep_hello(struct session *session, struct slice name)
{
	struct chunk_queue text;

	chunk_queue_init(&text);
	if (name.length > sizeof(session->hello) &&
	    chunk_queue_append(&text, session->chunks, name) < name.length)
		return false;
	chunk_queue_clear(&session->long_hello, session->chunks);
	session->long_hello = text;
	if (text.length == 0)
		memcpy(session->hello, name.data, name.length);
	session->hello_length = (uint8_t)name.length;
	return true;
}

static bool greet(struct turn *turn, struct slice name, bool extended)
{
	struct session *session = turn->session;
	const struct connector *connector = session->peer.connector;
	if (name.length == 0 && connector->require_ehlo_domain) {
		turn_refuse_uncounted(turn, REPLY_hello_needs_domain,
				      REASON_smtp_hello_needs_domain, name);
		turn_close(turn);
		return false;
	}
	if (name.length > 0 && !path_hello_name(name)) {
		turn_refuse(turn, REPLY_bad_domain_name, REASON_smtp_bad_parameter, name);
		return false;
	}
	if (!keep_hello(session, name)) {
		turn_refuse(turn, REPLY_insufficient_resources, REASON_buffers_low, name);
		return false;
	}
	if (session->state == SESSION_STATE_GREETED)
		turn_progress(turn);
	leave_transaction(turn);
	session->extended = extended;
	session->offered = 0;
	session->line.long_lines = false;

	char peer[ADDRESS_TEXT_MAX];
	address_format(&session->peer.client.address, peer);
	turn_reply(turn, REPLY_hello, (const char *[]){connector->fqdn, peer});
	return true;
}

static void handle_helo(struct turn *turn, struct slice argument)
{
	greet(turn, argument, false);
}

static void handle_ehlo(struct turn *turn, struct slice argument)
{
	if (greet(turn, argument, true))
		offer_extensions(turn);
}

static const struct path_form {
	const char *keyword;
	enum reply_id bad_address;
} reverse_path = {"FROM:", REPLY_bad_sender_address},
  forward_path = {"TO:", REPLY_bad_recipient_address};

// As long as RFC 5321 lets it be, or as XLONGADDR does, which a server must then have: *needed.
static bool read_path(const struct turn *turn, struct slice in, struct path *path, size_t *used,
		      unsigned *needed)
{
	*needed = 0;
	if (path_parse(in, path, used))
		return true;
	*needed = turn->session->offered & SMTP_EXTENSION_XLONGADDR;
	return *needed && path_parse_long(in, path, used);
}

// "FROM:" or "TO:", then the path; *rest is what follows it, *needed of a server for it. False
// after a refusal.
static bool parse_path(struct turn *turn, struct slice argument, const struct path_form *form,
		       struct path *path, struct slice *rest, unsigned *needed)
{
	const size_t length = strlen(form->keyword);
	size_t used;
	if (argument.length < length ||
	    strncasecmp((const char *)argument.data, form->keyword, length) != 0) {
		turn_refuse(turn, REPLY_bad_arguments, REASON_smtp_bad_parameter, argument);
		return false;
	}
	argument = slice_from(argument, length);
	while (argument.length && argument.data[0] == ' ')
		argument = slice_from(argument, 1);
	if (!read_path(turn, argument, path, &used, needed)) {
		turn_refuse(turn, form->bad_address, REASON_smtp_bad_address, argument);
		return false;
	}
	*rest = slice_from(argument, used);
	return true;
}

static bool parse_parameters(struct turn *turn, struct slice rest, enum parameters_command command,
			     struct parameters *parameters)
{
	const struct session *session = turn->session;
	struct slice culprit;
	switch (parameters_parse(rest, command, session->extended, session->offered, parameters,
				 &culprit)) {
	case PARAMETERS_GOOD:
		break;
	case PARAMETERS_UNKNOWN:
		turn_refuse(turn, REPLY_unknown_parameter, REASON_smtp_bad_parameter, culprit);
		return false;
	case PARAMETERS_BAD:
		turn_refuse(turn, REPLY_bad_arguments, REASON_smtp_bad_parameter, culprit);
		return false;
	}
	return true;
}

// RFC 6531 section 3.4: an address above ASCII only in a transaction that said SMTPUTF8. Without
// the extension nobody could have said it, and the address is just malformed.
static bool allow_utf8(struct turn *turn, const struct path *path, const struct path_form *form,
		       unsigned needed)
{
	const bool offered = turn->session->offered & SMTP_EXTENSION_SMTPUTF8;
	if (!path->utf8 || needed & SMTP_EXTENSION_SMTPUTF8)
		return true;
	turn_refuse(turn, offered ? REPLY_utf8_not_asked : form->bad_address,
		    offered ? REASON_smtp_utf8_not_asked : REASON_smtp_bad_address, path->text);
	return false;
}

// Keeps a path and its parameters for the backend. False after the refusal for want of memory.
static bool keep_path(struct turn *turn, struct chunk_queue *queue, const struct path *path,
		      const struct parameters *parameters)
{
	struct session *session = turn->session;
	size_t wanted = path->text.length;
	size_t kept = chunk_queue_append(queue, session->chunks, path->text);
	for (unsigned i = 0; i < parameters->forward_count; i++) {
		wanted += 1 + parameters->forward[i].length;
		kept += chunk_queue_append(queue, session->chunks, slice_of_text(" "));
		kept += chunk_queue_append(queue, session->chunks, parameters->forward[i]);
	}
	if (kept == wanted)
		return true;
	chunk_queue_clear(queue, session->chunks);
	turn_refuse(turn, REPLY_insufficient_resources, REASON_buffers_low, path->text);
	return false;
}

// The same for the sender, without a payload buffer where that is possible: a session that waits
// in the tarpit is to hold none.
static bool keep_sender(struct turn *turn, const struct path *path,
			const struct parameters *parameters)
{
	struct session *session = turn->session;
	size_t length = path->text.length;

	for (unsigned i = 0; i < parameters->forward_count; i++)
		length += 1 + parameters->forward[i].length;
	if (length > sizeof(session->short_sender))
		return keep_path(turn, &session->sender, path, parameters);
	memcpy(session->short_sender, path->text.data, path->text.length);
	session->sender_length = (uint8_t)path->text.length;
	for (unsigned i = 0; i < parameters->forward_count; i++) {
		const struct slice text = parameters->forward[i];

		session->short_sender[session->sender_length] = ' ';
		memcpy(session->short_sender + session->sender_length + 1, text.data, text.length);
		session->sender_length += (uint8_t)(1 + text.length);
	}
	return true;
}

// MessageRateLimit counts whoever sends from one address; nobody is a user yet.
static bool within_rate(struct turn *turn)
{
	const struct session_peer *peer = &turn->session->peer;
	const enum rate_source source = peer->connector->message_rate_source;

	return peer->connector->message_rate_limit == UINT32_MAX || !peer->quota ||
	       (source != RATE_SOURCE_IP_ADDRESS && source != RATE_SOURCE_ALL) ||
	       peer->quota->take(peer->quota, peer->connector, &peer->client.address,
				 turn->now.now_us);
}

// Since the session began, or since its last MAIL, another policy may hold.
static bool renew(struct turn *turn)
{
	struct session_peer *peer = &turn->session->peer;

	if (!peer->quota || !peer->quota->renew || peer->quota->renew(peer->quota, peer))
		return true;
	turn_refuse_uncounted(turn, reply_of_reason(REASON_smtp_connector_gone),
			      REASON_smtp_connector_gone, no_detail);
	turn_close(turn);
	return false;
}

static void handle_mail(struct turn *turn, struct slice argument)
{
	struct session *session = turn->session;
	struct path path;
	struct parameters parameters;
	struct slice rest;
	unsigned needed;

	if (!renew(turn))
		return;
	session->behind_refusal = true; // until it was accepted
	if (!parse_path(turn, argument, &reverse_path, &path, &rest, &needed))
		return;
	// A sender needs a domain, or answers to it could go nowhere.
	if (path.postmaster) {
		turn_refuse(turn, REPLY_bad_sender_address, REASON_smtp_bad_address, path.text);
		return;
	}
	if (!parse_parameters(turn, rest, PARAMETERS_OF_MAIL, &parameters) ||
	    !allow_utf8(turn, &path, &reverse_path, parameters.needed))
		return;
	enum reason reason = decide_sender(session->peer.policy, session->peer.connector,
					   session->peer.identities, &path, parameters.size);
	if (reason == REASON_NONE && parameters.size > offer_size_limit(turn))
		reason = REASON_smtp_too_large;
	if (reason != REASON_NONE) {
		turn_refuse(turn, reply_of_reason(reason), reason, path.text);
		return;
	}
	if (!within_rate(turn)) {
		turn_refuse_uncounted(turn, REPLY_message_rate, REASON_smtp_message_rate,
				      path.text);
		turn_close(turn);
		return;
	}
	if (!keep_sender(turn, &path, &parameters))
		return;
	session->declared_size = parameters.size;
	session->needed = (uint16_t)(parameters.needed | needed);
	session->trusted = parameters.trusted && decide_trusts_submitter(session->peer.connector,
									 session->peer.identities);
	session->behind_refusal = false;
	if (!session->promised)
		turn_progress(turn);
	session->promised = true;
	session_enter(session, SESSION_STATE_MAIL);
	turn_reply(turn, REPLY_sender_ok, NULL);
}

// Exchange lets the blocked speak up to here, so that its log names the recipients.
static void refuse_blocked(struct turn *turn, struct slice recipient)
{
	char peer[ADDRESS_TEXT_MAX];
	address_format(&turn->session->peer.client.address, peer);
	turn_reply(turn, REPLY_blocked, (const char *[]){peer});
	turn->step->reason = REASON_smtp_blocked;
	turn->step->detail = reply_set_detail(turn->reply, recipient);
}

// ORAR= says who gets the message if the recipient cannot: the server may send it there, so the
// session needs the same rights for both. False after a refusal.
static bool allow_alternate(struct turn *turn, struct slice xtext, unsigned *needed)
{
	const struct session *session = turn->session;
	const struct session_peer *peer = &session->peer;
	uint8_t text[1 + PATH_LONG_ADDRESS + 1] = "<";
	const size_t length = 1 + parameters_decode(xtext, text + 1) + 1;
	struct path path;
	size_t used;

	text[length - 1] = '>';
	if (!read_path(turn, slice_of(text, length), &path, &used, needed) || used != length) {
		turn_refuse(turn, REPLY_bad_recipient_address, REASON_smtp_bad_address,
			    slice_of(text, length));
		return false;
	}
	const enum reason reason = decide_recipient(peer->policy, peer->connector, peer->identities,
						    &path, session->recipients);
	if (reason != REASON_NONE)
		turn_refuse(turn, reply_of_reason(reason), reason, path.text);
	return reason == REASON_NONE;
}

static void handle_rcpt(struct turn *turn, struct slice argument)
{
	struct session *session = turn->session;
	struct path path;
	struct parameters parameters;
	struct slice rest;
	unsigned needed, alternate_needed = 0;

	if (session->recipients_asked < UINT32_MAX)
		session->recipients_asked++;
	if (!parse_path(turn, argument, &forward_path, &path, &rest, &needed))
		return;
	// The null path is a sender's only.
	if (path.null) {
		turn_refuse(turn, REPLY_bad_recipient_address, REASON_smtp_bad_address, path.text);
		return;
	}
	if (!parse_parameters(turn, rest, PARAMETERS_OF_RCPT, &parameters) ||
	    !allow_utf8(turn, &path, &forward_path, session->needed))
		return;
	if (session->peer.blocked) {
		refuse_blocked(turn, path.text);
		return;
	}
	enum reason reason = decide_recipient(session->peer.policy, session->peer.connector,
					      session->peer.identities, &path, session->recipients);
	if (reason == REASON_NONE && session_refuse_suspect(turn, path.text))
		return;
	if (reason == REASON_NONE)
		reason = session->failure;
	if (reason != REASON_NONE) {
		turn_refuse(turn, reply_of_reason(reason), reason, path.text);
		return;
	}
	if (parameters.alternate.length &&
	    !allow_alternate(turn, parameters.alternate, &alternate_needed))
		return;
	// NOTIFY of one recipient makes the whole transaction need a server with DSN.
	session->needed |= (uint16_t)(parameters.needed | needed | alternate_needed);
	if (keep_path(turn, &session->recipient, &path, &parameters))
		turn_suspend(turn, SESSION_RECIPIENT);
}

static void handle_data(struct turn *turn, struct slice argument)
{
	struct session *session = turn->session;
	// RFC 3030 section 3: such a body has no end that DATA could show.
	if (session_is_binary(session)) {
		turn_refuse(turn, REPLY_need_bdat_command, REASON_smtp_bad_sequence, no_detail);
		return;
	}
	if (session->failure == REASON_NONE) {
		turn_suspend(turn, SESSION_DATA);
		return;
	}
	turn_refuse(turn, reply_of_reason(session->failure), session->failure, no_detail);
	session_end_transaction(session);
	turn->step->intent = SESSION_RESET;
}

static void handle_rset(struct turn *turn, struct slice argument)
{
	if (turn->session->state != SESSION_STATE_GREETED)
		leave_transaction(turn);
	turn_reply(turn, REPLY_resetting, NULL);
}

static void handle_noop(struct turn *turn, struct slice argument)
{
	turn_reply(turn, REPLY_ok, NULL);
}

static void handle_quit(struct turn *turn, struct slice argument)
{
	turn_reply(turn, REPLY_closing, NULL);
	turn_close(turn);
}

static void handle_vrfy(struct turn *turn, struct slice argument)
{
	if (argument.length == 0)
		turn_refuse(turn, REPLY_bad_arguments, REASON_smtp_bad_parameter, argument);
	else
		turn_reply(turn, REPLY_cannot_verify, NULL);
}

static void handle_help(struct turn *turn, struct slice argument);

enum argument {
	ARGUMENT_NONE,
	ARGUMENT_TEXT,   // printable, not looked into
	ARGUMENT_PARSED, // the handler has its own words for what it does not understand
};

static const struct command {
	char verb[VERB_MAX];
	void (*handle)(struct turn *turn, struct slice argument);
	enum argument argument;
	bool long_line; // LINE_MAX_OCTETS instead of RFC 5321's 512
	// By session state, enum reply_id: the refusal there. A state that is not listed allows it.
	uint8_t refused[SESSION_STATE_CHUNKS + 1];
} commands[] = {
	{"HELO", handle_helo, ARGUMENT_PARSED, false, {0}},
	{"EHLO", handle_ehlo, ARGUMENT_PARSED, false, {0}},
	{"MAIL",
	 handle_mail,
	 ARGUMENT_PARSED,
	 true,
	 {[SESSION_STATE_GREETED] = REPLY_send_hello_first,
	  [SESSION_STATE_MAIL] = REPLY_sender_already_specified,
	  [SESSION_STATE_RCPT] = REPLY_sender_already_specified,
	  [SESSION_STATE_CHUNKS] = REPLY_sender_already_specified}},
	{"RCPT",
	 handle_rcpt,
	 ARGUMENT_PARSED,
	 true,
	 {[SESSION_STATE_GREETED] = REPLY_send_hello_first,
	  [SESSION_STATE_READY] = REPLY_need_mail_command,
	  [SESSION_STATE_CHUNKS] = REPLY_need_bdat_command}},
	{"DATA",
	 handle_data,
	 ARGUMENT_NONE,
	 false,
	 {[SESSION_STATE_GREETED] = REPLY_send_hello_first,
	  [SESSION_STATE_READY] = REPLY_need_mail_command,
	  [SESSION_STATE_MAIL] = REPLY_need_rcpt_command,
	  [SESSION_STATE_CHUNKS] = REPLY_need_bdat_command}},
	{"BDAT", chunking_command, ARGUMENT_PARSED, false, {0}},
	{"XEXCH50",
	 chunking_exch50,
	 ARGUMENT_PARSED,
	 false,
	 {[SESSION_STATE_GREETED] = REPLY_send_hello_first,
	  [SESSION_STATE_READY] = REPLY_need_mail_command,
	  [SESSION_STATE_CHUNKS] = REPLY_need_bdat_command}},
	{"RSET", handle_rset, ARGUMENT_NONE, false, {0}},
	{"NOOP", handle_noop, ARGUMENT_TEXT, false, {0}},
	{"QUIT", handle_quit, ARGUMENT_NONE, false, {0}},
	{"VRFY", handle_vrfy, ARGUMENT_TEXT, false, {0}},
	{"HELP", handle_help, ARGUMENT_TEXT, false, {0}},
};

#define COMMAND_COUNT   (sizeof(commands) / sizeof(*commands))
#define SHORT_LINE_MAX  512
#define LINE_END_OCTETS 2

static void handle_help(struct turn *turn, struct slice argument)
{
	char verbs[COMMAND_COUNT * (VERB_MAX + 1)] = "";
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (i > 0)
			strcat(verbs, " ");
		strcat(verbs, commands[i].verb);
	}
	turn_reply(turn, REPLY_help, (const char *[]){verbs});
}

static const struct command *find(struct slice verb)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (verb.length == strlen(commands[i].verb) &&
		    strncasecmp((const char *)verb.data, commands[i].verb, verb.length) == 0)
			return &commands[i];
	}
	return NULL;
}

// The verb for the log, whatever the client sent in its place.
static void note_verb(struct session_step *step, struct slice verb)
{
	for (size_t i = 0; i < verb.length && i < sizeof(step->verb); i++) {
		const uint8_t c = verb.data[i];
		const bool lower = c >= 'a' && c <= 'z';
		step->verb[i] = lower ? (char)(c - 32) : c > 32 && c < 127 ? (char)c : '?';
	}
}

static void refuse_sequence(struct turn *turn, const struct command *command)
{
	const struct session *session = turn->session;
	const enum reply_id id = command->refused[session->state];
	// Every recipient was refused, which a pipelining client could not know yet.
	if (id == REPLY_need_rcpt_command && session->recipients_asked > 0)
		turn_refuse(turn, REPLY_no_valid_recipients, REASON_smtp_bad_sequence, no_detail);
	else if (id == REPLY_need_mail_command && session->behind_refusal)
		turn_refuse_uncounted(turn, id, REASON_smtp_bad_sequence, no_detail);
	else
		turn_refuse(turn, id, REASON_smtp_bad_sequence, no_detail);
	if (session->peer.blocked && session->state == SESSION_STATE_MAIL)
		turn_close(turn);
}

void command_execute(struct turn *turn, struct slice line)
{
	struct session *session = turn->session;
	const size_t octets = line.length + LINE_END_OCTETS;
	// RFC 5321 section 4.1.1: trailing white space is tolerated.
	while (line.length &&
	       (line.data[line.length - 1] == ' ' || line.data[line.length - 1] == '\t'))
		line.length--;
	const uint8_t *space = line.length ? memchr(line.data, ' ', line.length) : NULL;
	const struct slice verb =
		slice_first(line, space ? (size_t)(space - line.data) : line.length);
	struct slice argument = slice_from(line, verb.length);
	while (argument.length && argument.data[0] == ' ')
		argument = slice_from(argument, 1);

	assert(session->state <= SESSION_STATE_CHUNKS);
	note_verb(turn->step, verb);
	const struct command *command = find(verb);
	if (!command || (command->handle != handle_rcpt && command->handle != handle_data &&
			 command->handle != chunking_command))
		session->behind_refusal = false;
	if (!command)
		turn_refuse(turn, REPLY_unrecognized, REASON_smtp_unrecognized, line);
	else if (octets > SHORT_LINE_MAX && !command->long_line)
		turn_refuse(turn, REPLY_line_too_long, REASON_smtp_line_too_long, line);
	else if (command->refused[session->state])
		refuse_sequence(turn, command);
	else if ((argument.length && command->argument == ARGUMENT_NONE) ||
		 (!printable(argument) && command->argument == ARGUMENT_TEXT))
		turn_refuse(turn, REPLY_bad_arguments, REASON_smtp_bad_parameter, argument);
	else
		command->handle(turn, argument);
}
