/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bind a function to another driver; without one, what was bound so. */
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum { COL_ADDRESS, COL_STATE, COL_DRIVER, COL_FOUND, COL_NOW };

static const struct out_column columns[] = {
	[COL_ADDRESS] = { .name = "ADDRESS" }, [COL_STATE] = { .name = "STATE" },
	[COL_DRIVER] = { .name = "DRIVER" },   [COL_FOUND] = { .name = "GOES BACK TO" },
	[COL_NOW] = { .name = "NOW" },
};

enum { KEY_DRIVER = 0x200 };

struct bind_args {
	struct cli *cli;
	const char *address, *driver;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct bind_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case KEY_DRIVER:
		a->driver = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->address)
			argp_error(state, "one ADDRESS at a time");
		a->address = arg;
		return 0;
	case ARGP_KEY_END:
		if (a->address && !a->driver)
			argp_error(state, "say to what: --driver is missing");
		if (a->driver && !a->address)
			argp_error(state, "say what: ADDRESS is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_list(const json_t *binds)
{
	const json_t *b;
	struct out_table t;
	size_t i;

	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (binds, i, b) {
		struct libscols_line *row = out_row(&t, NULL);
		const char *driver = out_str(b, "driver"), *now = out_str(b, "now");

		out_cell(row, COL_ADDRESS, out_str(b, "address"));
		out_cell(row, COL_STATE, out_str(b, "state"));
		out_cell(row, COL_DRIVER, driver);
		out_cell(row, COL_FOUND, out_str(b, "found"));
		out_cell(row, COL_NOW, now);
		if (!driver || !now || strcmp(driver, now) != 0)
			out_tint(row, COL_NOW, OUT_WARN);
	}
	out_table_end(&t);
}

static int list(struct cli *cli)
{
	_cleanup_json_ json_t *reply = NULL;
	const json_t *binds;
	int r = cli_call(cli, "io.vnetd.ListBinds", NULL, CLI_LOOK_MS, &reply);

	if (r)
		return r;
	binds = json_object_get(reply, "binds");
	if (cli->json)
		out_json(reply);
	else if (json_array_size(binds) == 0)
		out_line(stdout, "nothing is bound\n");
	else
		print_list(binds);
	return cli_end(EXIT_DONE);
}

static int bind_one(struct cli *cli, const struct bind_args *a)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *params = json_object();
	const json_t *text;
	size_t i;
	int r;

	cli_put_address(params, "address", a->address);
	cli_put(params, "driver", a->driver);
	r = cli_call(cli, "io.vnetd.Bind", params, CLI_CHANGE_MS, &reply);
	if (r)
		return r;
	json_array_foreach (json_object_get(reply, "warnings"), i, text)
		cli_complain("%s: %s", a->address, json_string_value(text));
	if (cli->json)
		out_json(reply);
	else
		out_line(stdout, "%s\n", out_str(reply, "text") ? out_str(reply, "text") : "done");
	return cli_end(EXIT_DONE);
}

int cmd_bind(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "driver", KEY_DRIVER, "DRIVER", 0,
		  "vfio-pci or uio_pci_generic for programs, another by its name, none, or "
		  "default: back to what it was",
		  0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "ADDRESS --driver DRIVER\n",
		.doc = "Bind a NIC or VF to another driver, for programs on the host such as DPDK. "
		       "What is in use is left alone. Without arguments: what is bound so.",
		.children = children,
	};
	struct bind_args a = { .cli = cli };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	return a.address ? bind_one(cli, &a) : list(cli);
}
