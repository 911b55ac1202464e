/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bind by request, in the order of its functions: the guests are known and the host is
 * scanned afresh before anything is judged; then the record, then the journal, then the
 * knob. Judging and noting is one step of the main thread, as in the ledger, so an
 * attach and a bind never take the same function.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attachment.h"
#include "daemon/bind-priv.h"
#include "daemon/fault.h"
#include "daemon/inventory.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "lib/json.h"
#include "lib/log.h"

#define NONE "none"
#define DEFAULT "default"

static bool is_default(const struct bind_call *c)
{
	return strcmp(c->r.driver, DEFAULT) == 0;
}

static const char *nic_driver(const struct nic *n)
{
	return n->driver[0] ? n->driver : NONE;
}

/* ---- the end of a call ---- */

void bind_answer(struct bind_call *c, int r, json_t *result, struct vnet_err *err)
{
	struct binds *bs = c->owner;
	char addr[PCI_ADDR_STR];

	for (struct bind_call **p = &bs->calls; *p; p = &(*p)->next) {
		if (*p == c) {
			*p = c->next;
			break;
		}
	}
	for (struct bind *b = bs->list; b; b = b->next) {
		if (b->call == c)
			b->call = NULL;
	}
	if (bs->m->inventory)
		inventory_forget(bs->m->inventory, c);
	if (r < 0) {
		vnet_err_wrap(err, "bind %s to %s", pci_addr_str(&c->r.addr, addr), c->r.driver);
		log_err(5, addr, err, "refused or failed");
	}
	c->reply(c->user, r, result, err);
	json_decref(c->warnings);
	free(c);
}

static void on_told(void *user, int r, struct vnet_err *err)
{
	struct bind_call *c = user;
	const struct host_scan *s = inventory_scan(c->owner->m->inventory);
	const struct nic *n = host_scan_nic(s, &c->r.addr);
	const struct link *link = n ? host_scan_nic_link(s, n) : NULL;
	const char *after = n ? nic_driver(n) : NONE;
	char addr[PCI_ADDR_STR], text[256], beside[64] = "";

	(void)r; /* it is done; what it looks like is a courtesy */
	pci_addr_str(&c->r.addr, addr);
	if (link)
		snprintf(beside, sizeof(beside), " (interface %s)", link->name);
	else if (n && n->vfio_dev >= 0 && n->iommu_group >= 0)
		snprintf(beside, sizeof(beside), " (IOMMU group %d)", n->iommu_group);
	if (!n)
		snprintf(text, sizeof(text), "%s is not there any more", addr);
	else if (strcmp(c->before, after) == 0)
		snprintf(text, sizeof(text), "%s is bound to %s already%s", addr, after, beside);
	else
		snprintf(text, sizeof(text), "%s: %s -> %s%s", addr, c->before, after, beside);
	log_info(addr, "bind %s", text);
	bind_answer(c, 0,
		    json_pack("{s:s,s:s,s:s,s:s?,s:s,s:O}", "address", addr, "before", c->before,
			      "after", after, "link", link ? link->name : NULL, "text", text,
			      "warnings", c->warnings),
		    err);
}

void bind_tell(struct bind_call *c)
{
	inventory_refresh(c->owner->m->inventory, on_told, c);
}

/* ---- turning the knob ---- */

static void bound(struct bind *b)
{
	struct bind_call *c = b->call;
	char was[KNOB_VALUE_MAX];
	int r;

	if (!b->driver[0]) /* as the kernel said it just before; or it was so already */
		memcpy(b->found, b->journal->n > 0 ? b->journal->effects[0].before : b->wanted,
		       sizeof(b->found));
	memcpy(was, b->driver, sizeof(was));
	memcpy(b->driver, b->wanted, sizeof(b->driver));
	if (bind_set_state(b, BIND_BOUND, &b->cause) < 0) {
		memcpy(b->driver, was, sizeof(b->driver));
		bind_back(b);
		return;
	}
	if ((r = fault_point("bind:bound")) < 0)
		log_warn(NULL, "fault point: %s", strerror(-r));
	journal_remove(b->journal);
	b->journal = journal_free(b->journal);
	b->call = NULL;
	bind_tell(c);
}

static void on_turned(void *user, int r, struct vnet_err *err)
{
	struct bind *b = user;
	struct bind_call *c = b->call;

	b->txn = txn_free(b->txn);
	inventory_changed(b->owner->m->inventory);
	if (b->journal->n > 0) /* the scan may have been a moment older */
		bind_driver_of(b->journal->effects[0].before, c->before);
	if (r == 0 && strcmp(b->wanted, DEFAULT) == 0) {
		/* It is the kernel's again: there is nothing to go back to. */
		bind_drop(b);
		bind_tell(c);
	} else if (r == 0) {
		bound(b);
	} else if (err->name == VNET_E_STUCK) {
		/* Nobody knows what becomes of it: record and journal stay. */
		b->call = NULL;
		bind_answer(c, err->code, NULL, err);
	} else {
		b->cause = *err;
		bind_back(b);
	}
}

/* The value of the knob: programs' drivers keep their override, so that nothing rebinds it. */
static void value_of(const char *driver, char ret[static KNOB_VALUE_MAX])
{
	bool keeps = driver_is_for_programs(driver);

	snprintf(ret, KNOB_VALUE_MAX, "%s%s%s", driver, keeps ? " override=" : "",
		 keeps ? driver : "");
}

/* The record and its journal are on disk before the knob is touched. */
static int turn(struct bind_call *c, struct bind *b, struct vnet_err *err)
{
	struct plan_step *step = &b->plan.step[0];
	char addr[PCI_ADDR_STR], what[PCI_ADDR_STR + 8];
	int r;

	b->plan.n = 1;
	step->knob = knob_find("driver");
	pci_addr_str(&b->addr, step->object);
	memcpy(step->value, b->wanted, sizeof(step->value));
	r = bind_set_state(b, BIND_BINDING, err);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "bind %s", pci_addr_str(&b->addr, addr));
	r = journal_create(&b->journal, b->owner->dirfd, addr, what, err);
	if (r == 0)
		r = txn_new(&b->txn, b->owner->m->workers, b->journal, err);
	if (r < 0)
		return r;
	b->call = c;
	b->cause = b->left = VNET_ERR_INIT;
	txn_forward(b->txn, &b->plan, 0, KNOB_OF_ATTACHMENT, false, NULL, on_turned, b);
	return 0;
}

static int begin_bind(struct bind_call *c, struct bind *b, const struct nic *n,
		      struct vnet_err *err)
{
	struct vnet_err ignored = VNET_ERR_INIT;
	int r = b ? 0 : bind_new(c->owner, &n->addr, &b, err);

	if (r < 0)
		return r;
	if (!b->driver[0]) /* its override is not known here: the journal will have it */
		snprintf(b->found, sizeof(b->found), "%s", nic_driver(n));
	if (is_default(c))
		strcpy(b->wanted, DEFAULT);
	else
		value_of(c->r.driver, b->wanted);
	r = turn(c, b, err);
	if (r == 0)
		return 0;
	/* Nothing was done. */
	if (b->journal)
		journal_remove(b->journal);
	b->journal = journal_free(b->journal);
	if (!b->driver[0])
		bind_drop(b);
	else if (bind_set_state(b, BIND_BOUND, &ignored) < 0)
		log_err(3, NULL, &ignored, "note a bind");
	return r;
}

/* ---- judging ---- */

static int refuse(struct vnet_err *err, const char *why)
{
	return vnet_err_set(err, -EBUSY, VNET_E_IN_USE, "%s", why);
}

/* A PF: what is made, or about to be made, of it. */
static int check_uplink(struct manager *m, const struct nic *n, struct vnet_err *err)
{
	const struct vnet_attachment *a;
	char id[ATTACHMENT_ID_MAX];

	for (size_t i = 0; (a = attachments_at(m->attachments, i)); i++) {
		if (pci_addr_eq(&a->pf, &n->addr))
			return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
					    "attachment %s (%s) is made of it",
					    model_attachment_id(a, id),
					    attachment_state_str(a->state));
	}
	a = attachments_upon(m->attachments, &n->addr, NULL);
	if (a)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE, "attachment %s (%s) is on it",
				    model_attachment_id(a, id), attachment_state_str(a->state));
	if (pool_start_makes(m->start, &n->addr))
		return vnet_err_set(err, -EBUSY, VNET_E_BUSY,
				    "it is being given VFs for its pool: try again later");
	if (n->num_vfs > 0)
		return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
				    "it has %d VF%s: they would go with its driver; take them away "
				    "first (write 0 to its sriov_numvfs) if nobody uses them",
				    n->num_vfs, n->num_vfs == 1 ? "" : "s");
	return 0;
}

/* The host's own driver for programs says not whether one has it; its knob looks. */
static bool knob_will_tell(const struct nic *n, const struct held *held)
{
	return held->by == HELD_BY_BIND ||
	       (held->by == HELD_BY_HOST && !n->n_ifindex && driver_is_for_programs(n->driver));
}

static int check_free(struct manager *m, const struct nic *n, const char *driver,
		      struct vnet_err *err)
{
	const struct nic *blocker = inventory_group_blocker(inventory_scan(m->inventory), n);
	char addr[PCI_ADDR_STR];
	struct held held;
	int r = check_uplink(m, n, err);

	if (r < 0)
		return r;
	if (inventory_holder(m, n, &held) && !knob_will_tell(n, &held))
		return refuse(err, held.text);
	if (!blocker || !strstr(driver, "vfio"))
		return 0;
	return vnet_err_set(
		err, -EBUSY, VNET_E_IN_USE,
		"its IOMMU group %d also holds %s (%s): enable ACS on the port above or "
		"use another slot",
		n->iommu_group, pci_addr_str(&blocker->addr, addr), blocker->driver);
}

/* What somebody else has bound anew meanwhile is not touched on the way back; it is
 * reported, and its record goes. */
static bool is_of_others(const struct bind *b, const struct nic *n)
{
	char driver[DRIVER_NAME_MAX];

	bind_driver_of(b->driver, driver);
	return b->state == BIND_BOUND && (!n || strcmp(driver, nic_driver(n)) != 0);
}

static int check(struct bind_call *c, const struct nic *n, const struct bind *b,
		 struct vnet_err *err)
{
	if (b && c->leaves && !b->txn && is_of_others(b, n))
		return 0;
	if (!n)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				    "there is no network function at this address: `vnetctl "
				    "inventory` shows those there are");
	if (!n->network)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "it is not a network function: left alone");
	if (b && b->txn)
		return vnet_err_set(err, -EBUSY, VNET_E_BUSY,
				    "its driver is being changed just now: try again later");
	/* One of the host's stays: no more than an override is cleared. */
	if (!b && is_default(c) && n->driver[0] && !driver_is_for_programs(n->driver))
		return 0;
	return check_free(c->owner->m, n, c->r.driver, err);
}

static void warn(struct bind_call *c, const struct nic *n)
{
	const struct pool *pool = pools_by_pf(c->owner->m->pools, &c->r.addr);
	bool uio = strstr(c->r.driver, "uio") != NULL;

	if (!n)
		return;
	if (uio || (strstr(c->r.driver, "vfio") && n->iommu_group < 0))
		json_array_append_new(
			c->warnings,
			json_sprintf("no IOMMU stands between the device and the host's memory "
				     "with %s%s: a program that has it can read and write all of "
				     "it",
				     c->r.driver, uio ? "" : " in no IOMMU group"));
	if (pool && pool->configured && !c->leaves)
		json_array_append_new(c->warnings,
				      json_sprintf("pool %s has one uplink less now", pool->name));
}

/* Is it so already, by vnetd's own doing? Then also while a program has it. */
static bool is_so(const struct bind_call *c, const struct bind *b, const struct nic *n)
{
	char value[KNOB_VALUE_MAX];

	if (!b || !n || b->state != BIND_BOUND || b->txn)
		return false;
	value_of(c->r.driver, value);
	return strcmp(b->driver, value) == 0 && strcmp(nic_driver(n), c->r.driver) == 0;
}

static int begin(struct bind_call *c, struct bind *b, const struct nic *n, struct vnet_err *err)
{
	warn(c, n);
	if (b && c->leaves) {
		b->call = c;
		return bind_leave(b, err);
	}
	if (b && b->state != BIND_BOUND)
		return vnet_err_set(err, -EBUSY, VNET_E_BUSY,
				    "an earlier change of its driver is not over: --driver default "
				    "puts it back first");
	return begin_bind(c, b, n, err);
}

static void on_looked(void *user, int r, struct vnet_err *err)
{
	struct bind_call *c = user;
	const struct nic *n = host_scan_nic(inventory_scan(c->owner->m->inventory), &c->r.addr);
	struct bind *b = bind_find(c->owner, &c->r.addr);
	char value[KNOB_VALUE_MAX];

	if (b && !b->call && (b->txn || (c->owner->settle && b->state != BIND_BOUND))) {
		c->waits = true;
		return;
	}
	value_of(c->r.driver, value);
	c->leaves = is_default(c) || (b && strcmp(value, b->found) == 0);
	snprintf(c->before, sizeof(c->before), "%s", n ? nic_driver(n) : NONE);
	if (r == 0 && is_so(c, b, n)) {
		warn(c, n);
		on_told(c, 0, err);
		return;
	}
	if (r == 0)
		r = check(c, n, b, err);
	if (r == 0)
		r = begin(c, b, n, err);
	if (r < 0)
		bind_answer(c, r, NULL, err);
}

void bind_look_again(struct bind_call *c)
{
	c->waits = false;
	inventory_refresh(c->owner->m->inventory, on_looked, c);
}

/* ---- taking the request ---- */

static void on_guests_known(struct manager *m, struct waiter *w)
{
	(void)m;
	bind_look_again(w->user);
}

static void on_unknown(void *user, int r, json_t *result, struct vnet_err *err)
{
	bind_answer(user, r, result, err);
}

void bind_run(struct manager *m, const struct bind_request *r, reply_fn reply, void *user)
{
	const struct vnet_request nobody = { 0 };
	struct bind_call *c = calloc(1, sizeof(*c));
	struct vnet_err err = VNET_ERR_INIT;

	if (!c) {
		reply(user, vnet_err_errno(&err, -ENOMEM, "bind"), NULL, &err);
		return;
	}
	c->owner = m->binds;
	c->r = *r;
	c->reply = reply;
	c->user = user;
	c->warnings = json_array();
	c->next = m->binds->calls;
	m->binds->calls = c;
	attachments_serve(m, &nobody, on_guests_known, on_unknown, c);
}
