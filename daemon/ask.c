/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking: guests, why, plan (look.c: list, show). Nothing here writes; plan asks the workers for each
 * knob's present value, which is a read, and says what attach would do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/select.h"
#include "lib/json.h"

#define ASK_GET_DEADLINE_MS 10000

void guests_run(struct manager *m, reply_fn reply, void *user)
{
	static const char *const known[] = {
		[DOMAINS_NEVER] = "never",
		[DOMAINS_KNOWN] = "known",
		[DOMAINS_STALE] = "stale",
	};
	struct vnet_err err = VNET_ERR_INIT;
	json_t *list = json_array();
	const struct guest *g;

	for (size_t i = 0; (g = domains_at(m->domains, i)); i++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "name", g->name, "uuid",
						      g->uuid, "running", g->active));
	reply(user, 0,
	      json_pack("{s:o,s:s}", "guests", list, "libvirt", known[domains_known(m->domains)]),
	      &err);
}

/* ---- why and plan: first the choice ---- */

struct ask {
	struct manager *m;
	struct vnet_request request;
	bool plan;
	reply_fn reply;
	void *user;
	struct vnet_attachment a; /* plan: as if it were made */
	enum domains_where where;
	struct plan steps;
	size_t at;
	enum vnet_plugin_delivery_kind kind;
	json_t *verdicts, *warnings, *done;
};

static void ask_end(struct ask *ask, int r, json_t *result, struct vnet_err *err)
{
	if (r < 0)
		vnet_err_wrap(err, ask->plan ? "plan attach %s" : "why %s", ask->request.guest);
	ask->reply(ask->user, r, result, err);
	json_decref(ask->verdicts);
	json_decref(ask->warnings);
	json_decref(ask->done);
	free(ask);
}

static void plan_next(struct ask *ask);

static void plan_end(struct ask *ask)
{
	static const char *const devices[] = {
		[VNET_DELIVERY_NONE] = "<interface>",
		[VNET_DELIVERY_HOSTDEV] = "<interface type='hostdev' managed='no'>",
		[VNET_DELIVERY_CHARDEV] = "<interface type='vdpa'>",
		[VNET_DELIVERY_LINK] = "<interface type='ethernet'>",
		[VNET_DELIVERY_SOCKET] = "<interface type='vhostuser'>",
		[VNET_DELIVERY_PCI] = "<hostdev managed='no'>",
	};
	struct vnet_err err = VNET_ERR_INIT;
	char text[256];

	snprintf(text, sizeof(text),
		 "virsh attach-device %s%s%s: %s, alias " VNETD_ALIAS_PREFIX "%s",
		 ask->a.asked.guest, ask->where & IN_LIVE ? " --live" : "",
		 ask->where & IN_CONFIG ? " --config" : "", devices[ask->kind], ask->a.name);
	ask_end(ask, 0,
		json_pack("{s:o,s:O,s:s,s:O,s:O}", "attachment", model_attachment_to_json(&ask->a),
			  "steps", ask->done, "handover", text, "warnings", ask->warnings,
			  "verdicts", ask->verdicts),
		&err);
}

static void plan_got(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct ask *ask = user;
	const struct plan_step *step = &ask->steps.step[ask->at];
	const char *before = json_string_value(json_object_get(result, "value"));
	json_t *j;

	if (r < 0) {
		vnet_err_at(err, step->knob->name, step->object);
		ask_end(ask, r, NULL, err);
		return;
	}
	j = json_object();
	json_put_str(j, "knob", step->knob->name);
	json_put_str(j, "object", step->object);
	json_put_str(j, "owner", step->knob->owner == KNOB_OF_POOL ? "pool" : "attachment");
	json_put_str(j, "before", before && strcmp(before, KNOB_ABSENT) != 0 ? before : NULL);
	json_put_str(j, "after", step->value);
	json_put_bool(j, "changes", !before || !step->knob->matches(step->value, before));
	json_array_append_new(ask->done, j);
	ask->at++;
	plan_next(ask);
}

static void plan_next(struct ask *ask)
{
	struct vnet_err err = VNET_ERR_INIT;
	const struct plan_step *step = &ask->steps.step[ask->at];
	char lane[PCI_ADDR_STR];

	/* The VF itself is not touched before its guest starts. */
	if (ask->at == ask->steps.n ||
	    (ask->where == IN_CONFIG && step->knob->owner == KNOB_OF_ATTACHMENT))
		plan_end(ask);
	else if (workers_call(ask->m->workers, txn_lane(step->knob, step->object, lane), "get",
			      json_pack("{s:s,s:s}", "knob", step->knob->name, "object",
					step->object),
			      ASK_GET_DEADLINE_MS, plan_got, ask, &err) < 0)
		plan_got(ask, err.code, NULL, &err);
}

static void plan_warn(struct ask *ask, const struct candidate *c)
{
	const struct host_scan *s = inventory_scan(ask->m->inventory);
	const struct nic *pf = c->kind == VNET_CANDIDATE_VF ? host_scan_nic(s, &c->uplink->pf)
							    : NULL;
	char why[REASON_MAX], text[REASON_MAX + POOL_NAME_MAX + 128];

	if (!pf || pf->num_vfs > 0)
		return;
	inventory_host_uses(ask->m->inventory, pf, why, sizeof(why));
	snprintf(text, sizeof(text),
		 "making VFs interrupts the link of %s for about a second%s%s%s",
		 c->uplink->link[0] ? c->uplink->link : c->pool->name,
		 why[0] ? " (the host uses it: " : "", why, why[0] ? ")" : "");
	json_array_append_new(ask->warnings, json_string(text));
}

static int plan_mac(struct ask *ask, struct vnet_err *err)
{
	struct vnet_attachment *a = &ask->a;
	char who[128], mac[MAC_STR];
	bool own = false;
	int r = attach_own_mac(a, &own, err);

	if (r < 0 || own)
		return r;
	a->mac = ask->request.mac;
	if (!ask->request.has_mac)
		pools_make_mac(ask->m->pools, a->pool, &a->mac);
	attach_mac_taken(ask->m, &a->mac, &a->pf, NULL, who, sizeof(who));
	if (who[0] && ask->request.has_mac)
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "MAC %s is taken: %s has it; give another --mac or none",
				    mac_str(&a->mac, mac), who);
	return 0;
}

static int plan_start(struct ask *ask, const struct guest *g, const struct selection *s,
		      struct vnet_err *err)
{
	const struct candidate *c = s->chosen;
	struct vnet_attachment *a = &ask->a;
	struct delivery d = { 0 };
	int r;

	ask->kind = VNET_DELIVERY_HOSTDEV;
	a->asked = ask->request;
	snprintf(a->asked.guest, sizeof(a->asked.guest), "%s", g->name);
	snprintf(a->uuid, sizeof(a->uuid), "%s", g->uuid);
	select_why(s, a->why, sizeof(a->why));
	select_claim(ask->m, c, a);
	a->state = AT_RESERVED;
	r = attach_name(ask->m, g, &ask->request, a->name, err);
	if (r < 0)
		return r;
	r = plan_mac(ask, err);
	if (r < 0)
		return r;
	plan_warn(ask, c);
	r = select_plan(ask->m, a, g, &ask->steps, err);
	/* A VF that is not made yet cannot be delivered. */
	if (r == 0 && c->kind != VNET_CANDIDATE_VF) {
		r = select_deliver(ask->m, a, g, &d, err);
		ask->kind = d.kind;
	}
	return r;
}

static void ask_choose(void *user, int r, struct vnet_err *err)
{
	struct ask *ask = user;
	struct selection s = { 0 };
	const struct guest *g = r == 0 ? attach_guest(ask->m, &ask->request, &ask->where, err)
				       : NULL;

	if (r == 0)
		r = g ? select_run(ask->m, &ask->request, g, NULL, &s, err) : err->code;
	if (r < 0) {
		ask_end(ask, r, NULL, err);
		return;
	}
	ask->verdicts = select_verdicts_json(&s);
	if (!ask->plan) {
		ask_end(ask, 0,
			json_pack("{s:s,s:O,s:s?}", "guest", g->name, "verdicts", ask->verdicts,
				  "text", s.n ? NULL : s.no_pool),
			err);
	} else if (!s.chosen) {
		r = select_refuse(&s, &ask->request, err);
		ask_end(ask, r, json_pack("{s:O}", "verdicts", ask->verdicts), err);
	} else if ((r = plan_start(ask, g, &s, err)) < 0) {
		ask_end(ask, r, NULL, err);
	} else {
		plan_next(ask);
	}
	selection_done(&s);
}

static void ask_begin(struct manager *m, struct waiter *w, bool plan)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct ask *ask = calloc(1, sizeof(*ask));

	if (!ask) {
		w->reply(w->user, vnet_err_errno(&err, -ENOMEM, "ask"), NULL, &err);
		return;
	}
	ask->m = m;
	ask->request = w->request;
	ask->plan = plan;
	ask->reply = w->reply;
	ask->user = w->user;
	ask->warnings = json_array();
	ask->done = json_array();
	inventory_refresh(m->inventory, ask_choose, ask);
}

static void why_begin(struct manager *m, struct waiter *w)
{
	ask_begin(m, w, false);
}

static void plan_begin(struct manager *m, struct waiter *w)
{
	ask_begin(m, w, true);
}

void why_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user)
{
	attachments_serve(m, r, why_begin, reply, user);
}

void plan_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user)
{
	attachments_serve(m, r, plan_begin, reply, user);
}
