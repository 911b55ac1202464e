/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_FDS_H
#define VNET_LIB_FDS_H
/* An owned set of descriptors: what is left in it when it is done is closed. */
#include <stddef.h>

/* A guest NIC with 32 queues and vhost needs so many; the kernel sends up to 253 at once. */
#define VNET_FDS_MAX 64

struct vnet_fds {
	size_t n;
	int fd[VNET_FDS_MAX];
};

#define VNET_FDS_INIT ((struct vnet_fds){ 0 })

/* Takes over @fd, also on failure (-E2BIG when full: fd is closed). */
int vnet_fds_add(struct vnet_fds *fds, int fd);
/* The fd at @i, now the caller's; -1 when it was taken before or never was. */
int vnet_fds_take(struct vnet_fds *fds, size_t i);
/* Close everything; usable again, and as a _cleanup_ function. */
void vnet_fds_done(struct vnet_fds *fds);
#define _cleanup_fds_ _cleanup_(vnet_fds_done)
#endif
