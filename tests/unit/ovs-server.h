/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_OVS_SERVER_H
#define VNETD_TESTS_OVS_SERVER_H
/*
 * A real ovsdb-server with Open vSwitch's own schema, where daemon/host/ looks for it
 * below a root directory. There is no ovs-vswitchd: a shell loop plays what matters of
 * it, which is to say what came of an interface and to count cur_cfg up.
 */
#include <stddef.h>
#include <sys/types.h>

struct ovs_server {
	char dir[128]; /* of the socket: ROOT/run/openvswitch */
	pid_t server;
	pid_t vswitchd; /* 0: it does not run */
};

/* With empty bridges br0 and br1. */
void ovs_server_start(struct ovs_server *s, const char *root);
void ovs_server_stop(struct ovs_server *s); /* also where none was started */
/* From now on every interface that is asked for gets these @columns: "ofport=5". */
void ovs_server_vswitchd(struct ovs_server *s, const char *columns);
/* ovs-vsctl on it, and what it printed, without the last newline; it must succeed. */
void ovs_server_vsctl(const struct ovs_server *s, char *ret, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
#endif
