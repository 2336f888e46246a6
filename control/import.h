// SPDX-License-Identifier: BSD-3-Clause
//
// What the files of `relaygate import` share: the connectors and domains that an export has, as a
// policy of ours with the text of each key, and what was found in it that the gate cannot do.
// import_connector.c fills it, import_permission.c and import_domain.c add to it, import_write.c
// makes the INI file.
#ifndef RELAYGATE_CONTROL_IMPORT_H
#define RELAYGATE_CONTROL_IMPORT_H

#include "config/keys.h"
#include "config/policy.h"
#include "control/import_value.h"

#include <stdbool.h>
#include <stdio.h>

struct command_options;

struct import_connector {
	const struct import_value *source;
	char *origin;                 // SERVER\NAME
	char *name;                   // as the section will be called
	char *server;                 // "" when the export does not say
	char *texts[POLICY_KEYS_MAX]; // by key_index(): the value, NULL = not written
	bool custom;                  // has rights beside its groups
};

// Something of the export that the file will not have, or not as it was.
struct import_note {
	char *parameter;      // of Exchange
	char *text;           // what it means
	unsigned *connectors; // whose it is; none = the whole
	unsigned count;
};

struct import {
	const struct command_options *options;
	struct import_tree connectors_tree, permissions_tree, domains_tree;
	struct policy *policy;               // the meaning: connectors and domains only
	struct import_connector *connectors; // as many as policy->connector_count
	struct import_note *notes;
	unsigned note_count;
	unsigned errors; // told on stderr
};

// ---- Telling (import_note.c) -----------------------------------------------------------------

#define IMPORT_WHOLE (~0u) // instead of a connector's index

// Remembered once for all connectors that it is true of; printed by import_notes_print().
void import_note(struct import *import, unsigned connector, const char *parameter,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
// A line on stderr at once: FILE: connector NAME: PARAMETER: text.
void import_error(struct import *import, unsigned connector, const char *parameter,
		  const char *format, ...) __attribute__((format(printf, 4, 5)));
void import_notes_print(const struct import *import, FILE *stream);
bool import_note_concerns(const struct import_note *note, unsigned connector);
void import_notes_fini(struct import *import);

// ---- The parts, in their order ---------------------------------------------------------------

// connectors_tree -> policy and connectors.
void import_connectors(struct import *import);
// permissions_tree -> ExtendedRights and DeniedRights of the connectors.
void import_permissions(struct import *import);
// What the connectors together say: disables those that are Exchange's own.
void import_judge(struct import *import);
// domains_tree -> policy->domains.
void import_domains(struct import *import);
// The INI file. The caller frees it.
char *import_write(struct import *import);

// Sets a key of a connector, both text and meaning; text is the file's form. What the key's setter
// refuses becomes a note, and the default stays. True when it was taken.
bool import_take(struct import *import, unsigned connector, const char *key, const char *text);

#endif
