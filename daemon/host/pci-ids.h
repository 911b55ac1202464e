/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_PCI_IDS_H
#define VNETD_HOST_PCI_IDS_H
/* Names of vendors and devices, from pci.ids as text. */
#include <stddef.h>

struct pci_ids;

int pci_ids_open(struct pci_ids **ret, const char *path); /* -errno; no error text */
struct pci_ids *pci_ids_close(struct pci_ids *ids);
/* Both at most @size bytes; "" where there is none. */
void pci_ids_find(const struct pci_ids *ids, unsigned vendor, unsigned device, char *ret_vendor,
		  char *ret_device, size_t size);
#endif
