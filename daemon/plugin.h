/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_PLUGIN_H
#define VNETD_PLUGIN_H
/*
 * Modes: finds, checks and loads vnet-*.so, copies min(their, our) struct size, and
 * lends them the host table. A bad plugin is logged and skipped, and shown by
 * `vnetctl mode list` with the reason.
 */
#include <jansson.h>

#include "daemon/host/host.h"
#include "daemon/reply.h"
#include "lib/err.h"
#include "lib/model.h"
#include "plugins/vnet-plugin.h"

#define PLUGINS_MAX 32
#define PLAN_STEPS_MAX 32

struct manager;
struct plugins;

struct verdict {
	int score; /* 0 no */
	char reason[REASON_MAX];
};

struct plan_step {
	const struct knob *knob;
	char object[KNOB_OBJECT_MAX];
	char value[KNOB_VALUE_MAX];
};

struct plan {
	struct plan_step step[PLAN_STEPS_MAX];
	size_t n;
};

struct delivery {
	enum vnet_plugin_delivery_kind kind;
	char value[DEVICE_MAX];
	char how[OPTIONS_MAX];
};

/* What a QEMU without libvirt is given, in this order. */
#define OPENS_MAX 8
struct opens {
	struct {
		char role[16];
		enum vnet_plugin_open how;
		char name[DEVICE_MAX];
		int count;
	} at[OPENS_MAX];
	size_t n;
};

/* Loads every vnet-*.so of the folder: a regular file, owned by root or by us, not
 * writable by others. */
int plugins_new(struct plugins **ret, const char *dir, struct vnet_err *err);
struct plugins *plugins_free(struct plugins *p);
const struct vnet_plugin *plugins_find(const struct plugins *p, const char *mode);
const struct vnet_plugin *plugins_at(const struct plugins *p, size_t i); /* by name */

/* The callbacks, with the core's types; a plugin that breaks the contract (no
 * reason, unknown knob) is an error of that call. */
int plugin_probe(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		 const struct vnet_plugin_request *req, struct verdict *ret, struct vnet_err *err);
int plugin_plan(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		const struct vnet_plugin_request *req, struct plan *ret, struct vnet_err *err);
int plugin_deliver(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *req, struct delivery *ret,
		   struct vnet_err *err);
/* None where the mode serves only libvirt's guests: -EOPNOTSUPP. */
int plugin_fds(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
	       const struct vnet_plugin_request *req, struct opens *ret, struct vnet_err *err);
/* {modes: [{name, summary, file, loaded, error}]} */
void modes_run(struct manager *m, reply_fn reply, void *user);
#endif
