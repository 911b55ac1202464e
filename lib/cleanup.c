/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/cleanup.h"

#include <errno.h>

int close_fd(int fd)
{
	int saved = errno;

	/* Linux has released the number even where close() says EINTR: never again. */
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}
