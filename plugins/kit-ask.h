/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_KIT_ASK_H
#define VNET_KIT_ASK_H
/*
 * What a request says to a mode, read and checked in one place, so that probe, plan,
 * deliver and fds cannot take it differently. Only the first thing wrong is kept: probe
 * tells it, the others never meet it.
 *
 * The kit is linked into each of vnetd's own modes that names it. It is no part of the
 * ABI, and knows of vnetd what any plugin knows: vnet-plugin.h.
 */
#include "vnet-plugin.h"

#define KIT_VALUE_MAX 108 /* of an option */
#define KIT_TEXT_MAX 384

struct ask {
	const struct vnet_plugin_host *host;
	const struct vnet_plugin_nic *nic;
	const struct vnet_plugin_request *request;
	int vlan;      /* 0 none */
	int vlan_more; /* with QoS, or as 802.1ad */
	int queues;    /* pairs; 0 none asked */
	int mtu;       /* 0 none asked */
	char wrong[KIT_TEXT_MAX];
};

/* Its VLAN; the options are read by those below, each mode its own. */
void ask_begin(struct ask *a, const struct vnet_plugin_host *host,
	       const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request);
/* "queues": 1 to @max, or auto: a queue a vCPU, up to 8. @otherwise where it is not asked. */
void ask_queues(struct ask *a, int max, int otherwise);
/* "mtu", not above that of the uplink's interface. */
void ask_mtu(struct ask *a);
/* One of the words of @list, the first where it is not asked; NULL ends the list. */
const char *ask_word(struct ask *a, const char *name, const char *const *list);
/* The option as it is; "" where it is not asked. */
void ask_text(struct ask *a, const char *name, char ret[KIT_VALUE_MAX]);

__attribute__((format(printf, 2, 3))) void ask_wrong(struct ask *a, const char *fmt, ...);
/* 1: something is wrong, and the verdict says what. */
int ask_refused(const struct ask *a, struct vnet_plugin_verdict *ret);

/* Append to a text of KIT_TEXT_MAX; what does not fit is cut. */
__attribute__((format(printf, 2, 3))) void kit_add(char text[KIT_TEXT_MAX], const char *fmt, ...);
#endif
