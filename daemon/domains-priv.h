/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_DOMAINS_PRIV_H
#define VNETD_DOMAINS_PRIV_H
/*
 * Shared by domains.c (who is asked what, and when) and domains-table.c (what is known
 * of the guests).
 */
#include "daemon/domains.h"

enum list_state {
	LIST_IDLE,
	LIST_ASKED,   /* DOM_READ_ALL is under way */
	LIST_READING, /* the guests of the list are being read */
	LIST_RETRY,   /* it failed; the timer asks again */
};

struct domains {
	sd_event *event;
	const struct domains_backend *backend;
	void *be;
	struct domains_events events;
	void *user;

	bool connected;
	bool absent; /* nobody is there to connect to */
	enum domains_known known;
	char why[VNET_ERR_TEXT_MAX];

	struct guest *guests; /* sorted by name */
	size_t n_guests;

	struct domains_request *requests;
	enum list_state list;
	bool list_again;  /* connected anew while the list was on its way */
	bool list_broken; /* a guest of it could not be read for want of a connection */
	sd_event_source *timer;
};

/* ---- domains-table.c ---- */

struct guest *table_find(const struct domains *d, const char *uuid);
/* What is left in *g is the caller's to be done with. */
int table_put(struct domains *d, struct guest *g, struct vnet_err *err);
void table_remove(struct domains *d, const char *uuid);
/* @uuid has ended: it holds what its persistent XML names and nothing else. */
void table_off(struct domains *d, const char *uuid);
/* Without the live devices that have @alias, or any where that is NULL. */
void guest_without(struct guest *g, const char *alias);
#endif
