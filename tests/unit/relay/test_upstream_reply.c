// SPDX-License-Identifier: BSD-3-Clause
//
// Each state of an upstream against each thing that a server can do there: one row a state, one
// column a fault, the outcome in the words of dialogue.h.
#include "tests/unit/relay/dialogue.h"

#define FAULTS 8

static const struct {
	const char *name;
	struct step step;
} faults[FAULTS] = {
	{"4xx", {SERVER, "450 no\r\n"}},
	{"5xx", {SERVER, "550 no\r\n"}},
	{"2xx", {SERVER, "299 well\r\n"}},
	{"3xx", {SERVER, "399 what\r\n"}},
	{"421", {SERVER, "421 closing\r\n"}},
	{"not SMTP", {SERVER, "hello\r\n"}},
	{"close", {LOST, NULL}},
	{"silence", {LATE, NULL}},
};

#define MALFORMED "GONE backend_malformed_reply"
#define REFUSED   "GONE backend_connect_failed"
#define LATE_     "GONE backend_timeout"
#define LOST_     "GONE backend_lost"
#define QUIETLY   "GONE quietly"
#define STALE     "GONE backend_lost replaceable"
#define DONE      "FINISHED"

static const struct {
	const char *name;
	bool whole; // the first byte decides: not cut
	struct step steps[DIALOGUE_STEPS];
	const char *outcome[FAULTS];
} rows[] = {
	{"greeting",
	 false,
	 {{CONNECTED, NULL}},
	 {REFUSED, REFUSED, MALFORMED, MALFORMED, REFUSED, MALFORMED, REFUSED, LATE_}},
	{"EHLO",
	 false,
	 {GREETED},
	 {REFUSED, REFUSED, MALFORMED, MALFORMED, REFUSED, MALFORMED, REFUSED, LATE_}},
	{"HELO",
	 false,
	 {GREETED, {SERVER, "502 what?\r\n"}, {SENT, "HELO mx.example.com\r\n"}},
	 {REFUSED, REFUSED, MALFORMED, MALFORMED, REFUSED, MALFORMED, REFUSED, LATE_}},
	{"idle",
	 true,
	 {READY_PIPELINE},
	 {MALFORMED, MALFORMED, MALFORMED, MALFORMED, QUIETLY, MALFORMED, QUIETLY, ""}},
	{"MAIL",
	 false,
	 {MAIL_SERIAL},
	 {"ANSWER 450", "ANSWER 550", "", MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_, LATE_}},
	{"MAIL before RCPT's answer",
	 false,
	 {MAIL_PIPELINE},
	 {"", "", "", MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_, LATE_}},
	{"MAIL on a used connection",
	 false,
	 {USED, {RECIPIENT, "<b@c.test>"}},
	 {"", "", "", MALFORMED, STALE, MALFORMED, STALE, LATE_}},
	{"MAIL on a borrowed connection",
	 false,
	 {READY_SERIAL, {BORROWED, NULL}, {RECIPIENT, "<b@c.test>"}},
	 {"ANSWER 450", "ANSWER 550", "", MALFORMED, STALE, MALFORMED, STALE, LATE_}},
	{"RCPT on a used connection",
	 false,
	 {USED, {RECIPIENT, "<b@c.test>"}, {SERVER, "250 ok\r\n"}},
	 {"ANSWER 450", "ANSWER 550", "ANSWER 299", MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_,
	  LATE_}},
	{"RCPT",
	 false,
	 {RCPT_SERIAL},
	 {"ANSWER 450", "ANSWER 550", "ANSWER 299", MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_,
	  LATE_}},
	{"RCPT after a refused MAIL",
	 false,
	 {MAIL_PIPELINE, {SERVER, "553 not you\r\n"}},
	 {"ANSWER 553", "ANSWER 553", "ANSWER 553", "ANSWER 553", "ANSWER 553 spent", MALFORMED,
	  LOST_, LATE_}},
	{"open transaction",
	 true,
	 {OPEN},
	 {MALFORMED, MALFORMED, MALFORMED, MALFORMED, LOST_, MALFORMED, LOST_, ""}},
	{"DATA",
	 false,
	 {DATA_SENT},
	 {"ANSWER 450", "ANSWER 550", MALFORMED, MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_,
	  LATE_}},
	{"body",
	 false,
	 {BODY},
	 {"EARLY 450 spent", "EARLY 550 spent", MALFORMED, MALFORMED, "EARLY 421 spent", MALFORMED,
	  LOST_, LATE_}},
	{"end of data",
	 false,
	 {FINAL},
	 {"ANSWER 450", "ANSWER 550", "ANSWER 299", MALFORMED, "ANSWER 421 spent", MALFORMED, LOST_,
	  LATE_}},
	{"RSET",
	 false,
	 {RESETTING},
	 {MALFORMED, MALFORMED, MALFORMED, MALFORMED, QUIETLY, MALFORMED, QUIETLY, LATE_}},
	{"QUIT",
	 false,
	 {USED, {QUIT, NULL}},
	 {DONE, DONE, DONE, DONE, DONE, MALFORMED, DONE, LATE_}},
};

static void check(size_t row, size_t fault, size_t piece)
{
	struct dialogue dialogue;

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, rows[row].steps, 4096);
	dialogue_step(&dialogue, &faults[fault].step, piece);
	if (strcmp(dialogue.events, rows[row].outcome[fault]) != 0)
		fail_msg("%s, %s in pieces of %zu: '%s', not '%s'", rows[row].name,
			 faults[fault].name, piece, dialogue.events, rows[row].outcome[fault]);
}

static void each_state_and_fault(void **state)
{
	static const size_t pieces[] = {4096, 1, 2, 5};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t j = 0; j < FAULTS; j++)
			for (size_t k = 0; k < (rows[i].whole ? 1 : 4); k++)
				check(i, j, pieces[k]);
}

// Whatever killed it stays known, and says so again to who asks.
static void a_dead_connection_stays_dead(void **state)
{
	struct dialogue dialogue;
	static const struct step steps[] = {
		RCPT_SERIAL,
		{SERVER, "421 closing\r\n"},
		{SAW, "ANSWER 421 spent"},
		{LATE, NULL},
		{SAW, ""},
		{LOST, NULL},
		{SAW, "GONE backend_lost"},
		{STOP, NULL},
	};

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, steps, 4096);
	dialogue_feed(&dialogue, slice_of_text("250 ok\r\n"));
	assert_string_equal(dialogue.events, "GONE backend_lost");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_and_fault),
		cmocka_unit_test(a_dead_connection_stays_dead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
