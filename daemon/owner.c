/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: a pid alone names a process only until it ends. The kernel keeps the
 * peer of a socket as a reference and, since 6.5, gives a pidfd for that (SO_PEERPIDFD). For
 * older ones a pidfd is opened by number, and the process that it is for must have been there
 * when the socket was connected. Read behind an open pidfd whose process is alive, /proc/PID
 * is about that process.
 */
#include "daemon/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define STAT_MAX 1024
#define STATUS_LINE_MAX 256
#define START_TIME_FIELD 22
#define USEC_PER_SEC UINT64_C(1000000)

struct watch {
	void (*ended)(void *user);
	void *user;
};

/* Of what follows the name, which may hold anything, itself ")" too. */
static int parse_stat(char *text, uint64_t *ret_start, char comm[static OWNER_COMM_MAX])
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *at, *end;
	unsigned field = 2;

	if (!open || !close || close < open)
		return -EBADMSG;
	snprintf(comm, OWNER_COMM_MAX, "%.*s", (int)(close - open - 1), open + 1);
	for (char *c = comm; *c; c++)
		*c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
	for (at = close; at && field < START_TIME_FIELD; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return -EBADMSG;
	errno = 0;
	*ret_start = strtoull(at + 1, &end, 10);
	return errno || end == at + 1 ? -EBADMSG : 0;
}

static int read_stat(pid_t pid, uint64_t *ret_start, char comm[static OWNER_COMM_MAX])
{
	char path[32], text[STAT_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	n = file_read_at(AT_FDCWD, path, text, sizeof(text));
	return n < 0 ? (int)n : parse_stat(text, ret_start, comm);
}

struct status {
	uid_t uid; /* for files: the last of real, effective, saved and that */
	uint64_t locked;
};

static int read_status(pid_t pid, struct status *ret)
{
	char path[32], line[STATUS_LINE_MAX];
	struct status s = { 0 };
	unsigned long long kb;
	int r = -EBADMSG;
	unsigned uid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	/* A line that is longer, the groups', is read as several. */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Uid: %*u %*u %*u %u", &uid) == 1) {
			s.uid = uid;
			r = 0;
		} else if (sscanf(line, "VmLck: %llu", &kb) == 1 ||
			   sscanf(line, "VmPin: %llu", &kb) == 1) {
			s.locked += kb * 1024;
		}
	}
	fclose(f);
	if (r == 0)
		*ret = s;
	return r;
}

/* A pidfd becomes readable with the end of the process, its last thread's. */
static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return pidfd < 0 || poll(&p, 1, 0) != 0;
}

static int gone(pid_t pid, struct vnet_err *err)
{
	return vnet_err_set(err, -ESRCH, VNET_E_FAILED, "process %d has ended", (int)pid);
}

/* Fill in who @pidfd, taken over, is for. */
static int owner_open(struct owner *ret, pid_t pid, int pidfd, struct vnet_err *err)
{
	_cleanup_close_ int fd = pidfd;
	uint64_t start = 0;
	char comm[OWNER_COMM_MAX];
	struct status status = { 0 };
	int r = read_stat(pid, &start, comm);

	if (r == 0)
		r = read_status(pid, &status);
	if (has_ended(fd)) /* then what was read is somebody else's, or nobody's */
		return gone(pid, err);
	if (r < 0)
		return vnet_err_errno(err, r, "read /proc/%d", (int)pid);
	*ret = (struct owner){
		.pid = pid, .start_time = start, .uid = status.uid, .pidfd = take_fd(&fd)
	};
	memcpy(ret->comm, comm, sizeof(comm));
	return 0;
}

/* @since in the clock that start times are in, which also runs while the host sleeps. */
static uint64_t boot_ticks(uint64_t since)
{
	struct timespec boot, mono;
	uint64_t usec;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	usec = ((uint64_t)boot.tv_sec - (uint64_t)mono.tv_sec) * USEC_PER_SEC +
	       (uint64_t)(boot.tv_nsec / 1000) - (uint64_t)(mono.tv_nsec / 1000) + since;
	return usec * (uint64_t)sysconf(_SC_CLK_TCK) / USEC_PER_SEC;
}

int owner_of_socket(struct owner *ret, int fd, uint64_t since, struct vnet_err *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int pidfd = -1, r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return vnet_err_errno(err, -errno, "ask who is behind the socket");
	if (cred.pid <= 0)
		return vnet_err_set(err, -ESRCH, VNET_E_FAILED,
				    "who is behind the socket cannot be seen from here: it is in "
				    "another PID namespace");
	len = sizeof(pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0)
		return owner_open(ret, cred.pid, pidfd, err);
	if (errno != ENOPROTOOPT)
		return gone(cred.pid, err);
	pidfd = pidfd_open(cred.pid, 0);
	if (pidfd < 0)
		return errno == ESRCH
			       ? gone(cred.pid, err)
			       : vnet_err_errno(err, -errno, "watch process %d", (int)cred.pid);
	r = owner_open(ret, cred.pid, pidfd, err);
	if (r == 0 && ret->start_time > boot_ticks(since)) {
		owner_done(ret);
		r = gone(cred.pid, err);
	}
	return r;
}

int owner_reopen(struct owner *ret, pid_t pid, uint64_t start_time, struct vnet_err *err)
{
	int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1, r;

	if (pidfd < 0)
		return pid <= 0 || errno == ESRCH || errno == EINVAL || errno == ENOENT
			       ? gone(pid, err)
			       : vnet_err_errno(err, -errno, "watch process %d", (int)pid);
	r = owner_open(ret, pid, pidfd, err);
	if (r == 0 && ret->start_time != start_time) {
		owner_done(ret);
		r = gone(pid, err);
	}
	return r;
}

bool owner_alive(const struct owner *o)
{
	return !has_ended(o->pidfd);
}

void owner_look(struct owner *o)
{
	char comm[OWNER_COMM_MAX];
	uint64_t start = 0;

	if (read_stat(o->pid, &start, comm) == 0 && start == o->start_time)
		memcpy(o->comm, comm, sizeof(comm));
}

/* ---- its end ---- */

static int on_end(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	struct watch w = *(struct watch *)user;

	(void)fd;
	(void)revents;
	/* It stays readable; and whoever is told may free the owner. */
	sd_event_source_set_enabled(s, SD_EVENT_OFF);
	w.ended(w.user);
	return 0;
}

int owner_watch(struct owner *o, sd_event *event, void (*ended)(void *user), void *user,
		struct vnet_err *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	int r = w ? sd_event_add_io(event, &o->end, o->pidfd, EPOLLIN, on_end, w) : -ENOMEM;

	if (r >= 0) {
		*w = (struct watch){ ended, user };
		r = sd_event_source_set_destroy_callback(o->end, free);
	}
	if (r >= 0)
		return 0;
	o->end = sd_event_source_disable_unref(o->end);
	free(w);
	return vnet_err_errno(err, r, "watch process %d", (int)o->pid);
}

void owner_done(struct owner *o)
{
	o->end = sd_event_source_disable_unref(o->end);
	o->pidfd = close_fd(o->pidfd);
}

/* ---- in state files ---- */

json_t *owner_to_json(const struct owner *o)
{
	json_t *j = json_object();

	json_put_int(j, "pid", o->pid);
	json_put_int(j, "startTime", (int64_t)o->start_time);
	json_put_str(j, "comm", o->comm);
	return j;
}

int owner_from_json(const json_t *j, struct owner *ret, struct vnet_err *err)
{
	int64_t pid = 0, start = 0;
	struct owner o = OWNER_INIT;
	int r = json_get_int(j, "pid", 1, INT32_MAX, &pid, err);

	if (r == 0)
		r = json_get_int(j, "startTime", 0, INT64_MAX, &start, err);
	if (r == 0)
		r = json_get_str_opt(j, "comm", o.comm, sizeof(o.comm), err);
	if (r < 0)
		return r;
	o.pid = (pid_t)pid;
	o.start_time = (uint64_t)start;
	*ret = o;
	return 0;
}

/* ---- its limit ---- */

static rlim_t higher(rlim_t now, rlim_t wanted)
{
	if (now == RLIM_INFINITY || wanted == RLIM_INFINITY)
		return RLIM_INFINITY;
	return now > wanted ? now : wanted;
}

int owner_locked_memory(const struct owner *o, uint64_t *ret_bytes, struct vnet_err *err)
{
	struct status s = { 0 };
	int r = read_status(o->pid, &s);

	if (!owner_alive(o))
		return gone(o->pid, err);
	if (r < 0)
		return vnet_err_errno(err, r, "read how much memory process %d has locked",
				      (int)o->pid);
	*ret_bytes = s.locked;
	return 0;
}

int owner_raise_memlock(const struct owner *o, uint64_t bytes, struct vnet_err *err)
{
	rlim_t wanted = bytes == OWNER_MEMLOCK_ALL ? RLIM_INFINITY : (rlim_t)bytes;
	struct rlimit now, next;
	char much[48] = "memory without a limit";

	/* prlimit() goes by pid: as long as the process is not reaped, it is that one's. */
	if (!owner_alive(o))
		return gone(o->pid, err);
	if (prlimit(o->pid, RLIMIT_MEMLOCK, NULL, &now) < 0)
		return vnet_err_errno(err, -errno, "read how much memory process %d may lock",
				      (int)o->pid);
	next.rlim_cur = higher(now.rlim_cur, wanted);
	next.rlim_max = higher(now.rlim_max, wanted);
	if (next.rlim_cur == now.rlim_cur && next.rlim_max == now.rlim_max)
		return 0;
	if (prlimit(o->pid, RLIMIT_MEMLOCK, &next, NULL) == 0)
		return 0;
	if (bytes != OWNER_MEMLOCK_ALL)
		snprintf(much, sizeof(much), "%llu MiB of memory", (unsigned long long)bytes >> 20);
	return vnet_err_errno(err, -errno,
			      "let process %d (%s) lock %s, as its device needs (vnetd needs "
			      "CAP_SYS_RESOURCE)",
			      (int)o->pid, o->comm, much);
}
