/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_WORKER_ERROR_H
#define VNETD_WORKER_ERROR_H
/* An error between a worker and the daemon: {code, name, knob, object, text}, name as the
 * number of enum vnet_err_name. */
#include <jansson.h>

#include "lib/err.h"

json_t *worker_error_to_json(const struct vnet_err *err);
void worker_error_from_json(const json_t *j, struct vnet_err *err);
#endif
