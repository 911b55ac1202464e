/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: for VFIO and vhost-vdpa the kernel locks all of a guest's memory, against
 * RLIMIT_MEMLOCK of its QEMU. A QEMU that runs is asked how much that can become, which also
 * shows that it is one; its limit is then what it has locked already and that. The memory of
 * a command that is yet to become a QEMU nobody knows, and QEMU, which may not be root, cannot
 * raise the limit itself: it has none then.
 *
 * The most that it may ever have counts, not what it has now: a QEMU that cannot lock memory
 * which is plugged in later ends ("DMA mapping failed, unable to continue").
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>

#include "daemon/attachment.h"
#include "lib/json.h"
#include "lib/log.h"

/* Video memory, firmware, and what else is mapped: libvirt adds as much. */
#define BESIDE UINT64_C(0x40000000)

bool owned_is_pci(const struct attachment *a)
{
	return a->v.kind == DL_HOSTDEV || a->v.kind == DL_PCI;
}

bool owned_locks_memory(const struct attachment *a)
{
	return owned_is_pci(a) || a->v.kind == DL_CHARDEV;
}

/* Where the limit may not be raised it may still be enough, or not count: QEMU finds out. */
static int may_go_on(const struct attachment *a, int r, struct vnet_err *err)
{
	char id[ATTACHMENT_ID_MAX];

	if (r != -EPERM)
		return r;
	log_err(LOG_WARNING, attachment_id(a, id), err, "%s: if QEMU cannot allocate memory", id);
	*err = VNET_ERR_INIT;
	return 0;
}

int owned_memlock_all(const struct attachment *a, struct vnet_err *err)
{
	if (!owned_locks_memory(a))
		return 0;
	return may_go_on(a, owner_raise_memlock(&a->owned->who.owner, OWNER_MEMLOCK_ALL, err), err);
}

/* ---- one that runs ---- */

static uint64_t number(const json_t *j, const char *field)
{
	json_int_t n = json_integer_value(json_object_get(j, field));

	return n > 0 ? (uint64_t)n : 0;
}

static void know(struct attachment *a, uint64_t memory, struct vnet_err *err)
{
	struct owner *o = &a->owned->who.owner;
	uint64_t locked = 0;
	char id[ATTACHMENT_ID_MAX];
	int r;

	if (!memory)
		log_warn(attachment_id(a, id),
			 "%s: QEMU does not say how much memory it has: how "
			 "much it may lock is not limited any more",
			 id);
	r = memory ? owner_locked_memory(o, &locked, err) : 0;
	if (r == 0)
		r = owner_raise_memlock(o,
					memory && memory < UINT64_MAX / 4 ? locked + memory + BESIDE
									  : OWNER_MEMLOCK_ALL,
					err);
	a->owned->then(a, may_go_on(a, r, err), err);
}

/* What it has at the moment. */
static void on_summary(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->owned->deaf)
		return;
	if (r < 0 && r != -EREMOTEIO) {
		a->owned->then(a, r, err);
		return;
	}
	*err = VNET_ERR_INIT;
	know(a, r < 0 ? 0 : number(result, "base-memory") + number(result, "plugged-memory"), err);
}

/* What it may come to have; QEMU before 7.1 does not know of it. */
static void on_machine(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct attachment *a = user;

	if (a->owned->deaf)
		return;
	if (r == 0 && number(result, "max-size") > 0) {
		know(a, number(result, "max-size"), err);
		return;
	}
	if (r == 0 || r == -EREMOTEIO || r == -ENODEV) {
		*err = VNET_ERR_INIT;
		r = qmp_run(a->owned->who.qmp, "query-memory-size-summary", NULL, -1,
			    QMP_COMMAND_MS, on_summary, a, err);
	}
	if (r < 0)
		a->owned->then(a, r, err);
}

int owned_memlock_by_qmp(struct attachment *a, owned_then_fn then, struct vnet_err *err)
{
	a->owned->then = then;
	return qmp_run(a->owned->who.qmp, "qom-get",
		       json_pack("{s:s,s:s}", "path", "/machine", "property", "memory"), -1,
		       QMP_COMMAND_MS, on_machine, a, err);
}
