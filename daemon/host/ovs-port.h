/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_OVS_PORT_H
#define VNETD_HOST_OVS_PORT_H
/*
 * Ports that vnetd makes on Open vSwitch bridges. Their rows are the database's:
 * they outlive the interface and the host's reboot, so each says whose it is
 * (external_ids:vnetd), and one that does not is never changed.
 */
#include <jansson.h>

#include "daemon/host/host.h"
#include "daemon/host/vlan-set.h"

#define OVS_PORT_KEY "vnetd" /* in external_ids */
#define OVS_ID_MAX 56	     /* UUID.NIC */

/* Bounds, in ms, of one call: of all questions together; of what ovs-vswitchd takes to
 * do what the database says, part of them; and of going back, or of waiting for a
 * port to go, after them. */
struct ovs_times {
	unsigned answer;
	unsigned settle;
	unsigned back;
};

/* What a value says. */
struct ovs_port {
	char bridge[32];
	char id[OVS_ID_MAX]; /* "": not made by vnetd */
	int tag;	     /* -1: none */
	bool has_trunks;
	struct vlan_set trunks;
};

/* What the database has. */
struct ovs_found {
	struct ovs_port port;
	char uuid[UUID_STR]; /* of the Port row, "": there is none */
	char mode[24];	     /* vlan_mode, "" for what tag and trunks imply */
	bool odd_trunks;
};

/* ---- ovs-value.c ---- */

/* "BRIDGE [tag N | trunks LIST] id ID": -EINVAL */
int ovs_port_parse(const char *value, struct ovs_port *ret);
/* The same, or "foreign BRIDGE". What no value can ask for (a mode; tag and trunks at
 * once) is in the text all the same, so that it matches none. */
void ovs_port_str(const struct ovs_found *f, char ret[static KNOB_VALUE_MAX]);
/* From a row of Port: all but the bridge. */
void ovs_port_read(const json_t *row, struct ovs_found *ret);
/* Shorter than @max, without blanks, slashes and control characters? */
bool ovs_is_word(const char *s, size_t max);

/* ---- ovs-port.c ---- */

int ovs_port_set_within(struct kernel *k, const char *object, const char *value,
			const struct ovs_times *times, struct vnet_err *err);
/* {running, bridges: [name], ports: [{bridge, port, id, tag}]}: all bridges, and the
 * ports that vnetd made; tag is null for a trunk. */
int ovs_scan(struct kernel *k, json_t **ret, struct vnet_err *err);
#endif
