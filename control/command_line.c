// SPDX-License-Identifier: BSD-3-Clause
//
// See command_line.h. argp splits the words and prints a command's page. Options may stand before
// the command, so they are kept until the line is over, and only then judged by the table.
#include "control/command_line.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_HELP    '?'
#define KEY_VERSION 'V'
#define KEY_USAGE   0x80
#define KEY_ROWS    0x100 // of a row without a letter: + the number of the first of its name
#define PAGE_FORMAT "rmargin=100,no-dup-args-note"

struct line {
	struct command_options *options;
	const struct command_row *command;
	struct {
		int key;
		const char *argument;
	} * given; // options, as they stood there
	unsigned given_count;
	bool help, usage, version;
};

// ---- What a command takes ----------------------------------------------------------------------

static int key_of(const struct option_row *row)
{
	unsigned i = 0;

	if (row->letter)
		return row->letter;
	while (strcmp(option_rows[i].name, row->name) != 0)
		i++;
	return KEY_ROWS + (int)i;
}

// command: NULL = whatever the command is.
static bool is_of(const struct option_row *row, const struct command_row *command)
{
	return !command || (row->commands & 1u << (command - command_rows));
}

static bool is_required(const struct option_row *row, const struct command_row *command)
{
	return row->required & 1u << (command - command_rows);
}

static const struct option_row *find_row(int key, const struct command_row *command)
{
	for (unsigned i = 0; i < option_row_count; i++)
		if (key_of(&option_rows[i]) == key && is_of(&option_rows[i], command))
			return &option_rows[i];
	return NULL;
}

// "-c FILE", "--json".
static void put_option(FILE *out, const struct option_row *row)
{
	if (row->letter)
		fprintf(out, "-%c", row->letter);
	else
		fprintf(out, "--%s", row->name);
	if (row->argument)
		fprintf(out, " %s", row->argument);
}

// For argp: one option a name, and those of every command. Ends with a row of zeros.
static struct argp_option *argp_rows(const struct command_row *command)
{
	static const struct argp_option always[] = {
		{"help", KEY_HELP, NULL, 0, "this page", -1},
		{"usage", KEY_USAGE, NULL, 0, "its first lines", -1},
		{"version", KEY_VERSION, NULL, 0, "the program's version", -1},
	};
	const unsigned always_count = sizeof(always) / sizeof(always[0]);
	struct argp_option *rows = calloc(option_row_count + always_count + 1, sizeof(*rows));
	unsigned count = 0;

	if (!rows)
		argp_failure(NULL, EXIT_WRONG, ENOMEM, "relaygate");
	for (unsigned i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];
		int key = key_of(row);

		if (is_of(row, command) && find_row(key, command) == row)
			rows[count++] = (struct argp_option){row->name, key,       row->argument,
							     0,         row->help, 0};
	}
	memcpy(rows + count, always, sizeof(always));
	return rows;
}

// ---- Help --------------------------------------------------------------------------------------

static void print_commands(void)
{
	printf("Usage: relaygate COMMAND [OPTION...]\n"
	       "A packet-level gatekeeper for TCP port 25: receive connectors in front of a mail "
	       "cluster.\n\n"
	       "Commands:\n");
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s %s\n", command_rows[i].name, command_rows[i].help);
	printf("\n`relaygate COMMAND --help` tells a command's options, with defaults and units, "
	       "its exit\nstatus, and an example. `relaygate --version` tells the version.\n\n"
	       "Exit status: 0 fine; 1 the input or the environment is wrong, one line a fault on "
	       "stderr;\n2 a critical finding (audit).\n");
}

// What stands behind "Usage: relaygate COMMAND [OPTION...]", a line for each form.
static void put_usage(FILE *out, const struct command_row *command)
{
	const char *form = command->words ? command->words : "";

	for (;;) {
		size_t length = strcspn(form, "\n");
		const char *between = "";

		for (unsigned i = 0; i < option_row_count; i++) {
			if (!is_required(&option_rows[i], command))
				continue;
			fputs(between, out);
			put_option(out, &option_rows[i]);
			between = " ";
		}
		if (command->by_pins)
			fputs("-c FILE|--pin-directory DIR", out);
		if (length)
			fprintf(out, "%s%.*s", command->by_pins ? " " : between, (int)length, form);
		if (!form[length])
			return;
		form += length + 1;
		putc('\n', out);
	}
}

static void print_page(const struct command_row *command, bool usage)
{
	struct argp_option *rows = argp_rows(command);
	struct argp argp = {.options = rows};
	char name[32], *arguments = NULL, *document = NULL;
	size_t size;
	FILE *out = open_memstream(&arguments, &size);

	if (out) {
		put_usage(out, command);
		fclose(out);
	}
	if (!out || asprintf(&document, "%c%s.\vExit status: %s\n\nExample:\n  %s\n",
			     command->help[0] - ('a' <= command->help[0] ? 32 : 0),
			     command->help + 1, command->exits, command->example) < 0)
		argp_failure(NULL, EXIT_WRONG, ENOMEM, "relaygate");
	snprintf(name, sizeof(name), "relaygate %s", command->name);
	argp.args_doc = arguments;
	argp.doc = document;
	argp_help(&argp, stdout,
		  usage ? ARGP_HELP_USAGE : ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC,
		  name);
	free(document);
	free(arguments);
	free(rows);
}

// True when something was asked for that is printed at once.
static bool print(const struct line *line)
{
	if (line->version)
		printf("relaygate %s\n", RELAYGATE_VERSION);
	else if (line->command && (line->help || line->usage))
		print_page(line->command, !line->help);
	else if (line->help || line->usage)
		print_commands();
	return line->version || line->help || line->usage;
}

// ---- A line that is wrong ----------------------------------------------------------------------

__attribute__((format(printf, 2, 3), noreturn)) static void
refuse(const struct command_row *command, const char *format, ...)
{
	va_list list;

	fputs("relaygate: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	if (command)
		fprintf(stderr, "\nTry `relaygate %s --help'.\n", command->name);
	else
		fprintf(stderr, "\nTry `relaygate --help'.\n");
	exit(EXIT_WRONG);
}

// An option that is not the command's, or not with that verb.
static void refuse_option(const struct line *line, const struct option_row *row)
{
	const struct command_row *command = line->command;
	const char *verb = command->by_pins && line->options->file ? line->options->file : NULL;
	const char *between = "";
	char *list = NULL;
	size_t size;
	FILE *out = open_memstream(&list, &size);

	for (unsigned i = 0; out && i < option_row_count; i++) {
		const struct option_row *other = &option_rows[i];

		if (!is_of(other, command) ||
		    (verb && other->verb && strcmp(other->verb, verb) != 0))
			continue;
		fputs(between, out);
		put_option(out, other);
		between = ", ";
	}
	if (out)
		fclose(out);
	refuse(command, "%s%s%s does not take --%s: it takes %s", command->name, verb ? " " : "",
	       verb ? verb : "", row->name, list ? list : "others");
}

// A word too many: most often the configuration without its -c.
static void refuse_word(const struct command_row *command, const char *word)
{
	if (command->run == command_ban)
		refuse(command, "%s: too many words", command->name);
	if (command->file)
		refuse(command, "%s takes one file", command->name);
	for (unsigned i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(word, command_rows[i].name) == 0)
			refuse(NULL, "one command at a time");
	refuse(command, "%s does not take \"%s\": the INI file is named by -c FILE", command->name,
	       word);
}

// ---- Words and options -------------------------------------------------------------------------

// One more word, as on tcpdump's command line.
static void add_word(struct command_options *options, const char *word)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", options->filter ? options->filter : "",
		     options->filter ? " " : "", word) < 0)
		argp_failure(NULL, EXIT_WRONG, ENOMEM, "%s", word);
	free(options->filter);
	options->filter = longer;
}

// The command, or what it takes.
static void take_word(struct line *line, const char *word)
{
	const struct command_row *command = line->command;

	if (command && (command->file || !command->words) && !word[0])
		refuse(command, "%s: an argument is empty", command->name);
	if (command && command->file && !line->options->file) {
		line->options->file = word;
	} else if (command && command->run == command_ban && !line->options->source) {
		line->options->source = word;
	} else if (command && command->run == command_capture) {
		add_word(line->options, word);
	} else if (command) {
		refuse_word(command, word);
	} else {
		for (unsigned i = 0; i < COMMAND_COUNT; i++)
			if (strcmp(word, command_rows[i].name) == 0)
				line->command = &command_rows[i];
		if (!line->command)
			refuse(NULL, "unknown command \"%s\"", word);
	}
}

static void add_text(const char ***texts, const char *text)
{
	unsigned count = 0;
	const char **grown;

	while (*texts && (*texts)[count])
		count++;
	grown = realloc(*texts, (count + 2) * sizeof(*grown));
	if (!grown)
		argp_failure(NULL, EXIT_WRONG, ENOMEM, "%s", text);
	grown[count] = text;
	grown[count + 1] = NULL;
	*texts = grown;
}

static void store(const struct line *line, const struct option_row *row, const char *argument)
{
	void *at = (char *)line->options + row->offset;

	switch (row->kind) {
	case OPTION_TEXT:
		if (argument[0] == '\0')
			refuse(line->command, "--%s is empty: %s", row->name, row->help);
		// fall through
	case OPTION_MAYBE_EMPTY:
		if (*(const char **)at)
			refuse(line->command, "--%s is given twice", row->name);
		*(const char **)at = argument;
		break;
	case OPTION_TEXTS:
		add_text(at, argument);
		break;
	case OPTION_FLAG:
		*(bool *)at = true;
		break;
	case OPTION_BIT:
		*(unsigned *)at |= row->bit;
		break;
	}
}

// Commands that change something ask no gate by default, as those that look do.
static void require(const struct line *line)
{
	const struct command_row *command = line->command;
	const struct command_options *options = line->options;

	for (unsigned i = 0; i < option_row_count; i++) {
		const struct option_row *row = &option_rows[i];

		if (!is_required(row, command) ||
		    *(const char *const *)((const char *)options + row->offset))
			continue;
		refuse(command, row->letter ? "%s needs -%.1s%s %s" : "%s needs --%.0s%s %s",
		       command->name, &row->letter, row->letter ? "" : row->name, row->argument);
	}
	if (command->by_pins && !options->config && !options->directory)
		refuse(command, "%s needs -c FILE (or --pin-directory DIR)", command->name);
	if (command->file && !options->file)
		refuse(command, command->run == command_ban ? "%s needs %s" : "%s needs a file: %s",
		       command->name, command->file);
}

static void judge(struct line *line)
{
	if (!line->command)
		refuse(NULL, "which command?");
	for (unsigned i = 0; i < line->given_count; i++) {
		const struct option_row *row = find_row(line->given[i].key, line->command);

		if (!row)
			refuse_option(line, find_row(line->given[i].key, NULL));
		if (row->verb && line->options->file && strcmp(row->verb, line->options->file) != 0)
			refuse_option(line, row);
		store(line, row, line->given[i].argument);
	}
	require(line);
	if (line->options->json && line->options->prometheus)
		refuse(line->command, "either --json or --prometheus");
}

static error_t take(int key, char *argument, struct argp_state *state)
{
	struct line *line = state->input;

	switch (key) {
	case KEY_HELP:
		line->help = true;
		return 0;
	case KEY_USAGE:
		line->usage = true;
		return 0;
	case KEY_VERSION:
		line->version = true;
		return 0;
	case ARGP_KEY_ARG:
		take_word(line, argument);
		return 0;
	case ARGP_KEY_END:
		if (!print(line))
			judge(line);
		return 0;
	default:
		if (!find_row(key, NULL))
			return ARGP_ERR_UNKNOWN;
		line->given[line->given_count].key = key;
		line->given[line->given_count++].argument = argument;
		return 0;
	}
}

const struct command_row *command_line_parse(int argc, char **argv, struct command_options *options)
{
	struct argp_option *rows = argp_rows(NULL);
	struct argp argp = {.options = rows, .parser = take};
	struct line line = {.options = options, .given = calloc(argc, sizeof(*line.given))};

	*options = (struct command_options){0};
	if (!line.given)
		argp_failure(NULL, EXIT_WRONG, ENOMEM, "relaygate");
	argp_err_exit_status = EXIT_WRONG;
	setenv("ARGP_HELP_FMT", PAGE_FORMAT, 0);
	argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, &line);
	free(line.given);
	free(rows);
	return line.version || line.help || line.usage ? NULL : line.command;
}

void command_line_free(struct command_options *options)
{
	free(options->rcpt_to);
	free(options->filter);
}
