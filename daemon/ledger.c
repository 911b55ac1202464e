/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ledger: all attachments, in memory and as RUNTIME/attachments/UUID.NAME.json,
 * each file replaced whole. It lives on the main thread alone, which is why two
 * attaches at once never choose the same VF: choosing and noting is one step.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "daemon/attachment.h"
#include "daemon/messages.h"
#include "daemon/state-file.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

int attachments_new(struct attachments **ret, struct manager *m, struct vnet_err *err)
{
	struct attachments *as = calloc(1, sizeof(*as));
	int r;

	if (!as)
		return vnet_err_errno(err, -ENOMEM, "attachments");
	as->m = m;
	as->dirfd = -1;
	r = file_opendir_at(m->runtime_fd, "attachments", 0700, &as->dirfd, err);
	if (r == 0)
		r = reconcile_load(as, err);
	if (r < 0) {
		attachments_free(as);
		return r;
	}
	*ret = as;
	return 0;
}

static void attachment_free(struct attachment *a)
{
	struct manager *m = a->owner->m;

	sd_event_source_disable_unref(a->timer);
	if (m->domains)
		domains_drop(m->domains, a);
	if (m->inventory)
		inventory_forget(m->inventory, a);
	txn_free(a->txn);
	journal_free(a->journal);
	json_decref(a->verdicts);
	json_decref(a->residue);
	if (a->owned)
		workers_forget(m->workers, a);
	owned_free(a->owned);
	free(a);
}

/* The daemon ends; what is under way is decided about by the next one. */
static void attachment_cancel(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];
	int r = vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE,
			     "%s: vnetd is stopping; `vnetctl list` tells what became of it "
			     "when it is back",
			     attachment_id(a, id));

	attachment_reply(a, r, NULL, &err);
	attachment_free(a);
}

struct attachments *attachments_free(struct attachments *as)
{
	struct attachment *a;

	if (!as)
		return NULL;
	sd_event_source_disable_unref(as->old_workers);
	sd_event_source_disable_unref(as->releases);
	sd_event_source_disable_unref(as->owned_releases);
	hooks_free(as);
	waiters_free(as);
	while ((a = as->list)) {
		as->list = a->next;
		attachment_cancel(a);
	}
	if (as->m->inventory)
		inventory_forget(as->m->inventory, as);
	close_fd(as->dirfd);
	free(as);
	return NULL;
}

struct attachment *attachment_new(struct attachments *as, struct vnet_err *err)
{
	struct attachment **end = &as->list;
	struct attachment *a;

	if (as->n >= ATTACHMENTS_MAX) {
		vnet_err_set(err, -EDQUOT, VNET_E_LIMIT, "there are %d attachments already",
			     ATTACHMENTS_MAX);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		vnet_err_errno(err, -ENOMEM, "attachment");
		return NULL;
	}
	a->owner = as;
	a->where = IN_LIVE;
	a->v.vf_index = -1;
	while (*end)
		end = &(*end)->next;
	*end = a;
	as->n++;
	return a;
}

void attachment_file(const struct vnet_attachment *v, const char *suffix,
		     char buf[static ATTACHMENT_FILE_MAX])
{
	snprintf(buf, ATTACHMENT_FILE_MAX, "%s.%s%s", v->uuid, v->name, suffix);
}

const char *attachment_id(const struct attachment *a, char buf[static ATTACHMENT_ID_MAX])
{
	return model_attachment_id(&a->v, buf);
}

void attachment_drop(struct attachment *a)
{
	struct attachments *as = a->owner;
	char file[ATTACHMENT_FILE_MAX], id[ATTACHMENT_ID_MAX];

	attachment_file(&a->v, ".json", file);
	/* The journal first: a state file without one says that nothing is left. */
	if (a->journal)
		journal_remove(a->journal);
	if (unlinkat(as->dirfd, file, 0) < 0 && errno != ENOENT)
		log_msg(3, attachment_id(a, id), "cannot remove the state file %s: %m", file);
	log_debug(attachment_id(a, id), "gone");
	for (struct attachment **p = &as->list; *p; p = &(*p)->next) {
		if (*p == a) {
			*p = a->next;
			as->n--;
			break;
		}
	}
	attachment_free(a);
	hooks_look(as);
	waiters_look(as);
}

struct attachment *attachment_find(struct attachments *as, const char *guest, const char *name)
{
	for (struct attachment *a = as->list; a; a = a->next) {
		if ((strcmp(a->v.asked.guest, guest) == 0 || strcmp(a->v.uuid, guest) == 0) &&
		    strcmp(a->v.name, name) == 0)
			return a;
	}
	return NULL;
}

const struct vnet_attachment *attachments_holder(const struct attachments *as,
						 const struct pci_addr *pf, int vf_index)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (a->v.vf_index == vf_index && pci_addr_eq(&a->v.pf, pf))
			return &a->v;
	}
	return NULL;
}

const struct vnet_attachment *attachments_upon(const struct attachments *as,
					       const struct pci_addr *addr,
					       const struct vnet_attachment *self)
{
	char key[PCI_ADDR_STR];

	pci_addr_str(addr, key);
	for (const struct attachment *a = as->list; a; a = a->next) {
		const char *uplink = a->v.uplink;

		if (&a->v == self || a->v.pf.set)
			continue;
		if (strcmp(uplink, key) == 0 ||
		    (strncmp(uplink, "pci/", 4) == 0 && strcmp(uplink + 4, key) == 0))
			return &a->v;
	}
	return NULL;
}

const struct vnet_attachment *attachments_at(const struct attachments *as, size_t i)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (i-- == 0)
			return &a->v;
	}
	return NULL;
}

static int attachment_save(struct attachment *a, struct vnet_err *err)
{
	enum scope scope = a->where == IN_LIVE	   ? SCOPE_LIVE
			   : a->where == IN_CONFIG ? SCOPE_CONFIG
						   : SCOPE_AUTO;
	_cleanup_json_ json_t *j = json_pack("{s:i,s:o,s:s?,s:b}", "version", STATE_VERSION,
					     "attachment", model_attachment_to_json(&a->v), "scope",
					     scope == SCOPE_AUTO ? NULL : scope_str(scope), "hook",
					     a->by_hook);
	_cleanup_free_ char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;
	char file[ATTACHMENT_FILE_MAX];

	if (!text)
		return vnet_err_errno(err, -ENOMEM, "state file");
	attachment_file(&a->v, ".json", file);
	return file_replace_at(a->owner->dirfd, file, text, strlen(text), 0600, err);
}

/* The states that last until an administrator does something. */
static const char *state_event(enum attachment_state state, const char *reason)
{
	if (state == AT_STUCK)
		return MSG_ATTACHMENT_STUCK;
	/* With a reason: it was asked, and did not do it. */
	return state == AT_DETACHING && reason[0] ? MSG_GUEST_KEEPS_NIC : NULL;
}

int attachment_set_state(struct attachment *a, enum attachment_state state, const char *reason,
			 struct vnet_err *err)
{
	const char *event = state_event(state, reason);
	char id[ATTACHMENT_ID_MAX];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	log_event(event, event ? LOG_WARNING : LOG_INFO, attachment_id(a, id), "%s: %s%s%s%s%s", id,
		  attachment_state_str(a->v.state), state != a->v.state ? " -> " : "",
		  state != a->v.state ? attachment_state_str(state) : "", reason[0] ? ": " : "",
		  reason);
	a->v.state = state;
	a->v.since_usec = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	snprintf(a->v.reason, sizeof(a->v.reason), "%s", reason);
	return attachment_save(a, err);
}

void attachment_enter(struct attachment *a, enum attachment_state state, const char *fmt, ...)
{
	struct vnet_err err = VNET_ERR_INIT;
	char reason[REASON_MAX], id[ATTACHMENT_ID_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	if (attachment_set_state(a, state, reason, &err) < 0)
		log_err(3, attachment_id(a, id), &err, "%s", id);
}

void attachment_reply(struct attachment *a, int r, json_t *result, struct vnet_err *err)
{
	reply_fn reply = take_ptr(a->reply);

	if (reply)
		reply(a->reply_user, r, result, err);
	else
		json_decref(result);
}

void attachment_timer(struct attachment *a, uint64_t msec, sd_event_time_handler_t handler)
{
	int r;

	a->timer = sd_event_source_disable_unref(a->timer);
	if (!handler)
		return;
	r = sd_event_add_time_relative(a->owner->m->event, &a->timer, CLOCK_MONOTONIC, msec * 1000,
				       0, handler, a);
	if (r < 0)
		log_warn(NULL, "no timer: %s", strerror(-r));
}

const struct guest *attachment_guest(const struct attachment *a)
{
	return domains_find(a->owner->m->domains, a->v.uuid);
}

void attachment_guest_nic(const struct attachment *a, struct guest_nic *ret)
{
	char text[OPTION_VALUE_MAX];

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s", a->v.name);
	snprintf(ret->mode, sizeof(ret->mode), "%s", a->v.mode);
	snprintf(ret->pool, sizeof(ret->pool), "%s", a->v.pool);
	ret->mac = a->v.mac;
	ret->vlan = a->v.vlan;
	ret->pf = a->v.pf;
	ret->pf_mac = a->v.pf_mac;
	ret->vf_index = a->v.vf_index;
	ret->vf = a->v.vf;
	memcpy(ret->uplink, a->v.uplink, sizeof(ret->uplink));
	memcpy(ret->options, a->v.asked.options, sizeof(ret->options));
	ret->kind = a->v.kind;
	memcpy(ret->device, a->v.device, sizeof(ret->device));
	memcpy(ret->how, a->v.how, sizeof(ret->how));
	/* A number from now on: the guest's device is of that many, whatever its CPUs are. */
	if (options_get(ret->options, "queues", text, sizeof(text)) > 0 &&
	    strcmp(text, "auto") == 0 && options_get(ret->how, "queues", text, sizeof(text)) > 0)
		options_add(ret->options, "queues", text);
}
