/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way back of a bind. What the journal has is walked back: of a bind that failed, or
 * was cut off, to what was there just before it; of a request for the default to what was
 * found before vnetd's first bind. What somebody else set since is theirs: it is reported,
 * and the record is dropped. What cannot be put back now keeps its record.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/bind-priv.h"
#include "daemon/inventory.h"
#include "daemon/messages.h"
#include "daemon/state-file.h"
#include "lib/file.h"
#include "lib/log.h"

static void on_residue(void *user, bool foreign, const struct vnet_err *err)
{
	struct bind *b = user;

	if (b->left.code && !b->foreign)
		return;
	b->left = *err;
	b->foreign = foreign;
}

/* Who waited for what the vnetd before left may go on. */
static void wake(struct binds *bs)
{
	for (struct bind_call *c = bs->calls; c; c = c->next) {
		const struct bind *b = c->waits ? bind_find(bs, &c->r.addr) : NULL;

		if (c->waits && !(b && b->txn))
			bind_look_again(c);
	}
}

static void told_left(const struct bind *b)
{
	char addr[PCI_ADDR_STR];

	log_event_err(b->foreign ? MSG_FOREIGN_CHANGE : MSG_RESIDUE, LOG_WARNING,
		      pci_addr_str(&b->addr, addr), &b->left, "bind");
}

/* What the client is told where it did not go as it should. */
static void fail(struct bind *b, struct bind_call *c)
{
	struct vnet_err err = b->cause.code ? b->cause : b->left;
	char was[VNET_ERR_TEXT_MAX / 2];

	if (b->cause.code && b->left.code) {
		snprintf(was, sizeof(was), "%.480s", b->cause.text);
		snprintf(err.text, sizeof(err.text), "%s; and left behind: %.480s", was,
			 b->left.text);
	} else if (b->foreign) {
		err.name = VNET_E_RESIDUE;
	}
	bind_answer(c, err.code, NULL, &err);
}

/* Nothing is under way any more, and it is as it was before. */
static void rest(struct bind *b)
{
	struct vnet_err err = VNET_ERR_INIT;
	char addr[PCI_ADDR_STR];

	if (bind_set_state(b, BIND_BOUND, &err) < 0)
		log_err(LOG_ERR, pci_addr_str(&b->addr, addr), &err, "note a bind");
	if (b->journal)
		journal_remove(b->journal);
	b->journal = journal_free(b->journal);
}

/* What becomes of the record. False: there is none any more. */
static bool stays(struct bind *b)
{
	bool failed = b->left.code && !b->foreign;

	if (failed && b->state == BIND_BINDING) /* its journal alone knows the way back */
		return true;
	if (failed || (b->state == BIND_BINDING && b->driver[0] && !b->foreign)) {
		rest(b);
		return true;
	}
	bind_drop(b);
	return false;
}

static void on_back(void *user, int r, struct vnet_err *err)
{
	struct bind *b = user;
	struct binds *bs = b->owner;
	struct bind_call *c = b->call;
	bool bad, there;

	(void)r;
	(void)err;
	b->txn = txn_free(b->txn);
	b->call = NULL;
	inventory_changed(bs->m->inventory);
	if (b->left.code)
		told_left(b);
	bad = b->cause.code || b->left.code;
	if (c && bad)
		fail(b, c);
	there = stays(b);
	wake(bs);
	if (!c || bad)
		return;
	if (!there) {
		bind_tell(c);
		return;
	}
	/* One step back; it goes on to what was found. */
	b->call = c;
	if (bind_leave(b, &b->left) < 0)
		bind_answer(c, b->left.code, NULL, &b->left);
}

void bind_back(struct bind *b)
{
	struct vnet_err err = VNET_ERR_INIT;

	b->left = VNET_ERR_INIT;
	b->foreign = false;
	b->txn = txn_free(b->txn);
	if (txn_new(&b->txn, b->owner->m->workers, b->journal, &err) < 0) {
		b->left = err;
		on_back(b, 0, &err);
		return;
	}
	txn_back(b->txn, false, on_residue, on_back, b);
}

static int leave_journal(struct bind *b, struct vnet_err *err)
{
	struct effect e = { .knob = knob_find("driver") };
	char addr[PCI_ADDR_STR], what[PCI_ADDR_STR + 8];
	int r;

	pci_addr_str(&b->addr, addr);
	memcpy(e.object, addr, sizeof(addr));
	memcpy(e.before, b->found, sizeof(e.before));
	memcpy(e.after, b->driver, sizeof(e.after));
	memcpy(e.restore, b->found, sizeof(e.restore));
	snprintf(what, sizeof(what), "bind %s", addr);
	r = journal_create(&b->journal, b->owner->dirfd, addr, what, err);
	return r == 0 ? journal_add_effect(b->journal, &e, err) : r;
}

int bind_leave(struct bind *b, struct vnet_err *err)
{
	int r = 0;

	b->cause = VNET_ERR_INIT;
	if (!b->journal) {
		r = bind_set_state(b, BIND_LEAVING, err);
		if (r == 0)
			r = leave_journal(b, err);
	}
	if (r == 0) {
		bind_back(b);
		return 0;
	}
	b->call = NULL;
	rest(b);
	return r;
}

/* ---- after a start ---- */

static void settle_one(struct bind *b)
{
	struct vnet_err err = VNET_ERR_INIT;
	_cleanup_close_ int dirfd = -1;
	char addr[PCI_ADDR_STR];
	int r = journal_open(&b->journal, b->owner->dirfd, pci_addr_str(&b->addr, addr), &err);

	log_info(addr, "a vnetd before was cut off while it changed the driver: putting it back");
	if (r == 0) {
		bind_back(b);
		return;
	}
	if (r != -ENOENT && file_opendir_at(b->owner->dirfd, "journal", 0700, &dirfd, NULL) == 0)
		state_aside(dirfd, addr, &err);
	/* The journal comes before the deed: nothing was done yet. */
	if (b->state == BIND_LEAVING && b->driver[0]) {
		if (bind_leave(b, &err) < 0)
			log_err(LOG_ERR, addr, &err, "bind");
	} else {
		stays(b);
	}
}

void bind_settle(struct binds *bs)
{
	_cleanup_close_ int dirfd = -1;
	char addr[PCI_ADDR_STR];
	bool opened = file_opendir_at(bs->dirfd, "journal", 0700, &dirfd, NULL) == 0;

	for (struct bind *b = bs->list, *next; b; b = next) {
		next = b->next;
		if (b->state != BIND_BOUND)
			settle_one(b);
		else if (opened) /* it was bound, its journal about to go */
			unlinkat(dirfd, pci_addr_str(&b->addr, addr), 0);
	}
	wake(bs);
}
