/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_JSON_H
#define VNET_LIB_JSON_H
/*
 * Small readers and writers over jansson that carry our error convention:
 * a field that is absent, of the wrong type or out of range is named in err.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/cleanup.h"
#include "lib/err.h"

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

/* Each returns 0, or -EINVAL with err naming the field. "opt" leaves *ret alone
 * where the field is absent or null. Strings are copied, -EINVAL when they do
 * not fit in @size or hold a control character. */
int json_get_str(const json_t *obj, const char *field, char *ret, size_t size,
		 struct vnet_err *err);
int json_get_str_opt(const json_t *obj, const char *field, char *ret, size_t size,
		     struct vnet_err *err);
int json_get_int(const json_t *obj, const char *field, int64_t min, int64_t max, int64_t *ret,
		 struct vnet_err *err);
int json_get_int_opt(const json_t *obj, const char *field, int64_t min, int64_t max, int64_t *ret,
		     struct vnet_err *err);
int json_get_bool_opt(const json_t *obj, const char *field, bool *ret, struct vnet_err *err);
/* -EINVAL naming the first field of @obj that is not in the NULL-ended list. */
int json_only_fields(const json_t *obj, const char *const *fields, struct vnet_err *err);

/* How many bytes of a control character @s begins with, 0 when with none: C0 (but not the
 * final NUL), DEL, and C1 in its UTF-8 form, which terminals obey as well. */
size_t json_control_len(const char *s);

/* Set @field of @obj: a string ("" and NULL become null), or null where not known. */
void json_put_str(json_t *obj, const char *field, const char *value);
void json_put_int(json_t *obj, const char *field, int64_t value);
void json_put_int_or_null(json_t *obj, const char *field, int64_t value, bool known);
void json_put_bool(json_t *obj, const char *field, bool value);
void json_put_bool_or_null(json_t *obj, const char *field, int tristate); /* <0 is null */
/* Takes over the reference. */
void json_put(json_t *obj, const char *field, json_t *value);
#endif
