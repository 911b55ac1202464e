/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/fds.h"

#include <errno.h>

#include "lib/cleanup.h"

int vnet_fds_add(struct vnet_fds *fds, int fd)
{
	if (fd < 0)
		return -EBADF;
	if (fds->n >= VNET_FDS_MAX) {
		close_fd(fd);
		return -E2BIG;
	}
	fds->fd[fds->n++] = fd;
	return 0;
}

int vnet_fds_take(struct vnet_fds *fds, size_t i)
{
	return i < fds->n ? take_fd(&fds->fd[i]) : -1;
}

void vnet_fds_done(struct vnet_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		close_fd(fds->fd[i]);
	*fds = VNET_FDS_INIT;
}
