/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

static int tell(const json_t *reply, const json_t *params)
{
	const json_t *attachment = json_object_get(reply, "attachment");
	const json_t *residue = json_object_get(reply, "residue"), *what;
	const char *guest = out_str(attachment, "guest"), *name = out_str(attachment, "name");
	const char *text = out_str(reply, "text");
	size_t i;

	guest = guest ? guest : out_str(params, "guest");
	name = name ? name : out_str(params, "name");
	name = name ? name : "?";
	if (!out_true(reply, "done")) {
		if (text)
			cli_complain("%s", text);
		else
			cli_complain("%s/%s: the guest has not let go of it yet", guest, name);
		return EXIT_REFUSED;
	}
	if (text)
		out_line(stdout, "%s\n", text);
	else
		out_line(stdout, "%s/%s: detached\n", guest, name);
	json_array_foreach (residue, i, what)
		cli_complain("%s/%s: could not be put back: %s", guest, name,
			     json_string_value(what));
	return json_array_size(residue) > 0 ? EXIT_RESIDUE : EXIT_DONE;
}

int cmd_detach(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "live", CLI_KEY_LIVE, NULL, 0,
		  "From the running guest alone: it comes back at "
		  "its next start",
		  0 },
		{ "config", CLI_KEY_CONFIG, NULL, 0,
		  "From its persistent configuration alone: a running guest keeps it", 0 },
		{ "qmp", CLI_KEY_QMP, "SOCKET", 0,
		  "From the QEMU with this monitor, which is no guest of libvirt's", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.args_doc = "VM [NAME]\nVM/NAME",
		.doc = "Take a NIC back from a guest, and leave the host as it was.\v"
		       "NAME may be left out where the guest has only one. It is done when the "
		       "guest has let go of the device; a guest that does not leaves the attachment "
		       "'detaching' and the exit code 1.",
	};
	_cleanup_json_ json_t *params = NULL, *reply = NULL;
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	const char *arg[2];
	int r;

	cli_parse(cli, argc, argv, &argp, NULL, 1, 2, arg);
	params = cli_target(arg[0], arg[1]);
	if (cli->scope)
		cli_put(params, "scope", cli->scope);
	r = cli->qmp ? cli_qmp_open(cli->qmp, params, &fds) : EXIT_DONE;
	if (r)
		return cli_end(r);
	r = cli_call_fds(cli, "io.vnetd.Detach", json_incref(params), &fds, &reply, NULL);
	if (r)
		return r;
	if (!cli->json)
		return cli_end(tell(reply, params));
	out_json(reply);
	if (!out_true(reply, "done"))
		r = EXIT_REFUSED;
	else if (json_array_size(json_object_get(reply, "residue")) > 0)
		r = EXIT_RESIDUE;
	return cli_end(r);
}
