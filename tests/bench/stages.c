// SPDX-License-Identifier: BSD-3-Clause
//
// Readings of the clock around the calls between folders; see stages.h.
#include "tests/bench/stages.h"

#include "dataplane/gate/lookup4.h"
#include "dataplane/gate/lookup6.h"
#include "dataplane/gate/ruleset.h"
#include "dataplane/io/frames.h"
#include "dataplane/net/pattern.h"
#include "dataplane/pipeline/pipeline.h"

#include <stdlib.h>
#include <x86intrin.h>

#define ROUND_FRAMES 16384
#define ROUNDS       8192

enum stage { RX, PARSE, BINDING, SOURCE, VERDICT, COUNT, FREE, TURN, STAGES };

static const char *const names[STAGES] = {
	[RX] = "rx",           [PARSE] = "parse", [BINDING] = "binding", [SOURCE] = "source class",
	[VERDICT] = "verdict", [COUNT] = "count", [FREE] = "free",       [TURN] = "turn, clock",
};

struct round {
	uint64_t total;
	uint32_t frames;
	uint64_t cycles[STAGES];
};

static struct round rounds[ROUNDS], round_now;
static unsigned round_count;
static uint64_t last;

bool stages_present(void)
{
	return true;
}

void stages_reset(void)
{
	round_count = 0;
}

// What passed since the last reading was this stage's.
static void ends(enum stage stage)
{
	uint64_t now = __rdtsc();

	round_now.cycles[stage] += now - last;
	last = now;
}

static void end_round(void)
{
	for (unsigned i = 0; i < STAGES; i++)
		round_now.total += round_now.cycles[i];
	if (round_count < ROUNDS)
		rounds[round_count++] = round_now;
	round_now = (struct round){0};
}

static int by_total(const void *a, const void *b)
{
	const struct round *x = a, *y = b;
	double left = (double)x->total / x->frames, right = (double)y->total / y->frames;

	return (left > right) - (left < right);
}

void stages_print(FILE *json)
{
	unsigned counted = round_count / 4 ? round_count / 4 : round_count;
	uint64_t frames = 0, cycles[STAGES] = {0};

	qsort(rounds, round_count, sizeof(rounds[0]), by_total);
	for (unsigned i = 0; i < counted; i++) {
		frames += rounds[i].frames;
		for (unsigned k = 0; k < STAGES; k++)
			cycles[k] += rounds[i].cycles[k];
	}
	fprintf(json, ", \"stages\": {");
	for (unsigned i = 0; i < STAGES && frames; i++)
		fprintf(json, "%s\"%s\": %.2f", i ? ", " : "", names[i],
			(double)cycles[i] / (double)frames);
	fprintf(json, "}");
}

// ---- The calls -------------------------------------------------------------------------------

#define WRAPPED(name) __real_##name

void WRAPPED(pipeline_input)(struct pipeline *, uint16_t, const struct slice[], unsigned,
			     struct tick, struct outbox *);
void WRAPPED(pattern_match)(const struct pattern *, const struct slice[], uint64_t,
			    struct pattern_matches *);
bool WRAPPED(ruleset_is_bound)(const struct ruleset *, const struct address *, uint16_t);
uint64_t WRAPPED(ruleset_unlisted4)(const struct ruleset *, const uint32_t[], unsigned);
uint64_t WRAPPED(ruleset_unlisted6)(const struct ruleset *, const struct address[], unsigned);
void WRAPPED(ruleset_classify)(const struct ruleset *, const struct view *const[], unsigned,
			       struct verdict[]);
void WRAPPED(lookup4_find)(const struct lookup4 *, const uint32_t[], unsigned, uint32_t[]);
void WRAPPED(lookup6_find)(const struct lookup6 *, const address_number[], unsigned, uint32_t[]);
void WRAPPED(frames_release)(struct rte_mbuf *[], unsigned, bool);
uint64_t WRAPPED(pipeline_turn)(struct pipeline *, struct tick, struct outbox *);

void __wrap_pipeline_input(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			   unsigned count, struct tick now, struct outbox *outbox);
void __wrap_pattern_match(const struct pattern *pattern, const struct slice frames[],
			  uint64_t among, struct pattern_matches *matches);
bool __wrap_ruleset_is_bound(const struct ruleset *ruleset, const struct address *address,
			     uint16_t port);
uint64_t __wrap_ruleset_unlisted4(const struct ruleset *ruleset, const uint32_t sources[],
				  unsigned count);
uint64_t __wrap_ruleset_unlisted6(const struct ruleset *ruleset, const struct address sources[],
				  unsigned count);
void __wrap_ruleset_classify(const struct ruleset *ruleset, const struct view *const views[],
			     unsigned count, struct verdict verdicts[]);
void __wrap_lookup4_find(const struct lookup4 *lookup, const uint32_t addresses[], unsigned count,
			 uint32_t classes[]);
void __wrap_lookup6_find(const struct lookup6 *lookup, const address_number addresses[],
			 unsigned count, uint32_t classes[]);
void __wrap_frames_release(struct rte_mbuf *mbufs[], unsigned count, bool plain);
uint64_t __wrap_pipeline_turn(struct pipeline *pipeline, struct tick now, struct outbox *outbox);

void __wrap_pipeline_input(struct pipeline *pipeline, uint16_t port, const struct slice frames[],
			   unsigned count, struct tick now, struct outbox *outbox)
{
	ends(RX);
	WRAPPED(pipeline_input)(pipeline, port, frames, count, now, outbox);
	ends(COUNT);
	round_now.frames += count;
}

bool __wrap_ruleset_is_bound(const struct ruleset *ruleset, const struct address *address,
			     uint16_t port)
{
	bool bound;

	ends(COUNT);
	bound = WRAPPED(ruleset_is_bound)(ruleset, address, port);
	ends(BINDING);
	return bound;
}

void __wrap_pattern_match(const struct pattern *pattern, const struct slice frames[],
			  uint64_t among, struct pattern_matches *matches)
{
	WRAPPED(pattern_match)(pattern, frames, among, matches);
	ends(PARSE);
}

uint64_t __wrap_ruleset_unlisted4(const struct ruleset *ruleset, const uint32_t sources[],
				  unsigned count)
{
	uint64_t unlisted = WRAPPED(ruleset_unlisted4)(ruleset, sources, count);

	ends(VERDICT);
	return unlisted;
}

uint64_t __wrap_ruleset_unlisted6(const struct ruleset *ruleset, const struct address sources[],
				  unsigned count)
{
	uint64_t unlisted = WRAPPED(ruleset_unlisted6)(ruleset, sources, count);

	ends(VERDICT);
	return unlisted;
}

void __wrap_ruleset_classify(const struct ruleset *ruleset, const struct view *const views[],
			     unsigned count, struct verdict verdicts[])
{
	ends(PARSE);
	WRAPPED(ruleset_classify)(ruleset, views, count, verdicts);
	ends(VERDICT);
}

void __wrap_lookup4_find(const struct lookup4 *lookup, const uint32_t addresses[], unsigned count,
			 uint32_t classes[])
{
	ends(BINDING);
	WRAPPED(lookup4_find)(lookup, addresses, count, classes);
	ends(SOURCE);
}

void __wrap_lookup6_find(const struct lookup6 *lookup, const address_number addresses[],
			 unsigned count, uint32_t classes[])
{
	ends(VERDICT); // of IPv4, which comes first
	WRAPPED(lookup6_find)(lookup, addresses, count, classes);
	ends(SOURCE);
}

void __wrap_frames_release(struct rte_mbuf *mbufs[], unsigned count, bool plain)
{
	ends(COUNT);
	WRAPPED(frames_release)(mbufs, count, plain);
	ends(FREE);
}

uint64_t __wrap_pipeline_turn(struct pipeline *pipeline, struct tick now, struct outbox *outbox)
{
	uint64_t next;

	ends(TURN);
	next = WRAPPED(pipeline_turn)(pipeline, now, outbox);
	ends(TURN);
	if (round_now.frames >= ROUND_FRAMES)
		end_round();
	return next;
}
