/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The driver knob: what a function is bound to, and its driver_override. A VF is named
 * by its PF and index, or by its own address; a PF or plain NIC by its address.
 *
 * Invariants: nothing is written before everything that can refuse was asked; a
 * driver is taken off only after in-use.c says that nobody uses it, and a VFIO
 * driver only behind the fence; what fails half way is put back as it was as far as
 * the kernel lets us, so that a set either happened or did not.
 *
 * With sriov_drivers_autoprobe=0 a VF can be bound only to the driver that its
 * override names. So a bind always sets the override to its driver first, and the
 * override that was asked for afterwards.
 *
 * What is named by its address may be a PF: it stays where it is while it has VFs,
 * because its driver takes them away when it goes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "daemon/host/driver.h"
#include "daemon/host/in-use.h"
#include "lib/cleanup.h"

#define NONE "none"
#define DEFAULT "default"
#define RESET_TRIES 20
#define RESET_STEP_MS 50

struct binding {
	char driver[DRIVER_NAME_MAX];	/* "" none */
	char override[DRIVER_NAME_MAX]; /* "" none */
	bool probe;			/* the driver that the kernel chooses */
};

struct target {
	struct pci_addr addr;
	char bdf[PCI_ADDR_STR];
	bool by_address;
	struct binding now;
};

static int binding_parse(const char *s, struct binding *ret)
{
	static const char key[] = " override=";
	const char *p = strstr(s, key);
	size_t len = p ? (size_t)(p - s) : strlen(s);
	struct binding b = { 0 };

	if (!len || len >= sizeof(b.driver))
		return -EINVAL;
	memcpy(b.driver, s, len);
	if (!is_component(b.driver))
		return -EINVAL;
	if (!strcmp(b.driver, NONE))
		b.driver[0] = '\0';
	if (p) {
		p += strlen(key);
		if (!is_component(p))
			return -EINVAL;
		strcpy(b.override, p);
	}
	*ret = b;
	return 0;
}

static const char *driver_name(const char *driver)
{
	return *driver ? driver : NONE;
}

static void binding_format(const struct binding *b, char ret[static KNOB_VALUE_MAX])
{
	snprintf(ret, KNOB_VALUE_MAX, "%s%s%s", driver_name(b->driver),
		 *b->override ? " override=" : "", b->override);
}

static bool binding_eq(const struct binding *a, const struct binding *b)
{
	return !strcmp(a->driver, b->driver) && !strcmp(a->override, b->override);
}

bool driver_matches(const char *wanted, const char *actual)
{
	struct binding w, a;

	if (binding_parse(actual, &a) < 0)
		return false;
	if (!strcmp(wanted, DEFAULT))
		return strcmp(actual, KNOB_ABSENT) != 0 && *a.driver && !*a.override &&
		       !driver_is_for_programs(a.driver);
	return binding_parse(wanted, &w) == 0 && binding_eq(&w, &a);
}

static int read_binding(struct kernel *k, const char *bdf, struct binding *ret,
			struct vnet_err *err)
{
	struct binding b = { 0 };
	char text[64];
	ssize_t n;

	n = kernel_readlink_base(k, b.driver, sizeof(b.driver), PCI_DEVICES "/%s/driver", bdf);
	if (n < 0 && n != -ENOENT)
		return vnet_err_errno(err, (int)n, "read driver of %s", bdf);
	if (n < 0)
		b.driver[0] = '\0';
	n = kernel_read(k, text, sizeof(text), PCI_DEVICES "/%s/driver_override", bdf);
	if (n < 0 && n != -ENOENT)
		return vnet_err_errno(err, (int)n, "read driver_override of %s", bdf);
	if (n >= 0) {
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, "(null)") != 0)
			snprintf(b.override, sizeof(b.override), "%.31s", text);
	}
	*ret = b;
	return 0;
}

/* -ENOENT without err: there is no such VF. */
static int find_vf(struct kernel *k, const char *object, struct pci_addr *ret, struct vnet_err *err)
{
	char pf_bdf[PCI_ADDR_STR];
	struct pci_addr pf;
	unsigned index;
	int r;

	r = parse_vf_object(object, &pf, &index, err);
	if (r < 0)
		return r;
	r = kernel_readlink_pci(k, ret, PCI_DEVICES "/%s/virtfn%u", pci_addr_str(&pf, pf_bdf),
				index);
	if (r < 0 && r != -ENOENT)
		return vnet_err_errno(err, r, "find VF %u of PF %s", index, pf_bdf);
	return r;
}

/* -ENOENT without err: there is no such function. */
static int find_target(struct kernel *k, const char *object, struct target *ret,
		       struct vnet_err *err)
{
	int r;

	ret->by_address = pci_addr_parse(object, &ret->addr) == 0;
	r = ret->by_address ? 0 : find_vf(k, object, &ret->addr, err);
	if (r < 0)
		return r;
	pci_addr_str(&ret->addr, ret->bdf);
	if (ret->by_address && !kernel_exists(k, PCI_DEVICES "/%s", ret->bdf))
		return -ENOENT;
	return read_binding(k, ret->bdf, &ret->now, err);
}

int driver_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err)
{
	struct target t = { 0 };
	int r = find_target(k, object, &t, err);

	if (r == -ENOENT) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	if (r < 0)
		return r;
	binding_format(&t.now, ret);
	return 0;
}

static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

/* Without an IOMMU VFIO serves only where the administrator said so, and no guest. */
static bool may_go_without_iommu(struct kernel *k, const struct target *t)
{
	char text[8];

	return t->by_address &&
	       kernel_read(k, text, sizeof(text),
			   "sys/module/vfio/parameters/enable_unsafe_noiommu_mode") > 0 &&
	       (text[0] == 'Y' || text[0] == '1');
}

/* A driver that goes takes the VFs of its PF with it, whoever has them. */
static int check_no_vfs(struct kernel *k, const struct target *t, struct vnet_err *err)
{
	int n = count_vfs(k, &t->addr);

	if (n <= 0)
		return 0;
	return vnet_err_set(err, -EBUSY, VNET_E_IN_USE,
			    "it has %d VF%s: they would go with its driver; take them away first "
			    "(echo 0 > " PCI_DEVICES_PATH "/%s/sriov_numvfs) if nobody uses them",
			    n, n == 1 ? "" : "s", t->bdf);
}

/* What can be known to fail before anything is written. */
static int check_possible(struct kernel *k, const struct target *t, const struct binding *want,
			  struct vnet_err *err)
{
	int r = 0;

	if (want->probe || strcmp(want->driver, t->now.driver) != 0)
		r = check_no_vfs(k, t, err);
	if (r < 0 || !*want->driver)
		return r;
	if (!kernel_exists(k, PCI_DRIVERS "/%s", want->driver))
		return vnet_err_set(err, -ENOENT, VNET_E_FAILED,
				    "driver %s is not loaded: modprobe %s", want->driver,
				    want->driver);
	if (is_vfio(want->driver) && !kernel_exists(k, PCI_DEVICES "/%s/iommu_group", t->bdf) &&
	    !may_go_without_iommu(k, t))
		return vnet_err_set(
			err, -EINVAL, VNET_E_FAILED,
			"it has no IOMMU group: enable the IOMMU in firmware and kernel "
			"(intel_iommu=on)");
	return t->by_address && is_vfio(want->driver) ? check_group_free(k, t->bdf, err) : 0;
}

static int write_override(struct kernel *k, const char *bdf, const char *override,
			  struct vnet_err *err)
{
	/* A newline clears it; a write of nothing does not reach the kernel. */
	int r = kernel_write(k, *override ? override : "\n", PCI_DEVICES "/%s/driver_override",
			     bdf);

	if (r == -ENOENT && !*override)
		return 0;
	return r < 0 ? vnet_err_errno(err, r, "set driver_override to '%s'", override) : 0;
}

static int unbind(struct kernel *k, const struct target *t, struct vnet_err *err)
{
	int r = kernel_write(k, t->bdf, PCI_DRIVERS "/%s/unbind", t->now.driver);

	if (r == 0 && kernel_exists(k, PCI_DEVICES "/%s/driver", t->bdf))
		return vnet_err_set(err, -EIO, VNET_E_FAILED,
				    "unbind from %s: the kernel said yes, but it is still bound",
				    t->now.driver);
	/* Not bound any more: somebody was faster. */
	if (r == -ENODEV && !kernel_exists(k, PCI_DEVICES "/%s/driver", t->bdf))
		return 0;
	return r < 0 ? vnet_err_errno(err, r, "unbind from %s", t->now.driver) : 0;
}

/* The kernel's own reset when a VFIO user closes is best effort: do it for sure, so
 * that no DMA and no data of the guest is left. */
static int reset(struct kernel *k, const struct target *t, struct vnet_err *err)
{
	const struct timespec step = { .tv_nsec = RESET_STEP_MS * 1000000L };
	int r = 0;

	if (!kernel_exists(k, PCI_DEVICES "/%s/reset", t->bdf))
		return 0;
	for (int i = 0; i < RESET_TRIES; i++) {
		r = kernel_write(k, "1", PCI_DEVICES "/%s/reset", t->bdf);
		if (r != -EAGAIN && r != -EBUSY)
			break;
		nanosleep(&step, NULL);
	}
	if (r == 0 || r == -ENOTTY || r == -EOPNOTSUPP)
		return 0;
	return vnet_err_errno(err, r, "reset after %s", t->now.driver);
}

static int leave_driver(struct kernel *k, const struct target *t, struct vnet_err *err)
{
	bool vfio = is_vfio(t->now.driver) || function_vfio_dev(k, &t->addr) >= 0;
	_cleanup_close_ int fence = -1;
	int r;

	if (vfio)
		r = check_vfio_free(k, &t->addr, &fence, err);
	else
		r = check_native_free(k, &t->addr, err);
	if (r == 0)
		r = unbind(k, t, err);
	if (r < 0 || !(vfio || driver_is_for_programs(t->now.driver)))
		return r;
	return reset(k, t, err);
}

static int bind_failed(int r, const char *driver, struct vnet_err *err)
{
	const char *hint = "";

	if (r == -EINVAL && is_vfio(driver))
		hint = " (no usable IOMMU for it, or on the driver's deny list)";
	else if (r == -ENODEV)
		hint = " (the driver does not take this device)";
	return vnet_err_errno(err, r, "bind to %s%s", driver, hint);
}

/* Override and bind of an unbound function, whose override is @override. */
static int bind_to(struct kernel *k, const char *bdf, const char *override,
		   const struct binding *want, struct vnet_err *err)
{
	int r = 0;

	if (*want->driver) {
		if (strcmp(override, want->driver) != 0)
			r = write_override(k, bdf, want->driver, err);
		override = want->driver;
		if (r == 0) {
			r = kernel_write(k, bdf, PCI_DRIVERS "/%s/bind", want->driver);
			if (r < 0)
				bind_failed(r, want->driver, err);
		}
	}
	if (r == 0 && strcmp(override, want->override) != 0)
		r = write_override(k, bdf, want->override, err);
	return r;
}

/* Best effort: the error that brought us here is the one to report. */
static void put_back(struct kernel *k, const struct target *t)
{
	struct target half = *t;

	if (read_binding(k, t->bdf, &half.now, NULL) < 0 || binding_eq(&half.now, &t->now))
		return;
	if (*half.now.driver && strcmp(half.now.driver, t->now.driver) != 0) {
		if (leave_driver(k, &half, NULL) < 0)
			return;
		half.now.driver[0] = '\0';
	}
	if (!*half.now.driver)
		bind_to(k, t->bdf, half.now.override, &t->now, NULL);
	else
		write_override(k, t->bdf, t->now.override, NULL);
}

/* What the kernel would have bound by itself. It says yes also where it binds nothing. */
static int bind_probed(struct kernel *k, const struct target *t, struct vnet_err *err)
{
	int r = *t->now.driver ? leave_driver(k, t, err) : 0;

	if (r == 0 && *t->now.override)
		r = write_override(k, t->bdf, "", err);
	if (r < 0)
		return r;
	r = kernel_write(k, t->bdf, PCI_PROBE);
	if (r < 0)
		return vnet_err_errno(err, r, "have the kernel choose its driver");
	if (!kernel_exists(k, PCI_DEVICES "/%s/driver", t->bdf))
		return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				    "none of the loaded drivers takes it: load its own (modprobe), "
				    "or name one");
	return 0;
}

static int change(struct kernel *k, const struct target *t, const struct binding *want,
		  struct vnet_err *err)
{
	struct binding got = { 0 };
	char text[KNOB_VALUE_MAX];
	int r;

	if (want->probe) {
		r = bind_probed(k, t, err);
	} else if (!strcmp(t->now.driver, want->driver)) {
		r = write_override(k, t->bdf, want->override, err);
	} else {
		r = *t->now.driver ? leave_driver(k, t, err) : 0;
		if (r == 0)
			r = bind_to(k, t->bdf, t->now.override, want, err);
	}
	if (r == 0)
		r = read_binding(k, t->bdf, &got, err);
	if (r < 0 || want->probe || binding_eq(&got, want))
		return r;
	binding_format(&got, text);
	return vnet_err_set(err, -EIO, VNET_E_FAILED,
			    "the kernel said yes, but it reads back as '%s'", text);
}

/* "default": what it is bound to now where that is the host's, else the kernel's choice.
 * The kernel makes none for a VF whose PF has autoprobe 0: then it is its siblings'. */
static int resolve_default(struct kernel *k, const struct target *t, struct binding *ret,
			   struct vnet_err *err)
{
	if (*t->now.driver && !driver_is_for_programs(t->now.driver)) {
		strcpy(ret->driver, t->now.driver);
		return 0;
	}
	if (kernel_read_number(k, 1, PCI_DEVICES "/%s/physfn/sriov_drivers_autoprobe", t->bdf) ==
		    0 &&
	    !driver_of_siblings(k, t->bdf, ret->driver))
		return vnet_err_set(err, -ENODEV, VNET_E_FAILED,
				    "its PF has sriov_drivers_autoprobe=0, so the kernel chooses "
				    "none, and no other VF of it has one: name it");
	ret->probe = !*ret->driver;
	return 0;
}

static int driver_want(struct kernel *k, const struct target *t, const char *value,
		       struct binding *ret, struct vnet_err *err)
{
	if (!strcmp(value, DEFAULT))
		return resolve_default(k, t, ret, err);
	return binding_parse(value, ret);
}

/* Some time after the bind the interface has the name that udev gives it. */
static void wait_for_interface(struct kernel *k, const struct target *t, const struct binding *want)
{
	bool native = want->probe || (*want->driver && !driver_is_for_programs(want->driver));

	if (t->by_address && native && strcmp(t->now.driver, want->driver) != 0)
		driver_await_interface(k, &t->addr);
}

int driver_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct binding want = { 0 };
	struct target t = { 0 };
	int r;

	if (strcmp(value, DEFAULT) != 0 && binding_parse(value, &want) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "driver '%s': expected a driver's name or none, and maybe "
				    "override=NAME",
				    value);
	r = find_target(k, object, &t, err);
	if (r == -ENOENT)
		return vnet_err_set(err, r, VNET_E_NOT_FOUND, "driver %s: there is no such %s",
				    object, t.by_address ? "function" : "VF");
	if (r < 0)
		return r;
	r = driver_want(k, &t, value, &want, err);
	if (r == 0 && !want.probe && binding_eq(&t.now, &want))
		return 0;
	if (r == 0)
		r = check_possible(k, &t, &want, err);
	if (r == 0) {
		r = change(k, &t, &want, err);
		if (r < 0)
			put_back(k, &t);
		else
			wait_for_interface(k, &t, &want);
	}
	if (r < 0)
		vnet_err_wrap(err, "driver %s: %s -> %s", t.bdf, driver_name(t.now.driver),
			      !strcmp(value, DEFAULT) ? value : driver_name(want.driver));
	return r;
}

int vf_check_free(struct kernel *k, const char *object, struct vnet_err *err)
{
	_cleanup_close_ int fence = -1;
	struct pci_addr addr;
	struct target t;
	unsigned index;
	int r;

	/* What is neither function nor VF has nobody that could have it open so. */
	if (pci_addr_parse(object, &addr) < 0 && vf_object_parse(object, &addr, &index) < 0)
		return 0;
	r = find_target(k, object, &t, err);
	if (r == -ENOENT)
		return 0;
	if (r < 0 || (!is_vfio(t.now.driver) && function_vfio_dev(k, &t.addr) < 0))
		return r;
	r = check_vfio_free(k, &t.addr, &fence, err);
	return r < 0 ? vnet_err_wrap(err, "%s", t.bdf) : 0;
}
