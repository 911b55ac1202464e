/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TIMING_H
#define VNETD_TIMING_H
/*
 * Where the time of one attach goes: at each moment it is spent by vnetd itself, or it
 * waits, for the kernel (a worker's answer) or for libvirt. The parts add up to the whole.
 * Main thread only.
 */
#include <jansson.h>
#include <stdint.h>

enum timing_of { TIMING_VNETD, TIMING_KERNEL, TIMING_LIBVIRT, TIMING_MAX };

struct timing {
	uint64_t begun, since; /* CLOCK_MONOTONIC, usec; begun 0: not yet */
	uint64_t cpu_begun;    /* of the whole daemon, usec */
	uint64_t spent[TIMING_MAX];
	enum timing_of now;
};

void timing_begin(struct timing *t);
/* From now on it is @what that takes the time. Does nothing for NULL, and for what was not
 * begun: an operation that nobody times. */
void timing_switch(struct timing *t, enum timing_of what);
/* {totalUsec, kernelUsec, libvirtUsec, vnetdUsec, cpuUsec} until now, new reference.
 * cpuUsec is what all threads of the daemon computed meanwhile, workers not included. */
json_t *timing_json(struct timing *t);
#endif
