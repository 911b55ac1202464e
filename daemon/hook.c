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

#include "daemon/config.h"
#include "daemon/hook-priv.h"
#include "lib/file.h"
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
	hook_networks_free(as);
	while ((h = as->hooks)) {
		vnet_err_set(&h->err, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd is stopping");
		if (h->release)
			h->err = VNET_ERR_INIT;
		hook_end(h);
	}
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

		if (!hook_device(&h->guest, nic))
			continue; /* an entry that was left behind */
		r = hook_nic_new(h->owner, &h->guest, nic, &a, err);
		if (r < 0)
			break;
		a->hook = h;
		h->pending++;
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
	for (size_t i = 0; i < h->guest.n_nics; i++) {
		const struct guest_nic *nic = &h->guest.nics[i];

		if (hook_device(&h->guest, nic) && !hook_nic_is_here(h->owner->m, nic))
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
		vnet_err_errno(err, r, "wait for its PFs or for a worker");
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

	if (h->phase == PHASE_TURN || h->scanning)
		return;
	if (workers_of_old(m->workers)) { /* at what is to be taken back, maybe */
		hook_again(h);
		return;
	}
	if (!hook_clear(h->owner, &h->guest))
		return; /* hooks_look() comes when it is */
	if (h->release) {
		hook_end(h);
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

/* libvirt tells one thing of a guest at a time: nobody waits for what it told before. */
static void end_older(struct hook *h)
{
	struct hook *o, *next;

	for (o = h->owner->hooks; o; o = next) {
		next = o->next;
		if (o == h || strcmp(o->guest.uuid, h->guest.uuid) != 0)
			continue;
		if (!o->release)
			vnet_err_set(&o->err, -ECANCELED, VNET_E_FAILED,
				     "libvirt has told of another %s of it since",
				     h->release ? "end" : "start");
		hook_end(o);
	}
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
				       (release ? HOOK_RELEASE_SEC : hook_deadline_sec(as->m)) *
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
	end_older(h);
	hook_go(h);
	return 0;
}

/* ---- how long libvirt waits ---- */

unsigned hook_deadline_sec(const struct manager *m)
{
	unsigned timeout = m->conf ? (unsigned)m->conf->hook_timeout_sec : HOOK_TIMEOUT_SEC;
	unsigned spare = timeout / 10;

	return timeout - (spare < 1 ? timeout > 1 : spare > 10 ? 10 : spare);
}

void hook_set_timeout(const struct manager *m)
{
	struct vnet_err err = VNET_ERR_INIT;
	char text[16];

	snprintf(text, sizeof(text), "%d\n", m->conf->hook_timeout_sec);
	if (file_replace_at(m->runtime_fd, HOOK_TIMEOUT_FILE, text, strlen(text), 0644, &err) < 0)
		log_err(4, NULL, &err, "the hook waits for %d s, whatever is configured",
			HOOK_TIMEOUT_SEC);
}

void hook_run(struct manager *m, const struct hook_call *c, reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	bool prepare = strcmp(c->operation, "prepare") == 0;
	bool release = strcmp(c->operation, "release") == 0;
	bool port = strcmp(c->operation, "port-created") == 0;

	if (strcmp(c->object, "network") == 0 && (port || strcmp(c->operation, "start") == 0)) {
		hook_network_run(m, c, reply, user);
		return;
	}
	if (strcmp(c->object, "qemu") != 0 || (!prepare && !release)) {
		reply(user, 0, json_object(), &err); /* nothing to do for it */
		return;
	}
	if (hook_start(m->attachments, c->xml, release, reply, user, &err) < 0) {
		vnet_err_wrap(&err, "%s", c->operation);
		reply(user, err.code, NULL, &err);
	}
}
