// SPDX-License-Identifier: BSD-3-Clause
//
// Get-ADPermission's entries -> ExtendedRights and DeniedRights of one connector: whose an entry
// is, what it grants or denies beside the groups, what is told and left out, and what is refused.
#include "control/commands.h"
#include "control/import.h"
#include "tests/unit/control/import_tree.h"

#include <stdio.h>

static struct command_options options = {.file = "c.json", .permissions = "p.json"};

static void open_named(struct import *import, const char *name, const char *groups,
		       const char *permissions)
{
	char connectors[512];
	struct import_fault fault;

	snprintf(connectors, sizeof(connectors),
		 "[{\"Name\": \"%s\", \"Identity\": \"EX\\\\%s\", \"Bindings\": "
		 "\"0.0.0.0:25\", \"RemoteIPRanges\": \"10.0.0.0/8\", \"AuthMechanism\": "
		 "\"None\", \"PermissionGroups\": \"%s\"}]",
		 name, name, groups);
	*import = (struct import){.options = &options,
				  .policy = import_allocate(sizeof(struct policy))};
	assert_int_equal(tree_read(import_json, connectors, strlen(connectors),
				   &import->connectors_tree, &fault),
			 0);
	if (tree_read(import_json, permissions, strlen(permissions), &import->permissions_tree,
		      &fault))
		fail_msg("%s: %s", permissions, fault.text);
	import_connectors(import);
	assert_int_equal(import->errors, 0);
	import_permissions(import);
}

static void open_import(struct import *import, const char *groups, const char *permissions)
{
	open_named(import, "Relay", groups, permissions);
}

static void close_import(struct import *import)
{
	for (unsigned i = 0; i < import->policy->connector_count; i++) {
		for (unsigned j = 0; j < POLICY_KEYS_MAX; j++)
			free(import->connectors[i].texts[j]);
		free(import->connectors[i].origin);
		free(import->connectors[i].name);
		free(import->connectors[i].server);
	}
	free(import->connectors);
	import_notes_fini(import);
	policy_destroy(import->policy);
	import_tree_fini(&import->connectors_tree);
	import_tree_fini(&import->permissions_tree);
}

static const char *text_of(const struct import *import, const char *key)
{
	return import->connectors[0].texts[key_index(keys_find(SECTION_CONNECTOR, key))];
}

static bool has_note(const struct import *import, const char *text)
{
	for (unsigned i = 0; i < import->note_count; i++)
		if (strstr(import->notes[i].text, text))
			return true;
	return false;
}

#define ENTRY(user, rights)                                                                        \
	"{\"Identity\": \"EX\\\\Relay\", \"User\": \"" user "\", \"ExtendedRights\": " rights      \
	", \"Deny\": false, \"IsInherited\": false}"
#define ANONYMOUS "NT AUTHORITY\\\\ANONYMOUS LOGON"
#define ANY       "\"ms-Exch-SMTP-Accept-Any-Recipient\""
#define ALL_OF(user, access, deny)                                                                 \
	"{\"Identity\": \"EX\\\\Relay\", \"User\": \"" user "\", \"AccessRights\": [" access       \
	"], \"ExtendedRights\": null, \"Deny\": " deny "}"
#define EVERY  "every right"
#define RELAYS "anonymous: ms-Exch-SMTP-Accept-Any-Recipient"

// What stands there, by the word EVERY for all of anonymous' rights.
static const char *written(const struct import *import, const char *key)
{
	static char every[1024];
	const char *text = text_of(import, key);
	size_t used = 0;

	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1)
		used += (size_t)snprintf(every + used, sizeof(every) - used, "%sanonymous: %s",
					 used ? ", " : "", right_name((enum right)right));
	return text && strcmp(text, every) == 0 ? EVERY : text;
}

static void test_entries(void **state)
{
	static const struct {
		const char *groups, *permissions;
		const char *granted, *denied; // NULL = nothing is written
		const char *note;             // NULL = any
	} rows[] = {
		// How a right may stand there
		{"AnonymousUsers", "[" ENTRY(ANONYMOUS, "[" ANY "]") "]", RELAYS, NULL, NULL},
		{"AnonymousUsers", ENTRY(ANONYMOUS, ANY), RELAYS, NULL, NULL},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "[\"MS-EXCH-SMTP-ACCEPT-ANY-RECIPIENT\"]"),
		 RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 ENTRY(ANONYMOUS, "[{\"RawIdentity\": \"ms-Exch-SMTP-Accept-Any-Recipient\"}]"),
		 RELAYS, NULL, NULL},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "[" ANY ", " ANY "]"), RELAYS, NULL, NULL},
		{"AnonymousUsers", "[" ENTRY(ANONYMOUS, ANY) ", " ENTRY(ANONYMOUS, ANY) "]", RELAYS,
		 NULL, NULL},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "null"), NULL, NULL, NULL},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "[]"), NULL, NULL, NULL},
		{"AnonymousUsers", "[]", NULL, NULL, "--permissions has no entry for it"},
		{"AnonymousUsers", "null", NULL, NULL, "--permissions has no entry for it"},
		{"None", "[]", NULL, NULL, NULL},
		// Whose it is
		{"AnonymousUsers", ENTRY("S-1-5-7", ANY), RELAYS, NULL, NULL},
		{"AnonymousUsers", ENTRY("anonymous logon", ANY), RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 "{\"Identity\": \"EX\\\\Relay\", \"User\": {\"RawIdentity\": \"NT-AUTORITÄT\\\\"
		 "ANONYMOUS-ANMELDUNG\", \"SecurityIdentifier\": {\"Value\": \"S-1-5-7\"}}, "
		 "\"ExtendedRights\": " ANY "}",
		 RELAYS, NULL, NULL},
		{"AnonymousUsers", ENTRY("S-1-5-11", ANY),
		 "authenticated: ms-Exch-SMTP-Accept-Any-Recipient", NULL, NULL},
		{"AnonymousUsers", ENTRY("CONTOSO\\\\svc-erp", ANY), NULL, NULL,
		 "what is granted to it is left out"},
		{"AnonymousUsers", ENTRY("CONTOSO\\\\Exchange Servers", ANY), NULL, NULL,
		 "nobody is an Exchange server here"},
		{"AnonymousUsers", ENTRY("Exchange Servers of old", ANY), NULL, NULL,
		 "what is granted to it is left out"},
		// Which connector's
		{"AnonymousUsers",
		 "{\"Identity\": \"CN=Relay,CN=SMTP Receive "
		 "Connectors,CN=Protocols,CN=EX,CN=Servers"
		 "\", \"User\": \"" ANONYMOUS "\", \"ExtendedRights\": " ANY "}",
		 RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 "{\"Identity\": {\"DistinguishedName\": \"CN=Relay,CN=SMTP Receive Connectors,"
		 "CN=Protocols,CN=EX,CN=Servers\"}, \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY "}",
		 RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 "{\"Identity\": \"c.test/Configuration/EX/Protocols/SMTP Receive "
		 "Connectors/Relay\""
		 ", \"User\": \"" ANONYMOUS "\", \"ExtendedRights\": " ANY "}",
		 RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 "{\"Identity\": \"EX2\\\\Relay\", \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY "}",
		 NULL, NULL, "about no connector of this file"},
		{"AnonymousUsers",
		 "{\"Identity\": \"EX\\\\Relay 2\", \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY "}",
		 NULL, NULL, "about no connector of this file"},
		// Beside the groups, and without what they give
		{"AnonymousUsers", ENTRY(ANONYMOUS, "[\"ms-Exch-SMTP-Submit\", " ANY "]"), RELAYS,
		 "anonymous: ms-Exch-SMTP-Accept-Any-Sender, anonymous: "
		 "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender, anonymous: "
		 "ms-Exch-Accept-Headers-Routing",
		 "was taken from anonymous"},
		{"None", ENTRY(ANONYMOUS, ANY), RELAYS, NULL, NULL},
		{"AnonymousUsers",
		 "{\"Identity\": \"EX\\\\Relay\", \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY ", \"Deny\": \"True\"}",
		 NULL, RELAYS, NULL},
		{"AnonymousUsers",
		 "[{\"Identity\": \"EX\\\\Relay\", \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY ", \"Deny\": true}, " ENTRY(ANONYMOUS, ANY) "]",
		 RELAYS, RELAYS, NULL}, // a denial always wins, as there
		{"AnonymousUsers",
		 "{\"Identity\": \"EX\\\\Relay\", \"User\": \"" ANONYMOUS
		 "\", \"ExtendedRights\": " ANY ", \"IsInherited\": true}",
		 NULL, NULL, "is inherited, not given to the connector"},
		// What is no right here
		{"AnonymousUsers", ENTRY(ANONYMOUS, "\"ms-Exch-SMTP-Accept-XShadow\""), NULL, NULL,
		 "Exchange servers use it among themselves"},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "\"ms-Exch-Store-Create-Named-Properties\""),
		 NULL, NULL, "it is no right of a receive connector"},
		{"AnonymousUsers", ENTRY(ANONYMOUS, "\"\""), NULL, NULL, "it is no right"},
		{"AnonymousUsers",
		 "{\"Identity\": \"EX\\\\Relay\", \"User\": \"" ANONYMOUS
		 "\", \"AccessRights\": [\"GenericAll\"]}",
		 NULL, NULL, "GenericAll holds every right there"},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "983551", "false"), NULL, NULL,
		 "GenericAll holds every right there"},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "\"ExtendedRight\"", "false"), NULL, NULL,
		 "ExtendedRight without a name holds every right there"},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "256", "false"), NULL, NULL,
		 "ExtendedRight without a name holds every right there"},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "\"ReadProperty, GenericExecute\"", "true"),
		 NULL, NULL, NULL},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "131220", "true"), NULL, NULL, NULL},
		// A denial of everything is one of each right
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "\"GenericAll\"", "true"), NULL, EVERY, NULL},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "\"ExtendedRight\"", "true"), NULL, EVERY,
		 NULL},
		{"AnonymousUsers", ALL_OF(ANONYMOUS, "256", "true"), NULL, EVERY, NULL},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct import import;
		const char *granted, *denied;

		open_import(&import, rows[i].groups, rows[i].permissions);
		granted = written(&import, "ExtendedRights");
		denied = written(&import, "DeniedRights");
		if (import.errors || !granted != !rows[i].granted || !denied != !rows[i].denied ||
		    (granted && strcmp(granted, rows[i].granted) != 0) ||
		    (denied && strcmp(denied, rows[i].denied) != 0) ||
		    (rows[i].note && !has_note(&import, rows[i].note)))
			fail_msg("row %zu: %s: %u errors, granted %s, denied %s, note %s", i,
				 rows[i].permissions, import.errors, granted ? granted : "-",
				 denied ? denied : "-", rows[i].note ? rows[i].note : "-");
		close_import(&import);
	}
}

// Characters that mean something in a distinguished or a canonical name are escaped there.
static void test_escaped_identities(void **state)
{
	static const struct {
		const char *name, *identity; // as JSON
	} rows[] = {
		{"Hall 3, left",
		 "CN=Hall 3\\\\, left,CN=SMTP Receive Connectors,CN=Protocols,CN=EX,CN=x"},
		{"Hall 3, left",
		 "CN=Hall 3\\\\2C left,CN=SMTP Receive Connectors,CN=Protocols,CN=EX,CN=x"},
		{"#1+2=3;\\\\<>\\\"",
		 "CN=\\\\#1\\\\+2\\\\=3\\\\;\\\\\\\\\\\\<\\\\>\\\\\\\",CN=SMTP Receive "
		 "Connectors,CN=Protocols,CN=EX,CN=x"},
		{"Scan/Fax", "c.test/x/EX/Protocols/SMTP Receive Connectors/Scan\\\\/Fax"},
		{"Scan\\\\", "c.test/x/EX/Protocols/SMTP Receive Connectors/Scan\\\\"},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		char permissions[512];
		struct import import;

		snprintf(permissions, sizeof(permissions),
			 "{\"Identity\": \"%s\", \"User\": \"" ANONYMOUS
			 "\", \"ExtendedRights\": " ANY "}",
			 rows[i].identity);
		open_named(&import, rows[i].name, "AnonymousUsers", permissions);
		if (import.errors || !text_of(&import, "ExtendedRights"))
			fail_msg("%s is not that of %s", rows[i].identity, rows[i].name);
		close_import(&import);
	}
}

static void test_refused(void **state)
{
	static const char *const rows[] = {
		"1",
		"\"text\"",
		"{}",
		"[{\"Identity\": \"EX\\\\Relay\"}]",
		"[{\"User\": \"S-1-5-7\"}]",
		"[{\"Identity\": {}, \"User\": \"S-1-5-7\"}]",
		"[{\"Identity\": \"EX\\\\Relay\", \"User\": \"S-1-5-7\", \"Deny\": \"perhaps\"}]",
		"[{\"Identity\": \"EX\\\\Relay\", \"User\": \"S-1-5-7\", \"IsInherited\": 1}]",
		"[{\"Identity\": \"EX\\\\Relay\", \"User\": \"S-1-5-7\", \"ExtendedRights\": {}}]",
		"[[[[" ENTRY(ANONYMOUS, ANY) "]]]]", // lists deeper than any export's
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct import import;

		open_import(&import, "AnonymousUsers", rows[i]);
		if (!import.errors)
			fail_msg("taken: %s", rows[i]);
		close_import(&import);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_escaped_identities),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
