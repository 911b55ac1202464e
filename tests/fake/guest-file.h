/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_GUEST_FILE_H
#define VNETD_TESTS_FAKE_GUEST_FILE_H
/* One guest of the fake libvirt: its files in the folder @dirfd (see domains.c), and what
 * libvirt would do to its live XML. @file is the name without .xml. */
#include "daemon/domains.h"

bool guest_file_has(int dirfd, const char *file, const char *what);
int guest_file_load(int dirfd, const char *file, struct guest *ret, struct vnet_err *err);
/* Which file is its live or persistent XML: "xml" or "config"; NULL: it has none. */
const char *guest_file_of(int dirfd, const char *file, enum domains_where where);
/* As vnetd uses virDomainSetMetadata: with @nic's entry, or without the one of its name. */
int guest_file_set_entry(int dirfd, const char *file, enum domains_where where,
			 const struct guest_nic *nic, bool with, struct vnet_err *err);
int guest_file_add(int dirfd, const char *file, enum domains_where where,
		   const struct guest_nic *nic, struct vnet_err *err);
void guest_file_remove(int dirfd, const char *file, enum domains_where where, const char *alias);
#endif
