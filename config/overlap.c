// SPDX-License-Identifier: BSD-3-Clause
//
// Bindings are sorted into groups of equal endpoints, groups with the same connectors share one
// list of spans: all their ranges of the binding's family, sorted by first address, wider first.
// One sweep with a stack then sees every range that is neither nested nor disjoint.
// Owns no policy; everything here lives only during one overlap_check().
#include "config/overlap.h"
#include "config/policy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 number;

// One range of one connector; the first and last address as numbers.
struct span {
	number first, last;
	unsigned connector, line;
};

// One binding of one connector.
struct use {
	struct endpoint binding;
	unsigned connector;
};

// A set of connectors, seen through one address family.
struct set {
	struct span *spans;
	size_t count;
};

// The uses of one binding.
struct group {
	const struct use *uses;
	unsigned count;
	bool repeated; // the same connectors as an earlier group, whose set it shares
	unsigned set;
};

struct overlap {
	const struct policy *policy;
	struct diagnostics *diagnostics;
	struct use *uses;
	unsigned use_count;
	struct group *groups; // ordered by binding
	unsigned group_count;
	struct set *sets;
	unsigned set_count;
};

static number to_number(const struct address *address)
{
	number value = 0;

	for (unsigned i = 0; i < sizeof(address->bytes); i++)
		value = value << 8 | address->bytes[i];
	return value;
}

static struct address from_number(number value)
{
	struct address address;

	for (unsigned i = sizeof(address.bytes); i-- > 0; value >>= 8)
		address.bytes[i] = (uint8_t)value;
	return address;
}

static char *span_text(number first, number last, char buffer[RANGE_TEXT_MAX])
{
	struct range range = {from_number(first), from_number(last)};

	return range_format(&range, buffer);
}

static struct place at(const struct overlap *overlap, unsigned line)
{
	return (struct place){overlap->policy->file, line};
}

// ---- Groups and sets -------------------------------------------------------------------------

static int compare_bindings(const struct endpoint *a, const struct endpoint *b)
{
	int order = address_compare(&a->address, &b->address);

	return order != 0 ? order : (int)a->port - (int)b->port;
}

static int order_of_uses(const void *a, const void *b)
{
	const struct use *left = a, *right = b;
	int order = compare_bindings(&left->binding, &right->binding);

	if (order != 0)
		return order;
	return left->connector < right->connector ? -1 : left->connector > right->connector;
}

static bool group_is_ipv4(const struct group *group)
{
	return address_is_ipv4(&group->uses[0].binding.address);
}

// Equal only for the same connectors and the same family.
static int compare_members(const struct group *left, const struct group *right)
{
	if (group_is_ipv4(left) != group_is_ipv4(right))
		return group_is_ipv4(left) ? -1 : 1;
	if (left->count != right->count)
		return left->count < right->count ? -1 : 1;
	for (unsigned i = 0; i < left->count; i++)
		if (left->uses[i].connector != right->uses[i].connector)
			return left->uses[i].connector < right->uses[i].connector ? -1 : 1;
	return 0;
}

static int order_of_members(const void *a, const void *b)
{
	const struct group *left = *(struct group *const *)a, *right = *(struct group *const *)b;
	int order = compare_members(left, right);

	if (order != 0)
		return order;
	return left < right ? -1 : left > right;
}

static int collect_uses(struct overlap *overlap)
{
	const struct policy *policy = overlap->policy;
	size_t total = 0;

	for (unsigned i = 0; i < policy->connector_count; i++)
		total += policy->connectors[i].binding_count;
	overlap->uses = calloc(total + 1, sizeof(*overlap->uses));
	overlap->groups = calloc(total + 1, sizeof(*overlap->groups));
	overlap->sets = calloc(total + 1, sizeof(*overlap->sets));
	if (overlap->uses == NULL || overlap->groups == NULL || overlap->sets == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < policy->connector_count; i++) {
		const struct connector *connector = &policy->connectors[i];

		for (unsigned j = 0; connector->enabled && j < connector->binding_count; j++)
			overlap->uses[overlap->use_count++] =
				(struct use){connector->bindings[j], i};
	}
	qsort(overlap->uses, overlap->use_count, sizeof(*overlap->uses), order_of_uses);
	return 0;
}

// Uses of one binding stand side by side; a connector that repeats itself is told and counts once.
static void form_groups(struct overlap *overlap)
{
	struct group *group = NULL;
	unsigned kept = 0;

	for (unsigned i = 0; i < overlap->use_count; i++) {
		const struct use use = overlap->uses[i];
		const struct connector *connector = &overlap->policy->connectors[use.connector];
		const struct use *before = kept > 0 ? &overlap->uses[kept - 1] : NULL;
		char text[ENDPOINT_TEXT_MAX], quote[DIAGNOSTICS_QUOTE_MAX];
		bool same = before != NULL && compare_bindings(&before->binding, &use.binding) == 0;

		if (same && before->connector == use.connector) {
			diagnostics_error(overlap->diagnostics, at(overlap, connector->line),
					  "connector %s lists the binding %s twice: remove one",
					  diagnostics_quote(connector->name, quote),
					  endpoint_format(&use.binding, text));
			continue;
		}
		overlap->uses[kept] = use;
		if (!same) {
			group = &overlap->groups[overlap->group_count++];
			group->uses = &overlap->uses[kept];
		}
		group->count++;
		kept++;
	}
	overlap->use_count = kept;
}

static int order_of_spans(const void *a, const void *b)
{
	const struct span *left = a, *right = b;

	if (left->first != right->first)
		return left->first < right->first ? -1 : 1;
	if (left->last != right->last)
		return left->last > right->last ? -1 : 1;
	return left->line < right->line ? -1 : left->line > right->line;
}

static int fill_set(const struct overlap *overlap, const struct group *group, struct set *set)
{
	bool ipv4 = group_is_ipv4(group);
	size_t total = 0;

	for (unsigned i = 0; i < group->count; i++)
		total += overlap->policy->connectors[group->uses[i].connector].range_count;
	set->spans = reallocarray(NULL, total + 1, sizeof(*set->spans));
	if (set->spans == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < group->count; i++) {
		unsigned index = group->uses[i].connector;
		const struct connector *connector = &overlap->policy->connectors[index];

		for (unsigned j = 0; j < connector->range_count; j++) {
			const struct connector_range *range = &connector->ranges[j];

			if (address_is_ipv4(&range->range.first) != ipv4)
				continue;
			set->spans[set->count++] =
				(struct span){to_number(&range->range.first),
					      to_number(&range->range.last), index, range->line};
		}
	}
	qsort(set->spans, set->count, sizeof(*set->spans), order_of_spans);
	return 0;
}

static int form_sets(struct overlap *overlap)
{
	struct group **order = calloc(overlap->group_count + 1, sizeof(*order));
	int status = 0;

	if (order == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < overlap->group_count; i++)
		order[i] = &overlap->groups[i];
	qsort(order, overlap->group_count, sizeof(*order), order_of_members);
	for (unsigned i = 0; i < overlap->group_count && status == 0; i++) {
		order[i]->repeated = i > 0 && compare_members(order[i - 1], order[i]) == 0;
		if (!order[i]->repeated)
			status = fill_set(overlap, order[i], &overlap->sets[overlap->set_count++]);
		order[i]->set = overlap->set_count - 1;
	}
	free(order);
	return status;
}

// ---- Nested or disjoint ----------------------------------------------------------------------

static void tell_pair(const struct overlap *overlap, const struct group *group,
		      const struct span *wide, const struct span *other)
{
	const struct connector *connectors = overlap->policy->connectors;
	bool equal = wide->first == other->first && wide->last == other->last;
	// The one further down in the file is the one to be told at.
	const struct span *early = wide->line <= other->line ? wide : other;
	const struct span *late = early == wide ? other : wide;
	char early_text[RANGE_TEXT_MAX], late_text[RANGE_TEXT_MAX], both[RANGE_TEXT_MAX];
	char early_name[DIAGNOSTICS_QUOTE_MAX], late_name[DIAGNOSTICS_QUOTE_MAX];
	char binding[ENDPOINT_TEXT_MAX];
	struct place place = at(overlap, late->line);

	span_text(early->first, early->last, early_text);
	span_text(late->first, late->last, late_text);
	diagnostics_quote(connectors[early->connector].name, early_name);
	diagnostics_quote(connectors[late->connector].name, late_name);
	endpoint_format(&group->uses[0].binding, binding);
	if (early->connector == late->connector && equal)
		diagnostics_error(overlap->diagnostics, place,
				  "connector %s lists the range %s twice, first on line %u: remove "
				  "one",
				  late_name, late_text, early->line);
	else if (early->connector == late->connector)
		diagnostics_error(overlap->diagnostics, place,
				  "the range %s of connector %s overlaps in part with its %s on "
				  "line %u: write one range, %s",
				  late_text, late_name, early_text, early->line,
				  span_text(wide->first, other->last, both));
	else if (equal)
		diagnostics_error(overlap->diagnostics, place,
				  "the range %s of connector %s is also listed by connector %s on "
				  "line %u, and both answer on %s: a client there would have two "
				  "connectors; take it out of one",
				  late_text, late_name, early_name, early->line, binding);
	else
		diagnostics_error(overlap->diagnostics, place,
				  "the range %s of connector %s overlaps in part with %s of "
				  "connector %s on line %u, and both answer on %s: one range must "
				  "lie wholly inside the other, or they must not meet",
				  late_text, late_name, early_text, early_name, early->line,
				  binding);
}

static int sweep(const struct overlap *overlap, const struct group *group)
{
	const struct set *set = &overlap->sets[group->set];
	const struct span **stack = calloc(set->count + 1, sizeof(*stack));
	size_t depth = 0;

	if (stack == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < set->count; i++) {
		const struct span *span = &set->spans[i];

		while (depth > 0 && stack[depth - 1]->last < span->first)
			depth--;
		if (depth > 0) {
			const struct span *around = stack[depth - 1];

			if (span->last > around->last ||
			    (span->first == around->first && span->last == around->last))
				tell_pair(overlap, group, around, span);
		}
		stack[depth++] = span;
	}
	free(stack);
	return 0;
}

// ---- A specific binding hides a wider one ----------------------------------------------------

#define SHADOW_EXAMPLES 3

// Addresses of a set's spans, as disjoint runs in order.
struct runs {
	const struct set *set;
	size_t next;
	number first, last;
};

static bool runs_next(struct runs *runs)
{
	const struct set *set = runs->set;

	if (runs->next == set->count)
		return false;
	runs->first = set->spans[runs->next].first;
	runs->last = set->spans[runs->next].last;
	for (runs->next++; runs->next < set->count; runs->next++) {
		const struct span *span = &set->spans[runs->next];

		if (span->first > runs->last && span->first - runs->last > 1)
			break;
		if (span->last > runs->last)
			runs->last = span->last;
	}
	return true;
}

// The first sources of `wide` that `specific` does not have, as text; false when it has them all.
static bool lost_sources(const struct set *wide, const struct set *specific, char *text,
			 size_t room)
{
	struct runs all = {.set = wide}, kept = {.set = specific};
	bool more = runs_next(&kept);
	unsigned found = 0;
	size_t used = 0;
	char range[RANGE_TEXT_MAX];

	while (runs_next(&all)) {
		number from = all.first;
		bool whole = false; // nothing of this run is left

		while (!whole) {
			number until = all.last;

			while (more && kept.last < from)
				more = runs_next(&kept);
			if (more && kept.first <= all.last) {
				if (kept.first <= from) {
					whole = kept.last >= all.last;
					from = kept.last + 1;
					continue;
				}
				until = kept.first - 1;
			}
			if (found++ == SHADOW_EXAMPLES) {
				snprintf(text + used, room - used, " and more");
				return true;
			}
			used += (size_t)snprintf(text + used, room - used, "%s%s",
						 found > 1 ? ", " : "",
						 span_text(from, until, range));
			whole = until == all.last;
			from = until + 1;
		}
	}
	return found > 0;
}

static void check_shadow(const struct overlap *overlap, const struct group *wide,
			 const struct group *specific)
{
	const struct connector *connectors = overlap->policy->connectors;
	const struct connector *hider = &connectors[specific->uses[0].connector];
	const struct connector *hidden = &connectors[wide->uses[0].connector];
	char text[(SHADOW_EXAMPLES + 1) * (RANGE_TEXT_MAX + 2)];
	char hider_name[DIAGNOSTICS_QUOTE_MAX], hidden_name[DIAGNOSTICS_QUOTE_MAX];
	char specific_text[ENDPOINT_TEXT_MAX], wide_text[ENDPOINT_TEXT_MAX];

	if (!lost_sources(&overlap->sets[wide->set], &overlap->sets[specific->set], text,
			  sizeof(text)))
		return;
	endpoint_format(&specific->uses[0].binding, specific_text);
	endpoint_format(&wide->uses[0].binding, wide_text);
	diagnostics_warning(overlap->diagnostics, at(overlap, hider->line),
			    "the binding %s of connector %s hides %s of connector %s (line %u): "
			    "there is no fall-back, so at %s these sources are refused: %s",
			    specific_text, diagnostics_quote(hider->name, hider_name), wide_text,
			    diagnostics_quote(hidden->name, hidden_name), hidden->line,
			    specific_text, text);
}

// The group of the same port that is bound to every address of the family, if there is one.
static const struct group *find_wide(const struct overlap *overlap, const struct group *specific)
{
	static const uint8_t zeros[16];
	struct endpoint wanted = {group_is_ipv4(specific) ? address_from_ipv4(zeros)
							  : address_from_ipv6(zeros),
				  specific->uses[0].binding.port};
	unsigned low = 0, high = overlap->group_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int order = compare_bindings(&wanted, &overlap->groups[middle].uses[0].binding);

		if (order == 0)
			return &overlap->groups[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

// ---- All of it -------------------------------------------------------------------------------

static void overlap_fini(struct overlap *overlap)
{
	for (unsigned i = 0; i < overlap->set_count; i++)
		free(overlap->sets[i].spans);
	free(overlap->sets);
	free(overlap->groups);
	free(overlap->uses);
}

int overlap_check(const struct policy *policy, struct diagnostics *diagnostics)
{
	struct overlap overlap = {.policy = policy, .diagnostics = diagnostics};
	int status = collect_uses(&overlap);

	if (status == 0) {
		form_groups(&overlap);
		status = form_sets(&overlap);
	}
	for (unsigned i = 0; i < overlap.group_count && status == 0; i++) {
		const struct group *group = &overlap.groups[i];

		if (!group->repeated)
			status = sweep(&overlap, group);
		if (!address_is_any(&group->uses[0].binding.address)) {
			const struct group *wide = find_wide(&overlap, group);

			if (wide != NULL)
				check_shadow(&overlap, wide, group);
		}
	}
	overlap_fini(&overlap);
	return status;
}
