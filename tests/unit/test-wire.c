/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framing, limits, lies and ends. Descriptors have test-wire-fds.c. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/wire.h"
#include "tests/unit/wire-ends.h"

/* ---- framing -------------------------------------------------------------------------- */

static void test_byte_by_byte(void **state)
{
	static const char text[] = "{\"n\":1}\0{\"n\":2}";
	struct ends *e = *state;

	for (size_t i = 0; i < sizeof(text); i++) {
		expect_nothing(e);
		send_raw(e->raw, text + i, 1, 0, 0);
		if (!text[i])
			expect_message(e, i < 10 ? 1 : 2, 0, 0);
	}
	expect_nothing(e);
}

static void test_several_in_one_read(void **state)
{
	struct ends *e = *state;

	send_message(e, "{\"n\":1}\0{\"n\":2}\0{\"n\":3}\0{\"n\"", 0, 0);
	expect_message(e, 1, 0, 0);
	expect_message(e, 2, 0, 0);
	expect_message(e, 3, 0, 0);
	/* The literal's NUL ended the fragment. */
	expect_end(e, -EBADMSG, "JSON");
}

static void test_tail_and_next(void **state)
{
	struct ends *e = *state;

	send_raw(e->raw, "{\"n\":1", 6, 0, 0);
	expect_nothing(e);
	send_raw(e->raw, "}\0{\"n\":", 7, 0, 0);
	expect_message(e, 1, 0, 0);
	expect_nothing(e);
	send_raw(e->raw, "2}", 3, 0, 0);
	expect_message(e, 2, 0, 0);
}

static void test_thousands_of_small_ones(void **state)
{
	static char text[100 * 1000];
	struct ends *e = *state;
	size_t len = 0;
	int n = 0;

	while (len < sizeof(text) - 16)
		len += (size_t)sprintf(text + len, "{\"n\":%d}", n++) + 1;
	send_raw(e->raw, text, len, 0, 0);
	for (int i = 0; i < n; i++)
		expect_message(e, i, 0, 0);
	expect_nothing(e);
}

static void test_does_not_block(void **state)
{
	struct ends *e = *state;

	assert_false(fcntl(wire_fd(e->w), F_GETFL) & O_NONBLOCK);
	expect_nothing(e);
}

static void test_out_as_written(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{s:[i,{}],s:s}", "a", 1, "b", "\x01\xc3\xa4");
	static const char want[] = "{\"a\":[1,{}],\"b\":\"\\u0001\xc3\xa4\"}";
	struct ends *e = *state;
	char buf[64];

	assert_false(wire_pending(e->w));
	assert_int_equal(wire_queue(e->w, j, NULL, NULL), 0);
	assert_true(wire_pending(e->w));
	assert_int_equal(wire_flush(e->w, NULL), 0);
	assert_false(wire_pending(e->w));
	assert_int_equal(recv(e->raw, buf, sizeof(buf), MSG_DONTWAIT), sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
	assert_int_equal(wire_queue(e->w, j, NULL, NULL), 0);
	assert_int_equal(wire_flush(e->w, NULL), 0);
	assert_int_equal(recv(e->raw, buf, sizeof(buf), MSG_DONTWAIT), sizeof(want));
}

/* ---- limits and lies ------------------------------------------------------------------ */

static void test_message_at_the_limit(void **state)
{
	struct ends *e = *state;

	ends_limit(e, 8, 0);
	send_message(e, "{\"n\":12}", 0, 0);
	expect_message(e, 12, 0, 0);
	send_message(e, "{\"n\":123}", 0, 0);
	expect_end(e, -EMSGSIZE, "longer");
}

static void test_oversized_behind_a_good_one(void **state)
{
	struct ends *e = *state;

	ends_limit(e, 8, 0);
	send_message(e, "{\"n\":1}\0{\"n\":123}", 0, 0);
	expect_message(e, 1, 0, 0);
	expect_end(e, -EMSGSIZE, "longer");
}

static void test_endless_message(void **state)
{
	static char text[64 * 1024];
	struct ends *e = *state;
	struct vnet_err err = VNET_ERR_INIT;
	size_t sent = 0;
	json_t *j;
	int r = 0;

	memset(text, ' ', sizeof(text));
	while (r == 0 && sent < 4 * WIRE_MESSAGE_MAX) {
		send_raw(e->raw, text, sizeof(text), 0, 0);
		sent += sizeof(text);
		r = wire_receive(e->w, &j, NULL, &err);
	}
	assert_int_equal(r, 0 - EMSGSIZE);
	assert_true(sent > WIRE_MESSAGE_MAX);
}

static void test_garbage(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
#define BAD(s) { s, sizeof(s) }
		BAD(""),
		BAD("hello"),
		BAD("[]"),
		BAD("3"),
		BAD("null"),
		BAD("\"text\""),
		BAD("{"),
		BAD("}"),
		BAD("{}x"),
		BAD("{} {}"),
		BAD("{\"a\":}"),
		BAD("{'a':1}"),
		BAD("{\"a\":1,}"),
		BAD("{\"a\":01}"),
		BAD("{\"a\":1,\"a\":1}"),
		BAD("{\"a\":1e999}"),
		BAD("{\"a\":99999999999999999999}"),
		BAD("{\"a\":\"\xff\"}"),
		BAD("{\"\xc3\":1}"),
		BAD("{\"a\":\"\\u0000\"}"),
		BAD("{\"\\u0000\":1}"),
		BAD("{\"a\":\"\\ud800\"}"),
		BAD("{\"a\":\"\n\"}"),
		BAD("\xef\xbb\xbf{}"),
		BAD("\x01\x02\x1b[31m"),
		BAD("GET / HTTP/1.1\r\n\r\n"),
		BAD("{\"a\":\"x\0y\"}"),
		BAD("{\"a\"\0:1}"),
#undef BAD
	};
	struct ends *e = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ends_limit(e, WIRE_MESSAGE_MAX, 1);
		send_raw(e->raw, bad[i].bytes, bad[i].len, 1, 1);
		expect_end(e, -EBADMSG, "the message is not");
	}
}

/* The peer's bytes end in no log. */
static void test_garbage_is_not_quoted(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct ends *e = *state;
	json_t *j = NULL;

	send_message(e, "{\"a\": \x1b[31mSECRET}", 0, 0);
	assert_int_equal(wire_receive(e->w, &j, NULL, &err), -EBADMSG);
	assert_null(strstr(err.text, "SECRET"));
	for (const char *p = err.text; *p; p++)
		assert_int_equal(json_control_len(p), 0);
}

static size_t nested(char *buf, size_t depth, char open, char close)
{
	size_t n = 0;

	n += (size_t)sprintf(buf, "{\"a\":");
	memset(buf + n, open, depth - 1);
	n += depth - 1;
	memset(buf + n, close, depth - 1);
	n += depth - 1;
	memcpy(buf + n, "}", 2);
	return n + 2;
}

static void test_nesting(void **state)
{
	static char text[256 * 1024];
	_cleanup_json_ json_t *j = NULL;
	struct ends *e = *state;
	size_t len;

	len = nested(text, WIRE_DEPTH_MAX, '[', ']');
	send_raw(e->raw, text, len, 0, 0);
	assert_int_equal(wire_receive(e->w, &j, NULL, NULL), 1);
	len = nested(text, WIRE_DEPTH_MAX + 1, '[', ']');
	send_raw(e->raw, text, len, 0, 0);
	expect_end(e, -EBADMSG, "nested");

	ends_limit(e, WIRE_MESSAGE_MAX, 0);
	memset(text, '[', sizeof(text));
	text[100 * 1000] = '\0';
	send_raw(e->raw, text, 100 * 1000 + 1, 0, 0);
	expect_end(e, -EBADMSG, "nested");
}

static void test_brackets_in_strings_do_not_nest(void **state)
{
	static const char text[] =
		"{\"n\":1,\"s\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[\\\\\","
		"\"t\":\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\"}";
	struct ends *e = *state;

	send_raw(e->raw, text, sizeof(text), 0, 0);
	expect_message(e, 1, 0, 0);
	/* And many side by side are not deep. */
	send_message(e,
		     "{\"n\":2,\"a\":[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		     "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]}",
		     0, 0);
	expect_message(e, 2, 0, 0);
}

static void test_a_peer_that_never_reads(void **state)
{
	_cleanup_free_ char *text = malloc(8u * 1024 * 1024 + 1);
	_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;
	_cleanup_json_ json_t *big = NULL, *small = json_pack("{}");
	struct vnet_err err = VNET_ERR_INIT;
	struct ends *e = *state;
	unsigned n = 0;
	ssize_t len;
	int r;

	memset(text, 'x', 8u * 1024 * 1024);
	text[8u * 1024 * 1024] = '\0';
	big = json_pack("{s:s}", "a", text);
	while ((r = wire_queue(e->w, big, NULL, &err)) == 0) {
		assert_int_equal(wire_flush(e->w, &err), 1);
		assert_true(wire_pending(e->w));
		assert_true(++n < 20);
	}
	assert_int_equal(r, -ENOBUFS);
	assert_int_equal(err.name, VNET_E_LIMIT);
	assert_true(n >= WIRE_OUT_MAX / (8u * 1024 * 1024 + 16));
	/* What does not go stays with its owner; something smaller still fits. */
	vnet_fds_add(&fds, make_fd(1));
	assert_int_equal(wire_queue(e->w, big, &fds, &err), -ENOBUFS);
	assert_int_equal(fds.n, 1);
	assert_int_equal(wire_queue(e->w, small, &fds, &err), 0);
	assert_int_equal(fds.n, 0);
	/* And what the peer has read in the end is room again. */
	for (size_t got = 0; got < 9u * 1024 * 1024; got += (size_t)len) {
		len = recv(e->raw, text, 8u * 1024 * 1024, MSG_DONTWAIT);
		assert_true(len > 0);
		assert_int_equal(wire_flush(e->w, &err), 1);
	}
	assert_int_equal(wire_queue(e->w, big, NULL, &err), 0);
}

static void test_a_slow_reader_gets_all(void **state)
{
	static char text[1024 * 1024];
	_cleanup_json_ json_t *j = NULL;
	struct ends *e = *state;
	size_t got = 0;
	char last = 'x';
	int r;

	memset(text, 'y', sizeof(text) - 1);
	j = json_pack("{s:s}", "a", text);
	assert_int_equal(wire_queue(e->w, j, NULL, NULL), 0);
	assert_int_equal(wire_flush(e->w, NULL), 1);
	do {
		static char buf[5000];
		ssize_t n = recv(e->raw, buf, sizeof(buf), MSG_DONTWAIT);

		assert_true(n > 0);
		got += (size_t)n;
		last = buf[n - 1];
		r = wire_flush(e->w, NULL);
		assert_true(r >= 0);
	} while (last);
	assert_int_equal(r, 0);
	assert_int_equal(got, sizeof(text) - 1 + strlen("{\"a\":\"\"}") + 1);
}

/* ---- ends ----------------------------------------------------------------------------- */

/* SIGPIPE has its default here, which would be the end of this program. */
static void test_sending_to_nobody(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{}");
	struct vnet_err err = VNET_ERR_INIT;
	struct ends *e = *state;

	e->raw = close_fd(e->raw);
	assert_int_equal(wire_queue(e->w, j, NULL, &err), 0);
	assert_int_equal(wire_flush(e->w, &err), -EPIPE);
	assert_int_equal(err.code, -EPIPE);
	assert_int_equal(wire_receive(e->w, &j, NULL, &err), -EPIPE);
}

static void test_the_last_words_are_heard(void **state)
{
	struct ends *e = *state;
	struct vnet_err err = VNET_ERR_INIT;
	json_t *j = NULL;

	send_message(e, "{\"n\":1}", 1, 1);
	send_message(e, "{\"n\":2}\0{\"n\"", 0, 0);
	e->raw = close_fd(e->raw);
	expect_message(e, 1, 1, 1);
	expect_message(e, 2, 0, 0);
	assert_int_equal(wire_receive(e->w, &j, NULL, &err), -EBADMSG);
}

static void test_end_in_the_middle(void **state)
{
	struct ends *e = *state;

	send_raw(e->raw, "{\"n\":", 5, 1, 1);
	shutdown(e->raw, SHUT_WR);
	expect_end(e, -EPIPE, "middle");
}

static void test_end_between_messages(void **state)
{
	struct ends *e = *state;

	send_message(e, "{\"n\":1}", 0, 0);
	shutdown(e->raw, SHUT_WR);
	expect_message(e, 1, 0, 0);
	expect_end(e, -EPIPE, "closed");
}

/* A peer that goes without having read: the kernel says ECONNRESET, we say gone. */
static void test_end_with_unread_bytes(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{}");
	struct vnet_err err = VNET_ERR_INIT;
	struct ends *e = *state;

	send_message(e, "{\"n\":1}", 0, 0);
	assert_int_equal(wire_queue(e->w, j, NULL, NULL), 0);
	assert_int_equal(wire_flush(e->w, NULL), 0);
	e->raw = close_fd(e->raw);
	expect_message(e, 1, 0, 0);
	assert_int_equal(wire_receive(e->w, &j, NULL, &err), -EPIPE);
}

static void test_a_reply_goes_out_after_a_protocol_error(void **state)
{
	_cleanup_json_ json_t *j = json_pack("{}");
	struct ends *e = *state;
	char buf[8];

	send_message(e, "garbage", 0, 0);
	expect_end(e, -EBADMSG, "JSON");
	assert_int_equal(wire_queue(e->w, j, NULL, NULL), 0);
	assert_int_equal(wire_flush(e->w, NULL), 0);
	assert_int_equal(recv(e->raw, buf, sizeof(buf), MSG_DONTWAIT), 3);
	assert_memory_equal(buf, "{}", 3);
}

static void test_new_refused(void **state)
{
	struct wire *w = NULL;
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	/* The descriptor goes in any case; ends_leave() counts. */
	assert_int_equal(wire_new(&w, make_fd(1), 0, 0, &err), -EINVAL);
	assert_int_equal(wire_new(&w, make_fd(1), WIRE_MESSAGE_MAX, VNET_FDS_MAX + 1, &err),
			 -EINVAL);
	assert_int_equal(wire_new(&w, make_fd(1), WIRE_MESSAGE_MAX_TRUSTED + 1, 0, &err), -EINVAL);
	assert_int_equal(wire_new(&w, -1, WIRE_MESSAGE_MAX, 0, &err), -EINVAL);
	assert_null(w);
	assert_null(wire_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_wire(test_byte_by_byte),
		on_wire(test_several_in_one_read),
		on_wire(test_tail_and_next),
		on_wire(test_thousands_of_small_ones),
		on_wire(test_does_not_block),
		on_wire(test_out_as_written),
		on_wire(test_message_at_the_limit),
		on_wire(test_oversized_behind_a_good_one),
		on_wire(test_endless_message),
		on_wire(test_garbage),
		on_wire(test_garbage_is_not_quoted),
		on_wire(test_nesting),
		on_wire(test_brackets_in_strings_do_not_nest),
		on_wire(test_a_peer_that_never_reads),
		on_wire(test_a_slow_reader_gets_all),
		on_wire(test_sending_to_nobody),
		on_wire(test_the_last_words_are_heard),
		on_wire(test_end_in_the_middle),
		on_wire(test_end_between_messages),
		on_wire(test_end_with_unread_bytes),
		on_wire(test_a_reply_goes_out_after_a_protocol_error),
		on_wire(test_new_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
