/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong with the host as it is now: left over from something that is no
 * more, or not coming back from the kernel. Shown, never put right by itself.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/state-file.h"
#include "lib/json.h"

static void add_stale(json_t *a, const char *kind, const char *object, const char *text)
{
	json_t *j = json_object();

	json_put_str(j, "kind", kind);
	json_put_str(j, "object", object);
	json_put_str(j, "text", text);
	json_array_append_new(a, j);
}

/* Nobody holds the VF, yet it is not as a driver or vnetd leaves it: by address, one
 * line a VF. */
static void add_vfs(json_t *a, const struct manager *m)
{
	const struct host_scan *s = inventory_scan(m->inventory);

	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *n = &s->nics[i];
		char text[REASON_MAX], addr[PCI_ADDR_STR];
		struct held held;

		if (n->kind != NIC_VF || !n->network || inventory_holder(m, n, &held))
			continue;
		pci_addr_str(&n->addr, addr);
		if (n->vfio_dev >= 0) {
			snprintf(text, sizeof(text), "bound to %s, and nobody holds it", n->driver);
			add_stale(a, "vfio-unheld", addr, text);
		} else if (!n->driver[0] && n->driver_override[0]) {
			snprintf(text, sizeof(text), "driver_override %s is left on it, unbound",
				 n->driver_override);
			add_stale(a, "driver-override", addr, text);
		}
	}
}

static int is_aside(const struct dirent *d)
{
	return state_is_aside(d->d_name);
}

/* State and journals that said nothing sensible: what they knew is not undone. */
static void add_files(json_t *a, const struct manager *m, const char *dir)
{
	struct dirent **list = NULL;
	int n = scandirat(m->runtime_fd, dir, &list, is_aside, alphasort);

	for (int i = 0; i < n; i++) {
		char object[512];

		snprintf(object, sizeof(object), "%s/%s", dir, list[i]->d_name);
		add_stale(a, "unreadable-file", object,
			  "kept aside at a start: what it knew is not undone");
		free(list[i]);
	}
	free(list);
}

json_t *inventory_stale_json(const struct manager *m)
{
	static const char *const folders[] = { "attachments", "bind",  "bind/journal",
					       "journal",     "pools", "pools/journal" };
	json_t *a = json_array();

	/* in the order of the objects: addresses begin with a digit */
	add_vfs(a, m);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		add_files(a, m, folders[i]);
	return a;
}

static void add_stuck(json_t *a, const struct manager *m, const char *lane)
{
	const char *text = m->workers ? workers_stuck(m->workers, lane) : NULL;
	json_t *j;

	if (!text)
		return;
	j = json_object();
	json_put_str(j, "object", lane);
	json_put_str(j, "text", text);
	json_array_append_new(a, j);
}

json_t *inventory_stuck_json(const struct manager *m)
{
	const struct host_scan *s = inventory_scan(m->inventory);
	json_t *a = json_array();
	char lane[PCI_ADDR_STR];

	for (size_t i = 0; i < s->n_nics; i++) {
		if (s->nics[i].kind == NIC_PF)
			add_stuck(a, m, pci_addr_str(&s->nics[i].addr, lane));
	}
	add_stuck(a, m, "host");
	add_stuck(a, m, "scan");
	add_stuck(a, m, "vdpa");
	return a;
}
