// SPDX-License-Identifier: BSD-3-Clause
//
// What the files that set a key's field share: one function for each type of key, from the text of
// one item to the field. Internal to config/assign*.c.
#ifndef RELAYGATE_CONFIG_SETTERS_H
#define RELAYGATE_CONFIG_SETTERS_H

#include "config/keys.h"

#include <errno.h>
#include <stdio.h>

// One item of a list, or a whole scalar.
struct item {
	char *text; // may be written into
	unsigned line;
};

#define SETTERS_WHY_MAX 640

// 0; -EINVAL with the words for a person in why; or -ENOMEM.
typedef int (*setter)(const struct key *key, void *object, const struct item *item, char *why);

static inline void *setters_field(const struct key *key, void *object)
{
	return (char *)object + key->offset;
}

static inline int setters_refuse(char *why, const char *text)
{
	snprintf(why, SETTERS_WHY_MAX, "%s", text);
	return -EINVAL;
}

// 0 or -ENOMEM.
int setters_replace_text(char **place, const char *text);

// assign_address.c
int set_device(const struct key *key, void *object, const struct item *item, char *why);
int add_interface_address(const struct key *key, void *object, const struct item *item, char *why);
int add_gateway(const struct key *key, void *object, const struct item *item, char *why);
int add_binding(const struct key *key, void *object, const struct item *item, char *why);
int add_range(const struct key *key, void *object, const struct item *item, char *why);
int add_dns_server(const struct key *key, void *object, const struct item *item, char *why);
int add_reply(const struct key *key, void *object, const struct item *item, char *why);
int add_server(const struct key *key, void *object, const struct item *item, char *why);
int add_ip_entry(const struct key *key, void *object, const struct item *item, char *why);

// assign_name.c
int set_zone(const struct key *key, void *object, const struct item *item, char *why);
int add_group(const struct key *key, void *object, const struct item *item, char *why);
int add_mechanism(const struct key *key, void *object, const struct item *item, char *why);
int add_right(const struct key *key, void *object, const struct item *item, char *why);

#endif
