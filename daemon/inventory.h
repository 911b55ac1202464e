/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_INVENTORY_H
#define VNETD_INVENTORY_H
/*
 * What NICs there are: keeps the last scan of the host (asked from workers, kept
 * fresh by the monitor's hints) and tells it as JSON (inventory-json.c), the
 * contract docs/inventory.schema.json.
 */
#include <stdbool.h>

#include "daemon/host/nic.h"
#include "daemon/reply.h"
#include "lib/err.h"
#include "lib/model.h"

struct manager;
struct inventory;

int inventory_new(struct inventory **ret, struct manager *m, struct vnet_err *err);
struct inventory *inventory_free(struct inventory *inv);

typedef void (*inventory_done_fn)(void *user, int r, struct vnet_err *err);
/* Make the scan fresh: functions, holders and links are asked again, and the VF
 * attributes of every PF with VFs; then @done. Requests made while one runs are
 * answered by the next. A PF whose worker is stuck keeps its old attributes and is
 * marked. -ETIMEDOUT when the host itself could not be scanned. */
void inventory_refresh(struct inventory *inv, inventory_done_fn done, void *user);
void inventory_forget(struct inventory *inv, void *user); /* user's done won't be called */
/* The monitor's hint: what is known may be old. */
void inventory_changed(struct inventory *inv);
/* The last scan; empty before the first refresh. Valid until the loop runs again. */
const struct host_scan *inventory_scan(const struct inventory *inv);
/* "" or in words who holds this VF or PF outside of vnetd's ledger: a guest by any
 * domain's XML, a process with its group or cdev open, a host interface that is up,
 * in a bridge, has addresses, or went to another network namespace. */
void inventory_in_use(const struct inventory *inv, const struct nic *n, char *ret, size_t size);
/* The same, @self's own guest naming it for @self left aside. */
void inventory_in_use_for(const struct inventory *inv, const struct nic *n,
			  const struct vnet_attachment *self, char *ret, size_t size);
/* "" or in words why the host itself needs this PF: its addresses, routes, bridge, bond. */
void inventory_host_uses(const struct inventory *inv, const struct nic *pf, char *ret, size_t size);
/* "" or what this interface is used for; @but: one on top of it that does not count. True: by
 * a macvtap or macvlan that takes all of it. */
bool inventory_link_uses(const struct inventory *inv, const struct link *l, const char *but,
			 char *ret, size_t size);

/* The same with its parts, for JSON; inventory_in_use() is the text of it. */
enum held_by {
	HELD_NOT,
	HELD_BY_ATTACHMENT,
	HELD_BY_GUEST,
	HELD_BY_PROCESS,
	HELD_BY_BIND, /* `vnetctl bind` */
	HELD_BY_HOST
};
struct held {
	enum held_by by;
	char name[ATTACHMENT_ID_MAX]; /* attachment, guest, command, driver or host interface */
	pid_t pid;		      /* of a process, else 0 */
	char text[REASON_MAX];
};
bool inventory_held(const struct manager *m, const struct nic *n,
		    const struct vnet_attachment *self, struct held *ret);
/* The ledger's attachment, else the same. */
bool inventory_holder(const struct manager *m, const struct nic *n, struct held *ret);
/* Does the driver that this function is bound to now do DMA for the host, so that
 * VFIO refuses its whole IOMMU group? */
bool inventory_blocks_group(const struct nic *n);
/* The first other member of @n's IOMMU group that blocks it, or NULL. */
const struct nic *inventory_group_blocker(const struct host_scan *s, const struct nic *n);

/* {inventory: {...}}, of a fresh scan, or of the last one where nothing changed. */
void inventory_run(struct manager *m, reply_fn reply, void *user);
/* inventory-json.c: the document, new reference. */
json_t *inventory_json(struct manager *m);
/* Of an uplink's VFs: that a guest can be given now (or will be, once they are made),
 * within its range; and that somebody holds, all over. */
struct uplink;
void inventory_count_vfs(struct manager *m, const struct uplink *u, int *ret_free, int *ret_used);
/* inventory-stale.c: its members of these names. */
json_t *inventory_stale_json(const struct manager *m);
json_t *inventory_stuck_json(const struct manager *m);
#endif
