/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POOL_PRIV_H
#define VNETD_POOL_PRIV_H
/* What pool.c (the list), pool-match.c (makes it) and pool-mark.c (who made the VFs)
 * share. Nobody else includes this. */
#include "daemon/pool.h"

struct pool_failure {
	struct pool_failure *next;
	struct pci_addr pf;
	char text[REASON_MAX];
};

struct pools {
	struct manager *m;
	int dirfd; /* RUNTIME/pools */
	struct pool *at;
	size_t n;
	struct pool_failure *failures; /* one a PF at most */
};

/* pool-match.c. <0: out of memory. */
int pools_list(struct pools *p, struct pool **ret, size_t *ret_n);
void pools_list_free(struct pool *list, size_t n);

/* pool-things.c: @ret is malloced; kind, key, pf, ifindex, link, numa_node, vfs and total
 * of each are set. -ENOMEM. */
int pool_things(const struct host_scan *s, struct uplink **ret, size_t *ret_n);
/* Is it one where no configured pool claims it? */
bool pool_thing_is_pool(const struct host_scan *s, const struct uplink *t);

/* pool-mark.c: are the VFs that @pf has now those that vnetd made? A mark that does not
 * fit is taken away: its VFs went, and others may have come since. */
bool pool_mark_fits(struct pools *p, const struct nic *pf);
int pool_mark_write(const struct pools *p, const struct pci_addr *pf, uint64_t id,
		    struct vnet_err *err);
#endif
