/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of guests, over the fake libvirt of tests/fake/domains.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/file.h"
#include "tests/fake/domains.h"
#include "tests/unit/domains-watch.h"

#define UUID_A "00000000-0000-4000-8000-00000000000a"
#define UUID_B "00000000-0000-4000-8000-00000000000b"

struct fixture {
	char dir[32];
	int fd; /* of guests/ */
};

static void put(const struct fixture *f, const char *name, const char *text)
{
	struct vnet_err err = VNET_ERR_INIT;

	if (file_replace_at(f->fd, name, text, strlen(text), 0644, &err) < 0)
		fail_msg("%s", err.text);
}

static void take(const struct fixture *f, const char *name)
{
	assert_int_equal(unlinkat(f->fd, name, 0), 0);
}

static void put_guest(const struct fixture *f, const char *file, const char *name, const char *uuid)
{
	char xml[1024];

	snprintf(xml, sizeof(xml),
		 "<domain type='kvm'><name>%s</name><uuid>%s</uuid><devices>"
		 "<hostdev mode='subsystem' type='pci'><source>"
		 "<address domain='0' bus='0x81' slot='0x00' function='0x1'/></source></hostdev>"
		 "</devices></domain>",
		 name, uuid);
	put(f, file, xml);
}

/* Guests "zoe" (A) and "amy" (B), both running. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[64];

	assert_non_null(f);
	strcpy(f->dir, "/tmp/test-domains.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(path, sizeof(path), "%s/guests", f->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	put_guest(f, "zoe.xml", "zoe", UUID_A);
	put_guest(f, "amy.xml", "amy", UUID_B);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[64];

	close(f->fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static struct watch *known(const struct fixture *f)
{
	struct watch *w = watch_new(&domains_fake, f->dir);

	assert_int_equal(domains_known(w->domains), DOMAINS_NEVER);
	watch_until(w, "known");
	return w;
}

static struct guest_nic nic(const char *name)
{
	struct guest_nic n = { .mode = "vf",
			       .pool = "ens1f0",
			       .vf_index = 2,
			       .kind = DL_HOSTDEV,
			       .device = "0000:65:10.4" };

	snprintf(n.name, sizeof(n.name), "%s", name);
	assert_int_equal(mac_parse("52:54:00:00:00:01", &n.mac), 0);
	assert_int_equal(pci_addr_parse("0000:65:10.4", &n.vf), 0);
	return n;
}

static int attach(struct watch *w, const char *uuid, const char *name)
{
	struct guest_nic n = nic(name);
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(domains_attach(w->domains, uuid, IN_LIVE, &n, watch_done, w, &err), 0);
	assert_int_equal(w->calls, 0);
	return watch_call(w);
}

static int detach(struct watch *w, const char *uuid, const char *name)
{
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(domains_detach(w->domains, uuid, IN_LIVE, name, watch_done, w, &err), 0);
	return watch_call(w);
}

static int reread(struct watch *w, const char *uuid)
{
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(domains_reread(w->domains, uuid, watch_done, w, &err), 0);
	return watch_call(w);
}

static void test_table(void **state)
{
	const struct fixture *f = *state;
	struct watch *w;

	put(f, "zoe.off", "");
	w = known(f);
	assert_int_equal(domains_known(w->domains), DOMAINS_KNOWN);
	assert_string_equal(domains_why_unknown(w->domains), "");
	assert_string_equal(domains_at(w->domains, 0)->name, "amy");
	assert_string_equal(domains_at(w->domains, 1)->name, "zoe");
	assert_null(domains_at(w->domains, 2));
	assert_ptr_equal(domains_find(w->domains, "amy"), domains_at(w->domains, 0));
	assert_ptr_equal(domains_find(w->domains, UUID_A), domains_at(w->domains, 1));
	assert_null(domains_find(w->domains, "nobody"));
	assert_true(domains_find(w->domains, "amy")->active);
	assert_true(domains_find(w->domains, "amy")->hostdevs[0].live);
	assert_false(domains_find(w->domains, "zoe")->active);
	assert_true(domains_find(w->domains, "zoe")->hostdevs[0].config);
	watch_free(w);
}

static void test_attach_and_detach(void **state)
{
	struct watch *w = known(*state);
	const struct guest *g;

	assert_int_equal(attach(w, UUID_A, "net0"), 0);
	g = domains_find(w->domains, UUID_A);
	assert_true(guest_has_nic(g, "net0"));
	assert_int_equal(g->n_nics, 1);
	assert_int_equal(g->nics[0].vf_index, 2);
	assert_string_equal(g->nics[0].pool, "ens1f0");
	assert_int_equal(attach(w, UUID_A, "net0"), -EEXIST);
	assert_false(guest_has_nic(domains_find(w->domains, UUID_B), "net0"));

	w->log[0] = '\0';
	assert_int_equal(detach(w, UUID_A, "net0"), 0);
	assert_true(guest_has_nic(domains_find(w->domains, UUID_A), "net0"));
	watch_until(w, "removed:" UUID_A ":ua-vnetd-net0");
	g = domains_find(w->domains, UUID_A);
	assert_false(guest_has_nic(g, "net0"));
	assert_int_equal(g->n_nics, 1); /* the entry is vnetd's to take away */
	assert_int_equal(domains_forget(w->domains, UUID_A, "net0", watch_done, w, &w->err), 0);
	assert_int_equal(watch_call(w), 0);
	assert_int_equal(domains_find(w->domains, UUID_A)->n_nics, 0);
	assert_int_equal(domains_forget(w->domains, UUID_A, "net0", watch_done, w, &w->err), 0);
	assert_int_equal(watch_call(w), 0);
	assert_int_equal(detach(w, UUID_A, "net0"), -ENOENT);
	watch_free(w);
}

static void test_refused(void **state)
{
	const struct fixture *f = *state;
	struct watch *w = known(f);

	put(f, "zoe.refuse", "internal error: no more available PCI slots\n");
	assert_int_equal(attach(w, UUID_A, "net0"), -EIO);
	assert_int_equal(w->err.name, VNET_E_FAILED);
	assert_string_equal(w->err.text, "libvirt: attach net0 to guest zoe: "
					 "internal error: no more available PCI slots");
	assert_int_equal(reread(w, UUID_A), 0);
	assert_int_equal(domains_find(w->domains, UUID_A)->n_nics, 0);
	take(f, "zoe.refuse");
	assert_int_equal(attach(w, UUID_A, "net0"), 0);
	assert_int_equal(attach(w, "00000000-0000-4000-8000-00000000dead", "net0"), -ENOENT);
	put(f, "zoe.off", "");
	watch_until(w, "stopped:" UUID_A);
	assert_int_equal(attach(w, UUID_A, "net1"), -ESRCH);
	watch_free(w);
}

static void test_stubborn(void **state)
{
	const struct fixture *f = *state;
	struct watch *w = known(f);

	put(f, "zoe.stubborn", "");
	assert_int_equal(attach(w, UUID_A, "net0"), 0);
	assert_int_equal(detach(w, UUID_A, "net0"), 0);
	w->log[0] = '\0';
	watch_for(w, 300);
	assert_null(strstr(w->log, "removed"));
	assert_int_equal(detach(w, UUID_A, "net0"), 0); /* asked again: no error */
	take(f, "zoe.stubborn");
	watch_until(w, "removed:" UUID_A ":ua-vnetd-net0");
	watch_free(w);
}

/* What QEMU was asked goes on while there is no vnetd. */
static void test_restart_in_a_detach(void **state)
{
	struct watch *w = known(*state);

	assert_int_equal(attach(w, UUID_A, "net0"), 0);
	assert_int_equal(detach(w, UUID_A, "net0"), 0);
	watch_free(w);
	w = known(*state);
	while (guest_has_nic(domains_find(w->domains, UUID_A), "net0"))
		watch_until(w, "changed:" UUID_A);
	watch_free(w);
}

static void test_guest_stops(void **state)
{
	const struct fixture *f = *state;
	struct watch *w = known(f);

	assert_int_equal(attach(w, UUID_A, "net0"), 0);
	put(f, "zoe.off", "");
	watch_until(w, "stopped:" UUID_A);
	assert_false(domains_find(w->domains, UUID_A)->active);
	assert_false(guest_has_nic(domains_find(w->domains, UUID_A), "net0"));
	unlinkat(f->fd, "zoe.off", 0);
	while (!domains_find(w->domains, UUID_A)->active)
		watch_until(w, "changed:" UUID_A);
	take(f, "amy.xml");
	watch_until(w, "stopped:" UUID_B " changed:" UUID_B);
	assert_null(domains_find(w->domains, "amy"));
	put_guest(f, "bob.xml", "bob", UUID_B);
	watch_until(w, "changed:" UUID_B);
	assert_non_null(domains_find(w->domains, "bob"));
	watch_free(w);
}

/* While nobody looked; the list tells. */
static void test_stopped_while_the_connection_was_lost(void **state)
{
	const struct fixture *f = *state;
	struct watch *w = known(f);
	struct vnet_err err = VNET_ERR_INIT;
	struct guest_nic n = nic("net0");
	char guests[64], away[64];

	snprintf(guests, sizeof(guests), "%s/guests", f->dir);
	snprintf(away, sizeof(away), "%s/away", f->dir);
	assert_int_equal(rename(guests, away), 0);
	watch_until(w, "lost");
	assert_int_equal(domains_known(w->domains), DOMAINS_STALE);
	assert_non_null(strstr(domains_why_unknown(w->domains), "libvirt: "));
	assert_non_null(domains_find(w->domains, "zoe"));
	assert_int_equal(domains_attach(w->domains, UUID_A, IN_LIVE, &n, watch_done, w, &err),
			 -ENOTCONN);
	assert_int_equal(err.name, VNET_E_UNAVAILABLE);
	take(f, "zoe.xml");
	put_guest(f, "amy.xml", "amelia", UUID_B);
	assert_int_equal(rename(away, guests), 0);
	watch_until(w, "known");
	assert_non_null(strstr(w->past, "stopped:" UUID_A));
	assert_null(domains_find(w->domains, "zoe"));
	assert_null(domains_find(w->domains, "amy"));
	assert_string_equal(domains_find(w->domains, UUID_B)->name, "amelia");
	watch_free(w);
}

static void test_no_libvirt(void **state)
{
	const struct fixture *f = *state;
	char guests[64], away[64];
	struct watch *w;

	snprintf(guests, sizeof(guests), "%s/guests", f->dir);
	snprintf(away, sizeof(away), "%s/away", f->dir);
	assert_int_equal(rename(guests, away), 0);
	w = watch_new(&domains_fake, f->dir);
	watch_for(w, 100);
	assert_int_equal(domains_known(w->domains), DOMAINS_NEVER);
	assert_non_null(strstr(domains_why_unknown(w->domains), "cannot connect"));
	assert_string_equal(w->log, "");
	assert_int_equal(rename(away, guests), 0);
	watch_until(w, "known");
	watch_free(w);
}

/* A guest about which libvirt says nothing hides no other. */
static void test_a_guest_that_hangs(void **state)
{
	const struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;
	const struct guest *g;
	struct watch *w;

	put(f, "zoe.hang", "");
	w = known(f);
	g = domains_find(w->domains, "zoe");
	assert_true(g->unread && g->active && g->n_hostdevs == 0);
	assert_false(domains_find(w->domains, "amy")->unread);
	assert_int_equal(domains_reread(w->domains, UUID_A, watch_done, w, &err), 0);
	assert_int_equal(attach(w, UUID_B, "net0"), 0);
	take(f, "zoe.hang");
	assert_int_equal(watch_call(w), 0);
	g = domains_find(w->domains, "zoe");
	assert_true(!g->unread && g->n_hostdevs == 1);
	watch_free(w);
}

static void test_names_change(void **state)
{
	const struct fixture *f = *state;
	struct watch *w = known(f);

	put_guest(f, "zoe.xml", "aaron", UUID_A);
	watch_until(w, "changed:" UUID_A);
	assert_null(domains_find(w->domains, "zoe"));
	assert_ptr_equal(domains_find(w->domains, UUID_A), domains_at(w->domains, 0));
	assert_string_equal(domains_at(w->domains, 0)->name, "aaron");
	watch_free(w);
}

struct dropper {
	struct watch *w;
	int calls;
};

static void drop_the_watch(void *user, int r, struct vnet_err *err)
{
	struct dropper *d = user;

	(void)r;
	(void)err;
	d->calls++;
	domains_drop(d->w->domains, d->w);
}

static void test_drop(void **state)
{
	struct watch *w = known(*state);
	struct dropper d = { .w = w };
	struct vnet_err err = VNET_ERR_INIT;
	struct guest_nic n = nic("net0");

	/* Before the answer: what was asked is done all the same. */
	assert_int_equal(domains_attach(w->domains, UUID_A, IN_LIVE, &n, watch_done, w, &err), 0);
	domains_drop(w->domains, w);
	watch_until(w, "changed:" UUID_A);
	assert_true(guest_has_nic(domains_find(w->domains, UUID_A), "net0"));
	/* From within another one's answer. */
	assert_int_equal(domains_reread(w->domains, UUID_A, drop_the_watch, &d, &err), 0);
	assert_int_equal(domains_reread(w->domains, UUID_B, watch_done, w, &err), 0);
	assert_int_equal(domains_reread(w->domains, UUID_B, drop_the_watch, &d, &err), 0);
	watch_for(w, 100);
	assert_int_equal(w->calls, 0);
	assert_int_equal(d.calls, 2);
	watch_free(w);
}

static void test_freed_with_requests_under_way(void **state)
{
	const struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;
	struct guest_nic n = nic("net0");
	struct watch *w = known(f);

	put(f, "zoe.hang", "");
	assert_int_equal(domains_attach(w->domains, UUID_A, IN_LIVE, &n, watch_done, w, &err), 0);
	assert_int_equal(domains_reread(w->domains, UUID_B, watch_done, w, &err), 0);
	watch_free(w);
	watch_free(watch_new(&domains_fake, f->dir));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_table),
		TEST(test_attach_and_detach),
		TEST(test_refused),
		TEST(test_stubborn),
		TEST(test_restart_in_a_detach),
		TEST(test_guest_stops),
		TEST(test_stopped_while_the_connection_was_lost),
		TEST(test_no_libvirt),
		TEST(test_a_guest_that_hangs),
		TEST(test_names_change),
		TEST(test_drop),
		TEST(test_freed_with_requests_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
