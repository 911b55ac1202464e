/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

bool listing_open(struct listing *l, int dirfd, const char *path)
{
	l->at = l->n = 0;
	l->fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return l->fd >= 0;
}

const char *listing_next(struct listing *l, ino_t *ret_inode)
{
	const struct dirent64 *e;

	do {
		ssize_t n = l->at < l->n ? 1 : getdents64(l->fd, l->buf, sizeof(l->buf));

		if (n <= 0)
			return NULL;
		if (l->at >= l->n) {
			l->at = 0;
			l->n = (size_t)n;
		}
		e = (const struct dirent64 *)(const void *)(l->buf + l->at);
		l->at += e->d_reclen;
	} while (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
	if (ret_inode)
		*ret_inode = e->d_ino;
	return e->d_name;
}

void listing_close(struct listing *l)
{
	l->fd = close_fd(l->fd);
}
