/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_HOST_H
#define VNETD_HOST_HOST_H
/*
 * The only code that touches the kernel. Everything hangs from one struct
 * kernel: a root directory and a table of operations, so that the same callers
 * run on the real kernel, on a captured host (read only) and, in the test
 * build, on a fake kernel with reactions and faults.
 *
 * All of this may block (device locks, RTNL): it is called in workers only
 * (daemon/worker-main.c), never on the daemon's main thread. Not thread safe.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/host/netdev.h"
#include "daemon/host/nic.h"
#include "lib/err.h"

struct kernel;

/* One VF attribute to set through its PF; which says which member counts. */
enum vf_attr { VF_ATTR_MAC, VF_ATTR_VLAN, VF_ATTR_TRUST, VF_ATTR_SPOOFCHK };
struct vf_change {
	enum vf_attr which;
	struct mac mac;
	struct vlan vlan;
	bool on; /* trust, spoofchk */
};

/* A vDPA device as it is asked for, or as far as the kernel tells of it. */
struct vdpa_config {
	char mgmtdev[VDPA_MGMTDEV_MAX];
	struct mac mac;
	bool has_mac;
	int mtu, max_vqp; /* 0: not said */
};

/* Of a device node: permissions and its own number. */
struct node_owner {
	unsigned uid, gid, mode;
	unsigned major, minor; /* 0: not known */
};

/* The seam. Each returns 0 or a negative errno; callers make the text. Paths of
 * the sysfs group are relative to the root, without a leading slash. */
struct kernel_ops {
	const char *name; /* "real", "captured", "fake" */
	/* whole-value write of an attribute file */
	int (*write)(struct kernel *k, const char *path, const char *value);
	/* RTM_GETLINK/GETADDR/GETROUTE: fills links of *s */
	int (*links)(struct kernel *k, struct host_scan *s, struct vnet_err *err);
	/* RTM_GETLINK with VF info of one PF: *ret is malloced */
	int (*vf_get)(struct kernel *k, const struct pci_addr *pf, struct vf_attrs **ret,
		      size_t *ret_n, struct vnet_err *err);
	int (*vf_set)(struct kernel *k, const struct pci_addr *pf, unsigned index,
		      const struct vf_change *change, struct vnet_err *err);
	int (*link_up)(struct kernel *k, int ifindex, bool up, struct vnet_err *err);
	/* One interface, by @ifindex or where that is 0 by @name. -ENODEV without err:
	 * there is none. */
	int (*netdev_get)(struct kernel *k, const char *name, int ifindex, struct netdev *ret,
			  struct vnet_err *err);
	/* Make one: kind "tun" (a persistent tap, multi_queue) or "macvtap" (lower, mode).
	 * -EEXIST: something of that name is there. */
	int (*netdev_add)(struct kernel *k, const struct netdev *d, struct vnet_err *err);
	/* Take a tap or macvtap away, if it still is what was read into @d. -EBUSY: a
	 * process has a queue of that tap. */
	int (*netdev_del)(struct kernel *k, const struct netdev *d, struct vnet_err *err);
	int (*netdev_set)(struct kernel *k, const struct netdev *d, const struct netdev_change *c,
			  struct vnet_err *err);
	/* A process that has a queue of this tap or macvtap: 1 and *ret; 0 nobody that
	 * can be seen. */
	int (*netdev_holder)(struct kernel *k, const struct netdev *d, struct holder *ret,
			     struct vnet_err *err);
	/* Every process's queues of taps and macvtaps: *ret is malloced. */
	int (*queue_users)(struct kernel *k, struct queue_user **ret, size_t *ret_n,
			   struct vnet_err *err);
	/* Of an interface that is a port of a Linux bridge. */
	int (*port_get)(struct kernel *k, const struct netdev *d, struct port *ret,
			struct vnet_err *err);
	/* PORT_VLANS: those of @p instead of all that it has; PORT_ISOLATED: the flag. */
	int (*port_set)(struct kernel *k, const struct netdev *d, enum port_attr which,
			const struct port *p, struct vnet_err *err);
	/* /proc/PID/fd: fills holders of *s */
	int (*holders)(struct kernel *k, struct host_scan *s, struct vnet_err *err);
	/* Open the VFIO group node of @group and keep it: nobody else can open it
	 * then. -EBUSY: somebody has it. -ENOENT: no node, nothing to fence. */
	int (*fence)(struct kernel *k, int group, int *ret_fd);
	/* Generic netlink family "vdpa". mgmtdevs fills those of *s, and vdpas with names and
	 * management devices alone; -ENOENT: the kernel has no vDPA. vdpa_get: -ENODEV where
	 * there is none of that name, -EINVAL where it was not made through the family. */
	int (*mgmtdevs)(struct kernel *k, struct host_scan *s, struct vnet_err *err);
	int (*vdpa_get)(struct kernel *k, const char *name, struct vdpa_config *ret,
			struct vnet_err *err);
	int (*vdpa_new)(struct kernel *k, const char *name, const struct vdpa_config *c,
			struct vnet_err *err);
	int (*vdpa_del)(struct kernel *k, const char *name, struct vnet_err *err);
	/* What open.c hands on. A device node, as "dev/vhost-net". */
	int (*open_node)(struct kernel *k, const char *path, int *ret_fd);
	/* Make @fd, of the tun node or a macvtap's, a queue of the tap @name, which is there;
	 * @many: one of several. */
	int (*tun_queue)(struct kernel *k, int fd, const char *name, bool many);
	/* The tap of queue @fd goes when its last queue is closed. */
	int (*tun_by_fds)(struct kernel *k, int fd, const char *name);
	/* Whose a node is, and another owner for it, by chown(2). -ENOENT: there is none. */
	int (*node_owner)(struct kernel *k, const char *path, struct node_owner *ret);
	int (*node_give)(struct kernel *k, const char *path, unsigned uid, unsigned gid);
	/* Locked memory counts for the process that uses the iommufd, not for its user. */
	int (*iommufd_own)(struct kernel *k, int fd);
	/* libpci: names and capabilities into n */
	void (*describe)(struct kernel *k, struct nic *n);
	void (*close)(struct kernel *k);
};

struct kernel {
	const struct kernel_ops *ops;
	int rootfd;
	char root[4096]; /* as given; "/" for the real one */
	char *runtime;	 /* vnetd's runtime directory; NULL: not said */
	void *priv;	 /* of the back end */
};

/* "/" gives the real kernel; any other directory what is found there: a captured
 * host, or what a test build registers (kernel_test_open). */
int kernel_open(struct kernel **ret, const char *root, struct vnet_err *err);
/* Where knobs keep files of vnetd's own: vdpa-path its links. */
int kernel_set_runtime(struct kernel *k, const char *dir, struct vnet_err *err);
struct kernel *kernel_close(struct kernel *k);
#ifdef VNET_TEST_BACKENDS
/* 0: the directory is a fake kernel, whose ops are installed; -ENOENT: it is not. */
int kernel_test_open(struct kernel *k, struct vnet_err *err);
#endif

/* Reading attributes, the same for every back end: below the root directory. */
ssize_t kernel_read(struct kernel *k, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
ssize_t kernel_readlink_base(struct kernel *k, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
bool kernel_exists(struct kernel *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int kernel_write(struct kernel *k, const char *value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* PCI functions, drivers, groups, VFIO, vDPA, IOMMU facts, interfaces, holders:
 * everything of *ret but VF attributes. */
int host_scan_nics(struct kernel *k, struct host_scan *ret, struct vnet_err *err);
/* Parts of it: interfaces; who has what open. */
int host_scan_holders(struct kernel *k, struct host_scan *ret, struct vnet_err *err);
/* "queues" of worker-main.c: every tap and macvtap that a process has queues of, and what the
 * interfaces of these names are ports of. */
int host_queues_json(struct kernel *k, const json_t *names, json_t **ret, struct vnet_err *err);
int host_scan_links(struct kernel *k, struct host_scan *ret, struct vnet_err *err);
int host_scan_vfs(struct kernel *k, const struct pci_addr *pf, struct host_scan *ret,
		  struct vnet_err *err);
/* vDPA management devices, and which one each vDPA device is of. Not part of
 * host_scan_nics(): generic netlink as a whole may hang (facts: R3). */
int host_scan_mgmtdevs(struct kernel *k, struct host_scan *ret, struct vnet_err *err);
/* Management devices of this driver take no MAC, MTU or queues: theirs come with all of it. */
bool host_vdpa_takes_nothing(const char *driver);

/* ---- knobs: things of the host that are read and set as a whole (knobs.c) ---- */

#define KNOB_VALUE_MAX 192
#define KNOB_OBJECT_MAX 64
#define KNOB_ABSENT "absent" /* read: the object does not exist (yet) */

enum knob_owner { KNOB_OF_POOL, KNOB_OF_ATTACHMENT };

struct knob {
	const char *name; /* "vf-mac" */
	const char *
		summary; /* for plan and the manual: "administrative MAC of a VF, set through its PF" */
	const char *object;    /* "PF", "PF/vfN" ...: what the object string is */
	enum knob_owner owner; /* pool knobs are only ever rolled forward */
	const char *idle;      /* what an idle VF has; NULL where that has no meaning */
	unsigned deadline_ms;  /* a set that takes longer makes its PF stuck */
	/* The worker lane of its calls where it is not the object's own: what the kernel
	 * (or a server) serialises over all objects has one lane. */
	const char *lane;
	bool live; /* may be set while a guest has the VF */
	bool own;  /* nobody else's: it goes back to idle, whatever an earlier life left there */
	/* Has nobody it in use, so that knobs of its kind may be walked back? -EBUSY: the
	 * error says who. 0 also where there is none of it. NULL: nobody can. */
	int (*check_free)(struct kernel *k, const char *object, struct vnet_err *err);
	/* Is @actual what @wanted asks for? (spelling, the driver's nearest value) */
	bool (*matches)(const char *wanted, const char *actual);
	/* NULL, or: may @actual be what a set of @after over @before left half way, when its
	 * worker died? Then the way back goes on from there. */
	bool (*half_set)(const char *before, const char *after, const char *actual);
	int (*get)(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		   struct vnet_err *err);
	int (*set)(struct kernel *k, const char *object, const char *value, struct vnet_err *err);
};

/*
 * name          object   value
 * autoprobe     PF       "0" "1"                       sriov_drivers_autoprobe
 * numvfs        PF       "0".."65535"                  sriov_numvfs; read by counting virtfnN; only
 *                                                      0 -> N is ever written (facts: R1, R7)
 * link-up       PF       "up" "down"                   IFF_UP of the PF's interface
 * driver        PF/vfN   "none", "igbvf", "vfio-pci override=vfio-pci", "none override=x"
 *            or ADDRESS  driver and driver_override together: what may be bound
 *                        depends on the override, so one can't be undone without the other.
 *                        Leaving a VFIO driver: fence, unbind, reset. Refuses with
 *                        -EBUSY what a process or a host interface uses, a PF that has
 *                        VFs, and VFIO where another member of the IOMMU group blocks it.
 *                        "default" is set, never read: a driver of the host, as the
 *                        kernel chooses it, and no override.
 * vfio-owner    PF/vfN   "UID:GID" of the node of its VFIO group, "absent" where there is none;
 *            or ADDRESS  "UID" sets the owner alone. Refuses with -EBUSY where it is that of a
 *                        user other than root; "UID:GID" is set on the way back.
 * vf-mac        PF/vfN   MAC; zero clears (driver's nearest where zero is refused)
 * vf-vlan       PF/vfN   as vlan_str(): "0", "100", "100 qos 3 proto 802.1ad"
 * vf-trust      PF/vfN   "on" "off" ("unknown" read where the driver reports none)
 * vf-spoofchk   PF/vfN   "on" "off" ("unknown")
 * ovs-port      IFNAME   "absent", "BRIDGE id ID", "BRIDGE tag 100 id ID" or
 *                        "BRIDGE trunks 10,20-30 id ID": a row of Open vSwitch's database,
 *                        there also without the interface; "foreign BRIDGE" is read of
 *                        a port without our ID, which is never changed
 * tap           IFNAME   "queues N": a persistent tap without packet information; N of 2
 *                        and more: multi-queue, which is all that the kernel keeps of N,
 *                        so that it reads "queues 2". "absent" deletes it, unless a process
 *                        has a queue of it (-EBUSY). "foreign KIND" read: another interface
 *                        has that name; it is never touched.
 * macvtap       IFNAME   "on LOWER mode M", M: private, vepa, bridge, passthru; "absent"
 *                        deletes it, unless a process has its node open (-EBUSY);
 *                        "foreign KIND" as above
 * net-mac       IFNAME   MAC
 * net-mtu       IFNAME   "1500"
 * net-up        IFNAME   "up" "down"
 * bridge-port   IFNAME   "none"; "BRIDGE": with its default VLAN; "BRIDGE vlan 100": untagged
 *                        in that alone; "BRIDGE trunk 10,20-30": tagged; both together: the
 *                        untagged and the tagged ones. Then maybe " isolated". Also read:
 *                        "BRIDGE vlan 1 default", the same as "BRIDGE"; "MASTER (KIND)",
 *                        what is no bridge; "BRIDGE vlans ?", others than can be said so.
 * vdpa          DEVNAME  "MGMTDEV mac M mtu N max_vqp N", each but the first may be left out;
 *                        "absent" deletes it. Made without a driver, whatever the bus does
 *                        with new devices. Refuses with -EBUSY where a driver is bound
 *                        (delete), or where the management device has a device (make).
 * vdpa-driver   DEVNAME  "none" "vhost_vdpa" "virtio_vdpa"; bound by driver_override, which
 *                        "none" clears. Refuses with -EBUSY what is in use.
 * vdpa-path     ID       DEVNAME: RUNTIME/vdpa/ID links to that device's node;
 *                        "absent" takes the link away ("foreign" read where it leads to
 *                        no device's node)
 */
const struct knob *knob_find(const char *name);
const struct knob *knob_at(size_t i); /* NULL past the last */
#endif
