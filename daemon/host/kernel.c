/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"
#include "lib/file.h"

static int path_format(char path[static SYSFS_PATH_MAX], const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static int path_format(char path[static SYSFS_PATH_MAX], const char *fmt, va_list ap)
{
	int n = vsnprintf(path, SYSFS_PATH_MAX, fmt, ap);

	return n < 0 || n >= SYSFS_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Also "/." and a bind mount of it: what counts is the directory, not its name. */
static bool is_real_root(int rootfd)
{
	struct stat ours, real;

	return fstat(rootfd, &ours) == 0 && stat("/", &real) == 0 && ours.st_dev == real.st_dev &&
	       ours.st_ino == real.st_ino;
}

static int pick_backend(struct kernel *k, struct vnet_err *err)
{
	if (is_real_root(k->rootfd))
		return real_open(k, err);
#ifdef VNET_TEST_BACKENDS
	int r = kernel_test_open(k, err);

	if (r != -ENOENT)
		return r;
#endif
	return captured_open(k, err);
}

int kernel_open(struct kernel **ret, const char *root, struct vnet_err *err)
{
	struct kernel *k;
	int r;

	if (strlen(root) >= sizeof(k->root))
		return vnet_err_set(err, -ENAMETOOLONG, VNET_E_INVALID, "root %.64s...: too long",
				    root);
	k = calloc(1, sizeof(*k));
	if (!k)
		return vnet_err_errno(err, -ENOMEM, "open kernel at %s", root);
	strcpy(k->root, root);
	k->rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (k->rootfd < 0) {
		r = vnet_err_errno(err, -errno, "open root %s", root);
		free(k);
		return r;
	}
	r = pick_backend(k, err);
	if (r < 0) {
		kernel_close(k);
		return r;
	}
	*ret = k;
	return 0;
}

int kernel_set_runtime(struct kernel *k, const char *dir, struct vnet_err *err)
{
	char *copy = strdup(dir);

	if (!copy)
		return vnet_err_errno(err, -ENOMEM, "open kernel at %s", k->root);
	free(k->runtime);
	k->runtime = copy;
	return 0;
}

struct kernel *kernel_close(struct kernel *k)
{
	if (!k)
		return NULL;
	free(k->runtime);
	if (k->ops && k->ops->close)
		k->ops->close(k);
	close_fd(k->rootfd);
	free(k);
	return NULL;
}

ssize_t kernel_read(struct kernel *k, char *buf, size_t size, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	return r < 0 ? r : file_read_at(k->rootfd, path, buf, size);
}

ssize_t kernel_readlink_base(struct kernel *k, char *buf, size_t size, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	return r < 0 ? r : file_readlink_base_at(k->rootfd, path, buf, size);
}

bool kernel_exists(struct kernel *k, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	return r == 0 && faccessat(k->rootfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int kernel_write(struct kernel *k, const char *value, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX];
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	return r < 0 ? r : k->ops->write(k, path, value);
}

DIR *kernel_opendir(struct kernel *k, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX];
	va_list ap;
	DIR *d;
	int fd, r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	if (r < 0) {
		errno = -r;
		return NULL;
	}
	fd = openat(k->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (!d)
		close_fd(fd);
	return d;
}

/* A number comes whole with one read(): the second one, for the end, is saved. */
static bool read_short(int rootfd, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(rootfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n <= 0)
		return false;
	buf[buf[n - 1] == '\n' ? n - 1 : n] = '\0';
	return true;
}

long long kernel_read_number(struct kernel *k, long long otherwise, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX], buf[32], *end;
	long long n;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	if (r < 0 || !read_short(k->rootfd, path, buf, sizeof(buf)))
		return otherwise;
	errno = 0;
	n = strtoll(buf, &end, 0);
	return errno || end == buf || *end ? otherwise : n;
}

int kernel_readlink_pci(struct kernel *k, struct pci_addr *ret, const char *fmt, ...)
{
	char path[SYSFS_PATH_MAX], base[64];
	va_list ap;
	ssize_t n;
	int r;

	va_start(ap, fmt);
	r = path_format(path, fmt, ap);
	va_end(ap);
	if (r < 0)
		return r;
	n = file_readlink_base_at(k->rootfd, path, base, sizeof(base));
	return n < 0 ? (int)n : pci_addr_parse(base, ret);
}
