/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which PF is in which pool: configuration and fake host in, the list of pools out.
 * Workers look at the host; this program is their binary too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/inventory.h"
#include "daemon/manager.h"
#include "daemon/pool.h"
#include "tests/unit/fake-host.h"

#define PF0 "0000:01:00.0"
#define PF1 "0000:02:00.0"

struct fixture {
	char dir[64], runtime[96];
	struct manager m;
	bool scanned;
	struct vnet_err err;
};

static void on_scan(void *user, int r, struct vnet_err *err)
{
	struct fixture *f = user;

	(void)err;
	assert_int_equal(r, 0);
	f->scanned = true;
}

/* Read the configuration @text, then the host. */
static void configure(struct fixture *f, const char *text)
{
	fake_host_put(f->dir, "vnetd.conf", text);
	f->m.conf = config_free(f->m.conf);
	assert_int_equal(config_load(&f->m.conf, f->dir, &f->err), 0);
	f->scanned = false;
	inventory_refresh(f->m.inventory, on_scan, f);
	for (int i = 0; i < 1000 && !f->scanned; i++)
		assert_true(sd_event_run(f->m.event, 20000) >= 0);
	assert_true(f->scanned);
}

static struct fixture *host(const char *const *options)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_host_new(f->dir, options);
	snprintf(f->runtime, sizeof(f->runtime), "%s/run", f->dir);
	assert_int_equal(mkdir(f->runtime, 0700), 0);
	f->m.runtime_fd = open(f->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(sd_event_new(&f->m.event) >= 0);
	assert_int_equal(workers_new(&f->m.workers, f->m.event, "/proc/self/exe", f->dir,
				     f->runtime, &f->err),
			 0);
	assert_int_equal(inventory_new(&f->m.inventory, &f->m, &f->err), 0);
	assert_int_equal(pools_new(&f->m.pools, &f->m, &f->err), 0);
	return f;
}

#define HOST(...) host((const char *const[]){ __VA_ARGS__, NULL })

static void gone(struct fixture *f)
{
	pools_free(f->m.pools);
	inventory_free(f->m.inventory);
	workers_free(f->m.workers);
	config_free(f->m.conf);
	sd_event_unref(f->m.event);
	close(f->m.runtime_fd);
	fake_host_free(f->dir);
	free(f);
}

/* "a:enp1s0,enp2s0 b!:": names, ! disabled, and the uplinks of each; of those that nobody
 * configured the PFs. */
static void expect(struct fixture *f, const char *wanted)
{
	const struct pool *p;
	char is[512] = "";
	size_t n = 0;

	for (size_t i = 0; (p = pools_at(f->m.pools, i)); i++) {
		if (!p->configured && p->uplinks[0].kind != VNET_UPLINK_PF)
			continue;
		n += (size_t)snprintf(is + n, sizeof(is) - n, "%s%s%s:", n ? " " : "", p->name,
				      p->disabled ? "!" : "");
		for (size_t k = 0; k < p->n_uplinks; k++)
			n += (size_t)snprintf(is + n, sizeof(is) - n, "%s%s", k ? "," : "",
					      p->uplinks[k].link);
	}
	assert_string_equal(is, wanted);
}

static const struct pool *find(struct fixture *f, const char *name)
{
	const struct pool *p = pools_find(f->m.pools, name);

	if (!p)
		fail_msg("there is no pool %s", name);
	return p;
}

static void says(struct fixture *f, const char *name, const char *words)
{
	if (!strstr(find(f, name)->problem, words))
		fail_msg("pool %s: '%s' is not in '%s'", name, words, find(f, name)->problem);
}

static void who_claims_what(void **state)
{
	struct fixture *f = HOST("--pfs", "4");

	(void)state;
	configure(f, "");
	expect(f, "enp1s0:enp1s0 enp2s0:enp2s0 enp3s0:enp3s0 enp4s0:enp4s0");
	configure(f, "[pool z]\nuplink = enp3s0 enp1s0\n[pool a]\nuplink = " PF1 "\n");
	expect(f, "a:enp2s0 enp4s0:enp4s0 z:enp3s0,enp1s0");
	configure(f, "[pool all]\nuplink = driver=igb\n");
	expect(f, "all:enp1s0,enp2s0,enp3s0,enp4s0");
	assert_false(find(f, "all")->uplinks[0].named);
	configure(f, "[pool m]\nuplink = mac=52:54:00:03:00:00 enp[34]*\n");
	expect(f, "enp1s0:enp1s0 enp2s0:enp2s0 m:enp3s0,enp4s0");
	assert_true(find(f, "m")->uplinks[0].named);
	assert_false(find(f, "m")->uplinks[1].named);
	/* a glob first, the name behind it: the same one, once, and named */
	configure(f, "[pool m]\nuplink = enp1* enp1s0\n");
	assert_int_equal(find(f, "m")->n_uplinks, 1);
	assert_true(find(f, "m")->uplinks[0].named);
	gone(f);
}

static void two_pools_one_pf(void **state)
{
	struct fixture *f = HOST("--pfs", "3");

	(void)state;
	configure(f, "[pool b]\nuplink = enp1s0\n[pool a]\nuplink = enp3s0\nuplink = enp1*\n");
	expect(f, "a!:enp3s0 b:enp1s0 enp2s0:enp2s0");
	says(f, "a", "/vnetd.conf:5: uplink enp1*: enp1s0 is in pool b already (");
	says(f, "a", "/vnetd.conf:2)");
	/* a pool that is in error keeps its claim */
	configure(f, "[pool b]\nuplink = enp1s0\nquota = x\n");
	expect(f, "b!:enp1s0 enp2s0:enp2s0 enp3s0:enp3s0");
	says(f, "b", "/vnetd.conf:3: quota = x");
	/* and with the configuration not known whole nobody gets the others */
	f->m.conf->incomplete = true;
	pools_update(f->m.pools);
	expect(f, "b!:enp1s0");
	gone(f);
}

static void what_cannot_be_an_uplink(void **state)
{
	struct fixture *f = HOST("--pfs", "3", "--existing-vfs", "1", "--pf-unbound", "2");

	(void)state;
	configure(f, "[pool a]\nuplink = enp9s0 " PF0 " 0000:01:10.0 0000:03:00.0 enp77s0 x*\n");
	expect(f, "a:enp1s0 enp2s0:enp2s0");
	says(f, "a", "uplink enp9s0 has no SR-IOV");
	says(f, "a", "uplink 0000:01:10.0 is a VF: say its PF");
	says(f, "a", "uplink 0000:03:00.0 has no driver");
	says(f, "a", "uplink enp77s0 is not there");
	says(f, "a", "uplink x* matches no NIC");
	assert_int_equal(find(f, "a")->n_missing, 3); /* these may come */
	gone(f);
}

static void names(void **state)
{
	struct fixture *f = HOST("--pfs", "3");
	const struct uplink *u;

	(void)state;
	configure(f, "[pool enp2s0]\nuplink = enp1s0\n[pool fast]\nuplink = enp3s0\n");
	/* enp2s0 itself is a pool by its address: its name is taken */
	expect(f, PF1 ":enp2s0 enp2s0:enp1s0 fast:enp3s0");
	assert_ptr_equal(find(f, "enp1s0"), find(f, "enp2s0"));
	assert_null(pools_find_uplink(f->m.pools, "enp2s0"));
	assert_null(pools_find_uplink(f->m.pools, "fast"));
	u = pools_find_uplink(f->m.pools, "enp3s0");
	assert_non_null(u);
	assert_ptr_equal(u, pools_uplink(f->m.pools, &u->pf));
	assert_ptr_equal(pools_by_pf(f->m.pools, &u->pf), find(f, "fast"));
	assert_ptr_equal(pools_find_uplink(f->m.pools, "0000:03:00.0"), u);
	assert_null(pools_find(f->m.pools, "nowhere"));
	gone(f);
}

static void counts(void **state)
{
	struct fixture *f =
		HOST("--pfs", "2", "--existing-vfs", "3", "--no-vfs-on", "1", "--vfs-total", "40");
	const struct uplink *u;

	(void)state;
	configure(f, "[pool a]\nuplink = enp1s0 enp2s0\n");
	u = find(f, "a")->uplinks;
	assert_int_equal(u[0].count, 3);
	assert_int_equal(u[1].count, POOL_VFS_DEFAULT_MAX);
	assert_int_equal(u[1].last, POOL_VFS_DEFAULT_MAX - 1);
	configure(f, "[pool a]\nuplink = enp1s0 enp2s0\nvfs = 38\nrange = 2-5\n");
	u = find(f, "a")->uplinks;
	assert_int_equal(u[0].count, 3); /* they are there, so they are used */
	assert_true(u[0].first == 2 && u[0].last == 2);
	assert_int_equal(u[1].count, 38);
	assert_true(u[1].first == 2 && u[1].last == 5);
	configure(f, "[pool a]\nuplink = enp1s0 enp2s0\nvfs = found\n");
	u = find(f, "a")->uplinks;
	assert_int_equal(u[0].count, 3);
	assert_int_equal(u[1].count, 0);
	assert_true(u[1].last < u[1].first);
	configure(f, "[pool a]\nuplink = enp2s0\nvfs = 41\n");
	assert_int_equal(find(f, "a")->uplinks[0].count, 40);
	says(f, "a", "vfs = 41, but enp2s0 can have 40 at most");
	gone(f);
}

static void settings(void **state)
{
	struct fixture *f = HOST("--pfs", "2");
	struct pci_addr pf;
	struct mac mac;

	(void)state;
	configure(f, "[vnetd]\nmac-prefix = 02:00:01\nreserve = running\n"
		     "[pool a]\nuplink = enp1s0\nmac-prefix = 52:54:99\nreserve = always\n");
	assert_int_equal(pool_reserve(find(f, "a")), RESERVE_ALWAYS);
	assert_int_equal(pool_reserve(find(f, "enp2s0")), RESERVE_RUNNING);
	pools_make_mac(f->m.pools, "a", &mac);
	assert_memory_equal(mac.b, "\x52\x54\x99", 3);
	assert_int_equal(pci_addr_parse(PF1, &pf), 0);
	pools_make_mac(f->m.pools, "enp2s0", &mac);
	assert_memory_equal(mac.b, "\x02\x00\x01", 3);

	pools_set_failed(f->m.pools, &pf, "the kernel said no");
	pools_update(f->m.pools);
	configure(f, "[pool a]\nuplink = enp2s0\n");
	says(f, "a", "the kernel said no");
	pools_set_failed(f->m.pools, &pf, NULL);
	pools_update(f->m.pools);
	assert_string_equal(find(f, "a")->problem, "");
	gone(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_claims_what),
		cmocka_unit_test(two_pools_one_pf),
		cmocka_unit_test(what_cannot_be_an_uplink),
		cmocka_unit_test(names),
		cmocka_unit_test(counts),
		cmocka_unit_test(settings),
	};

	/* --worker --root DIR --runtime DIR, as worker.c starts its own binary */
	if (argc > 5 && strcmp(argv[1], "--worker") == 0)
		return worker_main(3, argv[3], argv[5]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
