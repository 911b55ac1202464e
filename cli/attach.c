/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

int cmd_attach(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *params, *attachment;
	const char *why;
	int r;

	params = request_parse(
		cli, argc, argv, NULL,
		"Give a guest a NIC: a running one at once, a persistent one from its next "
		"start on.\v"
		"The same command again changes nothing and says the same. `vnetctl "
		"plan attach` shows what it would do, `vnetctl why` why it would "
		"choose what it does.");
	r = cli_call(cli, "io.vnetd.Attach", params, CLI_CHANGE_MS, &reply);
	if (r)
		return r;
	if (cli->json) {
		out_json(reply);
		return cli_end(EXIT_DONE);
	}
	attachment = json_object_get(reply, "attachment");
	out_attachment(stdout, attachment, true);
	why = out_str(attachment, "why");
	if (why)
		out_line(stdout, "  why: %s\n", why);
	return cli_end(EXIT_DONE);
}
