/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_QMP_NIC_PRIV_H
#define VNETD_QMP_NIC_PRIV_H
/* What qmp-nic.c (in) and qmp-detach.c (out) share. */
#include <stdbool.h>

#include "daemon/qmp-nic.h"

#define QMP_NIC_ID_MAX (NIC_NAME_MAX + 8)

/* "vnetd-NAME": the id of chardev, netdev and device; with "-iommufd" behind it of the object. */
void qmp_nic_id(const char *name, char ret[static QMP_NIC_ID_MAX]);
/* Does QEMU say that what was to be taken away is not there? */
bool qmp_nic_not_there(int r, const struct vnet_err *err);
#endif
