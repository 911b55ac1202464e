/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mode vhost-user: a NIC that another process serves (a DPDK switch, VPP), met at a socket
 * and reading the guest's memory. Nothing of the host is set: QEMU opens the socket.
 */
#include "kit-ask.h"

#include <errno.h>
#include <string.h>

#define SCORE 50
#define QUEUES_MAX 256
#define PATH_LEN_MAX 107 /* of a socket's address */

static const char *const roles[] = { "client", "server", NULL };

struct user_ask {
	struct ask a;
	char socket[KIT_VALUE_MAX];
	const char *role;
};

static int climbs(const char *path)
{
	for (const char *s = path; (s = strstr(s, "/..")); s += 3) {
		if (s[3] == '/' || !s[3])
			return 1;
	}
	return 0;
}

static void user_read(struct user_ask *u, const struct vnet_plugin_host *host,
		      const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request)
{
	ask_begin(&u->a, host, nic, request);
	ask_text(&u->a, "socket", u->socket);
	if (!u->socket[0])
		ask_wrong(&u->a, "mode vhost-user needs to know the socket of the process that "
				 "serves it: socket=/PATH");
	else if (u->socket[0] != '/' || climbs(u->socket) || strlen(u->socket) > PATH_LEN_MAX)
		ask_wrong(&u->a,
			  "socket=%s is not possible: an absolute path without .. is, of %d "
			  "characters at most",
			  u->socket, PATH_LEN_MAX);
	u->role = ask_word(&u->a, "role", roles);
	ask_queues(&u->a, QUEUES_MAX, 1);
	ask_mtu(&u->a);
}

static int user_probe(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		      const struct vnet_plugin_request *request, struct vnet_plugin_verdict *ret)
{
	struct user_ask u;

	user_read(&u, host, nic, request);
	if (u.a.vlan)
		ask_wrong(&u.a,
			  "vlan %s: what serves %s decides about VLANs, vnetd cannot: set it "
			  "there",
			  request->vlan, u.socket);
	if (nic->guest_shared == 0 && nic->guest_process)
		ask_wrong(
			&u.a,
			"guest %s's memory cannot be shared: start QEMU with -object "
			"memory-backend-memfd,id=ram,share=on,size=SIZE (that of -m) and -machine "
			"memory-backend=ram",
			request->guest);
	else if (nic->guest_shared == 0)
		ask_wrong(&u.a,
			  "guest %s's memory cannot be shared: add <memoryBacking><source "
			  "type='memfd'/><access mode='shared'/></memoryBacking> (virsh edit) and "
			  "restart it",
			  request->guest);
	if (ask_refused(&u.a, ret))
		return 0;
	host->verdict(ret, SCORE, "QEMU %s %s (%d queue%s)%s",
		      strcmp(u.role, "client") == 0 ? "connects to" : "listens at", u.socket,
		      u.a.queues, u.a.queues == 1 ? "" : "s",
		      nic->guest_shared < 0 ? "; the guest's memory has to be shared" : "");
	return 0;
}

static int user_plan(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		     const struct vnet_plugin_request *request, struct vnet_plugin_plan *ret)
{
	struct user_ask u;

	(void)ret; /* there is nothing to set */
	user_read(&u, host, nic, request);
	return u.a.wrong[0] ? -EINVAL : 0;
}

static int user_deliver(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
			const struct vnet_plugin_request *request, struct vnet_plugin_delivery *ret)
{
	char how[KIT_TEXT_MAX] = "";
	struct user_ask u;

	user_read(&u, host, nic, request);
	if (u.a.wrong[0])
		return -EINVAL;
	kit_add(how, "model=virtio queues=%d role=%s", u.a.queues, u.role);
	if (u.a.mtu)
		kit_add(how, " mtu=%d", u.a.mtu);
	return host->deliver(ret, VNET_DELIVERY_SOCKET, u.socket, how);
}

/* QEMU opens the socket by itself. */
static int user_fds(const struct vnet_plugin_host *host, const struct vnet_plugin_nic *nic,
		    const struct vnet_plugin_request *request, struct vnet_plugin_fds *ret)
{
	(void)host;
	(void)nic;
	(void)request;
	(void)ret;
	return 0;
}

static const struct vnet_plugin_option options[] = {
	{ "mtu", "68 to 65535", "what the guest is told" },
	{ "queues", "1 to 256 or auto", "queue pairs, up to one a vCPU; default 1" },
	{ "role", "client or server", "what QEMU is at the socket; default client" },
	{ "socket", "/PATH", "where the process that serves it is met; required" },
	{ NULL, NULL, NULL },
};

VNET_PLUGIN(.name = "vhost-user", .summary = "NIC served by another process, met at a socket",
	    .candidates = VNET_CANDIDATE_REQUEST, .probe = user_probe, .plan = user_plan,
	    .deliver = user_deliver, .options = options, .fds = user_fds);
