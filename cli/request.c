/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/json.h"
#include "lib/model.h"

struct request_args {
	struct cli *cli;
	const char *word;
	const char *guest, *name;
	size_t n_children; /* of the parser */
	json_t *params;
	json_t *modes;
	json_t *options;
	struct request_more *more; /* NULL: nothing more */
};

enum {
	KEY_MODE = 0x200,
	KEY_POOL,
	KEY_NAME,
	KEY_MAC,
	KEY_VLAN,
	KEY_TIMING,
	KEY_QUEUES,
	KEY_MODEL,
	KEY_MTU,
	KEY_TRUNK,
	KEY_NO_FALLBACK,
	KEY_OPTION = 'o',
};

static const struct argp_option options[] = {
	{ "mode", KEY_MODE, "MODE[,MODE...]", 0,
	  "How, the first that can (mode list); else the pool's", 0 },
	{ "pool", KEY_POOL, "POOL", 0, "From where: a pool (pool list), or an uplink of one", 0 },
	{ "name", KEY_NAME, "NAME", 0, "The NIC's name; else the first free of net0, net1 ...", 0 },
	{ "mac", KEY_MAC, "MAC", 0, "Its address; else one is made up and kept", 0 },
	{ "vlan", KEY_VLAN, "ID", 0, "Its VLAN: 100, or \"100 qos 3 proto 802.1ad\"", 0 },
	{ "no-fallback", KEY_NO_FALLBACK, NULL, 0, "The first mode or none", 0 },
	{ "queues", KEY_QUEUES, "N", 0, "Pairs of queues, where the mode has them", 0 },
	{ "model", KEY_MODEL, "MODEL", 0, "What the guest sees: virtio, e1000, e1000e, vmxnet3",
	  0 },
	{ "mtu", KEY_MTU, "BYTES", 0, "Its MTU", 0 },
	{ "trunk", KEY_TRUNK, "IDS", 0, "The VLANs that it may tag: 10,20-30", 0 },
	{ "option", KEY_OPTION, "KEY=VALUE", 0, "For the mode: see mode list", 0 },
	{ 0 },
};

static const struct argp_option scope_options[] = {
	{ "live", CLI_KEY_LIVE, NULL, 0, "The running guest alone, until it stops", 0 },
	{ "config", CLI_KEY_CONFIG, NULL, 0,
	  "Its persistent configuration alone, from its next start on", 0 },
	{ 0 },
};

static const struct argp_option attach_options[] = {
	{ "qmp", CLI_KEY_QMP, "SOCKET", 0,
	  "Not a guest of libvirt's, but the QEMU with this monitor", 0 },
	{ "timing", KEY_TIMING, NULL, 0, "Say where the time went", 0 },
	{ 0 },
};

static void add_modes(struct argp_state *state, struct request_args *a, const char *list)
{
	for (const char *end; list; list = *end ? end + 1 : NULL) {
		json_t *mode;

		end = strchrnul(list, ',');
		mode = json_stringn(list, (size_t)(end - list));
		if (end == list || !mode)
			argp_error(state, "--mode: give names, with a comma between two");
		json_array_append_new(a->modes, mode);
	}
}

static void add_vlan(struct argp_state *state, struct request_args *a, const char *text)
{
	struct vlan vlan;
	json_t *j;

	if (vlan_parse(text, &vlan) < 0 || !vlan.id) {
		argp_error(state,
			   "--vlan '%s': give an id from 1 to 4094, and maybe \"qos 0..7\" "
			   "and \"proto 802.1Q\" or \"802.1ad\"",
			   text);
		return;
	}
	j = json_object();
	json_put_int(j, "id", vlan.id);
	if (vlan.qos)
		json_put_int(j, "qos", vlan.qos);
	if (vlan.proto == 0x88a8)
		json_put_str(j, "proto", "802.1ad");
	json_put(a->params, "vlan", j);
}

/* Of two, one was a mistake. Several --mode are one list. */
static void once(struct argp_state *state, const char *option, bool is_given)
{
	if (is_given)
		argp_error(state, "--%s is given twice", option);
}

static void put_once(struct argp_state *state, struct request_args *a, const char *option,
		     const char *value)
{
	once(state, option, json_object_get(a->params, option));
	cli_put_address(a->params, option, value);
}

static void put_option(struct argp_state *state, struct request_args *a, const char *key,
		       const char *value)
{
	once(state, key, json_object_get(a->options, key));
	json_object_set_new(a->options, key, json_string(value));
}

static void add_option(struct argp_state *state, struct request_args *a, const char *text)
{
	const char *equals = strchr(text, '=');
	char key[32];

	if (!equals || equals == text || (size_t)(equals - text) >= sizeof(key) || !equals[1]) {
		argp_error(state, "--option '%s': give KEY=VALUE", text);
		return;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(equals - text), text);
	put_option(state, a, key, equals + 1);
}

static const char *option_name(int key)
{
	return key == KEY_QUEUES  ? "queues"
	       : key == KEY_MODEL ? "model"
	       : key == KEY_MTU	  ? "mtu"
				  : "trunk";
}

static bool is_exec(const struct request_args *a)
{
	return a->more && a->more->verb == REQUEST_EXEC;
}

/* All the rest: options in it are not ours. */
static void take_command(struct argp_state *state, struct request_args *a)
{
	if (!state->quoted)
		argp_error(state, "put -- before the command");
	a->more->command = state->argv + state->next - 1;
	state->next = state->argc;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct request_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		for (size_t i = 1; i < a->n_children; i++)
			state->child_inputs[i] = a;
		return 0;
	case KEY_MODE:
		add_modes(state, a, arg);
		return 0;
	case KEY_POOL:
		put_once(state, a, "pool", arg);
		return 0;
	case KEY_NAME:
		once(state, "name", a->name);
		a->name = arg;
		return 0;
	case KEY_MAC:
		put_once(state, a, "mac", arg);
		return 0;
	case KEY_VLAN:
		once(state, "vlan", json_object_get(a->params, "vlan"));
		add_vlan(state, a, arg);
		return 0;
	case KEY_QUEUES:
	case KEY_MODEL:
	case KEY_MTU:
	case KEY_TRUNK:
		put_option(state, a, option_name(key), arg);
		return 0;
	case KEY_OPTION:
		add_option(state, a, arg);
		return 0;
	case KEY_NO_FALLBACK:
		json_put_bool(a->params, "fallback", false);
		return 0;
	case ARGP_KEY_ARG:
		if (a->guest && is_exec(a)) {
			take_command(state, a);
			return 0;
		}
		if (a->word && strcmp(arg, a->word) != 0)
			argp_error(state, "'%s' is not known here: '%s' is", arg, a->word);
		else if (!a->word && a->guest)
			argp_error(state, "'%s' is one argument too many", arg);
		else if (!a->word)
			a->guest = arg;
		a->word = NULL;
		return 0;
	case ARGP_KEY_END:
		if (!a->guest)
			argp_error(state, "%s is missing", a->word ? a->word : "the guest");
		if (is_exec(a) && !a->more->command)
			argp_error(state, "the command is missing");
		cli_where_check(state, a->cli);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_more(int key, char *arg, struct argp_state *state)
{
	struct request_args *a = state->input;

	switch (key) {
	case KEY_TIMING:
		a->more->timing = true;
		return 0;
	case CLI_KEY_LIVE:
	case CLI_KEY_CONFIG:
	case CLI_KEY_QMP:
		cli_where(state, a->cli, key, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

json_t *request_parse(struct cli *cli, int argc, char **argv, const char *word, const char *doc,
		      struct request_more *more)
{
	const struct argp scope = { .options = scope_options, .parser = parse_more };
	const struct argp attach = { .options = attach_options, .parser = parse_more };
	struct argp_child children[4] = { { &cli_common_argp, 0, NULL, 0 } };
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = word				 ? "attach VM"
			    : more && more->verb == REQUEST_EXEC ? "VM -- COMMAND [ARG...]"
								 : "VM",
		.doc = doc,
		.children = children,
	};
	struct request_args a = { .cli = cli, .word = word, .more = more, .n_children = 1 };
	json_t *target;

	if (!is_exec(&a))
		children[a.n_children++].argp = &scope;
	if (more && !is_exec(&a))
		children[a.n_children++].argp = &attach;
	a.params = json_object();
	a.modes = json_array();
	a.options = json_object();
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	if (json_array_size(a.modes) > 0)
		json_put(a.params, "modes", a.modes);
	else
		json_decref(a.modes);
	if (json_object_size(a.options) > 0)
		json_put(a.params, "options", a.options);
	else
		json_decref(a.options);
	if (cli->scope)
		cli_put(a.params, "scope", cli->scope);
	target = cli_target(a.guest, a.name);
	json_object_update(a.params, target);
	json_decref(target);
	return a.params;
}
