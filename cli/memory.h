/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETCTL_MEMORY_H
#define VNETCTL_MEMORY_H
/*
 * Will the memory of a QEMU that is about to be started be one that other processes can
 * map, as a vhost-user switch must? Its command line alone says so, and only here is it seen.
 */
enum memory {
	MEMORY_UNKNOWN, /* no QEMU is named in it, or it reads a configuration of its own */
	MEMORY_SHARED,
	MEMORY_PRIVATE,
};

/* @argv: up to NULL; what stands before QEMU in it (sudo, another vnetctl exec) is passed over. */
enum memory memory_of(char *const *argv);
#endif
