/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_NAMES_H
#define VNET_LIB_NAMES_H
/*
 * enum <-> string, with the table's size tied to the enum:
 *
 *	static const char *const state_names[] = { [ST_A] = "a", ... };
 *	NAMES_DEFINE(state, enum state, state_names, ST_MAX)
 *
 * defines const char *state_str(enum state) and int state_from(const char *, enum state *).
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"

#define NAMES_DECLARE(prefix, type)       \
	const char *prefix##_str(type v); \
	int prefix##_from(const char *s, type *ret);

#define NAMES_DEFINE(prefix, type, table, max)                                         \
	static_assert(ARRAY_SIZE(table) == (max), "a name for every " #type);          \
	const char *prefix##_str(type v)                                               \
	{                                                                              \
		return (size_t)v < ARRAY_SIZE(table) && (table)[v] ? (table)[v] : "?"; \
	}                                                                              \
	int prefix##_from(const char *s, type *ret)                                    \
	{                                                                              \
		for (size_t i = 0; i < ARRAY_SIZE(table); i++) {                       \
			if (!(table)[i] || strcmp(s, (table)[i]) != 0)                 \
				continue;                                              \
			*ret = (type)i;                                                \
			return 0;                                                      \
		}                                                                      \
		return -EINVAL;                                                        \
	}
#endif
