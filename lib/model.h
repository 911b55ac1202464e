/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_MODEL_H
#define VNET_LIB_MODEL_H
/*
 * What was asked (struct vnet_request) and what is (struct vnet_attachment), as
 * plain values, with the one place that spells their JSON field names: on the
 * wire, in state files and in `--json`. The request part of an attachment is
 * valid input again.
 *
 * This is also where names that come from users are checked, once: they become
 * file names, libvirt aliases and knob objects.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/mac.h"
#include "lib/names.h"
#include "lib/options.h"
#include "lib/pciaddr.h"
#include "lib/vlan.h"

#define GUEST_NAME_MAX 128 /* bytes, with NUL; libvirt itself sets no limit below NAME_MAX */
#define NIC_NAME_MAX 16	   /* [a-z][a-z0-9_-]{0,14}: what survives as libvirt alias ua-vnetd-NAME */
#define POOL_NAME_MAX 64
#define MODE_NAME_MAX 24
#define MODES_MAX 8
#define UUID_STR 37
#define UPLINK_MAX 64  /* "0000:01:00.0", "br0", "pci/0000:05:00.0" */
#define DEVICE_MAX 108 /* an address, an interface, a path */
#define REASON_MAX 512

enum attachment_state {
	AT_RESERVED,  /* named in a guest's configuration, nothing held yet */
	AT_PREPARING, /* knobs are being turned */
	AT_READY,     /* everything set, not handed over */
	AT_IN_USE,    /* the guest has it */
	AT_DETACHING, /* asked back, the guest has not let go */
	AT_RELEASING, /* knobs are being walked back */
	AT_GONE,
	AT_STUCK,   /* the kernel does not come back, or something could not be put back */
	AT_UNKNOWN, /* nobody can say whether the guest has it: nothing is written */
	AT_MAX
};
NAMES_DECLARE(attachment_state, enum attachment_state)

/* How the claim reached QEMU, and who opened it. */
enum handover {
	HO_NONE,
	HO_PATH,	  /* QEMU opens the node itself (VFIO group path) */
	HO_FD_BY_LIBVIRT, /* libvirtd opened and passed it */
	HO_FD_BY_VNETD,
	HO_MAX
};
NAMES_DECLARE(handover, enum handover)

/* What the guest's XML has of it, and by what name. */
enum delivery_kind {
	DL_NONE,
	DL_HOSTDEV, /* a VF, whose MAC libvirt sets: its address */
	DL_CHARDEV, /* a vhost-vdpa node: path */
	DL_LINK,    /* a tap or macvtap: interface */
	DL_SOCKET,  /* vhost-user: path */
	DL_PCI,	    /* a whole PCI function: its address */
	DL_MAX
};
NAMES_DECLARE(delivery_kind, enum delivery_kind)

/* Which of a guest's two configurations an attach or detach is about. */
enum scope {
	SCOPE_AUTO,   /* the running guest, and its persistent configuration where it has one */
	SCOPE_LIVE,   /* the running guest alone */
	SCOPE_CONFIG, /* the persistent configuration alone: from its next start on */
	SCOPE_MAX
};
NAMES_DECLARE(scope, enum scope)

struct vnet_request {
	char guest[GUEST_NAME_MAX];
	char name[NIC_NAME_MAX]; /* "" : the first free netN */
	char modes[MODES_MAX][MODE_NAME_MAX];
	unsigned n_modes;
	char pool[POOL_NAME_MAX]; /* "" : any that fits */
	bool has_mac;
	struct mac mac;
	struct vlan vlan;
	enum scope scope;
	char options[OPTIONS_MAX]; /* for the mode: "queues=2", by key; "" none */
	bool no_fallback;	   /* only the first of the modes */
	/* No part of what is asked for, and in no JSON: a QEMU without libvirt says it of itself. */
	enum { MEMORY_NOT_KNOWN, MEMORY_IS_SHARED, MEMORY_IS_PRIVATE } memory;
};

struct vnet_attachment {
	struct vnet_request asked;
	char uuid[UUID_STR];	 /* of the guest */
	char name[NIC_NAME_MAX]; /* as given out */
	enum attachment_state state;
	char reason[REASON_MAX]; /* why it is in this state, where that is not obvious */
	char mode[MODE_NAME_MAX];
	char why[REASON_MAX]; /* the chosen mode's verdict */
	char pool[POOL_NAME_MAX];
	struct pci_addr pf;
	struct mac pf_mac; /* permanent MAC: with vf_index the VF's identity over reboots */
	int vf_index;	   /* -1: the claim is no VF */
	struct pci_addr vf;
	char uplink[UPLINK_MAX]; /* what it was taken from: address, bridge, management device */
	enum delivery_kind kind;
	char device[DEVICE_MAX]; /* as the guest's XML names it; "" not known yet */
	char how[OPTIONS_MAX];	 /* how the guest gets it: "queues=2 vhost=on"; "" */
	struct mac mac;
	struct vlan vlan;
	/* Of a QEMU without libvirt; 0: a guest of libvirt's. pid_start: in clock ticks since
	 * boot (proc(5), stat, field 22), which tells it from a later process. */
	int64_t pid;
	int64_t pid_start;
	int64_t uid; /* by whose rights it opens files */
	enum handover handover;
	bool persistent;    /* the guest's persistent XML names it: it comes back at each start */
	int64_t since_usec; /* CLOCK_REALTIME of the last change of state */
};

/* Grammar checks; -EINVAL with err saying what is accepted. */
int model_check_nic_name(const char *s, struct vnet_err *err);
int model_check_guest_name(const char *s, struct vnet_err *err);
int model_check_mac(const struct mac *m, struct vnet_err *err); /* unicast, not zero */
int model_check_vlan(const struct vlan *v, struct vnet_err *err);

/* {id, qos, proto}, or null for none. */
void model_put_vlan(json_t *j, const char *field, const struct vlan *v);

/* Request: {guest, name?, modes?, pool?, mac?, vlan?: {id, qos?, proto?}, scope?: "live" or
 * "config", options?: {key: value}, fallback?: false}; every other field is refused by name. New reference, or NULL on out of memory. */
json_t *model_request_to_json(const struct vnet_request *r);
int model_request_from_json(const json_t *j, struct vnet_request *ret, struct vnet_err *err);
/* The field "scope" of @j; *ret stays where it is absent or null. */
int model_scope_from_json(const json_t *j, enum scope *ret, struct vnet_err *err);
/* Attachment: {guest, name, uuid, state, reason, mode, why, pool, mac, vlan, pf,
 * pfMac, vfIndex, vf, uplink, kind, device, how, pid, pidStart, uid, handover, persistent, sinceUsec, asked}; unknown is null. */
json_t *model_attachment_to_json(const struct vnet_attachment *a);
int model_attachment_from_json(const json_t *j, struct vnet_attachment *ret, struct vnet_err *err);
/* "vm1/net0" */
#define ATTACHMENT_ID_MAX (GUEST_NAME_MAX + NIC_NAME_MAX)
const char *model_attachment_id(const struct vnet_attachment *a,
				char buf[static ATTACHMENT_ID_MAX]);
#endif
