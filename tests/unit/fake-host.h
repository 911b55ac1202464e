/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_FAKE_HOST_H
#define VNETD_TESTS_FAKE_HOST_H
/* A directory with a fake kernel (tests/fake/kernel.h) for one test. The test runs
 * from the top of the source: tests/fake/mkhost is called there. */

/* @options: what mkhost is given, NULL-ended. */
void fake_host_new(char dir[static 64], const char *const *options);
void fake_host_free(const char *dir);
/* Write DIR/NAME: "fail" with its faults. */
void fake_host_put(const char *dir, const char *name, const char *text);
#endif
