/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_DRIVER_H
#define VNETD_HOST_DRIVER_H
/* What the driver knob knows of drivers: whom they serve, and what they bring with them. */
#include "daemon/host/backend.h"

/* The host's driver that another VF of the PF of @bdf has; false: none has one. */
bool driver_of_siblings(struct kernel *k, const char *bdf, char ret[static DRIVER_NAME_MAX]);
/* Until a network function that was just bound has its interface, under the name that
 * udev gives it; or some seconds have passed, for not every driver makes one. */
void driver_await_interface(struct kernel *k, const struct pci_addr *addr);
#endif
