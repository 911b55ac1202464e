/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/aside.h"
#include "daemon/attach.h"
#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

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

/* *ret_id: of the VFs that were made; 0: they were about to be. */
static bool read_mark(const struct pools *p, const struct pci_addr *pf, uint64_t *ret_id)
{
	struct vnet_err err = VNET_ERR_INIT;
	char file[PCI_ADDR_STR + 8], text[128];
	_cleanup_json_ json_t *j = NULL;
	int64_t id = 0, version;
	ssize_t n;
	int r;

	mark_file(pf, file);
	n = file_read_at(p->dirfd, file, text, sizeof(text));
	if (n == -ENOENT)
		return false;
	j = n < 0 ? NULL : json_loads(text, 0, NULL);
	if (!j)
		r = vnet_err_set(&err, -EBADMSG, VNET_E_FAILED, "it is no JSON (torn or empty)");
	else if ((r = json_get_int(j, "version", 1, INT64_MAX, &version, &err)) == 0 && version > 1)
		r = vnet_err_set(&err, -EBADMSG, VNET_E_FAILED,
				 "it was written by a newer vnetd (version %lld)",
				 (long long)version);
	if (r == 0)
		r = json_get_int_opt(j, "vfsId", 0, INT64_MAX, &id, &err);
	if (r < 0) {
		state_aside(p->dirfd, file, &err);
		return false;
	}
	*ret_id = (uint64_t)id;
	return true;
}

static int write_mark(const struct pools *p, const struct pci_addr *pf, uint64_t id,
		      struct vnet_err *err)
{
	char file[PCI_ADDR_STR + 8], text[128];

	mark_file(pf, file);
	snprintf(text, sizeof(text), "{\"version\":1,\"created\":true,\"vfsId\":%llu}\n",
		 (unsigned long long)id);
	return file_replace_at(p->dirfd, file, text, strlen(text), 0600, err);
}

static void remove_mark(const struct pools *p, const struct pci_addr *pf)
{
	char file[PCI_ADDR_STR + 8];

	mark_file(pf, file);
	unlinkat(p->dirfd, file, 0);
}

static bool being_used(const struct pools *p, const struct pci_addr *pf)
{
	const struct attachments *as = p->m->attachments;
	const struct vnet_attachment *v;

	for (size_t i = 0; as && (v = attachments_at(as, i)); i++) {
		if (pci_addr_eq(&v->pf, pf))
			return true;
	}
	return !as;
}

/* Are the VFs that @pf has now those that vnetd made? A mark that does not fit is
 * taken away: its VFs went, and others may have come since. */
static bool is_created(const struct pools *p, const struct nic *pf)
{
	struct vnet_err err = VNET_ERR_INIT;
	uint64_t id;

	if (!read_mark(p, &pf->addr, &id))
		return false;
	if (pf->num_vfs == 0) {
		if (id || !being_used(p, &pf->addr))
			remove_mark(p, &pf->addr);
		return id == 0;
	}
	if (id == pf->vfs_id)
		return true;
	if (id) {
		remove_mark(p, &pf->addr);
		return false;
	}
	if (write_mark(p, &pf->addr, pf->vfs_id, &err) < 0)
		log_err(3, NULL, &err, "note that vnetd made VFs");
	return true;
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
		pool->created = is_created(p, nic);
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
	int r = write_mark(p, pf, 0, err);

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		if (pci_addr_eq(&p->at[i].pf, pf))
			p->at[i].created = true;
	}
	return r;
}

void pools_none_created(struct pools *p, const struct pci_addr *pf)
{
	uint64_t id;

	if (read_mark(p, pf, &id) && id == 0)
		remove_mark(p, pf);
}
