/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: a record is on disk before its deed, so after a crash the
 * file names everything that may have been done. It may name one thing that was
 * not done yet: walking back compares with the kernel's value first, so that is
 * harmless. Records are never changed; the whole file goes when nothing is left.
 */
#include "daemon/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"

#define JOURNAL_VERSION 1
#define JOURNAL_FILE_MAX (256 * 1024)

static int journal_alloc(struct journal **ret, int runtime_fd, const char *file,
			 struct vnet_err *err)
{
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return vnet_err_errno(err, -ENOMEM, "journal %s", file);
	j->fd = j->dirfd = -1;
	snprintf(j->file, sizeof(j->file), "%s", file);
	j->effects = calloc(JOURNAL_EFFECTS_MAX, sizeof(*j->effects));
	r = j->effects ? file_opendir_at(runtime_fd, "journal", 0700, &j->dirfd, err)
		       : vnet_err_errno(err, -ENOMEM, "journal %s", file);
	if (r < 0) {
		journal_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

struct journal *journal_free(struct journal *j)
{
	if (!j)
		return NULL;
	close_fd(j->fd);
	close_fd(j->dirfd);
	free(j->effects);
	free(j);
	return NULL;
}

/* Takes over @record. */
static int journal_append(struct journal *j, json_t *record, struct vnet_err *err)
{
	_cleanup_json_ json_t *rec = record;
	_cleanup_free_ char *text = rec ? json_dumps(rec, JSON_COMPACT) : NULL;
	_cleanup_free_ char *line = NULL;
	ssize_t n;
	int len;

	len = text ? asprintf(&line, "%s\n", text) : -1;
	if (len < 0) {
		line = NULL; /* undefined then, says asprintf(3) */
		return vnet_err_errno(err, -ENOMEM, "journal %s", j->file);
	}
	n = write(j->fd, line, (size_t)len);
	if (n != len)
		return vnet_err_errno(err, n < 0 ? -errno : -EIO,
				      "cannot write journal %s, so nothing was done", j->file);
	return 0;
}

int journal_create(struct journal **ret, int runtime_fd, const char *file, const char *attachment,
		   struct vnet_err *err)
{
	struct journal *j = NULL;
	int r = journal_alloc(&j, runtime_fd, file, err);

	if (r < 0)
		return r;
	j->fd = openat(j->dirfd, file,
		       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0)
		r = vnet_err_errno(err, -errno, "create journal %s", file);
	else
		r = journal_append(j,
				   json_pack("{s:i,s:s}", "version", JOURNAL_VERSION, "attachment",
					     attachment),
				   err);
	if (r < 0) {
		journal_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

static json_t *effect_to_json(const struct effect *e)
{
	return json_pack("{s:{s:s,s:s,s:s,s:s,s:s,s:s}}", "turn", "knob", e->knob->name, "object",
			 e->object, "owner", e->knob->owner == KNOB_OF_POOL ? "pool" : "attachment",
			 "before", e->before, "after", e->after, "restore", e->restore);
}

static int effect_from_json(const json_t *j, struct effect *ret, struct vnet_err *err)
{
	char name[24];
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = json_get_str(j, "knob", name, sizeof(name), err)) < 0 ||
	    (r = json_get_str(j, "object", ret->object, sizeof(ret->object), err)) < 0 ||
	    (r = json_get_str(j, "before", ret->before, sizeof(ret->before), err)) < 0 ||
	    (r = json_get_str(j, "after", ret->after, sizeof(ret->after), err)) < 0 ||
	    (r = json_get_str(j, "restore", ret->restore, sizeof(ret->restore), err)) < 0)
		return r;
	ret->knob = knob_find(name);
	if (!ret->knob)
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "no knob is called %s", name);
	return 0;
}

static int journal_line(struct journal *j, const char *line, size_t lineno, struct vnet_err *err)
{
	_cleanup_json_ json_t *rec = json_loads(line, 0, NULL);
	const json_t *turn = json_object_get(rec, "turn");
	int64_t version = 0;

	if (!rec)
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "line %zu is no JSON", lineno);
	if (lineno == 1) {
		if (json_get_int(rec, "version", 1, INT64_MAX, &version, err) < 0)
			return err->code;
		if (version > JOURNAL_VERSION)
			return vnet_err_set(err, -EBADMSG, VNET_E_FAILED,
					    "written by a newer vnetd (version %lld)",
					    (long long)version);
		return 0;
	}
	if (turn) {
		if (j->n == JOURNAL_EFFECTS_MAX)
			return vnet_err_set(err, -EBADMSG, VNET_E_LIMIT, "too many records");
		if (effect_from_json(turn, &j->effects[j->n], err) < 0)
			return err->code;
		j->n++;
	} else if (json_object_get(rec, "handover")) {
		j->handed_over = true;
	} else if (json_object_get(rec, "confirmed")) {
		j->confirmed = true;
	} else {
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "line %zu is of no known kind",
				    lineno);
	}
	return 0;
}

int journal_open(struct journal **ret, int runtime_fd, const char *file, struct vnet_err *err)
{
	struct vnet_err why = VNET_ERR_INIT;
	_cleanup_free_ char *text = malloc(JOURNAL_FILE_MAX);
	struct journal *j = NULL;
	char *line, *end;
	size_t lineno = 0;
	ssize_t n;
	int r = journal_alloc(&j, runtime_fd, file, err);

	if (r < 0)
		return r;
	j->fd = openat(j->dirfd, file, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (j->fd < 0)
		r = vnet_err_errno(err, -errno, "open journal %s", file);
	n = j->fd < 0 || !text ? -1 : read(j->fd, text, JOURNAL_FILE_MAX - 1);
	if (r == 0 && n < 0)
		r = vnet_err_errno(err, -EIO, "read journal %s", file);
	if (r < 0)
		goto fail;
	text[n] = '\0';
	if (strlen(text) != (size_t)n)
		r = vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "journal %s is no text", file);
	else if (!strchr(text, '\n'))
		r = vnet_err_set(err, -ENODATA, VNET_E_FAILED, "journal %s is empty", file);
	if (r < 0)
		goto fail;
	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		r = journal_line(j, line, ++lineno, &why);
		if (r < 0) {
			vnet_err_set(err, -EBADMSG, VNET_E_FAILED, "journal %s: %s", file,
				     why.text);
			r = -EBADMSG;
			goto fail;
		}
	}
	/* Appending behind a torn line would spoil the next record with it. */
	if (*line && ftruncate(j->fd, line - text) < 0) {
		r = vnet_err_errno(err, -errno, "journal %s: cut off its torn last line", file);
		goto fail;
	}
	*ret = j;
	return 0;
fail:
	journal_free(j);
	return r;
}

int journal_add_effect(struct journal *j, const struct effect *e, struct vnet_err *err)
{
	int r;

	if (j->n == JOURNAL_EFFECTS_MAX)
		return vnet_err_set(err, -E2BIG, VNET_E_LIMIT, "journal %s: more than %d effects",
				    j->file, JOURNAL_EFFECTS_MAX);
	r = journal_append(j, effect_to_json(e), err);
	if (r < 0)
		return r;
	j->effects[j->n++] = *e;
	return 0;
}

int journal_add_handover(struct journal *j, const char *kind, const char *value,
			 struct vnet_err *err)
{
	int r = journal_append(j,
			       json_pack("{s:{s:s,s:s}}", "handover", "kind", kind, "value", value),
			       err);

	if (r == 0)
		j->handed_over = true;
	return r;
}

int journal_add_confirmed(struct journal *j, struct vnet_err *err)
{
	int r = journal_append(j, json_pack("{s:b}", "confirmed", 1), err);

	if (r == 0)
		j->confirmed = true;
	return r;
}

void journal_remove(struct journal *j)
{
	unlinkat(j->dirfd, j->file, 0);
	j->n = 0;
}
