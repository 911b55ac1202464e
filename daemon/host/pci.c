/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libpci reports an error by a callback that must not return; its own one exits.
 * A device that vanishes while it is looked at is such an error. So every call
 * into libpci that reads a device is made below with_trap(), the callback jumps
 * back there, and the access is thrown away: nobody else holds anything of it.
 * The callback gets no argument of ours, which is why `trap` is static.
 */
#include "daemon/host/pci.h"

#include <fcntl.h>
#include <pci/pci.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host/pci-ids.h"
#include "lib/cleanup.h"

#define NAME_MAX_LEN 128
#define LOOKUP_FLAGS (PCI_LOOKUP_NO_NUMBERS | PCI_LOOKUP_NO_HWDB)
#define ACS_WANTED 0x1d /* SV, RR, CR, UF: what the kernel's IOMMU groups ask for */

static _Thread_local jmp_buf *trap;

struct look {
	struct pci_access *access;
	struct pci_dev *dev;
	const char *root;
	const struct pci_ids *ids;
	struct nic *n;
	char vendor[NAME_MAX_LEN], device[NAME_MAX_LEN]; /* copied when nothing can jump */
};

static void on_error(char *msg, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void on_error(char *msg, ...)
{
	(void)msg;
	longjmp(*trap, 1);
}

static void on_message(char *msg, ...) __attribute__((format(printf, 1, 2)));

static void on_message(char *msg, ...)
{
	(void)msg;
}

static bool with_trap(void (*fn)(struct look *), struct look *l)
{
	jmp_buf here;

	if (setjmp(here)) {
		trap = NULL;
		return false;
	}
	trap = &here;
	fn(l);
	trap = NULL;
	return true;
}

static void open_access(struct look *l)
{
	char path[4096 + 16];

	l->access->error = on_error;
	l->access->warning = on_message;
	l->access->debug = on_message;
	l->access->method = PCI_ACCESS_SYS_BUS_PCI;
	snprintf(path, sizeof(path), "%s/sys/bus/pci", strcmp(l->root, "/") ? l->root : "");
	pci_set_param(l->access, (char *)"sysfs.path", path);
	pci_init(l->access);
}

static void look_up_names(struct look *l)
{
	if (l->ids) {
		pci_ids_find(l->ids, l->n->vendor, l->n->device, l->vendor, l->device,
			     sizeof(l->vendor));
		return;
	}
	/* Without PCI_LOOKUP_NETWORK: no name server is asked. Not udev's hwdb either:
	 * where there is none each look-up leaks, and pci.ids says the same. */
	if (!pci_lookup_name(l->access, l->vendor, sizeof(l->vendor),
			     PCI_LOOKUP_VENDOR | LOOKUP_FLAGS, l->n->vendor))
		l->vendor[0] = '\0';
	if (!pci_lookup_name(l->access, l->device, sizeof(l->device),
			     PCI_LOOKUP_DEVICE | LOOKUP_FLAGS, l->n->vendor, l->n->device))
		l->device[0] = '\0';
}

static void look_at_caps(struct look *l)
{
	struct pci_dev *d = l->dev;
	struct nic *n = l->n;
	struct pci_cap *cap;

	cap = pci_find_cap(d, PCI_CAP_ID_MSIX, PCI_CAP_NORMAL);
	n->msix_vectors = cap ? (pci_read_word(d, (int)cap->addr + 2) & 0x7ff) + 1 : 0;
	n->flr = 0;
	cap = pci_find_cap(d, PCI_CAP_ID_EXP, PCI_CAP_NORMAL);
	if (cap && pci_read_long(d, (int)cap->addr + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLRESET)
		n->flr = 1;
	cap = pci_find_cap(d, PCI_CAP_ID_AF, PCI_CAP_NORMAL);
	if (cap && pci_read_byte(d, (int)cap->addr + 3) & 0x02)
		n->flr = 1;
}

static void look_at_ext_caps(struct look *l)
{
	struct pci_dev *d = l->dev;
	struct pci_cap *cap;

	l->n->ari = pci_find_cap(d, PCI_EXT_CAP_ID_ARI, PCI_CAP_EXTENDED) != NULL;
	cap = pci_find_cap(d, PCI_EXT_CAP_ID_ACS, PCI_CAP_EXTENDED);
	l->n->acs = cap && (pci_read_word(d, (int)cap->addr + 6) & ACS_WANTED) == ACS_WANTED;
}

static void look(struct look *l)
{
	const struct pci_addr *a = &l->n->addr;
	uint8_t byte;

	look_up_names(l);
	l->dev = pci_get_dev(l->access, (int)a->domain, a->bus, a->dev, a->fn);
	/* Without privilege the kernel gives the first 64 bytes; a device without PCI
	 * Express has 256. What cannot be read is unknown, not absent. */
	if (!pci_read_block(l->dev, 64, &byte, 1))
		return;
	look_at_caps(l);
	if (pci_read_block(l->dev, 256, &byte, 1))
		look_at_ext_caps(l);
	else if (!pci_find_cap(l->dev, PCI_CAP_ID_EXP, PCI_CAP_NORMAL))
		l->n->ari = l->n->acs = 0;
}

static void close_access(struct look *l)
{
	if (l->dev)
		pci_free_dev(l->dev);
	l->dev = NULL;
	if (l->access)
		pci_cleanup(l->access);
	l->access = NULL;
}

static void close_dev(struct look *l)
{
	if (l->dev)
		pci_free_dev(l->dev);
	l->dev = NULL;
}

static void keep_name(char **ret, const char *name)
{
	free(*ret);
	*ret = *name ? strdup(name) : NULL;
}

/* Where libpci would read the names; it takes the plain file where the other is missing. */
static void open_ids(struct pci *pci, const struct pci_access *access)
{
	static const char gz[] = ".gz";
	_cleanup_free_ char *path = access->id_file_name ? strdup(access->id_file_name) : NULL;
	size_t len = path ? strlen(path) : 0;

	pci->tried = true;
	if (!path)
		return;
	if (len > strlen(gz) && !strcmp(path + len - strlen(gz), gz)) {
		if (faccessat(AT_FDCWD, path, F_OK, 0) == 0)
			return;
		path[len - strlen(gz)] = '\0';
	}
	if (pci_ids_open(&pci->ids, path) < 0)
		pci->ids = NULL;
}

void pci_describe(struct pci *pci, const char *root, struct nic *n)
{
	struct look l = { .access = pci->access, .root = root, .n = n };

	pci->access = NULL;
	if (!l.access) {
		l.access = pci_alloc();
		if (!with_trap(open_access, &l))
			return; /* it never came to hold more than itself */
	}
	if (!pci->tried)
		open_ids(pci, l.access);
	l.ids = pci->ids;
	if (with_trap(look, &l) && with_trap(close_dev, &l))
		pci->access = l.access;
	else
		with_trap(close_access, &l);
	keep_name(&n->vendor_name, l.vendor);
	keep_name(&n->device_name, l.device);
}

void pci_done(struct pci *pci)
{
	struct look l = { .access = pci->access };

	with_trap(close_access, &l);
	*pci = (struct pci){ .ids = pci_ids_close(pci->ids) };
}
