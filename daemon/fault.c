/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fault points of the test build: see fault.h. Nothing of this is in the product. */
#ifdef VNET_FAULTS
#include "daemon/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/file.h"

static const struct {
	const char *name;
	int code;
} errnos[] = {
	{ "EIO", EIO },	    { "EBUSY", EBUSY },	  { "EINVAL", EINVAL }, { "ENODEV", ENODEV },
	{ "EPERM", EPERM }, { "ENOMEM", ENOMEM }, { "EAGAIN", EAGAIN }, { "EMFILE", EMFILE },
};

/* Where the test writes its wish; the test build alone has this state. */
static int fault_dirfd = -1;

void fault_init(int runtime_dirfd)
{
	fault_dirfd = runtime_dirfd;
}

int fault_point(const char *fmt, ...)
{
	char point[128], text[192], wanted[128], action[32];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(point, sizeof(point), fmt, ap);
	va_end(ap);
	if (fault_dirfd < 0 || file_read_at(fault_dirfd, "fault", text, sizeof(text)) <= 0)
		return 0;
	if (sscanf(text, "%127s %31s", wanted, action) != 2 || strcmp(wanted, point) != 0)
		return 0;
	unlinkat(fault_dirfd, "fault", 0);
	if (strcmp(action, "kill") == 0)
		kill(getpid(), SIGKILL);
	/* In this very thread: sent to the process it may be the main thread that takes it, and
	 * this one would go on meanwhile, past the point. */
	if (strcmp(action, "stop") == 0)
		raise(SIGSTOP);
	for (size_t i = 0; i < ARRAY_SIZE(errnos); i++) {
		if (strcmp(action, errnos[i].name) == 0)
			return -errnos[i].code;
	}
	return 0;
}
#endif
