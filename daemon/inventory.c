/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * One refresh runs at a time. It asks lane "scan" for functions and interfaces, then
 * each PF that has VFs, on the PF's own lane, for their attributes, and lane "vdpa" for
 * management devices, where there is such a bus; what does not answer in time stays as
 * it was, and nothing else does. The answers are put together
 * in `fresh` and become `scan` at once, when the last is in: nobody ever sees
 * half a scan.
 *
 * Who asks while a refresh runs gets the next one: an answer always describes
 * the host after the question. Refreshes start from the event loop, so that
 * requests made together share one and no `done` runs inside inventory_refresh().
 *
 * Who only looks (inventory_run) is answered from the last scan where nothing can have
 * changed since it began: no event came (monitor_quiet() takes in those that are on
 * their way), no worker set anything, and it is whole. What no event tells of is looked
 * at all the same (who has what open), rules this out (a PF that is down: the kernel
 * announces no change of its VFs), or is at most KNOWN_MAX_USEC old (routes, a PF's
 * autoprobe, a MAC that a guest gave itself). Whoever is to change something refreshes.
 *
 * Hints are let settle before they cause a scan: a scan reads attributes that
 * take a VF's device lock on older kernels, and QEMU does not try again when
 * opening the VF meets that lock.
 */
#include "daemon/inventory.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/inventory-parts.h"
#include "daemon/manager.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "lib/json.h"
#include "lib/log.h"

#define SCAN_DEADLINE_MS 20000
#define PART_DEADLINE_MS 10000
/* A part can wait: what is busy for longer may hang, and what is asked of the others
 * does not wait for that. */
#define PATIENCE_USEC 2000000ULL
#define SETTLE_USEC 2000000ULL	    /* a scan follows the last hint by this */
#define SETTLE_MAX_USEC 10000000ULL /* and the first one by not much more than this */
#define KNOWN_MAX_USEC 30000000ULL
/* After an answer: a document of thousands of VFs leaves much to be given back. */
#define TRIM_USEC 1000000ULL

/* Somebody who asked: for `done`, or (inventory_run) for the document. */
struct waiter {
	struct inventory *inv;
	inventory_done_fn done;
	reply_fn reply;
	void *user;
	struct waiter *next;
};

/* What is asked beside the scan: a PF's VFs, or (no PF) vDPA management devices. */
struct part_ask {
	struct inventory *inv;
	struct pci_addr pf;
	bool answered;
};

struct inventory {
	struct manager *m;
	struct host_scan scan;
	struct waiter *waiting; /* for the next refresh, last come first */
	struct waiter *looking; /* for the holders alone */
	sd_event_source *kick;	/* starts a refresh */
	sd_event_source *settle;
	sd_event_source *patience;
	sd_event_source *trim;
	uint64_t begun;	     /* of the last refresh */
	unsigned sets;	     /* by workers, until then */
	bool whole;	     /* nothing came since, and it has all parts */
	uint64_t first_hint; /* 0: none since the last scan */

	/* the refresh that runs */
	bool running, again;
	struct host_scan fresh;
	struct waiter *served;
	struct part_ask *asks;
	size_t n_asks;
	unsigned pending; /* answers still to come */
	int r;
	struct vnet_err err;
};

static void push(struct waiter **list, struct waiter *w)
{
	w->next = *list;
	*list = w;
}

static struct waiter *pop(struct waiter **list)
{
	struct waiter *w = *list;

	*list = w->next;
	return w;
}

static void kick(struct inventory *inv)
{
	sd_event_source_set_enabled(inv->kick, SD_EVENT_ONESHOT);
}

static void answer(struct inventory *inv, struct waiter *w, int r, struct vnet_err *err)
{
	json_t *result = NULL;

	if (w->done)
		w->done(w->user, r, err);
	if (!w->reply)
		return;
	if (r >= 0) {
		result = json_object();
		json_put(result, "inventory", inventory_json(inv->m));
	}
	w->reply(w->user, r, result, err);
	if (sd_event_source_set_time_relative(inv->trim, TRIM_USEC) >= 0)
		sd_event_source_set_enabled(inv->trim, SD_EVENT_ONESHOT);
}

static int on_trim(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	(void)user;
	malloc_trim(0);
	return 0;
}

/* The last answer is in: publish, then tell everybody. */
static void finish(struct inventory *inv)
{
	struct vnet_err err = inv->err;
	int r = inv->r;

	if (r >= 0) {
		host_scan_done(&inv->scan);
		inv->scan = inv->fresh;
		inv->fresh = (struct host_scan){ 0 };
		if (inv->m->pools) {
			pools_update(inv->m->pools);
			pool_start_scanned(inv->m->start);
		}
	} else {
		host_scan_done(&inv->fresh);
		inv->whole = false;
		vnet_err_wrap(&err, "scan of the host");
		if (!inv->served) /* nobody else will say it */
			log_err(LOG_WARNING, NULL, &err, "what is known stays as it was");
	}
	sd_event_source_set_enabled(inv->patience, SD_EVENT_OFF);
	free(take_ptr(inv->asks));
	inv->n_asks = 0;
	inv->running = false;

	while (inv->served) {
		struct waiter *w = pop(&inv->served);

		answer(inv, w, r, &err);
		free(w);
	}
	if (inv->waiting || inv->again)
		kick(inv);
}

static void part_failed(struct inventory *inv, int r, const struct vnet_err *err)
{
	if (inv->r < 0)
		return;
	inv->r = r;
	inv->err = *err;
}

static void part_done(struct inventory *inv)
{
	if (--inv->pending == 0)
		finish(inv);
}

/* ---- parts: VF attributes a PF at a time, vDPA ---- */

static const char *part_lane(const struct part_ask *ask, char buf[static PCI_ADDR_STR])
{
	return ask->pf.set ? pci_addr_str(&ask->pf, buf) : "vdpa";
}

static void keep_part(const struct part_ask *ask)
{
	struct inventory *inv = ask->inv;

	inv->whole = false;
	if (ask->pf.set)
		part_keep_vfs(&inv->scan, &ask->pf, &inv->fresh);
	else
		part_keep_mgmtdevs(&inv->scan, &inv->fresh);
}

static void on_part(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct part_ask *ask = user;
	struct inventory *inv = ask->inv;
	char lane[PCI_ADDR_STR];

	ask->answered = true;
	if (r >= 0 && ask->pf.set)
		r = host_vfs_merge_json(result, &ask->pf, &inv->fresh, err);
	else if (r >= 0)
		r = host_mgmtdevs_merge_json(result, &inv->fresh, err);
	if (r < 0) {
		log_err(LOG_DEBUG, part_lane(ask, lane), err, "a part of the scan is not known");
		inv->whole = false;
		if (err->name == VNET_E_STUCK || r == -ETIMEDOUT)
			keep_part(ask);
	}
	part_done(inv);
}

static int on_patience(sd_event_source *s, uint64_t usec, void *user)
{
	struct inventory *inv = user;
	char lane[PCI_ADDR_STR];

	(void)s;
	(void)usec;
	inv->pending++; /* ourselves: the last one to be given up would end the refresh */
	for (size_t i = 0; i < inv->n_asks; i++) {
		struct part_ask *ask = &inv->asks[i];

		if (ask->answered)
			continue;
		log_debug(part_lane(ask, lane), "busy: what it has is taken as it was");
		ask->answered = true;
		workers_forget(inv->m->workers, ask);
		keep_part(ask);
		inv->pending--;
	}
	part_done(inv);
	return 0;
}

static void ask_part(struct inventory *inv, const struct pci_addr *pf)
{
	struct part_ask *ask = &inv->asks[inv->n_asks];
	struct vnet_err err = VNET_ERR_INIT;
	json_t *args = json_object();
	char lane[PCI_ADDR_STR];

	*ask = (struct part_ask){ .inv = inv, .pf = *pf };
	if (pf->set)
		json_put_str(args, "pf", pci_addr_str(pf, lane));
	if (workers_call(inv->m->workers, part_lane(ask, lane), pf->set ? "vfs" : "mgmtdevs", args,
			 PART_DEADLINE_MS, on_part, ask, &err) < 0) {
		log_err(LOG_DEBUG, part_lane(ask, lane), &err, "a part of the scan is not asked");
		keep_part(ask);
		return;
	}
	inv->n_asks++;
	inv->pending++;
}

static int ask_parts(struct inventory *inv, struct vnet_err *err)
{
	const struct host_scan *s = &inv->fresh;
	size_t n = s->has_vdpa;

	for (size_t i = 0; i < s->n_nics; i++)
		n += part_is_pf(&s->nics[i]);
	if (!n)
		return 0;
	inv->asks = calloc(n, sizeof(*inv->asks));
	if (!inv->asks)
		return vnet_err_errno(err, -ENOMEM, "parts of the scan");

	for (size_t i = 0; i < s->n_nics; i++) {
		if (part_is_pf(&s->nics[i]))
			ask_part(inv, &s->nics[i].addr);
	}
	if (s->has_vdpa)
		ask_part(inv, &(struct pci_addr){ 0 });
	if (sd_event_source_set_time_relative(inv->patience, PATIENCE_USEC) >= 0)
		sd_event_source_set_enabled(inv->patience, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- everything else ---- */

static void on_nics(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct inventory *inv = user;

	if (r >= 0)
		r = host_nics_from_json(result, &inv->fresh, err);
	if (r < 0)
		part_failed(inv, r, err);
	else if ((r = ask_parts(inv, err)) < 0)
		part_failed(inv, r, err);
	part_done(inv);
}

static int ask_scan(struct inventory *inv, const char *op, worker_done_fn done, void *user,
		    struct vnet_err *err)
{
	return workers_call(inv->m->workers, "scan", op, json_object(), SCAN_DEADLINE_MS, done,
			    user, err);
}

static int on_kick(sd_event_source *s, void *user)
{
	struct inventory *inv = user;
	struct vnet_err err = VNET_ERR_INIT;
	unsigned setting;

	(void)s;
	if (inv->running) {
		inv->again = true;
		return 0;
	}
	inv->running = true;
	inv->again = false;
	inv->first_hint = 0;
	inv->sets = workers_sets(inv->m->workers, &setting);
	/* until something says otherwise */
	inv->whole = setting == 0 && sd_event_now(inv->m->event, CLOCK_MONOTONIC, &inv->begun) >= 0;
	inv->r = 0;
	inv->err = VNET_ERR_INIT;
	while (inv->waiting) /* turns the order round: first come, first served */
		push(&inv->served, pop(&inv->waiting));
	inv->pending = 1;
	if (ask_scan(inv, "nics", on_nics, inv, &err) < 0) {
		part_failed(inv, err.code, &err);
		part_done(inv);
	}
	return 0;
}

static int on_settle(sd_event_source *s, uint64_t usec, void *user)
{
	struct inventory *inv = user;

	(void)s;
	(void)usec;
	inv->first_hint = 0;
	kick(inv);
	return 0;
}

/* ---- the contract ---- */

static int add_sources(struct inventory *inv, sd_event *event)
{
	int r;

	r = sd_event_add_defer(event, &inv->kick, on_kick, inv);
	if (r >= 0)
		r = sd_event_source_set_enabled(inv->kick, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &inv->settle, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_settle, inv);
	if (r >= 0)
		r = sd_event_source_set_enabled(inv->settle, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &inv->patience, CLOCK_MONOTONIC, UINT64_MAX, 0,
				      on_patience, inv);
	if (r >= 0)
		r = sd_event_source_set_enabled(inv->patience, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time(event, &inv->trim, CLOCK_MONOTONIC, UINT64_MAX, 0, on_trim,
				      inv);
	if (r >= 0)
		r = sd_event_source_set_enabled(inv->trim, SD_EVENT_OFF);
	return r;
}

int inventory_new(struct inventory **ret, struct manager *m, struct vnet_err *err)
{
	struct inventory *inv;
	int r;

	inv = calloc(1, sizeof(*inv));
	if (!inv)
		return vnet_err_errno(err, -ENOMEM, "inventory");
	inv->m = m;
	r = add_sources(inv, m->event);
	if (r < 0) {
		inventory_free(inv);
		return vnet_err_errno(err, r, "inventory: event sources");
	}
	*ret = inv;
	return 0;
}

/* The daemon ends: whoever still asks is told so. */
static void cancel_waiters(struct inventory *inv, struct waiter **list)
{
	while (*list) {
		struct vnet_err err = VNET_ERR_INIT;
		struct waiter *w = pop(list);
		int r = vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd is stopping");

		answer(inv, w, r, &err);
		free(w);
	}
}

struct inventory *inventory_free(struct inventory *inv)
{
	if (!inv)
		return NULL;
	if (inv->m->workers) {
		workers_forget(inv->m->workers, inv);
		for (size_t i = 0; i < inv->n_asks; i++)
			workers_forget(inv->m->workers, &inv->asks[i]);
		for (struct waiter *w = inv->looking; w; w = w->next)
			workers_forget(inv->m->workers, w);
	}
	sd_event_source_disable_unref(inv->kick);
	sd_event_source_disable_unref(inv->settle);
	sd_event_source_disable_unref(inv->patience);
	cancel_waiters(inv, &inv->waiting);
	cancel_waiters(inv, &inv->served);
	cancel_waiters(inv, &inv->looking);
	sd_event_source_disable_unref(inv->trim);
	host_scan_done(&inv->scan);
	host_scan_done(&inv->fresh);
	free(inv->asks);
	free(inv);
	return NULL;
}

static void wait_for_next(struct inventory *inv, const struct waiter *what)
{
	struct waiter *w = malloc(sizeof(*w));
	struct vnet_err err = VNET_ERR_INIT;

	if (!w) {
		struct waiter now = *what;

		answer(inv, &now, vnet_err_errno(&err, -ENOMEM, "inventory"), &err);
		return;
	}
	*w = *what;
	push(&inv->waiting, w);
	if (!inv->running)
		kick(inv);
}

void inventory_refresh(struct inventory *inv, inventory_done_fn done, void *user)
{
	wait_for_next(inv, &(struct waiter){ .done = done, .user = user });
}

/* ---- answering from what is known ---- */

static bool is_known(struct inventory *inv)
{
	unsigned setting;
	uint64_t now;

	return inv->whole && !inv->running && !inv->waiting && !inv->first_hint &&
	       inv->sets == workers_sets(inv->m->workers, &setting) &&
	       sd_event_now(inv->m->event, CLOCK_MONOTONIC, &now) >= 0 &&
	       now - inv->begun <= KNOWN_MAX_USEC && parts_announced(&inv->scan) &&
	       monitor_quiet(inv->m->monitor);
}

static void on_holders(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct waiter *w = user, **p = &w->inv->looking;

	while (*p != w)
		p = &(*p)->next;
	*p = w->next;
	if (r >= 0)
		r = host_holders_from_json(result, &w->inv->scan, err);
	if (r < 0)
		vnet_err_wrap(err, "scan of the host");
	answer(w->inv, w, r, err);
	free(w);
}

static bool look_at_holders(struct inventory *inv, const struct waiter *what)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct waiter *w = malloc(sizeof(*w));

	if (!w)
		return false;
	*w = *what;
	w->inv = inv;
	if (ask_scan(inv, "holders", on_holders, w, &err) < 0) {
		free(w);
		return false;
	}
	push(&inv->looking, w);
	return true;
}

void inventory_run(struct manager *m, reply_fn reply, void *user)
{
	const struct waiter w = { .reply = reply, .user = user };

	if (!is_known(m->inventory) || !look_at_holders(m->inventory, &w))
		wait_for_next(m->inventory, &w);
}

static void forget_in(struct waiter **list, const void *user)
{
	while (*list) {
		struct waiter *w = *list;

		if (!w->done || w->user != user) {
			list = &w->next;
			continue;
		}
		*list = w->next;
		free(w);
	}
}

void inventory_forget(struct inventory *inv, void *user)
{
	forget_in(&inv->waiting, user);
	forget_in(&inv->served, user);
}

void inventory_changed(struct inventory *inv)
{
	uint64_t now, when;

	inv->whole = false;
	if (sd_event_now(inv->m->event, CLOCK_MONOTONIC, &now) < 0)
		return;
	if (!inv->first_hint)
		inv->first_hint = now;
	when = now + SETTLE_USEC;
	if (when > inv->first_hint + SETTLE_MAX_USEC)
		when = inv->first_hint + SETTLE_MAX_USEC;
	sd_event_source_set_time(inv->settle, when);
	sd_event_source_set_enabled(inv->settle, SD_EVENT_ONESHOT);
}

const struct host_scan *inventory_scan(const struct inventory *inv)
{
	return &inv->scan;
}

void inventory_in_use_for(const struct inventory *inv, const struct nic *n,
			  const struct vnet_attachment *self, char *ret, size_t size)
{
	struct held held;

	if (!inventory_held(inv->m, n, self, &held))
		held.text[0] = '\0';
	snprintf(ret, size, "%s", held.text);
}

void inventory_in_use(const struct inventory *inv, const struct nic *n, char *ret, size_t size)
{
	inventory_in_use_for(inv, n, NULL, ret, size);
}
