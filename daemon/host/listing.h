/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_LISTING_H
#define VNETD_HOST_LISTING_H
/*
 * The names in a directory, without the three calls that fdopendir() makes of each: a
 * host has a hundred directories of drivers.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "lib/cleanup.h"

struct listing {
	int fd;
	size_t at, n;
	char buf[32 * 1024] __attribute__((aligned(8)));
};

/* False and errno where there is no such directory; to be closed also then. */
bool listing_open(struct listing *l, int dirfd, const char *path);
/* But "." and ".."; NULL at the end. @ret_inode: of the name itself, or NULL. */
const char *listing_next(struct listing *l, ino_t *ret_inode);
void listing_close(struct listing *l);
#define _cleanup_listing_ _cleanup_(listing_close)
#endif
