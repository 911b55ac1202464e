/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/xml.h"

#include <ctype.h>
#include <errno.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

xmlDoc *xml_parse(const char *xml, const char *what, struct vnet_err *err)
{
	xmlParserCtxt *ctxt = xmlNewParserCtxt();
	_cleanup_doc_ xmlDoc *doc = NULL;
	const xmlError *e;

	if (!ctxt) {
		vnet_err_errno(err, -ENOMEM, "%s", what);
		return NULL;
	}
	doc = xmlCtxtReadMemory(ctxt, xml, (int)strnlen(xml, INT32_MAX), NULL, NULL,
				XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!doc || !xmlDocGetRootElement(doc)) {
		e = xmlCtxtGetLastError(ctxt);
		vnet_err_set(err, -EINVAL, VNET_E_INVALID, "%s is no XML: line %d: %.*s", what,
			     e ? e->line : 0, e && e->message ? (int)strcspn(e->message, "\n") : 5,
			     e && e->message ? e->message : "empty");
		xmlFreeDoc(take_ptr(doc));
	} else if (doc->intSubset) {
		vnet_err_set(err, -EINVAL, VNET_E_INVALID, "%s has a document type: refused", what);
		xmlFreeDoc(take_ptr(doc));
	}
	xmlFreeParserCtxt(ctxt);
	return take_ptr(doc);
}

bool xml_is_element(const xmlNode *n, const char *name)
{
	return n && n->type == XML_ELEMENT_NODE &&
	       (!name || strcmp((const char *)n->name, name) == 0);
}

xmlNode *xml_child(const xmlNode *n, const char *name)
{
	for (xmlNode *c = n ? n->children : NULL; c; c = c->next) {
		if (xml_is_element(c, name))
			return c;
	}
	return NULL;
}

enum xml_attribute xml_attribute(const xmlNode *n, const char *name, char *ret, size_t size)
{
	xmlChar *value = n ? xmlGetNoNsProp(n, (const xmlChar *)name) : NULL;
	size_t len = value ? strlen((const char *)value) : 0;

	ret[0] = '\0';
	if (!value)
		return XML_ATTR_ABSENT;
	if (len < size)
		memcpy(ret, value, len + 1);
	xmlFree(value);
	return len < size ? XML_ATTR_HERE : XML_ATTR_TOO_LONG;
}

bool xml_attribute_is(const xmlNode *n, const char *name, const char *value)
{
	char text[64];

	return xml_attribute(n, name, text, sizeof(text)) == XML_ATTR_HERE &&
	       strcmp(text, value) == 0;
}

bool xml_number(const xmlNode *n, const char *name, unsigned long max, unsigned long *ret)
{
	char text[32], *end;
	unsigned long v;

	if (xml_attribute(n, name, text, sizeof(text)) != XML_ATTR_HERE ||
	    !isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	v = strtoul(text, &end, 0);
	if (errno || *end || v > max)
		return false;
	*ret = v;
	return true;
}

void xml_content(const xmlNode *n, char *ret, size_t size)
{
	xmlChar *text = n ? xmlNodeGetContent(n) : NULL;
	size_t len;

	ret[0] = '\0';
	if (!text)
		return;
	len = strlen((const char *)text);
	if (len >= size) {
		len = size - 1;
		while (len > 0 && (text[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(ret, text, len);
	ret[len] = '\0';
	xmlFree(text);
}

bool xml_pci_address(const xmlNode *n, struct pci_addr *ret)
{
	unsigned long domain = 0, bus = 0, slot, fn = 0;

	if (!n || (xmlHasProp(n, (const xmlChar *)"type") && !xml_attribute_is(n, "type", "pci")) ||
	    !xml_number(n, "slot", 0x1f, &slot))
		return false;
	xml_number(n, "domain", UINT32_MAX, &domain);
	xml_number(n, "bus", UINT8_MAX, &bus);
	xml_number(n, "function", 7, &fn);
	*ret = (struct pci_addr){ .domain = (uint32_t)domain,
				  .bus = (uint8_t)bus,
				  .dev = (uint8_t)slot,
				  .fn = (uint8_t)fn,
				  .set = true };
	return true;
}
