/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of libvirt about a guest: read it, attach, detach, its metadata. A call
 * that libvirt refuses has not been done; one whose connection or time ran out may have
 * been: libvirt_says() tells them apart, as -ECONNRESET and -ETIMEDOUT.
 *
 * Attach writes our metadata first, so that a device that vnetd gave is never without
 * the entry that says what it is; the entry goes again where libvirt said no.
 */
#include "daemon/libvirt-calls.h"

#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fault.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define METADATA_KEY "vnetd"

static void cleanup_domain(virDomainPtr *dom)
{
	if (*dom)
		virDomainFree(*dom);
}

static void cleanup_guest(struct guest *g)
{
	guest_done(g);
}

#define _cleanup_domain_ _cleanup_(cleanup_domain)
#define _cleanup_guest_ _cleanup_(cleanup_guest)

/* ---- errors ---- */

/* Nobody can say whether what was asked was done. */
static bool nobody_knows(int r)
{
	return r == -ECONNRESET || r == -ETIMEDOUT;
}

static int code_of(const virError *e, virConnectPtr conn)
{
	switch (e->code) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_DEVICE_MISSING:
		return -ENOENT;
	case VIR_ERR_OPERATION_TIMEOUT:
		return -ETIMEDOUT;
	case VIR_ERR_RPC:
	case VIR_ERR_NO_CONNECT:
	case VIR_ERR_INVALID_CONN:
		return -ECONNRESET;
	case VIR_ERR_OPERATION_DENIED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_AUTH_FAILED:
		return -EPERM;
	default:
		if (e->domain == VIR_FROM_RPC || e->domain == VIR_FROM_REMOTE ||
		    (conn && virConnectIsAlive(conn) == 0))
			return -ECONNRESET;
		return -EIO;
	}
}

bool libvirt_is_absent(void)
{
	const virError *e = virGetLastError();

	return e && e->code == VIR_ERR_SYSTEM_ERROR && e->domain == VIR_FROM_RPC &&
	       e->int1 == ENOENT;
}

/* What libvirt's last call in this thread failed with. */
int libvirt_says(struct vnet_err *err, virConnectPtr conn, const char *what, const char *object)
{
	const virError *last = virGetLastError();
	char text[VNET_ERR_TEXT_MAX];
	int r;

	if (!last)
		return vnet_err_set(err, -EIO, VNET_E_FAILED, "libvirt: %s %s failed", what,
				    object);
	snprintf(text, sizeof(text), "%s", last->message ? last->message : "unknown error");
	r = code_of(last, conn);
	return vnet_err_set(err, r,
			    nobody_knows(r) ? VNET_E_UNAVAILABLE
			    : r == -ENOENT  ? VNET_E_NOT_FOUND
					    : VNET_E_FAILED,
			    "libvirt: %s %s: %s", what, object, text);
}

/* ---- one guest: in a call thread ---- */

static int lookup(virConnectPtr conn, const char *uuid, virDomainPtr *ret, struct vnet_err *err)
{
	virDomainPtr dom = virDomainLookupByUUIDString(conn, uuid);

	if (!dom)
		return libvirt_says(err, conn, "find guest", uuid);
	*ret = dom;
	return 0;
}

static int read_domain(virConnectPtr conn, virDomainPtr dom, struct guest *ret,
		       struct vnet_err *err)
{
	_cleanup_free_ char *live = NULL, *config = NULL;
	const char *name = virDomainGetName(dom);
	int persistent, r;

	live = virDomainGetXMLDesc(dom, 0);
	if (!live)
		return libvirt_says(err, conn, "read guest", name);
	persistent = virDomainIsPersistent(dom);
	if (persistent > 0)
		config = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	if (persistent < 0 || (persistent && !config))
		return libvirt_says(err, conn, "read the configuration of guest", name);
	r = domain_xml_parse(live, config, ret, err);
	return r < 0 ? vnet_err_wrap(err, "guest %s", name) : 0;
}

static unsigned affect(enum domains_where where)
{
	return (where & IN_LIVE ? VIR_DOMAIN_AFFECT_LIVE : 0) |
	       (where & IN_CONFIG ? VIR_DOMAIN_AFFECT_CONFIG : 0);
}

/* ---- our metadata of a guest, in one of its XMLs ---- */

static int get_metadata(virConnectPtr conn, virDomainPtr dom, enum domains_where where,
			struct guest_nic **ret, size_t *ret_n, struct vnet_err *err)
{
	const char *name = virDomainGetName(dom);
	_cleanup_free_ char *xml =
		virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, VNETD_XML_NS, affect(where));
	const virError *e;

	if (xml)
		return domain_xml_metadata_parse(xml, ret, ret_n, err);
	e = virGetLastError();
	if (e && e->code == VIR_ERR_NO_DOMAIN_METADATA)
		return 0;
	return libvirt_says(err, conn, "read vnetd's metadata of guest", name);
}

static int set_metadata(virConnectPtr conn, virDomainPtr dom, enum domains_where where,
			const struct guest_nic *nics, size_t n, struct vnet_err *err)
{
	_cleanup_free_ char *xml = domain_xml_metadata(nics, n);
	const char *name = virDomainGetName(dom);

	if (n > 0 && !xml)
		return vnet_err_errno(err, -ENOMEM, "write vnetd's metadata of guest %s", name);
	if (virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, xml, METADATA_KEY, VNETD_XML_NS,
				 affect(where)) < 0)
		return libvirt_says(err, conn, "write vnetd's metadata of guest",
				    virDomainGetName(dom));
	return 0;
}

static int put_entry(virConnectPtr conn, virDomainPtr dom, enum domains_where where,
		     const struct guest_nic *nic, struct vnet_err *err)
{
	_cleanup_free_ struct guest_nic *nics = NULL;
	struct guest_nic *more;
	size_t n = 0, i = 0;
	int r = get_metadata(conn, dom, where, &nics, &n, err);

	if (r < 0)
		return r;
	more = reallocarray(nics, n + 1, sizeof(*nics));
	if (!more)
		return vnet_err_errno(err, -ENOMEM, "write vnetd's metadata of guest %s",
				      virDomainGetName(dom));
	nics = more;
	while (i < n && strcmp(nics[i].name, nic->name) != 0)
		i++;
	nics[i] = *nic;
	return set_metadata(conn, dom, where, nics, i == n ? n + 1 : n, err);
}

static int remove_entry(virConnectPtr conn, virDomainPtr dom, enum domains_where where,
			const char *name, struct vnet_err *err)
{
	_cleanup_free_ struct guest_nic *nics = NULL;
	size_t n = 0, kept = 0;
	int r = get_metadata(conn, dom, where, &nics, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(nics[i].name, name) != 0)
			nics[kept++] = nics[i];
	}
	return kept == n ? 0 : set_metadata(conn, dom, where, nics, kept, err);
}

/* ---- the operations: in a call thread ---- */

/* Out of the metadata of each XML that has not the device. */
static int remove_entries(virConnectPtr conn, virDomainPtr dom, const struct guest *g,
			  const char *name, struct vnet_err *err)
{
	int r = 0;

	if (g->active && !guest_device(g, name, IN_LIVE))
		r = remove_entry(conn, dom, IN_LIVE, name, err);
	if (r == 0 && g->persistent && !guest_device(g, name, IN_CONFIG))
		r = remove_entry(conn, dom, IN_CONFIG, name, err);
	return r;
}

/* Where libvirt's own word does not say what there is to do. */
static void add_remedy(struct vnet_err *err)
{
	const char *remedy = NULL;
	size_t n = strlen(err->text);

	if (strstr(err->text, "No more available PCI slots"))
		remedy = ": the guest has no PCIe port left: add <controller type='pci' "
			 "model='pcie-root-port'/> to its configuration (virsh edit) and start it "
			 "again, or detach a device";
	/* libvirt passes what it has opened, and the kernel asks the receiver's profile. */
	else if (strstr(err->text, "No file descriptor supplied via SCM_RIGHTS"))
		remedy = ": what confines QEMU (AppArmor) keeps the node from it: the rule in "
			 "/etc/apparmor.d/abstractions/libvirt-qemu.d/vnetd allows it to guests "
			 "that are started after it is there";
	if (remedy)
		snprintf(err->text + n, sizeof(err->text) - n, "%s", remedy);
}

static int attach_device(virConnectPtr conn, virDomainPtr dom, enum domains_where where,
			 const struct guest_nic *nic, struct vnet_err *err)
{
	_cleanup_free_ char *xml = domain_xml_device(nic);
	const char *name = virDomainGetName(dom);
	char what[64];
	int r;

	snprintf(what, sizeof(what), "attach %s to guest", nic->name);
	if (!xml)
		return vnet_err_errno(err, -ENOMEM, "%s %s", what, name);
	r = fault_point("libvirt:attach:before");
	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	if (virDomainAttachDeviceFlags(dom, xml, affect(where)) < 0) {
		r = libvirt_says(err, conn, what, name);
		add_remedy(err);
		return r;
	}
	r = fault_point("libvirt:attach:after");
	return r < 0 ? vnet_err_set(err, -ETIMEDOUT, VNET_E_UNAVAILABLE, "fault point") : 0;
}

/* Not taken out where the guest has the device after all: whoever reads it next must
 * find what it is. */
static void undo_entries(virConnectPtr conn, virDomainPtr dom, const struct guest_nic *nic)
{
	_cleanup_guest_ struct guest g = { 0 };
	struct vnet_err err = VNET_ERR_INIT;
	int r = read_domain(conn, dom, &g, &err);

	if (r == 0)
		r = remove_entries(conn, dom, &g, nic->name, &err);
	if (r < 0)
		log_err(4, virDomainGetName(dom), &err, "the metadata entry of %s stays",
			nic->name);
}

/* Of @where, which XMLs are still without the device? */
static int missing(const struct guest *g, const struct guest_nic *nic, enum domains_where where,
		   enum domains_where *ret, struct vnet_err *err)
{
	*ret = where;
	for (int in = IN_LIVE; in <= IN_CONFIG; in++) {
		const struct guest_hostdev *dev =
			where & in ? guest_device(g, nic->name, (enum domains_where)in) : NULL;

		if (dev && (dev->kind != nic->kind || strcmp(dev->device, nic->device) != 0))
			return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
					    "guest %s has a device " VNETD_ALIAS_PREFIX
					    "%s already: %s",
					    g->name, nic->name, dev->device);
		if (dev)
			*ret &= ~in;
	}
	return 0;
}

static int attach(virConnectPtr conn, const struct call *c, struct vnet_err *err)
{
	_cleanup_domain_ virDomainPtr dom = NULL;
	_cleanup_guest_ struct guest g = { 0 };
	enum domains_where where = 0;
	int r = lookup(conn, c->uuid, &dom, err);

	if (r == 0)
		r = read_domain(conn, dom, &g, err);
	if (r < 0)
		return r;
	if (!g.active && (c->where & IN_LIVE))
		return vnet_err_set(err, -ESRCH, VNET_E_FAILED, "guest %s does not run", g.name);
	r = missing(&g, &c->nic, c->where, &where, err);
	if (r < 0)
		return r;
	if (c->where & IN_LIVE)
		r = put_entry(conn, dom, IN_LIVE, &c->nic, err);
	if (r == 0 && (c->where & IN_CONFIG))
		r = put_entry(conn, dom, IN_CONFIG, &c->nic, err);
	/* What is missing nowhere is there from an attach that nobody heard the end of. */
	if (r == 0 && where)
		r = attach_device(conn, dom, where, &c->nic, err);
	if (r < 0 && !nobody_knows(r))
		undo_entries(conn, dom, &c->nic);
	return r;
}

static int detach_device(virConnectPtr conn, virDomainPtr dom, const struct guest *g,
			 enum domains_where where, const char *nic_name, struct vnet_err *err)
{
	const struct guest_hostdev *dev =
		guest_device(g, nic_name, where & IN_LIVE ? IN_LIVE : IN_CONFIG);
	struct guest_nic nic = { .vf_index = -1, .kind = dev->kind, .mac = dev->mac };
	_cleanup_free_ char *xml = NULL;
	char what[64];
	int r;

	snprintf(nic.name, sizeof(nic.name), "%s", nic_name);
	memcpy(nic.device, dev->device, sizeof(nic.device));
	xml = domain_xml_device(&nic);
	if (!xml)
		return vnet_err_errno(err, -ENOMEM, "detach %s from guest %s", nic.name, g->name);
	/* Returns after 5 s also when the guest did not let go: this only asks. */
	if (virDomainDetachDeviceFlags(dom, xml, affect(where)) == 0)
		return 0;
	snprintf(what, sizeof(what), "detach %s from guest", nic.name);
	r = libvirt_says(err, conn, what, g->name);
	if (strstr(err->text, "in the process of unplug")) {
		*err = VNET_ERR_INIT;
		r = 0; /* asked before, and it still is */
	}
	return r;
}

/* One call where both XMLs name the same device: libvirt then does both or none. */
static int detach(virConnectPtr conn, const struct call *c, struct vnet_err *err)
{
	_cleanup_domain_ virDomainPtr dom = NULL;
	_cleanup_guest_ struct guest g = { 0 };
	const struct guest_hostdev *live, *config;
	int r = lookup(conn, c->uuid, &dom, err);

	if (r == 0)
		r = read_domain(conn, dom, &g, err);
	if (r < 0)
		return r;
	live = c->where & IN_LIVE ? guest_device(&g, c->nic.name, IN_LIVE) : NULL;
	config = c->where & IN_CONFIG ? guest_device(&g, c->nic.name, IN_CONFIG) : NULL;
	if (!live && !config)
		return vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				    "guest %s has no device " VNETD_ALIAS_PREFIX "%s", g.name,
				    c->nic.name);
	r = fault_point("libvirt:detach:before");
	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	if (live && live == config) {
		r = detach_device(conn, dom, &g, IN_LIVE | IN_CONFIG, c->nic.name, err);
	} else {
		if (live)
			r = detach_device(conn, dom, &g, IN_LIVE, c->nic.name, err);
		if (r == 0 && config)
			r = detach_device(conn, dom, &g, IN_CONFIG, c->nic.name, err);
	}
	if (r == 0 && config)
		r = remove_entry(conn, dom, IN_CONFIG, c->nic.name, err);
	return r;
}

/* A guest that is gone has no metadata. */
static int forget(virConnectPtr conn, const struct call *c, struct vnet_err *err)
{
	_cleanup_domain_ virDomainPtr dom = NULL;
	_cleanup_guest_ struct guest g = { 0 };
	int r = lookup(conn, c->uuid, &dom, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = read_domain(conn, dom, &g, err);
	return r < 0 ? r : remove_entries(conn, dom, &g, c->nic.name, err);
}

static int list_all(virConnectPtr conn, struct call *c, struct vnet_err *err)
{
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(conn, &doms, 0);

	if (n < 0)
		return libvirt_says(err, conn, "list the guests of", "this host");
	c->guests = calloc((size_t)n + 1, sizeof(*c->guests));
	for (int i = 0; i < n; i++) {
		struct guest *g = c->guests ? &c->guests[c->n_guests] : NULL;

		if (g && virDomainGetUUIDString(doms[i], g->uuid) == 0) {
			snprintf(g->name, sizeof(g->name), "%s", virDomainGetName(doms[i]));
			g->active = virDomainGetID(doms[i]) != (unsigned)-1;
			g->numa_node = -1;
			c->n_guests++;
		}
		virDomainFree(doms[i]);
	}
	free(doms);
	return c->guests ? 0 : vnet_err_errno(err, -ENOMEM, "list the guests");
}

/* ---- what libvirt.c calls ---- */

void libvirt_act(virConnectPtr conn, struct call *c)
{
	if (c->op == DOM_READ_ALL)
		c->r = list_all(conn, c, &c->err);
	else if (c->op == DOM_ATTACH)
		c->r = attach(conn, c, &c->err);
	else if (c->op == DOM_DETACH)
		c->r = detach(conn, c, &c->err);
	else if (c->op == DOM_FORGET)
		c->r = forget(conn, c, &c->err);
}

int libvirt_read(virConnectPtr conn, const char *uuid, struct guest *ret, struct vnet_err *err)
{
	_cleanup_domain_ virDomainPtr dom = NULL;
	int r = lookup(conn, uuid, &dom, err);

	return r < 0 ? r : read_domain(conn, dom, ret, err);
}
