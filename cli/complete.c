/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a shell asks when somebody presses Tab: a word a line. Nobody wants an error
 * or a pause there: whatever goes wrong, this is silent, soon over, and exits 0.
 */
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/client.h"
#include "lib/json.h"

#define TAB_MS 1000

static const struct kind {
	const char *word, *method;
	/* Where the reply has them: [path.]array of objects with @field. */
	const char *path, *array, *field;
	const char *only; /* this member must be true */
} kinds[] = {
	{ "guests", "io.vnetd.ListGuests", NULL, "guests", "name", NULL },
	{ "running-guests", "io.vnetd.ListGuests", NULL, "guests", "name", "running" },
	{ "pools", "io.vnetd.Inventory", "inventory", "pools", "name", NULL },
	{ "functions", "io.vnetd.Inventory", "inventory", "nics", "address", NULL },
	{ "modes", "io.vnetd.ListModes", NULL, "modes", "name", "loaded" },
	{ "attachments", "io.vnetd.List", NULL, "attachments", "name", NULL },
};

/* Also while connect() waits for a daemon that takes no connections. */
static void give_up(int signum)
{
	(void)signum;
	_exit(EXIT_DONE);
}

static void print(const struct kind *what, const json_t *reply, const char *guest)
{
	const json_t *at = what->path ? json_object_get(reply, what->path) : reply, *e;
	bool whole = strcmp(what->word, "attachments") == 0 && !guest;
	size_t i;

	json_array_foreach (json_object_get(at, what->array), i, e) {
		const char *name = out_str(e, what->field), *of = out_str(e, "guest");
		const char *kind = out_str(e, "kind");

		if (!name || (what->only && !out_true(e, what->only)))
			continue;
		if (kind && strcmp(kind, "other") == 0) /* no network function */
			continue;
		if (guest && (!of || strcmp(of, guest) != 0))
			continue;
		if (whole)
			out_line(stdout, "%s/%s\n", of ? of : "", name);
		else
			out_line(stdout, "%s\n", name);
	}
}

int cmd_complete(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {
		.args_doc = "guests|running-guests|pools|functions|modes\nattachments [VM]",
		.doc = "Print the words that a shell may complete to, one a line; nothing, and "
		       "exit code 0, where vnetd cannot be asked.",
	};
	const struct itimerval patience = { .it_value = { .tv_sec = TAB_MS / 1000 } };
	_cleanup_json_ json_t *reply = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	const struct kind *what = NULL;
	struct client *client = NULL;
	const char *arg[2];

	cli_parse(cli, argc, argv, &argp, NULL, 1, 2, arg);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].word, arg[0]) == 0)
			what = &kinds[i];
	}
	if (!what || (arg[1] && strcmp(what->word, "attachments") != 0)) {
		cli_complain("complete: '%s%s%s' is not known here: see vnetctl complete --help",
			     arg[0], arg[1] ? " " : "", arg[1] ? arg[1] : "");
		return EXIT_USAGE;
	}
	signal(SIGALRM, give_up);
	setitimer(ITIMER_REAL, &patience, NULL);
	if (client_connect(&client, cli->socket, &err) == 0 &&
	    client_call(client, what->method, NULL, TAB_MS, &reply, NULL, &err) == 0)
		print(what, reply, arg[1]);
	client_free(client);
	fflush(stdout);
	return EXIT_DONE;
}
