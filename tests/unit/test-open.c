/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is handed on as descriptors: all of it or nothing, on the fake kernel; and a tap of
 * the real one, in a network namespace of its own, where this runs as root and has tun.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/host/open.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
#include "tests/unit/fake-host.h"

#define TAP "tap0"
#define SKIP 77

struct host {
	char dir[64];
	struct kernel *k;
	struct vnet_err err;
	unsigned open;
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
	const char *const options[] = { "--tap",    "--cdev", "--existing-vfs", "2", "--bound",
					"vfio-pci", NULL };
	struct host *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->open = count_fds();
	fake_host_new(h->dir, options);
	assert_int_equal(kernel_open(&h->k, h->dir, &h->err), 0);
	*state = h;
	return 0;
}

/* No test may leave a descriptor behind. */
static int teardown(void **state)
{
	struct host *h = *state;

	kernel_close(h->k);
	fake_host_free(h->dir);
	assert_int_equal(count_fds(), h->open);
	free(h);
	return 0;
}

/* @what: the array, with ' for ". Returns the roles with a space between two. */
static int run(struct kernel *k, const char *what, char roles[static 256], struct vnet_fds *fds,
	       struct vnet_err *err)
{
	_cleanup_json_ json_t *args = json_object(), *ret = NULL;
	const json_t *role;
	char text[1024];
	size_t i;
	int r;

	snprintf(text, sizeof(text), "%s", what);
	for (char *c = text; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	json_object_set_new(args, "what", json_loads(text, 0, NULL));
	*err = VNET_ERR_INIT;
	r = host_open(k, args, &ret, fds, err);
	roles[0] = '\0';
	json_array_foreach (json_object_get(ret, "fds"), i, role)
		snprintf(roles + strlen(roles), 256 - strlen(roles), "%s%s", i ? " " : "",
			 json_string_value(role));
	return r;
}

static char *log_of(const struct host *h)
{
	static char log[8192];
	char path[96];
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/writes.log", h->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, log, sizeof(log) - 1);
	close_fd(fd);
	log[n > 0 ? n : 0] = '\0';
	return log;
}

static void test_all_in_order(void **state)
{
	struct host *h = *state;
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	char roles[256];
	const char *log, *queue, *last;

	assert_int_equal(run(h->k,
			     "[{'role':'tap','how':'tap','name':'" TAP "','count':2},"
			     "{'role':'vhost','how':'vhost','count':2},"
			     "{'role':'vfio','how':'vfio','name':'0000:01:10.0'},"
			     "{'role':'iommufd','how':'iommufd'},"
			     "{'role':'vdpa','how':'node','name':'/dev/vhost-vdpa-3'}]",
			     roles, &fds, &h->err),
			 0);
	assert_string_equal(roles, "tap tap vhost vhost vfio iommufd vdpa");
	assert_int_equal(fds.n, 7);
	for (size_t i = 0; i < fds.n; i++)
		assert_int_equal(fcntl(fds.fd[i], F_GETFD), FD_CLOEXEC);
	/* Only when all are there the tap lives by its descriptors. */
	log = log_of(h);
	queue = strstr(log, "queue\t" TAP "\tone of many");
	last = strstr(log, "by_fds\t" TAP);
	assert_non_null(queue);
	assert_non_null(last);
	assert_true(last > strstr(log, "dev/vhost-vdpa-3"));
	assert_null(strstr(last + 1, "by_fds"));
}

static void test_one_that_fails_leaves_nothing(void **state)
{
	static const struct {
		const char *fail, *word;
		int code;
	} cases[] = {
		{ "open:/dev/vhost-net ENOENT", "vhost_net", -ENOENT },
		{ "open:/dev/net/tun EACCES", "/dev/net/tun", -EACCES },
		{ "queue:" TAP " EBUSY", "taken", -EBUSY },
		{ "open:/dev/iommu ENOENT", "iommufd", -ENOENT },
		{ "iommufd_own EPERM", "/dev/iommu", -EPERM },
		{ "open:/dev/vfio/* EBUSY", "somebody", -EBUSY },
	};
	struct host *h = *state;
	struct vnet_fds fds = VNET_FDS_INIT;
	unsigned before = count_fds();
	char roles[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_host_put(h->dir, "fail", cases[i].fail);
		assert_int_equal(run(h->k,
				     "[{'role':'tap','how':'tap','name':'" TAP "','count':2},"
				     "{'role':'vhost','how':'vhost','count':2},"
				     "{'role':'iommufd','how':'iommufd'},"
				     "{'role':'vfio','how':'vfio','name':'0000:01:10.0'}]",
				     roles, &fds, &h->err),
				 cases[i].code);
		assert_non_null(strstr(h->err.text, cases[i].word));
		assert_int_equal(fds.n, 0);
		assert_int_equal(count_fds(), before);
		assert_null(strstr(log_of(h), "by_fds"));
	}
	/* and that itself */
	fake_host_put(h->dir, "fail", "by_fds:" TAP " EIO");
	assert_int_equal(run(h->k, "[{'role':'tap','how':'tap','name':'" TAP "'}]", roles, &fds,
			     &h->err),
			 -EIO);
	assert_int_equal(count_fds(), before);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *what;
		int code;
	} cases[] = {
		{ "{}", -EINVAL },
		{ "[{'role':'x','how':'fly'}]", -EINVAL },
		{ "[{'role':'x','how':'vhost','name':'y'}]", -EINVAL },
		{ "[{'role':'x','how':'tap'}]", -EINVAL },
		{ "[{'role':'x','how':'vhost','count':0}]", -EINVAL },
		{ "[{'role':'x','how':'vhost','path':'/dev/mem'}]", -EINVAL },
		{ "[{'role':'x','how':'node','name':'/dev/mem'}]", -EINVAL },
		{ "[{'role':'x','how':'node','name':'/dev/vhost-vdpa-1/../mem'}]", -EINVAL },
		{ "[{'role':'x','how':'node','name':'/dev/vfio/devices/vfio'}]", -EINVAL },
		{ "[{'role':'x','how':'node','name':'dev/vhost-vdpa-1'}]", -EINVAL },
		{ "[{'role':'x','how':'tap','name':'../..'}]", -EINVAL },
		{ "[{'role':'x','how':'tap','name':'sixteen-letters-'}]", -EINVAL },
		{ "[{'role':'x','how':'tap','name':'tap7'}]", -ENODEV },
		{ "[{'role':'x','how':'vdpa','name':'..'}]", -EINVAL },
		{ "[{'role':'x','how':'vdpa','name':'vdpa7'}]", -ENOENT },
		{ "[{'role':'x','how':'vfio','name':'vfio0'}]", -EINVAL },
		{ "[{'role':'x','how':'vfio','name':'0000:01:00.0'}]", -ENXIO },
		/* one more than go over a socket */
		{ "[{'role':'x','how':'vhost','count':64},{'role':'y','how':'vhost'}]", -E2BIG },
	};
	struct host *h = *state;
	struct vnet_fds fds = VNET_FDS_INIT;
	unsigned before = count_fds();
	char roles[256];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(h->k, cases[i].what, roles, &fds, &h->err), cases[i].code);
		assert_true(h->err.text[0]);
		assert_int_equal(fds.n, 0);
		assert_int_equal(count_fds(), before);
	}
}

/* ---- the real kernel ---- */

static bool own_namespaces(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("sysfs", "/sys", "sysfs", 0, NULL) == 0 && access("/dev/net/tun", R_OK) == 0;
}

static bool make_tap(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags) };
	_cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0;
}

static int with_real_taps(void)
{
	struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	struct kernel *k = NULL;
	struct ifreq ifr = { 0 };
	char roles[256];

	if (!own_namespaces() || !make_tap("vnone", 0) || !make_tap("vnmany", IFF_MULTI_QUEUE))
		return SKIP;
	if (kernel_open(&k, "/", &err) < 0)
		return 1;
	/* What is not there is not made. */
	if (run(k, "[{'role':'tap','how':'tap','name':'vnnew'}]", roles, &fds, &err) != -ENODEV ||
	    if_nametoindex("vnnew"))
		return 2;
	/* A failure behind it leaves it as it was. */
	if (run(k,
		"[{'role':'tap','how':'tap','name':'vnone'},"
		"{'role':'x','how':'tap','name':'vnone'}]",
		roles, &fds, &err) != -EBUSY ||
	    !if_nametoindex("vnone") || !strstr(err.text, "taken"))
		return 3;
	if (run(k, "[{'role':'tap','how':'tap','name':'vnone'}]", roles, &fds, &err) < 0)
		return 4;
	if (ioctl(fds.fd[0], TUNGETIFF, &ifr) < 0 || strcmp(ifr.ifr_name, "vnone") != 0 ||
	    (ifr.ifr_flags & (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)) !=
		    (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
		return 5;
	vnet_fds_done(&fds); /* it lived by that one */
	if (if_nametoindex("vnone"))
		return 6;
	if (run(k, "[{'role':'tap','how':'tap','name':'vnmany','count':3}]", roles, &fds, &err) <
		    0 ||
	    fds.n != 3)
		return 7;
	close_fd(vnet_fds_take(&fds, 0));
	if (!if_nametoindex("vnmany"))
		return 8;
	vnet_fds_done(&fds);
	kernel_close(k);
	return if_nametoindex("vnmany") ? 9 : 0;
}

static void test_real_taps(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(with_real_taps());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == SKIP) {
		print_message("needs root, namespaces of its own and /dev/net/tun\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_all_in_order),
		CASE(test_one_that_fails_leaves_nothing),
		CASE(test_what_is_refused),
		cmocka_unit_test(test_real_taps),
	};

	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
