/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

static void print(const json_t *reply)
{
	const json_t *changed = json_object_get(reply, "changed"), *text, *p;
	size_t i;

	if (json_array_size(changed) == 0)
		out_line(stdout, "nothing changed\n");
	json_array_foreach (changed, i, text)
		out_line(stdout, "%s\n", json_string_value(text));
	json_array_foreach (json_object_get(reply, "waiting"), i, text)
		out_line(stdout, "%s\n", json_string_value(text));
	json_array_foreach (json_object_get(reply, "problems"), i, p) {
		const char *file = out_str(p, "file"), *pool = out_str(p, "pool");
		const char *what = out_str(p, "text");
		int64_t line = out_int(p, "line", 0);

		if (file && line)
			cli_complain("%s:%lld: %s", file, (long long)line, what ? what : "?");
		else if (file)
			cli_complain("%s: %s", file, what ? what : "?");
		else
			cli_complain("pool %s: %s", pool ? pool : "?", what ? what : "?");
	}
}

int cmd_reload(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.doc = "Read the configuration anew and apply what changed. What is in use is left "
		       "as it is; what has to wait is told. Exit code 1: something in it is wrong.",
	};
	_cleanup_json_ json_t *reply = NULL;
	int r;

	cli_parse(cli, argc, argv, &argp, NULL, 0, 0, NULL);
	r = cli_call(cli, "io.vnetd.Reload", NULL, CLI_CHANGE_MS, &reply);
	if (r)
		return r;
	if (cli->json)
		out_json(reply);
	else
		print(reply);
	return cli_end(json_array_size(json_object_get(reply, "problems")) ? EXIT_REFUSED
									   : EXIT_DONE);
}
