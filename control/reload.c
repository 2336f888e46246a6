// SPDX-License-Identifier: BSD-3-Clause
//
// See reload.h.

#include "control/reload.h"

#include "config/load.h"
#include "config/policy.h"
#include "config/restart.h"
#include "control/generations.h"
#include "control/protocol_log.h"
#include "control/standing.h"
#include "control/steering.h"
#include "dataplane/pipeline/pipeline.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct attempt {
	const struct reload_parts *parts;
	struct instance_record *record; // what is told
	size_t told;                    // bytes of its message
	struct diagnostics diagnostics;
	struct policy *policy;
	struct generation *next;
	char kept[RESTART_KEPT_MAX];
};

static uint64_t now_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void tell(struct attempt *attempt, const char *text)
{
	size_t room = sizeof(attempt->record->message) - attempt->told;
	int length;

	fprintf(stderr, "%s\n", text);
	// Whole lines only; a file with very many faults shows its first ones.
	length = snprintf(attempt->record->message + attempt->told, room, "%s\n", text);
	if ((size_t)length < room)
		attempt->told += (size_t)length;
	else
		attempt->record->message[attempt->told] = '\0';
}

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	if (severity == DIAGNOSTIC_ERROR)
		tell(context, text);
	else
		fprintf(stderr, "%s (warning)\n", text);
}

// A start may read a pipe. Now a pipe that nobody writes to would stop this thread, and with it
// signals, bans and counters; a device may have no end.
static bool may_read(const char *path)
{
	struct stat found;

	return stat(path, &found) || S_ISREG(found.st_mode) || S_ISDIR(found.st_mode);
}

static int load(struct attempt *attempt)
{
	const struct policy *running = generations_newest(attempt->parts->generations)->policy;
	uint64_t began = now_us(CLOCK_MONOTONIC);
	char text[512];

	if (!may_read(running->file)) {
		snprintf(text, sizeof(text), "%s: a file is wanted", running->file);
		tell(attempt, text);
		return -1;
	}
	attempt->policy = policy_load(running->file, &attempt->diagnostics);
	attempt->record->load_took_us = now_us(CLOCK_MONOTONIC) - began;
	if (!attempt->policy && running->gate.user && access(running->file, R_OK) &&
	    errno == EACCES) {
		snprintf(text, sizeof(text),
			 "%s: the gate runs as User = %s by now: let that user read the file, or "
			 "restart the gate",
			 running->file, running->gate.user);
		tell(attempt, text);
	}
	return attempt->policy ? 0 : -1;
}

static int fault(struct attempt *attempt, const char *text)
{
	diagnostics_error(&attempt->diagnostics, (struct place){attempt->policy->file, 0}, "%s",
			  text);
	return -1;
}

// What was sized, opened or given up at the start stays as it is.
static int judge(struct attempt *attempt)
{
	const struct generation *running = generations_newest(attempt->parts->generations);
	struct policy *next = attempt->policy;

	if (!restart_keep(running->policy, next, &attempt->diagnostics, attempt->kept))
		return -1;
	if (pipeline_server_legs(next) > generations_legs(attempt->parts->generations))
		return fault(attempt, "Servers, MaxConnections: more connections than there is "
				      "room for since the start: that needs a restart");
	if (protocol_log_wanted(next) && !attempt->parts->protocol_log)
		return fault(attempt, "ProtocolLoggingLevel: no connector was logged at the start: "
				      "that needs a restart");
	return 0;
}

static int compile(struct attempt *attempt)
{
	uint64_t began = now_us(CLOCK_MONOTONIC);
	char error[GENERATIONS_ERROR_MAX];

	attempt->next = generations_prepare(attempt->parts->generations, attempt->policy, error);
	attempt->record->compile_took_us = now_us(CLOCK_MONOTONIC) - began;
	if (!attempt->next)
		return fault(attempt, error);
	attempt->policy = NULL; // it is the generation's
	if (protocol_log_adopt(attempt->parts->protocol_log, attempt->next->policy,
			       attempt->next->slots) == 0)
		return 0;
	tell(attempt, "out of memory");
	return -1;
}

static int steer_ports(const struct reload_parts *parts, const struct steering_policies *policies,
		       char error[EXPORT_ERROR_MAX])
{
	int result = 0;

	for (unsigned i = 0; i < policies->all[0]->port_count && result == 0; i++)
		result = steering_adopt(policies, i, parts->own[i].addresses, parts->own[i].count,
					parts->export, error);
	return result;
}

// The interfaces take off what any of the policies in memory needs, and this one (NULL: none).
static int steer(const struct reload_parts *parts, const struct policy *next,
		 char error[EXPORT_ERROR_MAX])
{
	unsigned most = generations_count(parts->generations) + 1, count = 0;
	const struct policy **policies = calloc(most, sizeof(*policies));
	int result;

	if (!policies) {
		snprintf(error, EXPORT_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	if (next)
		policies[count++] = next;
	count += generations_policies(parts->generations, policies + count, most - count);
	result = steer_ports(parts, &(struct steering_policies){policies, count}, error);
	free(policies);
	return result;
}

static int widen(struct attempt *attempt)
{
	char error[EXPORT_ERROR_MAX];

	if (steer(attempt->parts, attempt->next->policy, error) == 0)
		return 0;
	tell(attempt, error);
	return -1;
}

static void swap(struct attempt *attempt)
{
	struct instance_record *record = attempt->record;
	uint64_t began = now_us(CLOCK_MONOTONIC), swapped;
	struct generation *before;

	before = generations_swap(attempt->parts->generations, attempt->next);
	swapped = now_us(CLOCK_MONOTONIC);
	record->swap_took_us = swapped - began;
	generation_forget_sources(before);
	// What was read and compiled goes back to the system, not to the heap alone.
	malloc_trim(0);
	record->free_took_us = now_us(CLOCK_MONOTONIC) - swapped;
	record->generation = attempt->next->number;
	record->generation_us = now_us(CLOCK_REALTIME);
	snprintf(record->restart_needed, sizeof(record->restart_needed), "%s", attempt->kept);
}

static void refuse(struct attempt *attempt)
{
	char error[EXPORT_ERROR_MAX];

	if (attempt->next) {
		generations_discard(attempt->parts->generations, attempt->next);
		steer(attempt->parts, NULL, error);
	}
	policy_destroy(attempt->policy);
	malloc_trim(0);
}

int reload(const struct reload_parts *parts, const char *cause)
{
	static int (*const steps[])(struct attempt *) = {load, judge, compile, widen};
	struct instance_record *record = &parts->standing->next;
	struct attempt attempt = {.parts = parts, .record = record};
	int result = 0;

	attempt.diagnostics = (struct diagnostics){.report = report, .context = &attempt};
	record->message[0] = '\0';
	snprintf(record->reload_cause, sizeof(record->reload_cause), "%s", cause);
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]) && result == 0; i++)
		result = steps[i](&attempt);
	if (result == 0)
		swap(&attempt);
	else
		refuse(&attempt);
	record->reloads_applied += result == 0;
	record->reloads_refused += result != 0;
	record->reload_us = now_us(CLOCK_REALTIME);
	snprintf(record->reload_result, sizeof(record->reload_result), "%s",
		 result == 0 ? "applied" : "refused");
	return result;
}

void reload_narrow(const struct reload_parts *parts)
{
	char error[EXPORT_ERROR_MAX];

	// What is too much on an interface does no harm: the next reload tries again.
	if (steer(parts, NULL, error))
		fprintf(stderr, "relaygate: %s\n", error);
	malloc_trim(0);
}
