// SPDX-License-Identifier: BSD-3-Clause
//
// See command_table.h.
#include "control/command_table.h"

#include "config/rights.h"

#define USUAL_EXITS "0 done; 1 the input or the environment is wrong."

const struct command_row command_rows[COMMAND_COUNT] = {
	[COMMAND_RUN] = {"run", "the gate, in the foreground; SIGTERM drains, then stops",
			 command_run, false, NULL, NULL,
			 "0 stopped in good order; 1 not started: the line on stderr says what to "
			 "do.",
			 "relaygate run -c /etc/relaygate.ini"},
	[COMMAND_CHECK] = {"check", "reads a configuration and judges it: no root, no device",
			   command_check, false, NULL, NULL,
			   "0 fine, warnings or not; 1 an error, each FILE:LINE: TEXT on stderr.",
			   "relaygate check -c relaygate.ini"},
	[COMMAND_AUDIT] = {"audit", "who may relay, by which grant, and what to worry about",
			   command_audit, false, NULL, NULL,
			   "0 nothing critical; 1 the file has errors; 2 a critical finding.",
			   "relaygate audit -c relaygate.ini --json"},
	[COMMAND_EXPLAIN] =
		{"explain", "which connector, which rights, the reply to each verb",
		 command_explain, false, NULL, NULL,
		 "0 explained, whatever the answer; 1 the input is wrong.",
		 "relaygate explain -c relaygate.ini --from 192.0.2.30 --to 192.0.2.10 \\\n"
		 "      --mail-from a@b.example --rcpt-to c@contoso.com"},
	[COMMAND_REPLAY] = {"replay", "a capture through the data path: no root, no device",
			    command_replay, false, "IN.pcap", "a capture (pcap or pcapng)",
			    "0 played; 1 the file or the capture is wrong.",
			    "relaygate replay -c relaygate.ini yesterday.pcap --json"},
	[COMMAND_RELOAD] = {"reload", "the running gate takes the file as it is now, at once",
			    command_reload, false, NULL, NULL,
			    "0 in force; 1 refused, or no gate runs: all goes on as it was.",
			    "relaygate reload -c /etc/relaygate.ini"},
	[COMMAND_DRAIN] = {"drain", "the running gate takes no new sessions, and stays up",
			   command_drain, true, NULL, NULL,
			   "0 it does as told; 1 no gate runs, or it is stopping.",
			   "relaygate drain -c /etc/relaygate.ini --undo"},
	[COMMAND_BAN] = {"ban", "banned sources, by hand: list, add, del", command_ban, true,
			 "list\nadd IP\ndel IP", "list, add or del", USUAL_EXITS,
			 "relaygate ban add 198.51.100.7 -c /etc/relaygate.ini --for 1h"},
	[COMMAND_LOG] = {"log", "the last refusals and events, and why", command_log, false, NULL,
			 NULL, USUAL_EXITS, "relaygate log -f --from 192.0.2.30"},
	[COMMAND_STATUS] = {"status", "how the gate is now", command_status, false, NULL, NULL,
			    "0 the gate runs; 1 it does not (what it had counted is shown).",
			    "relaygate status --json"},
	[COMMAND_TOP] = {"top", "the same, live: rates a second; q or Ctrl-C ends it", command_top,
			 false, NULL, NULL, USUAL_EXITS, "relaygate top --interval 5s"},
	[COMMAND_CAPTURE] = {"capture", "frames and what became of them, as pcapng",
			     command_capture, false, "[FILTER]", NULL,
			     "0 ended as told (--count, --seconds, Ctrl-C); 1 the input or the "
			     "environment is wrong, or FILE took no more.",
			     "relaygate capture -w refused.pcapng --dropped host 192.0.2.30"},
	[COMMAND_IMPORT] = {"import", "a configuration from exports of an Exchange server",
			    command_import, false, "CONNECTORS",
			    "the output of Get-ReceiveConnector, as CLIXML or JSON", USUAL_EXITS,
			    "relaygate import connectors.xml --domains domains.xml -o "
			    "relaygate.ini"},
};

#define ON(command) (1u << COMMAND_##command)
#define AT(field)   .offset = offsetof(struct command_options, field)
// Those whose file is read for what it says, and those that only look there for PinDirectory.
#define BY_FILE (ON(RUN) | ON(CHECK) | ON(AUDIT) | ON(EXPLAIN) | ON(REPLAY) | ON(RELOAD))
#define BY_PINS (ON(DRAIN) | ON(BAN) | ON(LOG) | ON(STATUS) | ON(TOP) | ON(CAPTURE))

const struct option_row option_rows[] = {
	{"config", "FILE", "the INI file", BY_FILE, BY_FILE, AT(config), .letter = 'c'},
	{"config", "FILE", "the INI file of the gate, for its PinDirectory", BY_PINS, AT(config),
	 .letter = 'c'},
	{"pin-directory", "DIR",
	 "PinDirectory of the gate, when no file names it (default /sys/fs/bpf/relaygate)",
	 ON(LOG) | ON(STATUS) | ON(TOP) | ON(CAPTURE), AT(directory)},
	{"pin-directory", "DIR",
	 "of the gate whose bans are told, if it runs (default PinDirectory of the file)",
	 ON(EXPLAIN), AT(directory)},
	{"pin-directory", "DIR", "PinDirectory of the gate, instead of a file", ON(DRAIN) | ON(BAN),
	 AT(directory)},
	{"json", NULL, "JSON instead of text", ON(AUDIT) | ON(EXPLAIN) | ON(REPLAY) | ON(STATUS),
	 AT(json), .kind = OPTION_FLAG},
	{"json", NULL, "list: JSON instead of text", ON(BAN), AT(json), .kind = OPTION_FLAG,
	 .verb = "list"},

	{"from", "IP", "the client", ON(EXPLAIN), ON(EXPLAIN), AT(from)},
	{"to", "IP[:PORT]", "our address that it connects to (default port 25)", ON(EXPLAIN),
	 ON(EXPLAIN), AT(to)},
	{"helo", "NAME", "argument of EHLO (default client.example)", ON(EXPLAIN), AT(hello)},
	{"mail-from", "ADDRESS", "sender; empty for <> (default: no MAIL)", ON(EXPLAIN),
	 AT(mail_from), .kind = OPTION_MAYBE_EMPTY},
	{"rcpt-to", "ADDRESS", "recipient; may be repeated", ON(EXPLAIN), AT(rcpt_to),
	 .kind = OPTION_TEXTS},
	{"auth", NULL, "rights as if the client had authenticated", ON(EXPLAIN), AT(identities),
	 .kind = OPTION_BIT, .bit = 1u << PRINCIPAL_AUTHENTICATED},
	{"partner", NULL, "rights as if it were a partner", ON(EXPLAIN), AT(identities),
	 .kind = OPTION_BIT, .bit = 1u << PRINCIPAL_PARTNER},

	{"backend", "MOOD", "what the servers do: accept (default), refuse each recipient, down",
	 ON(REPLAY), AT(backend)},
	{"write", "FILE", "the gate's answers, at the capture's times (pcap)", ON(REPLAY),
	 AT(write), .letter = 'w'},

	{"undo", NULL, "take new sessions again", ON(DRAIN), AT(undo), .kind = OPTION_FLAG},
	{"for", "TIME",
	 "add: how long: 90s, 1h, 2d, ever; from 1s on (default BanTime of the file)", ON(BAN),
	 AT(time), .verb = "add"},
	{"follow", NULL, "go on with new records as they come", ON(LOG), AT(follow),
	 .kind = OPTION_FLAG, .letter = 'f'},
	{"from", "IP", "only records about this address, and bans of its /64", ON(LOG), AT(from)},
	{"prometheus", NULL, "Prometheus' text format, for node_exporter's textfile collector",
	 ON(STATUS), AT(prometheus), .kind = OPTION_FLAG},
	{"interval", "TIME", "between two frames: 100ms to 1h (default 1s)", ON(TOP), AT(interval)},
	{"once", NULL, "one frame after one interval, as plain text", ON(TOP), AT(once),
	 .kind = OPTION_FLAG},

	{"write", "FILE", "where to (pcapng); - is stdout", ON(CAPTURE), ON(CAPTURE), AT(write),
	 .letter = 'w'},
	{"dropped", NULL, "only frames that were dropped", ON(CAPTURE), AT(dropped),
	 .kind = OPTION_FLAG},
	{"reason", "NAME", "only frames dropped for this reason, as `log` names it", ON(CAPTURE),
	 AT(reason)},
	{"connector", "NAME", "only frames of its clients", ON(CAPTURE), AT(connector)},
	{"count", "N", "end after so many frames (default: no end)", ON(CAPTURE), AT(count)},
	{"seconds", "N", "end after so many seconds (default: no end)", ON(CAPTURE), AT(seconds)},
	{"snap", "BYTES", "keep so much of a frame (default and most 1536)", ON(CAPTURE), AT(snap)},

	{"output", "FILE", "write there (default: stdout)", ON(IMPORT), AT(output), .letter = 'o'},
	{"permissions", "FILE", "Get-ReceiveConnector | Get-ADPermission, exported", ON(IMPORT),
	 AT(permissions)},
	{"domains", "FILE", "Get-AcceptedDomain, exported", ON(IMPORT), AT(domains)},
	{"server", "NAME", "only the connectors of this server (default: all)", ON(IMPORT),
	 AT(server)},
	{"backend", "ADDRESS[,...]", "Servers of the backend (default: a PLACEHOLDER)", ON(IMPORT),
	 AT(backend)},
	{"device", "IFACE", "Device of the port (default: a PLACEHOLDER)", ON(IMPORT), AT(device)},
	{"address", "ADDR/LEN[,...]", "Address of the port (default: a PLACEHOLDER)", ON(IMPORT),
	 AT(address)},
	{"gateway", "ADDR[,...]", "Gateway of the port (default: none)", ON(IMPORT), AT(gateway)},
};
const unsigned option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);
