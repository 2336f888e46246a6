// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: a configuration file, any bytes, and behind a form feed the one that a reload reads
// instead, each in a heap block of exactly its length. Either a policy comes back or at least one
// error was told, each as one printable line; a policy can be compiled and audited. A reload keeps
// nothing back of the same file, fails with an error or not at all, and what it kept can be
// compiled and needs no second time.
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

// What a reload leaves as it runs, as text in kept; false: an error was told.
static bool keep(const struct policy *running, struct policy *next, char kept[RESTART_KEPT_MAX])
{
	unsigned told = 0;
	struct diagnostics diagnostics = {.report = report, .context = &told};
	const bool good = restart_keep(running, next, &diagnostics, kept);

	assert(good == (told == 0));
	assert(memchr(kept, '\0', RESTART_KEPT_MAX) && !strchr(kept, '\n'));
	return good;
}

static void reload(const struct policy *running, const uint8_t *data, size_t size)
{
	struct policy *next = load(data, size);
	char kept[RESTART_KEPT_MAX];

	if (next && running && keep(running, next, kept)) {
		use(next);
		assert(keep(running, next, kept) && !kept[0]);
	}
	policy_destroy(next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\f', size) : NULL;
	const size_t first = end ? (size_t)(end - data) : size;
	struct policy *running = load(data, first), *same;
	char kept[RESTART_KEPT_MAX];

	if (running) {
		use(running);
		same = load(data, first);
		assert(same && keep(running, same, kept) && !kept[0]);
		policy_destroy(same);
	}
	if (end)
		reload(running, end + 1, size - first - 1);
	policy_destroy(running);
	return 0;
}
