/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

static double msec(const json_t *timing, const char *field)
{
	return (double)out_int(timing, field, 0) / 1000;
}

static void tell_timing(const json_t *t)
{
	out_line(stdout,
		 "  time: %.1f ms: kernel %.1f, libvirt %.1f, vnetd %.1f; vnetd's CPU %.1f ms\n",
		 msec(t, "totalUsec"), msec(t, "kernelUsec"), msec(t, "libvirtUsec"),
		 msec(t, "vnetdUsec"), msec(t, "cpuUsec"));
}

int cmd_attach(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *reply = NULL;
	json_t *params, *attachment;
	const char *why;
	struct request_more more = { .verb = REQUEST_ATTACH };
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	int r;

	params = request_parse(
		cli, argc, argv, NULL,
		"Give a guest a NIC: a running one at once, a persistent one from its next "
		"start on.\v"
		"The same command again changes nothing and says the same. `vnetctl "
		"plan attach` shows what it would do, `vnetctl why` why it would "
		"choose what it does.",
		&more);
	r = cli->qmp ? cli_qmp_open(cli->qmp, params, &fds) : EXIT_DONE;
	if (r) {
		json_decref(params);
		return cli_end(r);
	}
	r = cli_call_fds(cli, "io.vnetd.Attach", params, &fds, &reply, NULL);
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
	if (more.timing)
		tell_timing(json_object_get(reply, "timing"));
	return cli_end(EXIT_DONE);
}
