/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/timing.h"

#include <time.h>

#include "lib/json.h"

static uint64_t now_usec(clockid_t clock)
{
	struct timespec ts = { 0 };

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void timing_begin(struct timing *t)
{
	*t = (struct timing){ .now = TIMING_VNETD };
	t->begun = t->since = now_usec(CLOCK_MONOTONIC);
	t->cpu_begun = now_usec(CLOCK_PROCESS_CPUTIME_ID);
}

void timing_switch(struct timing *t, enum timing_of what)
{
	uint64_t now;

	if (!t || !t->begun)
		return;
	now = now_usec(CLOCK_MONOTONIC);
	t->spent[t->now] += now - t->since;
	t->since = now;
	t->now = what;
}

json_t *timing_json(struct timing *t)
{
	uint64_t cpu = now_usec(CLOCK_PROCESS_CPUTIME_ID) - t->cpu_begun;
	json_t *j = json_object();

	timing_switch(t, t->now);
	json_put_int(j, "totalUsec", (int64_t)(t->since - t->begun));
	json_put_int(j, "kernelUsec", (int64_t)t->spent[TIMING_KERNEL]);
	json_put_int(j, "libvirtUsec", (int64_t)t->spent[TIMING_LIBVIRT]);
	json_put_int(j, "vnetdUsec", (int64_t)t->spent[TIMING_VNETD]);
	json_put_int(j, "cpuUsec", t->begun ? (int64_t)cpu : 0);
	return j;
}
