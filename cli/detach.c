/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/json.h"

enum { KEY_ALL = 0x200 };

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

static int detach(struct cli *cli, const json_t *target)
{
	_cleanup_json_ json_t *params = json_deep_copy(target), *reply = NULL;
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	int r;

	if (cli->scope)
		cli_put(params, "scope", cli->scope);
	r = cli->qmp ? cli_qmp_open(cli->qmp, params, &fds) : EXIT_DONE;
	if (r)
		return r;
	r = cli_call_fds(cli, "io.vnetd.Detach", json_incref(params), &fds, &reply, NULL);
	if (r)
		return r;
	if (!cli->json)
		return tell(reply, params);
	out_json(reply);
	if (!out_true(reply, "done"))
		return EXIT_REFUSED;
	return json_array_size(json_object_get(reply, "residue")) > 0 ? EXIT_RESIDUE : EXIT_DONE;
}

/* Has it what --live, --config or --qmp is about? */
static bool is_meant(const struct cli *cli, const json_t *a)
{
	const char *state = out_str(a, "state");

	if (cli->qmp)
		return out_int(a, "pid", 0) > 0;
	if (cli->scope && strcmp(cli->scope, "config") == 0)
		return out_true(a, "persistent");
	return !cli->scope || !state || strcmp(state, "reserved") != 0;
}

/* Each, whatever becomes of the others; the first failure's exit code. */
static int detach_all(struct cli *cli, const char *guest)
{
	_cleanup_json_ json_t *own = NULL;
	const json_t *a;
	size_t i, n = 0;
	int worst = nics_ask(cli, guest, &own);

	json_array_foreach (own, i, a) {
		_cleanup_json_ json_t *target = NULL;
		int r;

		if (!is_meant(cli, a))
			continue;
		n++;
		target = cli_target(out_str(a, "guest"), out_str(a, "name"));
		r = detach(cli, target);
		worst = worst ? worst : r;
	}
	if (n == 0 && !worst && !cli->json)
		out_line(stdout, "%s has nothing to detach\n", guest);
	return worst;
}

struct detach_args {
	struct cli *cli;
	const char *guest, *name;
	bool all;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct detach_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case KEY_ALL:
		a->all = true;
		return 0;
	case CLI_KEY_LIVE:
	case CLI_KEY_CONFIG:
	case CLI_KEY_QMP:
		cli_where(state, a->cli, key, arg);
		return 0;
	case ARGP_KEY_ARG:
		if (a->name)
			argp_error(state, "'%s' is one argument too many", arg);
		else if (a->guest)
			a->name = arg;
		else
			a->guest = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->guest)
			argp_error(state, "the guest is missing");
		else if (a->all && (a->name || strchr(a->guest, '/')))
			argp_error(state, "--all is every NIC: name the guest alone");
		cli_where_check(state, a->cli);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
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
		{ "all", KEY_ALL, NULL, 0, "Every NIC that the guest has of vnetd's", 0 },
		{ 0 },
	};
	static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "VM [NAME]\nVM/NAME",
		.doc = "Take a NIC back from a guest, and leave the host as it was.\v"
		       "NAME may be left out where the guest has only one. It is done when the "
		       "guest has let go of the device; a guest that does not leaves the attachment "
		       "'detaching' and the exit code 1.",
	};
	_cleanup_json_ json_t *target = NULL;
	struct detach_args a = { .cli = cli };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (a.all)
		return cli_end(detach_all(cli, a.guest));
	target = cli_target(a.guest, a.name);
	return cli_end(detach(cli, target));
}
