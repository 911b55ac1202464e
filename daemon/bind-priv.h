/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_BIND_PRIV_H
#define VNETD_BIND_PRIV_H
/*
 * What the rooms of bind share: bind.c (the records), bind-run.c (a request),
 * bind-back.c (the way back, by request or after a crash).
 */
#include <systemd/sd-event.h>

#include "daemon/bind.h"
#include "daemon/host/host.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/txn.h"

enum bind_state {
	BIND_BINDING, /* the knob is being set; cut off here it goes back */
	BIND_BOUND,
	BIND_LEAVING, /* on its way back to what was found */
	BIND_STATE_MAX
};
NAMES_DECLARE(bind_state, enum bind_state)

/* One client's wish. It is in owner->calls from its start to its answer. */
struct bind_call {
	struct bind_call *next;
	struct binds *owner;
	struct bind_request r;
	bool waits;  /* for what is being put back after a start */
	bool leaves; /* to what was found */
	char before[DRIVER_NAME_MAX];
	json_t *warnings;
	reply_fn reply;
	void *user;
};

struct bind {
	struct bind *next;
	struct binds *owner;
	struct pci_addr addr;
	enum bind_state state;
	/* Values of the driver knob: before vnetd's first bind; as bound now, "" while the
	 * first bind is under way. */
	char found[KNOB_VALUE_MAX], driver[KNOB_VALUE_MAX];
	char wanted[KNOB_VALUE_MAX]; /* BINDING */
	struct journal *journal;     /* of what is under way, or could not be put back */
	struct txn *txn;
	struct plan plan;
	struct bind_call *call; /* that it is done for, or NULL */
	struct vnet_err cause;	/* why it goes back, where it was to be bound */
	struct vnet_err left;	/* what could not be put back */
	bool foreign;		/* because somebody else had changed it */
};

struct binds {
	struct manager *m;
	int dirfd; /* RUNTIME/bind */
	struct bind *list;
	struct bind_call *calls;
	sd_event_source *settle; /* once, when no worker of before writes any more */
	unsigned tries;
};

/* ---- bind.c ---- */
struct bind *bind_find(const struct binds *bs, const struct pci_addr *addr);
int bind_new(struct binds *bs, const struct pci_addr *addr, struct bind **ret,
	     struct vnet_err *err);
/* The record and its journal; the object is gone. */
void bind_drop(struct bind *b);
/* On disk before it is acted upon. */
int bind_set_state(struct bind *b, enum bind_state state, struct vnet_err *err);
/* "" for "igb override=x" -> "igb" */
void bind_driver_of(const char *value, char ret[static DRIVER_NAME_MAX]);

/* ---- bind-run.c ---- */
/* The end of a call whose function has its new driver: looks at it once more. */
void bind_tell(struct bind_call *c);
void bind_answer(struct bind_call *c, int r, json_t *result, struct vnet_err *err);
/* Ask again: what it waited for is over. */
void bind_look_again(struct bind_call *c);

/* ---- bind-back.c ---- */
/* Walk what is under way back. b->cause: a bind that failed, and what its call is told. */
void bind_back(struct bind *b);
/* Back to what was found. <0: nothing was done. */
int bind_leave(struct bind *b, struct vnet_err *err);
/* After a start: what was cut off. */
void bind_settle(struct binds *bs);
#endif
