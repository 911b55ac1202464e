/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_SELECT_H
#define VNETD_SELECT_H
/*
 * Asks the modes in order about every candidate of every pool that may serve, keeps
 * every verdict, and chooses: the first mode with a yes; in it the uplink nearest to
 * the guest's NUMA node, then the pool with the greatest free share, in it the uplink
 * that its placement wants, then the best score, then the lowest name and index. A
 * request that names no mode takes each pool's own: all pools' first before any's second. Reads what is in memory, changes nothing.
 */
#include <jansson.h>

#include "daemon/domains.h"
#include "daemon/plugin.h"
#include "daemon/pool.h"
#include "lib/err.h"
#include "lib/model.h"

struct manager;
struct attachment;

struct candidate {
	const struct vnet_plugin *mode; /* NULL: there is none of this name */
	const char *mode_name;
	/* Both are the pools' own, so good until the next scan. */
	const struct pool *pool;
	const struct uplink *uplink; /* NULL: the verdict is about the pool as a whole */
	enum vnet_plugin_candidate kind;
	struct pci_addr vf; /* unset while it is still to be made */
	int vf_index;	    /* -1: it is no VF, or the verdict is about the uplink */
	struct verdict verdict;
	int numa_match;		/* 1 same node, 0 unknown, -1 another */
	unsigned free_permille; /* of the pool */
	unsigned fit_permille;	/* of the uplink, by the pool's placement: more is better */
};

struct selection {
	struct candidate *at;
	size_t n;
	const struct candidate *chosen; /* NULL: none can */
	char no_pool[REASON_MAX];	/* n is 0: why there is no pool */
};

void selection_done(struct selection *s);

/* @self: the attachment it is for, whose own claim does not count as in use; may be
 * NULL. 0 also when nothing is chosen; <0 for an unknown mode or pool. The caller
 * has refreshed the inventory. */
int select_run(struct manager *m, const struct vnet_request *r, const struct guest *guest,
	       const struct vnet_attachment *self, struct selection *ret, struct vnet_err *err);
/* What @c is for an attachment that asks as @v->asked does: mode, pool, uplink, VF, VLAN. */
void select_claim(struct manager *m, const struct candidate *c, struct vnet_attachment *v);
/* Every reason once, as the text of an error that names the guest. */
int select_refuse(const struct selection *s, const struct vnet_request *r, struct vnet_err *err);
/* The chosen one's reason, and why it was none of a mode before it. */
void select_why(const struct selection *s, char *ret, size_t size);
json_t *select_verdicts_json(const struct selection *s);

/* Ask @mode again about the claim of @a, as the host is now. */
int select_probe(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		 struct verdict *ret, struct vnet_err *err);
int select_plan(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		struct plan *ret, struct vnet_err *err);
int select_deliver(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
		   struct delivery *ret, struct vnet_err *err);
int select_fds(struct manager *m, const struct vnet_attachment *a, const struct guest *guest,
	       struct opens *ret, struct vnet_err *err);
#endif
