/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU is told, for each kind of descriptors; and what a QMP call must bring. */
#include "tests/unit/server-client.h"

#include "daemon/exec.h"
#include "daemon/manager.h"
#include "daemon/methods.h"

static char *arguments_how(json_t *roles, const char *host, const char *how)
{
	struct vnet_attachment a = { .name = "net0", .mac = { { 0x52, 0x54, 0, 0, 0, 1 } } };
	_cleanup_json_ json_t *owned = roles, *reply = json_object();
	static char out[1024];
	const json_t *arg;
	size_t i;

	snprintf(a.how, sizeof(a.how), "%s", how);
	exec_put_arguments(reply, &a, roles, host);
	assert_int_equal(json_array_size(json_object_get(reply, "fds")), json_array_size(roles));
	assert_string_equal(json_string_value(
				    json_object_get(json_object_get(reply, "values"), "mac")),
			    "52:54:00:00:00:01");
	out[0] = '\0';
	json_array_foreach (json_object_get(reply, "arguments"), i, arg)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? " " : "",
			 json_string_value(arg));
	return out;
}

static char *arguments_of(json_t *roles, const char *host)
{
	return arguments_how(roles, host, "");
}

/* What is asked of the device must not be left out. */
static void test_played(void **state)
{
	(void)state;
	assert_string_equal(arguments_how(json_pack("[s]", "tap"), NULL,
					  "model=e1000e queues=1 vhost=off"),
			    "-netdev tap,id=vnetd-net0,fd=@net0.tap,vhost=off "
			    "-device e1000e,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac");
	assert_string_equal(
		arguments_how(json_pack("[s,s,s,s]", "tap", "tap", "vhost", "vhost"), NULL,
			      "model=virtio queues=2 vhost=on mtu=9000"),
		"-netdev tap,id=vnetd-net0,fds=@net0.tap,vhostfds=@net0.vhost "
		"-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac,mq=on,vectors=6,"
		"host_mtu=9000");
	assert_string_equal(
		arguments_how(json_pack("[s]", "vdpa"), NULL, "queues=4"),
		"-netdev vhost-vdpa,id=vnetd-net0,vhostfd=@net0.vdpa "
		"-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac,mq=on,vectors=10");
}

static void test_arguments(void **state)
{
	(void)state;
	assert_string_equal(arguments_of(json_pack("[s,s]", "tap", "vhost"), NULL),
			    "-netdev tap,id=vnetd-net0,fd=@net0.tap,vhostfd=@net0.vhost "
			    "-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac");
	assert_string_equal(
		arguments_of(json_pack("[s,s,s,s]", "tap", "tap", "vhost", "vhost"), NULL),
		"-netdev tap,id=vnetd-net0,fds=@net0.tap,vhostfds=@net0.vhost "
		"-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac,mq=on,vectors=6");
	assert_string_equal(arguments_of(json_pack("[s]", "tap"), NULL),
			    "-netdev tap,id=vnetd-net0,fd=@net0.tap,vhost=off "
			    "-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac");
	assert_string_equal(arguments_of(json_pack("[s]", "vdpa"), NULL),
			    "-netdev vhost-vdpa,id=vnetd-net0,vhostfd=@net0.vdpa "
			    "-device virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac");
	assert_string_equal(
		arguments_of(json_pack("[s,s]", "vfio", "iommufd"), "0000:01:10.0"),
		"-object iommufd,id=vnetd-net0-iommufd,fd=@net0.iommufd "
		"-device vfio-pci,id=vnetd-net0,iommufd=vnetd-net0-iommufd,fd=@net0.vfio");
	assert_string_equal(arguments_of(json_array(), "0000:01:10.0"),
			    "-device vfio-pci,id=vnetd-net0,host=@net0.host");
}

static void test_socket(void **state)
{
	struct vnet_attachment a = { .name = "net0",
				     .kind = DL_SOCKET,
				     .device = "/run/p0",
				     .how = "model=virtio queues=2 role=server mtu=9000" };
	_cleanup_json_ json_t *reply = json_object(), *want, *none = json_array();

	(void)state;
	exec_put_arguments(reply, &a, none, NULL);
	want = json_pack(
		"[s,s,s,s,s,s]", "-chardev",
		"socket,id=vnetd-net0,path=@net0.path,server=on,wait=off", "-netdev",
		"vhost-user,id=vnetd-net0,chardev=vnetd-net0,queues=2", "-device",
		"virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac,mq=on,vectors="
		"6,host_mtu=9000");
	assert_true(json_equal(json_object_get(reply, "arguments"), want));
	assert_string_equal(json_string_value(
				    json_object_get(json_object_get(reply, "values"), "path")),
			    "/run/p0");
	strcpy(a.how, "model=virtio queues=1 role=client");
	exec_put_arguments(reply, &a, none, NULL);
	json_decref(want);
	want = json_pack("[s,s,s,s,s,s]", "-chardev", "socket,id=vnetd-net0,path=@net0.path",
			 "-netdev", "vhost-user,id=vnetd-net0,chardev=vnetd-net0", "-device",
			 "virtio-net-pci,id=vnetd-net0,netdev=vnetd-net0,mac=@net0.mac");
	assert_true(json_equal(json_object_get(reply, "arguments"), want));
}

static void send_with(int fd, const char *text, int extra)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (char *)text, strlen(text) + 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &extra, sizeof(int));
	assert_true(sendmsg(fd, &mh, 0) > 0);
	close(extra);
}

static void expect_text(struct fixture *f, int fd, const char *word)
{
	_cleanup_json_ json_t *j = hear(f, fd);
	const char *text =
		json_string_value(json_object_get(json_object_get(j, "parameters"), "text"));

	assert_string_equal(json_string_value(json_object_get(j, "error")), "io.vnetd.Invalid");
	assert_non_null(strstr(text, word));
}

#define CALL(method, more) \
	"{\"method\":\"io.vnetd." method "\",\"parameters\":{\"guest\":\"vm1\"" more "}}"

static void test_qmp_calls(void **state)
{
	struct fixture *f = *state;
	struct manager m = { .event = f->event };
	int fd = dial(f), pair[2];

	f->server->manager = &m;
	say(fd, CALL("Attach", ",\"qmp\":true"));
	expect_text(f, fd, "no connected QMP socket");
	say(fd, CALL("Detach", ",\"qmp\":true"));
	expect_text(f, fd, "no connected QMP socket");
	say(fd, CALL("Attach", ",\"qmp\":1"));
	expect_text(f, fd, "qmp");
	say(fd, CALL("Exec", ",\"sharedMemory\":1"));
	expect_text(f, fd, "sharedMemory");
	assert_int_equal(pipe(pair), 0);
	send_with(fd, CALL("Attach", ",\"qmp\":true"), pair[0]);
	{
		_cleanup_json_ json_t *j = hear(f, fd);

		assert_string_equal(json_string_value(json_object_get(j, "error")),
				    "io.vnetd.Failed"); /* not a socket */
	}
	send_with(fd, CALL("Attach", ""), pair[1]);
	expect_text(f, fd, "qmp is not true");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	send_with(fd, CALL("Attach", ",\"qmp\":true,\"scope\":\"live\""), pair[0]);
	expect_text(f, fd, "give no scope");
	assert_true(hung_up(pair[1])); /* and it is closed here */
	send_with(fd, CALL("Exec", ""), pair[1]);
	expect_text(f, fd, "at most 0 may");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_played),
		cmocka_unit_test(test_socket),
		SERVER_TEST(test_qmp_calls),
	};

	return cmocka_run_group_tests_name("exec", tests, NULL, NULL);
}
