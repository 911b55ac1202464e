/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_PLUGIN_H
#define VNET_PLUGIN_H
/*
 * vnet-plugin.h: the ABI between vnetd and a mode, one way to give a guest a NIC.
 *
 * A plugin is a shared object vnet-NAME.so with one exported symbol, vnet_plugin,
 * made by VNET_PLUGIN(). It describes and plans; vnetd acts. Every callback runs
 * on the daemon's main thread, must not block, and touches no file, socket or
 * device: what it may know comes in its arguments. It has no undo code: vnetd
 * journals each knob before it turns it, and walks back by itself.
 *
 * Order of calls for one attachment:
 *
 *	load (once) -> probe (each candidate) -> plan (the chosen one)
 *	            -> [vnetd turns the knobs] -> deliver -> [vnetd hands over]
 *
 * ABI 1 only grows: later fields come at the end of a struct, later values at the end
 * of an enum, and nothing else changes. A plugin built against an older header of it is
 * loaded by every later vnetd. One built against a newer header looks at struct_size
 * before it reads a field that older daemons have not, and every plugin takes a kind of
 * candidate or uplink that it does not know for a no. struct vnet_plugin_member and
 * struct vnet_plugin_option stay as they are, for they come in arrays.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VNET_PLUGIN_ABI 1

/* What a mode is offered as a candidate; one call of probe for each. */
enum vnet_plugin_candidate {
	VNET_CANDIDATE_VF = 1,	    /* a virtual function, present or still to be made */
	VNET_CANDIDATE_NIC = 2,	    /* a whole PCI NIC: a PF, or one without SR-IOV */
	VNET_CANDIDATE_LINK = 4,    /* an uplink that interfaces are put on: see uplink_kind */
	VNET_CANDIDATE_MGMTDEV = 8, /* a vDPA management device */
	VNET_CANDIDATE_REQUEST = 16 /* nothing of the host: the request says it all; once */
};

/* What the uplink of a candidate is. */
enum vnet_plugin_uplink {
	VNET_UPLINK_NONE,   /* VNET_CANDIDATE_REQUEST */
	VNET_UPLINK_PF,	    /* a NIC that can make VFs */
	VNET_UPLINK_NIC,    /* a PCI NIC that can't; a VF on its host driver */
	VNET_UPLINK_LINK,   /* another interface of the host: a bond, a VLAN, a veth */
	VNET_UPLINK_BRIDGE, /* a Linux bridge */
	VNET_UPLINK_OVS,    /* an Open vSwitch bridge */
	VNET_UPLINK_MGMTDEV /* a vDPA management device */
};

/* Another member of the candidate's IOMMU group. */
struct vnet_plugin_member {
	const char *address; /* "0000:00:02.0" */
	const char *driver;  /* "" none */
	const char *what;    /* "bridge", "pf", "vf", "nic", "other" */
	int blocks;	     /* 1: its driver does DMA by the host, VFIO will refuse the group */
};

/* A candidate, as vnetd knows it. Strings live as long as the call; none is NULL. */
struct vnet_plugin_nic {
	size_t struct_size;
	const char *pool;
	enum vnet_plugin_candidate candidate; /* the one that this call is about */

	/* ---- the uplink ---- */
	enum vnet_plugin_uplink uplink_kind;
	const char *uplink;   /* "0000:65:00.0", "br0", "pci/0000:05:00.0", "vdpasim_net" */
	const char *link;     /* its interface, "" none */
	int link_up;	      /* IFF_UP */
	int link_carrier;     /* link detected */
	int link_mtu;	      /* bytes; 0 unknown */
	const char *master;   /* the bridge, bond or switch that link is in; "" none */
	int vlan_filtering;   /* of a Linux bridge: 1 yes, 0 no */
	const char *host_use; /* what link is used for already, in words; "" nothing */

	/* ---- a PCI function ---- */
	const char *pf;		/* address of the PF or NIC; "" it is none */
	const char *pf_driver;	/* "" none */
	int total_vfs, num_vfs; /* of the PF; 0 where it has none */
	int wanted_vfs;		/* how many vnetd would make where num_vfs is 0 */
	int vf_index;		/* -1: the candidate is no VF */
	int vf_present;		/* 0: it comes with the pool's VFs */
	const char *vf;		/* its PCI address, "" while not present */
	const char *vf_object;	/* knob object: "0000:65:00.0/vf3" */
	const char *vf_driver;	/* "" none */
	const char *vf_link;	/* its host interface, "" none */
	const char *in_use;	/* "" free; else who holds it, in words: never offer it */
	int iommu_group;	/* of the candidate, or that it will get; -1 none */
	const struct vnet_plugin_member *members; /* the others in that group */
	size_t n_members;

	/* ---- a vDPA management device ---- */
	int mgmtdev_devices;			  /* that it has now */
	int mgmtdev_many;			  /* it may have more than one */
	int mgmtdev_mac, mgmtdev_mtu, mgmtdev_mq; /* it takes these attributes */
	int mgmtdev_max_pairs;			  /* queue pairs, 0 unknown */

	/* ---- the host ---- */
	int has_vfio_pci;			    /* the driver is loaded */
	int intr_remap;				    /* 1 yes, 0 no, -1 unknown */
	int unsafe_interrupts;			    /* the administrator allowed doing without */
	int has_tun, has_vhost_net, has_vhost_vdpa; /* nodes or drivers are there */
	int has_iommufd;			    /* /dev/iommu and VFIO device nodes */
	int numa_node;				    /* of the candidate; -1 unknown */

	/* ---- the guest ---- */
	int guest_numa_node; /* -1 the guest is bound to none */
	int guest_vcpus;     /* 0 unknown */
	int guest_kvm;	     /* 1 yes, 0 no, -1 unknown */
	int guest_shared;    /* its memory can be shared with other processes; -1 unknown */
	int guest_process;   /* 1: a QEMU without libvirt, which gets descriptors */

	/* ---- names that are this attachment's alone, over restarts too ---- */
	const char *claim;	/* for an interface or vDPA device: "vn" and 11 hex digits */
	const char *claim_id;	/* "UUID.NAME", for what takes longer names */
	const char *claim_path; /* for a link to its node: "/run/vnetd/vdpa/UUID.NAME" */

	/* ---- a VF, for a mode that takes VNET_CANDIDATE_MGMTDEV too ---- */
	const char *vf_vdpa_driver; /* by which it becomes a management device; "" it can't */
	const char *vf_mgmtdev;	    /* that this is, or will be: "pci/0000:65:00.3" */

	/* ---- a QEMU without libvirt ---- */
	int64_t guest_uid; /* by whose rights it opens nodes; -1: it is none */
};

/* What is asked. */
struct vnet_plugin_request {
	size_t struct_size;
	const char *guest;
	const char *name; /* of the NIC: "net0" */
	const char *mac;  /* asked or generated; all zero while `vnetctl why` only asks */
	const char *vlan; /* "0" none, "100", "100 qos 3", "100 qos 3 proto 802.1ad" */
	/* "key=value key=value", keys sorted: only such as the mode says that it knows.
	 * host->option() finds one. */
	const char *options;
};

enum vnet_plugin_delivery_kind {
	VNET_DELIVERY_NONE,
	VNET_DELIVERY_HOSTDEV, /* value: address of a VF; libvirt sets its MAC */
	VNET_DELIVERY_CHARDEV, /* value: path of a vhost-vdpa node */
	VNET_DELIVERY_LINK,    /* value: name of a tap or macvtap */
	VNET_DELIVERY_SOCKET,  /* value: path of a vhost-user socket */
	VNET_DELIVERY_PCI      /* value: address of a whole PCI function */
};

/* How a descriptor for a QEMU without libvirt is opened. */
enum vnet_plugin_open {
	VNET_OPEN_TAP = 1, /* name: interface; a queue a descriptor; it then lives by them */
	VNET_OPEN_MACVTAP, /* name: interface; a queue a descriptor */
	VNET_OPEN_VHOST,   /* /dev/vhost-net; name: "" */
	VNET_OPEN_VDPA,	   /* name: vDPA device, whose vhost-vdpa node it is */
	VNET_OPEN_VFIO,	   /* name: PCI address, whose VFIO device node it is */
	VNET_OPEN_IOMMUFD  /* /dev/iommu; name: "" */
};

/* An option that a mode knows. */
struct vnet_plugin_option {
	const char *name;    /* [a-z][a-z0-9-]{0,15} */
	const char *accepts; /* in words: "1 to 256" */
	const char *summary; /* a line for `vnetctl mode list` */
};

struct vnet_plugin_verdict; /* opaque to plugins */
struct vnet_plugin_plan;    /* opaque to plugins */
struct vnet_plugin_delivery;
struct vnet_plugin_fds;

/* What vnetd lends to a plugin. */
struct vnet_plugin_host {
	size_t struct_size;
	/* Give the verdict: score 0 "no", 1..100 "yes, this well". The reason is
	 * required also on yes: `vnetctl why` shows it. Says no: what is wrong, on
	 * which object, and what the administrator can do. */
	void (*verdict)(struct vnet_plugin_verdict *v, int score, const char *fmt, ...)
#ifdef __GNUC__
		__attribute__((format(printf, 3, 4)))
#endif
		;
	/* Append to the plan: @knob of @object shall be @value. 0, or a negative
	 * errno that plan() must return (-ENOENT: no such knob). */
	int (*want)(struct vnet_plugin_plan *p, const char *knob, const char *object,
		    const char *value);
	/* Say how the claim goes to QEMU. @how: "key=value key=value", may be "":
	 *	model=virtio|e1000|e1000e|vmxnet3	the guest's device; LINK, SOCKET
	 *	queues=N	pairs; LINK, CHARDEV, SOCKET
	 *	vhost=on|off	LINK: by the kernel's vhost-net, or by QEMU
	 *	mtu=N		that the guest is told; LINK, SOCKET
	 *	role=client|server	SOCKET: what QEMU is
	 * 0, or a negative errno that deliver() must return. */
	int (*deliver)(struct vnet_plugin_delivery *d, enum vnet_plugin_delivery_kind kind,
		       const char *value, const char *how);
	/* The value of option @name into @buf: its length, or -ENOENT: it is not asked for. */
	int (*option)(const struct vnet_plugin_request *request, const char *name, char *buf,
		      size_t size);
	/* Append a descriptor, or @count of them, that a QEMU without libvirt is given.
	 * @role: what `vnetctl exec` calls it: "tap", "vhost", "vdpa", "vfio", "iommufd". */
	int (*open)(struct vnet_plugin_fds *f, const char *role, enum vnet_plugin_open how,
		    const char *name, int count);
};

struct vnet_plugin {
	size_t struct_size;  /* VNET_PLUGIN() sets this */
	int abi;	     /* and this */
	const char *name;    /* the mode: "vf". [a-z][a-z0-9-]{0,22} */
	const char *summary; /* a line for `vnetctl mode list` */
	unsigned candidates; /* enum vnet_plugin_candidate, or-ed */
	int (*probe)(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret);
	int (*plan)(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		    const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret);
	int (*deliver)(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		       const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret);
	int (*load)(void);    /* optional; non-zero: not loaded */
	void (*unload)(void); /* optional */
	/* optional; the last has the name NULL */
	const struct vnet_plugin_option *options;
	/* optional: which descriptors a QEMU without libvirt is given, after deliver(). A
	 * mode that has none serves only libvirt's guests. */
	int (*fds)(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret);
};

__attribute__((visibility("default"))) extern const struct vnet_plugin vnet_plugin;

#ifdef __cplusplus
}
#endif

/* clang-format off */
#define VNET_PLUGIN(...)                                   \
	const struct vnet_plugin vnet_plugin = {           \
		.struct_size = sizeof(struct vnet_plugin), \
		.abi = VNET_PLUGIN_ABI,                    \
		__VA_ARGS__                                \
	}
/* clang-format on */
#endif
