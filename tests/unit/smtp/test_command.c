// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of smtp/command: each verb in each state, its arguments and what hostile ones get.
#include "tests/unit/smtp/dialogue.h"

#define UNRECOGNIZED      "!smtp_unrecognized\n500 5.3.3 Unrecognized command\n"
#define BAD_ARGUMENTS     "!smtp_bad_parameter\n501 5.5.4 Invalid arguments\n"
#define BAD_NAME          "!smtp_bad_parameter\n501 5.5.4 Invalid domain name\n"
#define BAD_SENDER        "!smtp_bad_address\n501 5.1.7 Invalid address\n"
#define BAD_RECIPIENT     "!smtp_bad_address\n501 5.1.3 Invalid address\n"
#define UNKNOWN_PARAMETER "!smtp_bad_parameter\n555 5.5.4 Unsupported parameter\n"
#define HELLO_FIRST       "!smtp_bad_sequence\n503 5.5.2 Send hello first\n"
#define NEED_MAIL         "!smtp_bad_sequence\n503 5.5.2 Need mail command\n"
#define NEED_RCPT         "!smtp_bad_sequence\n503 5.5.2 Need rcpt command\n"
#define ALREADY           "!smtp_bad_sequence\n503 5.5.2 Sender already specified\n"
#define RELAY             "!smtp_unable_to_relay\n550 5.7.1 Unable to relay\n"
#define TOO_LARGE                                                                                  \
	"!smtp_too_large\n552 5.3.4 Message size exceeds fixed maximum "                           \
	"message size\n"
#define PATIENT .setup = {.max_protocol_errors = 1000}
#define HELP_REPLY                                                                                 \
	"214 2.0.0 Commands: HELO EHLO MAIL RCPT DATA BDAT XEXCH50 RSET NOOP QUIT VRFY HELP\n"
#define READY BANNER EHLO_REPLY

#define RCPT_ORAR "RCPT TO:<b@own.test> ORAR="
#define ORAR_EHLO_REPLY                                                                            \
	"250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n250-DSN\n"             \
	"250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 XORAR\n"

#define BLOCKED "!smtp_blocked\n550 5.7.1 192.0.2.7 is on the block list\n"

static const struct script scripts[] = {
	{"EHLO", CLIENT(HELLO), .expect = BANNER EHLO_REPLY},
	{"EHLO without 8BITMIME in the backends", .setup = {.without_8bitmime = true},
	 CLIENT(HELLO "MAIL FROM:<> BODY=8BITMIME\r\nMAIL FROM:<> BODY=7BIT\r\n"),
	 .expect = BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"
			  "250 ENHANCEDSTATUSCODES\n" UNKNOWN_PARAMETER MAIL_REPLY},
	{"EHLO without a size limit", .setup = {.granted = RIGHT_BYPASS_MESSAGE_SIZE_LIMIT},
	 CLIENT(HELLO),
	 .expect = BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE\n250-PIPELINING\n"
			  "250-ENHANCEDSTATUSCODES\n250 8BITMIME\n"},
	{"EHLO from IPv6", .setup = {.ipv6 = true, .banner = (char *)"mail here"},
	 CLIENT("EHLO [IPv6:2001:db8::7]\r\n"),
	 .expect = "220 mail here\n250-mx.own.test Hello [2001:db8::7]\n250-SIZE 65536\n"
		   "250-PIPELINING\n250-ENHANCEDSTATUSCODES\n250 8BITMIME\n"},
	{"HELO, and no parameters then",
	 CLIENT("helo client\r\nMAIL FROM:<> SIZE=1\r\n"
		"MAIL FROM:<>\r\n"),
	 .expect = BANNER "250 mx.own.test Hello [192.0.2.7]\n" UNKNOWN_PARAMETER MAIL_REPLY},
	{"names that are none", PATIENT,
	 CLIENT("EHLO a b\r\nEHLO <a>\r\nEHLO a..b\r\nEHLO caf\xc3\xa9\r\n"
		"EHLO a\tb\r\nEHLO [a b]\r\nMAIL FROM:<>\r\n"),
	 .expect = BANNER BAD_NAME BAD_NAME BAD_NAME BAD_NAME BAD_NAME BAD_NAME HELLO_FIRST},
	{"no name at all", .setup = {0}, CLIENT("HELO\r\nMAIL FROM:<>\r\n"),
	 .expect = BANNER "250 mx.own.test Hello [192.0.2.7]\n" MAIL_REPLY},
	{"no name where one is wanted", .setup = {.require_ehlo_domain = true}, CLIENT("EHLO \r\n"),
	 .expect = BANNER "!smtp_hello_needs_domain\n501 5.0.0 HELO / EHLO requires domain "
			  "address\n[CLOSE]\n"},
	{"all that servers have",
	 .setup = {.extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_SMTPUTF8},
	 CLIENT("EHLO a\r\n"),
	 .expect = BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"
			  "250-DSN\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 SMTPUTF8\n"},
	{"addresses above ASCII", .setup = {.extensions = SMTP_EXTENSION_SMTPUTF8},
	 CLIENT("EHLO a\r\nMAIL FROM:<\xc3\xa9@own.test>\r\n"
		"MAIL FROM:<\xc3\xa9@own.test> SMTPUTF8\r\n"),
	 .expect = BANNER
	 "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"
	 "250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 SMTPUTF8\n"
	 "!smtp_utf8_not_asked\n553 5.6.7 SMTPUTF8 is needed for this address\n" MAIL_REPLY},
	{"reserved domains",
	 .setup = {.granted = RIGHT_ACCEPT_ANY_RECIPIENT, .reject_reserved = true},
	 CLIENT(HELLO MAIL
		"RCPT TO:<a@b.test>\r\nRCPT TO:<a@EXAMPLE>\r\nRCPT TO:<a@b.example.net>\r\n"
		"RCPT TO:<a@b>\r\nRCPT TO:<a%c.invalid@b.com>\r\n"),
	 .expect = READY MAIL_REPLY
	 "!smtp_reserved_top_level\n501 5.1.4 Recipient address reserved by RFC 2606\n"
	 "!smtp_reserved_top_level\n501 5.1.4 Recipient address reserved by RFC 2606\n"
	 "!smtp_reserved_second_level\n501 5.1.5 Recipient address reserved by RFC 2606\n"
	 "!smtp_single_label\n501 5.1.6 Recipient addresses in single label domains not "
	 "accepted\n"
	 "!smtp_reserved_top_level\n501 5.1.4 Recipient address reserved by RFC 2606\n"},
	{"before EHLO", PATIENT,
	 CLIENT("MAIL FROM:<>\r\nRCPT TO:<b@own.test>\r\nDATA\r\nRSET\r\nNOOP\r\nVRFY x\r\nHELP\r\n"
		"QUIT\r\n"),
	 .expect = BANNER HELLO_FIRST HELLO_FIRST HELLO_FIRST
	 "250 2.0.0 Resetting\n250 2.0.0 OK\n252 2.1.5 Cannot VRFY user\n" HELP_REPLY
	 "221 2.0.0 Service closing transmission channel\n[CLOSE]\n"},
	{"without a transaction", PATIENT,
	 CLIENT(HELLO RCPT "DATA\r\nRSET\r\nNOOP anything at all\r\nVRFY\r\n"),
	 .expect = READY NEED_MAIL NEED_MAIL "250 2.0.0 Resetting\n250 2.0.0 OK\n" BAD_ARGUMENTS},
	{"after MAIL", PATIENT,
	 CLIENT(HELLO MAIL MAIL "DATA\r\nNOOP\r\nVRFY x\r\nHELP\r\nRSET\r\nDATA\r\n"),
	 .expect = READY MAIL_REPLY ALREADY NEED_RCPT
	 "250 2.0.0 OK\n252 2.1.5 Cannot VRFY user\n" HELP_REPLY
	 "250 2.0.0 Resetting\nleft [RESET]\n" NEED_MAIL},
	{"EHLO resets", PATIENT, CLIENT(HELLO MAIL HELLO RCPT "HELO x\r\n"),
	 .expect = READY MAIL_REPLY EHLO_REPLY "left [RESET]\n" NEED_MAIL
					       "250 mx.own.test Hello [192.0.2.7]\n"},
	{"a bad EHLO does not reset", PATIENT, CLIENT(HELLO MAIL "EHLO a..b\r\n" MAIL),
	 .expect = READY MAIL_REPLY BAD_NAME ALREADY},
	{"after RCPT", PATIENT, CLIENT(HELLO MAIL RCPT MAIL "NOOP\r\nQUIT\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = ENVELOPE_REPLY ALREADY
	 "250 2.0.0 OK\n221 2.0.0 Service closing transmission channel\nleft [CLOSE]\n"},
	{"verbs without a row, by one rule", PATIENT,
	 CLIENT(HELLO "EXPN x\r\nETRN x\r\nSTARTTLS\r\nAUTH LOGIN\r\n"
		      "XCLIENT ADDR=192.0.2.1\r\nXFORWARD NAME=x\r\nPROXY TCP4 1 2 3 4\r\nTURN\r\n"
		      "SEND FROM:<>\r\nMAILFROM:<>\r\nDATAx\r\n\r\n EHLO x\r\n\tNOOP\r\n\x80\r\n"
		      "MAIL\tFROM:<>\r\n"),
	 .expect = READY UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED
		 UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED
			 UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED UNRECOGNIZED},
	{"case and blanks do not matter",
	 CLIENT("eHlO client.example \t\r\nmAiL fRoM:  <> \t\r\n"
		"rset  \r\nnoop\t\r\n"),
	 .expect = READY MAIL_REPLY "250 2.0.0 Resetting\nleft [RESET]\n250 2.0.0 OK\n"},
	{"arguments where none belong", PATIENT,
	 CLIENT(HELLO MAIL RCPT "DATA x\r\nRSET x\r\nQUIT x\r\nNOOP \x01\r\nVRFY \x80\r\n"
				"HELP a\tb\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = ENVELOPE_REPLY BAD_ARGUMENTS BAD_ARGUMENTS BAD_ARGUMENTS BAD_ARGUMENTS
		 BAD_ARGUMENTS BAD_ARGUMENTS},
	{"senders", PATIENT,
	 CLIENT(HELLO
		"MAIL\r\nMAIL FROM\r\nMAIL FROM:\r\nMAIL TO:<a@b>\r\nMAIL FROM:a@b\r\n"
		"MAIL FROM:<a@b\r\nMAIL FROM:<a>\r\nMAIL FROM:<postmaster>\r\n"
		"MAIL FROM:\t<>\r\nMAIL FROM:<\xc3\xa9@b>\r\nMAIL FROM:<a@b>SIZE=1\r\n"
		"MAIL FROM:<a@b> SIZE=\r\nMAIL FROM:<a@b> SIZE=1 SIZE=1\r\n"
		"MAIL FROM:<a@b> XOORG=a\r\nMAIL FROM:<a@b> SMTPUTF8\r\n"
		"MAIL FROM:<a@b> BODY=BINARYMIME\r\nMAIL FROM:<a@b> SIZE=65536 BODY=8BITMIME\r\n"),
	 .expect = READY BAD_ARGUMENTS BAD_ARGUMENTS BAD_SENDER BAD_ARGUMENTS BAD_SENDER BAD_SENDER
		 BAD_SENDER BAD_SENDER BAD_SENDER BAD_SENDER BAD_ARGUMENTS BAD_ARGUMENTS
			 BAD_ARGUMENTS UNKNOWN_PARAMETER UNKNOWN_PARAMETER UNKNOWN_PARAMETER
				 MAIL_REPLY},
	{"on the block list", .setup = {.blocked = true},
	 CLIENT(HELLO MAIL RCPT "RSET\r\n" MAIL RCPT RCPT "DATA\r\n"),
	 .expect = READY MAIL_REPLY BLOCKED
	 "250 2.0.0 Resetting\nleft [RESET]\n" MAIL_REPLY BLOCKED BLOCKED
	 "!smtp_bad_sequence\n554 5.5.1 No valid recipients\nleft [CLOSE]\n"},
	{"what goes on with the addresses",
	 .setup = {.extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_SMTPUTF8},
	 CLIENT("EHLO a\r\nMAIL FROM:<a@b> ENVID=x+2By SIZE=1 RET=HDRS AUTH=c@d SMTPUTF8\r\n"
		"RCPT TO:<b@own.test> ORCPT=rfc822;c@d NOTIFY=DELAY,FAILURE\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"),
	 .expect =
		 BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 65536\n250-PIPELINING\n"
			"250-DSN\n250-ENHANCEDSTATUSCODES\n250-8BITMIME\n250 SMTPUTF8\n" MAIL_REPLY
			"[RECIPIENT <a@b> ENVID=x+2By RET=HDRS SMTPUTF8 SIZE=1 <b@own.test> "
			"ORCPT=rfc822;c@d NOTIFY=DELAY,FAILURE]\n" RCPT_REPLY},
	{"recipients", PATIENT,
	 CLIENT(HELLO MAIL
		"RCPT\r\nRCPT TO\r\nRCPT TO:\r\nRCPT FROM:<b@own.test>\r\n"
		"RCPT TO:b@own.test\r\nRCPT TO:<>\r\nRCPT TO:<b>\r\nRCPT TO:<b@own.test.>\r\n"
		"RCPT TO:<b@own.test><c@own.test>\r\nRCPT TO:<b@own.test> NOTIFY=NEVER\r\n"
		"RCPT TO:<b@own.test> ORCPT=rfc822;a+0D+0Ab@c\r\n"
		"RCPT TO:<b@own.test> SIZE=1\r\nRCPT TO: <b@own.test>\r\n"),
	 ANSWERS("250 2.1.5 Recipient OK"),
	 .expect = READY MAIL_REPLY BAD_ARGUMENTS BAD_ARGUMENTS BAD_RECIPIENT BAD_ARGUMENTS
		 BAD_RECIPIENT BAD_RECIPIENT BAD_RECIPIENT BAD_RECIPIENT BAD_ARGUMENTS
			 UNKNOWN_PARAMETER UNKNOWN_PARAMETER UNKNOWN_PARAMETER RCPT_INTENT
				 RCPT_REPLY},
	{"an alternate recipient",
	 .setup = {.orar = true, .extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_XORAR},
	 CLIENT(HELLO MAIL RCPT_ORAR
		"rfc822;c+2Bd@own.test NOTIFY=NEVER ORCPT=rfc822;e@f\r\n" RCPT_ORAR
		"rfc822;postmaster\r\n"),
	 ANSWERS("250 a", "250 b"),
	 .expect = BANNER ORAR_EHLO_REPLY MAIL_REPLY
	 "[RECIPIENT <a@foreign.test> <b@own.test> ORAR=rfc822;c+2Bd@own.test NOTIFY=NEVER "
	 "ORCPT=rfc822;e@f]\n250 a\n"
	 "[RECIPIENT <a@foreign.test> <b@own.test> ORAR=rfc822;postmaster]\n250 b\n"},
	{"an alternate recipient is judged as a recipient is",
	 .setup = {.orar = true,
		   .reject_reserved = true,
		   .granted = RIGHT_ACCEPT_ANY_RECIPIENT,
		   .extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_XORAR},
	 CLIENT(HELLO MAIL "RCPT TO:<b@contoso.com> ORAR=rfc822;c@d.example.net\r\n"
			   "RCPT TO:<b@contoso.com> ORAR=rfc822;c@d\r\n"
			   "RCPT TO:<b@contoso.com> ORAR=rfc822;c@foreign.org\r\n"),
	 ANSWERS("250 a"),
	 .expect = BANNER ORAR_EHLO_REPLY MAIL_REPLY
	 "!smtp_reserved_second_level\n501 5.1.5 Recipient address reserved by RFC 2606\n"
	 "!smtp_single_label\n501 5.1.6 Recipient addresses in single label domains not "
	 "accepted\n"
	 "[RECIPIENT <a@foreign.test> <b@contoso.com> ORAR=rfc822;c@foreign.org]\n250 a\n"},
	{"relaying by way of an alternate recipient, S10",
	 .setup = {.orar = true, .extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_XORAR},
	 CLIENT(HELLO MAIL RCPT_ORAR
		"rfc822;c@foreign.test\r\n" RCPT_ORAR "rfc822;c+40foreign.test\r\n" RCPT_ORAR
		"rfc822;c%foreign.test@own.test\r\n" RCPT_ORAR
		"rfc822;c+25foreign.test+40own.test\r\n" RCPT_ORAR
		"rfc822;foreign.test!c@own.test\r\n" RCPT_ORAR
		"rfc822;+22c+40foreign.test+22@own.test\r\n" RCPT_ORAR
		"rfc822;@foreign.test:c@own.test\r\n" RCPT_ORAR
		"rfc822;@own.test:c@foreign.test\r\n" RCPT_ORAR "rfc822;c@[192.0.2.1]\r\nDATA\r\n"),
	 .expect = BANNER ORAR_EHLO_REPLY MAIL_REPLY RELAY RELAY RELAY RELAY RELAY RELAY RELAY RELAY
		 RELAY "!smtp_bad_sequence\n554 5.5.1 No valid recipients\n"},
	{"alternate recipients that are none",
	 .setup = {.orar = true,
		   .max_protocol_errors = 1000,
		   .extensions = SMTP_EXTENSION_DSN | SMTP_EXTENSION_XORAR},
	 CLIENT(HELLO MAIL RCPT_ORAR
		"c@own.test\r\n" RCPT_ORAR "x400;c@own.test\r\n" RCPT_ORAR "rfc822;\r\n" RCPT_ORAR
		"rfc822;c@own.test+0A\r\n" RCPT_ORAR "rfc822;c\r\n" RCPT_ORAR
		"rfc822;c@foreign.test@own.test\r\n" RCPT_ORAR "rfc822;c@own.test>\r\n" RCPT_ORAR
		"rfc822;<c@own.test>\r\n" RCPT_ORAR "rfc822;c+20d@own.test\r\n" RCPT_ORAR
		"rfc822;c@own.test ORAR=rfc822;c@own.test\r\n" RCPT_ORAR "<>\r\n"),
	 .expect = BANNER ORAR_EHLO_REPLY MAIL_REPLY BAD_ARGUMENTS BAD_ARGUMENTS BAD_ARGUMENTS
		 BAD_ARGUMENTS BAD_RECIPIENT BAD_RECIPIENT BAD_RECIPIENT BAD_RECIPIENT BAD_RECIPIENT
			 BAD_ARGUMENTS BAD_ARGUMENTS},
	{"an alternate recipient where servers know none", .setup = {.orar = true},
	 CLIENT(HELLO MAIL RCPT_ORAR "rfc822;c@own.test\r\n"),
	 .expect = READY MAIL_REPLY UNKNOWN_PARAMETER},
	{"an alternate recipient where the connector wants none",
	 .setup = {.extensions = SMTP_EXTENSION_XORAR},
	 CLIENT(HELLO MAIL RCPT_ORAR "rfc822;c@own.test\r\n"),
	 .expect = READY MAIL_REPLY UNKNOWN_PARAMETER},
	{"what is forwarded is what was written",
	 CLIENT(HELLO "MAIL FROM:<\"a \\\"b\"@Foreign.Test> SIZE=10 BODY=8BITMIME\r\n"
		      "RCPT TO:<@Own.Test:\"b c\"@oWn.tEST>\r\nRCPT TO:<PostMaster>\r\n"),
	 ANSWERS("250 a", "250 b"),
	 .expect = READY MAIL_REPLY
	 "[RECIPIENT <\"a \\\"b\"@Foreign.Test> SIZE=10 BODY=8BITMIME <@Own.Test:\"b "
	 "c\"@oWn.tEST>]\n"
	 "250 a\n"
	 "[RECIPIENT <\"a \\\"b\"@Foreign.Test> SIZE=10 BODY=8BITMIME <PostMaster>]\n250 b\n"},
	{"no right to submit, pipelined: 503 behind it is no error of the client",
	 .setup = {.denied = RIGHT_SUBMIT, .max_protocol_errors = 1},
	 CLIENT(HELLO MAIL RCPT RCPT "DATA\r\n" MAIL RCPT "DATA\r\nQUIT\r\n"),
	 .expect = READY
	 "!smtp_not_authenticated\n530 5.7.1 Client was not authenticated\n" NEED_MAIL NEED_MAIL
		 NEED_MAIL
	 "!smtp_not_authenticated\n530 5.7.1 Client was not authenticated\n" NEED_MAIL NEED_MAIL
	 "221 2.0.0 Service closing transmission channel\n[CLOSE]\n"},
	{"no right to submit, newer words",
	 .setup = {.denied = RIGHT_SUBMIT, .dialect = REPLY_DIALECT_2016}, CLIENT(HELLO MAIL),
	 .expect = READY "!smtp_not_authenticated\n530 5.7.57 SMTP; Client was not authenticated "
			 "to send anonymous mail during MAIL FROM\n"},
	{"no right to any sender", .setup = {.denied = RIGHT_ACCEPT_ANY_SENDER},
	 CLIENT(HELLO MAIL "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<a@own.test>\r\n"),
	 .expect = READY
	 "!smtp_sender_not_permitted\n550 5.7.1 Client does not have permissions to "
	 "send as this sender\n" MAIL_REPLY "250 2.0.0 Resetting\nleft [RESET]\n" MAIL_REPLY},
	{"no right to own senders", .setup = {.denied = RIGHT_ACCEPT_AUTHORITATIVE_SENDER},
	 CLIENT(HELLO "MAIL FROM:<a@own.test>\r\nMAIL FROM:<a@relay.test>\r\n"),
	 .expect = READY "!smtp_own_sender_not_permitted\n550 5.7.1 Anonymous client does not have "
			 "permissions to send as this sender\n" MAIL_REPLY},
	{"relaying, S10",
	 CLIENT(HELLO MAIL
		"RCPT TO:<c@foreign.test>\r\nRCPT TO:<c%foreign.test@own.test>\r\n"
		"RCPT TO:<foreign.test!c@own.test>\r\nRCPT TO:<\"c@foreign.test\"@own.test>\r\n"
		"RCPT TO:<@own.test:c@foreign.test>\r\nRCPT TO:<@foreign.test:c@own.test>\r\n"
		"RCPT TO:<c@[192.0.2.1]>\r\nDATA\r\n"),
	 .expect = READY MAIL_REPLY RELAY RELAY RELAY RELAY RELAY RELAY RELAY
	 "!smtp_bad_sequence\n554 5.5.1 No valid recipients\n"},
	{"relaying, newer words", .setup = {.dialect = REPLY_DIALECT_2016},
	 CLIENT(HELLO MAIL "RCPT TO:<c@foreign.test>\r\n"),
	 .expect = READY MAIL_REPLY "!smtp_unable_to_relay\n550 5.7.54 SMTP; Unable to relay "
				    "recipient in non-accepted domain\n"},
	{"the right to relay", .setup = {.granted = RIGHT_ACCEPT_ANY_RECIPIENT},
	 CLIENT(HELLO MAIL "RCPT TO:<c%d@foreign.test>\r\n"), ANSWERS("250 ok"),
	 .expect = READY MAIL_REPLY "[RECIPIENT <a@foreign.test> <c%d@foreign.test>]\n250 ok\n"},
	{"declared sizes", .setup = {.max_message_size = 1000},
	 CLIENT(HELLO "MAIL FROM:<> SIZE=1001\r\nMAIL FROM:<> SIZE=1000\r\n"),
	 .expect = BANNER "250-mx.own.test Hello [192.0.2.7]\n250-SIZE 1000\n250-PIPELINING\n"
			  "250-ENHANCEDSTATUSCODES\n250 8BITMIME\n" TOO_LARGE MAIL_REPLY},
	{"too many recipients, and the message goes on", .setup = {.max_recipients = 2},
	 CLIENT(HELLO MAIL RCPT RCPT RCPT RCPT "DATA\r\n.\r\n"),
	 ANSWERS("550 5.1.1 no", "250 2.1.5 Recipient OK", "250 2.1.5 Recipient OK", "354 go",
		 "250 2.6.0 ok"),
	 .expect = READY MAIL_REPLY RCPT_INTENT
	 "!backend_refused_recipient\n550 5.1.1 no\n" RCPT_INTENT RCPT_REPLY RCPT_INTENT RCPT_REPLY
	 "!smtp_too_many_recipients\n452 4.5.3 Too many recipients\n[DATA]\n" DATA_REPLY
	 "[END 0]\n250 2.6.0 ok\n[RESET]\n"},
	{"errors up to the limit, and one more", .setup = {.max_protocol_errors = 3},
	 CLIENT(HELLO "X\r\nDATA\r\nVRFY\r\nNOOP\r\nRCPT TO:<c@own.test>\r\nNOOP\r\n"),
	 .expect = READY UNRECOGNIZED NEED_MAIL BAD_ARGUMENTS
	 "250 2.0.0 OK\n!smtp_too_many_errors\n"
	 "421 4.7.0 Too many errors, closing transmission channel\n[CLOSE]\n"},
	{"errors inside a transaction", .setup = {.max_protocol_errors = 1},
	 CLIENT(HELLO MAIL "X\r\nX\r\n"),
	 .expect = READY MAIL_REPLY UNRECOGNIZED
	 "!smtp_too_many_errors\n"
	 "421 4.7.0 Too many errors, closing transmission channel\nleft [CLOSE]\n"},
	{"nothing is read behind QUIT", CLIENT("QUIT\r\nEHLO x\r\n"),
	 .expect = BANNER "221 2.0.0 Service closing transmission channel\n[CLOSE]\n"},
};

static void test_scripts(void **state)
{
	dialogue_play_all(scripts, sizeof(scripts) / sizeof(*scripts));
}

static void test_verb_and_detail_for_the_log(void **state)
{
	static const struct {
		const char *line, *verb, *detail;
	} cases[] = {
		{"EHLO client.example\r\n", "EHLO", NULL},
		{"starttls\r\n", "STARTTLS", "starttls"},
		{"some\x01thing else\r\n", "SOME?THI", "some?thing else"},
		{"\r\n", "", NULL},
		{"mail from:<a@b\r\n", "MAIL", "<a@b"},
		{"MAIL FROM:<a@b> SIZE=1 X=\r\n", "MAIL", "X="},
		{"MAIL FROM:<a@b>\r\n", "MAIL", NULL},
		{"RCPT TO:<c@foreign.test>\r\n", "RCPT", "<c@foreign.test>"},
		{"QUIT\r\n", "QUIT", NULL},
	};
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char verb[9] = "";
		dialogue_open(&dialogue, &setup);
		if (i > 0)
			dialogue_send_text(&dialogue, "EHLO x\r\n");
		if (strncmp(cases[i].line, "RCPT", 4) == 0)
			dialogue_send_text(&dialogue, MAIL);
		session_input(&dialogue.session, slice_of_text(cases[i].line), SIZE_MAX,
			      (struct session_servers){0, 0}, dialogue.now, &dialogue.reply,
			      &dialogue.step);
		memcpy(verb, dialogue.step.verb, 8);
		assert_string_equal(verb, cases[i].verb);
		if (cases[i].detail)
			assert_string_equal(dialogue.step.detail, cases[i].detail);
		else
			assert_null(dialogue.step.detail);
		dialogue_end(&dialogue);
	}
}

static void test_without_chunks(void **state)
{
	static struct dialogue dialogue;
	const struct dialogue_setup setup = {0};
	struct chunk_queue hog;
	chunk_queue_init(&hog);
	dialogue_open(&dialogue, &setup);
	dialogue_send_text(&dialogue, HELLO);
	uint8_t bytes[CHUNK_BYTES] = {0};
	while (chunk_queue_append(&hog, &dialogue.chunks, slice_of(bytes, sizeof(bytes))))
		;
	dialogue_expect(&dialogue, BANNER EHLO_REPLY);
	// What the session itself has no room for.
	dialogue_send_text(&dialogue,
			   "MAIL FROM:<a-sender-of-more-than-fifty-two-octets@foreign.test>\r\n");
	dialogue_expect(&dialogue, "!buffers_low\n452 4.3.1 Insufficient system resources\n");
	dialogue_send_text(&dialogue,
			   "EHLO a-name-of-more-than-sixty-four-octets.somewhere-in-a-very-"
			   "long-domain.example\r\n");
	dialogue_expect(&dialogue, "!buffers_low\n452 4.3.1 Insufficient system resources\n");
	dialogue_send_text(&dialogue, MAIL RCPT);
	dialogue_expect(&dialogue,
			MAIL_REPLY "!buffers_low\n452 4.3.1 Insufficient system resources\n");
	chunk_queue_drop(&hog, &dialogue.chunks, CHUNK_BYTES);
	dialogue_send_text(&dialogue, RCPT);
	dialogue_expect(&dialogue, RCPT_INTENT);
	chunk_queue_clear(&hog, &dialogue.chunks);
	dialogue_end(&dialogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scripts),
		cmocka_unit_test(test_verb_and_detail_for_the_log),
		cmocka_unit_test(test_without_chunks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
