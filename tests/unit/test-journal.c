/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's file: what was written is read again, torn and foreign files are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "lib/cleanup.h"

#define FILE_NAME "00000000-0000-0000-0000-000000000001.net0"

static int setup(void **state)
{
	char dir[] = "/tmp/test-journal.XXXXXX";
	int *fd = malloc(sizeof(*fd));

	if (!fd || !mkdtemp(dir))
		return -1;
	*fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = fd;
	return *fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	int *fd = *state;
	char path[64], dir[256];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	n = readlink(path, dir, sizeof(dir) - 1);
	unlinkat(*fd, "journal/" FILE_NAME, 0);
	unlinkat(*fd, "journal", AT_REMOVEDIR);
	close(*fd);
	free(fd);
	if (n > 0) {
		dir[n] = '\0';
		rmdir(dir);
	}
	return 0;
}

static void write_raw(int dirfd, const char *text, int flags)
{
	int fd = openat(dirfd, "journal/" FILE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static struct effect mac_effect(const char *before, const char *after)
{
	struct effect e = { .knob = knob_find("vf-mac"), .object = "0000:01:00.0/vf3" };

	assert_non_null(e.knob);
	snprintf(e.before, sizeof(e.before), "%s", before);
	snprintf(e.after, sizeof(e.after), "%s", after);
	snprintf(e.restore, sizeof(e.restore), "%s", "00:00:00:00:00:00");
	return e;
}

static struct journal *make(int dirfd)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct effect a = mac_effect("02:00:00:00:00:01", "52:54:00:00:00:01");
	struct effect b = mac_effect("02:00:00:00:00:02", "52:54:00:00:00:02");
	struct journal *j = NULL;

	assert_int_equal(journal_create(&j, dirfd, FILE_NAME, "vm1/net0", &err), 0);
	assert_int_equal(journal_add_effect(j, &a, &err), 0);
	assert_int_equal(journal_add_effect(j, &b, &err), 0);
	return j;
}

static void test_round_trip(void **state)
{
	int dirfd = *(int *)*state;
	struct vnet_err err = VNET_ERR_INIT;
	struct journal *j = make(dirfd);

	assert_int_equal(journal_add_handover(j, "hostdev", "0000:01:10.6", &err), 0);
	journal_free(j);
	assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), 0);
	assert_int_equal(j->n, 2);
	assert_true(j->handed_over);
	assert_string_equal(j->effects[0].knob->name, "vf-mac");
	assert_string_equal(j->effects[0].object, "0000:01:00.0/vf3");
	assert_string_equal(j->effects[0].before, "02:00:00:00:00:01");
	assert_string_equal(j->effects[1].after, "52:54:00:00:00:02");
	assert_string_equal(j->effects[1].restore, "00:00:00:00:00:00");
	journal_remove(j);
	journal_free(j);
	assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), -ENOENT);
}

static void test_torn_last_line(void **state)
{
	int dirfd = *(int *)*state;
	struct vnet_err err = VNET_ERR_INIT;
	struct effect c = mac_effect("02:00:00:00:00:03", "52:54:00:00:00:03");
	struct journal *j = make(dirfd);

	journal_free(j);
	write_raw(dirfd, "{\"turn\":{\"knob\":\"vf-m", O_APPEND);
	assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), 0);
	assert_int_equal(j->n, 2);
	/* and the next record is not spoilt by it */
	assert_int_equal(journal_add_effect(j, &c, &err), 0);
	journal_free(j);
	assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), 0);
	assert_int_equal(j->n, 3);
	assert_string_equal(j->effects[2].before, "02:00:00:00:00:03");
	assert_false(j->handed_over);
	journal_free(j);
}

static void refuse(int dirfd, const char *text, const char *word)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct journal *j = NULL;

	write_raw(dirfd, text, O_TRUNC);
	assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), -EBADMSG);
	assert_null(j);
	assert_non_null(strstr(err.text, word));
}

static void test_unreadable(void **state)
{
	static const char *const torn[] = { "", "{\"version\":1" };
	int dirfd = *(int *)*state;
	struct journal *j = make(dirfd);

	journal_free(j);
	for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
		struct vnet_err err = VNET_ERR_INIT;

		write_raw(dirfd, torn[i], O_TRUNC);
		assert_int_equal(journal_open(&j, dirfd, FILE_NAME, &err), -ENODATA);
		assert_non_null(strstr(err.text, "empty"));
	}
	refuse(dirfd, "{\"version\":2,\"attachment\":\"vm1/net0\"}\n", "newer");
	refuse(dirfd, "{\"version\":1}\nrubbish\n", "line 2");
	refuse(dirfd,
	       "{\"version\":1}\n{\"turn\":{\"knob\":\"warp\",\"object\":\"x\",\"before\":\"a\","
	       "\"after\":\"b\",\"restore\":\"c\"}}\n",
	       "warp");
	refuse(dirfd, "{\"version\":1}\n{\"other\":1}\n", "line 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_last_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
