/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knobs of a VF that its PF's driver sets: MAC, VLAN, trust, spoof check. A value
 * that the driver does not report is "unknown"; where unknown is as good as what an
 * idle VF has (not trusted, spoofs checked as the driver sees fit), it matches.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"

#define UNKNOWN "unknown"

/* What a driver gets that refuses to clear a VF's MAC: a local address that nobody
 * is given. */
static const struct mac no_mac = { { 0x02, 0, 0, 0, 0, 0 } };

/* 1: *ret is what the PF's driver reports; 0: there is no such VF. */
static int read_attrs(struct kernel *k, const char *object, struct vf_attrs *ret,
		      struct vnet_err *err)
{
	_cleanup_free_ struct vf_attrs *vfs = NULL;
	char bdf[PCI_ADDR_STR];
	struct pci_addr pf;
	unsigned index;
	size_t n = 0;
	int r = parse_vf_object(object, &pf, &index, err);

	if (r < 0)
		return r;
	if (!kernel_exists(k, PCI_DEVICES "/%s/virtfn%u", pci_addr_str(&pf, bdf), index))
		return 0;
	r = k->ops->vf_get(k, &pf, &vfs, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (vfs[i].index != (int)index)
			continue;
		*ret = vfs[i];
		return 1;
	}
	return vnet_err_set(err, -ENODATA, VNET_E_FAILED,
			    "the driver of PF %s reports nothing about VF %u: it may be resetting, "
			    "try again",
			    bdf, index);
}

static int set_attr(struct kernel *k, const char *object, const struct vf_change *c,
		    struct vnet_err *err)
{
	struct pci_addr pf;
	unsigned index;
	int r = parse_vf_object(object, &pf, &index, err);

	return r < 0 ? r : k->ops->vf_set(k, &pf, index, c, err);
}

/* ---- MAC ---- */

int vf_mac_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err)
{
	char buf[MAC_STR];
	struct vf_attrs v = { 0 };
	int r = read_attrs(k, object, &v, err);

	if (r < 0)
		return r;
	strcpy(ret, r ? mac_str(&v.mac, buf) : KNOB_ABSENT);
	return 0;
}

int vf_mac_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct vf_change c = { .which = VF_ATTR_MAC };
	int r;

	if (mac_parse(value, &c.mac) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "vf-mac '%.32s': expected a MAC",
				    value);
	r = set_attr(k, object, &c, err);
	if (!mac_is_zero(&c.mac) || (r != -EINVAL && r != -EADDRNOTAVAIL))
		return r;
	/* Keep the driver's own words, should it refuse this one too. */
	c.mac = no_mac;
	return set_attr(k, object, &c, NULL) == 0 ? 0 : r;
}

bool vf_mac_matches(const char *wanted, const char *actual)
{
	struct mac w, a;

	if (mac_parse(wanted, &w) < 0 || mac_parse(actual, &a) < 0)
		return false;
	return mac_eq(&w, &a) || (mac_is_zero(&w) && mac_eq(&a, &no_mac));
}

/* ---- VLAN ---- */

int vf_vlan_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err)
{
	char buf[VLAN_STR];
	struct vf_attrs v = { 0 };
	int r = read_attrs(k, object, &v, err);

	if (r < 0)
		return r;
	strcpy(ret, r ? vlan_str(&v.vlan, buf) : KNOB_ABSENT);
	return 0;
}

int vf_vlan_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct vf_change c = { .which = VF_ATTR_VLAN };

	if (vlan_parse_found(value, &c.vlan) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "vf-vlan '%.64s': expected 0, ID, or ID qos N proto 802.1ad",
				    value);
	return set_attr(k, object, &c, err);
}

bool vf_vlan_matches(const char *wanted, const char *actual)
{
	struct vlan w = { 0 }, a = { 0 };

	if (vlan_parse_found(wanted, &w) < 0 || vlan_parse_found(actual, &a) < 0 || w.id != a.id)
		return false;
	return !w.id || (w.qos == a.qos && w.proto == a.proto);
}

/* ---- trust, spoof check ---- */

static int flag_get(struct kernel *k, const char *object, enum vf_attr which,
		    char ret[static KNOB_VALUE_MAX], struct vnet_err *err)
{
	struct vf_attrs v = { 0 };
	int flag, r = read_attrs(k, object, &v, err);

	if (r < 0)
		return r;
	flag = r && which == VF_ATTR_TRUST ? v.trust : r ? v.spoofchk : 0;
	strcpy(ret, !r ? KNOB_ABSENT : flag < 0 ? UNKNOWN : flag ? "on" : "off");
	return 0;
}

static int flag_set(struct kernel *k, const char *object, enum vf_attr which, const char *value,
		    struct vnet_err *err)
{
	struct vf_change c = { .which = which, .on = !strcmp(value, "on") };

	if (!strcmp(value, UNKNOWN)) /* as it was found: nothing that could be set */
		return 0;
	if (!c.on && strcmp(value, "off") != 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%.32s': expected on or off",
				    value);
	return set_attr(k, object, &c, err);
}

static bool flag_matches(const char *wanted, const char *actual, const char *idle)
{
	if (!strcmp(actual, UNKNOWN))
		return !strcmp(wanted, idle) || !strcmp(wanted, UNKNOWN);
	if (!strcmp(wanted, UNKNOWN))
		return strcmp(actual, KNOB_ABSENT) != 0;
	return !strcmp(wanted, actual);
}

int vf_trust_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		 struct vnet_err *err)
{
	return flag_get(k, object, VF_ATTR_TRUST, ret, err);
}

int vf_trust_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	return flag_set(k, object, VF_ATTR_TRUST, value, err);
}

bool vf_trust_matches(const char *wanted, const char *actual)
{
	return flag_matches(wanted, actual, "off");
}

int vf_spoofchk_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err)
{
	return flag_get(k, object, VF_ATTR_SPOOFCHK, ret, err);
}

int vf_spoofchk_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	return flag_set(k, object, VF_ATTR_SPOOFCHK, value, err);
}

bool vf_spoofchk_matches(const char *wanted, const char *actual)
{
	return flag_matches(wanted, actual, "on");
}
