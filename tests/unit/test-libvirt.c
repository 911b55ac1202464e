/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The back end over the real library: its test driver, which keeps guests in memory
 * (all but devices attached live), and daemons that are not there or do not answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/domains.h"
#include "tests/unit/domains-watch.h"

#define URI "test:///default" /* one set of guests for all connections of a process */
#define UUID_NEW "00000000-0000-4000-8000-00000000000c"
#define DEFINED                                                                               \
	"<domain type='test'><name>new</name><uuid>" UUID_NEW "</uuid><memory>65536</memory>" \
	"<os><type>hvm</type></os><devices><interface type='network'>"                        \
	"<mac address='52:54:00:00:00:07'/><source network='default'/></interface></devices></domain>"

struct fixture {
	virConnectPtr conn; /* the test's own */
	virDomainPtr dom;   /* "test", which runs */
	struct watch *w;
	char uuid[VIR_UUID_STRING_BUFLEN];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->w = watch_new(&domains_libvirt, URI);
	watch_until(f->w, "known");
	f->conn = virConnectOpen(URI);
	assert_non_null(f->conn);
	f->dom = virDomainLookupByName(f->conn, "test");
	assert_non_null(f->dom);
	assert_int_equal(virDomainGetUUIDString(f->dom, f->uuid), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virDomainFree(f->dom);
	virConnectClose(f->conn);
	watch_free(f->w);
	free(f);
	return 0;
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

static void test_list(void **state)
{
	struct fixture *f = *state;
	const struct guest *g = domains_find(f->w->domains, "test");

	assert_non_null(g);
	assert_string_equal(g->uuid, f->uuid);
	assert_true(g->active && g->persistent && !g->unread && !g->kvm);
	assert_ptr_equal(domains_find(f->w->domains, f->uuid), g);
	assert_int_equal(domains_known(f->w->domains), DOMAINS_KNOWN);
}

static void test_guests_come_and_go(void **state)
{
	struct fixture *f = *state;
	virDomainPtr dom = virDomainDefineXML(f->conn, DEFINED);
	const struct guest *g;

	assert_non_null(dom);
	watch_until(f->w, "changed:" UUID_NEW);
	g = domains_find(f->w->domains, "new");
	assert_true(g && !g->active && g->persistent && g->n_macs == 1);
	assert_int_equal(virDomainCreate(dom), 0);
	while (!domains_find(f->w->domains, "new")->active)
		watch_until(f->w, "changed:" UUID_NEW);
	assert_int_equal(virDomainDestroy(dom), 0);
	watch_until(f->w, "stopped:" UUID_NEW);
	assert_false(domains_find(f->w->domains, "new")->active);
	assert_int_equal(virDomainUndefine(dom), 0);
	while (domains_find(f->w->domains, UUID_NEW))
		watch_until(f->w, "changed:" UUID_NEW);
	virDomainFree(dom);
}

/* The driver attaches nothing: so the entry written before must go again. */
static void test_attach_refused(void **state)
{
	struct fixture *f = *state;
	struct guest_nic n = nic("net0"), other = nic("net1");
	struct vnet_err err = VNET_ERR_INIT;
	char *xml = domain_xml_metadata(&other, 1);

	assert_int_equal(virDomainSetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT, xml, "vnetd",
					      VNETD_XML_NS, VIR_DOMAIN_AFFECT_LIVE),
			 0);
	free(xml);
	assert_int_equal(domains_attach(f->w->domains, f->uuid, IN_LIVE, &n, watch_done, f->w,
					&err),
			 0);
	assert_int_equal(watch_call(f->w), -EIO);
	assert_int_equal(f->w->err.name, VNET_E_FAILED);
	if (!strstr(f->w->err.text, "libvirt: attach net0 to guest test: "))
		fail_msg("%s", f->w->err.text);
	assert_int_equal(domains_find(f->w->domains, "test")->n_nics, 1);
	assert_string_equal(domains_find(f->w->domains, "test")->nics[0].name, "net1");
	/* It is in the XML as a whole document has it, with our namespace on each element. */
	xml = virDomainGetXMLDesc(f->dom, 0);
	assert_non_null(strstr(xml, "<vnetd:guest xmlns:vnetd=\"" VNETD_XML_NS "\">"));
	assert_non_null(strstr(xml, "<vnetd:nic name=\"net1\" "));
	assert_null(strstr(xml, "net0\" mode"));
	free(xml);
}

static void test_forget(void **state)
{
	struct fixture *f = *state;
	struct guest_nic nics[2] = { nic("net0"), nic("net1") };
	struct vnet_err err = VNET_ERR_INIT;
	char *xml = domain_xml_metadata(nics, 2);

	assert_int_equal(virDomainSetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT, xml, "vnetd",
					      VNETD_XML_NS, VIR_DOMAIN_AFFECT_LIVE),
			 0);
	free(xml);
	watch_until(f->w, "changed:");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(domains_forget(f->w->domains, f->uuid, nics[i].name, watch_done,
						f->w, &err),
				 0);
		assert_int_equal(watch_call(f->w), 0);
		assert_int_equal(domains_find(f->w->domains, "test")->n_nics, 1 - i);
	}
	assert_null(virDomainGetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT, VNETD_XML_NS,
					 VIR_DOMAIN_AFFECT_LIVE));
	assert_int_equal(domains_forget(f->w->domains, f->uuid, "net0", watch_done, f->w, &err), 0);
	assert_int_equal(watch_call(f->w), 0);
}

/* Metadata that somebody wrote by hand, and that cannot be read, is not overwritten. */
static void test_spoilt_metadata_is_kept(void **state)
{
	struct fixture *f = *state;
	struct guest_nic n = nic("net0");
	struct vnet_err err = VNET_ERR_INIT;
	char *xml;

	assert_int_equal(virDomainSetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT,
					      "<guest><nic name='Not OK'/></guest>", "vnetd",
					      VNETD_XML_NS, VIR_DOMAIN_AFFECT_LIVE),
			 0);
	assert_int_equal(domains_attach(f->w->domains, f->uuid, IN_LIVE, &n, watch_done, f->w,
					&err),
			 0);
	assert_int_equal(watch_call(f->w), -EINVAL);
	xml = virDomainGetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT, VNETD_XML_NS,
				   VIR_DOMAIN_AFFECT_LIVE);
	assert_non_null(xml);
	assert_non_null(strstr(xml, "Not OK"));
	free(xml);
	assert_int_equal(virDomainSetMetadata(f->dom, VIR_DOMAIN_METADATA_ELEMENT, NULL, "vnetd",
					      VNETD_XML_NS, VIR_DOMAIN_AFFECT_LIVE),
			 0);
}

static void test_not_there(void **state)
{
	struct fixture *f = *state;
	struct guest_nic n = nic("net0");
	struct vnet_err err = VNET_ERR_INIT;
	struct domains *d = f->w->domains;

	assert_int_equal(domains_attach(d, UUID_NEW, IN_LIVE, &n, watch_done, f->w, &err), 0);
	assert_int_equal(watch_call(f->w), -ENOENT);
	assert_int_equal(domains_detach(d, f->uuid, IN_LIVE, "net0", watch_done, f->w, &err), 0);
	assert_int_equal(watch_call(f->w), -ENOENT);
	assert_int_equal(f->w->err.name, VNET_E_NOT_FOUND);
	assert_int_equal(domains_forget(d, UUID_NEW, "net0", watch_done, f->w, &err), 0);
	assert_int_equal(watch_call(f->w), 0);
	assert_int_equal(domains_reread(d, UUID_NEW, watch_done, f->w, &err), 0);
	assert_int_equal(watch_call(f->w), -ENOENT);
}

static unsigned elapsed(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)(now.tv_sec - since->tv_sec);
}

static void test_no_daemon(void **state)
{
	struct watch *w =
		watch_new(&domains_libvirt, "qemu+unix:///system?socket=/nonexistent/sock");
	struct timespec before;

	(void)state;
	while (!strstr(domains_why_unknown(w->domains), "No such file"))
		watch_for(w, 20);
	assert_int_equal(domains_known(w->domains), DOMAINS_NEVER);
	assert_true(domains_absent(w->domains));
	assert_non_null(strstr(domains_why_unknown(w->domains), "libvirt: connect to qemu+unix:"));
	clock_gettime(CLOCK_MONOTONIC, &before);
	watch_free(w);
	assert_true(elapsed(&before) <= 5);
}

/* A daemon that takes the connection and says nothing: vnetd runs, and stops. */
static void test_a_daemon_that_hangs(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timespec before;
	struct watch *w;
	char uri[160];

	(void)state;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/test-libvirt.%d", (int)getpid());
	snprintf(uri, sizeof(uri), "qemu+unix:///system?socket=%s", addr.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 4), 0);
	w = watch_new(&domains_libvirt, uri);
	watch_for(w, 300);
	assert_int_equal(domains_known(w->domains), DOMAINS_NEVER);
	clock_gettime(CLOCK_MONOTONIC, &before);
	watch_free(w);
	assert_true(elapsed(&before) <= 5);
	unlink(addr.sun_path);
	close(fd); /* the thread that was left behind gets its error, and frees what it has */
	sleep(1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_guests_come_and_go),
		TEST(test_attach_refused),
		TEST(test_forget),
		TEST(test_spoilt_metadata_is_kept),
		TEST(test_not_there),
		cmocka_unit_test(test_no_daemon),
		cmocka_unit_test(test_a_daemon_that_hangs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
