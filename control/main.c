// SPDX-License-Identifier: BSD-3-Clause
//
// The command line: one row a subcommand, options by argp. Does nothing by itself.

#include "config/rights.h"
#include "control/commands.h"

#include <argp.h>
#include <errno.h>
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
	bool takes_capture; // a file, after the command
};

static const struct command commands[] = {
	{"run", "-c FILE", "the gate, in the foreground; SIGTERM drains, then stops", command_run,
	 true, false},
	{"check", "-c FILE", "read a configuration and judge it: no root, no device", command_check,
	 true, false},
	{"audit", "-c FILE [--json]",
	 "who may relay, and what to worry about; exit status 2 when it is critical", command_audit,
	 true, false},
	{"explain", "-c FILE --from IP --to IP[:PORT]",
	 "which connector, which rights and why, and the reply to each verb", command_explain, true,
	 false},
	{"replay", "-c FILE IN.pcap [--write OUT.pcap]",
	 "a capture through the data path: verdicts and reasons; no root, no device",
	 command_replay, true, true},
	{"log", "[-c FILE] [-f] [--from IP]", "the last refusals and events, from the gate's ring",
	 command_log, false, false},
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
	OPTION_WRITE,
	OPTION_BACKEND,
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
	{"json", OPTION_JSON, NULL, 0, "audit, explain, replay: JSON instead of text", 0},
	{"pin-directory", OPTION_PIN_DIRECTORY, "DIR", 0,
	 "log: the instance's PinDirectory, when no file names it (/sys/fs/bpf/relaygate)", 0},
	{"write", OPTION_WRITE, "OUT.pcap", 0, "replay: the gate's answers, at the capture's times",
	 0},
	{"backend", OPTION_BACKEND, "MOOD", 0,
	 "replay: what the servers do: accept (default), refuse every recipient, or down", 0},
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
		fprintf(stream, "  %-8s %-33s %s\n", commands[i].name, commands[i].arguments,
			commands[i].help);
	fprintf(stream, "\n%s", text);
	fclose(stream);
	return help;
}

struct parsed {
	struct command_options options;
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

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
	struct parsed *parsed = state->input;

	switch (key) {
	case 'c':
		parsed->options.config = argument;
		return 0;
	case 'f':
		parsed->options.follow = true;
		return 0;
	case OPTION_FROM:
		parsed->options.from = argument;
		return 0;
	case OPTION_TO:
		parsed->options.to = argument;
		return 0;
	case OPTION_HELO:
		parsed->options.hello = argument;
		return 0;
	case OPTION_MAIL_FROM:
		parsed->options.mail_from = argument;
		return 0;
	case OPTION_RCPT_TO:
		return add_recipient(&parsed->options, argument);
	case OPTION_AUTH:
		parsed->options.identities |= 1u << PRINCIPAL_AUTHENTICATED;
		return 0;
	case OPTION_PARTNER:
		parsed->options.identities |= 1u << PRINCIPAL_PARTNER;
		return 0;
	case OPTION_JSON:
		parsed->options.json = true;
		return 0;
	case OPTION_PIN_DIRECTORY:
		parsed->options.directory = argument;
		return 0;
	case OPTION_WRITE:
		parsed->options.write = argument;
		return 0;
	case OPTION_BACKEND:
		parsed->options.backend = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (parsed->command && parsed->command->takes_capture && !parsed->options.capture) {
			parsed->options.capture = argument;
			return 0;
		}
		if (parsed->command)
			argp_error(state, "one command at a time");
		for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (strcmp(argument, commands[i].name) == 0)
				parsed->command = &commands[i];
		if (!parsed->command)
			argp_error(state, "unknown command \"%s\"", argument);
		return 0;
	case ARGP_KEY_END:
		if (!parsed->command)
			argp_error(state, "which command?");
		if (parsed->command->needs_config && !parsed->options.config)
			argp_error(state, "%s needs -c FILE", parsed->command->name);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
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
	setenv("ARGP_HELP_FMT", "rmargin=100", 0);
	argp_parse(&argp, argc, argv, 0, NULL, &parsed);
	result = parsed.command->run(&parsed.options);
	free(parsed.options.rcpt_to);
	return result;
}
