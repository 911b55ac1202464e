/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_FAULT_H
#define VNETD_FAULT_H
/*
 * Fault points, in the test build alone (-DVNET_FAULTS): the file `fault` in the
 * runtime directory holds one line "POINT ACTION", read each time a point is
 * passed. POINT: "knob:vf-mac:before", "knob:driver:set", "handover:after" ...
 * (txn.c and attach.c name theirs). ACTION: "kill" (SIGKILL to ourselves), an
 * errno by name ("EIO"), "stop" (SIGSTOP). A fired fault is removed first.
 */
#ifdef VNET_FAULTS
/* Sets the directory; called once by main. */
void fault_init(int runtime_dirfd);
/* 0, or the negative errno to fail with. */
int fault_point(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#else
static inline void fault_init(int runtime_dirfd)
{
	(void)runtime_dirfd;
}
#define fault_point(...) (0)
#endif
#endif
