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
#include "lib/pciaddr.h"

#define GUEST_NAME_MAX 128 /* bytes, with NUL; libvirt itself sets no limit below NAME_MAX */
#define NIC_NAME_MAX 16	   /* [a-z][a-z0-9_-]{0,14}: what survives as libvirt alias ua-vnetd-NAME */
#define POOL_NAME_MAX 64
#define MODE_NAME_MAX 24
#define MODES_MAX 8
#define UUID_STR 37
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

/* Which of a guest's two configurations an attach or detach is about. */
enum scope {
	SCOPE_AUTO,   /* the running guest, and its persistent configuration where it has one */
	SCOPE_LIVE,   /* the running guest alone */
	SCOPE_CONFIG, /* the persistent configuration alone: from its next start on */
	SCOPE_MAX
};
NAMES_DECLARE(scope, enum scope)

struct vlan {
	uint16_t id;	/* 1..4094; 0 means none */
	uint8_t qos;	/* 0..7 */
	uint16_t proto; /* 0x8100 (802.1Q) or 0x88a8 (802.1ad) */
};

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
	struct mac mac;
	struct vlan vlan;
	enum handover handover;
	bool persistent;    /* the guest's persistent XML names it: it comes back at each start */
	int64_t since_usec; /* CLOCK_REALTIME of the last change of state */
};

/* Grammar checks; -EINVAL with err saying what is accepted. */
int model_check_nic_name(const char *s, struct vnet_err *err);
int model_check_guest_name(const char *s, struct vnet_err *err);
int model_check_mac(const struct mac *m, struct vnet_err *err); /* unicast, not zero */
int model_check_vlan(const struct vlan *v, struct vnet_err *err);

/* "100", "100 qos 3", "100 qos 3 proto 802.1ad", "0" for none: knob and ABI spelling. */
#define VLAN_STR 32
int vlan_parse(const char *s, struct vlan *ret);
/* What a VF may be found with, and must be given back: 4095 too, which nobody may ask for. */
int vlan_parse_found(const char *s, struct vlan *ret);
const char *vlan_str(const struct vlan *v, char buf[static VLAN_STR]);

/* {id, qos, proto}, or null for none. */
void model_put_vlan(json_t *j, const char *field, const struct vlan *v);

/* Request: {guest, name?, modes?, pool?, mac?, vlan?: {id, qos?, proto?}, scope?: "live" or
 * "config"}; every other field is refused by name. New reference, or NULL on out of memory. */
json_t *model_request_to_json(const struct vnet_request *r);
int model_request_from_json(const json_t *j, struct vnet_request *ret, struct vnet_err *err);
/* The field "scope" of @j; *ret stays where it is absent or null. */
int model_scope_from_json(const json_t *j, enum scope *ret, struct vnet_err *err);
/* Attachment: {guest, name, uuid, state, reason, mode, why, pool, mac, vlan, pf,
 * pfMac, vfIndex, vf, handover, persistent, sinceUsec, asked}; unknown is null. */
json_t *model_attachment_to_json(const struct vnet_attachment *a);
int model_attachment_from_json(const json_t *j, struct vnet_attachment *ret, struct vnet_err *err);
/* "vm1/net0" */
#define ATTACHMENT_ID_MAX (GUEST_NAME_MAX + NIC_NAME_MAX)
const char *model_attachment_id(const struct vnet_attachment *a,
				char buf[static ATTACHMENT_ID_MAX]);
#endif
