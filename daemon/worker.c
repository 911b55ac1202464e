/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Theory of operation: a lane has at most one worker, a worker at most one call.
 * The worker is told nothing but by its socketpair and inherits nothing else. A
 * call past its deadline is answered with VNET_E_STUCK while its worker is left
 * alone: it may sit in the kernel unkillably, and killing it would not take back
 * what it does. The lane is closed to new calls until that worker answers or dies.
 */
#include "daemon/worker.h"
#include "daemon/messages.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <syslog.h>

#include "daemon/worker-error.h"
#include "daemon/worker-lock.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/wire.h"

#define LANE_NAME_MAX 32
#define WORKER_FD 3 /* where the child finds its end of the socketpair */

/* Who waits for an answer: one of the two, or nobody any more. */
struct listener {
	worker_done_fn plain;
	worker_fds_fn fds;
	void *user;
};

struct worker_call {
	struct worker_call *next;
	json_t *request;
	char text[128]; /* for the words about a stuck lane */
	unsigned deadline_ms;
	unsigned *setting; /* of a set, to be counted down; or NULL */
	struct listener done;
};

struct lane {
	struct lane *next;
	struct workers *workers;
	char name[LANE_NAME_MAX];
	struct worker_call *queue, **queue_end;
	struct worker_call *now;
	pid_t pid;
	int pidfd;
	struct wire *wire;
	sd_event_source *io, *timer, *death;
	uint64_t since; /* of the call under way, CLOCK_MONOTONIC us */
	bool stuck;
	char stuck_text[256];
};

struct workers {
	sd_event *event;
	char *exe, *root, *runtime;
	struct lane *lanes;
	unsigned n_processes, n_queued;
	unsigned n_sets, n_setting; /* in all; not back yet */
	int64_t next_id;
	struct worker_locks *locks; /* of the vnetds before */
	sd_event_source *kick;	    /* runs lanes from the loop, never from workers_call */
};

static void lane_run(struct lane *l);
static void lane_drop_worker(struct lane *l);

/* ---- calls ---- */

static void call_free(struct worker_call *c)
{
	if (!c)
		return;
	json_decref(c->request);
	free(c);
}

/* @fds: NULL where none can have come. */
static void call_tell(struct worker_call *c, int r, const json_t *result, struct vnet_fds *fds,
		      struct vnet_err *err)
{
	struct listener l = c->done;

	c->done = (struct listener){ 0 };
	if (l.plain)
		l.plain(l.user, r, result, err);
	else if (l.fds)
		l.fds(l.user, r, result, fds ? fds : &VNET_FDS_INIT, err);
}

static void call_finish(struct worker_call *c, int r, const json_t *result, struct vnet_fds *fds,
			struct vnet_err *err)
{
	if (c->setting)
		--*c->setting;
	call_tell(c, r, result, fds, err);
	call_free(c);
}

/* The daemon ends: whoever was not forgotten is told so. */
static void call_cancel(struct worker_call *c)
{
	struct vnet_err err = VNET_ERR_INIT;
	int r = vnet_err_set(&err, -ECANCELED, VNET_E_UNAVAILABLE, "vnetd is stopping");

	call_finish(c, r, NULL, NULL, &err);
}

static struct worker_call *lane_pop(struct lane *l)
{
	struct worker_call *c = l->queue;

	if (!c)
		return NULL;
	l->queue = c->next;
	if (!l->queue)
		l->queue_end = &l->queue;
	l->workers->n_queued--;
	return c;
}

static int stuck_error(const struct lane *l, struct vnet_err *err)
{
	return vnet_err_set(err, -ETIMEDOUT, VNET_E_STUCK, "%s", l->stuck_text);
}

static void lane_fail_queue(struct lane *l)
{
	struct worker_call *c;

	while ((c = lane_pop(l))) {
		struct vnet_err err = VNET_ERR_INIT;

		call_finish(c, stuck_error(l, &err), NULL, NULL, &err);
	}
}

/* ---- the process ---- */

static int spawn_worker(struct workers *w, int fd, pid_t *ret, struct vnet_err *err)
{
	char *argv[] = { (char *)"vnetd-worker",
			 (char *)"--worker",
			 (char *)"--root",
			 w->root,
			 (char *)"--runtime",
			 w->runtime,
			 NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&fa);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&fa, 0, 1);
	/* dup2 onto itself clears close-on-exec as well */
	posix_spawn_file_actions_adddup2(&fa, fd, WORKER_FD);
	posix_spawn_file_actions_addclosefrom_np(&fa, WORKER_FD + 1);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0);
	/* A group of its own: Ctrl-C at a developer's terminal must not end a write. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	r = posix_spawn(ret, w->exe, &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return r ? vnet_err_errno(err, -r, "start a worker (%s)", w->exe) : 0;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *user);
static int on_death(sd_event_source *s, int fd, uint32_t revents, void *user);
static int on_deadline(sd_event_source *s, uint64_t usec, void *user);

static int lane_start_worker(struct lane *l, struct vnet_err *err)
{
	struct workers *w = l->workers;
	_cleanup_close_ int ours = -1, theirs = -1;
	int sv[2], r;

	if (w->n_processes >= WORKERS_MAX)
		return vnet_err_set(err, -EAGAIN, VNET_E_LIMIT, "%d workers are at work or stuck",
				    WORKERS_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return vnet_err_errno(err, -errno, "socketpair for a worker");
	ours = sv[0];
	theirs = sv[1];
	if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
		return vnet_err_errno(err, -errno, "socketpair for a worker");
	r = spawn_worker(w, theirs, &l->pid, err);
	if (r < 0)
		return r;
	w->n_processes++;
	l->pidfd = pidfd_open(l->pid, 0);
	if (l->pidfd < 0)
		r = vnet_err_errno(err, -errno, "watch a worker");
	if (r == 0)
		r = wire_new(&l->wire, take_fd(&ours), WIRE_MESSAGE_MAX_TRUSTED, VNET_FDS_MAX, err);
	if (r == 0 &&
	    (r = sd_event_add_io(w->event, &l->io, wire_fd(l->wire), EPOLLIN, on_io, l)) < 0)
		vnet_err_errno(err, r, "watch a worker");
	if (r == 0 &&
	    (r = sd_event_add_io(w->event, &l->death, l->pidfd, EPOLLIN, on_death, l)) < 0)
		vnet_err_errno(err, r, "watch a worker");
	if (r < 0)
		lane_drop_worker(l);
	return r < 0 ? r : 0;
}

/* Let go of the process: it ends when its socket closes. */
static void lane_drop_worker(struct lane *l)
{
	l->io = sd_event_source_disable_unref(l->io);
	l->death = sd_event_source_disable_unref(l->death);
	l->timer = sd_event_source_disable_unref(l->timer);
	l->wire = wire_free(l->wire);
	if (l->pid > 0)
		l->workers->n_processes--;
	l->pid = 0;
	l->pidfd = close_fd(l->pidfd);
}

/* ---- running a lane ---- */

static void lane_arm(struct lane *l, uint64_t usec)
{
	uint64_t now;

	sd_event_now(l->workers->event, CLOCK_MONOTONIC, &now);
	l->timer = sd_event_source_disable_unref(l->timer);
	if (sd_event_add_time_relative(l->workers->event, &l->timer, CLOCK_MONOTONIC, usec, 0,
				       on_deadline, l) < 0)
		log_warn(l->name, "worker without a deadline: no memory for a timer");
	l->since = now;
}

static void lane_unstick(struct lane *l)
{
	if (!l->stuck)
		return;
	l->stuck = false;
	log_info(l->name, "the kernel came back: %s", l->stuck_text);
}

static int worker_died(const struct worker_call *c, struct vnet_err *err)
{
	return vnet_err_set(err, -EPIPE, VNET_E_FAILED,
			    "the worker died while it did: %s; see the journal", c->text);
}

static int lane_write(struct lane *l, struct vnet_err *err)
{
	int r = wire_queue(l->wire, l->now->request, NULL, err);

	return r < 0 ? r : wire_flush(l->wire, err);
}

static int lane_send(struct lane *l, struct vnet_err *err)
{
	bool idled = l->wire;
	int r = idled ? lane_write(l, err) : 0;

	/* One that died while it had nothing to do, its death not seen yet: it has not
	 * read this call, so another may do it. */
	if (idled && r == -EPIPE)
		lane_drop_worker(l);
	if (!l->wire) {
		r = lane_start_worker(l, err);
		if (r == 0)
			r = lane_write(l, err);
	}
	if (r == -EPIPE || r == -ESRCH) /* dead before it could read, or be watched */
		return worker_died(l->now, err);
	if (r < 0)
		return r;
	if (r > 0)
		sd_event_source_set_io_events(l->io, EPOLLIN | EPOLLOUT);
	lane_arm(l, (uint64_t)l->now->deadline_ms * 1000);
	return 0;
}

static void lane_run(struct lane *l)
{
	while (!l->now && !l->stuck && (l->now = lane_pop(l))) {
		struct vnet_err err = VNET_ERR_INIT;
		struct worker_call *c = l->now;
		int r = lane_send(l, &err);

		if (r == 0)
			return;
		l->now = NULL;
		if (l->wire)
			lane_drop_worker(l);
		call_finish(c, r, NULL, NULL, &err);
	}
	if (!l->now && l->wire)
		lane_arm(l, WORKER_IDLE_SEC * UINT64_C(1000000));
}

static int on_kick(sd_event_source *s, void *user)
{
	struct workers *w = user;

	(void)s;
	sd_event_source_set_enabled(w->kick, SD_EVENT_OFF);
	for (struct lane *l = w->lanes; l; l = l->next) {
		if (l->stuck)
			lane_fail_queue(l);
		else
			lane_run(l);
	}
	return 0;
}

static void lane_answer(struct lane *l, const json_t *msg, struct vnet_fds *fds)
{
	const json_t *error = json_object_get(msg, "error");
	struct worker_call *c = take_ptr(l->now);
	struct vnet_err err = VNET_ERR_INIT;

	l->timer = sd_event_source_disable_unref(l->timer);
	lane_unstick(l);
	if (c && error)
		worker_error_from_json(error, &err);
	if (c)
		call_finish(c, err.code, error ? NULL : json_object_get(msg, "result"),
			    error ? NULL : fds, &err);
	lane_run(l);
}

static void lane_worker_died(struct lane *l)
{
	struct worker_call *c = take_ptr(l->now);
	struct vnet_err err = VNET_ERR_INIT;

	lane_drop_worker(l);
	lane_unstick(l);
	if (c)
		call_finish(c, worker_died(c, &err), NULL, NULL, &err);
	lane_run(l);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	struct lane *l = user;
	struct vnet_err err = VNET_ERR_INIT;
	int r;

	(void)fd;
	if (revents & EPOLLOUT) {
		r = wire_flush(l->wire, &err);
		if (r == 0)
			sd_event_source_set_io_events(s, EPOLLIN);
	}
	for (;;) {
		_cleanup_json_ json_t *msg = NULL;
		_cleanup_fds_ struct vnet_fds fds = VNET_FDS_INIT;

		r = wire_receive(l->wire, &msg, &fds, &err);
		if (r == 0)
			return 0;
		if (r < 0) {
			/* Its pidfd says the rest. */
			sd_event_source_set_enabled(s, SD_EVENT_OFF);
			return 0;
		}
		lane_answer(l, msg, &fds);
		if (!l->wire)
			return 0;
	}
}

static int on_death(sd_event_source *s, int fd, uint32_t revents, void *user)
{
	(void)s;
	(void)fd;
	(void)revents;
	lane_worker_died(user);
	return 0;
}

static int on_deadline(sd_event_source *s, uint64_t usec, void *user)
{
	struct lane *l = user;
	struct worker_call *c = l->now;
	struct vnet_err err = VNET_ERR_INIT;

	(void)s;
	(void)usec;
	l->timer = sd_event_source_disable_unref(l->timer);
	if (!c) { /* idle for long enough */
		lane_drop_worker(l);
		return 0;
	}
	l->stuck = true;
	snprintf(l->stuck_text, sizeof(l->stuck_text),
		 "%s has not come back from the kernel for %u ms (worker %d): "
		 "/proc/%d/stack says where it waits",
		 c->text, c->deadline_ms, (int)l->pid, (int)l->pid);
	log_event(MSG_WORKER_STUCK, LOG_WARNING, l->name, "%s", l->stuck_text);
	/* The answer, if it ever comes, only frees the lane. */
	call_tell(c, stuck_error(l, &err), NULL, NULL, &err);
	lane_fail_queue(l);
	return 0;
}

/* ---- the outside ---- */

static struct lane *lane_get(struct workers *w, const char *name, bool create)
{
	struct lane *l;

	for (l = w->lanes; l; l = l->next) {
		if (strcmp(l->name, name) == 0)
			return l;
	}
	if (!create || !(l = calloc(1, sizeof(*l))))
		return NULL;
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->workers = w;
	l->pidfd = -1;
	l->queue_end = &l->queue;
	l->next = w->lanes;
	w->lanes = l;
	return l;
}

static void call_words(const char *op, const json_t *args, char *buf, size_t size)
{
	const char *knob = json_string_value(json_object_get(args, "knob"));
	const char *object = json_string_value(json_object_get(args, "object"));
	const char *value = json_string_value(json_object_get(args, "value"));

	if (value)
		snprintf(buf, size, "setting %s of %s to %s", knob, object, value);
	else if (knob)
		snprintf(buf, size, "reading %s of %s", knob, object);
	else if (strcmp(op, "open") == 0)
		snprintf(buf, size, "opening what a guest is handed");
	else
		snprintf(buf, size, "reading the host's %s",
			 strcmp(op, "mgmtdevs") ? op : "vDPA management devices");
}

static int call_queue(struct workers *w, const char *lane, const char *op, json_t *args,
		      unsigned deadline_ms, struct listener done, struct vnet_err *err)
{
	_cleanup_json_ json_t *owned = args;
	struct lane *l = lane_get(w, lane, true);
	struct worker_call *c;

	if (l && l->stuck)
		return stuck_error(l, err);
	if (w->n_queued >= WORKER_QUEUE_MAX)
		return vnet_err_set(err, -EAGAIN, VNET_E_LIMIT, "%d calls wait for workers already",
				    WORKER_QUEUE_MAX);
	c = l ? calloc(1, sizeof(*c)) : NULL;
	if (c)
		c->request = json_pack("{s:I,s:s,s:O}", "id", (json_int_t)++w->next_id, "op", op,
				       "args", owned);
	if (!c || !c->request) {
		call_free(c);
		return vnet_err_errno(err, -ENOMEM, "call a worker");
	}
	call_words(op, owned, c->text, sizeof(c->text));
	c->deadline_ms = deadline_ms;
	c->done = done;
	if (strcmp(op, "set") == 0) {
		w->n_sets++;
		c->setting = &w->n_setting;
		++*c->setting;
	}
	*l->queue_end = c;
	l->queue_end = &c->next;
	w->n_queued++;
	sd_event_source_set_enabled(w->kick, SD_EVENT_ONESHOT);
	return 0;
}

int workers_call(struct workers *w, const char *lane, const char *op, json_t *args,
		 unsigned deadline_ms, worker_done_fn done, void *user, struct vnet_err *err)
{
	return call_queue(w, lane, op, args, deadline_ms,
			  (struct listener){ .plain = done, .user = user }, err);
}

int workers_call_fds(struct workers *w, const char *lane, const char *op, json_t *args,
		     unsigned deadline_ms, worker_fds_fn done, void *user, struct vnet_err *err)
{
	return call_queue(w, lane, op, args, deadline_ms,
			  (struct listener){ .fds = done, .user = user }, err);
}

void workers_forget(struct workers *w, void *user)
{
	for (struct lane *l = w->lanes; l; l = l->next) {
		if (l->now && l->now->done.user == user)
			l->now->done = (struct listener){ 0 };
		for (struct worker_call *c = l->queue; c; c = c->next) {
			if (c->done.user == user)
				c->done = (struct listener){ 0 };
		}
	}
}

unsigned workers_sets(const struct workers *w, unsigned *ret_now)
{
	*ret_now = w->n_setting;
	return w->n_sets;
}

const char *workers_stuck(struct workers *w, const char *lane)
{
	const struct lane *l = lane_get(w, lane, false);

	return l && l->stuck ? l->stuck_text : NULL;
}

static void lane_free(struct lane *l)
{
	struct worker_call *c;

	/* A worker that is at work in the kernel ends by itself when it comes back. */
	lane_drop_worker(l);
	if (l->now)
		call_cancel(take_ptr(l->now));
	while ((c = lane_pop(l)))
		call_cancel(c);
	free(l);
}

int workers_new(struct workers **ret, sd_event *event, const char *exe, const char *root,
		const char *runtime, struct vnet_err *err)
{
	/* Workers reap themselves: waiting for one that sits in the kernel would block us.
	 * What there is to know of their end, their pidfd says. */
	const struct sigaction reap = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
	struct workers *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	sigaction(SIGCHLD, &reap, NULL);
	if (w) {
		w->event = sd_event_ref(event);
		w->exe = strdup(exe);
		w->root = strdup(root);
		w->runtime = strdup(runtime);
		r = w->exe && w->root && w->runtime
			    ? sd_event_add_defer(event, &w->kick, on_kick, w)
			    : -ENOMEM;
	}
	if (r >= 0 && (r = worker_locks_new(&w->locks, runtime, err)) < 0) {
		workers_free(w);
		return r;
	}
	if (r >= 0)
		r = sd_event_source_set_enabled(w->kick, SD_EVENT_OFF);
	if (r < 0) {
		workers_free(w);
		return vnet_err_errno(err, r, "workers");
	}
	*ret = w;
	return 0;
}

struct workers *workers_free(struct workers *w)
{
	struct lane *l;

	if (!w)
		return NULL;
	while ((l = w->lanes)) {
		w->lanes = l->next;
		lane_free(l);
	}
	worker_locks_free(w->locks);
	sd_event_source_disable_unref(w->kick);
	sd_event_unref(w->event);
	free(w->exe);
	free(w->root);
	free(w->runtime);
	free(w);
	return NULL;
}

bool workers_of_old(const struct workers *w)
{
	return worker_locks_held(w->locks);
}
