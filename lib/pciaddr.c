/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Only the kernel's own spelling is accepted: addresses are compared as strings in state files,
 * as knob objects and in other programs' XML, so that one device must not have two names.
 */
#include "lib/pciaddr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VF_INDEX_MAX 65535u

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* Reads between @min and @max digits and then @end; returns what follows it, or NULL. */
static const char *hex_field(const char *s, unsigned min, unsigned max, char end, uint32_t *ret)
{
	uint32_t v = 0;
	unsigned n = 0;

	for (; n < max && hex_digit(s[n]) >= 0; n++)
		v = v << 4 | (uint32_t)hex_digit(s[n]);
	if (n < min || s[n] != end || (n > min && s[0] == '0'))
		return NULL;
	*ret = v;
	return end ? s + n + 1 : s + n;
}

/* Parses up to @end, which is '\0' or the separator behind the address. */
static const char *parse_until(const char *s, char end, struct pci_addr *ret)
{
	uint32_t domain, bus, dev, fn;

	s = hex_field(s, 4, 8, ':', &domain);
	s = s ? hex_field(s, 2, 2, ':', &bus) : NULL;
	s = s ? hex_field(s, 2, 2, '.', &dev) : NULL;
	s = s ? hex_field(s, 1, 1, end, &fn) : NULL;
	if (!s || dev > 0x1f || fn > 7)
		return NULL;
	*ret = (struct pci_addr){
		.domain = domain,
		.bus = (uint8_t)bus,
		.dev = (uint8_t)dev,
		.fn = (uint8_t)fn,
		.set = true,
	};
	return s;
}

int pci_addr_parse(const char *s, struct pci_addr *ret)
{
	return s && parse_until(s, '\0', ret) ? 0 : -EINVAL;
}

const char *pci_addr_str(const struct pci_addr *a, char buf[static PCI_ADDR_STR])
{
	if (a->set)
		snprintf(buf, PCI_ADDR_STR, "%04x:%02x:%02x.%u", a->domain, a->bus, a->dev & 0x1fu,
			 a->fn & 7u);
	else
		buf[0] = '\0';
	return buf;
}

int pci_addr_cmp(const struct pci_addr *a, const struct pci_addr *b)
{
	uint64_t x = 0, y = 0;

	if (a->set)
		x = 1ull << 63 | (uint64_t)a->domain << 24 | (uint64_t)a->bus << 16 |
		    (uint64_t)a->dev << 8 | a->fn;
	if (b->set)
		y = 1ull << 63 | (uint64_t)b->domain << 24 | (uint64_t)b->bus << 16 |
		    (uint64_t)b->dev << 8 | b->fn;
	return x < y ? -1 : x > y;
}

bool pci_addr_eq(const struct pci_addr *a, const struct pci_addr *b)
{
	return pci_addr_cmp(a, b) == 0;
}

int vf_object_parse(const char *s, struct pci_addr *ret_pf, unsigned *ret_index)
{
	struct pci_addr pf;
	unsigned index = 0;
	const char *p;

	p = s ? parse_until(s, '/', &pf) : NULL;
	if (!p || p[0] != 'v' || p[1] != 'f' || !p[2] || (p[2] == '0' && p[3]))
		return -EINVAL;
	for (p += 2; *p; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		index = index * 10 + (unsigned)(*p - '0');
		if (index > VF_INDEX_MAX)
			return -EINVAL;
	}
	*ret_pf = pf;
	*ret_index = index;
	return 0;
}

const char *vf_object_str(const struct pci_addr *pf, unsigned index, char buf[static VF_OBJECT_STR])
{
	char addr[PCI_ADDR_STR];

	snprintf(buf, VF_OBJECT_STR, "%s/vf%u", pci_addr_str(pf, addr), index);
	return buf;
}
