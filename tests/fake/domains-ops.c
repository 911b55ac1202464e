/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fake libvirt does when it is asked to change a guest: as daemon/libvirt-calls.c
 * does it with the real one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "daemon/fault.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "tests/fake/domains-ops.h"
#include "tests/fake/guest-file.h"
#include "tests/fake/kernel.h"

#define REFUSED \
	"internal error: unable to execute QEMU command 'device_add': vfio: failed to open the group"

void fake_how(const struct guest *g, const char *how, char ret[static OPTIONS_MAX])
{
	char queues[8] = "1", vhost[8] = "off";

	options_get(how, "queues", queues, sizeof(queues));
	options_get(how, "vhost", vhost, sizeof(vhost));
	snprintf(ret, OPTIONS_MAX, "queues=%s vhost=%s", queues, g->kvm ? vhost : "off");
}

static int hold(const struct fake_place *f, const struct guest *g, const struct guest_nic *nic,
		struct vnet_err *err)
{
	char how[OPTIONS_MAX];
	int r;

	if (faccessat(f->dirfd, "fake.json", F_OK, 0) < 0)
		return 0; /* guests without a kernel */
	fake_how(g, nic->how, how);
	r = fake_kernel_hold_device(f->arg, nic->kind, nic->device, how, QEMU_PID, g->name, err);
	if (r < 0)
		vnet_err_wrap(err, "libvirt: attach %s to guest %s", nic->name, g->name);
	return r < 0 ? -EIO : 0;
}

/* ---- the operations ---- */

/* Where of @where the guest has not the device yet, as libvirt-calls.c does it. */
static enum domains_where missing(const struct guest *g, const char *name, enum domains_where where)
{
	for (int in = IN_LIVE; in <= IN_CONFIG; in++) {
		if ((where & in) && guest_device(g, name, (enum domains_where)in))
			where &= ~in;
	}
	return where;
}

static int plug(const struct fake_place *f, const char *file, const struct guest *g,
		enum domains_where where, const struct guest_nic *nic, struct vnet_err *err)
{
	char path[NAME_MAX * 2], text[512] = "";
	int r = fault_point("libvirt:attach:before");

	if (r < 0)
		return vnet_err_errno(err, r, "fault point");
	snprintf(path, sizeof(path), "%s.refuse", file);
	if (file_read_at(f->guests, path, text, sizeof(text)) >= 0)
		return vnet_err_set(err, -EIO, VNET_E_FAILED, "libvirt: attach %s to guest %s: %s",
				    nic->name, g->name, text[0] ? text : REFUSED);
	if (where & IN_LIVE) {
		r = hold(f, g, nic, err);
		if (r == 0)
			r = guest_file_add(f->guests, file, IN_LIVE, nic, err);
	}
	if (r == 0 && (where & IN_CONFIG))
		r = guest_file_add(f->guests, file, IN_CONFIG, nic, err);
	if (r == 0 && fault_point("libvirt:attach:after") < 0)
		r = vnet_err_set(err, -ETIMEDOUT, VNET_E_UNAVAILABLE, "fault point");
	return r;
}

static int set_entries(const struct fake_place *f, const char *file, enum domains_where where,
		       const struct guest_nic *nic, bool with, struct vnet_err *err)
{
	int r = 0;

	if (where & IN_LIVE)
		r = guest_file_set_entry(f->guests, file, IN_LIVE, nic, with, err);
	if (r == 0 && (where & IN_CONFIG))
		r = guest_file_set_entry(f->guests, file, IN_CONFIG, nic, with, err);
	return r;
}

int fake_attach(const struct fake_place *f, const char *file, enum domains_where where,
		const struct guest_nic *nic, struct vnet_err *err)
{
	enum domains_where todo = 0;
	struct guest g = { 0 };
	struct vnet_err ignored;
	int r = guest_file_load(f->guests, file, &g, err);

	if (r == 0 && !g.active && (where & IN_LIVE))
		r = vnet_err_set(err, -ESRCH, VNET_E_FAILED, "guest %s does not run", g.name);
	if (r == 0 && !(todo = missing(&g, nic->name, where)))
		r = vnet_err_set(err, -EEXIST, VNET_E_EXISTS, "guest %s has %s already", g.name,
				 nic->name);
	if (r == 0)
		r = set_entries(f, file, where, nic, true, err);
	if (r == 0) {
		r = plug(f, file, &g, todo, nic, err);
		if (r < 0 && r != -ETIMEDOUT)
			set_entries(f, file, todo, nic, false, &ignored);
	}
	guest_done(&g);
	return r;
}

/* QEMU is asked; whether and when it lets go is on_tick()'s. */
static int ask_to_unplug(const struct fake_place *f, const char *file, const char *nic_name,
			 struct vnet_err *err)
{
	char path[NAME_MAX * 2];
	int fd;

	snprintf(path, sizeof(path), "%s.unplug." VNETD_ALIAS_PREFIX "%s", file, nic_name);
	fd = openat(f->guests, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return vnet_err_errno(err, -errno, "write %s", path);
	close_fd(fd);
	return 0;
}

int fake_detach(const struct fake_place *f, const char *file, enum domains_where where,
		const struct guest_nic *nic, struct vnet_err *err)
{
	char alias[sizeof(VNETD_ALIAS_PREFIX) + NIC_NAME_MAX];
	struct guest g = { 0 };
	int r = guest_file_load(f->guests, file, &g, err);
	enum domains_where has = where & ~missing(&g, nic->name, where);

	snprintf(alias, sizeof(alias), VNETD_ALIAS_PREFIX "%s", nic->name);
	if (r == 0 && !has)
		r = vnet_err_set(err, -ENOENT, VNET_E_NOT_FOUND,
				 "guest %s has no " VNETD_ALIAS_PREFIX "%s", g.name, nic->name);
	if (r == 0 && (r = fault_point("libvirt:detach:before")) < 0)
		vnet_err_errno(err, r, "fault point");
	if (r == 0 && (has & IN_LIVE))
		r = ask_to_unplug(f, file, nic->name, err);
	if (r == 0 && (has & IN_CONFIG)) {
		guest_file_remove(f->guests, file, IN_CONFIG, alias);
		r = guest_file_set_entry(f->guests, file, IN_CONFIG, nic, false, err);
	}
	guest_done(&g);
	return r;
}

int fake_forget(const struct fake_place *f, const char *file, const struct guest_nic *nic,
		struct vnet_err *err)
{
	struct guest g = { 0 };
	int r = guest_file_load(f->guests, file, &g, err);

	if (r == 0)
		r = set_entries(f, file,
				missing(&g, nic->name,
					(g.active ? IN_LIVE : 0) | (g.persistent ? IN_CONFIG : 0)),
				nic, false, err);
	guest_done(&g);
	return r;
}
