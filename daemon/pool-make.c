/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One PF is given its VFs. It has a journal of its own, RUNTIME/pools/journal/PF,
 * written before each knob. The pool's knobs only roll forward: a journal that a vnetd
 * of before left, with VFs there, is finished (the PF is brought up); without VFs the
 * PF is put back as it was, and made anew like any other. The same way back is taken
 * when the kernel refuses the VFs. A kernel that does not come back leaves the journal
 * to the next start.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "daemon/inventory.h"
#include "daemon/pool-start-priv.h"
#include "lib/log.h"

struct making *making_free(struct making *mk)
{
	txn_free(mk->txn);
	journal_free(mk->journal);
	free(mk);
	return NULL;
}

static void making_failed(struct making *mk, const struct vnet_err *err)
{
	snprintf(mk->failed, sizeof(mk->failed), "VFs of %s: %.*s (tried again when first needed)",
		 mk->link, (int)sizeof(mk->failed) - 80, err->text);
}

void making_end(struct making *mk, const struct vnet_err *err)
{
	struct pool_start *s = mk->s;

	if (err)
		making_failed(mk, err);
	mk->txn = txn_free(mk->txn);
	mk->journal = journal_free(mk->journal);
	if (mk->failed[0])
		log_msg(LOG_ERR, mk->pool, "pool %s: %s", mk->pool, mk->failed);
	pools_set_failed(s->m->pools, &mk->pf, mk->failed[0] ? mk->failed : NULL);
	mk->state = ENDED;
	s->stale = true;
	pool_start_kick(s);
}

static void on_residue(void *user, bool foreign, const struct vnet_err *err)
{
	struct making *mk = user;

	(void)foreign;
	log_err(LOG_WARNING, mk->link, err, "pool %s", mk->pool);
}

static void making_back_done(void *user, int r, struct vnet_err *err)
{
	struct making *mk = user;

	(void)r;
	(void)err;
	if (txn_made_no_vfs(mk->txn))
		pools_none_created(mk->s->m->pools, &mk->pf);
	journal_remove(mk->journal);
	mk->txn = txn_free(mk->txn);
	if (mk->leftover && mk->count > 0) {
		mk->leftover = false;
		mk->journal = journal_free(mk->journal);
		mk->state = WAITS;
		pool_start_kick(mk->s);
	} else {
		making_end(mk, NULL);
	}
}

static void making_back(struct making *mk)
{
	struct vnet_err err = VNET_ERR_INIT;

	mk->state = BACK;
	mk->txn = txn_free(mk->txn);
	if (txn_new(&mk->txn, mk->s->m->workers, mk->journal, &err) < 0) {
		making_end(mk, &err);
		return;
	}
	txn_back(mk->txn, true, on_residue, making_back_done, mk);
}

static void making_done(void *user, int r, struct vnet_err *err)
{
	struct making *mk = user;

	if (r < 0) {
		making_failed(mk, err);
		/* Nobody knows yet what became of it: the journal stays. */
		if (err->name == VNET_E_STUCK)
			making_end(mk, NULL);
		else
			making_back(mk);
		return;
	}
	journal_remove(mk->journal);
	if (!mk->leftover) {
		log_info(mk->pool, "pool %s: %s has %d VFs now", mk->pool, mk->link, mk->count);
		json_array_append_new(mk->s->made, json_sprintf("pool %s: %d VFs were made of %s",
								mk->pool, mk->count, mk->link));
	}
	making_end(mk, NULL);
}

static void plan_add(struct plan *plan, const char *knob, const struct pci_addr *pf,
		     const char *value)
{
	struct plan_step *step = &plan->step[plan->n++];

	step->knob = knob_find(knob);
	pci_addr_str(pf, step->object);
	snprintf(step->value, sizeof(step->value), "%s", value);
}

static int making_forward(struct making *mk, struct vnet_err *err)
{
	int r = txn_new(&mk->txn, mk->s->m->workers, mk->journal, err);

	if (r < 0)
		return r;
	mk->state = FORWARD;
	txn_forward(mk->txn, &mk->plan, 0, KNOB_OF_POOL, false, NULL, making_done, mk);
	return 0;
}

static void move_aside(struct making *mk, const struct vnet_err *err)
{
	char addr[PCI_ADDR_STR], from[PCI_ADDR_STR + 16], to[PCI_ADDR_STR + 32];

	snprintf(from, sizeof(from), "journal/%s", pci_addr_str(&mk->pf, addr));
	snprintf(to, sizeof(to), "%s.unreadable", from);
	log_err(LOG_ERR, mk->link, err, "the pools' journal of %s was kept as %s", mk->link, to);
	if (renameat(mk->s->dirfd, from, mk->s->dirfd, to) < 0)
		log_msg(LOG_ERR, mk->link, "cannot move %s aside: %m", from);
}

/* What a vnetd of before began. */
static int making_resume(struct making *mk, struct vnet_err *err)
{
	const struct nic *pf = host_scan_nic(inventory_scan(mk->s->m->inventory), &mk->pf);
	char addr[PCI_ADDR_STR];
	int r = journal_open(&mk->journal, mk->s->dirfd, pci_addr_str(&mk->pf, addr), err);

	if (r < 0) {
		move_aside(mk, err);
		mk->leftover = false;
		mk->state = mk->count > 0 ? WAITS : ENDED;
		pool_start_kick(mk->s);
		return 0;
	}
	if (!pf) {
		journal_remove(mk->journal);
		return vnet_err_set(err, -ENODEV, VNET_E_NOT_FOUND, "the PF is gone");
	}
	mk->plan.n = 0;
	if (pf->num_vfs > 0) {
		plan_add(&mk->plan, "link-up", &mk->pf, "up");
		return making_forward(mk, err);
	}
	making_back(mk);
	return 0;
}

int making_begin(struct making *mk, struct vnet_err *err)
{
	char addr[PCI_ADDR_STR], what[POOL_NAME_MAX + 8], count[16];
	int r;

	if (mk->leftover)
		return making_resume(mk, err);
	mk->plan.n = 0;
	snprintf(count, sizeof(count), "%d", mk->count);
	/* Host drivers probing new VFs cost seconds; libvirt wants the PF up. */
	plan_add(&mk->plan, "autoprobe", &mk->pf, "0");
	plan_add(&mk->plan, "numvfs", &mk->pf, count);
	plan_add(&mk->plan, "link-up", &mk->pf, "up");
	snprintf(what, sizeof(what), "pool %s", mk->pool);
	r = pools_mark_created(mk->s->m->pools, &mk->pf, err);
	if (r == 0)
		r = journal_create(&mk->journal, mk->s->dirfd, pci_addr_str(&mk->pf, addr), what,
				   err);
	return r == 0 ? making_forward(mk, err) : r;
}
