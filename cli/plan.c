/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum { COL_NUMBER, COL_KNOB, COL_OBJECT, COL_BEFORE, COL_AFTER, COL_OWNER };

static const struct out_column columns[] = {
	[COL_NUMBER] = { .name = "#", .flags = SCOLS_FL_RIGHT },
	[COL_KNOB] = { .name = "KNOB" },
	[COL_OBJECT] = { .name = "OBJECT" },
	[COL_BEFORE] = { .name = "BEFORE" },
	[COL_AFTER] = { .name = "AFTER" },
	[COL_OWNER] = { .name = "ON DETACH" },
};

static void print_step(struct out_table *t, size_t number, const json_t *step)
{
	struct libscols_line *row = out_row(t, NULL);
	const char *owner = out_str(step, "owner");
	bool stays = owner && strcmp(owner, "pool") == 0;

	out_cellf(row, COL_NUMBER, "%zu", number);
	out_cell(row, COL_KNOB, out_str(step, "knob"));
	out_cell(row, COL_OBJECT, out_str(step, "object"));
	out_cell(row, COL_BEFORE, out_str(step, "before"));
	if (out_true(step, "changes")) {
		out_cell(row, COL_AFTER, out_str(step, "after"));
		out_tint(row, COL_AFTER, OUT_WARN);
		out_cell(row, COL_OWNER, stays ? "stays" : "goes back");
	} else {
		out_cell(row, COL_AFTER, "(no change)");
	}
}

static void print(const json_t *reply)
{
	const json_t *warnings = json_object_get(reply, "warnings"), *w;
	const json_t *steps = json_object_get(reply, "steps"), *step;
	const json_t *attachment = json_object_get(reply, "attachment");
	const char *handover = out_str(reply, "handover");
	struct out_table t;
	size_t i;

	out_attachment(stdout, attachment, false);
	if (out_str(attachment, "why"))
		out_line(stdout, "  why: %s\n", out_str(attachment, "why"));
	if (json_array_size(steps) > 0) {
		out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
		json_array_foreach (steps, i, step)
			print_step(&t, i + 1, step);
		out_table_end(&t);
	}
	if (handover)
		out_line(stdout, "then: %s\n", handover);
	json_array_foreach (warnings, i, w)
		out_line(stdout, "warning: %s\n", json_string_value(w));
}

int cmd_plan(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *params;
	int r;

	params = request_parse(cli, argc, argv, "attach",
			       "Show what attach would do to the host, knob by knob, before and "
			       "after.\vNothing is touched.",
			       NULL);
	r = cli_call(cli, "io.vnetd.Plan", params, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	if (cli->json)
		out_json(reply);
	else
		print(reply);
	return cli_end(EXIT_DONE);
}
