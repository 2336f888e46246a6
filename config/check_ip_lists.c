// SPDX-License-Identifier: BSD-3-Clause
//
// See check_ip_lists.h. Entries whose time is over are judged like the others: files are checked
// before they are in force.
#include "config/check_ip_lists.h"

#include "config/keys.h"
#include "config/policy.h"

static void tell_reply(const struct policy *policy, struct diagnostics *diagnostics)
{
	const struct ip_list *list = &policy->ip_block;
	const unsigned line = keys_line(&list->lines, SECTION_IP_BLOCK, "BlockListReply", 0);

	if (line && list->action != ABOVE_TARPIT && list->action != ABOVE_REPLY)
		diagnostics_warning(diagnostics, (struct place){policy->file, line},
				    "BlockListReply has no effect: only BlockListAction = tarpit "
				    "or reply sends it");
}

void check_ip_lists(const struct policy *policy, struct diagnostics *diagnostics)
{
	tell_reply(policy, diagnostics);
	for (unsigned i = 0; i < policy->ip_block.count; i++) {
		const struct ip_entry *entry = &policy->ip_block.entries[i];
		const struct ip_entry *other =
			ip_list_find(&policy->ip_allow, &entry->range.first, 0);
		char text[RANGE_TEXT_MAX];

		if (other != NULL && range_contains(&other->range, &entry->range.last))
			diagnostics_warning(diagnostics, (struct place){policy->file, entry->line},
					    "[ip-block] %s is on the IP Allow list as well (line "
					    "%u): it is allowed",
					    range_format(&entry->range, text), other->line);
	}
}
