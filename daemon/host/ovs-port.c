/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: the database says what shall be, ovs-vswitchd follows. One
 * transaction changes the rows and counts next_cfg up; once cur_cfg has got there
 * too, ovs-vswitchd has done what it could, and says in the interface's row what
 * came of it. A port that it could not make is taken out again.
 *
 * A row outlives the server, the interface and a reboot: where nobody answers, nobody
 * knows whether it is there, and that is an error, not its absence.
 */
#include "daemon/host/ovs-port.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/ovsdb.h"
#include "daemon/host/vlan-set.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define NEW_PORT "port"
#define POLL_MS 50
#define LOOK_MS 5000 /* for a get */

static const struct ovs_times usual = { .answer = 10000, .settle = 8000, .back = 4000 };

/* ---- reading ---- */

static json_t *select_bridge_of(const char *port_uuid)
{
	return json_pack("[s,{s:s,s:s,s:[[s,s,[s,s]]],s:[s]}]", "Open_vSwitch", "op", "select",
			 "table", "Bridge", "where", "ports", "includes", "uuid", port_uuid,
			 "columns", "name");
}

/* 1: it is open. 0: no Open vSwitch runs here, which has no ports then. */
static int open_if_there(struct kernel *k, unsigned ms, struct ovsdb **ret, struct vnet_err *err)
{
	struct vnet_err why = VNET_ERR_INIT;
	int r = ovsdb_open(k, ms, ret, &why);

	if (r == 0 || r == -ENOENT)
		return r == 0;
	if (err)
		*err = why;
	return r;
}

/* The port @name and the bridge that has it. */
static int look(struct ovsdb *o, const char *name, struct ovs_found *ret, struct vnet_err *err)
{
	_cleanup_json_ json_t *ports = NULL, *bridges = NULL;
	struct ovs_found f = { .port = { .tag = -1 } };
	const json_t *row;
	int r;

	r = ovsdb_transact(o,
			   json_pack("[s,{s:s,s:s,s:[[s,s,s]],s:[s,s,s,s,s]}]", "Open_vSwitch",
				     "op", "select", "table", "Port", "where", "name", "==", name,
				     "columns", "_uuid", "tag", "trunks", "vlan_mode",
				     "external_ids"),
			   &ports, err);
	if (r < 0)
		return r;
	row = ovsdb_row(ports, 0, 0);
	if (row) {
		ovs_port_read(row, &f);
		r = ovsdb_transact(o, select_bridge_of(f.uuid), &bridges, err);
		if (r < 0)
			return r;
		ovsdb_text(json_object_get(ovsdb_row(bridges, 0, 0), "name"), f.port.bridge,
			   sizeof(f.port.bridge));
	}
	*ret = f;
	return 0;
}

static int check_object(const char *object, struct vnet_err *err)
{
	if (ovs_is_word(object, IF_NAMESIZE))
		return 0;
	return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "'%.32s': expected an interface's name",
			    object);
}

int ovs_port_get(struct kernel *k, const char *object, char ret[static KNOB_VALUE_MAX],
		 struct vnet_err *err)
{
	_cleanup_ovsdb_ struct ovsdb *o = NULL;
	struct ovs_found f = { 0 };
	int r = check_object(object, err);

	if (r == 0)
		r = ovsdb_open(k, LOOK_MS, &o, err);
	if (r == 0)
		r = look(o, object, &f, err);
	if (r < 0)
		return r;
	if (f.uuid[0])
		ovs_port_str(&f, ret);
	else
		strcpy(ret, KNOB_ABSENT);
	return 0;
}

/* ---- writing: operations ---- */

/* Fails the transaction where there is no such bridge. */
static json_t *op_need_bridge(const char *bridge)
{
	return json_pack("{s:s,s:i,s:s,s:[[s,s,s]],s:[s],s:s,s:[{s:s}]}", "op", "wait", "timeout",
			 0, "table", "Bridge", "where", "name", "==", bridge, "columns", "name",
			 "until", "==", "rows", "name", bridge);
}

static json_t *op_count_up(void)
{
	return json_pack("{s:s,s:s,s:[],s:[[s,s,i]]}", "op", "mutate", "table", "Open_vSwitch",
			 "where", "mutations", "next_cfg", "+=", 1);
}

static json_t *op_select_count(const char *column)
{
	return json_pack("{s:s,s:s,s:[],s:[s]}", "op", "select", "table", "Open_vSwitch", "where",
			 "columns", column);
}

/* @kind "named-uuid" for a row that the transaction makes */
static json_t *op_add_to_bridge(const char *bridge, const char *kind, const char *uuid)
{
	return json_pack("{s:s,s:s,s:[[s,s,s]],s:[[s,s,[s,[[s,s]]]]]}", "op", "mutate", "table",
			 "Bridge", "where", "name", "==", bridge, "mutations", "ports", "insert",
			 "set", kind, uuid);
}

static json_t *op_take_from_bridge(const char *uuid)
{
	return json_pack("{s:s,s:s,s:[[s,s,[s,s]]],s:[[s,s,[s,[[s,s]]]]]}", "op", "mutate", "table",
			 "Bridge", "where", "ports", "includes", "uuid", uuid, "mutations", "ports",
			 "delete", "set", "uuid", uuid);
}

static json_t *trunk_list(const struct vlan_set *trunks)
{
	json_t *list = json_array();
	unsigned first, last;

	for (unsigned n = 0; vlan_set_next(trunks, n, &first, &last); n = last + 1) {
		for (unsigned id = first; id <= last; id++) {
			if (json_array_append_new(list, json_integer(id)) == 0)
				continue;
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* The columns of VLANs, all of them: also those that are to be empty. */
static json_t *port_columns(const struct ovs_port *p)
{
	json_t *tag = p->tag >= 0 ? json_integer(p->tag) : json_pack("[s,[]]", "set");

	return json_pack("{s:o,s:[s,o],s:[s,[]]}", "tag", tag, "trunks", "set",
			 trunk_list(&p->trunks), "vlan_mode", "set");
}

static json_t *op_insert_interface(const char *name)
{
	return json_pack("{s:s,s:s,s:s,s:{s:s}}", "op", "insert", "table", "Interface", "uuid-name",
			 "interface", "row", "name", name);
}

static json_t *op_insert_port(const char *name, const struct ovs_port *p)
{
	json_t *row = port_columns(p);
	json_t *more = json_pack("{s:s,s:[s,s],s:[s,[[s,s]]]}", "name", name, "interfaces",
				 "named-uuid", "interface", "external_ids", "map", OVS_PORT_KEY,
				 p->id);

	if (!row || !more || json_object_update(row, more) < 0) {
		json_decref(row);
		row = NULL;
	}
	json_decref(more);
	return json_pack("{s:s,s:s,s:s,s:o}", "op", "insert", "table", "Port", "uuid-name",
			 NEW_PORT, "row", row);
}

static json_t *op_update_port(const char *uuid, const struct ovs_port *p)
{
	return json_pack("{s:s,s:s,s:[[s,s,[s,s]]],s:o}", "op", "update", "table", "Port", "where",
			 "_uuid", "==", "uuid", uuid, "row", port_columns(p));
}

/* ---- writing: what is done with them ---- */

static int explain(const char *name, const struct ovs_port *p, int code, struct vnet_err *err)
{
	if (code == -ENOENT)
		return vnet_err_set(err, code, VNET_E_FAILED,
				    "there is no Open vSwitch bridge %s: ovs-vsctl list-br shows "
				    "those there are",
				    p->bridge);
	if (code == -EEXIST)
		return vnet_err_set(err, code, VNET_E_EXISTS,
				    "Open vSwitch has a port or interface %s already: ovs-vsctl "
				    "iface-to-br %s says where",
				    name, name);
	return err ? vnet_err_wrap(err, "Open vSwitch port %s on %s", name, p->bridge) : code;
}

/* next_cfg as operation @op found it. */
static int64_t count_in(const json_t *results, size_t op, const char *column)
{
	return json_integer_value(json_object_get(ovsdb_row(results, op, 0), column));
}

static int insert_port(struct ovsdb *o, const char *name, const struct ovs_port *p,
		       int64_t *ret_cfg, struct vnet_err *err)
{
	_cleanup_json_ json_t *done = NULL;
	int r;

	r = ovsdb_transact(o,
			   json_pack("[s,o,o,o,o,o,o]", "Open_vSwitch", op_need_bridge(p->bridge),
				     op_insert_interface(name), op_insert_port(name, p),
				     op_add_to_bridge(p->bridge, "named-uuid", NEW_PORT),
				     op_count_up(), op_select_count("next_cfg")),
			   &done, err);
	if (r < 0)
		return explain(name, p, r, err);
	*ret_cfg = count_in(done, 5, "next_cfg");
	return 0;
}

/* A port of ours, to other columns or another bridge. Taking it out and putting it in
 * again where it stays is no change to anybody: all is one transaction. */
static int update_port(struct ovsdb *o, const char *name, const struct ovs_found *f,
		       const struct ovs_port *p, int64_t *ret_cfg, struct vnet_err *err)
{
	_cleanup_json_ json_t *done = NULL;
	int r;

	r = ovsdb_transact(o,
			   json_pack("[s,o,o,o,o,o,o]", "Open_vSwitch", op_need_bridge(p->bridge),
				     op_update_port(f->uuid, p), op_take_from_bridge(f->uuid),
				     op_add_to_bridge(p->bridge, "uuid", f->uuid), op_count_up(),
				     op_select_count("next_cfg")),
			   &done, err);
	if (r < 0)
		return explain(name, p, r, err);
	*ret_cfg = count_in(done, 5, "next_cfg");
	return 0;
}

static int delete_port(struct ovsdb *o, const char *uuid, int64_t *ret_cfg, struct vnet_err *err)
{
	_cleanup_json_ json_t *done = NULL;
	int r;

	r = ovsdb_transact(o,
			   json_pack("[s,o,o,o]", "Open_vSwitch", op_take_from_bridge(uuid),
				     op_count_up(), op_select_count("next_cfg")),
			   &done, err);
	if (r == 0)
		*ret_cfg = count_in(done, 2, "next_cfg");
	return r;
}

/* What ovs-vswitchd made of the interface @name; 0: it has not come to @cfg yet.
 * 1: it has the interface. -EIO: it has not, as the error says. */
static int look_at_result(struct ovsdb *o, const char *name, int64_t cfg, struct vnet_err *err)
{
	_cleanup_json_ json_t *now = NULL;
	char reason[256];
	const json_t *row, *ofport;
	int r;

	r = ovsdb_transact(o,
			   json_pack("[s,o,{s:s,s:s,s:[[s,s,s]],s:[s,s]}]", "Open_vSwitch",
				     op_select_count("cur_cfg"), "op", "select", "table",
				     "Interface", "where", "name", "==", name, "columns", "ofport",
				     "error"),
			   &now, err);
	if (r < 0)
		return r;
	row = ovsdb_row(now, 1, 0);
	ofport = ovsdb_set_at(json_object_get(row, "ofport"), 0);
	if (count_in(now, 0, "cur_cfg") < cfg || (row && !ofport))
		return 0;
	ovsdb_text(ovsdb_set_at(json_object_get(row, "error"), 0), reason, sizeof(reason));
	if (row && !reason[0] && json_integer_value(ofport) >= 0)
		return 1;
	return vnet_err_set(err, -EIO, VNET_E_FAILED, "Open vSwitch cannot use %s: %s", name,
			    reason[0] ? reason
			    : row     ? "it gives no reason: see the log of ovs-vswitchd"
				      : "somebody took its port out again");
}

static int wait_until_used(struct ovsdb *o, const char *name, int64_t cfg, unsigned settle,
			   struct vnet_err *err)
{
	for (unsigned waited = 0;; waited += POLL_MS) {
		int r = look_at_result(o, name, cfg, err);

		if (r != 0)
			return r < 0 ? r : 0;
		if (waited >= settle || !ovsdb_time_left(o))
			return vnet_err_set(err, -ETIMEDOUT, VNET_E_FAILED,
					    "ovs-vswitchd does not take up port %s: systemctl "
					    "status " OVS_SERVICE,
					    name);
		poll(NULL, 0, POLL_MS);
	}
}

/* As good as it goes: the row is gone, and who has to see that may not run. */
static void wait_until_seen(struct ovsdb *o, int64_t cfg, unsigned ms)
{
	for (unsigned waited = 0; waited < ms; waited += POLL_MS) {
		_cleanup_json_ json_t *now = NULL;

		if (ovsdb_transact(o,
				   json_pack("[s,o]", "Open_vSwitch", op_select_count("cur_cfg")),
				   &now, NULL) < 0 ||
		    count_in(now, 0, "cur_cfg") >= cfg)
			return;
		poll(NULL, 0, POLL_MS);
	}
}

static int is_foreign(const char *name, const struct ovs_found *f, struct vnet_err *err)
{
	return vnet_err_set(err, -EEXIST, VNET_E_IN_USE,
			    "%s is a port of Open vSwitch bridge %s that vnetd did not make: "
			    "ovs-vsctl del-port %s, if nothing needs it",
			    name, f->port.bridge, name);
}

static int remove_port(struct kernel *k, const char *name, unsigned ask_ms, unsigned seen_ms,
		       struct vnet_err *err)
{
	_cleanup_ovsdb_ struct ovsdb *o = NULL;
	struct ovs_found f = { 0 };
	int64_t cfg = 0;
	int r = ovsdb_open(k, ask_ms + seen_ms, &o, err);

	if (r == 0)
		r = look(o, name, &f, err);
	if (r < 0 || !f.uuid[0])
		return r;
	if (!f.port.id[0])
		return is_foreign(name, &f, err);
	r = delete_port(o, f.uuid, &cfg, err);
	if (r < 0)
		return vnet_err_wrap(err, "take port %s out of Open vSwitch bridge %s", name,
				     f.port.bridge);
	wait_until_seen(o, cfg, seen_ms);
	return 0;
}

/* A port that was made for nothing; the first error stays, and says what is left. */
static int go_back(struct kernel *k, const char *name, unsigned ms, int code, struct vnet_err *err)
{
	struct vnet_err why = VNET_ERR_INIT;
	size_t n = err ? strlen(err->text) : 0;

	if (remove_port(k, name, ms, 0, &why) < 0 && err)
		snprintf(err->text + n, sizeof(err->text) - n,
			 "; its port is left: ovs-vsctl del-port %s (%.200s)", name, why.text);
	return code;
}

static int put_port(struct kernel *k, const char *name, const struct ovs_port *p,
		    const struct ovs_times *times, struct vnet_err *err)
{
	_cleanup_ovsdb_ struct ovsdb *o = NULL;
	struct ovs_found f = { 0 };
	int64_t cfg = 0;
	int r = ovsdb_open(k, times->answer, &o, err);

	if (r == 0)
		r = look(o, name, &f, err);
	if (r < 0)
		return r;
	if (f.uuid[0] && !f.port.id[0])
		return is_foreign(name, &f, err);
	if (f.uuid[0] && strcmp(f.port.id, p->id) != 0)
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "port %s of Open vSwitch bridge %s is that of NIC %s: "
				    "ovs-vsctl del-port %s, if that is gone",
				    name, f.port.bridge, f.port.id, name);
	r = f.uuid[0] ? update_port(o, name, &f, p, &cfg, err) : insert_port(o, name, p, &cfg, err);
	if (r < 0)
		return r;
	r = wait_until_used(o, name, cfg, times->settle, err);
	return r < 0 && !f.uuid[0] ? go_back(k, name, times->back, r, err) : r;
}

int ovs_port_set_within(struct kernel *k, const char *object, const char *value,
			const struct ovs_times *times, struct vnet_err *err)
{
	struct ovs_port p = { 0 };
	int r = check_object(object, err);

	if (r < 0)
		return r;
	if (!strcmp(value, KNOB_ABSENT))
		return remove_port(k, object, times->answer, times->back, err);
	if (ovs_port_parse(value, &p) < 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "ovs-port '%.128s': expected BRIDGE [tag N | trunks LIST] "
				    "id ID, or absent",
				    value);
	return put_port(k, object, &p, times, err);
}

int ovs_port_set(struct kernel *k, const char *object, const char *value, struct vnet_err *err)
{
	return ovs_port_set_within(k, object, value, &usual, err);
}

/* ---- all of them ---- */

/* The bridge that has the port, from all bridges. */
static const json_t *bridge_of(const json_t *bridges, const char *port_uuid)
{
	const json_t *bridge;
	size_t i;

	json_array_foreach (bridges, i, bridge) {
		const json_t *ports = json_object_get(bridge, "ports");

		for (size_t n = 0; n < ovsdb_set_size(ports); n++) {
			if (!strcmp(ovsdb_uuid(ovsdb_set_at(ports, n)), port_uuid))
				return bridge;
		}
	}
	return NULL;
}

static json_t *port_to_json(const json_t *row, const struct ovs_found *f, const json_t *bridge)
{
	json_t *o = json_object();
	char text[64];

	ovsdb_text(json_object_get(bridge, "name"), text, sizeof(text));
	json_put_str(o, "bridge", text);
	ovsdb_text(json_object_get(row, "name"), text, sizeof(text));
	json_put_str(o, "port", text);
	json_put_str(o, "id", f->port.id);
	json_put_int_or_null(o, "tag", f->port.tag, f->port.tag >= 0);
	return o;
}

static json_t *our_ports(const json_t *rows, const json_t *bridges)
{
	json_t *list = json_array();
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		struct ovs_found f = { 0 };

		ovs_port_read(row, &f);
		if (f.port.id[0])
			json_array_append_new(list,
					      port_to_json(row, &f, bridge_of(bridges, f.uuid)));
	}
	return list;
}

static json_t *bridge_names(const json_t *bridges)
{
	json_t *list = json_array();
	const json_t *bridge;
	char text[64];
	size_t i;

	json_array_foreach (bridges, i, bridge) {
		ovsdb_text(json_object_get(bridge, "name"), text, sizeof(text));
		json_array_append_new(list, json_string(text));
	}
	return list;
}

int ovs_scan(struct kernel *k, json_t **ret, struct vnet_err *err)
{
	_cleanup_ovsdb_ struct ovsdb *o = NULL;
	_cleanup_json_ json_t *found = NULL;
	const json_t *bridges;
	int r = open_if_there(k, LOOK_MS, &o, err);

	if (r > 0)
		r = ovsdb_transact(
			o,
			json_pack("[s,{s:s,s:s,s:[],s:[s,s]},{s:s,s:s,s:[],s:[s,s,s,s]}]",
				  "Open_vSwitch", "op", "select", "table", "Bridge", "where",
				  "columns", "name", "ports", "op", "select", "table", "Port",
				  "where", "columns", "_uuid", "name", "tag", "external_ids"),
			&found, err);
	if (r < 0)
		return r;
	bridges = ovsdb_rows(found, 0);
	*ret = json_pack("{s:b,s:o,s:o}", "running", o != NULL, "bridges", bridge_names(bridges),
			 "ports", our_ports(ovsdb_rows(found, 1), bridges));
	return *ret ? 0 : vnet_err_errno(err, -ENOMEM, "list Open vSwitch's ports");
}
