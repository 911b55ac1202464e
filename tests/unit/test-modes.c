/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every mode but vf, as it is shipped: what it says to a candidate, and where that is a
 * yes the whole plan, the delivery and the descriptors, word for word. The host table is
 * the test's own, so that nothing but the plugin is looked at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/host/host.h"
#include "lib/options.h"
#include "plugins/vnet-plugin.h"

/* The candidates below are a usual one and what is other about it. */
#pragma GCC diagnostic ignored "-Woverride-init"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define TEXT_MAX 1024
#define MAC "52:54:00:12:34:56"

#define ANY                                                                                        \
	.struct_size = sizeof(struct vnet_plugin_nic), .pool = "pool", .uplink = "", .link = "",   \
	.link_up = 1, .link_carrier = 1, .link_mtu = 1500, .master = "", .host_use = "", .pf = "", \
	.pf_driver = "", .vf_index = -1, .vf = "", .vf_object = "", .vf_driver = "",               \
	.vf_link = "", .in_use = "", .iommu_group = -1, .has_vfio_pci = 1, .intr_remap = 1,        \
	.has_tun = 1, .has_vhost_net = 1, .has_vhost_vdpa = 1, .numa_node = -1,                    \
	.guest_numa_node = -1, .guest_vcpus = 4, .guest_kvm = 1, .guest_shared = 1,                \
	.claim = "vn0", .claim_id = "id.net0", .claim_path = "/run/id.net0"
#define LINK(k, name) ANY, .candidate = VNET_CANDIDATE_LINK, .uplink_kind = (k), .link = (name)
#define BRIDGE LINK(VNET_UPLINK_BRIDGE, "br0"), .uplink = "br0", .vlan_filtering = 1
#define OVS LINK(VNET_UPLINK_OVS, "ovs0"), .uplink = "ovs0"
#define PF LINK(VNET_UPLINK_PF, "eth0"), .uplink = "0000:65:00.0", .pf = "0000:65:00.0"
#define BOND LINK(VNET_UPLINK_LINK, "bond0"), .uplink = "bond0"
#define WHOLE                                                                                    \
	ANY, .candidate = VNET_CANDIDATE_NIC, .uplink_kind = VNET_UPLINK_NIC,                    \
	     .uplink = "0000:65:00.0", .pf = "0000:65:00.0", .pf_driver = "igb", .link = "eth0", \
	     .link_up = 0, .iommu_group = 7
#define MGMT                                                                                  \
	ANY, .candidate = VNET_CANDIDATE_MGMTDEV, .uplink_kind = VNET_UPLINK_MGMTDEV,         \
	     .uplink = "pci/0000:05:00.0", .link_mtu = 0, .mgmtdev_mac = 1, .mgmtdev_mtu = 1, \
	     .mgmtdev_mq = 1
#define NOTHING ANY, .candidate = VNET_CANDIDATE_REQUEST

struct test {
	const char *mode, *options;
	struct vnet_plugin_nic nic;
	int score;	   /* 0 no */
	const char *says;  /* a yes: all of it; a no: something of it */
	const char *plan;  /* "KNOB OBJECT VALUE; ..." */
	const char *given; /* "KIND VALUE HOW" */
	const char *fds;   /* "ROLE HOW NAME COUNT; ..." */
	const char *vlan, *mac;
};

/* ---- the host table ---- */

struct vnet_plugin_verdict {
	int score;
	char reason[TEXT_MAX];
};

struct text {
	char s[TEXT_MAX];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	size_t n = strlen(t->s);
	va_list ap;

	if (n)
		n += (size_t)snprintf(t->s + n, sizeof(t->s) - n, "; ");
	va_start(ap, fmt);
	n += (size_t)vsnprintf(t->s + n, sizeof(t->s) - n, fmt, ap);
	va_end(ap);
	assert_true(n < sizeof(t->s));
}

__attribute__((format(printf, 3, 4))) static void verdict(struct vnet_plugin_verdict *v, int score,
							  const char *fmt, ...)
{
	va_list ap;

	assert_string_equal(v->reason, ""); /* one verdict, not more */
	v->score = score;
	va_start(ap, fmt);
	assert_true(vsnprintf(v->reason, sizeof(v->reason), fmt, ap) < 400);
	va_end(ap);
}

static int want(struct vnet_plugin_plan *p, const char *knob, const char *object, const char *value)
{
	assert_non_null(knob_find(knob));
	assert_true(strlen(object) < KNOB_OBJECT_MAX && strlen(value) < KNOB_VALUE_MAX);
	add((struct text *)p, "%s %s %s", knob, object, value);
	return 0;
}

static int deliver(struct vnet_plugin_delivery *d, enum vnet_plugin_delivery_kind kind,
		   const char *value, const char *how)
{
	static const char *const kinds[] = {
		"none", "hostdev", "chardev", "link", "socket", "pci"
	};

	add((struct text *)d, "%s %s %s", kinds[kind], value, how);
	return 0;
}

static int option(const struct vnet_plugin_request *request, const char *name, char *buf,
		  size_t size)
{
	return options_get(request->options, name, buf, size);
}

static int open_fds(struct vnet_plugin_fds *f, const char *role, enum vnet_plugin_open how,
		    const char *name, int count)
{
	static const char *const hows[] = {
		"", "TAP", "MACVTAP", "VHOST", "VDPA", "VFIO", "IOMMUFD"
	};

	add((struct text *)f, "%s %s %s %d", role, hows[how], name, count);
	return 0;
}

static int fails(struct vnet_plugin_plan *p, const char *knob, const char *object,
		 const char *value)
{
	(void)p, (void)knob, (void)object, (void)value;
	return -ENOENT;
}

static const struct vnet_plugin_host host = {
	.struct_size = sizeof(host),
	.verdict = verdict,
	.want = want,
	.deliver = deliver,
	.option = option,
	.open = open_fds,
};

/* ---- a test ---- */

static const struct vnet_plugin *load(const char *mode)
{
	char path[PATH_MAX], *slash;
	const struct vnet_plugin *p;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 64);
	void *handle;

	assert_true(n > 0);
	path[n] = '\0';
	for (int i = 0; i < 3; i++) { /* BUILD/tests/unit/test-modes */
		slash = strrchr(path, '/');
		assert_non_null(slash);
		*slash = '\0';
	}
	sprintf(path + strlen(path), "/plugins/vnet-%s.so", mode);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		fail_msg("%s", dlerror());
	p = dlsym(handle, "vnet_plugin");
	assert_non_null(p);
	assert_string_equal(p->name, mode);
	return p;
}

static void check_options(const struct vnet_plugin *p, const struct test *t)
{
	char key[OPTION_KEY_MAX];

	assert_int_equal(t->options ? options_check(t->options) : 0, 0);
	for (size_t i = 0; t->options && options_key(t->options, i, key) == 0; i++) {
		const struct vnet_plugin_option *o = p->options;

		while (o && o->name && strcmp(o->name, key) != 0)
			o++;
		if (!o || !o->name) /* such a request never comes to it */
			fail_msg("mode %s has no option %s", t->mode, key);
	}
}

static void check_rest(const struct vnet_plugin *p, const struct test *t,
		       const struct vnet_plugin_request *request)
{
	struct vnet_plugin_host refusing = host;
	struct text plan = { "" }, given = { "" }, fds = { "" };

	assert_int_equal(p->plan(&host, &t->nic, request, (void *)&plan), 0);
	assert_string_equal(plan.s, t->plan);
	assert_int_equal(p->deliver(&host, &t->nic, request, (void *)&given), 0);
	assert_string_equal(given.s, t->given);
	assert_int_equal(p->fds(&host, &t->nic, request, (void *)&fds), 0);
	assert_string_equal(fds.s, t->fds);
	/* An error of the host's is passed on. */
	refusing.want = fails;
	if (plan.s[0])
		assert_int_equal(p->plan(&refusing, &t->nic, request, (void *)&plan), -ENOENT);
}

static void run(const struct test *t, size_t n)
{
	for (size_t i = 0; i < n; i++, t++) {
		const struct vnet_plugin *p = load(t->mode);
		const struct vnet_plugin_request request = {
			.struct_size = sizeof(request),
			.guest = "vm1",
			.name = "net0",
			.mac = t->mac ? t->mac : MAC,
			.vlan = t->vlan ? t->vlan : "0",
			.options = t->options ? t->options : "",
		};
		struct vnet_plugin_verdict v = { 0 };

		check_options(p, t);
		assert_true(p->candidates & t->nic.candidate);
		assert_int_equal(p->probe(&host, &t->nic, &request, &v), 0);
		if (v.score != t->score ||
		    (t->score ? strcmp(v.reason, t->says) : !strstr(v.reason, t->says)))
			fail_msg("%zu. %s %s: %d \"%s\", not %d \"%s\"", i, t->mode,
				 request.options, v.score, v.reason, t->score, t->says);
		if (t->score)
			check_rest(p, t, &request);
	}
}

#define RUN(list) run(list, sizeof(list) / sizeof((list)[0]))

/* ---- what each says ---- */

/* clang-format off */
static const struct test vhost_net[] = {
	{ "vhost-net", "", { BRIDGE }, 40,
		"br0 is a Linux bridge (1 queue)",
		"tap vn0 queues 1; net-mac vn0 fe:54:00:12:34:56; bridge-port vn0 br0; net-up "
		"vn0 up",
		"link vn0 model=virtio queues=1 vhost=on",
		"tap TAP vn0 1; vhost VHOST  1" },
	/* the bridge's MTU, not the guest's: it would become the bridge's */
	{ "vhost-net", "isolated=on mtu=8000 queues=2", { BRIDGE, .link_mtu = 9000 }, 40,
		"br0 is a Linux bridge (vlan 100, isolated, 2 queues)",
		"tap vn0 queues 2; net-mac vn0 fe:54:00:12:34:56; net-mtu vn0 9000; bridge-port "
		"vn0 br0 vlan 100 isolated; net-up vn0 up",
		"link vn0 model=virtio queues=2 vhost=on mtu=8000",
		"tap TAP vn0 2; vhost VHOST  2", .vlan = "100" },
	{ "vhost-net", "isolated=off queues=auto trunk=10,20-30", { BRIDGE, .guest_kvm = 0 }, 25,
		"br0 is a Linux bridge (VLANs 10,20-30, 4 queues); guest vm1 has no KVM, so "
		"QEMU itself moves its packets",
		"tap vn0 queues 4; net-mac vn0 fe:54:00:12:34:56; bridge-port vn0 br0 trunk "
		"10,20-30; net-up vn0 up",
		"link vn0 model=virtio queues=4 vhost=on",
		"tap TAP vn0 4; vhost VHOST  4" },
	/* an Open vSwitch bridge switches though its own port is down */
	{ "vhost-net", "queues=auto", { OVS, .link_up = 0, .guest_vcpus = 64 }, 40,
		"ovs0 is an Open vSwitch bridge (vlan 7, 8 queues)",
		"tap vn0 queues 8; net-mac vn0 fe:54:00:12:34:56; ovs-port vn0 ovs0 tag 7 id "
		"id.net0; net-up vn0 up",
		"link vn0 model=virtio queues=8 vhost=on",
		"tap TAP vn0 8; vhost VHOST  8", .vlan = "7" },
	{ "vhost-net", "mtu=68 queues=256 trunk=1,4094", { OVS, .guest_vcpus = 0 }, 40,
		"ovs0 is an Open vSwitch bridge (VLANs 1,4094, 256 queues)",
		"tap vn0 queues 256; net-mac vn0 fe:54:00:12:34:56; ovs-port vn0 ovs0 trunks "
		"1,4094 id id.net0; net-up vn0 up",
		"link vn0 model=virtio queues=256 vhost=on mtu=68",
		"tap TAP vn0 256; vhost VHOST  256" },
	{ "vhost-net", "", { OVS }, 40,
		"ovs0 is an Open vSwitch bridge (1 queue)",
		"tap vn0 queues 1; net-mac vn0 fe:54:00:12:34:56; ovs-port vn0 ovs0 id id.net0; "
		"net-up vn0 up",
		"link vn0 model=virtio queues=1 vhost=on",
		"tap TAP vn0 1; vhost VHOST  1" },
	{ "vhost-net", "", { PF }, 0, "eth0 is no bridge" },
	{ "vhost-net", "", { PF, .link = "" }, 0, "0000:65:00.0 is no bridge" },
	{ "vhost-net", "", { BOND }, 0, "macvtap puts guests on an interface directly" },
	{ "vhost-net", "", { BRIDGE, .in_use = "by me" }, 0, "br0 is in use: by me" },
	{ "vhost-net", "", { BRIDGE, .link = "" }, 0, "bridge br0 is not there" },
	{ "vhost-net", "", { BRIDGE, .has_tun = 0 }, 0, "modprobe tun" },
	{ "vhost-net", "", { BRIDGE, .has_vhost_net = 0 }, 0, "modprobe vhost_net" },
	{ "vhost-net", "", { BRIDGE, .link_up = 0 }, 0, "ip link set br0 up" },
	{ "vhost-net", "", { BRIDGE, .vlan_filtering = 0 }, 0,
		"ip link set br0 type bridge vlan_filtering 1", .vlan = "100" },
	{ "vhost-net", "trunk=10", { BRIDGE, .vlan_filtering = 0 }, 0,
		"ip link set br0 type bridge vlan_filtering 1" },
	{ "vhost-net", "", { BRIDGE }, 0, "br0 has no QoS", .vlan = "100 qos 3" },
	{ "vhost-net", "", { OVS }, 0, "no 802.1ad", .vlan = "100 proto 802.1ad" },
	{ "vhost-net", "trunk=10", { BRIDGE }, 0, "both vlan 100 and trunk=10", .vlan = "100" },
	{ "vhost-net", "isolated=on", { OVS }, 0, "no isolated ports" },
	{ "vhost-net", "isolated=yes", { BRIDGE }, 0,
		"isolated=yes is not possible: off, on are" },
	{ "vhost-net", "queues=5", { BRIDGE }, 0, "guest vm1 has 4 vCPUs" },
	{ "vhost-net", "queues=2", { BRIDGE, .guest_vcpus = 1 }, 0, "has 1 vCPU, and" },
	{ "vhost-net", "queues=0", { BRIDGE }, 0, "queues=0 is not possible on br0" },
	{ "vhost-net", "queues=257", { BRIDGE, .guest_vcpus = 0 }, 0, "1 to 256" },
	{ "vhost-net", "queues=2x", { BRIDGE }, 0, "queues=2x" },
	{ "vhost-net", "mtu=67", { BRIDGE }, 0, "mtu=67 is not possible: 68 to 65535" },
	{ "vhost-net", "mtu=1501", { BRIDGE }, 0, "br0 takes no more than 1500" },
	{ "vhost-net", "mtu=65536", { BRIDGE, .link_mtu = 0 }, 0, "mtu=65536" },
	{ "vhost-net", "trunk=0", { BRIDGE }, 0, "trunk=0 is not possible" },
	{ "vhost-net", "trunk=4095", { BRIDGE }, 0, "trunk=4095" },
	{ "vhost-net", "trunk=10,", { BRIDGE }, 0, "trunk=10," },
	{ "vhost-net", "trunk=30-20", { BRIDGE }, 0, "trunk=30-20" },
	{ "vhost-net", "trunk=10-20-30", { BRIDGE }, 0, "trunk=10-20-30" },
	{ "vhost-net", "trunk=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39,41,43,45,47,49,"
		"51,53,55,57,59,61,63,65", { BRIDGE }, 0, "takes 32 VLANs or ranges at most" },
	{ "vhost-net", "trunk=1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39,41,43,45,47,49,"
		"51,53,55,57,59,61,63,65", { OVS, .link_mtu = 0 }, 40,
		"ovs0 is an Open vSwitch bridge (VLANs 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,"
		"35,37,39,41,43,45,47,49,51,53,55,57,59,61,63,65, 1 queue)",
		"tap vn0 queues 1; net-mac vn0 fe:54:00:12:34:56; ovs-port vn0 ovs0 trunks "
		"1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39,41,43,45,47,49,51,53,55,57,"
		"59,61,63,65 id id.net0; net-up vn0 up",
		"link vn0 model=virtio queues=1 vhost=on",
		"tap TAP vn0 1; vhost VHOST  1" },
	{ "vhost-net", "", { BRIDGE }, 0,
		"MAC address fe:54:00:12:34:56", .mac = "fe:54:00:12:34:56" },
};

static const struct test tap[] = {
	{ "tap", "", { BRIDGE, .has_vhost_net = 0 }, 20,
		"br0 is a Linux bridge (1 queue); virtio by QEMU itself",
		"tap vn0 queues 1; net-mac vn0 fe:54:00:12:34:56; bridge-port vn0 br0; net-up "
		"vn0 up",
		"link vn0 model=virtio queues=1 vhost=off",
		"tap TAP vn0 1" },
	{ "tap", "mtu=1400 queues=3", { BRIDGE }, 20,
		"br0 is a Linux bridge (3 queues); virtio by QEMU itself",
		"tap vn0 queues 3; net-mac vn0 fe:54:00:12:34:56; bridge-port vn0 br0; net-up "
		"vn0 up",
		"link vn0 model=virtio queues=3 vhost=off mtu=1400",
		"tap TAP vn0 3" },
	{ "tap", "model=e1000e queues=auto", { BRIDGE }, 20,
		"br0 is a Linux bridge (vlan 5, 1 queue); e1000e by QEMU itself",
		"tap vn0 queues 1; net-mac vn0 fe:54:00:12:34:56; bridge-port vn0 br0 vlan 5; "
		"net-up vn0 up",
		"link vn0 model=e1000e queues=1 vhost=off",
		"tap TAP vn0 1", .vlan = "5" },
	{ "tap", "model=rtl8139", { BRIDGE }, 0,
		"model=rtl8139 is not possible: virtio, e1000, e1000e, vmxnet3 are" },
	{ "tap", "model=e1000 queues=2", { BRIDGE }, 0, "e1000 has one queue" },
	{ "tap", "model=vmxnet3 mtu=1400", { BRIDGE }, 0, "vmxnet3 cannot tell it" },
	{ "tap", "", { PF }, 0, "eth0 is no bridge" },
	{ "tap", "", { BRIDGE, .has_tun = 0 }, 0, "modprobe tun" },
};

static const struct test macvtap[] = {
	{ "macvtap", "", { PF }, 30,
		"eth0 takes a macvtap (bridge, 1 queue)",
		"macvtap vn0 on eth0 mode bridge; net-mac vn0 52:54:00:12:34:56; net-up vn0 up",
		"link vn0 model=virtio queues=1 vhost=on",
		"tap MACVTAP vn0 1; vhost VHOST  1" },
	{ "macvtap", "forward=passthru mtu=1400 queues=2", { BOND, .has_vhost_net = 0, .link_carrier = 0 }, 30,
		"bond0 takes a macvtap (passthru, 2 queues); it detects no link; without "
		"vhost_net QEMU itself moves the packets",
		"macvtap vn0 on bond0 mode passthru; net-mac vn0 52:54:00:12:34:56; net-mtu vn0 "
		"1400; net-up vn0 up",
		"link vn0 model=virtio queues=2 vhost=off mtu=1400",
		"tap MACVTAP vn0 2" },
	{ "macvtap", "", { BRIDGE }, 0, "br0 is a bridge" },
	{ "macvtap", "", { OVS }, 0, "ovs0 is a bridge" },
	{ "macvtap", "", { PF, .link = "", .pf_driver = "vfio-pci" }, 0,
		"0000:65:00.0 has no interface here (driver vfio-pci)" },
	{ "macvtap", "", { PF, .master = "br0" }, 0, "eth0 is in br0" },
	{ "macvtap", "", { PF, .in_use = "by me" }, 0, "eth0 is in use: by me" },
	{ "macvtap", "", { PF, .link_up = 0 }, 0, "ip link set eth0 up" },
	{ "macvtap", "", { PF }, 0, "name vlan100 type vlan id 100", .vlan = "100" },
	{ "macvtap", "forward=passthru", { PF, .host_use = "eth0 has 1 address" }, 0,
		"it is used already: eth0 has 1 address" },
	{ "macvtap", "forward=hairpin", { PF }, 0,
		"forward=hairpin is not possible: bridge, private, vepa, passthru are" },
	{ "macvtap", "mtu=1501", { PF }, 0, "eth0 takes no more than 1500" },
	{ "macvtap", "queues=5", { PF }, 0, "4 vCPUs" },
};

static const struct test vdpa[] = {
	{ "vdpa", "", { MGMT }, 60,
		"pci/0000:05:00.0 can make a vDPA device",
		"vdpa vn0 pci/0000:05:00.0 mac 52:54:00:12:34:56; vdpa-driver vn0 vhost_vdpa; "
		"vdpa-path id.net0 vn0",
		"chardev /run/id.net0 ",
		"vdpa VDPA vn0 1" },
	{ "vdpa", "mtu=9000 queues=4", { MGMT, .mgmtdev_devices = 3, .mgmtdev_many = 1 }, 60,
		"pci/0000:05:00.0 can make a vDPA device",
		"vdpa vn0 pci/0000:05:00.0 mac 52:54:00:12:34:56 mtu 9000 max_vqp 4; "
		"vdpa-driver vn0 vhost_vdpa; vdpa-path id.net0 vn0",
		"chardev /run/id.net0 queues=4",
		"vdpa VDPA vn0 1" },
	{ "vdpa", "queues=auto", { MGMT, .mgmtdev_max_pairs = 2 }, 60,
		"pci/0000:05:00.0 can make a vDPA device",
		"vdpa vn0 pci/0000:05:00.0 mac 52:54:00:12:34:56 max_vqp 2; vdpa-driver vn0 "
		"vhost_vdpa; vdpa-path id.net0 vn0",
		"chardev /run/id.net0 queues=2",
		"vdpa VDPA vn0 1" },
	{ "vdpa", "queues=auto", { MGMT }, 60, /* how many it may have is not known */
		"pci/0000:05:00.0 can make a vDPA device",
		"vdpa vn0 pci/0000:05:00.0 mac 52:54:00:12:34:56; vdpa-driver vn0 vhost_vdpa; "
		"vdpa-path id.net0 vn0",
		"chardev /run/id.net0 ",
		"vdpa VDPA vn0 1" },
	{ "vdpa", "queues=auto", { MGMT, .mgmtdev_mac = 0, .mgmtdev_mtu = 0, .mgmtdev_mq = 0 }, 50,
		"pci/0000:05:00.0 can make a vDPA device; it takes no MAC address, so the guest "
		"sees the device's own",
		"vdpa vn0 pci/0000:05:00.0; vdpa-driver vn0 vhost_vdpa; vdpa-path id.net0 vn0",
		"chardev /run/id.net0 ",
		"vdpa VDPA vn0 1" },
	{ "vdpa", "", { MGMT, .has_vhost_vdpa = 0 }, 0, "modprobe vhost_vdpa" },
	{ "vdpa", "", { MGMT, .mgmtdev_devices = 1 }, 0, "it makes one vDPA device" },
	{ "vdpa", "", { MGMT, .in_use = "by me" }, 0, "is in use: by me" },
	{ "vdpa", "", { MGMT }, 0, "use mode vf", .vlan = "100" },
	{ "vdpa", "", { MGMT, .claim_path = "" }, 0, "runtime folder is too long" },
	{ "vdpa", "queues=3", { MGMT, .mgmtdev_max_pairs = 2 }, 0, "1 to 2 are" },
	{ "vdpa", "queues=1", { MGMT, .mgmtdev_mq = 0 }, 0, "does not let them be chosen" },
	{ "vdpa", "mtu=1500", { MGMT, .mgmtdev_mtu = 0 }, 0, "does not let it be chosen" },
};

static const struct test vhost_user[] = {
	{ "vhost-user", "socket=/run/dpdk/p0.sock", { NOTHING }, 50,
		"QEMU connects to /run/dpdk/p0.sock (1 queue)",
		"",
		"socket /run/dpdk/p0.sock model=virtio queues=1 role=client",
		"" },
	{ "vhost-user", "mtu=9000 queues=2 role=server socket=/run/..p/p..0..", { NOTHING, .guest_shared = -1, .link_mtu = 0 }, 50,
		"QEMU listens at /run/..p/p..0.. (2 queues); the guest's memory has to be shared",
		"",
		"socket /run/..p/p..0.. model=virtio queues=2 role=server mtu=9000",
		"" },
	{ "vhost-user", "", { NOTHING }, 0, "needs to know the socket" },
	{ "vhost-user", "socket=p0.sock", { NOTHING }, 0, "an absolute path" },
	{ "vhost-user", "socket=/run/../etc/p0", { NOTHING }, 0, "without .." },
	{ "vhost-user", "socket=/run/..", { NOTHING }, 0, "without .." },
	{ "vhost-user", "role=peer socket=/run/p0", { NOTHING }, 0, "client, server are" },
	{ "vhost-user", "queues=9 socket=/run/p0", { NOTHING }, 0, "4 vCPUs" },
	{ "vhost-user", "socket=/run/p0", { NOTHING, .guest_shared = 0 }, 0,
		"guest vm1's memory cannot be shared: add <memoryBacking><source type='memfd'/>" },
	{ "vhost-user", "socket=/run/p0", { NOTHING, .guest_shared = 0, .guest_process = 1 }, 0,
		"guest vm1's memory cannot be shared: start QEMU with -object memory-backend-memfd,"
		"id=ram,share=on,size=SIZE (that of -m) and -machine memory-backend=ram" },
	{ "vhost-user", "socket=/run/p0", { NOTHING }, 0, "vnetd cannot", .vlan = "7" },
};

static const struct vnet_plugin_member fine = { "0000:64:00.0", "pcieport", "bridge", 0 };
static const struct vnet_plugin_member blocks = { "0000:65:00.1", "igb", "nic", 1 };
static const struct test passthrough[] = {
	{ "passthrough", "", { WHOLE, .members = &fine, .n_members = 1 }, 50,
		"0000:65:00.0 is free (on igb); the host has no interface eth0 meanwhile, whatever configures it; the guest sees its own MAC address",
		"driver 0000:65:00.0 vfio-pci override=vfio-pci",
		"pci 0000:65:00.0 ",
		"" },
	{ "passthrough", "", { WHOLE, .link = "", .pf_driver = "", .has_iommufd = 1, .intr_remap = 0, .unsafe_interrupts = 1 }, 60,
		"0000:65:00.0 is free; the guest sees its own MAC address; "
		"unsafe: no interrupt remapping",
		"driver 0000:65:00.0 vfio-pci override=vfio-pci",
		"pci 0000:65:00.0 ",
		"iommufd IOMMUFD  1; vfio VFIO 0000:65:00.0 1" },
	{ "passthrough", "", { WHOLE, .guest_process = 1, .guest_uid = 1000 }, 50,
		"0000:65:00.0 is free (on igb); the host has no interface eth0 meanwhile, whatever configures it; the guest sees its own MAC address",
		"driver 0000:65:00.0 vfio-pci override=vfio-pci; vfio-owner 0000:65:00.0 1000",
		"pci 0000:65:00.0 ",
		"" },
	{ "passthrough", "", { WHOLE, .guest_process = 1, .guest_uid = 0 }, 50,
		"0000:65:00.0 is free (on igb); the host has no interface eth0 meanwhile, whatever configures it; the guest sees its own MAC address",
		"driver 0000:65:00.0 vfio-pci override=vfio-pci", "pci 0000:65:00.0 ", "" },
	{ "passthrough", "", { WHOLE, .guest_process = 1, .guest_uid = 1000, .has_iommufd = 1 }, 50,
		"0000:65:00.0 is free (on igb); the host has no interface eth0 meanwhile, whatever configures it; the guest sees its own MAC address",
		"driver 0000:65:00.0 vfio-pci override=vfio-pci", "pci 0000:65:00.0 ",
		"iommufd IOMMUFD  1; vfio VFIO 0000:65:00.0 1" },
	{ "passthrough", "", { WHOLE, .in_use = "by me" }, 0, "is in use: by me" },
	{ "passthrough", "", { WHOLE, .host_use = "eth0 has 1 address" }, 0,
		"the host itself uses 0000:65:00.0: eth0 has 1 address" },
	{ "passthrough", "", { WHOLE, .num_vfs = 4 }, 0, "has 4 VFs" },
	{ "passthrough", "", { WHOLE, .link_up = 1 }, 0, "ip link set eth0 down" },
	{ "passthrough", "", { WHOLE }, 0, "in a VLAN", .vlan = "100" },
	{ "passthrough", "", { WHOLE, .iommu_group = -1 }, 0, "is in no IOMMU group" },
	{ "passthrough", "", { WHOLE, .members = &blocks, .n_members = 1 }, 0,
		"IOMMU group 7 of 0000:65:00.0 also holds 0000:65:00.1 (igb, host)" },
	{ "passthrough", "", { WHOLE, .intr_remap = 0 }, 0, "interrupt remapping is off" },
	{ "passthrough", "", { WHOLE, .has_vfio_pci = 0 }, 0, "modprobe vfio-pci" },
};

/* clang-format on */

static void test_vhost_net(void **state)
{
	(void)state;
	RUN(vhost_net);
}

static void test_tap(void **state)
{
	(void)state;
	RUN(tap);
}

static void test_macvtap(void **state)
{
	(void)state;
	RUN(macvtap);
}

static void test_vdpa(void **state)
{
	(void)state;
	RUN(vdpa);
}

static void test_vhost_user(void **state)
{
	(void)state;
	RUN(vhost_user);
}

static void test_passthrough(void **state)
{
	(void)state;
	RUN(passthrough);
}

/* A plan whose request probe would refuse is an error, not half a plan. */
static void test_wrong_is_no_plan(void **state)
{
	static const char *const modes[] = { "vhost-net", "tap", "macvtap", "vdpa", "vhost-user" };
	static const struct vnet_plugin_nic nic = { BRIDGE };
	const struct vnet_plugin_request request = {
		.guest = "vm1", .name = "net0", .mac = MAC, .vlan = "0", .options = "queues=999"
	};
	struct text text = { "" };

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		const struct vnet_plugin *p = load(modes[i]);

		assert_int_equal(p->plan(&host, &nic, &request, (void *)&text), -EINVAL);
		assert_int_equal(p->deliver(&host, &nic, &request, (void *)&text), -EINVAL);
		assert_string_equal(text.s, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vhost_net),	 cmocka_unit_test(test_tap),
		cmocka_unit_test(test_macvtap),		 cmocka_unit_test(test_vdpa),
		cmocka_unit_test(test_vhost_user),	 cmocka_unit_test(test_passthrough),
		cmocka_unit_test(test_wrong_is_no_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
