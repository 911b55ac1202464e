/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A verb is looked up here and parsed in its own file. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "lib/cleanup.h"
#include "lib/client.h"

struct verb {
	const char *name, *args, *summary;
	int (*run)(struct cli *cli, int argc, char **argv);
};

static const struct verb verbs[] = {
	{ "attach", "VM [OPTION...]", "give a guest a NIC", cmd_attach },
	{ "exec", "VM -- COMMAND", "run a QEMU with a NIC", cmd_exec },
	{ "detach", "VM [NAME]", "take it back", cmd_detach },
	{ "list", "", "all attachments", cmd_list },
	{ "show", "VM/NAME", "one of them, and what was done for it", cmd_show },
	{ "inventory", "", "the host's NICs, their VFs, who uses them", cmd_inventory },
	{ "why", "VM [OPTION...]", "every candidate, and why it can or cannot", cmd_why },
	{ "plan", "attach VM [OPTION...]", "what attach would do; touches nothing", cmd_plan },
	{ "pool", "list", "what NICs are taken from, and what is left", cmd_pool },
	{ "reload", "", "read the configuration anew", cmd_reload },
	{ "bind", "[ADDRESS --driver=DRIVER]", "bind a NIC or VF for programs", cmd_bind },
	{ "mode", "list", "the ways to give a guest a NIC", cmd_mode },
	{ "complete", "WHAT", NULL, cmd_complete }, /* for the shells: not in the list */
};

struct main_args {
	struct cli *cli;
	const struct verb *verb;
	int at; /* of the verb in argv */
};

static char *help_filter(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&list, &size);
	if (!f)
		return NULL;
	fputs("Verbs:\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		int len;

		if (!verbs[i].summary)
			continue;
		len = fprintf(f, "  %s %s", verbs[i].name, verbs[i].args);
		fprintf(f, "%*s%s\n", len < 31 ? 31 - len : 1, "", verbs[i].summary);
	}
	fputs("\n`vnetctl VERB --help` tells more.\n\n"
	      "Exit codes: 0 done, 1 refused or failed, 2 usage or bad input, 3 no vnetd\n"
	      "reached, 4 nothing could serve, 5 done but not everything put back.",
	      f);
	return fclose(f) == 0 ? list : NULL;
}

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct main_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
			if (strcmp(verbs[i].name, arg) == 0)
				a->verb = &verbs[i];
		}
		if (!a->verb)
			argp_error(state, "there is no verb '%s'", arg);
		/* The rest is the verb's. */
		a->at = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "say what to do: a verb is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
	static const struct argp argp = {
		.parser = parse_main,
		.args_doc = "VERB [ARG...]",
		.doc = "Give virtual machines their network devices, through vnetd.\v ",
		.children = children,
		.help_filter = help_filter,
	};
	struct cli cli = { .socket = VNETD_SOCKET };
	struct main_args args = { .cli = &cli };
	char name[64];

	setlocale(LC_ALL, "");
	argp_program_version = "vnetctl " VNET_VERSION;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &args);

	/* So that its own help says how it is called. */
	snprintf(name, sizeof(name), "vnetctl %s", args.verb->name);
	argv[args.at] = name;
	return args.verb->run(&cli, argc - args.at, argv + args.at);
}
