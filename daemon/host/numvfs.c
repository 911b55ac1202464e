/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Knobs of a PF. The VF count is only ever written from none to some: writing 0, or
 * another number over VFs, takes them away from under whoever uses them and hangs
 * for ever while a VFIO user does not close.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/host/backend.h"
#include "lib/cleanup.h"

#define RETRY_MS 3000 /* i40e: a VF operation in flight; ice: not yet up */
#define RETRY_STEP_MS 100

static int parse_number(const char *s, long max, long *ret)
{
	char *end;
	long n;

	if (!*s || strspn(s, "0123456789") != strlen(s))
		return -EINVAL;
	errno = 0;
	n = strtol(s, &end, 10);
	if (errno || *end || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

bool number_matches(const char *wanted, const char *actual)
{
	long w, a;

	return parse_number(wanted, UINT16_MAX, &w) == 0 &&
	       parse_number(actual, UINT16_MAX, &a) == 0 && w == a;
}

/* ---- sriov_drivers_autoprobe ---- */

int autoprobe_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		  struct vnet_err *err)
{
	struct pci_addr pf;
	char bdf[PCI_ADDR_STR], text[16];
	ssize_t n;
	int r = parse_pf_object(object, &pf, err);

	if (r < 0)
		return r;
	n = kernel_read(k, text, sizeof(text), PCI_DEVICES "/%s/sriov_drivers_autoprobe",
			pci_addr_str(&pf, bdf));
	if (n == -ENOENT)
		strcpy(text, KNOB_ABSENT);
	else if (n < 0)
		return vnet_err_errno(err, (int)n, "read sriov_drivers_autoprobe of %s", bdf);
	strcpy(ret, text);
	return 0;
}

int autoprobe_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct pci_addr pf;
	char bdf[PCI_ADDR_STR];
	int r = parse_pf_object(object, &pf, err);

	if (r < 0)
		return r;
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "autoprobe '%.32s': expected 0 or 1", value);
	r = kernel_write(k, value, PCI_DEVICES "/%s/sriov_drivers_autoprobe",
			 pci_addr_str(&pf, bdf));
	return r < 0 ? vnet_err_errno(err, r, "set sriov_drivers_autoprobe of %s to %s", bdf, value)
		     : 0;
}

/* ---- sriov_numvfs ---- */

int numvfs_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
	       struct vnet_err *err)
{
	struct pci_addr pf;
	char bdf[PCI_ADDR_STR];
	int n, r = parse_pf_object(object, &pf, err);

	if (r < 0)
		return r;
	if (!kernel_exists(k, PCI_DEVICES "/%s/sriov_totalvfs", pci_addr_str(&pf, bdf))) {
		strcpy(ret, KNOB_ABSENT);
		return 0;
	}
	n = count_vfs(k, &pf);
	if (n < 0)
		return vnet_err_errno(err, n, "count VFs of %s", bdf);
	snprintf(ret, KNOB_VALUE_MAX, "%d", n);
	return 0;
}

static int numvfs_failed(struct kernel *k, int r, const char *bdf, long want, struct vnet_err *err)
{
	char driver[DRIVER_NAME_MAX], hint[160] = "";

	if (r == -ENOENT) {
		if (kernel_readlink_base(k, driver, sizeof(driver), PCI_DEVICES "/%s/driver", bdf) <
		    0)
			snprintf(hint, sizeof(hint), " (it has no driver: load the PF's)");
		else
			snprintf(hint, sizeof(hint), " (its driver %s makes no VFs)", driver);
	} else if (r == -ERANGE) {
		snprintf(hint, sizeof(hint), " (it can have at most %lld)",
			 kernel_read_number(k, 0, PCI_DEVICES "/%s/sriov_totalvfs", bdf));
	} else if (r == -ENOMEM || r == -EIO) {
		snprintf(hint, sizeof(hint),
			 " (no room for them on the bus: enable SR-IOV in the "
			 "firmware, or boot with pci=realloc,assign-busses)");
	}
	return vnet_err_errno(err, r, "create %ld VFs on %s%s", want, bdf, hint);
}

static int write_numvfs(struct kernel *k, const struct pci_addr *pf, const char *bdf, long want)
{
	const struct timespec step = { .tv_nsec = RETRY_STEP_MS * 1000000L };
	char value[16];
	int r = 0;

	snprintf(value, sizeof(value), "%ld", want);
	for (int waited = 0; waited <= RETRY_MS; waited += RETRY_STEP_MS) {
		r = kernel_write(k, value, PCI_DEVICES "/%s/sriov_numvfs", bdf);
		/* -EBUSY with VFs: somebody else has made some meanwhile. */
		if (r != -EAGAIN && (r != -EBUSY || count_vfs(k, pf) != 0))
			break;
		nanosleep(&step, NULL);
	}
	return r;
}

int numvfs_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct pci_addr pf;
	char bdf[PCI_ADDR_STR];
	int now, r = parse_pf_object(object, &pf, err);
	long want;

	if (r < 0)
		return r;
	if (parse_number(value, UINT16_MAX, &want) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "numvfs '%.32s': expected a number", value);
	now = count_vfs(k, &pf);
	if (now < 0)
		return vnet_err_errno(err, now, "count VFs of %s", pci_addr_str(&pf, bdf));
	if (now == want)
		return 0;
	pci_addr_str(&pf, bdf);
	if (now > 0)
		return vnet_err_set(
			err, -EBUSY, VNET_E_IN_USE,
			"%s has %d VFs: vnetd does not change that to %ld, it would take "
			"them away from whoever uses them",
			bdf, now, want);
	r = write_numvfs(k, &pf, bdf, want);
	now = count_vfs(k, &pf);
	if (r < 0 && now != want)
		return numvfs_failed(k, r, bdf, want, err);
	/* Some drivers say yes and do nothing, such as bnxt_en while the PF is down. */
	if (now != want)
		return vnet_err_set(
			err, -EIO, VNET_E_FAILED,
			"create %ld VFs on %s: its driver said yes, but there are %d: see "
			"the kernel log, and bring the PF's interface up",
			want, bdf, now < 0 ? 0 : now);
	return 0;
}

/* ---- IFF_UP of the PF's interface ---- */

static int find_link(struct kernel *k, const char *object, struct link *ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	const struct link *l;
	char name[IF_NAMESIZE];
	struct pci_addr pf;
	int ifindex, r;

	r = parse_pf_object(object, &pf, err);
	if (r == 0)
		r = pf_interface(k, &pf, name, &ifindex, err);
	if (r == 0)
		r = k->ops->links(k, &s, err);
	if (r == 0) {
		l = host_scan_link(&s, ifindex);
		if (l)
			*ret = *l;
		else
			r = vnet_err_errno(err, -ENODEV, "find interface %s of %s", name, object);
	}
	host_scan_done(&s);
	return r;
}

int link_up_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		struct vnet_err *err)
{
	struct link l = { 0 };
	int r = find_link(k, object, &l, err);

	if (r < 0)
		return r;
	strcpy(ret, l.up ? "up" : "down");
	return 0;
}

int link_up_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	struct link l = { 0 };
	bool up = !strcmp(value, "up");
	int r;

	if (!up && strcmp(value, "down") != 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "link-up '%.32s': expected up or down", value);
	r = find_link(k, object, &l, err);
	if (r < 0)
		return r;
	r = k->ops->link_up(k, l.ifindex, up, err);
	if (r < 0)
		vnet_err_wrap(err, "interface %s of %s", l.name, object);
	return r;
}
