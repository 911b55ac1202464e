/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef TESTS_ANALYZE_H
#define TESTS_ANALYZE_H
/*
 * Included before every source by the analyzers alone: what they can't know of
 * one file. vnet_err_* return a negative errno, so `return vnet_err_set(...)`
 * never means success; without it each such line is taken for both.
 */
#include <stdlib.h>

#include "lib/err.h"

static inline int analyze_negative(int r)
{
	if (r >= 0)
		abort();
	return r;
}

#define vnet_err_set(...) analyze_negative(vnet_err_set(__VA_ARGS__))
#define vnet_err_errno(...) analyze_negative(vnet_err_errno(__VA_ARGS__))
#define vnet_err_wrap(...) analyze_negative(vnet_err_wrap(__VA_ARGS__))
#endif
