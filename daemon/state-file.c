/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/state-file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/messages.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
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

static bool ends_with(const char *name, const char *suffix)
{
	size_t n = strlen(name), len = strlen(suffix);

	return n > len && strcmp(name + n - len, suffix) == 0;
}

bool state_is_aside(const char *name)
{
	return ends_with(name, ASIDE_SUFFIX);
}

int state_read(int dirfd, const char *file, json_t **ret, struct vnet_err *err)
{
	_cleanup_json_ json_t *j = NULL;
	char text[STATE_FILE_MAX];
	int64_t version;
	ssize_t n = file_read_at(dirfd, file, text, sizeof(text));
	int r;

	if (n < 0)
		return vnet_err_errno(err, (int)n, "read it");
	j = json_loads(text, 0, NULL);
	if (!j)
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "it is no JSON (torn or empty)");
	r = json_get_int(j, "version", 1, INT64_MAX, &version, err);
	if (r < 0)
		return r;
	if (version > STATE_VERSION)
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED,
				    "it was written by a newer vnetd (version %lld)",
				    (long long)version);
	*ret = take_ptr(j);
	return 0;
}

int state_read_own(const char *file, const char *own, struct vnet_err *err)
{
	if (strcmp(own, file) == 0)
		return 0;
	return vnet_err_set(err, -EBADMSG, VNET_E_FAILED,
			    "what it holds goes into %s, not into this file", own);
}

static int is_json(const struct dirent *d)
{
	return d->d_name[0] != '.' && ends_with(d->d_name, ".json");
}

int state_load(int dirfd, state_load_fn load, void *user, struct vnet_err *err)
{
	struct dirent **list = NULL;
	int n = scandirat(dirfd, ".", &list, is_json, alphasort);

	if (n < 0)
		return vnet_err_errno(err, -errno, "read the folder");
	for (int i = 0; i < n; i++) {
		struct vnet_err why = VNET_ERR_INIT;

		if (load(user, list[i]->d_name, &why) < 0)
			state_aside(dirfd, list[i]->d_name, &why);
		free(list[i]);
	}
	free(list);
	return 0;
}
