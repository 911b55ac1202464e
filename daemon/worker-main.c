/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker's side: one request after the other, until the socket closes.
 *
 *	{id, op: "get", args: {knob, object}}		{value}
 *	{id, op: "set", args: {knob, object, value}}	{value}, as read back afterwards
 *	{id, op: "nics"}				host_nics_to_json()
 *	{id, op: "holders"}				host_holders_to_json()
 *	{id, op: "queues", args: {interfaces: [NAME]}}	{users: [{pid, interface, queues, vhost}],
 *							 masters: {NAME: NAME or ""}}
 *	{id, op: "free", args: {knob, object}}	{}, an error where somebody has it
 *	{id, op: "vfs", args: {pf}}			host_vfs_to_json() of that PF
 *	{id, op: "ovs"}					ovs_scan()
 *	{id, op: "mgmtdevs"}				host_mgmtdevs_to_json()
 *	{id, op: "open", args: {what}}			{fds: [role]} and the descriptors (host/open.h)
 *
 * The answer is {id, result} or {id, error: {code, name, knob, object, text}}, where
 * name is the number of enum vnet_err_name: both sides are the same binary.
 *
 * A worker that is left behind by a daemon which dies finishes its write: nothing
 * could stop it in the kernel anyway. Then it sees the socket closed, and ends.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "daemon/host/host.h"
#include "daemon/host/open.h"
#include "daemon/host/ovs-port.h"
#include "daemon/worker-error.h"
#include "daemon/worker.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/wire.h"

struct worker {
	const char *root, *runtime;
	struct kernel *kernel; /* opened by the first request */
	struct wire *wire;
};

typedef int (*op_fn)(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err);
/* One whose answer has descriptors. */
typedef int (*op_fds_fn)(struct worker *w, const json_t *args, json_t **ret,
			 struct vnet_fds *ret_fds, struct vnet_err *err);

static int find_knob(const json_t *args, const struct knob **ret,
		     char object[static KNOB_OBJECT_MAX], struct vnet_err *err)
{
	char name[32];
	int r = json_get_str(args, "knob", name, sizeof(name), err);

	if (r == 0)
		r = json_get_str(args, "object", object, KNOB_OBJECT_MAX, err);
	if (r < 0)
		return r;
	*ret = knob_find(name);
	if (!*ret)
		return vnet_err_set(err, -ENOENT, VNET_E_INVALID, "there is no knob %s", name);
	return 0;
}

static int read_knob(struct worker *w, const struct knob *knob, const char *object, json_t **ret,
		     struct vnet_err *err)
{
	char value[KNOB_VALUE_MAX];
	int r = knob->get(w->kernel, object, value, err);

	if (r < 0) {
		vnet_err_at(err, knob->name, object);
		return r;
	}
	*ret = json_pack("{s:s}", "value", value);
	return *ret ? 0 : vnet_err_errno(err, -ENOMEM, "answer");
}

static int op_get(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	char object[KNOB_OBJECT_MAX];
	const struct knob *knob = NULL;
	int r = find_knob(args, &knob, object, err);

	return r < 0 ? r : read_knob(w, knob, object, ret, err);
}

static int op_set(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	char object[KNOB_OBJECT_MAX], value[KNOB_VALUE_MAX];
	const struct knob *knob = NULL;
	int r = find_knob(args, &knob, object, err);

	if (r == 0)
		r = json_get_str(args, "value", value, sizeof(value), err);
	if (r < 0)
		return r;
	r = knob->set(w->kernel, object, value, err);
	if (r < 0) {
		vnet_err_at(err, knob->name, object);
		return r;
	}
	return read_knob(w, knob, object, ret, err);
}

static int op_free(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	char object[KNOB_OBJECT_MAX];
	const struct knob *knob = NULL;
	int r = find_knob(args, &knob, object, err);

	if (r == 0 && knob->check_free)
		r = knob->check_free(w->kernel, object, err);
	if (r == 0)
		*ret = json_object();
	return r;
}

static int op_nics(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = host_scan_nics(w->kernel, &s, err);

	(void)args;
	if (r == 0)
		*ret = host_nics_to_json(&s);
	host_scan_done(&s);
	return r;
}

static int op_holders(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = host_scan_holders(w->kernel, &s, err);

	(void)args;
	if (r == 0)
		*ret = host_holders_to_json(&s);
	host_scan_done(&s);
	return r;
}

static int op_queues(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	const json_t *names = json_object_get(args, "interfaces"), *name;
	size_t i;

	json_array_foreach (names, i, name) {
		if (!json_is_string(name) || !is_ifname(json_string_value(name)))
			return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
					    "interfaces: not all are names");
	}
	return host_queues_json(w->kernel, names, ret, err);
}

static int op_vfs(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	char text[PCI_ADDR_STR];
	struct pci_addr pf;
	int r = json_get_str(args, "pf", text, sizeof(text), err);

	if (r < 0)
		return r;
	if (pci_addr_parse(text, &pf) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%s' is no PCI address", text);
	r = host_scan_vfs(w->kernel, &pf, &s, err);
	if (r == 0)
		*ret = host_vfs_to_json(&s);
	host_scan_done(&s);
	return r;
}

static int op_ovs(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	(void)args;
	return ovs_scan(w->kernel, ret, err);
}

static int op_mgmtdevs(struct worker *w, const json_t *args, json_t **ret, struct vnet_err *err)
{
	struct host_scan s = { 0 };
	int r = host_scan_mgmtdevs(w->kernel, &s, err);

	(void)args;
	if (r == 0)
		*ret = host_mgmtdevs_to_json(&s);
	host_scan_done(&s);
	return r;
}

static int op_open(struct worker *w, const json_t *args, json_t **ret, struct vnet_fds *ret_fds,
		   struct vnet_err *err)
{
	return host_open(w->kernel, args, ret, ret_fds, err);
}

static const struct {
	const char *name;
	op_fn fn;
	op_fds_fn fds_fn; /* instead */
} ops[] = {
	{ "get", op_get, NULL },       { "set", op_set, NULL },		  { "nics", op_nics, NULL },
	{ "vfs", op_vfs, NULL },       { "holders", op_holders, NULL },	  { "free", op_free, NULL },
	{ "ovs", op_ovs, NULL },       { "mgmtdevs", op_mgmtdevs, NULL }, { "open", NULL, op_open },
	{ "queues", op_queues, NULL },
};

static int run(struct worker *w, const json_t *msg, json_t **ret, struct vnet_fds *ret_fds,
	       struct vnet_err *err)
{
	const json_t *args = json_object_get(msg, "args");
	char op[16];
	int r = json_get_str(msg, "op", op, sizeof(op), err);

	if (r == 0 && !w->kernel)
		r = kernel_open(&w->kernel, w->root, err);
	if (r == 0 && !w->kernel->runtime)
		r = kernel_set_runtime(w->kernel, w->runtime, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i].name, op) != 0)
			continue;
		r = ops[i].fn ? ops[i].fn(w, args, ret, err)
			      : ops[i].fds_fn(w, args, ret, ret_fds, err);
		return r == 0 && !*ret ? vnet_err_errno(err, -ENOMEM, "answer") : r;
	}
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "a worker can't do '%s'", op);
}

static int flush(struct worker *w, struct vnet_err *err)
{
	struct pollfd p = { .fd = wire_fd(w->wire), .events = POLLOUT };
	int r;

	while ((r = wire_flush(w->wire, err)) > 0) {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return vnet_err_errno(err, -errno, "answer");
	}
	return r;
}

static int answer(struct worker *w, const json_t *msg, struct vnet_err *err)
{
	_cleanup_json_ json_t *reply = json_object();
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err why = VNET_ERR_INIT;
	json_t *result = NULL;
	int r;

	json_object_set(reply, "id", json_object_get(msg, "id"));
	if (run(w, msg, &result, &fds, &why) < 0) {
		vnet_fds_done(&fds);
		json_put(reply, "error", worker_error_to_json(&why));
	} else {
		json_put(reply, "result", result);
	}
	r = wire_queue(w->wire, reply, &fds, err);
	return r < 0 ? r : flush(w, err);
}

static int serve(struct worker *w, struct vnet_err *err)
{
	struct pollfd p = { .fd = wire_fd(w->wire), .events = POLLIN };

	for (;;) {
		_cleanup_json_ json_t *msg = NULL;
		_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
		int r = wire_receive(w->wire, &msg, &fds, err);

		if (r > 0)
			r = answer(w, msg, err);
		else if (r == 0 && poll(&p, 1, -1) < 0 && errno != EINTR)
			r = vnet_err_errno(err, -errno, "wait for requests");
		if (r < 0)
			return r;
	}
}

int worker_main(int fd, const char *root, const char *runtime)
{
	struct worker w = { .root = root, .runtime = runtime };
	struct vnet_err err = VNET_ERR_INIT;
	int r = wire_new(&w.wire, fd, WIRE_MESSAGE_MAX, 0, &err);

	if (r == 0)
		r = serve(&w, &err);
	wire_free(w.wire);
	kernel_close(w.kernel);
	if (r == -EPIPE) /* the daemon has no more use for us */
		return EXIT_SUCCESS;
	log_err(LOG_WARNING, NULL, &err, "worker ends");
	return EXIT_FAILURE;
}
