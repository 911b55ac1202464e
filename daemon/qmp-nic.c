/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: an attach is a list of commands, each with the one that takes it back.
 * They are run one after the other; the first that fails has those before it taken back, last
 * first. A descriptor's name is used up by the command that names it, by some versions also
 * where that fails, by others not: so each is closed by name afterwards, and "not found" is
 * what is hoped for.
 *
 * QEMU's main loop, and with it the guest, stands still from a netdev_add of vhost-user until
 * somebody is at the socket: so that is waited for before it.
 *
 * device_add is the last of them. Where nobody says whether it was done (no answer, connection
 * lost) nothing is taken back: a guest that has the NIC would lose its back end.
 */
#include "daemon/qmp-nic-priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"

/* A getfd for each descriptor, object-add, query-pci, netdev_add, device_add; with a socket
 * chardev-add, query-chardev and the last three. */
#define STEPS_MAX (VNET_FDS_MAX + 5)
#define LOOK_MS 200 /* at who is at the socket */
#define LIST_MAX (VNET_FDS_MAX * (QMP_NIC_ID_MAX + 12))

struct step {
	const char *execute;
	json_t *arguments;
	int fd;
	const char *undo; /* NULL: nothing to take back */
	json_t *undo_arguments;
};

struct attach {
	struct qmp *q;
	sd_event *event;
	sd_event_source *again; /* query-chardev, to be asked anew */
	unsigned looks;
	char id[QMP_NIC_ID_MAX], socket[QMP_NIC_SOCKET_MAX];
	bool listens;
	struct step step[STEPS_MAX];
	size_t n, at;
	size_t n_names; /* the first steps are getfd */
	json_t *device; /* arguments of device_add, for the bus that is looked for before it */
	struct vnet_err why;
	bool residue;
	qmp_nic_fn done;
	void *user;
};

static void attach_free(struct attach *a)
{
	if (!a)
		return;
	sd_event_source_disable_unref(a->again);
	for (size_t i = 0; i < a->n; i++) {
		json_decref(a->step[i].arguments);
		json_decref(a->step[i].undo_arguments);
		close_fd(a->step[i].fd);
	}
	free(a);
}

static void attach_end(struct attach *a)
{
	struct vnet_err err = a->why;
	qmp_nic_fn done = a->done;
	void *user = a->user;

	if (a->residue)
		err.name = VNET_E_RESIDUE;
	attach_free(a);
	done(user, err.code, &err);
}

/* ---- the way back ---- */

static void undo_next(struct attach *a);

static void on_undone(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct attach *a = user;
	char before[VNET_ERR_TEXT_MAX];

	(void)result;
	if (r < 0 && !qmp_nic_not_there(r, err)) {
		a->residue = true;
		if (r == -EPIPE) { /* why says so already */
			undo_next(a);
			return;
		}
		snprintf(before, sizeof(before), "%s", a->why.text);
		vnet_err_set(&a->why, a->why.code, a->why.name, "%.480s; and %.480s", before,
			     err->text);
	}
	undo_next(a);
}

static void undo_next(struct attach *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct step *s;

	do {
		if (a->at == 0) {
			attach_end(a);
			return;
		}
		s = &a->step[--a->at];
	} while (!s->undo);
	if (qmp_run(a->q, s->undo, json_incref(s->undo_arguments), -1, QMP_COMMAND_MS, on_undone, a,
		    &err) < 0)
		on_undone(a, err.code, NULL, &err);
}

/* ---- the way there ---- */

static void step_next(struct attach *a);

/* The bus of a root port with nothing behind it; QEMU itself would take pcie.0, into which
 * nothing can be plugged. NULL where there is none with a name. */
static const char *free_port(const json_t *buses)
{
	const json_t *bus, *device;
	size_t i, k;

	json_array_foreach (buses, i, bus) {
		json_array_foreach (json_object_get(bus, "devices"), k, device) {
			const json_t *bridge = json_object_get(device, "pci_bridge");
			const char *id = json_string_value(json_object_get(device, "qdev_id"));

			if (bridge && id && *id &&
			    json_array_size(json_object_get(bridge, "devices")) == 0)
				return id;
		}
	}
	return NULL;
}

static void attach_refused(struct attach *a, int r, const struct vnet_err *err)
{
	const struct step *s = &a->step[a->at];
	bool is_device = strcmp(s->execute, "device_add") == 0;

	a->why = *err;
	if (is_device && r == -EREMOTEIO && !json_object_get(s->arguments, "bus"))
		vnet_err_set(&a->why, r, err->name,
			     "%.900s (vnetd found no empty PCIe root port with an id: start QEMU "
			     "with some, -device pcie-root-port,id=rp1,chassis=1)",
			     err->text);
	if (is_device && (r == -ETIMEDOUT || r == -EPIPE || r == -ECANCELED)) {
		vnet_err_set(&a->why, -EINPROGRESS, err->name,
			     "%.900s: whether the guest has got its NIC is not known", err->text);
		attach_end(a);
		return;
	}
	/* What was not answered may still be done, before what is sent after it. */
	if (r == -ETIMEDOUT)
		a->at++;
	undo_next(a);
}

/* ---- is anybody at the socket? ---- */

static bool is_connected(const json_t *list, const char *id)
{
	static const char down[] = "disconnected:";
	const json_t *e;
	size_t i;

	json_array_foreach (list, i, e) {
		const char *label = json_string_value(json_object_get(e, "label"));
		const char *file = json_string_value(json_object_get(e, "filename"));

		if (label && file && strcmp(label, id) == 0)
			return strncmp(file, down, strlen(down)) != 0;
	}
	return false;
}

static int on_again(sd_event_source *s, uint64_t usec, void *user)
{
	struct attach *a = user;

	(void)s;
	(void)usec;
	a->again = sd_event_source_disable_unref(a->again);
	qmp_watch(a->q, NULL);
	step_next(a);
	return 0;
}

/* No command is under way that would be told. */
static void on_closed(void *user, struct vnet_err *err)
{
	struct attach *a = user;

	a->again = sd_event_source_disable_unref(a->again);
	attach_refused(a, err->code, err);
}

static void look_again(struct attach *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	int r = 0;

	if (++a->looks > QMP_NIC_CONNECT_MS / LOOK_MS)
		r = vnet_err_set(&err, -ENOTCONN, VNET_E_FAILED,
				 "%s: the process that is to serve the NIC has not %s within %d "
				 "s: start it",
				 a->socket,
				 a->listens ? "connected to the socket that QEMU made"
					    : "accepted the connection that QEMU made",
				 QMP_NIC_CONNECT_MS / 1000);
	if (r == 0) {
		r = sd_event_add_time_relative(a->event, &a->again, CLOCK_MONOTONIC, LOOK_MS * 1000,
					       0, on_again, a);
		if (r < 0)
			vnet_err_errno(&err, r, "look at %s again", a->socket);
	}
	if (r < 0)
		attach_refused(a, r, &err);
	else
		qmp_watch(a->q, &(struct qmp_watcher){ .closed = on_closed, .user = a });
}

static void on_step(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct attach *a = user;
	const struct step *s = &a->step[a->at];
	const char *port;

	if (r == 0 && strcmp(s->execute, "query-chardev") == 0 && !is_connected(result, a->id)) {
		look_again(a);
		return;
	}
	if (strcmp(s->execute, "query-pci") == 0 && (r == 0 || r == -EREMOTEIO)) {
		port = r == 0 ? free_port(result) : NULL;
		if (port)
			json_put_str(a->device, "bus", port);
	} else if (r < 0) {
		attach_refused(a, r, err);
		return;
	}
	a->at++;
	step_next(a);
}

static void step_next(struct attach *a)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct step *s = &a->step[a->at];

	if (a->at == a->n)
		attach_end(a);
	else if (qmp_run(a->q, s->execute, json_incref(s->arguments), take_fd(&s->fd),
			 strcmp(s->execute, "device_add") == 0 ? QMP_DEVICE_MS : QMP_COMMAND_MS,
			 on_step, a, &err) < 0)
		on_step(a, err.code, NULL, &err);
}

/* ---- what there is to do ---- */

/* Takes over all but the words. */
static void add_step(struct attach *a, const char *execute, json_t *arguments, int fd,
		     const char *undo, json_t *undo_arguments)
{
	a->step[a->n++] = (struct step){ .execute = execute,
					 .arguments = arguments,
					 .fd = fd,
					 .undo = undo,
					 .undo_arguments = undo_arguments };
}

struct names {
	char id[QMP_NIC_ID_MAX]; /* of netdev, device; with -iommufd of the object */
	/* Names of descriptors with ':' between two; QEMU takes what begins with a digit for
	 * a number of its own. */
	char tap[LIST_MAX], vhost[LIST_MAX], vdpa[LIST_MAX], vfio[LIST_MAX], iommufd[LIST_MAX];
	unsigned n_tap, n_vhost, n_vdpa, n_vfio, n_iommufd;
};

static bool role_of(struct names *n, const char *role, char **ret_list, unsigned **ret_count)
{
	struct {
		const char *role;
		char *list;
		unsigned *count;
	} known[] = {
		{ "tap", n->tap, &n->n_tap },
		{ "vhost", n->vhost, &n->n_vhost },
		{ "vdpa", n->vdpa, &n->n_vdpa },
		{ "vfio", n->vfio, &n->n_vfio },
		{ "iommufd", n->iommufd, &n->n_iommufd },
	};

	for (size_t i = 0; role && i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].role, role) != 0)
			continue;
		*ret_list = known[i].list;
		*ret_count = known[i].count;
		return true;
	}
	return false;
}

static int add_names(struct attach *a, const json_t *roles, struct vnet_fds *fds, struct names *n,
		     struct vnet_err *err)
{
	for (size_t i = 0; i < fds->n; i++) {
		const char *role = json_string_value(json_array_get(roles, i));
		unsigned *count = NULL;
		char *list = NULL, name[QMP_NIC_ID_MAX + 16];
		size_t len;

		if (!role_of(n, role, &list, &count))
			return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
					    "QEMU cannot be given a descriptor for '%s'",
					    role ? role : "nothing");
		snprintf(name, sizeof(name), "%s-%s%u", n->id, role, *count);
		len = strlen(list);
		snprintf(list + len, LIST_MAX - len, "%s%s", len ? ":" : "", name);
		++*count;
		add_step(a, "getfd", json_pack("{s:s}", "fdname", name), vnet_fds_take(fds, i),
			 "closefd", json_pack("{s:s}", "fdname", name));
	}
	a->n_names = a->n;
	return 0;
}

static void add_tap(struct attach *a, const struct names *n)
{
	bool many = n->n_tap > 1;
	json_t *args = json_pack("{s:s,s:s,s:s,s:b}", "type", "tap", "id", n->id,
				 many ? "fds" : "fd", n->tap, "vhost", n->n_vhost > 0);

	if (n->n_vhost > 0)
		json_put_str(args, many ? "vhostfds" : "vhostfd", n->vhost);
	add_step(a, "netdev_add", args, -1, "netdev_del", json_pack("{s:s}", "id", n->id));
}

static void add_vdpa(struct attach *a, const struct names *n)
{
	add_step(a, "netdev_add",
		 json_pack("{s:s,s:s,s:s}", "type", "vhost-vdpa", "id", n->id, "vhostfd", n->vdpa),
		 -1, "netdev_del", json_pack("{s:s}", "id", n->id));
}

/* Its end takes the chardev along: chardev-remove finds none then. */
static void add_socket(struct attach *a, const struct names *n, const struct qmp_nic *nic)
{
	json_t *data = json_pack("{s:{s:s,s:{s:s}},s:b}", "addr", "type", "unix", "data", "path",
				 nic->socket, "server", nic->listens);
	json_t *args =
		json_pack("{s:s,s:s,s:s}", "type", "vhost-user", "id", n->id, "chardev", n->id);

	if (nic->listens)
		json_put_bool(data, "wait", false);
	if (nic->queues > 1)
		json_put_int(args, "queues", nic->queues);
	add_step(a, "chardev-add",
		 json_pack("{s:s,s:{s:s,s:o}}", "id", n->id, "backend", "type", "socket", "data",
			   data),
		 -1, "chardev-remove", json_pack("{s:s}", "id", n->id));
	add_step(a, "query-chardev", NULL, -1, NULL, NULL);
	add_step(a, "netdev_add", args, -1, "netdev_del", json_pack("{s:s}", "id", n->id));
}

/* What QEMU itself plays. */
static json_t *played(const struct names *n, const struct qmp_nic *nic)
{
	unsigned queues = n->n_tap ? n->n_tap : nic->queues;
	const char *driver = nic->model[0] ? nic->model : "virtio-net-pci";
	char mac[MAC_STR];
	json_t *j = json_pack("{s:s,s:s,s:s,s:s}", "driver", driver, "id", n->id, "netdev", n->id,
			      "mac", mac_str(&nic->mac, mac));

	if (nic->mtu)
		json_put_int(j, "host_mtu", nic->mtu);
	if (queues > 1) {
		json_put_bool(j, "mq", true);
		json_put_int(j, "vectors", 2 * (int64_t)queues + 2);
	}
	return j;
}

static json_t *vfio(struct attach *a, const struct names *n, const struct qmp_nic *nic)
{
	char object[QMP_NIC_ID_MAX + 16];

	if (!n->n_vfio)
		return json_pack("{s:s,s:s,s:s}", "driver", "vfio-pci", "id", n->id, "host",
				 nic->host);
	snprintf(object, sizeof(object), "%s-iommufd", n->id);
	add_step(a, "object-add",
		 json_pack("{s:s,s:s,s:s}", "qom-type", "iommufd", "id", object, "fd", n->iommufd),
		 -1, "object-del", json_pack("{s:s}", "id", object));
	return json_pack("{s:s,s:s,s:s,s:s}", "driver", "vfio-pci", "id", n->id, "iommufd", object,
			 "fd", n->vfio);
}

static int add_device(struct attach *a, const struct qmp_nic *nic, const struct names *n,
		      struct vnet_err *err)
{
	bool tap = n->n_tap > 0 && (n->n_vhost == 0 || n->n_vhost == n->n_tap) &&
		   n->n_vdpa + n->n_vfio + n->n_iommufd == 0;
	bool vdpa = n->n_vdpa == 1 && n->n_tap + n->n_vhost + n->n_vfio + n->n_iommufd == 0;
	bool cdev = n->n_vfio == 1 && n->n_iommufd == 1 && n->n_tap + n->n_vhost + n->n_vdpa == 0;
	json_t *device;

	if (!tap && !vdpa && !cdev && !((nic->host[0] || nic->socket[0]) && a->n_names == 0))
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "NIC %s: these descriptors make no network device", nic->name);
	if (tap)
		add_tap(a, n);
	else if (vdpa)
		add_vdpa(a, n);
	else if (!cdev && nic->socket[0])
		add_socket(a, n, nic);
	device = tap || vdpa || (!cdev && nic->socket[0]) ? played(n, nic) : vfio(a, n, nic);
	if (nic->bus[0])
		json_put_str(device, "bus", nic->bus);
	else
		add_step(a, "query-pci", NULL, -1, NULL, NULL);
	a->device = device;
	add_step(a, "device_add", device, -1, NULL, NULL);
	return 0;
}

int qmp_nic_attach(struct qmp *q, sd_event *event, const struct qmp_nic *nic, const json_t *roles,
		   struct vnet_fds *fds, qmp_nic_fn done, void *user, struct vnet_err *err)
{
	struct attach *a = calloc(1, sizeof(*a));
	struct names *n = calloc(1, sizeof(*n));
	int r = a && n ? model_check_nic_name(nic->name, err)
		       : vnet_err_errno(err, -ENOMEM, "attach");

	if (r == 0) {
		*a = (struct attach){ .q = q, .event = event, .done = done, .user = user };
		qmp_nic_id(nic->name, n->id);
		memcpy(a->id, n->id, sizeof(a->id));
		memcpy(a->socket, nic->socket, sizeof(a->socket));
		a->listens = nic->listens;
		r = add_names(a, roles, fds, n, err);
	}
	if (r == 0)
		r = add_device(a, nic, n, err);
	free(n);
	vnet_fds_done(fds);
	if (r == 0) {
		struct step *s = &a->step[0];

		r = qmp_run(q, s->execute, json_incref(s->arguments), take_fd(&s->fd),
			    QMP_COMMAND_MS, on_step, a, err);
	}
	if (r < 0)
		attach_free(a);
	return r;
}
