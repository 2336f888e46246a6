// SPDX-License-Identifier: BSD-3-Clause
//
// The ledger of a simulation.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>

// Text of whole lines with what upsets relays: lone dots, stuffed dots, empty lines, 8-bit bytes.
static size_t write_lines(struct random *random, uint8_t *text, size_t at, size_t size)
{
	while (at < size) {
		uint32_t shape = random_below(random, 16);
		uint32_t length = shape < 2 ? 0 : random_below(random, shape == 3 ? 998 : 76);

		if (shape == 1 || shape == 2) {
			text[at++] = '.';
			text[at++] = '.';
		}
		for (uint32_t i = 0; i < length; i++) {
			uint8_t byte = (uint8_t)(33 + random_below(random, 94));
			text[at++] = i == 0 && byte == '.' ? 'x' : byte;
		}
		text[at++] = '\r';
		text[at++] = '\n';
	}
	return at;
}

unsigned ledger_add(struct ledger *ledger, enum mail_kind kind, uint32_t size)
{
	unsigned id = ledger->count++;
	struct mail *mail = &ledger->mails[id];

	mail->kind = kind;
	mail->text = malloc(size + 2048);
	mail->length = (size_t)sprintf((char *)mail->text, "X-Sim: %u\r\n\r\n", id);
	mail->length = write_lines(ledger->random, mail->text, mail->length, size);
	if (kind == MAIL_BARE_LINE_FEED) {
		static const char smuggled[] = "\n.\r\nMAIL FROM:<a@evil.test>\r\n";

		memcpy(mail->text + mail->length, smuggled, sizeof(smuggled) - 1);
		mail->length += sizeof(smuggled) - 1;
	}
	return id;
}

void ledger_fini(struct ledger *ledger)
{
	for (unsigned i = 0; i < ledger->count; i++)
		free(ledger->mails[i].text);
}

void ledger_delivered(struct ledger *ledger, struct slice text)
{
	char line[64];
	unsigned id;
	const uint8_t *start = memmem(text.data, text.length, "X-Sim: ", 7);

	if (!start)
		return;
	snprintf(line, sizeof(line), "%.*s", 16, (const char *)start);
	id = (unsigned)strtoul(line + 7, NULL, 10);
	if (id >= ledger->count)
		return;
	struct mail *mail = &ledger->mails[id];
	mail->delivered++;
	size_t added = (size_t)(start - text.data);
	// Only the Received header may stand in front.
	mail->changed |= memcmp(text.data, "Received: ", 10) != 0 ||
			 text.length - added != mail->length ||
			 memcmp(start, mail->text, mail->length) != 0;
}

const char *ledger_verdict(const struct ledger *ledger, char text[128])
{
	for (unsigned i = 0; i < ledger->count; i++) {
		const struct mail *mail = &ledger->mails[i];
		const char *fault = NULL;

		if (mail->code == 250 && mail->delivered == 0)
			fault = "acknowledged but not delivered";
		else if (mail->delivered > 1)
			fault = "delivered twice";
		else if (mail->delivered && !mail->finished)
			fault = "delivered though the client never finished it";
		else if (mail->delivered && mail->kind != MAIL_ORDINARY &&
			 mail->kind != MAIL_VANISH)
			fault = "delivered though it had to be refused";
		else if (mail->delivered && mail->changed)
			fault = "changed on the way";
		if (!fault)
			continue;
		snprintf(text, 128, "mail %u (kind %d, %zu bytes, answer %u): %s", i, mail->kind,
			 mail->length, mail->code, fault);
		return text;
	}
	return NULL;
}
