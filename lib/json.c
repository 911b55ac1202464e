/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Every refusal names its field twice: in the text and as the error's object, from
 * which the server makes org.varlink.service.InvalidParameter. */
static int refuse(struct vnet_err *err, const char *field, const char *why)
{
	vnet_err_set(err, -EINVAL, VNET_E_INVALID, "field \"%s\" %s", field, why);
	vnet_err_at(err, NULL, field);
	return -EINVAL;
}

/* The member, NULL where absent or null. */
static const json_t *member(const json_t *obj, const char *field)
{
	const json_t *v = json_object_get(obj, field);

	return json_is_null(v) ? NULL : v;
}

size_t json_control_len(const char *s)
{
	unsigned char c = (unsigned char)s[0], next = c ? (unsigned char)s[1] : 0;

	if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
		return 2;
	return c && (c < 0x20 || c == 0x7f);
}

static bool has_control(const json_t *string)
{
	const char *s = json_string_value(string);

	/* A NUL inside, which only a document built in memory can hold, is one as well. */
	if (strlen(s) != json_string_length(string))
		return true;
	for (; *s; s++)
		if (json_control_len(s))
			return true;
	return false;
}

int json_get_str_opt(const json_t *obj, const char *field, char *ret, size_t size,
		     struct vnet_err *err)
{
	const json_t *v = member(obj, field);
	size_t len;

	if (!v)
		return 0;
	if (!json_is_string(v))
		return refuse(err, field, "must be a string");
	len = json_string_length(v);
	if (has_control(v))
		return refuse(err, field, "holds a control character");
	if (len >= size) {
		vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			     "field \"%s\" is %zu bytes long, at most %zu are accepted", field, len,
			     size - 1);
		vnet_err_at(err, NULL, field);
		return -EINVAL;
	}
	memcpy(ret, json_string_value(v), len + 1);
	return 0;
}

int json_get_str(const json_t *obj, const char *field, char *ret, size_t size, struct vnet_err *err)
{
	if (!member(obj, field))
		return refuse(err, field, "is missing");
	return json_get_str_opt(obj, field, ret, size, err);
}

int json_get_int_opt(const json_t *obj, const char *field, int64_t min, int64_t max, int64_t *ret,
		     struct vnet_err *err)
{
	const json_t *v = member(obj, field);
	int64_t n;

	if (!v)
		return 0;
	if (!json_is_integer(v))
		return refuse(err, field, "must be a whole number");
	n = json_integer_value(v);
	if (n < min || n > max) {
		vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			     "field \"%s\" is %" PRId64 ", accepted is %" PRId64 " to %" PRId64,
			     field, n, min, max);
		vnet_err_at(err, NULL, field);
		return -EINVAL;
	}
	*ret = n;
	return 0;
}

int json_get_int(const json_t *obj, const char *field, int64_t min, int64_t max, int64_t *ret,
		 struct vnet_err *err)
{
	if (!member(obj, field))
		return refuse(err, field, "is missing");
	return json_get_int_opt(obj, field, min, max, ret, err);
}

int json_get_bool_opt(const json_t *obj, const char *field, bool *ret, struct vnet_err *err)
{
	const json_t *v = member(obj, field);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return refuse(err, field, "must be true or false");
	*ret = json_is_true(v);
	return 0;
}

int json_only_fields(const json_t *obj, const char *const *fields, struct vnet_err *err)
{
	const char *key;
	json_t *value;

	/* The macro wants a non-const object to iterate; nothing is changed. */
	json_object_foreach ((json_t *)obj, key, value) {
		const char *const *f = fields;

		while (*f && strcmp(*f, key) != 0)
			f++;
		if (!*f)
			return refuse(err, key, "is not known here");
	}
	return 0;
}

void json_put(json_t *obj, const char *field, json_t *value)
{
	json_object_set_new(obj, field, value);
}

/* Length of the valid UTF-8 sequence at @s, 0 where there is none. What exactly is valid is
 * left to jansson, so that the two can't disagree. */
static size_t utf8_len(const char *s)
{
	unsigned char c = (unsigned char)*s;
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	_cleanup_json_ json_t *probe = NULL;

	if (strnlen(s, len) < len)
		return 0;
	probe = json_stringn(s, len);
	return probe ? len : 0;
}

/* Interface names and other processes' names are bytes, not text: what is no UTF-8 becomes '?',
 * because a document without the string would hide more. */
static json_t *string_of_bytes(const char *bytes)
{
	_cleanup_free_ char *s = strdup(bytes);
	size_t len;

	if (!s)
		return NULL;
	for (char *p = s; *p; p += len) {
		len = utf8_len(p);
		if (len == 0) {
			*p = '?';
			len = 1;
		}
	}
	return json_string(s);
}

void json_put_str(json_t *obj, const char *field, const char *value)
{
	json_t *s;

	if (!value || !*value) {
		json_put(obj, field, json_null());
		return;
	}
	s = json_string(value);
	json_put(obj, field, s ? s : string_of_bytes(value));
}

void json_put_int(json_t *obj, const char *field, int64_t value)
{
	json_put(obj, field, json_integer(value));
}

void json_put_int_or_null(json_t *obj, const char *field, int64_t value, bool known)
{
	json_put(obj, field, known ? json_integer(value) : json_null());
}

void json_put_bool(json_t *obj, const char *field, bool value)
{
	json_put(obj, field, json_boolean(value));
}

void json_put_bool_or_null(json_t *obj, const char *field, int tristate)
{
	json_put(obj, field, tristate < 0 ? json_null() : json_boolean(tristate));
}
