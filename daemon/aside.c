/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/aside.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <syslog.h>

#include "daemon/messages.h"
#include "lib/log.h"

#define ASIDE_MAX 10 /* of one name; then the last is replaced */

void state_aside(int dirfd, const char *file, const struct vnet_err *err)
{
	char aside[NAME_MAX + 1];
	int r;

	snprintf(aside, sizeof(aside), "%.200s" ASIDE_SUFFIX, file);
	r = renameat2(dirfd, file, dirfd, aside, RENAME_NOREPLACE);
	for (int i = 1; r < 0 && errno == EEXIST && i < ASIDE_MAX; i++) {
		snprintf(aside, sizeof(aside), "%.200s.%d" ASIDE_SUFFIX, file, i);
		r = renameat2(dirfd, file, dirfd, aside, RENAME_NOREPLACE);
	}
	if (r < 0)
		r = renameat(dirfd, file, dirfd, aside);
	if (r < 0)
		snprintf(aside, sizeof(aside), "%.200s", file);
	log_event_err(MSG_STATE_UNREADABLE, LOG_ERR, NULL, err,
		      "%s cannot be read and was kept as %s; what it knew is not undone", file,
		      aside);
}
