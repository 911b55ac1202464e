/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Describes a candidate to a mode: what the inventory, the ledger and the guests' XML
 * have about it. Reads what is in memory. */
#include "daemon/select-view.h"

#include <stdio.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/bind.h"
#include "daemon/claim.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"

static const char *member_what(const struct nic *n)
{
	if (n->bridge)
		return "bridge";
	if (n->kind == NIC_VF)
		return "vf";
	if (n->kind == NIC_PF)
		return "pf";
	return n->network ? "nic" : "other";
}

/* An upstream bridge in the PF's group means that ACS does not isolate what is below
 * it: VFs will land in that group too (VFs are single-function, so only bridges
 * above matter: pci_device_group(), drivers/iommu/iommu.c). */
static bool vfs_will_share(const struct host_scan *s, const struct nic *pf)
{
	for (size_t i = 0; i < s->n_nics; i++) {
		if (s->nics[i].bridge && s->nics[i].iommu_group == pf->iommu_group)
			return true;
	}
	return false;
}

static void view_members(struct view *v, const struct host_scan *s, const struct nic *self)
{
	size_t k = 0;

	for (size_t i = 0; i < s->n_nics && k < MEMBERS_MAX; i++) {
		const struct nic *n = &s->nics[i];

		if (n == self || n->iommu_group < 0 || n->iommu_group != v->nic.iommu_group)
			continue;
		v->member[k].address = pci_addr_str(&n->addr, v->member_addr[k]);
		v->member[k].driver = n->driver;
		v->member[k].what = member_what(n);
		v->member[k].blocks = inventory_blocks_group(n);
		k++;
	}
	v->nic.members = v->member;
	v->nic.n_members = k;
}

/* VFIO gives a group to one process alone, and its node to one user. */
static void view_group_use(struct view *v, const struct manager *m, const struct nic *self_nic,
			   const struct vnet_attachment *self)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];

	for (size_t i = 0; i < s->n_nics && !v->in_use[0] && self_nic->iommu_group >= 0; i++) {
		const struct nic *n = &s->nics[i];
		const struct vnet_attachment *a;

		if (n == self_nic || n->iommu_group != self_nic->iommu_group)
			continue;
		a = n->kind == NIC_VF ? attachments_holder(m->attachments, &n->pf, n->vf_index)
				      : attachments_holder(m->attachments, &n->addr, -1);
		if (a && a != self)
			snprintf(v->in_use, sizeof(v->in_use),
				 "its IOMMU group %d goes with %s, which attachment %s has",
				 self_nic->iommu_group, pci_addr_str(&n->addr, addr),
				 model_attachment_id(a, id));
	}
}

/* In use beyond the inventory's own view: another attachment, on it or in its group. */
static void view_in_use(struct view *v, struct manager *m, const struct host_scan *s,
			const struct pci_addr *pf, int index, const struct nic *vf,
			const struct vnet_attachment *self)
{
	const struct vnet_attachment *a = attachments_holder(m->attachments, pf, index), *whole;
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];
	const struct nic *of = host_scan_nic(s, pf);
	const char *driver;

	/* Its PF is on its way to another driver: no VFs will be there. */
	if (of && binds_hold(m->binds, of, &driver, v->in_use, sizeof(v->in_use)))
		return;
	whole = attachments_holder(m->attachments, pf, -1);
	if (whole && whole != self && (!a || a == self)) {
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s has all of %s (%s)",
			 model_attachment_id(whole, id), pci_addr_str(pf, addr),
			 attachment_state_str(whole->state));
		return;
	}
	if (a && a != self) {
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s has it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
		return;
	}
	if (!vf)
		return;
	a = a ? a : attachments_upon(m->attachments, &vf->addr, self);
	if (a && a != self) {
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s is on it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
		return;
	}
	/* What is handed over already, the guest's XML may name through us. */
	if (!a || a->state == AT_PREPARING)
		inventory_in_use_for(m->inventory, vf, self, v->in_use, sizeof(v->in_use));
	view_group_use(v, m, vf, self);
}

static void view_vf(struct view *v, struct manager *m, const struct nic *pf, int index,
		    const struct vnet_attachment *self)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *vf = host_scan_vf(s, &pf->addr, (unsigned)index);
	const struct link *link = vf ? host_scan_nic_link(s, vf) : NULL;

	v->nic.vf_index = index;
	v->nic.vf_object = vf_object_str(&pf->addr, (unsigned)index, v->vf_object);
	v->nic.vf_present = vf != NULL;
	v->nic.vf = vf ? pci_addr_str(&vf->addr, v->vf) : "";
	v->nic.vf_driver = vf ? vf->driver : "";
	v->nic.vf_link = link ? link->name : "";
	v->nic.iommu_group = vf ? vf->iommu_group : pf->iommu_group;
	/* Not there yet: alone in a group of its own, unless it will share the PF's. */
	if (vf || vfs_will_share(s, pf))
		view_members(v, s, vf);
	view_in_use(v, m, s, &pf->addr, index, vf, self);
}

/* A whole NIC: nobody may have it, nor any of its VFs. */
static void view_whole(struct view *v, struct manager *m, const struct nic *nic,
		       const struct vnet_attachment *self)
{
	const struct vnet_attachment *a;
	char id[ATTACHMENT_ID_MAX];
	const char *driver;

	v->nic.iommu_group = nic->iommu_group;
	view_members(v, inventory_scan(m->inventory), nic);
	for (size_t i = 0; (a = attachments_at(m->attachments, i)); i++) {
		if (a == self || a->state == AT_GONE ||
		    (!pci_addr_eq(&a->pf, &nic->addr) && strcmp(a->uplink, v->pf) != 0))
			continue;
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s is on it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
		return;
	}
	if (!binds_hold(m->binds, nic, &driver, v->in_use, sizeof(v->in_use)))
		inventory_in_use_for(m->inventory, nic, self, v->in_use, sizeof(v->in_use));
	view_group_use(v, m, nic, self);
}

/* What is put on a function's interface, or made by its management device: the function
 * must not be another's, or on its way to another driver. */
static void view_upon(struct view *v, struct manager *m, const struct nic *nic,
		      const struct vnet_attachment *self)
{
	const struct vnet_attachment *a =
		nic->kind == NIC_VF ? attachments_holder(m->attachments, &nic->pf, nic->vf_index)
				    : attachments_holder(m->attachments, &nic->addr, -1);
	char id[ATTACHMENT_ID_MAX];
	const char *driver;

	if (a && a != self)
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s has it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
	else
		binds_hold(m->binds, nic, &driver, v->in_use, sizeof(v->in_use));
}

/* Making VFs drops this PF's link for a second: only on purpose. */
static void view_making(struct view *v, const struct offer *o, const struct nic *pf,
			const struct vnet_request *r)
{
	const struct uplink *u = o->uplink;

	if (v->in_use[0] || pf->num_vfs > 0 || (o->pool->set.vfs > 0 && u->named) ||
	    strcmp(r->pool, o->pool->name) == 0 || strcmp(r->pool, v->pf) == 0 ||
	    (u->link[0] && strcmp(r->pool, u->link) == 0) || !v->host_use[0])
		return;
	snprintf(v->in_use, sizeof(v->in_use),
		 "the host itself uses %s (%.300s) and making VFs interrupts its link for about a "
		 "second: name it with --pool %s if that is all right",
		 v->nic.link, v->host_use, o->pool->name);
}

/* What is to be put on an interface finds there what is on it already: all of it may be
 * taken, or it may have to be taken as a whole itself. */
static void view_link_use(struct view *v, struct manager *m, const struct uplink *u,
			  const struct vnet_attachment *self)
{
	const struct link *link = host_scan_link(inventory_scan(m->inventory), u->ifindex);
	const struct vnet_attachment *a;
	char use[REASON_MAX] = "", id[ATTACHMENT_ID_MAX];

	a = u->pf.set ? attachments_holder(m->attachments, &u->pf, -1) : NULL;
	if (a && a != self)
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s has all of it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
	else if (link && inventory_link_uses(m->inventory, link, v->claim, use, sizeof(use)))
		snprintf(v->in_use, sizeof(v->in_use), "%s", use);
	for (size_t i = 0; (a = attachments_at(m->attachments, i)); i++) {
		if (a == self || a->state == AT_GONE || a->vf_index >= 0 ||
		    strcmp(a->uplink, u->key) != 0)
			continue;
		snprintf(use, sizeof(use), "attachment %s is on it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
	}
	snprintf(v->host_use, sizeof(v->host_use), "%s", use);
}

static void view_link(struct view *v, const struct host_scan *s, const struct link *link)
{
	const struct link *master = link && link->master ? host_scan_link(s, link->master) : NULL;

	v->nic.link = link ? link->name : "";
	v->nic.link_up = link && link->up;
	v->nic.link_carrier = link && link->carrier;
	v->nic.link_mtu = link ? link->mtu : 0;
	v->nic.master = master ? master->name : "";
	v->nic.vlan_filtering = link && link->vlan_filtering;
}

static void view_pci(struct view *v, struct manager *m, const struct offer *o,
		     const struct vnet_request *r, const struct vnet_attachment *self)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct nic *nic = host_scan_nic(s, &o->uplink->pf);

	if (!nic)
		return;
	v->nic.pf = pci_addr_str(&nic->addr, v->pf);
	v->nic.pf_driver = nic->driver;
	v->nic.total_vfs = nic->total_vfs;
	v->nic.num_vfs = nic->num_vfs;
	v->nic.wanted_vfs = o->uplink->count;
	v->nic.numa_node = nic->numa_node;
	inventory_host_uses(m->inventory, nic, v->host_use, sizeof(v->host_use));
	if (o->kind == VNET_CANDIDATE_VF) {
		view_vf(v, m, nic, o->vf_index, self);
		view_making(v, o, nic, r);
	} else if (o->kind == VNET_CANDIDATE_NIC) {
		view_whole(v, m, nic, self);
	} else {
		view_upon(v, m, nic, self);
	}
}

static const struct vdpa_mgmtdev *find_mgmtdev(const struct host_scan *s, const char *name)
{
	for (size_t i = 0; i < s->n_mgmtdevs; i++) {
		if (strcmp(s->mgmtdevs[i].name, name) == 0)
			return &s->mgmtdevs[i];
	}
	return NULL;
}

static void view_mgmtdev(struct view *v, struct manager *m, const char *name,
			 const struct vnet_attachment *self)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct vdpa_mgmtdev *d = find_mgmtdev(s, name);
	const struct vnet_attachment *a;
	const struct nic *nic;
	char id[ATTACHMENT_ID_MAX];

	if (!d)
		return;
	for (size_t i = 0; i < s->n_vdpas; i++) {
		/* Its own, when it is looked at again. */
		if (strcmp(s->vdpas[i].mgmtdev, name) == 0 &&
		    (!self || strcmp(s->vdpas[i].name, v->claim) != 0))
			v->nic.mgmtdev_devices++;
	}
	/* Of a PCI function's there is one: not all drivers of such look (drivers/vdpa/virtio_pci,
	 * ifcvf). */
	v->nic.mgmtdev_many = !d->pci.set;
	/* Chosen for another, whose device may not be there yet. */
	a = d->pci.set ? attachments_upon(m->attachments, &d->pci, self) : NULL;
	nic = d->pci.set ? host_scan_nic(s, &d->pci) : NULL;
	if (a)
		snprintf(v->in_use, sizeof(v->in_use), "attachment %s is on it (%s)",
			 model_attachment_id(a, id), attachment_state_str(a->state));
	else if (nic)
		view_upon(v, m, nic, self);
	v->nic.mgmtdev_mac = d->takes_mac;
	v->nic.mgmtdev_mtu = d->takes_mtu;
	v->nic.mgmtdev_mq = d->takes_vqp;
	v->nic.mgmtdev_max_pairs = d->max_vqs > 1 ? d->max_vqs / 2 : 0;
}

/* A VF that is to become a management device. What that takes shows when it is one: until
 * then it's all that its driver may take, and the rest is the kernel's to refuse. */
static void view_vf_mgmtdev(struct view *v, struct manager *m, const struct uplink *u,
			    const struct vnet_attachment *self)
{
	if (!u->vdpa_driver[0])
		return;
	v->nic.vf_vdpa_driver = u->vdpa_driver;
	/* Before it is there its address is not known: the plan is made again then. */
	snprintf(v->vf_mgmtdev, sizeof(v->vf_mgmtdev), "pci/%s",
		 v->nic.vf_present ? v->nic.vf : v->nic.vf_object);
	v->nic.mgmtdev_mac = v->nic.mgmtdev_mtu = v->nic.mgmtdev_mq =
		!host_vdpa_takes_nothing(u->vdpa_driver);
	view_mgmtdev(v, m, v->vf_mgmtdev, self);
}

static void view_host(struct vnet_plugin_nic *nic, const struct host_scan *s)
{
	nic->has_vfio_pci = s->has_vfio_pci;
	nic->intr_remap = s->intr_remap;
	nic->unsafe_interrupts = s->unsafe_interrupts;
	nic->has_tun = s->has_tun;
	nic->has_vhost_net = s->has_vhost_net;
	nic->has_vhost_vdpa = s->has_vhost_vdpa;
	nic->has_iommufd = s->has_iommufd;
}

static void view_guest(struct vnet_plugin_nic *nic, const struct guest *guest,
		       const struct vnet_request *r, const struct vnet_attachment *self)
{
	static const int shared[] = {
		[MEMORY_NOT_KNOWN] = -1, [MEMORY_IS_SHARED] = 1, [MEMORY_IS_PRIVATE] = 0
	};

	nic->guest_numa_node = guest ? guest->numa_node : -1;
	nic->guest_vcpus = guest ? guest->vcpus : 0;
	nic->guest_kvm = guest ? guest->kvm : -1;
	nic->guest_shared = guest ? guest->shared_memory : shared[r->memory];
	nic->guest_process = self && self->pid > 0;
	nic->guest_uid = nic->guest_process ? self->uid : -1;
}

/* As it will be: a mode that can't do the pool's own VLAN has to say so before it is chosen. */
static const struct vlan *vlan_of(const struct offer *o, const struct vnet_request *r,
				  const struct vnet_attachment *self)
{
	if (self && self->mode[0])
		return &self->vlan;
	return r->vlan.id ? &r->vlan : &o->pool->set.vlan;
}

static void view_request(struct view *v, const struct manager *m, const struct offer *o,
			 const struct vnet_request *r, const struct vnet_attachment *self)
{
	const char *uuid = self ? self->uuid : "", *name = self ? self->name : r->name;

	v->request.struct_size = sizeof(v->request);
	v->request.guest = r->guest;
	v->request.name = name;
	v->request.mac = mac_str(self ? &self->mac : &r->mac, v->mac);
	v->request.vlan = vlan_str(vlan_of(o, r, self), v->vlan);
	v->request.options = r->options;
	claim_name(uuid, name, v->claim);
	snprintf(v->claim_id, sizeof(v->claim_id), "%s.%s", uuid, name);
	/* Too long a path is none: a cut one would be another's. */
	if (snprintf(v->claim_path, sizeof(v->claim_path), "%s/vdpa/%s", m->config.runtime,
		     v->claim_id) >= (int)sizeof(v->claim_path))
		v->claim_path[0] = '\0';
	v->nic.claim = v->claim;
	v->nic.claim_id = v->claim_id;
	v->nic.claim_path = v->claim_path;
}

void view_make(struct view *v, struct manager *m, const struct offer *o,
	       const struct vnet_request *r, const struct vnet_attachment *self,
	       const struct guest *guest)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct uplink *u = o->uplink;

	memset(v, 0, sizeof(*v));
	v->nic.struct_size = sizeof(v->nic);
	v->nic.pool = o->pool->name;
	v->nic.candidate = o->kind;
	v->nic.uplink_kind = u ? u->kind : VNET_UPLINK_NONE;
	v->nic.uplink = u ? u->key : "";
	v->nic.pf = v->nic.pf_driver = v->nic.vf = v->nic.vf_object = v->nic.vf_driver =
		v->nic.vf_link = v->nic.vf_vdpa_driver = "";
	v->nic.vf_index = v->nic.iommu_group = v->nic.numa_node = -1;
	view_link(v, s, u && u->ifindex ? host_scan_link(s, u->ifindex) : NULL);
	if (u && u->pf.set)
		view_pci(v, m, o, r, self);
	view_request(v, m, o, r, self);
	if (u && u->ifindex && o->kind == VNET_CANDIDATE_LINK)
		view_link_use(v, m, u, self);
	if (u && u->kind == VNET_UPLINK_MGMTDEV)
		view_mgmtdev(v, m, u->key, self);
	else if (u && o->kind == VNET_CANDIDATE_VF)
		view_vf_mgmtdev(v, m, u, self);
	v->nic.vf_mgmtdev = v->vf_mgmtdev;
	v->nic.in_use = v->in_use;
	v->nic.host_use = v->host_use;
	view_host(&v->nic, s);
	view_guest(&v->nic, guest, r, self);
}
