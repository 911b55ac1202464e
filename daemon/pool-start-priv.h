/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_POOL_START_PRIV_H
#define VNETD_POOL_START_PRIV_H
/* What pool-start.c (the pass) and pool-make.c (one PF of it) share. Nobody else
 * includes this. */
#include <systemd/sd-event.h>

#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/plugin.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "daemon/txn.h"

enum making_state { WAITS, FORWARD, BACK, ENDED };

struct making {
	struct making *next;
	struct pool_start *s;
	struct pci_addr pf;
	char pool[POOL_NAME_MAX];
	char link[PCI_ADDR_STR]; /* for texts: interface or address */
	int count;		 /* 0: only what a vnetd of before began */
	enum making_state state;
	bool leftover; /* its journal is a vnetd's of before */
	struct journal *journal;
	struct txn *txn;
	struct plan plan;
	char failed[REASON_MAX];
};

struct pool_start {
	struct manager *m;
	int dirfd; /* RUNTIME/pools, with the journals below */
	struct making *list;
	json_t *made;
	char also[POOL_NAME_MAX]; /* this pool too */
	pool_start_done_fn done;  /* NULL: no pass runs */
	void *user;
	bool scanning, stale; /* stale: VFs were made since the last scan */
	bool late;	      /* uplinks are not waited for any more */
	sd_event_source *kick, *limit, *wait, *tick;
};

/* On with the pass, from the event loop: never from within a making or a scan. */
void pool_start_kick(struct pool_start *s);

/* pool-make.c. 0: it is under way, or has ended already; <0: it has not begun. */
int making_begin(struct making *mk, struct vnet_err *err);
/* It ended with this error, or without one (NULL). */
void making_end(struct making *mk, const struct vnet_err *err);
struct making *making_free(struct making *mk);
#endif
