/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * libvirt's hook tells of a guest's start (prepare) and end (release), and libvirt waits
 * for the answer with that guest locked: whatever asks libvirt about it now, waits for
 * us. So nothing here calls libvirt, or waits for anything that does; what is to be done
 * comes from the XML that the hook was given, the ledger and the kernel.
 *
 * prepare, one step after the other:
 *
 *	CLEAR	what the ledger still has of the guest's last life is taken back: that it
 *		starts proves that it does not run
 *	SCAN	until the PFs that the XML names are there, for a while: after a reboot a
 *		guest may be quicker than a driver
 *	TURN	an attachment for each NIC, the same knobs as for any other; each ends as
 *		ready (hook_nic_ready) or is walked back (nic_failed)
 *
 * An attachment that is ready then waits for libvirt's word: that the guest runs with it
 * (in-use), the release hook (taken back), or, where neither comes, an answer to being
 * asked. A hook whose time is up leaves its attachments to themselves: they end as if
 * they had failed.
 */
#include "daemon/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/pool.h"
#include "daemon/select.h"
#include "lib/json.h"
#include "lib/log.h"

#define HOOKS_MAX 64	      /* at once; libvirt starts few guests in parallel */
#define HOOK_NICS_MAX 64      /* of one guest */
#define HOOK_PF_WAIT_SEC 20   /* until a PF must have come */
#define HOOK_RETRY_MSEC 300   /* between two looks */
#define HOOK_RELEASE_SEC 60   /* then the guest's end goes on without us */
#define READY_LOOK_MSEC 60000 /* without a word from libvirt: it is asked */

enum phase { PHASE_CLEAR, PHASE_SCAN, PHASE_TURN };

struct hook {
	struct hook *next;
	struct attachments *owner;
	bool release;
	struct guest guest; /* as its XML says */
	enum phase phase;
	bool scanning;
	uint64_t began; /* CLOCK_MONOTONIC us */
	sd_event_source *late, *retry;
	unsigned pending; /* attachments that are not ready and not failed */
	struct vnet_err err;
	reply_fn reply;
	void *user;
};

static void hook_go(struct hook *h);

/* ---- ending ---- */

static void hook_free(struct hook *h)
{
	struct attachments *as = h->owner;

	for (struct hook **p = &as->hooks; *p; p = &(*p)->next) {
		if (*p == h) {
			*p = h->next;
			break;
		}
	}
	for (struct attachment *a = as->list; a; a = a->next) {
		if (a->hook != h)
			continue;
		a->hook = NULL;
		a->reply = NULL;
		a->given_up = a->v.state == AT_PREPARING;
	}
	inventory_forget(as->m->inventory, h);
	sd_event_source_disable_unref(h->late);
	sd_event_source_disable_unref(h->retry);
	guest_done(&h->guest);
	free(h);
}

static void hook_end(struct hook *h)
{
	struct vnet_err err = h->err;
	reply_fn reply = h->reply;
	void *user = h->user;

	if (err.code) {
		vnet_err_wrap(&err, "guest %s", h->guest.name);
		log_err(4, h->guest.name, &err, "its hook is refused");
	}
	hook_free(h);
	reply(user, err.code, err.code ? NULL : json_object(), &err);
}

static int on_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct hook *h = user;

	(void)s;
	(void)usec;
	if (h->release)
		log_warn(h->guest.name, "guest %s: not all of it is taken back yet", h->guest.name);
	else
		vnet_err_set(&h->err, -ETIMEDOUT, VNET_E_UNAVAILABLE,
			     "its NICs were not ready in time: `vnetctl list` and the journal say "
			     "what is slow");
	hook_end(h);
	return 0;
}

void hooks_free(struct attachments *as)
{
	struct hook *h;

	as->hooks_kick = sd_event_source_disable_unref(as->hooks_kick);
	while ((h = as->hooks)) {
		vnet_err_set(&h->err, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd is stopping");
		if (h->release)
			h->err = VNET_ERR_INIT;
		hook_end(h);
	}
}

/* ---- what the guest had before ---- */

/* Is libvirt's side of it over, now that the guest does not run? */
static bool is_left(const struct attachment *a)
{
	switch (a->v.state) {
	case AT_IN_USE:
	case AT_DETACHING:
	case AT_UNKNOWN:
		return a->where & IN_LIVE;
	case AT_READY:
		return a->by_hook;
	default:
		return false;
	}
}

/* Take back what is left; true: nothing of it is on its way any more. */
static bool clear(struct hook *h)
{
	struct attachments *as = h->owner;
	struct attachment *a, *next;
	bool clean = true;

	for (a = as->list; a; a = next) {
		next = a->next;
		if (strcmp(a->v.uuid, h->guest.uuid) != 0)
			continue;
		if (a->by_hook && a->v.state == AT_PREPARING)
			a->given_up = true;
		else if (is_left(a))
			attachment_release(a);
	}
	for (a = as->list; a; a = a->next) {
		if (strcmp(a->v.uuid, h->guest.uuid) == 0 &&
		    (a->released || (a->by_hook && a->v.state == AT_PREPARING)))
			clean = false;
	}
	return clean;
}

/* ---- one NIC ---- */

static void pending_done(struct hook *h)
{
	if (--h->pending == 0)
		hook_end(h);
}

static int on_ready_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;

	(void)s;
	(void)usec;
	attachment_timer(a, 0, NULL);
	if (a->v.state == AT_READY)
		reconcile_one(a);
	return 0;
}

void hook_nic_ready(struct attachment *a)
{
	struct hook *h = a->hook;

	a->hook = NULL;
	a->reply = NULL;
	attachment_timer(a, READY_LOOK_MSEC, on_ready_late);
	if (h)
		pending_done(h);
}

/* It is walked back already. */
static void nic_failed(void *user, int r, json_t *result, struct vnet_err *err)
{
	struct hook *h = user;

	(void)r;
	json_decref(result);
	if (!h->err.code)
		h->err = *err;
	pending_done(h);
}

int hook_nic_check(const struct attachment *a, const struct pci_addr *vf, struct vnet_err *err)
{
	char is[PCI_ADDR_STR], named[PCI_ADDR_STR], pf[PCI_ADDR_STR];

	if (pci_addr_eq(vf, &a->named))
		return 0;
	return vnet_err_set(
		err, -ESTALE, VNET_E_FAILED,
		"VF %d of %s is at %s now and the guest's XML names %s: the card or its "
		"VF count was changed: vnetctl detach %s %s --config, then attach it "
		"again",
		a->v.vf_index, pci_addr_str(&a->v.pf, pf), pci_addr_str(vf, is),
		pci_addr_str(&a->named, named), a->v.asked.guest, a->v.name);
}

static const struct nic *find_pf(const struct host_scan *s, const struct guest_nic *nic)
{
	if (mac_is_zero(&nic->pf_mac))
		return host_scan_nic(s, &nic->pf);
	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *pf = &s->nics[i];
		const struct link *l = pf->kind == NIC_PF ? host_scan_nic_link(s, pf) : NULL;

		if (l && mac_eq(l->has_perm_mac ? &l->perm_mac : &l->mac, &nic->pf_mac))
			return pf;
	}
	return NULL;
}

static int make_attachment(struct hook *h, const struct guest_nic *nic, struct attachment **ret,
			   struct vnet_err *err)
{
	struct attachments *as = h->owner;
	struct manager *m = as->m;
	const struct nic *pf = find_pf(inventory_scan(m->inventory), nic);
	const struct pool *pool = pf ? pools_by_pf(m->pools, &pf->addr) : NULL;
	const struct vnet_attachment *other = pf ? attachments_holder(as, &pf->addr, nic->vf_index)
						 : NULL;
	char id[ATTACHMENT_ID_MAX], addr[PCI_ADDR_STR];
	struct attachment *a;

	if (!pool) {
		hook_no_pf(m, nic, pf, err);
		return -ENODEV;
	}
	if (hook_check_index(nic, &pf->addr, pool->count, err) < 0)
		return err->code;
	if (other)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE, "%s: VF %d of %s: %s has it (%s)",
				    nic->name, nic->vf_index, pci_addr_str(&pf->addr, addr),
				    model_attachment_id(other, id),
				    attachment_state_str(other->state));
	a = attachment_new(as, err);
	if (!a)
		return err->code;
	attachment_of_config(&h->guest, nic, &a->v);
	a->v.state = AT_PREPARING;
	snprintf(a->v.pool, sizeof(a->v.pool), "%s", pool->name);
	snprintf(a->v.why, sizeof(a->v.why), "the guest's configuration names it");
	a->v.pf = pf->addr;
	a->named = hook_device(&h->guest, nic->name)->addr; /* what libvirt will open */
	a->where = IN_LIVE;
	a->idle_back = pool->created;
	a->by_hook = true;
	a->hook = h;
	*ret = a;
	return 0;
}

static int probe(struct attachment *a, struct vnet_err *err)
{
	struct manager *m = a->owner->m;
	const struct nic *vf =
		host_scan_vf(inventory_scan(m->inventory), &a->v.pf, (unsigned)a->v.vf_index);
	struct verdict verdict;
	int r = vf ? hook_nic_check(a, &vf->addr, err) : 0;

	if (r == 0 && vf)
		a->v.vf = vf->addr;
	else
		a->v.vf = (struct pci_addr){ 0 };
	if (r == 0)
		r = select_probe(m, &a->v, NULL, &verdict, err);
	if (r == 0 && verdict.score == 0)
		r = vnet_err_set(err, -EBUSY, VNET_E_NOTHING_SERVES, "%s", verdict.reason);
	return r < 0 ? vnet_err_wrap(err, "%s", a->v.name) : 0;
}

/* ---- prepare ---- */

static void drop_made(struct hook *h)
{
	struct attachment *a, *next;

	for (a = h->owner->list; a; a = next) {
		next = a->next;
		if (a->hook == h)
			attachment_drop(a);
	}
}

/* All are looked at before the first is touched. */
static int make_all(struct hook *h, struct vnet_err *err)
{
	struct attachment *a = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < h->guest.n_nics; i++) {
		const struct guest_nic *nic = &h->guest.nics[i];

		if (!hook_device(&h->guest, nic->name))
			continue; /* an entry that was left behind */
		r = make_attachment(h, nic, &a, err);
		if (r == 0)
			r = probe(a, err);
		h->pending += r == 0;
	}
	if (r < 0)
		drop_made(h);
	return r;
}

static void turn_all(struct hook *h)
{
	struct attachment *list[HOOK_NICS_MAX];
	size_t n = 0;

	for (struct attachment *a = h->owner->list; a && n < HOOK_NICS_MAX; a = a->next) {
		if (a->hook == h)
			list[n++] = a;
	}
	/* One more than there are, so that the hook outlives this walk. */
	h->pending++;
	for (size_t i = 0; i < n; i++) {
		struct vnet_err err = VNET_ERR_INIT;
		struct attachment *a = list[i];

		a->reply = nic_failed;
		a->reply_user = h;
		if (attachment_turn(a, &err) < 0) {
			vnet_err_wrap(&err, "%s", a->v.name);
			attachment_reply(a, err.code, NULL, &err);
			attachment_drop(a);
		}
	}
	pending_done(h);
}

static bool pf_is_missing(const struct hook *h)
{
	const struct host_scan *s = inventory_scan(h->owner->m->inventory);

	for (size_t i = 0; i < h->guest.n_nics; i++) {
		const struct guest_nic *nic = &h->guest.nics[i];
		const struct nic *pf = find_pf(s, nic);

		if (hook_device(&h->guest, nic->name) &&
		    (!pf || !pools_by_pf(h->owner->m->pools, &pf->addr)))
			return true;
	}
	return false;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *user)
{
	struct hook *h = user;

	(void)s;
	(void)usec;
	h->retry = sd_event_source_disable_unref(h->retry);
	hook_go(h);
	return 0;
}

static void hook_again(struct hook *h)
{
	struct vnet_err *err = &h->err;
	int r = 0;

	if (!h->retry)
		r = sd_event_add_time_relative(h->owner->m->event, &h->retry, CLOCK_MONOTONIC,
					       HOOK_RETRY_MSEC * UINT64_C(1000), 0, on_retry, h);
	if (r < 0) {
		vnet_err_errno(err, r, "wait for its PF");
		hook_end(h);
	}
}

static void on_scanned(void *user, int r, struct vnet_err *err)
{
	struct hook *h = user;
	uint64_t now;

	h->scanning = false;
	sd_event_now(h->owner->m->event, CLOCK_MONOTONIC, &now);
	if (r == 0 && pf_is_missing(h) && now < h->began + HOOK_PF_WAIT_SEC * UINT64_C(1000000)) {
		hook_again(h);
		return;
	}
	if (r == 0)
		r = make_all(h, err);
	if (r < 0) {
		h->err = *err;
		hook_end(h);
		return;
	}
	h->phase = PHASE_TURN;
	turn_all(h);
}

/* Goes on as far as it can now. */
static void hook_go(struct hook *h)
{
	struct manager *m = h->owner->m;
	bool clean;

	if (h->phase == PHASE_TURN || h->scanning)
		return;
	clean = clear(h);
	if (h->release) {
		if (clean)
			hook_end(h);
		return;
	}
	if (!clean)
		return; /* hooks_look() comes when it is */
	if (workers_of_old(m->workers)) {
		hook_again(h);
		return;
	}
	h->phase = PHASE_SCAN;
	h->scanning = true;
	inventory_refresh(m->inventory, on_scanned, h);
}

/* From the loop: whoever tells us may be walking over the attachments. */
static int on_kick(sd_event_source *s, void *user)
{
	struct attachments *as = user;
	struct hook *h, *next;

	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	for (h = as->hooks; h; h = next) {
		next = h->next;
		hook_go(h);
	}
	return 0;
}

void hooks_look(struct attachments *as)
{
	if (as->hooks && as->hooks_kick)
		sd_event_source_set_enabled(as->hooks_kick, SD_EVENT_ONESHOT);
}

/* ---- taking the call ---- */

static int hook_new(struct attachments *as, const char *xml, bool release, struct hook **ret,
		    struct vnet_err *err)
{
	struct hook *h;
	size_t n = 0;
	int r;

	for (h = as->hooks; h; h = h->next)
		n++;
	if (n >= HOOKS_MAX)
		return vnet_err_set(err, -EAGAIN, VNET_E_LIMIT,
				    "%d guests start or end already: try again later", HOOKS_MAX);
	if (!as->hooks_kick) {
		r = sd_event_add_defer(as->m->event, &as->hooks_kick, on_kick, as);
		if (r >= 0)
			r = sd_event_source_set_enabled(as->hooks_kick, SD_EVENT_OFF);
		if (r < 0)
			return vnet_err_errno(err, r, "hook");
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return vnet_err_errno(err, -ENOMEM, "hook");
	h->owner = as;
	h->release = release;
	/* A guest that starts has its id already, one that ended has none any more. */
	r = domain_xml_parse(release ? NULL : xml, release ? xml : NULL, &h->guest, err);
	if (r == 0 && h->guest.n_nics > HOOK_NICS_MAX)
		r = vnet_err_set(err, -E2BIG, VNET_E_LIMIT,
				 "vnetd's metadata has more than %d NICs", HOOK_NICS_MAX);
	if (r == 0 && !release)
		r = hook_check_guest(&h->guest, err);
	if (r < 0) {
		if (h->guest.name[0])
			vnet_err_wrap(err, "guest %s", h->guest.name);
		guest_done(&h->guest);
		free(h);
		return r;
	}
	h->next = as->hooks;
	as->hooks = h;
	*ret = h;
	return 0;
}

static int hook_start(struct attachments *as, const char *xml, bool release, reply_fn reply,
		      void *user, struct vnet_err *err)
{
	struct hook *h = NULL;
	int r = hook_new(as, xml, release, &h, err);

	if (r < 0)
		return r;
	h->reply = reply;
	h->user = user;
	sd_event_now(as->m->event, CLOCK_MONOTONIC, &h->began);
	r = sd_event_add_time_relative(as->m->event, &h->late, CLOCK_MONOTONIC,
				       (release ? HOOK_RELEASE_SEC : HOOK_PREPARE_SEC) *
					       UINT64_C(1000000),
				       0, on_late, h);
	if (r < 0) {
		hook_free(h);
		return vnet_err_errno(err, r, "hook");
	}
	if (release)
		domains_hook_off(as->m->domains, h->guest.uuid);
	else
		domains_hook_starting(as->m->domains, h->guest.uuid);
	log_info(h->guest.name, "guest %s %s", h->guest.name, release ? "ended" : "starts");
	hook_go(h);
	return 0;
}

void hook_run(struct manager *m, const struct hook_call *c, reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	bool prepare = strcmp(c->operation, "prepare") == 0;
	bool release = strcmp(c->operation, "release") == 0;

	if (strcmp(c->object, "qemu") != 0 || (!prepare && !release)) {
		reply(user, 0, json_object(), &err); /* nothing to do for it */
		return;
	}
	if (hook_start(m->attachments, c->xml, release, reply, user, &err) < 0) {
		vnet_err_wrap(&err, "%s", c->operation);
		reply(user, err.code, NULL, &err);
	}
}
