/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What vnetctl exec puts into a command line, and what it leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/placeholders.h"
#include "lib/json.h"

#define VHOST_NET                                                                              \
	"{\"attachment\":{\"mode\":\"vhost-net\"},\"fds\":[{\"role\":\"tap\",\"index\":0},"    \
	"{\"role\":\"tap\",\"index\":1},{\"role\":\"vhost\",\"index\":2},{\"role\":\"vhost\"," \
	"\"index\":3}],\"values\":{\"mac\":\"52:54:00:00:00:01\",\"host\":null},"              \
	"\"arguments\":[\"-netdev\",\"tap,id=net0,fds=@net0.tap\",\"-device\",\"x\"]}"
#define VF                                                                        \
	"{\"attachment\":{\"mode\":\"vf\"},\"fds\":[],\"values\":{\"mac\":\"m\"," \
	"\"host\":\"0000:01:10.0\"},\"arguments\":[\"-device\",\"vfio-pci,host=@net0.host\"]}"

#define SOCKET                                                                            \
	"{\"attachment\":{\"mode\":\"vhost-user\"},\"fds\":[],\"values\":{\"mac\":\"m\"," \
	"\"host\":null,\"path\":\"/run/a,b\"},\"arguments\":[\"-chardev\","               \
	"\"socket,path=@net0.path\"]}"

static const struct vnet_fds some = { .n = 4, .fd = { 7, 8, 12, 13 } };

/* @args with '|' between two; the outcome likewise, or NULL. */
static const char *fill(const char *reply, const char *args, struct vnet_err *err)
{
	_cleanup_json_ json_t *j = json_loads(reply, 0, NULL);
	static char out[1024];
	char text[512], *rest = text, *argv[16], **filled = NULL;
	size_t n = 0;
	int r;

	assert_non_null(j);
	snprintf(text, sizeof(text), "%s", args);
	while ((argv[n] = strsep(&rest, "|")))
		n++;
	*err = VNET_ERR_INIT;
	r = placeholders_fill(argv, "net0", j, &some, &filled, err);
	if (r < 0) {
		assert_null(filled);
		return NULL;
	}
	out[0] = '\0';
	for (size_t i = 0; filled[i]; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? "|" : "",
			 filled[i]);
	placeholders_free(filled);
	return out;
}

static void test_filled_in(void **state)
{
	static const char *const cases[][2] = {
		{ "qemu|-m|64", "qemu|-m|64" },
		{ "q|tap,fds=@net0.tap,vhostfds=@net0.vhost", "q|tap,fds=7:8,vhostfds=12:13" },
		{ "q|@net0.mac", "q|52:54:00:00:00:01" },
		{ "./vnetctl|fd=@net1.tap,@net0.mac", "./vnetctl|fd=@net1.tap,52:54:00:00:00:01" },
		{ "q|mac=@net0.mac,mac=@net0.mac",
		  "q|mac=52:54:00:00:00:01,mac=52:54:00:00:00:01" },
		{ "q|@net0.tap:@net0.vhost", "q|7:8:12:13" },
		{ "q|@net0", "q|-netdev|tap,id=net0,fds=7:8|-device|x" },
		{ "q|@net0|-m|@net0", "q|-netdev|tap,id=net0,fds=7:8|-device|x|-m|-netdev|"
				      "tap,id=net0,fds=7:8|-device|x" },
		/* no placeholders */
		{ "q|user@net0.tap|me@host.org|@|@@net0.tap|@net1|@net0x",
		  "q|user@net0.tap|"
		  "me@host.org|@|@@net0.tap|"
		  "@net1|@net0x" },
		{ "q|a=@other.thing|@.tap|@net0.", NULL },
		{ "q|a=@other.thing|@.tap", "q|a=@other.thing|@.tap" },
		{ "q||x", "q||x" },
	};
	struct vnet_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = fill(VHOST_NET, cases[i][0], &err);

		if (cases[i][1])
			assert_string_equal(got ? got : err.text, cases[i][1]);
		else
			assert_null(got);
	}
	assert_string_equal(fill(VF, "q|@net0", &err), "q|-device|vfio-pci,host=0000:01:10.0");
	/* A ',' ends an option of QEMU's, and is doubled in one. */
	assert_string_equal(fill(SOCKET, "q|@net0", &err), "q|-chardev|socket,path=/run/a,,b");
	assert_string_equal(fill(SOCKET, "q|@net0.path", &err), "q|/run/a,b");
}

static void test_what_the_mode_has_not(void **state)
{
	struct vnet_err err;

	(void)state;
	assert_null(fill(VHOST_NET, "q|host=@net0.host", &err));
	assert_string_equal(err.text, "mode vhost-net has no @net0.host: it has @net0.tap "
				      "@net0.vhost @net0.mac");
	assert_null(fill(VF, "q|fds=@net0.tap", &err));
	assert_string_equal(err.text, "mode vf has no @net0.tap: it has @net0.host @net0.mac");
	assert_null(fill(SOCKET, "q|fds=@net0.tap", &err));
	assert_string_equal(err.text,
			    "mode vhost-user has no @net0.tap: it has @net0.path @net0.mac");
}

static void test_an_answer_that_is_wrong(void **state)
{
	struct vnet_err err;

	(void)state;
	/* An index that came with nothing is not taken for some other descriptor. */
	assert_null(
		fill("{\"fds\":[{\"role\":\"tap\",\"index\":4},{\"role\":\"tap\",\"index\":-1}]}",
		     "q|@net0.tap", &err));
	assert_null(fill("{}", "q|@net0.mac", &err));
	assert_string_equal(fill("{}", "q|@net0", &err), "q");
}

static void test_checked_before(void **state)
{
	static const struct {
		const char *arg, *word;
	} bad[] = {
		{ "tap,fds=@net0.taps", "@net0.taps is not known" },
		{ "@net0.fd", "@net0.fd is not known" },
		{ "fds=@net1.tap", "there is no NIC net1 here, but net0" },
		{ "fds=@net0.tap,x=@lan.vhost", "no NIC lan" },
	};
	char *good[] = { (char *)"q", (char *)"@net0.tap", (char *)"a@b.tap", NULL };
	struct vnet_err err;

	(void)state;
	assert_int_equal(placeholders_check(good, "net0", &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *argv[] = { (char *)"q", (char *)bad[i].arg, NULL };

		assert_int_equal(placeholders_check(argv, "net0", &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].word));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filled_in),
		cmocka_unit_test(test_what_the_mode_has_not),
		cmocka_unit_test(test_an_answer_that_is_wrong),
		cmocka_unit_test(test_checked_before),
	};

	return cmocka_run_group_tests_name("placeholders", tests, NULL, NULL);
}
