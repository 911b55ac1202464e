/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Attachments of a QEMU without libvirt. They are chosen, made and walked back like any
 * other (attach.c, release.c); only the hand-over differs:
 *
 *	owned_hand_over -> [a worker opens] -> owned_opened -> the reply has them (Exec)
 *	                                                    -> qmp_nic_attach -> owned_plugged
 *
 * and so does who says that it is over: the process that has it, by its end. Descriptors
 * are never kept: they are in the worker's answer, then in the reply or QEMU's socket.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <syslog.h>

#include "daemon/attachment.h"
#include "daemon/exec.h"
#include "daemon/fault.h"
#include "daemon/pool.h"
#include "daemon/qmp-nic.h"
#include "daemon/select.h"
#include "lib/json.h"
#include "lib/log.h"

/* A VFIO open resets the function, some 110 ms, one after the other below one port. */
#define OPEN_DEADLINE_MS 20000

/* What is under way is told so at once, and must not move an attachment that is being taken
 * back, or is gone but for its memory. */
void owned_hang_up(struct owned *o)
{
	o->deaf = true;
	o->who.qmp = qmp_free(o->who.qmp);
	o->deaf = false;
}

struct owned *owned_free(struct owned *o)
{
	if (!o)
		return NULL;
	owned_hang_up(o);
	sd_event_source_disable_unref(o->again);
	attach_owner_done(&o->who);
	json_decref(o->roles);
	free(o);
	return NULL;
}

/* ---- answering ---- */

static void answer(struct attachment *a, json_t *result, struct vnet_fds *fds)
{
	struct vnet_err none = VNET_ERR_INIT;
	struct vnet_fds no_fds = VNET_FDS_INIT;
	struct owned *o = a->owned;
	reply_fds_fn reply = o->reply;

	a->reply = NULL;
	o->reply = NULL;
	if (reply)
		reply(o->user, 0, result, fds ? fds : &no_fds, &none);
	else
		json_decref(result);
}

/* As reply_fn of the attachment: for what ends without descriptors. */
static void answer_plain(void *user, int r, json_t *result, struct vnet_err *err)
{
	struct owned *o = user;
	struct vnet_fds none = VNET_FDS_INIT;
	reply_fds_fn reply = o->reply;

	o->reply = NULL;
	if (reply)
		reply(o->user, r, result, &none, err);
	else
		json_decref(result);
}

static json_t *reply_json(struct attachment *a)
{
	return json_pack("{s:o,s:O?,s:o}", "attachment", model_attachment_to_json(&a->v),
			 "verdicts", a->verdicts, "timing", timing_json(&a->timing));
}

/* ---- the owner ---- */

void owned_ended(struct attachment *a)
{
	char id[ATTACHMENT_ID_MAX];

	log_info(attachment_id(a, id), "%s: process %lld has ended", id, (long long)a->v.pid);
	if (a->txn || a->v.state == AT_PREPARING || a->v.state == AT_READY || a->owned->who.qmp)
		a->given_up = true; /* who is at it finds out */
	else if (!a->journal && a->v.state != AT_RELEASING)
		attachment_enter(a, AT_STUCK,
				 "its journal is lost, and mode %s, which could tell what was set, "
				 "is not there: put back %s by hand, then detach it",
				 a->v.mode, a->v.device);
	else
		attachment_release(a);
}

static void on_owner_end(void *user)
{
	owned_ended(user);
}

int owned_watch(struct attachment *a, struct vnet_err *err)
{
	return owner_watch(&a->owned->who.owner, a->owner->m->event, on_owner_end, a, err);
}

static int on_settled(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;
	struct vnet_err err = a->cause;

	(void)s;
	(void)usec;
	a->cause = VNET_ERR_INIT;
	attachment_timer(a, 0, NULL);
	a->owned->then(a, err.code, &err);
	return 0;
}

void owned_settle(struct attachment *a, const struct vnet_err *err, owned_then_fn then)
{
	a->cause = *err;
	a->owned->then = then;
	attachment_timer(a, OWNED_SETTLE_MS, on_settled);
}

/* ---- the hand-over ---- */

static void owned_fail(struct attachment *a, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	a->owned->who.qmp = qmp_free(a->owned->who.qmp);
	vnet_err_wrap(err, "attach %s", attachment_id(a, id));
	a->cause = *err;
	attachment_release(a);
}

static void in_use(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];

	attachment_timer(a, 0, NULL);
	a->owned->who.qmp = qmp_free(a->owned->who.qmp);
	attachment_enter(a, AT_IN_USE, "%s", "");
	if (journal_add_confirmed(a->journal, &err) < 0)
		log_err(LOG_WARNING, attachment_id(a, id), &err, "%s: its journal", id);
}

static int ended_meanwhile(const struct attachment *a, struct vnet_err *err)
{
	return vnet_err_set(err, -ESRCH, VNET_E_FAILED, "process %lld ended meanwhile",
			    (long long)a->v.pid);
}

static void plugged(struct attachment *a, int r, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	if (a->given_up)
		r = ended_meanwhile(a, err);
	if (r == -EINPROGRESS) {
		/* The device may be in: it goes back when that QEMU ends, or by a detach. */
		in_use(a);
		vnet_err_wrap(err,
			      "attach %s: whether QEMU has it is not known: vnetctl detach --qmp "
			      "takes it back",
			      attachment_id(a, id));
		attachment_reply(a, r, NULL, err);
	} else if (r < 0) {
		owned_fail(a, err);
	} else {
		in_use(a);
		answer(a, reply_json(a), NULL);
	}
}

/* What came of a QMP attach. */
static void owned_plugged(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->owned->deaf)
		return;
	if (a->given_up || (r != -EPIPE && r != -EINPROGRESS)) {
		plugged(a, r, err);
		return;
	}
	owned_settle(a, err, plugged);
}

static bool has_role(const json_t *roles, const char *role)
{
	const json_t *r;
	size_t i;

	json_array_foreach (roles, i, r) {
		if (json_is_string(r) && strcmp(json_string_value(r), role) == 0)
			return true;
	}
	return false;
}

static int plug(struct attachment *a, const json_t *roles, struct vnet_fds *fds,
		struct vnet_err *err)
{
	struct qmp_nic nic = { .mac = a->v.mac };

	memcpy(nic.name, a->v.name, sizeof(nic.name));
	nic.queues = (unsigned)options_get_number(a->v.how, "queues", 1, 256, 1);
	nic.mtu = (unsigned)options_get_number(a->v.how, "mtu", 1, UINT16_MAX, 0);
	if (options_get(a->v.how, "model", nic.model, sizeof(nic.model)) < 0 ||
	    strcmp(nic.model, "virtio") == 0)
		nic.model[0] = '\0';
	if (a->v.kind == DL_SOCKET) {
		snprintf(nic.socket, sizeof(nic.socket), "%.*s", QMP_NIC_SOCKET_MAX - 1,
			 a->v.device);
		nic.listens = exec_listens(&a->v);
	}
	if (owned_is_pci(a) && !has_role(roles, "vfio"))
		snprintf(nic.host, sizeof(nic.host), "%.*s", PCI_ADDR_STR - 1, a->v.device);
	return qmp_nic_attach(a->owned->who.qmp, a->owner->m->event, &nic, roles, fds,
			      owned_plugged, a, err);
}

static void give(struct attachment *a, const json_t *roles, struct vnet_fds *fds)
{
	const char *host = owned_is_pci(a) && !has_role(roles, "vfio") ? a->v.device : NULL;
	json_t *result;

	in_use(a);
	result = reply_json(a);
	exec_put_arguments(result, &a->v, roles, host);
	answer(a, result, fds);
}

static void owned_opened(void *user, int r, const json_t *result, struct vnet_fds *fds,
			 struct vnet_err *err)
{
	struct attachment *a = user;
	const json_t *roles = json_object_get(result, "fds");

	timing_switch(&a->timing, TIMING_VNETD);
	if (r == 0 && (r = fault_point("handover:after")) < 0)
		vnet_err_errno(err, r, "fault point");
	if (r == 0 && (a->given_up || !owner_alive(&a->owned->who.owner)))
		r = ended_meanwhile(a, err);
	if (r == 0 && !a->owned->who.qmp)
		r = owned_memlock_all(a, err);
	if (r < 0) {
		owned_fail(a, err);
		return;
	}
	a->v.handover = json_array_size(roles) ? HO_FD_BY_VNETD : HO_PATH;
	if (!a->owned->who.qmp)
		give(a, roles, fds);
	else if (plug(a, roles, fds, err) < 0)
		owned_fail(a, err);
}

static const char *open_word(enum vnet_plugin_open how)
{
	static const char *const words[] = {
		[VNET_OPEN_TAP] = "tap",     [VNET_OPEN_MACVTAP] = "macvtap",
		[VNET_OPEN_VHOST] = "vhost", [VNET_OPEN_VDPA] = "vdpa",
		[VNET_OPEN_VFIO] = "vfio",   [VNET_OPEN_IOMMUFD] = "iommufd",
	};

	return words[how];
}

static json_t *what_json(const struct opens *o)
{
	json_t *what = json_array();

	for (size_t i = 0; i < o->n; i++) {
		json_t *row = json_pack("{s:s,s:s}", "role", o->at[i].role, "how",
					open_word(o->at[i].how));

		if (o->at[i].name[0])
			json_put_str(row, "name", o->at[i].name);
		if (o->at[i].count > 1)
			json_put_int(row, "count", o->at[i].count);
		json_array_append_new(what, row);
	}
	return json_pack("{s:o}", "what", what);
}

/* That of the knobs of what is opened: where one hangs, only such wait for it. */
static const char *open_lane(const struct attachment *a, char buf[static PCI_ADDR_STR])
{
	if (owned_is_pci(a))
		return pci_addr_str(&a->v.pf, buf);
	return a->v.kind == DL_CHARDEV ? "vdpa" : "net";
}

static int open_all(struct attachment *a, struct vnet_err *err)
{
	struct vnet_fds none = VNET_FDS_INIT;
	struct manager *m = a->owner->m;
	struct opens opens = { 0 };
	char lane[PCI_ADDR_STR];
	int r = select_fds(m, &a->v, NULL, &opens, err);

	if (r == 0)
		r = journal_add_handover(a->journal, delivery_kind_str(a->v.kind), a->v.device,
					 err);
	if (r < 0)
		return r;
	if (!opens.n) { /* QEMU opens its VFIO group, or the socket, by itself */
		owned_opened(a, 0, NULL, &none, err);
		return 0;
	}
	timing_switch(&a->timing, TIMING_KERNEL);
	return workers_call_fds(m->workers, open_lane(a, lane), "open", what_json(&opens),
				OPEN_DEADLINE_MS, owned_opened, a, err);
}

static void may_lock(struct attachment *a, int r, struct vnet_err *err)
{
	if (r == 0 && (a->given_up || !owner_alive(&a->owned->who.owner)))
		r = ended_meanwhile(a, err);
	if (r == 0)
		r = open_all(a, err);
	if (r < 0)
		owned_fail(a, err);
}

int owned_hand_over(struct attachment *a, struct vnet_err *err)
{
	struct delivery d;
	int r = select_deliver(a->owner->m, &a->v, NULL, &d, err);

	if (r < 0)
		return r;
	attachment_set_delivery(a, &d);
	r = attachment_set_state(a, AT_READY, "", err);
	if (r == 0 && (r = fault_point("handover:before")) < 0)
		vnet_err_errno(err, r, "fault point");
	if (r < 0)
		return r;
	if (a->owned->who.qmp && owned_locks_memory(a))
		return owned_memlock_by_qmp(a, may_lock, err);
	return open_all(a, err);
}

/* ---- taking the request ---- */

static void make_uuid(char ret[static UUID_STR])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		memset(b, 0, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	snprintf(ret, UUID_STR,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

static int choose_name(struct attachments *as, const struct vnet_request *r,
		       char ret[static NIC_NAME_MAX], struct vnet_err *err)
{
	if (domains_find(as->m->domains, r->guest))
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "libvirt has a guest %s: attach it without --qmp and exec, or "
				    "choose another name",
				    r->guest);
	if (r->name[0]) {
		snprintf(ret, NIC_NAME_MAX, "%s", r->name);
		if (!attachment_find(as, r->guest, ret))
			return 0;
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "%s has a NIC %s already: choose another --name, or another "
				    "name for the guest",
				    r->guest, ret);
	}
	for (unsigned i = 0; i < ATTACHMENTS_MAX; i++) {
		snprintf(ret, NIC_NAME_MAX, "net%u", i);
		if (!attachment_find(as, r->guest, ret))
			return 0;
	}
	return vnet_err_set(err, -EDQUOT, VNET_E_LIMIT, "%s: no name netN is free", r->guest);
}

/* What QEMU says of its memory is part of what is asked: a mode may need to know. */
static void on_memory(void *user, int r, int shared, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->owned->deaf)
		return;
	if (r < 0) {
		vnet_err_wrap(err, "attach %s", a->v.asked.guest);
		attachment_reply(a, r, NULL, err);
		attachment_drop(a);
		return;
	}
	if (shared >= 0)
		a->v.asked.memory = shared ? MEMORY_IS_SHARED : MEMORY_IS_PRIVATE;
	attach_choose_now(a);
}

static void owned_begin(struct manager *m, struct waiter *w)
{
	struct owned *o = w->user;
	struct vnet_err err = VNET_ERR_INIT;
	char name[NIC_NAME_MAX];
	struct attachment *a = NULL;
	int r;

	if (choose_name(m->attachments, &w->request, name, &err) == 0)
		a = attachment_new(m->attachments, &err);
	if (!a) {
		vnet_err_wrap(&err, "attach %s", w->request.guest);
		answer_plain(o, err.code, NULL, &err);
		owned_free(o);
		return;
	}
	a->owned = o;
	a->v.asked = w->request;
	make_uuid(a->v.uuid);
	snprintf(a->v.name, sizeof(a->v.name), "%s", name);
	a->v.vlan = w->request.vlan;
	a->v.pid = o->who.owner.pid;
	a->v.pid_start = (int64_t)o->who.owner.start_time;
	a->v.uid = o->who.owner.uid;
	a->v.state = AT_PREPARING;
	a->reply = answer_plain;
	a->reply_user = o;
	a->timing = w->timing;
	r = owned_watch(a, &err);
	if (r == 0 && o->who.qmp)
		r = qmp_nic_memory(o->who.qmp, on_memory, a, &err);
	if (r < 0) {
		attachment_reply(a, r, NULL, &err);
		attachment_drop(a);
	} else if (!o->who.qmp) {
		attach_choose_now(a);
	}
}

/* The waiter was refused: libvirt is not known in time. */
static void owned_refused(void *user, int r, json_t *result, struct vnet_err *err)
{
	struct owned *o = user;

	answer_plain(o, r, result, err);
	owned_free(o);
}

/* May it be given what a guest of libvirt's has in its XML, and nothing else tells of? What is
 * put on an interface or a bridge is not. */
static bool mode_needs_guests(struct manager *m, const char *mode)
{
	const struct vnet_plugin *p = plugins_find(m->plugins, mode);

	return p &&
	       p->candidates & (VNET_CANDIDATE_VF | VNET_CANDIDATE_NIC | VNET_CANDIDATE_MGMTDEV);
}

static bool needs_guests(struct manager *m, const struct vnet_request *r)
{
	const struct pool *pool = !r->n_modes && r->pool[0] ? pools_find(m->pools, r->pool) : NULL;
	bool needs = !r->n_modes && !pool;

	for (unsigned i = 0; i < r->n_modes; i++)
		needs |= mode_needs_guests(m, r->modes[i]);
	for (unsigned i = 0; pool && i < pool->set.n_modes; i++)
		needs |= mode_needs_guests(m, pool->set.modes[i]);
	return needs;
}

void attach_run_owned(struct manager *m, const struct vnet_request *r, struct attach_owner *who,
		      reply_fds_fn reply, void *user)
{
	struct owned *o = calloc(1, sizeof(*o));
	struct vnet_err err = VNET_ERR_INIT;

	if (!o) {
		attach_owner_done(who);
		reply(user, vnet_err_errno(&err, -ENOMEM, "attach"), NULL, NULL, &err);
		return;
	}
	o->who = *who;
	o->reply = reply;
	o->user = user;
	attachments_serve_exec(m, r, needs_guests(m, r), owned_begin, owned_refused, o);
}
