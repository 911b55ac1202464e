/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/placeholders.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define WORD_CHARS "abcdefghijklmnopqrstuvwxyz"
#define NAME_CHARS WORD_CHARS "0123456789_-"
#define VALUE_MAX (VNET_FDS_MAX * 12)

static const char *const words[] = { "tap",	"vhost", "vdpa", "vfio",
				     "iommufd", "host",	 "path", "mac" };

/* One that was found in an argument. */
struct found {
	size_t at, len; /* of all of it */
	const char *name, *word;
	size_t name_len, word_len;
};

static bool is_word(const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strlen(words[i]) == len && strncmp(words[i], s, len) == 0)
			return true;
	}
	return false;
}

static bool is_ours(const struct found *f, const char *name)
{
	return f->name_len == strlen(name) && strncmp(f->name, name, f->name_len) == 0;
}

/* The command is one more vnetctl exec, for another NIC: other names are its own. */
static bool is_nested(char *const *argv)
{
	const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;

	return argv[0] && strcmp(slash ? slash + 1 : argv[0], "vnetctl") == 0;
}

/* The next "@NAME.WORD" in @arg from @from on that is ours or, unless @nested, looks so much
 * like it that it must be a mistake. */
static bool find(const char *arg, size_t from, const char *name, bool nested, struct found *ret)
{
	for (const char *at = strchr(arg + from, '@'); at; at = strchr(at + 1, '@')) {
		struct found f = { .at = (size_t)(at - arg), .name = at + 1 };

		f.name_len = strspn(f.name, NAME_CHARS);
		if ((at > arg && !strchr("=:,", at[-1])) || f.name[f.name_len] != '.')
			continue;
		f.word = f.name + f.name_len + 1;
		f.word_len = strspn(f.word, WORD_CHARS);
		f.len = (size_t)(f.word - at) + f.word_len;
		if (!f.name_len || (!is_ours(&f, name) && (nested || !is_word(f.word, f.word_len))))
			continue;
		*ret = f;
		return true;
	}
	return false;
}

static int check_one(const struct found *f, const char *name, struct vnet_err *err)
{
	if (!is_ours(f, name))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "@%.*s.%.*s: there is no NIC %.*s here, but %s",
				    (int)f->name_len, f->name, (int)f->word_len, f->word,
				    (int)f->name_len, f->name, name);
	if (!is_word(f->word, f->word_len))
		return vnet_err_set(
			err, -EINVAL, VNET_E_INVALID,
			"@%s.%.*s is not known: there are @%s.tap, .vhost, .vdpa, .vfio, "
			".iommufd, .host, .path and .mac",
			name, (int)f->word_len, f->word, name);
	return 0;
}

int placeholders_check(char *const *argv, const char *name, struct vnet_err *err)
{
	struct found f;

	for (size_t i = 0; argv[i]; i++) {
		for (size_t from = 0; find(argv[i], from, name, is_nested(argv), &f);
		     from = f.at + f.len) {
			int r = check_one(&f, name, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- values ---- */

struct source {
	const char *name;
	const json_t *reply;
	const struct vnet_fds *fds;
	bool nested;
};

/* "" where this mode has none. */
static void value_of(const struct source *s, const char *word, size_t len,
		     char ret[static VALUE_MAX])
{
	const json_t *row;
	const char *value;
	size_t i;

	ret[0] = '\0';
	json_array_foreach (json_object_get(s->reply, "fds"), i, row) {
		const char *role = json_string_value(json_object_get(row, "role"));
		json_int_t index = json_integer_value(json_object_get(row, "index"));
		size_t used = strlen(ret);

		if (!role || strlen(role) != len || strncmp(role, word, len) != 0 || index < 0 ||
		    (size_t)index >= s->fds->n)
			continue;
		snprintf(ret + used, VALUE_MAX - used, "%s%d", used ? ":" : "", s->fds->fd[index]);
	}
	value = json_string_value(json_object_getn(json_object_get(s->reply, "values"), word, len));
	if (!ret[0] && value)
		snprintf(ret, VALUE_MAX, "%s", value);
}

static int has_none(const struct source *s, const struct found *f, struct vnet_err *err)
{
	const char *mode =
		json_string_value(json_object_get(json_object_get(s->reply, "attachment"), "mode"));
	char list[256] = "", value[VALUE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t len = strlen(list);

		value_of(s, words[i], strlen(words[i]), value);
		if (value[0])
			snprintf(list + len, sizeof(list) - len, " @%s.%s", s->name, words[i]);
	}
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "mode %s has no @%s.%.*s: it has%s",
			    mode ? mode : "?", s->name, (int)f->word_len, f->word,
			    list[0] ? list : " none");
}

/* ---- filling in ---- */

/* A path among others of an argument is an option's value: QEMU takes its ',' doubled. */
static void put_value(FILE *out, const struct found *f, const char *value)
{
	bool doubled = f->at > 0 && f->word_len == strlen("path") &&
		       strncmp(f->word, "path", f->word_len) == 0;

	for (; *value; value++) {
		if (doubled && *value == ',')
			fputc(',', out);
		fputc(*value, out);
	}
}

static int fill_arg(const struct source *s, const char *arg, char **ret, struct vnet_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size, from = 0;
	struct found f;
	FILE *out = open_memstream(&text, &size);
	int r = 0;

	if (!out)
		return vnet_err_errno(err, -ENOMEM, "fill in %s", arg);
	while (r == 0 && find(arg, from, s->name, s->nested, &f)) {
		char value[VALUE_MAX];

		r = check_one(&f, s->name, err);
		if (r < 0)
			break;
		value_of(s, f.word, f.word_len, value);
		if (!value[0])
			r = has_none(s, &f, err);
		fprintf(out, "%.*s", (int)(f.at - from), arg + from);
		put_value(out, &f, value);
		from = f.at + f.len;
	}
	fputs(arg + from, out);
	if (fclose(out) != 0 && r == 0)
		r = vnet_err_errno(err, -ENOMEM, "fill in %s", arg);
	if (r == 0)
		*ret = take_ptr(text);
	return r;
}

static bool is_all(const char *arg, const char *name)
{
	return arg[0] == '@' && strcmp(arg + 1, name) == 0;
}

void placeholders_free(char **argv)
{
	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
}

int placeholders_fill(char *const *argv, const char *name, const json_t *reply,
		      const struct vnet_fds *fds, char ***ret, struct vnet_err *err)
{
	const json_t *arguments = json_object_get(reply, "arguments"), *a;
	const struct source s = { name, reply, fds, is_nested(argv) };
	size_t max = 1, n = 0, k;
	char **out;
	int r = 0;

	for (size_t i = 0; argv[i]; i++)
		max += is_all(argv[i], name) ? json_array_size(arguments) : 1;
	out = calloc(max, sizeof(*out));
	if (!out)
		return vnet_err_errno(err, -ENOMEM, "fill in the command");
	for (size_t i = 0; r == 0 && argv[i]; i++) {
		if (!is_all(argv[i], name)) {
			r = fill_arg(&s, argv[i], &out[n++], err);
			continue;
		}
		json_array_foreach (arguments, k, a) {
			if (r == 0)
				r = fill_arg(&s, json_string_value(a) ?: "", &out[n++], err);
		}
	}
	if (r < 0) {
		placeholders_free(out);
		return r;
	}
	*ret = out;
	return 0;
}
