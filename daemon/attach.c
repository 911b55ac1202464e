/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An attach, in the order of its functions below. Each ends by starting the next or
 * by attach_fail():
 *
 *	attach_run -> attach_begin -> attach_choose -> attach_pool_done
 *	   -> attach_recheck -> attach_turned -> attach_handed -> in-use
 *
 * What is on disk before what: the state file and an empty journal before the
 * first knob; each knob's record before that knob; the hand-over record before
 * libvirt is called. From that record on nothing is walked back until libvirt says
 * that the guest has not the device.
 */
#include "daemon/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/fault.h"
#include "daemon/select.h"
#include "lib/json.h"
#include "lib/log.h"

int attach_own_mac(struct vnet_attachment *v, bool *ret_has, struct vnet_err *err)
{
	char own[MAC_STR], addr[PCI_ADDR_STR];

	*ret_has = v->vf_index < 0 && v->pf.set && !mac_is_zero(&v->pf_mac);
	if (!*ret_has)
		return 0;
	if (v->asked.has_mac && !mac_eq(&v->asked.mac, &v->pf_mac))
		return vnet_err_set(err, -EOPNOTSUPP, VNET_E_FAILED,
				    "%s goes to the guest with its own MAC, %s: leave out --mac",
				    pci_addr_str(&v->pf, addr), mac_str(&v->pf_mac, own));
	v->mac = v->pf_mac;
	return 0;
}

/* The MAC that was asked for, refused where it is taken; else one that is not. */
static int choose_mac(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	char who[ATTACHMENT_ID_MAX + 32], mac[MAC_STR];
	bool own = false;
	int r = attach_own_mac(&a->v, &own, err);

	if (r < 0 || own)
		return r;
	if (a->v.asked.has_mac) {
		a->v.mac = a->v.asked.mac;
		attach_mac_taken(m, &a->v.mac, &a->v.pf, a, who, sizeof(who));
		if (who[0])
			return vnet_err_set(
				err, -EEXIST, VNET_E_EXISTS,
				"MAC %s is taken: %s has it; give another --mac or none",
				mac_str(&a->v.mac, mac), who);
		return 0;
	}
	do {
		pools_make_mac(m->pools, a->v.pool, &a->v.mac);
		attach_mac_taken(m, &a->v.mac, &a->v.pf, a, who, sizeof(who));
	} while (who[0]);
	return 0;
}

/* ---- ending ---- */

static json_t *verdicts_beside(struct attachment *a)
{
	return a->verdicts ? json_pack("{s:O}", "verdicts", a->verdicts) : NULL;
}

/* Nothing of it is on the host: answer and forget it. */
static void attach_refuse(struct attachment *a, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	vnet_err_wrap(err, "attach %s", attachment_id(a, id));
	log_err(5, id, err, "refused");
	attachment_reply(a, err->code, verdicts_beside(a), err);
	attachment_drop(a);
}

/* Something may be: walk it back, then answer. */
static void attach_fail(struct attachment *a, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	vnet_err_wrap(err, "attach %s", attachment_id(a, id));
	a->cause = *err;
	attachment_release(a);
}

/* Of a guest that a hook has said to start libvirt's own word is still to come. */
static bool lost_it(const struct attachment *a)
{
	const struct guest *g = attachment_guest(a);

	return !g || (!g->starting && (!g->active || !guest_has_nic(g, a->v.name)));
}

static void attach_confirmed(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	char id[ATTACHMENT_ID_MAX];

	a->txn = txn_free(a->txn);
	if (r < 0 && a->by_hook) {
		/* Taking it from a guest that is starting would be worse. */
		log_err(3, attachment_id(a, id), err, "%s: not all is set as it was asked for", id);
	} else if (r < 0) {
		/* The guest has it, but not as it was asked for: that is no NIC for it. */
		vnet_err_wrap(err, "attach %s", attachment_id(a, id));
		a->cause = *err;
		attachment_give_back(a);
		return;
	}
	if (r == 0 && journal_add_confirmed(a->journal, err) < 0)
		log_err(4, attachment_id(a, id), err, "%s: it will be looked at again", id);
	attachment_reply(a, 0,
			 json_pack("{s:o,s:O?,s:o}", "attachment", model_attachment_to_json(&a->v),
				   "verdicts", a->verdicts, "timing", timing_json(&a->timing)),
			 err);
	/* What was told of the guest meanwhile was left for now. */
	if (a->v.state == AT_IN_USE && lost_it(a))
		reconcile_one(a);
}

/* After a restart the journal has what differed from what was found. */
static void plan_from_journal(const struct journal *j, struct plan *ret)
{
	for (size_t i = 0; i < j->n && ret->n < PLAN_STEPS_MAX; i++) {
		const struct effect *e = &j->effects[i];
		struct plan_step *step = &ret->step[ret->n++];

		step->knob = e->knob;
		memcpy(step->object, e->object, sizeof(step->object));
		memcpy(step->value, e->after, sizeof(step->value));
	}
}

enum handover attachment_handover(const struct attachment *a)
{
	return a->v.kind == DL_LINK || a->v.kind == DL_CHARDEV ? HO_FD_BY_LIBVIRT : HO_PATH;
}

void attachment_confirm(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;

	attachment_timer(a, 0, NULL);
	a->txn = txn_free(a->txn);
	if (a->plan.n == 0)
		plan_from_journal(a->journal, &a->plan);
	memset(&a->cause, 0, sizeof(a->cause));
	a->v.handover = attachment_handover(a);
	attachment_enter(a, AT_IN_USE, "%s", "");
	if (txn_new(&a->txn, a->owner->m->workers, a->journal, &err) < 0) {
		attach_confirmed(a, err.code, &err);
		return;
	}
	txn_time(a->txn, &a->timing);
	txn_confirm(a->txn, &a->plan, attach_confirmed, a);
}

/* ---- the hand-over ---- */

/* It is in the persistent XML alone, and that is where it is remembered: nothing of the VF
 * was set, and what the pool was given stays. */
void attachment_reserved(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];

	a->v.state = AT_RESERVED;
	a->v.persistent = true;
	log_info(attachment_id(a, id), "%s: reserved in the guest's configuration", id);
	attachment_reply(a, 0,
			 json_pack("{s:o,s:O?,s:o}", "attachment", model_attachment_to_json(&a->v),
				   "verdicts", a->verdicts, "timing", timing_json(&a->timing)),
			 &err);
	attachment_drop(a);
}

static void attach_unknown(struct attachment *a, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	attachment_timer(a, 0, NULL);
	attachment_enter_unknown(a, err);
	vnet_err_wrap(err,
		      "attach %s: whether the guest got it is not known yet (vnetd finds out "
		      "when libvirt answers again: vnetctl show)",
		      attachment_id(a, id));
	attachment_reply(a, err->code, verdicts_beside(a), err);
}

static void attach_reread(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	const struct guest *g = attachment_guest(a);

	timing_switch(&a->timing, TIMING_VNETD);
	if (r < 0) {
		attach_unknown(a, err);
		return;
	}
	if (!(a->where & IN_LIVE) && g && guest_config_has_nic(g, a->v.name)) {
		attachment_reserved(a);
		return;
	}
	if ((a->where & IN_LIVE) && g && g->active && guest_has_nic(g, a->v.name)) {
		attachment_confirm(a);
		return;
	}
	*err = a->cause;
	attach_fail(a, err);
}

static void attach_handed(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	timing_switch(&a->timing, TIMING_VNETD);
	attachment_timer(a, 0, NULL);
	if (r == 0 && (r = fault_point("handover:after")) < 0)
		vnet_err_errno(err, r, "fault point");
	a->v.persistent = r == 0 && (a->where & IN_CONFIG);
	if (r == 0 && !(a->where & IN_LIVE)) {
		attachment_reserved(a);
	} else if (r == 0) {
		attachment_confirm(a);
	} else if (err->name == VNET_E_UNAVAILABLE) {
		attach_unknown(a, err);
	} else {
		/* libvirt said no: the live XML has the last word before anything is undone. */
		a->cause = *err;
		timing_switch(&a->timing, TIMING_LIBVIRT);
		if (domains_reread(a->owner->m->domains, a->v.uuid, attach_reread, a, err) < 0)
			attach_unknown(a, err);
	}
}

static int on_handover_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;
	struct vnet_err err = VNET_ERR_INIT;

	(void)s;
	(void)usec;
	domains_drop(a->owner->m->domains, a);
	vnet_err_set(&err, -ETIMEDOUT, VNET_E_UNAVAILABLE, "libvirt has not answered for %d s",
		     HANDOVER_WAIT_SEC);
	attach_unknown(a, &err);
	return 0;
}

void attachment_set_delivery(struct attachment *a, const struct delivery *d)
{
	static const enum delivery_kind kinds[] = {
		[VNET_DELIVERY_NONE] = DL_NONE,	      [VNET_DELIVERY_HOSTDEV] = DL_HOSTDEV,
		[VNET_DELIVERY_CHARDEV] = DL_CHARDEV, [VNET_DELIVERY_LINK] = DL_LINK,
		[VNET_DELIVERY_SOCKET] = DL_SOCKET,   [VNET_DELIVERY_PCI] = DL_PCI,
	};

	a->v.kind = kinds[d->kind];
	memcpy(a->v.device, d->value, sizeof(a->v.device));
	memcpy(a->v.how, d->how, sizeof(a->v.how));
}

static int hand_over(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	const struct guest *g = attachment_guest(a);
	struct delivery d;
	struct guest_nic nic;
	int r;

	if (a->owned)
		return owned_hand_over(a, err);
	if (!a->by_hook && (!g || ((a->where & IN_LIVE) && !g->active)))
		return vnet_err_set(err, -ESRCH, VNET_E_FAILED, "the guest stopped meanwhile");
	r = select_deliver(m, &a->v, g, &d, err);
	if (r < 0)
		return r;
	attachment_set_delivery(a, &d);
	if (a->by_hook)
		r = hook_nic_check_device(a, err);
	if (r == 0)
		r = attachment_set_state(a, AT_READY, "", err);
	if (r < 0)
		return r;
	r = fault_point("handover:before");
	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	r = journal_add_handover(a->journal, delivery_kind_str(a->v.kind), a->v.device, err);
	if (r < 0)
		return r;
	if (a->by_hook) {
		hook_nic_ready(a);
		return 0;
	}
	attachment_guest_nic(a, &nic);
	timing_switch(&a->timing, TIMING_LIBVIRT);
	attachment_timer(a, HANDOVER_WAIT_SEC * UINT64_C(1000), on_handover_late);
	return domains_attach(m->domains, a->v.uuid, a->where, &nic, attach_handed, a, err);
}

/* ---- turning the knobs ---- */

/* libvirt did not wait for its hook's answer: the guest does not start. */
static int given_up(const struct attachment *a, struct vnet_err *err)
{
	return a->given_up ? vnet_err_set(err, -ECANCELED, VNET_E_FAILED,
					  "the start of the guest was given up meanwhile")
			   : 0;
}

static void attach_turned(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	a->txn = txn_free(a->txn);
	if (r == 0)
		r = given_up(a, err);
	if (r == 0)
		r = hand_over(a, err);
	if (r < 0)
		attach_fail(a, err);
}

static int start_txn(struct attachment *a, enum knob_owner owner, txn_done_fn done,
		     struct vnet_err *err)
{
	int r = txn_new(&a->txn, a->owner->m->workers, a->journal, err);

	if (r == 0)
		txn_time(a->txn, &a->timing);
	if (r == 0)
		txn_forward(a->txn, &a->plan, a->plan_next, owner, a->idle_back, &a->plan_next,
			    done, a);
	return r;
}

/* Its VF, where it is one. */
static int find_vf(struct attachment *a, struct vnet_err *err)
{
	const struct host_scan *s = inventory_scan(a->owner->m->inventory);
	const struct nic *vf;

	if (a->v.vf_index < 0)
		return 0;
	vf = host_scan_vf(s, &a->v.pf, (unsigned)a->v.vf_index);
	if (!vf)
		return vnet_err_set(
			err, -ENODEV, VNET_E_FAILED,
			"VF %d is not there though its PF was given VFs: see the kernel log",
			a->v.vf_index);
	a->v.vf = vf->addr;
	return a->by_hook ? hook_nic_check(a, &vf->addr, err) : 0;
}

/* What the plan has to say of the VF it could only guess before there was one. */
static int plan_again(struct attachment *a, const struct guest *g, struct vnet_err *err)
{
	struct plan plan = { 0 };
	int r = select_plan(a->owner->m, &a->v, g, &plan, err);

	if (r < 0)
		return r;
	a->plan = plan;
	a->plan_next = 0;
	while (a->plan_next < plan.n && plan.step[a->plan_next].knob->owner == KNOB_OF_POOL)
		a->plan_next++;
	return 0;
}

/* The VF is there now, with its real address and IOMMU group: is it still all right? */
static void attach_recheck(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	struct manager *m = a->owner->m;
	const struct guest *g = attachment_guest(a);
	struct verdict verdict;

	timing_switch(&a->timing, TIMING_VNETD);
	if (r == 0)
		r = given_up(a, err);
	if (r == 0)
		r = select_probe(m, &a->v, g, &verdict, err);
	if (r == 0 && verdict.score == 0)
		r = vnet_err_set(err, -ENODEV, VNET_E_NOTHING_SERVES, "%s", verdict.reason);
	if (r == 0)
		r = find_vf(a, err);
	if (r == 0)
		r = attachment_set_state(a, AT_PREPARING, "", err);
	if (r == 0)
		r = plan_again(a, g, err);
	/* What is only written into a configuration needs its address, no more. */
	if (r == 0 && a->where == IN_CONFIG)
		r = hand_over(a, err);
	else if (r == 0)
		r = start_txn(a, KNOB_OF_ATTACHMENT, attach_turned, err);
	if (r < 0)
		attach_fail(a, err);
}

static void attach_pool_done(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	a->txn = txn_free(a->txn);
	a->pool_back = r < 0 && reconcile_before_vfs(a->journal);
	timing_switch(&a->timing, TIMING_KERNEL);
	if (r < 0)
		attach_fail(a, err);
	else
		inventory_refresh(a->owner->m->inventory, attach_recheck, a);
}

int attachment_turn(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	char file[ATTACHMENT_FILE_MAX], id[ATTACHMENT_ID_MAX];
	int r = select_plan(m, &a->v, attachment_guest(a), &a->plan, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < a->plan.n; i++) {
		if (strcmp(a->plan.step[i].knob->name, "numvfs") != 0)
			continue;
		r = pools_mark_created(m->pools, &a->v.pf, err);
		if (r < 0)
			return r;
		a->idle_back = true;
	}
	r = attachment_set_state(a, AT_PREPARING, "", err);
	if (r < 0)
		return r;
	attachment_file(&a->v, "", file);
	r = journal_create(&a->journal, m->runtime_fd, file, attachment_id(a, id), err);
	if (r < 0)
		return r;
	return start_txn(a, KNOB_OF_POOL, attach_pool_done, err);
}

/* ---- choosing ---- */

static void take_claim(struct attachment *a, const struct selection *s)
{
	const struct candidate *c = s->chosen;

	select_why(s, a->v.why, sizeof(a->v.why));
	select_claim(a->owner->m, c, &a->v);
	a->idle_back = c->kind == VNET_CANDIDATE_VF && c->uplink->created;
}

static void attach_choose(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	struct manager *m = a->owner->m;
	struct selection s = { 0 };
	const struct guest *g = r == 0 && !a->owned ? attach_guest(m, &a->v.asked, &a->where, err)
						    : NULL;

	timing_switch(&a->timing, TIMING_VNETD);
	if (r == 0)
		r = g || a->owned ? select_run(m, &a->v.asked, g, &a->v, &s, err) : err->code;
	if (r == 0)
		a->verdicts = select_verdicts_json(&s);
	if (r == 0 && s.chosen) {
		take_claim(a, &s);
		r = choose_mac(a, err);
	} else if (r == 0) {
		r = select_refuse(&s, &a->v.asked, err);
	}
	if (r == 0)
		r = attachment_turn(a, err);
	selection_done(&s);
	if (r < 0)
		attach_refuse(a, err);
}

void attach_choose_now(struct attachment *a)
{
	timing_switch(&a->timing, TIMING_KERNEL);
	inventory_refresh(a->owner->m->inventory, attach_choose, a);
}

/* ---- taking the request ---- */

static void attach_begin(struct manager *m, struct waiter *w)
{
	struct vnet_err err = VNET_ERR_INIT;
	enum domains_where where = 0;
	const struct guest *g = attach_guest(m, &w->request, &where, &err);
	char name[NIC_NAME_MAX];
	struct attachment *a;

	timing_switch(&w->timing, TIMING_VNETD); /* the guests are known now */
	if (g && attach_answer_repeat(m, g, where, w))
		return;
	if (!g || attach_name(m, g, &w->request, name, &err) < 0 ||
	    !(a = attachment_new(m->attachments, &err))) {
		vnet_err_wrap(&err, "attach %s", w->request.guest);
		w->reply(w->user, err.code, NULL, &err);
		return;
	}
	a->v.asked = w->request;
	snprintf(a->v.asked.guest, sizeof(a->v.asked.guest), "%s", g->name);
	snprintf(a->v.uuid, sizeof(a->v.uuid), "%s", g->uuid);
	snprintf(a->v.name, sizeof(a->v.name), "%s", name);
	a->v.vlan = w->request.vlan;
	a->v.state = AT_PREPARING;
	a->where = where;
	a->reply = w->reply;
	a->reply_user = w->user;
	a->timing = w->timing;
	attach_choose_now(a);
}

void attach_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user)
{
	attachments_serve(m, r, attach_begin, reply, user);
}
