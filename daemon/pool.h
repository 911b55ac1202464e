/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POOL_H
#define VNETD_POOL_H
/*
 * Pools: what attachments are taken from. A pool has settings and uplinks: PFs, other
 * NICs and interfaces, bridges, vDPA management devices. A configured pool (config.h)
 * claims those that its words match; each PF, plain NIC, bridge, bond and management
 * device that no configured pool claims is a pool of its own, named after its interface.
 * Of these only PFs are taken without being asked for by pool or mode.
 *
 * A pool's own effects (autoprobe, VF count, PF up) are only ever rolled forward;
 * what it made is noted in RUNTIME/pools/<PF address>.json, because VFs that vnetd
 * made go back to idle and VFs that it found go back as found.
 */
#include <jansson.h>
#include <stdbool.h>

#include "daemon/config.h"
#include "daemon/host/nic.h"
#include "daemon/reply.h"
#include "lib/err.h"
#include "lib/model.h"
#include "plugins/vnet-plugin.h"

/* ixgbe drops to two queues a VF at 32 and above. */
#define POOL_VFS_DEFAULT_MAX 31

struct manager;
struct pools;
struct guest;

struct uplink {
	enum vnet_plugin_uplink kind;
	char key[UPLINK_MAX];	/* its address, interface or name: what attachments keep */
	struct pci_addr pf;	/* of a PF or NIC, else unset */
	int ifindex;		/* 0 none */
	char link[IF_NAMESIZE]; /* "" : it has none here */
	int numa_node;
	bool created;	 /* its VFs are of vnetd's making */
	bool named;	 /* the configuration means this one: no glob, no driver */
	int vfs;	 /* it has now */
	int total;	 /* it can have */
	int count;	 /* VFs it has, or will have when first needed */
	int first, last; /* indices given out; last < first: none */
	char vdpa_driver[DRIVER_NAME_MAX]; /* of its VFs, for vDPA on them; "" there is none */
};

struct pool {
	char name[POOL_NAME_MAX]; /* implicit: interface of the PF, or its address */
	bool configured;
	bool disabled;		  /* serves nothing: problem says why */
	char problem[REASON_MAX]; /* "" : all is well */
	struct pool_settings set;
	struct uplink *uplinks; /* as the configuration has them */
	size_t n_uplinks;
	size_t n_missing; /* words of the configuration that match nothing yet */
};

int pools_new(struct pools **ret, struct manager *m, struct vnet_err *err);
struct pools *pools_free(struct pools *p);
/* Make the list anew from configuration and the inventory's scan. What was given out
 * of the old one is gone with it. */
void pools_update(struct pools *p);
const struct pool *pools_at(const struct pools *p, size_t i); /* sorted by name; NULL past end */
/* By name, else the one with the uplink of this interface name or PCI address. */
const struct pool *pools_find(const struct pools *p, const char *name);
/* The uplink that @name restricts to; NULL where it is a pool's name, or nothing's. */
const struct uplink *pools_find_uplink(const struct pools *p, const char *name);
/* Also of a pool that is disabled. */
const struct pool *pools_by_pf(const struct pools *p, const struct pci_addr *pf);
const struct uplink *pools_uplink(const struct pools *p, const struct pci_addr *pf);
/* What an attachment was taken from, by its key; *ret_pool (may be NULL): whose it is. */
const struct uplink *pools_by_key(const struct pools *p, const char *key,
				  const struct pool **ret_pool);
enum config_reserve pool_reserve(const struct pool *pool);
/* A MAC with the prefix of the pool of that name. */
void pools_make_mac(const struct pools *p, const char *pool, struct mac *ret);
/* pool-none.c. Why @nic is no pool and gives no VFs, and what to do. */
void pool_why_none(const struct nic *nic, char *ret, size_t size);
/* The error for a name that pools_find() does not know. */
int pools_none(struct manager *m, const char *name, struct vnet_err *err);
/* To be called before the VF count is first written: on disk, then in memory. */
int pools_mark_created(struct pools *p, const struct pci_addr *pf, struct vnet_err *err);
/* The attempt after pools_mark_created() made none. */
void pools_none_created(struct pools *p, const struct pci_addr *pf);
/* Making VFs of @pf failed; part of its pool's problem while it has none. NULL: did not. */
void pools_set_failed(struct pools *p, const struct pci_addr *pf, const char *text);

/* ---- pool-use.c: what is left of them ---- */

/* VFs that can be given to a guest now, or will be there to be given. */
unsigned uplink_free(const struct manager *m, const struct uplink *u);
/* Attachments on it; of a PF, whose VFs are counted one by one, that is not what is used. */
unsigned uplink_holders(const struct manager *m, const struct uplink *u);
/* Attachments that hold something of this pool but @self, and their names. */
unsigned pool_holders(const struct manager *m, const struct pool *pool,
		      const struct vnet_attachment *self, char *ret_names, size_t size);
/* "" or why nothing of the pool can be given, whatever the VF. */
void pool_refuses(const struct manager *m, const struct pool *pool,
		  const struct vnet_attachment *self, char *ret, size_t size);
/* "" or why this uplink, offered @as such, is nothing for @guest (may be NULL). */
void uplink_refuses(const struct pool *pool, const struct uplink *u, enum vnet_plugin_candidate as,
		    const struct guest *guest, char *ret, size_t size);
/* What @nic is as an uplink, whether it is one or not. */
void pool_thing_of(const struct host_scan *s, const struct nic *nic, struct uplink *ret);
/* What the configuration says and has to wait, and for whom: texts into the array. */
void pool_waiting(const struct manager *m, const struct pool *pool, json_t *texts);

/* pool-json.c: an array, new reference. */
json_t *pools_json(struct manager *m);
/* Refresh, then {pools: [...]}. */
void pools_run(struct manager *m, reply_fn reply, void *user);
#endif
