// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: frames into a whole pipeline, with time passing between them. Operations speak for
// clients, servers, routers and liars around the gate, relative to live connections; the peers do
// by themselves what well-behaved ones do, so that sessions and transactions get far. After each
// operation the books are checked (gate.c), at the end the gate drains and every pool must be full.
//
// runs: 1200
#include "tests/fuzz/gate.h"
#include "tests/unit/net/vectors.h"

enum kind {
	CONNECT,
	SEGMENT,
	TEXT,
	SHUT,
	SERVER_SEGMENT,
	SERVER_TEXT,
	SERVER_SHUT,
	REPLY, // what servers answer from now on
	TIME,
	RAW,
	VECTOR,
	TOO_BIG,
	BULK,
	MODE,
	DRAIN,
	BURST, // the next frames go together
	REPEAT,
	EXHAUST,
	KINDS
};

static const uint8_t kinds[] = {
	CONNECT,     CONNECT,     CONNECT, SEGMENT, SEGMENT, SEGMENT, TEXT,   TEXT,
	TEXT,        TEXT,        TEXT,    TEXT,    SHUT,    BULK,    BULK,   SERVER_SEGMENT,
	SERVER_TEXT, SERVER_SHUT, REPLY,   REPLY,   TIME,    TIME,    TIME,   RAW,
	VECTOR,      TOO_BIG,     MODE,    DRAIN,   BURST,   REPEAT,  EXHAUST};
static const char *const texts[] = {
	"EHLO c.test\r\n",
	"MAIL FROM:<a@c.test>\r\n",
	"RCPT TO:<b@own.test>\r\n",
	"DATA\r\n",
	"Subject: x\r\n\r\nbody\r\n.\r\n",
	"QUIT\r\n",
	"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@own.test>\r\n",
	"RSET\r\n",
	"RCPT TO:<x@foreign.test>\r\n",
	"\r\n.\r\n",
	"MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\n",
	"NOOP\r\n",
	"HELO c.test\r\n",
	"VRFY x\r\n",
	"..\r\n.x\r\n",
	"RCPT TO:<postmaster>\r\n",
	"bare\nline\n",
	"GET / HTTP/1.0\r\n\r\n",
	"MAIL FROM:<a@own.test>\r\n",
	"220 other\r\n",
	"250 ok\r\n",
	"250-x\r\n250-PIPELINING\r\n250 SIZE 100\r\n",
	"250 x\r\n",
	"354 go\r\n",
	"421 bye\r\n",
	"450 later\r\n",
	"550 5.1.1 no\r\n",
	"502 what\r\n",
	"not a reply\r\n",
	"",
	"250",
	"BDAT 20\r\nSubject: x\r\n\r\nbody\r\n",
	"BDAT 4 LAST\r\nab\r\n",
	"BDAT 0 LAST\r\n",
	"MAIL FROM:<a@c.test> BODY=BINARYMIME SMTPUTF8 RET=HDRS\r\n",
	"RCPT TO:<b@own.test> NOTIFY=NEVER\r\n",
	"250-x\r\n250-CHUNKING\r\n250 SIZE 100\r\n",
	"EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<b@own.test>\r\nBDAT 4 LAST\r\nab\r\n",
	"Received: from a by mx.test; x\r\nX-MS-Exchange-Organization-A: b\r\n\r\n",
};
const struct operation_grammar operation_grammar = {
	.kinds = kinds,
	.kind_count = sizeof(kinds),
	.texts = texts,
	.text_count = sizeof(texts) / sizeof(texts[0]),
};

static struct slice text_of(const struct operation *operation)
{
	return operation->length
		       ? operation->bytes
		       : slice_of_text(texts[operation->choice % operation_grammar.text_count]);
}

// ---- Frames that nobody's state explains -----------------------------------------------------

static const struct slice vectors[] = {
#define FRAME(vector) {vector, sizeof(vector)},
	VECTORS_TO_US(FRAME)
#undef FRAME
};

// A good frame with some bytes changed, cut or padded.
static void vector(struct gate *gate, const struct operation *operation)
{
	struct slice base = vectors[operation->choice % (sizeof(vectors) / sizeof(vectors[0]))];
	uint8_t frame[512] = {0};
	size_t length = base.length;

	memcpy(frame, base.data, base.length);
	for (size_t i = 0; i + 1 < operation->bytes.length; i += 2)
		frame[operation->bytes.data[i] % base.length] = operation->bytes.data[i + 1];
	if (operation->delta)
		length = (length + operation->size % 512) % sizeof(frame);
	frames_add(&gate->peers.out, operation->place % 8 == 7, slice_of(frame, length));
}

// Lines of a body.
static void bulk(struct gate *gate, const struct operation *operation)
{
	static const char line[] =
		"sixty-four bytes of a line that ends as every line has to end!\r\n";
	struct peer *peer = peers_client(&gate->peers, operation->who);
	uint8_t text[8192];
	size_t length = operation->size % sizeof(text);

	_Static_assert(sizeof(line) == 65, "a line of 64 bytes");
	for (size_t i = 0; i < length; i++)
		text[i] = (uint8_t)line[i % 64];
	peer_say(&gate->peers, peer, slice_of(text, length));
}

static void pass(struct gate *gate, const struct operation *operation)
{
	static const uint32_t units[] = {1, 1000, 100000, 1000000};
	uint64_t us = (uint64_t)operation->size * units[operation->choice % 4];

	gate_pass(gate, us < 700000000 ? us : 700000000);
	if (gate->peers.mode & MODE_REPEAT)
		peers_repeat(&gate->peers);
}

static void serve(struct gate *gate, const struct operation *operation)
{
	struct peer *peer = peers_server(&gate->peers, operation->who);

	if (!peer)
		return;
	switch (operation->kind % KINDS) {
	case SERVER_SEGMENT:
		peer_segment(&gate->peers, peer, operation);
		break;
	case SERVER_TEXT:
		peer->scripted = true;
		peer_say(&gate->peers, peer, text_of(operation));
		break;
	default:
		peer_shut(&gate->peers, peer,
			  operation->choice & 1 ? TCP_RST | TCP_ACK : TCP_FIN | TCP_ACK);
	}
}

static void run(struct gate *gate, const struct operation *operation)
{
	struct peers *peers = &gate->peers;
	struct peer *client = peers_client(peers, operation->who);

	switch (operation->kind % KINDS) {
	case CONNECT:
		peer_connect(peers, client, operation);
		break;
	case SEGMENT:
		peer_segment(peers, client, operation);
		break;
	case TEXT:
		peer_say(peers, client, text_of(operation));
		break;
	case SHUT:
		peer_shut(peers, client,
			  operation->choice & 1 ? TCP_RST | TCP_ACK : TCP_FIN | TCP_ACK);
		break;
	case SERVER_SEGMENT:
	case SERVER_TEXT:
	case SERVER_SHUT:
		serve(gate, operation);
		break;
	case REPLY:
		gate_set_reply(gate, operation->who, text_of(operation));
		break;
	case TIME:
		pass(gate, operation);
		break;
	case RAW:
		frames_add(&peers->out, operation->who & 1, operation->bytes);
		break;
	case VECTOR:
		vector(gate, operation);
		break;
	case TOO_BIG:
		client = operation->choice & 1 ? peers_server(peers, operation->who) : client;
		if (client)
			peer_too_big(peers, client, operation);
		break;
	case BULK:
		bulk(gate, operation);
		break;
	case MODE:
		gate_set_mode(gate, operation->choice);
		break;
	case DRAIN:
		gate_drain(gate, operation->choice & 1);
		break;
	case BURST:
		gate->burst = operation->choice % 16;
		break;
	case REPEAT:
		peers_repeat(peers);
		break;
	case EXHAUST:
		gate_exhaust(gate, operation->choice % 64);
		break;
	}
	gate_move(gate);
	gate_check(gate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor cursor = cursor_of(slice_of(data, size));
	struct slice configuration = cursor_take(&cursor, OPERATION_CONFIGURATION);
	struct operation operation;

	if (cursor.failed)
		return 0;
	struct gate *gate = gate_new(configuration.data);
	for (unsigned count = 0; count < 200 && operation_next(&cursor, &operation); count++)
		run(gate, &operation);
	gate_finish(gate);
	return 0;
}
