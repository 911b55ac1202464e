/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/out.h"
#include "lib/cleanup.h"
#include "lib/client.h"
#include "lib/json.h"
#include "lib/pciaddr.h"

/* ---- arguments ---- */

enum { KEY_JSON = 0x100, KEY_SOCKET };

static const struct argp_option common_options[] = {
	{ "json", KEY_JSON, NULL, 0, "Print the reply, or the error, as JSON on stdout", 10 },
	{ "socket", KEY_SOCKET, "PATH", 0, "Where vnetd listens (" VNETD_SOCKET ")", 10 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case KEY_JSON:
		cli->json = true;
		return 0;
	case KEY_SOCKET:
		cli->socket = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_common_argp = { .options = common_options, .parser = parse_common };

void cli_where(struct argp_state *state, struct cli *cli, int key, const char *arg)
{
	const char *scope = key == CLI_KEY_LIVE ? "live" : "config";

	if (key == CLI_KEY_QMP && cli->qmp)
		argp_error(state, "--qmp is given twice");
	if (key == CLI_KEY_QMP) {
		cli->qmp = arg;
		return;
	}
	if (cli->scope && strcmp(cli->scope, scope) != 0)
		argp_error(state, "--live and --config together are the default: give none");
	cli->scope = scope;
}

void cli_where_check(struct argp_state *state, const struct cli *cli)
{
	if (cli->qmp && cli->scope)
		argp_error(state, "a QEMU of its own (--qmp) has no configuration: give neither "
				  "--live nor --config");
}

struct plain_args {
	struct cli *cli;
	const struct argp *argp; /* the verb's own: texts, and options if it has any */
	const char *word;
	int n, min, max;
	const char **arg;
};

static error_t parse_plain(int key, char *arg, struct argp_state *state)
{
	struct plain_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case ARGP_KEY_ARG:
		if (a->word) {
			if (strcmp(arg, a->word) != 0)
				argp_error(state, "'%s' is not known here: '%s' is", arg, a->word);
			a->word = NULL;
			return 0;
		}
		if (a->n == a->max)
			argp_error(state, "'%s' is one argument too many", arg);
		else
			a->arg[a->n++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (a->word)
			argp_error(state, "'%s' is missing", a->word);
		if (a->n < a->min)
			argp_error(state, "an argument is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void cli_parse(struct cli *cli, int argc, char **argv, const struct argp *argp, const char *word,
	       int min, int max, const char **ret)
{
	const struct argp_child children[] = { { &cli_common_argp, 0, NULL, 0 }, { 0 } };
	const struct argp whole = {
		.options = argp->options,
		.parser = parse_plain,
		.args_doc = argp->args_doc,
		.doc = argp->doc,
		.children = children,
	};
	struct plain_args a = { .cli = cli, .word = word, .min = min, .max = max, .arg = ret };

	for (int i = 0; i < max; i++)
		ret[i] = NULL;
	argp_parse(&whole, argc, argv, 0, NULL, &a);
}

void cli_put(json_t *obj, const char *field, const char *value)
{
	json_t *s = json_string(value);

	if (!s) {
		cli_complain("the %s given is not UTF-8", field);
		exit(EXIT_USAGE);
	}
	json_put(obj, field, s);
}

void cli_put_address(json_t *obj, const char *field, const char *value)
{
	static const char domain[] = "0000:";
	char whole[sizeof(domain) + 8];
	struct pci_addr addr;

	/* No name of an interface, pool or management device looks like this. */
	snprintf(whole, sizeof(whole), "%s%.7s", domain, value);
	cli_put(obj, field,
		strlen(value) == 7 && pci_addr_parse(whole, &addr) == 0 ? whole : value);
}

json_t *cli_target(const char *guest, const char *name)
{
	const char *slash = strrchr(guest, '/');
	_cleanup_free_ char *head = NULL;
	json_t *target = json_object();

	/* No guest has a '/' in its name. */
	if (slash && name && slash > guest) {
		cli_complain("'%s' is a guest and a NIC already: give VM/NAME, or VM and NAME "
			     "'%s' apart",
			     guest, name);
		exit(EXIT_USAGE);
	}
	if (slash && !name) {
		head = strndup(guest, (size_t)(slash - guest));
		guest = head ? head : guest;
		name = slash + 1;
	}
	cli_put(target, "guest", guest);
	if (name)
		cli_put(target, "name", name);
	return target;
}

/* ---- calling ---- */

void cli_complain(const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	out_line(stderr, "vnetctl: %s\n", text ? text : strerror(ENOMEM));
}

/* What went wrong, for a program: the members are always there. */
static void tell_json(const struct vnet_err *err, json_t *verdicts)
{
	_cleanup_json_ json_t *all = json_object();
	json_t *error = json_object();

	json_put_str(error, "name", vnet_err_name_str(err->name));
	json_put_str(error, "text", err->text);
	json_put_int(error, "errno", -err->code);
	json_put_str(error, "knob", err->knob);
	json_put_str(error, "object", err->object);
	json_put(error, "verdicts", verdicts ? json_incref(verdicts) : json_null());
	json_put(all, "error", error);
	out_json(all);
}

static int tell(struct cli *cli, const struct vnet_err *err, const json_t *reply)
{
	json_t *verdicts = json_object_get(reply, "verdicts");
	size_t len = cli->verb ? strlen(cli->verb) : 0;
	bool told = len && strncmp(err->text, cli->verb, len) == 0 && err->text[len] == ' ';

	/* As for what argp finds. Later errors begin with what was attempted on what. */
	if (err->name == VNET_E_INVALID && len && !told)
		out_line(stderr, "vnetctl %s: %s\nTry `vnetctl %s --help' for more information.\n",
			 cli->verb, err->text, cli->verb);
	else
		cli_complain("%s", err->text);
	if (err->name == VNET_E_NOTHING_SERVES && json_array_size(verdicts) > 0)
		out_verdicts(stderr, verdicts);
	if (cli->json)
		tell_json(err, verdicts);
	return cli_end(vnet_err_exit_code(err->name));
}

static int call(struct cli *cli, const char *method, json_t *parameters, int timeout_ms,
		struct vnet_fds *sent, json_t **ret, struct vnet_fds *ret_fds)
{
	_cleanup_json_ json_t *owned = parameters, *reply = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct client *client = NULL;
	int r;

	r = client_connect(&client, cli->socket, &err);
	if (r == 0)
		r = client_call_fds(client, method, owned, sent, timeout_ms, &reply, ret_fds, &err);
	client_free(client);
	if (r < 0)
		return tell(cli, &err, reply);
	*ret = take_ptr(reply);
	return EXIT_DONE;
}

int cli_call(struct cli *cli, const char *method, json_t *parameters, int timeout_ms, json_t **ret)
{
	return call(cli, method, parameters, timeout_ms, NULL, ret, NULL);
}

int cli_call_fds(struct cli *cli, const char *method, json_t *parameters, struct vnet_fds *sent,
		 json_t **ret, struct vnet_fds *ret_fds)
{
	return call(cli, method, parameters, CLI_CHANGE_MS, sent, ret, ret_fds);
}

int cli_end(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	cli_complain("cannot write to stdout: %s", strerror(errno));
	/* What was done is done; but nobody may think that they have read it. */
	return code == EXIT_DONE ? EXIT_REFUSED : code;
}
