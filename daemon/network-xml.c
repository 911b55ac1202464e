/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libvirt's network hook is given: <hookData><network/><networkport/></hookData>. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/domains.h"
#include "daemon/hook-priv.h"
#include "daemon/xml.h"

/* <vnetd:network pool='NAME'/> in the network's metadata. */
static bool find_ours(const xmlNode *network, struct network_call *ret, struct vnet_err *err)
{
	const xmlNode *metadata = xml_child(network, "metadata");

	for (const xmlNode *c = metadata ? metadata->children : NULL; c; c = c->next) {
		if (!xml_is_element(c, "network") || !c->ns ||
		    strcmp((const char *)c->ns->href, VNETD_XML_NS) != 0)
			continue;
		if (xml_attribute(c, "pool", ret->pool, sizeof(ret->pool)) != XML_ATTR_HERE ||
		    !ret->pool[0])
			vnet_err_set(
				err, -EINVAL, VNET_E_INVALID,
				"its metadata names no pool: <vnetd:network xmlns:vnetd='" VNETD_XML_NS
				"' pool='NAME'/> does");
		return true;
	}
	return false;
}

int network_xml_parse(const char *xml, struct network_call *ret, struct vnet_err *err)
{
	_cleanup_doc_ xmlDoc *doc = xml_parse(xml, "the network hook's XML", err);
	struct network_call c = { 0 };
	const xmlNode *root, *network, *plug;

	if (!doc)
		return -EINVAL;
	root = xmlDocGetRootElement(doc);
	network = xml_is_element(root, "network") ? root : xml_child(root, "network");
	if (!network)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "the network hook's XML holds no network");
	xml_content(xml_child(network, "name"), c.name, sizeof(c.name));
	c.ours = find_ours(network, &c, err);
	if (err->code)
		return vnet_err_wrap(err, "network %s", c.name);
	plug = xml_child(xml_child(root, "networkport"), "plug");
	if (xml_attribute_is(plug, "type", "hostdev-pci"))
		xml_pci_address(xml_child(plug, "address"), &c.vf);
	*ret = c;
	return 0;
}
