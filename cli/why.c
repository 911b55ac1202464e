/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

int cmd_why(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *reply = NULL;
	const json_t *verdicts;
	json_t *params;
	int r;

	params = request_parse(
		cli, argc, argv, NULL,
		"Show every candidate for an attach, and why it can or cannot serve.\v"
		"Nothing is touched. '*' marks what attach would take.",
		NULL);
	r = cli_call(cli, "io.vnetd.Why", params, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	verdicts = json_object_get(reply, "verdicts");
	if (cli->json)
		out_json(reply);
	else if (json_array_size(verdicts) == 0)
		out_line(stdout, "no candidates: %s\n",
			 out_str(reply, "text") ? out_str(reply, "text")
						: "the host has nothing to serve this from");
	else
		out_verdicts(stdout, verdicts);
	return cli_end(EXIT_DONE);
}
