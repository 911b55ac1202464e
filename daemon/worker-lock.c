/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: a lock file a vnetd. What an earlier one left is renamed at the
 * start, not removed, for its workers still hold it, and the vnetd after this one must
 * find it too; it goes when its lock can be had.
 */
#include "daemon/worker-lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define OLD_PREFIX WORKERS_LOCK ".of-"
#define OLD_MAX 32 /* restarts while one worker hangs; the oldest are found first */

struct worker_locks {
	int dirfd;
	size_t n;
	char file[OLD_MAX][48];
};

static int is_old(const struct dirent *d)
{
	return strncmp(d->d_name, OLD_PREFIX, strlen(OLD_PREFIX)) == 0;
}

int worker_locks_new(struct worker_locks **ret, const char *runtime, struct vnet_err *err)
{
	struct worker_locks *l = calloc(1, sizeof(*l));
	struct dirent **list = NULL;
	struct timespec now;
	char name[48];
	int n;

	if (!l)
		return vnet_err_errno(err, -ENOMEM, "workers");
	l->dirfd = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0) {
		n = -errno;
		free(l);
		return vnet_err_errno(err, n, "open %s", runtime);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, sizeof(name), OLD_PREFIX "%020lld.%09ld", (long long)now.tv_sec,
		 now.tv_nsec);
	renameat(l->dirfd, WORKERS_LOCK, l->dirfd, name);
	n = scandirat(l->dirfd, ".", &list, is_old, alphasort);
	for (int i = 0; i < n; i++) {
		if (l->n < OLD_MAX)
			snprintf(l->file[l->n++], sizeof(l->file[0]), "%.47s", list[i]->d_name);
		free(list[i]);
	}
	free(list);
	*ret = l;
	return 0;
}

struct worker_locks *worker_locks_free(struct worker_locks *l)
{
	if (!l)
		return NULL;
	close_fd(l->dirfd);
	free(l);
	return NULL;
}

static bool is_held(const struct worker_locks *l, const char *file)
{
	_cleanup_close_ int fd = openat(l->dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

bool worker_locks_held(struct worker_locks *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (!is_held(l, l->file[i]))
			unlinkat(l->dirfd, l->file[i], 0);
		else if (kept++ != i)
			memcpy(l->file[kept - 1], l->file[i], sizeof(l->file[0]));
	}
	l->n = kept;
	return kept > 0;
}

int worker_lock_take(const char *runtime)
{
	_cleanup_close_ int dirfd = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd =
		openat(dirfd, WORKERS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		flock(fd, LOCK_SH | LOCK_NB);
	return take_fd(&fd);
}
