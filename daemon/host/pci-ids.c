/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pci.ids, read in place: libpci makes a table of all its 40000 lines to look up two.
 *
 *	VVVV  Vendor
 *	<tab>DDDD  Device
 *	<tab><tab>SSSS SSSS  Subsystem
 *
 * in ascending order; comments begin with '#'.
 */
#include "daemon/host/pci-ids.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

struct pci_ids {
	char *text;
	size_t size;
};

int pci_ids_open(struct pci_ids **ret, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct pci_ids *ids;
	struct stat st;
	void *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		return -EINVAL;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	ids = malloc(sizeof(*ids));
	if (!ids) {
		munmap(text, (size_t)st.st_size);
		return -ENOMEM;
	}
	*ids = (struct pci_ids){ text, (size_t)st.st_size };
	*ret = ids;
	return 0;
}

struct pci_ids *pci_ids_close(struct pci_ids *ids)
{
	if (!ids)
		return NULL;
	munmap(ids->text, ids->size);
	free(ids);
	return NULL;
}

/* The rest of the line that begins with @key, among those of one vendor. */
static const char *find_device(const char *p, const char *end, const char *key)
{
	size_t len = strlen(key);

	while (p && p < end && (*p == '\t' || *p == '#' || *p == '\n')) {
		if ((size_t)(end - p) > len && !memcmp(p, key, len))
			return p + len;
		p = memchr(p, '\n', (size_t)(end - p));
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

static void copy_line(const char *p, const char *end, char *ret, size_t size)
{
	size_t n = 0;

	while (p < end && *p != '\n' && n + 1 < size)
		ret[n++] = *p++;
	ret[n] = '\0';
}

void pci_ids_find(const struct pci_ids *ids, unsigned vendor, unsigned device, char *ret_vendor,
		  char *ret_device, size_t size)
{
	const char *end = ids->text + ids->size, *p;
	char key[16];

	*ret_vendor = *ret_device = '\0';
	snprintf(key, sizeof(key), "\n%04x  ", vendor & 0xffff);
	p = memmem(ids->text, ids->size, key, strlen(key));
	if (!p)
		return;
	p += strlen(key);
	copy_line(p, end, ret_vendor, size);
	p = memchr(p, '\n', (size_t)(end - p));
	snprintf(key, sizeof(key), "\t%04x  ", device & 0xffff);
	p = p ? find_device(p + 1, end, key) : NULL;
	if (p)
		copy_line(p, end, ret_device, size);
}
