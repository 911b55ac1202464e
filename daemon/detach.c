/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A detach as it is asked for: which NIC, out of which XML. The running guest is asked
 * by release.c; what only the persistent XML names is taken out here, and nothing of the
 * host changes by that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "lib/json.h"
#include "lib/log.h"

/* ---- out of the persistent XML ---- */

static void config_reply(struct attachment *a, int r, const char *what, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	attachment_id(a, id);
	if (r < 0 && r != -ENOENT) {
		vnet_err_wrap(err, "detach %s from the guest's configuration", id);
		attachment_reply(a, err->code, NULL, err);
		return;
	}
	a->v.persistent = false;
	attachment_reply(a, 0,
			 json_pack("{s:o,s:b,s:s++,s:[]}", "attachment",
				   model_attachment_to_json(&a->v), "done", 1, "text", id, " ",
				   what, "residue"),
			 err);
}

static void unreserved(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	struct attachments *as = a->owner;

	a->v.state = AT_GONE;
	config_reply(a, r, "is detached: it was reserved in the guest's configuration", err);
	inventory_changed(as->m->inventory);
	attachment_drop(a); /* where libvirt refused, the XML still is the reservation */
}

static void unreserve(struct manager *m, struct waiter *w, const struct vnet_attachment *v)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct attachment *a = attachment_new(m->attachments, &err);
	int r;

	if (!a) {
		vnet_err_wrap(&err, "detach %s", w->request.guest);
		w->reply(w->user, err.code, NULL, &err);
		return;
	}
	a->v = *v;
	a->where = IN_CONFIG;
	a->reply = w->reply;
	a->reply_user = w->user;
	r = attachment_set_state(a, AT_DETACHING, "", &err);
	if (r == 0)
		r = domains_detach(m->domains, a->v.uuid, IN_CONFIG, a->v.name, unreserved, a,
				   &err);
	if (r < 0)
		unreserved(a, r, &err);
}

static void config_only(void *user, int r, struct vnet_err *err)
{
	config_reply(user, r,
		     "is out of the guest's configuration; the running guest keeps it until it "
		     "stops",
		     err);
}

/* ---- which one ---- */

struct found {
	struct attachment *a;	      /* of the ledger, or */
	struct vnet_attachment other; /* a reservation */
	bool reserved;
	unsigned n;
	char names[REASON_MAX];
	/* The first of a guest of libvirt's, and of a QEMU without, which may be called alike. */
	char of_guest[UUID_STR], of_process[UUID_STR];
	int64_t pid;
};

static void found_add(struct found *f, struct attachment *a, const struct vnet_attachment *v)
{
	size_t n = strlen(f->names);

	snprintf(f->names + n, sizeof(f->names) - n, "%s%s", n ? ", " : "", v->name);
	if (v->pid > 0 && !f->pid) {
		snprintf(f->of_process, sizeof(f->of_process), "%s", v->uuid);
		f->pid = v->pid;
	} else if (!v->pid && !f->of_guest[0]) {
		snprintf(f->of_guest, sizeof(f->of_guest), "%s", v->uuid);
	}
	if (f->n++ > 0)
		return;
	f->a = a;
	f->reserved = !a;
	f->other = *v;
}

static bool wanted(const struct vnet_attachment *v, const struct vnet_request *r)
{
	return (strcmp(v->asked.guest, r->guest) == 0 || strcmp(v->uuid, r->guest) == 0) &&
	       (!r->name[0] || strcmp(v->name, r->name) == 0);
}

static int too_many(const struct vnet_request *r, const struct found *f, struct vnet_err *err)
{
	if (f->of_guest[0] && f->pid)
		return vnet_err_set(
			err, -ENOTUNIQ, VNET_E_INVALID,
			"both a guest of libvirt's and process %lld without libvirt are "
			"called %s: give the UUID of the one that is meant instead, %s of "
			"libvirt's or %s",
			(long long)f->pid, r->guest, f->of_guest, f->of_process);
	return vnet_err_set(err, -ENOTUNIQ, VNET_E_INVALID,
			    "guest %s has several NICs: name one of %s", r->guest, f->names);
}

static int find(struct manager *m, const struct vnet_request *r, struct found *f,
		struct vnet_err *err)
{
	struct attachments *as = m->attachments;
	struct vnet_attachment v;

	memset(f, 0, sizeof(*f));
	for (struct attachment *a = as->list; a; a = a->next) {
		if (wanted(&a->v, r))
			found_add(f, a, &a->v);
	}
	for (size_t i = 0; reserved_at(as, i, &v); i++) {
		if (wanted(&v, r))
			found_add(f, NULL, &v);
	}
	if (f->n > 1)
		return too_many(r, f, err);
	if (f->n == 1)
		return 0;
	if (r->name[0])
		return vnet_err_set(
			err, -ENOENT, VNET_E_NOT_FOUND,
			"vnetd gave no NIC %s to guest %s: `vnetctl list` shows what it gave",
			r->name, r->guest);
	return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
			    "vnetd gave no NIC to guest %s: `vnetctl list` shows what it gave; "
			    "what others attached is detached with virsh",
			    r->guest);
}

/* ---- the request ---- */

static int may_begin(const struct found *f, enum scope scope, struct vnet_err *err)
{
	const struct attachment *a = f->a;
	const struct guest *g;
	char id[ATTACHMENT_ID_MAX];

	if (f->reserved && scope == SCOPE_LIVE)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				    "%s is in the guest's configuration alone: detach it without "
				    "--live",
				    model_attachment_id(&f->other, id));
	if (!a)
		return 0;
	if (a->owned && a->v.state != AT_STUCK) {
		owner_look(&a->owned->who.owner);
		return vnet_err_set(
			err, -EBUSY, VNET_E_IN_USE,
			"%s belongs to process %lld (%s): it goes back when that ends, or "
			"give its monitor: vnetctl detach --qmp SOCKET %s %s",
			attachment_id(a, id), (long long)a->v.pid, a->owned->who.owner.comm,
			a->v.asked.guest, a->v.name);
	}
	g = attachment_guest(a);
	if (scope == SCOPE_CONFIG && (!g || !guest_config_has_nic(g, a->v.name)))
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				    "%s is not in the guest's persistent configuration: detach it "
				    "without --config",
				    attachment_id(a, id));
	if (a->reply || a->txn || a->v.state == AT_PREPARING || a->v.state == AT_READY ||
	    a->v.state == AT_RELEASING)
		/* In use and busy: its attach is not over yet. */
		return vnet_err_set(err, -EBUSY, VNET_E_BUSY, "%s is %s just now: try again later",
				    attachment_id(a, id),
				    attachment_state_str(a->v.state == AT_IN_USE ? AT_PREPARING
										 : a->v.state));
	return 0;
}

static void detach_begin(struct manager *m, struct waiter *w)
{
	struct vnet_err err = VNET_ERR_INIT;
	enum scope scope = w->request.scope;
	struct found f;
	int r = find(m, &w->request, &f, &err);

	if (r == 0)
		r = may_begin(&f, scope, &err);
	if (r < 0) {
		vnet_err_wrap(&err, "detach %s", w->request.guest);
		w->reply(w->user, err.code, NULL, &err);
		return;
	}
	if (f.reserved) {
		unreserve(m, w, &f.other);
		return;
	}
	memset(&f.a->cause, 0, sizeof(f.a->cause));
	f.a->reply = w->reply;
	f.a->reply_user = w->user;
	if (scope == SCOPE_CONFIG) {
		if (domains_detach(m->domains, f.a->v.uuid, IN_CONFIG, f.a->v.name, config_only,
				   f.a, &err) < 0)
			config_only(f.a, err.code, &err);
		return;
	}
	f.a->where = scope == SCOPE_LIVE ? IN_LIVE : IN_LIVE | IN_CONFIG;
	attachment_detach(f.a);
}

void detach_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user)
{
	attachments_serve_detach(m, r, detach_begin, reply, user);
}
