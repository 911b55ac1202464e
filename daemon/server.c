/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is let in. Everybody may connect, so that a refusal can say why; what one user
 * can hold of the daemon is bounded per uid, and the last places are kept for root, so
 * that users together cannot lock the administrator out. A refused client gets its
 * error in one non-blocking send, and is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/server-priv.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"

/* Then the clients that are in have their turn. */
#define ACCEPTS_PER_TURN 16
/* How long to wait when the kernel gives no descriptor for a connection. */
#define ACCEPT_PAUSE_USEC (500u * 1000)
#define GROUPS_MAX 65536 /* NGROUPS_MAX */

/* ---- accounts ---- */

static struct account *account_get(struct server *s, uid_t uid)
{
	struct account *a;

	for (a = s->accounts; a; a = a->next) {
		if (a->uid == uid)
			return a;
	}
	a = calloc(1, sizeof(*a));
	if (a) {
		a->uid = uid;
		a->next = s->accounts;
		s->accounts = a;
	}
	return a;
}

static void account_put(struct server *s, struct account *a)
{
	struct account **p = &s->accounts;

	if (a->n_connections > 0)
		return;
	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	free(a);
}

void server_forget(struct server *s, struct connection *conn)
{
	struct connection **p = &s->connections;
	struct account *a = conn->account;

	while (*p != conn)
		p = &(*p)->next;
	*p = conn->next;
	s->n_connections--;
	a->n_connections--;
	if (a->n_connections < CONNECTIONS_PER_UID)
		a->warned = false;
	if (s->n_connections < CONNECTIONS_MAX - CONNECTIONS_FOR_ROOT)
		s->warned = false;
	account_put(s, a);
	/* What a crowd of clients took is scattered over the heap, and would stay ours. */
	if (s->n_connections == 0 && s->crowded) {
		s->crowded = false;
		malloc_trim(0);
	}
}

/* ---- accepting ---- */

static int peer_read(int fd, struct peer *ret, struct vnet_err *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct timespec now;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return vnet_err_errno(err, -errno, "ask who connects");
	clock_gettime(CLOCK_MONOTONIC, &now);
	*ret = (struct peer){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	ret->since = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return 0;
}

static int peer_read_groups(int fd, struct peer *peer, struct vnet_err *err)
{
	socklen_t len = 0;

	/* The first call says how many there are; they are those of connect(2) and stay. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0)
		return 0;
	if (errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t))
		return vnet_err_errno(err, -errno, "ask for the groups of uid %u",
				      (unsigned)peer->uid);
	peer->groups = malloc(len);
	if (!peer->groups)
		return vnet_err_errno(err, -ENOMEM, "accept a connection");
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &len) < 0)
		return vnet_err_errno(err, -errno, "ask for the groups of uid %u",
				      (unsigned)peer->uid);
	peer->n_groups = len / sizeof(gid_t);
	return 0;
}

static int check_limits(struct server *s, struct account *a, struct vnet_err *err)
{
	unsigned max = CONNECTIONS_MAX - (a->uid == 0 ? 0 : CONNECTIONS_FOR_ROOT);
	bool *warned;

	if (a->uid != 0 && a->n_connections >= CONNECTIONS_PER_UID) {
		vnet_err_set(err, -EUSERS, VNET_E_LIMIT,
			     "connect: uid %u has %u connections, the most a user may have: "
			     "close some",
			     (unsigned)a->uid, a->n_connections);
		warned = &a->warned;
	} else if (s->n_connections >= max) {
		vnet_err_set(err, -EUSERS, VNET_E_LIMIT,
			     "connect: vnetd serves %u connections, the most it does%s: "
			     "try again later",
			     s->n_connections, a->uid == 0 ? "" : " for users");
		warned = &s->warned;
	} else {
		return 0;
	}
	/* Once: whoever runs into a limit may do so ten thousand times. */
	if (!*warned)
		log_msg(LOG_WARNING, NULL, "refused: %s", err->text);
	*warned = true;
	return -EUSERS;
}

static void refuse(int fd, const struct vnet_err *err)
{
	_cleanup_json_ json_t *msg = connection_error_message(err, NULL);
	_cleanup_free_ char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;

	/* With its NUL, which ends the message. A client that gets none sees the close. */
	if (text)
		(void)!send(fd, text, strlen(text) + 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void welcome(struct server *s, int accepted)
{
	_cleanup_close_ int fd = accepted;
	struct vnet_err err = VNET_ERR_INIT;
	struct peer peer = { 0 };
	struct account *a;
	int r;

	r = peer_read(fd, &peer, &err);
	if (r < 0) {
		log_err(LOG_WARNING, NULL, &err, "accept");
		return;
	}
	a = account_get(s, peer.uid);
	if (!a)
		return;
	r = check_limits(s, a, &err);
	if (r == 0)
		r = peer_read_groups(fd, &peer, &err);
	if (r < 0)
		refuse(fd, &err);
	else
		r = connection_new(s, take_fd(&fd), &peer, a, &err);
	if (r < 0) {
		log_err(LOG_DEBUG, NULL, &err, "pid %d", (int)peer.pid);
		free(peer.groups);
		account_put(s, a);
	}
}

/* Out of descriptors or memory: the socket stays readable, and would be asked again at
 * once and for ever. */
static void pause_listening(struct server *s, int reason)
{
	struct vnet_err err = VNET_ERR_INIT;

	vnet_err_errno(&err, -reason, "accept a connection");
	log_err(LOG_WARNING, NULL, &err, "no new connections for a moment");
	if (sd_event_source_set_time_relative(s->resume, ACCEPT_PAUSE_USEC) < 0 ||
	    sd_event_source_set_enabled(s->resume, SD_EVENT_ONESHOT) < 0)
		return;
	sd_event_source_set_enabled(s->listen, SD_EVENT_OFF);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *user)
{
	struct server *s = user;

	(void)source;
	(void)usec;
	sd_event_source_set_enabled(s->listen, SD_EVENT_ON);
	return 0;
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t revents, void *user)
{
	struct server *s = user;

	(void)source;
	(void)revents;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(s, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno != EAGAIN)
			pause_listening(s, errno);
		break;
	}
	return 0;
}

/* ---- the socket ---- */

static int address_of(const char *path, struct sockaddr_un *ret, struct vnet_err *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return vnet_err_set(err, -ENAMETOOLONG, VNET_E_INVALID,
				    "listen on %s: a socket's path has at most %zu characters",
				    path, sizeof(ret->sun_path) - 1);
	strcpy(ret->sun_path, path);
	return 0;
}

/* A socket that nobody listens on is what a killed vnetd leaves; all else stays. */
static int remove_stale(const char *path, const struct sockaddr_un *addr, struct vnet_err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : vnet_err_errno(err, -errno, "listen on %s", path);
	if (!S_ISSOCK(st.st_mode))
		return vnet_err_set(err, -EEXIST, VNET_E_EXISTS,
				    "listen on %s: it exists and is no socket: move it away", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return vnet_err_errno(err, -errno, "make a socket");
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		return vnet_err_set(err, -EADDRINUSE, VNET_E_IN_USE,
				    "listen on %s: another vnetd does: stop it first "
				    "(systemctl stop vnetd.socket vnetd.service)",
				    path);
	if (errno != ECONNREFUSED)
		return vnet_err_errno(err, -errno, "see whether somebody listens on %s", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return vnet_err_errno(err, -errno, "remove the stale socket %s", path);
	return 0;
}

static int bind_socket(struct server *s, const char *path, struct vnet_err *err)
{
	struct sockaddr_un addr;
	struct stat st;
	int r;

	r = address_of(path, &addr, err);
	if (r < 0)
		return r;
	r = remove_stale(path, &addr, err);
	if (r < 0)
		return r;
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return vnet_err_errno(err, -errno, "make a socket");
	if (bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return vnet_err_errno(err, -errno, "listen on %s", path);
	s->path = strdup(path);
	if (!s->path || lstat(path, &st) < 0)
		return vnet_err_errno(err, -errno, "listen on %s", path);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	/* Before listen(): until then nobody gets in, whatever the umask made of it. */
	if (chmod(path, 0666) < 0)
		return vnet_err_errno(err, -errno, "open %s to everybody", path);
	if (listen(s->fd, SOMAXCONN) < 0)
		return vnet_err_errno(err, -errno, "listen on %s", path);
	return 0;
}

static int take_systemd_socket(struct server *s, int n, struct vnet_err *err)
{
	int fd = SD_LISTEN_FDS_START;

	if (n > 1)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "take the socket from systemd: it passes %d, one is wanted "
				    "(vnetd.socket has one ListenStream=)",
				    n);
	if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID,
				    "take the socket from systemd: descriptor %d is no listening "
				    "AF_UNIX stream socket (see vnetd.socket)",
				    fd);
	s->fd = fd;
	return 0;
}

/* Workers and libvirt need theirs besides CONNECTIONS_MAX; the usual 1024 is too few. */
static void raise_descriptor_limit(void)
{
	struct rlimit rl;
	const rlim_t wanted = 4 * CONNECTIONS_MAX;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur >= wanted)
		return;
	rl.rlim_cur = rl.rlim_max < wanted ? rl.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		log_debug(NULL, "RLIMIT_NOFILE cannot be raised: %s", strerror(errno));
}

static int server_listen(struct server *s, const char *path, struct vnet_err *err)
{
	int n, r;

	/* Unset for the workers, which are not to think that it is theirs. */
	n = sd_listen_fds(1);
	if (n < 0)
		return vnet_err_errno(err, n, "take the socket from systemd");
	r = n > 0 ? take_systemd_socket(s, n, err) : bind_socket(s, path, err);
	if (r < 0)
		return r;
	/* systemd's socket is a blocking one, and a client may be gone before accept(). */
	if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
		return vnet_err_errno(err, -errno, "make the socket non-blocking");
	r = sd_event_add_io(s->event, &s->listen, s->fd, EPOLLIN, on_listen, s);
	if (r >= 0)
		r = sd_event_add_time_relative(s->event, &s->resume, CLOCK_MONOTONIC,
					       ACCEPT_PAUSE_USEC, 0, on_resume, s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->resume, SD_EVENT_OFF);
	return r < 0 ? vnet_err_errno(err, r, "watch the socket") : 0;
}

int server_new(struct server **ret, sd_event *event, struct manager *m, const char *path,
	       struct vnet_err *err)
{
	struct server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return vnet_err_errno(err, -ENOMEM, "make the server");
	s->event = sd_event_ref(event);
	s->manager = m;
	s->dispatch = methods_dispatch;
	s->fd = -1;
	raise_descriptor_limit();
	r = server_listen(s, path, err);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct server *server_free(struct server *s)
{
	struct stat st;

	if (!s)
		return NULL;
	while (s->connections)
		connection_drop(s->connections);
	sd_event_source_disable_unref(s->resume);
	sd_event_source_disable_unref(s->listen);
	/* Unless a successor has put its own there. */
	if (s->path && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(s->path);
	close_fd(s->fd);
	free(s->path);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}
