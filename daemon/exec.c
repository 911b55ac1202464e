/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/exec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/attach.h"
#include "daemon/manager.h"
#include "daemon/server.h"
#include "lib/json.h"
#include "lib/options.h"

#define ARGUMENT_MAX 256

void attach_owner_done(struct attach_owner *o)
{
	o->qmp = qmp_free(o->qmp);
	owner_done(&o->owner);
}

/* ---- how QEMU is told ---- */

/* By the ids that detach --qmp looks for: qmp-detach.c. */

static unsigned count_role(const json_t *roles, const char *role)
{
	const json_t *r;
	unsigned n = 0;
	size_t i;

	json_array_foreach (roles, i, r)
		n += strcmp(json_string_value(r) ?: "", role) == 0;
	return n;
}

static void put(json_t *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(json_t *list, const char *fmt, ...)
{
	char text[ARGUMENT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_string(text));
}

/* What QEMU itself plays, as the mode delivers it. */
static void put_played(json_t *list, const struct vnet_attachment *a, unsigned queues)
{
	int mtu = options_get_number(a->how, "mtu", 1, UINT16_MAX, 0);
	char model[OPTION_VALUE_MAX], more[64] = "", host_mtu[32] = "";

	if (options_get(a->how, "model", model, sizeof(model)) < 0 || strcmp(model, "virtio") == 0)
		strcpy(model, "virtio-net-pci");
	if (queues > 1)
		snprintf(more, sizeof(more), ",mq=on,vectors=%u", 2 * queues + 2);
	if (mtu > 0)
		snprintf(host_mtu, sizeof(host_mtu), ",host_mtu=%d", mtu);
	put(list, "-device");
	put(list, "%s,id=vnetd-%s,netdev=vnetd-%s,mac=@%s.mac%s%s", model, a->name, a->name,
	    a->name, more, host_mtu);
}

bool exec_listens(const struct vnet_attachment *a)
{
	char role[OPTION_VALUE_MAX];

	return options_get(a->how, "role", role, sizeof(role)) > 0 && strcmp(role, "server") == 0;
}

static void put_socket(json_t *list, const struct vnet_attachment *a)
{
	unsigned queues = (unsigned)options_get_number(a->how, "queues", 1, 256, 1);
	char more[32] = "";

	if (queues > 1)
		snprintf(more, sizeof(more), ",queues=%u", queues);
	put(list, "-chardev");
	put(list, "socket,id=vnetd-%s,path=@%s.path%s", a->name, a->name,
	    exec_listens(a) ? ",server=on,wait=off" : "");
	put(list, "-netdev");
	put(list, "vhost-user,id=vnetd-%s,chardev=vnetd-%s%s", a->name, a->name, more);
	put_played(list, a, queues);
}

static json_t *arguments(const struct vnet_attachment *a, const json_t *roles, const char *host)
{
	const char *n = a->name;
	unsigned taps = count_role(roles, "tap");
	json_t *list = json_array();

	if (taps) {
		const char *s = taps > 1 ? "s" : "";

		put(list, "-netdev");
		if (count_role(roles, "vhost"))
			put(list, "tap,id=vnetd-%s,fd%s=@%s.tap,vhostfd%s=@%s.vhost", n, s, n, s,
			    n);
		else
			put(list, "tap,id=vnetd-%s,fd%s=@%s.tap,vhost=off", n, s, n);
		put_played(list, a, taps);
	} else if (count_role(roles, "vdpa")) {
		put(list, "-netdev");
		put(list, "vhost-vdpa,id=vnetd-%s,vhostfd=@%s.vdpa", n, n);
		put_played(list, a, (unsigned)options_get_number(a->how, "queues", 1, 256, 1));
	} else if (count_role(roles, "vfio")) {
		put(list, "-object");
		put(list, "iommufd,id=vnetd-%s-iommufd,fd=@%s.iommufd", n, n);
		put(list, "-device");
		put(list, "vfio-pci,id=vnetd-%s,iommufd=vnetd-%s-iommufd,fd=@%s.vfio", n, n, n);
	} else if (a->kind == DL_SOCKET) {
		put_socket(list, a);
	} else if (host) {
		put(list, "-device");
		put(list, "vfio-pci,id=vnetd-%s,host=@%s.host", n, n);
	}
	return list;
}

void exec_put_arguments(json_t *reply, const struct vnet_attachment *a, const json_t *roles,
			const char *host)
{
	json_t *fds = json_array(), *values = json_object();
	char mac[MAC_STR];
	const json_t *role;
	size_t i;

	json_array_foreach (roles, i, role)
		json_array_append_new(fds, json_pack("{s:s,s:I}", "role", json_string_value(role),
						     "index", (json_int_t)i));
	json_put_str(values, "mac", mac_str(&a->mac, mac));
	json_put_str(values, "host", host);
	json_put_str(values, "path", a->kind == DL_SOCKET ? a->device : NULL);
	json_put(reply, "fds", fds);
	json_put(reply, "values", values);
	json_put(reply, "arguments", arguments(a, roles, host));
}

/* ---- the calls ---- */

/* What libvirt keeps there is nowhere to keep. */
static int check_scope(const struct vnet_request *r, struct vnet_err *err)
{
	if (r->scope == SCOPE_AUTO)
		return 0;
	vnet_err_set(
		err, -EINVAL, VNET_E_INVALID,
		"scope: %s is no guest of libvirt's here: it has no configuration, give no scope",
		r->guest);
	vnet_err_at(err, NULL, "scope");
	return err->code;
}

/* What the caller says of the QEMU that it will be. */
static int read_memory(const struct call *c, struct vnet_request *r, struct vnet_err *err)
{
	const json_t *said = json_object_get(call_parameters(c), "sharedMemory");
	bool shared = false;
	int res = json_get_bool_opt(call_parameters(c), "sharedMemory", &shared, err);

	if (res == 0 && json_is_boolean(said))
		r->memory = shared ? MEMORY_IS_SHARED : MEMORY_IS_PRIVATE;
	return res;
}

void exec_run(struct manager *m, const struct vnet_request *r, struct call *c)
{
	struct attach_owner o = { .owner = OWNER_INIT };
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_request mine = *r;

	if (check_scope(r, &err) < 0 || read_memory(c, &mine, &err) < 0 ||
	    call_owner(c, &o.owner, &err) < 0)
		call_error(c, &err, NULL);
	else
		attach_run_owned(m, &mine, &o, call_done_fds, c);
}

/* The QEMU behind the socket that came with the call. */
static int open_qmp(struct manager *m, const struct vnet_request *r, struct call *c,
		    struct attach_owner *ret, struct vnet_err *err)
{
	uint64_t now = 0;
	int fd = vnet_fds_take(call_fds(c), 0), res = check_scope(r, err);

	if (res == 0 && fd < 0)
		res = vnet_err_set(err, -EBADF, VNET_E_INVALID,
				   "qmp is true, and no connected QMP socket came with the call");
	if (res == 0) {
		res = qmp_new(&ret->qmp, m->event, fd, err);
		fd = -1;
	}
	if (res == 0) {
		sd_event_now(m->event, CLOCK_MONOTONIC, &now);
		res = owner_of_socket(&ret->owner, qmp_fd(ret->qmp), now, err);
	}
	close_fd(fd);
	return res < 0 ? vnet_err_wrap(err, "%s", r->guest) : 0;
}

void exec_attach_qmp(struct manager *m, const struct vnet_request *r, struct call *c)
{
	struct attach_owner o = { .owner = OWNER_INIT };
	struct vnet_err err = VNET_ERR_INIT;

	if (open_qmp(m, r, c, &o, &err) == 0) {
		attach_run_owned(m, r, &o, call_done_fds, c);
		return;
	}
	attach_owner_done(&o);
	call_error(c, &err, NULL);
}

void exec_detach_qmp(struct manager *m, const struct vnet_request *r, struct call *c)
{
	struct attach_owner o = { .owner = OWNER_INIT };
	struct vnet_err err = VNET_ERR_INIT;

	if (open_qmp(m, r, c, &o, &err) == 0) {
		detach_run_owned(m, r, &o, call_done, c);
		return;
	}
	attach_owner_done(&o);
	call_error(c, &err, NULL);
}
