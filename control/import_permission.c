// SPDX-License-Identifier: BSD-3-Clause
//
// Get-ADPermission -> ExtendedRights and DeniedRights. The list of access is what Exchange asks,
// and its groups are only presets of it: what it grants beside them is granted here, and what it
// lacks of them is denied. Inherited entries are not about mail, and are told where they seem to
// be.
#include "config/diagnostics.h"
#include "control/commands.h"
#include "control/import.h"
#include "control/import_read.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// What the entries of one connector come to.
struct access {
	unsigned connector;
	rights_mask allowed[PRINCIPAL_COUNT], denied[PRINCIPAL_COUNT];
	unsigned entries;
};

struct entry {
	const struct import_value *value;
	const char *identity;
	bool used;
};

// Principals that only an Exchange server can be.
static const char *const server_principals[] = {
	"Exchange Servers",
	"ExchangeLegacyInterop",
	"Exchange Trusted Subsystem",
	"Hub Transport Servers",
	"Edge Transport Servers",
	"Legacy Exchange Servers",
	"S-1-9-1419165041-1139599005-3936102811-1022490595-21",
	"S-1-9-1419165041-1139599005-3936102811-1022490595-22",
	"S-1-9-1419165041-1139599005-3936102811-1022490595-24",
};

static const char *text_of(const struct import_value *value, const char *name)
{
	const struct import_value *member = import_member(value, name);

	return member ? import_read_text(member) : NULL;
}

// A boolean property; false when there is none.
static bool flag_of(struct import *import, const struct import_value *value, const char *name)
{
	const struct import_value *member = import_member(value, name);
	bool flag = false;

	if (member && import_read_boolean(member, &flag))
		import_error(import, IMPORT_WHOLE, import->options->permissions,
			     "an entry whose %s is neither true nor false", name);
	return flag;
}

// ---- Whose entry it is -----------------------------------------------------------------------

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && strcasecmp(text + length - end_length, end) == 0;
}

static int digit_of(char letter)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = strchr(digits, tolower((unsigned char)letter));

	return found && *found ? (int)(found - digits) : -1;
}

// Without the escapes of a distinguished name (RFC 4514, section 2.4) or a canonical one: "\," and
// "\2C", "\/". The caller frees it.
static char *without_escapes(const char *text)
{
	char *copy = import_copy(text, strlen(text)), *to = copy;

	while (*text) {
		int high = -1, low = -1;

		if (*text == '\\' && text[1]) {
			high = digit_of(*++text);
			low = high < 0 ? -1 : digit_of(text[1]);
		}
		if (low < 0) {
			*to++ = *text++;
			continue;
		}
		*to++ = (char)(high << 4 | low);
		text += 2;
	}
	*to = '\0';
	return copy;
}

// SERVER\NAME, NAME, a distinguished name or the path of a canonical one.
static bool concerns(const struct import_connector *connector, const char *identity)
{
	const char *name = text_of(connector->source, "Name");
	char *start = import_format("CN=%s,CN=SMTP Receive Connectors,CN=Protocols,CN=%s,", name,
				    connector->server);
	char *end =
		import_format("/%s/Protocols/SMTP Receive Connectors/%s", connector->server, name);
	char *plain = without_escapes(identity);
	bool same = strcasecmp(identity, connector->origin) == 0 ||
		    strcasecmp(identity, name) == 0 ||
		    strncasecmp(plain, start, strlen(start)) == 0 || ends_with(plain, end);

	free(plain);
	free(start);
	free(end);
	return same;
}

static const char *identity_of(const struct import_value *value)
{
	const struct import_value *identity = import_member(value, "Identity");
	const char *name = identity ? text_of(identity, "DistinguishedName") : NULL;

	return name ? name : identity ? import_read_text(identity) : NULL;
}

static void gather(struct import *import, const struct import_value *value, unsigned depth,
		   struct entry **entries, unsigned *count)
{
	const char *identity;

	if (value->kind == IMPORT_LIST && depth < 3) {
		for (const struct import_value *item = import_first_item(value); item;
		     item = import_next_item(item))
			gather(import, item, depth + 1, entries, count);
		return;
	}
	identity = value->kind == IMPORT_OBJECT ? identity_of(value) : NULL;
	if (!identity || !import_member(value, "User")) {
		if (value->kind != IMPORT_NULL)
			import_error(import, IMPORT_WHOLE, import->options->permissions,
				     "something that is no entry of Get-ADPermission (it has no "
				     "Identity or no User)");
		return;
	}
	*entries = import_grow(*entries, *count, sizeof(**entries));
	(*entries)[(*count)++] = (struct entry){value, identity, false};
}

// ---- What it grants --------------------------------------------------------------------------

// By its SID, which no language changes, or by its name.
static const char *user_of(const struct import_value *value, bool *known, enum principal *principal)
{
	const struct import_value *user = import_member(value, "User");
	const struct import_value *sid = import_member(user, "SecurityIdentifier");
	const char *sid_text = sid ? text_of(sid, "Value") : NULL, *text = import_read_text(user);

	if (sid && !sid_text)
		sid_text = import_read_text(sid);
	if (!text)
		text = sid_text ? sid_text : "(object)";
	*known = (sid_text && !principal_parse(sid_text, strlen(sid_text), principal)) ||
		 !principal_parse(text, strlen(text), principal);
	return text;
}

static bool is_server(const char *user)
{
	const char *slash = strchr(user, '\\');

	for (size_t i = 0; i < sizeof(server_principals) / sizeof(server_principals[0]); i++)
		if (strcasecmp(slash ? slash + 1 : user, server_principals[i]) == 0)
			return true;
	return false;
}

static void tell_stranger(struct import *import, unsigned connector, const char *user, bool deny)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	diagnostics_quote(user, quote);
	if (is_server(user))
		import_note(import, connector, "User",
			    "%s: left out: nobody is an Exchange server here", quote);
	else
		import_note(
			import, connector, "User",
			"%s: what is %s to it is left out: this version knows nobody but "
			"anonymous, authenticated, externally secured and partner; if it is one "
			"of these in another language, write its SID in the export",
			quote, deny ? "denied" : "granted");
}

// The right, or 0 after a note.
static rights_mask right_of(struct import *import, unsigned connector, const char *text)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];
	enum right right;

	switch (rights_parse(text, &right)) {
	case 0:
		return right;
	case -ENOTSUP:
		import_note(import, connector, "ExtendedRights",
			    "%s: left out: Exchange servers use it among themselves",
			    diagnostics_quote(text, quote));
		return 0;
	default:
		import_note(import, connector, "ExtendedRights",
			    "%s: left out: it is no right of a receive connector",
			    diagnostics_quote(text, quote));
		return 0;
	}
}

// Numbers of ActiveDirectoryRights, as JSON has them where the export was made on the server
// itself.
#define ACCESS_EXTENDED_RIGHT 0x100u
#define ACCESS_GENERIC_ALL    0xf01ffu

static bool has_access(const struct import_value *value, const char *name, uint64_t bits)
{
	const struct import_value *access = import_member(value, "AccessRights");

	for (const struct import_value *item = access ? import_first_item(access) : NULL; item;
	     item = import_next_item(item)) {
		uint64_t number;

		if (item->text && strstr(item->text, name))
			return true;
		if (!import_read_number(item, &number) && number != UINT64_MAX &&
		    (number & bits) == bits)
			return true;
	}
	return false;
}

// An entry about every right there is: full control, or extended rights of which none is named.
static rights_mask all_rights(struct import *import, unsigned connector,
			      const struct import_value *value, bool deny)
{
	const struct import_value *list = import_member(value, "ExtendedRights");
	bool named = list && import_first_item(list);
	const char *what;

	if (has_access(value, "GenericAll", ACCESS_GENERIC_ALL))
		what = "GenericAll";
	else if (!named && has_access(value, "ExtendedRight", ACCESS_EXTENDED_RIGHT))
		what = "ExtendedRight without a name";
	else
		return 0;
	if (deny)
		return (RIGHT_LAST << 1) - RIGHT_FIRST;
	import_note(import, connector, "AccessRights",
		    "%s holds every right there: none of it is taken here; write under "
		    "ExtendedRights what is meant",
		    what);
	return 0;
}

static rights_mask rights_of(struct import *import, unsigned connector,
			     const struct import_value *value, bool deny)
{
	const struct import_value *list = import_member(value, "ExtendedRights");
	rights_mask rights = all_rights(import, connector, value, deny);

	for (const struct import_value *item = list ? import_first_item(list) : NULL; item;
	     item = import_next_item(item)) {
		const char *text = import_read_text(item);

		if (text)
			rights |= right_of(import, connector, text);
		else
			import_error(import, connector, "ExtendedRights",
				     "an entry that is no name of a right");
	}
	return rights;
}

static void tell_inherited(struct import *import, unsigned connector, const char *user,
			   rights_mask rights)
{
	char quote[DIAGNOSTICS_QUOTE_MAX];

	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1)
		if (rights & right)
			import_note(import, connector, "IsInherited",
				    "%s of %s is inherited, not given to the connector: left out; "
				    "write it if it is meant",
				    right_name((enum right)right), diagnostics_quote(user, quote));
}

static void count_entry(struct import *import, struct access *access,
			const struct import_value *value)
{
	bool deny = flag_of(import, value, "Deny");
	bool inherited = flag_of(import, value, "IsInherited"), known;
	enum principal principal = PRINCIPAL_ANONYMOUS;
	const char *user = user_of(value, &known, &principal);
	rights_mask rights;

	if (inherited && !known)
		return;
	if (!known) {
		tell_stranger(import, access->connector, user, deny);
		return;
	}
	if (inherited) {
		const struct import_value *list = import_member(value, "ExtendedRights");
		enum right right;

		for (const struct import_value *item = list ? import_first_item(list) : NULL; item;
		     item = import_next_item(item))
			if (item->text && !rights_parse(item->text, &right))
				tell_inherited(import, access->connector, user, right);
		return;
	}
	rights = rights_of(import, access->connector, value, deny);
	(deny ? access->denied : access->allowed)[principal] |= rights;
	access->entries++;
}

// ---- What it comes to ------------------------------------------------------------------------

static void list_rights(char **list, enum principal principal, rights_mask rights)
{
	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1) {
		char *longer;

		if (!(rights & right))
			continue;
		longer = import_format("%s%s%s: %s", *list ? *list : "", *list ? ", " : "",
				       principal_name(principal), right_name((enum right)right));
		free(*list);
		*list = longer;
	}
}

// A list without a single right of a principal's groups was filtered when it was exported; one that
// has some and lacks others had them removed.
static rights_mask removed(struct import *import, const struct access *access,
			   enum principal principal, rights_mask preset)
{
	rights_mask allowed = access->allowed[principal];
	rights_mask gone = allowed & preset ? preset & ~allowed : 0;

	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1)
		if (gone & right)
			import_note(import, access->connector, "ExtendedRights",
				    "%s was taken from %s, whose group has it: denied here",
				    right_name((enum right)right), principal_name(principal));
	return gone;
}

static void settle(struct import *import, const struct access *access)
{
	uint32_t groups = import->policy->connectors[access->connector].permission_groups;
	char *granted = NULL, *denied = NULL;

	for (unsigned i = 0; i < PRINCIPAL_COUNT; i++) {
		enum principal principal = (enum principal)i;
		rights_mask preset = permission_groups_rights(groups, principal);

		list_rights(&granted, principal, access->allowed[i] & ~preset);
		list_rights(&denied, principal,
			    access->denied[i] | removed(import, access, principal, preset));
	}
	if (granted)
		import_take(import, access->connector, "ExtendedRights", granted);
	if (denied)
		import_take(import, access->connector, "DeniedRights", denied);
	if (!access->entries && groups)
		import_note(
			import, access->connector, "PermissionGroups",
			"--permissions has no entry for it of anonymous, authenticated, externally "
			"secured or partner: its groups are taken as they are");
	free(granted);
	free(denied);
}

void import_permissions(struct import *import)
{
	struct entry *entries = NULL;
	unsigned count = 0, unused = 0, example = 0;
	char quote[DIAGNOSTICS_QUOTE_MAX];

	gather(import, import->permissions_tree.root, 0, &entries, &count);
	for (unsigned i = 0; i < import->policy->connector_count && !import->errors; i++) {
		struct access access = {.connector = i};

		for (unsigned j = 0; j < count; j++)
			if (concerns(&import->connectors[i], entries[j].identity)) {
				entries[j].used = true;
				count_entry(import, &access, entries[j].value);
			}
		settle(import, &access);
	}
	for (unsigned j = count; j-- > 0;)
		if (!entries[j].used) {
			unused++;
			example = j;
		}
	if (unused)
		import_note(import, IMPORT_WHOLE, "Identity",
			    "%u entries of --permissions are about no connector of this file, "
			    "among them %s",
			    unused, diagnostics_quote(entries[example].identity, quote));
	free(entries);
}
