/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/fake/guest-file.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

#define XML_MAX (256 * 1024)

/* ---- files of a guest ---- */

bool guest_file_has(int dirfd, const char *file, const char *what)
{
	char path[NAME_MAX * 2];

	snprintf(path, sizeof(path), "%s.%s", file, what);
	return faccessat(dirfd, path, F_OK, 0) == 0;
}

/* NULL: not there, or being written. */
static xmlDoc *load_doc(int dirfd, const char *file, const char *what)
{
	_cleanup_free_ char *text = malloc(XML_MAX);
	char path[NAME_MAX * 2];
	ssize_t n;

	snprintf(path, sizeof(path), "%s.%s", file, what);
	n = text ? file_read_at(dirfd, path, text, XML_MAX) : -ENOMEM;
	return n <= 0 ? NULL
		      : xmlReadMemory(text, (int)n, NULL, NULL,
				      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

static char *text_of(xmlDoc *doc)
{
	xmlChar *text = NULL;
	char *copy = NULL;
	int n;

	if (doc)
		xmlDocDumpMemory(doc, &text, &n);
	if (text)
		copy = strdup((const char *)text);
	xmlFree(text);
	return copy;
}

int guest_file_load(int dirfd, const char *file, struct guest *ret, struct vnet_err *err)
{
	xmlDoc *doc = load_doc(dirfd, file, "xml"), *config_doc = load_doc(dirfd, file, "config");
	_cleanup_free_ char *text = NULL, *config = NULL;
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	bool active = !guest_file_has(dirfd, file, "off");

	if (root && active && !xmlHasProp(root, BAD_CAST "id"))
		xmlNewProp(root, BAD_CAST "id", BAD_CAST "1");
	text = text_of(doc);
	config = text_of(config_doc);
	xmlFreeDoc(doc);
	xmlFreeDoc(config_doc);
	if (!text)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND, "libvirt: no guest %s", file);
	return domain_xml_parse(active ? text : NULL, active ? config : text, ret, err);
}

const char *guest_file_of(int dirfd, const char *file, enum domains_where where)
{
	bool active = !guest_file_has(dirfd, file, "off");

	if (where == IN_LIVE)
		return active ? "xml" : NULL;
	if (!active)
		return "xml";
	return guest_file_has(dirfd, file, "config") ? "config" : NULL;
}

static int save_doc(int dirfd, const char *file, const char *what, xmlDoc *doc,
		    struct vnet_err *err)
{
	_cleanup_free_ char *text = text_of(doc);
	char path[NAME_MAX * 2];

	snprintf(path, sizeof(path), "%s.%s", file, what);
	return text ? file_replace_at(dirfd, path, text, strlen(text), 0644, err) : -ENOMEM;
}

/* ---- changing a guest's XML ---- */

static xmlNode *child(xmlNode *parent, const char *name)
{
	for (xmlNode *c = parent->children; c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE && strcmp((const char *)c->name, name) == 0)
			return c;
	}
	return NULL;
}

static xmlNode *child_or_new(xmlNode *parent, const char *name)
{
	xmlNode *c = child(parent, name);

	return c ? c : xmlNewChild(parent, NULL, BAD_CAST name, NULL);
}

static xmlNode *fragment(xmlDoc *doc, const char *xml)
{
	xmlDoc *from = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL, XML_PARSE_NONET);
	xmlNode *copy = from ? xmlDocCopyNode(xmlDocGetRootElement(from), doc, 1) : NULL;

	xmlFreeDoc(from);
	return copy;
}

static void set_ns(xmlNode *n, xmlNs *ns)
{
	xmlSetNs(n, ns);
	for (xmlNode *c = n->children; c; c = c->next) {
		if (c->type == XML_ELEMENT_NODE)
			set_ns(c, ns);
	}
}

/* As virDomainSetMetadata does it: one element of our namespace, or none. */
static void set_metadata(xmlDoc *doc, const struct guest_nic *nics, size_t n)
{
	_cleanup_free_ char *xml = domain_xml_metadata(nics, n);
	xmlNode *metadata = child_or_new(xmlDocGetRootElement(doc), "metadata"), *next;

	for (xmlNode *c = metadata->children; c; c = next) {
		next = c->next;
		if (c->type != XML_ELEMENT_NODE || !c->ns ||
		    strcmp((const char *)c->ns->href, VNETD_XML_NS) != 0)
			continue;
		xmlUnlinkNode(c);
		xmlFreeNode(c);
	}
	if (xml) {
		xmlNode *ours = xmlAddChild(metadata, fragment(doc, xml));

		set_ns(ours, xmlNewNs(ours, BAD_CAST VNETD_XML_NS, BAD_CAST "vnetd"));
	}
}

/* With @nic's entry, or without the one of that name. */
int guest_file_set_entry(int dirfd, const char *file, enum domains_where where,
			 const struct guest_nic *nic, bool with, struct vnet_err *err)
{
	const char *what = guest_file_of(dirfd, file, where);
	xmlDoc *doc = what ? load_doc(dirfd, file, what) : NULL;
	struct guest_nic nics[16];
	const struct guest_nic *old;
	struct guest g = { 0 };
	size_t n = 0, n_old;
	int r = guest_file_load(dirfd, file, &g, err);

	old = where == IN_LIVE ? g.nics : g.config_nics;
	n_old = where == IN_LIVE ? g.n_nics : g.n_config_nics;
	for (size_t i = 0; r == 0 && i < n_old && n < ARRAY_SIZE(nics) - 1; i++) {
		if (strcmp(old[i].name, nic->name) != 0)
			nics[n++] = old[i];
	}
	if (with)
		nics[n++] = *nic;
	if (r == 0 && doc && (with || n != n_old)) {
		set_metadata(doc, nics, n);
		r = save_doc(dirfd, file, what, doc, err);
	}
	guest_done(&g);
	xmlFreeDoc(doc);
	return r;
}

int guest_file_add(int dirfd, const char *file, enum domains_where where,
		   const struct guest_nic *nic, struct vnet_err *err)
{
	_cleanup_free_ char *xml = domain_xml_device(nic);
	const char *what = guest_file_of(dirfd, file, where);
	xmlDoc *doc = what ? load_doc(dirfd, file, what) : NULL;
	int r = vnet_err_set(err, -EINVAL, VNET_E_FAILED, "libvirt: guest %s has no such XML",
			     file);

	if (doc && xml) {
		xmlAddChild(child_or_new(xmlDocGetRootElement(doc), "devices"), fragment(doc, xml));
		*err = VNET_ERR_INIT;
		r = save_doc(dirfd, file, what, doc, err);
	}
	xmlFreeDoc(doc);
	return r;
}

void guest_file_remove(int dirfd, const char *file, enum domains_where where, const char *alias)
{
	const char *what = guest_file_of(dirfd, file, where);
	xmlDoc *doc = what ? load_doc(dirfd, file, what) : NULL;
	xmlNode *devices = doc ? child(xmlDocGetRootElement(doc), "devices") : NULL;
	struct vnet_err err = VNET_ERR_INIT;

	for (xmlNode *c = devices ? devices->children : NULL; c; c = c->next) {
		xmlNode *n = c->type == XML_ELEMENT_NODE ? child(c, "alias") : NULL;
		xmlChar *name = n ? xmlGetProp(n, BAD_CAST "name") : NULL;
		bool it = name && strcmp((const char *)name, alias) == 0;

		xmlFree(name);
		if (!it)
			continue;
		xmlUnlinkNode(c);
		xmlFreeNode(c);
		save_doc(dirfd, file, what, doc, &err);
		break;
	}
	xmlFreeDoc(doc);
}
