/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools and their uplinks as a tree; below it what is wrong and what has to wait. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum {
	COL_POOL,
	COL_STATE,
	COL_ADDRESS,
	COL_NUMA,
	COL_VFS,
	COL_FREE,
	COL_USED,
	COL_QUOTA,
	COL_MODES,
	COL_VLAN,
	COL_PLACEMENT
};

static const struct out_column columns[] = {
	[COL_POOL] = { .name = "POOL", .flags = SCOLS_FL_TREE },
	[COL_STATE] = { .name = "STATE" },
	[COL_ADDRESS] = { .name = "UPLINK" },
	[COL_NUMA] = { .name = "NUMA", .flags = SCOLS_FL_RIGHT },
	[COL_VFS] = { .name = "VFS" },
	[COL_FREE] = { .name = "FREE", .flags = SCOLS_FL_RIGHT },
	[COL_USED] = { .name = "USED", .flags = SCOLS_FL_RIGHT },
	[COL_QUOTA] = { .name = "QUOTA", .flags = SCOLS_FL_RIGHT },
	[COL_MODES] = { .name = "MODES" },
	[COL_VLAN] = { .name = "VLAN" },
	[COL_PLACEMENT] = { .name = "PLACEMENT" },
};

static void put_int(struct libscols_line *row, size_t column, const json_t *obj, const char *field)
{
	int64_t n = out_int(obj, field, -1);

	if (n >= 0)
		out_cellf(row, column, "%lld", (long long)n);
}

/* VFs are counted of these alone. */
static bool is_pf(const json_t *uplink)
{
	const char *kind = out_str(uplink, "kind");

	return kind && strcmp(kind, "pf") == 0;
}

static bool has_pf(const json_t *uplinks)
{
	const json_t *u;
	size_t i;

	json_array_foreach (uplinks, i, u) {
		if (is_pf(u))
			return true;
	}
	return false;
}

static void add_uplink(struct out_table *t, struct libscols_line *parent, const json_t *u)
{
	struct libscols_line *row = out_row(t, parent);
	const char *link = out_str(u, "link"), *name = out_str(u, "name");
	const char *kind = out_str(u, "kind");

	out_cell(row, COL_POOL, link ? link : name);
	out_cell(row, COL_STATE, " ");
	out_cell(row, COL_ADDRESS, out_str(u, "pf") ? name : kind);
	put_int(row, COL_NUMA, u, "numaNode");
	if (is_pf(u)) {
		out_cellf(row, COL_VFS, "%lld of %lld", (long long)out_int(u, "vfs", 0),
			  (long long)out_int(u, "totalVfs", 0));
		put_int(row, COL_FREE, u, "free");
	}
	put_int(row, COL_USED, u, "used");
	for (size_t c = COL_QUOTA; c <= COL_PLACEMENT; c++)
		out_cell(row, c, " ");
}

static void add_pool(struct out_table *t, const json_t *pool)
{
	struct libscols_line *row = out_row(t, NULL);
	const json_t *uplinks = json_object_get(pool, "uplinks"), *u, *mode;
	bool disabled = out_true(pool, "disabled");
	char modes[256] = "", vlan[64];
	size_t i, n = 0;

	json_array_foreach (json_object_get(pool, "modes"), i, mode) {
		if (n < sizeof(modes) && json_is_string(mode))
			n += (size_t)snprintf(modes + n, sizeof(modes) - n, "%s%s", n ? "," : "",
					      json_string_value(mode));
	}
	out_cell(row, COL_POOL, out_str(pool, "name"));
	out_cell(row, COL_STATE,
		 disabled			? "disabled"
		 : out_true(pool, "configured") ? "configured"
						: "implicit");
	out_tint(row, COL_STATE,
		 disabled		    ? OUT_BAD
		 : out_str(pool, "problem") ? OUT_WARN
					    : OUT_GOOD);
	out_cell(row, COL_ADDRESS, " ");
	out_cell(row, COL_NUMA, " ");
	if (has_pf(uplinks)) {
		out_cell(row, COL_VFS, out_str(pool, "vfs"));
		put_int(row, COL_FREE, pool, "free");
	}
	put_int(row, COL_USED, pool, "used");
	put_int(row, COL_QUOTA, pool, "quota");
	out_cell(row, COL_MODES, modes);
	out_cell(row, COL_VLAN, out_vlan(json_object_get(pool, "vlan"), vlan, sizeof(vlan)));
	out_cell(row, COL_PLACEMENT, out_str(pool, "placement"));
	json_array_foreach (uplinks, i, u)
		add_uplink(t, row, u);
}

static void print(const json_t *pools)
{
	struct out_table t;
	const json_t *pool, *text;
	size_t i, k;

	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (pools, i, pool)
		add_pool(&t, pool);
	out_table_end(&t);
	json_array_foreach (pools, i, pool) {
		const char *name = out_str(pool, "name"), *problem = out_str(pool, "problem");

		if (problem)
			out_line(stdout, "\npool %s%s: %s\n", name ? name : "?",
				 out_true(pool, "disabled") ? " is disabled" : "", problem);
	}
	json_array_foreach (pools, i, pool) {
		json_array_foreach (json_object_get(pool, "waiting"), k, text)
			out_line(stdout, "\n%s\n", json_string_value(text));
	}
}

int cmd_pool(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "list",
		.doc = "List what NICs are taken from: the pools of vnetd.conf, and each NIC, "
		       "bridge, bond and vDPA management device that none of them claims.",
	};
	_cleanup_json_ json_t *reply = NULL;
	const json_t *pools;
	int r;

	cli_parse(cli, argc, argv, &argp, "list", 0, 0, NULL);
	r = cli_call(cli, "io.vnetd.ListPools", NULL, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	pools = json_object_get(reply, "pools");
	if (cli->json)
		out_json(reply);
	else if (json_array_size(pools) == 0)
		out_line(stdout, "no pools: no network card and no bridge was found\n");
	else
		print(pools);
	return cli_end(EXIT_DONE);
}
