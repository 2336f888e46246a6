// SPDX-License-Identifier: BSD-3-Clause
//
// The subcommands of relaygate. Each returns the process's exit code: 0 fine, 1 the input or the
// environment is wrong (said on stderr, one line a fault), 2 a finding.
#ifndef RELAYGATE_CONTROL_COMMANDS_H
#define RELAYGATE_CONTROL_COMMANDS_H

#include <stdbool.h>

struct policy;

enum exit_code { EXIT_FINE = 0, EXIT_WRONG = 1, EXIT_FINDING = 2 };

struct command_options {
	const char *config;    // -c FILE
	const char *from;      // --from ADDRESS, or NULL
	const char *to;        // explain --to ADDRESS:PORT, or NULL
	const char *hello;     // explain --helo, or NULL
	const char *mail_from; // explain --mail-from, or NULL
	const char **rcpt_to;  // explain --rcpt-to, NULL-ended, or NULL
	unsigned identities;   // explain --auth, --partner: bits (1 << enum principal)
	const char *directory; // --pin-directory DIR, or NULL
	bool follow;           // log -f
	bool undo;             // drain --undo
	bool json;             // --json
	bool prometheus;       // status --prometheus
	bool once;             // top --once
	const char *interval;  // top --interval TIME, or NULL

	const char *file;    // import CONNECTORS, replay IN.pcap, ban list|add|del, or NULL
	const char *source;  // ban add|del ADDRESS, or NULL
	const char *time;    // ban add --for, or NULL
	const char *backend; // import --backend ADDRESSES, replay --backend MOOD, or NULL
	const char *write;   // replay --write OUT.pcap, capture -w FILE, or NULL

	// capture
	char *filter;          // an expression of pcap-filter(7), or NULL
	const char *reason;    // --reason NAME, or NULL
	const char *connector; // --connector NAME, or NULL
	const char *count;     // --count N, or NULL
	const char *snap;      // --snap BYTES, or NULL
	const char *seconds;   // --seconds N, or NULL
	bool dropped;          // --dropped

	// import
	const char *permissions; // --permissions FILE, or NULL
	const char *domains;     // --domains FILE, or NULL
	const char *server;      // --server NAME, or NULL
	const char *device;      // --device IFACE, or NULL
	const char *address;     // --address ADDR/LEN, or NULL
	const char *gateway;     // --gateway ADDR, or NULL
	const char *output;      // -o FILE, or NULL
};

int command_run(const struct command_options *options);
int command_check(const struct command_options *options);
int command_audit(const struct command_options *options);
int command_explain(const struct command_options *options);
int command_import(const struct command_options *options);
int command_replay(const struct command_options *options);
int command_reload(const struct command_options *options);
int command_drain(const struct command_options *options);
int command_log(const struct command_options *options);
int command_ban(const struct command_options *options);
int command_status(const struct command_options *options);
int command_top(const struct command_options *options);
int command_capture(const struct command_options *options);

// The pin directory of the instance that is asked about; the caller frees it. A file with errors
// may name it all the same (and is told on stderr); NULL when it does not, and what to do was
// printed.
char *instance_directory(const struct command_options *options);
// The same, and the file's policy: NULL when there is no file, or one with errors.
char *instance_place(const struct command_options *options, struct policy **policy);

// The file's policy, its faults and warnings printed on stderr; NULL when it has errors.
struct policy *load_and_report(const char *path);

#endif
