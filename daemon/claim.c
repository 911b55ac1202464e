/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/claim.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define CLAIM_DIGITS 11

/* FNV-1a, 64 bits: as good as any where nobody gains by a collision (the knob finds the
 * name taken then, and says so). */
static uint64_t hash(uint64_t h, const char *s)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return h;
}

bool claim_is_name(const char *name)
{
	return strncmp(name, "vn", 2) == 0 && strlen(name) == 2 + CLAIM_DIGITS &&
	       strspn(name + 2, "0123456789abcdef") == CLAIM_DIGITS;
}

void claim_name(const char *uuid, const char *nic, char ret[static IF_NAMESIZE])
{
	uint64_t h = hash(hash(hash(UINT64_C(0xcbf29ce484222325), uuid), "."), nic);

	snprintf(ret, IF_NAMESIZE, "vn%011" PRIx64, h >> 20);
}
