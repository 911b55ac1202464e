/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum { COL_KNOB, COL_OBJECT, COL_BEFORE, COL_AFTER, COL_RESTORE };

static const struct out_column columns[] = {
	[COL_KNOB] = { .name = "KNOB" },
	[COL_OBJECT] = { .name = "OBJECT" },
	[COL_BEFORE] = { .name = "BEFORE" },
	[COL_AFTER] = { .name = "AFTER" },
	[COL_RESTORE] = { .name = "GOES BACK TO" },
};

static void field(const char *label, const char *value)
{
	if (value)
		out_line(stdout, "  %-10s %s\n", label, value);
}

static void print_since(const json_t *attachment)
{
	time_t since = (time_t)(out_int(attachment, "sinceUsec", 0) / 1000000);
	char text[64];
	struct tm tm;

	if (since > 0 && localtime_r(&since, &tm) && strftime(text, sizeof(text), "%F %T %z", &tm))
		field("since", text);
}

static void print_effects(const json_t *effects)
{
	struct out_table t;
	const json_t *e;
	size_t i;

	if (json_array_size(effects) == 0)
		return;
	out_line(stdout, "\nWhat was done to the host for it:\n");
	out_table_init(&t, stdout, columns, ARRAY_SIZE(columns));
	json_array_foreach (effects, i, e) {
		struct libscols_line *row = out_row(&t, NULL);

		out_cell(row, COL_KNOB, out_str(e, "knob"));
		out_cell(row, COL_OBJECT, out_str(e, "object"));
		out_cell(row, COL_BEFORE, out_str(e, "before"));
		out_cell(row, COL_AFTER, out_str(e, "after"));
		out_cell(row, COL_RESTORE,
			 json_is_null(json_object_get(e, "restore")) ? "stays"
								     : out_str(e, "restore"));
	}
	out_table_end(&t);
}

/* "yes, 2 queues", "no, guest is not KVM" */
static void print_vhost(const json_t *a)
{
	const char *vhost = out_str(a, "vhost"), *why = out_str(a, "vhostWhy");
	long long queues = (long long)out_int(a, "vhostQueues", 0);
	char text[512];

	if (!vhost && !why)
		return;
	if (!vhost)
		snprintf(text, sizeof(text), "not known: %s", why);
	else if (strcmp(vhost, "on") == 0)
		snprintf(text, sizeof(text), "yes, %lld queue%s", queues, queues == 1 ? "" : "s");
	else
		snprintf(text, sizeof(text), "no, %s", why ? why : "for no known reason");
	field("vhost", text);
}

static void print(const json_t *reply)
{
	const json_t *a = json_object_get(reply, "attachment");
	int64_t index = out_int(a, "vfIndex", -1);
	char text[64];

	out_attachment(stdout, a, false);
	field("state", out_str(a, "state"));
	field("reason", out_str(a, "reason"));
	print_since(a);
	field("guest", out_str(a, "uuid"));
	field("mode", out_str(a, "mode"));
	field("why", out_str(a, "why"));
	field("pool", out_str(a, "pool"));
	field("uplink", out_str(a, "uplink"));
	field("device", out_str(a, "device") ? out_str(a, "device") : out_str(a, "vf"));
	field("how", out_str(a, "how"));
	field("pf", out_str(a, "pf"));
	field("pf mac", out_str(a, "pfMac"));
	if (index >= 0) {
		snprintf(text, sizeof(text), "%lld", (long long)index);
		field("vf index", text);
	}
	field("mac", out_str(a, "mac"));
	field("vlan", out_vlan(json_object_get(a, "vlan"), text, sizeof(text)));
	field("handover", out_str(a, "handover"));
	print_vhost(a);
	if (out_int(a, "pid", 0) > 0) {
		snprintf(text, sizeof(text), "%lld", (long long)out_int(a, "pid", 0));
		field("process", text);
	}
	field("persistent",
	      out_true(a, "persistent") ? "yes: the guest has it at each start" : "no");
	print_effects(json_object_get(reply, "effects"));
}

int cmd_show(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "VM [NAME]\nVM/NAME",
		.doc = "Show one attachment, and what was done to the host for it.\v"
		       "NAME may be left out where the guest has only one.",
	};
	_cleanup_json_ json_t *reply = NULL;
	const char *arg[2];
	json_t *target;
	int r = EXIT_DONE;

	cli_parse(cli, argc, argv, &argp, NULL, 1, 2, arg);
	target = cli_target(arg[0], arg[1]);
	if (!json_object_get(target, "name"))
		r = nics_only(cli, "show", target);
	if (r) {
		json_decref(target);
		return cli_end(r);
	}
	r = cli_call(cli, "io.vnetd.Show", target, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	if (cli->json)
		out_json(reply);
	else
		print(reply);
	return cli_end(EXIT_DONE);
}
