/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_CLEANUP_H
#define VNET_LIB_CLEANUP_H
/*
 * Ownership on the stack: a local that owns carries a _cleanup_*_ attribute and
 * is handed over with take_ptr() or take_fd(), which leave nothing behind.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define take_ptr(p)                          \
	({                                   \
		__typeof__(p) *_pp = &(p);   \
		__typeof__(p) _taken = *_pp; \
		*_pp = NULL;                 \
		_taken;                      \
	})

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Closes when open, keeps errno, returns -1: fd = close_fd(fd). */
int close_fd(int fd);

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	close_fd(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* json_t from jansson; declared here so that this header stays free of it. */
#define _cleanup_json_ _cleanup_(cleanup_json)
#endif
