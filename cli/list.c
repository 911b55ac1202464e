/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum {
	COL_ATTACHMENT,
	COL_STATE,
	COL_MODE,
	COL_DEVICE,
	COL_MAC,
	COL_VLAN,
	COL_POOL,
	COL_HANDOVER,
	COL_PERSISTENT
};

static const struct out_column columns[] = {
	[COL_ATTACHMENT] = { .name = "ATTACHMENT" },
	[COL_STATE] = { .name = "STATE" },
	[COL_MODE] = { .name = "MODE" },
	[COL_DEVICE] = { .name = "DEVICE" },
	[COL_MAC] = { .name = "MAC" },
	[COL_VLAN] = { .name = "VLAN" },
	[COL_POOL] = { .name = "POOL" },
	[COL_HANDOVER] = { .name = "HANDOVER" },
	[COL_PERSISTENT] = { .name = "PERSISTENT" },
};

/* Of an attachment for which modes were asked in turn: those before, as select_why ends. */
static const char *passed_over(const json_t *a)
{
	const char *why = out_str(a, "why"), *before = why ? strstr(why, "; no ") : NULL;

	return before ? before + strlen("; ") : NULL;
}

static void print(const json_t *attachments)
{
	const json_t *a;
	struct out_table t;
	char vlan[64];
	size_t i;

	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (attachments, i, a) {
		struct libscols_line *row = out_row(&t, NULL);
		const char *guest = out_str(a, "guest"), *name = out_str(a, "name");

		out_cellf(row, COL_ATTACHMENT, "%s/%s", guest ? guest : "?", name ? name : "?");
		out_state(row, COL_STATE, out_str(a, "state"));
		out_cell(row, COL_MODE, out_str(a, "mode"));
		out_cell(row, COL_DEVICE,
			 out_str(a, "device") ? out_str(a, "device") : out_str(a, "vf"));
		out_cell(row, COL_MAC, out_str(a, "mac"));
		out_cell(row, COL_VLAN, out_vlan(json_object_get(a, "vlan"), vlan, sizeof(vlan)));
		out_cell(row, COL_POOL, out_str(a, "pool"));
		out_cell(row, COL_HANDOVER, out_str(a, "handover"));
		out_cell(row, COL_PERSISTENT, out_true(a, "persistent") ? "yes" : "no");
	}
	out_table_end(&t);

	/* What one has to know does not fit into the table. */
	json_array_foreach (attachments, i, a) {
		const char *guest = out_str(a, "guest"), *name = out_str(a, "name");
		const char *reason = out_str(a, "reason"), *before = passed_over(a);

		if (reason)
			out_line(stdout, "%s/%s: %s\n", guest ? guest : "?", name ? name : "?",
				 reason);
		if (before)
			out_line(stdout, "%s/%s: mode %s, for %s\n", guest ? guest : "?",
				 name ? name : "?", out_str(a, "mode"), before);
	}
}

/* Just after a start there may be some all the same, of guests that are shut off. */
static void print_none(struct cli *cli, const char *guest)
{
	_cleanup_json_ json_t *reply = NULL;
	const char *known = NULL;

	if (cli_call(cli, "io.vnetd.ListGuests", NULL, CLI_LOOK_MS, &reply) == EXIT_DONE)
		known = out_str(reply, "libvirt");
	out_line(stdout, "no attachments%s%s%s\n", guest ? " of " : "", guest ? guest : "",
		 known && strcmp(known, "never") == 0
			 ? "; but libvirt has not told yet what guests that are shut off have"
			 : "");
}

int cmd_list(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "[VM]",
		.doc = "List all attachments, or those of one guest.",
	};
	_cleanup_json_ json_t *reply = NULL, *checked = json_object();
	const json_t *attachments;
	const char *guest;
	int r;

	cli_parse(cli, argc, argv, &argp, NULL, 0, 1, &guest);
	if (guest)
		cli_put(checked, "guest", guest);
	r = cli_call(cli, "io.vnetd.List", NULL, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	if (guest)
		json_put(reply, "attachments",
			 nics_of(json_object_get(reply, "attachments"), guest));
	attachments = json_object_get(reply, "attachments");
	if (cli->json)
		out_json(reply);
	else if (json_array_size(attachments) == 0)
		print_none(cli, guest);
	else
		print(attachments);
	return cli_end(EXIT_DONE);
}
