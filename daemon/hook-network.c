/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's own pools: a network with <forward mode='hostdev'> takes the VFs of a PF by
 * itself, those that are there when it starts. With our metadata it may be one of ours:
 * its start waits until the pool has its VFs, and a port of it that would take a VF of an
 * attachment is refused, for libvirt knows nothing of vnetd's.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/hook-priv.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "lib/json.h"
#include "lib/log.h"

#define NETWORK_RETRY_MSEC 300
#define NETWORK_HOOKS_MAX 64

struct hook_network {
	struct hook_network *next;
	struct manager *m;
	struct network_call c;
	bool making;
	sd_event_source *late, *retry;
	reply_fn reply;
	void *user;
};

static void network_go(struct hook_network *h);

static void network_free(struct hook_network *h)
{
	for (struct hook_network **p = &h->m->attachments->networks; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	if (h->making)
		pool_start_forget(h->m->start, h);
	inventory_forget(h->m->inventory, h);
	sd_event_source_disable_unref(h->late);
	sd_event_source_disable_unref(h->retry);
	free(h);
}

static void network_end(struct hook_network *h, struct vnet_err *err)
{
	reply_fn reply = h->reply;
	void *user = h->user;

	if (err->code) {
		vnet_err_wrap(err, "network %s", h->c.name);
		log_err(4, h->c.name, err, "its hook is refused");
	}
	network_free(h);
	reply(user, err->code, err->code ? NULL : json_object(), err);
}

static int on_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct hook_network *h = user;

	(void)s;
	(void)usec;
	vnet_err_set(&err, -ETIMEDOUT, VNET_E_UNAVAILABLE,
		     "pool %s has not got its VFs in time: `vnetctl pool list` and the journal "
		     "say why",
		     h->c.pool);
	network_end(h, &err);
	return 0;
}

void hook_networks_free(struct attachments *as)
{
	while (as->networks) {
		struct vnet_err err = VNET_ERR_INIT;

		vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd is stopping");
		network_end(as->networks, &err);
	}
}

/* ---- a port ---- */

static void port_scanned(void *user, int r, struct vnet_err *err)
{
	struct hook_network *h = user;
	struct attachments *as = h->m->attachments;
	const struct nic *vf = NULL;
	const struct vnet_attachment *holder = NULL;
	struct vnet_attachment reserved;
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];

	if (r == 0)
		vf = host_scan_nic(inventory_scan(h->m->inventory), &h->c.vf);
	if (vf && vf->kind == NIC_VF)
		holder = attachments_holder(as, &vf->pf, vf->vf_index);
	for (size_t i = 0; vf && !holder && reserved_at(as, i, &reserved); i++) {
		const struct pool *pool = pools_by_pf(h->m->pools, &vf->pf);

		if (pci_addr_eq(&reserved.vf, &vf->addr) && pool &&
		    pool_reserve(pool) == RESERVE_ALWAYS)
			holder = &reserved;
	}
	if (holder)
		vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
			     "%s belongs to %s (%s): keep vnetd's VFs and this network's apart, by "
			     "a PF each or by the range of the pool",
			     pci_addr_str(&h->c.vf, addr), model_attachment_id(holder, id),
			     attachment_state_str(holder->state));
	network_end(h, err);
}

/* ---- a start ---- */

static int on_retry(sd_event_source *s, uint64_t usec, void *user)
{
	struct hook_network *h = user;

	(void)s;
	(void)usec;
	h->retry = sd_event_source_disable_unref(h->retry);
	network_go(h);
	return 0;
}

static void made(void *user)
{
	struct hook_network *h = user;
	const struct pool *pool = pools_find(h->m->pools, h->c.pool);
	struct vnet_err err = VNET_ERR_INIT;
	int vfs = 0;

	h->making = false;
	for (size_t i = 0; pool && i < pool->n_uplinks; i++)
		vfs += pool->uplinks[i].vfs;
	if (!vfs)
		vnet_err_set(&err, -ENODEV, VNET_E_FAILED, "pool %s has no VFs: %s", h->c.pool,
			     pool && pool->problem[0] ? pool->problem : "see the journal");
	network_end(h, &err);
}

static void start_scanned(void *user, int r, struct vnet_err *err)
{
	struct hook_network *h = user;
	const struct pool *pool = r == 0 ? pools_find(h->m->pools, h->c.pool) : NULL;

	if (r == 0 && !pool)
		vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
			     "there is no pool %s: `vnetctl pool list` shows those there are",
			     h->c.pool);
	if (r == 0 && pool && pool->disabled)
		vnet_err_set(err, -EINVAL, VNET_E_FAILED, "pool %s is disabled: %s", h->c.pool,
			     pool->problem);
	if (err->code) {
		network_end(h, err);
		return;
	}
	h->making = true;
	pool_start_run_for(h->m->start, pool->name, made, h);
}

static void network_go(struct hook_network *h)
{
	if (h->c.vf.set) {
		inventory_refresh(h->m->inventory, port_scanned, h);
	} else if (pool_start_runs(h->m->start)) {
		/* One pass at a time: after this one. */
		if (sd_event_add_time_relative(h->m->event, &h->retry, CLOCK_MONOTONIC,
					       NETWORK_RETRY_MSEC * UINT64_C(1000), 0, on_retry,
					       h) < 0)
			log_warn(h->c.name, "no timer for the hook of network %s", h->c.name);
	} else {
		inventory_refresh(h->m->inventory, start_scanned, h);
	}
}

/* ---- the call ---- */

/* NULL: @err says why. */
static struct hook_network *network_new(struct manager *m, const struct network_call *c,
					struct vnet_err *err)
{
	struct attachments *as = m->attachments;
	struct hook_network *h;
	size_t n = 0;
	int r;

	for (h = as->networks; h; h = h->next)
		n++;
	if (n >= NETWORK_HOOKS_MAX) {
		vnet_err_set(err, -EAGAIN, VNET_E_LIMIT,
			     "%d networks start already: try again later", NETWORK_HOOKS_MAX);
		return NULL;
	}
	h = calloc(1, sizeof(*h));
	if (!h) {
		vnet_err_errno(err, -ENOMEM, "hook");
		return NULL;
	}
	h->m = m;
	h->c = *c;
	h->next = as->networks;
	as->networks = h;
	r = sd_event_add_time_relative(m->event, &h->late, CLOCK_MONOTONIC,
				       hook_deadline_sec(m) * UINT64_C(1000000), 0, on_late, h);
	if (r < 0) {
		network_free(h);
		vnet_err_errno(err, r, "hook");
		return NULL;
	}
	return h;
}

void hook_network_run(struct manager *m, const struct hook_call *call, reply_fn reply, void *user)
{
	bool start = strcmp(call->operation, "start") == 0;
	struct vnet_err err = VNET_ERR_INIT;
	struct hook_network *h = NULL;
	struct network_call c;
	int r = network_xml_parse(call->xml, &c, &err);

	if (r == 0 && (!c.ours || (!start && !c.vf.set))) {
		reply(user, 0, json_object(), &err); /* nothing of ours is asked */
		return;
	}
	if (r == 0 && start)
		c.vf = (struct pci_addr){ 0 };
	if (r == 0)
		h = network_new(m, &c, &err);
	if (!h) {
		reply(user, err.code, NULL, &err);
		return;
	}
	h->reply = reply;
	h->user = user;
	network_go(h);
}
