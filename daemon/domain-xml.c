/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's XML, read. Nothing is fetched and no entity is expanded: a
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
		r = nic_word(n, &nic, "uplink", nic.uplink, sizeof(nic.uplink), err);
	if (r == 0)
		r = nic_word(n, &nic, "options", nic.options, sizeof(nic.options), err);
	if (r == 0 && options_check(nic.options) < 0)
		r = bad_nic(&nic, "options", nic.options, err);
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

static void name_it(struct guest_hostdev *h, enum delivery_kind kind, const xmlNode *n,
		    const char *attribute)
{
	/* Too long for any of ours: it stays a device without a name. */
	if (xml_attribute(n, attribute, h->device, sizeof(h->device)) == XML_ATTR_HERE)
		h->kind = kind;
	else
		h->device[0] = '\0';
}

/* What the device is on the host, as far as vnetd may have made it. */
static void read_source(struct guest_hostdev *h, const xmlNode *dev)
{
	const xmlNode *source = xml_child(dev, "source");
	char address[PCI_ADDR_STR];

	if (xml_pci_address(xml_child(source, "address"), &h->addr)) {
		h->kind = xml_is_element(dev, "interface") ? DL_HOSTDEV : DL_PCI;
		snprintf(h->device, sizeof(h->device), "%s", pci_addr_str(&h->addr, address));
	} else if (!xml_is_element(dev, "interface")) {
		return;
	} else if (xml_attribute_is(dev, "type", "vdpa")) {
		name_it(h, DL_CHARDEV, source, "dev");
	} else if (xml_attribute_is(dev, "type", "ethernet")) {
		name_it(h, DL_LINK, xml_child(dev, "target"), "dev");
	} else if (xml_attribute_is(dev, "type", "vhostuser")) {
		name_it(h, DL_SOCKET, source, "path");
	}
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
 * Beside these, interfaces of ours.
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
	if (r < 0)
		return r;
	xml_attribute(xml_child(dev, "alias"), "name", h.alias, sizeof(h.alias));
	read_source(&h, dev);
	if (!h.addr.set &&
	    (!h.kind || strncmp(h.alias, VNETD_ALIAS_PREFIX, strlen(VNETD_ALIAS_PREFIX)) != 0))
		return 0;
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

/* <vcpu current=''>N</vcpu>: what there may be is what queues are counted by. */
static void read_size(struct guest *g, const xmlNode *root)
{
	const xmlNode *backing = xml_child(root, "memoryBacking");
	char text[16];
	long n;

	xml_content(xml_child(root, "vcpu"), text, sizeof(text));
	n = strtol(text, NULL, 10);
	g->vcpus = n > 0 && n <= INT16_MAX ? (int)n : 0;
	g->shared_memory = xml_attribute_is(xml_child(backing, "access"), "mode", "shared");
	for (const xmlNode *c = xml_child(xml_child(root, "cpu"), "numa")
					? xml_child(xml_child(root, "cpu"), "numa")->children
					: NULL;
	     c; c = c->next)
		g->shared_memory |= xml_attribute_is(c, "memAccess", "shared");
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
	read_size(g, root);
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
