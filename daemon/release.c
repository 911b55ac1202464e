/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way back. Asking a guest to let go and taking the claim back are two things:
 * a detach is over when DEVICE_REMOVED says so, when the guest is gone, or when
 * its live XML has not the device any more, never because a call returned. Only
 * then attachment_release() walks the journal back.
 *
 * Before that walk our metadata entry is taken out of a guest that still runs: a
 * modifying libvirt call on that guest also waits for libvirt's own clean-up of
 * the VF (it restores MAC and VLAN), so that ours is the last word.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "daemon/attachment.h"
#include "daemon/messages.h"
#include "daemon/pool.h"
#include "daemon/select.h"
#include "lib/json.h"
#include "lib/log.h"

/* ---- taking back ---- */

static void release_walk(struct attachment *a);

static int on_retry(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	release_walk(user);
	return 0;
}

static void release_text(const struct attachment *a, char *buf, size_t size)
{
	size_t i, n = 0;
	json_t *text;

	buf[0] = '\0';
	json_array_foreach (a->residue, i, text) {
		n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? "; " : "",
				      json_string_value(text));
		if (n >= size)
			return;
	}
}

/* The answer to a detach, or to the attach that failed. */
static void release_reply(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX], text[REASON_MAX], end[sizeof(a->came_back) + 64];

	release_text(a, text, sizeof(text));
	snprintf(end, sizeof(end), " is detached%s%s%s",
		 a->residue_failed ? ", but not all could be put back" : "",
		 a->came_back[0] ? "; " : "", a->came_back);
	if (a->cause.code) {
		err = a->cause;
		if (text[0]) {
			size_t n = strlen(err.text);

			snprintf(err.text + n, sizeof(err.text) - n, "; and left behind: %s", text);
		}
		attachment_reply(a, err.code,
				 a->verdicts ? json_pack("{s:O}", "verdicts", a->verdicts) : NULL,
				 &err);
		return;
	}
	attachment_reply(a, 0,
			 json_pack("{s:o,s:b,s:s+,s:O}", "attachment",
				   model_attachment_to_json(&a->v), "done", 1, "text",
				   attachment_id(a, id), end, "residue", a->residue),
			 &err);
}

/* Nothing of it is left on the host. */
static void release_end(struct attachment *a)
{
	struct attachments *as = a->owner;

	a->v.state = AT_GONE;
	release_reply(a);
	inventory_changed(as->m->inventory);
	attachment_drop(a);
	reconcile_released(as);
}

static void release_done(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	struct attachments *as = a->owner;
	char text[REASON_MAX], id[ATTACHMENT_ID_MAX];

	(void)r;
	(void)err;
	if (a->txn && a->pool_back && txn_made_no_vfs(a->txn))
		pools_none_created(a->owner->m->pools, &a->v.pf);
	a->txn = txn_free(a->txn);
	if (a->residue_failed && a->residue_busy && a->retries++ < CLOSE_RETRIES) {
		attachment_timer(a, CLOSE_RETRY_MSEC, on_retry);
		return;
	}
	release_text(a, text, sizeof(text));
	if (text[0])
		log_event(a->residue_failed ? MSG_RESIDUE : MSG_FOREIGN_CHANGE, LOG_WARNING,
			  attachment_id(a, id), "%s: left behind: %s", id, text);
	if (a->residue_failed) {
		a->released = false;
		attachment_enter(a, AT_STUCK, "%s", text);
		release_reply(a);
		memset(&a->cause, 0, sizeof(a->cause));
		hooks_look(as);
		reconcile_released(as);
	} else if (a->v.pf.set && a->v.vf_index < 0 && a->journal && a->journal->n) {
		came_back_look(a, release_end);
	} else {
		release_end(a);
	}
}

static void on_residue(void *user, bool foreign, const struct vnet_err *err)
{
	struct attachment *a = user;

	json_array_append_new(a->residue, json_string(err->text));
	if (foreign)
		return;
	a->residue_failed = true;
	if (err->code == -EBUSY)
		a->residue_busy = true;
}

static void release_walk(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;

	attachment_timer(a, 0, NULL);
	json_decref(a->residue);
	a->residue = json_array();
	a->residue_failed = a->residue_busy = false;
	if (!a->journal) { /* nothing was done for it */
		release_done(a, 0, &err);
		return;
	}
	if (txn_new(&a->txn, a->owner->m->workers, a->journal, &err) < 0) {
		on_residue(a, false, &err);
		release_done(a, 0, &err);
		return;
	}
	txn_back(a->txn, a->pool_back, on_residue, release_done, a);
}

static void release_forgotten(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	const struct guest *g = attachment_guest(a);
	char id[ATTACHMENT_ID_MAX];

	a->forgetting = false;
	/* A call of an earlier vnetd may have come to its end only now. */
	if (g && g->active && guest_has_nic(g, a->v.name)) {
		struct attachments *as = a->owner;

		a->released = false;
		attachment_give_back(a);
		reconcile_released(as);
		return;
	}
	/* A stale entry in the guest's metadata is untidy; a VF kept for it is worse. */
	if (r < 0 && r != -ENOENT)
		log_err(4, attachment_id(a, id), err, "%s: its metadata entry stays", id);
	release_walk(a);
}

/* Our entry may be in a guest's metadata without the device: in the running guest's for as
 * long as it was handed over, in the persistent one where the last read has seen it. */
static bool entry_may_stay(const struct attachment *a)
{
	const struct guest *g = attachment_guest(a);

	if (!g)
		return false;
	if (a->journal && a->journal->handed_over && (g->active || a->where == IN_CONFIG))
		return true;
	for (size_t i = 0; i < g->n_config_nics; i++) {
		if (strcmp(g->config_nics[i].name, a->v.name) == 0)
			return !guest_config_has_nic(g, a->v.name);
	}
	return false;
}

static void release(struct attachment *a, bool now)
{
	struct manager *m = a->owner->m;
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];

	/* The end of a device, and of a guest, is told by more than one. */
	if (a->released)
		return;
	a->released = true;
	a->undecided = false;
	attachment_timer(a, 0, NULL);
	if (a->owned)
		owned_hang_up(a->owned);
	if (a->txn && a->reply && !a->cause.code) /* an attach whose last look is overtaken */
		vnet_err_set(&a->cause, -ENODEV, VNET_E_FAILED,
			     "attach %s: the guest stopped or lost it at once",
			     attachment_id(a, id));
	a->txn = txn_free(a->txn);
	a->retries = 0;
	attachment_enter(a, AT_RELEASING, "%s", a->cause.text);
	/* Never for a hook's sake: libvirt answers nothing about that guest while it waits. */
	a->forgetting = !now && !a->hook && entry_may_stay(a) &&
			domains_known(m->domains) == DOMAINS_KNOWN;
	if (a->forgetting &&
	    domains_forget(m->domains, a->v.uuid, a->v.name, release_forgotten, a, &err) == 0)
		return;
	a->forgetting = false;
	release_walk(a);
}

void attachment_release(struct attachment *a)
{
	release(a, false);
}

void attachment_release_now(struct attachment *a)
{
	if (!a->released) {
		release(a, true);
	} else if (a->forgetting) {
		a->forgetting = false;
		domains_drop(a->owner->m->domains, a); /* the entry goes all the same */
		release_walk(a);
	}
}

/* ---- asking the guest to let go ---- */

void attachment_stays_detaching(struct attachment *a, const char *why)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];

	attachment_enter(a, AT_DETACHING, "%s", why);
	if (a->cause.code) {
		size_t n;

		err = a->cause;
		n = strlen(err.text);
		snprintf(err.text + n, sizeof(err.text) - n, "; it stays detaching: %s", why);
		attachment_reply(a, err.code, NULL, &err);
		return;
	}
	attachment_reply(a, 0,
			 json_pack("{s:o,s:b,s:s++,s:[]}", "attachment",
				   model_attachment_to_json(&a->v), "done", 0, "text",
				   attachment_id(a, id), " stays detaching: ", why, "residue"),
			 &err);
}

void attachment_kept(struct attachment *a, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	attachment_timer(a, 0, NULL);
	attachment_enter(a, AT_IN_USE, "%s", "");
	vnet_err_wrap(err, "detach %s: the guest keeps it", attachment_id(a, id));
	attachment_reply(a, err->code, NULL, err);
}

static int on_detach_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;

	(void)s;
	(void)usec;
	attachment_timer(a, 0, NULL);
	attachment_stays_detaching(a, "the guest has not let go of it; it is taken back as soon as "
				      "it does or stops; detach again to ask once more");
	return 0;
}

static void detach_asked(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	const struct guest *g = attachment_guest(a);
	char id[ATTACHMENT_ID_MAX];

	if (a->v.state != AT_DETACHING)
		return; /* DEVICE_REMOVED came first */
	if (r == -ENOENT || (r == 0 && (!g || !g->active || !guest_has_nic(g, a->v.name)))) {
		attachment_release(a);
	} else if (r == 0) {
		return; /* the event, the guest's end or the timer goes on */
	} else if (err->name == VNET_E_UNAVAILABLE) {
		attachment_timer(a, 0, NULL);
		attachment_enter(a, AT_DETACHING, "%s", err->text);
		vnet_err_wrap(err, "detach %s", attachment_id(a, id));
		attachment_reply(a, err->code, NULL, err);
	} else {
		attachment_kept(a, err);
	}
}

void attachment_give_back(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	int r = attachment_set_state(a, AT_DETACHING, "", &err);

	attachment_timer(a, DETACH_WAIT_SEC * UINT64_C(1000), on_detach_late);
	if (r == 0)
		r = domains_detach(a->owner->m->domains, a->v.uuid, a->where, a->v.name,
				   detach_asked, a, &err);
	if (r < 0)
		detach_asked(a, r, &err);
}

static void detach_unreserved(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	char id[ATTACHMENT_ID_MAX];

	if (r < 0 && r != -ENOENT) {
		vnet_err_wrap(err, "detach %s", attachment_id(a, id));
		attachment_reply(a, err->code, NULL, err);
		return;
	}
	attachment_release(a);
}

static bool is_in_config(const struct attachment *a, const struct guest *g)
{
	return (a->where & IN_CONFIG) && g && guest_config_has_nic(g, a->v.name);
}

/* Of one that is stuck or unknown: has the guest let go of it? */
static void detach_reread(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	const struct guest *g = attachment_guest(a);
	char id[ATTACHMENT_ID_MAX];

	if (r < 0) {
		vnet_err_wrap(err, "detach %s", attachment_id(a, id));
		attachment_reply(a, r, NULL, err);
	} else if (g && g->active && guest_has_nic(g, a->v.name)) {
		attachment_give_back(a);
	} else if (!is_in_config(a, g)) {
		attachment_release(a);
	} else if (domains_detach(a->owner->m->domains, a->v.uuid, IN_CONFIG, a->v.name,
				  detach_unreserved, a, err) < 0) {
		detach_unreserved(a, err->code, err);
	}
}

void attachment_detach(struct attachment *a)
{
	struct manager *m = a->owner->m;
	struct vnet_err err = VNET_ERR_INIT;
	const struct guest *g = attachment_guest(a);

	if (a->v.state == AT_IN_USE || a->v.state == AT_DETACHING)
		attachment_give_back(a);
	else if ((!g || !g->active) && !is_in_config(a, g))
		attachment_release(a);
	else if (domains_reread(m->domains, a->v.uuid, detach_reread, a, &err) < 0)
		detach_reread(a, err.code, &err);
}

/* ---- what the guests' side tells ---- */

static bool guest_may_hold(const struct attachment *a)
{
	return (a->where & IN_LIVE) &&
	       (a->v.state == AT_IN_USE || a->v.state == AT_DETACHING || a->v.state == AT_UNKNOWN);
}

void attachments_guest_stopped(struct attachments *as, const char *uuid)
{
	struct attachment *a, *next;

	for (a = as->list; a; a = next) {
		next = a->next;
		if (strcmp(a->v.uuid, uuid) == 0 && guest_may_hold(a))
			attachment_release(a);
	}
}

static struct attachment *find_alias(struct attachments *as, const char *uuid, const char *alias)
{
	size_t n = strlen(VNETD_ALIAS_PREFIX);

	return strncmp(alias, VNETD_ALIAS_PREFIX, n) == 0 ? attachment_find(as, uuid, alias + n)
							  : NULL;
}

void attachments_device_removed(struct attachments *as, const char *uuid, const char *alias)
{
	struct attachment *a = find_alias(as, uuid, alias);

	if (a && a->v.state == AT_IN_USE && !a->reply)
		log_warn(a->v.asked.guest,
			 "guest %s lost its NIC %s, and vnetd was not asked for that: by virsh, by "
			 "the guest, or its VF was taken away (sriov_numvfs)",
			 a->v.asked.guest, a->v.name);
	if (a && guest_may_hold(a))
		attachment_release(a);
}

void attachments_removal_failed(struct attachments *as, const char *uuid, const char *alias)
{
	struct attachment *a = find_alias(as, uuid, alias);

	if (!a || a->v.state != AT_DETACHING)
		return;
	attachment_timer(a, 0, NULL);
	attachment_stays_detaching(a, "the guest refused to let go of it; make it idle inside the "
				      "guest and detach again");
}

void attachments_guest_changed(struct attachments *as, const char *uuid)
{
	struct attachment *a, *next;

	for (a = as->list; a; a = next) {
		const struct guest *g;
		bool gone;

		next = a->next;
		if (strcmp(a->v.uuid, uuid) != 0)
			continue;
		g = attachment_guest(a);
		gone = !g || !g->active || !guest_has_nic(g, a->v.name);
		if (a->v.state == AT_READY && a->by_hook && !a->hook && !a->txn && !gone)
			attachment_confirm(a);
		else if (a->v.state == AT_DETACHING && gone && a->where != IN_CONFIG)
			attachment_release(a);
		else if (!a->reply &&
			 ((a->v.state == AT_IN_USE && gone) || a->v.state == AT_UNKNOWN))
			reconcile_one(a);
	}
}
