/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Both directions of JSON for the two structs. Reading fills a local copy first: what is handed
 * in stays untouched on failure. Writing makes every field, null where nothing is known, and
 * counts them at the end: json_put() does not report a lack of memory, and a state file that
 * lacks a field must not be written.
 */
#include "lib/model.h"

#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lib/options.h"

static const char *const attachment_state_names[] = {
	[AT_RESERVED] = "reserved", [AT_PREPARING] = "preparing", [AT_READY] = "ready",
	[AT_IN_USE] = "in-use",	    [AT_DETACHING] = "detaching", [AT_RELEASING] = "releasing",
	[AT_GONE] = "gone",	    [AT_STUCK] = "stuck",	  [AT_UNKNOWN] = "unknown",
};
NAMES_DEFINE(attachment_state, enum attachment_state, attachment_state_names, AT_MAX)

static const char *const handover_names[] = {
	[HO_NONE] = "none",
	[HO_PATH] = "path",
	[HO_FD_BY_LIBVIRT] = "fd-by-libvirt",
	[HO_FD_BY_VNETD] = "fd-by-vnetd",
};
NAMES_DEFINE(handover, enum handover, handover_names, HO_MAX)

static const char *const scope_names[] = {
	[SCOPE_AUTO] = "auto",
	[SCOPE_LIVE] = "live",
	[SCOPE_CONFIG] = "config",
};
NAMES_DEFINE(scope, enum scope, scope_names, SCOPE_MAX)

static const char *const delivery_kind_names[] = {
	[DL_NONE] = "none", [DL_HOSTDEV] = "hostdev", [DL_CHARDEV] = "chardev",
	[DL_LINK] = "link", [DL_SOCKET] = "socket",   [DL_PCI] = "pci",
};
NAMES_DEFINE(delivery_kind, enum delivery_kind, delivery_kind_names, DL_MAX)

/* ---- grammar -------------------------------------------------------------------------- */

static int invalid(struct vnet_err *err, const char *field, const char *text)
{
	vnet_err_set(err, -EINVAL, VNET_E_INVALID, "%s", text);
	vnet_err_at(err, NULL, field);
	return -EINVAL;
}

static bool is_word(const char *s, const char *also, size_t max)
{
	if (*s < 'a' || *s > 'z' || strlen(s) > max)
		return false;
	for (; *s; s++)
		if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9') && !strchr(also, *s))
			return false;
	return true;
}

int model_check_nic_name(const char *s, struct vnet_err *err)
{
	if (is_word(s, "_-", NIC_NAME_MAX - 1))
		return 0;
	vnet_err_set(err, -EINVAL, VNET_E_INVALID,
		     "name \"%s\" is not acceptable: a small letter, then up to %d of a-z 0-9 _ -",
		     s, NIC_NAME_MAX - 2);
	vnet_err_at(err, NULL, "name");
	return -EINVAL;
}

int model_check_guest_name(const char *s, struct vnet_err *err)
{
	_cleanup_json_ json_t *utf8 = NULL;

	if (!*s)
		return invalid(err, "guest", "the guest's name is empty");
	if (strlen(s) >= GUEST_NAME_MAX)
		return invalid(err, "guest", "the guest's name is longer than 127 bytes");
	if (strchr(s, '/') || strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return invalid(
			err, "guest",
			"the guest's name holds a '/' or is a folder's: libvirt has no such");
	for (const char *p = s; *p; p++)
		if (json_control_len(p))
			return invalid(err, "guest", "the guest's name holds a control character");
	utf8 = json_string(s);
	if (!utf8)
		return invalid(err, "guest", "the guest's name is not UTF-8");
	return 0;
}

int model_check_mac(const struct mac *m, struct vnet_err *err)
{
	char text[MAC_STR];

	if (!mac_is_zero(m) && !mac_is_multicast(m))
		return 0;
	vnet_err_set(err, -EINVAL, VNET_E_INVALID,
		     "mac %s is %s: give a unicast address, such as 52:54:00:12:34:56",
		     mac_str(m, text), mac_is_zero(m) ? "all zero" : "a multicast address");
	vnet_err_at(err, NULL, "mac");
	return -EINVAL;
}

int model_check_vlan(const struct vlan *v, struct vnet_err *err)
{
	if (v->id > VLAN_ID_MAX)
		return invalid(err, "vlan.id", "vlan id is out of range: 1 to 4094, 0 for none");
	if (v->qos > VLAN_QOS_MAX)
		return invalid(err, "vlan.qos", "vlan qos is out of range: 0 to 7");
	if (v->id == 0) {
		if (v->qos || (v->proto && v->proto != VLAN_PROTO_Q))
			return invalid(err, "vlan.id", "vlan qos and proto need an id, 1 to 4094");
		return 0;
	}
	if (v->proto != VLAN_PROTO_Q && v->proto != VLAN_PROTO_AD)
		return invalid(err, "vlan.proto", "vlan proto must be 802.1Q or 802.1ad");
	return 0;
}

/* ---- values to JSON ------------------------------------------------------------------- */

static void put_mac(json_t *j, const char *field, const struct mac *m, bool known)
{
	char text[MAC_STR];

	json_put_str(j, field, known && !mac_is_zero(m) ? mac_str(m, text) : NULL);
}

static void put_pci(json_t *j, const char *field, const struct pci_addr *a)
{
	char text[PCI_ADDR_STR];

	json_put_str(j, field, pci_addr_str(a, text));
}

void model_put_vlan(json_t *j, const char *field, const struct vlan *v)
{
	json_t *o;

	if (v->id == 0) {
		json_put(j, field, json_null());
		return;
	}
	o = json_object();
	json_put_int(o, "id", v->id);
	json_put_int(o, "qos", v->qos);
	json_put_str(o, "proto", vlan_proto_str(v));
	json_put(j, field, o && json_object_size(o) == 3 ? o : (json_decref(o), NULL));
}

/* Free text (libvirt's messages have line ends) must come back through json_get_str(). */
static void put_text(json_t *j, const char *field, const char *text)
{
	char buf[REASON_MAX];

	snprintf(buf, sizeof(buf), "%s", text);
	for (char *p = buf; *p; p++)
		memset(p, ' ', json_control_len(p));
	json_put_str(j, field, buf);
}

static json_t *whole(json_t *j, size_t n_fields)
{
	if (json_object_size(j) == n_fields)
		return j;
	json_decref(j);
	return NULL;
}

json_t *model_request_to_json(const struct vnet_request *r)
{
	json_t *j = json_object(), *modes = json_array();

	for (unsigned i = 0; i < r->n_modes && i < MODES_MAX; i++) {
		if (json_array_append_new(modes, json_string(r->modes[i])) < 0) {
			json_decref(modes);
			modes = NULL;
		}
	}
	json_put_str(j, "guest", r->guest);
	json_put_str(j, "name", r->name);
	json_put(j, "modes", modes);
	json_put_str(j, "pool", r->pool);
	put_mac(j, "mac", &r->mac, r->has_mac);
	model_put_vlan(j, "vlan", &r->vlan);
	json_put_str(j, "scope", r->scope == SCOPE_AUTO ? NULL : scope_str(r->scope));
	json_put(j, "options", options_to_json(r->options));
	json_put(j, "fallback", json_boolean(!r->no_fallback));
	return whole(j, 9);
}

json_t *model_attachment_to_json(const struct vnet_attachment *a)
{
	json_t *j = json_object();

	json_put_str(j, "guest", a->asked.guest);
	json_put_str(j, "name", a->name);
	json_put_str(j, "uuid", a->uuid);
	json_put_str(j, "state", attachment_state_str(a->state));
	put_text(j, "reason", a->reason);
	json_put_str(j, "mode", a->mode);
	put_text(j, "why", a->why);
	json_put_str(j, "pool", a->pool);
	put_mac(j, "mac", &a->mac, true);
	model_put_vlan(j, "vlan", &a->vlan);
	put_pci(j, "pf", &a->pf);
	put_mac(j, "pfMac", &a->pf_mac, true);
	json_put_int_or_null(j, "vfIndex", a->vf_index, a->vf_index >= 0);
	put_pci(j, "vf", &a->vf);
	json_put_str(j, "uplink", a->uplink);
	json_put_str(j, "kind", a->kind == DL_NONE ? NULL : delivery_kind_str(a->kind));
	json_put_str(j, "device", a->device);
	json_put_str(j, "how", a->how);
	json_put_int_or_null(j, "pid", a->pid, a->pid > 0);
	json_put_int_or_null(j, "pidStart", a->pid_start, a->pid > 0);
	json_put_int_or_null(j, "uid", a->uid, a->pid > 0);
	json_put_str(j, "handover", handover_str(a->handover));
	json_put_bool(j, "persistent", a->persistent);
	json_put_int_or_null(j, "sinceUsec", a->since_usec, a->since_usec > 0);
	json_put(j, "asked", model_request_to_json(&a->asked));
	return whole(j, 25);
}

/* ---- values from JSON ----------------------------------------------------------------- */

/* "" where the field is absent or null; given but empty is a mistake (an unset variable of a
 * script), not a wish for any. */
static int get_word(const json_t *j, const char *field, char *ret, size_t size,
		    struct vnet_err *err)
{
	const json_t *v = json_object_get(j, field);
	int r;

	ret[0] = '\0';
	r = json_get_str_opt(j, field, ret, size, err);
	if (r < 0)
		return r;
	if (json_is_string(v) && !ret[0]) {
		vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			     "%s is empty: leave it out or give a value", field);
		vnet_err_at(err, NULL, field);
		return -EINVAL;
	}
	return 0;
}

static int get_mac(const json_t *j, const char *field, struct mac *ret, bool *ret_known,
		   struct vnet_err *err)
{
	char text[64];
	int r;

	*ret_known = false;
	r = get_word(j, field, text, sizeof(text), err);
	if (r < 0 || !text[0])
		return r;
	if (mac_parse(text, ret) < 0) {
		vnet_err_set(err, -EINVAL, VNET_E_INVALID,
			     "%s '%s' is not of the form 52:54:00:12:34:56", field, text);
		vnet_err_at(err, NULL, field);
		return -EINVAL;
	}
	*ret_known = true;
	return 0;
}

static int get_pci(const json_t *j, const char *field, struct pci_addr *ret, struct vnet_err *err)
{
	char text[64];
	int r;

	r = get_word(j, field, text, sizeof(text), err);
	if (r < 0 || !text[0])
		return r;
	if (pci_addr_parse(text, ret) == 0)
		return 0;
	vnet_err_set(err, -EINVAL, VNET_E_INVALID,
		     "field \"%s\": \"%s\" is not of the form 0000:65:00.4", field, text);
	vnet_err_at(err, NULL, field);
	return -EINVAL;
}

static int get_vlan(const json_t *j, struct vlan *ret, struct vnet_err *err)
{
	static const char *const fields[] = { "id", "qos", "proto", NULL };
	const json_t *o = json_object_get(j, "vlan");
	struct vlan v = { .proto = VLAN_PROTO_Q };
	int64_t id = 0, qos = 0;
	char proto[16] = "";
	int r;

	if (!o || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return invalid(err, "vlan", "field \"vlan\" must be an object {id, qos, proto}");
	r = json_only_fields(o, fields, err);
	if (r == 0)
		r = json_get_int(o, "id", 1, VLAN_ID_MAX, &id, err);
	if (r == 0)
		r = json_get_int_opt(o, "qos", 0, VLAN_QOS_MAX, &qos, err);
	if (r == 0)
		r = get_word(o, "proto", proto, sizeof(proto), err);
	if (r < 0)
		return vnet_err_wrap(err, "vlan");
	if (proto[0] && vlan_proto_from(proto, &v.proto) < 0)
		return invalid(err, "vlan.proto", "vlan proto must be 802.1Q or 802.1ad");
	v.id = (uint16_t)id;
	v.qos = (uint8_t)qos;
	r = model_check_vlan(&v, err);
	if (r < 0)
		return r;
	*ret = v.id ? v : (struct vlan){ 0 };
	return 0;
}

static int get_modes(const json_t *j, struct vnet_request *r, struct vnet_err *err)
{
	const json_t *modes = json_object_get(j, "modes"), *m;
	size_t i;

	if (!modes || json_is_null(modes))
		return 0;
	if (!json_is_array(modes) || json_array_size(modes) > MODES_MAX)
		return invalid(err, "modes", "field \"modes\" must be an array of at most 8 names");
	json_array_foreach (modes, i, m) {
		if (!json_is_string(m) || !is_word(json_string_value(m), "-", MODE_NAME_MAX - 1))
			return invalid(err, "modes",
				       "field \"modes\": a mode's name is made of a-z 0-9 -, up to "
				       "23 of them: `vnetctl mode list` shows them");
		strcpy(r->modes[i], json_string_value(m));
	}
	r->n_modes = (unsigned)json_array_size(modes);
	for (i = 0; i < r->n_modes; i++) {
		if (strcmp(r->modes[i], "auto") != 0)
			continue;
		if (r->n_modes > 1)
			return invalid(err, "modes",
				       "mode auto is the pool's own modes in their order: it "
				       "stands alone");
		memset(r->modes, 0, sizeof(r->modes));
		r->n_modes = 0;
	}
	return 0;
}

int model_scope_from_json(const json_t *j, enum scope *ret, struct vnet_err *err)
{
	char text[16];
	int r = get_word(j, "scope", text, sizeof(text), err);

	if (r < 0)
		return r;
	if (text[0] && (scope_from(text, ret) < 0 || *ret == SCOPE_AUTO))
		return invalid(err, "scope",
			       "field \"scope\" must be live or config, or be left out for both");
	return 0;
}

int model_request_from_json(const json_t *j, struct vnet_request *ret, struct vnet_err *err)
{
	static const char *const fields[] = { "guest", "name",	"modes",   "pool",     "mac",
					      "vlan",  "scope", "options", "fallback", NULL };
	struct vnet_request q = { 0 };
	bool fallback = true;
	int r;

	if (!json_is_object(j))
		return invalid(err, "", "a request must be a JSON object");
	r = json_only_fields(j, fields, err);
	if (r == 0)
		r = json_get_str(j, "guest", q.guest, sizeof(q.guest), err);
	if (r == 0)
		r = model_check_guest_name(q.guest, err);
	if (r == 0)
		r = get_word(j, "name", q.name, sizeof(q.name), err);
	if (r == 0 && q.name[0])
		r = model_check_nic_name(q.name, err);
	if (r == 0)
		r = get_modes(j, &q, err);
	if (r == 0)
		r = get_word(j, "pool", q.pool, sizeof(q.pool), err);
	if (r == 0)
		r = get_mac(j, "mac", &q.mac, &q.has_mac, err);
	if (r == 0 && q.has_mac)
		r = model_check_mac(&q.mac, err);
	if (r == 0)
		r = get_vlan(j, &q.vlan, err);
	if (r == 0)
		r = model_scope_from_json(j, &q.scope, err);
	if (r == 0)
		r = options_from_json(json_object_get(j, "options"), q.options, err);
	if (r == 0)
		r = json_get_bool_opt(j, "fallback", &fallback, err);
	if (r < 0)
		return r;
	q.no_fallback = !fallback;
	*ret = q;
	return 0;
}

/* What a vnetd of before wrote has none of it: a VF then. */
static int get_delivery(const json_t *j, struct vnet_attachment *a, struct vnet_err *err)
{
	char text[32];
	int r = get_word(j, "uplink", a->uplink, sizeof(a->uplink), err);

	if (r == 0)
		r = get_word(j, "kind", text, sizeof(text), err);
	if (r == 0 && text[0] && delivery_kind_from(text, &a->kind) < 0)
		return invalid(err, "kind", "field \"kind\" is no kind of delivery");
	if (r == 0)
		r = get_word(j, "device", a->device, sizeof(a->device), err);
	if (r == 0)
		r = get_word(j, "how", a->how, sizeof(a->how), err);
	if (r == 0)
		r = json_get_int_opt(j, "pid", 0, INT32_MAX, &a->pid, err);
	if (r == 0)
		r = json_get_int_opt(j, "pidStart", 0, INT64_MAX, &a->pid_start, err);
	return r == 0 ? json_get_int_opt(j, "uid", 0, UINT32_MAX, &a->uid, err) : r;
}

static int get_state(const json_t *j, struct vnet_attachment *a, struct vnet_err *err)
{
	char text[32];
	int r;

	r = json_get_str(j, "state", text, sizeof(text), err);
	if (r < 0)
		return r;
	if (attachment_state_from(text, &a->state) < 0)
		return invalid(err, "state", "field \"state\" is no state of an attachment");
	r = json_get_str(j, "handover", text, sizeof(text), err);
	if (r < 0)
		return r;
	if (handover_from(text, &a->handover) < 0)
		return invalid(err, "handover", "field \"handover\" is no way of handing over");
	return 0;
}

/* What was asked, and the names under which it was granted. */
static int get_identity(const json_t *j, struct vnet_attachment *a, struct vnet_err *err)
{
	char guest[GUEST_NAME_MAX];
	int r;

	r = model_request_from_json(json_object_get(j, "asked"), &a->asked, err);
	if (r < 0)
		return vnet_err_wrap(err, "field \"asked\"");
	r = json_get_str(j, "guest", guest, sizeof(guest), err);
	if (r < 0)
		return r;
	if (strcmp(guest, a->asked.guest) != 0)
		return invalid(err, "guest", "field \"guest\" is not the one that was asked for");
	r = json_get_str(j, "name", a->name, sizeof(a->name), err);
	return r < 0 ? r : model_check_nic_name(a->name, err);
}

/* Fields that a newer daemon adds are passed over: vnetctl may be older. */
int model_attachment_from_json(const json_t *j, struct vnet_attachment *ret, struct vnet_err *err)
{
	struct vnet_attachment a = { 0 };
	int64_t vf_index = -1;
	bool known;
	int r;

	if (!json_is_object(j))
		return invalid(err, "", "an attachment must be a JSON object");
	r = get_identity(j, &a, err);
	if (r == 0)
		r = get_state(j, &a, err);
	if (r == 0)
		r = get_word(j, "uuid", a.uuid, sizeof(a.uuid), err);
	if (r == 0)
		r = get_word(j, "reason", a.reason, sizeof(a.reason), err);
	if (r == 0)
		r = get_word(j, "mode", a.mode, sizeof(a.mode), err);
	if (r == 0)
		r = get_word(j, "why", a.why, sizeof(a.why), err);
	if (r == 0)
		r = get_word(j, "pool", a.pool, sizeof(a.pool), err);
	if (r == 0)
		r = get_mac(j, "mac", &a.mac, &known, err);
	if (r == 0)
		r = get_vlan(j, &a.vlan, err);
	if (r == 0)
		r = get_pci(j, "pf", &a.pf, err);
	if (r == 0)
		r = get_mac(j, "pfMac", &a.pf_mac, &known, err);
	if (r == 0)
		r = json_get_int_opt(j, "vfIndex", 0, UINT16_MAX, &vf_index, err);
	if (r == 0)
		r = get_pci(j, "vf", &a.vf, err);
	if (r == 0)
		r = get_delivery(j, &a, err);
	if (r == 0)
		a.persistent = json_is_true(json_object_get(j, "persistent"));
	if (r == 0)
		r = json_get_int_opt(j, "sinceUsec", 0, INT64_MAX, &a.since_usec, err);
	if (r < 0)
		return r;
	a.vf_index = (int)vf_index;
	*ret = a;
	return 0;
}

const char *model_attachment_id(const struct vnet_attachment *a, char buf[static ATTACHMENT_ID_MAX])
{
	snprintf(buf, ATTACHMENT_ID_MAX, "%s/%s", a->asked.guest, a->name);
	return buf;
}
