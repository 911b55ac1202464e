/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vDPA management devices. The kernel does not say what a new device may be given: what
 * it is sure to refuse is what the feature bits lack, and what drivers refuse whose
 * devices come with all of that (their management devices are PCI functions).
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"

bool host_vdpa_takes_nothing(const char *driver)
{
	static const char *const drivers[] = { "vp-vdpa", "ifcvf", "octep_vdpa" };

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (!strcmp(driver, drivers[i]))
			return true;
	}
	return false;
}

static bool takes_nothing(struct kernel *k, const struct vdpa_mgmtdev *m)
{
	char driver[DRIVER_NAME_MAX], bdf[PCI_ADDR_STR];

	return m->pci.set &&
	       kernel_readlink_base(k, driver, sizeof(driver), PCI_DEVICES "/%s/driver",
				    pci_addr_str(&m->pci, bdf)) >= 0 &&
	       host_vdpa_takes_nothing(driver);
}

static void complete(struct kernel *k, struct vdpa_mgmtdev *m)
{
	bool none;

	if (!strncmp(m->name, "pci/", 4))
		pci_addr_parse(m->name + 4, &m->pci);
	none = takes_nothing(k, m);
	m->takes_mac = !none && m->features >> VIRTIO_NET_F_MAC & 1;
	m->takes_mtu = !none && m->features >> VIRTIO_NET_F_MTU & 1;
	m->takes_vqp = !none && m->features >> VIRTIO_NET_F_MQ & 1;
}

static int cmp_mgmtdev(const void *a, const void *b)
{
	return strcmp(((const struct vdpa_mgmtdev *)a)->name,
		      ((const struct vdpa_mgmtdev *)b)->name);
}

int host_scan_mgmtdevs(struct kernel *k, struct host_scan *ret, struct vnet_err *err)
{
	struct vnet_err why = VNET_ERR_INIT;
	struct host_scan s = { 0 };
	int r = k->ops->mgmtdevs(k, &s, &why);

	if (r == -ENOENT) /* no vDPA is none of them */
		r = 0;
	if (r < 0) {
		if (err)
			*err = why;
		host_scan_done(&s);
		return r;
	}
	for (size_t i = 0; i < s.n_mgmtdevs; i++)
		complete(k, &s.mgmtdevs[i]);
	if (s.n_mgmtdevs)
		qsort(s.mgmtdevs, s.n_mgmtdevs, sizeof(*s.mgmtdevs), cmp_mgmtdev);
	free(ret->mgmtdevs);
	ret->mgmtdevs = take_ptr(s.mgmtdevs);
	ret->n_mgmtdevs = s.n_mgmtdevs;
	free(ret->vdpas);
	ret->vdpas = take_ptr(s.vdpas);
	ret->n_vdpas = s.n_vdpas;
	host_scan_done(&s);
	return 0;
}
