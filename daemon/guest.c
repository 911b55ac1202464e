/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was read of a guest, looked at: domain-xml.c reads it. */
#include <stdlib.h>
#include <string.h>

#include "daemon/domains.h"

void guest_done(struct guest *g)
{
	free(g->hostdevs);
	free(g->nics);
	free(g->config_nics);
	free(g->macs);
	memset(g, 0, sizeof(*g));
}

const struct guest_hostdev *guest_device(const struct guest *g, const char *nic_name,
					 enum domains_where where)
{
	const size_t prefix = strlen(VNETD_ALIAS_PREFIX);

	for (size_t i = 0; i < g->n_hostdevs; i++) {
		const struct guest_hostdev *h = &g->hostdevs[i];

		if ((where == IN_LIVE ? h->live : h->config) &&
		    strncmp(h->alias, VNETD_ALIAS_PREFIX, prefix) == 0 &&
		    strcmp(h->alias + prefix, nic_name) == 0)
			return h;
	}
	return NULL;
}

bool guest_has_nic(const struct guest *g, const char *nic_name)
{
	return guest_device(g, nic_name, IN_LIVE);
}

bool guest_config_has_nic(const struct guest *g, const char *nic_name)
{
	return guest_device(g, nic_name, IN_CONFIG);
}

const struct guest_nic *guest_config_nic(const struct guest *g, const char *nic_name)
{
	for (size_t i = 0; i < g->n_config_nics; i++) {
		if (strcmp(g->config_nics[i].name, nic_name) == 0)
			return guest_config_has_nic(g, nic_name) ? &g->config_nics[i] : NULL;
	}
	return NULL;
}
