/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/monitor.h"

#include <errno.h>
#include <libudev.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "lib/cleanup.h"

/* Creating VFs makes four events each, in one go, while the daemon may be busy. */
#define UDEV_BUFFER (64 * 1024 * 1024)
#define NETLINK_BUFFER (4 * 1024 * 1024)
#define EVENTS_A_TURN 256 /* then other sources of the loop have theirs */

struct monitor {
	monitor_changed_fn changed;
	void *user;
	struct udev *udev;
	struct udev_monitor *uevents;
	struct nl_sock *nl;
	sd_event_source *on_uevent, *on_netlink, *timer;
	bool armed, overflow;
};

static void hint(struct monitor *m, bool overflow)
{
	m->overflow |= overflow;
	if (m->armed)
		return;
	if (sd_event_source_set_time_relative(m->timer, MONITOR_DEBOUNCE_MS * 1000) < 0 ||
	    sd_event_source_set_enabled(m->timer, SD_EVENT_ONESHOT) < 0)
		return;
	m->armed = true;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *user)
{
	struct monitor *m = user;
	bool overflow = m->overflow;

	(void)s;
	(void)usec;
	m->armed = m->overflow = false;
	m->changed(m->user, overflow);
	return 0;
}

/* Only the fact of an event counts: a udev_device made from one holds what the
 * message says, and reads no file as long as nobody asks it. */
static void take_uevents(struct monitor *m)
{
	for (int i = 0; i < EVENTS_A_TURN; i++) {
		struct udev_device *d;

		errno = 0;
		d = udev_monitor_receive_device(m->uevents);
		if (d) {
			udev_device_unref(d);
			hint(m, false);
			continue;
		}
		if (errno == ENOBUFS) {
			hint(m, true);
			continue;
		}
		/* EAGAIN: no more; other errors: a message that was not for us. */
		return;
	}
}

static void take_messages(struct monitor *m)
{
	int fd = nl_socket_get_fd(m->nl);
	char byte;

	for (int i = 0; i < EVENTS_A_TURN; i++) {
		if (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0)
			hint(m, false);
		else if (errno == ENOBUFS)
			hint(m, true);
		else if (errno != EINTR)
			return;
	}
}

static int on_uevent(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	(void)s;
	(void)fd;
	(void)revents;
	take_uevents(user);
	return 0;
}

static int on_netlink(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	(void)s;
	(void)fd;
	(void)revents;
	take_messages(user);
	return 0;
}

bool monitor_quiet(struct monitor *m)
{
	if (!m)
		return false;
	take_uevents(m);
	take_messages(m);
	return !m->armed;
}

static int open_udev(struct monitor *m, sd_event *event)
{
	/* "drivers", "misc": vfio-pci and /dev/iommu come and go with their modules. */
	static const char *const subsystems[] = { "pci",  "net",     "vfio", "vfio-dev",
						  "vdpa", "drivers", "misc" };
	int r = 0;

	m->udev = udev_new();
	/* "kernel": as things happen, also where no udevd runs. */
	m->uevents = m->udev ? udev_monitor_new_from_netlink(m->udev, "kernel") : NULL;
	if (!m->uevents)
		return errno ? -errno : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(subsystems); i++)
		r = udev_monitor_filter_add_match_subsystem_devtype(m->uevents, subsystems[i],
								    NULL);
	if (r < 0)
		return r;
	/* Beyond the system's limit only with privilege; less is less room, no error. */
	udev_monitor_set_receive_buffer_size(m->uevents, UDEV_BUFFER);
	r = udev_monitor_enable_receiving(m->uevents);
	if (r < 0)
		return r;
	return sd_event_add_io(event, &m->on_uevent, udev_monitor_get_fd(m->uevents), EPOLLIN,
			       on_uevent, m);
}

static int open_netlink(struct monitor *m, sd_event *event)
{
	m->nl = nl_socket_alloc();
	if (!m->nl)
		return -ENOMEM;
	errno = 0;
	if (nl_connect(m->nl, NETLINK_ROUTE) < 0 || nl_socket_set_nonblocking(m->nl) < 0 ||
	    nl_socket_add_memberships(m->nl, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				      0) < 0)
		return errno ? -errno : -EIO;
	nl_socket_set_buffer_size(m->nl, NETLINK_BUFFER, 0);
	return sd_event_add_io(event, &m->on_netlink, nl_socket_get_fd(m->nl), EPOLLIN, on_netlink,
			       m);
}

int monitor_new(struct monitor **ret, sd_event *event, monitor_changed_fn changed, void *user,
		struct vnet_err *err)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return vnet_err_errno(err, -ENOMEM, "watch the host");
	m->changed = changed;
	m->user = user;
	r = sd_event_add_time_relative(event, &m->timer, CLOCK_MONOTONIC, 0,
				       MONITOR_DEBOUNCE_MS * 200, on_timer, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->timer, SD_EVENT_OFF);
	if (r < 0) {
		vnet_err_errno(err, r, "watch the host");
	} else if ((r = open_udev(m, event)) < 0) {
		vnet_err_errno(err, r, "watch udev's kernel events");
	} else if ((r = open_netlink(m, event)) < 0) {
		vnet_err_errno(err, r, "watch rtnetlink's events");
	}
	if (r < 0) {
		monitor_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct monitor *monitor_free(struct monitor *m)
{
	if (!m)
		return NULL;
	sd_event_source_disable_unref(m->on_netlink);
	sd_event_source_disable_unref(m->on_uevent);
	sd_event_source_disable_unref(m->timer);
	if (m->nl)
		nl_socket_free(m->nl);
	if (m->uevents)
		udev_monitor_unref(m->uevents);
	if (m->udev)
		udev_unref(m->udev);
	free(m);
	return NULL;
}
