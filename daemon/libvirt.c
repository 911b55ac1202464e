/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * Three kinds of threads (libvirt-threads.h), none of them the main one: one runs
 * libvirt's event loop, for keepalive and events; one connects, waits until the
 * connection is lost, and connects again, for ever; the call threads borrow that
 * connection by reference. Events are only copied into the queue of reports.
 *
 * vnetd does not depend on libvirt, and starts nothing of it: but where systemd
 * listens for libvirtd, connecting starts it.
 */
#include <assert.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/domains.h"
#include "daemon/libvirt-calls.h"
#include "daemon/libvirt-threads.h"
#include "lib/cleanup.h"

#define URI_DEFAULT "qemu:///system"
#define KEEPALIVE_SEC 5
#define KEEPALIVE_COUNT 3
#define BACKOFF_MIN_SEC 1
#define BACKOFF_MAX_SEC 10
#define CALL_READ_SEC 30
#define CALL_CHANGE_SEC 60
#define EVENT_IDS_MAX 8

struct libvirt {
	struct threads *threads;
	char *uri;
	int wake; /* libvirt's timer that gets its event loop out of poll() */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* lost, closing */
	virConnectPtr conn;	/* while it serves */
	const char *lost;	/* why it does not any more */
	bool closing;
	bool events_end;
};

static void cleanup_conn(virConnectPtr *conn)
{
	if (*conn)
		virConnectClose(*conn);
}

#define _cleanup_conn_ _cleanup_(cleanup_conn)

/* ---- a call thread ---- */

static int borrow(struct libvirt *lv, virConnectPtr *ret, struct vnet_err *err)
{
	virConnectPtr conn;

	pthread_mutex_lock(&lv->lock);
	conn = lv->conn;
	if (conn)
		virConnectRef(conn);
	pthread_mutex_unlock(&lv->lock);
	if (!conn)
		return vnet_err_set(err, -ENOTCONN, VNET_E_UNAVAILABLE,
				    "libvirt: not connected to %s", lv->uri);
	*ret = conn;
	return 0;
}

static void call_act(void *user, struct call *c)
{
	_cleanup_conn_ virConnectPtr conn = NULL;

	if (c->op == DOM_READ)
		return;
	c->r = borrow(user, &conn, &c->err);
	if (c->r == 0)
		libvirt_act(conn, c);
}

/* After a change its outcome is what counts: then a failed read only brings no guest. */
static void call_read(void *user, struct call *c)
{
	_cleanup_conn_ virConnectPtr conn = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct guest *g;
	int r;

	if (c->op != DOM_READ && c->r < 0 && c->err.name == VNET_E_UNAVAILABLE)
		return;
	g = calloc(1, sizeof(*g));
	r = g ? borrow(user, &conn, &err) : vnet_err_errno(&err, -ENOMEM, "read guest %s", c->uuid);
	if (r == 0)
		r = libvirt_read(conn, c->uuid, g, &err);
	if (r == 0) {
		c->guests = g;
		c->n_guests = 1;
	} else {
		free(g);
	}
	if (c->op == DOM_READ) {
		c->r = r;
		c->err = err;
	}
}

/* ---- events: in the event thread ---- */

static void report(struct libvirt *lv, enum report_kind kind, virDomainPtr dom, const char *text)
{
	char uuid[VIR_UUID_STRING_BUFLEN];

	if (virDomainGetUUIDString(dom, uuid) == 0)
		threads_report(lv->threads, kind, uuid, text);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr dom, int event, int detail, void *user)
{
	(void)conn;
	(void)detail;
	report(user, event == VIR_DOMAIN_EVENT_STOPPED ? REPORT_STOPPED : REPORT_CHANGED, dom, "");
	return 0;
}

static void on_removed(virConnectPtr conn, virDomainPtr dom, const char *alias, void *user)
{
	(void)conn;
	report(user, REPORT_REMOVED, dom, alias);
}

static void on_removal_failed(virConnectPtr conn, virDomainPtr dom, const char *alias, void *user)
{
	(void)conn;
	report(user, REPORT_REMOVAL_FAILED, dom, alias);
}

static void on_added(virConnectPtr conn, virDomainPtr dom, const char *alias, void *user)
{
	(void)conn;
	(void)alias;
	report(user, REPORT_CHANGED, dom, "");
}

static void on_metadata(virConnectPtr conn, virDomainPtr dom, int type, const char *uri, void *user)
{
	(void)conn;
	(void)type;
	(void)uri;
	report(user, REPORT_CHANGED, dom, "");
}

static const struct {
	int id;
	virConnectDomainEventGenericCallback callback;
} events[] = {
	{ VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_removed) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, VIR_DOMAIN_EVENT_CALLBACK(on_removal_failed) },
	{ VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_added) },
	{ VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata) },
};

static void set_lost(struct libvirt *lv, const char *why)
{
	pthread_mutex_lock(&lv->lock);
	if (!lv->lost)
		lv->lost = why;
	pthread_cond_signal(&lv->changed);
	pthread_mutex_unlock(&lv->lock);
}

static void on_close(virConnectPtr conn, int reason, void *user)
{
	(void)conn;
	set_lost(user, reason == VIR_CONNECT_CLOSE_REASON_KEEPALIVE
			       ? "libvirt: libvirtd does not answer any more"
			       : "libvirt: libvirtd closed the connection");
}

static void on_wake(int timer, void *user)
{
	(void)user;
	virEventUpdateTimeout(timer, -1);
}

static void event_thread(void *user)
{
	struct libvirt *lv = user;
	bool end = false;

	while (!end) {
		if (virEventRunDefaultImpl() < 0)
			nanosleep(&(const struct timespec){ .tv_nsec = 100000000 }, NULL);
		pthread_mutex_lock(&lv->lock);
		end = lv->events_end;
		pthread_mutex_unlock(&lv->lock);
	}
}

/* ---- the connection: in its own thread ---- */

struct link {
	virConnectPtr conn;
	int event_ids[EVENT_IDS_MAX];
	size_t n;
};

static_assert(ARRAY_SIZE(events) <= EVENT_IDS_MAX, "room for the id of each event");

static void link_close(struct link *l)
{
	if (!l->conn)
		return;
	for (size_t i = 0; i < l->n; i++)
		virConnectDomainEventDeregisterAny(l->conn, l->event_ids[i]);
	virConnectUnregisterCloseCallback(l->conn, on_close);
	virConnectClose(l->conn);
	*l = (struct link){ 0 };
}

static int link_open(struct libvirt *lv, struct link *l, bool *ret_absent, struct vnet_err *err)
{
	*l = (struct link){ .conn = virConnectOpen(lv->uri) };
	*ret_absent = !l->conn && libvirt_is_absent();
	if (!l->conn)
		return libvirt_says(err, NULL, "connect to", lv->uri);
	if (virConnectRegisterCloseCallback(l->conn, on_close, lv, NULL) < 0)
		return libvirt_says(err, l->conn, "watch the connection to", lv->uri);
	/* Not every driver has it; its absence only means that a hang is seen later. */
	virConnectSetKeepAlive(l->conn, KEEPALIVE_SEC, KEEPALIVE_COUNT);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		int id = virConnectDomainEventRegisterAny(l->conn, NULL, events[i].id,
							  events[i].callback, lv, NULL);

		if (id < 0)
			return libvirt_says(err, l->conn, "watch the guests of", lv->uri);
		l->event_ids[l->n++] = id;
	}
	return 0;
}

/* Until @sec have passed or, where that is 0, until it is lost. True: the daemon goes. */
static bool wait_for(struct libvirt *lv, unsigned sec)
{
	struct timespec until;
	bool closing;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += sec;
	pthread_mutex_lock(&lv->lock);
	while (!lv->closing && (sec > 0 || !lv->lost)) {
		if (sec == 0)
			pthread_cond_wait(&lv->changed, &lv->lock);
		else if (pthread_cond_timedwait(&lv->changed, &lv->lock, &until) != 0)
			break;
	}
	closing = lv->closing;
	pthread_mutex_unlock(&lv->lock);
	return closing;
}

/* Returns why it was taken back. */
static const char *lend(struct libvirt *lv, virConnectPtr conn)
{
	const char *why;

	pthread_mutex_lock(&lv->lock);
	lv->conn = conn;
	why = lv->lost ? lv->lost : "libvirt: vnetd stops";
	if (!conn)
		lv->lost = NULL;
	pthread_mutex_unlock(&lv->lock);
	return why;
}

static void end_events(struct libvirt *lv)
{
	pthread_mutex_lock(&lv->lock);
	lv->events_end = true;
	pthread_mutex_unlock(&lv->lock);
	virEventUpdateTimeout(lv->wake, 0);
}

static void connect_thread(void *user)
{
	struct libvirt *lv = user;
	unsigned backoff = BACKOFF_MIN_SEC, wait;
	struct vnet_err err;
	struct link l;
	bool absent;

	do {
		wait = backoff;
		if (link_open(lv, &l, &absent, &err) == 0) {
			lend(lv, l.conn);
			threads_report(lv->threads, REPORT_CONNECTED, "", "");
			wait_for(lv, 0);
			threads_report(lv->threads, REPORT_DISCONNECTED, "", lend(lv, NULL));
			backoff = wait = BACKOFF_MIN_SEC;
		} else {
			threads_report(lv->threads, absent ? REPORT_ABSENT : REPORT_DISCONNECTED,
				       "", err.text);
			lend(lv, NULL);
			backoff = backoff * 2 > BACKOFF_MAX_SEC ? BACKOFF_MAX_SEC : backoff * 2;
		}
		link_close(&l);
	} while (!wait_for(lv, wait));
	end_events(lv);
}

/* ---- the back end ---- */

/* libvirt would write each error to stderr, also those that are answers. */
static void silent(void *user, virErrorPtr e)
{
	(void)user;
	(void)e;
}

static void destroy(void *user)
{
	struct libvirt *lv = user;

	if (lv->wake >= 0)
		virEventRemoveTimeout(lv->wake);
	pthread_cond_destroy(&lv->changed);
	pthread_mutex_destroy(&lv->lock);
	free(lv->uri);
	free(lv);
}

static const struct threads_ops thread_ops = {
	.read_sec = CALL_READ_SEC,
	.change_sec = CALL_CHANGE_SEC,
	.act = call_act,
	.read = call_read,
	.destroy = destroy,
};

static int start_threads(struct libvirt *lv, struct vnet_err *err)
{
	int r;

	lv->wake = virEventAddTimeout(-1, on_wake, NULL, NULL);
	if (lv->wake < 0)
		return libvirt_says(err, NULL, "start", "its event loop");
	r = threads_start(lv->threads, event_thread, err);
	if (r < 0)
		return r;
	r = threads_start(lv->threads, connect_thread, err);
	if (r < 0)
		end_events(lv);
	return r;
}

static int libvirt_open(void **ret, sd_event *event, const char *arg,
			const struct domains_sink *sink, struct vnet_err *err)
{
	struct libvirt *lv = calloc(1, sizeof(*lv));
	pthread_condattr_t monotonic;
	int r = -ENOMEM;

	if (!lv || !(lv->uri = strdup(arg ? arg : URI_DEFAULT))) {
		free(lv);
		return vnet_err_errno(err, r, "libvirt");
	}
	lv->wake = -1;
	pthread_mutex_init(&lv->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&lv->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = threads_new(&lv->threads, event, sink, &thread_ops, lv, err);
	if (r < 0) {
		destroy(lv);
		return r;
	}
	virSetErrorFunc(NULL, silent);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		r = libvirt_says(err, NULL, "start", "the library");
	if (r == 0)
		r = start_threads(lv, err);
	if (r < 0)
		threads_close(lv->threads);
	else
		*ret = lv;
	return r;
}

static void libvirt_submit(void *be, struct domains_request *req)
{
	struct libvirt *lv = be;

	threads_submit(lv->threads, req);
}

static void libvirt_close(void *be)
{
	struct libvirt *lv = be;

	pthread_mutex_lock(&lv->lock);
	lv->closing = true;
	pthread_cond_signal(&lv->changed);
	pthread_mutex_unlock(&lv->lock);
	threads_close(lv->threads);
}

const struct domains_backend domains_libvirt = {
	.name = "libvirt",
	.open = libvirt_open,
	.submit = libvirt_submit,
	.close = libvirt_close,
};
