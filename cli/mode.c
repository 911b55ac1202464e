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

/* NAME=ACCEPTS: what it is, for each option of each mode. */
static void print_options(const json_t *modes)
{
	const json_t *m, *o;
	size_t i, k;

	json_array_foreach (modes, i, m) {
		const char *name = out_str(m, "name");

		if (json_array_size(json_object_get(m, "options")) > 0)
			out_line(stdout, "\nOptions of %s (--option):\n", name ? name : "?");
		json_array_foreach (json_object_get(m, "options"), k, o) {
			const char *key = out_str(o, "name"), *accepts = out_str(o, "accepts");
			const char *summary = out_str(o, "summary");

			out_line(stdout, "  %s=%s: %s\n", key ? key : "?", accepts ? accepts : "",
				 summary ? summary : "");
		}
	}
}

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
	print_options(modes);
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
