/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_MANAGER_H
#define VNETD_MANAGER_H
/*
 * The root that owns everything of the daemon. Made by main.c, taken down in
 * reverse. All of it belongs to the main thread.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/domains.h"
#include "daemon/host/monitor.h"
#include "daemon/worker.h"
#include "lib/err.h"

struct manager_config {
	const char *root;    /* --root: "/" */
	const char *runtime; /* --runtime: "/run/vnetd" */
	const char *config;  /* --config: "/etc/vnetd" */
	const char *socket;  /* --socket: "/run/vnetd/io.vnetd" */
	const char *plugins; /* --plugins: the installed folder */
	const char *libvirt; /* --libvirt: connection URI; NULL: libvirt's default for root */
	const char *exe;     /* our own binary, for workers */
};

struct manager {
	struct manager_config config;
	struct config *conf; /* config.h; NULL only in tests */
	sd_event *event;
	int runtime_fd; /* the runtime directory */
	int lock_fd;	/* vnetd.lock in it: one vnetd a directory */
	struct workers *workers;
	struct plugins *plugins;     /* plugin.h */
	struct inventory *inventory; /* inventory.h */
	struct domains *domains;
	struct pools *pools;		 /* pool.h */
	struct pool_start *start;	 /* pool-start.h */
	struct reload *reload;		 /* reload.h */
	struct attachments *attachments; /* attach.h */
	struct binds *binds;		 /* bind.h */
	struct monitor *monitor;	 /* NULL where the root is not "/" */
	struct server *server;
};

int manager_new(struct manager **ret, const struct manager_config *config, struct vnet_err *err);
/* Serve until SIGTERM or SIGINT. */
int manager_run(struct manager *m, struct vnet_err *err);
struct manager *manager_free(struct manager *m);
#endif
