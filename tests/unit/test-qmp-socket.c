/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A NIC that another process serves at a socket, into a QEMU and out again: on a scripted one
 * with a failure at each command, and with nobody at the socket; and what is asked of QEMU's
 * memory before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/qmp-nic.h"
#include "lib/cleanup.h"
#include "tests/unit/qmp-server.h"

struct fixture {
	sd_event *event;
	struct qmp *q;
	struct qmp_server s;
	int done, last, shared;
	struct vnet_err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_true(sd_event_new(&f->event) >= 0);
	f->s.fail_at = -1;
	f->s.fd = -1;
	*state = f;
	return 0;
}

static void stop(struct fixture *f)
{
	f->q = qmp_free(f->q);
	qmp_server_stop(&f->s);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	stop(f);
	sd_event_unref(f->event);
	free(f);
	return 0;
}

static void done(void *user, int r, struct vnet_err *err)
{
	struct fixture *f = user;

	f->done++;
	f->last = r;
	f->err = *err;
}

static void memory(void *user, int r, int shared, struct vnet_err *err)
{
	((struct fixture *)user)->shared = shared;
	done(user, r, err);
}

static int wait_done(struct fixture *f)
{
	for (int i = 0; i < 300 && !f->done; i++)
		sd_event_run(f->event, 100000);
	assert_int_equal(f->done, 1);
	f->done = 0;
	return f->last;
}

static void begin(struct fixture *f, bool listens, unsigned queues)
{
	struct qmp_nic nic = { .name = "net0",
			       .mac = { { 0x52, 0x54, 0, 1, 2, 3 } },
			       .socket = "/run/p0",
			       .listens = listens,
			       .queues = queues };
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_fds fds = VNET_FDS_INIT;

	assert_int_equal(qmp_nic_attach(f->q, f->event, &nic, NULL, &fds, done, f, &err), 0);
}

static int attach(struct fixture *f, bool listens, unsigned queues)
{
	begin(f, listens, queues);
	return wait_done(f);
}

static int detach(struct fixture *f)
{
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(qmp_nic_detach(f->q, f->event, "net0", done, f, &err), 0);
	return wait_done(f);
}

static void told(const struct fixture *f, const char *text)
{
	for (unsigned i = 0; i < f->s.n_log; i++) {
		if (strcmp(f->s.log[i], text) == 0)
			return;
	}
	fail_msg("it was not told: %s", text);
}

static void test_socket(void **state)
{
	struct fixture *f = *state;

	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(attach(f, false, 1), 0);
	assert_string_equal(qmp_server_commands(&f->s),
			    "chardev-add query-chardev netdev_add query-pci device_add");
	told(f, "chardev-add {\"backend\":{\"data\":{\"addr\":{\"data\":{\"path\":"
		"\"/run/p0\"},\"type\":\"unix\"},\"server\":false},\"type\":\"socket\"},"
		"\"id\":\"vnetd-net0\"}");
	told(f, "netdev_add {\"chardev\":\"vnetd-net0\",\"id\":\"vnetd-net0\","
		"\"type\":\"vhost-user\"}");
	assert_int_equal(f->s.n_things, 3);
	assert_int_equal(detach(f), 0);
	assert_int_equal(f->s.n_things, 0);
	f->s.n_log = 0;
	f->s.alone = 2; /* who is to come comes at the third look */
	assert_int_equal(attach(f, true, 2), 0);
	assert_string_equal(qmp_server_commands(&f->s),
			    "chardev-add query-chardev query-chardev query-chardev netdev_add "
			    "query-pci device_add");
	told(f, "chardev-add {\"backend\":{\"data\":{\"addr\":{\"data\":{\"path\":"
		"\"/run/p0\"},\"type\":\"unix\"},\"server\":true,\"wait\":false},\"type\":"
		"\"socket\"},\"id\":\"vnetd-net0\"}");
	told(f, "netdev_add {\"chardev\":\"vnetd-net0\",\"id\":\"vnetd-net0\","
		"\"queues\":2,\"type\":\"vhost-user\"}");
	told(f, "device_add {\"bus\":\"rp1\",\"driver\":\"virtio-net-pci\",\"id\":"
		"\"vnetd-net0\",\"mac\":\"52:54:00:01:02:03\",\"mq\":true,\"netdev\":"
		"\"vnetd-net0\",\"vectors\":6}");
}

static void test_socket_failures(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		memset(&f->s, 0, sizeof(f->s));
		f->s.fail_at = i;
		qmp_server_start(&f->s, f->event, &f->q);
		assert_int_equal(attach(f, true, 1), i == 3 ? 0 : -EREMOTEIO);
		assert_int_equal(f->s.n_things, i == 3 ? 3 : 0);
		assert_true(f->err.name != VNET_E_RESIDUE);
		stop(f);
	}
}

/* It ends, or vnetd leaves it, while nobody is at the socket. */
static void test_socket_waits(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		memset(&f->s, 0, sizeof(f->s));
		f->s.fail_at = -1;
		f->s.alone = 1000;
		qmp_server_start(&f->s, f->event, &f->q);
		begin(f, true, 1);
		while (f->s.n_log < 3)
			sd_event_run(f->event, 100000);
		sd_event_run(f->event, 10000); /* its answer */
		if (i == 0)
			qmp_server_stop(&f->s);
		else
			f->q = qmp_free(f->q);
		assert_int_equal(wait_done(f), i == 0 ? -EPIPE : -ECANCELED);
		stop(f);
	}
}

static void test_memory(void **state)
{
	static const struct {
		const char *list;
		int shared;
	} cases[] = {
		{ "[{\"id\":\"pc.ram\",\"share\":false}]", 0 },
		{ "[{\"id\":\"ram\",\"share\":true}]", 1 },
		{ "[{\"id\":\"a\",\"share\":true},{\"id\":\"b\",\"share\":false}]", 0 },
		{ "[{\"id\":\"pc.ram\"}]", -1 },
		{ "[]", -1 },
		{ NULL, -1 },
	};
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;

	qmp_server_start(&f->s, f->event, &f->q);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		f->s.memory = cases[i].list;
		assert_int_equal(qmp_nic_memory(f->q, memory, f, &err), 0);
		assert_int_equal(wait_done(f), 0);
		assert_int_equal(f->shared, cases[i].shared);
	}
	f->s.fail_at = (int)f->s.n_commands; /* one that has no such command */
	assert_int_equal(qmp_nic_memory(f->q, memory, f, &err), 0);
	assert_int_equal(wait_done(f), 0);
	assert_int_equal(f->shared, -1);
	f->s.fail_at = (int)f->s.n_commands;
	f->s.close_at = true;
	assert_int_equal(qmp_nic_memory(f->q, memory, f, &err), 0);
	assert_int_equal(wait_done(f), -EPIPE);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_socket),
		CASE(test_socket_failures),
		CASE(test_socket_waits),
		CASE(test_memory),
	};

	return cmocka_run_group_tests_name("qmp-socket", tests, NULL, NULL);
}
