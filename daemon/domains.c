/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * The table of guests is made of reads of single guests. A back end that connects is
 * asked for the list, which brings names and UUIDs alone; then every guest, those
 * of the old list too, is read by itself, many at once. "Known" is said when all
 * have answered, or when none has for READ_STALL_MS: a guest that hangs stays in the
 * table as it was (or as unread) and is taken in whenever it answers.
 *
 * An event marks a guest for another read: one of ours at a time per guest, and one
 * more (again) when something happened since it was sent. What the event itself says
 * (gone, without that device) is true in the table before anybody is told.
 *
 * A hook tells of a guest's start and end before libvirt's events do: what was asked
 * before it is stale then, and asked again.
 *
 * A request stays in the list until its done was called, so that domains_drop() can
 * silence it at any time, also from within another one's done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/domains-priv.h"
#include "daemon/messages.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define READ_STALL_MS 3000
#define RELIST_MS 1000

/* ---- requests ---- */

static void request_free(struct domains_request *req)
{
	for (size_t i = 0; i < req->n_guests; i++)
		guest_done(&req->guests[i]);
	free(req->guests);
	free(req);
}

static struct domains_request *request_new(struct domains *d, enum domains_op op, const char *uuid,
					   struct vnet_err *err)
{
	struct domains_request *req = calloc(1, sizeof(*req));

	if (!req) {
		vnet_err_errno(err, -ENOMEM, "ask about guest %s", uuid);
		return NULL;
	}
	req->op = op;
	snprintf(req->uuid, sizeof(req->uuid), "%s", uuid);
	req->next = d->requests;
	d->requests = req;
	return req;
}

static void request_unlink(struct domains *d, struct domains_request *req)
{
	struct domains_request **p = &d->requests;

	while (*p && *p != req)
		p = &(*p)->next;
	if (*p)
		*p = req->next;
}

static int ask(struct domains *d, enum domains_op op, const char *uuid, enum domains_where where,
	       const struct guest_nic *nic, domains_done_fn done, void *user, struct vnet_err *err)
{
	struct domains_request *req;

	if (!d->connected)
		return vnet_err_set(err, -ENOTCONN, VNET_E_UNAVAILABLE, "%s",
				    domains_why_unknown(d));
	req = request_new(d, op, uuid, err);
	if (!req)
		return -ENOMEM;
	req->where = where;
	req->nic = *nic;
	req->done = done;
	req->user = user;
	d->backend->submit(d->be, req);
	return 0;
}

static int ask_named(struct domains *d, enum domains_op op, const char *uuid,
		     enum domains_where where, const char *nic_name, domains_done_fn done,
		     void *user, struct vnet_err *err)
{
	struct guest_nic nic = { .vf_index = -1 };

	snprintf(nic.name, sizeof(nic.name), "%s", nic_name);
	return ask(d, op, uuid, where, &nic, done, user, err);
}

int domains_attach(struct domains *d, const char *uuid, enum domains_where where,
		   const struct guest_nic *nic, domains_done_fn done, void *user,
		   struct vnet_err *err)
{
	return ask(d, DOM_ATTACH, uuid, where, nic, done, user, err);
}

int domains_detach(struct domains *d, const char *uuid, enum domains_where where,
		   const char *nic_name, domains_done_fn done, void *user, struct vnet_err *err)
{
	return ask_named(d, DOM_DETACH, uuid, where, nic_name, done, user, err);
}

int domains_forget(struct domains *d, const char *uuid, const char *nic_name, domains_done_fn done,
		   void *user, struct vnet_err *err)
{
	return ask_named(d, DOM_FORGET, uuid, IN_LIVE | IN_CONFIG, nic_name, done, user, err);
}

int domains_reread(struct domains *d, const char *uuid, domains_done_fn done, void *user,
		   struct vnet_err *err)
{
	return ask_named(d, DOM_READ, uuid, IN_LIVE | IN_CONFIG, "", done, user, err);
}

void domains_drop(struct domains *d, void *user)
{
	for (struct domains_request *req = d->requests; req; req = req->next) {
		if (req->user == user)
			req->done = NULL;
	}
}

/* ---- reads of our own ---- */

static void own_read(struct domains *d, const char *uuid, bool of_list)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct domains_request *req;

	if (!d->connected)
		return; /* all are read when it is back */
	for (req = d->requests; req; req = req->next) {
		if (!req->own || strcmp(req->uuid, uuid) != 0)
			continue;
		req->again = true;
		req->of_list |= of_list;
		return;
	}
	req = request_new(d, DOM_READ, uuid, &err);
	if (!req) {
		log_err(3, uuid, &err, "guest is not read again");
		return;
	}
	req->own = true;
	req->of_list = of_list;
	d->backend->submit(d->be, req);
}

/* ---- the list ---- */

static int on_list_timer(sd_event_source *s, uint64_t usec, void *user);

static void list_timer(struct domains *d, unsigned msec)
{
	int r;

	d->timer = sd_event_source_disable_unref(d->timer);
	if (msec == 0)
		return;
	r = sd_event_add_time_relative(d->event, &d->timer, CLOCK_MONOTONIC, msec * UINT64_C(1000),
				       0, on_list_timer, d);
	if (r < 0)
		log_warn(NULL, "no timer for the list of guests: %s", strerrordesc_np(-r));
}

static void list_start(struct domains *d)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct domains_request *req;

	list_timer(d, 0);
	d->list_again = d->list_broken = false;
	req = request_new(d, DOM_READ_ALL, "", &err);
	if (!req) {
		d->list = LIST_RETRY;
		list_timer(d, RELIST_MS);
		return;
	}
	d->list = LIST_ASKED;
	d->backend->submit(d->be, req);
}

bool domains_relist(struct domains *d)
{
	if (!d->connected)
		return false;
	if (d->list == LIST_IDLE)
		list_start(d);
	else if (d->list == LIST_ASKED)
		d->list_again = true; /* what is on its way may be from before */
	return true;
}

static void list_retry(struct domains *d, const struct vnet_err *err)
{
	d->list = LIST_IDLE;
	if (!d->connected)
		return; /* asked for anew by connected() */
	snprintf(d->why, sizeof(d->why), "%s", err->text);
	d->list = LIST_RETRY;
	list_timer(d, RELIST_MS);
}

static void list_end(struct domains *d)
{
	size_t unread = 0;

	for (struct domains_request *req = d->requests; req; req = req->next)
		req->of_list = false;
	for (size_t i = 0; i < d->n_guests; i++)
		unread += d->guests[i].unread;
	list_timer(d, 0);
	d->list = LIST_IDLE;
	d->known = DOMAINS_KNOWN;
	d->why[0] = '\0';
	log_debug(NULL, "%zu guests, %zu of them not read yet", d->n_guests, unread);
	d->events.known(d->user);
}

/* One of them was answered, or was not there to be asked. */
static void list_progress(struct domains *d)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (d->list != LIST_READING)
		return;
	for (struct domains_request *req = d->requests; req; req = req->next) {
		if (req->of_list) {
			list_timer(d, READ_STALL_MS);
			return;
		}
	}
	if (d->list_broken) {
		vnet_err_set(&err, -ECONNRESET, VNET_E_UNAVAILABLE,
			     "libvirt: the connection was lost");
		list_retry(d, &err);
	} else {
		list_end(d);
	}
}

static int on_list_timer(sd_event_source *s, uint64_t usec, void *user)
{
	struct domains *d = user;

	(void)s;
	(void)usec;
	if (d->list == LIST_RETRY)
		list_start(d);
	else if (d->list == LIST_READING)
		list_end(d);
	return 0;
}

static void list_finished(struct domains *d, struct domains_request *req)
{
	int r = req->r;

	if (d->list_again) {
		list_start(d);
		return;
	}
	for (size_t i = 0; r == 0 && i < req->n_guests; i++) {
		req->guests[i].unread = true;
		if (!table_find(d, req->guests[i].uuid))
			r = table_put(d, &req->guests[i], &req->err);
	}
	if (r < 0) {
		list_retry(d, &req->err);
		return;
	}
	/* Held back until all are asked: a back end may answer at once. */
	d->list = LIST_ASKED;
	for (size_t i = d->n_guests; i-- > 0;) {
		char uuid[UUID_STR];

		if (i >= d->n_guests)
			continue;
		memcpy(uuid, d->guests[i].uuid, sizeof(uuid));
		own_read(d, uuid, true);
	}
	d->list = LIST_READING;
	list_progress(d);
}

/* ---- what the back end reports ---- */

static void sink_connected(void *user)
{
	struct domains *d = user;

	d->connected = true;
	d->absent = false;
	snprintf(d->why, sizeof(d->why), "%s: the guests are being read", d->backend->name);
	if (d->list == LIST_ASKED)
		d->list_again = true;
	else
		list_start(d);
}

static void disconnected(struct domains *d, const char *why)
{
	bool was = d->connected;

	d->connected = false;
	if (!was && strcmp(why, d->why) != 0)
		log_event(MSG_LIBVIRT_UNREACHABLE, 4, NULL, "%s; trying again", why);
	snprintf(d->why, sizeof(d->why), "%s", why);
	if (d->known == DOMAINS_KNOWN)
		d->known = DOMAINS_STALE;
	for (struct domains_request *req = d->requests; req; req = req->next)
		req->of_list = false;
	if (d->list != LIST_ASKED) {
		d->list = LIST_IDLE;
		list_timer(d, 0);
	}
	if (was)
		d->events.lost(d->user);
}

static void sink_disconnected(void *user, const char *why)
{
	struct domains *d = user;

	d->absent = false;
	disconnected(d, why);
}

static void sink_absent(void *user, const char *why)
{
	struct domains *d = user;
	bool was = d->absent;

	d->absent = true;
	disconnected(d, why);
	if (!was)
		d->events.absent(d->user);
}

/* What became of the table by a read of one guest. */
struct outcome {
	bool changed, stopped;
	char uuid[UUID_STR];
};

static struct outcome take_in(struct domains *d, struct domains_request *req)
{
	const struct guest *old = table_find(d, req->uuid);
	bool was_active = old && old->active && !old->unread;
	bool starting = old && old->starting;
	struct outcome o = { 0 };

	memcpy(o.uuid, req->uuid, sizeof(o.uuid));
	if (req->n_guests > 0) {
		bool active = req->guests[0].active;

		req->guests[0].starting = starting && !active;
		if (table_put(d, &req->guests[0], &req->err) < 0) {
			log_err(3, req->uuid, &req->err, "guest is not up to date");
			return o;
		}
		o.changed = true;
		o.stopped = was_active && !active;
	} else if (req->op == DOM_READ && req->r == -ENOENT && old) {
		table_remove(d, req->uuid);
		o.changed = true;
		o.stopped = was_active;
	}
	return o;
}

static void own_finished(struct domains *d, const struct domains_request *req)
{
	bool lost = req->err.name == VNET_E_UNAVAILABLE && req->r != -ETIMEDOUT;
	const struct guest *g = table_find(d, req->uuid);

	if (req->again)
		own_read(d, req->uuid, req->of_list);
	else if (req->r < 0 && lost && req->of_list)
		d->list_broken = true;
	else if (req->r < 0 && lost && d->connected && d->list == LIST_IDLE)
		list_retry(d, &req->err);
	else if (req->r < 0 && !lost && req->r != -ENOENT && g)
		log_err(4, g->name, &req->err, "guest %s cannot be read", g->name);
	if (req->of_list)
		list_progress(d);
}

/* What a read of before the hook says is of the guest's last life. */
static void ask_again(struct domains *d, struct domains_request *req)
{
	for (size_t i = 0; i < req->n_guests; i++)
		guest_done(&req->guests[i]);
	free(take_ptr(req->guests));
	req->n_guests = 0;
	req->err = VNET_ERR_INIT;
	req->r = 0;
	req->stale = false;
	d->backend->submit(d->be, req);
}

static void sink_finished(void *user, struct domains_request *req)
{
	struct domains *d = user;
	struct outcome o = { 0 };
	domains_done_fn done;

	if (req->stale && req->op == DOM_READ && d->connected) {
		ask_again(d, req);
		return;
	}
	if (req->op != DOM_READ_ALL && !req->stale)
		o = take_in(d, req);
	else if (req->stale)
		own_read(d, req->uuid, false);
	done = req->done;
	req->done = NULL;
	if (done)
		done(req->user, req->r, &req->err);
	request_unlink(d, req);
	if (o.stopped)
		d->events.guest_stopped(d->user, o.uuid);
	if (o.changed)
		d->events.changed(d->user, o.uuid);
	if (req->op == DOM_READ_ALL)
		list_finished(d, req);
	else if (req->own)
		own_finished(d, req);
	request_free(req);
}

static void sink_changed(void *user, const char *uuid)
{
	own_read(user, uuid, false);
}

static void sink_removed(void *user, const char *uuid, const char *alias)
{
	struct domains *d = user;
	struct guest *g = table_find(d, uuid);

	if (g)
		guest_without(g, alias);
	d->events.device_removed(d->user, uuid, alias);
	own_read(d, uuid, false);
}

static void sink_removal_failed(void *user, const char *uuid, const char *alias)
{
	struct domains *d = user;

	d->events.removal_failed(d->user, uuid, alias);
}

static void sink_stopped(void *user, const char *uuid)
{
	struct domains *d = user;
	const struct guest *g = table_find(d, uuid);

	/* The end of its last life, told late: what is true now, a read tells. */
	if (!g || !g->starting) {
		table_off(d, uuid);
		d->events.guest_stopped(d->user, uuid);
	}
	own_read(d, uuid, false);
}

/* ---- what the hook tells ---- */

static void make_stale(struct domains *d, const char *uuid)
{
	for (struct domains_request *req = d->requests; req; req = req->next) {
		if (req->op != DOM_READ_ALL && strcasecmp(req->uuid, uuid) == 0)
			req->stale = true;
	}
}

void domains_hook_starting(struct domains *d, const char *uuid)
{
	struct guest *g = table_find(d, uuid);

	make_stale(d, uuid);
	table_off(d, uuid);
	if (g)
		g->starting = true;
}

void domains_hook_off(struct domains *d, const char *uuid)
{
	make_stale(d, uuid);
	table_off(d, uuid);
}

/* ---- life ---- */

enum domains_known domains_known(const struct domains *d)
{
	return d->known;
}

bool domains_absent(const struct domains *d)
{
	return d->absent;
}

const char *domains_why_unknown(const struct domains *d)
{
	return d->why;
}

int domains_new(struct domains **ret, sd_event *event, const struct domains_backend *backend,
		const char *arg, const struct domains_events *events, void *user,
		struct vnet_err *err)
{
	struct domains *d = calloc(1, sizeof(*d));
	struct domains_sink sink = {
		.connected = sink_connected,
		.disconnected = sink_disconnected,
		.absent = sink_absent,
		.finished = sink_finished,
		.event_changed = sink_changed,
		.event_removed = sink_removed,
		.event_removal_failed = sink_removal_failed,
		.event_stopped = sink_stopped,
		.user = d,
	};
	int r;

	if (!d)
		return vnet_err_errno(err, -ENOMEM, "the table of guests");
	domain_xml_init();
	d->event = sd_event_ref(event);
	d->backend = backend;
	d->events = *events;
	d->user = user;
	snprintf(d->why, sizeof(d->why), "%s: not connected yet", backend->name);
	r = backend->open(&d->be, event, arg, &sink, err);
	if (r < 0) {
		domains_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

struct domains *domains_free(struct domains *d)
{
	struct domains_request *req;

	if (!d)
		return NULL;
	if (d->be)
		d->backend->close(d->be);
	while ((req = d->requests)) {
		d->requests = req->next;
		request_free(req);
	}
	for (size_t i = 0; i < d->n_guests; i++)
		guest_done(&d->guests[i]);
	free(d->guests);
	sd_event_source_disable_unref(d->timer);
	sd_event_unref(d->event);
	free(d);
	return NULL;
}
