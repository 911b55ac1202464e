/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "daemon/attach.h"
#include "daemon/exec.h"
#include "daemon/hook.h"
#include "daemon/inventory.h"
#include "daemon/methods.h"
#include "daemon/plugin.h"
#include "daemon/pool.h"
#include "daemon/reload.h"
#include "lib/json.h"
#include "lib/log.h"

static const char *const no_fields[] = { NULL };
static const char *const show_fields[] = { "guest", "name", NULL };
static const char *const request_fields[] = { "guest", "name",	"modes",   "pool",     "mac",
					      "vlan",  "scope", "options", "fallback", NULL };
static const char *const detach_fields[] = { "guest", "name", "scope", "qmp", NULL };
static const char *const attach_fields[] = { "guest", "name",	 "modes",    "pool", "mac", "vlan",
					     "scope", "options", "fallback", "qmp",  NULL };
static const char *const exec_fields[] = { "guest", "name",    "modes",	   "pool",	   "mac",
					   "vlan",  "options", "fallback", "sharedMemory", NULL };
static const char *const hook_fields[] = { "object", "operation", "subOperation",
					   "extra",  "xml",	  NULL };
static const char *const bind_fields[] = { "address", "driver", NULL };
static const char *const interface_fields[] = { "interface", NULL };

static const struct method methods[] = {
	{ "io.vnetd.Attach", ACCESS_CHANGE, attach_fields, .fds_max = 1, .request = attach_run,
	  .owned = exec_attach_qmp },
	{ "io.vnetd.Exec", ACCESS_CHANGE, exec_fields, .owned = exec_run },
	{ "io.vnetd.Detach", ACCESS_CHANGE, detach_fields, .fds_max = 1, .target = detach_run,
	  .owned = exec_detach_qmp },
	{ "io.vnetd.List", ACCESS_LOOK, no_fields, .plain = list_run },
	{ "io.vnetd.ListGuests", ACCESS_LOOK, no_fields, .plain = guests_run },
	{ "io.vnetd.Show", ACCESS_LOOK, show_fields, true, .target = show_run },
	{ "io.vnetd.Bind", ACCESS_CHANGE, bind_fields, .bind = bind_run },
	{ "io.vnetd.ListBinds", ACCESS_LOOK, no_fields, .plain = binds_run },
	{ "io.vnetd.Inventory", ACCESS_LOOK, no_fields, .plain = inventory_run },
	{ "io.vnetd.Why", ACCESS_LOOK, request_fields, .request = why_run },
	{ "io.vnetd.Plan", ACCESS_LOOK, request_fields, .request = plan_run },
	{ "io.vnetd.ListPools", ACCESS_LOOK, no_fields, .plain = pools_run },
	{ "io.vnetd.Reload", ACCESS_CHANGE, no_fields, .plain = reload_run },
	{ "io.vnetd.ListModes", ACCESS_LOOK, no_fields, .plain = modes_run },
	{ "io.vnetd.Hook", ACCESS_ROOT, hook_fields, .hook = hook_run },
	{ "org.varlink.service.GetInfo", ACCESS_LOOK, no_fields, .service = varlink_get_info },
	{ "org.varlink.service.GetInterfaceDescription", ACCESS_LOOK, interface_fields,
	  .service = varlink_get_interface_description },
};

const struct method *methods_at(size_t i)
{
	return i < ARRAY_SIZE(methods) ? &methods[i] : NULL;
}

static const struct method *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	}
	return NULL;
}

/* Is it the interface that is not known, or its method? */
static void refuse_unknown(struct call *c)
{
	const char *method = call_method(c), *dot = strrchr(method, '.');
	char interface[64] = "";

	if (dot && (size_t)(dot - method) < sizeof(interface))
		memcpy(interface, method, (size_t)(dot - method));
	if (varlink_interface_text(interface) || !dot)
		call_varlink_error(c, VARLINK_SERVICE ".MethodNotFound", "method", method);
	else
		call_varlink_error(c, VARLINK_SERVICE ".InterfaceNotFound", "interface", interface);
}

static const char *unknown_field(const struct method *method, const json_t *parameters)
{
	const char *key;
	json_t *value;

	/* The macro wants a non-const object to iterate; nothing is changed. */
	json_object_foreach ((json_t *)parameters, key, value) {
		const char *const *f = method->fields;

		while (*f && strcmp(*f, key) != 0)
			f++;
		if (!*f)
			return key;
	}
	return NULL;
}

/* Who had the host changed is worth a line of the log. */
static void note(const struct method *method, const struct call *c, const char *guest)
{
	const struct peer *peer = call_peer(c);

	if (method->access == ACCESS_CHANGE)
		log_info(guest, "%s%s%s, asked for by uid %u (pid %d)", method->name,
			 guest ? " " : "", guest ? guest : "", (unsigned)peer->uid, (int)peer->pid);
}

/* Is the call about a QEMU whose QMP socket came with it? -EINVAL with err. */
static int is_qmp(const struct method *method, struct call *c, bool *ret, struct vnet_err *err)
{
	bool qmp = false;
	int r = json_get_bool_opt(call_parameters(c), "qmp", &qmp, err);

	if (r == 0 && !qmp && call_fds(c)->n > 0)
		r = vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				 "%s: a descriptor came with the call, and qmp is not true",
				 method->name);
	*ret = qmp;
	return r;
}

static void run_request(struct manager *m, const struct method *method, struct call *c)
{
	_cleanup_json_ json_t *wish = json_copy((json_t *)call_parameters(c));
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_request request = { 0 };
	bool qmp = false;
	int r = is_qmp(method, c, &qmp, &err);

	json_object_del(wish, "qmp"); /* how, not what; and whose guest it is */
	json_object_del(wish, "sharedMemory");
	if (r == 0)
		r = model_request_from_json(wish, &request, &err);
	if (r < 0) {
		call_error(c, &err, NULL);
		return;
	}
	note(method, c, request.guest);
	if (qmp || !method->request)
		method->owned(m, &request, c);
	else
		method->request(m, &request, call_done, c);
}

static void run_target(struct manager *m, const struct method *method, struct call *c)
{
	const json_t *parameters = call_parameters(c);
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_request q = { 0 };
	bool given = json_is_string(json_object_get(parameters, "name")), qmp = false;
	int r;

	r = json_get_str(parameters, "guest", q.guest, sizeof(q.guest), &err);
	if (r == 0)
		r = model_check_guest_name(q.guest, &err);
	if (r == 0)
		r = method->name_required
			    ? json_get_str(parameters, "name", q.name, sizeof(q.name), &err)
			    : json_get_str_opt(parameters, "name", q.name, sizeof(q.name), &err);
	/* Given but empty is the unset variable of a script, not a wish for the only one. */
	if (r == 0 && given)
		r = model_check_nic_name(q.name, &err);
	if (r == 0)
		r = model_scope_from_json(parameters, &q.scope, &err);
	if (r == 0)
		r = is_qmp(method, c, &qmp, &err);
	if (r < 0) {
		call_error(c, &err, NULL);
		return;
	}
	note(method, c, q.guest);
	if (qmp)
		method->owned(m, &q, c);
	else
		method->target(m, &q, call_done, c);
}

static bool is_string_or_absent(const json_t *parameters, const char *field)
{
	const json_t *v = json_object_get(parameters, field);

	return !v || json_is_null(v) || json_is_string(v);
}

static void run_hook(struct manager *m, const struct method *method, struct call *c)
{
	const json_t *parameters = call_parameters(c);
	struct hook_call h = {
		.object = json_string_value(json_object_get(parameters, "object")),
		.operation = json_string_value(json_object_get(parameters, "operation")),
		.xml = json_string_value(json_object_get(parameters, "xml")),
	};
	struct vnet_err err = VNET_ERR_INIT;

	if (is_string_or_absent(parameters, "subOperation") &&
	    is_string_or_absent(parameters, "extra") && h.object && h.operation && h.xml) {
		method->hook(m, &h, call_done, c);
		return;
	}
	vnet_err_set(&err, -EINVAL, VNET_E_INVALID,
		     "a hook's call needs object, operation and xml, and may have subOperation "
		     "and extra, each a string");
	call_error(c, &err, NULL);
}

/* A driver's name is one component of a path. */
static bool is_driver_name(const char *s)
{
	return *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(s);
}

static void run_bind(struct manager *m, const struct method *method, struct call *c)
{
	const json_t *parameters = call_parameters(c);
	struct vnet_err err = VNET_ERR_INIT;
	struct bind_request q = { 0 };
	char addr[64];
	int r;

	r = json_get_str(parameters, "address", addr, sizeof(addr), &err);
	if (r == 0 && pci_addr_parse(addr, &q.addr) < 0)
		r = vnet_err_set(&err, -EINVAL, VNET_E_INVALID,
				 "address: '%s' is no PCI address like 0000:65:00.0", addr);
	if (r == 0)
		r = json_get_str(parameters, "driver", q.driver, sizeof(q.driver), &err);
	if (r == 0 && !is_driver_name(q.driver))
		r = vnet_err_set(&err, -EINVAL, VNET_E_INVALID,
				 "driver: '%s' is no name of a driver", q.driver);
	if (r < 0) {
		call_error(c, &err, NULL);
		return;
	}
	note(method, c, addr);
	method->bind(m, &q, call_done, c);
}

static void run_plain(struct manager *m, const struct method *method, struct call *c)
{
	note(method, c, NULL);
	method->plain(m, call_done, c);
}

void methods_dispatch(struct manager *m, struct call *c)
{
	const struct method *method = find(call_method(c));
	struct vnet_err err = VNET_ERR_INIT;
	const char *bad;

	if (!method) {
		refuse_unknown(c);
		return;
	}
	if (policy_check(call_peer(c), method->access, method->name, &err) < 0) {
		/* Not louder: anybody may make it happen, as often as they like. */
		log_err(LOG_DEBUG, NULL, &err, "refused");
		call_error(c, &err, NULL);
		return;
	}
	if (call_fds(c)->n > method->fds_max) {
		vnet_err_set(&err, -E2BIG, VNET_E_INVALID,
			     "%s: %zu descriptors came with the call, at most %zu may",
			     method->name, call_fds(c)->n, method->fds_max);
		call_error(c, &err, NULL);
		return;
	}
	bad = unknown_field(method, call_parameters(c));
	if (bad)
		call_varlink_error(c, VARLINK_SERVICE ".InvalidParameter", "parameter", bad);
	else if (method->target)
		run_target(m, method, c);
	else if (method->request || method->owned)
		run_request(m, method, c);
	else if (method->hook)
		run_hook(m, method, c);
	else if (method->bind)
		run_bind(m, method, c);
	else if (method->plain)
		run_plain(m, method, c);
	else
		method->service(c);
}
