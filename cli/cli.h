/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETCTL_CLI_H
#define VNETCTL_CLI_H
/*
 * vnetctl: what every verb shares. A verb parses its arguments (usage errors end the
 * process with EXIT_USAGE), calls the daemon, prints the reply, and returns the exit
 * code. The daemon judges what is asked; here only its shape is looked at.
 */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>

#include "lib/fds.h"

/* Part of the interface, as documented: scripts rely on them. */
enum cli_exit {
	EXIT_DONE = 0,
	EXIT_REFUSED = 1,     /* or failed */
	EXIT_USAGE = 2,	      /* or bad input */
	EXIT_UNREACHABLE = 3, /* no daemon */
	EXIT_NOTHING_SERVES = 4,
	EXIT_RESIDUE = 5, /* done, but something could not be put back */
};

struct cli {
	bool json;
	const char *socket;
	const char *verb;  /* that runs */
	const char *scope; /* "live", "config", or NULL: both */
	const char *qmp;   /* path of a QEMU's monitor, or NULL */
};

/* How long looking may take. A change takes as long as it takes: the daemon has its
 * own deadlines, and an answer that nobody waits for helps nobody. */
#define CLI_LOOK_MS 60000
#define CLI_CHANGE_MS (-1)

/* Takes over @parameters (may be NULL). 0 with the reply in *ret, else the exit code,
 * and the error has been told: text and verdicts on stderr, with --json also the
 * error object on stdout. */
int cli_call(struct cli *cli, const char *method, json_t *parameters, int timeout_ms, json_t **ret);
/* A change with descriptors: @sent, taken over, and *ret_fds, which come back; each may be NULL. */
int cli_call_fds(struct cli *cli, const char *method, json_t *parameters, struct vnet_fds *sent,
		 json_t **ret, struct vnet_fds *ret_fds);
/* qmp.c: connect to a QEMU's monitor at @path: the descriptor in *ret, and @params say that it
 * comes. Else the exit code, and it was told. */
int cli_qmp_open(const char *path, json_t *params, struct vnet_fds *ret);
/* The end of a verb: complains when stdout could not be written. Returns @code then. */
int cli_end(int code);
/* "vnetctl: " and the text on stderr. */
void cli_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --json and --socket, which may stand before and behind the verb. As the first child
 * of a verb's parser, with the struct cli as its input. */
extern const struct argp cli_common_argp;
/* Positional arguments only. @word: what the first must be ("list" in `mode list`),
 * or NULL; it is not counted. Fills @ret with up to @max, NULL where there is none. */
void cli_parse(struct cli *cli, int argc, char **argv, const struct argp *argp, const char *word,
	       int min, int max, const char **ret);
/* Keys of the options --live, --config and --qmp, for which a verb's parser calls cli_where(). */
enum { CLI_KEY_LIVE = 0x300, CLI_KEY_CONFIG, CLI_KEY_QMP };
void cli_where(struct argp_state *state, struct cli *cli, int key, const char *arg);
/* At ARGP_KEY_END: do they go together? */
void cli_where_check(struct argp_state *state, const struct cli *cli);
/* "VM/NAME" or "VM" "NAME" (may be NULL) as {guest, name?}. */
json_t *cli_target(const char *guest, const char *name);
/* {@field: @value}, or a usage error where it is not UTF-8. */
void cli_put(json_t *obj, const char *field, const char *value);
/* As cli_put(), for what may be a PCI address as lspci writes it: "65:00.0" becomes "0000:65:00.0". */
void cli_put_address(json_t *obj, const char *field, const char *value);

/* nics.c: those of @attachments that @guest, a name or UUID, has; a new array. */
json_t *nics_of(const json_t *attachments, const char *guest);
/* The same of all that there are. 0, or the exit code, and it was told. */
int nics_ask(struct cli *cli, const char *guest, json_t **ret);
/* @target is a guest alone: adds the name of its only NIC. Else the exit code, and it was told. */
int nics_only(struct cli *cli, const char *verb, json_t *target);

/* The verbs, a file each. */
int cmd_attach(struct cli *cli, int argc, char **argv);
int cmd_exec(struct cli *cli, int argc, char **argv);
int cmd_detach(struct cli *cli, int argc, char **argv);
int cmd_list(struct cli *cli, int argc, char **argv);
int cmd_show(struct cli *cli, int argc, char **argv);
int cmd_complete(struct cli *cli, int argc, char **argv);
int cmd_inventory(struct cli *cli, int argc, char **argv);
int cmd_why(struct cli *cli, int argc, char **argv);
int cmd_plan(struct cli *cli, int argc, char **argv);
int cmd_mode(struct cli *cli, int argc, char **argv);
int cmd_pool(struct cli *cli, int argc, char **argv);
int cmd_reload(struct cli *cli, int argc, char **argv);
int cmd_bind(struct cli *cli, int argc, char **argv);
int cmd_help(struct cli *cli, int argc, char **argv);

/* request.c: what attach, exec, why and plan are given: VM and the wish as options.
 * Returns the parameters of the method. @more: what only some of them have; NULL: none. */
struct request_more {
	enum { REQUEST_ATTACH, REQUEST_EXEC } verb;
	bool timing;	/* attach: --timing was given */
	char **command; /* exec: what stands behind --, not empty */
};
json_t *request_parse(struct cli *cli, int argc, char **argv, const char *word, const char *doc,
		      struct request_more *more);
#endif
