// SPDX-License-Identifier: BSD-3-Clause
//
// libFuzzer: a configuration file, any bytes, in a heap block of exactly its length. Either a
// policy comes back or at least one error was told, each as one printable line; a policy can be
// compiled.
//
// runs: 5000
#include "config/load.h"
#include "config/policy.h"
#include "dataplane/gate/ruleset.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void report(void *context, enum diagnostic_severity severity, const char *text)
{
	unsigned *told = context;

	assert(strlen(text) > 0 && !strchr(text, '\n') && !strchr(text, '\r'));
	*told += severity == DIAGNOSTIC_ERROR;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned told = 0;
	struct diagnostics diagnostics = {.report = report, .context = &told};
	char *bytes = malloc(size);

	memcpy(bytes, data, size);
	struct policy *policy = policy_load_bytes("file.ini", bytes, size, &diagnostics);
	free(bytes);
	assert(told == diagnostics.errors);
	assert((policy == NULL) == (told > 0));
	if (policy) {
		struct ruleset *ruleset = ruleset_create(policy);

		assert(ruleset);
		ruleset_destroy(ruleset);
	}
	policy_destroy(policy);
	return 0;
}
