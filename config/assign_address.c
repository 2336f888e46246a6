// SPDX-License-Identifier: BSD-3-Clause
//
// Setters of keys that hold devices and addresses. Each says what a single value may be; rules
// between values are in check.c.
#include "config/array.h"
#include "config/policy.h"
#include "config/setters.h"
#include "config/value.h"

#include <string.h>
#include <strings.h>

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
		return setters_refuse(why, "a PCI address is written as 0000:03:00.0");
	if (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4) {
		domain = 0;
		used = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &used) != 3)
			return setters_refuse(why, "a PCI address is written as 0000:03:00.0");
	}
	if (text[used] != '\0' || slot > 31 || function > 7)
		return setters_refuse(why,
				      "a PCI address is written as 0000:03:00.0, device up to 1f, "
				      "function up to 7");
	snprintf(canonical, sizeof(canonical), "pci:%04x:%02x:%02x.%x", domain, bus, slot,
		 function);
	return setters_replace_text(device, canonical);
}

int set_device(const struct key *key, void *object, const struct item *item, char *why)
{
	char **device = setters_field(key, object);
	const char *text = item->text, *fault;
	const char *rest = strchr(text, ':');
	char canonical[32];

	if (rest == NULL) {
		fault = interface_fault(text);
		if (fault != NULL)
			return setters_refuse(why, fault);
		snprintf(canonical, sizeof(canonical), "af_xdp:%s", text);
		return setters_replace_text(device, canonical);
	}
	rest++;
	if (strncmp(text, "af_xdp:", 7) == 0 || strncmp(text, "af_packet:", 10) == 0) {
		fault = interface_fault(rest);
		return fault != NULL ? setters_refuse(why, fault)
				     : setters_replace_text(device, text);
	}
	if (strncmp(text, "pci:", 4) == 0)
		return set_pci(device, rest, why);
	if (strncmp(text, "vdev:", 5) == 0) {
		if (strncmp(rest, "net_", 4) != 0 || strpbrk(rest, " \t") != NULL)
			return setters_refuse(
				why, "after vdev: stands DPDK's name of a network device with "
				     "its options, for example net_pcap0,rx_pcap=in.pcap");
		return setters_replace_text(device, text);
	}
	if (strspn(text, "0123456789abcdefABCDEF:.") == strlen(text))
		return setters_refuse(why, "write pci: before a PCI address");
	return setters_refuse(why, "unknown kind of device: write af_xdp:IFACE, af_packet:IFACE, "
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

int add_interface_address(const struct key *key, void *object, const struct item *item, char *why)
{
	struct port_settings *port = object;
	struct interface_address address, *slot;
	struct range prefix;
	const char *fault;

	if (interface_address_parse(item->text, &address, &fault) != 0)
		return setters_refuse(why, fault);
	fault = host_fault(&address.address);
	if (fault != NULL)
		return setters_refuse(why, fault);
	prefix = range_from_prefix(&address.address, address.prefix_length);
	if (address_is_ipv4(&address.address) && address.prefix_length < 31 &&
	    (address_compare(&address.address, &prefix.first) == 0 ||
	     address_compare(&address.address, &prefix.last) == 0))
		return setters_refuse(why,
				      "this is the network's own or its broadcast address: write a "
				      "host's");
	slot = array_append(&port->addresses, port->address_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = address;
	port->address_count++;
	return 0;
}

int add_gateway(const struct key *key, void *object, const struct item *item, char *why)
{
	struct port_settings *port = object;
	struct address address, *slot;
	const char *fault;

	if (address_parse(item->text, &address, &fault) != 0)
		return setters_refuse(why, fault);
	fault = host_fault(&address);
	if (fault != NULL)
		return setters_refuse(why, fault);
	slot = array_append(&port->gateways, port->gateway_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = address;
	port->gateway_count++;
	return 0;
}

int add_binding(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	struct endpoint endpoint, *slot;
	const char *fault;

	if (endpoint_parse(item->text, 0, &endpoint, &fault) != 0)
		return setters_refuse(why, fault);
	slot = array_append(&connector->bindings, connector->binding_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = endpoint;
	connector->binding_count++;
	return 0;
}

int add_range(const struct key *key, void *object, const struct item *item, char *why)
{
	struct connector *connector = object;
	struct connector_range range = {.line = item->line}, *slot;
	const char *fault;

	if (range_parse(item->text, &range.range, &fault) != 0)
		return setters_refuse(why, fault);
	slot = array_append(&connector->ranges, connector->range_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = range;
	connector->range_count++;
	return 0;
}

int add_server(const struct key *key, void *object, const struct item *item, char *why)
{
	struct backend *backend = object;
	struct endpoint endpoint, *slot;
	const char *fault;

	if (endpoint_parse(item->text, 25, &endpoint, &fault) != 0)
		return setters_refuse(why, fault);
	fault = host_fault(&endpoint.address);
	if (fault != NULL)
		return setters_refuse(why, fault);
	slot = array_append(&backend->servers, backend->server_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = endpoint;
	backend->server_count++;
	return 0;
}

int add_dns_server(const struct key *key, void *object, const struct item *item, char *why)
{
	struct gate_settings *gate = object;
	struct endpoint endpoint, *slot;
	const char *fault;

	if (endpoint_parse(item->text, 53, &endpoint, &fault) != 0)
		return setters_refuse(why, fault);
	if (address_is_any(&endpoint.address) || address_is_multicast(&endpoint.address))
		return setters_refuse(why, "write the address of a name server");
	if (gate->dns_server_count == GATE_DNS_SERVERS_MAX)
		return setters_refuse(why, "eight name servers are enough: remove the others");
	slot = array_append(&gate->dns_servers, gate->dns_server_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = endpoint;
	gate->dns_server_count++;
	return 0;
}

int add_reply(const struct key *key, void *object, const struct item *item, char *why)
{
	struct dnsbl_list *list = object;
	struct range range, *slot;
	const char *fault;

	if (range_parse(item->text, &range, &fault) != 0)
		return setters_refuse(why, fault);
	if (!address_is_ipv4(&range.first) || range.first.bytes[12] != 127 ||
	    range.last.bytes[12] != 127)
		return setters_refuse(why, "DNS lists answer with addresses of 127.0.0.0/8");
	slot = array_append(&list->replies, list->reply_count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = range;
	list->reply_count++;
	return 0;
}

// RANGE, or RANGE until DATE.
int add_ip_entry(const struct key *key, void *object, const struct item *item, char *why)
{
	struct ip_list *list = object;
	struct ip_entry entry = {.line = item->line}, *slot;
	size_t range_length = strcspn(item->text, " \t");
	char *rest = item->text + range_length;
	const char *fault;

	rest += strspn(rest, " \t");
	item->text[range_length] = '\0';
	if (range_parse(item->text, &entry.range, &fault) != 0)
		return setters_refuse(why, fault);
	if (*rest != '\0') {
		size_t word = strcspn(rest, " \t");

		if (word != 5 || strncasecmp(rest, "until", 5) != 0)
			return setters_refuse(why, "behind the addresses may stand only \"until\" "
						   "and a date");
		rest += word;
		rest += strspn(rest, " \t");
		if (value_instant(rest, &entry.expires_s, &fault) != 0)
			return setters_refuse(why, fault);
	}
	slot = array_append(&list->entries, list->count, sizeof(*slot));
	if (slot == NULL)
		return -ENOMEM;
	*slot = entry;
	list->count++;
	return 0;
}
