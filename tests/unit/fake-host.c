/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/fake-host.h"

#define OPTIONS_MAX 16

void fake_host_new(char dir[static 64], const char *const *options)
{
	char *argv[OPTIONS_MAX + 3] = { (char *)"tests/fake/mkhost", dir, NULL };
	int status = -1;
	pid_t pid = 0;

	signal(SIGCHLD, SIG_DFL); /* workers_new() has the kernel reap its children */
	strcpy(dir, "/tmp/vnet-fake-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; options && options[i]; i++) {
		assert_true(i < OPTIONS_MAX);
		argv[i + 2] = (char *)options[i];
	}
	assert_int_equal(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_host_free(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_host_put(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}
