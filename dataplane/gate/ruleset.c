// SPDX-License-Identifier: BSD-3-Clause
//
// The compiled policy and the verdict on a packet: binding table, interval table of the source's
// family, table of grants. This file joins them; how each is built and searched is in bindings.c,
// intervals.c with lookup4.c and lookup6.c, and grants.c. Does not admit or limit anything: a
// verdict depends on addresses and ports alone.
#include "dataplane/gate/ruleset.h"

#include <stdlib.h>
#include <string.h>

#include "config/policy.h"
#include "dataplane/gate/grants.h"
#include "dataplane/gate/lookup4.h"
#include "dataplane/gate/lookup6.h"

#define BURST         RULESET_BURST
#define IPV4_LARGEST  ((address_number)UINT32_MAX)
#define IPV6_LARGEST  (~(address_number)0)
#define SERVER_NUMBER 0 // any number: an endpoint that is there is a server

_Static_assert(RULESET_BURST <= LOOKUP6_BURST, "one look-up of a burst");

struct ruleset {
	struct bindings bindings;
	struct endpoints servers;
	struct grants grants;
	struct lookup4 lookup4;
	struct lookup6 lookup6;
};

// What one packet's look-ups have to agree on.
struct question {
	const struct address *source;
	const struct address *destination;
	uint16_t source_port;
	uint16_t destination_port;
};

// ---- Building --------------------------------------------------------------------------------

// Each server twice: with its port, and with 0 for the address by itself (no segment has it).
static int build_servers(struct endpoints *servers, const struct policy *policy)
{
	uint64_t count = 0;
	for (unsigned i = 0; i < policy->backend_count; i++)
		count += 2ull * policy->backends[i].server_count;
	if (count > UINT32_MAX / 2 || endpoints_init(servers, (uint32_t)count) != 0)
		return -1;
	for (unsigned i = 0; i < policy->backend_count; i++) {
		const struct backend *backend = &policy->backends[i];
		for (unsigned j = 0; j < backend->server_count; j++) {
			endpoints_set(servers, &backend->servers[j].address,
				      backend->servers[j].port, SERVER_NUMBER);
			endpoints_set(servers, &backend->servers[j].address, 0, SERVER_NUMBER);
		}
	}
	endpoints_seal(servers);
	return 0;
}

// The ranges of one family; *count of them. NULL when out of memory.
static struct source_range *collect_ranges(const struct policy *policy, bool ipv4, uint32_t *count)
{
	uint64_t most = 0;
	for (unsigned i = 0; i < policy->connector_count; i++)
		if (policy->connectors[i].enabled)
			most += policy->connectors[i].range_count;
	if (most > UINT32_MAX / 4)
		return NULL;
	struct source_range *ranges =
		aligned_alloc(_Alignof(struct source_range), (most + 1) * sizeof(*ranges));
	if (!ranges)
		return NULL;
	*count = 0;
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];
		for (unsigned j = 0; connector->enabled && j < connector->range_count; j++) {
			const struct range *range = &connector->ranges[j].range;
			address_number first, last;
			if (address_number_of(&range->first, &first) != ipv4)
				continue;
			address_number_of(&range->last, &last);
			ranges[(*count)++] = (struct source_range){first, last, (uint16_t)i};
		}
	}
	return ranges;
}

static int build_intervals(struct intervals *intervals, const struct policy *policy, bool ipv4,
			   struct nests *nests)
{
	uint32_t count;
	*intervals = (struct intervals){0};
	struct source_range *ranges = collect_ranges(policy, ipv4, &count);
	if (!ranges)
		return -1;
	int result = intervals_build(intervals, ranges, count, ipv4 ? IPV4_LARGEST : IPV6_LARGEST,
				     nests);
	free(ranges);
	return result;
}

static int build_sources(struct ruleset *ruleset, const struct policy *policy, struct nests *nests)
{
	struct intervals intervals;
	int result = build_intervals(&intervals, policy, true, nests);
	if (result == 0)
		result = lookup4_build(&ruleset->lookup4, &intervals);
	intervals_fini(&intervals);
	if (result != 0)
		return result;
	result = build_intervals(&intervals, policy, false, nests);
	if (result == 0)
		result = lookup6_build(&ruleset->lookup6, &intervals);
	intervals_fini(&intervals);
	return result;
}

struct ruleset *ruleset_create(const struct policy *policy)
{
	struct ruleset *ruleset = calloc(1, sizeof(*ruleset));
	if (!ruleset)
		return NULL;
	struct nests nests;
	int result = nests_init(&nests);
	if (result == 0)
		result = bindings_build(&ruleset->bindings, policy);
	if (result == 0)
		result = build_servers(&ruleset->servers, policy);
	if (result == 0)
		result = build_sources(ruleset, policy, &nests);
	if (result == 0)
		result = grants_build(&ruleset->grants, &ruleset->bindings, &nests,
				      policy->connector_count);
	nests_fini(&nests);
	if (result != 0) {
		ruleset_destroy(ruleset);
		return NULL;
	}
	return ruleset;
}

void ruleset_destroy(struct ruleset *ruleset)
{
	if (!ruleset)
		return;
	bindings_fini(&ruleset->bindings);
	endpoints_fini(&ruleset->servers);
	grants_fini(&ruleset->grants);
	lookup4_fini(&ruleset->lookup4);
	lookup6_fini(&ruleset->lookup6);
	free(ruleset);
}

// ---- Verdicts --------------------------------------------------------------------------------

static struct verdict drop(enum reason reason)
{
	return (struct verdict){VERDICT_DROP, reason, CONNECTOR_NONE};
}

// The binding class of a destination, else ENDPOINT_ABSENT with the verdict.
static uint32_t find_binding(const struct ruleset *ruleset, const struct question *question,
			     struct verdict *verdict)
{
	const struct endpoints *endpoints = &ruleset->bindings.endpoints;
	// Port 0 is never bound: its entries say which addresses are ours.
	if (question->destination_port) {
		uint32_t class =
			endpoints_get(endpoints, question->destination, question->destination_port);
		if (class != ENDPOINT_ABSENT)
			return class;
	}
	if (endpoints_get(endpoints, question->destination, 0) == ENDPOINT_ABSENT)
		*verdict = drop(REASON_ip_not_ours);
	else if (question->source_port && endpoints_get(&ruleset->servers, question->source,
							question->source_port) != ENDPOINT_ABSENT)
		*verdict = (struct verdict){VERDICT_SERVER, REASON_NONE, CONNECTOR_NONE};
	else
		*verdict = drop(REASON_no_binding);
	return ENDPOINT_ABSENT;
}

static struct verdict grant(const struct ruleset *ruleset, uint32_t binding_class,
			    uint32_t source_class)
{
	if (source_class == 0)
		return drop(REASON_no_connector);
	uint16_t connector = grants_get(&ruleset->grants, binding_class, source_class);
	if (connector == GRANT_NONE)
		return drop(REASON_no_connector);
	return (struct verdict){VERDICT_CLIENT, REASON_NONE, connector};
}

uint16_t ruleset_connector(const struct ruleset *ruleset, const struct address *destination,
			   uint16_t destination_port, const struct address *source,
			   enum reason *reason)
{
	struct question question = {source, destination, 0, destination_port};
	struct verdict verdict;
	uint32_t binding_class = find_binding(ruleset, &question, &verdict);
	if (binding_class != ENDPOINT_ABSENT) {
		address_number number;
		uint32_t source_class;
		if (address_number_of(source, &number)) {
			uint32_t number4 = (uint32_t)number;
			lookup4_find(&ruleset->lookup4, &number4, 1, &source_class);
		} else {
			lookup6_find(&ruleset->lookup6, &number, 1, &source_class);
		}
		verdict = grant(ruleset, binding_class, source_class);
	}
	*reason = verdict.reason;
	return verdict.connector;
}

bool ruleset_is_server(const struct ruleset *ruleset, const struct address *address)
{
	return endpoints_get(&ruleset->servers, address, 0) != ENDPOINT_ABSENT;
}

// Those packets of a burst, of one family, whose binding was found.
struct asked {
	unsigned count;
	uint8_t view[BURST];
	uint32_t binding_class[BURST];
	uint32_t source_class[BURST];
};

static void grant_all(const struct ruleset *ruleset, const struct asked *asked,
		      struct verdict verdicts[])
{
	uint8_t listed[BURST];
	unsigned listed_count = 0;
	for (unsigned i = 0; i < asked->count; i++) {
		// Of a flood hardly any is, and there is nothing to look up.
		if (asked->source_class[i] == 0) {
			verdicts[asked->view[i]] = drop(REASON_no_connector);
			continue;
		}
		grants_prefetch(&ruleset->grants, asked->binding_class[i], asked->source_class[i]);
		listed[listed_count++] = (uint8_t)i;
	}
	for (unsigned i = 0; i < listed_count; i++) {
		unsigned at = listed[i];
		verdicts[asked->view[at]] =
			grant(ruleset, asked->binding_class[at], asked->source_class[at]);
	}
}

static bool same_destination(const struct view *a, const struct view *b)
{
	return a->destination_port == b->destination_port &&
	       memcmp(a->destination.bytes, b->destination.bytes, sizeof(a->destination.bytes)) ==
		       0;
}

static void classify_burst(const struct ruleset *ruleset, const struct view *const views[],
			   unsigned count, struct verdict verdicts[])
{
	struct asked asked4, asked6;
	uint32_t sources4[BURST];
	address_number sources6[BURST];
	const struct view *before = NULL; // the last one whose binding was found, and that
	uint32_t class = ENDPOINT_ABSENT;
	asked4.count = asked6.count = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct view *view = views[i];
		// Most of a burst go where the one before them went.
		if (!before || !same_destination(view, before)) {
			struct question question = {&view->source, &view->destination,
						    view->source_port, view->destination_port};
			class = find_binding(ruleset, &question, &verdicts[i]);
			before = class == ENDPOINT_ABSENT ? NULL : view;
			if (!before)
				continue;
		}
		address_number source;
		bool ipv4 = address_number_of(&view->source, &source);
		struct asked *asked = ipv4 ? &asked4 : &asked6;
		if (ipv4)
			sources4[asked->count] = (uint32_t)source;
		else
			sources6[asked->count] = source;
		asked->view[asked->count] = (uint8_t)i;
		asked->binding_class[asked->count++] = class;
	}
	lookup4_find(&ruleset->lookup4, sources4, asked4.count, asked4.source_class);
	grant_all(ruleset, &asked4, verdicts);
	lookup6_find(&ruleset->lookup6, sources6, asked6.count, asked6.source_class);
	grant_all(ruleset, &asked6, verdicts);
}

void ruleset_classify(const struct ruleset *ruleset, const struct view *const views[],
		      unsigned count, struct verdict verdicts[])
{
	for (unsigned done = 0; done < count; done += BURST) {
		unsigned rest = count - done;
		classify_burst(ruleset, views + done, rest < BURST ? rest : BURST, verdicts + done);
	}
}

bool ruleset_is_bound(const struct ruleset *ruleset, const struct address *address, uint16_t port)
{
	// Port 0 is never bound: its entries say which addresses are ours.
	return port &&
	       endpoints_get(&ruleset->bindings.endpoints, address, port) != ENDPOINT_ABSENT;
}

static uint64_t without_class(const uint32_t classes[], unsigned count)
{
	uint32_t any = 0;
	uint64_t without = 0;
	for (unsigned i = 0; i < count; i++)
		any |= classes[i];
	if (!any) // as in a flood
		return count ? UINT64_MAX >> (64 - count) : 0;
	for (unsigned i = 0; i < count; i++)
		without |= (uint64_t)(classes[i] == 0) << i;
	return without;
}

uint64_t ruleset_unlisted4(const struct ruleset *ruleset, const uint32_t sources[], unsigned count)
{
	uint32_t classes[BURST];
	lookup4_find(&ruleset->lookup4, sources, count, classes);
	return without_class(classes, count);
}

uint64_t ruleset_unlisted6(const struct ruleset *ruleset, const struct address sources[],
			   unsigned count)
{
	address_number numbers[BURST];
	uint32_t classes[BURST];
	if (count == 0)
		return 0;
	for (unsigned i = 0; i < count; i++)
		address_number_of(&sources[i], &numbers[i]);
	lookup6_find(&ruleset->lookup6, numbers, count, classes);
	return without_class(classes, count);
}

size_t ruleset_memory(const struct ruleset *ruleset)
{
	return sizeof(*ruleset) + ruleset->bindings.endpoints.buckets.bytes +
	       ruleset->servers.buckets.bytes + ruleset->grants.table.bytes +
	       lookup4_memory(&ruleset->lookup4) + lookup6_memory(&ruleset->lookup6);
}

unsigned ruleset_intervals(const struct ruleset *ruleset)
{
	return ruleset->lookup4.interval_count + ruleset->lookup6.interval_count;
}
