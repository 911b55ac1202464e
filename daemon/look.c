/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list and show: what the ledger says, and what is seen of the guests' queues at this
 * moment. What was asked for is no answer there: libvirt leaves vhost-net out without a
 * word where the guest is not KVM's. Looking may fail, the answer comes all the same:
 * what is not seen is null, and says why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attachment.h"
#include "lib/json.h"

#define LOOK_LANE "queues" /* of its own: no scan waits for it, nor it for one */
#define LOOK_DEADLINE_MS 4000

struct look {
	struct manager *m;
	reply_fn reply;
	void *user;
	bool show; /* one, with what was done for it */
	char guest[GUEST_NAME_MAX], name[NIC_NAME_MAX];
	const json_t *rows;    /* processes with queues, of op "queues"; NULL: not seen */
	const json_t *masters; /* of the interfaces that there are: what they are ports of */
	const char *unseen;    /* why */
};

/* ---- what is seen ---- */

/* Of an interface of the host that a process reads packets from. */
static bool has_queues(const struct vnet_attachment *v)
{
	return v->kind == DL_LINK && v->state == AT_IN_USE;
}

static bool wants_vhost(const struct vnet_attachment *v)
{
	char vhost[OPTION_VALUE_MAX] = "";

	options_get(v->how, "vhost", vhost, sizeof(vhost));
	return has_queues(v) && strcmp(vhost, "on") == 0;
}

static const json_t *row_of(const struct look *l, const char *interface)
{
	const json_t *row;
	size_t i;

	json_array_foreach (l->rows, i, row) {
		const char *is = json_string_value(json_object_get(row, "interface"));

		if (is && strcmp(is, interface) == 0)
			return row;
	}
	return NULL;
}

static json_int_t number_of(const json_t *row, const char *field)
{
	return json_integer_value(json_object_get(row, field));
}

/* Queues with vhost that the process of @row is to have for this guest in all. */
static json_int_t vhost_wanted(const struct look *l, const struct vnet_attachment *v,
			       const json_t *row)
{
	json_int_t n = 0;

	for (const struct attachment *a = l->m->attachments->list; a; a = a->next) {
		const json_t *other = wants_vhost(&a->v) ? row_of(l, a->v.device) : NULL;

		if (other && strcmp(a->v.uuid, v->uuid) == 0 &&
		    number_of(other, "pid") == number_of(row, "pid"))
			n += number_of(other, "queues");
	}
	return n;
}

struct seen {
	const char *vhost; /* "on", "off", NULL: not known */
	json_int_t queues;
	char why[REASON_MAX];
};

static void see_process(const struct look *l, const struct vnet_attachment *v, const json_t *row,
			struct seen *ret)
{
	const struct guest *g = domains_find(l->m->domains, v->uuid);
	json_int_t pid = number_of(row, "pid"), vhost = number_of(row, "vhost");
	json_int_t wanted = vhost_wanted(l, v, row);

	ret->queues = number_of(row, "queues");
	if (vhost >= wanted) {
		ret->vhost = "on";
	} else if (vhost > 0) {
		snprintf(ret->why, sizeof(ret->why),
			 "process %lld has %lld vhost-net open for %lld queues", (long long)pid,
			 (long long)vhost, (long long)wanted);
	} else {
		ret->vhost = "off";
		if (g && !g->kvm)
			snprintf(ret->why, sizeof(ret->why), "guest is not KVM");
		else
			snprintf(ret->why, sizeof(ret->why),
				 "process %lld has no /dev/vhost-net open", (long long)pid);
	}
}

static void see(const struct look *l, const struct vnet_attachment *v, struct seen *ret)
{
	const json_t *row = l->rows ? row_of(l, v->device) : NULL;

	if (!l->rows) {
		snprintf(ret->why, sizeof(ret->why), "%s", l->unseen);
	} else if (!row) {
		snprintf(ret->why, sizeof(ret->why), "no process has a queue of %s open",
			 v->device);
	} else if (!wants_vhost(v)) {
		ret->vhost = "off";
		ret->queues = number_of(row, "queues");
		if (strcmp(v->mode, "tap") == 0)
			snprintf(ret->why, sizeof(ret->why), "mode tap");
		else
			snprintf(ret->why, sizeof(ret->why), "made without it (%s)", v->how);
	} else {
		see_process(l, v, row, ret);
	}
}

/* ---- what is wrong with it ---- */

/* The bridge that it was put into; "" none. */
static void bridge_of(const struct look *l, const struct vnet_attachment *v, char *ret, size_t size)
{
	const struct attachment *a = attachment_find(l->m->attachments, v->uuid, v->name);

	ret[0] = '\0';
	for (size_t i = 0; a && a->journal && i < a->journal->n; i++) {
		const struct effect *e = &a->journal->effects[i];

		if (strcmp(e->knob->name, "bridge-port") == 0)
			snprintf(ret, size, "%.*s", (int)strcspn(e->after, " "), e->after);
	}
}

/* "" or what somebody did to the interface under a guest, which goes on without network. */
static void broken(const struct look *l, const struct vnet_attachment *v, char *ret, size_t size)
{
	const json_t *master = json_object_get(l->masters, v->device);
	char bridge[KNOB_VALUE_MAX];

	ret[0] = '\0';
	if (!l->masters)
		return;
	if (!master) {
		snprintf(ret, size,
			 "interface %s is gone, by somebody else's hand: the guest's NIC leads "
			 "nowhere: detach it",
			 v->device);
		return;
	}
	bridge_of(l, v, bridge, sizeof(bridge));
	if (!bridge[0] || strcmp(json_string_value(master), bridge) == 0)
		return;
	if (!json_object_get(l->masters, bridge))
		snprintf(ret, size, "bridge %s is gone: %s, and with it the guest, is in none",
			 bridge, v->device);
	else
		snprintf(ret, size, "%s is not in bridge %s any more: somebody else took it out",
			 v->device, bridge);
}

static json_t *seen_json(const struct look *l, const struct vnet_attachment *v)
{
	json_t *j = model_attachment_to_json(v);
	struct seen seen = { 0 };
	char wrong[REASON_MAX] = "";

	if (has_queues(v)) {
		see(l, v, &seen);
		broken(l, v, wrong, sizeof(wrong));
	}
	if (wrong[0] && !v->reason[0])
		json_put_str(j, "reason", wrong);
	json_put_str(j, "vhost", seen.vhost);
	json_put_str(j, "vhostWhy", seen.why);
	json_put(j, "vhostQueues", seen.queues ? json_integer(seen.queues) : json_null());
	return j;
}

/* ---- answering ---- */

/* As it is now: its guest's configuration may have been changed by others. */
static json_t *attachment_json(const struct look *l, const struct attachment *a)
{
	const struct guest *g = attachment_guest(a);
	struct vnet_attachment v = a->v;

	if (g) /* until libvirt was read: as it was last */
		v.persistent = guest_config_has_nic(g, v.name);
	return seen_json(l, &v);
}

static void answer_list(const struct look *l)
{
	struct attachments *as = l->m->attachments;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *list = json_array();
	struct vnet_attachment v;

	for (const struct attachment *a = as->list; a; a = a->next)
		json_array_append_new(list, attachment_json(l, a));
	for (size_t i = 0; i < ATTACHMENTS_MAX && reserved_at(as, i, &v); i++)
		json_array_append_new(list, seen_json(l, &v));
	l->reply(l->user, 0, json_pack("{s:o}", "attachments", list), &err);
}

static json_t *effect_json(const struct effect *e)
{
	/* What belongs to the pool stays when the attachment goes. */
	bool stays = e->knob->owner == KNOB_OF_POOL;

	return json_pack("{s:s,s:s,s:s,s:s,s:s?}", "knob", e->knob->name, "object", e->object,
			 "before", e->before, "after", e->after, "restore",
			 stays ? NULL : e->restore);
}

static void answer_show(const struct look *l)
{
	struct vnet_err err = VNET_ERR_INIT;
	const struct attachment *a = attachment_find(l->m->attachments, l->guest, l->name);
	json_t *effects = json_array();
	struct vnet_attachment v;

	if (!a && !reserved_find(l->m->attachments, l->guest, l->name, &v)) {
		json_decref(effects);
		vnet_err_set(&err, -ENOENT, VNET_E_NOT_FOUND,
			     "there is no attachment %s/%s: `vnetctl list` shows those there are",
			     l->guest, l->name);
		l->reply(l->user, err.code, NULL, &err);
		return;
	}
	for (size_t i = 0; a && a->journal && i < a->journal->n; i++)
		json_array_append_new(effects, effect_json(&a->journal->effects[i]));
	l->reply(l->user, 0,
		 json_pack("{s:o,s:o}", "attachment", a ? attachment_json(l, a) : seen_json(l, &v),
			   "effects", effects),
		 &err);
}

static void look_answer(const struct look *l)
{
	if (l->show)
		answer_show(l);
	else
		answer_list(l);
}

static void look_seen(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct look *l = user;

	(void)r; /* result is NULL then */
	l->rows = json_object_get(result, "users");
	l->masters = json_object_get(result, "masters");
	l->unseen = err->text;
	if (l->m->attachments)
		look_answer(l);
	else /* vnetd ends, and the ledger is gone already */
		l->reply(l->user, r, NULL, err);
	free(l);
}

/* Only where there is something to be seen: list and show answer also while the kernel
 * does not. */
static bool look_needed(const struct look *l)
{
	const struct attachment *a;

	if (l->show) {
		a = attachment_find(l->m->attachments, l->guest, l->name);
		return a && has_queues(&a->v);
	}
	for (a = l->m->attachments->list; a; a = a->next) {
		if (has_queues(&a->v))
			return true;
	}
	return false;
}

/* Of those there is to be looked at, and their bridges. */
static json_t *interfaces(const struct look *l)
{
	json_t *names = json_array();
	char bridge[KNOB_VALUE_MAX];

	for (const struct attachment *a = l->m->attachments->list; a; a = a->next) {
		if (!has_queues(&a->v))
			continue;
		json_array_append_new(names, json_string(a->v.device));
		bridge_of(l, &a->v, bridge, sizeof(bridge));
		if (bridge[0])
			json_array_append_new(names, json_string(bridge));
	}
	return json_pack("{s:o}", "interfaces", names);
}

static void look_begin(const struct look *what)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct look *l = look_needed(what) ? malloc(sizeof(*l)) : NULL;

	if (!l) {
		look_answer(what);
		return;
	}
	*l = *what;
	if (workers_call(l->m->workers, LOOK_LANE, "queues", interfaces(l), LOOK_DEADLINE_MS,
			 look_seen, l, &err) < 0)
		look_seen(l, err.code, NULL, &err);
}

void list_run(struct manager *m, reply_fn reply, void *user)
{
	const struct look l = { .m = m, .reply = reply, .user = user, .unseen = "not seen" };

	look_begin(&l);
}

void show_run(struct manager *m, const struct vnet_request *r, reply_fn reply, void *user)
{
	struct look l = {
		.m = m, .reply = reply, .user = user, .show = true, .unseen = "not seen"
	};

	memcpy(l.guest, r->guest, sizeof(l.guest));
	memcpy(l.name, r->name, sizeof(l.name));
	look_begin(&l);
}
