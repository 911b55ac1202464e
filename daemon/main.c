/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vnetd: argv, then the manager does the rest. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/manager.h"
#include "daemon/worker-lock.h"
#include "lib/cleanup.h"
#include "lib/client.h"
#include "lib/log.h"

#define WORKER_FD 3 /* agreed with worker.c */

const char *argp_program_version = "vnetd " VNET_VERSION;

enum {
	OPT_ROOT = 256,
	OPT_RUNTIME,
	OPT_CONFIG,
	OPT_SOCKET,
	OPT_PLUGINS,
	OPT_LIBVIRT,
	OPT_DUMP,
	OPT_WORKER
};

struct options {
	struct manager_config config;
	bool worker;
	bool dump, dump_keys;
	bool debug;
	bool own_runtime, own_socket, own_config; /* given, not the defaults */
	char below_root[4096];			  /* the configuration of another host */
};

static const struct argp_option options[] = {
	{ "root", OPT_ROOT, "DIR", 0, "Look at the host below DIR (a captured one) instead of /",
	  0 },
	{ "runtime", OPT_RUNTIME, "DIR", 0, "Keep state here (default /run/vnetd)", 0 },
	{ "config", OPT_CONFIG, "DIR", 0,
	  "Configuration: vnetd.conf and vnetd.conf.d/*.conf (default /etc/vnetd below the root)",
	  0 },
	{ "dump-config", OPT_DUMP, "keys", OPTION_ARG_OPTIONAL,
	  "Print the configuration in force, or all keys there are, and end", 0 },
	{ "socket", OPT_SOCKET, "PATH", 0,
	  "Listen here (default " VNETD_SOCKET "), where systemd passes no socket", 0 },
	{ "plugins", OPT_PLUGINS, "DIR", 0, "Load modes from here (default " VNET_PLUGIN_DIR ")",
	  0 },
	{ "libvirt", OPT_LIBVIRT, "URI", 0, "Connect to this libvirt (default qemu:///system)", 0 },
	{ "debug", 'd', NULL, 0, "Log what is done in detail", 0 },
	{ "worker", OPT_WORKER, NULL, OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_ROOT:
		o->config.root = arg;
		return 0;
	case OPT_RUNTIME:
		o->config.runtime = arg;
		o->own_runtime = true;
		return 0;
	case OPT_CONFIG:
		o->config.config = arg;
		o->own_config = true;
		return 0;
	case OPT_SOCKET:
		o->config.socket = arg;
		o->own_socket = true;
		return 0;
	case OPT_PLUGINS:
		o->config.plugins = arg;
		return 0;
	case OPT_LIBVIRT:
		o->config.libvirt = arg;
		return 0;
	case OPT_DUMP:
		o->dump = true;
		o->dump_keys = arg != NULL;
		if (arg && strcmp(arg, "keys") != 0)
			argp_error(state, "--dump-config=%s: 'keys' is what may stand there", arg);
		return 0;
	case OPT_WORKER:
		o->worker = true;
		return 0;
	case 'd':
		o->debug = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	case ARGP_KEY_END:
		/* Another host's state must not land in this one's. */
		if (!o->worker && !o->dump && strcmp(o->config.root, "/") != 0 &&
		    (!o->own_runtime || !o->own_socket))
			argp_error(state, "--root needs --runtime and --socket of its own");
		if (strcmp(o->config.root, "/") != 0 && !o->own_config) {
			snprintf(o->below_root, sizeof(o->below_root), "%s/etc/vnetd",
				 o->config.root);
			o->config.config = o->below_root;
		}
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* 1 also where something of it is in error: fit for a check before a reload. */
static int dump_config(const struct options *o)
{
	struct vnet_err err = VNET_ERR_INIT;
	_cleanup_free_ char *text = NULL;
	struct config *c = NULL;
	int bad = 0;

	if (o->dump_keys) {
		text = config_dump_keys();
	} else if (config_load(&c, o->config.config, &err) == 0) {
		text = config_dump(c);
		config_log_errors(c);
		bad = c->n_errors > 0;
	}
	config_free(c);
	if (!text || fputs(text, stdout) < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "vnetd: cannot print the configuration: %s\n", strerror(errno));
		return 1;
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "vnetd gives virtual machines their network devices.",
		NULL,	 NULL,	NULL
	};
	struct options o = { .config = { .root = "/",
					 .runtime = "/run/vnetd",
					 .config = "/etc/vnetd",
					 .socket = VNETD_SOCKET,
					 .plugins = VNET_PLUGIN_DIR,
					 .exe = "/proc/self/exe" } };
	struct vnet_err err = VNET_ERR_INIT;
	struct manager *m = NULL;
	int r;

	argp_err_exit_status = 2; /* as vnetctl */
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	if (o.debug)
		log_set_level(7);
	if (o.worker) {
		_cleanup_close_ int lock = worker_lock_take(o.config.runtime);

		prctl(PR_SET_NAME, "vnetd-worker");

		return worker_main(WORKER_FD, o.config.root, o.config.runtime);
	}
	if (o.dump)
		return dump_config(&o);
	r = manager_new(&m, &o.config, &err);
	if (r == 0)
		r = manager_run(m, &err);
	if (r < 0)
		log_err(2, NULL, &err, "vnetd ends");
	manager_free(m);
	return r < 0 ? 1 : 0;
}
