/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's XML, written: one device of a guest, by what the host has for it, and our
 * metadata. Values are put in by libxml2, so nothing in them can end an attribute.
 */
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domains.h"
#include "lib/cleanup.h"
#include "lib/options.h"

static void cleanup_node(xmlNode **node)
{
	xmlFreeNode(*node);
}

#define _cleanup_node_ _cleanup_(cleanup_node)

static char *printed(xmlNode *node)
{
	xmlBuffer *buf = xmlBufferCreate();
	char *text = NULL;

	if (buf && xmlNodeDump(buf, NULL, node, 0, 0) >= 0)
		text = strdup((const char *)xmlBufferContent(buf));
	xmlBufferFree(buf);
	return text;
}

static xmlNode *element(xmlNode *parent, const char *name)
{
	return parent ? xmlNewChild(parent, NULL, (const xmlChar *)name, NULL)
		      : xmlNewNode(NULL, (const xmlChar *)name);
}

/* False when out of memory; "" is left out. */
static bool put(xmlNode *n, const char *name, const char *value)
{
	return n && (!value[0] || xmlNewProp(n, (const xmlChar *)name, (const xmlChar *)value));
}

static bool put_hex(xmlNode *n, const char *name, int digits, unsigned value)
{
	char text[16];

	snprintf(text, sizeof(text), "0x%0*x", digits, value);
	return put(n, name, text);
}

static bool put_vlan(xmlNode *interface, const struct vlan *vlan)
{
	char id[8];

	if (!vlan->id)
		return true;
	snprintf(id, sizeof(id), "%u", vlan->id);
	return put(element(element(interface, "vlan"), "tag"), "id", id);
}

static bool put_pci_source(xmlNode *root, const char *device)
{
	struct pci_addr addr = { 0 };
	xmlNode *address = element(element(root, "source"), "address");

	return pci_addr_parse(device, &addr) == 0 && address && put(address, "type", "pci") &&
	       put_hex(address, "domain", 4, addr.domain) && put_hex(address, "bus", 2, addr.bus) &&
	       put_hex(address, "slot", 2, addr.dev) && put_hex(address, "function", 1, addr.fn);
}

/* A NIC that QEMU itself plays: its model, and how it is driven. */
static bool put_virtual(xmlNode *root, const struct guest_nic *nic)
{
	char model[OPTION_VALUE_MAX], queues[OPTION_VALUE_MAX], vhost[OPTION_VALUE_MAX];
	char mtu[OPTION_VALUE_MAX];
	xmlNode *driver;

	if (options_get(nic->how, "model", model, sizeof(model)) < 0)
		strcpy(model, "virtio");
	if (!put(element(root, "model"), "type", model))
		return false;
	options_get(nic->how, "queues", queues, sizeof(queues));
	/* libvirt opens an existing tap with IFF_MULTI_QUEUE where it is told of two. */
	if (strcmp(queues, "1") == 0)
		queues[0] = '\0';
	options_get(nic->how, "vhost", vhost, sizeof(vhost));
	if (queues[0] || vhost[0]) {
		driver = element(root, "driver");
		if (!put(driver, "queues", queues) ||
		    (vhost[0] && !put(driver, "name", strcmp(vhost, "on") == 0 ? "vhost" : "qemu")))
			return false;
	}
	return options_get(nic->how, "mtu", mtu, sizeof(mtu)) < 0 ||
	       put(element(root, "mtu"), "size", mtu);
}

/* Without <driver queues> QEMU's NIC has one pair, whatever the device has. */
static bool put_vdpa(xmlNode *root, const struct guest_nic *nic)
{
	return put(root, "type", "vdpa") && put(element(root, "source"), "dev", nic->device) &&
	       put_virtual(root, nic);
}

static bool put_link(xmlNode *root, const struct guest_nic *nic)
{
	xmlNode *target = element(root, "target");

	return put(root, "type", "ethernet") && put(target, "dev", nic->device) &&
	       put(target, "managed", "no") && put_virtual(root, nic);
}

static bool put_socket(xmlNode *root, const struct guest_nic *nic)
{
	xmlNode *source = element(root, "source");
	char role[OPTION_VALUE_MAX];

	if (options_get(nic->how, "role", role, sizeof(role)) < 0)
		strcpy(role, "client");
	return put(root, "type", "vhostuser") && put(source, "type", "unix") &&
	       put(source, "path", nic->device) && put(source, "mode", role) &&
	       put_virtual(root, nic);
}

static bool put_vf(xmlNode *root, const struct guest_nic *nic)
{
	/* Without <vlan> libvirt sets the VF's VLAN to 0 (virNetDevSetNetConfig), and the
	 * guest would be on the untagged wire until vnetd put it back. With it, QoS and
	 * protocol are what is lost for that moment. */
	return put(root, "type", "hostdev") && put(root, "managed", "no") &&
	       put_pci_source(root, nic->device) && put_vlan(root, &nic->vlan);
}

static bool put_device(xmlNode *root, const struct guest_nic *nic)
{
	switch (nic->kind) {
	case DL_HOSTDEV:
		return put_vf(root, nic);
	case DL_CHARDEV:
		return put_vdpa(root, nic);
	case DL_LINK:
		return put_link(root, nic);
	case DL_SOCKET:
		return put_socket(root, nic);
	case DL_PCI:
		return put(root, "mode", "subsystem") && put(root, "type", "pci") &&
		       put(root, "managed", "no") && put_pci_source(root, nic->device);
	default:
		return false;
	}
}

char *domain_xml_device(const struct guest_nic *nic)
{
	_cleanup_node_ xmlNode *root = element(NULL, nic->kind == DL_PCI ? "hostdev" : "interface");
	char mac[MAC_STR], alias[sizeof(VNETD_ALIAS_PREFIX) + NIC_NAME_MAX];

	snprintf(alias, sizeof(alias), VNETD_ALIAS_PREFIX "%s", nic->name);
	if ((nic->kind != DL_PCI &&
	     !put(element(root, "mac"), "address", mac_str(&nic->mac, mac))) ||
	    !put_device(root, nic) || !put(element(root, "alias"), "name", alias))
		return NULL;
	return printed(root);
}

static bool put_nic(xmlNode *guest, const struct guest_nic *nic)
{
	char mac[MAC_STR] = "", pf_mac[MAC_STR] = "", vlan[VLAN_STR] = "", index[16] = "";
	char pf[PCI_ADDR_STR], vf[PCI_ADDR_STR];
	xmlNode *n = element(guest, "nic");

	if (!mac_is_zero(&nic->mac))
		mac_str(&nic->mac, mac);
	if (!mac_is_zero(&nic->pf_mac))
		mac_str(&nic->pf_mac, pf_mac);
	if (nic->vlan.id)
		vlan_str(&nic->vlan, vlan);
	if (nic->vf_index >= 0)
		snprintf(index, sizeof(index), "%d", nic->vf_index);
	return put(n, "name", nic->name) && put(n, "mode", nic->mode) &&
	       put(n, "uplink", nic->uplink) && put(n, "options", nic->options) &&
	       put(n, "pool", nic->pool) && put(n, "mac", mac) && put(n, "vlan", vlan) &&
	       put(n, "pf", pci_addr_str(&nic->pf, pf)) && put(n, "pf-mac", pf_mac) &&
	       put(n, "vf-index", index) && put(n, "vf", pci_addr_str(&nic->vf, vf));
}

char *domain_xml_metadata(const struct guest_nic *nics, size_t n)
{
	_cleanup_node_ xmlNode *root = n > 0 ? element(NULL, "guest") : NULL;

	for (size_t i = 0; i < n; i++) {
		if (!put_nic(root, &nics[i]))
			return NULL;
	}
	return root ? printed(root) : NULL;
}
