// SPDX-License-Identifier: BSD-3-Clause
//
// Giving root up after start-up: groups, ids, capabilities, in that order. The C library carries
// the id change to every thread; capabilities are a thread's own, and only the calling one keeps
// one.

#include "control/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

int privileges_lookup(const char *user, uint32_t *uid, uint32_t *gid)
{
	struct passwd *entry = getpwnam(user);

	if (!entry)
		return -ENOENT;
	*uid = entry->pw_uid;
	*gid = entry->pw_gid;
	return 0;
}

// Of the calling thread: these capabilities and no other.
static int keep(const cap_value_t *capabilities, int count)
{
	cap_t set = cap_init();
	int result = 0;

	if (!set)
		return -errno;
	if ((count && (cap_set_flag(set, CAP_PERMITTED, count, capabilities, CAP_SET) ||
		       cap_set_flag(set, CAP_EFFECTIVE, count, capabilities, CAP_SET))) ||
	    cap_set_proc(set))
		result = -errno;
	cap_free(set);
	return result;
}

int privileges_none(void)
{
	return keep(NULL, 0);
}

int privileges_drop(const char *user, char *error, size_t error_size)
{
	static const cap_value_t net_admin = CAP_NET_ADMIN;
	uint32_t uid, gid;
	int result = privileges_lookup(user, &uid, &gid);

	if (result) {
		snprintf(error, error_size,
			 "[gate] User: there is no user \"%s\" on this machine; create it or leave "
			 "User out",
			 user);
		return result;
	}
	if (prctl(PR_SET_KEEPCAPS, 1) || initgroups(user, gid) || setgid(gid) || setuid(uid))
		result = -errno;
	else
		result = keep(&net_admin, 1);
	// A process that can become root again has given nothing up.
	if (!result && uid != 0 && setuid(0) == 0)
		result = -EPERM;
	if (result)
		snprintf(error, error_size, "[gate] User: cannot become \"%s\": %s", user,
			 strerror(-result));
	return result;
}
