/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation. Forward, for each step:
 *
 *	get -> already so? next : journal -> set (answers with the value read back)
 *	    -> does it match? next : error
 *
 * Back, for each effect from the last to the first:
 *
 *	get -> is it what we go back to, or gone? next
 *	    -> is it not what we set? foreign residue, left alone, next
 *	    -> set -> does it match? next : residue, next
 *
 * At most one worker call is under way for a transaction at any time.
 */
#include "daemon/txn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/claim.h"
#include "daemon/fault.h"
#include "lib/json.h"
#include "lib/log.h"

/* Reads are short; what makes them long is a lock that a stuck writer holds. */
#define TXN_GET_DEADLINE_MS 10000

struct txn {
	struct workers *workers;
	struct journal *journal;
	struct plan plan;
	size_t at; /* forward: step; back: effects left */
	enum knob_owner owner;
	bool idle; /* forward */
	bool confirm;
	bool pool; /* back: the pool's knobs too */
	size_t *ret_next;
	struct effect now;     /* forward: the effect under way */
	struct timing *timing; /* or NULL */
	txn_done_fn done;
	txn_residue_fn residue;
	void *user;
};

static void forward_next(struct txn *t);
static void back_next(struct txn *t);

int txn_new(struct txn **ret, struct workers *workers, struct journal *journal,
	    struct vnet_err *err)
{
	struct txn *t = calloc(1, sizeof(*t));

	if (!t)
		return vnet_err_errno(err, -ENOMEM, "transaction");
	t->workers = workers;
	t->journal = journal;
	*ret = t;
	return 0;
}

void txn_time(struct txn *t, struct timing *timing)
{
	t->timing = timing;
}

struct txn *txn_free(struct txn *t)
{
	if (!t)
		return NULL;
	workers_forget(t->workers, t);
	free(t);
	return NULL;
}

const char *txn_lane(const struct knob *knob, const char *object, char buf[static PCI_ADDR_STR])
{
	size_t n = strcspn(object, "/");

	if (knob->lane)
		return knob->lane;
	snprintf(buf, PCI_ADDR_STR, "%.*s", (int)(n < PCI_ADDR_STR ? n : PCI_ADDR_STR - 1), object);
	return buf;
}

static int txn_call(struct txn *t, const char *op, const struct knob *knob, const char *object,
		    const char *value, worker_done_fn done, struct vnet_err *err)
{
	unsigned deadline = value ? knob->deadline_ms : TXN_GET_DEADLINE_MS;
	char lane[PCI_ADDR_STR];
	json_t *args = value ? json_pack("{s:s,s:s,s:s}", "knob", knob->name, "object", object,
					 "value", value)
			     : json_pack("{s:s,s:s}", "knob", knob->name, "object", object);

	if (!args)
		return vnet_err_errno(err, -ENOMEM, "%s %s", op, knob->name);
	timing_switch(t->timing, TIMING_KERNEL);
	return workers_call(t->workers, txn_lane(knob, object, lane), op, args, deadline, done, t,
			    err);
}

static int result_value(const json_t *result, char ret[static KNOB_VALUE_MAX], struct vnet_err *err)
{
	return json_get_str(result, "value", ret, KNOB_VALUE_MAX, err);
}

/* ---- forward ---- */

static void forward_end(struct txn *t, int r, struct vnet_err *err)
{
	if (t->ret_next)
		*t->ret_next = t->at;
	t->done(t->user, r, err);
}

static void forward_fail(struct txn *t, struct vnet_err *err)
{
	vnet_err_at(err, t->now.knob->name, t->now.object);
	vnet_err_wrap(err, "set %s of %s to %s", t->now.knob->name, t->now.object, t->now.after);
	forward_end(t, err->code, err);
}

static void forward_was_set(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct txn *t = user;
	char actual[KNOB_VALUE_MAX];

	timing_switch(t->timing, TIMING_VNETD);
	if (r == 0)
		r = result_value(result, actual, err);
	if (r == 0 && !t->now.knob->matches(t->now.after, actual))
		r = vnet_err_set(err, -EIO, VNET_E_FAILED,
				 "the kernel accepted it, but reads %s now: see the kernel log",
				 actual);
	if (r == 0 && (r = fault_point("knob:%s:after", t->now.knob->name)) < 0)
		vnet_err_errno(err, r, "fault point");
	if (r < 0) {
		forward_fail(t, err);
		return;
	}
	log_debug(t->now.object, "%s: %s -> %s", t->now.knob->name, t->now.before, t->now.after);
	t->at++;
	forward_next(t);
}

static int forward_journal_and_set(struct txn *t, struct vnet_err *err)
{
	const struct effect *e = &t->now;
	int r = fault_point("knob:%s:before", e->knob->name);

	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	r = journal_add_effect(t->journal, e, err);
	if (r < 0)
		return r;
	r = fault_point("knob:%s:set", e->knob->name);
	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	return txn_call(t, "set", e->knob, e->object, e->after, forward_was_set, err);
}

/* Just what is to be made, by a name that nobody but vnetd gives: an earlier life has made it,
 * whose journal is lost. */
static bool is_of_lost_life(const struct effect *e)
{
	return e->knob->idle && strcmp(e->knob->idle, KNOB_ABSENT) == 0 &&
	       claim_is_name(e->object) && e->knob->matches(e->after, e->before);
}

/* What vnetd made itself has no past to go back to: somebody's value may have got in between
 * (a driver that took the new device), and would hold up its being taken away. */
static bool is_our_make(const struct journal *j, const char *object)
{
	for (size_t i = 0; i < j->n; i++) {
		const struct effect *e = &j->effects[i];

		if (strcmp(e->object, object) == 0 &&
		    (strcmp(e->before, KNOB_ABSENT) == 0 || strcmp(e->restore, KNOB_ABSENT) == 0))
			return true;
	}
	return false;
}

static void forward_got(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct txn *t = user;
	struct effect *e = &t->now;
	bool so;

	timing_switch(t->timing, TIMING_VNETD);
	if (r == 0)
		r = result_value(result, e->before, err);
	if (r < 0) {
		forward_fail(t, err);
		return;
	}
	so = e->knob->idle &&
	     (t->idle || e->knob->own || is_of_lost_life(e) || is_our_make(t->journal, e->object));
	snprintf(e->restore, sizeof(e->restore), "%s", so ? e->knob->idle : e->before);
	so = e->knob->matches(e->after, e->before);
	if (t->confirm)
		r = so ? 0 : txn_call(t, "set", e->knob, e->object, e->after, forward_was_set, err);
	/* What is so already but must not stay so is journaled for the way back. */
	else if (so && !e->knob->matches(e->restore, e->after))
		r = journal_add_effect(t->journal, e, err);
	else if (!so)
		r = forward_journal_and_set(t, err);
	if (r < 0) {
		forward_fail(t, err);
	} else if (so) {
		t->at++;
		forward_next(t);
	}
}

static void forward_next(struct txn *t)
{
	struct vnet_err err = VNET_ERR_INIT;
	const struct plan_step *step;

	while (t->confirm && t->at < t->plan.n && !t->plan.step[t->at].knob->live)
		t->at++;
	step = &t->plan.step[t->at];
	if (t->at == t->plan.n || step->knob->owner != t->owner) {
		forward_end(t, 0, &err);
		return;
	}
	memset(&t->now, 0, sizeof(t->now));
	t->now.knob = step->knob;
	snprintf(t->now.object, sizeof(t->now.object), "%s", step->object);
	snprintf(t->now.after, sizeof(t->now.after), "%s", step->value);
	if (txn_call(t, "get", step->knob, step->object, NULL, forward_got, &err) < 0)
		forward_fail(t, &err);
}

void txn_forward(struct txn *t, const struct plan *plan, size_t first, enum knob_owner owner,
		 bool idle, size_t *ret_next, txn_done_fn done, void *user)
{
	t->plan = *plan;
	t->at = first;
	t->owner = owner;
	t->idle = idle;
	t->ret_next = ret_next;
	t->done = done;
	t->user = user;
	forward_next(t);
}

void txn_confirm(struct txn *t, const struct plan *plan, txn_done_fn done, void *user)
{
	t->confirm = true;
	txn_forward(t, plan, 0, KNOB_OF_ATTACHMENT, false, NULL, done, user);
}

/* ---- back ---- */

static struct effect *back_effect(struct txn *t)
{
	return &t->journal->effects[t->at - 1];
}

static void back_residue(struct txn *t, bool foreign, struct vnet_err *err)
{
	const struct effect *e = back_effect(t);

	vnet_err_at(err, e->knob->name, e->object);
	vnet_err_wrap(err, "put %s of %s back to %s", e->knob->name, e->object, e->restore);
	t->residue(t->user, foreign, err);
	t->at--;
	back_next(t);
}

static void back_was_set(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct txn *t = user;
	const struct effect *e = back_effect(t);
	char actual[KNOB_VALUE_MAX];

	if (r == 0)
		r = result_value(result, actual, err);
	if (r == 0 && strcmp(actual, KNOB_ABSENT) != 0 && !e->knob->matches(e->restore, actual))
		r = vnet_err_set(err, -EIO, VNET_E_FAILED,
				 "the kernel accepted it, but reads %s now", actual);
	if (r == 0 && (r = fault_point("back:%s:after", e->knob->name)) < 0)
		vnet_err_errno(err, r, "fault point");
	if (r < 0) {
		back_residue(t, false, err);
		return;
	}
	log_debug(e->object, "%s: %s -> %s (back)", e->knob->name, e->after, e->restore);
	t->at--;
	back_next(t);
}

/* The driver part of "igbvf" or "none override=vfio-pci", or the override part. */
static void driver_part(const char *value, bool override, char ret[static KNOB_VALUE_MAX])
{
	const char *o = strstr(value, " override=");

	if (override)
		snprintf(ret, KNOB_VALUE_MAX, "%s", o ? o + strlen(" override=") : "");
	else
		snprintf(ret, KNOB_VALUE_MAX, "%.*s", o ? (int)(o - value) : KNOB_VALUE_MAX - 1,
			 value);
}

/* A crash can leave a bind half way: unbound, or bound by an override that is not
 * put back yet. Each part being one of ours, the whole is. */
static bool driver_is_ours(const struct effect *e, const char *actual)
{
	char now[KNOB_VALUE_MAX], part[KNOB_VALUE_MAX], before[KNOB_VALUE_MAX];

	driver_part(actual, false, now);
	driver_part(e->after, false, part);
	driver_part(e->before, false, before);
	if (strcmp(now, "none") != 0 && strcmp(now, part) != 0 && strcmp(now, before) != 0)
		return false;
	driver_part(actual, true, now);
	driver_part(e->after, true, part);
	return now[0] == '\0' || strcmp(now, part) == 0 || strcmp(now, before) == 0;
}

static bool still_ours(const struct effect *e, const char *actual)
{
	struct vlan after, now;

	if (e->knob->matches(e->after, actual) || e->knob->matches(e->before, actual))
		return true;
	if (e->knob->half_set && e->knob->half_set(e->before, e->after, actual))
		return true;
	if (strcmp(e->knob->name, "driver") == 0)
		return driver_is_ours(e, actual);
	/* libvirt saves and restores VLAN ids without QoS and protocol: the same id
	 * is still ours. */
	return strcmp(e->knob->name, "vf-vlan") == 0 && vlan_parse(e->after, &after) == 0 &&
	       vlan_parse(actual, &now) == 0 && after.id == now.id;
}

static void back_got(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct txn *t = user;
	const struct effect *e = back_effect(t);
	char actual[KNOB_VALUE_MAX];

	if (r == 0)
		r = result_value(result, actual, err);
	if (r < 0) {
		back_residue(t, false, err);
	} else if (strcmp(e->knob->name, "numvfs") == 0) {
		/* VFs that were made stay: taking them away is never ours to do. */
		t->pool = strcmp(actual, "0") == 0;
		t->at--;
		back_next(t);
	} else if (strcmp(actual, KNOB_ABSENT) == 0 || e->knob->matches(e->restore, actual)) {
		t->at--;
		back_next(t);
	} else if (!still_ours(e, actual)) {
		vnet_err_set(err, -ESTALE, VNET_E_RESIDUE,
			     "somebody else set it to %s since vnetd set %s: left alone", actual,
			     e->after);
		back_residue(t, true, err);
	} else {
		r = fault_point("back:%s:before", e->knob->name);
		if (r < 0)
			vnet_err_errno(err, r, "fault point");
		else
			r = txn_call(t, "set", e->knob, e->object, e->restore, back_was_set, err);
		if (r < 0)
			back_residue(t, false, err);
	}
}

static void back_next(struct txn *t)
{
	struct vnet_err err = VNET_ERR_INIT;

	while (t->at > 0 && back_effect(t)->knob->owner == KNOB_OF_POOL && !t->pool)
		t->at--;
	if (t->at == 0) {
		t->done(t->user, 0, &err);
		return;
	}
	if (txn_call(t, "get", back_effect(t)->knob, back_effect(t)->object, NULL, back_got, &err) <
	    0)
		back_residue(t, false, &err);
}

bool txn_made_no_vfs(const struct txn *t)
{
	return t->pool;
}

/* Nothing of it is written while somebody has it open, whoever that is. */
static void back_is_free(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct txn *t = user;
	struct vnet_err none = VNET_ERR_INIT;

	(void)result;
	if (r == 0) {
		back_next(t);
		return;
	}
	vnet_err_wrap(err, "put it back");
	t->residue(t->user, false, err);
	t->done(t->user, 0, &none);
}

/* What the attachment claims, by the last effect of a knob that can tell whether somebody
 * has it. */
static const struct effect *claimed(const struct journal *j)
{
	for (size_t i = j->n; i > 0; i--) {
		const struct effect *e = &j->effects[i - 1];

		if (e->knob->owner == KNOB_OF_ATTACHMENT && e->knob->check_free)
			return e;
	}
	return NULL;
}

void txn_back(struct txn *t, bool pool, txn_residue_fn residue, txn_done_fn done, void *user)
{
	struct vnet_err err = VNET_ERR_INIT;
	char lane[PCI_ADDR_STR];
	const struct effect *e;

	t->at = t->journal->n;
	t->pool = pool;
	t->residue = residue;
	t->done = done;
	t->user = user;
	e = claimed(t->journal);
	if (!e)
		back_next(t);
	else if (workers_call(t->workers, txn_lane(e->knob, e->object, lane), "free",
			      json_pack("{s:s,s:s}", "knob", e->knob->name, "object", e->object),
			      TXN_GET_DEADLINE_MS, back_is_free, t, &err) < 0)
		back_is_free(t, err.code, NULL, &err);
}
