// SPDX-License-Identifier: BSD-3-Clause
//
// `relaygate top`: one frame (top_frame.c) after the other on a terminal, until q or Ctrl-C, with
// the size that the terminal has then. Whole screens of plain lines need five escape sequences,
// which every terminal has had for thirty years; a library of windows would bring its own idea of
// signals and nothing that is used here. What was on the screen before comes back at the end.

#include "bpf/view_reader.h"
#include "config/value.h"
#include "control/commands.h"
#include "control/top_frame.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER         "\033[?1049h\033[?25l" // another screen, no cursor
#define LEAVE         "\033[?25h\033[?1049l"
#define HOME          "\033[H"
#define END_OF_LINE   "\033[K"
#define END_OF_SCREEN "\033[J"

#define PLAIN_COLUMNS 120
#define PLAIN_LINES   1000

static volatile sig_atomic_t ended;

static void end(int number)
{
	ended = 1;
}

static void wake(int number)
{
}

// Two readers take turns, so that the older snapshot stays.
struct top {
	const char *directory;
	struct view_reader *readers[2];
	const struct view_snapshot *before, *now;
	unsigned turn;
	struct termios terminal; // as it was found
};

static void close_readers(struct top *top)
{
	for (unsigned i = 0; i < 2; i++) {
		view_reader_close(top->readers[i]);
		top->readers[i] = NULL;
	}
	top->before = top->now = NULL;
}

static int open_readers(struct top *top, char error[EXPORT_ERROR_MAX])
{
	for (unsigned i = 0; i < 2; i++) {
		int result = view_reader_open(top->directory, &top->readers[i], error);

		if (result) {
			close_readers(top);
			return result;
		}
	}
	top->before = view_reader_take(top->readers[0]);
	top->now = top->before;
	top->turn = 1;
	return 0;
}

static void take(struct top *top)
{
	top->before = top->now;
	top->now = view_reader_take(top->readers[top->turn]);
	top->turn = !top->turn;
}

static struct winsize terminal_size(void)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_row == 0 || size.ws_col == 0)
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	return size;
}

// Each line is cleared behind its text, the last one without a newline, which would scroll.
static void draw(const char *text)
{
	const char *line = text;

	fputs(HOME, stdout);
	while (*line) {
		size_t length = strcspn(line, "\n");
		bool last = line[length] == '\0' || line[length + 1] == '\0';

		printf("%.*s" END_OF_LINE "%s", (int)length, line, last ? "" : "\n");
		line += length + (line[length] == '\n');
	}
	fputs(END_OF_SCREEN, stdout);
}

static int show(const struct top *top, bool plain)
{
	struct winsize size = terminal_size();
	char *text = top_frame(top->before, top->now, plain ? PLAIN_LINES : size.ws_row,
			       plain ? PLAIN_COLUMNS : size.ws_col);

	if (!text)
		return -1;
	if (plain)
		fputs(text, stdout);
	else
		draw(text);
	free(text);
	return fflush(stdout);
}

// q, Q, or the end of the input.
static bool asked_to_end(void)
{
	char key;
	ssize_t count = read(STDIN_FILENO, &key, 1);

	return (count == 0) || (count == 1 && (key == 'q' || key == 'Q'));
}

// True when the interval passed or the size changed.
static bool pass(int interval_ms)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	int result = poll(&input, 1, interval_ms);

	if (result > 0 && asked_to_end())
		ended = 1;
	return !ended;
}

static int watch(struct top *top, int interval_ms)
{
	char error[EXPORT_ERROR_MAX];

	take(top);
	while (!ended && show(top, false) == 0) {
		if (!pass(interval_ms))
			break;
		if (!view_reader_replaced(top->readers[0])) {
			take(top);
			continue;
		}
		close_readers(top);
		// The gate comes back with other maps, or is being started right now.
		while (open_readers(top, error) && pass(interval_ms))
			;
		if (!top->now)
			break;
	}
	return ended ? EXIT_FINE : EXIT_WRONG;
}

static int live(struct top *top, int interval_ms)
{
	struct sigaction stop = {.sa_handler = end}, resize = {.sa_handler = wake};
	struct termios raw;
	int result;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &top->terminal)) {
		fprintf(stderr, "relaygate: top needs a terminal; --once prints one frame\n");
		return EXIT_WRONG;
	}
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGHUP, &stop, NULL);
	sigaction(SIGWINCH, &resize, NULL);
	raw = top->terminal;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VSUSP] = _POSIX_VDISABLE; // stopped, it would leave the terminal as it is
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(ENTER, stdout);
	result = watch(top, interval_ms);
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &top->terminal);
	return result;
}

static int once(struct top *top, int interval_ms)
{
	struct timespec pause = {.tv_sec = interval_ms / 1000,
				 .tv_nsec = (long)(interval_ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
	take(top);
	return show(top, true) ? EXIT_WRONG : EXIT_FINE;
}

int command_top(const struct command_options *options)
{
	struct top top = {0};
	char error[EXPORT_ERROR_MAX];
	uint64_t interval_ms = 1000;
	const char *why = "a time from 100ms to 1h";
	char *directory;
	int result;

	if (options->interval && (value_time(options->interval, &interval_ms, &why) ||
				  interval_ms < 100 || interval_ms > 3600000)) {
		fprintf(stderr, "relaygate: --interval %s: %s\n", options->interval, why);
		return EXIT_WRONG;
	}
	directory = instance_directory(options);
	if (!directory)
		return EXIT_WRONG;
	top.directory = directory;
	if (open_readers(&top, error)) {
		fprintf(stderr, "relaygate: %s\n", error);
		free(directory);
		return EXIT_WRONG;
	}
	result = options->once ? once(&top, (int)interval_ms) : live(&top, (int)interval_ms);
	close_readers(&top);
	free(directory);
	return result;
}
