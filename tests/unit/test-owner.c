/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who a process is, that its end is told, and that another with its pid is not taken for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/owner.h"
#include "lib/cleanup.h"
#include "lib/json.h"

static uint64_t now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct child {
	pid_t pid;
	int fd;	       /* our end of a connection that it made */
	uint64_t when; /* of that */
	char dir[32];
};

static void child_end(const struct child *c)
{
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
}

/* A process of that name, which connects to us and waits. */
static struct child child_new(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct child c = { .dir = "/tmp/test-owner-XXXXXX" };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_non_null(mkdtemp(c.dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", c.dir);
	assert_int_equal(bind(listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listening, 1), 0);
	c.pid = fork();
	if (c.pid == 0) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		prctl(PR_SET_NAME, name);
		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			pause();
		_exit(1);
	}
	c.fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	assert_true(c.fd >= 0);
	c.when = now_usec();
	close(listening);
	unlink(addr.sun_path);
	rmdir(c.dir);
	return c;
}

static void count(void *user)
{
	++*(int *)user;
}

static void test_peer_and_its_end(void **state)
{
	struct child c = child_new("a) (b) 7 8");
	struct owner o = OWNER_INIT, again = OWNER_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	sd_event *event = NULL;
	int ended = 0;

	(void)state;
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(owner_of_socket(&o, c.fd, c.when, &err), 0);
	assert_int_equal(o.pid, c.pid);
	assert_string_equal(o.comm, "a) (b) 7 8");
	assert_true(o.start_time > 0);
	assert_true(owner_alive(&o));
	assert_int_equal(owner_watch(&o, event, count, &ended, &err), 0);
	assert_int_equal(sd_event_run(event, 0), 0);
	/* A daemon that starts again finds it; one with another start time is another. */
	assert_int_equal(owner_reopen(&again, o.pid, o.start_time, &err), 0);
	owner_done(&again);
	assert_int_equal(owner_reopen(&again, o.pid, o.start_time + 1, &err), -ESRCH);
	assert_int_equal(again.pidfd, -1);

	child_end(&c);
	assert_false(owner_alive(&o));
	for (int i = 0; i < 3; i++)
		sd_event_run(event, 10000);
	assert_int_equal(ended, 1);
	assert_int_equal(owner_reopen(&again, o.pid, o.start_time, &err), -ESRCH);
	assert_non_null(strstr(err.text, "ended"));
	assert_int_equal(owner_of_socket(&again, c.fd, c.when, &err), -ESRCH);
	assert_int_equal(owner_raise_memlock(&o, 1, &err), -ESRCH);
	owner_done(&o);
	owner_done(&o);
	sd_event_unref(event);
	close(c.fd);
}

/* A zombie has ended, though its pid is taken. */
static void test_zombie(void **state)
{
	struct child c = child_new("zombie");
	struct owner o = OWNER_INIT, again = OWNER_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	siginfo_t si;

	(void)state;
	assert_int_equal(owner_of_socket(&o, c.fd, c.when, &err), 0);
	kill(c.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)c.pid, &si, WEXITED | WNOWAIT), 0);
	assert_false(owner_alive(&o));
	assert_int_equal(owner_reopen(&again, o.pid, o.start_time, &err), -ESRCH);
	owner_done(&o);
	child_end(&c);
	close(c.fd);
}

static void test_json(void **state)
{
	struct child c = child_new("qemu");
	_cleanup_json_ json_t *j = NULL;
	struct owner o = OWNER_INIT, read = OWNER_INIT, again = OWNER_INIT;
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(owner_of_socket(&o, c.fd, c.when, &err), 0);
	j = owner_to_json(&o);
	assert_int_equal(owner_from_json(j, &read, &err), 0);
	assert_int_equal(read.pidfd, -1);
	assert_string_equal(read.comm, "qemu");
	assert_int_equal(owner_reopen(&again, read.pid, read.start_time, &err), 0);
	json_object_set_new(j, "pid", json_integer(-1));
	assert_int_equal(owner_from_json(j, &read, &err), -EINVAL);
	json_object_del(j, "pid");
	assert_int_equal(owner_from_json(j, &read, &err), -EINVAL);
	owner_done(&again);
	owner_done(&o);
	child_end(&c);
	close(c.fd);
}

static rlim_t memlock(pid_t pid)
{
	struct rlimit l;

	assert_int_equal(prlimit(pid, RLIMIT_MEMLOCK, NULL, &l), 0);
	return l.rlim_cur;
}

static void test_memlock(void **state)
{
	struct rlimit low = { 65536, 65536 };
	struct child c = child_new("qemu");
	struct owner o = OWNER_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	int r;

	(void)state;
	assert_int_equal(owner_of_socket(&o, c.fd, c.when, &err), 0);
	assert_int_equal(prlimit(c.pid, RLIMIT_MEMLOCK, &low, NULL), 0);
	r = owner_raise_memlock(&o, 4u << 20, &err);
	if (r < 0) { /* not root */
		assert_int_equal(r, -EPERM);
		assert_non_null(strstr(err.text, "CAP_SYS_RESOURCE"));
	} else {
		assert_int_equal(memlock(c.pid), 4u << 20);
		/* never less */
		assert_int_equal(owner_raise_memlock(&o, 1u << 20, &err), 0);
		assert_int_equal(memlock(c.pid), 4u << 20);
		assert_int_equal(owner_raise_memlock(&o, OWNER_MEMLOCK_ALL, &err), 0);
		assert_true(memlock(c.pid) == RLIM_INFINITY);
		assert_int_equal(owner_raise_memlock(&o, 1u << 20, &err), 0);
		assert_true(memlock(c.pid) == RLIM_INFINITY);
	}
	owner_done(&o);
	child_end(&c);
	close(c.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_and_its_end),
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_memlock),
	};

	return cmocka_run_group_tests_name("owner", tests, NULL, NULL);
}
