// SPDX-License-Identifier: BSD-3-Clause
//
// The ledger of a simulation.

#include "tests/sim/mail.h"

#include <stdio.h>
#include <stdlib.h>

// Eight printable bytes from one draw.
static void write_word(struct dice *dice, uint8_t word[8])
{
	uint64_t draw = dice_u64(dice);

	for (unsigned i = 0; i < 8; i++, draw >>= 8)
		word[i] = (uint8_t)(33 + (draw & 0xff) % 94);
}

// Text of whole lines with what upsets relays: lone dots, stuffed dots, empty lines, long lines.
static size_t write_lines(struct dice *dice, uint8_t *text, size_t at, size_t size)
{
	while (at < size) {
		uint32_t shape = dice_below(dice, 16);
		uint32_t length = shape < 2 ? 0 : dice_below(dice, shape == 3 ? 990 : 76);

		if (shape == 1 || shape == 2) {
			text[at++] = '.';
			text[at++] = '.';
		}
		for (uint32_t i = 0; i < length; i += 8)
			write_word(dice, &text[at + i]);
		if (length && text[at] == '.')
			text[at] = 'x';
		at += length;
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
	mail->length = write_lines(&ledger->dice, mail->text, mail->length, size);
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

// Where the Received field at `at` ends, with its continuation lines; `at` when there is none.
static size_t behind_received(struct slice text, size_t at)
{
	static const char name[] = "Received: ";
	const uint8_t *end = text.data + at;

	if (text.length - at < sizeof(name) - 1 || memcmp(end, name, sizeof(name) - 1) != 0)
		return at;
	do {
		end = memchr(end, '\n', text.length - (size_t)(end - text.data));
		if (!end)
			return at;
		end++;
	} while (end < text.data + text.length && *end == '\t');
	return (size_t)(end - text.data);
}

// A Received field of the last gate, its stamps, and the Received fields of gates before it.
static bool added_by_gates(struct slice text)
{
	static const char stamps[] = "X-MS-Exchange-Organization-AuthAs: Anonymous\r\n"
				     "X-MS-Exchange-Organization-AuthSource: mx.example.com\r\n";
	size_t at = behind_received(text, 0), next;

	if (at == 0 || text.length - at < sizeof(stamps) - 1 ||
	    memcmp(text.data + at, stamps, sizeof(stamps) - 1) != 0)
		return false;
	for (at += sizeof(stamps) - 1; (next = behind_received(text, at)) != at; at = next)
		;
	return at == text.length;
}

void ledger_delivered(struct ledger *ledger, struct slice text)
{
	char line[64];
	unsigned id;
	const uint8_t *start = memmem(text.data, text.length, "X-Sim: ", 7);

	if (!start) {
		ledger->unknown = true;
		return;
	}
	snprintf(line, sizeof(line), "%.*s", 16, (const char *)start);
	id = (unsigned)strtoul(line + 7, NULL, 10);
	if (id >= ledger->count) {
		ledger->unknown = true;
		return;
	}
	struct mail *mail = &ledger->mails[id];
	mail->delivered++;
	size_t added = (size_t)(start - text.data);
	mail->changed |= !added_by_gates(slice_first(text, added)) ||
			 text.length - added != mail->length ||
			 memcmp(start, mail->text, mail->length) != 0;
}

void ledger_answered(struct ledger *ledger, struct mail *mail, unsigned code)
{
	mail->code = code;
	mail->early |= code == 250 && mail->delivered == 0;
}

// Only these may ever reach the server.
static bool may_pass(enum mail_kind kind)
{
	return kind == MAIL_ORDINARY || kind == MAIL_HALF_CLOSED || kind == MAIL_VANISH ||
	       kind == MAIL_SLOW;
}

const char *ledger_verdict(const struct ledger *ledger, char text[128])
{
	if (ledger->foreign)
		return "the server was asked to relay to a foreign domain";
	if (ledger->unknown)
		return "the server got a message that nobody sent";
	if (ledger->rushed)
		return "a server without PIPELINING was told more than it had answered";
	for (unsigned i = 0; i < ledger->count; i++) {
		const struct mail *mail = &ledger->mails[i];
		const char *fault = NULL;

		if (mail->code == 250 && mail->delivered == 0 && may_pass(mail->kind))
			fault = "acknowledged but not delivered";
		else if (mail->early && may_pass(mail->kind))
			fault = "acknowledged before it was delivered";
		else if (mail->delivered > 1)
			fault = "delivered twice";
		else if (mail->delivered && !mail->finished)
			fault = "delivered though the client never finished it";
		else if (mail->delivered && !may_pass(mail->kind))
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
