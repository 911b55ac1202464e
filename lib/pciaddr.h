/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_PCIADDR_H
#define VNET_LIB_PCIADDR_H
/*
 * PCI addresses as the kernel spells them: "0000:65:00.4" (domain 16 or, behind
 * VMD, 32 bits). And the object of a VF knob: "0000:65:00.0/vf3", PF and index,
 * which stays true where the VF's own address does not (and before it exists).
 */
#include <stdbool.h>
#include <stdint.h>

#define PCI_ADDR_STR 20	 /* "10000:65:00.0", a 32-bit domain, and NUL */
#define VF_OBJECT_STR 32 /* "10000:65:00.0/vf65535" */

struct pci_addr {
	uint32_t domain;
	uint8_t bus, dev, fn;
	bool set; /* false: no address */
};

/* 0 or -EINVAL; the whole string must be an address. */
int pci_addr_parse(const char *s, struct pci_addr *ret);
/* Returns @buf: "0000:65:00.4", or "" for an unset address. */
const char *pci_addr_str(const struct pci_addr *a, char buf[static PCI_ADDR_STR]);
int pci_addr_cmp(const struct pci_addr *a, const struct pci_addr *b); /* sorts; unset first */
bool pci_addr_eq(const struct pci_addr *a, const struct pci_addr *b);

int vf_object_parse(const char *s, struct pci_addr *ret_pf, unsigned *ret_index);
const char *vf_object_str(const struct pci_addr *pf, unsigned index,
			  char buf[static VF_OBJECT_STR]);
#endif
