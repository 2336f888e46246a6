// SPDX-License-Identifier: BSD-3-Clause
//
// The command line: one row a subcommand, options by argp. Does nothing by itself.

#include "config/rights.h"
#include "control/commands.h"

#include <argp.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *argp_program_version = "relaygate " RELAYGATE_VERSION;

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	int (*run)(const struct command_options *options);
	bool needs_config;
	const char *file; // what its argument is, NULL = it takes none
	bool json;
};

static const struct command commands[] = {
	{"run", "-c FILE", "the gate, in the foreground; SIGTERM drains, then stops", command_run,
	 true, NULL, false},
	{"check", "-c FILE", "read a configuration and judge it: no root, no device", command_check,
	 true, NULL, false},
	{"audit", "-c FILE [--json]",
	 "who may relay, and what to worry about; exit status 2 when it is critical", command_audit,
	 true, NULL, true},
	{"explain", "-c FILE --from IP --to IP[:PORT]",
	 "which connector, which rights and why, and the reply to each verb", command_explain, true,
	 NULL, true},
	{"replay", "-c FILE IN.pcap [--write OUT.pcap]",
	 "a capture through the data path: verdicts and reasons; no root, no device",
	 command_replay, true, "a capture (pcap or pcapng)", true},
	{"reload", "-c FILE", "the running gate takes the file as it is now, without a pause",
	 command_reload, true, NULL, false},
	{"drain", "-c FILE [--undo]",
	 "the running gate takes no new sessions; those there are go on, and it stays up",
	 command_drain, true, NULL, false},
	{"log", "[-c FILE] [-f] [--from IP]", "the last refusals and events, from the gate's ring",
	 command_log, false, NULL, false},
	{"ban", "-c FILE list | add IP | del IP",
	 "banned sources, by hand: works on the pinned map, at once", command_ban, true,
	 "list, add or del", true},
	{"status", "[-c FILE] [--json | --prometheus]",
	 "how the gate is now; exit status 1 when it does not run", command_status, false, NULL,
	 true},
	{"top", "[-c FILE] [--interval 1s] [--once]",
	 "the same, live: rates a second; q or Ctrl-C ends it", command_top, false, NULL, false},
	{"capture", "[FILTER] -w FILE [-c FILE]",
	 "frames of the running gate and what became of them, as pcapng", command_capture, false,
	 NULL, false},
	{"import", "CONNECTORS [-o FILE]",
	 "an INI file from exports of an Exchange server; what has no equivalent is told",
	 command_import, false, "the output of Get-ReceiveConnector | ConvertTo-Json", false},
};

static const char usage_text[] =
	"A packet-level gatekeeper for TCP port 25: receive connectors in front of a mail "
	"cluster.\v"
	"Exit status: 0 fine; 1 the input or the environment is wrong, one line a fault on stderr; "
	"2 a "
	"critical finding (audit).";

enum option_key {
	OPTION_FROM = 0x100,
	OPTION_TO,
	OPTION_HELO,
	OPTION_MAIL_FROM,
	OPTION_RCPT_TO,
	OPTION_AUTH,
	OPTION_PARTNER,
	OPTION_JSON,
	OPTION_PIN_DIRECTORY,
	OPTION_PERMISSIONS,
	OPTION_DOMAINS,
	OPTION_SERVER,
	OPTION_BACKEND,
	OPTION_DEVICE,
	OPTION_ADDRESS,
	OPTION_GATEWAY,
	OPTION_PROMETHEUS,
	OPTION_INTERVAL,
	OPTION_ONCE,
	OPTION_REASON,
	OPTION_CONNECTOR,
	OPTION_COUNT,
	OPTION_SNAP,
	OPTION_SECONDS,
	OPTION_DROPPED,
	OPTION_UNDO,
	OPTION_FOR,
};

static const struct argp_option option_rows[] = {
	{"config", 'c', "FILE", 0, "the INI file", 0},
	{"follow", 'f', NULL, 0, "log: go on with new records as they come", 0},
	{"from", OPTION_FROM, "IP", 0, "explain: the client; log: only records about it", 0},
	{"to", OPTION_TO, "IP[:PORT]", 0, "explain: our address that it connects to", 0},
	{"helo", OPTION_HELO, "NAME", 0, "explain: argument of EHLO (client.example)", 0},
	{"mail-from", OPTION_MAIL_FROM, "ADDRESS", 0, "explain: sender; empty for <>", 0},
	{"rcpt-to", OPTION_RCPT_TO, "ADDRESS", 0, "explain: recipient; may be repeated", 0},
	{"auth", OPTION_AUTH, NULL, 0, "explain: rights as if the client had authenticated", 0},
	{"partner", OPTION_PARTNER, NULL, 0, "explain: rights as if it were a partner", 0},
	{"json", OPTION_JSON, NULL, 0,
	 "audit, ban list, explain, replay, status: JSON instead of text", 0},
	{"for", OPTION_FOR, "TIME", 0, "ban add: how long (90s, 1h, 2d, ever); without it, BanTime",
	 0},
	{"pin-directory", OPTION_PIN_DIRECTORY, "DIR", 0,
	 "log, status, top, capture, drain, ban: the instance's PinDirectory, when no file names "
	 "it (/sys/fs/bpf/relaygate)",
	 0},
	{"output", 'o', "FILE", 0, "import: write there, not to stdout", 0},
	{"permissions", OPTION_PERMISSIONS, "FILE", 0,
	 "import: Get-ReceiveConnector | Get-ADPermission, exported", 0},
	{"domains", OPTION_DOMAINS, "FILE", 0, "import: Get-AcceptedDomain, exported", 0},
	{"server", OPTION_SERVER, "NAME", 0, "import: only the connectors of this server", 0},
	{"backend", OPTION_BACKEND, "ADDRESS[,...]|MOOD", 0,
	 "import: Servers of the backend; replay: what the servers do: accept (default), refuse "
	 "every recipient, or down",
	 0},
	{"prometheus", OPTION_PROMETHEUS, NULL, 0,
	 "status: Prometheus' text format, for node_exporter's textfile collector", 0},
	{"interval", OPTION_INTERVAL, "TIME", 0, "top: between two frames (1s)", 0},
	{"once", OPTION_ONCE, NULL, 0, "top: one frame, as plain text", 0},
	{"write", 'w', "FILE", 0,
	 "replay: the gate's answers, at the capture's times (pcap); capture: where to (pcapng; - "
	 "is "
	 "stdout)",
	 0},
	{"dropped", OPTION_DROPPED, NULL, 0, "capture: only frames that were dropped", 0},
	{"reason", OPTION_REASON, "NAME", 0, "capture: only frames dropped for this reason", 0},
	{"connector", OPTION_CONNECTOR, "NAME", 0, "capture: only frames of its clients", 0},
	{"count", OPTION_COUNT, "N", 0, "capture: end after so many frames", 0},
	{"seconds", OPTION_SECONDS, "N", 0, "capture: end after so long", 0},
	{"snap", OPTION_SNAP, "BYTES", 0, "capture: keep so much of a frame (1536)", 0},
	{"undo", OPTION_UNDO, NULL, 0, "drain: take new sessions again", 0},
	{"device", OPTION_DEVICE, "IFACE", 0, "import: Device of the port", 0},
	{"address", OPTION_ADDRESS, "ADDR/LEN[,...]", 0, "import: Address of the port", 0},
	{"gateway", OPTION_GATEWAY, "ADDR[,...]", 0, "import: Gateway of the port", 0},
	{0},
};

// The commands go before the exit status in --help.
static char *help_filter(int key, const char *text, void *input)
{
	char *help = NULL;
	size_t size = 0;
	FILE *stream;

	if (key != ARGP_KEY_HELP_POST_DOC || !(stream = open_memstream(&help, &size)))
		return (char *)text;
	fprintf(stream, "Commands:\n");
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stream, "  %-8s %-34s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	fprintf(stream, "\n%s", text);
	fclose(stream);
	return help;
}

struct parsed {
	struct command_options options;
	char *filter; // its words so far
	const struct command *command;
};

static error_t add_recipient(struct command_options *options, const char *recipient)
{
	unsigned count = 0;
	const char **grown;

	while (options->rcpt_to && options->rcpt_to[count])
		count++;
	grown = realloc(options->rcpt_to, (count + 2) * sizeof(*grown));
	if (!grown)
		return ENOMEM;
	grown[count] = recipient;
	grown[count + 1] = NULL;
	options->rcpt_to = grown;
	return 0;
}

// Options whose argument is kept as it is.
static const struct {
	int key;
	size_t offset;
} text_options[] = {
	{'c', offsetof(struct command_options, config)},
	{'o', offsetof(struct command_options, output)},
	{OPTION_FROM, offsetof(struct command_options, from)},
	{OPTION_TO, offsetof(struct command_options, to)},
	{OPTION_HELO, offsetof(struct command_options, hello)},
	{OPTION_MAIL_FROM, offsetof(struct command_options, mail_from)},
	{OPTION_PIN_DIRECTORY, offsetof(struct command_options, directory)},
	{OPTION_PERMISSIONS, offsetof(struct command_options, permissions)},
	{OPTION_DOMAINS, offsetof(struct command_options, domains)},
	{OPTION_SERVER, offsetof(struct command_options, server)},
	{OPTION_BACKEND, offsetof(struct command_options, backend)},
	{OPTION_DEVICE, offsetof(struct command_options, device)},
	{OPTION_ADDRESS, offsetof(struct command_options, address)},
	{OPTION_GATEWAY, offsetof(struct command_options, gateway)},
	{OPTION_FOR, offsetof(struct command_options, time)},
	{'w', offsetof(struct command_options, write)},
	{OPTION_INTERVAL, offsetof(struct command_options, interval)},
	{OPTION_REASON, offsetof(struct command_options, reason)},
	{OPTION_CONNECTOR, offsetof(struct command_options, connector)},
	{OPTION_COUNT, offsetof(struct command_options, count)},
	{OPTION_SECONDS, offsetof(struct command_options, seconds)},
	{OPTION_SNAP, offsetof(struct command_options, snap)},
};

static error_t keep_text(struct command_options *options, int key, const char *argument)
{
	for (size_t i = 0; i < sizeof(text_options) / sizeof(text_options[0]); i++)
		if (text_options[i].key == key) {
			*(const char **)((char *)options + text_options[i].offset) = argument;
			return 0;
		}
	return ARGP_ERR_UNKNOWN;
}

// One more word, as on tcpdump's command line.
static void add_word(struct parsed *parsed, const char *word, struct argp_state *state)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", parsed->filter ? parsed->filter : "",
		     parsed->filter ? " " : "", word) < 0)
		argp_failure(state, EXIT_WRONG, ENOMEM, "%s", word);
	free(parsed->filter);
	parsed->options.filter = parsed->filter = longer;
}

static const struct command *find_command(const char *name)
{
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return &commands[i];
	return NULL;
}

// A word too many: most often the configuration without its -c.
static void refuse_word(const struct command *command, const char *word, struct argp_state *state)
{
	if (command->run == command_ban)
		argp_error(state, "%s: too many words", command->name);
	else if (command->file)
		argp_error(state, "%s takes one file", command->name);
	else if (find_command(word))
		argp_error(state, "one command at a time");
	else
		argp_error(state, "%s does not take \"%s\": the INI file is named by -c FILE",
			   command->name, word);
}

// The command, or the file that it takes.
static void take_argument(struct parsed *parsed, const char *argument, struct argp_state *state)
{
	if (parsed->command && parsed->command->file && !parsed->options.file) {
		parsed->options.file = argument;
		return;
	}
	// The one command of two words.
	if (parsed->command && parsed->command->run == command_ban && !parsed->options.source) {
		parsed->options.source = argument;
		return;
	}
	if (parsed->command && parsed->command->run == command_capture) {
		add_word(parsed, argument, state);
		return;
	}
	if (parsed->command)
		refuse_word(parsed->command, argument, state);
	parsed->command = find_command(argument);
	if (!parsed->command)
		argp_error(state, "unknown command \"%s\"", argument);
}

// Commands that change something ask no gate by default, as those that look do.
static void require_place(const struct parsed *parsed, struct argp_state *state)
{
	const struct command *command = parsed->command;
	bool by_pins = command->run == command_ban || command->run == command_drain;

	if (command->needs_config && !parsed->options.config &&
	    !(by_pins && parsed->options.directory))
		argp_error(state, "%s needs -c FILE%s", command->name,
			   by_pins ? " (or --pin-directory DIR)" : "");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct parsed *parsed = state->input;

	switch (key) {
	case 'f':
		parsed->options.follow = true;
		return 0;
	case OPTION_RCPT_TO:
		return add_recipient(&parsed->options, argument);
	case OPTION_AUTH:
		parsed->options.identities |= 1u << PRINCIPAL_AUTHENTICATED;
		return 0;
	case OPTION_PARTNER:
		parsed->options.identities |= 1u << PRINCIPAL_PARTNER;
		return 0;
	case OPTION_UNDO:
		parsed->options.undo = true;
		return 0;
	case OPTION_JSON:
		parsed->options.json = true;
		return 0;
	case OPTION_PROMETHEUS:
		parsed->options.prometheus = true;
		return 0;
	case OPTION_ONCE:
		parsed->options.once = true;
		return 0;
	case OPTION_DROPPED:
		parsed->options.dropped = true;
		return 0;
	case ARGP_KEY_ARG:
		take_argument(parsed, argument, state);
		return 0;
	case ARGP_KEY_END:
		if (!parsed->command)
			argp_error(state, "which command?");
		if (parsed->options.json && !parsed->command->json)
			argp_error(state, "%s has no --json", parsed->command->name);
		if (parsed->options.json && parsed->options.prometheus)
			argp_error(state, "either --json or --prometheus");
		require_place(parsed, state);
		if (parsed->command->file && !parsed->options.file)
			argp_error(state,
				   parsed->command->run == command_ban ? "%s needs %s"
								       : "%s needs a file: %s",
				   parsed->command->name, parsed->command->file);
		return 0;
	default:
		return keep_text(&parsed->options, key, argument);
	}
}

int main(int argc, char **argv)
{
	static const struct argp argp = {option_rows, parse_option, "COMMAND", usage_text,
					 NULL,        help_filter,  NULL};
	struct parsed parsed = {0};
	int result;

	argp_err_exit_status = EXIT_WRONG;
	// Wide enough for one row a command.
	setenv("ARGP_HELP_FMT", "rmargin=130", 0);
	argp_parse(&argp, argc, argv, 0, NULL, &parsed);
	result = parsed.command->run(&parsed.options);
	free(parsed.options.rcpt_to);
	free(parsed.filter);
	return result;
}
