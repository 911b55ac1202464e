/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_CLAIM_H
#define VNETD_CLAIM_H
/* Names that are one attachment's alone, over restarts of everything too. */
#include <net/if.h>
#include <stdbool.h>

/* Could @name be one of claim_name()'s? Nobody else makes such. */
bool claim_is_name(const char *name);
/* For an interface or a vDPA device: "vn" and 11 hex digits of a hash of both. */
void claim_name(const char *uuid, const char *nic, char ret[static IF_NAMESIZE]);
#endif
