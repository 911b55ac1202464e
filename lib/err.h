/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_ERR_H
#define VNET_LIB_ERR_H
/*
 * One error, on the caller's stack, last argument of what can fail. Reporting
 * cannot fail and needs no free. A function that fails returns a negative errno
 * and has filled its struct vnet_err; one that succeeds leaves it alone.
 *
 * Text says what was attempted, on which object, the kernel's own reason and
 * what the user can do: "vf: 0000:65:00.2 cannot go to vm1: IOMMU group 42 also
 * holds 0000:65:00.0 (igb, host): enable ACS on the port above".
 */
#include <stdarg.h>
#include <stddef.h>

#define VNET_ERR_TEXT_MAX 1024

/* The closed list of error names on the wire (io.vnetd.NAME) and, in err.c, what
 * exit code vnetctl makes of each. */
enum vnet_err_name {
	VNET_E_FAILED,	       /* the kernel, libvirt or a file said no: exit 1 */
	VNET_E_INVALID,	       /* a parameter is not acceptable: exit 2 */
	VNET_E_NOT_FOUND,      /* guest, attachment, pool, mode: exit 1 */
	VNET_E_EXISTS,	       /* the name or MAC is taken: exit 1 */
	VNET_E_IN_USE,	       /* somebody holds it; the text says who: exit 1 */
	VNET_E_NOTHING_SERVES, /* no candidate could: verdicts attached: exit 4 */
	VNET_E_DENIED,	       /* the caller may not: exit 1 */
	VNET_E_BUSY,	       /* another operation on the same guest or NIC runs: exit 1 */
	VNET_E_UNAVAILABLE,    /* libvirt down, reservations not known yet: exit 1 */
	VNET_E_LIMIT,	       /* a bound of the daemon was reached: exit 1 */
	VNET_E_STUCK,	       /* the kernel does not come back: exit 1 */
	VNET_E_RESIDUE,	       /* done, but something could not be put back: exit 5 */
	VNET_E_UNREACHABLE,    /* client side only: no daemon: exit 3 */
	VNET_E_MAX
};

struct vnet_err {
	int code; /* negative errno, 0 when unset */
	enum vnet_err_name name;
	char knob[24];	 /* which knob refused, or "" */
	char object[96]; /* on what, or "" */
	char text[VNET_ERR_TEXT_MAX];
};

#define VNET_ERR_INIT ((struct vnet_err){ 0 })

/* Fill @err (may be NULL) and return @code, which must be a negative errno.
 * The kernel's reason (strerror) is appended after ": " by vnet_err_errno only. */
int vnet_err_set(struct vnet_err *err, int code, enum vnet_err_name name, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int vnet_err_errno(struct vnet_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Prefix "what: " to the text, keep code, name, knob and object; returns err->code. */
int vnet_err_wrap(struct vnet_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Say which knob on which object it was; keeps what is set already. */
void vnet_err_at(struct vnet_err *err, const char *knob, const char *object);

const char *vnet_err_name_str(enum vnet_err_name name); /* "InUse" ... */
enum vnet_err_name vnet_err_name_from(
	const char *wire_name); /* "io.vnetd.InUse"; unknown: FAILED */
int vnet_err_exit_code(enum vnet_err_name name);
#endif
