/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vnetctl becomes the command: the process that vnetd knows as the owner of the NIC is then
 * QEMU. Whatever fails after vnetd has answered ends this process, and with it the attachment.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/memory.h"
#include "cli/out.h"
#include "cli/placeholders.h"
#include "lib/cleanup.h"
#include "lib/json.h"

#define NIC_DEFAULT "net0"

/* Those that stay open behind exec; not among the standard ones, which QEMU uses itself. */
static int keep_open(struct vnet_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++) {
		int fd = fcntl(fds->fd[i], F_DUPFD, STDERR_FILENO + 1);

		if (fd < 0)
			return -errno;
		close_fd(fds->fd[i]);
		fds->fd[i] = fd;
	}
	return 0;
}

static int become(char *const *command, const char *name, const json_t *reply, struct vnet_fds *fds)
{
	struct vnet_err err = VNET_ERR_INIT;
	char **argv = NULL;
	int r = keep_open(fds);

	if (r < 0) {
		cli_complain("keep the NIC's descriptors: %s", strerror(-r));
		return EXIT_REFUSED;
	}
	r = placeholders_fill(command, name, reply, fds, &argv, &err);
	if (r < 0) {
		cli_complain("%s", err.text);
		return vnet_err_exit_code(err.name);
	}
	execvp(argv[0], argv);
	cli_complain("cannot run %s: %s", argv[0], strerror(errno));
	placeholders_free(argv);
	return EXIT_REFUSED;
}

static void put_memory(char *const *command, json_t *params)
{
	enum memory m = memory_of(command);

	if (m != MEMORY_UNKNOWN)
		json_put_bool(params, "sharedMemory", m == MEMORY_SHARED);
}

int cmd_exec(struct cli *cli, int argc, char **argv)
{
	_cleanup_json_ json_t *params = NULL, *reply = NULL;
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	struct request_more more = { .verb = REQUEST_EXEC };
	struct vnet_err err = VNET_ERR_INIT;
	const char *name;
	int r;

	params = request_parse(
		cli, argc, argv, NULL,
		"Run a QEMU with a NIC, without libvirt. In its arguments @NAME.tap, .vhost, .vdpa, "
		".vfio and .iommufd become the numbers of its descriptors, @NAME.host a PCI "
		"address, @NAME.path a socket and @NAME.mac the MAC; @NAME alone becomes all "
		"arguments of the NIC.\v"
		"NAME is net0 without --name. vnetctl becomes the command, so signals and "
		"exit code are its own; the NIC goes back when it ends.",
		&more);
	if (!json_object_get(params, "name"))
		cli_put(params, "name", NIC_DEFAULT);
	name = json_string_value(json_object_get(params, "name"));
	if (placeholders_check(more.command, name, &err) < 0) {
		cli_complain("%s", err.text);
		return EXIT_USAGE;
	}
	put_memory(more.command, params);
	r = cli_call_fds(cli, "io.vnetd.Exec", json_incref(params), NULL, &reply, &fds);
	return r ? r : become(more.command, name, reply, &fds);
}
