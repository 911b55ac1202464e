/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that have to wait, in the order in which they came: for libvirt's guests to be
 * known, for what a vnetd before had under way to be decided about, or, of a process that
 * took another's place, for the NIC of that other to be taken back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attachment.h"

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
	else if (owned_ending(w->owner, &w->request))
		r = vnet_err_set(&err, -EAGAIN, VNET_E_BUSY,
				 "attach %s: what a process of that name had, which has ended, is "
				 "still being taken back: vnetctl list says how far that is; try "
				 "again later, or choose another name",
				 w->request.guest);
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

void waiters_free(struct attachments *as)
{
	struct waiter *w;

	as->waiters_kick = sd_event_source_disable_unref(as->waiters_kick);
	while ((w = as->waiters)) {
		as->waiters = w->next;
		waiter_refuse(w);
	}
}

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
	return as->owned_reconciled && (known || !w->guests || domains_absent(d)) &&
	       !owned_ending(as, &w->request);
}

/* Those who waited for the forerunner of an exec alone, or all who may go now. */
static void serve_ready(struct attachments *as, bool behind_others)
{
	struct waiter *w = as->waiters;

	/* From the first again: what one does may have others served, or refused. */
	while (w) {
		if (!may_go(w) || (behind_others && (!w->owned || w->rereads))) {
			w = w->next;
			continue;
		}
		waiter_take(w);
		w->go(as->m, w);
		waiter_free(w);
		w = as->waiters;
	}
}

/* From the loop: whoever drops an attachment may be walking over them. */
static int on_kick(sd_event_source *s, void *user)
{
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	serve_ready(user, true);
	return 0;
}

static int add_kick(struct attachments *as)
{
	int r = sd_event_add_defer(as->m->event, &as->waiters_kick, on_kick, as);

	return r < 0 ? r : sd_event_source_set_enabled(as->waiters_kick, SD_EVENT_OFF);
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
	if ((!as->waiters_kick && add_kick(as) < 0) ||
	    sd_event_add_time_relative(as->m->event, &w->timer, CLOCK_MONOTONIC,
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

void waiters_look(struct attachments *as)
{
	if (as->waiters && as->waiters_kick)
		sd_event_source_set_enabled(as->waiters_kick, SD_EVENT_ONESHOT);
}

void attachments_serve_waiting(struct attachments *as)
{
	serve_ready(as, false);
}

void attachments_guests_known(struct attachments *as)
{
	/* Lost again meanwhile: the waiters' own timers say so. */
	if (reconcile_guests(as))
		attachments_serve_waiting(as);
}
