// SPDX-License-Identifier: BSD-3-Clause
//
// Messages in BDAT chunks: whole dialogues with a server, its bytes cut at every place, and what
// each way of its failing means between, in and behind chunks.
#include "tests/unit/relay/dialogue.h"

static const struct {
	const char *name;
	bool whole; // about bytes that share a segment
	struct step steps[DIALOGUE_STEPS];
} dialogues[] = {
	{"one chunk, the last",
	 false,
	 {CHUNKS_PIPELINE,
	  {LAST_CHUNK, "4096"},
	  {SENT, "BDAT 4096 LAST\r\n"},
	  {SERVER, "250 2.0.0 queued as 4711\r\n"},
	  {SAW, "ANSWER 250"},
	  {REPLY, "250 2.0.0 queued as 4711\r\n"},
	  {SENT, "RSET\r\n"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"}}},
	{"with PIPELINING chunks are not waited for, but the last one waits for all",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {CHUNK, "20"},
	  {SENT, "BDAT 10\r\nBDAT 20\r\n"},
	  {LAST_CHUNK, "0"},
	  {SERVER, "250 10\r\n"},
	  {LAST_CHUNK, "0"},
	  {SERVER, "250-20\r\n250 in all\r\n"},
	  {SAW, "not now, CHUNK, not now, CHUNK"},
	  {LAST_CHUNK, "0"},
	  {SENT, "BDAT 0 LAST\r\n"},
	  {SERVER, "550 spam\r\n"},
	  {SAW, "ANSWER 550"},
	  {SENT, "RSET\r\n"}}},
	{"without PIPELINING each is waited for",
	 false,
	 {CHUNKS_OPEN(""),
	  {CHUNK, "10"},
	  {CHUNK, "20"},
	  {SENT, "BDAT 10\r\n"},
	  {SAW, "not now"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "CHUNK"},
	  {CHUNK, "20"},
	  {SENT, "BDAT 20\r\n"}}},
	{"a refused chunk: RSET once all behind it are answered, whatever the answers",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {CHUNK, "20"},
	  {CHUNK, "30"},
	  {SENT, "BDAT 10\r\nBDAT 20\r\nBDAT 30\r\n"},
	  {SERVER, "250 ok\r\n552-5.3.4 too\r\n552 5.3.4 large\r\n"},
	  {SAW, "CHUNK, EARLY 552"},
	  {REPLY, "552-5.3.4 too\r\n552 5.3.4 large\r\n"},
	  {SENT, ""},
	  {SERVER, "250 taken nevertheless\r\n"},
	  {SENT, "RSET\r\n"},
	  {SAW, ""},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"},
	  {RECIPIENT, "<d@c.test>"},
	  {SENT, MAIL_LINE "RCPT TO:<d@c.test>\r\n"}}},
	{"the only chunk refused: RSET at once",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SENT, "BDAT 10\r\n"},
	  {SERVER, "452 4.3.1 full\r\n"},
	  {SAW, "EARLY 452"},
	  {SENT, "RSET\r\n"}}},
	{"abandoned before the first chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {RESET, NULL},
	  {SENT, "RSET\r\n"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"}}},
	{"abandoned: RSET behind the answers to what was sent",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {CHUNK, "20"},
	  {SENT, "BDAT 10\r\nBDAT 20\r\n"},
	  {RESET, NULL},
	  {RESET, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SENT, ""},
	  {SERVER, "552 no\r\n"},
	  {SENT, "RSET\r\n"},
	  {SAW, ""},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"}}},
	{"abandoned, and RSET refused: never used again",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {RESET, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SERVER, "502 what?\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"421 to a chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SERVER, "421 4.3.2 closing\r\n"},
	  {SAW, "EARLY 421 spent"},
	  {LOST, NULL},
	  {SAW, "GONE quietly"}}},
	{"421 to an abandoned chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {RESET, NULL},
	  {SERVER, "421 4.3.2 closing\r\n"},
	  {SAW, "GONE quietly"}}},
	{"421 between chunks",
	 false,
	 {CHUNKS_PIPELINE, {SERVER, "421 idle\r\n"}, {SAW, "GONE backend_lost"}}},
	{"421 to the last chunk is the answer",
	 false,
	 {CHUNKS_PIPELINE,
	  {LAST_CHUNK, "9"},
	  {SERVER, "421 4.3.2 closing\r\n"},
	  {SAW, "ANSWER 421 spent"}}},
	{"a chunk answered twice while the next one is on its way: never taken for its answer",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {CHUNK, "20"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "CHUNK"},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"a late second answer while the last chunk is on its way: not the final one",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SERVER, "250 ok\r\n"},
	  {LAST_CHUNK, "20"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "CHUNK, GONE backend_malformed_reply"}}},
	{"an answer that began while the last chunk was on its way",
	 false,
	 {CHUNKS_PIPELINE,
	  {LAST_CHUNK, "20"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "250-o"},
	  {ARRIVED, NULL},
	  {SERVER, "k\r\n250 ok\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"a chunk, and a last chunk, refused by their size alone",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "552 5.3.4 too large\r\n"},
	  {SAW, "EARLY 552"},
	  {ARRIVED, NULL},
	  {SERVER, "250 ok\r\n"},
	  {SAW, "READY"},
	  {RECIPIENT, "<d@c.test>"},
	  {SERVER, "250 ok\r\n250 ok\r\n"},
	  {CHUNKS, NULL},
	  {LAST_CHUNK, "20"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "552 5.3.4 too large\r\n"},
	  {SAW, "ANSWER 250, ANSWER 552"}}},
	{"421 while a chunk is on its way",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {ON_THE_WAY, NULL},
	  {SERVER, "421 4.3.2 closing\r\n"},
	  {SAW, "EARLY 421 spent"}}},
	{"lost between chunks", false, {CHUNKS_PIPELINE, {LOST, NULL}, {SAW, "GONE backend_lost"}}},
	{"lost in a chunk",
	 false,
	 {CHUNKS_PIPELINE, {CHUNK, "10"}, {LOST, NULL}, {SAW, "GONE backend_lost"}}},
	{"lost behind the last chunk",
	 false,
	 {CHUNKS_PIPELINE, {LAST_CHUNK, "10"}, {LOST, NULL}, {SAW, "GONE backend_lost"}}},
	{"a chunk that is not answered",
	 false,
	 {CHUNKS_PIPELINE, {CHUNK, "10"}, {LATE, NULL}, {SAW, "GONE backend_timeout"}}},
	{"between chunks the server is never late",
	 false,
	 {CHUNKS_PIPELINE, {LATE, NULL}, {SAW, ""}}},
	{"354 to a chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SERVER, "354 go on\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"354 to the last chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {LAST_CHUNK, "10"},
	  {SERVER, "354 go on\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"an answer that nobody asked for",
	 false,
	 {CHUNKS_PIPELINE, {SERVER, "250 ok\r\n"}, {SAW, "GONE backend_malformed_reply"}}},
	{"half of one, and then the last chunk",
	 false,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SERVER, "250 ok\r\n"},
	  {SERVER, "2"},
	  {SAW, "CHUNK, GONE backend_malformed_reply"}}},
	{"an answer ahead of the last chunk's",
	 true,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SERVER, "250 ok\r\n250 queued\r\n"},
	  {SAW, "GONE backend_malformed_reply"}}},
	{"a refusal with an answer ahead of RSET's: the refusal stands",
	 true,
	 {CHUNKS_PIPELINE,
	  {CHUNK, "10"},
	  {SENT, "BDAT 10\r\n"},
	  {SERVER, "552 no\r\n250 reset\r\n"},
	  {SAW, "EARLY 552 spent, GONE backend_malformed_reply"},
	  {SENT, ""}}},
};

static void dialogues_cut_anywhere(void **state)
{
	for (size_t i = 0; i < sizeof(dialogues) / sizeof(dialogues[0]); i++) {
		print_message("%s\n", dialogues[i].name);
		for (size_t piece = 1; piece < 30; piece++) {
			struct dialogue dialogue;

			dialogue_begin(&dialogue, false);
			dialogue_run(&dialogue, dialogues[i].steps,
				     dialogues[i].whole || piece == 29 ? 4096 : piece);
		}
	}
}

static void deadlines(void **state)
{
	static const struct step between[] = {CHUNKS_PIPELINE, {STOP, NULL}};
	static const struct step first[] = {{CHUNK, "10"}, {CHUNK, "10"}, {STOP, NULL}};
	static const struct step answered[] = {{SERVER, "250 ok\r\n"}, {STOP, NULL}};
	static const struct step last[] = {{LAST_CHUNK, "10"}, {STOP, NULL}};
	struct dialogue dialogue;

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, between, 4096);
	assert_int_equal(dialogue.upstream.deadline_us, UINT64_MAX);
	dialogue_run(&dialogue, first, 4096);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 20000000);
	upstream_progress(&dialogue.upstream, &dialogue_policy, NOW_US + 15000000);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 35000000);
	dialogue_run(&dialogue, answered, 4096);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 20000000);
	dialogue_run(&dialogue, answered, 4096);
	assert_int_equal(dialogue.upstream.deadline_us, UINT64_MAX);
	dialogue_run(&dialogue, last, 4096);
	assert_int_equal(dialogue.upstream.deadline_us, NOW_US + 600000000);
}

// However fast a client is, so many answers may be owed and no more.
static void unanswered_chunks_are_bounded(void **state)
{
	static const struct step open[] = {CHUNKS_PIPELINE, {STOP, NULL}};
	struct dialogue dialogue;
	unsigned count = 0;

	dialogue_begin(&dialogue, false);
	dialogue_run(&dialogue, open, 4096);
	while (upstream_chunk_allowed(&dialogue.upstream, false)) {
		upstream_chunk(&dialogue.upstream, &dialogue_policy, 1, false, NOW_US,
			       &dialogue.commands);
		assert_true(++count < 100);
	}
	assert_int_equal(count, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogues_cut_anywhere),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(unanswered_chunks_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
