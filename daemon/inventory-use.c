/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who uses a function of the host, outside of vnetd's ledger. The kernel protects
 * nothing that is in use, so where several readings are possible the one that
 * keeps vnetd's hands off is taken.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/bind.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"

bool inventory_blocks_group(const struct nic *n)
{
	return !n->bridge && n->vfio_dev < 0 && driver_blocks_group(n->driver);
}

const struct nic *inventory_group_blocker(const struct host_scan *s, const struct nic *n)
{
	const struct nic *other;

	if (n->iommu_group < 0)
		return NULL;
	for (size_t i = 0; (other = host_scan_group(s, n->iommu_group, i)); i++) {
		if (!pci_addr_eq(&other->addr, &n->addr) && inventory_blocks_group(other))
			return other;
	}
	return NULL;
}

/* ---- guests ---- */

/* The guest's own XML may name what its attachment is made of. */
static bool names_for(const struct guest *g, const struct guest_hostdev *h,
		      const struct vnet_attachment *self)
{
	size_t prefix = strlen(VNETD_ALIAS_PREFIX);

	return self && strcmp(g->uuid, self->uuid) == 0 &&
	       strncmp(h->alias, VNETD_ALIAS_PREFIX, prefix) == 0 &&
	       strcmp(h->alias + prefix, self->name) == 0;
}

/* What only a persistent XML names with our alias is a reservation, and the pool says
 * whether those of guests that do not run count. */
static bool counts(const struct manager *m, const struct nic *n, const struct guest_hostdev *h)
{
	const struct pool *pool;

	if (h->live || strncmp(h->alias, VNETD_ALIAS_PREFIX, strlen(VNETD_ALIAS_PREFIX)) != 0)
		return true;
	pool = n->kind == NIC_VF && m->pools ? pools_by_pf(m->pools, &n->pf) : NULL;
	return !pool || pool_reserve(pool) == RESERVE_ALWAYS;
}

static bool held_by_guest(const struct manager *m, const struct nic *n,
			  const struct vnet_attachment *self, struct held *ret)
{
	const struct domains *d = m->domains;
	const struct guest *g;

	if (!d)
		return false;
	for (size_t i = 0; (g = domains_at(d, i)); i++) {
		for (size_t k = 0; k < g->n_hostdevs; k++) {
			const struct guest_hostdev *h = &g->hostdevs[k];

			if (!pci_addr_eq(&h->addr, &n->addr) || names_for(g, h, self) ||
			    !counts(m, n, h))
				continue;
			/* Its own guest's configuration names it too: first come, first served. */
			if (!h->live && self && self->persistent)
				continue;
			ret->by = HELD_BY_GUEST;
			snprintf(ret->name, sizeof(ret->name), "%s", g->name);
			if (h->live)
				snprintf(ret->text, sizeof(ret->text), "guest %s has it%s%s%s",
					 g->name, h->alias[0] ? " (" : "", h->alias,
					 h->alias[0] ? ")" : "");
			else
				snprintf(ret->text, sizeof(ret->text),
					 "guest %s names it in its configuration", g->name);
			return true;
		}
	}
	return false;
}

/* A guest's vDPA device: its XML names no function, our metadata does. */
static bool held_by_reservation(const struct manager *m, const struct nic *n,
				const struct vnet_attachment *self, struct held *ret)
{
	const struct pool *pool = n->kind == NIC_VF && m->pools && m->attachments
					  ? pools_by_pf(m->pools, &n->pf)
					  : NULL;
	struct vnet_attachment v;

	if (!pool || pool_reserve(pool) != RESERVE_ALWAYS)
		return false;
	for (size_t i = 0; reserved_at(m->attachments, i, &v); i++) {
		if (v.kind != DL_CHARDEV || v.vf_index != n->vf_index ||
		    !pci_addr_eq(&v.pf, &n->pf) ||
		    (self && strcmp(v.uuid, self->uuid) == 0 && strcmp(v.name, self->name) == 0))
			continue;
		ret->by = HELD_BY_GUEST;
		snprintf(ret->name, sizeof(ret->name), "%s", v.asked.guest);
		snprintf(ret->text, sizeof(ret->text), "guest %s has it reserved for its NIC %s",
			 v.asked.guest, v.name);
		return true;
	}
	return false;
}

/* ---- processes ---- */

static bool holds(const struct holder *h, const struct nic *n)
{
	if (h->vfio_dev >= 0)
		return h->vfio_dev == n->vfio_dev;
	return h->iommu_group >= 0 && h->iommu_group == n->iommu_group && !n->bridge;
}

static bool held_by_process(const struct host_scan *s, const struct nic *n, struct held *ret)
{
	for (size_t i = 0; i < s->n_holders; i++) {
		const struct holder *h = &s->holders[i];

		if (!holds(h, n))
			continue;
		ret->pid = h->pid;
		if (h->guest[0]) {
			ret->by = HELD_BY_GUEST;
			snprintf(ret->name, sizeof(ret->name), "%s", h->guest);
			snprintf(ret->text, sizeof(ret->text),
				 "QEMU of guest %s (process %d) has %s open", h->guest, (int)h->pid,
				 h->node);
		} else {
			ret->by = HELD_BY_PROCESS;
			snprintf(ret->name, sizeof(ret->name), "%s", h->comm);
			snprintf(ret->text, sizeof(ret->text), "process %d (%s) has %s open",
				 (int)h->pid, h->comm, h->node);
		}
		return true;
	}
	return false;
}

/* ---- vnetctl bind ---- */

static bool held_by_bind(const struct manager *m, const struct nic *n, struct held *ret)
{
	const char *driver;

	if (!binds_hold(m->binds, n, &driver, ret->text, sizeof(ret->text)))
		return false;
	ret->by = HELD_BY_BIND;
	snprintf(ret->name, sizeof(ret->name), "%s", driver);
	return true;
}

/* ---- the host itself ---- */

/* "" or what the host does with this interface, its being up left aside. */
static void link_uses(const struct host_scan *s, const struct link *l, const char *but, char *ret,
		      size_t size)
{
	const struct link *master = l->master ? host_scan_link(s, l->master) : NULL;

	ret[0] = '\0';
	if (l->master) {
		snprintf(ret, size, "%s is a port of %s%s%s", l->name,
			 master && master->kind[0] ? master->kind : "",
			 master && master->kind[0] ? " " : "",
			 master ? master->name : "another interface");
		return;
	}
	if (l->addresses) {
		snprintf(ret, size, "%s has %d address%s of the host", l->name, l->addresses,
			 l->addresses == 1 ? "" : "es");
		return;
	}
	if (l->routes) {
		snprintf(ret, size, "%d route%s of the host %s through %s", l->routes,
			 l->routes == 1 ? "" : "s", l->routes == 1 ? "goes" : "go", l->name);
		return;
	}
	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *upper = &s->links[i];

		if (upper->lower != l->ifindex || !strcmp(upper->name, but))
			continue;
		snprintf(ret, size, "%s%s%s is on top of %s", upper->kind,
			 upper->kind[0] ? " " : "", upper->name, l->name);
		return;
	}
}

static const struct link *used_link(const struct host_scan *s, const struct nic *n, char *ret,
				    size_t size)
{
	ret[0] = '\0';
	for (unsigned i = 0; i < n->n_ifindex; i++) {
		const struct link *l = host_scan_link(s, n->ifindex[i]);

		if (!l)
			continue;
		link_uses(s, l, "", ret, size);
		if (ret[0])
			return l;
	}
	return NULL;
}

static bool makes_vdpas(const struct host_scan *s, const struct nic *n)
{
	for (size_t i = 0; i < s->n_mgmtdevs; i++) {
		if (s->mgmtdevs[i].pci.set && pci_addr_eq(&s->mgmtdevs[i].pci, &n->addr))
			return true;
	}
	return false;
}

/* A driver of the host is on it: is that somebody's use? */
static bool held_by_driver(const struct host_scan *s, const struct nic *n, struct held *ret)
{
	for (size_t i = 0; i < s->n_vdpas; i++) {
		const struct vdpa_dev *v = &s->vdpas[i];

		if (!v->pci.set || !pci_addr_eq(&v->pci, &n->addr))
			continue;
		snprintf(ret->name, sizeof(ret->name), "%s", v->name);
		snprintf(ret->text, sizeof(ret->text), "vDPA device %s is made of it", v->name);
		return true;
	}
	/* Drivers for vDPA alone make no interface (octep_vdpa, vp_vdpa). */
	if (!n->network || n->n_ifindex || !inventory_blocks_group(n) || makes_vdpas(s, n))
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", n->driver);
	if (strncmp(n->driver, "uio_", 4) == 0 || strcmp(n->driver, "igb_uio") == 0)
		snprintf(ret->text, sizeof(ret->text),
			 "driver %s gives it to programs without saying which", n->driver);
	else if (strcmp(n->driver, "virtio-pci") == 0)
		snprintf(ret->text, sizeof(ret->text), "driver %s of the host has it", n->driver);
	else
		snprintf(ret->text, sizeof(ret->text),
			 "driver %s has it and no interface of it is here: it went to another "
			 "network namespace",
			 n->driver);
	return true;
}

static bool held_by_host(const struct host_scan *s, const struct nic *n, struct held *ret)
{
	const struct link *l = used_link(s, n, ret->text, sizeof(ret->text));

	ret->by = HELD_BY_HOST;
	if (!l && n->kind == NIC_VF) {
		/* a PF is up for its VFs' sake, a VF for its own */
		for (unsigned i = 0; i < n->n_ifindex && !l; i++) {
			l = host_scan_link(s, n->ifindex[i]);
			if (l && !l->up)
				l = NULL;
		}
		if (l)
			snprintf(ret->text, sizeof(ret->text), "host interface %s is up", l->name);
	}
	if (l) {
		snprintf(ret->name, sizeof(ret->name), "%s", l->name);
		return true;
	}
	if (held_by_driver(s, n, ret))
		return true;
	ret->by = HELD_NOT;
	return false;
}

void inventory_host_uses(const struct inventory *inv, const struct nic *pf, char *ret, size_t size)
{
	const struct host_scan *s = inventory_scan(inv);
	struct held held = { 0 };

	if (!used_link(s, pf, ret, size) && held_by_driver(s, pf, &held))
		snprintf(ret, size, "%s", held.text);
}

/* "" or what the host, or a guest, does with this interface. @but: one on top of it that does
 * not count; "" none. True: it has all of it. */
bool inventory_link_uses(const struct inventory *inv, const struct link *l, const char *but,
			 char *ret, size_t size)
{
	const struct host_scan *s = inventory_scan(inv);

	for (size_t i = 0; i < s->n_links; i++) {
		const struct link *upper = &s->links[i];

		if (upper->lower != l->ifindex || !upper->passthru || !strcmp(upper->name, but))
			continue;
		snprintf(ret, size, "%s %s takes all that it receives (passthru)", upper->kind,
			 upper->name);
		return true;
	}
	link_uses(s, l, but, ret, size);
	return false;
}

bool inventory_held(const struct manager *m, const struct nic *n,
		    const struct vnet_attachment *self, struct held *ret)
{
	const struct host_scan *s = inventory_scan(m->inventory);

	*ret = (struct held){ .by = HELD_NOT };
	return held_by_guest(m, n, self, ret) || held_by_reservation(m, n, self, ret) ||
	       held_by_process(s, n, ret) || held_by_bind(m, n, ret) || held_by_host(s, n, ret);
}

bool inventory_holder(const struct manager *m, const struct nic *n, struct held *ret)
{
	const struct vnet_attachment *a = NULL;

	if (m->attachments)
		a = n->kind == NIC_VF ? attachments_holder(m->attachments, &n->pf, n->vf_index)
				      : attachments_holder(m->attachments, &n->addr, -1);
	if (!a)
		return inventory_held(m, n, NULL, ret);
	*ret = (struct held){ .by = HELD_BY_ATTACHMENT };
	model_attachment_id(a, ret->name);
	snprintf(ret->text, sizeof(ret->text), "attachment %s (%s)", ret->name,
		 attachment_state_str(a->state));
	return true;
}
