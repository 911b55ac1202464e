/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: all attachments, in memory and as RUNTIME/attachments/UUID.NAME.json,
 * each file replaced whole. It lives on the main thread alone, which is why two
 * attaches at once never choose the same VF: choosing and noting is one step.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon/attachment.h"
#include "daemon/messages.h"
#include "daemon/state-file.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

int attachments_new(struct attachments **ret, struct manager *m, struct vnet_err *err)
{
	struct attachments *as = calloc(1, sizeof(*as));
	int r;

	if (!as)
		return vnet_err_errno(err, -ENOMEM, "attachments");
	as->m = m;
	as->dirfd = -1;
	r = file_opendir_at(m->runtime_fd, "attachments", 0700, &as->dirfd, err);
	if (r == 0)
		r = reconcile_load(as, err);
	if (r < 0) {
		attachments_free(as);
		return r;
	}
	*ret = as;
	return 0;
}

static void attachment_free(struct attachment *a)
{
	struct manager *m = a->owner->m;

	sd_event_source_disable_unref(a->timer);
	if (m->domains)
		domains_drop(m->domains, a);
	if (m->inventory)
		inventory_forget(m->inventory, a);
	txn_free(a->txn);
	journal_free(a->journal);
	json_decref(a->verdicts);
	json_decref(a->residue);
	if (a->owned)
		workers_forget(m->workers, a);
	owned_free(a->owned);
	free(a);
}

/* The daemon ends; what is under way is decided about by the next one. */
static void attachment_cancel(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];
	int r = vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE,
			     "%s: vnetd is stopping; `vnetctl list` tells what became of it "
			     "when it is back",
			     attachment_id(a, id));

	attachment_reply(a, r, NULL, &err);
	attachment_free(a);
}

static void waiter_free(struct waiter *w)
{
	if (w->owner->m->domains)
		domains_drop(w->owner->m->domains, w);
	sd_event_source_disable_unref(w->timer);
	free(w);
}

static void waiter_refuse(struct waiter *w)
{
	const struct domains *d = w->owner->m->domains;
	struct vnet_err err = VNET_ERR_INIT;
	int r;

	if (w->rereads)
		r = vnet_err_set(&err, -EAGAIN, VNET_E_UNAVAILABLE,
				 "libvirt has not answered about guest %s for %d s: it may be "
				 "starting or stopping (virsh domstate %s): try again later",
				 w->request.guest, KNOWN_WAIT_SEC, w->request.guest);
	else if (domains_known(d) == DOMAINS_KNOWN || (w->owned && !w->owner->owned_reconciled))
		r = vnet_err_set(&err, -EAGAIN, VNET_E_UNAVAILABLE,
				 "vnetd was started just now and does not know yet what became of "
				 "what was under way before%s: try again later",
				 workers_of_old(w->owner->m->workers)
					 ? ": a worker of before has not come back from the kernel"
					 : "");
	else
		r = vnet_err_set(&err, -EAGAIN, VNET_E_UNAVAILABLE,
				 "reservations unknown: which VFs the guests hold cannot be read: "
				 "%s: start libvirtd (systemctl start libvirtd) and try again",
				 domains_why_unknown(d));
	w->reply(w->user, r, NULL, &err);
	waiter_free(w);
}

struct attachments *attachments_free(struct attachments *as)
{
	struct attachment *a;
	struct waiter *w;

	if (!as)
		return NULL;
	sd_event_source_disable_unref(as->old_workers);
	sd_event_source_disable_unref(as->releases);
	sd_event_source_disable_unref(as->owned_releases);
	hooks_free(as);
	while ((w = as->waiters)) {
		as->waiters = w->next;
		waiter_refuse(w);
	}
	while ((a = as->list)) {
		as->list = a->next;
		attachment_cancel(a);
	}
	if (as->m->inventory)
		inventory_forget(as->m->inventory, as);
	close_fd(as->dirfd);
	free(as);
	return NULL;
}

struct attachment *attachment_new(struct attachments *as, struct vnet_err *err)
{
	struct attachment **end = &as->list;
	struct attachment *a;

	if (as->n >= ATTACHMENTS_MAX) {
		vnet_err_set(err, -EDQUOT, VNET_E_LIMIT, "there are %d attachments already",
			     ATTACHMENTS_MAX);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		vnet_err_errno(err, -ENOMEM, "attachment");
		return NULL;
	}
	a->owner = as;
	a->where = IN_LIVE;
	a->v.vf_index = -1;
	while (*end)
		end = &(*end)->next;
	*end = a;
	as->n++;
	return a;
}

void attachment_file(const struct vnet_attachment *v, const char *suffix,
		     char buf[static ATTACHMENT_FILE_MAX])
{
	snprintf(buf, ATTACHMENT_FILE_MAX, "%s.%s%s", v->uuid, v->name, suffix);
}

const char *attachment_id(const struct attachment *a, char buf[static ATTACHMENT_ID_MAX])
{
	return model_attachment_id(&a->v, buf);
}

void attachment_drop(struct attachment *a)
{
	struct attachments *as = a->owner;
	char file[ATTACHMENT_FILE_MAX], id[ATTACHMENT_ID_MAX];

	attachment_file(&a->v, ".json", file);
	/* The journal first: a state file without one says that nothing is left. */
	if (a->journal)
		journal_remove(a->journal);
	if (unlinkat(as->dirfd, file, 0) < 0 && errno != ENOENT)
		log_msg(3, attachment_id(a, id), "cannot remove the state file %s: %m", file);
	log_debug(attachment_id(a, id), "gone");
	for (struct attachment **p = &as->list; *p; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			as->n--;
			break;
		}
	}
	attachment_free(a);
	hooks_look(as);
}

struct attachment *attachment_find(struct attachments *as, const char *guest, const char *name)
{
	for (struct attachment *a = as->list; a; a = a->next) {
		if ((strcmp(a->v.asked.guest, guest) == 0 || strcmp(a->v.uuid, guest) == 0) &&
		    strcmp(a->v.name, name) == 0)
			return a;
	}
	return NULL;
}

const struct vnet_attachment *attachments_holder(const struct attachments *as,
						 const struct pci_addr *pf, int vf_index)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (a->v.vf_index == vf_index && pci_addr_eq(&a->v.pf, pf))
			return &a->v;
	}
	return NULL;
}

const struct vnet_attachment *attachments_upon(const struct attachments *as,
					       const struct pci_addr *addr,
					       const struct vnet_attachment *self)
{
	char key[PCI_ADDR_STR];

	pci_addr_str(addr, key);
	for (const struct attachment *a = as->list; a; a = a->next) {
		const char *uplink = a->v.uplink;

		if (&a->v == self || a->v.pf.set)
			continue;
		if (strcmp(uplink, key) == 0 ||
		    (strncmp(uplink, "pci/", 4) == 0 && strcmp(uplink + 4, key) == 0))
			return &a->v;
	}
	return NULL;
}

const struct vnet_attachment *attachments_at(const struct attachments *as, size_t i)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (i-- == 0)
			return &a->v;
	}
	return NULL;
}

static int attachment_save(struct attachment *a, struct vnet_err *err)
{
	enum scope scope = a->where == IN_LIVE	   ? SCOPE_LIVE
			   : a->where == IN_CONFIG ? SCOPE_CONFIG
						   : SCOPE_AUTO;
	_cleanup_json_ json_t *j = json_pack("{s:i,s:o,s:s?,s:b}", "version", STATE_VERSION,
					     "attachment", model_attachment_to_json(&a->v), "scope",
					     scope == SCOPE_AUTO ? NULL : scope_str(scope), "hook",
					     a->by_hook);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	char file[ATTACHMENT_FILE_MAX];

	if (!text)
		return vnet_err_errno(err, -ENOMEM, "state file");
	attachment_file(&a->v, ".json", file);
	return file_replace_at(a->owner->dirfd, file, text, strlen(text), 0600, err);
}

/* The states that last until an administrator does something. */
static const char *state_event(enum attachment_state state, const char *reason)
{
	if (state == AT_STUCK)
		return MSG_ATTACHMENT_STUCK;
	/* With a reason: it was asked, and did not do it. */
	return state == AT_DETACHING && reason[0] ? MSG_GUEST_KEEPS_NIC : NULL;
}

int attachment_set_state(struct attachment *a, enum attachment_state state, const char *reason,
			 struct vnet_err *err)
{
	const char *event = state_event(state, reason);
	char id[ATTACHMENT_ID_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	log_event(event, event ? LOG_WARNING : LOG_INFO, attachment_id(a, id), "%s: %s -> %s%s%s",
		  id, attachment_state_str(a->v.state), attachment_state_str(state),
		  reason[0] ? ": " : "", reason);
	a->v.state = state;
	a->v.since_usec = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	snprintf(a->v.reason, sizeof(a->v.reason), "%s", reason);
	return attachment_save(a, err);
}

void attachment_enter(struct attachment *a, enum attachment_state state, const char *fmt, ...)
{
	struct vnet_err err = VNET_ERR_INIT;
	char reason[REASON_MAX], id[ATTACHMENT_ID_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	if (attachment_set_state(a, state, reason, &err) < 0)
		log_err(3, attachment_id(a, id), &err, "%s", id);
}

void attachment_reply(struct attachment *a, int r, json_t *result, struct vnet_err *err)
{
	reply_fn reply = take_ptr(a->reply);

	if (reply)
		reply(a->reply_user, r, result, err);
	else
		json_decref(result);
}

void attachment_timer(struct attachment *a, uint64_t msec, sd_event_time_handler_t handler)
{
	int r;

	a->timer = sd_event_source_disable_unref(a->timer);
	if (!handler)
		return;
	r = sd_event_add_time_relative(a->owner->m->event, &a->timer, CLOCK_MONOTONIC, msec * 1000,
				       0, handler, a);
	if (r < 0)
		log_warn(NULL, "no timer: %s", strerror(-r));
}

const struct guest *attachment_guest(const struct attachment *a)
{
	return domains_find(a->owner->m->domains, a->v.uuid);
}

void attachment_guest_nic(const struct attachment *a, struct guest_nic *ret)
{
	char text[OPTION_VALUE_MAX];

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", a->v.name);
	snprintf(ret->mode, sizeof(ret->mode), "%s", a->v.mode);
	snprintf(ret->pool, sizeof(ret->pool), "%s", a->v.pool);
	ret->mac = a->v.mac;
	ret->vlan = a->v.vlan;
	ret->pf = a->v.pf;
	ret->pf_mac = a->v.pf_mac;
	ret->vf_index = a->v.vf_index;
	ret->vf = a->v.vf;
	memcpy(ret->uplink, a->v.uplink, sizeof(ret->uplink));
	memcpy(ret->options, a->v.asked.options, sizeof(ret->options));
	ret->kind = a->v.kind;
	memcpy(ret->device, a->v.device, sizeof(ret->device));
	memcpy(ret->how, a->v.how, sizeof(ret->how));
	/* A number from now on: the guest's device is of that many, whatever its CPUs are. */
	if (options_get(ret->options, "queues", text, sizeof(text)) > 0 &&
	    strcmp(text, "auto") == 0 && options_get(ret->how, "queues", text, sizeof(text)) > 0)
		options_add(ret->options, "queues", text);
}

/* ---- waiting for the list of guests ---- */

static void waiter_take(struct waiter *w)
{
	for (struct waiter **p = &w->owner->waiters; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			return;
		}
	}
}

static int on_waiter_late(sd_event_source *s, uint64_t usec, void *user)
{
	struct waiter *w = user;

	(void)s;
	(void)usec;
	waiter_take(w);
	waiter_refuse(w);
	return 0;
}

static void waiter_reread(void *user, int r, struct vnet_err *err)
{
	struct waiter *w = user;

	(void)r; /* what is known of the guest has to do then */
	(void)err;
	waiter_take(w);
	w->go(w->owner->m, w);
	waiter_free(w);
}

/* A guest that is not in the table, or not running in it, may have come, or started, a
 * moment ago: events are on their way, and libvirt itself knows. A detach goes by what is
 * known: its own call to libvirt meets the guest as it is, and a start that comes meanwhile
 * has to find it under way, not waiting. */
static bool ask_first(struct domains *d, struct waiter *w)
{
	const struct guest *g = domains_find(d, w->request.guest);
	struct vnet_err err = VNET_ERR_INIT;

	if (!g)
		return domains_relist(d);
	w->rereads = !g->active && !w->detaches &&
		     domains_reread(d, g->uuid, waiter_reread, w, &err) == 0;
	return w->rereads;
}

/* What is known is enough for it. */
static bool may_go(const struct waiter *w)
{
	const struct attachments *as = w->owner;
	const struct domains *d = as->m->domains;
	bool known = domains_known(d) == DOMAINS_KNOWN && as->reconciled;

	if (!w->owned)
		return known;
	return as->owned_reconciled && (known || !w->guests || domains_absent(d));
}

static void when_known(struct attachments *as, struct waiter *w)
{
	struct domains *d = as->m->domains;
	bool ask = !w->owned || (w->guests && domains_known(d) == DOMAINS_KNOWN);

	w->owner = as;
	if (may_go(w) && !(ask && ask_first(d, w))) {
		w->go(as->m, w);
		waiter_free(w);
		return;
	}
	if (sd_event_add_time_relative(as->m->event, &w->timer, CLOCK_MONOTONIC,
				       KNOWN_WAIT_SEC * UINT64_C(1000000), 0, on_waiter_late,
				       w) < 0) {
		waiter_refuse(w);
		return;
	}
	w->next = as->waiters;
	as->waiters = w;
}

static void serve(struct manager *m, const struct vnet_request *r, const struct waiter *like,
		  waiter_fn go, reply_fn reply, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w) {
		reply(user, vnet_err_errno(&err, -ENOMEM, "serve a request"), NULL, &err);
		return;
	}
	*w = *like;
	w->go = go;
	w->request = *r;
	w->reply = reply;
	w->user = user;
	timing_begin(&w->timing);
	timing_switch(&w->timing, TIMING_LIBVIRT);
	when_known(m->attachments, w);
}

void attachments_serve(struct manager *m, const struct vnet_request *r, waiter_fn go,
		       reply_fn reply, void *user)
{
	serve(m, r, &(struct waiter){ 0 }, go, reply, user);
}

void attachments_serve_exec(struct manager *m, const struct vnet_request *r, bool guests,
			    waiter_fn go, reply_fn reply, void *user)
{
	serve(m, r, &(struct waiter){ .owned = true, .guests = guests }, go, reply, user);
}

void attachments_serve_detach(struct manager *m, const struct vnet_request *r, waiter_fn go,
			      reply_fn reply, void *user)
{
	serve(m, r, &(struct waiter){ .detaches = true }, go, reply, user);
}

void attachments_start(struct attachments *as)
{
	reconcile_owned(as);
}

void attachments_serve_waiting(struct attachments *as)
{
	struct waiter *w = as->waiters;

	/* From the first again: what one does may have others served, or refused. */
	while (w) {
		if (!may_go(w)) {
			w = w->next;
			continue;
		}
		waiter_take(w);
		w->go(as->m, w);
		waiter_free(w);
		w = as->waiters;
	}
}

void attachments_guests_known(struct attachments *as)
{
	/* Lost again meanwhile: the waiters' own timers say so. */
	if (reconcile_guests(as))
		attachments_serve_waiting(as);
}
