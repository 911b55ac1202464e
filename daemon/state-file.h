/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_STATE_FILE_H
#define VNETD_STATE_FILE_H
/*
 * vnetd's own state: folders of JSON objects, a file each, with a version. A file that
 * cannot be read is moved aside and reported, never deleted: the administrator, or a
 * newer vnetd, may still make sense of it.
 */
#include <jansson.h>
#include <stdbool.h>

#include "lib/err.h"

#define ASIDE_SUFFIX ".unreadable"
#define STATE_VERSION 1	     /* of what is written; a newer one is not read */
#define STATE_FILE_MAX 16384 /* octets; more is no file of ours */

/* @file becomes @file.unreadable, or @file.N.unreadable beside earlier ones. */
void state_aside(int dirfd, const char *file, const struct vnet_err *err);

/* The object in @file, its version looked at; -ENOENT where there is no such file. */
int state_read(int dirfd, const char *file, json_t **ret, struct vnet_err *err);

/* That @file is where what it holds is kept: @own. */
int state_read_own(const char *file, const char *own, struct vnet_err *err);

/* @load for each "*.json", in the order of names; what it fails for is moved aside. */
typedef int (*state_load_fn)(void *user, const char *file, struct vnet_err *err);
int state_load(int dirfd, state_load_fn load, void *user, struct vnet_err *err);

/* Whether files of this name are such as state_aside() has kept. */
bool state_is_aside(const char *name);
#endif
