/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * After a start: what state files and journals say of attachments that QEMUs without libvirt
 * have. Deciding waits until no worker of an earlier vnetd is still at a write, and for no
 * libvirt; what is said of each is in detach-owned.c. Requests wait for it, and for what is
 * taken back at first.
 */
#include <syslog.h>

#include "daemon/attachment.h"
#include "lib/log.h"

static void owned_end(struct attachments *as)
{
	as->owned_releases = sd_event_source_disable_unref(as->owned_releases);
	as->owned_reconciled = true;
	attachments_serve_waiting(as);
}

static int on_owned_releases_late(sd_event_source *s, uint64_t usec, void *user)
{
	(void)s;
	(void)usec;
	owned_end(user);
	return 0;
}

void reconcile_owned_released(struct attachments *as)
{
	/* From the event loop: whoever tells us may be walking over the attachments. */
	if (as->owned_decided && !as->owned_reconciled && !reconcile_some_released(as, true) &&
	    sd_event_source_set_time_relative(as->owned_releases, 0) < 0)
		owned_end(as);
}

static void on_owned_scanned(void *user, int r, struct vnet_err *err)
{
	struct attachments *as = user;
	struct attachment *a, *next;

	if (r < 0)
		log_err(LOG_ERR, NULL, err, "the host could not be scanned");
	reconcile_make_ways_back(as, true);
	for (a = as->list; a; a = next) {
		next = a->next;
		if (!a->v.pid || !a->undecided)
			continue;
		a->undecided = false;
		owned_reconcile(a);
	}
	as->owned_decided = true;
	if (sd_event_add_time_relative(as->m->event, &as->owned_releases, CLOCK_MONOTONIC,
				       RECONCILE_RELEASES_MSEC * UINT64_C(1000), 0,
				       on_owned_releases_late, as) < 0)
		owned_end(as);
	reconcile_released(as);
}

static bool some_owned(const struct attachments *as)
{
	for (const struct attachment *a = as->list; a; a = a->next) {
		if (a->v.pid)
			return true;
	}
	return false;
}

void reconcile_owned(struct attachments *as)
{
	if (as->owned_deciding || reconcile_old_workers_write(as))
		return;
	as->owned_deciding = true;
	if (!some_owned(as)) {
		as->owned_decided = true;
		owned_end(as);
		return;
	}
	inventory_refresh(as->m->inventory, on_owned_scanned, as);
}
