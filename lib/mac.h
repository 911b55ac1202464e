/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_MAC_H
#define VNET_LIB_MAC_H
/* Ethernet addresses: six octets, written "52:54:00:12:34:56" in lower case. */
#include <stdbool.h>
#include <stdint.h>

#define MAC_STR 18
#define MAC_PREFIX_LEN 3

struct mac {
	uint8_t b[6];
};

int mac_parse(const char *s, struct mac *ret); /* 0 or -EINVAL: form only */
const char *mac_str(const struct mac *m, char buf[static MAC_STR]);
bool mac_is_zero(const struct mac *m);
bool mac_is_multicast(const struct mac *m);
bool mac_eq(const struct mac *a, const struct mac *b);
/* 52:54:00 and three random octets (getrandom). */
void mac_generate(struct mac *ret);
/* @prefix and three random octets. */
void mac_generate_from(const uint8_t prefix[static MAC_PREFIX_LEN], struct mac *ret);
#endif
