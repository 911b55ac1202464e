/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which processes have queues of taps and macvtaps open, and how many vhost-net: what a
 * guest's NIC runs on, as far as it can be seen. In one pass over /proc for all of them.
 * Taps of other network namespaces are among them, as queue-holders.c says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/holders.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"

#define USERS_MAX 65536 /* of all processes together: those of the root alone have so many */

struct users {
	struct queue_user *at;
	size_t n, first; /* first: of the process that is looked at */
	unsigned vhost;	 /* that this has */
};

enum queue_node holders_queue_node(const char *target, int *ret_ifindex)
{
	static const char gone[] = " (deleted)";
	const char *base = strrchr(target, '/');
	char name[32];
	size_t len;

	if (!base || *target != '/')
		return QUEUE_NODE_OTHER;
	len = strlen(++base);
	if (len > strlen(gone) && !strcmp(base + len - strlen(gone), gone))
		len -= strlen(gone);
	if (len >= sizeof(name))
		return QUEUE_NODE_OTHER;
	memcpy(name, base, len);
	name[len] = '\0';
	if (!strcmp(name, "tun"))
		return QUEUE_NODE_TUN;
	if (!strcmp(name, "vhost-net"))
		return QUEUE_NODE_VHOST;
	*ret_ifindex = suffix_number(name, "tap");
	return *ret_ifindex > 0 ? QUEUE_NODE_MACVTAP : QUEUE_NODE_OTHER;
}

bool holders_fdinfo_name(const char *fdinfo, char ret[static IF_NAMESIZE])
{
	static const char key[] = "iff:";
	const char *p = fdinfo;
	size_t n;

	while (p && strncmp(p, key, strlen(key)) != 0) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return false;
	p += strlen(key);
	p += strspn(p, " \t");
	n = strcspn(p, "\n");
	if (!n || n >= IF_NAMESIZE) /* not set up yet */
		return false;
	memcpy(ret, p, n);
	ret[n] = '\0';
	return true;
}

static int add(struct users *u, const struct queue_user *q)
{
	struct queue_user *more;

	for (size_t i = u->first; i < u->n; i++) {
		if (u->at[i].ifindex == q->ifindex && !strcmp(u->at[i].name, q->name)) {
			u->at[i].queues++;
			return 0;
		}
	}
	if (u->n == USERS_MAX)
		return -E2BIG;
	more = reallocarray(u->at, u->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	u->at = more;
	u->at[u->n] = *q;
	u->at[u->n++].queues = 1;
	return 0;
}

static int add_fd(struct kernel *k, int pid, const char *fd, const char *target, struct users *u)
{
	struct queue_user q = { .pid = pid };
	char fdinfo[1024];

	switch (holders_queue_node(target, &q.ifindex)) {
	case QUEUE_NODE_VHOST:
		u->vhost++;
		return 0;
	case QUEUE_NODE_TUN:
		if (kernel_read(k, fdinfo, sizeof(fdinfo), "proc/%d/fdinfo/%s", pid, fd) <= 0 ||
		    !holders_fdinfo_name(fdinfo, q.name))
			return 0;
		break;
	case QUEUE_NODE_MACVTAP:
		break;
	default:
		return 0;
	}
	return add(u, &q);
}

static bool is_sibling(struct kernel *k, int pid)
{
	_cleanup_close_ int procfd = -1;
	char path[32];

	snprintf(path, sizeof(path), "proc/%d", pid);
	procfd = openat(k->rootfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return procfd < 0 || holders_is_sibling(procfd);
}

static int look_at(struct kernel *k, int pid, struct users *u)
{
	_cleanup_closedir_ DIR *dir = kernel_opendir(k, "proc/%d/fd", pid);
	const struct dirent *e;
	char target[256];
	int r = 0;

	u->first = u->n;
	u->vhost = 0;
	while (r == 0 && dir && (e = next_entry(dir))) {
		if (file_readlink_at(dirfd(dir), e->d_name, target, sizeof(target)) >= 0)
			r = add_fd(k, pid, e->d_name, target, u);
	}
	if (u->n > u->first && is_sibling(k, pid)) /* hands them on, or has just ended */
		u->n = u->first;
	for (size_t i = u->first; i < u->n; i++)
		u->at[i].vhost = u->vhost;
	return r;
}

/* Those of which only the node's number is known; what is not in our namespace, or has
 * gone meanwhile, stays without a name. */
static void name_them(struct kernel *k, struct users *u)
{
	for (size_t i = 0; i < u->n; i++) {
		struct vnet_err none = VNET_ERR_INIT;
		struct queue_user *q = &u->at[i];
		struct netdev d = { 0 };

		if (q->ifindex && k->ops->netdev_get(k, NULL, q->ifindex, &d, &none) == 0 &&
		    !strcmp(d.link.kind, "macvtap"))
			memcpy(q->name, d.link.name, sizeof(q->name));
	}
}

int holders_queue_users(struct kernel *k, struct queue_user **ret, size_t *ret_n,
			struct vnet_err *err)
{
	_cleanup_closedir_ DIR *dir = kernel_opendir(k, "proc");
	const struct dirent *e;
	struct users u = { 0 };
	int r = dir ? 0 : -errno;

	while (r == 0 && dir && (e = next_entry(dir))) {
		int pid = suffix_number(e->d_name, "");

		if (pid > 0 && pid != getpid() && pid != getppid())
			r = look_at(k, pid, &u);
	}
	if (r < 0) {
		free(u.at);
		return vnet_err_errno(err, r, "look in /proc for queues of taps");
	}
	name_them(k, &u);
	*ret = u.at;
	*ret_n = u.n;
	return 0;
}

static int users_json(struct kernel *k, json_t **ret, struct vnet_err *err)
{
	_cleanup_free_ struct queue_user *users = NULL;
	json_t *rows;
	size_t n = 0;
	int r = k->ops->queue_users(k, &users, &n, err);

	if (r < 0)
		return r;
	rows = json_array();
	for (size_t i = 0; i < n; i++) {
		if (!users[i].name[0])
			continue;
		json_array_append_new(rows, json_pack("{s:i,s:s,s:i,s:i}", "pid", (int)users[i].pid,
						      "interface", users[i].name, "queues",
						      (int)users[i].queues, "vhost",
						      (int)users[i].vhost));
	}
	*ret = rows;
	return 0;
}

/* The interface that it is a port of; "" none. */
static int master_of(struct kernel *k, const char *name, char ret[static IF_NAMESIZE],
		     struct vnet_err *err)
{
	struct netdev d = { 0 }, master = { 0 };
	int r = k->ops->netdev_get(k, name, 0, &d, err);

	ret[0] = '\0';
	if (r < 0 || !d.link.master)
		return r;
	r = k->ops->netdev_get(k, NULL, d.link.master, &master, err);
	if (r == 0)
		memcpy(ret, master.link.name, IF_NAMESIZE);
	return r == -ENODEV ? 0 : r; /* it went just now, and its port is none any more */
}

int host_queues_json(struct kernel *k, const json_t *names, json_t **ret, struct vnet_err *err)
{
	json_t *users = NULL, *masters = json_object();
	const json_t *name;
	size_t i;
	int r = users_json(k, &users, err);

	json_array_foreach (names, i, name) {
		char master[IF_NAMESIZE];
		int e = r < 0 ? r : master_of(k, json_string_value(name), master, err);

		if (e == 0)
			json_object_set_new(masters, json_string_value(name), json_string(master));
		else if (e != -ENODEV)
			r = e;
	}
	if (r < 0) {
		json_decref(users);
		json_decref(masters);
		return r;
	}
	*ret = json_pack("{s:o,s:o}", "users", users, "masters", masters);
	return 0;
}
