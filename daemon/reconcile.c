/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * After a start: what state files and journals say against what the guests' live XML
 * says. Loading decides nothing. Deciding waits until libvirt's guests were read
 * once, and until no worker of an earlier vnetd is still at a write.
 *
 *	journal without hand-over record     walk back
 *	guest has the device                 in-use (detaching stays detaching); where the
 *	                                     attach was cut off, with a last look at it
 *	guest gone                           walk back
 *	it was for the persistent XML alone  a reservation where that names it, else walk back
 *	a starting guest's                   ask libvirt once more, then as above
 *	guest runs without the device        ask libvirt once more, behind any call that
 *	                                     the old vnetd left under way; then walk back
 *	guest names a NIC of ours that no    adopt: in-use, its way back is the idle
 *	state file knows                     values
 *	journal lost                         its way back is the idle values
 *
 * A file that cannot be read is moved aside and reported, never deleted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/attachment.h"
#include "daemon/claim.h"
#include "daemon/messages.h"
#include "daemon/select.h"
#include "daemon/state-file.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

#define OLD_WORKERS_MSEC 200
#define OLD_WORKERS_TRIES 150

/* ---- loading ---- */

/* The guest has it, so a hand-over was noted; where it is not, more may be missing. */
static bool journal_was_cut(const struct attachment *a)
{
	return !a->journal->handed_over &&
	       (a->v.state == AT_IN_USE || a->v.state == AT_DETACHING || a->v.state == AT_UNKNOWN);
}

static void load_journal(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT, ignored;
	char file[ATTACHMENT_FILE_MAX];
	_cleanup_close_ int dirfd = -1;
	int fd = a->owner->m->runtime_fd, r;

	attachment_file(&a->v, "", file);
	r = journal_open(&a->journal, fd, file, &err);
	if (r == 0 && journal_was_cut(a)) {
		a->journal = journal_free(a->journal);
		r = vnet_err_set(&err, -ENODATA, VNET_E_FAILED, "journal %s: its end is lost",
				 file);
	}
	if (r == 0 || r == -ENOENT)
		return;
	if (file_opendir_at(fd, "journal", 0700, &dirfd, &ignored) == 0)
		state_aside(dirfd, file, &err);
	/* As if it were gone: nothing was done yet, or the way back is made anew. */
	if (r == -ENODATA && a->v.state != AT_READY && a->v.state != AT_RELEASING)
		return;
	/* Held rather than given out by itself with settings that nobody knows. */
	attachment_enter(a, AT_STUCK, "%s", err.text);
}

static int load_state(void *user, const char *file, struct vnet_err *err)
{
	struct attachments *as = user;
	char own[ATTACHMENT_FILE_MAX];
	_cleanup_json_ json_t *j = NULL;
	enum scope scope = SCOPE_AUTO;
	struct vnet_attachment v;
	struct attachment *a;
	int r = state_read(as->dirfd, file, &j, err);

	if (r == 0)
		r = model_attachment_from_json(json_object_get(j, "attachment"), &v, err);
	if (r == 0)
		r = model_scope_from_json(j, &scope, err);
	if (r < 0)
		return r;
	attachment_file(&v, ".json", own);
	if ((r = state_read_own(file, own, err)) < 0)
		return r;
	a = attachment_new(as, err);
	if (!a)
		return err->code;
	a->v = v;
	a->where = scope == SCOPE_LIVE	   ? IN_LIVE
		   : scope == SCOPE_CONFIG ? IN_CONFIG
					   : IN_LIVE | IN_CONFIG;
	a->by_hook = json_is_true(json_object_get(j, "hook"));
	if (a->v.pid)
		owned_load(a);
	load_journal(a);
	a->pool_back = reconcile_before_vfs(a->journal);
	a->undecided = true;
	return 0;
}

static int is_journal(const struct dirent *d)
{
	return d->d_name[0] != '.' && !state_is_aside(d->d_name);
}

static void load_orphans(struct attachments *as)
{
	struct vnet_err err = VNET_ERR_INIT;
	_cleanup_close_ int dirfd = -1;
	struct dirent **list = NULL;
	int n;

	if (file_opendir_at(as->m->runtime_fd, "journal", 0700, &dirfd, &err) < 0)
		return;
	n = scandirat(dirfd, ".", &list, is_journal, alphasort);
	for (int i = 0; i < n; i++) {
		bool known = false;

		for (struct attachment *a = as->list; a; a = a->next) {
			char file[ATTACHMENT_FILE_MAX];

			attachment_file(&a->v, "", file);
			known = known || strcmp(file, list[i]->d_name) == 0;
		}
		if (!known) {
			vnet_err_set(&err, -ENOENT, VNET_E_FAILED, "no state file goes with it");
			state_aside(dirfd, list[i]->d_name, &err);
		}
		free(list[i]);
	}
	free(list);
}

int reconcile_load(struct attachments *as, struct vnet_err *err)
{
	int r = state_load(as->dirfd, load_state, as, err);

	if (r < 0)
		return vnet_err_wrap(err, "state files");
	load_orphans(as);
	return 0;
}

/* ---- deciding ---- */

static void decide(struct attachment *a)
{
	const struct guest *g = attachment_guest(a);

	if (a->where == IN_CONFIG && g && guest_config_has_nic(g, a->v.name)) {
		attachment_reserved(a);
	} else if (!g || !g->active || !guest_has_nic(g, a->v.name)) {
		attachment_release(a);
	} else if (a->journal && !a->journal->confirmed && a->v.state != AT_DETACHING) {
		attachment_confirm(a);
	} else if (a->v.state != AT_DETACHING && a->v.state != AT_IN_USE) {
		a->v.handover = attachment_handover(a);
		attachment_enter(a, AT_IN_USE, "%s", "");
	}
}

static void reconcile_reread(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->reply || a->released) /* an operation of this life has come in between */
		return;
	if (r < 0 && r != -ENOENT)
		attachment_enter_unknown(a, err);
	else
		decide(a);
}

static int on_unknown(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;

	(void)s;
	(void)usec;
	attachment_timer(a, 0, NULL);
	if (a->v.state == AT_UNKNOWN && !a->reply && !a->txn && !a->released)
		reconcile_one(a);
	return 0;
}

void attachment_enter_unknown(struct attachment *a, const struct vnet_err *err)
{
	attachment_enter(a, AT_UNKNOWN, "%s", err->text);
	attachment_timer(a, UNKNOWN_RETRY_MSEC, on_unknown);
}

void reconcile_one(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	const struct guest *g = attachment_guest(a);

	/* Of a guest that starts, or is being changed, what was read before tells nothing. */
	if (!a->by_hook && a->where != IN_CONFIG &&
	    (!g || !g->active || guest_has_nic(g, a->v.name)))
		decide(a);
	else if (domains_reread(a->owner->m->domains, a->v.uuid, reconcile_reread, a, &err) < 0)
		reconcile_reread(a, err.code, &err);
}

/* Cut off before its PF's VFs were there: then the PF goes back too. With a link-up
 * behind it they were, and others may be using that link by now. */
bool reconcile_before_vfs(const struct journal *j)
{
	const struct knob *last = j && j->n > 0 ? j->effects[j->n - 1].knob : NULL;

	return last && last->owner == KNOB_OF_POOL && strcmp(last->name, "link-up") != 0;
}

static void reconcile_attachment(struct attachment *a, bool first)
{
	bool handed = a->journal && a->journal->handed_over;

	if (a->reply || a->txn) /* an operation of this life moves it */
		return;
	if (a->v.pid) /* reconcile_owned() */
		return;
	a->undecided = false;
	switch (a->v.state) {
	case AT_PREPARING:
	case AT_READY:
		/* A start that libvirt was at when it went away: how did it end? */
		if (!first && !(a->by_hook && handed))
			return;
		if (handed)
			reconcile_one(a);
		else
			attachment_release(a);
		return;
	case AT_IN_USE:
	case AT_DETACHING:
	case AT_UNKNOWN:
		reconcile_one(a);
		return;
	case AT_RELEASING:
		if (first)
			attachment_release(a);
		return;
	default:
		return; /* stuck: an administrator's detach tries again */
	}
}

/* ---- adopting ---- */

/* What it goes back to where nobody knows what it was. A whole NIC is the host's. */
static const char *usual(const struct plan_step *step)
{
	bool whole = strcmp(step->knob->name, "driver") == 0 && !strchr(step->object, '/');

	return whole ? "default" : step->knob->idle;
}

/* Without a journal the way back is what an idle VF has. */
static int adopt_journal(struct attachment *a, struct vnet_err *err)
{
	char file[ATTACHMENT_FILE_MAX], id[ATTACHMENT_ID_MAX];
	int r;

	attachment_file(&a->v, "", file);
	r = journal_create(&a->journal, a->owner->m->runtime_fd, file, attachment_id(a, id), err);
	for (size_t i = 0; r == 0 && i < a->plan.n; i++) {
		const struct plan_step *step = &a->plan.step[i];
		struct effect e = { .knob = step->knob };

		if (step->knob->owner != KNOB_OF_ATTACHMENT || !step->knob->idle)
			continue;
		memcpy(e.object, step->object, sizeof(e.object));
		memcpy(e.after, step->value, sizeof(e.after));
		snprintf(e.before, sizeof(e.before), "%s", step->knob->idle);
		snprintf(e.restore, sizeof(e.restore), "%s", usual(step));
		r = journal_add_effect(a->journal, &e, err);
	}
	if (r == 0)
		r = journal_add_handover(a->journal, delivery_kind_str(a->v.kind), "adopted", err);
	/* What it is set to now is what somebody wants, for all that is known. */
	return r == 0 ? journal_add_confirmed(a->journal, err) : r;
}

static void make_way_back(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];
	int r = select_plan(a->owner->m, &a->v, attachment_guest(a), &a->plan, &err);

	if (r == 0)
		r = adopt_journal(a, &err);
	if (r < 0)
		log_event_err(MSG_ADOPT_FAILED, LOG_ERR, attachment_id(a, id), &err,
			      "%s: without a way back", id);
}

/* Whose journal is lost. Of one that was being made or released its state says that
 * there was none yet, or no need of one any more. */
void reconcile_make_ways_back(struct attachments *as, bool owned)
{
	for (struct attachment *a = as->list; a; a = a->next) {
		if (!a->journal && owned == (a->v.pid > 0) &&
		    (a->v.state == AT_IN_USE || a->v.state == AT_DETACHING ||
		     a->v.state == AT_UNKNOWN || a->v.state == AT_STUCK))
			make_way_back(a);
	}
}

static void adopt(struct attachments *as, const struct guest *g, const struct guest_nic *nic)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct attachment *a = attachment_new(as, &err);
	const struct guest_hostdev *dev = guest_device(g, nic->name, IN_LIVE);

	if (!a) {
		log_event_err(MSG_ADOPT_FAILED, LOG_ERR, g->name, &err,
			      "guest %s: cannot adopt NIC %s", g->name, nic->name);
		return;
	}
	snprintf(a->v.asked.guest, sizeof(a->v.asked.guest), "%s", g->name);
	snprintf(a->v.asked.name, sizeof(a->v.asked.name), "%s", nic->name);
	snprintf(a->v.asked.pool, sizeof(a->v.asked.pool), "%s", nic->pool);
	a->v.asked.vlan = a->v.vlan = nic->vlan;
	snprintf(a->v.uuid, sizeof(a->v.uuid), "%s", g->uuid);
	snprintf(a->v.name, sizeof(a->v.name), "%s", nic->name);
	snprintf(a->v.mode, sizeof(a->v.mode), "%s", nic->mode);
	snprintf(a->v.pool, sizeof(a->v.pool), "%s", nic->pool);
	snprintf(a->v.why, sizeof(a->v.why), "adopted: the guest had it when vnetd started");
	a->v.mac = nic->mac;
	memcpy(a->v.uplink, nic->uplink, sizeof(a->v.uplink));
	memcpy(a->v.asked.options, nic->options, sizeof(a->v.asked.options));
	a->v.kind = dev->kind;
	memcpy(a->v.device, dev->device, sizeof(a->v.device));
	a->v.pf = nic->pf;
	a->v.pf_mac = nic->pf_mac;
	a->v.vf_index = nic->vf_index;
	a->v.vf = nic->vf;
	a->v.handover = attachment_handover(a);
	make_way_back(a);
	attachment_enter(a, AT_IN_USE, "adopted: no state file knew it");
}

/* Metadata may have been copied with the rest of the XML, or be of another boot: only
 * what the device itself says makes the VF ours. */
static bool is_the_device(struct manager *m, const struct guest *g, const struct guest_nic *nic)
{
	const struct guest_hostdev *h = guest_device(g, nic->name, IN_LIVE);
	char claim[IF_NAMESIZE], path[UUID_STR + NIC_NAME_MAX];
	const struct nic *vf;

	claim_name(g->uuid, nic->name, claim);
	switch (h ? h->kind : DL_NONE) {
	case DL_HOSTDEV:
		vf = nic->vf_index < 0 ? NULL
				       : host_scan_vf(inventory_scan(m->inventory), &nic->pf,
						      (unsigned)nic->vf_index);
		if (vf && pci_addr_eq(&h->addr, &nic->vf) && pci_addr_eq(&vf->addr, &nic->vf))
			return true;
		break;
	case DL_LINK:
		if (strcmp(h->device, claim) == 0)
			return true;
		break;
	case DL_CHARDEV:
		snprintf(path, sizeof(path), "%s.%s", g->uuid, nic->name);
		if (strcmp(basename(h->device), path) == 0)
			return true;
		break;
	case DL_PCI:
		if (strcmp(h->device, nic->uplink) == 0)
			return true;
		break;
	case DL_SOCKET:
		return true;
	default:
		break;
	}
	log_event(MSG_ADOPT_FAILED, LOG_WARNING, g->name,
		  "guest %s: its metadata names a NIC %s that is not the device it has: "
		  "left alone",
		  g->name, nic->name);
	return false;
}

static void adopt_all(struct attachments *as)
{
	const struct guest *g;

	for (size_t i = 0; (g = domains_at(as->m->domains, i)); i++) {
		for (size_t k = 0; g->active && k < g->n_nics; k++) {
			const struct guest_nic *nic = &g->nics[k];

			if (guest_has_nic(g, nic->name) && is_the_device(as->m, g, nic) &&
			    !attachment_find(as, g->uuid, nic->name) &&
			    (nic->vf_index < 0 || !attachments_holder(as, &nic->pf, nic->vf_index)))
				adopt(as, g, nic);
		}
	}
}

static void decide_all(struct attachments *as, bool first)
{
	struct attachment *a, *next;

	for (a = as->list; a; a = next) {
		next = a->next;
		reconcile_attachment(a, first);
	}
}

static void reconcile_end(struct attachments *as)
{
	as->releases = sd_event_source_disable_unref(as->releases);
	as->reconciled = true;
	attachments_guests_known(as);
}

static int on_releases_late(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	reconcile_end(user);
	return 0;
}

bool reconcile_some_released(const struct attachments *as, bool owned)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (a->released && (!owned || a->v.pid))
			return true;
	}
	return false;
}

/* Requests wait for what is taken back at first: who repeats the command that a crash
 * cut off is not to meet its remains. But not for one that takes its time. */
void reconcile_released(struct attachments *as)
{
	reconcile_owned_released(as);
	/* From the event loop: whoever tells us may be walking over the attachments. */
	if (as->decided && !as->reconciled && !reconcile_some_released(as, false) &&
	    sd_event_source_set_time_relative(as->releases, 0) < 0)
		reconcile_end(as);
}

static void on_scanned(void *user, int r, struct vnet_err *err)
{
	struct attachments *as = user;

	if (r < 0)
		log_err(3, NULL, err, "the host could not be scanned");
	reconcile_make_ways_back(as, false);
	decide_all(as, true);
	as->decided = true;
	adopt_all(as);
	if (sd_event_add_time_relative(as->m->event, &as->releases, CLOCK_MONOTONIC,
				       RECONCILE_RELEASES_MSEC * UINT64_C(1000), 0,
				       on_releases_late, as) < 0)
		reconcile_end(as);
	reconcile_released(as);
}

static int on_old_workers(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachments *as = user;

	(void)s;
	(void)usec;
	as->old_workers = sd_event_source_disable_unref(as->old_workers);
	if (!as->owned_deciding)
		reconcile_owned(as);
	if (domains_known(as->m->domains) == DOMAINS_KNOWN)
		attachments_guests_known(as);
	return 0;
}

bool reconcile_old_workers_write(struct attachments *as)
{
	if (as->old_tries >= OLD_WORKERS_TRIES || !workers_of_old(as->m->workers))
		return false;
	if (as->old_tries++ == 0)
		log_info(NULL, "a worker of the vnetd before still writes: waiting for it");
	if (!as->old_workers)
		sd_event_add_time_relative(as->m->event, &as->old_workers, CLOCK_MONOTONIC,
					   OLD_WORKERS_MSEC * 1000, 0, on_old_workers, as);
	return as->old_workers != NULL;
}

bool reconcile_guests(struct attachments *as)
{
	if (as->decided) {
		decide_all(as, false);
	} else if (!as->deciding && !reconcile_old_workers_write(as)) {
		as->deciding = true;
		inventory_refresh(as->m->inventory, on_scanned, as);
	}
	return as->reconciled;
}
