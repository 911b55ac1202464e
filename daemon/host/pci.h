/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_PCI_H
#define VNETD_HOST_PCI_H
/* libpci: names and capabilities of one function. */
#include "daemon/host/nic.h"

struct pci_access;
struct pci_ids;

/* Both made at the first call and kept. */
struct pci {
	struct pci_access *access; /* NULL after a call in which libpci gave up */
	struct pci_ids *ids;	   /* NULL: libpci reads the names (a compressed pci.ids) */
	bool tried;
};

/* Fill names and capabilities of @n, whose ids are set; what cannot be read stays
 * unknown. */
void pci_describe(struct pci *pci, const char *root, struct nic *n);
void pci_done(struct pci *pci);
#endif
