/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/bind.h"
#include "daemon/config.h"
#include "daemon/fault.h"
#include "daemon/hook.h"
#include "daemon/inventory.h"
#include "daemon/messages.h"
#include "daemon/plugin.h"
#include "daemon/pool-start.h"
#include "daemon/pool.h"
#include "daemon/reload.h"
#include "daemon/server.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#ifdef VNET_TEST_BACKENDS
extern const struct domains_backend domains_fake;
#endif

/* ---- events of the guests' side ---- */

static void on_known(void *user)
{
	struct manager *m = user;

	attachments_guests_known(m->attachments);
}

static void on_lost(void *user)
{
	struct manager *m = user;

	log_event(MSG_LIBVIRT_UNREACHABLE, LOG_WARNING, NULL, "guests cannot be asked: %s",
		  domains_why_unknown(m->domains));
}

static void on_absent(void *user)
{
	struct manager *m = user;

	attachments_serve_waiting(m->attachments);
}

static void on_changed(void *user, const char *uuid)
{
	struct manager *m = user;

	attachments_guest_changed(m->attachments, uuid);
}

static void on_removed(void *user, const char *uuid, const char *alias)
{
	struct manager *m = user;

	attachments_device_removed(m->attachments, uuid, alias);
}

static void on_removal_failed(void *user, const char *uuid, const char *alias)
{
	struct manager *m = user;

	attachments_removal_failed(m->attachments, uuid, alias);
}

static void on_stopped(void *user, const char *uuid)
{
	struct manager *m = user;

	attachments_guest_stopped(m->attachments, uuid);
}

static const struct domains_events domains_events = {
	.known = on_known,
	.lost = on_lost,
	.absent = on_absent,
	.changed = on_changed,
	.device_removed = on_removed,
	.removal_failed = on_removal_failed,
	.guest_stopped = on_stopped,
};

static void on_host_changed(void *user, bool overflow)
{
	struct manager *m = user;

	if (overflow)
		log_event(MSG_EVENTS_LOST, LOG_WARNING, NULL,
			  "kernel events were lost: the whole host is looked at again");
	inventory_changed(m->inventory);
}

/* ---- making it ---- */

static int open_runtime(struct manager *m, struct vnet_err *err)
{
	const char *dir = m->config.runtime;
	_cleanup_close_ int lock = -1;

	if (access(m->config.root, X_OK) < 0)
		return vnet_err_errno(err, -errno, "look below the root %s", m->config.root);

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return vnet_err_errno(err, -errno, "make the runtime directory %s", dir);
	m->runtime_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->runtime_fd < 0)
		return vnet_err_errno(err, -errno, "open the runtime directory %s", dir);
	lock = openat(m->runtime_fd, "vnetd.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return vnet_err_errno(err, -errno, "open %s/vnetd.lock", dir);
	if (flock(lock, LOCK_EX | LOCK_NB) < 0)
		return vnet_err_set(err, -EBUSY, VNET_E_BUSY, "another vnetd works in %s already",
				    dir);
	m->lock_fd = take_fd(&lock);
	return 0;
}

static int open_domains(struct manager *m, struct vnet_err *err)
{
	const struct domains_backend *backend = &domains_libvirt;
	const char *arg = m->config.libvirt;

	if (strcmp(m->config.root, "/") != 0 && !arg) {
		backend = &domains_none;
#ifdef VNET_TEST_BACKENDS
		backend = &domains_fake;
		arg = m->config.root;
#endif
	}
	return domains_new(&m->domains, m->event, backend, arg, &domains_events, m, err);
}

static int open_monitor(struct manager *m, struct vnet_err *err)
{
	if (strcmp(m->config.root, "/") != 0)
		return 0;
	return monitor_new(&m->monitor, m->event, on_host_changed, m, err);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
	(void)user;
	(void)si;
	return sd_event_exit(sd_event_source_get_event(s), 0);
}

static int on_hangup(sd_event_source *s, const struct signalfd_siginfo *si, void *user)
{
	(void)s;
	(void)si;
	reload_signalled(user);
	return 0;
}

static int open_event(struct manager *m, struct vnet_err *err)
{
	sigset_t set;
	int r = sd_event_new(&m->event);

	if (r < 0)
		return vnet_err_errno(err, r, "event loop");
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_add_signal(m->event, NULL, SIGTERM, on_signal, m);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGINT, on_signal, m);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
	return r < 0 ? vnet_err_errno(err, r, "signals") : 0;
}

int manager_new(struct manager **ret, const struct manager_config *config, struct vnet_err *err)
{
	struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return vnet_err_errno(err, -ENOMEM, "start");
	m->config = *config;
	m->runtime_fd = m->lock_fd = -1;
	if ((r = open_event(m, err)) < 0 || (r = open_runtime(m, err)) < 0)
		goto fail;
	fault_init(m->runtime_fd);
	if ((r = workers_new(&m->workers, m->event, config->exe, config->root, config->runtime,
			     err)) < 0 ||
	    (r = plugins_new(&m->plugins, config->plugins, err)) < 0 ||
	    (r = inventory_new(&m->inventory, m, err)) < 0 ||
	    (r = config_load(&m->conf, config->config, err)) < 0 ||
	    (r = pools_new(&m->pools, m, err)) < 0 || (r = pool_start_new(&m->start, m, err)) < 0 ||
	    (r = reload_new(&m->reload, m, err)) < 0 ||
	    (r = attachments_new(&m->attachments, m, err)) < 0 ||
	    (r = binds_new(&m->binds, m, err)) < 0 || (r = open_domains(m, err)) < 0 ||
	    (r = open_monitor(m, err)) < 0 ||
	    (r = server_new(&m->server, m->event, m, config->socket, err)) < 0)
		goto fail;
	config_log_errors(m->conf);
	hook_set_timeout(m);
	*ret = m;
	return 0;
fail:
	manager_free(m);
	return r;
}

/* The pools are there as far as they can be: guests may start. */
static void on_ready(void *user)
{
	struct manager *m = user;

	sd_notify(0, "READY=1\nSTATUS=serving");
	log_info(NULL, "ready");
	reload_when_ready(m);
}

int manager_run(struct manager *m, struct vnet_err *err)
{
	int r;

	log_info(NULL, "vnetd " VNET_VERSION " serves");
	attachments_start(m->attachments);
	if (pool_start_needed(m->start)) {
		sd_notify(0, "STATUS=making the pools");
		pool_start_run(m->start, (unsigned)m->conf->start_wait_sec, on_ready, m);
	} else {
		on_ready(m);
	}
	r = sd_event_loop(m->event);
	sd_notify(0, "STOPPING=1");
	return r < 0 ? vnet_err_errno(err, r, "event loop") : 0;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	/* Waiting clients first: their calls must not outlive what would answer them. */
	m->reload = reload_free(m->reload);
	server_free(m->server);
	m->server = NULL;
	monitor_free(m->monitor);
	attachments_free(m->attachments);
	m->attachments = NULL;
	m->binds = binds_free(m->binds);
	domains_free(m->domains);
	pool_start_free(m->start);
	m->start = NULL;
	pools_free(m->pools);
	config_free(m->conf);
	inventory_free(m->inventory);
	plugins_free(m->plugins);
	workers_free(m->workers);
	close_fd(m->lock_fd);
	close_fd(m->runtime_fd);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}
