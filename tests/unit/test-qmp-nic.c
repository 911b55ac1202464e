/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A NIC into a QEMU and out again: on a scripted one with a failure at each command, and on a
 * real one where there is one, with a tap in a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/owner.h"
#include "daemon/qmp-nic.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/unit/qmp-server.h"

#define SKIP 77

struct fixture {
	sd_event *event;
	struct qmp *q;
	struct qmp_server s;
	unsigned open;
	int done, last, found;
	struct vnet_err err;
};

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->open = count_fds();
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
	assert_int_equal(count_fds(), f->open);
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

static void found(void *user, int r, bool is_there, struct vnet_err *err)
{
	done(user, r, err);
	((struct fixture *)user)->found = is_there;
}

static int wait_done(struct fixture *f)
{
	for (int i = 0; i < 300 && !f->done; i++)
		sd_event_run(f->event, 100000);
	assert_int_equal(f->done, 1);
	f->done = 0;
	return f->last;
}

/* "tap tap vhost vhost" */
static json_t *roles_of(const char *words, struct vnet_fds *fds)
{
	json_t *roles = json_array();
	char text[128], *rest = text, *word;

	snprintf(text, sizeof(text), "%s", words);
	*fds = VNET_FDS_INIT;
	while ((word = strsep(&rest, " ")) && *word) {
		json_array_append_new(roles, json_string(word));
		vnet_fds_add(fds, open("/dev/null", O_RDWR | O_CLOEXEC));
	}
	return roles;
}

static struct qmp_nic nic_of(const char *host)
{
	struct qmp_nic nic = { .name = "net0", .mac = { { 0x52, 0x54, 0, 1, 2, 3 } } };

	snprintf(nic.host, sizeof(nic.host), "%s", host);
	return nic;
}

static int attach_nic(struct fixture *f, const char *words, struct qmp_nic nic)
{
	_cleanup_json_ json_t *roles = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_fds fds;

	roles = roles_of(words, &fds);
	assert_int_equal(qmp_nic_attach(f->q, f->event, &nic, roles, &fds, done, f, &err), 0);
	assert_int_equal(fds.n, 0);
	return wait_done(f);
}

static int attach(struct fixture *f, const char *words, const char *host)
{
	return attach_nic(f, words, nic_of(host));
}

static int detach(struct fixture *f)
{
	struct vnet_err err = VNET_ERR_INIT;

	assert_int_equal(qmp_nic_detach(f->q, f->event, "net0", done, f, &err), 0);
	return wait_done(f);
}

static bool told(const struct fixture *f, const char *text)
{
	for (unsigned i = 0; i < f->s.n_log; i++) {
		if (strcmp(f->s.log[i], text) == 0)
			return true;
	}
	return false;
}

static void test_tap(void **state)
{
	struct fixture *f = *state;

	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(attach(f, "tap tap vhost vhost", ""), 0);
	assert_string_equal(qmp_server_commands(&f->s),
			    "getfd getfd getfd getfd netdev_add query-pci device_add");
	assert_true(told(f, "getfd {\"fdname\":\"vnetd-net0-tap0\"}"));
	assert_true(told(f, "netdev_add {\"fds\":\"vnetd-net0-tap0:vnetd-net0-tap1\",\"id\":"
			    "\"vnetd-net0\",\"type\":\"tap\",\"vhost\":true,\"vhostfds\":"
			    "\"vnetd-net0-vhost0:vnetd-net0-vhost1\"}"));
	assert_true(told(f, "device_add {\"bus\":\"rp1\",\"driver\":\"virtio-net-pci\",\"id\":"
			    "\"vnetd-net0\",\"mac\":\"52:54:00:01:02:03\",\"mq\":true,\"netdev\":"
			    "\"vnetd-net0\",\"vectors\":6}"));
	assert_int_equal(f->s.n_things, 2);
}

static void test_one_queue(void **state)
{
	struct fixture *f = *state;

	qmp_server_start(&f->s, f->event, &f->q);
	f->s.busy_port = true;
	assert_int_equal(attach(f, "tap", ""), 0);
	assert_true(told(f, "netdev_add {\"fd\":\"vnetd-net0-tap0\",\"id\":\"vnetd-net0\",\"type\":"
			    "\"tap\",\"vhost\":false}"));
	assert_true(told(f,
			 "device_add {\"driver\":\"virtio-net-pci\",\"id\":\"vnetd-net0\",\"mac\""
			 ":\"52:54:00:01:02:03\",\"netdev\":\"vnetd-net0\"}"));
}

/* The device is the one that was asked for, and tells the guest what was. */
static void test_model(void **state)
{
	struct fixture *f = *state;
	struct qmp_nic nic = nic_of("");

	qmp_server_start(&f->s, f->event, &f->q);
	strcpy(nic.model, "e1000e");
	assert_int_equal(attach_nic(f, "tap", nic), 0);
	assert_true(told(f,
			 "device_add {\"bus\":\"rp1\",\"driver\":\"e1000e\",\"id\":\"vnetd-net0\","
			 "\"mac\":\"52:54:00:01:02:03\",\"netdev\":\"vnetd-net0\"}"));
}

static void test_mtu(void **state)
{
	struct fixture *f = *state;
	struct qmp_nic nic = nic_of("");

	qmp_server_start(&f->s, f->event, &f->q);
	nic.mtu = 9000;
	assert_int_equal(attach_nic(f, "tap", nic), 0);
	assert_true(
		told(f,
		     "device_add {\"bus\":\"rp1\",\"driver\":\"virtio-net-pci\",\"host_mtu\":9000,"
		     "\"id\":\"vnetd-net0\",\"mac\":\"52:54:00:01:02:03\",\"netdev\":"
		     "\"vnetd-net0\"}"));
}

static void test_vdpa_and_vfio(void **state)
{
	struct fixture *f = *state;

	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(attach(f, "vdpa", ""), 0);
	assert_true(told(f, "netdev_add {\"id\":\"vnetd-net0\",\"type\":\"vhost-vdpa\",\"vhostfd\":"
			    "\"vnetd-net0-vdpa0\"}"));
	f->s.n_things = 0;
	assert_int_equal(attach(f, "iommufd vfio", ""), 0);
	assert_true(told(f,
			 "object-add {\"fd\":\"vnetd-net0-iommufd0\",\"id\":\"vnetd-net0-iommufd\""
			 ",\"qom-type\":\"iommufd\"}"));
	assert_true(told(f, "device_add {\"bus\":\"rp1\",\"driver\":\"vfio-pci\",\"fd\":"
			    "\"vnetd-net0-vfio0\",\"id\":\"vnetd-net0\",\"iommufd\":"
			    "\"vnetd-net0-iommufd\"}"));
	assert_true(qmp_server_has(&f->s, "object:vnetd-net0-iommufd"));
	f->s.n_things = 0;
	assert_int_equal(attach(f, "", "0000:01:10.0"), 0);
	assert_true(told(f, "device_add {\"bus\":\"rp1\",\"driver\":\"vfio-pci\",\"host\":"
			    "\"0000:01:10.0\",\"id\":\"vnetd-net0\"}"));
}

static void test_no_network_device(void **state)
{
	static const char *const words[] = { "",	"vhost", "tap vdpa", "tap tap vhost",
					     "iommufd", "vfio",	 "sock",     "vdpa vdpa",
					     "tap vfio" };
	struct qmp_nic nic = nic_of("");
	struct fixture *f = *state;
	unsigned before;

	qmp_server_start(&f->s, f->event, &f->q);
	before = count_fds();
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct vnet_err err = VNET_ERR_INIT;
		struct vnet_fds fds;
		_cleanup_json_ json_t *roles = roles_of(words[i], &fds);

		assert_int_equal(qmp_nic_attach(f->q, f->event, &nic, roles, &fds, done, f, &err),
				 -EINVAL);
		assert_int_equal(count_fds(), before);
	}
	assert_int_equal(f->done, 0);
}

/* Whatever fails, and whether QEMU keeps the names of a command that failed or not. */
static void fail_everywhere(struct fixture *f, const char *words, unsigned n, int look_at)
{
	unsigned before = 0;

	for (unsigned i = 0; i < n * 2; i++) {
		memset(&f->s, 0, sizeof(f->s));
		f->s.fail_at = (int)(i / 2);
		f->s.keep_names = i % 2;
		qmp_server_start(&f->s, f->event, &f->q);
		if (f->s.fail_at == look_at) { /* query-pci may fail */
			assert_int_equal(attach(f, words, ""), 0);
			assert_false(told(f, "bus"));
		} else {
			assert_int_equal(attach(f, words, ""), -EREMOTEIO);
			assert_non_null(strstr(f->err.text, "QEMU refuses"));
			assert_true(f->err.name != VNET_E_RESIDUE);
			assert_int_equal(f->s.n_things, 0);
		}
		stop(f);
		before = before ? before : count_fds(); /* the event loop has its own */
		assert_int_equal(count_fds(), before);
	}
}

static void test_each_failure_is_taken_back(void **state)
{
	struct fixture *f = *state;

	fail_everywhere(f, "tap tap vhost vhost", 7, 5);
	fail_everywhere(f, "vdpa", 4, 2);
	fail_everywhere(f, "iommufd vfio", 5, 3);
}

static void test_hang_up_at_each(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 7; i++) {
		memset(&f->s, 0, sizeof(f->s));
		f->s.fail_at = i;
		f->s.close_at = true;
		qmp_server_start(&f->s, f->event, &f->q);
		assert_int_equal(attach(f, "tap tap vhost vhost", ""),
				 i < 6 ? -EPIPE : -EINPROGRESS);
		/* Of the device nobody knows; what cannot be taken back before it is told. */
		assert_int_equal(f->err.name == VNET_E_RESIDUE, i > 0 && i < 6);
		stop(f);
	}
}

/* ---- out again ---- */

static void test_detach(void **state)
{
	struct fixture *f = *state;

	for (int when = UNPLUG_LATER; when <= UNPLUG_BEFORE; when++) {
		memset(&f->s, 0, sizeof(f->s));
		f->s.fail_at = -1;
		f->s.unplug = when;
		qmp_server_start(&f->s, f->event, &f->q);
		assert_int_equal(attach(f, "iommufd vfio", ""), 0);
		assert_int_equal(detach(f), 0);
		assert_int_equal(f->s.n_things, 0);
		assert_int_equal(attach(f, "tap", ""), 0);
		assert_int_equal(detach(f), 0);
		assert_int_equal(f->s.n_things, 0);
		assert_int_equal(detach(f), 0); /* nothing there is fine */
		stop(f);
	}
}

static void test_a_guest_that_refuses(void **state)
{
	struct fixture *f = *state;

	f->s.unplug = UNPLUG_REFUSED;
	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(attach(f, "tap", ""), 0);
	assert_int_equal(detach(f), -EBUSY);
	assert_true(qmp_server_has(&f->s, "netdev:vnetd-net0")); /* its back end stays */
	f->s.unplug = UNPLUG_LATER;
	assert_int_equal(detach(f), 0);
	assert_int_equal(f->s.n_things, 0);
}

static void test_hang_up_while_the_guest_thinks(void **state)
{
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;

	f->s.unplug = UNPLUG_NEVER;
	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(attach(f, "tap", ""), 0);
	assert_int_equal(qmp_nic_detach(f->q, f->event, "net0", done, f, &err), 0);
	for (int i = 0; i < 20; i++)
		sd_event_run(f->event, 1000);
	assert_int_equal(f->done, 0);
	qmp_server_stop(&f->s);
	assert_int_equal(wait_done(f), -EPIPE);
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct vnet_err err = VNET_ERR_INIT;

	qmp_server_start(&f->s, f->event, &f->q);
	assert_int_equal(qmp_nic_find(f->q, "net0", found, f, &err), 0);
	assert_int_equal(wait_done(f), 0);
	assert_int_equal(f->found, 0);
	assert_int_equal(attach(f, "tap", ""), 0);
	assert_int_equal(qmp_nic_find(f->q, "net0", found, f, &err), 0);
	assert_int_equal(wait_done(f), 0);
	assert_int_equal(f->found, 1);
}

/* ---- a real QEMU ---- */

static int tap_queue(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) < 0)
		fd = close_fd(fd);
	return fd;
}

static int dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	for (int i = 0; i < 200; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
			return fd;
		close(fd);
		usleep(50000);
	}
	return -1;
}

static pid_t start_qemu(const char *path)
{
	char qmp[128], *argv[] = {
		(char *)"qemu-system-x86_64", (char *)"-machine", (char *)"q35,accel=tcg",
		(char *)"-m", (char *)"64", (char *)"-S", (char *)"-nodefaults",
		/* A port without power lets go without its guest. */
		(char *)"-global", (char *)"ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
		(char *)"-display", (char *)"none", (char *)"-device",
		(char *)"pcie-root-port,id=rp1,chassis=1", (char *)"-qmp", qmp, NULL
	};
	pid_t pid = -1;

	snprintf(qmp, sizeof(qmp), "unix:%s,server=on,wait=off", path);
	return posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static int attach_real(struct fixture *f)
{
	struct qmp_nic nic = nic_of("");
	_cleanup_json_ json_t *roles = json_pack("[s,s]", "tap", "tap");
	struct vnet_err err = VNET_ERR_INIT;
	struct vnet_fds fds = VNET_FDS_INIT;

	vnet_fds_add(&fds, tap_queue("vntest"));
	vnet_fds_add(&fds, tap_queue("vntest"));
	assert_int_equal(qmp_nic_attach(f->q, f->event, &nic, roles, &fds, done, f, &err), 0);
	return wait_done(f);
}

/* In a process of its own, which only says which step failed. */
static int with_real_qemu(struct fixture *f, const char *path, pid_t pid)
{
	struct owner o = OWNER_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	int fd = dial(path);

	if (fd < 0 || qmp_new(&f->q, f->event, fd, &err) < 0)
		return 1;
	if (owner_of_socket(&o, qmp_fd(f->q), UINT64_MAX / 2000000, &err) < 0 || o.pid != pid)
		return 2; /* who listens is QEMU */
	owner_done(&o);
	if (attach_real(f) < 0)
		return 3;
	/* It lives by QEMU's descriptors alone. */
	if (!if_nametoindex("vntest"))
		return 4;
	if (qmp_nic_find(f->q, "net0", found, f, &err) < 0 || wait_done(f) < 0 || !f->found)
		return 5;
	/* A second of the same name is refused, and what it brought is gone from QEMU. */
	if (attach_real(f) != -EREMOTEIO || f->err.name == VNET_E_RESIDUE)
		return 6;
	if (detach(f) < 0)
		return 7;
	if (if_nametoindex("vntest"))
		return 8;
	/* The bus is free again; a failure at the last step leaves no tap behind. */
	if (attach_real(f) < 0 || detach(f) < 0 || if_nametoindex("vntest"))
		return 9;
	return 0;
}

static int real(struct fixture *f)
{
	char dir[] = "/tmp/test-qmp-XXXXXX", path[64];
	pid_t pid;
	int r;

	if (geteuid() != 0 || access("/dev/net/tun", R_OK) < 0 || unshare(CLONE_NEWNET) < 0)
		return SKIP;
	if (!mkdtemp(dir))
		return 20;
	snprintf(path, sizeof(path), "%s/qmp", dir);
	pid = start_qemu(path);
	r = pid < 0 ? SKIP : with_real_qemu(f, path, pid);
	if (r && r != SKIP)
		fprintf(stderr, "step %d: %s\n", r, f->err.text);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	unlink(path);
	rmdir(dir);
	return r;
}

static void test_real_qemu(void **state)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		struct fixture f = { .s.fd = -1 };

		_exit(sd_event_new(&f.event) >= 0 ? real(&f) : 21);
	}
	(void)state;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIP) {
		print_message("needs root, a network namespace, /dev/net/tun and QEMU\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_tap),
		CASE(test_one_queue),
		CASE(test_model),
		CASE(test_mtu),
		CASE(test_vdpa_and_vfio),
		CASE(test_no_network_device),
		CASE(test_each_failure_is_taken_back),
		CASE(test_hang_up_at_each),
		CASE(test_detach),
		CASE(test_a_guest_that_refuses),
		CASE(test_hang_up_while_the_guest_thinks),
		CASE(test_find),
		cmocka_unit_test(test_real_qemu),
	};

	return cmocka_run_group_tests_name("qmp-nic", tests, NULL, NULL);
}
