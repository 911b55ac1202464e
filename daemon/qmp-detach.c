/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: device_del only asks the guest. That the device is gone is told by
 * DEVICE_DELETED, maybe before the command is answered, maybe never; its back end goes after
 * it. netdev_del closes the descriptors: a tap that lives by them goes then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/qmp-nic-priv.h"
#include "lib/json.h"

struct detach {
	struct qmp *q;
	sd_event_source *patience;
	char id[QMP_NIC_ID_MAX], object[QMP_NIC_ID_MAX + 16];
	bool asked;    /* device_del was answered: the guest's turn */
	bool gone;     /* DEVICE_DELETED came */
	bool cleaning; /* the rest is being taken away */
	qmp_nic_fn done;
	void *user;
};

void qmp_nic_id(const char *name, char ret[static QMP_NIC_ID_MAX])
{
	snprintf(ret, QMP_NIC_ID_MAX, "vnetd-%s", name);
}

bool qmp_nic_not_there(int r, const struct vnet_err *err)
{
	return r == -ENODEV || (r == -EREMOTEIO && strstr(err->text, "not found"));
}

static void detach_end(struct detach *d, int r, struct vnet_err *err)
{
	qmp_nic_fn done = d->done;
	void *user = d->user;

	qmp_watch(d->q, NULL);
	sd_event_source_disable_unref(d->patience);
	free(d);
	done(user, r, err);
}

/* QEMU still has what the device had: whatever it says, the guest has let go. */
static void detach_half(struct detach *d, struct vnet_err *err)
{
	char why[VNET_ERR_TEXT_MAX];

	snprintf(why, sizeof(why), "%s", err->text);
	vnet_err_set(err, -ENOTEMPTY, err->name,
		     "the guest has let go of it, but QEMU keeps its back end until it ends, or is "
		     "asked again: %.800s",
		     why);
	detach_end(d, err->code, err);
}

static void on_object_gone(void *user, int r, const json_t *result, struct vnet_err *err)
{
	(void)result;
	if (r < 0 && !qmp_nic_not_there(r, err))
		detach_half(user, err);
	else
		detach_end(user, 0, err);
}

/* Of vhost-user: the netdev's end has taken it along, unless there was none. */
static void on_chardev_gone(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct detach *d = user;

	(void)result;
	if (r < 0 && !qmp_nic_not_there(r, err))
		detach_half(d, err);
	else if (qmp_run(d->q, "object-del", json_pack("{s:s}", "id", d->object), -1,
			 QMP_COMMAND_MS, on_object_gone, d, err) < 0)
		detach_half(d, err);
}

static void on_netdev_gone(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct detach *d = user;

	(void)result;
	if (r < 0 && !qmp_nic_not_there(r, err))
		detach_half(d, err);
	else if (qmp_run(d->q, "chardev-remove", json_pack("{s:s}", "id", d->id), -1,
			 QMP_COMMAND_MS, on_chardev_gone, d, err) < 0)
		detach_half(d, err);
}

static void clean(struct detach *d)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (d->cleaning)
		return;
	d->cleaning = true;
	d->patience = sd_event_source_disable_unref(d->patience);
	if (qmp_run(d->q, "netdev_del", json_pack("{s:s}", "id", d->id), -1, QMP_COMMAND_MS,
		    on_netdev_gone, d, &err) < 0)
		detach_half(d, &err);
}

static void on_asked(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct detach *d = user;

	(void)result;
	d->asked = true;
	if (d->gone || (r < 0 && qmp_nic_not_there(r, err)))
		clean(d);
	/* Asked before: it is still the guest's turn. */
	else if (r < 0 && !strstr(err->text, "in the process of unplug"))
		detach_end(d, r, err);
}

static void on_event(void *user, const char *name, const json_t *data)
{
	const char *device = json_string_value(json_object_get(data, "device"));
	struct detach *d = user;
	struct vnet_err err = VNET_ERR_INIT;

	if (!device || strcmp(device, d->id) != 0 || d->cleaning)
		return;
	if (strcmp(name, "DEVICE_DELETED") == 0) {
		d->gone = true;
		if (d->asked)
			clean(d);
	} else if (strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0 && d->asked) {
		vnet_err_set(&err, -EBUSY, VNET_E_IN_USE,
			     "the guest refuses to let go of %s: see its own log", d->id);
		detach_end(d, err.code, &err);
	}
}

/* Commands under way were told already: then this was forgotten. */
static void on_closed(void *user, struct vnet_err *err)
{
	detach_end(user, err->code, err);
}

static int on_patience(sd_event_source *s, uint64_t usec, void *user)
{
	struct detach *d = user;
	struct vnet_err err = VNET_ERR_INIT;

	(void)s;
	(void)usec;
	d->patience = sd_event_source_disable_unref(d->patience);
	if (!d->asked) /* the command has a deadline of its own */
		return 0;
	vnet_err_set(&err, -EINPROGRESS, VNET_E_BUSY,
		     "the guest has not let go of %s within %d s: a guest that has no system "
		     "running cannot; ask again",
		     d->id, QMP_NIC_UNPLUG_MS / 1000);
	detach_end(d, err.code, &err);
	return 0;
}

int qmp_nic_detach(struct qmp *q, sd_event *event, const char *name, qmp_nic_fn done, void *user,
		   struct vnet_err *err)
{
	struct detach *d = calloc(1, sizeof(*d));
	int r = d ? model_check_nic_name(name, err) : vnet_err_errno(err, -ENOMEM, "detach");

	if (r == 0) {
		*d = (struct detach){ .q = q, .done = done, .user = user };
		qmp_nic_id(name, d->id);
		snprintf(d->object, sizeof(d->object), "%s-iommufd", d->id);
		r = sd_event_add_time_relative(event, &d->patience, CLOCK_MONOTONIC,
					       (uint64_t)QMP_NIC_UNPLUG_MS * 1000, 0, on_patience,
					       d);
		if (r < 0)
			vnet_err_errno(err, r, "detach");
	}
	if (r >= 0)
		r = qmp_run(q, "device_del", json_pack("{s:s}", "id", d->id), -1, QMP_COMMAND_MS,
			    on_asked, d, err);
	if (r < 0) {
		if (d)
			sd_event_source_disable_unref(d->patience);
		free(d);
		return r;
	}
	qmp_watch(q, &(struct qmp_watcher){ on_event, on_closed, d });
	return 0;
}

/* ---- is it there? ---- */

struct find {
	char id[QMP_NIC_ID_MAX];
	qmp_nic_found_fn done;
	void *user;
};

static void on_list(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct find f = *(struct find *)user;
	bool found = false;
	const json_t *e;
	size_t i;

	free(user);
	json_array_foreach (result, i, e) {
		const char *name = json_string_value(json_object_get(e, "name"));

		found |= name && strcmp(name, f.id) == 0;
	}
	f.done(f.user, r, found, err);
}

int qmp_nic_find(struct qmp *q, const char *name, qmp_nic_found_fn done, void *user,
		 struct vnet_err *err)
{
	struct find *f = calloc(1, sizeof(*f));
	int r = f ? model_check_nic_name(name, err) : vnet_err_errno(err, -ENOMEM, "find");

	if (r == 0) {
		*f = (struct find){ .done = done, .user = user };
		qmp_nic_id(name, f->id);
		r = qmp_run(q, "qom-list", json_pack("{s:s}", "path", "/machine/peripheral"), -1,
			    QMP_COMMAND_MS, on_list, f, err);
	}
	if (r < 0)
		free(f);
	return r;
}
