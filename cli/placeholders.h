/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETCTL_PLACEHOLDERS_H
#define VNETCTL_PLACEHOLDERS_H
/*
 * What `vnetctl exec` puts into a command line: "@NAME.WORD" at the start of an argument or
 * behind one of "=:,", and "@NAME" as an argument of its own, which becomes all that QEMU
 * needs for the NIC. Any other '@' is left as it is. No shell is involved.
 *
 * WORD: tap, vhost, vdpa, vfio, iommufd: numbers of descriptors, with ':' between two;
 * host: PCI address; path: of a socket; mac.
 */
#include <jansson.h>

#include "lib/err.h"
#include "lib/fds.h"

/* Before anything is asked for: is each of them one that there can be? */
int placeholders_check(char *const *argv, const char *name, struct vnet_err *err);
/* *ret is malloced with all its words and ends with NULL. @reply: that of io.vnetd.Exec;
 * @fds: what came with it. An error lists what this mode has. */
int placeholders_fill(char *const *argv, const char *name, const json_t *reply,
		      const struct vnet_fds *fds, char ***ret, struct vnet_err *err);
void placeholders_free(char **argv);
#endif
