/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_XML_H
#define VNETD_XML_H
/*
 * libvirt's XML, read: what the rooms that read a guest's or a network's share. Nothing is
 * fetched and no entity is expanded: a document that declares any is refused whole,
 * libvirt writes none.
 */
#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "lib/pciaddr.h"

static inline void cleanup_doc(xmlDoc **doc)
{
	xmlFreeDoc(*doc);
}

#define _cleanup_doc_ _cleanup_(cleanup_doc)

/* With a root element; NULL: @err says what is wrong with @what. */
xmlDoc *xml_parse(const char *xml, const char *what, struct vnet_err *err);
/* @name NULL: any element. */
bool xml_is_element(const xmlNode *n, const char *name);
/* The first one; NULL also of nothing, so that paths need no checks between. */
xmlNode *xml_child(const xmlNode *n, const char *name);

enum xml_attribute { XML_ATTR_ABSENT, XML_ATTR_HERE, XML_ATTR_TOO_LONG };
enum xml_attribute xml_attribute(const xmlNode *n, const char *name, char *ret, size_t size);
bool xml_attribute_is(const xmlNode *n, const char *name, const char *value);
/* As libvirt takes them: decimal, or hexadecimal with 0x. */
bool xml_number(const xmlNode *n, const char *name, unsigned long max, unsigned long *ret);
/* Cut where it does not fit; a guest with an endless name still holds its devices. */
void xml_content(const xmlNode *n, char *ret, size_t size);
/* <address type='pci' domain= bus= slot= function=/> */
bool xml_pci_address(const xmlNode *n, struct pci_addr *ret);
#endif
