// SPDX-License-Identifier: BSD-3-Clause
//
// Setters of keys that hold names: permission groups, mechanisms, rights of principals, zones.
// Each says what a single item may be; rules between them are in check_authentication.c.
#include "config/policy.h"
#include "config/setters.h"
#include "config/value.h"

#include <string.h>
#include <strings.h>

int set_zone(const struct key *key, void *object, const struct item *item, char *why)
{
	const char *fault = value_domain_fault(item->text);

	// Behind 32 nibbles of an IPv6 address and their dots.
	if (fault == NULL && strlen(item->text) > 253 - 64)
		fault = "longer than 189 bytes: the client's address stands before it";
	return fault != NULL ? setters_refuse(why, fault)
			     : setters_replace_text(setters_field(key, object), item->text);
}

int add_group(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	uint32_t group;
	char form[KEY_FORM_MAX];

	if (strcasecmp(item->text, "Custom") == 0)
		return setters_refuse(
			why, "Custom only shows that there are rights beside the groups: write "
			     "them under ExtendedRights");
	if (permission_group_parse(item->text, &group) != 0) {
		snprintf(why, SETTERS_WHY_MAX, "unknown permission group; write a %s",
			 key_format_form(key, form));
		return -EINVAL;
	}
	connector->permission_groups |= group;
	return 0;
}

int add_mechanism(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	uint32_t mechanism;
	char form[KEY_FORM_MAX];

	if (mechanism_parse(item->text, &mechanism) != 0) {
		snprintf(why, SETTERS_WHY_MAX, "unknown mechanism; write a %s",
			 key_format_form(key, form));
		return -EINVAL;
	}
	connector->mechanisms |= mechanism;
	return 0;
}

static int unknown_right(char *why)
{
	size_t used = (size_t)snprintf(why, SETTERS_WHY_MAX, "unknown right; known are ");

	for (uint32_t right = RIGHT_FIRST; right <= RIGHT_LAST; right <<= 1)
		used += (size_t)snprintf(why + used, SETTERS_WHY_MAX - used, "%s%s",
					 right > RIGHT_FIRST ? ", " : "",
					 right_name((enum right)right));
	return -EINVAL;
}

// PRINCIPAL: RIGHT
int add_right(const struct key *key, void *object, const struct item *item, char *why)
{
	rights_mask *masks = setters_field(key, object);
	char *colon = strchr(item->text, ':');
	enum principal principal;
	enum right right;
	size_t length;

	if (colon == NULL)
		return setters_refuse(why, "write PRINCIPAL: RIGHT, for example anonymous: "
					   "ms-Exch-SMTP-Accept-Any-Recipient");
	length = (size_t)(colon - item->text);
	while (length > 0 && (item->text[length - 1] == ' ' || item->text[length - 1] == '\t'))
		length--;
	if (principal_parse(item->text, length, &principal) != 0)
		return setters_refuse(why, "unknown principal: write anonymous, authenticated, "
					   "externally-secured or partner");
	switch (rights_parse(colon + 1 + strspn(colon + 1, " \t"), &right)) {
	case 0:
		masks[principal] |= right;
		return 0;
	case -ENOTSUP:
		return setters_refuse(why, "Exchange gives this right to its own servers, for "
					   "verbs that the gate does not have: remove it");
	default:
		return unknown_right(why);
	}
}
