/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking a NIC back from a QEMU without libvirt, and what a restart finds of such. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/attachment.h"
#include "daemon/exec.h"
#include "daemon/fault.h"
#include "daemon/qmp-nic.h"
#include "lib/json.h"
#include "lib/log.h"

#define AGAIN_SEC 5
#define NAMES_TEXT_MAX 128

static bool has_ended(const struct owned *o)
{
	return !o->unseen && !owner_alive(&o->who.owner);
}

bool owned_ending(const struct attachments *as, const struct vnet_request *r)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (a->owned && a->v.state != AT_STUCK && strcmp(a->v.asked.guest, r->guest) == 0 &&
		    (!r->name[0] || strcmp(a->v.name, r->name) == 0) &&
		    (a->v.state == AT_RELEASING || has_ended(a->owned)))
			return true;
	}
	return false;
}

static void settled(struct attachment *a, int r, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	a->owned->who.qmp = qmp_free(a->owned->who.qmp);
	/* One that has ended keeps nothing, whatever it said last. */
	if (r == 0 || a->given_up || has_ended(a->owned)) {
		attachment_release(a);
		return;
	}
	if (r == -EINPROGRESS) {
		attachment_stays_detaching(a, err->text);
	} else if (r == -ENOTEMPTY || r == -EPIPE || r == -ETIMEDOUT) {
		/* Out of the guest and still QEMU's; or nobody has said. */
		if (r != -ENOTEMPTY)
			vnet_err_wrap(err, "whether the guest lets go of it is not known");
		attachment_enter(a, AT_DETACHING, "%s", err->text);
		vnet_err_wrap(err, "detach %s", attachment_id(a, id));
		attachment_reply(a, r, NULL, err);
	} else {
		attachment_kept(a, err);
	}
}

static void detached(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->owned->deaf)
		return;
	if (r == -EPIPE || r == -ENOTEMPTY)
		owned_settle(a, err, settled);
	else
		settled(a, r, err);
}

static struct attachment *find(struct attachments *as, const struct vnet_request *r,
			       const struct owner *who, struct vnet_err *err)
{
	struct attachment *found = NULL;
	char names[NAMES_TEXT_MAX] = "";
	size_t n = 0;

	for (struct attachment *a = as->list; a; a = a->next) {
		if (!a->owned ||
		    (strcmp(a->v.asked.guest, r->guest) != 0 && strcmp(a->v.uuid, r->guest) != 0) ||
		    (r->name[0] && strcmp(a->v.name, r->name) != 0))
			continue;
		if (strlen(names) + NIC_NAME_MAX + 2 < sizeof(names))
			sprintf(names + strlen(names), "%s%s", n ? ", " : "", a->v.name);
		n++;
		found = a;
	}
	if (n > 1)
		vnet_err_set(err, -ENOTUNIQ, VNET_E_INVALID, "%s has several NICs: name one of %s",
			     r->guest, names);
	else if (!found && r->name[0])
		vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
			     "vnetd gave %s no NIC %s over QMP: `vnetctl list` shows what it gave",
			     r->guest, r->name);
	else if (!found)
		vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
			     "vnetd gave %s no NIC over QMP: `vnetctl list` shows what it gave",
			     r->guest);
	else if (found->v.pid != who->pid || found->v.pid_start != (int64_t)who->start_time)
		vnet_err_set(err, -EXDEV, VNET_E_INVALID,
			     "%s belongs to process %lld, and that socket is process %lld's",
			     r->guest, (long long)found->v.pid, (long long)who->pid);
	else if (found->reply || found->txn ||
		 (found->v.state != AT_IN_USE && found->v.state != AT_DETACHING))
		vnet_err_set(err, -EBUSY, VNET_E_BUSY, "it is %s just now: try again later",
			     attachment_state_str(found->v.state));
	else
		return found;
	return NULL;
}

static void follow(struct attachment *a);

static void adopt_owner(struct attachment *a, struct attach_owner *who)
{
	a->owned->again = sd_event_source_disable_unref(a->owned->again);
	a->owned->who.owner = who->owner;
	who->owner = OWNER_INIT;
	a->owned->unseen = false;
	follow(a);
}

void detach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *who,
		      reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct attachment *a = find(m->attachments, r, &who->owner, &err);

	if (!a) {
		vnet_err_wrap(&err, "detach %s", r->guest);
		attach_owner_done(who);
		reply(user, err.code, NULL, &err);
		return;
	}
	a->owned->who.qmp = who->qmp;
	who->qmp = NULL;
	if (a->owned->unseen) /* it can be seen now */
		adopt_owner(a, who);
	attach_owner_done(who);
	memset(&a->cause, 0, sizeof(a->cause));
	a->reply = reply;
	a->reply_user = user;
	attachment_enter(a, AT_DETACHING, "%s", "");
	if (qmp_nic_detach(a->owned->who.qmp, m->event, a->v.name, detached, a, &err) < 0)
		detached(a, err.code, &err);
}

/* ---- after a restart ---- */

int owned_load(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];
	int r;

	a->owned = calloc(1, sizeof(*a->owned));
	if (!a->owned)
		return -ENOMEM;
	a->owned->who.owner = OWNER_INIT;
	r = fault_point("owned:load");
	if (r < 0)
		vnet_err_errno(&err, r, "fault point");
	else
		r = owner_reopen(&a->owned->who.owner, (pid_t)a->v.pid, (uint64_t)a->v.pid_start,
				 &err);
	a->owned->unseen = r < 0 && r != -ESRCH;
	if (a->owned->unseen)
		log_err(LOG_WARNING, attachment_id(a, id), &err,
			"%s: its process counts as running until it can be seen", id);
	return 0;
}

static int on_again(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;
	struct owned *o = a->owned;
	struct vnet_err err = VNET_ERR_INIT;
	int r;

	(void)s;
	(void)usec;
	o->again = sd_event_source_disable_unref(o->again);
	r = o->unseen ? owner_reopen(&o->who.owner, (pid_t)a->v.pid, (uint64_t)a->v.pid_start, &err)
		      : 0;
	o->unseen = r < 0 && r != -ESRCH;
	if (r == -ESRCH)
		owned_ended(a);
	else
		follow(a);
	return 0;
}

/* Its end is to be seen, and if that takes several tries. */
static void follow(struct attachment *a)
{
	struct owned *o = a->owned;
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];
	int r;

	if (!o->unseen && owned_watch(a, &err) == 0)
		return;
	r = sd_event_add_time_relative(a->owner->m->event, &o->again, CLOCK_MONOTONIC,
				       AGAIN_SEC * UINT64_C(1000000), 0, on_again, a);
	if (r < 0)
		log_msg(LOG_ERR, attachment_id(a, id), "%s: its end will not be seen: %s", id,
			strerrordesc_np(-r));
}

/* A lost journal that no mode could make anew says nothing: then its state does. */
static bool was_handed_over(const struct attachment *a)
{
	if (a->journal)
		return a->journal->handed_over;
	return a->v.state == AT_IN_USE || a->v.state == AT_DETACHING;
}

void owned_reconcile(struct attachment *a)
{
	bool ended = a->owned && has_ended(a->owned);

	/* That is an administrator's matter; or its process's end, where that is still to come. */
	if (a->v.state == AT_STUCK) {
		if (a->owned && (a->owned->unseen || a->owned->who.owner.pidfd >= 0))
			follow(a);
		return;
	}
	if (!was_handed_over(a) || a->v.state == AT_RELEASING || (ended && a->journal)) {
		attachment_release(a);
		return;
	}
	if (ended) {
		owned_ended(a);
		return;
	}
	/* Nobody but the process itself can say whether it has it: while it runs it does. */
	if (a->v.state != AT_DETACHING && a->v.state != AT_IN_USE)
		attachment_enter(a, AT_IN_USE, "%s", "");
	if (a->owned)
		follow(a);
}
