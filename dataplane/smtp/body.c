// SPDX-License-Identifier: BSD-3-Clause
//
// The end-of-data machine as one table, with the ordinary bytes of a line skipped in blocks. Two
// kinds of bytes are kept back until the next one tells what they are: a CR, and a dot that begins
// a line. A piece that ends between them leaves its state behind, and the next call passes on a
// constant in their place. Owns nothing; does not know the size limit.
#include "dataplane/smtp/body.h"
#include "dataplane/smtp/scan.h"

#include <assert.h>

enum state {
	STATE_BAD, // unlisted transitions end here
	STATE_LINE_START,
	STATE_LINE,
	STATE_CR,         // CR kept back
	STATE_DOT,        // dot at the start of a line kept back
	STATE_DOT_CR,     // dot and CR kept back: the end of data, or nothing that may pass
	STATE_SOFT_START, // the last line ended with a bare LF
	STATE_END,
	STATE_COUNT,
};

enum class { CLASS_OTHER, CLASS_DOT, CLASS_CR, CLASS_LF, CLASS_NUL, CLASS_COUNT };

static const uint8_t class_of[256] = {
	['.'] = CLASS_DOT,
	['\r'] = CLASS_CR,
	['\n'] = CLASS_LF,
	[0] = CLASS_NUL,
};

// Missing entries are STATE_BAD: LF and NUL are good nowhere but LF after a CR, and after a CR
// nothing else is good.
static const uint8_t next_state[STATE_COUNT][CLASS_COUNT] = {
	[STATE_LINE_START] =
		{[CLASS_OTHER] = STATE_LINE, [CLASS_DOT] = STATE_DOT, [CLASS_CR] = STATE_CR},
	[STATE_LINE] =
		{[CLASS_OTHER] = STATE_LINE, [CLASS_DOT] = STATE_LINE, [CLASS_CR] = STATE_CR},
	[STATE_CR] = {[CLASS_LF] = STATE_LINE_START},
	[STATE_DOT] =
		{[CLASS_OTHER] = STATE_LINE, [CLASS_DOT] = STATE_LINE, [CLASS_CR] = STATE_DOT_CR},
	[STATE_DOT_CR] = {[CLASS_LF] = STATE_END},
	[STATE_SOFT_START] =
		{[CLASS_OTHER] = STATE_LINE, [CLASS_DOT] = STATE_LINE, [CLASS_CR] = STATE_CR},
};

void body_init(uint8_t *state)
{
	*state = STATE_LINE_START;
}

// What an earlier call kept back and a later byte may set free. Dot and CR together are never set
// free: only LF may follow, and that is the end. A stuffed dot goes on in DATA form only.
static struct slice kept_back(uint8_t state, unsigned how)
{
	if (state == STATE_CR)
		return slice_of_text("\r");
	if (state == STATE_DOT && !(how & BODY_UNSTUFFED))
		return slice_of_text(".");
	return slice_of_text("");
}

// The bare LF that `in` begins with, as CR LF. A dot that was kept back is a stuffed one.
static void end_softly(uint8_t *state, size_t room, struct body_scan *scan)
{
	scan->held = slice_of_text("\r\n");
	if (room < scan->held.length) {
		scan->held = slice_of_text("");
		return;
	}
	*state = STATE_SOFT_START;
	scan->consumed = 1;
	scan->octets = scan->held.length;
}

// How far a walk over a window came.
struct walk {
	uint8_t state;
	size_t at;
	size_t passed; // bytes that may pass; once above 0 what was held may pass, too
	size_t dots;   // stuffed dots among them
};

// To the end of the window, of the message, or to the byte that spoils it. A bare LF that is
// accepted waits for a call of its own, and so does a stuffed dot that is to be left out.
static void walk(struct walk *walk, struct slice window, unsigned how)
{
	while (walk->at < window.length) {
		if (walk->state == STATE_LINE) {
			walk->at += scan_control(slice_from(window, walk->at));
			walk->passed = walk->at;
			if (walk->at == window.length)
				return;
		}
		const uint8_t before = walk->state;
		if (how & BODY_TAKE_BARE_LF && walk->at > 0 && window.data[walk->at] == '\n' &&
		    before != STATE_CR && before != STATE_DOT_CR)
			return;
		if (how & BODY_UNSTUFFED && walk->at > 0 && before == STATE_LINE_START &&
		    window.data[walk->at] == '.')
			return;
		walk->state = next_state[before][class_of[window.data[walk->at]]];
		if (walk->state == STATE_BAD || walk->state == STATE_END)
			return;
		walk->at++;
		if (walk->state == STATE_LINE || walk->state == STATE_LINE_START)
			walk->passed = walk->at;
		if (before == STATE_DOT && walk->state == STATE_LINE)
			walk->dots++;
	}
}

void body_input(uint8_t *state, struct slice in, size_t room, unsigned how, struct body_scan *scan)
{
	const bool dot = in.length && in.data[0] == '.', unstuffed = how & BODY_UNSTUFFED;
	const bool dot_behind_bare_lf = dot && *state == STATE_SOFT_START && !unstuffed;
	const bool left_out = dot && *state == STATE_LINE_START && unstuffed;
	const struct slice held = dot_behind_bare_lf ? slice_of_text(".") : kept_back(*state, how);
	struct walk walked = {.state = *state};

	assert(*state > STATE_BAD && *state < STATE_END);
	*scan = (struct body_scan){
		.verdict = BODY_MORE, .held = slice_of_text(""), .run = slice_first(in, 0)};
	if (how & BODY_TAKE_BARE_LF && in.length && in.data[0] == '\n' && *state != STATE_CR &&
	    *state != STATE_DOT_CR) {
		end_softly(state, room, scan);
		return;
	}
	if (room <= held.length)
		return;
	walk(&walked, slice_first(in, room - held.length), how);
	if (walked.state == STATE_BAD) {
		scan->verdict = BODY_BAD_LINE_ENDING;
		scan->consumed = walked.at + 1;
		return;
	}
	// At the end, message bytes that came before it are passed on first: the dot is met again.
	*state = walked.state == STATE_END ? STATE_LINE_START : walked.state;
	scan->consumed = walked.state == STATE_END ? walked.passed : walked.at;
	if (walked.state == STATE_END && walked.passed == 0) {
		scan->verdict = BODY_END;
		scan->consumed = walked.at + 1;
	} else if (walked.passed > 0) {
		scan->held = held;
		scan->run = slice_from(slice_first(in, walked.passed), left_out);
		scan->octets = held.length + scan->run.length;
		if (!unstuffed)
			scan->octets -= walked.dots + dot_behind_bare_lf;
	}
}

bool body_has_half_a_line_end(uint8_t state)
{
	return state == STATE_CR;
}

bool body_in_line(uint8_t state)
{
	return state == STATE_LINE;
}

// As next_state, for content whose dots mean nothing.
static uint8_t next_chunk_state(uint8_t state, uint8_t byte)
{
	if (byte == '\0' || (state == STATE_CR) != (byte == '\n'))
		return STATE_BAD;
	return byte == '\r' ? STATE_CR : byte == '\n' ? STATE_LINE_START : STATE_LINE;
}

void body_chunk(uint8_t *state, struct slice in, size_t room, unsigned how, struct body_scan *scan)
{
	const bool accept_bare_lf = how & BODY_TAKE_BARE_LF, unstuffed = how & BODY_UNSTUFFED;
	const bool at_start = *state == STATE_LINE_START || *state == STATE_SOFT_START;
	const bool stuffed = !unstuffed && at_start && in.length && in.data[0] == '.';
	const struct slice held = stuffed ? slice_of_text(".") : kept_back(*state, how);
	uint8_t current = *state;
	size_t at = 0, passed = 0;

	*scan = (struct body_scan){
		.verdict = BODY_MORE, .held = slice_of_text(""), .run = slice_first(in, 0)};
	if (accept_bare_lf && in.length && in.data[0] == '\n' && current != STATE_CR) {
		end_softly(state, room, scan);
		return;
	}
	if (room <= held.length)
		return;
	const struct slice window = slice_first(in, room - held.length);
	while (at < window.length) {
		if (current == STATE_LINE) {
			at += scan_control(slice_from(window, at));
			passed = at;
			if (at == window.length)
				break;
		}
		const uint8_t byte = window.data[at];
		// What needs something put before it waits for a call of its own.
		if (at > 0 && ((byte == '.' && current == STATE_LINE_START && !unstuffed) ||
			       (accept_bare_lf && byte == '\n' && current != STATE_CR)))
			break;
		current = next_chunk_state(current, byte);
		if (current == STATE_BAD) {
			scan->verdict = BODY_BAD_LINE_ENDING;
			scan->consumed = at + 1;
			return;
		}
		at++;
		if (current != STATE_CR)
			passed = at;
	}
	*state = current;
	scan->consumed = at;
	if (passed > 0) {
		scan->held = held;
		scan->run = slice_first(window, passed);
		scan->octets = held.length + passed - stuffed;
	}
}
