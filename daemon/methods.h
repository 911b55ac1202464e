/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_METHODS_H
#define VNETD_METHODS_H
/*
 * The methods as a table: name, who may call it, which parameters it has, what does
 * it. The text that clients are given, io.vnetd.varlink, is held against it by a test.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/bind.h"
#include "daemon/hook.h"
#include "daemon/policy.h"
#include "daemon/reply.h"
#include "daemon/server.h"
#include "lib/model.h"

#define VARLINK_SERVICE "org.varlink.service"
#define VARLINK_VNETD "io.vnetd"

struct method {
	const char *name;
	enum access access;
	const char *const *fields; /* ends with NULL */
	bool name_required;	   /* of target */
	size_t fds_max;		   /* that may come with the call */
	/* One of these, by what the parameters are: a request, one attachment, none. */
	void (*request)(struct manager *m, const struct vnet_request *r, reply_fn reply,
			void *user);
	void (*target)(struct manager *m, const struct vnet_request *r, reply_fn reply,
		       void *user); /* guest, name, scope */
	/* A request of a guest without libvirt: instead, or beside one of the above for calls
	 * whose parameter qmp is true. */
	void (*owned)(struct manager *m, const struct vnet_request *r, struct call *c);
	void (*hook)(struct manager *m, const struct hook_call *h, reply_fn reply, void *user);
	void (*bind)(struct manager *m, const struct bind_request *r, reply_fn reply, void *user);
	void (*plain)(struct manager *m, reply_fn reply, void *user);
	/* or, for what the daemon says of itself, the call */
	void (*service)(struct call *c);
};

const struct method *methods_at(size_t i); /* NULL past the last */

/* varlink.c: org.varlink.service, and the texts of both interfaces. */
void varlink_get_info(struct call *c);
void varlink_get_interface_description(struct call *c);
/* NULL: there is no such interface. */
const char *varlink_interface_text(const char *interface);
#endif
