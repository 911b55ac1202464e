/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_VLAN_H
#define VNET_LIB_VLAN_H
#include <stdint.h>

#define VLAN_PROTO_Q 0x8100
#define VLAN_PROTO_AD 0x88a8
#define VLAN_ID_MAX 4094
#define VLAN_QOS_MAX 7

struct vlan {
	uint16_t id;	/* 1..4094; 0 means none */
	uint8_t qos;	/* 0..7 */
	uint16_t proto; /* 0x8100 (802.1Q) or 0x88a8 (802.1ad) */
};

/* "100", "100 qos 3", "100 qos 3 proto 802.1ad", "0" for none: knob and ABI spelling. */
#define VLAN_STR 32
int vlan_parse(const char *s, struct vlan *ret);
/* What a VF may be found with, and must be given back: 4095 too, which nobody may ask for. */
int vlan_parse_found(const char *s, struct vlan *ret);
const char *vlan_str(const struct vlan *v, char buf[static VLAN_STR]);

int vlan_proto_from(const char *s, uint16_t *ret);
const char *vlan_proto_str(const struct vlan *v);
#endif
