/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_SERVER_PRIV_H
#define VNETD_SERVER_PRIV_H
/*
 * What server.c (who is let in) and connection.c (what one client says and hears)
 * share. Nobody else includes this, but for their tests.
 */
#include <sys/stat.h>

#include "daemon/server.h"
#include "lib/wire.h"

/* So many connections at once are a crowd: memory is given back after it. */
#define CROWD 64

/* What one user has of the daemon; it lives as long as one of its connections. */
struct account {
	struct account *next;
	uid_t uid;
	unsigned n_connections;
	unsigned n_calls;
	bool warned; /* its limit was logged, once until it is below again */
};

struct connection {
	struct connection *next;
	struct server *server;	 /* NULL: gone, only the call keeps this */
	struct account *account; /* NULL with the server */
	struct wire *wire;	 /* NULL with the server */
	struct peer peer;
	sd_event_source *io;
	sd_event_source *again;	   /* go on from the event loop */
	sd_event_source *patience; /* for a client that does not read its reply */
	struct call *call;	   /* the one that runs; NULL none */
	bool advancing;
	bool broken; /* to be freed by connection_advance() */
};

struct server {
	sd_event *event;
	struct manager *manager;
	void (*dispatch)(struct manager *m, struct call *c);
	int fd;
	char *path; /* of the socket that was bound here; NULL: it is systemd's */
	dev_t dev;
	ino_t ino;
	sd_event_source *listen;
	sd_event_source *resume; /* listens again after descriptors ran out */
	struct connection *connections;
	unsigned n_connections;
	bool crowded; /* there were many since memory was last given back */
	struct account *accounts;
	bool warned;
};

/* Takes over @fd and what @peer owns, also on failure. */
int connection_new(struct server *s, int fd, struct peer *peer, struct account *account,
		   struct vnet_err *err);
/* Closes it. With a call that runs it is left to that call, which ends unheard. */
void connection_drop(struct connection *conn);
/* The error as a whole message; takes over @extra. NULL when out of memory. */
json_t *connection_error_message(const struct vnet_err *err, json_t *extra);

/* server.c: @conn is being freed. */
void server_forget(struct server *s, struct connection *conn);
#endif
