/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_PRIV_H
#define VNETD_TESTS_FAKE_PRIV_H
/* What the files of the fake kernel share; tests/fake/kernel.h says what it is. */
#include <jansson.h>
#include <stdbool.h>

#include "daemon/host/host.h"

#define FAKE_PATH_MAX 512
#define FAKE_VFIO "vfio-" /* driver names that begin so are VFIO's */

struct fake {
	int rootfd;  /* borrowed */
	int lockfd;  /* held between fake_begin and fake_end, else -1 */
	json_t *doc; /* fake.json, between the two */
};

/* state.c: the lock, fake.json and the tree below the root */
int fake_begin(struct fake *f);
void fake_save(struct fake *f);
void fake_end(struct fake *f);	    /* writes fake.json back */
void fake_end_look(struct fake *f); /* does not: nothing was changed */
/* Let others run for a moment: the state may be another afterwards. */
int fake_wait(struct fake *f);
void fake_log(struct fake *f, const char *op, const char *object, const char *value, int r,
	      bool injected);

int put_file(struct fake *f, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int put_dir(struct fake *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int put_link(struct fake *f, const char *target, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* File, link or tree; fine when it is not there. */
void take_away(struct fake *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool is_there(struct fake *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "" when it cannot be read */
void get_text(struct fake *f, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
long get_number(struct fake *f, long otherwise, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Last component of a link's target, "" when there is none */
void get_link(struct fake *f, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The whole target */
void get_target(struct fake *f, char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A number in fake.json that counts up: what it was */
int take_number(struct fake *f, const char *field, int first);
/* An object in @parent, made when it is absent */
json_t *member_object(json_t *parent, const char *field);
/* functions[ADDRESS], made when it is absent */
json_t *function_of(struct fake *f, const char *bdf);
const char *function_text(struct fake *f, const char *bdf, const char *field); /* or NULL */

int fake_queue_users(struct kernel *k, struct queue_user **ret, size_t *ret_n,
		     struct vnet_err *err);
/* kernel.c */
int kernel_says(struct vnet_err *err, int r, const char *what, const char *object);
int vfio_number(struct fake *f, const char *bdf);
int take_fence(struct fake *f, int group, int *ret_fd);

/* faults.c */
enum fault { FAULT_NONE, FAULT_SILENT };
/* The fault for this operation: one of the above, or the errno to fail with. */
int fake_fault(struct fake *f, const char *op, bool is_write);

/* open.c: operations as in daemon/host/host.h */
int fake_open_node(struct kernel *k, const char *path, int *ret_fd);
int fake_node_owner(struct kernel *k, const char *path, struct node_owner *ret);
int fake_node_give(struct kernel *k, const char *path, unsigned uid, unsigned gid);
int fake_tun_queue(struct kernel *k, int fd, const char *name, bool many);
int fake_tun_by_fds(struct kernel *k, int fd, const char *name);
/* Those that live by descriptors, of which the last was closed. */
void drop_closed_taps(struct fake *f);
int fake_iommufd_own(struct kernel *k, int fd);

/* sriov.c, driver.c: reactions; 0 or -errno as the kernel's */
int react_numvfs(struct fake *f, const char *pf, const char *value);
int react_bind(struct fake *f, const char *driver, const char *bdf);
int react_unbind(struct fake *f, const char *driver, const char *bdf);
int react_probe(struct fake *f, const char *bdf);
/* Take the driver off, as when the device goes; waits for holders. */
int unbind_driver(struct fake *f, const char *bdf);
/* -1: none */
int group_of(struct fake *f, const char *bdf);
/* Does somebody have the function open? @group: or another one of its group */
bool vfio_held(struct fake *f, const char *bdf, bool group);

/* netdev.c: take an interface away; its macvtaps go with it, its ports lose their bridge */
void drop_netdev(struct fake *f, struct host_scan *s, int ifindex);
/* and the operations of kernel_ops of that name */
int fake_netdev_get(struct kernel *k, const char *name, int ifindex, struct netdev *ret,
		    struct vnet_err *err);
int fake_netdev_add(struct kernel *k, const struct netdev *d, struct vnet_err *err);
int fake_netdev_del(struct kernel *k, const struct netdev *d, struct vnet_err *err);
int fake_netdev_set(struct kernel *k, const struct netdev *d, const struct netdev_change *c,
		    struct vnet_err *err);
int fake_netdev_holder(struct kernel *k, const struct netdev *d, struct holder *ret,
		       struct vnet_err *err);
int fake_port_get(struct kernel *k, const struct netdev *d, struct port *ret, struct vnet_err *err);
int fake_port_set(struct kernel *k, const struct netdev *d, enum port_attr which,
		  const struct port *p, struct vnet_err *err);

#define PCI_DEV "sys/bus/pci/devices"
#define PCI_DRV "sys/bus/pci/drivers"
/* vdpa.c: generic netlink, the bus; what hangs from a function that goes */
#define VDPA_BUS "sys/bus/vdpa"
int fake_mgmtdevs(struct kernel *k, struct host_scan *s, struct vnet_err *err);
int fake_vdpa_get(struct kernel *k, const char *name, struct vdpa_config *ret,
		  struct vnet_err *err);
int fake_vdpa_new(struct kernel *k, const char *name, const struct vdpa_config *c,
		  struct vnet_err *err);
int fake_vdpa_del(struct kernel *k, const char *name, struct vnet_err *err);
/* @path: below the bus */
int react_vdpa(struct fake *f, const char *path, const char *value);
void drop_vdpas(struct fake *f, const char *bdf);
/* "../../../.." from the device's own directory up to sys/ */
const char *up_to_sys(struct fake *f, const char *bdf, char buf[static FAKE_PATH_MAX]);
/* "devices/pci0000:00/…/BDF", below sys/ */
const char *below_sys(struct fake *f, const char *bdf, char buf[static FAKE_PATH_MAX]);
#endif
