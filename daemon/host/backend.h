/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_BACKEND_H
#define VNETD_HOST_BACKEND_H
/*
 * What the files of daemon/host/ share among themselves: the back ends, small
 * readers of sysfs, and the resolving of knob objects. Nobody outside includes it.
 */
#include <dirent.h>

#include "daemon/host/host.h"

#define SYSFS_PATH_MAX 512
#define PCI_DEVICES "sys/bus/pci/devices"
#define PCI_DRIVERS "sys/bus/pci/drivers"
#define VDPA_DEVICES "sys/bus/vdpa/devices"
#define VDPA_DRIVERS "sys/bus/vdpa/drivers"
#define PCI_PROBE "sys/bus/pci/drivers_probe"
#define PCI_DEVICES_PATH "/" PCI_DEVICES /* in texts */

/* Install ops and priv of a back end in *k, whose root is open. */
int real_open(struct kernel *k, struct vnet_err *err);
int captured_open(struct kernel *k, struct vnet_err *err);

/* ---- sysfs.c ---- */

/* NULL and errno where there is no such directory. */
DIR *kernel_opendir(struct kernel *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next entry but "." and ".."; NULL at the end. */
const struct dirent *next_entry(DIR *d);
/* A number in the kernel's spelling ("7", "0x020000"); @otherwise where it is
 * absent or no number. */
long long kernel_read_number(struct kernel *k, long long otherwise, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The address that a link below the root points to; -errno otherwise. */
int kernel_readlink_pci(struct kernel *k, struct pci_addr *ret, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Decimal digits after @prefix and nothing else: "virtfn12" -> 12, else -1. */
int suffix_number(const char *name, const char *prefix);
/* May @name be one component of a sysfs path (a driver's name)? */
bool is_component(const char *name);

/* VFs of @pf, by counting its virtfnN links: reading sriov_numvfs takes the
 * device lock. -errno when there is no such function. */
int count_vfs(struct kernel *k, const struct pci_addr *pf);
/* Interfaces of one PCI function that are visible here, smallest index first: at
 * most @max, which are the smallest. */
unsigned function_interfaces(struct kernel *k, const struct pci_addr *addr, int *ret, unsigned max);
/* The same below a device's directory: its own, and those of a virtio device that
 * its driver made. */
unsigned interfaces_below(struct kernel *k, const char *dir, int *ret, unsigned max);
/* The interface that stands for the PF itself, not a representor of its VFs;
 * -ENODEV with err when it has none in this namespace. */
int pf_interface(struct kernel *k, const struct pci_addr *pf, char name[static IF_NAMESIZE],
		 int *ret_ifindex, struct vnet_err *err);
/* Has udev done with a new interface what it does, renaming it and giving it a MAC address
 * of its own included? It notes that. True also where no udev runs. */
bool udev_is_done(struct kernel *k, int ifindex);
/* N of vfio-dev/vfioN, -1 when the function is not bound to a VFIO driver. */
int function_vfio_dev(struct kernel *k, const struct pci_addr *addr);

/* "0000:65:00.0", with err naming what was expected. */
int parse_pf_object(const char *object, struct pci_addr *ret, struct vnet_err *err);
/* "0000:65:00.0/vf3" */
int parse_vf_object(const char *object, struct pci_addr *ret_pf, unsigned *ret_index,
		    struct vnet_err *err);

/* ---- check_free of the knobs ---- */

/* May the settings of this function (its address, or "PF/vfN") be written: has nobody it
 * open through VFIO? Opens its group for a moment, so only for one that ledger and libvirt
 * call free. -EBUSY: the error says who. 0 also where there is no such function, and for
 * objects of other knobs. */
int vf_check_free(struct kernel *k, const char *object, struct vnet_err *err);
/* A tap or macvtap: no process has a queue of it. */
int netdev_check_free(struct kernel *k, const char *object, struct vnet_err *err);
/* A vDPA device: nobody has its node open, no interface of it is in use. */
int vdpa_check_free(struct kernel *k, const char *object, struct vnet_err *err);

/* ---- driver.c, numvfs.c, vf-knobs.c, vdpa-knobs.c, vdpa-path.c: what knobs.c puts into its table ---- */
int driver_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err);
int driver_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool driver_matches(const char *wanted, const char *actual);

int autoprobe_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err);
int autoprobe_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
int numvfs_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err);
int numvfs_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool number_matches(const char *wanted, const char *actual);
int link_up_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err);
int link_up_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);

int vf_mac_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err);
int vf_mac_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vf_mac_matches(const char *wanted, const char *actual);
int vf_vlan_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err);
int vf_vlan_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vf_vlan_matches(const char *wanted, const char *actual);
int vf_trust_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		 struct vnet_err *err);
int vf_trust_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vf_trust_matches(const char *wanted, const char *actual);
int vf_spoofchk_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err);
int vf_spoofchk_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vf_spoofchk_matches(const char *wanted, const char *actual);

/* ---- vfio-owner.c ---- */
int vfio_owner_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		   struct vnet_err *err);
int vfio_owner_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vfio_owner_matches(const char *wanted, const char *actual);

/* ---- ovs-port.c, ovs-value.c ---- */
int ovs_port_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		 struct vnet_err *err);
int ovs_port_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool ovs_port_matches(const char *wanted, const char *actual);
/* ---- tap.c, macvtap.c, net-knobs.c, bridge-port.c ---- */
int tap_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	    struct vnet_err *err);
int tap_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool tap_matches(const char *wanted, const char *actual);
int macvtap_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err);
int macvtap_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool macvtap_matches(const char *wanted, const char *actual);
int net_mac_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err);
int net_mac_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool net_mac_matches(const char *wanted, const char *actual);
int net_mtu_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err);
int net_mtu_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
int net_up_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err);
int net_up_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
int bridge_port_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err);
int bridge_port_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool bridge_port_matches(const char *wanted, const char *actual);
bool bridge_port_half_set(const char *before, const char *after, const char *actual);

/* tap.c: 1 and *ret; 0: there is no such interface. */
int netdev_find(struct kernel *k, const char *name, struct netdev *ret, struct vnet_err *err);
/* "foreign bridge": how an interface reads that is not what the knob makes. */
void netdev_foreign(const struct netdev *d, char ret[static KNOB_VALUE_MAX]);
/* -EEXIST, with err. */
int netdev_taken(const struct netdev *d, struct vnet_err *err);
/* Wait, for a while, until udev has done with a new one. */
void netdev_await_udev(struct kernel *k, const struct netdev *d);
/* -EBUSY where a process has a queue of it; the error says which. */
int netdev_delete(struct kernel *k, const struct netdev *d, struct vnet_err *err);
int vdpa_knob_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err);
int vdpa_knob_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vdpa_knob_matches(const char *wanted, const char *actual);
int vdpa_driver_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		    struct vnet_err *err);
int vdpa_driver_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vdpa_driver_matches(const char *wanted, const char *actual);
int vdpa_path_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err);
int vdpa_path_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
bool vdpa_path_is_link(const char *before, const char *after, const char *actual);

/* ---- nic.c ---- */

/* Put the parts into their order and build what the lookups need. -ENOMEM. */
int host_scan_sort(struct host_scan *s);
void host_scan_sort_vfs(struct host_scan *s); /* only them */
/* Nothing known: every number -1, every string empty. */
struct nic nic_unknown(const struct pci_addr *addr);
/* What all VFs of a PF have in common, from the first of them. */
void nic_describe_like(struct nic *n, const struct nic *first);
/* Is there nothing of it in which they differ? */
bool nic_is_like(const struct nic *n, const struct nic *first);
/* Control characters and whatever is no UTF-8 become '?': such text comes from
 * other people's processes and interfaces, and goes into JSON and terminals. */
void clean_text(char *s);
#endif
