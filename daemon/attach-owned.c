/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attachments of guests without libvirt. */
#include <errno.h>

#include "daemon/attach.h"
#include "daemon/exec.h"

static int refuse(const struct vnet_request *r, struct attach_owner *o, struct vnet_err *err)
{
	attach_owner_done(o);
	return vnet_err_set(err, -EOPNOTSUPP, VNET_E_FAILED,
			    "%s: guests without libvirt are not "
			    "served yet",
			    r->guest);
}

void attach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *o,
		      reply_fds_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	int res = refuse(r, o, &err);

	(void)m;
	reply(user, res, NULL, NULL, &err);
}

void detach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *o,
		      reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	int res = refuse(r, o, &err);

	(void)m;
	reply(user, res, NULL, &err);
}
