/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum { COL_MODE, COL_STATE, COL_SUMMARY };

static const struct out_column columns[] = {
	[COL_MODE] = { .name = "MODE" },
	[COL_STATE] = { .name = "STATE" },
	[COL_SUMMARY] = { .name = "SUMMARY", .prose = true },
};

static void print(const json_t *modes)
{
	struct out_table t;
	const json_t *m;
	size_t i;

	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (modes, i, m) {
		struct libscols_line *row = out_row(&t, NULL);
		const char *name = out_str(m, "name"), *file = out_str(m, "file");
		const char *error = out_str(m, "error");
		bool loaded = out_true(m, "loaded");

		out_cell(row, COL_MODE, name ? name : file);
		out_cell(row, COL_STATE, loaded ? "loaded" : "refused");
		out_tint(row, COL_STATE, loaded ? OUT_GOOD : OUT_BAD);
		out_cell(row, COL_SUMMARY, loaded || !error ? out_str(m, "summary") : error);
	}
	out_table_end(&t);
}

int cmd_mode(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "list",
		.doc = "List the ways to give a guest a NIC, and the plugins that were refused.",
	};
	_cleanup_json_ json_t *reply = NULL;
	const json_t *modes;
	int r;

	cli_parse(cli, argc, argv, &argp, "list", 0, 0, NULL);
	r = cli_call(cli, "io.vnetd.ListModes", NULL, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	modes = json_object_get(reply, "modes");
	if (cli->json)
		out_json(reply);
	else if (json_array_size(modes) == 0)
		out_line(stdout, "no modes: vnetd found no plugins\n");
	else
		print(modes);
	return cli_end(EXIT_DONE);
}
