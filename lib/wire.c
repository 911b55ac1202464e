/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation
 *
 * A stream has no messages, and yet descriptors must arrive with theirs. What the kernel
 * grants (net/unix/af_unix.c, unix_stream_read_generic; tests/unit/test-wire.c holds it to it):
 *
 *  - sendmsg() puts descriptors on the first buffer it queues; a long message goes on in
 *    buffers without any. One buffer never holds bytes of two sendmsg() calls.
 *  - recvmsg() goes on over buffers without descriptors, and does NOT stop before one that has
 *    some: the tail of message N, whole messages behind it and the start of a message with
 *    descriptors come as one read. It stops after the first buffer that has some, used up or
 *    not. So a read returns the descriptors of one buffer at most, and that is the buffer in
 *    which the read's last byte lies.
 *
 * What we add when sending: descriptors go out with the first byte of their message, and no
 * sendmsg() holds bytes of two messages (wire_flush). The buffer that carries descriptors
 * hence lies within one message, so that
 *
 *	the descriptors of a read belong to the message in which its last byte lies,
 *
 * the final NUL being a message's last byte. Reading happens only while no whole message is
 * buffered; so all that is in the buffer before a read belongs to one unfinished message, and
 * what a read brings belongs to that one ("head") or to the last one it has begun ("tail").
 * Two sets are enough. A peer that sends descriptors in the middle of a message has them
 * counted and delivered with it: order is by bytes alone, never by guesses.
 *
 * There is room in recvmsg() for as many descriptors as are accepted and no more: the kernel
 * drops the others by itself and reports MSG_CTRUNC. Closing them here could block, since
 * close() of a FUSE file waits for the peer's own file server.
 *
 * The first protocol error ends reading for good: behind it nothing can be believed. Writing
 * is another matter; a reply still goes out.
 */
#include "lib/wire.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define READ_CHUNK (16u * 1024)
#define BUFFER_KEEP (64u * 1024) /* a larger buffer is given back once it is empty */

struct out_msg {
	struct out_msg *next;
	char *data; /* with its NUL, which is sent */
	size_t len, done;
	struct vnet_fds fds;
};

struct wire {
	int fd;
	size_t in_max, max_fds;
	int in_broken; /* what reading ended with, 0 while it goes on */

	char *in; /* bytes [begin, end) are waiting; [begin, scanned) holds no NUL */
	size_t in_size, begin, end, scanned;
	struct vnet_fds head; /* of the message that starts at begin */
	struct vnet_fds tail; /* of the one that starts at tail_start, > begin */
	size_t tail_start;

	struct out_msg *out, **out_end;
	size_t out_bytes;
};

int wire_new(struct wire **ret, int fd, size_t in_max, size_t max_fds, struct vnet_err *err)
{
	_cleanup_close_ int owned = fd;
	struct wire *w;

	if (fd < 0 || in_max == 0 || in_max > WIRE_MESSAGE_MAX_TRUSTED || max_fds > VNET_FDS_MAX)
		return vnet_err_errno(err, -EINVAL, "set up a connection");
	w = calloc(1, sizeof(*w));
	if (!w)
		return vnet_err_errno(err, -ENOMEM, "set up a connection");
	w->fd = take_fd(&owned);
	w->in_max = in_max;
	w->max_fds = max_fds;
	w->out_end = &w->out;
	*ret = w;
	return 0;
}

static void out_free(struct out_msg *m)
{
	vnet_fds_done(&m->fds);
	free(m->data);
	free(m);
}

struct wire *wire_free(struct wire *w)
{
	struct out_msg *m;

	if (!w)
		return NULL;
	while ((m = w->out)) {
		w->out = m->next;
		out_free(m);
	}
	vnet_fds_done(&w->tail);
	vnet_fds_done(&w->head);
	free(w->in);
	close_fd(w->fd);
	free(w);
	return NULL;
}

int wire_fd(const struct wire *w)
{
	return w->fd;
}

/* ---- sending -------------------------------------------------------------------------- */

int wire_queue(struct wire *w, const json_t *msg, struct vnet_fds *fds, struct vnet_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct out_msg *m;
	size_t len;

	for (size_t i = 0; fds && i < fds->n; i++)
		if (fds->fd[i] < 0)
			return vnet_err_errno(err, -EBADF, "send descriptor %zu of a message", i);
	text = json_dumps(msg, JSON_COMPACT);
	if (!text)
		return vnet_err_errno(err, -ENOMEM, "encode a message");
	len = strlen(text) + 1;
	if (len > WIRE_OUT_MAX - w->out_bytes)
		return vnet_err_set(err, -ENOBUFS, VNET_E_LIMIT,
				    "the peer does not read: %zu bytes wait for it, at most %u may",
				    w->out_bytes, WIRE_OUT_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return vnet_err_errno(err, -ENOMEM, "queue a message");
	m->data = take_ptr(text);
	m->len = len;
	if (fds) {
		m->fds = *fds;
		*fds = VNET_FDS_INIT;
	}
	*w->out_end = m;
	w->out_end = &m->next;
	w->out_bytes += len;
	return 0;
}

/* One sendmsg() of what is left of @m, with its descriptors, which are gone after the first. */
static ssize_t send_some(int fd, const struct out_msg *m)
{
	union {
		struct cmsghdr header;
		char buf[CMSG_SPACE(sizeof(int) * VNET_FDS_MAX)];
	} control = { 0 };
	struct iovec iov = { .iov_base = m->data + m->done, .iov_len = m->len - m->done };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;
	ssize_t n;

	if (m->fds.n > 0) {
		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * m->fds.n);
		c = &control.header;
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * m->fds.n);
		memcpy(CMSG_DATA(c), m->fds.fd, sizeof(int) * m->fds.n);
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int wire_flush(struct wire *w, struct vnet_err *err)
{
	struct out_msg *m;

	while ((m = w->out)) {
		ssize_t n = send_some(w->fd, m);

		if (n == -EAGAIN)
			return 1;
		if (n == -EPIPE || n == -ECONNRESET)
			return vnet_err_errno(err, -EPIPE, "send a message: the peer is gone");
		if (n < 0)
			return vnet_err_errno(err, (int)n, "send a message");
		/* They are in flight; a copy kept here would keep what they open alive. */
		vnet_fds_done(&m->fds);
		m->done += (size_t)n;
		w->out_bytes -= (size_t)n;
		if (m->done < m->len)
			continue;
		w->out = m->next;
		if (!w->out)
			w->out_end = &w->out;
		out_free(m);
	}
	return 0;
}

bool wire_pending(const struct wire *w)
{
	return w->out != NULL;
}

bool wire_fds_pending(const struct wire *w)
{
	for (const struct out_msg *m = w->out; m; m = m->next) {
		if (m->fds.n > 0)
			return true;
	}
	return false;
}

/* ---- receiving ------------------------------------------------------------------------ */

static int broken(struct wire *w, int code, struct vnet_err *err, const char *why)
{
	enum vnet_err_name name = VNET_E_FAILED;

	if (code == -EBADMSG)
		name = VNET_E_INVALID;
	else if (code == -EMSGSIZE || code == -E2BIG)
		name = VNET_E_LIMIT;
	w->in_broken = code;
	vnet_fds_done(&w->head);
	vnet_fds_done(&w->tail);
	return vnet_err_set(err, code, name, "%s", why);
}

/* Room for one more read: first by moving what waits to the front, then by growing. */
static int make_room(struct wire *w)
{
	size_t size;
	char *p;

	if (w->begin > 0) {
		memmove(w->in, w->in + w->begin, w->end - w->begin);
		w->end -= w->begin;
		w->scanned -= w->begin;
		w->begin = 0;
	}
	if (w->end == 0 && w->in_size > BUFFER_KEEP) {
		free(take_ptr(w->in));
		w->in_size = 0;
	}
	if (w->in_size - w->end >= READ_CHUNK)
		return 0;
	/* Doubling, but never far beyond what a message may have. */
	size = w->in_size * 2;
	if (size > w->in_max + READ_CHUNK)
		size = w->in_max + READ_CHUNK;
	if (size < w->end + READ_CHUNK)
		size = w->end + READ_CHUNK;
	p = realloc(w->in, size);
	if (!p)
		return -ENOMEM;
	w->in = p;
	w->in_size = size;
	return 0;
}

/* Takes every descriptor out of @mh; what is too many for @fds is closed and reported. */
static int collect_fds(struct msghdr *mh, struct vnet_fds *fds, size_t max)
{
	bool too_many = false;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (fds->n >= max)
				too_many = true;
			if (fds->n >= max)
				close_fd(fd);
			else
				vnet_fds_add(fds, fd);
		}
	}
	return too_many ? -E2BIG : 0;
}

/* @fresh came with a read that began at @old_end: see the theory of operation. */
static int attribute_fds(struct wire *w, size_t old_end, struct vnet_fds *fresh)
{
	const char *nul = memrchr(w->in + old_end, '\0', w->end - 1 - old_end);
	struct vnet_fds *owner = &w->head;

	if (nul) {
		owner = &w->tail;
		w->tail_start = (size_t)(nul - w->in) + 1;
	}
	for (size_t i = 0; i < fresh->n; i++) {
		if (owner->n >= w->max_fds)
			return -E2BIG;
		vnet_fds_add(owner, vnet_fds_take(fresh, i));
	}
	return 0;
}

/* One recvmsg(): 1 got something, 0 nothing there, <0. */
static int read_some(struct wire *w, struct vnet_err *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * VNET_FDS_MAX)];
	} control;
	_cleanup_fds_ struct vnet_fds fresh = VNET_FDS_INIT;
	struct iovec iov = { .iov_base = w->in + w->end, .iov_len = w->in_size - w->end };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t old_end = w->end;
	ssize_t n;
	int r;

	if (w->max_fds > 0) {
		mh.msg_control = control.buf;
		/* The kernel drops what is more by itself: it never becomes ours to close. */
		mh.msg_controllen = CMSG_LEN(sizeof(int) * w->max_fds);
	}
	do
		n = recvmsg(w->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && errno != ECONNRESET) {
		broken(w, -errno, NULL, "");
		return vnet_err_errno(err, w->in_broken, "receive a message");
	}
	if (n <= 0 && w->begin < w->end)
		return broken(w, -EPIPE, err, "the peer went away in the middle of a message");
	if (n <= 0)
		return broken(w, -EPIPE, err, "the peer closed the connection");
	w->end += (size_t)n;
	r = collect_fds(&mh, &fresh, w->max_fds);
	if (r == 0 && (mh.msg_flags & MSG_CTRUNC))
		r = -E2BIG;
	if (r == 0)
		r = attribute_fds(w, old_end, &fresh);
	if (r < 0 && w->max_fds == 0)
		return broken(w, r, err, "descriptors came where none are accepted");
	if (r < 0)
		return broken(w, r, err,
			      "more descriptors came than a message may have, or than this process "
			      "may open (LimitNOFILE)");
	return 1;
}

/* jansson's parser recurses, and what it builds is walked by recursion: the depth is bounded
 * before it sees the text. Brackets in strings do not count. */
static bool too_deep(const char *p, size_t len)
{
	bool in_string = false;
	unsigned depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (in_string) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				in_string = false;
		} else if (p[i] == '"') {
			in_string = true;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > WIRE_DEPTH_MAX)
				return true;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

static int decode(struct wire *w, const char *p, size_t len, json_t **ret, struct vnet_err *err)
{
	_cleanup_json_ json_t *j = NULL;
	char why[JSON_ERROR_TEXT_LENGTH + 64], *near;
	json_error_t e;

	if (len > w->in_max)
		return broken(w, -EMSGSIZE, err, "the message is longer than accepted");
	if (too_deep(p, len))
		return broken(w, -EBADMSG, err, "the message is nested too deep");
	j = json_loadb(p, len, JSON_REJECT_DUPLICATES, &e);
	if (!j) {
		/* What follows "near" is the peer's own bytes, and no matter for a log. */
		near = strstr(e.text, " near ");
		if (near)
			*near = '\0';
		snprintf(why, sizeof(why), "the message is not JSON: byte %d: %s", e.position,
			 e.text);
		return broken(w, -EBADMSG, err, why);
	}
	if (!json_is_object(j))
		return broken(w, -EBADMSG, err, "the message is not a JSON object");
	*ret = take_ptr(j);
	return 0;
}

/* The message [begin, nul) is whole: it and its descriptors leave the buffer. */
static int pop(struct wire *w, size_t nul, json_t **ret_msg, struct vnet_fds *ret_fds,
	       struct vnet_err *err)
{
	_cleanup_fds_ struct vnet_fds unwanted = VNET_FDS_INIT;
	json_t *msg = NULL;
	int r;

	r = decode(w, w->in + w->begin, nul - w->begin, &msg, err);
	if (r < 0)
		return r;
	*(ret_fds ? ret_fds : &unwanted) = w->head;
	w->head = VNET_FDS_INIT;
	w->begin = w->scanned = nul + 1;
	if (w->tail.n > 0 && w->tail_start == w->begin) {
		w->head = w->tail;
		w->tail = VNET_FDS_INIT;
	}
	*ret_msg = msg;
	return 1;
}

int wire_receive(struct wire *w, json_t **ret_msg, struct vnet_fds *ret_fds, struct vnet_err *err)
{
	const char *nul;
	int r;

	if (w->in_broken)
		return vnet_err_set(err, w->in_broken, VNET_E_FAILED,
				    "the connection has ended before");
	for (bool have_read = false;; have_read = true) {
		nul = NULL;
		if (w->end > w->scanned)
			nul = memchr(w->in + w->scanned, '\0', w->end - w->scanned);
		if (nul)
			return pop(w, (size_t)(nul - w->in), ret_msg, ret_fds, err);
		w->scanned = w->end;
		if (w->end - w->begin > w->in_max)
			return broken(w, -EMSGSIZE, err, "the message is longer than accepted");
		if (have_read)
			return 0;
		if (make_room(w) < 0)
			return broken(w, -ENOMEM, err, "no memory for a message");
		r = read_some(w, err);
		if (r <= 0)
			return r;
	}
}
