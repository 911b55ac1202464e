/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records of what `vnetctl bind` bound: RUNTIME/bind/ADDRESS.json, replaced whole, and
 * while its knob is being set RUNTIME/bind/journal/ADDRESS. A record outlives vnetd as long
 * as the kernel's state does, until the host reboots.
 */
#include "daemon/bind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/bind-priv.h"
#include "daemon/inventory.h"
#include "daemon/state-file.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

#define BIND_FILE_MAX (PCI_ADDR_STR + 8)
#define OLD_WORKERS_MSEC 200
#define OLD_WORKERS_TRIES 150

static const char *const state_names[] = {
	[BIND_BINDING] = "binding",
	[BIND_BOUND] = "bound",
	[BIND_LEAVING] = "leaving",
};
NAMES_DEFINE(bind_state, enum bind_state, state_names, BIND_STATE_MAX)

static void bind_file(const struct bind *b, char buf[static BIND_FILE_MAX])
{
	char addr[PCI_ADDR_STR];

	snprintf(buf, BIND_FILE_MAX, "%s.json", pci_addr_str(&b->addr, addr));
}

void bind_driver_of(const char *value, char ret[static DRIVER_NAME_MAX])
{
	snprintf(ret, DRIVER_NAME_MAX, "%.*s", (int)strcspn(value, " "), value);
}

struct bind *bind_find(const struct binds *bs, const struct pci_addr *addr)
{
	for (struct bind *b = bs->list; b; b = b->next) {
		if (pci_addr_eq(&b->addr, addr))
			return b;
	}
	return NULL;
}

int bind_new(struct binds *bs, const struct pci_addr *addr, struct bind **ret, struct vnet_err *err)
{
	struct bind *b = calloc(1, sizeof(*b)), **p = &bs->list;

	if (!b)
		return vnet_err_errno(err, -ENOMEM, "note a bind");
	b->owner = bs;
	b->addr = *addr;
	while (*p && pci_addr_cmp(&(*p)->addr, addr) < 0)
		p = &(*p)->next;
	b->next = *p;
	*p = b;
	*ret = b;
	return 0;
}

static void bind_free(struct bind *b)
{
	txn_free(b->txn);
	journal_free(b->journal);
	free(b);
}

void bind_drop(struct bind *b)
{
	char file[BIND_FILE_MAX];

	/* The journal first: a record without one says that nothing is left to do. */
	if (b->journal)
		journal_remove(b->journal);
	bind_file(b, file);
	if (unlinkat(b->owner->dirfd, file, 0) < 0 && errno != ENOENT)
		log_msg(LOG_ERR, NULL, "cannot remove the record %s: %m", file);
	for (struct bind **p = &b->owner->list; *p; p = &(*p)->next) {
		if (*p == b) {
			*p = b->next;
			break;
		}
	}
	bind_free(b);
}

int bind_set_state(struct bind *b, enum bind_state state, struct vnet_err *err)
{
	_cleanup_json_ json_t *j = NULL;
	_cleanup_free_ char *text = NULL;
	char addr[PCI_ADDR_STR], file[BIND_FILE_MAX];

	pci_addr_str(&b->addr, addr);
	log_debug(addr, "bind: %s -> %s", bind_state_str(b->state), bind_state_str(state));
	b->state = state;
	j = json_pack("{s:i,s:s,s:s,s:s,s:s}", "version", STATE_VERSION, "address", addr, "state",
		      bind_state_str(state), "found", b->found, "driver", b->driver);
	text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	if (!text)
		return vnet_err_errno(err, -ENOMEM, "note a bind");
	bind_file(b, file);
	return file_replace_at(b->owner->dirfd, file, text, strlen(text), 0600, err);
}

/* ---- loading ---- */

static int load_fields(const json_t *j, struct bind *ret, struct vnet_err *err)
{
	char addr[PCI_ADDR_STR], state[16];
	int r;

	if ((r = json_get_str(j, "address", addr, sizeof(addr), err)) < 0 ||
	    (r = json_get_str(j, "state", state, sizeof(state), err)) < 0 ||
	    (r = json_get_str(j, "found", ret->found, sizeof(ret->found), err)) < 0 ||
	    (r = json_get_str(j, "driver", ret->driver, sizeof(ret->driver), err)) < 0)
		return r;
	if (pci_addr_parse(addr, &ret->addr) < 0 || bind_state_from(state, &ret->state) < 0)
		return vnet_err_set(err, -EBADMSG, VNET_E_FAILED,
				    "its address or state is not known here");
	return 0;
}

static int load_record(void *user, const char *file, struct vnet_err *err)
{
	struct binds *bs = user;
	_cleanup_json_ json_t *j = NULL;
	struct bind read = { 0 }, *b;
	char own[BIND_FILE_MAX];
	int r;

	if ((r = state_read(bs->dirfd, file, &j, err)) < 0 || (r = load_fields(j, &read, err)) < 0)
		return r;
	bind_file(&read, own);
	if ((r = state_read_own(file, own, err)) < 0 || (r = bind_new(bs, &read.addr, &b, err)) < 0)
		return r;
	b->state = read.state;
	memcpy(b->found, read.found, sizeof(b->found));
	memcpy(b->driver, read.driver, sizeof(b->driver));
	return 0;
}

/* A worker of the vnetd before may still be at the write that it was cut off in. */
static int on_settle(sd_event_source *s, uint64_t usec, void *user)
{
	struct binds *bs = user;

	(void)usec;
	if (workers_of_old(bs->m->workers) && bs->tries++ < OLD_WORKERS_TRIES &&
	    sd_event_source_set_time_relative(s, OLD_WORKERS_MSEC * UINT64_C(1000)) >= 0 &&
	    sd_event_source_set_enabled(s, SD_EVENT_ONESHOT) >= 0)
		return 0;
	bs->settle = sd_event_source_disable_unref(bs->settle);
	bind_settle(bs);
	return 0;
}

int binds_new(struct binds **ret, struct manager *m, struct vnet_err *err)
{
	struct binds *bs = calloc(1, sizeof(*bs));
	int r;

	if (!bs)
		return vnet_err_errno(err, -ENOMEM, "binds");
	bs->m = m;
	bs->dirfd = -1;
	r = file_opendir_at(m->runtime_fd, "bind", 0700, &bs->dirfd, err);
	if (r == 0 && (r = state_load(bs->dirfd, load_record, bs, err)) < 0)
		vnet_err_wrap(err, "records of binds");
	if (r == 0) {
		r = sd_event_add_time_relative(m->event, &bs->settle, CLOCK_MONOTONIC, 0, 0,
					       on_settle, bs);
		if (r < 0)
			vnet_err_errno(err, r, "binds");
	}
	if (r < 0) {
		binds_free(bs);
		return r;
	}
	*ret = bs;
	return 0;
}

struct binds *binds_free(struct binds *bs)
{
	struct bind_call *c;
	struct bind *b;

	if (!bs)
		return NULL;
	sd_event_source_disable_unref(bs->settle);
	while ((c = bs->calls)) {
		struct vnet_err err = VNET_ERR_INIT;
		int r = vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE,
				     "vnetd is stopping; `vnetctl bind` tells what became of it "
				     "when it is back");

		bind_answer(c, r, NULL, &err);
	}
	while ((b = bs->list)) {
		bs->list = b->next;
		bind_free(b);
	}
	close_fd(bs->dirfd);
	free(bs);
	return NULL;
}

/* ---- what there is ---- */

bool binds_hold(const struct binds *bs, const struct nic *n, const char **ret_driver, char *ret,
		size_t size)
{
	const struct bind *b = bs ? bind_find(bs, &n->addr) : NULL;
	const char *now = n->driver[0] ? n->driver : "none";
	char driver[DRIVER_NAME_MAX];

	if (!b)
		return false;
	bind_driver_of(b->driver, driver);
	/* One of the host's is nobody's claim; and what somebody else has bound it to since,
	 * others say. */
	if (b->state == BIND_BOUND &&
	    (strcmp(now, driver) != 0 || (n->driver[0] && !driver_is_for_programs(driver))))
		return false;
	*ret_driver = now;
	if (b->state == BIND_BOUND)
		snprintf(ret, size, "bound to %s by vnetctl bind", driver);
	else
		snprintf(ret, size, "vnetctl bind is changing its driver");
	return true;
}

static json_t *bind_json(const struct bind *b)
{
	const struct nic *n = host_scan_nic(inventory_scan(b->owner->m->inventory), &b->addr);
	char addr[PCI_ADDR_STR], driver[DRIVER_NAME_MAX], found[DRIVER_NAME_MAX];
	json_t *j = json_object();

	bind_driver_of(b->driver, driver);
	bind_driver_of(b->found, found);
	json_put_str(j, "address", pci_addr_str(&b->addr, addr));
	json_put_str(j, "state", bind_state_str(b->state));
	json_put_str(j, "driver", driver);
	json_put_str(j, "found", found);
	json_put_str(j, "now", !n ? NULL : n->driver[0] ? n->driver : "none");
	return j;
}

struct binds_asked {
	struct manager *m;
	reply_fn reply;
	void *user;
};

static void list_scanned(void *user, int r, json_t *result, struct vnet_err *err)
{
	struct binds_asked asked = *(struct binds_asked *)user;
	json_t *a;

	free(user);
	json_decref(result);
	if (r < 0) {
		asked.reply(asked.user, r, NULL, err);
		return;
	}
	a = json_array();
	for (const struct bind *b = asked.m->binds->list; b; b = b->next)
		json_array_append_new(a, bind_json(b));
	asked.reply(asked.user, 0, json_pack("{s:o}", "binds", a), err);
}

void binds_run(struct manager *m, reply_fn reply, void *user)
{
	struct binds_asked *asked = malloc(sizeof(*asked));
	struct vnet_err err = VNET_ERR_INIT;

	if (!asked) {
		reply(user, vnet_err_errno(&err, -ENOMEM, "list binds"), NULL, &err);
		return;
	}
	*asked = (struct binds_asked){ m, reply, user };
	/* What is bound now: from memory where nothing changed, as the inventory itself. */
	inventory_run(m, list_scanned, asked);
}
