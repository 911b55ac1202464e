/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_BIND_H
#define VNETD_BIND_H
/*
 * Functions that an administrator bound to another driver by `vnetctl bind`, for programs
 * on the host (DPDK): what each was found with, so that it can go back, and a claim, so
 * that no guest is given it.
 */
#include <stdbool.h>

#include "daemon/host/nic.h"
#include "daemon/reply.h"
#include "lib/err.h"

struct manager;
struct binds;

struct bind_request {
	struct pci_addr addr;
	char driver[DRIVER_NAME_MAX]; /* or "none", "default" */
};

/* Also reads what a vnetd of before has bound; what it was cut off in is put back. */
int binds_new(struct binds **ret, struct manager *m, struct vnet_err *err);
struct binds *binds_free(struct binds *bs);
/* Is @n claimed? Then @ret says in words by what, and *ret_driver names the driver. */
bool binds_hold(const struct binds *bs, const struct nic *n, const char **ret_driver, char *ret,
		size_t size);
/* {address, before, after, link, text, warnings: [text]} */
void bind_run(struct manager *m, const struct bind_request *r, reply_fn reply, void *user);
/* {binds: [{address, state, driver, found, now}]} */
void binds_run(struct manager *m, reply_fn reply, void *user);
#endif
