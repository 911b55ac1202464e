/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/mac.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static unsigned hex_value(char c)
{
	return (unsigned)(isdigit((unsigned char)c) ? c - '0'
						    : tolower((unsigned char)c) - 'a' + 10);
}

int mac_parse(const char *s, struct mac *ret)
{
	struct mac m;

	if (!s || strlen(s) != MAC_STR - 1)
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(m.b); i++, s += 3) {
		if (!isxdigit((unsigned char)s[0]) || !isxdigit((unsigned char)s[1]) ||
		    s[2] != (i < sizeof(m.b) - 1 ? ':' : '\0'))
			return -EINVAL;
		m.b[i] = (uint8_t)(hex_value(s[0]) << 4 | hex_value(s[1]));
	}
	*ret = m;
	return 0;
}

const char *mac_str(const struct mac *m, char buf[static MAC_STR])
{
	snprintf(buf, MAC_STR, "%02x:%02x:%02x:%02x:%02x:%02x", m->b[0], m->b[1], m->b[2], m->b[3],
		 m->b[4], m->b[5]);
	return buf;
}

bool mac_is_zero(const struct mac *m)
{
	static const struct mac zero;

	return mac_eq(m, &zero);
}

bool mac_is_multicast(const struct mac *m)
{
	return m->b[0] & 1;
}

bool mac_eq(const struct mac *a, const struct mac *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void mac_generate_from(const uint8_t prefix[static MAC_PREFIX_LEN], struct mac *ret)
{
	struct mac m;

	memcpy(m.b, prefix, MAC_PREFIX_LEN);
	/* getrandom() of three octets is never short; it is interrupted only before the
	 * kernel's generator is seeded. Any other refusal would give every guest one MAC. */
	while (getrandom(m.b + MAC_PREFIX_LEN, 3, 0) != 3)
		if (errno != EINTR)
			abort();
	*ret = m;
}

void mac_generate(struct mac *ret)
{
	static const uint8_t qemu[MAC_PREFIX_LEN] = { 0x52, 0x54, 0x00 };

	mac_generate_from(qemu, ret);
}
