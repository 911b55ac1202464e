/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_OWNER_H
#define VNETD_OWNER_H
/*
 * The process that an attachment without libvirt belongs to: a QEMU, or the vnetctl that
 * becomes one. It is told from all others by its pid and its start time, and watched by its
 * pidfd: what it was given goes back when it has ended, and not before.
 *
 * Nothing here waits: all of it is for the main thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "lib/err.h"

#define OWNER_COMM_MAX 64
#define OWNER_MEMLOCK_ALL UINT64_MAX /* no limit */

struct owner {
	pid_t pid;
	uint64_t start_time;	   /* field 22 of /proc/PID/stat: clock ticks since boot */
	int pidfd;		   /* -1: none */
	uid_t uid;		   /* by whose rights it opened files when it was opened itself */
	char comm[OWNER_COMM_MAX]; /* when it was looked at last */
	sd_event_source *end;
};

#define OWNER_INIT ((struct owner){ .pidfd = -1 })

/* Who is at the other end of a unix socket: for a socket that we connected, who made it
 * listen. @since: CLOCK_MONOTONIC us of when it was connected; who started later is another
 * process with the same pid. *ret must be OWNER_INIT or done. -ESRCH: it has ended. */
int owner_of_socket(struct owner *ret, int fd, uint64_t since, struct vnet_err *err);
/* The one of a state file: -ESRCH where there is no such process any more, or another has
 * its pid. */
int owner_reopen(struct owner *ret, pid_t pid, uint64_t start_time, struct vnet_err *err);
bool owner_alive(const struct owner *o);
/* @ended is called once, from the loop, when it has ended (at once if it has already). */
int owner_watch(struct owner *o, sd_event *event, void (*ended)(void *user), void *user,
		struct vnet_err *err);
/* It has become another program: look again what it is called. */
void owner_look(struct owner *o);
/* Closes what is open; the process is left alone. Twice is fine. */
void owner_done(struct owner *o);

/* {pid, startTime, comm}; read with a process of that description or without. */
json_t *owner_to_json(const struct owner *o);
/* pid, start_time and comm alone: nothing is opened. */
int owner_from_json(const json_t *j, struct owner *ret, struct vnet_err *err);

/* What it has locked and pinned already. */
int owner_locked_memory(const struct owner *o, uint64_t *ret_bytes, struct vnet_err *err);
/* At least so much memory may it lock (RLIMIT_MEMLOCK, both); more is left as it is. */
int owner_raise_memlock(const struct owner *o, uint64_t bytes, struct vnet_err *err);
#endif
