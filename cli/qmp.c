/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU's monitor, opened here: vnetd opens no path that a client names. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/cleanup.h"
#include "lib/json.h"

int cli_qmp_open(const char *path, json_t *params, struct vnet_fds *ret)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (!*path || strlen(path) >= sizeof(addr.sun_path)) {
		cli_complain("--qmp: the path is empty or longer than %zu bytes",
			     sizeof(addr.sun_path) - 1);
		return EXIT_USAGE;
	}
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		cli_complain("cannot reach a QEMU at %s: %s: start it with "
			     "-qmp unix:%s,server=on,wait=off",
			     path, strerror(errno), path);
		return EXIT_REFUSED;
	}
	json_put_bool(params, "qmp", true);
	vnet_fds_add(ret, take_fd(&fd));
	return EXIT_DONE;
}
