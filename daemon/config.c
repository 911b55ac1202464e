/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation. libinih splits a line into key and value, and calls back with
 * them; everything that must be told with its line is seen to in the reader that hands
 * it the lines: sections (also empty ones, which it does not tell), lines longer than
 * its buffer (which it would cut in two), and lines that it makes nothing of (of which
 * it tells only the first). Blanks before a line are dropped, so that an indented key
 * is a key and no continuation of the value above.
 */
#include "daemon/config.h"
#include "daemon/messages.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

/* libinih keeps 50 bytes of a section's name. */
#define SECTION_MAX 50
#define CONFIG_POOL_NAME_MAX 32
#define QUOTE_MAX 48

struct reader {
	struct config *c;
	const char *file;
	const char *next; /* what libinih has not been given yet */
	unsigned line;
	bool expect; /* of its present line it is to make a key */
	enum { NOWHERE, IN_VNETD, IN_POOL, IN_UNKNOWN } where;
	struct config_pool *pool;
};

/* ---- errors ---- */

static void add_error(struct config *c, const struct config_place *at, struct config_pool *pool,
		      const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void add_error(struct config *c, const struct config_place *at, struct config_pool *pool,
		      const char *fmt, ...)
{
	struct config_error *e = &c->errors[c->n_errors];
	va_list ap;

	if (pool)
		pool->disabled = true;
	if (c->n_errors == CONFIG_ERRORS_MAX) {
		c->n_errors_untold++;
		return;
	}
	c->n_errors++;
	e->at = *at;
	snprintf(e->pool, sizeof(e->pool), "%s", pool ? pool->name : "");
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

#define reader_error(rd, ...)                                                \
	add_error((rd)->c, &(struct config_place){ (rd)->file, (rd)->line }, \
		  (rd)->where == IN_POOL ? (rd)->pool : NULL, __VA_ARGS__)

/* What somebody wrote, fit for a terminal and a log. */
static const char *quote(const char *s, char buf[static QUOTE_MAX])
{
	snprintf(buf, QUOTE_MAX, "%s", s);
	for (char *p = buf; *p; p++) {
		if (!isprint((unsigned char)*p))
			*p = '?';
	}
	return buf;
}

const char *config_error_str(const struct config_error *e, char *ret, size_t size)
{
	if (e->at.line)
		snprintf(ret, size, "%s:%u: %s", e->at.file, e->at.line, e->text);
	else
		snprintf(ret, size, "%s: %s", e->at.file, e->text);
	return ret;
}

const char *config_pool_problem(const struct config *c, const char *name, char *ret, size_t size)
{
	ret[0] = '\0';
	for (size_t i = 0; i < c->n_errors && !ret[0]; i++) {
		if (strcmp(c->errors[i].pool, name) == 0)
			config_error_str(&c->errors[i], ret, size);
	}
	return ret;
}

void config_log_errors(const struct config *c)
{
	char text[REASON_MAX];

	for (size_t i = 0; i < c->n_errors; i++) {
		const struct config_error *e = &c->errors[i];

		log_event(e->pool[0] ? MSG_POOL_DISABLED : MSG_CONFIG_PROBLEM, LOG_ERR,
			  e->pool[0] ? e->pool : NULL, "%s%s%s%s",
			  config_error_str(e, text, sizeof(text)), e->pool[0] ? " (pool " : "",
			  e->pool, e->pool[0] ? " is disabled)" : "");
	}
	if (c->n_errors_untold)
		log_msg(LOG_ERR, NULL, "configuration: and %zu more errors", c->n_errors_untold);
}

/* ---- sections ---- */

const struct config_pool *config_pool_find(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_pools; i++) {
		if (strcmp(c->pools[i].name, name) == 0)
			return &c->pools[i];
	}
	return NULL;
}

/* No blank, no colon: it is never taken for a PCI address. */
static bool is_pool_name(const char *s)
{
	return isalpha((unsigned char)s[0]) && strlen(s) < CONFIG_POOL_NAME_MAX &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
		       strlen(s);
}

static struct config_pool *add_pool(struct reader *rd, const char *name)
{
	struct config *c = rd->c;
	struct config_pool *p = &c->pools[c->n_pools];

	if (c->n_pools == CONFIG_POOLS_MAX) {
		reader_error(rd, "pool %s is one too many: at most %d", name, CONFIG_POOLS_MAX);
		c->incomplete = true;
		return NULL;
	}
	c->n_pools++;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->at = (struct config_place){ rd->file, rd->line };
	config_defaults(CONFIG_POOL, p);
	return p;
}

static void begin_pool(struct reader *rd, const char *name)
{
	char told[QUOTE_MAX];
	bool good = is_pool_name(name);
	struct config_pool *p;

	quote(name[0] ? name : "?", told); /* "" is no pool's */
	p = (struct config_pool *)config_pool_find(rd->c, told);
	if (!p)
		p = add_pool(rd, told);
	if (!p)
		return;
	rd->pool = p;
	rd->where = IN_POOL;
	if (!good)
		reader_error(rd,
			     "'%s' cannot be a pool's name: a letter, then up to %d letters, "
			     "digits, '-', '_' and '.'",
			     told, CONFIG_POOL_NAME_MAX - 2);
	else if (p->line_here)
		reader_error(rd, "[pool %s] is in this file already, at line %u", told,
			     p->line_here);
	p->line_here = rd->line;
}

static void begin_vnetd(struct reader *rd)
{
	rd->where = IN_VNETD;
	if (rd->c->line_here)
		reader_error(rd, "[vnetd] is in this file already, at line %u", rd->c->line_here);
	rd->c->line_here = rd->line;
}

/* "[pool fast]", as libinih takes it; what follows it may be a comment alone. */
static void begin_section(struct reader *rd, char *line)
{
	char told[QUOTE_MAX], *name = line + 1, *end = strchr(name, ']');
	const char *rest = end ? end + 1 + strspn(end + 1, " \t") : "";
	size_t blanks;

	rd->where = IN_UNKNOWN;
	rd->pool = NULL;
	if (end)
		*end = '\0';
	name += strspn(name, " \t");
	for (size_t n = strlen(name); n > 0 && strchr(" \t", name[n - 1]); n--)
		name[n - 1] = '\0';
	blanks = strncmp(name, "pool", 4) == 0 ? strspn(name + 4, " \t") : 0;
	if (blanks || strcmp(name, "pool") == 0)
		begin_pool(rd, name + 4 + blanks);
	else if (strcmp(name, "vnetd") == 0)
		begin_vnetd(rd);
	else
		reader_error(rd, "there is no section [%s]: [vnetd] and [pool NAME] are",
			     quote(name, told));
	if (!end || (*rest && !strchr(";#", *rest)) || strlen(line) > SECTION_MAX)
		reader_error(rd, "this is no whole section: [vnetd], or [pool NAME]");
	if (end)
		*end = ']';
}

/* ---- lines and keys ---- */

static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reader *rd = user;
	struct config *c = rd->c;
	bool in_pool = rd->where == IN_POOL;
	void *obj = in_pool ? (void *)rd->pool : (void *)c;
	uint32_t *here = in_pool ? &rd->pool->given_here : &c->given_here;
	const struct config_key *k;
	char told[QUOTE_MAX], told_key[QUOTE_MAX];
	size_t n;
	int place, r;

	(void)section; /* the last that was whole: ours is the one that was begun */
	rd->expect = false;
	if (rd->where == IN_UNKNOWN)
		return 1;
	quote(name, told_key);
	if (rd->where == NOWHERE) {
		reader_error(rd, "%s is outside of any section", told_key);
		return 1;
	}
	place = config_key_find(in_pool ? CONFIG_POOL : CONFIG_VNETD, name, &k);
	if (place < 0) {
		reader_error(rd, "%s has no key %s", in_pool ? "a pool" : "[vnetd]", told_key);
		return 1;
	}
	if (*here & 1u << place && !k->list) {
		reader_error(rd, "%s is given twice in this file", k->name);
		return 1;
	}
	if (k->list && !(*here & 1u << place))
		k->clear(obj); /* a later file's list stands instead of an earlier one's */
	n = in_pool ? rd->pool->n_uplinks : 0;
	*here |= 1u << place;
	r = k->parse(k, value, obj);
	if (r == -E2BIG)
		reader_error(rd, "%s: more than there may be", k->name);
	else if (r < 0)
		reader_error(rd, "%s = %s is not accepted: %s", k->name, quote(value, told),
			     k->accepts);
	if (!in_pool)
		return 1;
	rd->pool->given |= 1u << place;
	rd->pool->key_at[place] = (struct config_place){ rd->file, rd->line };
	for (; n < rd->pool->n_uplinks; n++)
		rd->pool->uplinks[n].at = (struct config_place){ rd->file, rd->line };
	return 1;
}

static char *next_line(char *buf, int size, void *user)
{
	struct reader *rd = user;
	const char *start = rd->next;
	size_t len;

	if (rd->expect)
		reader_error(rd, "this is neither a section nor KEY = VALUE");
	rd->expect = false;
	if (!*start)
		return NULL;
	rd->line++;
	len = strcspn(start, "\n");
	rd->next += len + (start[len] == '\n');
	for (; len && isspace((unsigned char)*start); len--)
		start++;
	while (len && isspace((unsigned char)start[len - 1]))
		len--;
	buf[0] = '\0';
	if (len && strchr(";#", *start))
		return buf;
	if (len + 3 > (size_t)size) {
		reader_error(rd, "this line is too long: at most %d bytes%s", size - 3,
			     "; a list may be given on several lines");
		return buf;
	}
	memcpy(buf, start, len);
	buf[len] = '\0';
	if (buf[0] == '[')
		begin_section(rd, buf);
	else
		rd->expect = len > 0;
	return buf;
}

/* ---- files ---- */

/* @ret: CONFIG_FILE_MAX + 1 bytes. Neither blocks nor takes what is no file. */
static int read_file(int dirfd, const char *name, char *ret)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	size_t n = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	while ((got = read(fd, ret + n, CONFIG_FILE_MAX + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return -errno;
	if (n > CONFIG_FILE_MAX)
		return -EFBIG;
	ret[n] = '\0';
	return strlen(ret) == n ? 0 : -EILSEQ; /* a NUL in it: no text */
}

static void unreadable(struct config *c, const char *file, const char *why)
{
	c->unreadable = c->incomplete = true;
	add_error(c, &(struct config_place){ .file = file }, NULL, "cannot be read: %s", why);
}

static void load_file(struct config *c, const char *dir, int dirfd, const char *name, char *buf)
{
	struct reader rd = { .c = c, .next = buf };
	int r = read_file(dirfd, name, buf);
	char *path;

	if (r == -ENOENT)
		return;
	if (c->n_files == CONFIG_FILES_MAX) {
		unreadable(c, c->files[c->n_files - 1], "there are too many files, after this one");
		return;
	}
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return;
	c->files[c->n_files++] = path;
	rd.file = path;
	if (r < 0) {
		unreadable(c, path,
			   r == -EFBIG	  ? "it is longer than 64 KiB"
			   : r == -EILSEQ ? "it is no text"
			   : r == -EINVAL ? "it is no regular file"
					  : strerror(-r));
		return;
	}
	if (strncmp(buf, "\xef\xbb\xbf", 3) == 0)
		rd.next += 3;
	c->given_here = 0;
	c->line_here = 0;
	for (size_t i = 0; i < c->n_pools; i++)
		c->pools[i].given_here = c->pools[i].line_here = 0;
	/* Its answer is the first line that it could not parse: told by next_line(). */
	ini_parse_stream(next_line, &rd, on_key, &rd);
}

static int is_conf(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

static void load_dropins(struct config *c, const char *dir, int dirfd, char *buf)
{
	struct dirent **list = NULL;
	char name[NAME_MAX + sizeof("vnetd.conf.d/")];
	int n = scandirat(dirfd, "vnetd.conf.d", &list, is_conf, alphasort);

	if (n < 0 && errno != ENOENT) {
		snprintf(name, sizeof(name), "%s", strerror(errno));
		if (c->n_files < CONFIG_FILES_MAX &&
		    asprintf(&c->files[c->n_files], "%s/vnetd.conf.d", dir) >= 0)
			unreadable(c, c->files[c->n_files++], name);
	}
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "vnetd.conf.d/%s", list[i]->d_name);
		load_file(c, dir, dirfd, name, buf);
		free(list[i]);
	}
	free(list);
}

static void finish_pool(struct config *c, struct config_pool *p)
{
	const struct config_key *k;
	int place = config_key_find(CONFIG_POOL, "range", &k);

	config_inherit(c, p);
	if (!p->disabled && p->n_uplinks == 0)
		add_error(c, &p->at, p, "pool %s has no uplink: say which NICs are its", p->name);
	if (p->set.vfs > 0 && p->set.first >= p->set.vfs)
		add_error(c, &p->key_at[place], p,
			  "range begins at VF %d, but with vfs = %d the last is VF %d",
			  p->set.first, p->set.vfs, p->set.vfs - 1);
}

int config_load(struct config **ret, const char *dir, struct vnet_err *err)
{
	_cleanup_close_ int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *buf = malloc(CONFIG_FILE_MAX + 2);
	struct config *c = calloc(1, sizeof(*c));
	int errno_of_dir = dirfd < 0 ? errno : 0;

	if (c) {
		c->pools = calloc(CONFIG_POOLS_MAX, sizeof(*c->pools));
		c->errors = calloc(CONFIG_ERRORS_MAX, sizeof(*c->errors));
		c->files[0] = strdup(dir);
	}
	if (!c || !buf || !c->pools || !c->errors || !c->files[0]) {
		config_free(c);
		return vnet_err_errno(err, -ENOMEM, "configuration");
	}
	c->n_files = 1;
	config_defaults(CONFIG_VNETD, c);
	if (dirfd >= 0) {
		load_file(c, dir, dirfd, "vnetd.conf", buf);
		load_dropins(c, dir, dirfd, buf);
	} else if (errno_of_dir != ENOENT) {
		unreadable(c, c->files[0], strerror(errno_of_dir));
	}
	for (size_t i = 0; i < c->n_pools; i++)
		finish_pool(c, &c->pools[i]);
	*ret = c;
	return 0;
}

struct config *config_free(struct config *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(c->files); i++)
		free(c->files[i]);
	free(c->pools);
	free(c->errors);
	free(c);
	return NULL;
}

void config_settings_default(const struct config *c, struct pool_settings *ret)
{
	struct config plain = { 0 };
	struct config_pool p = { 0 };

	if (!c) {
		config_defaults(CONFIG_VNETD, &plain);
		c = &plain;
	}
	config_defaults(CONFIG_POOL, &p);
	config_inherit(c, &p);
	*ret = p.set;
}
