/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOOK_PRIV_H
#define VNETD_HOOK_PRIV_H
/* What hook.c (guests), hook-network.c and network-xml.c share. Nobody else includes it. */
#include <stdbool.h>

#include "daemon/attachment.h"
#include "daemon/hook.h"

/* A network that libvirt starts, or gives a port of. */
struct network_call {
	char name[GUEST_NAME_MAX];
	bool ours; /* it has our metadata */
	char pool[POOL_NAME_MAX];
	struct pci_addr vf; /* of the port, where it is one of SR-IOV */
};

int network_xml_parse(const char *xml, struct network_call *ret, struct vnet_err *err);

/* hook-network.c: start and port-created. */
void hook_network_run(struct manager *m, const struct hook_call *c, reply_fn reply, void *user);
void hook_networks_free(struct attachments *as);
#endif
