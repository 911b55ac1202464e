/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host as a tree: pools first, in their order, then every other NIC; VFs below
 * their PF. What one has to know (groups that cannot be passed through, what is stale
 * or stuck) comes last, where it is read. The document is docs/inventory.schema.json.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum column {
	COL_DEVICE,
	COL_NAME,
	COL_DRIVER,
	COL_STATE,
	COL_VFS,
	COL_MAC,
	COL_VLAN,
	COL_GROUP,
	COL_NUMA,
	COL_RESET,
	COL_MODEL,
	COL_USED_BY,
	COL_MAX
};

static const struct {
	struct out_column column;
	bool verbose;
} all_columns[] = {
	[COL_DEVICE] = { { .name = "DEVICE", .flags = SCOLS_FL_TREE }, false },
	[COL_NAME] = { { .name = "NAME" }, false },
	[COL_DRIVER] = { { .name = "DRIVER" }, false },
	[COL_STATE] = { { .name = "STATE" }, false },
	[COL_VFS] = { { .name = "VFS" }, false },
	[COL_MAC] = { { .name = "MAC" }, false },
	[COL_VLAN] = { { .name = "VLAN" }, true },
	[COL_GROUP] = { { .name = "GROUP", .flags = SCOLS_FL_RIGHT }, true },
	[COL_NUMA] = { { .name = "NUMA", .flags = SCOLS_FL_RIGHT }, true },
	[COL_RESET] = { { .name = "RESET" }, true },
	[COL_MODEL] = { { .name = "MODEL" }, true },
	[COL_USED_BY] = { { .name = "USED BY, OR NOTE", .prose = true }, false },
};

struct tree {
	const json_t *inventory;
	bool verbose;
	struct out_table table;
	struct out_column columns[COL_MAX];
	int at[COL_MAX]; /* a column's place; -1 not shown */
};

static void tree_init(struct tree *t, const json_t *inventory, bool verbose)
{
	int n = 0;

	t->inventory = inventory;
	t->verbose = verbose;
	for (size_t i = 0; i < COL_MAX; i++) {
		t->at[i] = all_columns[i].verbose && !verbose ? -1 : n;
		if (t->at[i] >= 0)
			t->columns[n++] = all_columns[i].column;
	}
	out_table_init(&t->table, stdout, t->columns, (size_t)n);
}

static void put(struct tree *t, struct libscols_line *row, enum column c, const char *text)
{
	if (t->at[c] >= 0)
		out_cell(row, (size_t)t->at[c], text);
}

static void put_number(struct tree *t, struct libscols_line *row, enum column c, int64_t n)
{
	if (t->at[c] >= 0 && n >= 0)
		out_cellf(row, (size_t)t->at[c], "%lld", (long long)n);
}

/* ---- one NIC ---- */

/* Also of what is no NIC: an NVMe controller's. */
static bool is_vf(const json_t *nic)
{
	return out_str(nic, "pf") != NULL;
}

static bool is_kind(const json_t *nic, const char *kind)
{
	const char *k = out_str(nic, "kind");

	return k && strcmp(k, kind) == 0;
}

static void put_strings(struct tree *t, struct libscols_line *row, enum column c,
			const json_t *array, const char *field)
{
	char text[256] = "";
	const json_t *e;
	size_t i, len = 0;

	json_array_foreach (array, i, e) {
		const char *s = field ? out_str(e, field) : json_string_value(e);
		int n;

		if (!s || len >= sizeof(text))
			continue;
		n = snprintf(text + len, sizeof(text) - len, "%s%s", len ? "," : "", s);
		len += n > 0 ? (size_t)n : 0;
	}
	put(t, row, c, text);
}

static const char *link_state(const json_t *link)
{
	if (!link)
		return NULL;
	if (!out_true(link, "up"))
		return "down";
	return json_is_false(json_object_get(link, "carrier")) ? "no carrier" : "up";
}

static void put_vfs(struct tree *t, struct libscols_line *row, const json_t *nic,
		    const json_t *uplink)
{
	int64_t made = out_int(nic, "numVfs", 0), total = out_int(nic, "totalVfs", 0);
	int64_t index = out_int(nic, "vfIndex", -1);
	char text[64] = "";

	if (is_vf(nic) && index >= 0)
		snprintf(text, sizeof(text), "VF %lld", (long long)index);
	else if (uplink && made > 0)
		snprintf(text, sizeof(text), "%lld of %lld used",
			 (long long)out_int(uplink, "used", 0), (long long)made);
	else if (uplink)
		snprintf(text, sizeof(text), "%lld when needed",
			 (long long)out_int(uplink, "count", 0));
	else if (total > 0)
		snprintf(text, sizeof(text), "%lld, %lld possible", (long long)made,
			 (long long)total);
	put(t, row, COL_VFS, text);
}

static void put_model(struct tree *t, struct libscols_line *row, const json_t *nic)
{
	const char *vendor = out_str(nic, "vendor"), *device = out_str(nic, "device");
	char text[256];

	vendor = vendor ? vendor : out_str(nic, "vendorId");
	device = device ? device : out_str(nic, "deviceId");
	snprintf(text, sizeof(text), "%s%s%s", vendor ? vendor : "", vendor && device ? " " : "",
		 device ? device : "");
	put(t, row, COL_MODEL, text);
}

static const char *used_by(const json_t *nic, const json_t *uplink)
{
	const char *text = out_str(json_object_get(nic, "holder"), "text");

	if (!text)
		text = out_str(uplink, "hostUses");
	return text ? text : out_str(nic, "reason");
}

static struct libscols_line *add_nic(struct tree *t, const json_t *nic, const json_t *uplink,
				     struct libscols_line *parent)
{
	const json_t *links = json_object_get(nic, "links"), *link = json_array_get(links, 0);
	const json_t *vf = json_object_get(nic, "vf");
	const char *mac = out_str(vf, "mac");
	struct libscols_line *row = out_row(&t->table, parent);
	const char *state = is_vf(nic) ? NULL : link_state(link);
	char vlan[64];

	/* Zero is how a driver says that it has none. */
	if (!mac || strcmp(mac, "00:00:00:00:00:00") == 0)
		mac = out_str(link, "mac");

	put(t, row, COL_DEVICE, out_str(nic, "address"));
	put_strings(t, row, COL_NAME, links, "name");
	put(t, row, COL_DRIVER, out_str(nic, "driver"));
	out_state(row, (size_t)t->at[COL_STATE], state ? state : out_str(nic, "state"));
	put_vfs(t, row, nic, uplink);
	put(t, row, COL_MAC, mac);
	put(t, row, COL_VLAN, out_vlan(json_object_get(vf, "vlan"), vlan, sizeof(vlan)));
	put_number(t, row, COL_GROUP, out_int(nic, "iommuGroup", -1));
	put_number(t, row, COL_NUMA, out_int(nic, "numaNode", -1));
	put_strings(t, row, COL_RESET, json_object_get(nic, "resetMethods"), NULL);
	put_model(t, row, nic);
	put(t, row, COL_USED_BY, used_by(nic, uplink));
	return row;
}

/* ---- all of them ---- */

/* The uplink at @address, of whatever pool. */
static const json_t *uplink_at(const json_t *inventory, const char *address)
{
	const json_t *pools = json_object_get(inventory, "pools"), *pool, *uplink;
	size_t i, k;

	json_array_foreach (pools, i, pool) {
		json_array_foreach (json_object_get(pool, "uplinks"), k, uplink) {
			const char *pf = out_str(uplink, "pf");

			if (pf && is_kind(uplink, "pf") && address && strcmp(pf, address) == 0)
				return uplink;
		}
	}
	return NULL;
}

static void add_with_vfs(struct tree *t, const json_t *nic, const json_t *uplink)
{
	const json_t *nics = json_object_get(t->inventory, "nics"), *vf;
	struct libscols_line *row = add_nic(t, nic, uplink, NULL);
	const char *address = out_str(nic, "address");
	size_t i;

	json_array_foreach (nics, i, vf) {
		const char *pf = out_str(vf, "pf");

		if (pf && address && strcmp(pf, address) == 0)
			add_nic(t, vf, NULL, row);
	}
}

static const json_t *nic_at(const json_t *inventory, const char *address)
{
	const json_t *nics = json_object_get(inventory, "nics"), *nic;
	size_t i;

	json_array_foreach (nics, i, nic) {
		const char *a = out_str(nic, "address");

		if (a && address && strcmp(a, address) == 0)
			return nic;
	}
	return NULL;
}

static void print_nics(const json_t *inventory, bool verbose)
{
	const json_t *pools = json_object_get(inventory, "pools"), *pool;
	const json_t *nics = json_object_get(inventory, "nics"), *nic, *uplink;
	struct tree t = { 0 };
	size_t i, k;

	tree_init(&t, inventory, verbose);
	json_array_foreach (pools, i, pool) {
		json_array_foreach (json_object_get(pool, "uplinks"), k, uplink) {
			nic = nic_at(inventory, out_str(uplink, "pf"));
			if (nic && is_kind(uplink, "pf"))
				add_with_vfs(&t, nic, uplink);
		}
	}
	json_array_foreach (nics, i, nic) {
		/* Bridges and the like are there for the groups' sake. */
		if (is_kind(nic, "other") && out_int(nic, "totalVfs", 0) == 0 && !verbose)
			continue;
		if (nic_at(inventory, out_str(nic, "pf")))
			continue;
		if (!uplink_at(inventory, out_str(nic, "address")))
			add_with_vfs(&t, nic, NULL);
	}
	if (scols_table_get_nlines(t.table.table) == 0)
		out_line(stdout, "no NICs\n");
	out_table_end(&t.table);
}

/* ---- the rest ---- */

static void print_host(const json_t *host)
{
	const json_t *remap = json_object_get(host, "interruptRemapping");
	const char *libvirt = out_str(host, "libvirt");

	out_line(stdout,
		 "IOMMU %s, interrupt remapping %s, vfio-pci %s, iommufd %s, libvirt's guests %s\n",
		 out_true(host, "iommu") ? "on" : "off",
		 json_is_boolean(remap) ? (json_is_true(remap) ? "on" : "off") : "unknown",
		 out_true(host, "vfioPci") ? "loaded" : "not loaded",
		 out_true(host, "iommufd") ? "yes" : "no",
		 !libvirt			 ? "unknown"
		 : strcmp(libvirt, "never") == 0 ? "not read yet"
						 : libvirt);
}

/* A group of one is its device's own matter. */
static void print_group(const json_t *inventory, const json_t *group)
{
	const json_t *members = json_object_get(group, "members"), *m;
	bool concerns_us = false;
	size_t i;

	json_array_foreach (members, i, m) {
		const json_t *nic = nic_at(inventory, out_str(m, "address"));

		concerns_us |= nic && !is_kind(nic, "other");
	}
	if (!json_is_false(json_object_get(group, "viable")) || json_array_size(members) < 2 ||
	    !concerns_us)
		return;
	out_line(stdout, "\nIOMMU group %lld cannot be passed through: the host uses part of it\n",
		 (long long)out_int(group, "id", -1));
	json_array_foreach (members, i, m) {
		const char *address = out_str(m, "address"), *driver = out_str(m, "driver");

		out_line(stdout, "  %s  %s%s\n", address ? address : "?",
			 driver ? driver : "no driver",
			 out_true(m, "blocks") ? "  <- in the way" : "");
	}
}

static void print_links(const char *title, const json_t *links)
{
	enum { NAME, INDEX, KIND, STATE, MAC, MASTER };
	static const struct out_column columns[] = {
		[NAME] = { .name = "LINK" }, [INDEX] = { .name = "INDEX", .flags = SCOLS_FL_RIGHT },
		[KIND] = { .name = "KIND" }, [STATE] = { .name = "STATE" },
		[MAC] = { .name = "MAC" },   [MASTER] = { .name = "MASTER" },
	};
	struct out_table t;
	const json_t *l;
	size_t i;

	if (json_array_size(links) == 0)
		return;
	out_line(stdout, "\n%s\n", title);
	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (links, i, l) {
		struct libscols_line *row = out_row(&t, NULL);
		int64_t index = out_int(l, "index", -1);

		out_cell(row, NAME, out_str(l, "name"));
		if (index >= 0)
			out_cellf(row, INDEX, "%lld", (long long)index);
		out_cell(row, KIND, out_str(l, "kind"));
		out_state(row, STATE, link_state(l));
		out_cell(row, MAC, out_str(l, "mac"));
		out_cell(row, MASTER, out_str(l, "master"));
	}
	out_table_end(&t);
}

static void print_vdpa(const json_t *devices)
{
	enum { NAME, MANAGER, DRIVER, CHARDEV };
	static const struct out_column columns[] = {
		[NAME] = { .name = "VDPA" },
		[MANAGER] = { .name = "MANAGEMENT DEVICE" },
		[DRIVER] = { .name = "DRIVER" },
		[CHARDEV] = { .name = "NODE" },
	};
	struct out_table t;
	const json_t *d;
	size_t i;

	if (json_array_size(devices) == 0)
		return;
	out_line(stdout, "\nvDPA devices\n");
	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (devices, i, d) {
		struct libscols_line *row = out_row(&t, NULL);

		out_cell(row, NAME, out_str(d, "name"));
		out_cell(row, MANAGER, out_str(d, "managementDevice"));
		out_cell(row, DRIVER, out_str(d, "driver"));
		out_cell(row, CHARDEV, out_str(d, "chardev"));
	}
	out_table_end(&t);
}

static void add_word(char *text, size_t size, const char *word, bool so)
{
	size_t len = strlen(text);

	if (so)
		snprintf(text + len, size - len, "%s%s", len ? ", " : "", word);
}

static void print_mgmtdevs(const json_t *devices)
{
	enum { NAME, PF, PAIRS, TAKES, DEVICES };
	static const struct out_column columns[] = {
		[NAME] = { .name = "MANAGEMENT DEVICE" },
		[PF] = { .name = "PF" },
		[PAIRS] = { .name = "QUEUE PAIRS", .flags = SCOLS_FL_RIGHT },
		[TAKES] = { .name = "TAKES" },
		[DEVICES] = { .name = "DEVICES", .flags = SCOLS_FL_RIGHT },
	};
	struct out_table t;
	const json_t *d;
	size_t i;

	if (json_array_size(devices) == 0)
		return;
	out_line(stdout, "\nvDPA devices can be made of\n");
	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (devices, i, d) {
		struct libscols_line *row = out_row(&t, NULL);
		int64_t pairs = out_int(d, "maxQueuePairs", -1);
		char takes[32] = "";

		add_word(takes, sizeof(takes), "MAC", out_true(d, "mac"));
		add_word(takes, sizeof(takes), "MTU", out_true(d, "mtu"));
		add_word(takes, sizeof(takes), "queues", out_true(d, "multiQueue"));
		out_cell(row, NAME, out_str(d, "name"));
		out_cell(row, PF, out_str(d, "pf"));
		if (pairs > 0)
			out_cellf(row, PAIRS, "%lld", (long long)pairs);
		out_cell(row, TAKES, takes);
		out_cellf(row, DEVICES, "%lld", (long long)out_int(d, "devices", 0));
	}
	out_table_end(&t);
}

static void print_troubles(const char *title, const json_t *troubles)
{
	const json_t *t;
	size_t i;

	if (json_array_size(troubles) > 0)
		out_line(stdout, "\n%s\n", title);
	json_array_foreach (troubles, i, t) {
		const char *object = out_str(t, "object"), *text = out_str(t, "text");

		out_line(stdout, "  %s: %s\n", object ? object : "?", text ? text : "?");
	}
}

static void print(const json_t *inventory, bool verbose)
{
	const json_t *groups = json_object_get(inventory, "iommuGroups"), *group;
	size_t i;

	print_host(json_object_get(inventory, "host"));
	print_nics(inventory, verbose);
	json_array_foreach (groups, i, group)
		print_group(inventory, group);
	print_vdpa(json_object_get(inventory, "vdpa"));
	print_mgmtdevs(json_object_get(inventory, "vdpaManagementDevices"));
	if (verbose) {
		print_links("Other links", json_object_get(inventory, "links"));
		print_links("Taps", json_object_get(inventory, "taps"));
	}
	print_troubles("Stale: left behind by somebody", json_object_get(inventory, "stale"));
	print_troubles("Stuck: the kernel does not come back", json_object_get(inventory, "stuck"));
}

/* ---- the verb ---- */

struct args {
	struct cli *cli;
	bool verbose;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case 'v':
		a->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one argument too many", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_inventory(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "verbose", 'v', NULL, 0, "All columns, bridges, other links and taps too", 0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Show the host's NICs, their VFs and who uses them.\v"
		       "--json prints the document that inventory.schema.json describes.",
		.children = children,
	};
	struct args args = { .cli = cli };
	_cleanup_json_ json_t *reply = NULL;
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &args);
	r = cli_call(cli, "io.vnetd.Inventory", NULL, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	if (cli->json)
		out_json(json_object_get(reply, "inventory"));
	else
		print(json_object_get(reply, "inventory"), args.verbose);
	return cli_end(EXIT_DONE);
}
