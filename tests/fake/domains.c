/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A libvirt in files: a back end of daemon/domains.h whose whole state is the directory
 * guests/ in the directory of a fake kernel, so that a test script, a restarted vnetd and
 * this see the same guests:
 *
 *	NAME.xml	a running guest's live XML; deleted: it stopped, and is gone
 *	NAME.config	its persistent XML, where it has one of its own
 *	NAME.off	it is there but does not run: NAME.xml is its persistent XML
 *	NAME.refuse	attach is refused, with the text in it as libvirt's message
 *	NAME.stubborn	it does not let go of devices while this is there
 *	NAME.hang	libvirt answers nothing about it while this is there
 *	NAME.unplug.ALIAS	written by detach: the device goes UNPLUG_MSEC after that
 *
 * Without guests/ libvirt does not answer; with a file no-libvirt there is none. What QEMU would do goes on without vnetd, so it
 * is caught up with at the next start: devices go, holders of dead guests let go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/domains.h"
#include "daemon/fault.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
#include "tests/fake/domains-ops.h"
#include "tests/fake/domains.h"
#include "tests/fake/guest-file.h"
#include "tests/fake/kernel.h"

#define TICK_MSEC 25
#define UNPLUG_MSEC 50

/* A guest's file as it was last seen. */
struct seen {
	char file[NAME_MAX + 1]; /* without .xml */
	char uuid[UUID_STR];
	bool active;
	struct timespec mtime;
	ino_t ino;
};

/* A request that waits. */
struct item {
	struct item *next;
	struct domains_request *req;
};

struct fake_domains {
	struct domains_sink sink;
	sd_event_source *timer;
	struct fake_place at;
	struct seen *seen;
	size_t n_seen;
	struct item *queue;
	bool told; /* that it is down */
};

/* ---- which guests ---- */

static const struct seen *find(const struct fake_domains *f, const char *uuid)
{
	for (size_t i = 0; i < f->n_seen; i++) {
		if (strcmp(f->seen[i].uuid, uuid) == 0)
			return &f->seen[i];
	}
	return NULL;
}

/* ---- what QEMU holds ---- */

static bool guest_holds(const struct fake_domains *f, const char *name, const char *field,
			const char *value)
{
	bool holds = false;

	for (size_t i = 0; i < f->n_seen && !holds; i++) {
		struct vnet_err err = VNET_ERR_INIT;
		struct guest g = { 0 };

		if (guest_file_load(f->at.guests, f->seen[i].file, &g, &err) < 0)
			continue;
		for (size_t k = 0; g.active && strcmp(g.name, name) == 0 && k < g.n_hostdevs; k++)
			holds |= g.hostdevs[k].live &&
				 fake_kernel_is_row(f->at.arg, g.hostdevs[k].kind,
						    g.hostdevs[k].device, field, value);
		guest_done(&g);
	}
	return holds;
}

/* QEMUs that ended, and those whose device went, let go of it. */
static void let_go(const struct fake_domains *f)
{
	static const char *const fields[] = { "address", "interface", "node" };
	_cleanup_free_ char *path = NULL;
	_cleanup_json_ json_t *doc = NULL;
	json_t *holders, *row;
	size_t i;

	if (asprintf(&path, "%s/fake.json", f->at.arg) < 0)
		return;
	doc = json_load_file(path, 0, NULL);
	holders = json_object_get(doc, "holders");
	json_array_foreach (holders, i, row) {
		const char *guest = json_string_value(json_object_get(row, "guest"));
		struct vnet_err err = VNET_ERR_INIT;

		if (json_integer_value(json_object_get(row, "pid")) != QEMU_PID || !guest)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(fields); k++) {
			const char *value = json_string_value(json_object_get(row, fields[k]));

			if (value && !guest_holds(f, guest, fields[k], value))
				fake_kernel_release_row(f->at.arg, fields[k], value, &err);
		}
	}
}

static void add_guest(struct domains_request *req, struct guest *g)
{
	struct guest *more = reallocarray(req->guests, req->n_guests + 1, sizeof(*more));

	if (!more) {
		guest_done(g);
		return;
	}
	req->guests = more;
	more[req->n_guests++] = *g;
}

static int list_all(const struct fake_domains *f, struct domains_request *req)
{
	for (size_t i = 0; i < f->n_seen; i++) {
		struct guest g = { 0 };

		if (guest_file_load(f->at.guests, f->seen[i].file, &g, &req->err) < 0)
			continue;
		free(take_ptr(
			g.hostdevs)); /* name, UUID and active alone, as the contract has it */
		free(take_ptr(g.nics));
		free(take_ptr(g.config_nics));
		free(take_ptr(g.macs));
		g.n_hostdevs = g.n_nics = g.n_config_nics = g.n_macs = 0;
		add_guest(req, &g);
	}
	return 0;
}

static int serve(const struct fake_domains *f, struct domains_request *req)
{
	const struct seen *seen = find(f, req->uuid);
	struct vnet_err err = VNET_ERR_INIT;
	struct guest g = { 0 };
	int r = 0;

	if (f->at.guests < 0)
		return vnet_err_set(&req->err, -ENOTCONN, VNET_E_UNAVAILABLE,
				    "libvirt: not connected");
	if (req->op == DOM_READ_ALL)
		return list_all(f, req);
	if (!seen && req->op == DOM_FORGET)
		return 0;
	if (!seen)
		return vnet_err_set(&req->err, -ENOENT, VNET_E_NOT_FOUND,
				    "libvirt: no guest with UUID %s", req->uuid);
	if (req->op == DOM_ATTACH)
		r = fake_attach(&f->at, seen->file, req->where, &req->nic, &req->err);
	else if (req->op == DOM_DETACH)
		r = fake_detach(&f->at, seen->file, req->where, &req->nic, &req->err);
	else if (req->op == DOM_FORGET)
		r = fake_forget(&f->at, seen->file, &req->nic, &req->err);
	if (guest_file_load(f->at.guests, seen->file, &g, &err) == 0) {
		add_guest(req, &g);
	} else if (req->op == DOM_READ) {
		req->err = err;
		r = err.code;
	}
	return r;
}

static bool hangs(const struct fake_domains *f, const struct domains_request *req)
{
	const struct seen *seen = find(f, req->uuid);

	return f->at.guests >= 0 && seen && guest_file_has(f->at.guests, seen->file, "hang");
}

/* In order; what hangs stays, and what is submitted meanwhile comes at the end. */
static void serve_queue(struct fake_domains *f)
{
	struct item **p = &f->queue, *item;

	while ((item = *p)) {
		struct domains_request *req = item->req;

		if (hangs(f, req)) {
			p = &item->next;
			continue;
		}
		*p = item->next;
		free(item);
		req->r = serve(f, req);
		f->sink.finished(f->sink.user, req);
	}
}

/* ---- what happens by itself ---- */

static bool older_than(const struct timespec *t, unsigned msec)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000 >= (long)msec;
}

/* FILE.unplug.ALIAS: the guest lets go, unless it is stubborn; one that is gone has. */
static void unplug(struct fake_domains *f, const char *name)
{
	const char *dot = strstr(name, ".unplug."), *alias = dot + strlen(".unplug.");
	char file[NAME_MAX + 1], uuid[UUID_STR] = "";
	bool active = false;
	struct stat st;

	snprintf(file, sizeof(file), "%.*s", (int)(dot - name), name);
	for (size_t i = 0; i < f->n_seen; i++) {
		if (strcmp(f->seen[i].file, file) != 0)
			continue;
		active = f->seen[i].active;
		memcpy(uuid, f->seen[i].uuid, sizeof(uuid));
	}
	if (active &&
	    (guest_file_has(f->at.guests, file, "stubborn") ||
	     fstatat(f->at.guests, name, &st, 0) < 0 || !older_than(&st.st_mtim, UNPLUG_MSEC)))
		return;
	if (active)
		guest_file_remove(f->at.guests, file, IN_LIVE, alias);
	unlinkat(f->at.guests, name, 0);
	let_go(f);
	if (active)
		f->sink.event_removed(f->sink.user, uuid, alias);
}

static int names(const struct fake_domains *f, const char *part, char (**ret)[NAME_MAX + 1])
{
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *e;
	int fd = openat(f->at.guests, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;

	*ret = NULL;
	dir = fd >= 0 ? fdopendir(fd) : NULL;
	while (dir && (e = readdir(dir))) {
		const char *at = strstr(e->d_name, part);
		void *more;

		/* A part that ends in a dot has something behind it, one that does not has not. */
		if (!at || e->d_name[0] == '.' ||
		    (part[strlen(part) - 1] != '.' && strcmp(at, part) != 0))
			continue;
		more = reallocarray(*ret, (size_t)n + 1, sizeof(**ret));
		if (!more)
			break;
		*ret = more;
		memcpy((*ret)[n++], e->d_name, strlen(e->d_name) + 1);
	}
	return n;
}

static void unplug_all(struct fake_domains *f)
{
	_cleanup_free_ char(*list)[NAME_MAX + 1] = NULL;
	int n = names(f, ".unplug.", &list);

	for (int i = 0; i < n; i++)
		unplug(f, list[i]);
}

static const struct seen *find_file(const struct seen *list, size_t n, const char *file)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].file, file) == 0)
			return &list[i];
	}
	return NULL;
}

static bool same(const struct seen *a, const struct seen *b)
{
	return a->active == b->active && a->ino == b->ino && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* False where it cannot be read (now). */
static bool look(const struct fake_domains *f, const char *name, struct seen *ret)
{
	const struct seen *old;
	struct vnet_err err;
	struct guest g = { 0 };
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	memcpy(ret->file, name, strlen(name) - strlen(".xml"));
	if (fstatat(f->at.guests, name, &st, 0) < 0)
		return false;
	ret->active = !guest_file_has(f->at.guests, ret->file, "off");
	ret->mtime = st.st_mtim;
	ret->ino = st.st_ino;
	old = find_file(f->seen, f->n_seen, ret->file);
	if (old && same(old, ret)) {
		*ret = *old;
		return true;
	}
	if (guest_file_load(f->at.guests, ret->file, &g, &err) < 0) {
		if (old)
			*ret = *old; /* as it was, until it can be read again */
		return old != NULL;
	}
	memcpy(ret->uuid, g.uuid, sizeof(ret->uuid));
	guest_done(&g);
	return true;
}

/* Of our metadata: what its XML says of queues. */
static const char *how_of(const struct guest *g, const struct guest_hostdev *h)
{
	size_t prefix = strlen(VNETD_ALIAS_PREFIX);

	for (size_t i = 0; i < g->n_nics; i++) {
		if (strncmp(h->alias, VNETD_ALIAS_PREFIX, prefix) == 0 &&
		    strcmp(h->alias + prefix, g->nics[i].name) == 0)
			return g->nics[i].how;
	}
	return "";
}

/* A guest that starts opens its devices. */
static void open_devices(const struct fake_domains *f, const char *file)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct guest g = { 0 };

	if (guest_file_load(f->at.guests, file, &g, &err) < 0)
		return;
	for (size_t i = 0; i < g.n_hostdevs; i++) {
		const struct guest_hostdev *h = &g.hostdevs[i];
		char how[OPTIONS_MAX];

		if (!g.active || !h->live || faccessat(f->at.dirfd, "fake.json", F_OK, 0) < 0)
			continue;
		fake_how(&g, how_of(&g, h), how);
		fake_kernel_hold_device(f->at.arg, h->kind, h->device, how, QEMU_PID, g.name, &err);
	}
	guest_done(&g);
}

static void tell(struct fake_domains *f, const struct seen *was, const struct seen *is)
{
	const struct domains_sink *sink = &f->sink;

	if (is && is->active && was && !was->active)
		open_devices(f, is->file);
	if (was && was->active && (!is || !is->active))
		sink->event_stopped(sink->user, was->uuid);
	else if (was && !is)
		sink->event_changed(sink->user, was->uuid);
	else if (is && (!was || !same(was, is)))
		sink->event_changed(sink->user, is->uuid);
}

static void scan(struct fake_domains *f, bool silently)
{
	_cleanup_free_ char(*list)[NAME_MAX + 1] = NULL;
	_cleanup_free_ struct seen *was = f->seen;
	int n = names(f, ".xml", &list);
	size_t n_was = f->n_seen, kept = 0;
	struct seen *is = calloc((size_t)n + 1, sizeof(*is));
	bool differs = silently;

	for (int i = 0; is && i < n; i++)
		kept += look(f, list[i], &is[kept]);
	f->seen = is;
	f->n_seen = kept;
	for (size_t i = 0; i < n_was; i++)
		differs |= !find_file(is, kept, was[i].file);
	for (size_t i = 0; i < kept; i++) {
		const struct seen *old = find_file(was, n_was, is[i].file);

		differs |= !old || !same(old, &is[i]);
	}
	if (differs)
		let_go(f);
	for (size_t i = 0; i < n_was && !silently; i++)
		tell(f, &was[i], find_file(is, kept, was[i].file));
	for (size_t i = 0; i < kept && !silently; i++) {
		if (!find_file(was, n_was, is[i].file))
			tell(f, NULL, &is[i]);
	}
}

/* Opened anew each time: the folder may have been replaced. */
static void connection(struct fake_domains *f)
{
	struct stat was, is;
	int fd = openat(f->at.dirfd, "guests", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool other = f->at.guests >= 0 && (fd < 0 || fstat(f->at.guests, &was) < 0 ||
					   fstat(fd, &is) < 0 || was.st_ino != is.st_ino);

	if (other) {
		f->at.guests = close_fd(f->at.guests);
		f->told = true;
		f->sink.disconnected(f->sink.user, "libvirt: the connection was lost");
	} else if (fd < 0 && !f->told) {
		f->told = true;
		if (faccessat(f->at.dirfd, "no-libvirt", F_OK, 0) == 0)
			f->sink.absent(f->sink.user, "libvirt: cannot connect: nobody listens");
		else
			f->sink.disconnected(f->sink.user, "libvirt: cannot connect: there is no "
							   "guests folder");
	}
	if (fd >= 0 && f->at.guests < 0) {
		f->at.guests = take_fd(&fd);
		f->told = false;
		scan(f, true);
		f->sink.connected(f->sink.user);
	}
	close_fd(fd);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *user)
{
	struct fake_domains *f = user;

	(void)usec;
	connection(f);
	if (f->at.guests >= 0) {
		scan(f, false);
		unplug_all(f);
	}
	serve_queue(f);
	sd_event_source_set_time_relative(s, TICK_MSEC * UINT64_C(1000));
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

/* ---- the back end ---- */

static void fake_close(void *be)
{
	struct fake_domains *f = be;
	struct item *item;

	sd_event_source_disable_unref(f->timer);
	while ((item = f->queue)) {
		f->queue = item->next;
		free(item);
	}
	close_fd(f->at.guests);
	close_fd(f->at.dirfd);
	free(f->seen);
	free(f->at.arg);
	free(f);
}

static int fake_open(void **ret, sd_event *event, const char *arg, const struct domains_sink *sink,
		     struct vnet_err *err)
{
	struct fake_domains *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return vnet_err_errno(err, -ENOMEM, "guests");
	f->sink = *sink;
	f->at.guests = -1;
	f->at.arg = strdup(arg);
	f->at.dirfd = open(arg, O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = f->at.dirfd < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_time_relative(event, &f->timer, CLOCK_MONOTONIC, 0, 1000, on_tick,
					       f);
	if (r < 0) {
		fake_close(f);
		return vnet_err_errno(err, r, "open the guests of %s", arg);
	}
	*ret = f;
	return 0;
}

static void fake_submit(void *be, struct domains_request *req)
{
	struct fake_domains *f = be;
	struct item **end = &f->queue, *item = calloc(1, sizeof(*item));

	if (!item) {
		req->r = vnet_err_errno(&req->err, -ENOMEM, "guests");
		f->sink.finished(f->sink.user, req);
		return;
	}
	item->req = req;
	while (*end)
		end = &(*end)->next;
	*end = item;
	sd_event_source_set_time_relative(f->timer, 0);
	sd_event_source_set_enabled(f->timer, SD_EVENT_ONESHOT);
}

const struct domains_backend domains_fake = {
	.name = "fake",
	.open = fake_open,
	.submit = fake_submit,
	.close = fake_close,
};
