// SPDX-License-Identifier: BSD-3-Clause
//
// The mutator for configuration files, called by libFuzzer: beside changing bytes it inserts,
// repeats and removes lines, sections by the key table's rows and keys with values of their type,
// at the edges of what is allowed. So a new row is tried without being written down here. Draws
// only from the seed that libFuzzer gives.
#include "config/keys.h"
#include "tests/fuzz/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX  256
#define VALUES_MAX 10 // of a type

// What may stand behind '=', and what just may not.
static const char *const values[KEY_TYPE_COUNT][VALUES_MAX] = {
	[KEY_BOOLEAN] = {"yes", "no", "$true", "off", "maybe"},
	[KEY_WEIGHT] = {"1", "-100", "100", "0", "101", "-101"},
	[KEY_FQDN] = {"mx.example.com", "a.b", "localhost", "x.1", "mx.example.com."},
	[KEY_ZONE] = {"list.test", "zen.example.org", "test", "a..b", "-.x"},
	[KEY_USER] = {"nobody", "root", "no such user", ""},
	[KEY_PIN_DIRECTORY] = {"/sys/fs/bpf/x", "/sys/fs/bpf/a.b", "relative", "/"},
	[KEY_DIRECTORY] = {"/tmp", "/var/log/../x", "relative", "/"},
	[KEY_DEVICE] = {"vdev:net_null0", "vdev:net_null1", "af_xdp:eth0", "pci:0000:03:00.0",
			"af_packet:eth1", "eth0", "vdev:"},
	[KEY_BACKEND] = {"cluster", "other", "nowhere"},
	[KEY_BANNER] = {"220 hello", "220 ", "221 hello", "220-more"},
	[KEY_LIMIT_REPLY] = {"421 too many", "421 4.3.2 no", "550 no", "421"},
	[KEY_COMMENT] = {"text", "\xc3\xa4", "\xff"},
	[KEY_INTERFACE_ADDRESSES] = {"192.0.2.10/24", "10.0.0.1/24", "2001:db8:1::10/64",
				     "10.0.0.1/32", "0.0.0.0/0", "fe80::1/64", "192.0.2.10"},
	[KEY_GATEWAYS] = {"192.0.2.1", "2001:db8:1::1", "10.0.0.254", "192.0.2.10", "::"},
	[KEY_BINDINGS] = {"192.0.2.10:25", "0.0.0.0:25", "[::]:25", "[2001:db8:1::10]:25",
			  "0.0.0.0:587", "192.0.2.10:0", "192.0.2.99:25", "10.0.0.1:65536"},
	[KEY_RANGES] = {"0.0.0.0/0", "::/0", "192.0.2.7", "198.51.100.0/24",
			"2001:db8::-2001:db8::9", "10.0.0.0-10.255.255.255", "192.0.2.0/33",
			"10.0.0.9-10.0.0.1", "::1"},
	[KEY_PERMISSION_GROUPS] = {"AnonymousUsers", "Partners", "ExchangeServers", "None",
				   "ExchangeUsers", "ExchangeLegacyServers", "Custom", "Everybody"},
	[KEY_RIGHTS] = {"anonymous: ms-Exch-SMTP-Accept-Any-Recipient",
			"anonymous: ms-Exch-SMTP-Submit",
			"anonymous: ms-Exch-Accept-Headers-Routing",
			"externally-secured: ms-Exch-Bypass-Anti-Spam",
			"authenticated: ms-Exch-SMTP-Accept-Any-Sender",
			"partner: ms-Exch-Accept-Headers-Forest", "nobody: x", "anonymous"},
	[KEY_MECHANISMS] = {"None", "Tls", "BasicAuth", "Integrated", "ExternalAuthoritative",
			    "BasicAuthRequireTLS", "ExchangeServer", "Magic"},
	[KEY_IP_ENTRIES] = {"192.0.2.7", "192.0.2.0/24 until 2030-01-31", "2001:db8::/32",
			    "10.0.0.1-10.0.0.9 until 2031-01-01T10:00Z",
			    "192.0.2.7 until 2030-02-31", "0.0.0.0/0", "192.0.2.8 until"},
	[KEY_SERVERS] = {"10.0.0.11", "10.0.0.11:25", "[2001:db8:2::11]:25", "192.0.2.10:25",
			 "10.0.0.11:0", "224.0.0.1"},
	[KEY_DNS_SERVERS] = {"10.0.0.53", "[2001:db8:2::53]:53", "10.0.0.53:5353", "192.0.2.10"},
	[KEY_REPLIES] = {"127.0.0.2", "127.0.0.0/8", "127.0.0.2-127.0.0.11", "::1", "10.0.0.0/24"},
};

static const char *const names[] = {"cluster",       "outside", "inside", "Internet", "contoso.com",
				    "*.contoso.com", "list",    "*",      "\xc3\xa4"};

// ---- Values ----------------------------------------------------------------------------------

static const char *some_value(enum key_type type, uint32_t *seed)
{
	unsigned count = 0;

	while (count < VALUES_MAX && values[type][count])
		count++;
	return count ? values[type][lines_draw(seed, count)] : "1";
}

// At the edges of its range, beside them, or anywhere.
static void write_number(const struct key *key, uint32_t *seed, char out[VALUE_MAX])
{
	static const char *const units[] = {"", "ms", "s", "m", "h", "d", "KB", "MB", "GB"};
	const uint64_t numbers[] = {key->minimum,          key->minimum - 1,
				    key->maximum,          key->maximum + 1,
				    lines_draw(seed, 100), lines_draw(seed, 1u << 31)};
	const char *unit = key->type == KEY_TIME ? "ms" : key->type == KEY_SIZE ? "B" : "";

	if (lines_draw(seed, 4) == 0)
		unit = DRAW_FROM(seed, units);
	if (lines_draw(seed, 8) == 0)
		snprintf(out, VALUE_MAX, "%s", key->unlimited ? "unlimited" : "00:05:00");
	else
		snprintf(out, VALUE_MAX, "%llu%s", (unsigned long long)DRAW_FROM(seed, numbers),
			 unit);
}

static void write_list(const struct key *key, uint32_t *seed, char out[VALUE_MAX])
{
	static const char *const separators[] = {", ", ",\n\t", ",", " "};
	size_t used = 0;

	for (unsigned left = 1 + lines_draw(seed, 3); left > 0; left--) {
		used += (size_t)snprintf(out + used, VALUE_MAX - used, "%s%s",
					 some_value(key->type, seed),
					 left > 1 ? DRAW_FROM(seed, separators) : "");
		if (used >= VALUE_MAX)
			return;
	}
}

static void write_choice(const struct key *key, uint32_t *seed, char out[VALUE_MAX])
{
	unsigned count = 0;

	while (key->choices[count])
		count++;
	snprintf(out, VALUE_MAX, "%s", key->choices[lines_draw(seed, count)]);
}

static void write_value(const struct key *key, uint32_t *seed, char out[VALUE_MAX])
{
	if (key->fallback && lines_draw(seed, 8) == 0)
		snprintf(out, VALUE_MAX, "%s", key->fallback);
	else if (key->type == KEY_NUMBER || key->type == KEY_SIZE || key->type == KEY_TIME)
		write_number(key, seed, out);
	else if (key->type == KEY_CHOICE)
		write_choice(key, seed, out);
	else if (key_is_list(key))
		write_list(key, seed, out);
	else
		snprintf(out, VALUE_MAX, "%s", some_value(key->type, seed));
}

// ---- Lines -----------------------------------------------------------------------------------

// Of the section that the place is in; any when that is not known.
static enum section_kind section_at(const struct lines *file, size_t at, uint32_t *seed)
{
	enum section_kind kind;
	char word[20];

	while (at > 0) {
		const char *line;
		size_t length;

		for (at--; at > 0 && file->bytes[at - 1] != '\n'; at--)
			;
		line = file->bytes + at;
		if (*line != '[')
			continue;
		length = lines_end(file, at) - at;
		snprintf(word, sizeof(word), "%.*s", (int)length - 1, line + 1);
		word[strcspn(word, " ]\n")] = '\0';
		if (section_find(word, &kind))
			return kind;
	}
	return (enum section_kind)lines_draw(seed, SECTION_COUNT);
}

static const struct key *some_key(enum section_kind kind, uint32_t *seed)
{
	const struct key *key;

	do
		key = keys_at(lines_draw(seed, keys_count()));
	while (key->section != kind);
	return key;
}

static void insert_key(struct lines *file, uint32_t *seed)
{
	const size_t at = lines_some(file, seed);
	const struct key *key = lines_draw(seed, 16) == 0
					? keys_at(lines_draw(seed, keys_count()))
					: some_key(section_at(file, at, seed), seed);
	char value[VALUE_MAX], line[VALUE_MAX + 80];
	int length;

	write_value(key, seed, value);
	length = snprintf(line, sizeof(line), "%s = %s\n", key->name, value);
	lines_insert(file, at, line, (size_t)length);
}

static void insert_section(struct lines *file, uint32_t *seed)
{
	const struct section *section =
		section_row((enum section_kind)lines_draw(seed, SECTION_COUNT));
	const size_t at = lines_some(file, seed);
	char line[80];
	int length = section->named ? snprintf(line, sizeof(line), "[%s %s]\n", section->name,
					       DRAW_FROM(seed, names))
				    : snprintf(line, sizeof(line), "[%s]\n", section->name);

	lines_insert(file, at, line, (size_t)length);
}

// The file again behind itself, as a reload reads it.
static void reload(struct lines *file)
{
	const size_t size = file->size;
	char *copy;

	if (memchr(file->bytes, '\f', size) || 2 * size + 1 > file->room)
		return;
	copy = malloc(size + 1);
	memcpy(copy, file->bytes, size);
	lines_insert(file, size, "\f", 1);
	lines_insert(file, size + 1, copy, size);
	free(copy);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	struct lines file = {(char *)data, size, max_size};
	uint32_t state = lines_seed(seed);

	for (unsigned changes = 1 + lines_draw(&state, 4); changes > 0; changes--) {
		const uint32_t kind = lines_draw(&state, 16);

		if (kind < 7)
			insert_key(&file, &state);
		else if (kind < 9)
			insert_section(&file, &state);
		else if (kind < 11)
			lines_erase(&file, &state);
		else if (kind < 12)
			lines_repeat(&file, &state);
		else if (kind < 13)
			reload(&file);
		else
			file.size = LLVMFuzzerMutate(data, file.size, max_size);
	}
	return file.size;
}
