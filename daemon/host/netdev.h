/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_NETDEV_H
#define VNETD_HOST_NETDEV_H
/*
 * Interfaces that vnetd makes and sets, one at a time, as plain values: what the
 * knobs tap, macvtap, net-* and bridge-port want of a back end. A scan has all
 * interfaces, in less detail (nic.h).
 */
#include <stdint.h>

#include "daemon/host/nic.h"

#define VLAN_MAX 4094
#define VLAN_RANGES_MAX 32

struct netdev {
	struct link link;
	bool ip;	       /* kind "tun": carries packets, no frames: no tap */
	bool multi_queue;      /* a tap */
	int queues;	       /* a multi-queue tap: attached and disabled ones */
	char mode[12];	       /* a macvtap: "bridge" ...; "" another */
	uint16_t default_pvid; /* a bridge; 0 none */
};

/* What of an interface is to change, and to what. */
enum netdev_attr { NETDEV_MAC, NETDEV_MTU, NETDEV_MASTER, NETDEV_ATTR_MAX };
struct netdev_change {
	enum netdev_attr which;
	struct mac mac;
	int number; /* MTU; ifindex of the master, 0 none */
};

struct vlan_range {
	uint16_t first, last;
};

/* VLANs of a bridge port. */
struct port_vlans {
	uint16_t pvid;				  /* comes and goes untagged; 0 none */
	struct vlan_range range[VLAN_RANGES_MAX]; /* tagged: ascending, apart */
	unsigned n;
	bool odd; /* read: something that can't be said so */
};

struct port {
	struct port_vlans vlans;
	bool isolated;
};

enum port_attr { PORT_VLANS, PORT_ISOLATED, PORT_ATTR_MAX };

/* Could it be an interface's name? */
bool is_ifname(const char *name);
/* Add to @v, merging; false: no VLAN id, or too many ranges. */
bool port_vlans_add(struct port_vlans *v, unsigned first, unsigned last);
bool port_vlans_eq(const struct port_vlans *a, const struct port_vlans *b);
/* "10,20-30"; false: not to be read, or no room. */
bool vlan_ranges_parse(const char *s, struct port_vlans *ret);
bool vlan_ranges_str(const struct port_vlans *v, char *ret, size_t size);
#endif
