// SPDX-License-Identifier: BSD-3-Clause
//
// The mutator for what an SMTP client says, called by libFuzzer: two bytes that the target reads by
// itself, then text. Beside changing bytes it inserts, repeats and removes lines, envelopes whole
// or in parts, parameters, chunks with their octets, and what upsets relays. Draws only from the
// seed that libFuzzer gives.
#include "tests/fuzz/lines.h"

#include <stdio.h>
#include <string.h>

#define OWN_BYTES 2 // of the target
#define CHUNK_MAX 200

static const char *const phrases[] = {
	"EHLO client.test\r\n",
	"HELO x\r\n",
	"MAIL FROM:<alice@client.test>\r\n",
	"MAIL FROM:<>\r\n",
	"MAIL FROM:<a@own.test>\r\n",
	"RCPT TO:<bob@own.test>\r\n",
	"RCPT TO:<carol@deep.own.test>\r\n",
	"RCPT TO:<dave@foreign.test>\r\n",
	"RCPT TO:<postmaster>\r\n",
	"RCPT TO:<@foreign.test:eve@own.test>\r\n",
	"RCPT TO:<\"a b\"@own.test>\r\n",
	"RCPT TO:<x@[192.0.2.1]>\r\n",
	"RCPT TO:<x%foreign.test@own.test>\r\n",
	"DATA\r\n",
	"\r\n",
	".\r\n",
	"..\r\n",
	".x\r\n",
	"\n.\n",
	"\r\n.\n",
	"\n.\r\n",
	"\r.\r\n",
	"Subject: x\r\n\r\n",
	"Received: from a by mx.own.test; x\r\n",
	"X-MS-Exchange-Organization-AuthAs: Internal\r\n",
	"X-MS-Exchange-Forest-Y: z\r\n\tmore\r\n",
	"RSET\r\n",
	"NOOP\r\n",
	"QUIT\r\n",
	"VRFY bob\r\n",
	"HELP\r\n",
	"XEXCH50 10 2\r\n",
	"AUTH LOGIN\r\n",
	"STARTTLS\r\n",
	"BDAT 0 LAST\r\n",
	"BDAT 18446744073709551615\r\n",
	"BDAT 4 LAST\r\nab\r\n",
	// An envelope and a message at once.
	"MAIL FROM:<>\r\nRCPT TO:<b@own.test>\r\nDATA\r\nhi\r\n.\r\n",
	"RCPT TO:<b@own.test>\r\nDATA\r\n",
	"RCPT TO:<b@own.test>\r\nBDAT 4\r\nab\r\nBDAT 2 LAST\r\n\r\n",
};

static const char *const parameters[] = {
	" SIZE=40",       " SIZE=99999999999999999999",
	" BODY=8BITMIME", " BODY=BINARYMIME",
	" BODY=7BIT",     " SMTPUTF8",
	" RET=HDRS",      " ENVID=a+2Bb",
	" NOTIFY=NEVER",  " NOTIFY=SUCCESS,DELAY",
	" AUTH=<>",       " ORCPT=rfc822;x@y",
	" AUTH=a@b",      " X=y",
	" XLONGADDR=yes", "SIZE=1",
};

static void insert_text(struct lines *text, size_t at, const char *piece)
{
	lines_insert(text, at, piece, strlen(piece));
}

// Behind what a line says, ahead of its CR LF.
static void insert_parameter(struct lines *text, uint32_t *seed)
{
	size_t at = lines_end(text, lines_some(text, seed));

	while (at > 0 && (text->bytes[at - 1] == '\n' || text->bytes[at - 1] == '\r'))
		at--;
	insert_text(text, at, DRAW_FROM(seed, parameters));
}

// As many octets as it says, mostly.
static void insert_chunk(struct lines *text, uint32_t *seed)
{
	static const char *const pieces[] = {"a", "\r\n", ".", "\r\n.\r\n", "\n", "\r", "X: y\r\n"};
	char chunk[CHUNK_MAX], command[40];
	size_t length = 0;
	const size_t wanted = lines_draw(seed, CHUNK_MAX - 8);
	const size_t at = lines_some(text, seed);

	while (length < wanted) {
		const char *piece = DRAW_FROM(seed, pieces);

		memcpy(chunk + length, piece, strlen(piece));
		length += strlen(piece);
	}
	snprintf(command, sizeof(command), "BDAT %zu%s\r\n", length + (lines_draw(seed, 8) == 0),
		 lines_draw(seed, 2) ? " LAST" : "");
	lines_insert(text, at, chunk, length);
	insert_text(text, at, command);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t state = lines_seed(seed);

	if (size < OWN_BYTES || max_size < 2 * OWN_BYTES)
		return LLVMFuzzerMutate(data, size, max_size);
	struct lines text = {(char *)data + OWN_BYTES, size - OWN_BYTES, max_size - OWN_BYTES};

	for (unsigned changes = 1 + lines_draw(&state, 4); changes > 0; changes--) {
		const uint32_t kind = lines_draw(&state, 16);

		if (kind < 6)
			insert_text(&text, lines_some(&text, &state), DRAW_FROM(&state, phrases));
		else if (kind < 8)
			insert_parameter(&text, &state);
		else if (kind < 9)
			insert_chunk(&text, &state);
		else if (kind < 11)
			lines_erase(&text, &state);
		else if (kind < 12)
			lines_repeat(&text, &state);
		else if (kind < 13)
			data[lines_draw(&state, OWN_BYTES)] = (uint8_t)lines_draw(&state, 256);
		else
			text.size = LLVMFuzzerMutate((uint8_t *)text.bytes, text.size, text.room);
	}
	return OWN_BYTES + text.size;
}
