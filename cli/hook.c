/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvirt's hook, installed as hooks/qemu.d/vnetd and hooks/network.d/vnetd. libvirt runs
 * it for every guest of the host, so it links libc alone and ends at once where stdin
 * does not name our namespace. Else the XML goes to vnetd, which acts and answers.
 *
 *	hook GUEST prepare|release|... begin|end EXTRA	<XML
 *
 * What is told on stderr is what `virsh start` shows: one line. Nothing is ever written
 * to stdout: for some operations libvirt would take it for new XML. Only what may fail
 * does: a failing "reconnect" kills a running guest (libvirt's qemuProcessReconnect), so
 * whatever is not listed here ends well.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET "/run/vnetd/io.vnetd"
#define TIMEOUT_FILE "/run/vnetd/hook-timeout-sec" /* written by vnetd where it is configured */
#define TIMEOUT_SEC 120
#define TIMEOUT_SEC_MAX 3600
#define NAMESPACE "urn:vnetd:1"
#define XML_MAX (4u * 1024 * 1024) /* of a guest; more is no guest of ours */
#define CALL_MAX (256u * 1024) /* vnetd takes no longer message: WIRE_MESSAGE_MAX of lib/wire.h */
#define REPLY_MAX (64u * 1024)

struct operation {
	const char *object, *name;
	bool may_fail;
};

/* What vnetd acts upon. The rest it need not know. */
static const struct operation operations[] = {
	{ "qemu", "prepare", true },
	{ "qemu", "release", false },
	{ "network", "start", true },
	{ "network", "port-created", true },
};

static const struct operation *find_operation(const char *object, const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].object, object) == 0 &&
		    strcmp(operations[i].name, name) == 0)
			return &operations[i];
	}
	return NULL;
}

/* One line, whatever is in it. */
static void complain(const char *text)
{
	fputs("vnetd: ", stderr);
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' ? ' ' : *text, stderr);
	fputc('\n', stderr);
}

/* ---- stdin ---- */

/* malloced; NULL: it cannot be read, or has no end. */
static char *read_all(int fd, size_t max)
{
	size_t size = 32 * 1024, n = 0;
	char *buf = malloc(size);

	while (buf) {
		ssize_t k = read(fd, buf + n, size - n - 1);
		char *more;

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			break;
		n += (size_t)k;
		if (k == 0) {
			buf[n] = '\0';
			return buf;
		}
		if (n + 1 < size)
			continue;
		if (size >= max)
			break;
		more = realloc(buf, size * 2);
		if (!more)
			break;
		buf = more;
		size *= 2;
	}
	free(buf);
	return NULL;
}

/* ---- JSON, as far as it is needed ---- */

static void put_string(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static char *make_call(const char *object, char **argv, const char *xml, size_t *ret_len)
{
	static const char *const names[] = { "operation", "subOperation", "extra" };
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return NULL;
	fputs("{\"method\":\"io.vnetd.Hook\",\"parameters\":{\"object\":", f);
	put_string(f, object);
	for (int i = 0; i < 3; i++) {
		fprintf(f, ",\"%s\":", names[i]);
		put_string(f, argv[2 + i]);
	}
	fputs(",\"xml\":", f);
	put_string(f, xml);
	fputs("}}", f);
	fputc('\0', f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* The string that begins behind @s's quote, in place. */
static char *take_string(char *s)
{
	char *to = s, *from = s;

	for (; *from && *from != '"'; from++) {
		unsigned c;

		if (*from != '\\' || !from[1]) {
			*to++ = *from;
			continue;
		}
		from++;
		if (*from == 'u' && sscanf(from + 1, "%4x", &c) == 1 && strlen(from) >= 5) {
			*to++ = c < 0x80 && c >= ' ' ? (char)c : '?';
			from += 4;
		} else {
			*to++ = *from == 'n' || *from == 't' || *from == 'r' ? ' ' : *from;
		}
	}
	*to = '\0';
	return s;
}

/* NULL: vnetd says yes; else why not. */
static char *refusal(char *reply)
{
	char *text;

	if (!strstr(reply, "\"error\""))
		return NULL;
	text = strstr(reply, "\"text\"");
	text = text ? strchr(text + strlen("\"text\""), '"') : NULL;
	return text ? take_string(text + 1) : reply;
}

/* ---- the call ---- */

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int timeout_sec(void)
{
	char text[16] = "";
	int fd = open(TIMEOUT_FILE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	long v = n > 0 ? strtol(text, NULL, 10) : 0;

	if (fd >= 0)
		close(fd);
	return v >= 1 && v <= TIMEOUT_SEC_MAX ? (int)v : TIMEOUT_SEC;
}

static int connect_to(const char *path, int sec)
{
	const struct timeval limit = { .tv_sec = sec };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(addr.sun_path, path);
	/* Where vnetd is stopped and its backlog full, connect() waits as long as this says. */
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -1 : fd;
}

static bool wait_for(int fd, short events, long long until)
{
	struct pollfd p = { .fd = fd, .events = events };
	long long left;

	while ((left = until - now_ms()) > 0) {
		int r = poll(&p, 1, (int)left);

		if (r > 0)
			return true;
		if (r < 0 && errno != EINTR)
			return false;
	}
	errno = ETIMEDOUT;
	return false;
}

static bool send_all(int fd, const char *buf, size_t len, long long until)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN ? !wait_for(fd, POLLOUT, until) : errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* Up to its NUL. */
static bool receive(int fd, char *buf, size_t size, long long until)
{
	size_t n = 0;

	while (n < size) {
		ssize_t k = recv(fd, buf + n, size - n, 0);

		if (k > 0) {
			n += (size_t)k;
			if (memchr(buf + n - k, '\0', (size_t)k))
				return true;
		} else if (k == 0) {
			errno = EPIPE;
			return false;
		} else if (errno == EAGAIN ? !wait_for(fd, POLLIN, until) : errno != EINTR) {
			return false;
		}
	}
	errno = EMSGSIZE;
	return false;
}

/* 0 with the reply, or 1 having said why there is none. */
static int exchange(const char *call, size_t len, char *reply, size_t size)
{
	const char *path = getenv("VNETD_SOCKET") ?: SOCKET;
	int sec = timeout_sec(), fd;
	long long until = now_ms() + sec * 1000LL;
	char text[256];

	fd = connect_to(path, sec);
	if (fd < 0)
		snprintf(text, sizeof(text),
			 "cannot reach vnetd at %s, which gives this guest its NICs: %s: systemctl "
			 "status vnetd.socket vnetd",
			 path, strerror(errno));
	/* Who refuses a connection says why before it closes it. */
	else if ((send_all(fd, call, len, until) || errno == EPIPE) &&
		 receive(fd, reply, size, until))
		return 0;
	else
		snprintf(text, sizeof(text),
			 "no answer about the guest's NICs: %s: journalctl -u vnetd; vnetctl list",
			 strerror(errno));
	complain(text);
	return 1;
}

/* 0, or 1 having said why. */
static int ask(const char *object, char **argv, const char *xml)
{
	static char reply[REPLY_MAX];
	char text[320], *why = text;
	size_t len = 0;
	char *call = make_call(object, argv, xml, &len);
	int r = 1;

	if (!call) {
		snprintf(text, sizeof(text), "cannot ask vnetd: %s", strerror(ENOMEM));
	} else if (len - 1 > CALL_MAX) {
		snprintf(
			text, sizeof(text),
			"the XML of %.128s is too large for vnetd: %zu bytes as a message, at most "
			"%u: make it smaller (virsh edit)",
			argv[1], len - 1, CALL_MAX);
	} else {
		r = exchange(call, len, reply, sizeof(reply));
		why = r == 0 ? refusal(reply) : NULL;
	}
	if (why)
		complain(why);
	free(call);
	return r || why;
}

int main(int argc, char **argv)
{
	/* By the folder we are in, as libvirt runs us by our full path. */
	const char *object = strstr(argv[0], "network.d/") ? "network" : "qemu";
	const struct operation *o = argc == 5 ? find_operation(object, argv[2]) : NULL;
	char *xml;
	int r = 0;

	if (!o)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	xml = read_all(STDIN_FILENO, XML_MAX);
	if (xml && strstr(xml, NAMESPACE))
		r = ask(object, argv, xml) && o->may_fail;
	free(xml);
	return r;
}
