/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one guest has of vnetd's, for the verbs that may be told of a guest alone. */
#include <string.h>

#include "cli/cli.h"
#include "cli/out.h"
#include "lib/cleanup.h"
#include "lib/json.h"

static bool is_of(const json_t *attachment, const char *guest)
{
	const char *name = out_str(attachment, "guest"), *uuid = out_str(attachment, "uuid");

	return (name && strcmp(name, guest) == 0) || (uuid && strcasecmp(uuid, guest) == 0);
}

json_t *nics_of(const json_t *attachments, const char *guest)
{
	json_t *own = json_array();
	json_t *a;
	size_t i;

	json_array_foreach ((json_t *)attachments, i, a) {
		if (is_of(a, guest))
			json_array_append(own, a);
	}
	return own;
}

/* Just after vnetd's start: what is reserved for a guest that is shut off stands in its XML alone.
 * A QEMU without libvirt has none. */
static int may_be_more(struct cli *cli, const char *guest)
{
	_cleanup_json_ json_t *reply = NULL;
	const char *known;
	int r = cli_call(cli, "io.vnetd.ListGuests", NULL, CLI_LOOK_MS, &reply);

	known = out_str(reply, "libvirt");
	if (r || !known || strcmp(known, "never") != 0)
		return r;
	cli_complain("%s %s: libvirt has not told yet what the guest has: try again, name the NIC, "
		     "or start libvirt",
		     cli->verb, guest);
	return EXIT_REFUSED;
}

int nics_ask(struct cli *cli, const char *guest, json_t **ret)
{
	_cleanup_json_ json_t *reply = NULL, *checked = json_object();
	int r;

	cli_put(checked, "guest", guest);
	r = cli_call(cli, "io.vnetd.List", NULL, CLI_LOOK_MS, &reply);
	if (r)
		return r;
	*ret = nics_of(json_object_get(reply, "attachments"), guest);
	return out_int(json_array_get(*ret, 0), "pid", 0) > 0 || cli->qmp ? EXIT_DONE
									  : may_be_more(cli, guest);
}

int nics_only(struct cli *cli, const char *verb, json_t *target)
{
	const char *guest = out_str(target, "guest");
	_cleanup_json_ json_t *own = NULL;
	char names[256] = "";
	const json_t *a;
	size_t i, n = 0;
	int r = nics_ask(cli, guest, &own);

	if (r)
		return r;
	if (json_array_size(own) == 1) {
		cli_put(target, "name", out_str(json_array_get(own, 0), "name"));
		return EXIT_DONE;
	}
	if (json_array_size(own) == 0) {
		cli_complain("%s %s: vnetd gave no NIC to guest %s: `vnetctl list` shows what it "
			     "gave",
			     verb, guest, guest);
		return EXIT_REFUSED;
	}
	json_array_foreach (own, i, a) {
		if (n < sizeof(names))
			n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
					      out_str(a, "name"));
	}
	cli_complain("%s %s: guest %s has several NICs: name one of %s", verb, guest, guest, names);
	return EXIT_USAGE;
}
