// SPDX-License-Identifier: BSD-3-Clause
//
// Whole dialogues with a server, its bytes cut at every place; then deadlines, and the commands'
// form. What a server may do wrong in each state is in test_upstream_reply.c.
#include "tests/unit/relay/dialogue.h"

#include "dataplane/smtp/extension.h"

static const struct {
	const char *name;
	enum { PROBE = 1, WHOLE = 2 } flags; // WHOLE: about bytes that share a segment
	struct step steps[DIALOGUE_STEPS];
} dialogues[] = {
	{"two messages on one connection, with PIPELINING",
	 0,
	 {RESETTING,
	  {SERVER, "250 reset\r\n"},
	  {SAW, "READY"},
	  {RECIPIENT, "<d@c.test>"},
	  {SENT, MAIL_LINE "RCPT TO:<d@c.test>\r\n"},
	  {SERVER, "250 ok\r\n250-b\r\n250 ok\r\n"},
	  {SAW, "ANSWER 250"},
	  {REPLY, "250-b\r\n250 ok\r\n"}}},
	{"several recipients, then DATA",
	 0,
	 {RCPT_PIPELINE,
	  {SERVER, "250 b ok\r\n"},
	  {RECIPIENT, "<d@c.test>"},
	  {SENT, "RCPT TO:<d@c.test>\r\n"},
	  {SERVER, "550-5.1.1 no\r\n550 such user\r\n"},
	  {SAW, "ANSWER 250, ANSWER 550"},
	  {REPLY, "550-5.1.1 no\r\n550 such user\r\n"},
	  {DATA, NULL},
	  {SENT, "DATA\r\n"},
	  {SERVER, "354 go\r\n"},
	  {END, NULL},
	  {SENT, ".\r\n"},
	  {SERVER, "250 2.0.0 queued as 4711\r\n"},
	  {SAW, "ANSWER 354, ANSWER 250"},
	  {REPLY, "250 2.0.0 queued as 4711\r\n"},
	  {SENT, "RSET\r\n"}}},
	{"a server without PIPELINING gets one command at a time",
	 0,
	 {MAIL_SERIAL,
	  {SERVER, "250 ok\r\n"},
	  {SENT, RCPT_LINE},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "ANSWER 250"}}},
	{"a server that knows no EHLO",
	 0,
	 {GREETED,
	  {SERVER, "500 what?\r\n"},
	  {SENT, "HELO mx.example.com\r\n"},
	  {SERVER, "250 s SIZE\r\n"},
	  {SAW, "READY"},
	  {RECIPIENT, "<b@c.test>"},
	  {SENT, MAIL_LINE}}},
	{"EHLO and HELO both unknown",
	 0,
	 {GREETED,
	  {SERVER, "504 what?\r\n"},
	  {SENT, "HELO mx.example.com\r\n"},
	  {SERVER, "502 what?\r\n"},
	  {SAW, "GONE backend_connect_failed"},
	  {SENT, ""}}},
	{"EHLO refused for good",
	 0,
	 {GREETED, {SERVER, "550 not you\r\n"}, {SAW, "GONE backend_connect_failed"}, {SENT, ""}}},
	{"a greeting of several lines",
	 0,
	 {{CONNECTED, NULL},
	  {SERVER, "220-s\r\n220-takes no\r\n220 advertisements\r\n"},
	  {SENT, "EHLO mx.example.com\r\n"}}},
	{"the server refuses the connection",
	 0,
	 {{CONNECTED, NULL},
	  {SERVER, "554 no service here\r\n"},
	  {SAW, "GONE backend_connect_failed"},
	  {REPLY, "554 no service here\r\n"},
	  {SENT, ""}}},
	{"MAIL refused: the answer to this recipient and to all later ones",
	 0,
	 {MAIL_PIPELINE,
	  {SERVER, "550-5.7.1 not\r\n550 you\r\n503 no MAIL\r\n"},
	  {SAW, "ANSWER 550"},
	  {REPLY, "550-5.7.1 not\r\n550 you\r\n"},
	  {RECIPIENT, "<d@c.test>"},
	  {SAW, "ANSWER 550"},
	  {REPLY, "550-5.7.1 not\r\n550 you\r\n"},
	  {SENT, ""},
	  {RESET, NULL},
	  {SENT, "RSET\r\n"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"},
	  {RECIPIENT, "<b@c.test>"},
	  {SERVER, "250 ok\r\n250 fine\r\n"},
	  {SAW, "ANSWER 250"},
	  {REPLY, "250 fine\r\n"}}},
	{"MAIL refused by a server without PIPELINING",
	 0,
	 {MAIL_SERIAL,
	  {SERVER, "451 later\r\n"},
	  {SAW, "ANSWER 451"},
	  {RECIPIENT, "<d@c.test>"},
	  {SAW, "ANSWER 451"},
	  {REPLY, "451 later\r\n"},
	  {SENT, ""}}},
	{"421 to RCPT behind a refused MAIL: the refusal stands, the connection is spent",
	 0,
	 {MAIL_PIPELINE,
	  {SERVER, "550 not you\r\n421 too many errors\r\n"},
	  {SAW, "ANSWER 550 spent"},
	  {REPLY, "550 not you\r\n"},
	  {LOST, NULL},
	  {SAW, "GONE backend_lost"}}},
	{"421 to the end of data is the answer, and nothing is lost with the connection",
	 0,
	 {FINAL,
	  {SERVER, "421 4.3.2 closing\r\n"},
	  {SAW, "ANSWER 421 spent"},
	  {REPLY, "421 4.3.2 closing\r\n"},
	  {SENT, ""},
	  {LOST, NULL},
	  {SAW, "GONE quietly"}}},
	{"DATA refused: the transaction stays open",
	 0,
	 {DATA_SENT,
	  {SERVER, "452 later\r\n"},
	  {SAW, "ANSWER 452"},
	  {RECIPIENT, "<d@c.test>"},
	  {SENT, "RCPT TO:<d@c.test>\r\n"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "ANSWER 250"}}},
	{"a refused message leaves a good connection",
	 0,
	 {FINAL,
	  {SERVER, "554 spam\r\n"},
	  {SAW, "ANSWER 554"},
	  {SENT, "RSET\r\n"},
	  {RESET, NULL},
	  {SENT, ""},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"},
	  {RESET, NULL},
	  {SAW, "idle already"},
	  {QUIT, NULL},
	  {SENT, "QUIT\r\n"},
	  {SERVER, "221 bye\r\n"},
	  {SAW, "FINISHED"}}},
	{"a message refused before its end",
	 0,
	 {BODY,
	  {SERVER, "552-too\r\n552 large\r\n"},
	  {SAW, "EARLY 552 spent"},
	  {REPLY, "552-too\r\n552 large\r\n"},
	  {LOST, NULL},
	  {SAW, "GONE quietly"}}},
	{"a 250 that began before the end of data accepts nothing",
	 0,
	 {BODY,
	  {SERVER, "25"},
	  {END, NULL},
	  {SERVER, "0 queued\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"a refusal that began before the end of data refuses",
	 0,
	 {BODY, {SERVER, "55"}, {END, NULL}, {SERVER, "2 large\r\n"}, {SAW, "ANSWER 552"}}},
	{"a probe",
	 PROBE,
	 {GREETED,
	  {SERVER, "250-s\r\n250 SIZE\r\n"},
	  {SENT, "QUIT\r\n"},
	  {SAW, ""},
	  {SERVER, "221 bye\r\n"},
	  {SAW, "FINISHED"}}},
	{"a probe of a server that closes without a word",
	 PROBE,
	 {GREETED, {SERVER, "250 s\r\n"}, {SENT, "QUIT\r\n"}, {LOST, NULL}, {SAW, "FINISHED"}}},
	{"a connection that is refused", 0, {{LOST, NULL}, {SAW, "GONE backend_connect_failed"}}},
	{"a connection that is not answered",
	 0,
	 {{LATE, NULL}, {SAW, "GONE backend_connect_failed"}}},
	{"a borrowed connection that was closed meanwhile may be replaced",
	 0,
	 {USED,
	  {BORROWED, NULL},
	  {RECIPIENT, "<b@c.test>"},
	  {LOST, NULL},
	  {SAW, "GONE backend_lost replaceable"}}},
	{"an idle limit that struck while MAIL was on its way",
	 0,
	 {USED,
	  {RECIPIENT, "<b@c.test>"},
	  {SERVER, "421 idle too long\r\n"},
	  {SAW, "GONE backend_lost replaceable"}}},
	{"not once MAIL was answered",
	 0,
	 {USED,
	  {RECIPIENT, "<b@c.test>"},
	  {SERVER, "250 ok\r\n"},
	  {LOST, NULL},
	  {SAW, "GONE backend_lost"}}},
	{"an idle server says goodbye",
	 0,
	 {USED, {SERVER, "421 idle too long\r\n"}, {SAW, "GONE quietly"}}},
	{"a 421 behind the final answer: the answer stands",
	 WHOLE,
	 {FINAL,
	  {SERVER, "250 queued\r\n421 enough\r\n"},
	  {SAW, "ANSWER 250 spent, GONE quietly"},
	  {SENT, ""}}},
	{"a second answer to RCPT: the first stands, the connection is spent",
	 WHOLE,
	 {RCPT_PIPELINE,
	  {SERVER, "550 no\r\n250 yes\r\n"},
	  {SAW, "ANSWER 550 spent, GONE backend_malformed_reply"},
	  {REPLY, ""}}},
	{"answers ahead of their questions: EHLO's",
	 WHOLE,
	 {{CONNECTED, NULL},
	  {SERVER, "220 s\r\n250 s\r\n"},
	  {SAW, "GONE backend_malformed_reply"},
	  {SENT, ""}}},
	{"answers ahead of their questions: RCPT's",
	 WHOLE,
	 {MAIL_SERIAL,
	  {SERVER, "250 ok\r\n250 ok\r\n"},
	  {SAW, "GONE backend_malformed_reply"},
	  {SENT, ""}}},
	{"answers ahead of their questions: DATA's",
	 WHOLE,
	 {RCPT_PIPELINE,
	  {SERVER, "250 ok\r\n354 go\r\n"},
	  {SAW, "ANSWER 250 spent, GONE backend_malformed_reply"}}},
	{"an answer ahead of RSET",
	 WHOLE,
	 {FINAL,
	  {SERVER, "250 queued\r\n250 reset\r\n"},
	  {SAW, "ANSWER 250 spent, GONE backend_malformed_reply"}}},
	{"two answers to RSET",
	 WHOLE,
	 {RESETTING,
	  {SERVER, "250 reset\r\n250 reset\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"an answer to DATA that is still on its way",
	 0,
	 {OPEN,
	  {DATA, NULL},
	  {ON_THE_WAY, NULL},
	  {SERVER, "354 go\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"a refusal of DATA that is still on its way",
	 0,
	 {OPEN,
	  {DATA, NULL},
	  {ON_THE_WAY, NULL},
	  {SERVER, "550 too many errors\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"an answer to the end of data that is still on its way",
	 0,
	 {BODY,
	  {END, NULL},
	  {ON_THE_WAY, NULL},
	  {SERVER, "250 queued\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"an answer to MAIL while RCPT is on its way",
	 0,
	 {MAIL_PIPELINE,
	  {ON_THE_WAY, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SAW, ""},
	  {ARRIVED, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "ANSWER 250"}}},
	{"354 and an early refusal in one segment",
	 0,
	 {DATA_SENT, {SERVER, "354 go\r\n552 no\r\n"}, {SAW, "ANSWER 354, EARLY 552 spent"}}},
};

static void dialogues_cut_anywhere(void **state)
{
	static const size_t pieces[] = {4096, 1,  2,  3,  4,  5,  6,  7, 8,
					9,    10, 11, 13, 17, 19, 23, 29};

	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		size_t count = dialogues[i].flags & WHOLE ? 1 : sizeof(pieces) / sizeof(pieces[0]);

		print_message("%s\n", dialogues[i].name);
		for (size_t j = 0; j < count; j++) {
			struct dialogue dialogue;

			dialogue_begin(&dialogue, dialogues[i].flags & PROBE);
			dialogue_run(&dialogue, dialogues[i].steps, pieces[j]);
		}
	}
}

static void extensions_of_the_server(void **state)
{
	static const struct step esmtp[] = {READY_PIPELINE, {STOP, NULL}};
	static const struct step sized[] = {READY_SERIAL, {STOP, NULL}};
	static const struct step plain[] = {GREETED,
					    {SERVER, "500 what?\r\n"},
					    {SERVER, "250-s\r\n250 PIPELINING\r\n"},
					    {STOP, NULL}};
	struct dialogue dialogue;

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, esmtp, 4096);
	assert_int_equal(dialogue.upstream.extensions,
			 SMTP_EXTENSION_8BITMIME | SMTP_EXTENSION_PIPELINING);
	assert_int_equal(dialogue.upstream.server_size, 0);
	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, sized, 4096);
	assert_int_equal(dialogue.upstream.extensions, SMTP_EXTENSION_SIZE);
	assert_int_equal(dialogue.upstream.server_size, 1000);
	// HELO has no keywords, whatever its reply looks like.
	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, plain, 4096);
	assert_int_equal(dialogue.upstream.extensions, 0);
}

static void each_state_has_its_deadline(void **state)
{
	static const struct {
		struct step steps[DIALOGUE_STEPS];
		uint64_t limit_us; // 0 = none
	} cases[] = {
		{{{STOP, NULL}}, 10000000},
		{{{CONNECTED, NULL}}, 20000000},
		{{GREETED}, 20000000},
		{{READY_SERIAL}, 0},
		{{MAIL_SERIAL}, 20000000},
		{{RCPT_SERIAL}, 20000000},
		{{OPEN}, 0},
		{{DATA_SENT}, 20000000},
		{{BODY}, 20000000},
		{{FINAL}, 600000000},
		{{RESETTING}, 20000000},
		{{USED, {QUIT, NULL}}, 20000000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dialogue dialogue;

		dialogue_begin(&dialogue, false);
		dialogue_run(&dialogue, cases[i].steps, 4096);
		assert_int_equal(dialogue.upstream.deadline_us,
				 cases[i].limit_us ? NOW_US + cases[i].limit_us : UINT64_MAX);
	}
}

static void progress_pushes_the_body_on_and_nothing_else(void **state)
{
	static const struct step body[] = {BODY, {STOP, NULL}};
	static const struct step final[] = {FINAL, {STOP, NULL}};
	struct dialogue dialogue;

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, body, 4096);
	upstream_progress(&dialogue.upstream, &dialogue_policy, NOW_US + 15000000);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 35000000);
	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, final, 4096);
	upstream_progress(&dialogue.upstream, &dialogue_policy, NOW_US + 15000000);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 600000000);
}

static void the_longest_arguments_fit(void **state)
{
	static const struct step ready[] = {READY_PIPELINE, {STOP, NULL}};
	uint8_t *longest = malloc(UPSTREAM_ARGUMENT_MAX);
	struct dialogue dialogue;

	memset(longest, 'x', UPSTREAM_ARGUMENT_MAX);
	longest[0] = '<';
	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, ready, 4096);
	dialogue.commands.length = 0;
	upstream_recipient(&dialogue.upstream, &dialogue_policy,
			   slice_of(longest, UPSTREAM_ARGUMENT_MAX),
			   slice_of(longest, UPSTREAM_ARGUMENT_MAX), NOW_US, &dialogue.commands);
	assert_int_equal(dialogue.commands.length,
			 strlen("MAIL FROM:\r\nRCPT TO:\r\n") + 2 * UPSTREAM_ARGUMENT_MAX);
	free(longest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues_cut_anywhere),
		cmocka_unit_test(extensions_of_the_server),
		cmocka_unit_test(each_state_has_its_deadline),
		cmocka_unit_test(progress_pushes_the_body_on_and_nothing_else),
		cmocka_unit_test(the_longest_arguments_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
