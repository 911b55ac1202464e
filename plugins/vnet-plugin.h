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
 * ABI 0 is unstable: plugin and daemon must be of the same ABI and size.
 * Later fields are only ever added at the end of a struct.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VNET_PLUGIN_ABI 0

/* What a mode is offered as a candidate. */
enum vnet_plugin_candidate {
	VNET_CANDIDATE_VF = 1,	  /* a virtual function, present or still to be made */
	VNET_CANDIDATE_UPLINK = 2 /* the pool's PF itself */
};

/* Another member of the candidate's IOMMU group. */
struct vnet_plugin_member {
	const char *address; /* "0000:00:02.0" */
	const char *driver;  /* "" none */
	const char *what;    /* "bridge", "pf", "vf", "nic", "other" */
	int blocks;	     /* 1: its driver does DMA by the host, VFIO will refuse the group */
};

/* A candidate, as vnetd knows it. Strings live as long as the call. */
struct vnet_plugin_nic {
	size_t struct_size;
	const char *pool;
	const char *pf;		/* PCI address of the PF or NIC */
	const char *pf_link;	/* its interface, "" none */
	const char *pf_driver;	/* "" none */
	int pf_up;		/* IFF_UP */
	int pf_carrier;		/* link detected */
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
	int has_vfio_pci;      /* the driver is loaded */
	int intr_remap;	       /* 1 yes, 0 no, -1 unknown */
	int unsafe_interrupts; /* the administrator allowed doing without */
	int numa_node;	       /* -1 unknown */
	int guest_numa_node;   /* -1 the guest is bound to none */
};

/* What is asked. */
struct vnet_plugin_request {
	size_t struct_size;
	const char *guest;
	const char *name; /* of the NIC: "net0" */
	const char *mac;  /* always set: asked or generated */
	const char *vlan; /* "0" none, "100", "100 qos 3", "100 qos 3 proto 802.1ad" */
};

enum vnet_plugin_delivery_kind {
	VNET_DELIVERY_NONE,
	VNET_DELIVERY_HOSTDEV, /* value: PCI address */
	VNET_DELIVERY_CHARDEV, /* value: path */
	VNET_DELIVERY_LINK,    /* value: interface name */
	VNET_DELIVERY_SOCKET   /* value: path */
};

struct vnet_plugin_verdict; /* opaque to plugins */
struct vnet_plugin_plan;    /* opaque to plugins */
struct vnet_plugin_delivery;

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
	/* Say how the claim goes to QEMU. */
	int (*deliver)(struct vnet_plugin_delivery *d, enum vnet_plugin_delivery_kind kind,
		       const char *value);
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
