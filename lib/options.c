/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

#define KEY_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define VALUE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,:/@+-"

/* One "key=value" of the text. */
struct option {
	const char *key, *value;
	size_t key_len, value_len;
};

/* Take the next off *@text; false at the end. */
static bool next_option(const char **text, struct option *ret)
{
	size_t len = strcspn(*text, " ");

	if (!len)
		return false;
	ret->key = *text;
	ret->key_len = strcspn(*text, "= ");
	ret->value = *text + ret->key_len + (ret->key_len < len);
	ret->value_len = len - (size_t)(ret->value - *text);
	*text += len;
	*text += **text == ' ';
	return true;
}

static int cmp_key(const struct option *o, const char *key)
{
	size_t len = strlen(key), both = o->key_len < len ? o->key_len : len;
	int r = memcmp(o->key, key, both);

	return r || o->key_len == len ? r : o->key_len < len ? -1 : 1;
}

int options_get(const char *options, const char *key, char *buf, size_t size)
{
	struct option o;

	buf[0] = '\0';
	while (next_option(&options, &o)) {
		if (cmp_key(&o, key) != 0)
			continue;
		snprintf(buf, size, "%.*s", (int)o.value_len, o.value);
		return (int)o.value_len;
	}
	return -ENOENT;
}

int options_get_number(const char *options, const char *key, int min, int max, int otherwise)
{
	char text[OPTION_VALUE_MAX], *end;
	long v;

	if (options_get(options, key, text, sizeof(text)) < 0)
		return otherwise;
	v = strtol(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end || v < min || v > max ? -EINVAL : (int)v;
}

int options_key(const char *options, size_t i, char buf[static OPTION_KEY_MAX])
{
	struct option o;

	while (next_option(&options, &o)) {
		if (i-- > 0)
			continue;
		snprintf(buf, OPTION_KEY_MAX, "%.*s", (int)o.key_len, o.key);
		return 0;
	}
	return -ENOENT;
}

static bool is_option(const char *key, size_t key_len, const char *value, size_t value_len)
{
	return key_len > 0 && key_len < OPTION_KEY_MAX && *key >= 'a' && *key <= 'z' &&
	       strspn(key, KEY_CHARS) >= key_len && value_len > 0 && value_len < OPTION_VALUE_MAX &&
	       strspn(value, VALUE_CHARS) >= value_len;
}

int options_add(char options[static OPTIONS_MAX], const char *key, const char *value)
{
	char text[OPTIONS_MAX];
	const char *rest = options;
	bool put = false;
	struct option o;
	size_t n = 0;

	if (!is_option(key, strlen(key), value, strlen(value)))
		return -EINVAL;
	for (bool more = true; more;) {
		int r;

		more = next_option(&rest, &o);
		r = more ? cmp_key(&o, key) : 1;
		if (!put && r >= 0) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s", n ? " " : "",
					      key, value);
			put = true;
		}
		if (more && r != 0 && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s=%.*s",
					      n ? " " : "", (int)o.key_len, o.key, (int)o.value_len,
					      o.value);
		if (n >= sizeof(text))
			return -E2BIG;
	}
	memcpy(options, text, n + 1);
	return 0;
}

int options_check(const char *options)
{
	char again[OPTIONS_MAX] = "", key[OPTION_KEY_MAX], value[OPTION_VALUE_MAX];
	const char *rest = options;
	struct option o;

	while (next_option(&rest, &o)) {
		if (!is_option(o.key, o.key_len, o.value, o.value_len))
			return -EINVAL;
		snprintf(key, sizeof(key), "%.*s", (int)o.key_len, o.key);
		snprintf(value, sizeof(value), "%.*s", (int)o.value_len, o.value);
		if (options_add(again, key, value) < 0)
			return -EINVAL;
	}
	return strcmp(options, again) == 0 ? 0 : -EINVAL;
}

json_t *options_to_json(const char *options)
{
	json_t *o = options[0] ? json_object() : json_null();
	char key[OPTION_KEY_MAX];
	struct option at;

	while (next_option(&options, &at)) {
		snprintf(key, sizeof(key), "%.*s", (int)at.key_len, at.key);
		json_object_set_new(o, key, json_stringn(at.value, at.value_len));
	}
	return o;
}

static int refuse(struct vnet_err *err, const char *key, const char *why)
{
	vnet_err_set(err, -EINVAL, VNET_E_INVALID, "option %.16s: %s", key, why);
	vnet_err_at(err, NULL, "options");
	return -EINVAL;
}

int options_from_json(const json_t *j, char ret[static OPTIONS_MAX], struct vnet_err *err)
{
	const char *key;
	json_t *value;

	ret[0] = '\0';
	if (!j || json_is_null(j))
		return 0;
	if (!json_is_object(j))
		return refuse(err, "", "field \"options\" must be an object of strings");
	json_object_foreach ((json_t *)j, key, value) {
		const char *text = json_string_value(value);
		int r = text ? options_add(ret, key, text) : -EINVAL;

		if (r == -E2BIG)
			return refuse(err, key, "the options are too long together");
		if (r < 0)
			return refuse(err, key,
				      "its name is made of a-z 0-9 - (up to 16), its value of "
				      "letters, digits and _.,:/@+- (1 to 107)");
	}
	return 0;
}
