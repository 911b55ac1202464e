/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the ledger still has of a guest that starts now, or ended: either proves that it
 * does not run, whatever the table of guests or a state file says. libvirt answers nothing
 * about that guest before the hook is over, so nothing here waits for what it was asked.
 */
#include <errno.h>
#include <string.h>

#include "daemon/attachment.h"

/* Is libvirt's side of it over? */
static bool is_left(const struct attachment *a)
{
	switch (a->v.state) {
	case AT_IN_USE:
	case AT_DETACHING:
	case AT_UNKNOWN:
		return a->where & IN_LIVE;
	case AT_READY:
		return a->by_hook || (a->undecided && (a->where & IN_LIVE));
	case AT_PREPARING:
	case AT_RELEASING:
		return a->undecided;
	default:
		return false;
	}
}

/* One that is written into the persistent XML, or out of it, while the guest starts with
 * it: the hook's XML tells what libvirt has not answered yet. */
static void config_settled(struct attachment *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	char id[ATTACHMENT_ID_MAX];

	if (a->v.state == AT_READY || a->v.state == AT_UNKNOWN) {
		attachment_reserved(a);
	} else if (a->v.state == AT_DETACHING) {
		vnet_err_set(&err, -EBUSY, VNET_E_BUSY,
			     "detach %s: the guest starts with it just now: detach it again",
			     attachment_id(a, id));
		attachment_reply(a, err.code, NULL, &err);
		attachment_drop(a);
	}
}

static bool is_starting_with(const struct attachment *a, const struct guest *g)
{
	const struct guest_hostdev *dev = guest_device(g, a->v.name, IN_LIVE);

	return dev && dev->kind == a->v.kind && strcmp(dev->device, a->v.device) == 0;
}

static bool is_being_made(const struct attachment *a)
{
	return a->by_hook && a->v.state == AT_PREPARING && !a->undecided;
}

bool hook_clear(struct attachments *as, const struct guest *g)
{
	struct attachment *a, *next;
	bool clean = true;

	for (a = as->list; a; a = next) {
		next = a->next;
		if (strcmp(a->v.uuid, g->uuid) != 0)
			continue;
		if (is_being_made(a))
			a->given_up = true;
		else if (a->released || is_left(a))
			attachment_release_now(a);
		else if (a->where == IN_CONFIG && is_starting_with(a, g))
			config_settled(a);
	}
	for (a = as->list; a; a = a->next) {
		if (strcmp(a->v.uuid, g->uuid) == 0 && (a->released || is_being_made(a)))
			clean = false;
	}
	return clean;
}
