// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: the compiled ruleset against a slow twin that looks at every binding and every range.
// The input draws a policy out of a small world, so that its parts overlap, and probes at and
// around every edge. A policy that the checks refuse ends the run.
//
// runs: 4000
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/load.h"
#include "dataplane/base/cursor.h"
#include "tests/unit/gate/policies.h"

#undef assert
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CONNECTORS_MAX 6
#define PROBES_MAX     128

static const char *const bindings[] = {"192.0.2.10:25",     "192.0.2.11:25",     "0.0.0.0:25",
				       "192.0.2.10:26",     "[2001:db8::10]:25", "[::]:25",
				       "[2001:db8::11]:25", "0.0.0.0:26"};

struct text {
	char bytes[4096];
	size_t length;
	struct address edges[PROBES_MAX];
	unsigned edge_count;
};

static void add(struct text *text, const char *piece)
{
	size_t length = strlen(piece);

	if (length < sizeof(text->bytes) - text->length) {
		memcpy(text->bytes + text->length, piece, length + 1);
		text->length += length;
	}
}

static void add_edge(struct text *text, struct address address)
{
	if (text->edge_count < PROBES_MAX)
		text->edges[text->edge_count++] = address;
}

// A prefix or a range of the input's choice, most of them near one another.
static void add_range(struct text *text, struct cursor *cursor)
{
	char range[128];
	uint8_t kind = cursor_u8(cursor), a = cursor_u8(cursor), b = cursor_u8(cursor);
	uint8_t low[4] = {198, 51, a, b};
	struct address address = {{0x20, 1, 0x0d, 0xb8, a, [15] = b}};

	if (kind & 1) {
		snprintf(range, sizeof(range), "2001:db8:%x::%x/%u", a << 8, b,
			 24u + kind / 2 % 105);
	} else if (kind & 2) {
		snprintf(range, sizeof(range), "198.51.%u.%u-198.51.%u.%u", a, b, a | kind >> 6,
			 b | kind >> 4);
		address = address_from_ipv4(low);
	} else {
		snprintf(range, sizeof(range), "198.51.%u.%u/%u", a, b, kind / 4 % 33);
		address = address_from_ipv4(low);
	}
	add(text, range);
	add_edge(text, address);
}

static void write_policy(struct text *text, struct cursor *cursor)
{
	unsigned connectors = 1 + cursor_u8(cursor) % CONNECTORS_MAX;

	add(text, "[gate]\nName = mx.test\n[port p]\nDevice = vdev:net_null0\n"
		  "Address = 192.0.2.10/24, 192.0.2.11/24, 2001:db8::10/64, 2001:db8::11/64\n"
		  "[backend b]\nServers = 192.0.2.99, [2001:db8::99]:25\n");
	for (unsigned i = 0; i < connectors; i++) {
		char name[32];
		unsigned count = 1 + cursor_u8(cursor) % 3;

		snprintf(name, sizeof(name), "[connector c%u]\nBindings = ", i);
		add(text, name);
		for (unsigned j = 0; j < count; j++) {
			add(text, j ? ", " : "");
			add(text, bindings[cursor_u8(cursor) % 8]);
		}
		add(text, "\nRemoteIPRanges = ");
		count = 1 + cursor_u8(cursor) % 6;
		for (unsigned j = 0; j < count; j++) {
			add(text, j ? ", " : "");
			add_range(text, cursor);
		}
		add(text, "\n");
	}
}

static struct address moved(struct address address, int by)
{
	for (unsigned i = 16; i-- > 0 && by != 0;) {
		int sum = address.bytes[i] + by;

		address.bytes[i] = (uint8_t)sum;
		by = sum < 0 ? -1 : sum > 255;
	}
	return address;
}

static void compare(const struct policy *policy, const struct ruleset *ruleset,
		    const struct address *source)
{
	static const char *const destinations[] = {"192.0.2.10", "192.0.2.11", "2001:db8::10",
						   "2001:db8::11", "192.0.2.77"};

	for (unsigned i = 0; i < 10; i++) {
		struct view view = {.kind = VIEW_TCP,
				    .source = *source,
				    .source_port = i & 1 ? 25 : 4000,
				    .destination = address_of(destinations[i / 2]),
				    .destination_port = i & 1 ? 26 : 25};
		const struct view *views[] = {&view};
		struct verdict got, want = naive_verdict(policy, &view);

		if (address_is_ipv4(source) != address_is_ipv4(&view.destination))
			continue; // no packet
		ruleset_classify(ruleset, views, 1, &got);
		assert(got.kind == want.kind);
		assert(got.kind != VERDICT_CLIENT || got.connector == want.connector);
		assert(got.kind != VERDICT_DROP || got.reason == want.reason);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text text;
	struct cursor cursor = cursor_of(slice_of(data, size));
	struct diagnostics diagnostics = {0};

	text.length = text.edge_count = 0;
	write_policy(&text, &cursor);
	struct policy *policy = policy_load_text(text.bytes, &diagnostics);
	if (!policy)
		return 0;
	struct ruleset *ruleset = ruleset_create(policy);
	assert(ruleset);
	for (unsigned i = 0; i < text.edge_count; i++)
		for (int by = -1; by <= 1; by++) {
			struct address source = moved(text.edges[i], by);

			compare(policy, ruleset, &source);
		}
	struct address server = address_of("192.0.2.99");
	compare(policy, ruleset, &server);
	ruleset_destroy(ruleset);
	policy_destroy(policy);
	return 0;
}
