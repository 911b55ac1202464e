/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_WIRE_ENDS_H
#define VNETD_TESTS_WIRE_ENDS_H
/*
 * A struct wire and its peer, for test-wire*.c. Every test runs between two counts of this
 * process' open descriptors: one that is left over fails it. A descriptor is told by its
 * file: make_fd(n) makes one of n bytes.
 */
#include "lib/wire.h"

struct ends {
	int raw;	/* a peer that does as it likes */
	struct wire *w; /* what is tested */
	unsigned open;	/* descriptors before all this */
};

unsigned count_fds(void);
int ends_enter(void **state);
int ends_leave(void **state);
/* Another receiver at the same peer, with limits of its own. */
void ends_limit(struct ends *e, size_t in_max, size_t max_fds);
int make_fd(int n);
int number_of(int fd);
/* One sendmsg() with descriptors numbered @first, @first + 1 ... */
void send_raw(int fd, const void *bytes, size_t len, int first, unsigned n_fds);
void expect_fds(struct vnet_fds *fds, int first, unsigned n);
/* The next message is {"n": @n}, with @n_fds descriptors from @first on. */
void expect_message(struct ends *e, int n, int first, unsigned n_fds);
void expect_nothing(struct ends *e);
/* Reading ends with @code, for good, and hands out nothing. */
void expect_end(struct ends *e, int code, const char *word);

/* With the final NUL of the literal: one message. */
#define send_message(e, text, first, n) send_raw((e)->raw, text, sizeof(text), first, n)
#define on_wire(f) cmocka_unit_test_setup_teardown(f, ends_enter, ends_leave)
#endif
