/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of keys: how each is written, read, printed and described. Defaults are
 * texts, parsed like anybody's, so that there is one spelling of a value.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"
#include "lib/cleanup.h"

static const char *const placement_names[] = {
	[PLACEMENT_SPREAD] = "spread", [PLACEMENT_PACK] = "pack"
};
static const char *const numa_names[] = {
	[NUMA_PREFERRED] = "preferred", [NUMA_STRICT] = "strict"
};
static const char *const reserve_names[] = {
	[RESERVE_ALWAYS] = "always", [RESERVE_RUNNING] = "running"
};
NAMES_DEFINE(config_placement, enum config_placement, placement_names, PLACEMENT_MAX)
NAMES_DEFINE(config_numa, enum config_numa, numa_names, NUMA_MAX)
NAMES_DEFINE(config_reserve, enum config_reserve, reserve_names, RESERVE_MAX)

/* One value, of a key that is no list. */
static bool one(size_t i, char *ret, const char *text)
{
	if (i == 0)
		snprintf(ret, CONFIG_VALUE_MAX, "%s", text);
	return i == 0;
}

static int *int_at(const struct config_key *k, void *obj)
{
	return (int *)((char *)obj + k->offset);
}

static int int_of(const struct config_key *k, const void *obj)
{
	return *(const int *)((const char *)obj + k->offset);
}

/* ---- numbers, words ---- */

static int read_number(const char *s, int min, int max, int *ret)
{
	long n = 0;

	for (const char *p = s; *p; p++) {
		if (!isdigit((unsigned char)*p) || n > max)
			return -EINVAL;
		n = n * 10 + (*p - '0');
	}
	if (!*s || n < min || n > max)
		return -EINVAL;
	*ret = (int)n;
	return 0;
}

static int parse_number(const struct config_key *k, const char *value, void *obj)
{
	if (k->zero && strcmp(value, k->zero) == 0) {
		*int_at(k, obj) = 0;
		return 0;
	}
	return read_number(value, k->min, k->max, int_at(k, obj));
}

static bool print_number(const struct config_key *k, const void *obj, size_t i,
			 char ret[static CONFIG_VALUE_MAX])
{
	char text[16];
	int n = int_of(k, obj);

	snprintf(text, sizeof(text), "%d", n);
	return one(i, ret, n == 0 && k->zero ? k->zero : text);
}

static const char *placement_word(int value)
{
	return config_placement_str((enum config_placement)value);
}

static const char *numa_word(int value)
{
	return config_numa_str((enum config_numa)value);
}

static const char *reserve_word(int value)
{
	return config_reserve_str((enum config_reserve)value);
}

static int parse_word(const struct config_key *k, const char *value, void *obj)
{
	for (int i = 0; strcmp(k->word(i), "?") != 0; i++) {
		if (strcmp(k->word(i), value) != 0)
			continue;
		*int_at(k, obj) = i;
		return 0;
	}
	return -EINVAL;
}

static bool print_word(const struct config_key *k, const void *obj, size_t i,
		       char ret[static CONFIG_VALUE_MAX])
{
	return one(i, ret, k->word(int_of(k, obj)));
}

static int parse_vfs(const struct config_key *k, const char *value, void *obj)
{
	if (strcmp(value, "found") == 0) {
		*int_at(k, obj) = CONFIG_VFS_FOUND;
		return 0;
	}
	return parse_number(k, value, obj);
}

static bool print_vfs(const struct config_key *k, const void *obj, size_t i,
		      char ret[static CONFIG_VALUE_MAX])
{
	return int_of(k, obj) == CONFIG_VFS_FOUND ? one(i, ret, "found")
						  : print_number(k, obj, i, ret);
}

/* ---- VLAN, MAC prefix, range ---- */

static int parse_vlan(const struct config_key *k, const char *value, void *obj)
{
	struct config_pool *p = obj;
	struct vnet_err ignored = VNET_ERR_INIT;
	struct vlan v;

	(void)k;
	if (strcmp(value, "none") == 0)
		value = "0";
	if (vlan_parse(value, &v) < 0 || model_check_vlan(&v, &ignored) < 0)
		return -EINVAL;
	p->set.vlan = v;
	return 0;
}

static bool print_vlan(const struct config_key *k, const void *obj, size_t i,
		       char ret[static CONFIG_VALUE_MAX])
{
	const struct config_pool *p = obj;
	char text[VLAN_STR];

	(void)k;
	return one(i, ret, p->set.vlan.id ? vlan_str(&p->set.vlan, text) : "none");
}

static int parse_mac_prefix(const struct config_key *k, const char *value, void *obj)
{
	char whole[MAC_STR];
	struct mac m;

	/* As long as three octets are, so that no fourth is cut off. */
	if (strlen(value) != 8)
		return -EINVAL;
	snprintf(whole, sizeof(whole), "%s:00:00:01", value);
	if (mac_parse(whole, &m) < 0 || mac_is_multicast(&m))
		return -EINVAL;
	memcpy((char *)obj + k->offset, m.b, MAC_PREFIX_LEN);
	return 0;
}

static bool print_mac_prefix(const struct config_key *k, const void *obj, size_t i,
			     char ret[static CONFIG_VALUE_MAX])
{
	const uint8_t *b = (const uint8_t *)obj + k->offset;
	char text[MAC_STR];

	snprintf(text, sizeof(text), "%02x:%02x:%02x", b[0], b[1], b[2]);
	return one(i, ret, text);
}

static int parse_range(const struct config_key *k, const char *value, void *obj)
{
	struct pool_settings *set = &((struct config_pool *)obj)->set;
	const char *dash = strchr(value, '-');
	char text[16];
	int first = 0, last = -1;

	if (strcmp(value, "all") != 0) {
		snprintf(text, sizeof(text), "%.*s",
			 dash && dash - value < 8 ? (int)(dash - value) : 8, value);
		if (read_number(text, k->min, k->max, &first) < 0)
			return -EINVAL;
		last = dash ? -1 : first;
		if (dash && dash[1] && read_number(dash + 1, first, k->max, &last) < 0)
			return -EINVAL;
	}
	set->first = first;
	set->last = last;
	return 0;
}

static bool print_range(const struct config_key *k, const void *obj, size_t i,
			char ret[static CONFIG_VALUE_MAX])
{
	const struct pool_settings *set = &((const struct config_pool *)obj)->set;
	char text[32];

	(void)k;
	if (set->last >= 0)
		snprintf(text, sizeof(text), "%d-%d", set->first, set->last);
	else
		snprintf(text, sizeof(text), "%d-", set->first);
	return one(i, ret, set->first == 0 && set->last < 0 ? "all" : text);
}

/* ---- a driver ---- */

static int parse_driver(const struct config_key *k, const char *value, void *obj)
{
	size_t len = strlen(value);

	/* The kernel knows it by this name as a folder. */
	if (len >= DRIVER_NAME_MAX || !isalnum((unsigned char)value[0]) ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
		    len)
		return -EINVAL;
	snprintf((char *)obj + k->offset, DRIVER_NAME_MAX, "%s",
		 strcmp(value, k->zero) == 0 ? "" : value);
	return 0;
}

static bool print_driver(const struct config_key *k, const void *obj, size_t i,
			 char ret[static CONFIG_VALUE_MAX])
{
	const char *driver = (const char *)obj + k->offset;

	return one(i, ret, *driver ? driver : k->zero);
}

/* ---- lists ---- */

/* Words apart by blanks or commas; each() says no with a negative errno. */
static int each_word(const char *value, int (*each)(struct config_pool *p, const char *word),
		     struct config_pool *p)
{
	char word[CONFIG_WORD_MAX];
	size_t n = 0;

	for (const char *s = value; *(s += strspn(s, " \t,")); n++) {
		size_t len = strcspn(s, " \t,");
		int r;

		if (len >= sizeof(word))
			return -EINVAL;
		snprintf(word, sizeof(word), "%.*s", (int)len, s);
		r = each(p, word);
		if (r < 0)
			return r;
		s += len;
	}
	return n ? 0 : -EINVAL;
}

static int add_mode(struct config_pool *p, const char *word)
{
	struct pool_settings *set = &p->set;
	size_t len = strlen(word);

	if (len >= MODE_NAME_MAX || !islower((unsigned char)word[0]) ||
	    strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
		return -EINVAL;
	for (unsigned i = 0; i < set->n_modes; i++) {
		if (strcmp(set->modes[i], word) == 0)
			return -EINVAL;
	}
	if (set->n_modes == MODES_MAX)
		return -E2BIG;
	memcpy(set->modes[set->n_modes++], word, len + 1);
	return 0;
}

static int parse_modes(const struct config_key *k, const char *value, void *obj)
{
	(void)k;
	return each_word(value, add_mode, obj);
}

static bool print_modes(const struct config_key *k, const void *obj, size_t i,
			char ret[static CONFIG_VALUE_MAX])
{
	const struct pool_settings *set = &((const struct config_pool *)obj)->set;

	(void)k;
	if (i >= set->n_modes)
		return false;
	return one(0, ret, set->modes[i]);
}

static void clear_modes(void *obj)
{
	((struct config_pool *)obj)->set.n_modes = 0;
}

static int read_uplink(struct config_uplink *u, const char *word)
{
	const char *equals = strchr(word, '=');
	struct pci_addr address;

	u->exact = !strpbrk(word, "*?[");
	if (strncmp(word, "mac=", 4) == 0) {
		u->kind = UPLINK_MAC;
		word += 4;
		if (mac_parse(word, &u->mac) < 0 || mac_is_multicast(&u->mac) ||
		    mac_is_zero(&u->mac))
			return -EINVAL;
	} else if (strncmp(word, "driver=", 7) == 0) {
		u->kind = UPLINK_DRIVER;
		word += 7;
		u->exact = false;
	} else if (strncmp(word, "mgmtdev=", 8) == 0) {
		u->kind = UPLINK_MGMTDEV;
		word += 8;
	} else if (strncmp(word, "pci/", 4) == 0) {
		u->kind = UPLINK_MGMTDEV; /* no interface has such a name */
	} else if (equals) {
		return -EINVAL;
	} else if (strchr(word, ':')) {
		u->kind = UPLINK_ADDRESS;
		if (u->exact && pci_addr_parse(word, &address) < 0)
			return -EINVAL;
	} else {
		u->kind = UPLINK_NAME;
	}
	if (!*word || (u->kind != UPLINK_MGMTDEV && strchr(word, '/')))
		return -EINVAL;
	snprintf(u->word, sizeof(u->word), "%s", word);
	return 0;
}

static int add_uplink(struct config_pool *p, const char *word)
{
	struct config_uplink u = { 0 };
	int r = read_uplink(&u, word);

	if (r < 0)
		return r;
	if (p->n_uplinks == CONFIG_UPLINKS_MAX)
		return -E2BIG;
	p->uplinks[p->n_uplinks++] = u;
	return 0;
}

static int parse_uplink(const struct config_key *k, const char *value, void *obj)
{
	(void)k;
	return each_word(value, add_uplink, obj);
}

static bool print_uplink(const struct config_key *k, const void *obj, size_t i,
			 char ret[static CONFIG_VALUE_MAX])
{
	static const char *const before[] = { [UPLINK_NAME] = "",
					      [UPLINK_ADDRESS] = "",
					      [UPLINK_MAC] = "mac=",
					      [UPLINK_DRIVER] = "driver=",
					      [UPLINK_MGMTDEV] = "mgmtdev=" };
	const struct config_pool *p = obj;
	char text[CONFIG_WORD_MAX + 16];

	(void)k;
	if (i >= p->n_uplinks)
		return false;
	snprintf(text, sizeof(text), "%s%s", before[p->uplinks[i].kind], p->uplinks[i].word);
	return one(0, ret, text);
}

static void clear_uplinks(void *obj)
{
	((struct config_pool *)obj)->n_uplinks = 0;
}

/* ---- the table ---- */

#define INHERITED "[vnetd]"

static const struct config_key keys[] = {
	{ "mac-prefix", CONFIG_VNETD, false, "52:54:00", "three octets, no multicast",
	  "First three octets of the MACs that vnetd makes up.",
	  offsetof(struct config, mac_prefix), .parse = parse_mac_prefix,
	  .print = print_mac_prefix },
	{ "reserve", CONFIG_VNETD, false, "always", "always or running",
	  "Whether the NIC of a shut-off guest keeps its VF (always) or only a running one's.",
	  offsetof(struct config, reserve), .word = reserve_word, .parse = parse_word,
	  .print = print_word },
	{ "hook-timeout-sec", CONFIG_VNETD, false, "120", "1 to 3600",
	  "How long the start of a guest waits for its NICs.",
	  offsetof(struct config, hook_timeout_sec), 1, 3600, .parse = parse_number,
	  .print = print_number },
	{ "start-wait-sec", CONFIG_VNETD, false, "10", "0 to 300",
	  "How long vnetd, starting, waits for uplinks that are not there yet.",
	  offsetof(struct config, start_wait_sec), 0, 300, .parse = parse_number,
	  .print = print_number },
	{ "uplink", CONFIG_POOL, true, NULL,
	  "an interface, a PCI address (both also as globs), mac=MAC, driver=NAME or mgmtdev=NAME",
	  "What NICs are taken from: interface, PCI address, mac=, driver=, mgmtdev=; globs.",
	  .parse = parse_uplink, .print = print_uplink, .clear = clear_uplinks },
	{ "vfs", CONFIG_POOL, false, "auto", "auto, found, or 1 to 65535",
	  "VFs of each uplink: made at start (a number), when first needed (auto), never (found).",
	  offsetof(struct config_pool, set.vfs), 1, 65535, "auto", .parse = parse_vfs,
	  .print = print_vfs },
	{ "range", CONFIG_POOL, false, "all", "all, or VF indices: 3, 0-6, 2-",
	  "Indices of the VFs that are given out, of each uplink.", .min = 0, .max = 65534,
	  .parse = parse_range, .print = print_range },
	{ "modes", CONFIG_POOL, true, "vf", "up to 8 modes, each once (vnetctl mode list)",
	  "Modes for requests that name none, the first that can.", .parse = parse_modes,
	  .print = print_modes, .clear = clear_modes },
	{ "vlan", CONFIG_POOL, false, "none", "none, or 1 to 4094, as 100 or 100 qos 3",
	  "VLAN of attachments that ask for none: ID, and qos 0-7 and proto 802.1Q or 802.1ad.",
	  .parse = parse_vlan, .print = print_vlan },
	{ "mac-prefix", CONFIG_POOL, false, INHERITED, "three octets, no multicast",
	  "First three octets of the MACs that vnetd makes up for this pool.",
	  offsetof(struct config_pool, set.mac_prefix), .parse = parse_mac_prefix,
	  .print = print_mac_prefix },
	{ "quota", CONFIG_POOL, false, "unlimited", "unlimited, or 1 to 1024",
	  "The most attachments of this pool at once.", offsetof(struct config_pool, set.quota), 1,
	  CONFIG_QUOTA_MAX, "unlimited", .parse = parse_number, .print = print_number },
	{ "placement", CONFIG_POOL, false, "spread", "spread or pack",
	  "The least used uplink first (spread), or one uplink filled before the next (pack).",
	  offsetof(struct config_pool, set.placement), .word = placement_word, .parse = parse_word,
	  .print = print_word },
	{ "numa", CONFIG_POOL, false, "preferred", "preferred or strict",
	  "Uplinks on the node of a guest that is bound to one: first, or only (strict).",
	  offsetof(struct config_pool, set.numa), .word = numa_word, .parse = parse_word,
	  .print = print_word },
	{ "reserve", CONFIG_POOL, false, INHERITED, "always or running",
	  "As in [vnetd], for this pool.", offsetof(struct config_pool, set.reserve),
	  .word = reserve_word, .parse = parse_word, .print = print_word },
	{ "vdpa-driver", CONFIG_POOL, false, "auto", "auto, or the name of a driver",
	  "Driver by which VFs become vDPA management devices; auto: what is known of the card.",
	  offsetof(struct config_pool, set.vdpa_driver), .zero = "auto", .parse = parse_driver,
	  .print = print_driver },
};

const struct config_key *config_key_at(size_t i)
{
	return i < ARRAY_SIZE(keys) ? &keys[i] : NULL;
}

int config_key_find(enum config_section section, const char *name, const struct config_key **ret)
{
	int place = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (keys[i].section != section)
			continue;
		if (strcmp(keys[i].name, name) == 0) {
			*ret = &keys[i];
			return place;
		}
		place++;
	}
	return -1;
}

void config_defaults(enum config_section section, void *obj)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct config_key *k = &keys[i];

		if (k->section == section && k->fallback && strcmp(k->fallback, INHERITED) != 0)
			k->parse(k, k->fallback, obj);
	}
}

void config_inherit(const struct config *c, struct config_pool *p)
{
	const struct config_key *k, *above;
	char value[CONFIG_VALUE_MAX];
	int place = 0;

	for (size_t i = 0; (k = config_key_at(i)); i++) {
		if (k->section != CONFIG_POOL)
			continue;
		if (!(p->given & 1u << place) && k->fallback &&
		    strcmp(k->fallback, INHERITED) == 0 &&
		    config_key_find(CONFIG_VNETD, k->name, &above) >= 0 &&
		    above->print(above, c, 0, value))
			k->parse(k, value, p);
		place++;
	}
}
