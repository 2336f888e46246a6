// SPDX-License-Identifier: BSD-3-Clause
//
// See key_value.h. Which field, of which type, the rows say; how many elements a list has, its
// section's struct.
#include "config/key_value.h"

#include "config/policy.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const void *field_of(const struct key *key, const void *object)
{
	return (const char *)object + key->offset;
}

static bool is_text(const struct key *key)
{
	switch (key->type) {
	case KEY_FQDN:
	case KEY_ZONE:
	case KEY_USER:
	case KEY_PIN_DIRECTORY:
	case KEY_DIRECTORY:
	case KEY_DEVICE:
		return true;
	default:
		return false;
	}
}

// ---- The same? -------------------------------------------------------------------------------

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_addresses(const struct port_settings *a, const struct port_settings *b)
{
	if (a->address_count != b->address_count)
		return false;
	for (unsigned i = 0; i < a->address_count; i++)
		if (memcmp(&a->addresses[i].address, &b->addresses[i].address,
			   sizeof(struct address)) != 0 ||
		    a->addresses[i].prefix_length != b->addresses[i].prefix_length)
			return false;
	return true;
}

static bool same_gateways(const struct port_settings *a, const struct port_settings *b)
{
	return a->gateway_count == b->gateway_count &&
	       (a->gateway_count == 0 ||
		memcmp(a->gateways, b->gateways, a->gateway_count * sizeof(a->gateways[0])) == 0);
}

static bool same_dns_servers(const struct gate_settings *a, const struct gate_settings *b)
{
	if (a->dns_server_count != b->dns_server_count)
		return false;
	for (unsigned i = 0; i < a->dns_server_count; i++)
		if (a->dns_servers[i].port != b->dns_servers[i].port ||
		    address_compare(&a->dns_servers[i].address, &b->dns_servers[i].address) != 0)
			return false;
	return true;
}

static bool same_replies(const struct dnsbl_list *a, const struct dnsbl_list *b)
{
	return a->reply_count == b->reply_count &&
	       (a->reply_count == 0 ||
		memcmp(a->replies, b->replies, a->reply_count * sizeof(a->replies[0])) == 0);
}

bool key_value_same(const struct key *key, const void *a, const void *b)
{
	if (is_text(key))
		return same_text(*(const char *const *)field_of(key, a),
				 *(const char *const *)field_of(key, b));
	switch (key->type) {
	case KEY_INTERFACE_ADDRESSES:
		return same_addresses(a, b);
	case KEY_GATEWAYS:
		return same_gateways(a, b);
	case KEY_DNS_SERVERS:
		return same_dns_servers(a, b);
	case KEY_REPLIES:
		return same_replies(a, b);
	default:
		assert(!key_is_list(key));
		return memcmp(field_of(key, a), field_of(key, b), key->size) == 0;
	}
}

// ---- As text ---------------------------------------------------------------------------------

static uint64_t number_of(const struct key *key, const void *object)
{
	const void *field = field_of(key, object);

	switch (key->size) {
	case sizeof(uint8_t):
		return *(const uint8_t *)field;
	case sizeof(uint16_t):
		return *(const uint16_t *)field;
	case sizeof(uint32_t):
		return *(const uint32_t *)field;
	default:
		assert(key->size == sizeof(uint64_t));
		return *(const uint64_t *)field;
	}
}

static void format_scalar(const struct key *key, const void *object, FILE *out)
{
	uint64_t number = number_of(key, object);
	char text[VALUE_TEXT_MAX];

	if (key->unlimited && number == UINT64_MAX >> (64 - 8 * key->size))
		fputs("unlimited", out);
	else if (key->type == KEY_BOOLEAN)
		fputs(number ? "yes" : "no", out);
	else if (key->type == KEY_CHOICE)
		fputs(key->choices[number], out);
	else if (key->type == KEY_SIZE)
		fputs(value_format_size(number, text), out);
	else if (key->type == KEY_TIME)
		fputs(value_format_time(number, text), out);
	else
		fprintf(out, "%llu", (unsigned long long)number);
}

// Elements of a list.
static unsigned count_of(const struct key *key, const void *object)
{
	switch (key->type) {
	case KEY_INTERFACE_ADDRESSES:
		return ((const struct port_settings *)object)->address_count;
	case KEY_GATEWAYS:
		return ((const struct port_settings *)object)->gateway_count;
	case KEY_DNS_SERVERS:
		return ((const struct gate_settings *)object)->dns_server_count;
	default:
		assert(key->type == KEY_REPLIES);
		return ((const struct dnsbl_list *)object)->reply_count;
	}
}

static void format_list(const struct key *key, const void *object, FILE *out)
{
	const struct port_settings *port = object;
	const struct gate_settings *gate = object;
	const struct dnsbl_list *list = object;
	char text[RANGE_TEXT_MAX > ENDPOINT_TEXT_MAX ? RANGE_TEXT_MAX : ENDPOINT_TEXT_MAX];
	const char *between = "";

	for (unsigned i = 0; i < count_of(key, object); i++, between = ", ") {
		fputs(between, out);
		if (key->type == KEY_INTERFACE_ADDRESSES)
			fprintf(out, "%s/%u", address_format(&port->addresses[i].address, text),
				port->addresses[i].prefix_length);
		else if (key->type == KEY_GATEWAYS)
			fputs(address_format(&port->gateways[i], text), out);
		else if (key->type == KEY_DNS_SERVERS)
			fputs(endpoint_format(&gate->dns_servers[i], text), out);
		else
			fputs(range_format(&list->replies[i], text), out);
	}
	if (!*between)
		fputs("none", out);
}

char *key_value_format(const struct key *key, const void *object, char buffer[KEY_VALUE_MAX])
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return strcpy(buffer, "...");
	if (is_text(key)) {
		const char *value = *(const char *const *)field_of(key, object);

		fputs(value ? value : "none", out);
	} else if (key_is_list(key)) {
		format_list(key, object, out);
	} else {
		format_scalar(key, object, out);
	}
	fclose(out);
	if (!text || snprintf(buffer, KEY_VALUE_MAX, "%s", text) >= KEY_VALUE_MAX)
		strcpy(buffer + KEY_VALUE_MAX - 4, "...");
	free(text);
	return buffer;
}

// ---- Copied ----------------------------------------------------------------------------------

// An array in place of the one at *to. 0 or -ENOMEM.
static int copy_array(void **to, unsigned *to_count, const void *from, unsigned count, size_t size)
{
	void *copy = calloc(count ? count : 1, size);

	if (!copy)
		return -ENOMEM;
	if (count)
		memcpy(copy, from, count * size);
	free(*to);
	*to = copy;
	*to_count = count;
	return 0;
}

static int copy_list(const struct key *key, void *to, const void *from)
{
	unsigned count = count_of(key, from);
	struct port_settings *port = to;
	struct gate_settings *gate = to;
	struct dnsbl_list *list = to;
	void **array = (void **)((char *)to + key->offset);
	const void *source = *(void *const *)field_of(key, from);

	switch (key->type) {
	case KEY_INTERFACE_ADDRESSES:
		return copy_array(array, &port->address_count, source, count,
				  sizeof(*port->addresses));
	case KEY_GATEWAYS:
		return copy_array(array, &port->gateway_count, source, count,
				  sizeof(*port->gateways));
	case KEY_DNS_SERVERS:
		return copy_array(array, &gate->dns_server_count, source, count,
				  sizeof(*gate->dns_servers));
	default:
		return copy_array(array, &list->reply_count, source, count, sizeof(*list->replies));
	}
}

int key_value_copy(const struct key *key, void *to, const void *from)
{
	if (is_text(key)) {
		const char *text = *(const char *const *)field_of(key, from);
		char **field = (char **)((char *)to + key->offset);
		char *copy = text ? strdup(text) : NULL;

		if (text && !copy)
			return -ENOMEM;
		free(*field);
		*field = copy;
		return 0;
	}
	if (key_is_list(key))
		return copy_list(key, to, from);
	memcpy((char *)to + key->offset, field_of(key, from), key->size);
	return 0;
}
