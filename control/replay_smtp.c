// SPDX-License-Identifier: BSD-3-Clause
//
// One row a verb. Owns nothing. Every extension that the gate can use is offered, but for those of
// chunks, since which ones the real servers have is not known here.
#include "control/replay_smtp.h"

#include <strings.h>

static const char end_of_data[] = "\r\n.\r\n";
#define END_BYTES     5
#define LINE_END_SEEN 2 // of end_of_data, at the beginning of a line

static const char *say_hello(struct replay_smtp *smtp)
{
	smtp->recipients = 0;
	return "250-backend.replay.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n"
	       "250-XLONGADDR\r\n250-XORAR\r\n250 SMTPUTF8\r\n";
}

static const char *begin(struct replay_smtp *smtp)
{
	smtp->recipients = 0;
	return "250 2.1.0 Sender OK\r\n";
}

static const char *recipient(struct replay_smtp *smtp)
{
	if (smtp->refuses)
		return "550 5.1.1 Recipient refused by the replay's backend\r\n";
	smtp->recipients++;
	return "250 2.1.5 Recipient OK\r\n";
}

static const char *data(struct replay_smtp *smtp)
{
	if (smtp->recipients == 0)
		return "554 5.5.1 No valid recipients\r\n";
	smtp->in_message = true;
	smtp->end_matched = LINE_END_SEEN;
	return "354 Go on\r\n";
}

static const char *reset(struct replay_smtp *smtp)
{
	smtp->recipients = 0;
	return "250 2.0.0 OK\r\n";
}

static const char *nothing(struct replay_smtp *smtp)
{
	return "250 2.0.0 OK\r\n";
}

static const char *quit(struct replay_smtp *smtp)
{
	smtp->closing = true;
	return "221 2.0.0 Bye\r\n";
}

static const struct {
	char verb[5];
	const char *(*answer)(struct replay_smtp *smtp);
} verbs[] = {
	{"EHLO", say_hello}, {"HELO", say_hello}, {"MAIL", begin},   {"RCPT", recipient},
	{"DATA", data},      {"RSET", reset},     {"NOOP", nothing}, {"QUIT", quit},
};

struct slice replay_smtp_open(struct replay_smtp *smtp, bool refuses)
{
	*smtp = (struct replay_smtp){.refuses = refuses};
	return slice_of_text("220 backend.replay.invalid ESMTP\r\n");
}

static struct slice message_byte(struct replay_smtp *smtp, uint8_t byte)
{
	if (byte == (uint8_t)end_of_data[smtp->end_matched])
		smtp->end_matched++;
	else
		smtp->end_matched = byte == '\r';
	if (smtp->end_matched < END_BYTES)
		return slice_of(NULL, 0);
	smtp->in_message = false;
	smtp->recipients = 0;
	return slice_of_text("250 2.0.0 Message taken\r\n");
}

struct slice replay_smtp_byte(struct replay_smtp *smtp, uint8_t byte)
{
	if (smtp->closing)
		return slice_of(NULL, 0);
	if (smtp->in_message)
		return message_byte(smtp, byte);
	if (smtp->length < sizeof(smtp->verb))
		smtp->verb[smtp->length++] = (char)byte;
	if (byte != '\n')
		return slice_of(NULL, 0);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (smtp->length < 4 || strncasecmp(smtp->verb, verbs[i].verb, 4) != 0)
			continue;
		smtp->length = 0;
		return slice_of_text(verbs[i].answer(smtp));
	}
	smtp->length = 0;
	return slice_of_text("500 5.5.2 Command unrecognized\r\n");
}
