/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_OVSDB_H
#define VNETD_HOST_OVSDB_H
/*
 * A connection to Open vSwitch's database server (OVSDB, RFC 7047), below the root
 * directory: one transaction at a time, its answer waited for. Every wait ends at
 * the time that the connection was given, whatever the server does.
 */
#include <jansson.h>

#include "daemon/host/host.h"

#define OVS_SERVICE "openvswitch-switch"

struct ovsdb;

/* For @ms, all that is done with it together. -ENOENT: no Open vSwitch runs here. */
int ovsdb_open(struct kernel *k, unsigned ms, struct ovsdb **ret, struct vnet_err *err);
struct ovsdb *ovsdb_close(struct ovsdb *o);
static inline void cleanup_ovsdb(struct ovsdb **o)
{
	ovsdb_close(*o);
}
#define _cleanup_ovsdb_ _cleanup_(cleanup_ovsdb)
/* What is left of the time, in ms; 0 when it is over. */
unsigned ovsdb_time_left(const struct ovsdb *o);

/*
 * @ops is the array ["Open_vSwitch", operation...], whose reference is taken over;
 * NULL is out of memory. All operations are done, or none: *ret are their results,
 * in order. Else the text has the server's own reason, and the code says which:
 * -ENOENT	a "wait" of timeout 0 found something else (the only one that is sent)
 * -EEXIST	a constraint: a name is taken
 * -ETIMEDOUT	no answer: nobody knows whether it was done
 * -EPROTO	anything else that the server refuses
 */
int ovsdb_transact(struct ovsdb *o, json_t *ops, json_t **ret, struct vnet_err *err);

/* Of results: a row of a select. Borrowed. */
const json_t *ovsdb_rows(const json_t *results, size_t op);
const json_t *ovsdb_row(const json_t *results, size_t op, size_t row); /* or NULL */
/* Columns of a row: a set of one is written as its value alone. */
size_t ovsdb_set_size(const json_t *column);
const json_t *ovsdb_set_at(const json_t *column, size_t i);
/* A string, cleaned and cut as needed; "" where it is none. */
void ovsdb_text(const json_t *value, char *ret, size_t size);
/* ["uuid", "..."], "" where it is none; and the value of a key of a map or NULL */
const char *ovsdb_uuid(const json_t *value);
const char *ovsdb_map_get(const json_t *column, const char *key);
#endif
