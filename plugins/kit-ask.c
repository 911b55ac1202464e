/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kit-ask.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTO_QUEUES_MAX 8 /* more cost memory and descriptors, and rarely give more */
#define MTU_MIN 68	  /* IPv4's own least */
#define MTU_MAX 65535

void kit_add(char text[KIT_TEXT_MAX], const char *fmt, ...)
{
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, KIT_TEXT_MAX - n, fmt, ap);
	va_end(ap);
}

void ask_wrong(struct ask *a, const char *fmt, ...)
{
	va_list ap;

	if (a->wrong[0])
		return;
	va_start(ap, fmt);
	vsnprintf(a->wrong, sizeof(a->wrong), fmt, ap);
	va_end(ap);
}

int ask_refused(const struct ask *a, struct vnet_plugin_verdict *ret)
{
	if (a->wrong[0])
		a->host->verdict(ret, 0, "%s", a->wrong);
	return a->wrong[0] != '\0';
}

void ask_begin(struct ask *a, const struct vnet_plugin_host *host,
	       const struct vnet_plugin_nic *nic, const struct vnet_plugin_request *request)
{
	memset(a, 0, sizeof(*a));
	a->host = host;
	a->nic = nic;
	a->request = request;
	a->vlan = (int)strtol(request->vlan, NULL, 10);
	a->vlan_more = strchr(request->vlan, ' ') != NULL;
}

void ask_text(struct ask *a, const char *name, char ret[KIT_VALUE_MAX])
{
	if (a->host->option(a->request, name, ret, KIT_VALUE_MAX) < 0)
		ret[0] = '\0';
}

/* -1: it is no number, or none of these. */
static int number(const char *text, int min, int max)
{
	char *end;
	long v = strtol(text, &end, 10);

	return text[0] < '0' || text[0] > '9' || *end || v < min || v > max ? -1 : (int)v;
}

void ask_queues(struct ask *a, int max, int otherwise)
{
	int vcpus = a->nic->guest_vcpus;
	char text[KIT_VALUE_MAX];

	ask_text(a, "queues", text);
	a->queues = otherwise;
	if (strcmp(text, "auto") == 0) {
		a->queues = vcpus < 1 ? 1 : vcpus < AUTO_QUEUES_MAX ? vcpus : AUTO_QUEUES_MAX;
		a->queues = a->queues < max ? a->queues : max;
	} else if (text[0]) {
		a->queues = number(text, 1, max);
		if (a->queues < 0)
			ask_wrong(a, "queues=%s is not possible on %s: 1 to %d are, or auto", text,
				  a->nic->uplink[0] ? a->nic->uplink : "it", max);
		else if (vcpus > 0 && a->queues > vcpus)
			ask_wrong(a,
				  "queues=%d: guest %s has %d vCPU%s, and a queue more than those "
				  "stays idle: ask for %d at most",
				  a->queues, a->request->guest, vcpus, vcpus == 1 ? "" : "s",
				  vcpus);
	}
}

void ask_mtu(struct ask *a)
{
	const struct vnet_plugin_nic *nic = a->nic;
	char text[KIT_VALUE_MAX];

	ask_text(a, "mtu", text);
	if (!text[0])
		return;
	a->mtu = number(text, MTU_MIN, MTU_MAX);
	if (a->mtu < 0)
		ask_wrong(a, "mtu=%s is not possible: %d to %d are", text, MTU_MIN, MTU_MAX);
	else if (nic->link_mtu > 0 && a->mtu > nic->link_mtu)
		ask_wrong(a,
			  "mtu=%d: %s takes no more than %d, so larger packets would be lost: ask "
			  "for less, or raise its MTU",
			  a->mtu, nic->link, nic->link_mtu);
}

const char *ask_word(struct ask *a, const char *name, const char *const *list)
{
	char text[KIT_VALUE_MAX], words[KIT_TEXT_MAX] = "";

	ask_text(a, name, text);
	if (!text[0])
		return list[0];
	for (size_t i = 0; list[i]; i++) {
		if (strcmp(text, list[i]) == 0)
			return list[i];
		kit_add(words, "%s%s", i ? ", " : "", list[i]);
	}
	ask_wrong(a, "%s=%s is not possible: %s are", name, text, words);
	return list[0];
}
