/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The back end for a host without libvirt: a captured one, looked at with --root.
 * It has no guests, and knows that it has none.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/domains.h"

struct none {
	struct domains_sink sink;
	sd_event_source *hello;
};

static int on_hello(sd_event_source *s, void *user)
{
	struct none *n = user;

	n->hello = sd_event_source_disable_unref(s);
	n->sink.connected(n->sink.user);
	return 0;
}

static int none_open(void **ret, sd_event *event, const char *arg, const struct domains_sink *sink,
		     struct vnet_err *err)
{
	struct none *n = calloc(1, sizeof(*n));

	(void)arg;
	if (!n || sd_event_add_defer(event, &n->hello, on_hello, n) < 0) {
		free(n);
		return vnet_err_errno(err, -ENOMEM, "guests");
	}
	n->sink = *sink;
	*ret = n;
	return 0;
}

static void none_submit(void *be, struct domains_request *req)
{
	struct none *n = be;

	req->r = req->op == DOM_READ_ALL ? 0
					 : vnet_err_set(&req->err, -ENOENT, VNET_E_NOT_FOUND,
							"there are no guests here");
	n->sink.finished(n->sink.user, req);
}

static void none_close(void *be)
{
	struct none *n = be;

	sd_event_source_disable_unref(n->hello);
	free(n);
}

const struct domains_backend domains_none = {
	.name = "none",
	.open = none_open,
	.submit = none_submit,
	.close = none_close,
};
