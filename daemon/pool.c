/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "lib/cleanup.h"
#include "lib/file.h"

struct pools {
	struct manager *m;
	int dirfd; /* RUNTIME/pools */
	struct pool *at;
	size_t n;
};

int pools_new(struct pools **ret, struct manager *m, struct vnet_err *err)
{
	struct pools *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return vnet_err_errno(err, -ENOMEM, "pools");
	p->m = m;
	p->dirfd = -1;
	r = file_opendir_at(m->runtime_fd, "pools", 0700, &p->dirfd, err);
	if (r < 0) {
		pools_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

struct pools *pools_free(struct pools *p)
{
	if (!p)
		return NULL;
	close_fd(p->dirfd);
	free(p->at);
	free(p);
	return NULL;
}

static void mark_file(const struct pci_addr *pf, char buf[static PCI_ADDR_STR + 8])
{
	char addr[PCI_ADDR_STR];

	snprintf(buf, PCI_ADDR_STR + 8, "%s.json", pci_addr_str(pf, addr));
}

static bool marked_created(const struct pools *p, const struct pci_addr *pf)
{
	char file[PCI_ADDR_STR + 8];

	mark_file(pf, file);
	return faccessat(p->dirfd, file, F_OK, 0) == 0;
}

static int cmp_pool(const void *a, const void *b)
{
	return strcmp(((const struct pool *)a)->name, ((const struct pool *)b)->name);
}

void pools_update(struct pools *p)
{
	const struct host_scan *s = inventory_scan(p->m->inventory);
	struct pool *list = calloc(s->n_nics + 1, sizeof(*list));
	char addr[PCI_ADDR_STR];
	size_t n = 0;

	if (!list)
		return; /* the list of before serves until the next scan */
	for (size_t i = 0; i < s->n_nics; i++) {
		const struct nic *nic = &s->nics[i];
		const struct link *link = host_scan_nic_link(s, nic);
		struct pool *pool = &list[n];

		if (nic->kind != NIC_PF || !nic->network || !nic->driver[0] || nic->total_vfs <= 0)
			continue;
		/* A PF that is itself passed through has no VFs to give. */
		if (!link && nic->num_vfs <= 0)
			continue;
		snprintf(pool->name, sizeof(pool->name), "%s",
			 link ? link->name : pci_addr_str(&nic->addr, addr));
		pool->pf = nic->addr;
		pool->created = marked_created(p, &nic->addr);
		pool->count = nic->num_vfs > 0			      ? nic->num_vfs
			      : nic->total_vfs < POOL_VFS_DEFAULT_MAX ? nic->total_vfs
								      : POOL_VFS_DEFAULT_MAX;
		n++;
	}
	qsort(list, n, sizeof(*list), cmp_pool);
	free(p->at);
	p->at = list;
	p->n = n;
}

const struct pool *pools_at(const struct pools *p, size_t i)
{
	return i < p->n ? &p->at[i] : NULL;
}

const struct pool *pools_by_pf(const struct pools *p, const struct pci_addr *pf)
{
	for (size_t i = 0; i < p->n; i++) {
		if (pci_addr_eq(&p->at[i].pf, pf))
			return &p->at[i];
	}
	return NULL;
}

const struct pool *pools_find(const struct pools *p, const char *name)
{
	struct pci_addr addr;

	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->at[i].name, name) == 0)
			return &p->at[i];
	}
	return pci_addr_parse(name, &addr) == 0 ? pools_by_pf(p, &addr) : NULL;
}

int pools_mark_created(struct pools *p, const struct pci_addr *pf, struct vnet_err *err)
{
	static const char text[] = "{\"version\":1,\"created\":true}\n";
	char file[PCI_ADDR_STR + 8];
	int r;

	mark_file(pf, file);
	r = file_replace_at(p->dirfd, file, text, sizeof(text) - 1, 0600, err);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		if (pci_addr_eq(&p->at[i].pf, pf))
			p->at[i].created = true;
	}
	return r;
}
