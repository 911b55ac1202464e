/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking a NIC back from a QEMU without libvirt, and what a restart finds of such. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/exec.h"
#include "daemon/qmp-nic.h"
#include "lib/json.h"
#include "lib/log.h"

static void settled(struct attachment *a, int r, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	a->owned->who.qmp = qmp_free(a->owned->who.qmp);
	/* One that has ended keeps nothing, whatever it said last. */
	if (r == 0 || a->given_up || !owner_alive(&a->owned->who.owner)) {
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

	for (struct attachment *a = as->list; a; a = a->next) {
		if (!a->owned || strcmp(a->v.asked.guest, r->guest) != 0 ||
		    (r->name[0] && strcmp(a->v.name, r->name) != 0))
			continue;
		if (found) {
			vnet_err_set(err, -ENOTUNIQ, VNET_E_INVALID,
				     "%s has several NICs: name one", r->guest);
			return NULL;
		}
		found = a;
	}
	if (!found)
		vnet_err_set(
			err, -ENOENT, VNET_E_NOT_FOUND,
			"vnetd gave %s%s no such NIC over QMP: `vnetctl list` shows what it gave",
			r->guest, r->name[0] ? "/" : "");
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

	a->owned = calloc(1, sizeof(*a->owned));
	if (!a->owned)
		return -ENOMEM;
	a->owned->who.owner = OWNER_INIT;
	return owner_reopen(&a->owned->who.owner, (pid_t)a->v.pid, (uint64_t)a->v.pid_start, &err);
}

void owned_reconcile(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	bool handed = a->journal && a->journal->handed_over;

	if (a->v.state == AT_STUCK)
		return;
	/* Nobody but the process itself can say whether it has it: while it runs it does. */
	if (!handed || a->v.state == AT_RELEASING || !a->owned ||
	    !owner_alive(&a->owned->who.owner)) {
		attachment_release(a);
		return;
	}
	if (a->v.state != AT_DETACHING && a->v.state != AT_IN_USE)
		attachment_enter(a, AT_IN_USE, "%s", "");
	if (owned_watch(a, &err) < 0)
		log_err(4, a->v.asked.guest, &err, "%s: its end will not be seen",
			a->v.asked.guest);
}
