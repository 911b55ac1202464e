/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole NIC that a guest had is the host's again. What the host then has of it, nobody
 * else says: its driver makes a new interface, which NetworkManager or networkd configures
 * by its name. So that name is told, once udev has given it.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/attachment.h"
#include "lib/log.h"

#define LOOKS 4 /* in all; in a host without udev's names it stays the kernel's */
#define LOOK_MSEC 250

static const struct nic *nic_of(const struct attachment *a)
{
	return host_scan_nic(inventory_scan(a->owner->m->inventory), &a->v.pf);
}

/* No interface yet, or one that has the kernel's name still. */
static bool may_come(const struct nic *nic, const struct link *link)
{
	if (!nic || !nic->driver[0] || strncmp(nic->driver, "vfio", 4) == 0)
		return false;
	return !link || (strncmp(link->name, "eth", 3) == 0 &&
			 strspn(link->name + 3, "0123456789") == strlen(link->name + 3));
}

static void tell(struct attachment *a, const struct nic *nic, const struct link *link)
{
	char addr[PCI_ADDR_STR], id[ATTACHMENT_ID_MAX];

	pci_addr_str(&a->v.pf, addr);
	if (!nic)
		snprintf(a->came_back, sizeof(a->came_back), "%s is not there any more", addr);
	else if (!nic->driver[0])
		snprintf(a->came_back, sizeof(a->came_back), "%s has no driver", addr);
	else if (!link)
		snprintf(a->came_back, sizeof(a->came_back),
			 "%s is on driver %s, and has no interface", addr, nic->driver);
	else
		snprintf(a->came_back, sizeof(a->came_back),
			 "%s is on driver %s again, with interface %s", addr, nic->driver,
			 link->name);
	log_info(attachment_id(a, id), "%s: %s", id, a->came_back);
}

static int on_again(sd_event_source *s, uint64_t usec, void *user);

static void on_looked(void *user, int r, struct vnet_err *err)
{
	struct attachment *a = user;
	const struct nic *nic = r < 0 ? NULL : nic_of(a);
	const struct link *link =
		nic ? host_scan_nic_link(inventory_scan(a->owner->m->inventory), nic) : NULL;
	char id[ATTACHMENT_ID_MAX];

	if (r < 0) {
		log_err(4, attachment_id(a, id), err, "%s: what came back is not known", id);
	} else if (may_come(nic, link) && ++a->came_back_looks < LOOKS) {
		attachment_timer(a, LOOK_MSEC, on_again);
		return;
	} else {
		tell(a, nic, link);
	}
	a->came_back_done(a);
}

static int on_again(sd_event_source *s, uint64_t usec, void *user)
{
	struct attachment *a = user;

	(void)s;
	(void)usec;
	attachment_timer(a, 0, NULL);
	inventory_refresh(a->owner->m->inventory, on_looked, a);
	return 0;
}

void came_back_look(struct attachment *a, void (*done)(struct attachment *a))
{
	a->came_back_done = done;
	a->came_back_looks = 0;
	inventory_refresh(a->owner->m->inventory, on_looked, a);
}
