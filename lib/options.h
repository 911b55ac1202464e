/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_OPTIONS_H
#define VNET_LIB_OPTIONS_H
/*
 * What a mode is asked beside MAC and VLAN, as one text: "key=value key=value", by key,
 * "" none. Neither key nor value can hold what ends them.
 */
#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"

#define OPTIONS_MAX 192
#define OPTION_KEY_MAX 17    /* [a-z][a-z0-9-]{0,15} */
#define OPTION_VALUE_MAX 108 /* [A-Za-z0-9_.,:/@+-]{1,107} */

/* The value of @key: its length, or -ENOENT. */
int options_get(const char *options, const char *key, char *buf, size_t size);
/* A number from @min to @max; @otherwise where it is not there; -EINVAL. */
int options_get_number(const char *options, const char *key, int min, int max, int otherwise);
/* The key of the @i-th; -ENOENT past the last. */
int options_key(const char *options, size_t i, char buf[static OPTION_KEY_MAX]);
/* Put @key in, or in anew. -EINVAL: not of the grammar; -E2BIG: no room. */
int options_add(char options[static OPTIONS_MAX], const char *key, const char *value);
/* As written: of the grammar, in order, each key once? */
int options_check(const char *options);

/* {key: value}, null for none; new reference. */
json_t *options_to_json(const char *options);
/* @j may be NULL or null. */
int options_from_json(const json_t *j, char ret[static OPTIONS_MAX], struct vnet_err *err);
#endif
