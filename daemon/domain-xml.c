/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's XML, read and written. Nothing is fetched and no entity is expanded: a
 * document that declares any is refused whole, libvirt writes none.
 *
 * A guest is read leniently: what is not understood is left out, because a guest that
 * cannot be read would hide the devices that it holds. Our own metadata is read
 * strictly where it is about to be written anew, so that nothing of it gets lost.
 */
#include <ctype.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/domains.h"
#include "daemon/xml.h"
#include "lib/cleanup.h"
#include "lib/json.h"

static void cleanup_node(xmlNode **node)
{
	xmlFreeNode(*node);
}

#define _cleanup_node_ _cleanup_(cleanup_node)

void domain_xml_init(void)
{
	xmlInitParser();
}

/* ---- our metadata ---- */

/* virDomainGetMetadata hands it out without the namespace, a whole document has it. */
static bool is_ours(const xmlNode *n, const char *name)
{
	return xml_is_element(n, name) &&
	       (!n->ns || strcmp((const char *)n->ns->href, VNETD_XML_NS) == 0);
}

static int bad_nic(const struct guest_nic *nic, const char *what, const char *value,
		   struct vnet_err *err)
{
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			    "vnetd's metadata of the guest, NIC \"%s\": %s \"%s\" is not valid",
			    nic->name, what, value);
}

/* An attribute that may be left out; then nothing of *nic changes. */
static int nic_field(const xmlNode *n, struct guest_nic *nic, const char *name, void *ret,
		     int (*set)(const char *text, void *ret), struct vnet_err *err)
{
	char text[128];
	enum xml_attribute a = xml_attribute(n, name, text, sizeof(text));

	if (a == XML_ATTR_ABSENT)
		return 0;
	if (a == XML_ATTR_TOO_LONG || set(text, ret) < 0)
		return bad_nic(nic, name, text, err);
	return 0;
}

/* What is not known is left out, so zero is no address either. */
static int set_mac(const char *text, void *ret)
{
	struct mac mac;

	if (mac_parse(text, &mac) < 0 || mac_is_zero(&mac) || mac_is_multicast(&mac))
		return -EINVAL;
	*(struct mac *)ret = mac;
	return 0;
}

static int set_pci(const char *text, void *ret)
{
	return pci_addr_parse(text, ret);
}

static int set_vlan(const char *text, void *ret)
{
	return vlan_parse(text, ret);
}

static int set_index(const char *text, void *ret)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (!isdigit((unsigned char)text[0]) || *end || v > UINT16_MAX)
		return -EINVAL;
	*(int *)ret = (int)v;
	return 0;
}

static int nic_word(const xmlNode *n, const struct guest_nic *nic, const char *name, char *ret,
		    size_t size, struct vnet_err *err)
{
	if (xml_attribute(n, name, ret, size) == XML_ATTR_TOO_LONG)
		return bad_nic(nic, name, "(too long)", err);
	/* It goes into state files, which are read back strictly. */
	for (const char *p = ret; *p; p++) {
		if (json_control_len(p))
			return bad_nic(nic, name, "(a control character)", err);
	}
	return 0;
}

static int read_nic(const xmlNode *n, struct guest_nic *ret, struct vnet_err *err)
{
	struct guest_nic nic = { .vf_index = -1 };
	struct vnet_err why = VNET_ERR_INIT;
	int r;

	if (xml_attribute(n, "name", nic.name, sizeof(nic.name)) != XML_ATTR_HERE ||
	    model_check_nic_name(nic.name, &why) < 0)
		return bad_nic(&nic, "name", nic.name, err);
	r = nic_word(n, &nic, "mode", nic.mode, sizeof(nic.mode), err);
	if (r == 0)
		r = nic_word(n, &nic, "pool", nic.pool, sizeof(nic.pool), err);
	if (r == 0)
		r = nic_field(n, &nic, "mac", &nic.mac, set_mac, err);
	if (r == 0)
		r = nic_field(n, &nic, "vlan", &nic.vlan, set_vlan, err);
	if (r == 0)
		r = nic_field(n, &nic, "pf", &nic.pf, set_pci, err);
	if (r == 0)
		r = nic_field(n, &nic, "pf-mac", &nic.pf_mac, set_mac, err);
	if (r == 0)
		r = nic_field(n, &nic, "vf-index", &nic.vf_index, set_index, err);
	if (r == 0)
		r = nic_field(n, &nic, "vf", &nic.vf, set_pci, err);
	if (r == 0)
		*ret = nic;
	return r;
}

static bool is_named(const struct guest_nic *nics, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(nics[i].name, name) == 0)
			return true;
	}
	return false;
}

/* @strict: a NIC that cannot be read, or comes twice, is an error, else it is left out. */
static int read_nics(const xmlNode *element, bool strict, struct guest_nic **ret, size_t *ret_n,
		     struct vnet_err *err)
{
	_cleanup_free_ struct guest_nic *nics = NULL;
	size_t n = 0;

	for (const xmlNode *c = element->children; c; c = c->next) {
		struct guest_nic *more;
		int r;

		if (!is_ours(c, "nic"))
			continue;
		more = reallocarray(nics, n + 1, sizeof(*nics));
		if (!more)
			return vnet_err_errno(err, -ENOMEM, "vnetd's metadata of the guest");
		nics = more;
		r = read_nic(c, &nics[n], strict ? err : NULL);
		if (r == 0 && is_named(nics, n, nics[n].name))
			r = bad_nic(&nics[n], "name", "(comes twice)", strict ? err : NULL);
		if (r == 0)
			n++;
		else if (strict)
			return r;
	}
	*ret = take_ptr(nics);
	*ret_n = n;
	return 0;
}

int domain_xml_metadata_parse(const char *xml, struct guest_nic **ret, size_t *ret_n,
			      struct vnet_err *err)
{
	_cleanup_doc_ xmlDoc *doc = xml_parse(xml, "vnetd's metadata of the guest", err);

	return doc ? read_nics(xmlDocGetRootElement(doc), true, ret, ret_n, err) : -EINVAL;
}

/* ---- a guest ---- */

static int add_mac(struct guest *g, const struct mac *mac, struct vnet_err *err)
{
	struct mac *more;

	for (size_t i = 0; i < g->n_macs; i++) {
		if (mac_eq(&g->macs[i], mac))
			return 0;
	}
	more = reallocarray(g->macs, g->n_macs + 1, sizeof(*more));
	if (!more)
		return vnet_err_errno(err, -ENOMEM, "guest %s", g->name);
	g->macs = more;
	g->macs[g->n_macs++] = *mac;
	return 0;
}

/* One entry for what both XMLs name; under an alias of its own (libvirt gives the live one
 * names the persistent one has not) it is another device. */
static int add_hostdev(struct guest *g, const struct guest_hostdev *add, struct vnet_err *err)
{
	struct guest_hostdev *more;

	for (size_t i = 0; i < g->n_hostdevs; i++) {
		struct guest_hostdev *h = &g->hostdevs[i];

		if (!pci_addr_eq(&h->addr, &add->addr) ||
		    (add->alias[0] && strcmp(h->alias, add->alias) != 0))
			continue;
		h->live |= add->live;
		h->config |= add->config;
		return 0;
	}
	more = reallocarray(g->hostdevs, g->n_hostdevs + 1, sizeof(*more));
	if (!more)
		return vnet_err_errno(err, -ENOMEM, "guest %s", g->name);
	g->hostdevs = more;
	g->hostdevs[g->n_hostdevs++] = *add;
	return 0;
}

/*
 * <interface>, <hostdev>, and <disk type='nvme'>, which is a PCI function too: whatever
 * has a PCI address for its source. (Its address for the guest is no child of <source>.)
 */
static int read_device(struct guest *g, const xmlNode *dev, bool live, struct vnet_err *err)
{
	struct guest_hostdev h = { .live = live, .config = !live };
	char mac[MAC_STR];
	int r = 0;

	if (xml_is_element(dev, "interface") &&
	    xml_attribute(xml_child(dev, "mac"), "address", mac, sizeof(mac)) == XML_ATTR_HERE &&
	    mac_parse(mac, &h.mac) == 0)
		r = add_mac(g, &h.mac, err);
	if (r < 0 || !xml_pci_address(xml_child(xml_child(dev, "source"), "address"), &h.addr))
		return r;
	xml_attribute(xml_child(dev, "alias"), "name", h.alias, sizeof(h.alias));
	return add_hostdev(g, &h, err);
}

static void read_numa(struct guest *g, const xmlNode *root)
{
	const xmlNode *tune = xml_child(root, "numatune");
	unsigned long node;

	g->numa_node = -1;
	for (const xmlNode *c = tune ? tune->children : NULL; c; c = c->next) {
		if (!xml_is_element(c, NULL) || !xmlHasProp(c, (const xmlChar *)"nodeset"))
			continue;
		if (!xml_number(c, "nodeset", UINT16_MAX, &node) ||
		    (g->numa_node >= 0 && g->numa_node != (int)node)) {
			g->numa_node = -1;
			return;
		}
		g->numa_node = (int)node;
	}
}

static int read_metadata(const xmlNode *root, struct guest_nic **ret, size_t *ret_n,
			 struct vnet_err *err)
{
	const xmlNode *metadata = xml_child(root, "metadata");

	for (const xmlNode *c = metadata ? metadata->children : NULL; c; c = c->next) {
		if (xml_is_element(c, NULL) && c->ns &&
		    strcmp((const char *)c->ns->href, VNETD_XML_NS) == 0)
			return read_nics(c, false, ret, ret_n, err);
	}
	return 0;
}

static int read_devices(struct guest *g, const xmlNode *root, bool live, struct vnet_err *err)
{
	const xmlNode *devices = xml_child(root, "devices");
	int r = 0;

	for (const xmlNode *c = devices ? devices->children : NULL; r == 0 && c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE)
			r = read_device(g, c, live, err);
	}
	return r;
}

/* It becomes part of file names. */
static bool is_uuid(const char *s)
{
	static const char form[UUID_STR] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	for (size_t i = 0; i < UUID_STR - 1; i++) {
		if (form[i] == 'x' ? !isxdigit((unsigned char)s[i]) : s[i] != form[i])
			return false;
	}
	return s[UUID_STR - 1] == '\0';
}

static int read_head(struct guest *g, const xmlNode *root, struct vnet_err *err)
{
	if (!xml_is_element(root, "domain"))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "XML of something else than a guest");
	xml_content(xml_child(root, "name"), g->name, sizeof(g->name));
	xml_content(xml_child(root, "uuid"), g->uuid, sizeof(g->uuid));
	if (!g->name[0] || !is_uuid(g->uuid))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "a libvirt domain's XML without %s",
				    g->name[0] ? "UUID" : "name");
	g->kvm = xml_attribute_is(root, "type", "kvm");
	read_numa(g, root);
	return 0;
}

static int read_guest(struct guest *g, const xmlNode *live, const xmlNode *config,
		      struct vnet_err *err)
{
	int r;

	g->active = live && xmlHasProp(live, (const xmlChar *)"id");
	g->persistent = config != NULL;
	if (!g->active && config)
		live = NULL;
	r = read_head(g, live ? live : config, err);
	if (r == 0)
		r = read_metadata(live ? live : config, &g->nics, &g->n_nics, err);
	if (r == 0 && config)
		r = read_metadata(config, &g->config_nics, &g->n_config_nics, err);
	if (r == 0 && live)
		r = read_devices(g, live, g->active, err);
	if (r == 0 && config)
		r = read_devices(g, config, false, err);
	return r;
}

int domain_xml_parse(const char *live, const char *config, struct guest *ret, struct vnet_err *err)
{
	_cleanup_doc_ xmlDoc *live_doc = NULL, *config_doc = NULL;
	struct guest g = { .numa_node = -1 };
	int r;

	if (live && !(live_doc = xml_parse(live, "a guest's live XML", err)))
		return -EINVAL;
	if (config && !(config_doc = xml_parse(config, "a guest's persistent XML", err)))
		return -EINVAL;
	if (!live && !config)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "a guest without XML");
	r = read_guest(&g, live_doc ? xmlDocGetRootElement(live_doc) : NULL,
		       config_doc ? xmlDocGetRootElement(config_doc) : NULL, err);
	if (r < 0)
		guest_done(&g);
	else
		*ret = g;
	return r;
}

/* ---- writing ---- */

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

char *domain_xml_interface(const struct guest_nic *nic)
{
	_cleanup_node_ xmlNode *root = element(NULL, "interface");
	char mac[MAC_STR], alias[sizeof(VNETD_ALIAS_PREFIX) + NIC_NAME_MAX];
	xmlNode *address;

	snprintf(alias, sizeof(alias), VNETD_ALIAS_PREFIX "%s", nic->name);
	/* Without <vlan> libvirt sets the VF's VLAN to 0 (virNetDevSetNetConfig), and the
	 * guest would be on the untagged wire until vnetd put it back. With it, QoS and
	 * protocol are what is lost for that moment. */
	if (!put(root, "type", "hostdev") || !put(root, "managed", "no") ||
	    !put(element(root, "mac"), "address", mac_str(&nic->mac, mac)) ||
	    !(address = element(element(root, "source"), "address")) ||
	    !put(address, "type", "pci") || !put_hex(address, "domain", 4, nic->vf.domain) ||
	    !put_hex(address, "bus", 2, nic->vf.bus) || !put_hex(address, "slot", 2, nic->vf.dev) ||
	    !put_hex(address, "function", 1, nic->vf.fn) || !put_vlan(root, &nic->vlan) ||
	    !put(element(root, "alias"), "name", alias))
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
