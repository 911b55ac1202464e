/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vDPA: the knob's spelling, netlink messages, the worker's answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/vdpa.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <string.h>

#include "daemon/host/vdpa.h"
#include "lib/cleanup.h"

#define DEV "vn0123456789a"
#define MAC1 "52:54:00:00:00:01"

/* ---- values ---- */

static void test_values(void **state)
{
	static const char *const good[] = {
		"vdpasim_net",
		"pci/0000:05:00.0 mac " MAC1,
		"pci/0000:05:00.0 mac " MAC1 " mtu 1500 max_vqp 4",
		"auxiliary/mlx5_core.sf.4 mtu 68",
	};
	static const char *const bad[] = {
		"",	     "absent",	    "a b",	   "a mac",
		"a mac x",   "a mtu 67",    "a mtu 65536", "a mtu 9 x",
		"a max_vqp", "a max_vqp 0", "a mac 1 mac", "a mtu 99 mtu 99",
		"a/../\"",   "a mtu +99",   "a mtu 99x",
	};
	const struct knob *knob = knob_find("vdpa");
	char text[KNOB_VALUE_MAX];
	struct vdpa_config c;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(vdpa_config_parse(good[i], &c), 0);
		assert_string_equal(vdpa_config_str(&c, text), good[i]);
		assert_true(knob->matches(good[i], good[i]));
		assert_false(knob->matches(good[i], KNOB_ABSENT));
		assert_false(knob->matches(KNOB_ABSENT, good[i]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(vdpa_config_parse(bad[i], &c), -EINVAL);
	assert_true(knob->matches(KNOB_ABSENT, KNOB_ABSENT));
	assert_true(knob->matches("m mac " MAC1 " mtu 1500", "m"));
	assert_true(knob->matches("m", "m mac " MAC1 " mtu 1500"));
	assert_false(knob->matches("m mac " MAC1, "m mac 52:54:00:00:00:02"));
	assert_false(knob->matches("m mtu 1500", "m mtu 9000"));
	assert_false(knob->matches("m max_vqp 2", "m max_vqp 1"));
	assert_false(knob->matches("m", "n"));
	assert_true(knob_find("vdpa-driver")->matches(KNOB_ABSENT, "none"));
	assert_false(knob_find("vdpa-driver")->matches("vhost_vdpa", KNOB_ABSENT));
}

/* ---- messages ---- */

static struct nl_msg *reply(void)
{
	return vdpa_request(42, VDPA_CMD_MGMTDEV_NEW, 0, NULL, NULL);
}

static void test_request(void **state)
{
	struct vdpa_config c;
	struct nlattr *tb[VDPA_ATTR_MAX + 1];
	struct nl_msg *msg;
	struct genlmsghdr *g;

	(void)state;
	assert_int_equal(vdpa_config_parse("pci/0000:05:00.0 mac " MAC1 " mtu 1500 max_vqp 4", &c),
			 0);
	msg = vdpa_request(42, VDPA_CMD_DEV_NEW, 0, DEV, &c);
	assert_int_equal(nlmsg_hdr(msg)->nlmsg_type, 42);
	g = nlmsg_data(nlmsg_hdr(msg));
	assert_int_equal(g->cmd, VDPA_CMD_DEV_NEW);
	assert_int_equal(g->version, VDPA_GENL_VERSION);
	assert_int_equal(genlmsg_parse(nlmsg_hdr(msg), 0, tb, VDPA_ATTR_MAX, NULL), 0);
	assert_string_equal(nla_get_string(tb[VDPA_ATTR_DEV_NAME]), DEV);
	assert_string_equal(nla_get_string(tb[VDPA_ATTR_MGMTDEV_BUS_NAME]), "pci");
	assert_string_equal(nla_get_string(tb[VDPA_ATTR_MGMTDEV_DEV_NAME]), "0000:05:00.0");
	assert_memory_equal(nla_data(tb[VDPA_ATTR_DEV_NET_CFG_MACADDR]), c.mac.b, 6);
	assert_int_equal(nla_len(tb[VDPA_ATTR_DEV_NET_CFG_MACADDR]), 6);
	assert_int_equal(nla_get_u16(tb[VDPA_ATTR_DEV_NET_CFG_MTU]), 1500);
	assert_int_equal(nla_get_u16(tb[VDPA_ATTR_DEV_NET_CFG_MAX_VQP]), 4);
	nlmsg_free(msg);

	assert_int_equal(vdpa_config_parse("vduse", &c), 0);
	msg = vdpa_request(42, VDPA_CMD_DEV_NEW, 0, DEV, &c);
	assert_int_equal(genlmsg_parse(nlmsg_hdr(msg), 0, tb, VDPA_ATTR_MAX, NULL), 0);
	assert_null(tb[VDPA_ATTR_MGMTDEV_BUS_NAME]);
	assert_string_equal(nla_get_string(tb[VDPA_ATTR_MGMTDEV_DEV_NAME]), "vduse");
	assert_null(tb[VDPA_ATTR_DEV_NET_CFG_MACADDR]);
	assert_null(tb[VDPA_ATTR_DEV_NET_CFG_MTU]);
	assert_null(tb[VDPA_ATTR_DEV_NET_CFG_MAX_VQP]);
	nlmsg_free(msg);
}

static void test_replies(void **state)
{
	struct vdpa_config c = { .mgmtdev = "kept" };
	struct nl_msg *msg = reply();
	struct vdpa_mgmtdev m;
	struct vdpa_dev d;

	(void)state;
	assert_int_equal(vdpa_parse_mgmtdev(nlmsg_hdr(msg), &m), -EBADMSG); /* no name */
	nla_put_string(msg, VDPA_ATTR_MGMTDEV_BUS_NAME, "pci");
	nla_put_string(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, "0000:01:10.0");
	assert_int_equal(vdpa_parse_mgmtdev(nlmsg_hdr(msg), &m), 0); /* of no class */
	assert_int_equal(m.max_vqs, -1);
	nla_put_u64(msg, VDPA_ATTR_MGMTDEV_SUPPORTED_CLASSES, 1 << 1 | 1 << 2);
	nla_put_u32(msg, VDPA_ATTR_DEV_MGMTDEV_MAX_VQS, 33);
	nla_put_u64(msg, VDPA_ATTR_DEV_SUPPORTED_FEATURES, 1ULL << 32 | 1 << 5);
	assert_int_equal(vdpa_parse_mgmtdev(nlmsg_hdr(msg), &m), 1);
	assert_string_equal(m.name, "pci/0000:01:10.0");
	assert_int_equal(m.max_vqs, 33);
	assert_true(m.features == (1ULL << 32 | 1 << 5));
	assert_int_equal(vdpa_parse_dev(nlmsg_hdr(msg), &d), -EBADMSG);
	nla_put_string(msg, VDPA_ATTR_DEV_NAME, DEV);
	assert_int_equal(vdpa_parse_dev(nlmsg_hdr(msg), &d), 0);
	assert_string_equal(d.name, DEV);
	assert_string_equal(d.mgmtdev, "pci/0000:01:10.0");
	nlmsg_free(msg);

	msg = reply();
	assert_int_equal(vdpa_parse_config(nlmsg_hdr(msg), &c), 0);
	assert_false(c.has_mac);
	nla_put(msg, VDPA_ATTR_DEV_NET_CFG_MACADDR, 6, "\x52\x54\0\0\0\x01");
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MTU, 0); /* as kernels before 6.1 */
	nla_put_u16(msg, VDPA_ATTR_DEV_NET_CFG_MAX_VQP, 2);
	assert_int_equal(vdpa_parse_config(nlmsg_hdr(msg), &c), 0);
	assert_true(c.has_mac);
	assert_int_equal(c.mac.b[5], 1);
	assert_int_equal(c.mtu, 0);
	assert_int_equal(c.max_vqp, 2);
	assert_string_equal(c.mgmtdev, "kept");
	nlmsg_free(msg);

	msg = reply();
	nla_put(msg, VDPA_ATTR_MGMTDEV_DEV_NAME, 60,
		"a name that is longer than any of the kernel's management devices has");
	assert_int_equal(vdpa_parse_mgmtdev(nlmsg_hdr(msg), &m), -EBADMSG);
	nlmsg_free(msg);
}

/* ---- the worker's answer ---- */

static void test_bad_answers(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{\"mgmtdevs\": 1, \"devices\": []}",
		"{\"mgmtdevs\": [{}], \"devices\": []}",
		"{\"mgmtdevs\": [{\"name\": \"a\", \"features\": \"x\"}], \"devices\": []}",
		"{\"mgmtdevs\": [], \"devices\": [{\"name\": \"a\"}]}",
	};
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct host_scan s = { 0 };
		json_t *j = json_loads(bad[i], 0, NULL);

		assert_non_null(j);
		assert_int_equal(host_mgmtdevs_merge_json(j, &s, &err), -EINVAL);
		json_decref(j);
		host_scan_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_bad_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
