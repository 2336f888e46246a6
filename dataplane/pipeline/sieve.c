// SPDX-License-Identifier: BSD-3-Clause
//
// Floods, before a view is made of each frame. The ordinary way drops a frame of an unlisted source
// and leaves its pattern here; frames of the same pattern whose sources are unlisted, too, would
// come to the same end, and are counted as that at once. All others go the ordinary way, so each
// rule is said once: of frames in net/, of sources in gate/. A pattern that catches little is
// forgotten, so without a flood nothing is looked for. Owns each port's patterns. Knows no other
// reason than no_connector, and stands aside where more is to be done for a dropped frame.

#include "dataplane/net/wire.h"
#include "dataplane/pipeline/worker.h"

#include <stdlib.h>

#define PATTERNS 4 // of a port: a flood of more kinds of frames is caught in part
#define WORTH    8 // a pattern stays while it catches one frame in so many

struct sieve {
	struct pattern patterns[PATTERNS];
	unsigned used; // a bit each
	unsigned next; // to be given up for a new one
};

int sieve_init(struct pipeline *pipeline)
{
	pipeline->sieves = calloc(pipeline->policy->port_count, sizeof(pipeline->sieves[0]));
	return pipeline->sieves ? 0 : -1;
}

void sieve_fini(struct pipeline *pipeline)
{
	free(pipeline->sieves);
}

bool sieve_applies(const struct pipeline *pipeline)
{
	return !pipeline->handed && !pipeline->capture.on &&
	       pipeline->policy->gate.refuse != REFUSE_RESET &&
	       !generation_former_anywhere(pipeline);
}

static struct address source_of(const struct pattern *pattern, const uint8_t *frame)
{
	const uint8_t *ip = frame + pattern->network_offset;

	return pattern->ipv4 ? wire_ipv4(ip + 12) : wire_ipv6(ip + 8);
}

// Those of `among` that match and are of unlisted sources.
static uint64_t unlisted(const struct pipeline *pipeline, const struct pattern *pattern,
			 const struct slice frames[], uint64_t among)
{
	const struct ruleset *ruleset = pipeline->ruleset;
	struct pattern_matches matches;
	uint64_t found, places = 0;

	pattern_match(pattern, frames, among, &matches);
	if (matches.count == 0)
		return 0;
	found = pattern->ipv4 ? ruleset_unlisted4(ruleset, matches.sources.ipv4, matches.count)
			      : ruleset_unlisted6(ruleset, matches.sources.ipv6, matches.count);
	// Of a flood it is the whole burst.
	if (__builtin_popcountll(found) == __builtin_popcountll(among))
		return among;
	for (; found; found &= found - 1)
		places |= UINT64_C(1) << matches.frames[__builtin_ctzll(found)];
	return places;
}

static uint64_t sift(struct pipeline *pipeline, const struct pattern *pattern,
		     const struct slice frames[], uint64_t among, const struct sample *sample)
{
	uint64_t dropped;

	if (!ruleset_is_bound(pipeline->ruleset, &pattern->destination, pattern->destination_port))
		return 0;
	dropped = unlisted(pipeline, pattern, frames, among);
	count_drops(pipeline, REASON_no_connector, (unsigned)__builtin_popcountll(dropped));
	for (uint64_t told = dropped & sample->frames; told; told &= told - 1) {
		struct address source = source_of(pattern, frames[__builtin_ctzll(told)].data);

		count_offender(pipeline, &source, REASON_no_connector, sample);
	}
	return dropped;
}

uint64_t sieve_drop(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
		    uint64_t among, const struct sample *sample)
{
	struct sieve *sieve = &pipeline->sieves[port];

	for (unsigned used = sieve->used; used && among; used &= used - 1) {
		unsigned i = (unsigned)__builtin_ctz(used);
		const struct pattern *pattern = &sieve->patterns[i];
		uint64_t dropped;

		if (log_wants_drop(pipeline, pattern->flags))
			continue;
		dropped = sift(pipeline, pattern, frames, among, sample);
		if (__builtin_popcountll(dropped) * WORTH < __builtin_popcountll(among))
			sieve->used &= ~(1u << i);
		among &= ~dropped;
	}
	return among;
}

void sieve_learn(struct pipeline *pipeline, uint16_t port, const struct view *view)
{
	struct sieve *sieve = &pipeline->sieves[port];
	struct pattern_matches matches;
	unsigned i;

	// It was left out for the log.
	for (unsigned used = sieve->used; used; used &= used - 1) {
		pattern_match(&sieve->patterns[__builtin_ctz(used)], &view->frame, 1, &matches);
		if (matches.count)
			return;
	}
	i = sieve->next++ % PATTERNS;
	pattern_of(view, &sieve->patterns[i]);
	sieve->used |= 1u << i;
}
