/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that misbehave, limits, and the socket itself. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/server-client.h"

/* ---- clients that misbehave ---- */

static void test_no_json(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "hello", "[]", "{\"method\":\"a\"", "" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = dial(f);

		say(fd, bad[i]);
		expect_error(f, fd, "io.vnetd.Invalid", NULL, NULL);
		assert_true(hung_up(fd));
		close(fd);
	}
	assert_int_equal(f->server->n_connections, 0);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	char chunk[4096];
	int fd = dial(f);
	bool ended = false;

	memset(chunk, 'x', sizeof(chunk));
	for (size_t sent = 0; sent < 2 * WIRE_MESSAGE_MAX && !ended; sent += sizeof(chunk)) {
		ended = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0;
		pump(f);
	}
	assert_true(ended);
	expect_error(f, fd, "io.vnetd.Invalid", NULL, NULL);
	assert_int_equal(f->server->n_connections, 0);
	close(fd);
}

static void test_descriptors(void **state)
{
	struct fixture *f = *state;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char text[] = "{\"method\":\"io.vnetd.List\"}", c;
	struct iovec iov = { text, sizeof(text) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&mh);
	int fd = dial(f), pipefd[2];

	assert_int_equal(pipe(pipefd), 0);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &pipefd[1], sizeof(int));
	assert_int_equal(sendmsg(fd, &mh, 0), sizeof(text));
	close(pipefd[1]);
	expect_error(f, fd, "io.vnetd.Invalid", NULL, NULL);
	assert_false(hung_up(fd));
	/* The writing end is closed everywhere. */
	assert_int_equal(read(pipefd[0], &c, 1), 0);
	close(pipefd[0]);
	close(fd);
}

static void reply_long(struct manager *m, struct call *c)
{
	char *text = calloc(1, 4u * 1024 * 1024);

	(void)m;
	n_held++;
	memset(text, 'x', 4u * 1024 * 1024 - 1);
	call_reply(c, json_pack("{s:s}", "text", text));
	free(text);
}

static void test_reader_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	struct connection *conn;
	int fd, slow;

	f->server->dispatch = reply_long;
	fd = dial(f);
	for (int i = 0; i < 10; i++)
		say_n(fd, i, "");
	pump(f);
	/* One reply is all that it costs. */
	assert_int_equal(n_held, 1);
	assert_int_equal(f->server->n_connections, 1);
	conn = f->server->connections;
	assert_int_equal(sd_event_source_get_enabled(conn->patience, NULL), 1);
	assert_true(sd_event_source_set_time(conn->patience, 0) >= 0);
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
	close(fd);

	/* One that reads is waited for. */
	slow = dial(f);
	say_n(slow, 1, "");
	json_decref(hear(f, slow));
	assert_int_equal(f->server->n_connections, 1);
	close(slow);
}

/* ---- descriptors in a reply ---- */

static int handed; /* the reading end of the pipe whose writing end was handed on */

static void reply_with_a_pipe(struct manager *m, struct call *c)
{
	struct vnet_fds fds = VNET_FDS_INIT;
	int p[2];

	(void)m;
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	handed = p[0];
	vnet_fds_add(&fds, p[1]);
	call_done_fds(c, 0, json_object(), &fds, NULL);
}

/* Has somebody the writing end open still? */
static bool is_open(void)
{
	char c;

	return read(handed, &c, 1) < 0 && errno == EAGAIN;
}

static void test_reply_with_descriptors(void **state)
{
	struct fixture *f = *state;
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control;
	char text[256];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	int fd = dial(f), got;

	f->server->dispatch = reply_with_a_pipe;
	say_n(fd, 1, "");
	pump(f);
	assert_true(recvmsg(fd, &mh, MSG_DONTWAIT) > 0);
	assert_non_null(CMSG_FIRSTHDR(&mh));
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(got));
	assert_true(is_open());
	close(got); /* the only one there is */
	assert_false(is_open());
	close(handed);

	/* With nobody to hear it none is kept. */
	say_n(fd, 2, ",\"oneway\":true");
	pump(f);
	assert_false(is_open());
	close(handed);
	say_n(fd, 3, "");
	close(fd);
	pump(f);
	assert_false(is_open());
	close(handed);
}

/* Its socket is full before the reply begins. */
static void test_descriptors_do_not_wait_long(void **state)
{
	struct fixture *f = *state;
	struct connection *conn;
	uint64_t now = 0, until = 0;
	char junk[65536];
	int fd = dial(f);

	pump(f);
	conn = f->server->connections;
	memset(junk, 'x', sizeof(junk));
	while (send(wire_fd(conn->wire), junk, sizeof(junk), MSG_DONTWAIT) > 0 ||
	       send(wire_fd(conn->wire), junk, 1, MSG_DONTWAIT) > 0)
		;
	f->server->dispatch = reply_with_a_pipe;
	say_n(fd, 1, "");
	pump(f);
	assert_true(is_open());
	assert_int_equal(sd_event_source_get_enabled(conn->patience, NULL), 1);
	assert_true(sd_event_now(f->event, CLOCK_MONOTONIC, &now) >= 0);
	assert_true(sd_event_source_get_time(conn->patience, &until) >= 0);
	assert_true(until <= now + READER_PATIENCE_FDS_USEC);
	assert_true(sd_event_source_set_time(conn->patience, 0) >= 0);
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
	assert_false(is_open());
	close(handed);
	close(fd);
}

/* ---- limits ---- */

static void test_connection_limit(void **state)
{
	struct fixture *f = *state;
	unsigned max = geteuid() == 0 ? CONNECTIONS_MAX : CONNECTIONS_PER_UID;
	int *fds = calloc(max, sizeof(*fds)), fd;

	for (unsigned i = 0; i < max; i++) {
		fds[i] = dial(f);
		pump(f);
	}
	assert_int_equal(f->server->n_connections, max);
	for (int i = 0; i < 20; i++) {
		fd = dial(f);
		expect_error(f, fd, "io.vnetd.Limit", NULL, NULL);
		assert_true(hung_up(fd));
		close(fd);
	}
	assert_int_equal(f->server->n_connections, max);
	/* Those that are in are served, and a place that is left is given out again. */
	say(fds[0], "{\"method\":\"org.varlink.service.GetInfo\"}");
	json_decref(hear(f, fds[0]));
	close(fds[1]);
	fds[1] = dial(f);
	say(fds[1], "{\"method\":\"org.varlink.service.GetInfo\"}");
	json_decref(hear(f, fds[1]));
	for (unsigned i = 0; i < max; i++)
		close(fds[i]);
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
	assert_null(f->server->accounts);
	free(fds);
}

static void test_places_for_root(void **state)
{
	struct fixture *f = *state;
	struct account other = { .uid = 4242 };
	int fd;

	/* As if others had taken all that users get. */
	f->server->accounts = &other;
	f->server->n_connections = CONNECTIONS_MAX - CONNECTIONS_FOR_ROOT;
	fd = dial(f);
	pump(f);
	if (geteuid() == 0)
		assert_true(silent(fd));
	else
		expect_error(f, fd, "io.vnetd.Limit", NULL, NULL);
	close(fd);
	pump(f);
	f->server->n_connections -= CONNECTIONS_MAX - CONNECTIONS_FOR_ROOT;
	assert_int_equal(f->server->n_connections, 0);
	f->server->accounts = NULL;
}

static void test_call_limit(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);

	f->server->dispatch = hold_call;
	pump(f);
	f->server->accounts->n_calls = CALLS_PER_UID;
	say_n(fd, 1, "");
	expect_error(f, fd, "io.vnetd.Limit", NULL, NULL);
	f->server->accounts->n_calls--;
	say_n(fd, 2, "");
	pump(f);
	end_held();
	expect_n(f, fd, 2);
	close(fd);
}

static void test_ten_thousand(void **state)
{
	struct fixture *f = *state;
	int fds[50];

	for (int i = 0; i < 10000 / 50; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(fds); k++) {
			fds[k] = dial(f);
			if (k % 3 == 0)
				say(fds[k], "{\"method\":\"org.varlink.service.GetInfo\"}");
		}
		if (i % 2)
			pump(f);
		for (size_t k = 0; k < ARRAY_SIZE(fds); k++)
			close(fds[k]);
	}
	pump(f);
	assert_int_equal(f->server->n_connections, 0);
}

/* ---- the socket ---- */

static void test_socket(void **state)
{
	struct fixture *f = *state;
	struct server *second = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct stat st;
	int fd;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	/* a live one is refused */
	assert_int_equal(server_new(&second, f->event, NULL, f->path, &err), -EADDRINUSE);
	assert_null(second);
	f->server = server_free(f->server);
	assert_int_equal(access(f->path, F_OK), -1);
	/* what is no socket is left alone */
	fd = open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(server_new(&second, f->event, NULL, f->path, &err), -EEXIST);
	assert_int_equal(unlink(f->path), 0);
	/* a stale one is replaced */
	assert_int_equal(server_new(&f->server, f->event, NULL, f->path, &err), 0);
	f->server->ino++; /* so that it thinks it has a successor, and leaves the socket */
	f->server = server_free(f->server);
	assert_int_equal(access(f->path, F_OK), 0);
	assert_int_equal(server_new(&f->server, f->event, NULL, f->path, &err), 0);
	fd = dial(f);
	say(fd, "{\"method\":\"org.varlink.service.GetInfo\"}");
	json_decref(hear(f, fd));
	close(fd);
}

static void test_path_too_long(void **state)
{
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;
	struct server *s = NULL;
	char path[200];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(server_new(&s, f->event, NULL, path, &err), -ENAMETOOLONG);
	assert_int_equal(server_new(&s, f->event, NULL, "/nowhere/at/all", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/at/all"));
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVER_TEST(test_no_json),
		SERVER_TEST(test_too_long),
		SERVER_TEST(test_descriptors),
		SERVER_TEST(test_reader_that_does_not_read),
		SERVER_TEST(test_reply_with_descriptors),
		SERVER_TEST(test_descriptors_do_not_wait_long),
		SERVER_TEST(test_connection_limit),
		SERVER_TEST(test_places_for_root),
		SERVER_TEST(test_call_limit),
		SERVER_TEST(test_ten_thousand),
		SERVER_TEST(test_socket),
		SERVER_TEST(test_path_too_long),
	};

	return cmocka_run_group_tests_name("server-limits", tests, NULL, NULL);
}
