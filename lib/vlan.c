/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* VLANs as text: in knobs, on the plugin ABI, in guests' metadata. */
#include "lib/vlan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define VLAN_ID_KERNEL_MAX 4095 /* reserved, but some drivers take it */

int vlan_proto_from(const char *s, uint16_t *ret)
{
	if (strcasecmp(s, "802.1Q") == 0)
		*ret = VLAN_PROTO_Q;
	else if (strcasecmp(s, "802.1ad") == 0)
		*ret = VLAN_PROTO_AD;
	else
		return -EINVAL;
	return 0;
}

const char *vlan_proto_str(const struct vlan *v)
{
	return v->proto == VLAN_PROTO_AD ? "802.1ad" : "802.1Q";
}

static int parse_decimal(const char *s, unsigned max, unsigned *ret)
{
	unsigned v = 0;

	if (!*s || (*s == '0' && s[1]))
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
		if (v > max)
			return -EINVAL;
	}
	*ret = v;
	return 0;
}

/* No VLAN is all zero, whatever spelling it came from, so that values compare bytewise. */
static int parse_vlan(const char *s, unsigned id_max, struct vlan *ret)
{
	char buf[VLAN_STR], *rest = NULL, *word, *value;
	struct vlan v = { .proto = VLAN_PROTO_Q };
	bool has_qos = false, has_proto = false;
	unsigned n;

	if (!s || strlen(s) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, s);
	word = strtok_r(buf, " ", &rest);
	if (!word || parse_decimal(word, id_max, &n) < 0)
		return -EINVAL;
	v.id = (uint16_t)n;
	while ((word = strtok_r(NULL, " ", &rest))) {
		value = strtok_r(NULL, " ", &rest);
		if (!value)
			return -EINVAL;
		if (strcmp(word, "qos") == 0 && !has_qos) {
			if (parse_decimal(value, VLAN_QOS_MAX, &n) < 0)
				return -EINVAL;
			v.qos = (uint8_t)n;
			has_qos = true;
		} else if (strcmp(word, "proto") == 0 && !has_proto) {
			if (vlan_proto_from(value, &v.proto) < 0)
				return -EINVAL;
			has_proto = true;
		} else {
			return -EINVAL;
		}
	}
	if (v.id == 0 && (v.qos || v.proto != VLAN_PROTO_Q))
		return -EINVAL;
	*ret = v.id ? v : (struct vlan){ 0 };
	return 0;
}

int vlan_parse(const char *s, struct vlan *ret)
{
	return parse_vlan(s, VLAN_ID_MAX, ret);
}

int vlan_parse_found(const char *s, struct vlan *ret)
{
	return parse_vlan(s, VLAN_ID_KERNEL_MAX, ret);
}

const char *vlan_str(const struct vlan *v, char buf[static VLAN_STR])
{
	char qos[sizeof(" qos 255")] = "";

	if (v->id && v->qos)
		snprintf(qos, sizeof(qos), " qos %u", v->qos);
	snprintf(buf, VLAN_STR, "%u%s%s", v->id, qos,
		 v->id && v->proto == VLAN_PROTO_AD ? " proto 802.1ad" : "");
	return buf;
}
