/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libvirt's XML: what is read of a guest, what is written, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "daemon/domains.h"

#define UUID "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
#define HEAD "<name>vm1</name><uuid>" UUID "</uuid>"
#define OURS                                                                           \
	"<metadata><other xmlns='urn:other'><nic name='x'/></other>"                   \
	"<vnetd:guest xmlns:vnetd='urn:vnetd:1'>"                                      \
	"<vnetd:nic name='net0' mode='vf' pool='ens1f0' mac='52:54:00:00:00:01'"       \
	" vlan='100 qos 3 proto 802.1ad' pf='0000:65:00.0' pf-mac='b4:96:91:00:00:01'" \
	" vf-index='3' vf='0000:65:10.6'/></vnetd:guest></metadata>"
#define VF_INTERFACE                                                                                   \
	"<interface type='hostdev' managed='no'><mac address='52:54:00:00:00:01'/>"                    \
	"<source><address type='pci' domain='0x0000' bus='0x65' slot='0x10' function='0x6'/></source>" \
	"<alias name='ua-vnetd-net0'/>"                                                                \
	"<address type='pci' domain='0x0000' bus='0x07' slot='0x01' function='0x0'/></interface>"

static const char live[] =
	"<domain type='kvm' id='7'>" HEAD OURS
	"<numatune><memory mode='strict' nodeset='1'/></numatune><devices>" VF_INTERFACE
	"<interface type='network'><mac address='52:54:00:00:00:02'/><source network='default'/>"
	"<alias name='net1'/></interface>"
	"<hostdev mode='subsystem' type='pci' managed='yes'><source>"
	"<address domain='0x10000' bus='3' slot='0x00' function='0x1'/></source>"
	"<alias name='hostdev0'/></hostdev>"
	"<hostdev mode='subsystem' type='usb'><source><address bus='1' device='2'/></source></hostdev>"
	"<hostdev mode='subsystem' type='mdev'><source><address uuid='" UUID
	"'/></source></hostdev>"
	"<disk type='nvme'><source type='pci' managed='no' namespace='1'>"
	"<address domain='0x0000' bus='0x02' slot='0x00' function='0x0'/></source></disk>"
	"</devices></domain>";

static const char config[] =
	"<domain type='kvm'>" HEAD "<devices>"
	"<interface type='network'><mac address='52:54:00:00:00:02'/></interface>"
	"<interface type='network'><mac address='52:54:00:00:00:03'/></interface>"
	"<hostdev mode='subsystem' type='pci' managed='yes'><source>"
	"<address domain='0x10000' bus='0x03' slot='0x00' function='0x1'/></source></hostdev>"
	"<hostdev mode='subsystem' type='pci'><source>"
	"<address domain='0' bus='0x81' slot='0x1f' function='0x7'/></source></hostdev>"
	"</devices></domain>";

static struct guest parsed(const char *live_xml, const char *config_xml)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct guest g = { 0 };

	if (domain_xml_parse(live_xml, config_xml, &g, &err) < 0)
		fail_msg("%s", err.text);
	return g;
}

static void assert_hostdev(const struct guest *g, size_t i, const char *addr, const char *alias,
			   bool is_live, bool is_config)
{
	char bdf[PCI_ADDR_STR];

	assert_true(i < g->n_hostdevs);
	assert_string_equal(pci_addr_str(&g->hostdevs[i].addr, bdf), addr);
	assert_string_equal(g->hostdevs[i].alias, alias);
	assert_int_equal(g->hostdevs[i].live, is_live);
	assert_int_equal(g->hostdevs[i].config, is_config);
}

static void test_guest(void **state)
{
	struct guest g = parsed(live, config);
	char mac[MAC_STR];

	(void)state;
	assert_string_equal(g.name, "vm1");
	assert_string_equal(g.uuid, UUID);
	assert_true(g.active && g.persistent && g.kvm && !g.unread);
	assert_int_equal(g.numa_node, 1);
	assert_int_equal(g.n_hostdevs, 4);
	assert_hostdev(&g, 0, "0000:65:10.6", "ua-vnetd-net0", true, false);
	assert_string_equal(mac_str(&g.hostdevs[0].mac, mac), "52:54:00:00:00:01");
	assert_hostdev(&g, 1, "10000:03:00.1", "hostdev0", true, true);
	assert_hostdev(&g, 2, "0000:02:00.0", "", true, false);
	assert_hostdev(&g, 3, "0000:81:1f.7", "", false, true);
	assert_int_equal(g.n_macs, 3);
	assert_true(guest_has_nic(&g, "net0"));
	assert_false(guest_has_nic(&g, "net"));
	assert_false(guest_has_nic(&g, "net1"));
	guest_done(&g);
}

static void assert_nic(const struct guest_nic *n)
{
	char buf[64];

	assert_string_equal(n->name, "net0");
	assert_string_equal(n->mode, "vf");
	assert_string_equal(n->pool, "ens1f0");
	assert_string_equal(mac_str(&n->mac, buf), "52:54:00:00:00:01");
	assert_int_equal(n->vlan.id, 100);
	assert_int_equal(n->vlan.qos, 3);
	assert_int_equal(n->vlan.proto, 0x88a8);
	assert_string_equal(pci_addr_str(&n->pf, buf), "0000:65:00.0");
	assert_string_equal(mac_str(&n->pf_mac, buf), "b4:96:91:00:00:01");
	assert_int_equal(n->vf_index, 3);
	assert_string_equal(pci_addr_str(&n->vf, buf), "0000:65:10.6");
}

static void test_metadata_of_a_guest(void **state)
{
	struct guest g = parsed(live, NULL);

	(void)state;
	assert_false(g.persistent);
	assert_int_equal(g.n_nics, 1);
	assert_nic(&g.nics[0]);
	guest_done(&g);
}

static void test_shut_off(void **state)
{
	struct guest g = parsed(NULL, config), stopped = parsed(config, config),
		     going = parsed(config, NULL);

	(void)state;
	assert_true(!g.active && g.persistent);
	assert_int_equal(g.numa_node, -1);
	assert_int_equal(g.n_hostdevs, 2);
	assert_hostdev(&g, 0, "10000:03:00.1", "", false, true);
	/* The "live" XML of a guest that has just stopped has no id. */
	assert_true(!stopped.active && stopped.persistent && stopped.n_hostdevs == 2);
	assert_hostdev(&stopped, 1, "0000:81:1f.7", "", false, true);
	assert_true(!going.active && !going.persistent && going.n_hostdevs == 2);
	guest_done(&g);
	guest_done(&stopped);
	guest_done(&going);
}

static void test_numa(void **state)
{
	static const struct {
		const char *xml;
		int node;
	} cases[] = {
		{ "<numatune><memory nodeset='0'/><memnode cellid='0' nodeset='0'/></numatune>",
		  0 },
		{ "<numatune><memory nodeset='0-1'/></numatune>", -1 },
		{ "<numatune><memory nodeset='0'/><memnode cellid='0' nodeset='1'/></numatune>",
		  -1 },
		{ "<numatune><memory mode='strict' placement='auto'/></numatune>", -1 },
		{ "", -1 },
	};
	char xml[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest g;

		snprintf(xml, sizeof(xml), "<domain type='qemu' id='1'>" HEAD "%s</domain>",
			 cases[i].xml);
		g = parsed(xml, NULL);
		assert_int_equal(g.numa_node, cases[i].node);
		assert_false(g.kvm);
		guest_done(&g);
	}
}

/* A guest whose metadata somebody spoilt still shows what it holds. */
static void test_bad_metadata_hides_nothing(void **state)
{
	struct guest g = parsed("<domain type='kvm' id='1'>" HEAD
				"<metadata><v:guest xmlns:v='urn:vnetd:1'>"
				"<v:nic name='BAD NAME'/><v:nic name='net1' vf-index='99999'/>"
				"<v:nic name='net2'/><v:nic name='net2' vf-index='3'/>"
				"<v:nic name='net3' mac='00:00:00:00:00:00'/>"
				"<v:nic name='net4' pool='a&#x9b;b'/></v:guest></metadata>"
				"<devices>" VF_INTERFACE "</devices></domain>",
				NULL);

	(void)state;
	assert_int_equal(g.n_hostdevs, 1);
	assert_int_equal(g.n_nics, 1);
	assert_string_equal(g.nics[0].name, "net2");
	assert_int_equal(g.nics[0].vf_index, -1);
	assert_false(g.nics[0].vf.set);
	guest_done(&g);
}

static void test_bad_addresses_are_left_out(void **state)
{
	struct guest g = parsed(
		"<domain type='kvm' id='1'>" HEAD "<devices>"
		"<hostdev><source><address bus='0x100' slot='0x20' function='0'/></source></hostdev>"
		"<hostdev><source><address type='ccw' slot='0x1'/></source></hostdev>"
		"<hostdev><source><address slot='-1'/></source></hostdev>"
		"<hostdev><source/></hostdev><hostdev/></devices></domain>",
		NULL);

	(void)state;
	assert_int_equal(g.n_hostdevs, 0);
	guest_done(&g);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"no xml",
		"<domain>",
		"<network>" HEAD "</network>",
		"<domain><name>vm1</name></domain>",
		"<domain><uuid>" UUID "</uuid></domain>",
		"<domain><name>vm1</name><uuid>short</uuid></domain>",
		"<domain><name>vm1</name><uuid>../../../../../../../../../../etc/xy</uuid></domain>",
		"<domain><name>vm1</name><uuid>4dea22b3-1d52-d8f3-2516-782e98ab3fag</uuid></domain>",
		"<!DOCTYPE domain [<!ENTITY a 'vm1'>]><domain><name>&a;</name><uuid>" UUID
		"</uuid></domain>",
		"<!DOCTYPE domain SYSTEM 'http://127.0.0.1:1/x.dtd'><domain>" HEAD "</domain>",
	};
	struct guest g = { .n_nics = 77 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vnet_err err = VNET_ERR_INIT;

		assert_int_equal(domain_xml_parse(bad[i], NULL, &g, &err), -EINVAL);
		assert_true(err.text[0] != '\0');
		assert_int_equal(domain_xml_parse(NULL, bad[i], &g, &err), -EINVAL);
	}
	assert_int_equal(g.n_nics, 77); /* untouched */
}

static void test_long_name(void **state)
{
	char xml[2048], name[600] = "";
	struct guest g;

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(name, "ä");
	snprintf(xml, sizeof(xml),
		 "<domain id='1'><name>%s</name><uuid>" UUID "</uuid><devices>" VF_INTERFACE
		 "</devices></domain>",
		 name);
	g = parsed(xml, NULL);
	assert_true(strlen(g.name) == 126); /* whole characters */
	assert_int_equal(g.n_hostdevs, 1);
	guest_done(&g);
}

static struct guest_nic sample(void)
{
	struct guest g = parsed(live, NULL);
	struct guest_nic nic = g.nics[0];

	guest_done(&g);
	nic.kind = DL_HOSTDEV;
	pci_addr_str(&nic.vf, nic.device);
	return nic;
}

#define INTERFACE                                                                         \
	"<interface type=\"hostdev\" managed=\"no\"><mac address=\"52:54:00:00:00:01\"/>" \
	"<source><address type=\"pci\" domain=\"0x0000\" bus=\"0x65\" slot=\"0x10\""      \
	" function=\"0x6\"/></source>"
#define ALIAS "<alias name=\"ua-vnetd-net0\"/></interface>"

static void test_interface(void **state)
{
	struct guest_nic nic = sample();
	char *xml;

	(void)state;
	xml = domain_xml_device(&nic);
	assert_string_equal(xml, INTERFACE "<vlan><tag id=\"100\"/></vlan>" ALIAS);
	free(xml);
	nic.vlan.id = 0;
	xml = domain_xml_device(&nic);
	assert_string_equal(xml, INTERFACE ALIAS);
	free(xml);
	nic.kind = DL_CHARDEV;
	strcpy(nic.device, "/run/vnetd/vdpa/U.net0");
	strcpy(nic.how, "queues=2");
	xml = domain_xml_device(&nic);
	assert_non_null(strstr(xml, "type=\"vdpa\""));
	assert_non_null(strstr(xml, "<source dev=\"/run/vnetd/vdpa/U.net0\"/>"));
	assert_non_null(strstr(xml, "<driver queues=\"2\"/>"));
	free(xml);
}

static void test_metadata_and_back(void **state)
{
	struct guest_nic nics[2] = { sample(), { .name = "net1", .vf_index = -1 } }, *back = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	size_t n = 0;
	char *xml;

	(void)state;
	strcpy(nics[0].pool, "a<b>&'\"c");
	xml = domain_xml_metadata(nics, 2);
	assert_non_null(xml);
	assert_int_equal(domain_xml_metadata_parse(xml, &back, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(back[0].pool, "a<b>&'\"c");
	strcpy(back[0].pool, "ens1f0");
	assert_nic(&back[0]);
	assert_string_equal(back[1].name, "net1");
	assert_int_equal(back[1].vf_index, -1);
	assert_true(mac_is_zero(&back[1].mac) && !back[1].vlan.id && !back[1].pf.set);
	free(back);
	free(xml);
	assert_null(domain_xml_metadata(nics, 0));
}

/* What is about to be written anew is not silently cut down. */
static void test_metadata_is_strict(void **state)
{
	static const char *const bad[] = {
		"<guest><nic/></guest>",
		"<guest><nic name='net0' mac='x'/></guest>",
		"<guest><nic name='net0' vlan='5000'/></guest>",
		"<guest><nic name='net0' mac='00:00:00:00:00:00'/></guest>",
		"<guest><nic name='net0' pf-mac='01:00:5e:00:00:01'/></guest>",
		"<guest><nic name='net0' mode='v&#10;f'/></guest>",
		"<guest><nic name='net0' pool='a&#x9b;b'/></guest>",
		"<guest><nic name='net0'/><nic name='net0'/></guest>",
		"<guest><nic name='net0' vf-index='-1'/></guest>",
		"<guest><nic name='net0' pf='65:00'/></guest>",
		"<guest><nic name='net0' mode='a-mode-with-a-name-that-is-too-long'/></guest>",
		"<guest>",
	};
	struct guest_nic *nics = NULL;
	size_t n = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct vnet_err err = VNET_ERR_INIT;

		assert_int_equal(domain_xml_metadata_parse(bad[i], &nics, &n, &err), -EINVAL);
		assert_int_equal(err.name, VNET_E_INVALID);
	}
	assert_null(nics);
	assert_int_equal(n, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest),
		cmocka_unit_test(test_metadata_of_a_guest),
		cmocka_unit_test(test_shut_off),
		cmocka_unit_test(test_numa),
		cmocka_unit_test(test_bad_metadata_hides_nothing),
		cmocka_unit_test(test_bad_addresses_are_left_out),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_interface),
		cmocka_unit_test(test_metadata_and_back),
		cmocka_unit_test(test_metadata_is_strict),
	};

	domain_xml_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
