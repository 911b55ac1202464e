/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A loaded plugin is our own copy of its struct, sized ours: fields that it does
 * not know are zero. Nothing else here depends on what a plugin was built against.
 */
#include "daemon/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/manager.h"
#include "daemon/messages.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/options.h"

struct loaded {
	char file[64];
	void *handle; /* NULL: refused, error says why */
	struct vnet_plugin plugin;
	char error[REASON_MAX];
};

struct plugins {
	struct loaded at[PLUGINS_MAX];
	size_t n;
};

/* ---- the host table ---- */

struct vnet_plugin_verdict {
	struct verdict *v;
	bool given;
};

struct vnet_plugin_plan {
	struct plan *plan;
	struct vnet_err *err;
};

struct vnet_plugin_delivery {
	struct delivery *d;
};

struct vnet_plugin_fds {
	struct opens *opens;
};

__attribute__((format(printf, 3, 4))) static void host_verdict(struct vnet_plugin_verdict *v,
							       int score, const char *fmt, ...)
{
	va_list ap;

	v->v->score = score < 0 ? 0 : score > 100 ? 100 : score;
	va_start(ap, fmt);
	vsnprintf(v->v->reason, sizeof(v->v->reason), fmt, ap);
	va_end(ap);
	v->given = v->v->reason[0] != '\0';
}

static int host_want(struct vnet_plugin_plan *p, const char *knob, const char *object,
		     const char *value)
{
	struct plan *plan = p->plan;
	struct plan_step *step = &plan->step[plan->n];

	if (plan->n == PLAN_STEPS_MAX)
		return vnet_err_set(p->err, -E2BIG, VNET_E_FAILED, "a plan of more than %d steps",
				    PLAN_STEPS_MAX);
	step->knob = knob_find(knob);
	if (!step->knob)
		return vnet_err_set(p->err, -ENOENT, VNET_E_FAILED, "there is no knob %s", knob);
	if (strlen(object) >= sizeof(step->object) || strlen(value) >= sizeof(step->value))
		return vnet_err_set(p->err, -EINVAL, VNET_E_FAILED, "%s: object or value too long",
				    knob);
	snprintf(step->object, sizeof(step->object), "%s", object);
	snprintf(step->value, sizeof(step->value), "%s", value);
	plan->n++;
	return 0;
}

static int host_deliver(struct vnet_plugin_delivery *d, enum vnet_plugin_delivery_kind kind,
			const char *value, const char *how)
{
	if (strlen(value) >= sizeof(d->d->value) || strlen(how) >= sizeof(d->d->how) ||
	    kind < VNET_DELIVERY_HOSTDEV || kind > VNET_DELIVERY_PCI)
		return -EINVAL;
	d->d->kind = kind;
	snprintf(d->d->value, sizeof(d->d->value), "%s", value);
	snprintf(d->d->how, sizeof(d->d->how), "%s", how);
	return 0;
}

static int host_option(const struct vnet_plugin_request *request, const char *name, char *buf,
		       size_t size)
{
	return options_get(request->options, name, buf, size);
}

static int host_open(struct vnet_plugin_fds *f, const char *role, enum vnet_plugin_open how,
		     const char *name, int count)
{
	struct opens *o = f->opens;

	if (o->n == OPENS_MAX || how < VNET_OPEN_TAP || how > VNET_OPEN_IOMMUFD || count < 1 ||
	    strlen(role) >= sizeof(o->at[0].role) || strlen(name) >= sizeof(o->at[0].name))
		return -EINVAL;
	snprintf(o->at[o->n].role, sizeof(o->at[0].role), "%s", role);
	snprintf(o->at[o->n].name, sizeof(o->at[0].name), "%s", name);
	o->at[o->n].how = how;
	o->at[o->n++].count = count;
	return 0;
}

static const struct vnet_plugin_host host_table = {
	.struct_size = sizeof(host_table),
	.verdict = host_verdict,
	.want = host_want,
	.deliver = host_deliver,
	.option = host_option,
	.open = host_open,
};

/* ---- loading ---- */

static bool name_ok(const char *name)
{
	size_t n = name ? strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

	return n > 0 && n < MODE_NAME_MAX && name[n] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

static int check_file(int dirfd, const char *file, struct vnet_err *err)
{
	struct stat st;

	if (fstatat(dirfd, file, &st, 0) < 0)
		return vnet_err_errno(err, -errno, "look at it");
	if (!S_ISREG(st.st_mode))
		return vnet_err_set(err, -EINVAL, VNET_E_FAILED, "is no regular file");
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return vnet_err_set(err, -EPERM, VNET_E_FAILED,
				    "belongs to user %u: chown it to root", (unsigned)st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return vnet_err_set(err, -EPERM, VNET_E_FAILED,
				    "can be written by others: chmod go-w it");
	return 0;
}

/* What ABI 1 began with; every field behind it may be missing. */
#define STRUCT_SIZE_MIN \
	(offsetof(struct vnet_plugin, fds) + sizeof(((struct vnet_plugin *)NULL)->fds))

static int check_abi(const struct vnet_plugin *theirs, struct vnet_err *err)
{
	if (theirs->abi != VNET_PLUGIN_ABI)
		return vnet_err_set(err, -EPROTO, VNET_E_FAILED,
				    "is of ABI %d, this vnetd takes ABI %d: build it against this "
				    "vnetd's vnet-plugin.h",
				    theirs->abi, VNET_PLUGIN_ABI);
	if (theirs->struct_size < STRUCT_SIZE_MIN)
		return vnet_err_set(
			err, -EPROTO, VNET_E_FAILED,
			"says that its struct vnet_plugin has %zu bytes, but ABI %d has "
			"%zu at least: make it with VNET_PLUGIN()",
			theirs->struct_size, VNET_PLUGIN_ABI, STRUCT_SIZE_MIN);
	return 0;
}

static bool option_ok(const struct vnet_plugin_option *o)
{
	size_t n = strspn(o->name, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n < OPTION_KEY_MAX && o->name[n] == '\0' && o->name[0] >= 'a' &&
	       o->name[0] <= 'z' && o->accepts && o->summary;
}

static int check_plugin(const struct vnet_plugin *p, struct vnet_err *err)
{
	if (!name_ok(p->name))
		return vnet_err_set(
			err, -EINVAL, VNET_E_FAILED,
			"has no name that a mode can have: a small letter, then up to %d "
			"of a-z, 0-9 and -",
			MODE_NAME_MAX - 2);
	if (!p->summary || !p->candidates || !p->probe || !p->plan || !p->deliver)
		return vnet_err_set(err, -EINVAL, VNET_E_FAILED, "mode %s lacks %s", p->name,
				    !p->summary	     ? "a summary"
				    : !p->candidates ? "candidates"
				    : !p->probe	     ? "probe()"
				    : !p->plan	     ? "plan()"
						     : "deliver()");
	for (const struct vnet_plugin_option *o = p->options; o && o->name; o++) {
		if (!option_ok(o))
			return vnet_err_set(
				err, -EINVAL, VNET_E_FAILED,
				"mode %s: option '%.20s' has a name that none can have, "
				"or lacks what it accepts or its summary",
				p->name, o->name);
	}
	return 0;
}

/* Whose the mode is that is there. */
static const char *file_of(const struct plugins *p, const char *mode)
{
	size_t i = 0;

	while (i + 1 < p->n && !(p->at[i].plugin.name && strcmp(p->at[i].plugin.name, mode) == 0))
		i++;
	return p->at[i].file;
}

static int load_one(struct plugins *p, struct loaded *l, int dirfd, const char *dir,
		    struct vnet_err *err)
{
	char path[PATH_MAX];
	const struct vnet_plugin *theirs;
	struct vnet_plugin ours = { 0 };
	int r = check_file(dirfd, l->file, err);

	if (r < 0)
		return r;
	if (snprintf(path, sizeof(path), "%s/%s", dir, l->file) >= (int)sizeof(path))
		return vnet_err_errno(err, -ENAMETOOLONG, "load it");
	l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	theirs = l->handle ? dlsym(l->handle, "vnet_plugin") : NULL;
	if (!theirs) {
		r = vnet_err_set(err, -ENOEXEC, VNET_E_FAILED, "%s", dlerror());
		goto refuse;
	}
	r = check_abi(theirs, err);
	if (r < 0)
		goto refuse;
	memcpy(&ours, theirs,
	       theirs->struct_size < sizeof(ours) ? theirs->struct_size : sizeof(ours));
	r = check_plugin(&ours, err);
	if (r < 0)
		goto refuse;
	if (plugins_find(p, ours.name)) {
		r = vnet_err_set(err, -EEXIST, VNET_E_EXISTS, "mode %s is there already, of %s",
				 ours.name, file_of(p, ours.name));
		goto refuse;
	}
	l->plugin = ours;
	if (l->plugin.load && l->plugin.load() != 0) {
		r = vnet_err_set(err, -ECANCELED, VNET_E_FAILED, "its load() refused");
		goto refuse;
	}
	return 0;
refuse:
	if (l->handle)
		dlclose(l->handle);
	l->handle = NULL;
	memset(&l->plugin, 0, sizeof(l->plugin));
	return r;
}

static int is_plugin_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 8 && n < 64 && strncmp(d->d_name, "vnet-", 5) == 0 &&
	       strcmp(d->d_name + n - 3, ".so") == 0;
}

int plugins_new(struct plugins **ret, const char *dir, struct vnet_err *err)
{
	_cleanup_close_ int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct plugins *p = calloc(1, sizeof(*p));
	struct dirent **list = NULL;
	int n;

	if (!p)
		return vnet_err_errno(err, -ENOMEM, "plugins");
	n = dirfd < 0 ? -1 : scandirat(dirfd, ".", &list, is_plugin_file, alphasort);
	if (n < 0)
		log_event(MSG_PLUGIN_REFUSED, LOG_ERR, NULL,
			  "no modes: cannot read the plugin folder %s: %m", dir);
	for (int i = 0; i < n; i++) {
		struct vnet_err why = VNET_ERR_INIT;
		struct loaded *l = &p->at[p->n];

		if (p->n < PLUGINS_MAX) {
			snprintf(l->file, sizeof(l->file), "%.63s", list[i]->d_name);
			p->n++;
			if (load_one(p, l, dirfd, dir, &why) < 0) {
				snprintf(l->error, sizeof(l->error), "%.*s", REASON_MAX - 1,
					 why.text);
				log_event_err(MSG_PLUGIN_REFUSED, LOG_ERR, l->file, &why,
					      "plugin %s/%s not loaded", dir, l->file);
			}
		}
		free(list[i]);
	}
	free(list);
	*ret = p;
	return 0;
}

struct plugins *plugins_free(struct plugins *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++) {
		if (!p->at[i].handle)
			continue;
		if (p->at[i].plugin.unload)
			p->at[i].plugin.unload();
		dlclose(p->at[i].handle);
	}
	free(p);
	return NULL;
}

const struct vnet_plugin *plugins_find(const struct plugins *p, const char *mode)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->at[i].plugin.name && strcmp(p->at[i].plugin.name, mode) == 0)
			return &p->at[i].plugin;
	}
	return NULL;
}

const struct vnet_plugin *plugins_at(const struct plugins *p, size_t i)
{
	for (size_t k = 0; k < p->n; k++) {
		if (p->at[k].handle && i-- == 0)
			return &p->at[k].plugin;
	}
	return NULL;
}

/* ---- calling ---- */

static const char *subject(const struct vnet_plugin_nic *nic)
{
	return nic->vf_object[0] ? nic->vf_object : nic->uplink[0] ? nic->uplink : nic->claim;
}

int plugin_probe(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		 const struct vnet_plugin_request *req, struct verdict *ret, struct vnet_err *err)
{
	struct verdict v = { 0 };
	struct vnet_plugin_verdict out = { .v = &v };
	int r = p->probe(&host_table, nic, req, &out);

	if (r < 0)
		return vnet_err_errno(err, r, "mode %s: probe of %s", p->name, subject(nic));
	if (!out.given)
		return vnet_err_set(
			err, -EPROTO, VNET_E_FAILED,
			"mode %s: probe of %s gave no verdict with a reason: a defect of "
			"the plugin",
			p->name, subject(nic));
	*ret = v;
	return 0;
}

int plugin_plan(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		const struct vnet_plugin_request *req, struct plan *ret, struct vnet_err *err)
{
	struct plan plan = { 0 };
	struct vnet_plugin_plan out = { .plan = &plan, .err = err };
	int r = p->plan(&host_table, nic, req, &out);

	if (r < 0) {
		if (!err->code)
			vnet_err_errno(err, r, "no plan");
		return vnet_err_wrap(err, "mode %s", p->name);
	}
	/* Pool steps first: they are rolled forward together, before anything that is
	 * walked back. */
	for (size_t i = 1; i < plan.n; i++) {
		if (plan.step[i].knob->owner == KNOB_OF_POOL &&
		    plan.step[i - 1].knob->owner != KNOB_OF_POOL)
			return vnet_err_set(err, -EPROTO, VNET_E_FAILED,
					    "mode %s: plans %s after knobs of the attachment: a "
					    "defect of the plugin",
					    p->name, plan.step[i].knob->name);
	}
	*ret = plan;
	return 0;
}

int plugin_deliver(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
		   const struct vnet_plugin_request *req, struct delivery *ret,
		   struct vnet_err *err)
{
	struct delivery d = { 0 };
	struct vnet_plugin_delivery out = { .d = &d };
	int r = p->deliver(&host_table, nic, req, &out);

	if (r < 0)
		return vnet_err_errno(err, r, "mode %s: deliver %s", p->name, subject(nic));
	if (d.kind == VNET_DELIVERY_NONE)
		return vnet_err_set(err, -EPROTO, VNET_E_FAILED,
				    "mode %s: delivers nothing: a defect of the plugin", p->name);
	*ret = d;
	return 0;
}

int plugin_fds(const struct vnet_plugin *p, const struct vnet_plugin_nic *nic,
	       const struct vnet_plugin_request *req, struct opens *ret, struct vnet_err *err)
{
	struct opens o = { 0 };
	struct vnet_plugin_fds out = { .opens = &o };
	int r = p->fds ? p->fds(&host_table, nic, req, &out) : -EOPNOTSUPP;

	if (r == -EOPNOTSUPP && !p->fds)
		return vnet_err_set(err, r, VNET_E_FAILED,
				    "mode %s hands no descriptors over: it serves libvirt's guests "
				    "alone",
				    p->name);
	if (r < 0)
		return vnet_err_errno(err, r, "mode %s: descriptors", p->name);
	*ret = o;
	return 0;
}

static json_t *options_json(const struct vnet_plugin_option *o)
{
	json_t *list = json_array();

	for (; o && o->name; o++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", o->name, "accepts",
						      o->accepts, "summary", o->summary));
	return list;
}

void modes_run(struct manager *m, reply_fn reply, void *user)
{
	json_t *list = json_array();
	struct vnet_err err = VNET_ERR_INIT;

	for (size_t i = 0; i < m->plugins->n; i++) {
		const struct loaded *l = &m->plugins->at[i];
		json_t *mode = json_object();

		json_put_str(mode, "name", l->plugin.name);
		json_put_str(mode, "summary", l->plugin.summary);
		json_put(mode, "options", options_json(l->plugin.options));
		json_put_str(mode, "file", l->file);
		json_put_bool(mode, "loaded", l->handle != NULL);
		json_put_str(mode, "error", l->error);
		json_array_append_new(list, mode);
	}
	reply(user, 0, json_pack("{s:o}", "modes", list), &err);
}
