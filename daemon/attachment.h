/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_ATTACHMENT_H
#define VNETD_ATTACHMENT_H
/*
 * One attachment from the inside, shared by the rooms that move it: attach.c
 * (there), release.c (back), reconcile.c (after a start), ask.c and look.c (looking).
 *
 * An attachment is in the ledger from before its claim is chosen until nothing of
 * it is left on the host. At most one operation moves it at a time; `reply` is the
 * client that waits for that operation, if one does.
 */
#include <jansson.h>
#include <systemd/sd-event.h>

#include "daemon/attach.h"
#include "daemon/exec.h"
#include "daemon/inventory.h"
#include "daemon/journal.h"
#include "daemon/manager.h"
#include "daemon/plugin.h"
#include "daemon/timing.h"
#include "daemon/txn.h"

/* A guest may take its time to let go; libvirt itself waits 5 s before it answers. */
#define DETACH_WAIT_SEC 20
/* libvirt's answer to an attach; a slow reset of the device is in it. */
#define HANDOVER_WAIT_SEC 120
/* How long a request waits for libvirt's list of guests after a start. */
#define KNOWN_WAIT_SEC 10
/* QEMU closes the VF a little after libvirt says that the device or guest is gone. */
#define CLOSE_RETRY_MSEC 500
#define CLOSE_RETRIES 40

struct attachment;
typedef void (*owned_then_fn)(struct attachment *a, int r, struct vnet_err *err);

/* Of an attachment that a QEMU without libvirt has (attach-owned.c). */
struct owned {
	struct attach_owner who;
	reply_fds_fn reply; /* NULL: answered */
	void *user;
	json_t *roles;
	owned_then_fn then; /* what goes on after a wait */
	/* Of a vnetd before, and it could not be opened: it counts as running until it can. */
	bool unseen;
	sd_event_source *again; /* when that is tried */
	bool deaf;		/* what comes of a monitor's commands is nobody's matter any more */
};

struct attachment {
	struct owned *owned; /* NULL: a guest of libvirt's */
	struct vnet_attachment v;
	struct attachments *owner;
	struct attachment *next;
	struct journal *journal;
	struct txn *txn;
	struct plan plan;
	size_t plan_next;
	enum domains_where where; /* of an attach or detach: which XMLs */
	/* A starting guest's: made by libvirt's hook, which asks for what the guest's XML
	 * names; libvirt itself then hands it over. */
	bool by_hook;
	enum delivery_kind named_kind; /* by_hook: the device in that XML */
	char named[DEVICE_MAX];
	struct hook *hook; /* that waits for it, or NULL */
	bool given_up;	   /* by_hook: nobody waits for it any more */
	bool undecided;	   /* of the vnetd before, and nobody has looked at it yet */
	bool pool_back;	   /* a failed attach: the pool's knobs go back too, where no VF was made */
	bool idle_back;	   /* the VF is of vnetd's making: it goes back to idle */
	bool released;	   /* attachment_release() is at it */
	bool forgetting;   /* and waits for the guest's metadata */
	sd_event_source *timer;
	unsigned retries;
	struct timing timing; /* of the attach */
	reply_fn reply;
	void *reply_user;
	json_t *verdicts;      /* for the reply to an attach */
	struct vnet_err cause; /* an attach that is walked back: why */
	json_t *residue;       /* of the walk back: texts */
	bool residue_failed;   /* some of it is not foreign: trying again may help */
	bool residue_busy;     /* and was EBUSY */
	char came_back[192];   /* of a whole NIC: what the host has of it again, in words */
	void (*came_back_done)(struct attachment *a);
	unsigned came_back_looks;
};

struct waiter;
typedef void (*waiter_fn)(struct manager *m, struct waiter *w);

/* A request that waits (waiting.c). */
struct waiter {
	struct waiter *next;
	struct attachments *owner;
	sd_event_source *timer;
	waiter_fn go;
	bool rereads; /* waits for what libvirt says of this one guest */
	bool owned;   /* for a QEMU without libvirt */
	bool guests;  /* owned: it may meet what guests of libvirt's have */
	bool detaches;
	struct timing timing;
	struct vnet_request request; /* attach, why, plan; detach: guest and name */
	reply_fn reply;
	void *user;
};

struct attachments {
	struct manager *m;
	int dirfd; /* RUNTIME/attachments */
	struct attachment *list;
	size_t n;
	struct waiter *waiters;
	sd_event_source *waiters_kick; /* has those looked at whose forerunner may be gone */
	bool deciding, decided;	       /* about what was loaded, once */
	bool reconciled;	       /* and guests' NICs were adopted: requests may be served */
	/* The same of those that a QEMU without libvirt has, which need no libvirt. */
	bool owned_deciding, owned_decided, owned_reconciled;
	sd_event_source *owned_releases;
	unsigned old_tries;
	sd_event_source *old_workers;  /* looks again whether they are done */
	sd_event_source *releases;     /* ends the wait for what is taken back at first */
	struct hook *hooks;	       /* under way */
	sd_event_source *hooks_kick;   /* has them looked at */
	struct hook_network *networks; /* the same of networks */
};

/* ---- the ledger (ledger.c) ---- */
struct attachment *attachment_new(struct attachments *as, struct vnet_err *err);
/* Out of the ledger, files too; the object is gone. */
void attachment_drop(struct attachment *a);
struct attachment *attachment_find(struct attachments *as, const char *guest, const char *name);
/* The one setter: logs old -> new, stamps, writes the state file. */
int attachment_set_state(struct attachment *a, enum attachment_state state, const char *reason,
			 struct vnet_err *err);
/* The same where a file that can't be written must not stop us; it is logged. */
void attachment_enter(struct attachment *a, enum attachment_state state, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* "UUID.NAME": state file and journal. */
#define ATTACHMENT_FILE_MAX (UUID_STR + NIC_NAME_MAX + 8)
void attachment_file(const struct vnet_attachment *v, const char *suffix,
		     char buf[static ATTACHMENT_FILE_MAX]);
const char *attachment_id(const struct attachment *a, char buf[static ATTACHMENT_ID_MAX]);
/* Answer whoever waits, once; takes over @result. */
void attachment_reply(struct attachment *a, int r, json_t *result, struct vnet_err *err);
void attachment_timer(struct attachment *a, uint64_t msec, sd_event_time_handler_t handler);

/* ---- waiting.c ---- */
/* Runs @go when the guests are known and what was under way at the last start is
 * decided; or answers, after a while, that they are not. */
void attachments_serve(struct manager *m, const struct vnet_request *r, waiter_fn go,
		       reply_fn reply, void *user);
/* For a QEMU without libvirt: what one of the same name had, which has ended, is taken back
 * first. Where @guests, the guests are waited for too, but not where there is no libvirt. */
void attachments_serve_exec(struct manager *m, const struct vnet_request *r, bool guests,
			    waiter_fn go, reply_fn reply, void *user);
/* The same of a detach, which asks libvirt itself about the guest. */
void attachments_serve_detach(struct manager *m, const struct vnet_request *r, waiter_fn go,
			      reply_fn reply, void *user);
/* An attachment is gone: somebody may have waited for that. */
void waiters_look(struct attachments *as);
/* At the end of the daemon. */
void waiters_free(struct attachments *as);

const struct guest *attachment_guest(const struct attachment *a);
void attachment_guest_nic(const struct attachment *a, struct guest_nic *ret);

/* ---- release.c ---- */
/* The guest has not (any more) what @a holds: walk back and drop it, answering the
 * waiting client with the outcome, or with a->cause where that is set. */
void attachment_release(struct attachment *a);
/* The same where it is known that the guest does not run: libvirt is not waited for. */
void attachment_release_now(struct attachment *a);

/* An administrator's detach from the running guest (and, by a->where, from its persistent
 * XML): of one that is stuck or unknown it is first asked whether the guest has it. */
void attachment_detach(struct attachment *a);
/* Ask the guest to let go of it, then release; answers as a detach does, or with
 * a->cause where that is set. */
void attachment_give_back(struct attachment *a);

/* How a detach ends that is not over, of a guest of libvirt's or not: it stays detaching, and
 * goes back when the guest lets go or ends; or the guest keeps it. The waiting client is told. */
void attachment_stays_detaching(struct attachment *a, const char *why);
void attachment_kept(struct attachment *a, struct vnet_err *err);

/* ---- came-back.c ---- */
/* A whole NIC was taken back: find out what the host has of it now, and say so in the log
 * and in a->came_back; then @done. */
void came_back_look(struct attachment *a, void (*done)(struct attachment *a));

/* ---- attach.c ---- */
/* Where the mode delivered it to: kind, device, how of @d. */
/* How QEMU comes by it. */
enum handover attachment_handover(const struct attachment *a);
void attachment_set_delivery(struct attachment *a, const struct delivery *d);
/* The guest has it: in-use. libvirt set MAC and VLAN in its own way meanwhile, so what
 * can be set under a guest is looked at once more; then the waiting client is told. */
void attachment_confirm(struct attachment *a);
/* "" or in words where this MAC is in use on the pool of @pf, or in a guest. */
void attach_mac_taken(struct manager *m, const struct mac *mac, const struct pci_addr *pf,
		      const struct attachment *self, char *ret, size_t size);
/* A whole NIC has a MAC of its own, which is @v's then; an error where another is asked. */
int attach_own_mac(struct vnet_attachment *v, bool *ret_has, struct vnet_err *err);
/* The guest of @r, and which of its XMLs an attach is about; an error that says what to
 * do where there is none of them. */
const struct guest *attach_guest(struct manager *m, const struct vnet_request *r,
				 enum domains_where *ret_where, struct vnet_err *err);
/* The same request again gets the same answer: true where it did. */
bool attach_answer_repeat(struct manager *m, const struct guest *g, enum domains_where where,
			  struct waiter *w);
/* It is in the guest's persistent XML, and that was all that was asked: the ledger has no
 * more to do with it. */
void attachment_reserved(struct attachment *a);
/* The claim (pool, PF, VF, MAC, VLAN, mode) is chosen: turn the knobs and hand it over.
 * <0: nothing was done. */
int attachment_turn(struct attachment *a, struct vnet_err *err);
/* r->name, or the first netN that the guest has not. */
int attach_name(struct manager *m, const struct guest *g, const struct vnet_request *r,
		char ret[static NIC_NAME_MAX], struct vnet_err *err);

/* Choose its claim, then go on: a->v.asked, name and uuid are set. */
void attach_choose_now(struct attachment *a);

/* ---- attach-owned.c, detach-owned.c ---- */
/* From the end of a QEMU's socket to when its own end, if it is that, has been seen. */
#define OWNED_SETTLE_MS 500
struct owned *owned_free(struct owned *o);
/* Leave QEMU's monitor, and whatever it was asked to do. */
void owned_hang_up(struct owned *o);
/* The knobs are turned: open what its process is given, and give it. */
int owned_hand_over(struct attachment *a, struct vnet_err *err);
int owned_watch(struct attachment *a, struct vnet_err *err);
/* A process that had what @r asks for has ended, and it is being taken back. */
bool owned_ending(const struct attachments *as, const struct vnet_request *r);
/* A process closes its sockets before it has ended: @then is told @err when its end, if it is
 * that, has been seen. */
void owned_settle(struct attachment *a, const struct vnet_err *err, owned_then_fn then);
/* Its process has: also where what it had cannot be put back. */
void owned_ended(struct attachment *a);
/* Of a state file. */
int owned_load(struct attachment *a);
void owned_reconcile(struct attachment *a);

/* ---- owned-memlock.c ---- */
bool owned_is_pci(const struct attachment *a);
bool owned_locks_memory(const struct attachment *a);
/* Without a limit, where the mode locks memory. */
int owned_memlock_all(const struct attachment *a, struct vnet_err *err);
/* As much as its QEMU says that it may have; @then when that is so, unless an error is returned. */
int owned_memlock_by_qmp(struct attachment *a, owned_then_fn then, struct vnet_err *err);

/* ---- hook.c ---- */
/* All that is asked for is set: libvirt goes on. */
void hook_nic_ready(struct attachment *a);
/* An attachment was dropped, or got stuck: who waits for that may go on. */
void hooks_look(struct attachments *as);
void hooks_free(struct attachments *as);

/* ---- hook-check.c ---- */
/* Can all that the guest's XML has of ours be made? */
int hook_check_guest(const struct guest *g, struct vnet_err *err);
/* The error, -ENODEV, for a NIC whose @pf is no pool, or was not found (NULL). */
void hook_no_pf(struct manager *m, const struct guest_nic *nic, const struct nic *pf,
		struct vnet_err *err);
/* Does @pf, with its @count VFs, have the one that @nic names? */
int hook_check_index(const struct guest_nic *nic, const struct pci_addr *pf, int count,
		     struct vnet_err *err);

/* ---- hook-nic.c, hook-left.c ---- */
/* The device of @nic in the XML that the hook was given; NULL: an entry left behind. */
const struct guest_hostdev *hook_device(const struct guest *g, const struct guest_nic *nic);
/* Is what @nic is taken from on this host, in a pool? A PF may not be there yet, or give no
 * VFs yet. */
bool hook_nic_is_here(const struct manager *m, const struct guest_nic *nic);
/* An attachment for @nic, as the inventory's last look has it; nothing is turned. */
int hook_nic_new(struct attachments *as, const struct guest *g, const struct guest_nic *nic,
		 struct attachment **ret, struct vnet_err *err);
/* Is the VF where the guest's XML says? */
int hook_nic_check(const struct attachment *a, const struct pci_addr *vf, struct vnet_err *err);
/* Is what is delivered what it names? */
int hook_nic_check_device(const struct attachment *a, struct vnet_err *err);
/* Take back what is left of the guest's last life (hook-left.c); @g: by the hook's XML.
 * True: nothing of it is on its way any more. */
bool hook_clear(struct attachments *as, const struct guest *g);

/* ---- reserved.c: what guests' persistent XML names ---- */
/* As an attachment, in state reserved. */
void attachment_of_config(const struct guest *g, const struct guest_nic *nic,
			  struct vnet_attachment *ret);
/* The @i-th of all that no attachment of the ledger is for; false past the end. Its
 * guest stays valid until the loop runs again. */
bool reserved_at(struct attachments *as, size_t i, struct vnet_attachment *ret);
bool reserved_find(struct attachments *as, const char *guest, const char *name,
		   struct vnet_attachment *ret);

/* ---- reconcile.c ---- */
/* Read what state files and journals say; nothing is done yet. */
int reconcile_load(struct attachments *as, struct vnet_err *err);
/* The guests are known: decide about every attachment that was not decided. False:
 * workers of an earlier vnetd still write; attachments_guests_known() is called
 * again when they are done. */
bool reconcile_guests(struct attachments *as);
/* What is taken back at first is waited for so long. */
#define RECONCILE_RELEASES_MSEC 3000
/* Journals of those whose own is lost: of those that QEMUs without libvirt have, or the others. */
void reconcile_make_ways_back(struct attachments *as, bool owned);
/* Workers of an earlier vnetd do; all that waits for them is begun again when they are done. */
bool reconcile_old_workers_write(struct attachments *as);
/* Is one on its way back? Of those that QEMUs without libvirt have, or of all. */
bool reconcile_some_released(const struct attachments *as, bool owned);
/* A release has ended, one way or the other. */
void reconcile_released(struct attachments *as);
/* About one whose hand-over nobody has confirmed. */
void reconcile_one(struct attachment *a);
/* Nobody can say whether the guest has it: asked again after a while. */
#define UNKNOWN_RETRY_MSEC 10000
void attachment_enter_unknown(struct attachment *a, const struct vnet_err *err);
/* Cut off before its PF's VFs were there: then the PF goes back too. */
bool reconcile_before_vfs(const struct journal *j);

/* ---- reconcile-owned.c ---- */
/* Decide about those that QEMUs without libvirt have, as soon as no worker of before writes. */
void reconcile_owned(struct attachments *as);
void reconcile_owned_released(struct attachments *as);
#endif
