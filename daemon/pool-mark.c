/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* RUNTIME/pools/PF.json: that vnetd made the VFs of this PF. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/attach.h"
#include "daemon/manager.h"
#include "daemon/pool-priv.h"
#include "daemon/pool-start.h"
#include "daemon/state-file.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"

static void mark_file(const struct pci_addr *pf, char buf[static PCI_ADDR_STR + 8])
{
	char addr[PCI_ADDR_STR];

	snprintf(buf, PCI_ADDR_STR + 8, "%s.json", pci_addr_str(pf, addr));
}

/* *ret_id: of the VFs that were made; 0: they were about to be. */
static bool read_mark(const struct pools *p, const struct pci_addr *pf, uint64_t *ret_id)
{
	struct vnet_err err = VNET_ERR_INIT;
	char file[PCI_ADDR_STR + 8];
	_cleanup_json_ json_t *j = NULL;
	int64_t id = 0;
	int r;

	mark_file(pf, file);
	r = state_read(p->dirfd, file, &j, &err);
	if (r == -ENOENT)
		return false;
	if (r == 0)
		r = json_get_int_opt(j, "vfsId", 0, INT64_MAX, &id, &err);
	if (r < 0) {
		state_aside(p->dirfd, file, &err);
		return false;
	}
	*ret_id = (uint64_t)id;
	return true;
}

int pool_mark_write(const struct pools *p, const struct pci_addr *pf, uint64_t id,
		    struct vnet_err *err)
{
	char file[PCI_ADDR_STR + 8], text[128];

	mark_file(pf, file);
	snprintf(text, sizeof(text), "{\"version\":%d,\"created\":true,\"vfsId\":%llu}\n",
		 STATE_VERSION, (unsigned long long)id);
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
	return !as || (p->m->start && pool_start_makes(p->m->start, pf));
}

bool pool_mark_fits(struct pools *p, const struct nic *pf)
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
	if (pool_mark_write(p, &pf->addr, pf->vfs_id, &err) < 0)
		log_err(3, NULL, &err, "note that vnetd made VFs");
	return true;
}

void pools_none_created(struct pools *p, const struct pci_addr *pf)
{
	uint64_t id;

	if (read_mark(p, pf, &id) && id == 0)
		remove_mark(p, pf);
}
