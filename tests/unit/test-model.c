/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/json.h"
#include "lib/model.h"

static json_t *parse(const char *text)
{
	json_error_t e;
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &e);

	if (!j)
		fail_msg("%s: %s", text, e.text);
	return j;
}

static void test_enum_names(void **state)
{
	enum attachment_state s;
	enum handover h;

	(void)state;
	for (int i = 0; i < AT_MAX; i++) {
		assert_int_equal(attachment_state_from(attachment_state_str(
							       (enum attachment_state)i),
						       &s),
				 0);
		assert_int_equal(s, i);
	}
	for (int i = 0; i < HO_MAX; i++) {
		assert_int_equal(handover_from(handover_str((enum handover)i), &h), 0);
		assert_int_equal(h, i);
	}
	assert_string_equal(attachment_state_str(AT_IN_USE), "in-use");
	assert_string_equal(attachment_state_str((enum attachment_state)99), "?");
	assert_string_equal(handover_str(HO_FD_BY_LIBVIRT), "fd-by-libvirt");
	assert_int_equal(attachment_state_from("?", &s), -EINVAL);
	assert_int_equal(attachment_state_from("", &s), -EINVAL);
}

static void test_nic_names(void **state)
{
	static const char *const good[] = { "a", "net0", "a-b_9", "abcdefghijklmno" };
	static const char *const bad[] = { "",
					   "0net",
					   "-a",
					   "_a",
					   "Net0",
					   "a.b",
					   "a/b",
					   "a b",
					   "a\n",
					   "a\"",
					   "abcdefghijklmnop",
					   "nät",
					   "net0 ",
					   "..",
					   "a:b" };
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(model_check_nic_name(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = VNET_ERR_INIT;
		if (model_check_nic_name(bad[i], &err) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
		assert_int_equal(err.name, VNET_E_INVALID);
		assert_string_equal(err.object, "name");
	}
}

static void test_guest_names(void **state)
{
	static const char *const good[] = { "vm1", "a b", "Müller's VM (2)", "...", "-x", "%n" };
	static const char *const bad[] = { "",	   ".",	    "..",	"a/b",
					   "/",	   "a\nb",  "\x1b[31m", "a\x7f",
					   "\xff", "a\xc3", "\xc2\x9b", "\xc0\xaf" };
	struct vnet_err err = VNET_ERR_INIT;
	char longest[GUEST_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(model_check_guest_name(good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = VNET_ERR_INIT;
		assert_int_equal(model_check_guest_name(bad[i], &err), -EINVAL);
		assert_int_equal(err.name, VNET_E_INVALID);
		assert_string_equal(err.object, "guest");
	}
	memset(longest, 'g', sizeof(longest));
	longest[GUEST_NAME_MAX - 1] = '\0';
	assert_int_equal(model_check_guest_name(longest, &err), 0);
	longest[GUEST_NAME_MAX - 1] = 'g';
	longest[GUEST_NAME_MAX] = '\0';
	assert_int_equal(model_check_guest_name(longest, &err), -EINVAL);
}

static void test_macs(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct mac m;

	(void)state;
	mac_parse("52:54:00:00:00:01", &m);
	assert_int_equal(model_check_mac(&m, &err), 0);
	mac_parse("00:00:00:00:00:00", &m);
	assert_int_equal(model_check_mac(&m, &err), -EINVAL);
	assert_non_null(strstr(err.text, "zero"));
	mac_parse("33:33:00:00:00:01", &m);
	assert_int_equal(model_check_mac(&m, &err), -EINVAL);
	assert_non_null(strstr(err.text, "33:33:00:00:00:01"));
}

static void test_vlan_check(void **state)
{
	static const struct vlan good[] = { { 0 },
					    { .proto = 0x8100 },
					    { .id = 1, .proto = 0x8100 },
					    { .id = 4094, .qos = 7, .proto = 0x88a8 } };
	static const struct vlan bad[] = { { .id = 4095, .proto = 0x8100 },
					   { .id = 1, .qos = 8, .proto = 0x8100 },
					   { .id = 1 },
					   { .id = 1, .proto = 0x9100 },
					   { .qos = 3, .proto = 0x8100 },
					   { .proto = 0x88a8 } };
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_int_equal(model_check_vlan(&good[i], &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(model_check_vlan(&bad[i], &err), -EINVAL);
}

static void test_vlan_text(void **state)
{
	/* in, and how it is written */
	static const char *const good[][2] = {
		{ "0", "0" },
		{ "0 qos 0 proto 802.1q", "0" },
		{ "100", "100" },
		{ "4094", "4094" },
		{ "100 qos 0", "100" },
		{ "100 qos 3", "100 qos 3" },
		{ "100 qos 3 proto 802.1Q", "100 qos 3" },
		{ "100 qos 3 proto 802.1ad", "100 qos 3 proto 802.1ad" },
		{ "100 proto 802.1ad", "100 proto 802.1ad" },
		{ "100 proto 802.1AD qos 7", "100 qos 7 proto 802.1ad" },
	};
	static const char *const bad[] = { "",
					   " ",
					   "x",
					   "4095",
					   "65636",
					   "4294967297",
					   "-1",
					   "+1",
					   "01",
					   "1x",
					   "1,2",
					   "100 qos",
					   "100 qos 8",
					   "100 qos x",
					   "100 3",
					   "100 qos 3 qos 3",
					   "100 proto",
					   "100 proto 802.1x",
					   "100 proto 802.1Q proto 802.1Q",
					   "0 qos 1",
					   "0 proto 802.1ad",
					   "100 qos 3 proto 802.1ad and on and on" };
	struct vlan v, zero;
	char buf[VLAN_STR];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(vlan_parse(good[i][0], &v), 0);
		assert_string_equal(vlan_str(&v, buf), good[i][1]);
	}
	assert_int_equal(vlan_parse_found("4095 qos 7", &v), 0);
	assert_string_equal(vlan_str(&v, buf), "4095 qos 7");
	assert_int_equal(vlan_parse_found("4096", &v), -EINVAL);
	memset(&v, 0xff, sizeof(v));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (vlan_parse(bad[i], &v) != -EINVAL)
			fail_msg("accepted \"%s\"", bad[i]);
	assert_int_equal(vlan_parse(NULL, &v), -EINVAL);
	assert_int_equal(v.id, 0xffff);
	/* "None" is one value, whatever it was made from. */
	memset(&zero, 0, sizeof(zero));
	vlan_parse("0", &v);
	assert_memory_equal(&v, &zero, sizeof(v));
	/* Any bit pattern has a text that fits. */
	memset(&v, 0xff, sizeof(v));
	assert_string_equal(vlan_str(&v, buf), "65535 qos 255");
}

static void test_request_round_trip(void **state)
{
	static const char *const texts[] = {
		"{\"guest\":\"vm1\",\"name\":null,\"modes\":[],\"pool\":null,\"mac\":null,"
		"\"vlan\":null,\"scope\":null,\"options\":null,\"fallback\":true}",
		"{\"guest\":\"vm1\",\"name\":\"net0\",\"modes\":[\"vf\",\"vhost-net\"],"
		"\"pool\":\"ens1\",\"mac\":\"52:54:00:12:34:56\","
		"\"vlan\":{\"id\":100,\"qos\":3,\"proto\":\"802.1ad\"},\"scope\":\"config\","
		"\"options\":{\"model\":\"e1000\",\"queues\":\"2\"},\"fallback\":false}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_json_ json_t *in = parse(texts[i]), *out = NULL;
		struct vnet_err err = VNET_ERR_INIT;
		struct vnet_request r;

		assert_int_equal(model_request_from_json(in, &r, &err), 0);
		out = model_request_to_json(&r);
		assert_true(json_equal(in, out));
	}
}

static void test_request_values(void **state)
{
	_cleanup_json_ json_t *j = parse("{\"guest\":\"vm1\",\"name\":\"net0\",\"modes\":[\"vf\"],"
					 "\"mac\":\"52:54:00:AA:34:56\",\"vlan\":{\"id\":100}}");
	_cleanup_json_ json_t *least = parse("{\"guest\":\"vm1\",\"vlan\":null}");
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_request r, zero = { .guest = "vm1" };

	(void)state;
	assert_int_equal(model_request_from_json(j, &r, &err), 0);
	assert_string_equal(r.guest, "vm1");
	assert_string_equal(r.name, "net0");
	assert_int_equal(r.n_modes, 1);
	assert_string_equal(r.modes[0], "vf");
	assert_true(r.has_mac);
	assert_memory_equal(r.mac.b, "\x52\x54\x00\xaa\x34\x56", 6);
	assert_int_equal(r.vlan.id, 100);
	assert_int_equal(r.vlan.proto, 0x8100);
	assert_int_equal(model_request_from_json(least, &r, &err), 0);
	assert_memory_equal(&r.vlan, &zero.vlan, sizeof(r.vlan));
	assert_int_equal(r.n_modes, 0);
	assert_false(r.has_mac);
}

static void test_request_refused(void **state)
{
	/* text, and a word that the refusal must hold */
	static const char *const bad[][2] = {
		{ "[]", "object" },
		{ "{}", "guest" },
		{ "{\"guest\":1}", "guest" },
		{ "{\"guest\":\"\"}", "guest" },
		{ "{\"guest\":\"a/b\"}", "guest" },
		{ "{\"guest\":\"a\\nb\"}", "guest" },
		{ "{\"guest\":\"vm1\",\"Name\":\"net0\"}", "Name" },
		{ "{\"guest\":\"vm1\",\"state\":\"ready\"}", "state" },
		{ "{\"guest\":\"vm1\",\"name\":\"\"}", "name" },
		{ "{\"guest\":\"vm1\",\"name\":\"net.0\"}", "net.0" },
		{ "{\"guest\":\"vm1\",\"name\":\"abcdefghijklmnop\"}", "name" },
		{ "{\"guest\":\"vm1\",\"pool\":\"\"}", "pool" },
		{ "{\"guest\":\"vm1\",\"pool\":[]}", "pool" },
		{ "{\"guest\":\"vm1\",\"mac\":\"\"}", "mac" },
		{ "{\"guest\":\"vm1\",\"mac\":\"52:54\"}", "52:54" },
		{ "{\"guest\":\"vm1\",\"mac\":\"01:00:5e:00:00:01\"}", "multicast" },
		{ "{\"guest\":\"vm1\",\"mac\":\"00:00:00:00:00:00\"}", "zero" },
		{ "{\"guest\":\"vm1\",\"modes\":\"vf\"}", "modes" },
		{ "{\"guest\":\"vm1\",\"modes\":[1]}", "modes" },
		{ "{\"guest\":\"vm1\",\"modes\":[\"\"]}", "modes" },
		{ "{\"guest\":\"vm1\",\"modes\":[\"../vf\"]}", "modes" },
		{ "{\"guest\":\"vm1\",\"modes\":[\"abcdefghijklmnopqrstuvwx\"]}", "modes" },
		{ "{\"guest\":\"vm1\",\"modes\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\","
		  "\"i\"]}",
		  "modes" },
		{ "{\"guest\":\"vm1\",\"vlan\":100}", "vlan" },
		{ "{\"guest\":\"vm1\",\"scope\":\"auto\"}", "scope" },
		{ "{\"guest\":\"vm1\",\"scope\":\"both\"}", "scope" },
		{ "{\"guest\":\"vm1\",\"vlan\":{}}", "vlan" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":4095}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":-1}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":0}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":65636}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":\"100\"}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":100,\"qos\":8}}", "qos" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":0,\"qos\":1}}", "id" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":1,\"proto\":\"QinQ\"}}", "proto" },
		{ "{\"guest\":\"vm1\",\"vlan\":{\"id\":1,\"prio\":1}}", "prio" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_json_ json_t *j = parse(bad[i][0]);
		struct vnet_request r = { .guest = "was" };
		struct vnet_err err = VNET_ERR_INIT;

		if (model_request_from_json(j, &r, &err) != -EINVAL)
			fail_msg("accepted %s", bad[i][0]);
		assert_int_equal(err.code, -EINVAL);
		assert_int_equal(err.name, VNET_E_INVALID);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s: \"%s\" lacks \"%s\"", bad[i][0], err.text, bad[i][1]);
		assert_string_equal(r.guest, "was");
	}
}

static struct vnet_attachment sample(void)
{
	struct vnet_attachment a = {
		.asked = { .guest = "vm1", .modes = { "vf" }, .n_modes = 1, .options = "queues=2" },
		.uuid = "3e6f6d0c-7d3b-4f6c-9c1b-0a1b2c3d4e5f",
		.name = "net0",
		.state = AT_IN_USE,
		.mode = "vf",
		.why = "VF 3 of ens1 is free",
		.pool = "ens1",
		.vf_index = 3,
		.vlan = { .id = 100, .qos = 3, .proto = 0x88a8 },
		.uplink = "0000:65:00.0",
		.kind = DL_HOSTDEV,
		.device = "0000:65:10.6",
		.how = "queues=2",
		.pid = 4711,
		.pid_start = 99,
		.uid = 1000,
		.handover = HO_PATH,
		.persistent = true,
		.since_usec = 1700000000000000,
	};

	pci_addr_parse("0000:65:00.0", &a.pf);
	pci_addr_parse("0000:65:10.6", &a.vf);
	mac_parse("52:54:00:12:34:56", &a.mac);
	mac_parse("a0:36:9f:00:00:01", &a.pf_mac);
	return a;
}

static void test_attachment_json(void **state)
{
	_cleanup_json_ json_t *j = NULL, *want = NULL;
	struct vnet_attachment a = sample();

	(void)state;
	want = parse(
		"{\"guest\":\"vm1\",\"name\":\"net0\","
		"\"uuid\":\"3e6f6d0c-7d3b-4f6c-9c1b-0a1b2c3d4e5f\",\"state\":\"in-use\","
		"\"reason\":null,\"mode\":\"vf\",\"why\":\"VF 3 of ens1 is free\","
		"\"pool\":\"ens1\",\"mac\":\"52:54:00:12:34:56\","
		"\"vlan\":{\"id\":100,\"qos\":3,\"proto\":\"802.1ad\"},"
		"\"pf\":\"0000:65:00.0\",\"pfMac\":\"a0:36:9f:00:00:01\",\"vfIndex\":3,"
		"\"vf\":\"0000:65:10.6\",\"uplink\":\"0000:65:00.0\",\"kind\":\"hostdev\",\"device\":\"0000:65:10.6\",\"how\":\"queues=2\",\"pid\":4711,\"pidStart\":99,\"uid\":1000,\"handover\":\"path\",\"persistent\":true,"
		"\"sinceUsec\":1700000000000000,\"asked\":{\"guest\":\"vm1\",\"name\":null,"
		"\"modes\":[\"vf\"],\"pool\":null,\"mac\":null,\"vlan\":null,"
		"\"scope\":null,\"options\":{\"queues\":\"2\"},\"fallback\":true}}");
	j = model_attachment_to_json(&a);
	assert_true(json_equal(j, want));
}

static void test_attachment_round_trip(void **state)
{
	struct vnet_attachment a = sample(), b;
	_cleanup_json_ json_t *j = NULL, *k = NULL, *bare = NULL;
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	j = model_attachment_to_json(&a);
	json_put_str(j, "fromTheFuture", "x");
	memset(&b, 0xff, sizeof(b));
	assert_int_equal(model_attachment_from_json(j, &b, &err), 0);
	json_object_del(j, "fromTheFuture");
	k = model_attachment_to_json(&b);
	assert_true(json_equal(j, k));
	assert_int_equal(b.vf_index, 3);
	assert_true(b.vf.set);

	/* Almost nothing known. */
	a = (struct vnet_attachment){ .asked.guest = "vm1", .name = "net0", .vf_index = -1 };
	bare = model_attachment_to_json(&a);
	assert_true(json_is_null(json_object_get(bare, "vfIndex")));
	assert_true(json_is_null(json_object_get(bare, "vf")));
	assert_true(json_is_null(json_object_get(bare, "mac")));
	assert_true(json_is_null(json_object_get(bare, "vlan")));
	assert_true(json_is_null(json_object_get(bare, "sinceUsec")));
	assert_int_equal(model_attachment_from_json(bare, &b, &err), 0);
	assert_int_equal(b.vf_index, -1);
	assert_false(b.vf.set);
	assert_int_equal(b.state, AT_RESERVED);
	assert_int_equal(b.handover, HO_NONE);
}

/* What libvirt or the kernel says goes into reason as it comes, and must come back. */
static void test_any_reason_comes_back(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_attachment a = sample(), b;

	(void)state;
	for (unsigned shift = 0; shift < 3; shift++) {
		_cleanup_json_ json_t *j = NULL;

		memset(a.reason, 'x', sizeof(a.reason));
		for (size_t i = shift; i + 3 <= sizeof(a.reason); i += 3)
			memcpy(a.reason + i, "\xe6\xbc\xa2", 3);
		memcpy(a.reason + 9, "\n\t\x1b\xc2\x9b\xff\x7f", 7);
		a.reason[sizeof(a.reason) - 1] = '\0';
		j = model_attachment_to_json(&a);
		assert_non_null(j);
		assert_int_equal(model_attachment_from_json(j, &b, &err), 0);
		assert_int_equal(strlen(b.reason), strlen(a.reason));
		assert_memory_equal(b.reason + 9, "     ? ", 7);
	}
}

static void spoil(const char *field, json_t *value, const char *word)
{
	struct vnet_attachment a = sample(), b = { .name = "was" };
	_cleanup_json_ json_t *j = model_attachment_to_json(&a);
	struct vnet_err err = VNET_ERR_INIT;

	json_put(j, field, value);
	assert_int_equal(model_attachment_from_json(j, &b, &err), -EINVAL);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" lacks \"%s\"", err.text, word);
	assert_string_equal(b.name, "was");
}

static void test_attachment_refused(void **state)
{
	struct vnet_attachment b;
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(model_attachment_from_json(NULL, &b, &err), -EINVAL);
	spoil("guest", json_string("vm2"), "guest");
	spoil("guest", json_null(), "guest");
	spoil("name", json_null(), "name");
	spoil("name", json_string("../x"), "name");
	spoil("state", json_string("asleep"), "state");
	spoil("state", json_null(), "state");
	spoil("handover", json_string("by-mail"), "handover");
	spoil("vfIndex", json_integer(-2), "vfIndex");
	spoil("vfIndex", json_integer(65536), "vfIndex");
	spoil("vf", json_string("65:00.4"), "65:00.4");
	spoil("pf", json_integer(1), "pf");
	spoil("pfMac", json_string("xx"), "pfMac");
	spoil("mac", json_string("xx"), "mac");
	spoil("vlan", json_string("100"), "vlan");
	spoil("sinceUsec", json_integer(-1), "sinceUsec");
	spoil("uuid", json_string("3e6f6d0c-7d3b-4f6c-9c1b-0a1b2c3d4e5f0"), "uuid");
	spoil("asked", json_null(), "asked");
	spoil("asked", json_object(), "asked");
}

static void test_attachment_id(void **state)
{
	struct vnet_attachment a = sample();
	char buf[ATTACHMENT_ID_MAX];

	(void)state;
	assert_string_equal(model_attachment_id(&a, buf), "vm1/net0");
	memset(a.asked.guest, 'g', GUEST_NAME_MAX - 1);
	memset(a.name, 'n', NIC_NAME_MAX - 1);
	assert_int_equal(strlen(model_attachment_id(&a, buf)), GUEST_NAME_MAX + NIC_NAME_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enum_names),
		cmocka_unit_test(test_nic_names),
		cmocka_unit_test(test_guest_names),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_vlan_check),
		cmocka_unit_test(test_vlan_text),
		cmocka_unit_test(test_request_round_trip),
		cmocka_unit_test(test_request_values),
		cmocka_unit_test(test_request_refused),
		cmocka_unit_test(test_attachment_json),
		cmocka_unit_test(test_attachment_round_trip),
		cmocka_unit_test(test_any_reason_comes_back),
		cmocka_unit_test(test_attachment_refused),
		cmocka_unit_test(test_attachment_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
