/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of the knob ovs-port, and what is in the database of the same. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/host/backend.h"
#include "daemon/host/ovs-port.h"
#include "daemon/host/ovsdb.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define FOREIGN "foreign"
#define ODD "other" /* trunks that a vlan_set cannot say, or too many to spell */

bool ovs_is_word(const char *s, size_t max)
{
	size_t n = strlen(s);

	return n > 0 && n < max && !strpbrk(s, " \t/") && !json_control_len(s);
}

/* "BRIDGE [tag N | trunks LIST] id ID" */
int ovs_port_parse(const char *value, struct ovs_port *ret)
{
	char text[KNOB_VALUE_MAX], *words[6], *save = NULL;
	struct ovs_port p = { .tag = -1 };
	struct vlan_set tag;
	unsigned n = 0, first = 0, last;

	if (strlen(value) >= sizeof(text))
		return -EINVAL;
	strcpy(text, value);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		if (n == ARRAY_SIZE(words))
			return -EINVAL;
		words[n++] = w;
	}
	if ((n != 3 && n != 5) || strcmp(words[n - 2], "id") != 0 ||
	    !ovs_is_word(words[0], IF_NAMESIZE) || !ovs_is_word(words[n - 1], sizeof(p.id)))
		return -EINVAL;
	strcpy(p.bridge, words[0]);
	strcpy(p.id, words[n - 1]);
	if (n == 5 && !strcmp(words[1], "tag")) {
		if (strpbrk(words[2], ",-") || vlan_set_parse(words[2], &tag) < 0)
			return -EINVAL;
		vlan_set_next(&tag, 0, &first, &last);
		p.tag = (int)first;
	} else if (n == 5) {
		if (strcmp(words[1], "trunks") != 0 || vlan_set_parse(words[2], &p.trunks) < 0)
			return -EINVAL;
		p.has_trunks = true;
	}
	*ret = p;
	return 0;
}

static bool same_port(const struct ovs_port *a, const struct ovs_port *b)
{
	return !strcmp(a->bridge, b->bridge) && !strcmp(a->id, b->id) && a->tag == b->tag &&
	       a->has_trunks == b->has_trunks && vlan_set_eq(&a->trunks, &b->trunks);
}

bool ovs_port_matches(const char *wanted, const char *actual)
{
	struct ovs_port w, a;

	if (ovs_port_parse(wanted, &w) < 0 || ovs_port_parse(actual, &a) < 0)
		return !strcmp(wanted, actual);
	return same_port(&w, &a);
}

/* What is not as a value can ask for is in the text all the same, so that it matches
 * none: a mode, tag and trunks at once. */
void ovs_port_str(const struct ovs_found *f, char ret[static KNOB_VALUE_MAX])
{
	char tag[16] = "", mode[40] = "", list[KNOB_VALUE_MAX];
	const struct ovs_port *p = &f->port;
	int n;

	if (!p->id[0]) {
		snprintf(ret, KNOB_VALUE_MAX, FOREIGN " %s", p->bridge);
		return;
	}
	if (p->tag >= 0)
		snprintf(tag, sizeof(tag), " tag %d", p->tag);
	if (f->mode[0])
		snprintf(mode, sizeof(mode), " vlan_mode %s", f->mode);
	if (f->odd_trunks || vlan_set_str(&p->trunks, list, sizeof(list)) < 0)
		strcpy(list, ODD);
	n = snprintf(ret, KNOB_VALUE_MAX, "%s%s%s%s%s id %s", p->bridge, tag, mode,
		     p->has_trunks ? " trunks " : "", p->has_trunks ? list : "", p->id);
	if (n >= KNOB_VALUE_MAX)
		snprintf(ret, KNOB_VALUE_MAX, "%s%s%s trunks " ODD " id %s", p->bridge, tag, mode,
			 p->id);
}

static void read_vlans(const json_t *row, struct ovs_found *f)
{
	const json_t *tag = ovsdb_set_at(json_object_get(row, "tag"), 0);
	const json_t *trunks = json_object_get(row, "trunks");

	f->port.tag = json_is_integer(tag) ? (int)json_integer_value(tag) : -1;
	f->port.has_trunks = ovsdb_set_size(trunks) > 0;
	for (size_t i = 0; i < ovsdb_set_size(trunks); i++) {
		json_int_t id = json_integer_value(ovsdb_set_at(trunks, i));

		if (id < VLAN_SET_MIN || id > VLAN_SET_MAX)
			f->odd_trunks = true;
		else
			vlan_set_add(&f->port.trunks, (unsigned)id);
	}
}

void ovs_port_read(const json_t *row, struct ovs_found *f)
{
	const char *id = ovsdb_map_get(json_object_get(row, "external_ids"), OVS_PORT_KEY);
	const char *uuid = ovsdb_uuid(json_object_get(row, "_uuid"));

	if (strlen(uuid) < sizeof(f->uuid))
		strcpy(f->uuid, uuid);
	ovsdb_text(ovsdb_set_at(json_object_get(row, "vlan_mode"), 0), f->mode, sizeof(f->mode));
	/* An ID that is none of ours is as good as none. */
	if (id && ovs_is_word(id, sizeof(f->port.id)))
		strcpy(f->port.id, id);
	read_vlans(row, f);
}
