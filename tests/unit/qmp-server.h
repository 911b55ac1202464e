/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_QMP_SERVER_H
#define VNETD_TESTS_QMP_SERVER_H
/*
 * As much of a QEMU's monitor as vnetd talks to, at the other end of a socketpair and in the
 * test's own event loop. It keeps the names of descriptors, back ends, objects and devices as
 * QEMU does: a name is used up by the command that names it.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/qmp.h"

#define QS_MAX 128

struct qmp_server {
	sd_event *event;
	sd_event_source *io;
	int fd;
	char in[65536];
	size_t len;
	/* What it was told, "getfd(1)": with so many descriptors; later ones are not kept. */
	char log[QS_MAX][512];
	unsigned n_log;
	char thing[QS_MAX][64]; /* "fd:NAME", "netdev:ID", "object:ID", "device:ID",
				* "chardev:ID" */
	unsigned n_things;
	/* How it behaves */
	bool no_greeting;
	int fail_at;	    /* the n-th command from 0 on but qmp_capabilities; -1 none */
	bool silent_at;	    /* and says nothing there, but does it */
	bool close_at;	    /* and hangs up there */
	bool keep_names;    /* of a command that fails */
	bool busy_port;	    /* no root port is empty */
	unsigned alone;	    /* at so many looks nobody is at the socket; each is one less */
	const char *memory; /* answer of query-memdev; NULL: {} */
	enum { UNPLUG_LATER, UNPLUG_BEFORE, UNPLUG_NEVER, UNPLUG_REFUSED } unplug;
	unsigned n_commands;
};

void qmp_server_start(struct qmp_server *s, sd_event *event, struct qmp **ret);
void qmp_server_stop(struct qmp_server *s);
void qmp_server_say(struct qmp_server *s, const char *text);
bool qmp_server_has(const struct qmp_server *s, const char *thing);
/* "a b c": the names of all commands but qmp_capabilities, a getfd without a descriptor as
 * "getfd(0)". */
const char *qmp_server_commands(const struct qmp_server *s);
#endif
