/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POOL_START_H
#define VNETD_POOL_START_H
/*
 * A pass over the configured pools: uplinks with a number of VFs in the configuration
 * and none on the host get them, through journal and workers like everything else.
 * One runs when vnetd starts, before READY=1, and one at each reload. It asks neither
 * libvirt nor the network, and it ends: what is not there or fails is a problem of its
 * pool, and is made when first needed.
 */
#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"
#include "lib/pciaddr.h"

#define PASS_MAX_SEC 60
#define PASS_PARALLEL 8 /* PFs that are given VFs at the same time */

struct manager;
struct pool_start;

typedef void (*pool_start_done_fn)(void *user);

/* Also finds what a vnetd of before was cut off in. */
int pool_start_new(struct pool_start **ret, struct manager *m, struct vnet_err *err);
struct pool_start *pool_start_free(struct pool_start *s);
/* @wait_sec: for uplinks that the configuration names and that are not there yet. @done
 * is called once, at most PASS_MAX_SEC later, maybe from within. One at a time. */
void pool_start_run(struct pool_start *s, unsigned wait_sec, pool_start_done_fn done, void *user);
/* The same for this one pool too, whatever its configuration: it is needed now. */
void pool_start_run_for(struct pool_start *s, const char *pool, pool_start_done_fn done,
			void *user);
/* @user's done won't be called; what is being made goes on. */
void pool_start_forget(struct pool_start *s, const void *user);
/* False: no pool is configured, and nothing was left. */
bool pool_start_needed(const struct pool_start *s);
bool pool_start_runs(const struct pool_start *s);
/* VFs of this PF are being made now, or a vnetd of before was at it. */
bool pool_start_makes(const struct pool_start *s, const struct pci_addr *pf);
/* What the last one made: texts, borrowed. */
const json_t *pool_start_made(const struct pool_start *s);
/* The pools were made anew from a scan: an uplink may have come. */
void pool_start_scanned(struct pool_start *s);
#endif
