/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_DOMAINS_H
#define VNETD_DOMAINS_H
/*
 * The guests, as libvirt knows them: kept by main-thread code (domains.c) from
 * what a back end reports. The back end of the product is libvirt.c (the only
 * file that names libvirt; its threads are its own); the test build has another.
 *
 * vnetd never redefines a domain: it sets its metadata element and attaches or
 * detaches one <interface>. One call per guest at a time, a bounded set of
 * threads; a guest that hangs holds up itself alone.
 */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "lib/err.h"
#include "lib/model.h"

#define VNETD_XML_NS "urn:vnetd:1"
#define VNETD_ALIAS_PREFIX "ua-vnetd-" /* + NIC name; libvirt keeps and reports it */

/* What one guest's metadata says of one of our NICs: the wish, and the identity of
 * the claim. <vnetd:nic name= mode= uplink= options= pool= mac= vlan= pf= pf-mac= vf-index= vf=/> */
struct guest_nic {
	char name[NIC_NAME_MAX];
	char mode[MODE_NAME_MAX];
	char pool[POOL_NAME_MAX];
	char uplink[UPLINK_MAX];
	char options[OPTIONS_MAX]; /* as asked for */
	struct mac mac;
	struct vlan vlan;
	struct pci_addr pf;
	struct mac pf_mac;
	int vf_index; /* -1 none */
	struct pci_addr vf;
	/* Of the device to be attached; not in the metadata. */
	enum delivery_kind kind;
	char device[DEVICE_MAX];
	char how[OPTIONS_MAX];
};

/* A PCI function that a guest's XML names, ours or not, or another interface of ours. */
struct guest_hostdev {
	struct pci_addr addr; /* unset: it is none */
	enum delivery_kind kind;
	char device[DEVICE_MAX]; /* the address, interface or path */
	char alias[64];		 /* "" where the XML has none */
	struct mac mac;		 /* of an <interface>; zero otherwise */
	bool live, config;	 /* in the live XML, in the persistent one */
};

struct guest {
	char name[GUEST_NAME_MAX];
	char uuid[UUID_STR];
	bool active; /* runs (or is paused) now */
	bool persistent;
	bool kvm; /* <domain type='kvm'> */
	/* libvirt lists it and has not answered for it yet: name, UUID and active are true,
	 * what it holds is not known. */
	bool unread;
	int vcpus;	    /* 0 unknown */
	bool shared_memory; /* other processes can map it: vhost-user */
	int numa_node;	    /* the one node that <numatune> names; -1: none, or more than one */
	struct guest_hostdev *hostdevs;
	size_t n_hostdevs;
	struct guest_nic *nics; /* our metadata, live one when active */
	size_t n_nics;
	struct guest_nic *config_nics; /* our metadata in the persistent XML */
	size_t n_config_nics;
	/* A hook said that it starts, and no read has shown it running since. */
	bool starting;
	struct mac *macs; /* of every <interface>, any type: to find duplicates */
	size_t n_macs;
};

enum domains_known {
	DOMAINS_NEVER, /* not read since start: reservations unknown */
	DOMAINS_KNOWN,
	DOMAINS_STALE, /* read once, connection lost since: what is listed was true then */
};

struct domains;

/* All called on the main thread, from the event loop. */
struct domains_events {
	void (*known)(void *user); /* the whole list was (re)read */
	void (*lost)(void *user);
	void (*absent)(void *user);		       /* domains_absent() has become true */
	void (*changed)(void *user, const char *uuid); /* one guest re-read, started, defined ... */
	void (*device_removed)(void *user, const char *uuid, const char *alias);
	void (*removal_failed)(void *user, const char *uuid, const char *alias);
	void (*guest_stopped)(void *user, const char *uuid); /* QEMU is gone; may come twice */
};

typedef void (*domains_done_fn)(void *user, int r, struct vnet_err *err);

struct domains_backend; /* below */

int domains_new(struct domains **ret, sd_event *event, const struct domains_backend *backend,
		const char *arg, const struct domains_events *events, void *user,
		struct vnet_err *err);
struct domains *domains_free(struct domains *d);

enum domains_known domains_known(const struct domains *d);
/* No libvirt listens on this host: nobody is there who could tell of guests. */
bool domains_absent(const struct domains *d);
const char *domains_why_unknown(const struct domains *d); /* "libvirt: ...", never NULL */
/* By name or UUID; NULL when there is none. Valid until the loop runs again. */
const struct guest *domains_find(const struct domains *d, const char *name_or_uuid);
const struct guest *domains_at(const struct domains *d,
			       size_t i); /* sorted by name; NULL past end */

/* Which of a guest's XMLs a call is about: the running guest's, the persistent one, both. */
enum domains_where { IN_LIVE = 1, IN_CONFIG = 2 };

/*
 * Write @nic into the guest's metadata, then attach the device that its kind,
 * device and how are, with its MAC and alias; in both XMLs by one call of
 * libvirt's, all or nothing. Done with 0 when libvirt says it is in; <0 when libvirt said
 * no (the metadata entry was taken out again). -ETIMEDOUT, -ECONNRESET: nobody knows: ask
 * with domains_reread. Error text carries libvirt's own message.
 */
int domains_attach(struct domains *d, const char *uuid, enum domains_where where,
		   const struct guest_nic *nic, domains_done_fn done, void *user,
		   struct vnet_err *err);
/* Ask the guest to let go of ua-vnetd-NAME; out of the persistent XML, where it is named,
 * it goes with its metadata entry. Done with 0 when the request was made; the end of
 * the live part is device_removed. -ENOENT: no XML of those has such a device. */
int domains_detach(struct domains *d, const char *uuid, enum domains_where where,
		   const char *nic_name, domains_done_fn done, void *user, struct vnet_err *err);
/* Take @nic_name out of the guest's metadata, of each XML that has no such device (any
 * more); fine when it is not there. */
int domains_forget(struct domains *d, const char *uuid, const char *nic_name, domains_done_fn done,
		   void *user, struct vnet_err *err);
/* Read one guest again; after 0 domains_find() gives what is true now. */
int domains_reread(struct domains *d, const char *uuid, domains_done_fn done, void *user,
		   struct vnet_err *err);
/*
 * What libvirt's hook tells, before libvirt's own events do. Starting: what is read or
 * told of the guest's end from before this moment is of its last life. Off: it has ended
 * and holds nothing.
 */
void domains_hook_starting(struct domains *d, const char *uuid);
void domains_hook_off(struct domains *d, const char *uuid);
/* Read the list anew, known() tells when it was: of a guest that is not in it, events may
 * still be on their way. False: libvirt is not there to be asked. */
bool domains_relist(struct domains *d);
/* No done of @user will be called any more; what was asked goes on. */
void domains_drop(struct domains *d, void *user);
/* The device of our NIC @nic_name in one of its XMLs, or NULL. */
const struct guest_hostdev *guest_device(const struct guest *g, const char *nic_name,
					 enum domains_where where);
/* Does the guest's live XML have it? */
bool guest_has_nic(const struct guest *g, const char *nic_name);
/* Does its persistent one? */
bool guest_config_has_nic(const struct guest *g, const char *nic_name);
/* Our metadata entry of @nic_name in the persistent XML, where that has the device too. */
const struct guest_nic *guest_config_nic(const struct guest *g, const char *nic_name);

/* ---- what a back end does (libvirt.c; tests/fake/domains.c) ---- */

enum domains_op { DOM_READ_ALL, DOM_READ, DOM_ATTACH, DOM_DETACH, DOM_FORGET };

struct domains_request {
	enum domains_op op;
	char uuid[UUID_STR];
	enum domains_where where; /* DOM_ATTACH, DOM_DETACH */
	struct guest_nic nic;	  /* DOM_ATTACH: all; DOM_DETACH, DOM_FORGET: name */
	/* filled by the back end: */
	int r;
	struct vnet_err err;
	/* malloced. READ_ALL: every guest, name, UUID and active alone (unread is set):
	 * domains.c reads each by itself, so that one that hangs hides no other. All
	 * others: the guest, re-read; not older than any event reported before it. */
	struct guest *guests;
	size_t n_guests;
	/* of domains.c: */
	domains_done_fn done;
	void *user;
	bool own, again, of_list;
	bool stale; /* sent before a hook told of another life of the guest */
	struct domains_request *next;
};

/* Reports to domains.c; to be called on the main thread. */
struct domains_sink {
	void (*connected)(void *user); /* (re)connected: domains.c asks READ_ALL */
	void (*disconnected)(void *user, const char *why); /* "libvirt: ..." */
	/* The same, and there is nobody to connect to: no libvirt listens on this host. */
	void (*absent)(void *user, const char *why);
	void (*finished)(void *user, struct domains_request *req);
	void (*event_changed)(void *user, const char *uuid); /* domains.c asks READ */
	void (*event_removed)(void *user, const char *uuid, const char *alias);
	void (*event_removal_failed)(void *user, const char *uuid, const char *alias);
	void (*event_stopped)(void *user, const char *uuid);
	void *user;
};

struct domains_backend {
	const char *name;
	/* @arg: connection URI, or the test's directory */
	int (*open)(void **ret, sd_event *event, const char *arg, const struct domains_sink *sink,
		    struct vnet_err *err);
	/* Takes over @req until finished(), which may come from within; never blocks.
	 * r of a request that may have been done or not, nobody knows, is -ECONNRESET or
	 * -ETIMEDOUT, and its error's name VNET_E_UNAVAILABLE. */
	void (*submit)(void *be, struct domains_request *req);
	/* Reports nothing any more; requests not finished are domains.c's again. */
	void (*close)(void *be);
};

extern const struct domains_backend domains_libvirt;
extern const struct domains_backend domains_none; /* a host without guests */

void guest_done(struct guest *g);

/* ---- daemon/domain-xml.c: the one place that knows libvirt's XML ---- */
/* Any thread; the library's own start-up is done once, before there are threads. */
void domain_xml_init(void);
/* Parse a domain's XML into *ret (config and live may both be given; either NULL). A
 * live one without an id is of a guest that stopped just now: it is not active. Metadata
 * of ours that cannot be read is left out: it must not hide what the guest holds. */
int domain_xml_parse(const char *live, const char *config, struct guest *ret, struct vnet_err *err);
/* ---- daemon/domain-write-xml.c ---- */
/* The device to attach or detach; malloced. */
char *domain_xml_device(const struct guest_nic *nic);
/* Our metadata element <guest> with @nics, to be given to virDomainSetMetadata with key
 * "vnetd" and VNETD_XML_NS; NULL when n is 0 (remove the element). malloced. */
char *domain_xml_metadata(const struct guest_nic *nics, size_t n);
/* The other way round, from virDomainGetMetadata's text. */
int domain_xml_metadata_parse(const char *xml, struct guest_nic **ret, size_t *ret_n,
			      struct vnet_err *err);
#endif
