/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was answered about the candidates, in words and as JSON. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/select.h"
#include "lib/json.h"

static const char *skip_own_name(const char *s, const struct candidate *c)
{
	char object[VF_OBJECT_STR], vf[PCI_ADDR_STR];
	const char *const names[] = {
		c->vf_index >= 0 ? vf_object_str(&c->uplink->pf, (unsigned)c->vf_index, object)
				 : NULL,
		pci_addr_str(&c->vf, vf),
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t len = names[i] ? strlen(names[i]) : 0;

		if (len && strncmp(s, names[i], len) == 0)
			return s + len;
	}
	return s;
}

/* The same reason, each with its own VF in it? */
static bool reasons_alike(const struct candidate *a, const struct candidate *b)
{
	const char *s = a->verdict.reason, *t = b->verdict.reason;

	for (;; s++, t++) {
		s = skip_own_name(s, a);
		t = skip_own_name(t, b);
		if (*s != *t)
			return false;
		if (!*s)
			return true;
	}
}

/* Candidate @i's reason and how many have the same; "" where an earlier one has. */
static void reason_of(const struct selection *s, size_t i, char *ret, size_t size)
{
	size_t same = 0;

	ret[0] = '\0';
	for (size_t k = 0; k < s->n; k++) {
		if (k == i || !reasons_alike(&s->at[k], &s->at[i]))
			continue;
		if (k < i)
			return;
		same++;
	}
	if (same)
		snprintf(ret, size, "%s (and so %zu more)", s->at[i].verdict.reason, same);
	else
		snprintf(ret, size, "%s", s->at[i].verdict.reason);
}

/* The first reason of each mode that was asked before and could not, behind "; no ", by which
 * `vnetctl list` finds them. */
void select_why(const struct selection *s, char *ret, size_t size)
{
	const struct candidate *c = s->chosen;
	size_t n = (size_t)snprintf(ret, size, "%s", c->verdict.reason);

	for (size_t i = 0; i < s->n && &s->at[i] < c && n < size; i++) {
		const struct candidate *no = &s->at[i];
		size_t more = 0;
		bool told = strcmp(no->mode_name, c->mode_name) == 0;

		for (size_t k = 0; k < i; k++)
			told |= strcmp(s->at[k].mode_name, no->mode_name) == 0;
		for (size_t k = i + 1; k < s->n; k++)
			more += strcmp(s->at[k].mode_name, no->mode_name) == 0;
		if (told)
			continue;
		n += (size_t)snprintf(ret + n, size - n, "; no %s: %.200s", no->mode_name,
				      no->verdict.reason);
		if (more && n < size)
			n += (size_t)snprintf(ret + n, size - n, " (and %zu more)", more);
	}
}

int select_refuse(const struct selection *s, const struct vnet_request *r, struct vnet_err *err)
{
	static const char rest[] = "; and others: `vnetctl why` shows each";
	char text[VNET_ERR_TEXT_MAX - 256] = "", reason[REASON_MAX + 64];
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		reason_of(s, i, reason, sizeof(reason));
		if (!reason[0])
			continue;
		if (n && n + strlen(reason) + sizeof(rest) + 2 > sizeof(text)) {
			strcpy(text + n, rest);
			break;
		}
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "", reason);
		if (n >= sizeof(text))
			break;
	}
	if (!s->n)
		return vnet_err_set(err, -ENODEV, VNET_E_NOTHING_SERVES, "nothing can serve %s: %s",
				    r->guest, s->no_pool);
	return vnet_err_set(err, -ENODEV, VNET_E_NOTHING_SERVES, "nothing can serve %s: %s",
			    r->guest, text);
}

json_t *select_verdicts_json(const struct selection *s)
{
	json_t *list = json_array();
	char buf[PCI_ADDR_STR];

	for (size_t i = 0; i < s->n; i++) {
		const struct candidate *c = &s->at[i];
		json_t *v = json_object();

		json_put_str(v, "mode", c->mode_name);
		json_put_str(v, "pool", c->pool->name);
		json_put_str(v, "uplink", c->uplink ? c->uplink->key : NULL);
		json_put_str(v, "pf", c->uplink ? pci_addr_str(&c->uplink->pf, buf) : NULL);
		json_put_str(v, "vf", pci_addr_str(&c->vf, buf));
		json_put_int_or_null(v, "vfIndex", c->vf_index, c->vf_index >= 0);
		json_put_bool(v, "serves", c->verdict.score > 0);
		json_put_int(v, "score", c->verdict.score);
		json_put_bool(v, "chosen", c == s->chosen);
		json_put_str(v, "reason", c->verdict.reason);
		json_array_append_new(list, v);
	}
	return list;
}
