/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_NIC_H
#define VNETD_HOST_NIC_H
/*
 * What the host has, as plain values: one scan of it. The scan is made in a
 * worker (reading may block behind a stuck driver), goes to the main thread as
 * JSON (nic-json.c) and is held there by inventory.c. Unknown numbers are -1,
 * unknown strings "".
 */
#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/mac.h"
#include "lib/model.h"
#include "lib/pciaddr.h"

#define DRIVER_NAME_MAX 32

enum nic_kind {
	NIC_PLAIN, /* a network function without SR-IOV */
	NIC_PF,	   /* has an SR-IOV capability (sriov_totalvfs) */
	NIC_VF,
	NIC_KIND_MAX
};
NAMES_DECLARE(nic_kind, enum nic_kind)

/* One PCI function of the host: every network function (class 02xxxx) and every
 * other function that shares an IOMMU group with one or has SR-IOV itself (an
 * NVMe controller): those are shown, never offered. */
struct nic {
	struct pci_addr addr;
	enum nic_kind kind;
	bool network;	/* class 02xxxx */
	uint32_t class; /* 24 bits: base, sub, interface */
	uint16_t vendor, device, subvendor, subdevice;
	char *vendor_name, *device_name; /* from pci.ids by libpci; NULL unknown. Owned. */
	char driver[DRIVER_NAME_MAX];	 /* "" : none */
	char driver_override[DRIVER_NAME_MAX];
	int iommu_group; /* -1: none, so no IOMMU for it */
	int numa_node;	 /* -1 unknown */
	bool bridge;	 /* PCI bridge (class 0604) */
	/* capabilities, -1 where configuration space could not be read */
	int flr, ari, acs; /* 0/1; acs: SV, RR, CR and UF all enabled (bridges) */
	int msix_vectors;
	char reset_method[64]; /* as the kernel lists them; "" none */
	/* PF */
	int total_vfs, num_vfs; /* num_vfs counted by virtfnN links, never read */
	/* Inode of virtfn0's link: sysfs gives each made file a new one (fs/kernfs), so
	 * it tells VFs of now from others that were there under the same names. 0: none */
	uint64_t vfs_id;
	int autoprobe; /* sriov_drivers_autoprobe; -1 unknown */
	/* VF */
	struct pci_addr pf;
	int vf_index;
	int vfio_dev; /* N of vfio-dev/vfioN while bound to a VFIO driver, else -1 */
	/* its network interfaces that are visible in this namespace (net/), by index */
	int ifindex[4];
	unsigned n_ifindex;
};

/* One network interface (RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE), host namespace. */
struct link {
	int ifindex;
	char name[IF_NAMESIZE];
	char kind[16]; /* IFLA_INFO_KIND: "bridge", "tun", "macvtap" ...; "" physical */
	struct mac mac, perm_mac;
	bool has_mac, has_perm_mac;
	bool up;	     /* IFF_UP */
	bool carrier;	     /* IFF_LOWER_UP */
	int mtu;	     /* bytes */
	int master;	     /* ifindex of bridge, bond, team, OVS; 0 none */
	int lower;	     /* IFLA_LINK: VLAN or macvlan on top of that; 0 none */
	struct pci_addr pci; /* IFLA_PARENT_DEV_NAME where the bus is pci */
	int addresses;	     /* other than link-local */
	int routes; /* main-table routes through it, other than link-local and its own subnets */
	bool tap_persistent;
	bool vlan_filtering; /* a bridge that heeds its ports' VLANs */
	bool passthru;	     /* a macvtap or macvlan that has all of its lower */
};

/* Attributes that a PF's driver reports for one VF (IFLA_VF_INFO). */
struct vf_attrs {
	int index;
	struct mac mac;
	struct vlan vlan;
	int trust, spoofchk; /* 0, 1, -1 the driver reports none */
	int link_state;	     /* 0 auto, 1 enable, 2 disable, -1 unknown */
	int min_tx_mbps, max_tx_mbps;
	struct pci_addr pf;
};

/* Who has a device open, from /proc/PID/fd. Looking opens no node. */
struct holder {
	pid_t pid;
	char comm[32];
	char guest[GUEST_NAME_MAX]; /* QEMU's -name guest=..., "" otherwise */
	int iommu_group;	    /* /dev/vfio/G: the whole group; -1 otherwise */
	int vfio_dev;		    /* /dev/vfio/devices/vfioN; -1 otherwise */
	char node[48];		    /* the path, for the text */
};

/* A process with queues of a tap or macvtap, from /proc/PID/fd. A vhost-net descriptor does
 * not say which queue it serves, so these are of the process. */
struct queue_user {
	pid_t pid;
	char name[IF_NAMESIZE]; /* "" as long as only ifindex is known */
	int ifindex;		/* of a macvtap, else 0 */
	unsigned queues;	/* of this interface that it has open */
	unsigned vhost;		/* /dev/vhost-net that it has open */
};

#define VDPA_NAME_MAX 32
#define VDPA_MGMTDEV_MAX 48

/* What vDPA devices are made of. Only those that can make network devices. */
struct vdpa_mgmtdev {
	char name[VDPA_MGMTDEV_MAX]; /* "pci/0000:01:00.2", "vdpasim_net" */
	struct pci_addr pci;	     /* where its bus is pci */
	uint64_t features;	     /* virtio's, that its devices may have */
	int max_vqs;		     /* of all kinds; -1 unknown */
	/* What a new device may be given, as far as that shows beforehand. */
	bool takes_mac, takes_mtu, takes_vqp;
};

struct vdpa_dev {
	char name[VDPA_NAME_MAX];
	/* The parent as sysfs shows it, until the kernel was asked (mgmtdevs). */
	char mgmtdev[VDPA_MGMTDEV_MAX];
	char driver[DRIVER_NAME_MAX];
	char chardev[32];    /* "/dev/vhost-vdpa-0" or "" */
	struct pci_addr pci; /* of the parent, where it is a PCI function */
};

struct host_scan {
	struct nic *nics; /* sorted by address */
	size_t n_nics;
	struct link *links; /* sorted by ifindex */
	size_t n_links;
	struct vf_attrs *vfs; /* sorted by PF, index */
	size_t n_vfs;
	struct holder *holders;
	size_t n_holders;
	struct vdpa_dev *vdpas;
	size_t n_vdpas;
	bool has_iommufd;	       /* /dev/iommu, and VFIO makes device nodes */
	bool has_vfio_pci;	       /* driver directory present */
	bool has_tun, has_vhost_net;   /* device nodes */
	bool has_vhost_vdpa;	       /* driver directory present */
	int intr_remap;		       /* 1 remapped, 0 not, -1 cannot tell (not x86) */
	bool unsafe_interrupts;	       /* vfio_iommu_type1.allow_unsafe_interrupts=Y */
	struct vdpa_mgmtdev *mgmtdevs; /* sorted by name */
	size_t n_mgmtdevs;
	bool has_vdpa;	 /* there is a vDPA bus, so there may be management devices */
	uint32_t *by_vf; /* nic.c: places of the VFs in nics, by PF and index; or NULL */
	size_t n_by_vf;
	uint32_t *by_group; /* places of what has an IOMMU group, by group and address; or NULL */
	size_t n_by_group;
};

void host_scan_done(struct host_scan *s); /* frees what is in it, leaves it empty */

/* driver-kind.c. Does this driver give what it is bound to to programs (VFIO, UIO), or keep
 * it for nobody (pci-stub)? */
bool driver_is_for_programs(const char *driver);
/* Does this driver do DMA for the host, so that VFIO refuses the whole IOMMU group of
 * what it is bound to? */
bool driver_blocks_group(const char *driver);

/* Found by binary search; NULL when absent. */
struct nic *host_scan_nic(const struct host_scan *s, const struct pci_addr *addr);
struct nic *host_scan_vf(const struct host_scan *s, const struct pci_addr *pf, unsigned index);
/* Member @i of an IOMMU group, in the order of addresses; NULL past the last. */
struct nic *host_scan_group(const struct host_scan *s, int group, size_t i);
struct link *host_scan_link(const struct host_scan *s, int ifindex);
/* First interface of the function, NULL when it has none visible. */
struct link *host_scan_nic_link(const struct host_scan *s, const struct nic *n);
struct vf_attrs *host_scan_vf_attrs(const struct host_scan *s, const struct pci_addr *pf,
				    unsigned index);

/* The worker's answers; VF attributes are asked separately, so that a stuck PF hides
 * its own alone, and so are vDPA management devices. Decoding fills its part of *ret only. "nics" is everything else. */
json_t *host_nics_to_json(const struct host_scan *s);
int host_nics_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err);
json_t *host_holders_to_json(const struct host_scan *s);
int host_holders_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err);
json_t *host_links_to_json(const struct host_scan *s);
int host_links_from_json(const json_t *j, struct host_scan *ret, struct vnet_err *err);
json_t *host_vfs_to_json(const struct host_scan *s);
/* Replaces the rows of one PF, keeps the order. */
int host_vfs_merge_json(const json_t *j, const struct pci_addr *pf, struct host_scan *s,
			struct vnet_err *err);
/* vdpa-json.c: management devices, and which one each vDPA device is of. Merging
 * replaces the former, and says the latter of the devices that *s has. */
json_t *host_mgmtdevs_to_json(const struct host_scan *s);
int host_mgmtdevs_merge_json(const json_t *j, struct host_scan *s, struct vnet_err *err);
#endif
