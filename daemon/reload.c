/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/config.h"
#include "daemon/hook.h"
#include "daemon/manager.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "lib/json.h"
#include "lib/log.h"

struct reload {
	struct manager *m;
	bool runs, again;
	reply_fn reply; /* NULL: nobody but the log hears of it */
	void *user;
	json_t *changed;
	sd_event_source *kick; /* begins one that was signalled */
};

/* ---- what changed ---- */

static void all_values(const struct config_key *k, const void *obj, char *ret, size_t size)
{
	char value[CONFIG_VALUE_MAX];
	size_t n = 0;

	ret[0] = '\0';
	for (size_t i = 0; k->print(k, obj, i, value) && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, "%s%s", i ? " " : "", value);
}

static void compare(json_t *changed, enum config_section section, const char *what, const void *was,
		    const void *is)
{
	char before[1024], after[1024];
	const struct config_key *k;

	for (size_t i = 0; (k = config_key_at(i)); i++) {
		if (k->section != section)
			continue;
		all_values(k, was, before, sizeof(before));
		all_values(k, is, after, sizeof(after));
		if (strcmp(before, after) != 0)
			json_array_append_new(changed, json_sprintf("%s: %s: %s -> %s", what,
								    k->name, before, after));
	}
}

static void compare_all(json_t *changed, const struct config *was, const struct config *is)
{
	char what[POOL_NAME_MAX + 8];

	compare(changed, CONFIG_VNETD, "vnetd", was, is);
	for (size_t i = 0; i < is->n_pools; i++) {
		const struct config_pool *p = &is->pools[i], *old = config_pool_find(was, p->name);

		snprintf(what, sizeof(what), "pool %s", p->name);
		if (old)
			compare(changed, CONFIG_POOL, what, old, p);
		else
			json_array_append_new(changed, json_sprintf("%s: new", what));
		if (old && old->disabled != p->disabled)
			json_array_append_new(changed,
					      json_sprintf("%s: %s", what,
							   p->disabled ? "disabled" : "enabled"));
	}
	for (size_t i = 0; i < was->n_pools; i++) {
		if (!config_pool_find(is, was->pools[i].name))
			json_array_append_new(changed,
					      json_sprintf("pool %s: gone", was->pools[i].name));
	}
}

/* ---- what is wrong ---- */

static void add_problem(json_t *problems, const struct config_place *at, const char *pool,
			const char *text)
{
	json_t *j = json_object();

	json_put_str(j, "file", at ? at->file : NULL);
	json_put_int_or_null(j, "line", at ? at->line : 0, at && at->line > 0);
	json_put_str(j, "pool", pool);
	json_put_str(j, "text", text);
	json_array_append_new(problems, j);
}

static json_t *problems_json(const struct manager *m)
{
	json_t *problems = json_array();
	const struct config *c = m->conf;
	const struct config_pool *cp;
	const struct pool *pool;

	for (size_t i = 0; i < c->n_errors; i++)
		add_problem(problems, &c->errors[i].at, c->errors[i].pool, c->errors[i].text);
	/* And what the host says to it; that text has its line where one is meant. */
	for (size_t i = 0; (pool = pools_at(m->pools, i)); i++) {
		cp = config_pool_find(c, pool->name);
		if (pool->configured && pool->problem[0] && cp && !cp->disabled)
			add_problem(problems, NULL, pool->name, pool->problem);
	}
	return problems;
}

static json_t *waiting_json(const struct manager *m)
{
	json_t *waiting = json_array();
	const struct pool *pool;

	for (size_t i = 0; (pool = pools_at(m->pools, i)); i++)
		pool_waiting(m, pool, waiting);
	return waiting;
}

/* ---- running ---- */

static void log_texts(const json_t *texts, const char *what)
{
	const json_t *t;
	size_t i;

	json_array_foreach (texts, i, t)
		log_info(NULL, "reload: %s%s", what, json_string_value(t));
}

static void reload_end(struct reload *rl, int r, json_t *result, struct vnet_err *err)
{
	reply_fn reply = take_ptr(rl->reply);

	rl->runs = false;
	json_decref(take_ptr(rl->changed));
	sd_notify(0, "READY=1");
	if (r < 0)
		log_err(LOG_ERR, NULL, err, "the configuration stays as it was");
	if (reply)
		reply(rl->user, r, result, err);
	else
		json_decref(result);
	if (rl->again)
		sd_event_source_set_enabled(rl->kick, SD_EVENT_ONESHOT);
}

static void reload_passed(void *user)
{
	struct reload *rl = user;
	struct manager *m = rl->m;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *result = json_object(), *waiting = waiting_json(m);

	json_array_extend(rl->changed, (json_t *)pool_start_made(m->start));
	log_texts(rl->changed, "");
	log_texts(waiting, "");
	log_info(NULL, "the configuration was read anew: %zu changes, %zu have to wait",
		 json_array_size(rl->changed), json_array_size(waiting));
	json_put(result, "changed", json_incref(rl->changed));
	json_put(result, "waiting", waiting);
	json_put(result, "problems", problems_json(m));
	reload_end(rl, 0, result, &err);
}

/* systemd waits for READY=1 before its `reload` is done. */
static void tell_systemd(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
		   (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

static const struct config_error *unreadable(const struct config *c)
{
	for (size_t i = 0; i < c->n_errors; i++) {
		if (c->errors[i].at.line == 0)
			return &c->errors[i];
	}
	return NULL;
}

static int take_config(struct reload *rl, struct vnet_err *err)
{
	struct manager *m = rl->m;
	const struct config_error *e;
	struct config *c;
	char text[REASON_MAX];
	int r = config_load(&c, m->config.config, err);

	if (r < 0)
		return r;
	e = c->unreadable ? unreadable(c) : NULL;
	if (e) {
		vnet_err_set(err, -EIO, VNET_E_FAILED,
			     "%s: nothing was changed: put it right and reload again",
			     config_error_str(e, text, sizeof(text)));
		config_free(c);
		return err->code;
	}
	compare_all(rl->changed, m->conf, c);
	config_free(m->conf);
	m->conf = c;
	config_log_errors(c);
	hook_set_timeout(m);
	pools_update(m->pools); /* at once, whatever becomes of the scan */
	return 0;
}

void reload_run(struct manager *m, reply_fn reply, void *user)
{
	struct reload *rl = m->reload;
	struct vnet_err err = VNET_ERR_INIT;

	if (rl->runs || pool_start_runs(m->start)) {
		vnet_err_set(&err, -EBUSY, VNET_E_BUSY,
			     "reload: vnetd is still at the pools of %s: try again in a minute",
			     rl->runs ? "the last reload" : "its start");
		reply(user, err.code, NULL, &err);
		return;
	}
	rl->runs = true;
	rl->again = false;
	rl->reply = reply;
	rl->user = user;
	rl->changed = json_array();
	tell_systemd();
	if (take_config(rl, &err) < 0) {
		vnet_err_wrap(&err, "reload");
		reload_end(rl, err.code, NULL, &err);
		return;
	}
	pool_start_run(m->start, 0, reload_passed, rl);
}

static void said(void *user, int r, json_t *result, struct vnet_err *err)
{
	(void)user;
	(void)r;
	(void)err; /* logged */
	json_decref(result);
}

static int on_kick(sd_event_source *s, void *user)
{
	struct reload *rl = user;

	(void)s;
	if (!rl->again)
		return 0;
	/* The pass of the start ends by itself: manager.c looks here then. */
	if (!rl->runs && !pool_start_runs(rl->m->start))
		reload_run(rl->m, said, NULL);
	return 0;
}

void reload_signalled(struct manager *m)
{
	m->reload->again = true;
	sd_event_source_set_enabled(m->reload->kick, SD_EVENT_ONESHOT);
}

void reload_when_ready(struct manager *m)
{
	if (m->reload->again)
		sd_event_source_set_enabled(m->reload->kick, SD_EVENT_ONESHOT);
}

int reload_new(struct reload **ret, struct manager *m, struct vnet_err *err)
{
	struct reload *rl = calloc(1, sizeof(*rl));
	int r;

	if (!rl)
		return vnet_err_errno(err, -ENOMEM, "reload");
	rl->m = m;
	r = sd_event_add_defer(m->event, &rl->kick, on_kick, rl);
	if (r >= 0)
		r = sd_event_source_set_enabled(rl->kick, SD_EVENT_OFF);
	if (r < 0) {
		reload_free(rl);
		return vnet_err_errno(err, r, "reload");
	}
	*ret = rl;
	return 0;
}

struct reload *reload_free(struct reload *rl)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (!rl)
		return NULL;
	if (rl->runs && rl->reply) {
		vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE, "reload: vnetd is stopping");
		rl->reply(rl->user, err.code, NULL, &err);
	}
	json_decref(rl->changed);
	sd_event_source_disable_unref(rl->kick);
	free(rl);
	return NULL;
}
