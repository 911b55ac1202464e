/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fake kernel's state on disk. Every operation runs between fake_begin() and
 * fake_end(), which hold a lock on the directory's fake.lock; files are replaced
 * whole, because readers take no lock, as they take none of the real kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "tests/fake/priv.h"

#define PATH_OF(path, fmt)                                       \
	do {                                                     \
		va_list _ap;                                     \
		va_start(_ap, fmt);                              \
		if (vsnprintf(path, sizeof(path), fmt, _ap) < 0) \
			path[0] = '\0';                          \
		va_end(_ap);                                     \
	} while (0)

/* ---- the lock and fake.json ---- */

int fake_begin(struct fake *f)
{
	_cleanup_close_ int fd = -1, doc = -1;

	fd = openat(f->rootfd, "fake.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	doc = openat(f->rootfd, "fake.json", O_RDONLY | O_CLOEXEC);
	if (doc < 0)
		return -errno;
	f->doc = json_loadfd(doc, 0, NULL);
	if (!json_is_object(f->doc)) {
		json_decref(take_ptr(f->doc));
		return -EBADMSG;
	}
	f->lockfd = take_fd(&fd);
	drop_closed_taps(f);
	return 0;
}

void fake_save(struct fake *f)
{
	_cleanup_free_ char *text = json_dumps(f->doc, JSON_INDENT(1) | JSON_SORT_KEYS);

	if (text)
		put_file(f, text, "fake.json");
}

void fake_end(struct fake *f)
{
	fake_save(f);
	fake_end_look(f);
}

void fake_end_look(struct fake *f)
{
	json_decref(take_ptr(f->doc));
	f->lockfd = close_fd(f->lockfd);
}

int fake_wait(struct fake *f)
{
	int r;

	fake_end(f);
	do {
		usleep(20000);
		r = fake_begin(f);
	} while (r == -EINTR);
	return r;
}

static void append_escaped(FILE *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '\t')
			fputs("\\t", out);
		else
			fputc(*s, out);
	}
}

void fake_log(struct fake *f, const char *op, const char *object, const char *value, int r,
	      bool injected)
{
	_cleanup_free_ char *line = NULL;
	_cleanup_close_ int fd = -1;
	const char *name = r < 0 ? strerrorname_np(-r) : "ok";
	size_t len = 0;
	FILE *out = open_memstream(&line, &len);

	if (!out)
		return;
	fprintf(out, "%s\t%s\t", op, object);
	append_escaped(out, value);
	fprintf(out, "\t%s\t%s\n", name ? name : "?", injected ? "injected" : "");
	if (fclose(out) != 0)
		return;
	fd = openat(f->rootfd, "writes.log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0 && write(fd, line, len) != (ssize_t)len)
		perror("writes.log");
}

int take_number(struct fake *f, const char *field, int first)
{
	const json_t *was = json_object_get(f->doc, field);
	int n = json_is_integer(was) ? (int)json_integer_value(was) : first;

	json_object_set_new(f->doc, field, json_integer(n + 1));
	return n;
}

json_t *member_object(json_t *parent, const char *field)
{
	json_t *o = json_object_get(parent, field);

	if (!json_is_object(o)) {
		o = json_object();
		json_object_set_new(parent, field, o);
	}
	return o;
}

json_t *function_of(struct fake *f, const char *bdf)
{
	return member_object(member_object(f->doc, "functions"), bdf);
}

const char *function_text(struct fake *f, const char *bdf, const char *field)
{
	return json_string_value(json_object_get(function_of(f, bdf), field));
}

/* ---- the tree ---- */

int put_file(struct fake *f, const char *text, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX], tmp[64];
	_cleanup_close_ int fd = -1;
	ssize_t len = (ssize_t)strlen(text);

	PATH_OF(path, fmt);
	snprintf(tmp, sizeof(tmp), ".fake-%d.tmp", (int)getpid());
	fd = openat(f->rootfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, (size_t)len) != len ||
	    renameat(f->rootfd, tmp, f->rootfd, path) < 0)
		return -errno;
	return 0;
}

int put_dir(struct fake *f, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	for (char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdirat(f->rootfd, path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	return mkdirat(f->rootfd, path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int put_link(struct fake *f, const char *target, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	return symlinkat(target, f->rootfd, path) < 0 ? -errno : 0;
}

static void remove_below(int dirfd, const char *name)
{
	_cleanup_closedir_ DIR *d = NULL;
	const struct dirent *e;
	int fd;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		close_fd(fd);
		return;
	}
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			remove_below(fd, e->d_name);
	}
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

void take_away(struct fake *f, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	remove_below(f->rootfd, path);
}

bool is_there(struct fake *f, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	return faccessat(f->rootfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void get_text(struct fake *f, char *buf, size_t size, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	if (file_read_at(f->rootfd, path, buf, size) < 0)
		buf[0] = '\0';
}

long get_number(struct fake *f, long otherwise, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX], buf[32], *end;
	long n;

	PATH_OF(path, fmt);
	if (file_read_at(f->rootfd, path, buf, sizeof(buf)) <= 0)
		return otherwise;
	n = strtol(buf, &end, 0);
	return *end ? otherwise : n;
}

void get_link(struct fake *f, char *buf, size_t size, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	if (file_readlink_base_at(f->rootfd, path, buf, size) < 0)
		buf[0] = '\0';
}

void get_target(struct fake *f, char *buf, size_t size, const char *fmt, ...)
{
	char path[FAKE_PATH_MAX];

	PATH_OF(path, fmt);
	if (file_readlink_at(f->rootfd, path, buf, size) < 0)
		buf[0] = '\0';
}

/* sys/bus/pci/devices/BDF is a link "../../../devices/…", three levels below sys/. */
const char *below_sys(struct fake *f, const char *bdf, char buf[static FAKE_PATH_MAX])
{
	static const char up[] = "../../../";
	char target[FAKE_PATH_MAX];

	get_target(f, target, sizeof(target), PCI_DEV "/%s", bdf);
	snprintf(buf, FAKE_PATH_MAX, "%s",
		 target + (strncmp(target, up, strlen(up)) == 0 ? strlen(up) : 0));
	return buf;
}

const char *up_to_sys(struct fake *f, const char *bdf, char buf[static FAKE_PATH_MAX])
{
	char path[FAKE_PATH_MAX];
	size_t n = 0;

	for (const char *s = below_sys(f, bdf, path); s; s = strchr(s + 1, '/'))
		n += (size_t)snprintf(buf + n, FAKE_PATH_MAX - n, "%s..", n ? "/" : "");
	return buf;
}
