/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_PCI_H
#define VNETD_HOST_PCI_H
/* libpci: names and capabilities of one function. */
#include "daemon/host/nic.h"

struct pci_access;

/* Fill names and capabilities of @n, whose ids are set; what cannot be read stays
 * unknown. @access is made at the first call and kept (it holds the parsed
 * pci.ids); NULL after a call in which libpci gave up. */
void pci_describe(struct pci_access **access, const char *root, struct nic *n);
struct pci_access *pci_close(struct pci_access *access);
#endif
