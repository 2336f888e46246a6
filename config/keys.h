// SPDX-License-Identifier: BSD-3-Clause
//
// The one list of what an INI file may say: one row a section, one row a key, with range, default
// and help text. Loader, help, documentation and tests are made from the rows; there is no second
// list. Constant data; setting a value is in assign.h.
#ifndef RELAYGATE_CONFIG_KEYS_H
#define RELAYGATE_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum section_kind {
	SECTION_GATE,
	SECTION_PORT,
	SECTION_ACCEPTED_DOMAIN,
	SECTION_CONNECTOR,
	SECTION_BACKEND,
	SECTION_IP_ALLOW,
	SECTION_IP_BLOCK,
	SECTION_BAN,
	SECTION_DNSBL,
	SECTION_COUNT,
};

struct section {
	const char *name;  // first word of the header
	const char *title; // as documented: "[connector NAME]"
	bool named;        // has a name and may stand several times
	const char *help;
};

enum key_type {
	KEY_BOOLEAN,
	KEY_CHOICE,
	KEY_NUMBER,
	KEY_SIZE,
	KEY_TIME,
	KEY_WEIGHT,
	KEY_FQDN,
	KEY_ZONE,
	KEY_USER,
	KEY_PIN_DIRECTORY,
	KEY_DIRECTORY,
	KEY_DEVICE,
	KEY_BACKEND,
	KEY_BANNER,
	KEY_LIMIT_REPLY,
	KEY_COMMENT,
	KEY_INTERFACE_ADDRESSES, // from here on: lists
	KEY_GATEWAYS,
	KEY_BINDINGS,
	KEY_RANGES,
	KEY_PERMISSION_GROUPS,
	KEY_RIGHTS,
	KEY_MECHANISMS,
	KEY_IP_ENTRIES,
	KEY_SERVERS,
	KEY_DNS_SERVERS,
	KEY_REPLIES,
	KEY_TYPE_COUNT,
};

struct key {
	enum section_kind section;
	const char *name;
	enum key_type type;
	const char *fallback; // the default as it would be written; NULL = none
	bool required;        // must be in the file, unless Usage gives it
	bool restart;         // a reload cannot change it
	bool unlimited;       // KEY_NUMBER, KEY_SIZE: the word "unlimited" is allowed
	uint64_t minimum, maximum;
	const char *const *choices; // KEY_CHOICE: ends with NULL; the place is the value
	size_t offset, size;        // of the field in the section's struct of policy.h
	const char *help;
};

const struct section *section_row(enum section_kind kind);
// By the first word of a header, without regard to case. False when there is none.
bool section_find(const char *name, enum section_kind *out);

// Every key, section by section.
unsigned keys_count(void);
const struct key *keys_at(unsigned index);
// Without regard to case; NULL when the section has no such key.
const struct key *keys_find(enum section_kind section, const char *name);
// The key's place among those of its section: index of policy_lines.
unsigned key_index(const struct key *key);
bool key_is_list(const struct key *key);
// The line of a key in a section of the policy, or section_line where the default holds.
struct policy_lines;
unsigned keys_line(const struct policy_lines *lines, enum section_kind section, const char *name,
		   unsigned section_line);

// What may be written: "yes | no", "1-512000", "list of ADDRESS | ADDRESS/LENGTH | ...".
#define KEY_FORM_MAX 224
char *key_format_form(const struct key *key, char buffer[KEY_FORM_MAX]);

#define KEY_HINT_MAX 256
// The words that help with an unknown key: the section that it belongs to, a similar name, or that
// it is a parameter of Exchange which this version does not have. "" when nothing is near.
char *keys_hint(enum section_kind section, const char *name, char buffer[KEY_HINT_MAX]);

#endif
