/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "daemon/qmp-nic.h"

struct ask {
	qmp_nic_memory_fn done;
	void *user;
};

/* The guest's own memory is among the back ends, also where none was asked for (pc.ram). */
static int shared_of(const json_t *list)
{
	const json_t *e;
	int shared = -1;
	size_t i;

	json_array_foreach (list, i, e) {
		const json_t *share = json_object_get(e, "share");

		if (!json_is_boolean(share)) /* before QEMU 6.1 */
			return -1;
		if (!json_is_true(share))
			return 0;
		shared = 1;
	}
	return shared;
}

static void on_list(void *user, int r, const json_t *result, struct vnet_err *err)
{
	struct ask a = *(struct ask *)user;
	struct vnet_err none = VNET_ERR_INIT;
	bool refused = r == -EREMOTEIO || r == -ENODEV;

	free(user);
	a.done(a.user, refused ? 0 : r, r < 0 ? -1 : shared_of(result), refused ? &none : err);
}

int qmp_nic_memory(struct qmp *q, qmp_nic_memory_fn done, void *user, struct vnet_err *err)
{
	struct ask *a = calloc(1, sizeof(*a));
	int r = a ? 0 : vnet_err_errno(err, -ENOMEM, "query-memdev");

	if (r == 0) {
		*a = (struct ask){ .done = done, .user = user };
		r = qmp_run(q, "query-memdev", NULL, -1, QMP_COMMAND_MS, on_list, a, err);
	}
	if (r < 0)
		free(a);
	return r;
}
