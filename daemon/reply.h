/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_REPLY_H
#define VNETD_REPLY_H
/*
 * How every operation of the daemon answers: once, maybe at once from within the
 * call, maybe much later. @result is taken over by the receiver; with r < 0 it
 * may hold what goes beside the error (verdicts), or be NULL.
 */
#include <jansson.h>

#include "lib/err.h"
#include "lib/fds.h"

typedef void (*reply_fn)(void *user, int r, json_t *result, struct vnet_err *err);
/* Where descriptors go with the answer: taken over by the receiver as well. NULL, or empty,
 * with r < 0. */
typedef void (*reply_fds_fn)(void *user, int r, json_t *result, struct vnet_fds *fds,
			     struct vnet_err *err);
#endif
