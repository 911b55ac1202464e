/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_CLIENT_H
#define VNET_LIB_CLIENT_H
/* The blocking side of the wire: connect, call, reply. Used by vnetctl and the hook. */
#include <jansson.h>

#include "lib/err.h"
#include "lib/fds.h"

#define VNETD_SOCKET "/run/vnetd/io.vnetd"

struct client;

/* VNET_E_UNREACHABLE with what to do when nobody listens. */
int client_connect(struct client **ret, const char *socket_path, struct vnet_err *err);
struct client *client_free(struct client *c);
/* Call @method ("io.vnetd.Attach") with @parameters (not stolen, may be NULL) and
 * wait for the reply at most @timeout_ms (-1: for ever). An error reply becomes a
 * negative return with err filled from it (name, errno, knob, object, text), and
 * its parameters in *ret all the same, for the verdicts. @sent (may be NULL) go with the
 * call and are taken over when it is sent. */
int client_call_fds(struct client *c, const char *method, const json_t *parameters,
		    struct vnet_fds *sent, int timeout_ms, json_t **ret, struct vnet_fds *ret_fds,
		    struct vnet_err *err);
/* The same without descriptors of ours. */
int client_call(struct client *c, const char *method, const json_t *parameters, int timeout_ms,
		json_t **ret, struct vnet_fds *ret_fds, struct vnet_err *err);
#endif
