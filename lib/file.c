/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "lib/cleanup.h"

/* read() until @size bytes or the end of the file. */
static ssize_t read_full(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size) {
		ssize_t got = read(fd, buf + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

ssize_t file_read_at(int dirfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = -1;
	ssize_t n, more = 0;
	char c;

	if (size == 0)
		return -EFBIG;
	/* Nobody writes into a pipe that was put in a file's place. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = read_full(fd, buf, size);
	/* A full buffer is still right where its last byte is the newline that goes. */
	if (n == (ssize_t)size)
		more = buf[size - 1] == '\n' ? read_full(fd, &c, 1) : 1;
	if (n < 0 || more != 0) {
		buf[0] = '\0';
		return n < 0 ? n : more < 0 ? more : -EFBIG;
	}
	if (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

ssize_t file_readlink_at(int dirfd, const char *path, char *buf, size_t size)
{
	ssize_t n;

	if (size == 0)
		return -ENAMETOOLONG;
	n = readlinkat(dirfd, path, buf, size);
	if (n < 0)
		n = -errno;
	else if ((size_t)n >= size)
		n = -ENAMETOOLONG;
	buf[n < 0 ? 0 : n] = '\0';
	return n;
}

ssize_t file_readlink_base_at(int dirfd, const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *base;
	ssize_t n;
	size_t len;

	/* The whole target may be far longer than the buffer that its last part fits. */
	n = file_readlink_at(dirfd, path, target, sizeof(target));
	base = n < 0 ? "" : strrchr(target, '/');
	base = !base ? target : *base == '/' ? base + 1 : base;
	len = strlen(base);
	if (n >= 0)
		n = len < size ? (ssize_t)len : -ENAMETOOLONG;
	if (size > 0)
		snprintf(buf, size, "%s", n < 0 ? "" : base);
	return n;
}

static int write_full(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* What lives in memory alone cannot outlive the power, and there fsync is only delay. */
static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

static int write_tmp(int dirfd, const char *tmp, const char *text, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -1;
	int r;

	/* Left behind by a crash; never opened, it may be anything. */
	if (unlinkat(dirfd, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_full(fd, text, len);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && !is_in_memory(fd) && fsync(fd) < 0)
		r = -errno;
	return r;
}

int file_replace_at(int dirfd, const char *name, const char *text, size_t len, mode_t mode,
		    struct vnet_err *err)
{
	_cleanup_close_ int parent = -1;
	char tmp[NAME_MAX + 1];
	int r;

	if (!*name || strchr(name, '/'))
		return vnet_err_errno(err, -EINVAL, "replace file \"%s\"", name);
	if (snprintf(tmp, sizeof(tmp), ".%s.tmp", name) >= (int)sizeof(tmp))
		return vnet_err_errno(err, -ENAMETOOLONG, "replace file \"%s\"", name);
	r = write_tmp(dirfd, tmp, text, len, mode);
	if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dirfd, tmp, 0);
		return vnet_err_errno(err, r, "replace file \"%s\"", name);
	}
	/* The new name is on disk only with its folder; dirfd may be O_PATH or AT_FDCWD. */
	parent = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || (!is_in_memory(parent) && fsync(parent) < 0))
		return vnet_err_errno(err, -errno, "write the folder of \"%s\" to disk", name);
	return 0;
}

int file_opendir_at(int dirfd, const char *name, mode_t mode, int *ret_fd, struct vnet_err *err)
{
	_cleanup_close_ int fd = -1;
	bool made;

	made = mkdirat(dirfd, name, mode) == 0;
	if (!made && errno != EEXIST)
		return vnet_err_errno(err, -errno, "make folder %s", name);
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return vnet_err_errno(err, -errno, "open folder %s", name);
	/* As asked, not as the umask would have it; one that was there keeps its own. */
	if (made && fchmod(fd, mode) < 0)
		return vnet_err_errno(err, -errno, "set the mode of folder %s", name);
	*ret_fd = take_fd(&fd);
	return 0;
}
