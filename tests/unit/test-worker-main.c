/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's side of the socket: each op, and what is wrong answered as an error. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "daemon/worker.h"
#include "lib/json.h"
#include "lib/wire.h"
#include "tests/unit/fake-host.h"
#include "tests/unit/host-tree.h"

#define PF "0000:01:00.0"

static struct tree t;

static int setup(void **state)
{
	(void)state;
	tree_new(&t);
	tree_function(&t, PF, 0x020000, 0x10c9, 10);
	tree_sriov(&t, PF, 7);
	tree_vf(&t, PF, 0, "0000:01:10.0", 11);
	tree_file(&t,
		  "{\"links\": [{\"ifindex\": 4}], \"vfs\": [{\"pf\": \"" PF "\", \"index\": 0}]}",
		  "nic.json");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tree_free(&t);
	return 0;
}

/* The worker's answer to one request, as {id, result} or {id, error}; with it @n_fds came. */
static json_t *ask_fds(const char *root, const char *request, size_t n_fds)
{
	_cleanup_json_ json_t *msg = json_loads(request, 0, NULL);
	_cleanup_fds_ struct vnet_fds came = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	struct wire *w = NULL;
	json_t *answer = NULL;
	int fds[2];

	assert_non_null(msg);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	assert_int_equal(wire_new(&w, fds[0], WIRE_MESSAGE_MAX_TRUSTED, VNET_FDS_MAX, &err), 0);
	assert_int_equal(wire_queue(w, msg, NULL, &err), 0);
	assert_int_equal(wire_flush(w, &err), 0);
	shutdown(fds[0], SHUT_WR);
	assert_int_equal(worker_main(fds[1], root, t.dir), EXIT_SUCCESS);
	assert_int_equal(wire_receive(w, &answer, &came, &err), 1);
	assert_int_equal(came.n, n_fds);
	wire_free(w);
	return answer;
}

static json_t *ask(const char *root, const char *request)
{
	return ask_fds(root, request, 0);
}

static json_t *result_of(const char *request)
{
	_cleanup_json_ json_t *answer = ask(t.dir, request);
	json_t *result = json_object_get(answer, "result");

	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 7);
	assert_null(json_object_get(answer, "error"));
	assert_non_null(result);
	return json_incref(result);
}

static void assert_refused(const char *root, const char *request, int code, const char *text)
{
	_cleanup_json_ json_t *answer = ask(root, request);
	const json_t *error = json_object_get(answer, "error");

	assert_int_equal(json_integer_value(json_object_get(answer, "id")), 7);
	assert_null(json_object_get(answer, "result"));
	assert_int_equal(json_integer_value(json_object_get(error, "code")), code);
	assert_non_null(strstr(json_string_value(json_object_get(error, "text")), text));
}

static void test_ops(void **state)
{
	_cleanup_json_ json_t *get = NULL, *nics = NULL, *holders = NULL, *vfs = NULL, *set = NULL;
	_cleanup_json_ json_t *queues = NULL;

	(void)state;
	get = result_of("{\"id\": 7, \"op\": \"get\", \"args\": {\"knob\": \"numvfs\","
			" \"object\": \"" PF "\"}}");
	assert_string_equal(json_string_value(json_object_get(get, "value")), "1");
	nics = result_of("{\"id\": 7, \"op\": \"nics\", \"args\": {}}");
	assert_int_equal(json_array_size(json_object_get(nics, "nics")), 2);
	assert_int_equal(json_array_size(json_object_get(nics, "links")), 1);
	holders = result_of("{\"id\": 7, \"op\": \"holders\"}");
	assert_true(json_is_array(holders));
	queues = result_of(
		"{\"id\": 7, \"op\": \"queues\", \"args\": {\"interfaces\": [\"nosuch0\"]}}");
	assert_true(json_is_array(json_object_get(queues, "users")));
	assert_int_equal(json_object_size(json_object_get(queues, "masters")), 0);
	vfs = result_of("{\"id\": 7, \"op\": \"vfs\", \"args\": {\"pf\": \"" PF "\"}}");
	assert_int_equal(json_array_size(vfs), 1);
	/* Already so: a set that has nothing to write. */
	set = result_of("{\"id\": 7, \"op\": \"set\", \"args\": {\"knob\": \"numvfs\","
			" \"object\": \"" PF "\", \"value\": \"1\"}}");
	assert_string_equal(json_string_value(json_object_get(set, "value")), "1");
}

static void test_refusals(void **state)
{
	(void)state;
	assert_refused(t.dir, "{\"id\": 7, \"op\": \"fly\"}", -EINVAL, "fly");
	assert_refused(t.dir, "{\"id\": 7}", -EINVAL, "op");
	assert_refused(t.dir, "{\"id\": 7, \"op\": \"get\"}", -EINVAL, "knob");
	assert_refused(
		t.dir,
		"{\"id\": 7, \"op\": \"get\", \"args\": {\"knob\": \"x\", \"object\": \"y\"}}",
		-ENOENT, "no knob x");
	assert_refused(t.dir, "{\"id\": 7, \"op\": \"vfs\", \"args\": {\"pf\": \"x\"}}", -EINVAL,
		       "PCI address");
	assert_refused(t.dir,
		       "{\"id\": 7, \"op\": \"open\", \"args\": {\"what\": [{\"role\": \"vhost\","
		       " \"how\": \"vhost\"}]}}",
		       -EROFS, "/dev/vhost-net");
	assert_refused("/nonexistent", "{\"id\": 7, \"op\": \"nics\"}", -ENOENT, "/nonexistent");
}

static void test_error_says_where(void **state)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *error;

	(void)state;
	answer = ask(t.dir, "{\"id\": 7, \"op\": \"set\", \"args\": {\"knob\": \"autoprobe\","
			    " \"object\": \"" PF "\", \"value\": \"0\"}}");
	error = json_object_get(answer, "error");
	assert_int_equal(json_integer_value(json_object_get(error, "code")), -EROFS);
	assert_string_equal(json_string_value(json_object_get(error, "knob")), "autoprobe");
	assert_string_equal(json_string_value(json_object_get(error, "object")), PF);
}

/* As many as it says; none with an error, though some were open already. */
static void test_open(void **state)
{
	const char *const options[] = { "--tap", NULL };
	static const char request[] =
		"{\"id\": 7, \"op\": \"open\", \"args\": {\"what\": [{\"role\": \"tap\","
		" \"how\": \"tap\", \"name\": \"tap0\"}, {\"role\": \"vhost\", \"how\":"
		" \"vhost\"}]}}";
	_cleanup_json_ json_t *answer = NULL, *refused = NULL;
	char dir[64];

	(void)state;
	fake_host_new(dir, options);
	answer = ask_fds(dir, request, 2);
	assert_int_equal(json_array_size(json_object_get(json_object_get(answer, "result"), "fds")),
			 2);
	fake_host_put(dir, "fail", "open:/dev/vhost-net EACCES");
	refused = ask_fds(dir, request, 0);
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(refused, "error"), "code")),
			 -EACCES);
	fake_host_free(dir);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_ops),
		CASE(test_refusals),
		CASE(test_error_says_where),
		CASE(test_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
