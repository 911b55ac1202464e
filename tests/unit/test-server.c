/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls and replies, and who outlives whom. */
#include "tests/unit/server-client.h"

/* ---- calls and replies ---- */

static void test_get_info(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	_cleanup_json_ json_t *j = NULL;
	const json_t *p;

	say(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
	j = hear(f, fd);
	p = json_object_get(j, "parameters");
	assert_string_equal(json_string_value(json_object_get(p, "product")), "vnetd");
	assert_int_equal(json_array_size(json_object_get(p, "interfaces")), 2);
	close(fd);
}

static void test_refused_calls(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	static const char *const invalid[][2] = {
		{ "{\"parameters\":{}}", "method" },
		{ "{\"method\":5}", "method" },
		{ "{\"method\":\"io.vnetd.List\",\"parameters\":[]}", "parameters" },
		{ "{\"method\":\"io.vnetd.List\",\"parameters\":{\"colour\":1}}", "colour" },
		{ "{\"method\":\"io.vnetd.List\",\"speed\":1}", "speed" },
		{ "{\"method\":\"io.vnetd.List\",\"more\":1}", "more" },
		{ "{\"method\":\"io.vnetd.List\",\"upgrade\":true}", "upgrade" },
		{ "{\"method\":\"io.vnetd.Attach\",\"parameters\":{\"guest\":\"a\",\"macc\":\"\"}}",
		  "macc" },
		{ "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}", "interface" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
		say(fd, invalid[i][0]);
		expect_error(f, fd, "org.varlink.service.InvalidParameter", "parameter",
			     invalid[i][1]);
	}
	say(fd, "{\"method\":\"io.vnetd.Fly\"}");
	expect_error(f, fd, "org.varlink.service.MethodNotFound", "method", "io.vnetd.Fly");
	say(fd, "{\"method\":\"Fly\"}");
	expect_error(f, fd, "org.varlink.service.MethodNotFound", "method", "Fly");
	say(fd, "{\"method\":\"io.other.List\"}");
	expect_error(f, fd, "org.varlink.service.InterfaceNotFound", "interface", "io.other");
	say(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
		"\"parameters\":{\"interface\":\"io.other\"}}");
	expect_error(f, fd, "org.varlink.service.InterfaceNotFound", "interface", "io.other");
	/* Values are judged by the model, which has words for it. */
	say(fd, "{\"method\":\"io.vnetd.Attach\",\"parameters\":{\"guest\":\"a\",\"mac\":\"x\"}}");
	expect_error(f, fd, "io.vnetd.Invalid", "object", "mac");
	say(fd, "{\"method\":\"io.vnetd.Show\",\"parameters\":{\"guest\":\"a\"}}");
	expect_error(f, fd, "io.vnetd.Invalid", "object", "name");
	say(fd, "{\"method\":\"io.vnetd.Detach\",\"parameters\":{\"guest\":\"a\",\"name\":\"\"}}");
	expect_error(f, fd, "io.vnetd.Invalid", "object", "name");
	say(fd, "{\"method\":\"io.vnetd.Detach\",\"parameters\":{\"guest\":\"../b\"}}");
	expect_error(f, fd, "io.vnetd.Invalid", "object", "guest");
	close(fd);
}

static void test_denied(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	struct connection *conn;

	pump(f);
	conn = f->server->connections;
	conn->peer.uid = geteuid() + 4242;
	conn->peer.gid = 987654321;
	conn->peer.n_groups = 0;
	say(fd, "{\"method\":\"io.vnetd.List\"}");
	expect_error(f, fd, "io.vnetd.Denied", NULL, NULL);
	say(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
	expect_error(f, fd, "io.vnetd.Denied", NULL, NULL);
	/* What is asked is not even looked at. */
	say(fd, "{\"method\":\"io.vnetd.Attach\",\"parameters\":{\"colour\":1}}");
	expect_error(f, fd, "io.vnetd.Denied", NULL, NULL);
	close(fd);
}

static void test_peer(void **state)
{
	struct fixture *f = *state;
	gid_t groups[256];
	int n = getgroups(ARRAY_SIZE(groups), groups), fd = dial(f);
	const struct peer *peer;

	f->server->dispatch = hold_call;
	say_n(fd, 1, "");
	pump(f);
	peer = call_peer(held_calls[0]);
	assert_int_equal(peer->pid, getpid());
	assert_int_equal(peer->uid, geteuid());
	assert_int_equal(call_uid(held_calls[0]), geteuid());
	assert_int_equal(peer->gid, getegid());
	assert_int_equal(peer->n_groups, n);
	assert_string_equal(call_method(held_calls[0]), "x.y");
	end_held();
	expect_n(f, fd, 1);
	close(fd);
}

static void test_one_after_another(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->server->dispatch = hold_call;
	say_n(fd, 1, "");
	say_n(fd, 2, ",\"oneway\":true");
	say_n(fd, 3, ",\"more\":true");
	pump(f);
	assert_int_equal(n_held, 1);
	assert_true(silent(fd));
	end_held();
	expect_n(f, fd, 1);
	pump(f);
	assert_int_equal(n_held, 1);
	end_held();
	pump(f);
	assert_true(silent(fd));
	end_held();
	expect_n(f, fd, 3);
	/* A refused call that wants no reply gets none either. */
	say(fd, "{\"method\":7,\"oneway\":true}");
	say_n(fd, 4, "");
	pump(f);
	end_held();
	expect_n(f, fd, 4);
	close(fd);
}

static void test_pieces(void **state)
{
	struct fixture *f = *state;
	const char text[] = "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":null}";
	int fd = dial(f);

	for (size_t i = 0; i < sizeof(text); i++) {
		assert_int_equal(send(fd, text + i, 1, 0), 1);
		pump(f);
		assert_int_equal(silent(fd), i + 1 < sizeof(text));
	}
	close(fd);
}

static void test_many_in_one_write_and_half_close(void **state)
{
	struct fixture *f = *state;
	char text[8192];
	size_t len = 0;
	int fd = dial(f);

	f->server->dispatch = reply_at_once;
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"{\"method\":\"x\",\"parameters\":{\"n\":%d}}%c", i, 0);
	assert_int_equal(send(fd, text, len, 0), len);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 100; i++)
		expect_n(f, fd, i);
	pump(f);
	assert_true(hung_up(fd));
	assert_int_equal(f->server->n_connections, 0);
	close(fd);
}

static void test_error_members(void **state)
{
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;
	int fd = dial(f);
	_cleanup_json_ json_t *j = NULL;
	const json_t *p;

	f->server->dispatch = hold_call;
	say_n(fd, 1, "");
	pump(f);
	vnet_err_set(&err, -EBUSY, VNET_E_IN_USE, "the text");
	vnet_err_at(&err, "driver", "0000:01:00.0/vf1");
	call_done(held_calls[0], -EBUSY, json_pack("{s:[s], s:s}", "verdicts", "v", "text", "no"),
		  &err);
	j = hear(f, fd);
	p = json_object_get(j, "parameters");
	assert_string_equal(json_string_value(json_object_get(j, "error")), "io.vnetd.InUse");
	assert_string_equal(json_string_value(json_object_get(p, "text")), "the text");
	assert_string_equal(json_string_value(json_object_get(p, "knob")), "driver");
	assert_string_equal(json_string_value(json_object_get(p, "object")), "0000:01:00.0/vf1");
	assert_int_equal(json_integer_value(json_object_get(p, "errno")), EBUSY);
	assert_int_equal(json_array_size(json_object_get(p, "verdicts")), 1);
	close(fd);
}

/* ---- lives ---- */

static void test_call_outlives_client(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->server->dispatch = hold_call;
	say_n(fd, 1, "");
	/* Sent and gone: it is done all the same. */
	say_n(fd, 2, ",\"oneway\":true");
	pump(f);
	close(fd);
	pump(f);
	assert_int_equal(n_held, 1);
	end_held();
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
	assert_null(f->server->accounts);
}

static void test_oneway_then_gone(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->server->dispatch = hold_call;
	say_n(fd, 1, ",\"oneway\":true");
	say_n(fd, 2, ",\"oneway\":true");
	close(fd);
	for (int i = 0; i < 2; i++) {
		pump(f);
		assert_int_equal(n_held, 1);
		end_held();
	}
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
}

static void test_call_outlives_server(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f), idle = dial(f);

	f->server->dispatch = hold_call;
	say_n(fd, 1, "");
	pump(f);
	f->server = server_free(f->server);
	assert_true(hung_up(fd));
	assert_true(hung_up(idle));
	assert_int_equal(call_uid(held_calls[0]), geteuid());
	end_held();
	close(fd);
	close(idle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_get_info),
		SERVER_TEST(test_refused_calls),
		SERVER_TEST(test_denied),
		SERVER_TEST(test_peer),
		SERVER_TEST(test_one_after_another),
		SERVER_TEST(test_pieces),
		SERVER_TEST(test_many_in_one_write_and_half_close),
		SERVER_TEST(test_error_members),
		SERVER_TEST(test_call_outlives_client),
		SERVER_TEST(test_oneway_then_gone),
		SERVER_TEST(test_call_outlives_server),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
