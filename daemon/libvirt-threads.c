/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * struct threads is shared and counted: each thread holds a reference, the main
 * thread another; who drops the last one frees it. So a thread that hangs in libvirt
 * when the daemon stops costs nothing but itself.
 *
 * A call is in `queue` until a thread takes it, then in `running`; then it is the
 * payload of a report. A guest with a call in `running` gets no second one: the others
 * of it stay queued, in order. The main thread keeps its own list (`waiting`) of the
 * calls that are not answered, for their deadlines, and alone looks at call.req.
 *
 * Reports, those of events among them, are one queue under one lock. A thread reads a
 * guest and, still under the lock, queues the result only if no event was queued since
 * it began: so no result is older than an event that was delivered before it.
 */
#include "daemon/libvirt-threads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define READ_TRIES 5

struct report {
	struct report *next;
	enum report_kind kind;
	char uuid[UUID_STR];
	char *text;
	struct call *call;
};

struct threads {
	/* Set once, before there are threads. */
	const struct threads_ops *ops;
	void *user;
	int eventfd;

	pthread_mutex_t lock; /* of all up to the next empty line */
	pthread_cond_t work;  /* a call was queued or may go now, or closing */
	pthread_cond_t ended; /* a thread ended */
	unsigned refs;
	bool closing;
	bool lost; /* a report did not fit in memory */
	struct call *queue, *running;
	struct report *reports, **reports_end;
	uint64_t n_events;
	unsigned n_threads; /* that make calls, those left behind among them */
	unsigned n_idle;
	unsigned n_left; /* in a call that was answered without them */

	/* Of the main thread. */
	sd_event *event;
	struct domains_sink sink;
	sd_event_source *io, *timer;
	uint64_t armed; /* what the timer is set to */
	struct call *waiting;
	bool connected;
};

static void call_forget_guests(struct call *c)
{
	for (size_t i = 0; i < c->n_guests; i++)
		guest_done(&c->guests[i]);
	free(take_ptr(c->guests));
	c->n_guests = 0;
}

static void call_free(struct call *c)
{
	call_forget_guests(c);
	free(c->report);
	free(c);
}

static void report_free(struct report *r)
{
	if (r->call)
		call_free(r->call);
	free(r->text);
	free(r);
}

/* The caller holds the lock, which is free afterwards, and may be no more. */
static void unref_unlock(struct threads *t)
{
	struct report *r;
	struct call *c;

	if (--t->refs > 0) {
		pthread_cond_broadcast(&t->ended);
		pthread_mutex_unlock(&t->lock);
		return;
	}
	pthread_mutex_unlock(&t->lock);
	if (t->ops->destroy)
		t->ops->destroy(t->user);
	while ((r = t->reports)) {
		t->reports = r->next;
		report_free(r);
	}
	while ((c = t->queue)) {
		t->queue = c->next;
		call_free(c);
	}
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->ended);
	pthread_mutex_destroy(&t->lock);
	close_fd(t->eventfd);
	free(t);
}

/* ---- reports: any thread, the lock held ---- */

static void wake_main(struct threads *t)
{
	eventfd_write(t->eventfd, 1); /* fails only where it is readable already */
}

static void report_put(struct threads *t, struct report *r)
{
	r->next = NULL;
	*t->reports_end = r;
	t->reports_end = &r->next;
	wake_main(t);
}

void threads_report(struct threads *t, enum report_kind kind, const char *uuid, const char *text)
{
	struct report *r = calloc(1, sizeof(*r));

	if (r) {
		r->kind = kind;
		snprintf(r->uuid, sizeof(r->uuid), "%s", uuid);
		r->text = strdup(text);
	}
	if (r && !r->text) {
		free(r);
		r = NULL;
	}
	pthread_mutex_lock(&t->lock);
	t->n_events++;
	if (r) {
		report_put(t, r);
	} else {
		t->lost = true;
		wake_main(t);
	}
	pthread_mutex_unlock(&t->lock);
}

/* ---- call threads ---- */

static bool guest_is_busy(const struct threads *t, const char *uuid)
{
	for (const struct call *c = t->running; c; c = c->next) {
		if (strcmp(c->uuid, uuid) == 0)
			return true;
	}
	return false;
}

static void list_take(struct call **list, const struct call *c)
{
	while (*list && *list != c)
		list = &(*list)->next;
	if (*list)
		*list = c->next;
}

static struct call *call_next(struct threads *t)
{
	for (struct call *c = t->queue; c; c = c->next) {
		if (guest_is_busy(t, c->uuid))
			continue;
		list_take(&t->queue, c);
		c->running = true;
		c->next = t->running;
		t->running = c;
		return c;
	}
	return NULL;
}

/* Returns with the lock held, and the guest in *c not older than any report. */
static void call_make(struct threads *t, struct call *c)
{
	t->ops->act(t->user, c);
	for (int i = 0; i < READ_TRIES && c->op != DOM_READ_ALL; i++) {
		uint64_t seen;

		pthread_mutex_lock(&t->lock);
		seen = t->n_events;
		pthread_mutex_unlock(&t->lock);
		call_forget_guests(c);
		t->ops->read(t->user, c);
		pthread_mutex_lock(&t->lock);
		if (seen == t->n_events || i == READ_TRIES - 1)
			return;
		pthread_mutex_unlock(&t->lock);
	}
	pthread_mutex_lock(&t->lock);
}

static void serve(struct threads *t)
{
	pthread_mutex_lock(&t->lock);
	while (!t->closing) {
		struct call *c = call_next(t);

		if (!c) {
			t->n_idle++;
			pthread_cond_wait(&t->work, &t->lock);
			t->n_idle--;
			continue;
		}
		pthread_mutex_unlock(&t->lock);
		call_make(t, c);
		list_take(&t->running, c);
		c->report->kind = REPORT_CALL;
		c->report->call = c;
		report_put(t, take_ptr(c->report));
		if (t->queue) /* the next one of this guest may go now */
			pthread_cond_signal(&t->work);
	}
	t->n_threads--;
	unref_unlock(t);
}

static void *call_thread(void *arg)
{
	serve(arg);
	return NULL;
}

/* Detached, with all signals blocked: they are the main thread's. The reference is
 * the new thread's; on failure it is given back. */
static int start(struct threads *t, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t id;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&t->lock);
	t->refs++;
	pthread_mutex_unlock(&t->lock);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&id, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r != 0) {
		pthread_mutex_lock(&t->lock);
		t->refs--;
		pthread_mutex_unlock(&t->lock);
	}
	return -r;
}

struct other {
	struct threads *threads;
	void (*fn)(void *user);
};

static void *other_thread(void *arg)
{
	struct other o = *(struct other *)arg;

	free(arg);
	o.fn(o.threads->user);
	pthread_mutex_lock(&o.threads->lock);
	unref_unlock(o.threads);
	return NULL;
}

int threads_start(struct threads *t, void (*fn)(void *user), struct vnet_err *err)
{
	struct other *o = malloc(sizeof(*o));
	int r = -ENOMEM;

	if (o) {
		*o = (struct other){ .threads = t, .fn = fn };
		r = start(t, other_thread, o);
	}
	if (r < 0) {
		free(o);
		return vnet_err_errno(err, r, "start a thread for libvirt");
	}
	return 0;
}

/* ---- main thread: answering ---- */

static void waiting_put(struct threads *t, struct call *c)
{
	struct call **end = &t->waiting;

	while (*end)
		end = &(*end)->next_waiting;
	*end = c;
}

static struct domains_request *waiting_take(struct threads *t, struct call *c)
{
	struct call **p = &t->waiting;

	while (*p && *p != c)
		p = &(*p)->next_waiting;
	if (*p)
		*p = c->next_waiting;
	return take_ptr(c->req);
}

static void deliver_call(struct threads *t, struct call *c)
{
	if (c->req) {
		struct domains_request *req = waiting_take(t, c);

		req->r = c->r;
		req->err = c->err;
		req->guests = take_ptr(c->guests);
		req->n_guests = c->n_guests;
		c->n_guests = 0;
		t->sink.finished(t->sink.user, req);
	} else { /* answered when it was late: whatever it did is news */
		pthread_mutex_lock(&t->lock);
		t->n_left--;
		pthread_mutex_unlock(&t->lock);
		log_debug(c->uuid, "libvirt has answered a call after all");
		t->sink.event_changed(t->sink.user, c->uuid);
	}
}

static void deliver(struct threads *t, struct report *r)
{
	const struct domains_sink *sink = &t->sink;

	switch (r->kind) {
	case REPORT_CALL:
		deliver_call(t, r->call);
		return;
	case REPORT_CONNECTED:
		t->connected = true;
		sink->connected(sink->user);
		return;
	case REPORT_DISCONNECTED:
		t->connected = false;
		sink->disconnected(sink->user, r->text);
		return;
	case REPORT_ABSENT:
		t->connected = false;
		sink->absent(sink->user, r->text);
		return;
	case REPORT_CHANGED:
		sink->event_changed(sink->user, r->uuid);
		return;
	case REPORT_REMOVED:
		sink->event_removed(sink->user, r->uuid, r->text);
		return;
	case REPORT_REMOVAL_FAILED:
		sink->event_removal_failed(sink->user, r->uuid, r->text);
		return;
	case REPORT_STOPPED:
		sink->event_stopped(sink->user, r->uuid);
		return;
	}
}

static int on_reports(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	struct threads *t = user;
	struct report *list, *r;
	eventfd_t count;
	bool lost;

	(void)s;
	(void)revents;
	eventfd_read(fd, &count);
	pthread_mutex_lock(&t->lock);
	list = take_ptr(t->reports);
	t->reports_end = &t->reports;
	lost = t->lost;
	t->lost = false;
	pthread_mutex_unlock(&t->lock);
	while ((r = list)) {
		list = r->next;
		deliver(t, r);
		report_free(r);
	}
	if (lost && t->connected) {
		log_warn(NULL, "no memory for an event of libvirt: all guests are read again");
		t->sink.connected(t->sink.user);
	}
	return 0;
}

/* ---- main thread: deadlines ---- */

static int on_deadline(sd_event_source *s, uint64_t usec, void *user);

static void arm(struct threads *t)
{
	t->armed = UINT64_MAX;
	for (const struct call *c = t->waiting; c; c = c->next_waiting) {
		if (c->deadline < t->armed)
			t->armed = c->deadline;
	}
	t->timer = sd_event_source_disable_unref(t->timer);
	if (t->armed != UINT64_MAX && sd_event_add_time(t->event, &t->timer, CLOCK_MONOTONIC,
							t->armed, 100000, on_deadline, t) < 0)
		log_warn(NULL, "no timer for calls to libvirt");
}

static void call_is_late(struct threads *t, struct call *c)
{
	struct domains_request *req = waiting_take(t, c);
	bool begun;

	pthread_mutex_lock(&t->lock);
	begun = c->running; /* and still is when it has ended and is on its way here */
	if (begun)
		t->n_left++;
	else
		list_take(&t->queue, c);
	pthread_mutex_unlock(&t->lock);
	if (begun) {
		req->r = vnet_err_set(&req->err, -ETIMEDOUT, VNET_E_UNAVAILABLE,
				      "libvirt has not answered for guest %s in time", c->uuid);
	} else {
		req->r = vnet_err_set(&req->err, -EBUSY, VNET_E_BUSY,
				      "libvirt is still busy with an earlier call for guest %s",
				      c->uuid);
		call_free(c);
	}
	t->sink.finished(t->sink.user, req);
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *user)
{
	struct threads *t = user;
	struct call *c = t->waiting;
	uint64_t now = 0;

	(void)s;
	(void)usec;
	sd_event_now(t->event, CLOCK_MONOTONIC, &now);
	while (c) {
		if (c->deadline > now) {
			c = c->next_waiting;
			continue;
		}
		call_is_late(t, c);
		c = t->waiting; /* what was told may have asked anew */
	}
	arm(t);
	return 0;
}

/* ---- main thread: asking ---- */

static uint64_t deadline_of(const struct threads *t, enum domains_op op)
{
	uint64_t now = 0;

	/* Listing waits for as long as libvirt holds any guest; nothing hangs from it but
	 * the next listing. */
	if (op == DOM_READ_ALL)
		return UINT64_MAX;
	sd_event_now(t->event, CLOCK_MONOTONIC, &now);
	return now + (op == DOM_READ ? t->ops->read_sec : t->ops->change_sec) * UINT64_C(1000000);
}

static bool wants_thread(struct threads *t)
{
	unsigned queued = 0;
	bool wanted;

	pthread_mutex_lock(&t->lock);
	for (const struct call *c = t->queue; c; c = c->next)
		queued++;
	wanted = queued > t->n_idle && t->n_threads < CALL_THREADS + t->n_left &&
		 t->n_threads < CALL_THREADS_MAX;
	if (wanted)
		t->n_threads++;
	pthread_mutex_unlock(&t->lock);
	return wanted;
}

static void queue_put(struct threads *t, struct call *c)
{
	struct call **end = &t->queue;

	pthread_mutex_lock(&t->lock);
	while (*end)
		end = &(*end)->next;
	*end = c;
	pthread_cond_signal(&t->work);
	pthread_mutex_unlock(&t->lock);
}

void threads_submit(struct threads *t, struct domains_request *req)
{
	struct call *c = calloc(1, sizeof(*c));
	int r;

	if (!c || !(c->report = calloc(1, sizeof(*c->report)))) {
		free(c);
		req->r = vnet_err_errno(&req->err, -ENOMEM, "ask libvirt");
		t->sink.finished(t->sink.user, req);
		return;
	}
	c->op = req->op;
	memcpy(c->uuid, req->uuid, sizeof(c->uuid));
	c->where = req->where;
	c->nic = req->nic;
	c->req = req;
	c->deadline = deadline_of(t, c->op);
	waiting_put(t, c);
	if (c->deadline < t->armed)
		arm(t);
	queue_put(t, c);
	if (!wants_thread(t))
		return;
	r = start(t, call_thread, t);
	if (r == 0)
		return;
	/* It waits for another thread to take it, or for its deadline. */
	log_warn(NULL, "no thread for a call to libvirt: %s", strerrordesc_np(-r));
	pthread_mutex_lock(&t->lock);
	t->n_threads--;
	pthread_mutex_unlock(&t->lock);
}

/* ---- life ---- */

int threads_new(struct threads **ret, sd_event *event, const struct domains_sink *sink,
		const struct threads_ops *ops, void *user, struct vnet_err *err)
{
	struct threads *t = calloc(1, sizeof(*t));
	pthread_condattr_t monotonic;
	int r;

	if (!t)
		return vnet_err_errno(err, -ENOMEM, "the threads for libvirt");
	t->ops = ops;
	t->user = user;
	t->sink = *sink;
	t->refs = 1;
	t->armed = UINT64_MAX;
	t->reports_end = &t->reports;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	t->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = t->eventfd < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_io(event, &t->io, t->eventfd, EPOLLIN, on_reports, t);
	if (r < 0) {
		pthread_mutex_lock(&t->lock);
		t->ops = &(const struct threads_ops){ 0 }; /* @user stays the caller's */
		unref_unlock(t);
		return vnet_err_errno(err, r, "the threads for libvirt");
	}
	t->event = sd_event_ref(event);
	*ret = t;
	return 0;
}

void threads_close(struct threads *t)
{
	struct timespec until;

	t->io = sd_event_source_disable_unref(t->io);
	t->timer = sd_event_source_disable_unref(t->timer);
	t->event = sd_event_unref(t->event);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += THREADS_CLOSE_SEC;
	pthread_mutex_lock(&t->lock);
	t->closing = true;
	pthread_cond_broadcast(&t->work);
	while (t->refs > 1 && pthread_cond_timedwait(&t->ended, &t->lock, &until) == 0)
		;
	unref_unlock(t);
}
