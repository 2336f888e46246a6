// SPDX-License-Identifier: BSD-3-Clause
//
// A setter for each type of key, and the splitting of lists.
// Owns what a single value may be; rules between values are in check.c. The setters never report:
// they say why, and assign_value() tells it with the line.
#include "config/assign.h"
#include "config/array.h"
#include "config/policy.h"
#include "config/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// One item of a list, or a whole scalar.
struct item {
	char *text;
	unsigned line;
};

#define WHY_MAX 320

typedef int (*setter)(const struct key *key, void *object, const struct item *item, char *why);

static void *field(const struct key *key, void *object)
{
	return (char *)object + key->offset;
}

static int refuse(char *why, const char *text)
{
	snprintf(why, WHY_MAX, "%s", text);
	return -EINVAL;
}

static int replace_text(char **place, const char *text)
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

	if (value_boolean(item->text, field(key, object), &fault) != 0)
		return refuse(why, fault);
	return 0;
}

static int set_choice(const struct key *key, void *object, const struct item *item, char *why)
{
	char form[KEY_FORM_MAX];

	for (unsigned i = 0; key->choices[i] != NULL; i++)
		if (strcasecmp(item->text, key->choices[i]) == 0) {
			assert(key->size == sizeof(i));
			memcpy(field(key, object), &i, sizeof(i));
			return 0;
		}
	snprintf(why, WHY_MAX, "write %s", key_format_form(key, form));
	return -EINVAL;
}

// A number into a field of the row's width; UINT64_MAX ("unlimited") becomes all ones.
static void store(const struct key *key, void *object, uint64_t value)
{
	uint16_t half = (uint16_t)value;
	uint32_t word = (uint32_t)value;

	switch (key->size) {
	case sizeof(half):
		memcpy(field(key, object), &half, sizeof(half));
		break;
	case sizeof(word):
		memcpy(field(key, object), &word, sizeof(word));
		break;
	default:
		assert(key->size == sizeof(value));
		memcpy(field(key, object), &value, sizeof(value));
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
		return refuse(why, fault);
	if (value < key->minimum || value > key->maximum) {
		snprintf(why, WHY_MAX, "out of range: %s", key_format_form(key, form));
		return -EINVAL;
	}
	store(key, object, value);
	return 0;
}

static int set_fqdn(const struct key *key, void *object, const struct item *item, char *why)
{
	const char *fault = value_fqdn_fault(item->text);

	return fault != NULL ? refuse(why, fault) : replace_text(field(key, object), item->text);
}

static int set_user(const struct key *key, void *object, const struct item *item, char *why)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-$";

	if (strspn(item->text, allowed) != strlen(item->text) || item->text[0] == '-' ||
	    strlen(item->text) > 32)
		return refuse(why,
			      "a user name is up to 32 letters, digits, '.', '_', '-' and '$'");
	return replace_text(field(key, object), item->text);
}

static int set_pin_directory(const struct key *key, void *object, const struct item *item,
			     char *why)
{
	char *text = item->text;
	size_t length = strlen(text);

	if (text[0] != '/' || length > 200)
		return refuse(why, "write an absolute path of at most 200 bytes, for example "
				   "/sys/fs/bpf/relaygate");
	if (strchr(text, '.') != NULL)
		return refuse(why, "a path on a bpf file system must not hold a dot");
	while (length > 1 && text[length - 1] == '/')
		text[--length] = '\0';
	if (length == 1)
		return refuse(why, "write a directory of its own, not /");
	return replace_text(field(key, object), text);
}

static int set_backend(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	const char *fault = value_name_fault(item->text);

	return fault != NULL ? refuse(why, fault)
			     : replace_text(&connector->backend_name, item->text);
}

static int set_banner(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	const char *text = item->text;

	if (strncmp(text, "220", 3) != 0 || (text[3] != ' ' && text[3] != '\0'))
		return refuse(why, "must begin with 220 and a blank, on one line");
	text += 3;
	text += strspn(text, " \t");
	if (*text == '\0')
		return refuse(why, "text missing after 220: leave the key out for Exchange's own");
	if (strlen(text) > 500)
		return refuse(why,
			      "longer than 500 characters: a reply line has at most 512 bytes");
	for (const char *at = text; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			return refuse(why, "only printable ASCII may stand in a greeting");
	return replace_text(&connector->banner, text);
}

static int set_comment(const struct key *key, void *object, const struct item *item, char *why)
{
	return 0; // for those who read the file
}

// ---- Device ----------------------------------------------------------------------------------

static const char *interface_fault(const char *name)
{
	size_t length = strlen(name);

	if (length == 0 || length > 15 || strpbrk(name, "/: \t,") != NULL ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return "an interface name is 1 to 15 characters without '/', ':', ',' and blanks";
	return NULL;
}

static int set_pci(char **device, const char *text, char *why)
{
	unsigned domain = 0, bus = 0, slot = 0, function = 0;
	char canonical[32];
	int used = 0;

	// sscanf() would take signs and 0x as well.
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return refuse(why, "a PCI address is written as 0000:03:00.0");
	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4) {
		domain = 0;
		used = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &used) != 3)
			return refuse(why, "a PCI address is written as 0000:03:00.0");
	}
	if (text[used] != '\0' || slot > 31 || function > 7)
		return refuse(why, "a PCI address is written as 0000:03:00.0, device up to 1f, "
				   "function up to 7");
	snprintf(canonical, sizeof(canonical), "pci:%04x:%02x:%02x.%x", domain, bus, slot,
		 function);
	return replace_text(device, canonical);
}

static int set_device(const struct key *key, void *object, const struct item *item, char *why)
{
	char **device = field(key, object);
	const char *text = item->text, *fault;
	const char *rest = strchr(text, ':');
	char canonical[32];

	if (rest == NULL) {
		fault = interface_fault(text);
		if (fault != NULL)
			return refuse(why, fault);
		snprintf(canonical, sizeof(canonical), "af_xdp:%s", text);
		return replace_text(device, canonical);
	}
	rest++;
	if (strncmp(text, "af_xdp:", 7) == 0 || strncmp(text, "af_packet:", 10) == 0) {
		fault = interface_fault(rest);
		return fault != NULL ? refuse(why, fault) : replace_text(device, text);
	}
	if (strncmp(text, "pci:", 4) == 0)
		return set_pci(device, rest, why);
	if (strncmp(text, "vdev:", 5) == 0) {
		if (strncmp(rest, "net_", 4) != 0 || strpbrk(rest, " \t") != NULL)
			return refuse(why,
				      "after vdev: stands DPDK's name of a network device with "
				      "its options, for example net_pcap0,rx_pcap=in.pcap");
		return replace_text(device, text);
	}
	if (strspn(text, "0123456789abcdefABCDEF:.") == strlen(text))
		return refuse(why, "write pci: before a PCI address");
	return refuse(why, "unknown kind of device: write af_xdp:IFACE, af_packet:IFACE, "
			   "pci:ADDRESS or vdev:TEXT");
}

// ---- Lists of addresses ----------------------------------------------------------------------

// Why an address cannot be that of one host.
static const char *host_fault(const struct address *address)
{
	if (address_is_any(address))
		return "the unspecified address is no host";
	if (address_is_multicast(address))
		return "a multicast address is no host";
	if (address_is_loopback(address))
		return "a loopback address is never on the wire";
	if (address_is_ipv4(address) && (address->bytes[12] == 0 || address->bytes[12] >= 240))
		return "an address of 0.0.0.0/8 or 240.0.0.0/4 is no host";
	return NULL;
}

static int add_interface_address(const struct key *key, void *object, const struct item *item,
				 char *why)
{
	struct port_settings *port = object;
	struct interface_address address, *slot;
	struct range prefix;
	const char *fault;

	if (interface_address_parse(item->text, &address, &fault) != 0)
		return refuse(why, fault);
	fault = host_fault(&address.address);
	if (fault != NULL)
		return refuse(why, fault);
	prefix = range_from_prefix(&address.address, address.prefix_length);
	if (address_is_ipv4(&address.address) && address.prefix_length < 31 &&
	    (address_compare(&address.address, &prefix.first) == 0 ||
	     address_compare(&address.address, &prefix.last) == 0))
		return refuse(why, "this is the network's own or its broadcast address: write a "
				   "host's");
	slot = array_append(&port->addresses, port->address_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = address;
	port->address_count++;
	return 0;
}

static int add_gateway(const struct key *key, void *object, const struct item *item, char *why)
{
	struct port_settings *port = object;
	struct address address, *slot;
	const char *fault;

	if (address_parse(item->text, &address, &fault) != 0)
		return refuse(why, fault);
	fault = host_fault(&address);
	if (fault != NULL)
		return refuse(why, fault);
	slot = array_append(&port->gateways, port->gateway_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = address;
	port->gateway_count++;
	return 0;
}

static int add_binding(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	struct endpoint endpoint, *slot;
	const char *fault;

	if (endpoint_parse(item->text, 0, &endpoint, &fault) != 0)
		return refuse(why, fault);
	slot = array_append(&connector->bindings, connector->binding_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = endpoint;
	connector->binding_count++;
	return 0;
}

static int add_range(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	struct connector_range range = {.line = item->line}, *slot;
	const char *fault;

	if (range_parse(item->text, &range.range, &fault) != 0)
		return refuse(why, fault);
	slot = array_append(&connector->ranges, connector->range_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = range;
	connector->range_count++;
	return 0;
}

static int add_server(const struct key *key, void *object, const struct item *item, char *why)
{
	struct backend *backend = object;
	struct endpoint endpoint, *slot;
	const char *fault;

	if (endpoint_parse(item->text, 25, &endpoint, &fault) != 0)
		return refuse(why, fault);
	fault = host_fault(&endpoint.address);
	if (fault != NULL)
		return refuse(why, fault);
	slot = array_append(&backend->servers, backend->server_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = endpoint;
	backend->server_count++;
	return 0;
}

// ---- Lists of names --------------------------------------------------------------------------

static int add_group(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	uint32_t group;
	char form[KEY_FORM_MAX];

	if (strcasecmp(item->text, "Custom") == 0)
		return refuse(why,
			      "Custom only shows that there are rights beside the groups: write "
			      "them under ExtendedRights");
	if (permission_group_parse(item->text, &group) != 0) {
		snprintf(why, WHY_MAX, "unknown permission group; write a %s",
			 key_format_form(key, form));
		return -EINVAL;
	}
	connector->permission_groups |= group;
	return 0;
}

static int add_right(const struct key *key, void *object, const struct item *item, char *why)
{
	static const char *const anonymous[] = {"anonymous", "ANONYMOUS LOGON",
						"NT AUTHORITY\\ANONYMOUS LOGON", "S-1-5-7"};
	char *colon = strchr(item->text, ':');
	const char *right_text;
	rights_mask *mask = field(key, object);
	enum right right;
	size_t length;
	bool known = false;

	if (colon == NULL)
		return refuse(why, "write PRINCIPAL: RIGHT, for example anonymous: "
				   "ms-Exch-SMTP-Accept-Any-Recipient");
	length = (size_t)(colon - item->text);
	while (length > 0 && (item->text[length - 1] == ' ' || item->text[length - 1] == '\t'))
		length--;
	for (size_t i = 0; i < sizeof(anonymous) / sizeof(anonymous[0]); i++)
		known = known || (strlen(anonymous[i]) == length &&
				  strncasecmp(anonymous[i], item->text, length) == 0);
	if (!known)
		return refuse(why, "the only principal is anonymous: authentication is not in this "
				   "version");
	right_text = colon + 1 + strspn(colon + 1, " \t");
	switch (rights_parse(right_text, &right)) {
	case 0:
		*mask |= right;
		return 0;
	case -ENOTSUP:
		return refuse(why, "this right of Exchange is not enforced in this version: remove "
				   "it");
	default:
		return refuse(why, "unknown right; known are ms-Exch-SMTP-Submit, "
				   "ms-Exch-SMTP-Accept-Any-Recipient, "
				   "ms-Exch-SMTP-Accept-Any-Sender, "
				   "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender, "
				   "ms-Exch-Bypass-Message-Size-Limit");
	}
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
	[KEY_DEVICE] = set_device,
	[KEY_BACKEND] = set_backend,
	[KEY_BANNER] = set_banner,
	[KEY_COMMENT] = set_comment,
	[KEY_INTERFACE_ADDRESSES] = add_interface_address,
	[KEY_GATEWAYS] = add_gateway,
	[KEY_BINDINGS] = add_binding,
	[KEY_RANGES] = add_range,
	[KEY_PERMISSION_GROUPS] = add_group,
	[KEY_RIGHTS] = add_right,
	[KEY_SERVERS] = add_server,
};

// What a list's walk needs at each item.
struct walk {
	const struct key *key;
	void *object;
	struct place place;
	struct diagnostics *diagnostics;
	unsigned items;
	bool none; // PermissionGroups = None
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
	char why[WHY_MAX], quote[DIAGNOSTICS_QUOTE_MAX];
	int status = setters[walk->key->type](walk->key, walk->object, &item, why);

	walk->items++;
	if (walk->key->type == KEY_PERMISSION_GROUPS && strcasecmp(text, "None") == 0)
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
		char why[WHY_MAX];
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
