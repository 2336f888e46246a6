// SPDX-License-Identifier: BSD-3-Clause
//
// A setter for each type of key, and the splitting of lists.
// Owns what a single value may be; rules between values are in check.c. The setters never report:
// they say why, and assign_value() tells it with the line.
#include "config/assign.h"
#include "config/array.h"
#include "config/policy.h"
#include "config/setters.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int setters_replace_text(char **place, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return -ENOMEM;
	free(*place);
	*place = copy;
	return 0;
}

// ---- Scalars ---------------------------------------------------------------------------------

static int set_boolean(const struct key *key, void *object, const struct item *item, char *why)
{
	const char *fault;

	if (value_boolean(item->text, setters_field(key, object), &fault) != 0)
		return setters_refuse(why, fault);
	return 0;
}

static int set_choice(const struct key *key, void *object, const struct item *item, char *why)
{
	char form[KEY_FORM_MAX];

	for (unsigned i = 0; key->choices[i] != NULL; i++)
		if (strcasecmp(item->text, key->choices[i]) == 0) {
			assert(key->size == sizeof(i));
			memcpy(setters_field(key, object), &i, sizeof(i));
			return 0;
		}
	snprintf(why, SETTERS_WHY_MAX, "write %s", key_format_form(key, form));
	return -EINVAL;
}

// A number into a field of the row's width; UINT64_MAX ("unlimited") becomes all ones.
static void store(const struct key *key, void *object, uint64_t value)
{
	uint16_t half = (uint16_t)value;
	uint32_t word = (uint32_t)value;

	switch (key->size) {
	case sizeof(half):
		memcpy(setters_field(key, object), &half, sizeof(half));
		break;
	case sizeof(word):
		memcpy(setters_field(key, object), &word, sizeof(word));
		break;
	default:
		assert(key->size == sizeof(value));
		memcpy(setters_field(key, object), &value, sizeof(value));
	}
}

static int set_number(const struct key *key, void *object, const struct item *item, char *why)
{
	uint64_t value;
	const char *fault;
	char form[KEY_FORM_MAX];
	int status;

	if (key->unlimited && strcasecmp(item->text, "unlimited") == 0) {
		store(key, object, UINT64_MAX);
		return 0;
	}
	if (key->type == KEY_SIZE)
		status = value_size(item->text, &value, &fault);
	else if (key->type == KEY_TIME)
		status = value_time(item->text, &value, &fault);
	else
		status = value_number(item->text, &value, &fault);
	if (status != 0)
		return setters_refuse(why, fault);
	if (value < key->minimum || value > key->maximum) {
		snprintf(why, SETTERS_WHY_MAX, "out of range: %s", key_format_form(key, form));
		return -EINVAL;
	}
	store(key, object, value);
	return 0;
}

static int set_weight(const struct key *key, void *object, const struct item *item, char *why)
{
	const bool negative = item->text[0] == '-';
	uint64_t value;
	int32_t weight;
	const char *fault;
	char form[KEY_FORM_MAX];

	if (value_number(item->text + negative, &value, &fault) != 0)
		return setters_refuse(why, fault);
	if (value == 0 || value > 100) {
		snprintf(why, SETTERS_WHY_MAX, "out of range: %s", key_format_form(key, form));
		return -EINVAL;
	}
	weight = negative ? -(int32_t)value : (int32_t)value;
	memcpy(setters_field(key, object), &weight, sizeof(weight));
	return 0;
}

static int set_fqdn(const struct key *key, void *object, const struct item *item, char *why)
{
	const char *fault = value_fqdn_fault(item->text);

	return fault != NULL ? setters_refuse(why, fault)
			     : setters_replace_text(setters_field(key, object), item->text);
}

static int set_user(const struct key *key, void *object, const struct item *item, char *why)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-$";

	if (strspn(item->text, allowed) != strlen(item->text) || item->text[0] == '-' ||
	    strlen(item->text) > 32)
		return setters_refuse(
			why, "a user name is up to 32 letters, digits, '.', '_', '-' and '$'");
	return setters_replace_text(setters_field(key, object), item->text);
}

static int set_pin_directory(const struct key *key, void *object, const struct item *item,
			     char *why)
{
	char *text = item->text;
	size_t length = strlen(text);

	if (text[0] != '/' || length > 200)
		return setters_refuse(why,
				      "write an absolute path of at most 200 bytes, for example "
				      "/sys/fs/bpf/relaygate");
	if (strchr(text, '.') != NULL)
		return setters_refuse(why, "a path on a bpf file system must not hold a dot");
	while (length > 1 && text[length - 1] == '/')
		text[--length] = '\0';
	if (length == 1)
		return setters_refuse(why, "write a directory of its own, not /");
	return setters_replace_text(setters_field(key, object), text);
}

static int set_directory(const struct key *key, void *object, const struct item *item, char *why)
{
	char *text = item->text;
	size_t length = strlen(text);

	if (text[0] != '/' || length > 200)
		return setters_refuse(why, "write an absolute path of at most 200 bytes");
	while (length > 1 && text[length - 1] == '/')
		text[--length] = '\0';
	if (length == 1)
		return setters_refuse(why, "write a directory of its own, not /");
	return setters_replace_text(setters_field(key, object), text);
}

static int set_backend(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	const char *fault = value_name_fault(item->text);

	return fault != NULL ? setters_refuse(why, fault)
			     : setters_replace_text(&connector->backend_name, item->text);
}

// A reply of one line with its code in front, which is left out.
static int set_reply(const struct key *key, void *object, const struct item *item, char *why)
{
	const char *code = key->type == KEY_BANNER ? "220" : "421";
	const char *text = item->text;

	if (strncmp(text, code, 3) != 0 || (text[3] != ' ' && text[3] != '\0')) {
		snprintf(why, SETTERS_WHY_MAX, "must begin with %s and a blank, on one line", code);
		return -EINVAL;
	}
	text += 3;
	text += strspn(text, " \t");
	if (*text == '\0') {
		snprintf(why, SETTERS_WHY_MAX,
			 "text missing after %s: leave the key out for Exchange's own", code);
		return -EINVAL;
	}
	if (strlen(text) > 500)
		return setters_refuse(
			why, "longer than 500 characters: a reply line has at most 512 bytes");
	for (const char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			return setters_refuse(why, "only printable ASCII may stand in a reply");
	return setters_replace_text(setters_field(key, object), text);
}

static int set_comment(const struct key *key, void *object, const struct item *item, char *why)
{
	return 0; // for those who read the file
}

// ---- Values ----------------------------------------------------------------------------------

static const setter setters[KEY_TYPE_COUNT] = {
	[KEY_BOOLEAN] = set_boolean,
	[KEY_CHOICE] = set_choice,
	[KEY_NUMBER] = set_number,
	[KEY_SIZE] = set_number,
	[KEY_TIME] = set_number,
	[KEY_FQDN] = set_fqdn,
	[KEY_USER] = set_user,
	[KEY_PIN_DIRECTORY] = set_pin_directory,
	[KEY_DIRECTORY] = set_directory,
	[KEY_DEVICE] = set_device,
	[KEY_BACKEND] = set_backend,
	[KEY_BANNER] = set_reply,
	[KEY_LIMIT_REPLY] = set_reply,
	[KEY_COMMENT] = set_comment,
	[KEY_INTERFACE_ADDRESSES] = add_interface_address,
	[KEY_GATEWAYS] = add_gateway,
	[KEY_BINDINGS] = add_binding,
	[KEY_RANGES] = add_range,
	[KEY_PERMISSION_GROUPS] = add_group,
	[KEY_RIGHTS] = add_right,
	[KEY_MECHANISMS] = add_mechanism,
	[KEY_IP_ENTRIES] = add_ip_entry,
	[KEY_SERVERS] = add_server,
	[KEY_WEIGHT] = set_weight,
	[KEY_ZONE] = set_zone,
	[KEY_DNS_SERVERS] = add_dns_server,
	[KEY_REPLIES] = add_reply,
};

// What a list's walk needs at each item.
struct walk {
	const struct key *key;
	void *object;
	struct place place;
	struct diagnostics *diagnostics;
	unsigned items;
	bool none; // PermissionGroups or AuthMechanism = None
	int status;
};

static void walk_fault(struct walk *walk, const char *text)
{
	diagnostics_error(walk->diagnostics, walk->place, "%s: %s", walk->key->name, text);
	walk->status = -EINVAL;
}

static void walk_item(struct walk *walk, char *text)
{
	struct item item = {text, walk->place.line};
	char why[SETTERS_WHY_MAX], quote[DIAGNOSTICS_QUOTE_MAX];
	int status = setters[walk->key->type](walk->key, walk->object, &item, why);

	walk->items++;
	if ((walk->key->type == KEY_PERMISSION_GROUPS || walk->key->type == KEY_MECHANISMS) &&
	    strcasecmp(text, "None") == 0)
		walk->none = true;
	if (status == -EINVAL) {
		diagnostics_error(walk->diagnostics, walk->place, "%s: %s: %s", walk->key->name,
				  diagnostics_quote(text, quote), why);
		walk->status = status;
	} else if (status != 0) {
		walk->status = status;
	}
}

// Items stand between commas and line ends; a comma may end a line, not begin one.
static void walk_list(struct walk *walk, char *value)
{
	bool comma = false; // seen, and no item since
	char *next = value;

	while (next != NULL && walk->status != -ENOMEM) {
		char *text = next + strspn(next, " \t");
		char *end = text + strcspn(text, ",\n");
		char separator = *end;
		char *last = end;

		next = separator != '\0' ? end + 1 : NULL;
		while (last > text && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		*last = '\0';
		if (*text != '\0') {
			walk_item(walk, text);
			comma = false;
		} else if (separator == ',') {
			walk_fault(walk, "empty item in the list: a comma too many");
		}
		if (separator == ',')
			comma = true;
		else if (separator == '\n')
			walk->place.line++;
	}
	if (comma && walk->status != -ENOMEM)
		walk_fault(walk, "the list ends with a comma: is an item missing?");
	if (walk->none && walk->items > 1 && walk->status == 0)
		walk_fault(walk, "None stands alone");
}

int assign_value(const struct key *key, void *object, char *value, struct place place,
		 struct diagnostics *diagnostics)
{
	struct walk walk = {
		.key = key, .object = object, .place = place, .diagnostics = diagnostics};

	if (value[strspn(value, " \t\n")] == '\0')
		walk_fault(&walk, "the value is missing");
	else if (key_is_list(key))
		walk_list(&walk, value);
	else
		walk_item(&walk, value);
	return walk.status;
}

int assign_defaults(enum section_kind section, void *object)
{
	char text[64];

	for (unsigned i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct item item = {text, 0};
		char why[SETTERS_WHY_MAX];
		int status;

		if (key->section != section || key->fallback == NULL)
			continue;
		assert(strlen(key->fallback) < sizeof(text));
		strcpy(text, key->fallback);
		status = setters[key->type](key, object, &item, why);
		if (status == -ENOMEM)
			return status;
		assert(status == 0);
	}
	return 0;
}
