/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
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
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "tests/unit/wire-ends.h"

unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int ends_enter(void **state)
{
	struct ends *e = calloc(1, sizeof(*e));
	int pair[2];

	assert_non_null(e);
	signal(SIGPIPE, SIG_DFL);
	e->open = count_fds();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(wire_new(&e->w, pair[0], WIRE_MESSAGE_MAX, VNET_FDS_MAX, NULL), 0);
	e->raw = pair[1];
	*state = e;
	return 0;
}

int ends_leave(void **state)
{
	struct ends *e = *state;
	unsigned left;

	wire_free(e->w);
	close_fd(e->raw);
	left = count_fds() - e->open;
	free(e);
	if (left)
		print_error("%u descriptors are left open\n", left);
	return left ? -1 : 0;
}

void ends_limit(struct ends *e, size_t in_max, size_t max_fds)
{
	int pair[2];

	wire_free(e->w);
	close_fd(e->raw);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(wire_new(&e->w, pair[0], in_max, max_fds, NULL), 0);
	e->raw = pair[1];
}

int make_fd(int n)
{
	int fd = memfd_create("n", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, n), 0);
	return fd;
}

int number_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (int)st.st_size;
}

void send_raw(int fd, const void *bytes, size_t len, int first, unsigned n_fds)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int) * 64)];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[64];

	assert_true(n_fds <= 64);
	for (unsigned i = 0; i < n_fds; i++)
		fds[i] = make_fd(first + (int)i);
	if (n_fds) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * n_fds);
	}
	assert_int_equal(sendmsg(fd, &mh, MSG_NOSIGNAL), len);
	for (unsigned i = 0; i < n_fds; i++)
		close_fd(fds[i]);
}

void expect_fds(struct vnet_fds *fds, int first, unsigned n)
{
	assert_int_equal(fds->n, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(number_of(fds->fd[i]), first + (int)i);
	vnet_fds_done(fds);
}

void expect_message(struct ends *e, int n, int first, unsigned n_fds)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct vnet_err err = VNET_ERR_INIT;

	if (wire_receive(e->w, &j, &fds, &err) != 1)
		fail_msg("no message %d: %s", n, err.text);
	assert_int_equal(json_integer_value(json_object_get(j, "n")), n);
	expect_fds(&fds, first, n_fds);
}

void expect_nothing(struct ends *e)
{
	struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *j = (json_t *)&fds;

	assert_int_equal(wire_receive(e->w, &j, &fds, &err), 0);
	assert_ptr_equal(j, &fds);
	assert_int_equal(err.code, 0);
}

void expect_end(struct ends *e, int code, const char *word)
{
	struct vnet_fds fds = VNET_FDS_INIT;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *j = NULL;
	int r;

	while ((r = wire_receive(e->w, &j, &fds, &err)) == 0)
		;
	assert_int_equal(r, code);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, word))
		fail_msg("\"%s\" lacks \"%s\"", err.text, word);
	send(e->raw, "{}", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
	assert_int_equal(wire_receive(e->w, &j, &fds, &err), code);
	assert_null(j);
	assert_int_equal(fds.n, 0);
}
