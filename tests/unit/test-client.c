/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calling side against a daemon that is a child process following a script. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/client.h"
#include "lib/json.h"

#define LIMIT_MS 10000 /* no test waits so long unless it fails */

struct place {
	char dir[32], path[64];
	int listener;
	pid_t daemon;
};

/* What the daemon does with one call. */
struct step {
	const char *wanted; /* the call, byte for byte; NULL: read none */
	const char *reply;  /* NULL: say nothing and wait to be killed; "": close */
	unsigned n_fds;
};

static int enter(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/test-client-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/socket", p->dir);
	strcpy(addr.sun_path, p->path);
	p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(p->listener, 4), 0);
	*state = p;
	return 0;
}

static int leave(void **state)
{
	struct place *p = *state;

	if (p->daemon > 0) {
		kill(p->daemon, SIGKILL);
		waitpid(p->daemon, NULL, 0);
	}
	close_fd(p->listener);
	unlink(p->path);
	rmdir(p->dir);
	free(p);
	return 0;
}

static void answer(int fd, const struct step *s)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int) * 4)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)s->reply, .iov_len = strlen(s->reply) + 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (s->n_fds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * s->n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * s->n_fds);
		for (unsigned i = 0; i < s->n_fds; i++)
			((int *)(void *)CMSG_DATA(&control.header))[i] =
				memfd_create("n", MFD_CLOEXEC);
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) != (ssize_t)iov.iov_len)
		_exit(3);
}

/* The child: exits with 0 only after a call that was not the wanted one never came. */
static void play(int listener, const struct step *steps, size_t n)
{
	int fd = accept(listener, NULL, NULL);
	char buf[4096];

	for (size_t i = 0; i < n; i++) {
		size_t len = 0;

		while (steps[i].wanted && (len == 0 || buf[len - 1])) {
			ssize_t got = read(fd, buf + len, sizeof(buf) - len);

			if (got <= 0)
				_exit(1);
			len += (size_t)got;
		}
		if (steps[i].wanted && strcmp(buf, steps[i].wanted) != 0)
			_exit(2);
		while (!steps[i].reply)
			pause();
		if (!*steps[i].reply)
			_exit(0);
		answer(fd, &steps[i]);
	}
	_exit(0);
}

static struct client *start(struct place *p, const struct step *steps, size_t n)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct client *c = NULL;

	p->daemon = fork();
	assert_true(p->daemon >= 0);
	if (p->daemon == 0)
		play(p->listener, steps, n);
	if (client_connect(&c, p->path, &err) < 0)
		fail_msg("%s", err.text);
	return c;
}

/* The daemon has seen exactly what its script wants. */
static void expect_content(struct place *p)
{
	int status;

	assert_int_equal(waitpid(p->daemon, &status, 0), p->daemon);
	p->daemon = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- connecting ----------------------------------------------------------------------- */

static void expect_unreachable(const char *path, int code, const char *word, const char *remedy)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct client *c = NULL;

	assert_int_equal(client_connect(&c, path, &err), code);
	assert_null(c);
	assert_int_equal(err.name, VNET_E_UNREACHABLE);
	assert_int_equal(vnet_err_exit_code(err.name), 3);
	assert_non_null(strstr(err.text, path ? path : VNETD_SOCKET));
	assert_non_null(strstr(err.text, word));
	assert_non_null(strstr(err.text, remedy));
}

static void test_nobody_listens(void **state)
{
	struct place *p = *state;

	p->listener = close_fd(p->listener);
	expect_unreachable(p->path, -ECONNREFUSED, "Connection refused", "start vnetd");
	unlink(p->path);
	expect_unreachable(p->path, -ENOENT, "No such file or directory", "start vnetd");
}

static void test_the_usual_socket(void **state)
{
	(void)state;
	if (access(VNETD_SOCKET, F_OK) == 0)
		skip();
	expect_unreachable(NULL, -ENOENT, "No such file", "systemctl start vnetd.socket");
	expect_unreachable(VNETD_SOCKET, -ENOENT, "No such file", "systemctl start vnetd.socket");
}

static void test_not_let_in(void **state)
{
	struct place *p = *state;
	uid_t me = geteuid();

	assert_int_equal(chmod(p->dir, 0), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	expect_unreachable(p->path, -EACCES, "Permission denied", "permissions");
	assert_int_equal(seteuid(me), 0);
	assert_int_equal(chmod(p->dir, 0700), 0);
}

static void test_impossible_paths(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct client *c = NULL;
	char longest[109];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[108] = '\0';
	assert_int_equal(client_connect(&c, longest, &err), -ENAMETOOLONG);
	assert_int_equal(err.name, VNET_E_INVALID);
	longest[107] = '\0';
	expect_unreachable(longest, -ENOENT, "No such file", "start vnetd");
	assert_int_equal(client_connect(&c, "", &err), -ENAMETOOLONG);
	assert_null(c);
	assert_null(client_free(NULL));
}

/* ---- calls and replies ---------------------------------------------------------------- */

static void test_call(void **state)
{
	static const struct step steps[] = {
		{ "{\"method\":\"io.vnetd.Show\",\"parameters\":{\"guest\":\"vm1\"}}",
		  "{\"parameters\":{\"n\":1}}", 0 },
		{ "{\"method\":\"io.vnetd.List\"}", "{}", 0 },
		{ "{\"method\":\"io.vnetd.List\"}", "{\"parameters\":{\"n\":3}}", 0 },
	};
	_cleanup_json_ json_t *in = json_pack("{s:s}", "guest", "vm1"), *one = NULL, *two = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	struct client *c = start(p, steps, ARRAY_SIZE(steps));

	assert_int_equal(client_call(c, "io.vnetd.Show", in, LIMIT_MS, &one, NULL, &err), 0);
	assert_int_equal(json_integer_value(json_object_get(one, "n")), 1);
	assert_int_equal(in->refcount, 1);
	assert_int_equal(client_call(c, "io.vnetd.List", NULL, LIMIT_MS, &two, NULL, &err), 0);
	assert_true(json_is_object(two));
	assert_int_equal(json_object_size(two), 0);
	assert_int_equal(client_call(c, "io.vnetd.List", NULL, -1, NULL, NULL, &err), 0);
	assert_int_equal(err.code, 0);
	client_free(c);
	expect_content(p);
}

static void test_descriptors(void **state)
{
	static const struct step steps[] = {
		{ "{\"method\":\"io.vnetd.A\"}", "{}", 2 },
		{ "{\"method\":\"io.vnetd.B\"}", "{}", 1 },
		{ "{\"method\":\"io.vnetd.C\"}", "{\"error\":\"io.vnetd.Busy\"}", 1 },
	};
	struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	struct client *c = start(p, steps, ARRAY_SIZE(steps));
	int next, after;

	assert_int_equal(client_call(c, "io.vnetd.A", NULL, LIMIT_MS, NULL, &fds, &err), 0);
	assert_int_equal(fds.n, 2);
	assert_true(fcntl(fds.fd[1], F_GETFD) & FD_CLOEXEC);
	vnet_fds_done(&fds);
	/* Nobody wanted them: the numbers are free again. */
	next = dup(0);
	close_fd(next);
	assert_int_equal(client_call(c, "io.vnetd.B", NULL, LIMIT_MS, NULL, NULL, &err), 0);
	assert_int_equal(client_call(c, "io.vnetd.C", NULL, LIMIT_MS, NULL, &fds, &err), -EIO);
	assert_int_equal(fds.n, 0);
	after = dup(0);
	close_fd(after);
	assert_int_equal(after, next);
	client_free(c);
	expect_content(p);
}

/* ---- refusals ------------------------------------------------------------------------- */

struct refusal {
	const char *reply;
	int code;
	enum vnet_err_name name;
	const char *knob, *object, *text;
};

static const struct refusal refusals[] = {
	{ "{\"error\":\"io.vnetd.InUse\",\"parameters\":{\"text\":\"VF 3 is held by qemu (pid 7)\","
	  "\"errno\":16,\"knob\":\"driver\",\"object\":\"0000:65:00.4\",\"verdicts\":[]}}",
	  -EBUSY, VNET_E_IN_USE, "driver", "0000:65:00.4", "VF 3 is held by qemu (pid 7)" },
	{ "{\"error\":\"io.vnetd.Denied\",\"parameters\":{\"text\":\"no\",\"errno\":-13,"
	  "\"knob\":null,\"object\":null}}",
	  -EACCES, VNET_E_DENIED, "", "", "no" },
	{ "{\"error\":\"io.vnetd.NothingServes\",\"parameters\":{\"text\":\"100% %n taken\"}}",
	  -EIO, VNET_E_NOTHING_SERVES, "", "", "100% %n taken" },
	{ "{\"error\":\"io.vnetd.Failed\",\"parameters\":{\"text\":\"x\",\"errno\":0}}", -EIO,
	  VNET_E_FAILED, "", "", "x" },
	{ "{\"error\":\"io.vnetd.Failed\",\"parameters\":{\"text\":\"x\",\"errno\":99999}}", -EIO,
	  VNET_E_FAILED, "", "", "x" },
	{ "{\"error\":\"io.vnetd.Failed\",\"parameters\":{\"text\":\"x\",\"errno\":\"EBUSY\"}}",
	  -EIO, VNET_E_FAILED, "", "", "x" },
	{ "{\"error\":\"io.vnetd.Failed\",\"parameters\":{\"text\":[1],\"knob\":{},\"object\":3}}",
	  -EIO, VNET_E_FAILED, "", "", "io.vnetd.Failed" },
	{ "{\"error\":\"io.vnetd.FromTheFuture\",\"parameters\":{\"text\":\"new\",\"errno\":5}}",
	  -EIO, VNET_E_FAILED, "", "", "new" },
	{ "{\"error\":\"io.vnetd.Busy\"}", -EIO, VNET_E_BUSY, "", "", "io.vnetd.Busy" },
	{ "{\"error\":\"io.vnetd.Busy\",\"parameters\":[1]}", -EIO, VNET_E_BUSY, "", "",
	  "io.vnetd.Busy" },
	{ "{\"error\":\"com.example.Odd\",\"parameters\":{\"text\":\"x\"}}", -EIO, VNET_E_FAILED,
	  "", "", "vnetd answered com.example.Odd" },
	{ "{\"error\":7}", -EIO, VNET_E_FAILED, "", "", "no name" },
	{ "{\"error\":null}", -EIO, VNET_E_FAILED, "", "", "no name" },
	{ "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":"
	  "{\"parameter\":\"guest\"}}",
	  -EINVAL, VNET_E_INVALID, "", "guest", "parameter \"guest\"" },
	{ "{\"error\":\"org.varlink.service.InvalidParameter\"}", -EINVAL, VNET_E_INVALID, "", "",
	  "parameter" },
	{ "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":"
	  "{\"method\":\"io.vnetd.New\"}}",
	  -ENOSYS, VNET_E_FAILED, "", "io.vnetd.New", "does not know the method io.vnetd.New" },
	{ "{\"error\":\"org.varlink.service.MethodNotImplemented\",\"parameters\":"
	  "{\"method\":\"io.vnetd.Old\"}}",
	  -ENOSYS, VNET_E_FAILED, "", "io.vnetd.Old", "io.vnetd.Old" },
	{ "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":"
	  "{\"interface\":\"io.vnetd\"}}",
	  -ENOSYS, VNET_E_FAILED, "", "io.vnetd", "no interface io.vnetd" },
	{ "{\"error\":\"org.varlink.service.PermissionDenied\"}", -EACCES, VNET_E_DENIED, "", "",
	  "not permit" },
	{ "{\"error\":\"org.varlink.service.ExpectedMore\"}", -EPROTO, VNET_E_FAILED, "", "",
	  "more than once" },
};

static void test_refusals(void **state)
{
	static struct step steps[ARRAY_SIZE(refusals) + 1];
	struct place *p = *state;
	struct client *c;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		steps[i] = (struct step){ "{\"method\":\"io.vnetd.A\"}", refusals[i].reply, 0 };
	steps[ARRAY_SIZE(refusals)] = (struct step){ "{\"method\":\"io.vnetd.A\"}", "{}", 0 };
	c = start(p, steps, ARRAY_SIZE(steps));
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refusal *want = &refusals[i];
		struct vnet_err err = VNET_ERR_INIT;
		_cleanup_json_ json_t *out = NULL;

		assert_int_equal(client_call(c, "io.vnetd.A", NULL, LIMIT_MS, &out, NULL, &err),
				 want->code);
		assert_int_equal(err.code, want->code);
		assert_int_equal(err.name, want->name);
		assert_string_equal(err.knob, want->knob);
		assert_string_equal(err.object, want->object);
		if (!strstr(err.text, want->text))
			fail_msg("%s: \"%s\"", want->reply, err.text);
		assert_true(json_is_object(out));
		assert_int_equal(json_is_array(json_object_get(out, "verdicts")), i == 0);
	}
	/* A refusal is an answer: the connection goes on. */
	assert_int_equal(client_call(c, "io.vnetd.A", NULL, LIMIT_MS, NULL, NULL, NULL), 0);
	client_free(c);
	expect_content(p);
}

/* ---- no answer ------------------------------------------------------------------------ */

/* The call fails so, and the one after it does not take a late answer for its own. */
static void expect_lost(struct client *c, int timeout_ms, int code, enum vnet_err_name name,
			const char *word)
{
	struct vnet_err err = VNET_ERR_INIT;
	json_t *out = NULL;

	assert_int_equal(client_call(c, "io.vnetd.A", NULL, timeout_ms, &out, NULL, &err), code);
	assert_int_equal(err.code, code);
	assert_int_equal(err.name, name);
	assert_non_null(strstr(err.text, "io.vnetd.A: "));
	if (!strstr(err.text, word))
		fail_msg("\"%s\" lacks \"%s\"", err.text, word);
	assert_int_equal(client_call(c, "io.vnetd.B", NULL, LIMIT_MS, &out, NULL, &err), -ENOTCONN);
	assert_int_equal(err.name, VNET_E_UNREACHABLE);
	assert_null(out);
	client_free(c);
}

static void test_no_answer_in_time(void **state)
{
	static const struct step steps[] = { { "{\"method\":\"io.vnetd.A\"}", NULL, 0 } };

	expect_lost(start(*state, steps, 1), 100, -ETIMEDOUT, VNET_E_UNREACHABLE, "in time");
}

static void test_closed_before_the_answer(void **state)
{
	static const struct step steps[] = { { "{\"method\":\"io.vnetd.A\"}", "", 0 } };

	expect_lost(start(*state, steps, 1), -1, -EPIPE, VNET_E_UNREACHABLE, "closed");
}

static void test_garbage_for_an_answer(void **state)
{
	static const struct step steps[] = { { "{\"method\":\"io.vnetd.A\"}", "{]", 0 } };

	expect_lost(start(*state, steps, 1), LIMIT_MS, -EBADMSG, VNET_E_INVALID, "not JSON");
}

static void test_more_answers_than_asked_for(void **state)
{
	static const struct step steps[] = { { "{\"method\":\"io.vnetd.A\"}",
					       "{\"continues\":true,\"parameters\":{}}", 0 } };

	expect_lost(start(*state, steps, 1), LIMIT_MS, -EPROTO, VNET_E_FAILED, "more answers");
}

/* Refused before the whole call was read, as the daemon does with too long a one. */
static void test_refused_while_still_sending(void **state)
{
	static const struct step steps[] = { { NULL,
					       "{\"error\":\"io.vnetd.Limit\",\"parameters\":"
					       "{\"text\":\"too long\",\"errno\":90}}",
					       0 } };
	_cleanup_free_ char *text = calloc(1, 2 * 1024 * 1024);
	_cleanup_json_ json_t *in = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct client *c;

	memset(text, 'x', 2 * 1024 * 1024 - 1);
	in = json_pack("{s:s}", "guest", text);
	c = start(*state, steps, 1);
	assert_int_equal(client_call(c, "io.vnetd.A", in, LIMIT_MS, NULL, NULL, &err), -EMSGSIZE);
	assert_int_equal(err.name, VNET_E_LIMIT);
	assert_string_equal(err.text, "too long");
	client_free(c);
}

/* A daemon that stands still reads nothing either: sending is bounded too. */
static void test_a_call_that_is_not_read(void **state)
{
	static const struct step steps[] = { { NULL, NULL, 0 } };
	_cleanup_free_ char *text = calloc(1, 2 * 1024 * 1024);
	_cleanup_json_ json_t *in = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct client *c;

	memset(text, 'x', 2 * 1024 * 1024 - 1);
	in = json_pack("{s:s}", "guest", text);
	c = start(*state, steps, 1);
	assert_int_equal(client_call(c, "io.vnetd.A", in, 100, NULL, NULL, &err), -ETIMEDOUT);
	client_free(c);
}

int main(void)
{
#define at_place(f) cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		at_place(test_nobody_listens),
		cmocka_unit_test(test_the_usual_socket),
		at_place(test_not_let_in),
		cmocka_unit_test(test_impossible_paths),
		at_place(test_call),
		at_place(test_descriptors),
		at_place(test_refusals),
		at_place(test_no_answer_in_time),
		at_place(test_closed_before_the_answer),
		at_place(test_garbage_for_an_answer),
		at_place(test_more_answers_than_asked_for),
		at_place(test_refused_while_still_sending),
		at_place(test_a_call_that_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
