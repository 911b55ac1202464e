/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POOL_H
#define VNETD_POOL_H
/*
 * Pools: what attachments are taken from. Without configuration every SR-IOV NIC
 * (PF with a network driver) is a pool of its own, named after its interface.
 * A pool's own effects (autoprobe, VF count, PF up) are only ever rolled forward;
 * what it made is noted in RUNTIME/pools/<PF address>.json, because VFs that vnetd
 * made go back to idle and VFs that it found go back as found.
 */
#include <stdbool.h>

#include "daemon/host/nic.h"
#include "lib/err.h"
#include "lib/model.h"

/* ixgbe drops to two queues a VF at 32 and above. */
#define POOL_VFS_DEFAULT_MAX 31

struct manager;
struct pools;

struct pool {
	char name[POOL_NAME_MAX]; /* interface of the PF, or its address where it has none */
	struct pci_addr pf;
	bool created; /* its VFs are of vnetd's making */
	int count;    /* VFs it has, or will have when first needed */
};

int pools_new(struct pools **ret, struct manager *m, struct vnet_err *err);
struct pools *pools_free(struct pools *p);
/* Make the list anew from the inventory's scan. */
void pools_update(struct pools *p);
const struct pool *pools_at(const struct pools *p, size_t i); /* sorted by name; NULL past end */
/* By name, interface name or PCI address of the PF. */
const struct pool *pools_find(const struct pools *p, const char *name);
const struct pool *pools_by_pf(const struct pools *p, const struct pci_addr *pf);
/* pool-none.c. Why @nic is no pool and gives no VFs, and what to do. */
void pool_why_none(const struct nic *nic, char *ret, size_t size);
/* The error for a name that pools_find() does not know. */
int pools_none(struct manager *m, const char *name, struct vnet_err *err);
/* To be called before the VF count is first written: on disk, then in memory. */
int pools_mark_created(struct pools *p, const struct pci_addr *pf, struct vnet_err *err);
/* The attempt after pools_mark_created() made none. */
void pools_none_created(struct pools *p, const struct pci_addr *pf);
#endif
