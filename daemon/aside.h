/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_ASIDE_H
#define VNETD_ASIDE_H
/*
 * A file of vnetd's own state that cannot be read is moved aside and reported, never
 * deleted: the administrator, or a newer vnetd, may still make sense of it.
 */
#include "lib/err.h"

#define ASIDE_SUFFIX ".unreadable"

/* @file becomes @file.unreadable, or @file.N.unreadable beside earlier ones. */
void state_aside(int dirfd, const char *file, const struct vnet_err *err);
#endif
