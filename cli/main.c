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
	{ "list", "[VM]", "all attachments", cmd_list },
	{ "show", "VM [NAME]", "one of them, and what was done for it", cmd_show },
	{ "inventory", "", "the host's NICs, their VFs, who uses them", cmd_inventory },
	{ "why", "VM [OPTION...]", "every candidate, and why it can or cannot", cmd_why },
	{ "plan", "attach VM [OPTION...]", "what attach would do; touches nothing", cmd_plan },
	{ "pool", "list", "what NICs are taken from, and what is left", cmd_pool },
	{ "reload", "", "read the configuration anew", cmd_reload },
	{ "bind", "[ADDRESS --driver ...]", "bind a NIC or VF for programs", cmd_bind },
	{ "mode", "list", "the ways to give a guest a NIC", cmd_mode },
	{ "help", "[VERB]", "this, or what a verb does", cmd_help },
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

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

#define WORD_MAX 15 /* what is longer is no slip of the finger */

/* How many letters one has to type anew, leave out, put in or swap to make @b of @a. */
static size_t typos(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b), d[WORD_MAX + 1][WORD_MAX + 1] = { { 0 } };

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			size_t best = i + k;

			if (i && k)
				best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
			if (i && d[i - 1][k] + 1 < best)
				best = d[i - 1][k] + 1;
			if (k && d[i][k - 1] + 1 < best)
				best = d[i][k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    d[i - 2][k - 2] + 1 < best)
				best = d[i - 2][k - 2] + 1;
			d[i][k] = best;
		}
	}
	return d[n][m];
}

static void no_verb(const struct argp_state *state, const char *word)
{
	const struct verb *meant = NULL;
	size_t least = 3; /* two typos are told from another word */

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		bool begun = strlen(word) > 1 && strncmp(verbs[i].name, word, strlen(word)) == 0;
		size_t n = begun ? 1 : typos(word, verbs[i].name);

		if (verbs[i].summary && n < least && n < strlen(word)) {
			least = n;
			meant = &verbs[i];
		}
	}
	if (meant)
		argp_error(state, "there is no verb '%s': is '%s' meant?", word, meant->name);
	else
		argp_error(state, "there is no verb '%s'", word);
}

static error_t parse_main(int key, char *arg, struct argp_state *state)
{
	struct main_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case ARGP_KEY_ARG:
		a->verb = find_verb(arg);
		if (!a->verb)
			no_verb(state, arg);
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

static const struct argp_child main_children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
static const struct argp main_argp = {
	.parser = parse_main,
	.args_doc = "VERB [ARG...]",
	.doc = "Give virtual machines their network devices, through vnetd.\v ",
	.children = main_children,
	.help_filter = help_filter,
};

int cmd_help(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "[VERB]",
		.doc = "Tell what there is, or what a verb does; the same as --help. More stands "
		       "in the manual: man vnetctl.",
	};
	const struct verb *verb;
	const char *word[2]; /* "plan attach" */
	char call[64], option[] = "--help";

	cli_parse(cli, argc, argv, &argp, NULL, 0, 2, word);
	if (!word[0]) {
		argp_help(&main_argp, stdout, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK,
			  program_invocation_short_name);
		return cli_end(EXIT_DONE);
	}
	verb = find_verb(word[0]);
	if (!verb) {
		cli_complain("help: there is no verb '%s': `vnetctl help` shows those there are",
			     word[0]);
		return EXIT_USAGE;
	}
	snprintf(call, sizeof(call), "vnetctl %s", word[0]);
	return verb->run(cli, 2, (char *[]){ call, option, NULL });
}

int main(int argc, char **argv)
{
	struct cli cli = { .socket = VNETD_SOCKET };
	struct main_args args = { .cli = &cli };
	char name[64];

	setlocale(LC_ALL, "");
	argp_program_version = "vnetctl " VNET_VERSION;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&main_argp, argc, argv, ARGP_IN_ORDER, NULL, &args);

	/* So that its own help says how it is called. */
	snprintf(name, sizeof(name), "vnetctl %s", args.verb->name);
	argv[args.at] = name;
	cli.verb = args.verb->name;
	return args.verb->run(&cli, argc - args.at, argv + args.at);
}
