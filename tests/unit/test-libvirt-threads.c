/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The call threads, with calls that sleep, hang or fail, and no libvirt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "daemon/libvirt-threads.h"

/* Shared by the test and its calls; freed by the last thread. */
struct script {
	struct threads *threads;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;     /* calls wait while it is set */
	int now, most; /* at once */
	int overlaps;  /* calls of one guest at once */
	int events;    /* to be reported from within reads */
	int reads;
	char running[64][UUID_STR];
	int *destroyed;
};

struct fixture {
	sd_event *event;
	struct threads *threads;
	struct script *script;
	char log[8192];
	int finished;
	int destroyed;
	uint64_t guests_seen;
};

static void act(void *user, struct call *c)
{
	struct script *s = user;
	int slot = -1;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < 64; i++) {
		if (strcmp(s->running[i], c->uuid) == 0)
			s->overlaps++;
		else if (slot < 0 && !s->running[i][0])
			slot = i;
	}
	strcpy(s->running[slot], c->uuid);
	if (++s->now > s->most)
		s->most = s->now;
	pthread_cond_broadcast(&s->changed);
	while (s->hold && c->op != DOM_FORGET)
		pthread_cond_wait(&s->changed, &s->lock);
	s->now--;
	s->running[slot][0] = '\0';
	pthread_mutex_unlock(&s->lock);
	c->r = c->op == DOM_DETACH ? -ENOENT : 0;
}

static void read_guest(void *user, struct call *c)
{
	struct script *s = user;
	bool event;

	c->guests = calloc(1, sizeof(*c->guests));
	assert_non_null(c->guests);
	c->n_guests = 1;
	strcpy(c->guests[0].uuid, c->uuid);
	pthread_mutex_lock(&s->lock);
	s->reads++;
	event = s->events > 0;
	s->events -= event;
	pthread_mutex_unlock(&s->lock);
	if (event)
		threads_report(s->threads, REPORT_REMOVED, c->uuid, "ua-vnetd-net0");
}

static void destroy(void *user)
{
	struct script *s = user;

	++*s->destroyed;
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct threads_ops patient = { 30, 30, act, read_guest, destroy };
static const struct threads_ops hasty = { 1, 1, act, read_guest, destroy };

static void note(struct fixture *f, const char *fmt, ...)
{
	size_t len = strlen(f->log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->log + len, sizeof(f->log) - len, fmt, ap);
	va_end(ap);
}

static void on_finished(void *user, struct domains_request *req)
{
	struct fixture *f = user;

	note(f, "%s=%d ", req->uuid, req->r);
	f->finished++;
	f->guests_seen += req->n_guests;
	for (size_t i = 0; i < req->n_guests; i++)
		guest_done(&req->guests[i]);
	free(req->guests);
	free(req);
}

static void on_changed(void *user, const char *uuid)
{
	note(user, "changed:%s ", uuid);
}

static void on_removed(void *user, const char *uuid, const char *alias)
{
	note(user, "removed:%s:%s ", uuid, alias);
}

static void on_connected(void *user)
{
	note(user, "connected ");
}

static void on_absent(void *user, const char *why)
{
	note(user, "absent:%s ", why);
}

static void on_disconnected(void *user, const char *why)
{
	note(user, "disconnected:%s ", why);
}

static struct fixture *fixture_new(const struct threads_ops *ops)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct vnet_err err = VNET_ERR_INIT;
	struct domains_sink sink = {
		.finished = on_finished,
		.event_changed = on_changed,
		.event_removed = on_removed,
		.connected = on_connected,
		.disconnected = on_disconnected,
		.absent = on_absent,
		.user = f,
	};

	assert_non_null(f);
	f->script = calloc(1, sizeof(*f->script));
	assert_non_null(f->script);
	pthread_mutex_init(&f->script->lock, NULL);
	pthread_cond_init(&f->script->changed, NULL);
	f->script->destroyed = &f->destroyed;
	assert_true(sd_event_new(&f->event) >= 0);
	assert_int_equal(threads_new(&f->threads, f->event, &sink, ops, f->script, &err), 0);
	f->script->threads = f->threads;
	return f;
}

static void fixture_free(struct fixture *f)
{
	threads_close(f->threads);
	assert_int_equal(f->destroyed, 1);
	sd_event_unref(f->event);
	free(f);
}

static void submit(struct fixture *f, enum domains_op op, const char *uuid)
{
	struct domains_request *req = calloc(1, sizeof(*req));

	assert_non_null(req);
	req->op = op;
	strcpy(req->uuid, uuid);
	threads_submit(f->threads, req);
}

static void run_until(struct fixture *f, int finished)
{
	for (int i = 0; i < 1000 && f->finished < finished; i++)
		sd_event_run(f->event, 10000);
	assert_int_equal(f->finished, finished);
}

static void hold(struct fixture *f, bool on)
{
	pthread_mutex_lock(&f->script->lock);
	f->script->hold = on;
	pthread_cond_broadcast(&f->script->changed);
	pthread_mutex_unlock(&f->script->lock);
}

static void wait_begun(struct fixture *f, int n)
{
	pthread_mutex_lock(&f->script->lock);
	while (f->script->now < n)
		pthread_cond_wait(&f->script->changed, &f->script->lock);
	pthread_mutex_unlock(&f->script->lock);
}

static void test_one_call_a_guest_in_order(void **state)
{
	struct fixture *f = fixture_new(&patient);

	(void)state;
	submit(f, DOM_ATTACH, "a");
	submit(f, DOM_DETACH, "a");
	submit(f, DOM_READ, "a");
	run_until(f, 3);
	assert_string_equal(f->log, "a=0 a=-2 a=0 ");
	assert_int_equal(f->guests_seen, 3);
	assert_int_equal(f->script->overlaps, 0);
	fixture_free(f);
}

static void test_many_guests_few_threads(void **state)
{
	struct fixture *f = fixture_new(&patient);
	char uuid[16];

	(void)state;
	hold(f, true);
	for (int i = 0; i < 200; i++) {
		snprintf(uuid, sizeof(uuid), "g%d", i % 50);
		submit(f, DOM_READ, uuid);
	}
	wait_begun(f, CALL_THREADS);
	hold(f, false);
	run_until(f, 200);
	assert_int_equal(f->script->most, CALL_THREADS);
	assert_int_equal(f->script->overlaps, 0);
	fixture_free(f);
}

static void test_a_hung_guest_holds_up_itself(void **state)
{
	struct fixture *f = fixture_new(&hasty);

	(void)state;
	hold(f, true);
	submit(f, DOM_ATTACH, "a");
	wait_begun(f, 1);
	submit(f, DOM_FORGET, "b"); /* does not wait for the script's hold */
	run_until(f, 1);
	submit(f, DOM_DETACH, "a");
	run_until(f, 3);
	/* Nobody knows of the first; the second was never begun. */
	assert_string_equal(f->log, "b=0 a=-110 a=-16 ");
	hold(f, false); /* when it comes back after all, that is news */
	for (int i = 0; i < 500 && !strstr(f->log, "changed:a"); i++)
		sd_event_run(f->event, 10000);
	assert_string_equal(f->log, "b=0 a=-110 a=-16 changed:a ");
	submit(f, DOM_READ, "a");
	run_until(f, 4);
	fixture_free(f);
}

/* More guests hang than there are threads: others are served all the same. */
static void test_hung_threads_are_replaced(void **state)
{
	struct fixture *f = fixture_new(&hasty);
	char uuid[16];

	(void)state;
	hold(f, true);
	for (int i = 0; i < CALL_THREADS; i++) {
		snprintf(uuid, sizeof(uuid), "g%d", i);
		submit(f, DOM_ATTACH, uuid);
	}
	wait_begun(f, CALL_THREADS);
	run_until(f, CALL_THREADS);
	submit(f, DOM_FORGET, "b");
	run_until(f, CALL_THREADS + 1);
	assert_non_null(strstr(f->log, "b=0"));
	hold(f, false);
	fixture_free(f);
}

/* The guest that comes with a call was read after all events told before it. */
static void test_no_guest_older_than_its_events(void **state)
{
	struct fixture *f = fixture_new(&patient);

	(void)state;
	f->script->events = 2;
	submit(f, DOM_READ, "a");
	run_until(f, 1);
	assert_string_equal(f->log, "removed:a:ua-vnetd-net0 removed:a:ua-vnetd-net0 a=0 ");
	assert_int_equal(f->script->reads, 3);
	assert_int_equal(f->guests_seen, 1);
	fixture_free(f);
}

static void test_reports(void **state)
{
	struct fixture *f = fixture_new(&patient);

	(void)state;
	threads_report(f->threads, REPORT_CONNECTED, "", "");
	threads_report(f->threads, REPORT_CHANGED, "a", "");
	threads_report(f->threads, REPORT_DISCONNECTED, "", "gone");
	threads_report(f->threads, REPORT_ABSENT, "", "none");
	for (int i = 0; i < 3; i++)
		sd_event_run(f->event, 10000);
	assert_string_equal(f->log, "connected changed:a disconnected:gone absent:none ");
	threads_report(f->threads, REPORT_CHANGED, "b", ""); /* freed unread */
	fixture_free(f);
}

/* The daemon can always stop; the thread that hangs frees the rest when it ends. */
static void test_close_waits_for_nobody(void **state)
{
	struct fixture *f = fixture_new(&patient);
	struct domains_request *begun = calloc(1, sizeof(*begun)),
			       *queued = calloc(1, sizeof(*queued));
	struct timespec before, after;

	(void)state;
	assert_true(begun && queued);
	hold(f, true);
	begun->op = queued->op = DOM_ATTACH;
	strcpy(begun->uuid, "a");
	strcpy(queued->uuid, "a");
	threads_submit(f->threads, begun);
	threads_submit(f->threads, queued);
	wait_begun(f, 1);
	clock_gettime(CLOCK_MONOTONIC, &before);
	threads_close(f->threads);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true(after.tv_sec - before.tv_sec <= THREADS_CLOSE_SEC + 5);
	assert_int_equal(f->finished, 0);
	free(begun); /* they are the caller's again */
	free(queued);
	hold(f, false);
	usleep(300000);
	sd_event_unref(f->event);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_call_a_guest_in_order),
		cmocka_unit_test(test_many_guests_few_threads),
		cmocka_unit_test(test_a_hung_guest_holds_up_itself),
		cmocka_unit_test(test_hung_threads_are_replaced),
		cmocka_unit_test(test_no_guest_older_than_its_events),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_close_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
