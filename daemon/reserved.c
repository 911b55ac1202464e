/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reservations: the NICs that guests' persistent XML names with our metadata and that no
 * attachment of the ledger is for. They are kept nowhere else, so that they move with
 * the guest and outlive a reboot; what is told of them is read from the table of guests.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"

void attachment_of_config(const struct guest *g, const struct guest_nic *nic,
			  struct vnet_attachment *ret)
{
	struct vnet_attachment v = { .state = AT_RESERVED, .persistent = true };
	const struct guest_hostdev *dev = guest_device(g, nic->name, IN_CONFIG)
						  ?: guest_device(g, nic->name, IN_LIVE);

	snprintf(v.asked.guest, sizeof(v.asked.guest), "%s", g->name);
	snprintf(v.asked.name, sizeof(v.asked.name), "%s", nic->name);
	snprintf(v.asked.pool, sizeof(v.asked.pool), "%s", nic->pool);
	v.asked.vlan = v.vlan = nic->vlan;
	/* The device's own is what libvirt sets and the guest sees, also of a clone. */
	v.asked.mac = v.mac = dev && !mac_is_zero(&dev->mac) ? dev->mac : nic->mac;
	v.asked.has_mac = !mac_is_zero(&v.mac);
	snprintf(v.uuid, sizeof(v.uuid), "%s", g->uuid);
	snprintf(v.name, sizeof(v.name), "%s", nic->name);
	snprintf(v.mode, sizeof(v.mode), "%s", nic->mode);
	snprintf(v.pool, sizeof(v.pool), "%s", nic->pool);
	v.pf = nic->pf;
	v.pf_mac = nic->pf_mac;
	v.vf_index = nic->vf_index;
	v.vf = nic->vf;
	memcpy(v.uplink, nic->uplink, sizeof(v.uplink));
	memcpy(v.asked.options, nic->options, sizeof(v.asked.options));
	v.kind = dev ? dev->kind : DL_NONE;
	if (dev)
		memcpy(v.device, dev->device, sizeof(v.device));
	*ret = v;
}

bool reserved_at(struct attachments *as, size_t i, struct vnet_attachment *ret)
{
	const struct guest *g;

	for (size_t k = 0; (g = domains_at(as->m->domains, k)); k++) {
		for (size_t n = 0; n < g->n_config_nics; n++) {
			const struct guest_nic *nic = &g->config_nics[n];

			if (!guest_config_has_nic(g, nic->name) ||
			    attachment_find(as, g->uuid, nic->name) || i-- > 0)
				continue;
			attachment_of_config(g, nic, ret);
			return true;
		}
	}
	return false;
}

bool reserved_find(struct attachments *as, const char *guest, const char *name,
		   struct vnet_attachment *ret)
{
	const struct guest *g = domains_find(as->m->domains, guest);
	const struct guest_nic *nic = g ? guest_config_nic(g, name) : NULL;

	if (!nic || attachment_find(as, g->uuid, name))
		return false;
	attachment_of_config(g, nic, ret);
	return true;
}
