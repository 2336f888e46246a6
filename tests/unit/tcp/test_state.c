// SPDX-License-Identifier: BSD-3-Clause
//
// Orders in which a connection can open and end, as scripts: each line is one step of the
// application or the peer, and the state (and events) that must follow. Run far from the wrap of
// the sequence numbers and right at it.
#include "tests/unit/tcp/lab.h"

enum act {
	END_OF_SCRIPT,
	CLOSE,     // application: close; our FIN goes out
	ACK_FIN,   // peer acknowledges our FIN
	FIN,       // peer's FIN, our FIN not acknowledged
	FIN_ACK,   // peer's FIN, our FIN acknowledged
	DATA,      // 10 bytes of the peer
	FIN_AGAIN, // the peer repeats its FIN
	RESET,     // exact RST
};

struct step {
	enum act act;
	const char *state;
	unsigned events;
};

static const struct script {
	const char *name;
	struct step steps[8];
} scripts[] = {
	{"we close first",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {ACK_FIN, "FIN-WAIT-2", 0},
	  {FIN_ACK, "TIME-WAIT", TCP_EVENT_PEER_CLOSED | TCP_EVENT_CLOSED},
	  {FIN_AGAIN, "TIME-WAIT", 0}}},
	{"half close: the peer goes on sending",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {DATA, "FIN-WAIT-1", TCP_EVENT_READABLE},
	  {ACK_FIN, "FIN-WAIT-2", 0},
	  {DATA, "FIN-WAIT-2", TCP_EVENT_READABLE},
	  {FIN_ACK, "TIME-WAIT", TCP_EVENT_PEER_CLOSED | TCP_EVENT_CLOSED}}},
	{"FIN and ACK of ours in one segment",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {FIN_ACK, "TIME-WAIT", TCP_EVENT_PEER_CLOSED | TCP_EVENT_CLOSED}}},
	{"simultaneous close",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {FIN, "CLOSING", TCP_EVENT_PEER_CLOSED},
	  {ACK_FIN, "TIME-WAIT", TCP_EVENT_CLOSED}}},
	{"the peer closes first",
	 {{FIN, "CLOSE-WAIT", TCP_EVENT_PEER_CLOSED},
	  {FIN_AGAIN, "CLOSE-WAIT", 0},
	  {CLOSE, "LAST-ACK", 0},
	  {FIN_AGAIN, "LAST-ACK", 0},
	  {ACK_FIN, "CLOSED", TCP_EVENT_CLOSED}}},
	{"RST while established", {{RESET, "CLOSED", TCP_EVENT_RESET}}},
	{"RST in FIN-WAIT-2",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {ACK_FIN, "FIN-WAIT-2", 0},
	  {RESET, "CLOSED", TCP_EVENT_RESET}}},
	{"RST in LAST-ACK",
	 {{FIN, "CLOSE-WAIT", TCP_EVENT_PEER_CLOSED},
	  {CLOSE, "LAST-ACK", 0},
	  {RESET, "CLOSED", TCP_EVENT_RESET}}},
	{"RST does not end TIME-WAIT (RFC 1337)",
	 {{CLOSE, "FIN-WAIT-1", 0},
	  {FIN_ACK, "TIME-WAIT", TCP_EVENT_PEER_CLOSED | TCP_EVENT_CLOSED},
	  {RESET, "TIME-WAIT", 0}}},
};

// Peer's and our next sequence numbers, relative.
struct place {
	uint32_t peer, ours;
};

static void act(struct lab *lab, const struct step *step, struct place *at)
{
	switch (step->act) {
	case CLOSE:
		lab->events = 0;
		tcp_close(lab->tcp, lab->flow);
		assert_int_equal(lab_output(lab), 1);
		assert_int_equal(lab->sent[0].segment.flags, TCP_FIN | TCP_ACK);
		at->ours++;
		break;
	case ACK_FIN:
		assert_int_equal(lab_give(lab, (struct lab_in){.seq = at->peer, .ack = at->ours}),
				 REASON_NONE);
		break;
	case FIN:
	case FIN_ACK:
		lab_give(lab, (struct lab_in){.seq = at->peer,
					      .ack = step->act == FIN ? 0 : at->ours,
					      .flags = TCP_FIN | TCP_ACK});
		at->peer++;
		assert_int_equal(lab->sent_count, 1); // acknowledged at once
		assert_int_equal(lab->sent[0].ack, at->peer);
		break;
	case FIN_AGAIN:
		lab_give(lab, (struct lab_in){.seq = at->peer - 1,
					      .ack = at->ours,
					      .flags = TCP_FIN | TCP_ACK});
		assert_int_equal(lab->sent_count, 1);
		assert_int_equal(lab->sent[0].ack, at->peer);
		break;
	case DATA:
		lab_input(lab, (struct lab_in){.seq = at->peer, .length = 10});
		assert_int_equal(lab_read(lab, at->peer, 100), 10);
		lab_settle(lab);
		at->peer += 10;
		break;
	case RESET:
		lab_give(lab, (struct lab_in){.seq = at->peer, .flags = TCP_RST});
		break;
	case END_OF_SCRIPT:
		break;
	}
}

static void run_script(const struct script *script, uint32_t our_isn, uint32_t peer_isn)
{
	struct lab *lab = lab_open((struct lab_config){.our_isn = our_isn, .peer_isn = peer_isn});
	struct place at = {0};

	for (const struct step *step = script->steps; step->act != END_OF_SCRIPT; step++) {
		act(lab, step, &at);
		if (strcmp(tcp_state_name(lab->flow), step->state) != 0)
			fail_msg("%s, step %d: %s", script->name, (int)(step - script->steps),
				 tcp_state_name(lab->flow));
		if (lab->events != step->events)
			fail_msg("%s, step %d: events %x", script->name,
				 (int)(step - script->steps), lab->events);
	}
	lab_close(lab);
}

static void test_scripts(void **state)
{
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		run_script(&scripts[i], 1000, 2000000000);
		for (uint32_t before = 0; before < 4; before++)
			run_script(&scripts[i], 0u - before, 0u - 12 - before);
	}
}

// What each state answers to an abort.
static void test_abort_tells_the_peer_when_it_must(void **state)
{
	static const struct {
		enum act acts[3];
		bool reset;
	} cases[] = {
		{{END_OF_SCRIPT}, true},   {{CLOSE}, true},
		{{CLOSE, ACK_FIN}, true},  {{FIN}, true},
		{{CLOSE, FIN}, false},     {{FIN, CLOSE}, false},
		{{CLOSE, FIN_ACK}, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lab *lab = lab_open((struct lab_config){.our_isn = 77});
		struct place at = {0};
		struct segment reset;

		for (int n = 0; n < 3 && cases[i].acts[n] != END_OF_SCRIPT; n++)
			act(lab, &(struct step){.act = cases[i].acts[n]}, &at);
		assert_int_equal(tcp_abort(lab->tcp, lab->flow, &reset), cases[i].reset);
		if (cases[i].reset) {
			assert_true(reset.flags & TCP_RST);
			assert_int_equal(reset.sequence - lab->our_base, at.ours);
		}
		lab_state(lab, "CLOSED");
		assert_int_equal(lab_output(lab), 0);
		lab_close(lab);
	}
}

// LAST-ACK is entered when the application closes: bytes that the window held back must not vanish
// silently.
static void test_abort_with_unsent_bytes_resets(void **state)
{
	struct lab *lab = lab_open((struct lab_config){.window = 10});
	struct segment reset;

	lab_queue(lab, 0, 100);
	lab_give(lab, (struct lab_in){.flags = TCP_FIN | TCP_ACK, .window = 10});
	tcp_close(lab->tcp, lab->flow);
	lab_state(lab, "LAST-ACK");
	assert_true(tcp_abort(lab->tcp, lab->flow, &reset));
	lab_close(lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_abort_tells_the_peer_when_it_must),
		cmocka_unit_test(test_abort_with_unsent_bytes_resets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
