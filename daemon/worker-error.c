/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-error.h"

#include <errno.h>

#include "lib/json.h"

json_t *worker_error_to_json(const struct vnet_err *err)
{
	json_t *o = json_object();

	json_put_int(o, "code", err->code);
	json_put_int(o, "name", err->name);
	json_put_str(o, "knob", err->knob);
	json_put_str(o, "object", err->object);
	json_put_str(o, "text", err->text);
	return o;
}

void worker_error_from_json(const json_t *j, struct vnet_err *err)
{
	struct vnet_err ignored = VNET_ERR_INIT;
	int64_t code = -EIO, name = VNET_E_FAILED;

	json_get_int_opt(j, "code", -4095, -1, &code, &ignored);
	json_get_int_opt(j, "name", 0, VNET_E_MAX - 1, &name, &ignored);
	vnet_err_set(err, (int)code, (enum vnet_err_name)name, "%s",
		     json_string_value(json_object_get(j, "text")) ?: "the worker gave no reason");
	vnet_err_at(err, json_string_value(json_object_get(j, "knob")) ?: "",
		    json_string_value(json_object_get(j, "object")) ?: "");
}
