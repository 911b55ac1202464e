/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a request to attach means: for which guest and XML, under which name, and whether
 * it was granted before. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/claim.h"
#include "lib/json.h"

const struct guest *attach_guest(struct manager *m, const struct vnet_request *r,
				 enum domains_where *ret_where, struct vnet_err *err)
{
	const struct guest *g = domains_find(m->domains, r->guest);
	enum domains_where where = 0;

	if (!g) {
		vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
			     "libvirt knows no guest %s: `virsh list --all` shows those there are",
			     r->guest);
		return NULL;
	}
	if (g->active && r->scope != SCOPE_CONFIG)
		where |= IN_LIVE;
	if (g->persistent && r->scope != SCOPE_LIVE)
		where |= IN_CONFIG;
	if (!where && r->scope == SCOPE_CONFIG) {
		vnet_err_set(
			err, -EINVAL, VNET_E_FAILED,
			"guest %s has no persistent configuration: give it one (virsh define), "
			"or attach without --config",
			g->name);
	} else if (!where) {
		vnet_err_set(err, -ESRCH, VNET_E_FAILED,
			     "guest %s does not run: start it first (virsh start %s), or attach "
			     "without --live",
			     g->name, g->name);
	}
	*ret_where = where;
	return where ? g : NULL;
}

static bool name_taken(struct manager *m, const struct guest *g, const char *name)
{
	return attachment_find(m->attachments, g->uuid, name) || guest_has_nic(g, name) ||
	       guest_config_has_nic(g, name);
}

int attach_name(struct manager *m, const struct guest *g, const struct vnet_request *r,
		char ret[static NIC_NAME_MAX], struct vnet_err *err)
{
	if (r->name[0]) {
		snprintf(ret, NIC_NAME_MAX, "%s", r->name);
		if (name_taken(m, g, ret))
			return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
					    "guest %s has a NIC %s already%s: detach that first "
					    "(vnetctl detach %s %s), or choose another --name",
					    g->name, ret,
					    guest_has_nic(g, ret) ? ", not as it is asked for"
					    : guest_config_has_nic(g, ret)
						    ? ", in its configuration alone"
						    : "",
					    g->name, ret);
		return 0;
	}
	for (unsigned i = 0; i < ATTACHMENTS_MAX; i++) {
		snprintf(ret, NIC_NAME_MAX, "net%u", i);
		if (!name_taken(m, g, ret))
			return 0;
	}
	return vnet_err_set(err, -EDQUOT, VNET_E_LIMIT, "guest %s: no name netN is free", g->name);
}

void attach_mac_taken(struct manager *m, const struct mac *mac, const struct pci_addr *pf,
		      const struct attachment *self, char *ret, size_t size)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	const struct guest *g;
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR], claim[IF_NAMESIZE] = "";

	ret[0] = '\0';
	if (self) /* left by a life of which nothing is known */
		claim_name(self->v.uuid, self->v.name, claim);
	for (const struct attachment *a = m->attachments->list; a && !ret[0]; a = a->next) {
		if (a != self && mac_eq(&a->v.mac, mac))
			snprintf(ret, size, "attachment %s", attachment_id(a, id));
	}
	for (size_t i = 0; i < s->n_vfs && !ret[0]; i++) {
		if (pci_addr_eq(&s->vfs[i].pf, pf) && mac_eq(&s->vfs[i].mac, mac))
			snprintf(ret, size, "VF %d of %s", s->vfs[i].index, pci_addr_str(pf, addr));
	}
	for (size_t i = 0; i < s->n_links && !ret[0]; i++) {
		if (s->links[i].has_mac && mac_eq(&s->links[i].mac, mac) &&
		    strcmp(s->links[i].name, claim) != 0)
			snprintf(ret, size, "the host's interface %s", s->links[i].name);
	}
	for (size_t i = 0; (g = domains_at(m->domains, i)) && !ret[0]; i++) {
		for (size_t k = 0; k < g->n_macs && !ret[0]; k++) {
			if (mac_eq(&g->macs[k], mac))
				snprintf(ret, size, "guest %s", g->name);
		}
	}
}

/* ---- asked again ---- */

/* A number that was made of queues=auto is what was asked for. */
static bool same_options(const char *was, const char *asked)
{
	char text[OPTION_VALUE_MAX], options[OPTIONS_MAX];

	memcpy(options, asked, sizeof(options));
	if (options_get(asked, "queues", text, sizeof(text)) > 0 && strcmp(text, "auto") == 0 &&
	    options_get(was, "queues", text, sizeof(text)) > 0)
		options_add(options, "queues", text);
	return strcmp(was, options) == 0;
}

/* The same request again gets the same answer. */
static bool same_request(const struct attachment *a, const struct vnet_request *r)
{
	const struct vnet_request *was = &a->v.asked;

	return strcmp(was->pool, r->pool) == 0 && was->has_mac == r->has_mac &&
	       (!r->has_mac || mac_eq(&was->mac, &r->mac)) && was->vlan.id == r->vlan.id &&
	       was->vlan.qos == r->vlan.qos && was->vlan.proto == r->vlan.proto &&
	       was->scope == r->scope && was->no_fallback == r->no_fallback &&
	       strcmp(was->options, r->options) == 0 && was->n_modes == r->n_modes &&
	       memcmp(was->modes, r->modes, sizeof(r->modes)) == 0;
}

/* The same for one that is in the persistent XML alone. */
static bool answer_reserved(const struct guest *g, enum domains_where where, struct waiter *w)
{
	const struct vnet_request *r = &w->request;
	const struct guest_nic *nic = r->name[0] ? guest_config_nic(g, r->name) : NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_attachment v;

	if (!nic || (where & IN_LIVE) || (r->has_mac && !mac_eq(&r->mac, &nic->mac)) ||
	    !same_options(nic->options, r->options) ||
	    (r->pool[0] && strcmp(r->pool, nic->pool) != 0) || r->vlan.id != nic->vlan.id ||
	    r->vlan.qos != nic->vlan.qos || r->vlan.proto != nic->vlan.proto)
		return false;
	attachment_of_config(g, nic, &v);
	w->reply(w->user, 0,
		 json_pack("{s:o,s:[],s:o}", "attachment", model_attachment_to_json(&v), "verdicts",
			   "timing", timing_json(&w->timing)),
		 &err);
	return true;
}

static bool answer_held(struct manager *m, const struct guest *g, struct waiter *w)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct attachment *a;

	a = w->request.name[0] ? attachment_find(m->attachments, g->uuid, w->request.name) : NULL;
	if (!a || !same_request(a, &w->request))
		return false;
	if (a->v.state == AT_IN_USE && !a->txn) {
		w->reply(w->user, 0,
			 json_pack("{s:o,s:[],s:o}", "attachment", model_attachment_to_json(&a->v),
				   "verdicts", "timing", timing_json(&w->timing)),
			 &err);
	} else {
		vnet_err_set(&err, -EBUSY, VNET_E_BUSY,
			     "attach %s/%s: it is %s now: try again later", g->name, a->v.name,
			     attachment_state_str(a->txn ? AT_PREPARING : a->v.state));
		w->reply(w->user, err.code, NULL, &err);
	}
	return true;
}

bool attach_answer_repeat(struct manager *m, const struct guest *g, enum domains_where where,
			  struct waiter *w)
{
	return answer_held(m, g, w) || answer_reserved(g, where, w);
}
