/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose descriptors are whose: what the kernel grants, and what lib/wire makes of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/wire.h"
#include "tests/unit/wire-ends.h"

#define READ_CHUNK (16 * 1024) /* as in wire.c: where its first read ends */

/* ---- what the kernel grants ----------------------------------------------------------- */

static ssize_t recv_raw(int fd, void *buf, size_t size, struct vnet_fds *fds)
{
	char control[CMSG_SPACE(sizeof(int) * VNET_FDS_MAX)] __attribute__((aligned(8)));
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&mh);

	for (size_t i = 0; c && CMSG_LEN(sizeof(int) * (i + 1)) <= c->cmsg_len; i++) {
		int got;

		memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(got));
		vnet_fds_add(fds, got);
	}
	assert_false(n >= 0 && (mh.msg_flags & MSG_CTRUNC));
	return n;
}

static void test_kernel_stops_behind_descriptors_not_before(void **state)
{
	struct ends *e = *state;
	struct vnet_fds fds = VNET_FDS_INIT;
	char buf[64];

	send_raw(e->raw, "aaa", 3, 0, 0);
	send_raw(e->raw, "bbb", 3, 0, 0);
	send_raw(e->raw, "ccc", 3, 1, 1);
	send_raw(e->raw, "ddd", 3, 0, 0);
	send_raw(e->raw, "eee", 3, 2, 2);
	send_raw(e->raw, "fff", 3, 4, 1);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds), 9);
	assert_memory_equal(buf, "aaabbbccc", 9);
	expect_fds(&fds, 1, 1);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds), 6);
	assert_memory_equal(buf, "dddeee", 6);
	expect_fds(&fds, 2, 2);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds), 3);
	expect_fds(&fds, 4, 1);
}

static void test_kernel_gives_descriptors_with_the_first_byte(void **state)
{
	struct ends *e = *state;
	struct vnet_fds fds = VNET_FDS_INIT;
	char buf[64];

	send_raw(e->raw, "aaa", 3, 0, 0);
	send_raw(e->raw, "bbb", 3, 1, 1);
	send_raw(e->raw, "ccc", 3, 2, 1);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, 3, &fds), 3);
	expect_fds(&fds, 0, 0);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, 1, &fds), 1);
	expect_fds(&fds, 1, 1);
	/* The rest of that buffer has none, and is no reason to stop: the next has. */
	assert_int_equal(recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds), 5);
	assert_memory_equal(buf, "bbccc", 5);
	expect_fds(&fds, 2, 1);
}

static void test_kernel_puts_descriptors_on_the_first_buffer(void **state)
{
	static char big[150 * 1024], buf[sizeof(big)];
	struct ends *e = *state;
	struct vnet_fds fds = VNET_FDS_INIT;
	ssize_t n;

	send_raw(e->raw, big, sizeof(big), 1, 1);
	n = recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds);
	assert_true(n > 0 && n < (ssize_t)sizeof(buf));
	expect_fds(&fds, 1, 1);
	assert_int_equal(recv_raw(wire_fd(e->w), buf, sizeof(buf), &fds), (ssize_t)sizeof(big) - n);
	expect_fds(&fds, 0, 0);
}

/* ---- descriptors ---------------------------------------------------------------------- */

static void test_fds_stay_with_the_second(void **state)
{
	struct ends *e = *state;

	send_message(e, "{\"n\":1}", 0, 0);
	send_message(e, "{\"n\":2}", 1, 2);
	expect_message(e, 1, 0, 0);
	expect_message(e, 2, 1, 2);
	expect_nothing(e);
}

static void test_fds_stay_with_the_first(void **state)
{
	struct ends *e = *state;

	send_message(e, "{\"n\":1}", 1, 2);
	send_message(e, "{\"n\":2}", 0, 0);
	expect_message(e, 1, 1, 2);
	expect_message(e, 2, 0, 0);
	expect_nothing(e);
}

static void test_fds_of_neighbours(void **state)
{
	struct ends *e = *state;

	send_message(e, "{\"n\":1}", 1, 2);
	send_message(e, "{\"n\":2}", 3, 1);
	send_message(e, "{\"n\":3}", 0, 0);
	send_message(e, "{\"n\":4}", 4, 16);
	expect_message(e, 1, 1, 2);
	expect_message(e, 2, 3, 1);
	expect_message(e, 3, 0, 0);
	expect_message(e, 4, 4, 16);
	expect_nothing(e);
}

/* An unfinished message holds descriptors while a read brings its tail and another's. */
static void test_fds_across_a_tail(void **state)
{
	struct ends *e = *state;

	send_raw(e->raw, "{\"n\":1", 6, 1, 1);
	expect_nothing(e);
	send_raw(e->raw, "}", 2, 0, 0);
	send_message(e, "{\"n\":2}", 0, 0);
	send_raw(e->raw, "{\"n\":3", 6, 5, 3);
	expect_message(e, 1, 1, 1);
	expect_message(e, 2, 0, 0);
	expect_nothing(e);
	send_raw(e->raw, "}", 2, 0, 0);
	expect_message(e, 3, 5, 3);
}

/* As expect_message, where a message may take more than one read. */
static void expect_soon(struct ends *e, int n, int first, unsigned n_fds)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *j = NULL;
	int r = 0;

	for (int i = 0; r == 0 && i < 4; i++)
		r = wire_receive(e->w, &j, &fds, NULL);
	assert_int_equal(r, 1);
	assert_int_equal(json_integer_value(json_object_get(j, "n")), n);
	expect_fds(&fds, first, n_fds);
}

/* Reads end at READ_CHUNK: every place of the second message comes to lie there, once with
 * descriptors on the first one, which thus lies in two reads, and once without. */
static void test_fds_at_the_end_of_a_read(void **state)
{
	static char text[READ_CHUNK + 64];
	struct ends *e = *state;

	for (size_t i = 0; i < 2 * 80; i++) {
		size_t len = READ_CHUNK - 40 + i / 2;
		unsigned on_first = i % 2;

		ends_limit(e, WIRE_MESSAGE_MAX, VNET_FDS_MAX);
		memset(text, ' ', len);
		memcpy(text, "{\"n\":1", 6);
		memcpy(text + len - 2, "}", 2);
		send_raw(e->raw, text, len, 1, on_first);
		send_message(e, "{\"n\":2}", 2, 2);
		send_message(e, "{\"n\":3}", 0, 0);
		send_message(e, "{\"n\":4}", 4, 1);
		expect_soon(e, 1, 1, on_first);
		expect_soon(e, 2, 2, 2);
		expect_soon(e, 3, 0, 0);
		expect_soon(e, 4, 4, 1);
		expect_nothing(e);
	}
}

static void test_fds_in_the_middle_count_for_the_message(void **state)
{
	struct ends *e = *state;

	send_raw(e->raw, "{\"n\"", 4, 1, 1);
	send_raw(e->raw, ":1", 2, 2, 1);
	expect_nothing(e);
	expect_nothing(e);
	send_raw(e->raw, "}", 2, 3, 1);
	expect_message(e, 1, 1, 3);

	ends_limit(e, WIRE_MESSAGE_MAX, 2);
	send_raw(e->raw, "{\"n\"", 4, 1, 1);
	send_raw(e->raw, ":1", 2, 2, 1);
	send_raw(e->raw, "}", 2, 3, 1);
	expect_end(e, -E2BIG, "descriptors");
}

static void test_too_many_fds(void **state)
{
	static const struct {
		size_t max;
		unsigned sent;
	} cases[] = { { 0, 1 }, { 0, 64 },  { 1, 2 },	{ 2, 3 },
		      { 3, 5 }, { 15, 16 }, { 16, 17 }, { 16, 64 } };
	struct ends *e = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ends_limit(e, WIRE_MESSAGE_MAX, cases[i].max);
		send_message(e, "{\"n\":1}", 1, (unsigned)cases[i].max);
		expect_message(e, 1, 1, (unsigned)cases[i].max);
		send_message(e, "{\"n\":2}", 1, cases[i].sent);
		expect_end(e, -E2BIG, "descriptors");
	}
}

/* What is refused is closed at once, not when the connection goes. */
static void test_refused_fds_are_closed(void **state)
{
	struct ends *e = *state;

	for (size_t max = 0; max < 3; max++) {
		unsigned before;

		ends_limit(e, WIRE_MESSAGE_MAX, max);
		before = count_fds();
		send_message(e, "{\"n\":1}", 1, 20);
		expect_end(e, -E2BIG, "descriptors");
		assert_int_equal(count_fds(), before);
	}
}

static void test_no_room_in_the_process(void **state)
{
	struct ends *e = *state;
	struct rlimit old, low;
	unsigned before;

	send_message(e, "{\"n\":1}", 1, 8);
	before = count_fds();
	getrlimit(RLIMIT_NOFILE, &old);
	low = old;
	low.rlim_cur = (rlim_t)e->raw + 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	expect_end(e, -E2BIG, "LimitNOFILE");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(count_fds(), before);
}

static void test_received_fds_close_on_exec(void **state)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct ends *e = *state;

	send_message(e, "{}", 1, 2);
	assert_int_equal(wire_receive(e->w, &j, &fds, NULL), 1);
	assert_int_equal(fcntl(fds.fd[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fds.fd[1], F_GETFD), FD_CLOEXEC);
}

static void test_unwanted_fds_are_closed(void **state)
{
	struct ends *e = *state;
	unsigned before = count_fds();
	json_t *j = NULL;

	send_message(e, "{}", 1, 2);
	assert_int_equal(wire_receive(e->w, &j, NULL, NULL), 1);
	json_decref(j);
	assert_int_equal(count_fds(), before);
}

static void test_free_closes_what_is_under_way(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{}");
	struct vnet_fds fds = VNET_FDS_INIT;
	struct ends *e = *state;

	vnet_fds_add(&fds, make_fd(1));
	assert_int_equal(wire_queue(e->w, j, &fds, NULL), 0);
	assert_int_equal(fds.n, 0);
	/* One unfinished with one descriptor, one with one behind it, one unread. */
	send_raw(e->raw, "{\"n\":1", 6, 1, 1);
	expect_nothing(e);
	send_raw(e->raw, "}", 2, 0, 0);
	send_raw(e->raw, "{\"n\":2", 6, 2, 1);
	expect_message(e, 1, 1, 1);
	send_message(e, "{}", 3, 1);
	/* ends_leave() frees and counts. */
}

static void test_send_fds(void **state)
{
	_cleanup_json_ json_t *plain = json_pack("{s:i}", "n", 1),
			      *with = json_pack("{s:i}", "n", 2);
	struct vnet_fds fds = VNET_FDS_INIT;
	struct ends *e = *state;
	unsigned before;
	char buf[64];

	before = count_fds();
	vnet_fds_add(&fds, make_fd(1));
	vnet_fds_add(&fds, make_fd(2));
	assert_int_equal(wire_queue(e->w, plain, NULL, NULL), 0);
	assert_int_equal(wire_queue(e->w, with, &fds, NULL), 0);
	assert_int_equal(wire_queue(e->w, plain, NULL, NULL), 0);
	assert_int_equal(count_fds(), before + 2);
	assert_int_equal(wire_flush(e->w, NULL), 0);
	/* No copy is kept, not even until the peer reads. */
	assert_int_equal(count_fds(), before);
	assert_int_equal(recv_raw(e->raw, buf, sizeof(buf), &fds), 16);
	assert_memory_equal(buf, "{\"n\":1}\0{\"n\":2}", 16);
	expect_fds(&fds, 1, 2);
	assert_int_equal(recv_raw(e->raw, buf, sizeof(buf), &fds), 8);
	expect_fds(&fds, 0, 0);
}

static void test_a_taken_fd_is_not_sent(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{}");
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	struct ends *e = *state;

	vnet_fds_add(&fds, make_fd(1));
	vnet_fds_add(&fds, make_fd(2));
	close_fd(vnet_fds_take(&fds, 0));
	assert_int_equal(wire_queue(e->w, j, &fds, NULL), -EBADF);
	assert_int_equal(fds.n, 2);
	assert_false(wire_pending(e->w));
}

static void test_fds_set(void **state)
{
	struct vnet_fds fds = VNET_FDS_INIT;
	unsigned before = count_fds();
	int fd;

	(void)state;
	assert_int_equal(vnet_fds_add(&fds, -1), -EBADF);
	for (int i = 0; i < VNET_FDS_MAX; i++)
		assert_int_equal(vnet_fds_add(&fds, make_fd(i)), 0);
	assert_int_equal(vnet_fds_add(&fds, make_fd(99)), -E2BIG);
	assert_int_equal(count_fds(), before + VNET_FDS_MAX);
	fd = vnet_fds_take(&fds, 3);
	assert_int_equal(number_of(fd), 3);
	assert_int_equal(vnet_fds_take(&fds, 3), -1);
	assert_int_equal(vnet_fds_take(&fds, VNET_FDS_MAX), -1);
	vnet_fds_done(&fds);
	assert_int_equal(fds.n, 0);
	assert_int_equal(count_fds(), before + 1);
	close_fd(fd);
	vnet_fds_done(&fds);
}

/* ---- everything at once --------------------------------------------------------------- */

struct random_run {
	uint32_t seed;
	struct wire *from, *to;
	int n_sent, n_received;
};

static uint32_t draw(struct random_run *r, uint32_t below)
{
	r->seed = r->seed * 1664525u + 1013904223u;
	return (r->seed >> 8) % below;
}

/* Message n has n % 4 descriptors, numbered n, n + 1 ... and a body of any length. */
static void random_send(struct random_run *r)
{
	static char body[200 * 1024];
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *j = NULL;
	size_t len = draw(r, 8) ? draw(r, 300) : draw(r, sizeof(body) - 1);

	memset(body, 'x', len);
	body[len] = '\0';
	j = json_pack("{s:i,s:s}", "n", r->n_sent, "body", body);
	for (int i = 0; i < r->n_sent % 4; i++)
		vnet_fds_add(&fds, make_fd(r->n_sent + i));
	assert_int_equal(wire_queue(r->from, j, &fds, NULL), 0);
	r->n_sent++;
}

static void random_receive(struct random_run *r)
{
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct vnet_err err = VNET_ERR_INIT;
	int got = wire_receive(r->to, &j, &fds, &err);

	if (got < 0)
		fail_msg("message %d: %s", r->n_received, err.text);
	if (got == 0)
		return;
	assert_int_equal(json_integer_value(json_object_get(j, "n")), r->n_received);
	expect_fds(&fds, r->n_received, (unsigned)r->n_received % 4);
	r->n_received++;
}

static void test_random_traffic(void **state)
{
	struct random_run r = { 0 };
	int pair[2];

	(void)state;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		r = (struct random_run){ .seed = seed };
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(wire_new(&r.from, pair[0], 1, 0, NULL), 0);
		assert_int_equal(wire_new(&r.to, pair[1], WIRE_MESSAGE_MAX, 3, NULL), 0);
		while (r.n_received < 500) {
			if (r.n_sent < 500 && r.n_sent < r.n_received + 60 && draw(&r, 2))
				random_send(&r);
			if (draw(&r, 3) == 0)
				assert_true(wire_flush(r.from, NULL) >= 0);
			for (uint32_t i = draw(&r, 4); i > 0; i--)
				random_receive(&r);
		}
		r.from = wire_free(r.from);
		r.to = wire_free(r.to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_wire(test_kernel_stops_behind_descriptors_not_before),
		on_wire(test_kernel_gives_descriptors_with_the_first_byte),
		on_wire(test_kernel_puts_descriptors_on_the_first_buffer),
		on_wire(test_fds_stay_with_the_second),
		on_wire(test_fds_stay_with_the_first),
		on_wire(test_fds_of_neighbours),
		on_wire(test_fds_across_a_tail),
		on_wire(test_fds_at_the_end_of_a_read),
		on_wire(test_fds_in_the_middle_count_for_the_message),
		on_wire(test_too_many_fds),
		on_wire(test_refused_fds_are_closed),
		on_wire(test_no_room_in_the_process),
		on_wire(test_received_fds_close_on_exec),
		on_wire(test_unwanted_fds_are_closed),
		on_wire(test_free_closes_what_is_under_way),
		on_wire(test_send_fds),
		on_wire(test_a_taken_fd_is_not_sent),
		on_wire(test_fds_set),
		on_wire(test_random_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
