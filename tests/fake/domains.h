/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_DOMAINS_H
#define VNETD_TESTS_FAKE_DOMAINS_H
/* A libvirt in files, below the directory of a fake kernel: see domains.c. */
#include "daemon/domains.h"

extern const struct domains_backend domains_fake;
#endif
