// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: a configuration file, any bytes, and behind a form feed the one that a reload reads
// instead, each in a heap block of exactly its length. Either a policy comes back or at least one
// error was told, each as one printable line; a policy can be compiled and audited. A reload that
// needs a restart says why, needs it in both directions, and never for the same file.
//
// runs: 5000
#include "config/audit.h"
#include "config/load.h"
#include "config/policy.h"
#include "config/restart.h"
#include "dataplane/gate/ruleset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WALL_US 1900000000000000ull // 2030-03-17: some entries of lists have expired, some not

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	unsigned *told = context;

	assert(strlen(text) > 0 && !strchr(text, '\n') && !strchr(text, '\r'));
	*told += severity == DIAGNOSTIC_ERROR;
}

static struct policy *load(const uint8_t *data, size_t size)
{
	unsigned told = 0;
	struct diagnostics diagnostics = {.report = report, .context = &told};
	char *bytes = malloc(size);

	if (size > 0)
		memcpy(bytes, data, size);
	struct policy *policy = policy_load_bytes("file.ini", bytes, size, &diagnostics);
	free(bytes);
	assert(told == diagnostics.errors);
	assert((policy == NULL) == (told > 0));
	return policy;
}

static void use(const struct policy *policy)
{
	struct ruleset *ruleset = ruleset_create(policy);
	struct audit *audit = audit_make(policy, WALL_US);

	assert(ruleset && audit);
	for (unsigned i = 0; i < audit->finding_count; i++) {
		const struct audit_finding *finding = &audit->findings[i];

		assert(finding->text[0] && finding->advice[0] && !strchr(finding->text, '\n'));
		assert(i == 0 || audit->findings[i - 1].severity <= finding->severity);
	}
	audit_destroy(audit);
	ruleset_destroy(ruleset);
}

static bool restart_needed(const struct policy *running, const struct policy *next)
{
	unsigned told = 0;
	struct diagnostics diagnostics = {.report = report, .context = &told};
	const bool needed = !restart_not_needed(running, next, &diagnostics);

	assert(needed == (told > 0));
	return needed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\f', size) : NULL;
	const size_t first = end ? (size_t)(end - data) : size;
	struct policy *running = load(data, first), *next = NULL;

	if (end)
		next = load(end + 1, size - first - 1);
	if (running) {
		use(running);
		assert(!restart_needed(running, running));
	}
	if (next)
		use(next);
	if (running && next)
		assert(restart_needed(running, next) == restart_needed(next, running));
	policy_destroy(running);
	policy_destroy(next);
	return 0;
}
