/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * pass_advance() runs whenever something came: a scan, the end of a making, a
 * timer. It starts a making for each uplink that wants one, and ends the pass when none
 * is under way and nothing is waited for. Each PF is tried once a pass.
 *
 * A making goes on when its pass has run out of time; the next pass finds it under way.
 */
#include "daemon/pool-start.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/inventory.h"
#include "daemon/pool-start-priv.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/log.h"

#define OLD_WORKERS_USEC 200000ULL
/* Where no monitor tells (a root that is not "/"), it is looked for. */
#define RESCAN_USEC 1000000ULL
#define LEFTOVERS_MAX 256

void pool_start_kick(struct pool_start *s)
{
	sd_event_source_set_enabled(s->kick, SD_EVENT_ONESHOT);
}

/* ---- what there is to make ---- */

static struct making *find(const struct pool_start *s, const struct pci_addr *pf)
{
	struct making *mk = s->list;

	while (mk && !pci_addr_eq(&mk->pf, pf))
		mk = mk->next;
	return mk;
}

static struct making *add(struct pool_start *s, const struct pci_addr *pf)
{
	struct making *mk = calloc(1, sizeof(*mk));
	struct making **end = &s->list;

	if (!mk)
		return NULL;
	mk->s = s;
	mk->pf = *pf;
	pci_addr_str(pf, mk->link);
	pci_addr_str(pf, mk->pool);
	while (*end)
		end = &(*end)->next;
	*end = mk;
	return mk;
}

/* A PF that carries the host's own traffic loses its link for a second: only where the
 * configuration means this very one. */
static bool may_make(struct pool_start *s, const struct pool *pool, const struct uplink *u,
		     const char *link)
{
	const struct nic *pf = host_scan_nic(inventory_scan(s->m->inventory), &u->pf);
	char why[REASON_MAX - 128] = "", text[REASON_MAX];

	if (pf)
		inventory_host_uses(s->m->inventory, pf, why, sizeof(why));
	if (!why[0])
		return true;
	snprintf(text, sizeof(text),
		 "making VFs interrupts the link of %s, which the host uses (%s)", link, why);
	if (u->named) {
		log_info(pool->name, "pool %s: %s", pool->name, text);
		return true;
	}
	snprintf(text, sizeof(text),
		 "no VFs are made of %s, which the host uses (%s): say its name, address or MAC as "
		 "an uplink if interrupting its link is all right",
		 link, why);
	log_warn(pool->name, "pool %s: %s", pool->name, text);
	pools_set_failed(s->m->pools, &u->pf, text);
	s->stale = true; /* the pool's problem is told by the next list of them */
	return false;
}

static void want(struct pool_start *s, const struct pool *pool, const struct uplink *u)
{
	struct making *mk = find(s, &u->pf);
	char link[PCI_ADDR_STR];

	snprintf(link, sizeof(link), "%s", u->link);
	if (!link[0])
		pci_addr_str(&u->pf, link);
	if (mk && (!mk->leftover || mk->state != WAITS))
		return;
	if (!mk)
		mk = add(s, &u->pf);
	if (!mk)
		return;
	memcpy(mk->pool, pool->name, sizeof(mk->pool));
	memcpy(mk->link, link, sizeof(mk->link));
	if (may_make(s, pool, u, link))
		mk->count = u->count;
	else if (!mk->leftover)
		mk->state = ENDED;
}

static void find_wanted(struct pool_start *s)
{
	const struct pool *pool;

	for (size_t i = 0; (pool = pools_at(s->m->pools, i)); i++) {
		bool also = pool->set.vfs == CONFIG_VFS_AUTO && strcmp(pool->name, s->also) == 0;

		if (pool->disabled || (!also && (!pool->configured || pool->set.vfs <= 0)))
			continue;
		for (size_t k = 0; k < pool->n_uplinks; k++) {
			if (pool->uplinks[k].kind == VNET_UPLINK_PF && pool->uplinks[k].vfs <= 0)
				want(s, pool, &pool->uplinks[k]);
		}
	}
}

static bool uplinks_missing(const struct pool_start *s)
{
	const struct pool *pool;

	for (size_t i = 0; (pool = pools_at(s->m->pools, i)); i++) {
		if (!pool->disabled && pool->n_missing > 0)
			return true;
	}
	return false;
}

static int is_address(const struct dirent *d)
{
	struct pci_addr a;

	return pci_addr_parse(d->d_name, &a) == 0;
}

static void find_leftovers(struct pool_start *s)
{
	_cleanup_close_ int dirfd = -1;
	struct vnet_err err = VNET_ERR_INIT;
	struct dirent **list = NULL;
	struct pci_addr pf;
	struct making *mk;
	int n;

	if (file_opendir_at(s->dirfd, "journal", 0700, &dirfd, &err) < 0)
		return;
	n = scandirat(dirfd, ".", &list, is_address, alphasort);
	for (int i = 0; i < n; i++) {
		mk = i < LEFTOVERS_MAX && pci_addr_parse(list[i]->d_name, &pf) == 0 ? add(s, &pf)
										    : NULL;
		if (mk)
			mk->leftover = true;
		free(list[i]);
	}
	free(list);
}

/* ---- a pass ---- */

static void pass_end(struct pool_start *s)
{
	pool_start_done_fn done = s->done;

	sd_event_source_set_enabled(s->limit, SD_EVENT_OFF);
	sd_event_source_set_enabled(s->wait, SD_EVENT_OFF);
	sd_event_source_set_enabled(s->tick, SD_EVENT_OFF);
	s->done = NULL;
	if (done)
		done(s->user);
}

static void on_scan(void *user, int r, struct vnet_err *err)
{
	struct pool_start *s = user;

	s->scanning = false;
	if (r < 0) {
		log_err(LOG_ERR, NULL, err, "the pools cannot be looked at");
		s->stale = false; /* the next scan may be better; this pass does not wait for it */
		s->late = true;
	}
	pool_start_kick(s);
}

static void scan(struct pool_start *s)
{
	s->scanning = true;
	s->stale = false;
	inventory_refresh(s->m->inventory, on_scan, s);
}

static void in(sd_event_source *source, uint64_t usec)
{
	if (sd_event_source_set_time_relative(source, usec) >= 0)
		sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static unsigned start_makings(struct pool_start *s)
{
	unsigned under_way = 0;

	for (struct making *mk = s->list; mk; mk = mk->next)
		under_way += mk->state == FORWARD || mk->state == BACK;
	for (struct making *mk = s->list; mk && under_way < PASS_PARALLEL; mk = mk->next) {
		struct vnet_err err = VNET_ERR_INIT;

		if (mk->state != WAITS)
			continue;
		if (making_begin(mk, &err) == 0) {
			under_way++;
			continue;
		}
		making_end(mk, &err);
	}
	return under_way;
}

static void pass_advance(struct pool_start *s)
{
	if (!s->done || s->scanning)
		return;
	if (workers_of_old(s->m->workers)) {
		s->stale = true;
		in(s->tick, OLD_WORKERS_USEC);
		return;
	}
	find_wanted(s);
	if (start_makings(s) > 0 || s->scanning || !s->done)
		return;
	if (s->stale) {
		scan(s);
	} else if (!s->late && uplinks_missing(s)) {
		if (!s->m->monitor)
			in(s->tick, RESCAN_USEC);
	} else {
		pass_end(s);
	}
}

static int on_kick(sd_event_source *source, void *user)
{
	(void)source;
	pass_advance(user);
	return 0;
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
	struct pool_start *s = user;

	(void)source;
	(void)usec;
	if (s->done && !s->scanning)
		scan(s);
	return 0;
}

static int on_wait(sd_event_source *source, uint64_t usec, void *user)
{
	struct pool_start *s = user;

	(void)source;
	(void)usec;
	s->late = true;
	if (s->done && !s->scanning)
		scan(s); /* once more, whatever the monitor has missed */
	return 0;
}

static int on_limit(sd_event_source *source, uint64_t usec, void *user)
{
	struct pool_start *s = user;

	(void)source;
	(void)usec;
	log_warn(NULL,
		 "the pools are not all made after %d s: the rest goes on, or is made when "
		 "first needed",
		 PASS_MAX_SEC);
	pass_end(s);
	return 0;
}

void pool_start_scanned(struct pool_start *s)
{
	if (s && s->done && !s->scanning)
		pool_start_kick(s);
}

static void forgotten(void *user)
{
	(void)user;
}

void pool_start_forget(struct pool_start *s, const void *user)
{
	if (s->done && s->user == user)
		s->done = forgotten;
}

void pool_start_run_for(struct pool_start *s, const char *pool, pool_start_done_fn done, void *user)
{
	pool_start_run(s, 0, done, user);
	snprintf(s->also, sizeof(s->also), "%s", pool);
}

void pool_start_run(struct pool_start *s, unsigned wait_sec, pool_start_done_fn done, void *user)
{
	struct making **at = &s->list;

	while (*at) {
		struct making *mk = *at;

		if (mk->state != ENDED) {
			at = &mk->next;
			continue;
		}
		*at = mk->next;
		making_free(mk);
	}
	json_array_clear(s->made);
	s->also[0] = '\0';
	s->done = done;
	s->user = user;
	s->late = wait_sec == 0;
	in(s->limit, PASS_MAX_SEC * UINT64_C(1000000));
	if (wait_sec)
		in(s->wait, wait_sec * UINT64_C(1000000));
	scan(s);
}

bool pool_start_needed(const struct pool_start *s)
{
	return s->list || s->m->conf->n_pools > 0;
}

bool pool_start_runs(const struct pool_start *s)
{
	return s->done != NULL;
}

bool pool_start_makes(const struct pool_start *s, const struct pci_addr *pf)
{
	const struct making *mk = find(s, pf);

	return mk && mk->state != ENDED;
}

const json_t *pool_start_made(const struct pool_start *s)
{
	return s->made;
}

/* ---- the contract ---- */

static int add_timer(struct pool_start *s, sd_event_source **ret, sd_event_time_handler_t handler)
{
	int r = sd_event_add_time(s->m->event, ret, CLOCK_MONOTONIC, UINT64_MAX, 0, handler, s);

	return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int pool_start_new(struct pool_start **ret, struct manager *m, struct vnet_err *err)
{
	struct pool_start *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return vnet_err_errno(err, -ENOMEM, "pools");
	s->m = m;
	s->dirfd = -1;
	s->made = json_array();
	r = file_opendir_at(m->runtime_fd, "pools", 0700, &s->dirfd, err);
	if (r == 0 && ((r = sd_event_add_defer(m->event, &s->kick, on_kick, s)) < 0 ||
		       (r = sd_event_source_set_enabled(s->kick, SD_EVENT_OFF)) < 0 ||
		       (r = add_timer(s, &s->limit, on_limit)) < 0 ||
		       (r = add_timer(s, &s->wait, on_wait)) < 0 ||
		       (r = add_timer(s, &s->tick, on_tick)) < 0))
		vnet_err_errno(err, r, "pools: timers");
	if (r < 0) {
		pool_start_free(s);
		return r;
	}
	find_leftovers(s);
	*ret = s;
	return 0;
}

struct pool_start *pool_start_free(struct pool_start *s)
{
	struct making *mk;

	if (!s)
		return NULL;
	while ((mk = s->list)) {
		s->list = mk->next;
		making_free(mk);
	}
	if (s->m->inventory)
		inventory_forget(s->m->inventory, s);
	sd_event_source_disable_unref(s->kick);
	sd_event_source_disable_unref(s->limit);
	sd_event_source_disable_unref(s->wait);
	sd_event_source_disable_unref(s->tick);
	json_decref(s->made);
	close_fd(s->dirfd);
	free(s);
	return NULL;
}
