/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_MONITOR_H
#define VNETD_HOST_MONITOR_H
/*
 * A watch for changes of the host, for the main thread: udev's kernel events (PCI,
 * interfaces, VFIO, vDPA) and rtnetlink's link and address groups. It only receives
 * and never asks the kernel for anything, so it never blocks; what changed is for a
 * scan to find out. Events that come close together make one call. Real root only.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/err.h"

#define MONITOR_DEBOUNCE_MS 50

struct monitor;

/* @overflow: events were lost, anything may have changed. */
typedef void (*monitor_changed_fn)(void *user, bool overflow);

int monitor_new(struct monitor **ret, sd_event *event, monitor_changed_fn changed, void *user,
		struct vnet_err *err);
struct monitor *monitor_free(struct monitor *m);
/* Has nothing come since the last call of `changed`? Takes in first what the kernel has
 * queued, so an event of anything that was done before this call counts. False where
 * there is no monitor. */
bool monitor_quiet(struct monitor *m);
#endif
