/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/domains-watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_MSEC 10000

static void note(struct watch *w, const char *what, const char *uuid, const char *alias)
{
	size_t len = strlen(w->log);

	snprintf(w->log + len, sizeof(w->log) - len, "%s%s%s%s%s ", what, uuid[0] ? ":" : "", uuid,
		 alias[0] ? ":" : "", alias);
}

static void on_known(void *user)
{
	note(user, "known", "", "");
}

static void on_lost(void *user)
{
	note(user, "lost", "", "");
}

static void on_changed(void *user, const char *uuid)
{
	note(user, "changed", uuid, "");
}

static void on_removed(void *user, const char *uuid, const char *alias)
{
	note(user, "removed", uuid, alias);
}

static void on_removal_failed(void *user, const char *uuid, const char *alias)
{
	note(user, "failed", uuid, alias);
}

static void on_stopped(void *user, const char *uuid)
{
	note(user, "stopped", uuid, "");
}

static const struct domains_events watch_events = {
	.known = on_known,
	.lost = on_lost,
	.absent = on_lost,
	.changed = on_changed,
	.device_removed = on_removed,
	.removal_failed = on_removal_failed,
	.guest_stopped = on_stopped,
};

struct watch *watch_new(const struct domains_backend *backend, const char *arg)
{
	struct watch *w = calloc(1, sizeof(*w));
	struct vnet_err err = VNET_ERR_INIT;

	assert_non_null(w);
	assert_true(sd_event_new(&w->event) >= 0);
	if (domains_new(&w->domains, w->event, backend, arg, &watch_events, w, &err) < 0)
		fail_msg("%s", err.text);
	return w;
}

void watch_free(struct watch *w)
{
	domains_free(w->domains);
	sd_event_unref(w->event);
	free(w);
}

static uint64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void watch_until(struct watch *w, const char *text)
{
	uint64_t end = now_msec() + PATIENCE_MSEC;

	while (!strstr(w->log, text)) {
		if (now_msec() > end)
			fail_msg("\"%s\" did not come, but: %s", text, w->log);
		sd_event_run(w->event, 20000);
	}
	strcpy(w->past, w->log);
	w->log[0] = '\0';
}

void watch_for(struct watch *w, unsigned msec)
{
	uint64_t end = now_msec() + msec;

	while (now_msec() < end)
		sd_event_run(w->event, 10000);
}

void watch_done(void *user, int r, struct vnet_err *err)
{
	struct watch *w = user;

	w->calls++;
	w->r = r;
	w->err = *err;
}

int watch_call(struct watch *w)
{
	uint64_t end = now_msec() + PATIENCE_MSEC;

	while (w->calls == 0) {
		if (now_msec() > end)
			fail_msg("no answer");
		sd_event_run(w->event, 20000);
	}
	w->calls = 0;
	return w->r;
}
