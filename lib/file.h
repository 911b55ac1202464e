/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_FILE_H
#define VNET_LIB_FILE_H
/* Small files at a directory fd, read whole and replaced whole. */
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/* Reads up to @size - 1 bytes into @buf, NUL-terminates, strips one trailing
 * newline. Returns the length or a negative errno (-EFBIG when it does not fit). */
ssize_t file_read_at(int dirfd, const char *path, char *buf, size_t size);
/* The target of a link, NUL-terminated; its last component only with _base. */
ssize_t file_readlink_at(int dirfd, const char *path, char *buf, size_t size);
ssize_t file_readlink_base_at(int dirfd, const char *path, char *buf, size_t size);
/* Replace @name whole: temporary file, fsync where the file system is not a
 * tmpfs, rename. A reader sees the old or the new text, never part of one. */
int file_replace_at(int dirfd, const char *name, const char *text, size_t len, mode_t mode,
		    struct vnet_err *err);
/* mkdir -p of one level: 0 also when it exists as a directory. Returns an O_PATH
 * free, O_DIRECTORY|O_CLOEXEC descriptor of it in *ret_fd. */
int file_opendir_at(int dirfd, const char *name, mode_t mode, int *ret_fd, struct vnet_err *err);
#endif
