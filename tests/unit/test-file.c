/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/cleanup.h"
#include "lib/file.h"

struct place {
	char path[64];
	int fd;
};

static int enter(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->path, "/tmp/test-file-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->fd >= 0);
	*state = p;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int leave(void **state)
{
	struct place *p = *state;

	close_fd(p->fd);
	nftw(p->path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return 0;
}

static void put(int dirfd, const char *name, const char *bytes, size_t len)
{
	_cleanup_close_ int fd =
		openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
}

static void test_read(void **state)
{
	struct place *p = *state;
	char buf[8];

	put(p->fd, "a", "vfio\n", 5);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "vfio");
	put(p->fd, "a", "vfio", 4);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 4);
	assert_string_equal(buf, "vfio");
	put(p->fd, "a", "", 0);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "");
	put(p->fd, "a", "x\n\n", 3);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 2);
	assert_string_equal(buf, "x\n");
	put(p->fd, "a", "\n", 1);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 0);
}

static void test_read_at_the_limit(void **state)
{
	struct place *p = *state;
	char buf[8];

	put(p->fd, "a", "1234567", 7);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 7);
	assert_string_equal(buf, "1234567");
	put(p->fd, "a", "1234567\n", 8);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), 7);
	assert_string_equal(buf, "1234567");
	put(p->fd, "a", "12345678", 8);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), -EFBIG);
	assert_string_equal(buf, "");
	put(p->fd, "a", "1234567\nx", 9);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), -EFBIG);
	put(p->fd, "a", "1234567\n\n", 9);
	assert_int_equal(file_read_at(p->fd, "a", buf, sizeof(buf)), -EFBIG);
	assert_int_equal(file_read_at(p->fd, "a", buf, 0), -EFBIG);
}

static void test_read_refused(void **state)
{
	struct place *p = *state;
	char buf[8];

	assert_int_equal(file_read_at(p->fd, "absent", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(file_read_at(p->fd, ".", buf, sizeof(buf)), -EISDIR);
}

static void test_readlink(void **state)
{
	struct place *p = *state;
	char buf[16];

	assert_int_equal(symlinkat("../../bus/pci", p->fd, "l"), 0);
	assert_int_equal(file_readlink_at(p->fd, "l", buf, sizeof(buf)), 13);
	assert_string_equal(buf, "../../bus/pci");
	assert_int_equal(file_readlink_at(p->fd, "l", buf, 14), 13);
	assert_int_equal(file_readlink_at(p->fd, "l", buf, 13), -ENAMETOOLONG);
	assert_int_equal(file_readlink_at(p->fd, "absent", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
	put(p->fd, "plain", "", 0);
	assert_int_equal(file_readlink_at(p->fd, "plain", buf, sizeof(buf)), -EINVAL);
}

static void test_readlink_base(void **state)
{
	struct place *p = *state;
	char buf[8];

	assert_int_equal(symlinkat("../../../bus/pci/drivers/igb", p->fd, "deep"), 0);
	assert_int_equal(file_readlink_base_at(p->fd, "deep", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "igb");
	assert_int_equal(file_readlink_base_at(p->fd, "deep", buf, 4), 3);
	assert_int_equal(file_readlink_base_at(p->fd, "deep", buf, 3), -ENAMETOOLONG);
	assert_string_equal(buf, "");
	assert_int_equal(symlinkat("igb", p->fd, "flat"), 0);
	assert_int_equal(file_readlink_base_at(p->fd, "flat", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "igb");
	assert_int_equal(file_readlink_base_at(p->fd, "absent", buf, sizeof(buf)), -ENOENT);
	assert_string_equal(buf, "");
}

static void test_replace(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	struct stat st;
	char buf[16];
	mode_t old;

	old = umask(077);
	assert_int_equal(file_replace_at(p->fd, "f", "one", 3, 0644, &err), 0);
	umask(old);
	assert_int_equal(file_read_at(p->fd, "f", buf, sizeof(buf)), 3);
	assert_string_equal(buf, "one");
	assert_int_equal(fstatat(p->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(file_replace_at(p->fd, "f", "second", 6, 0600, &err), 0);
	assert_int_equal(file_read_at(p->fd, "f", buf, sizeof(buf)), 6);
	assert_string_equal(buf, "second");
	assert_int_equal(fstatat(p->fd, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(file_replace_at(p->fd, "f", "", 0, 0600, &err), 0);
	assert_int_equal(file_read_at(p->fd, "f", buf, sizeof(buf)), 0);
	assert_int_equal(err.code, 0);
	/* Nothing but the file is left. */
	assert_int_equal(unlinkat(p->fd, "f", 0), 0);
	assert_int_equal(rmdir(p->path), 0);
	assert_int_equal(mkdir(p->path, 0700), 0);
}

static void test_replace_in_the_current_folder(void **state)
{
	_cleanup_close_ int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	char buf[16];

	assert_int_equal(fchdir(p->fd), 0);
	assert_int_equal(file_replace_at(AT_FDCWD, "f", "one", 3, 0600, &err), 0);
	assert_int_equal(fchdir(here), 0);
	assert_int_equal(file_read_at(p->fd, "f", buf, sizeof(buf)), 3);
}

/* Whoever has the old file open goes on reading the old text: it is another file. */
static void test_replace_leaves_the_old_file_alone(void **state)
{
	_cleanup_close_ int fd = -1;
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	char buf[16] = "";

	put(p->fd, "f", "old", 3);
	fd = openat(p->fd, "f", O_RDONLY | O_CLOEXEC);
	assert_int_equal(file_replace_at(p->fd, "f", "new", 3, 0600, &err), 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "old", 3);
}

static void test_replace_is_never_seen_in_part(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	static char big[64 * 1024], back[sizeof(big) + 1];
	struct place *p = *state;
	int status;
	pid_t pid;

	memset(big, 'a', sizeof(big));
	assert_int_equal(file_replace_at(p->fd, "f", big, sizeof(big), 0600, &err), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < 40; i++) {
			memset(big, 'a' + i % 26, sizeof(big));
			if (file_replace_at(p->fd, "f", big, sizeof(big), 0600, NULL) < 0)
				_exit(1);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		assert_int_equal(file_read_at(p->fd, "f", back, sizeof(back)), sizeof(big));
		memset(big, back[0], sizeof(big));
		assert_memory_equal(back, big, sizeof(big));
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_replace_after_a_crash(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	char buf[16];

	/* A longer text left behind must not show through, a link must not be followed. */
	put(p->fd, ".f.tmp", "much longer", 11);
	assert_int_equal(file_replace_at(p->fd, "f", "one", 3, 0600, &err), 0);
	assert_int_equal(file_read_at(p->fd, "f", buf, sizeof(buf)), 3);
	put(p->fd, "victim", "precious", 8);
	assert_int_equal(symlinkat("victim", p->fd, ".f.tmp"), 0);
	assert_int_equal(file_replace_at(p->fd, "f", "two", 3, 0600, &err), 0);
	assert_int_equal(file_read_at(p->fd, "victim", buf, sizeof(buf)), 8);
	assert_string_equal(buf, "precious");
}

static void test_replace_refused(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	char longest[NAME_MAX + 1];

	assert_int_equal(file_replace_at(p->fd, "", "x", 1, 0600, &err), -EINVAL);
	assert_int_equal(file_replace_at(p->fd, "a/b", "x", 1, 0600, &err), -EINVAL);
	memset(longest, 'n', NAME_MAX);
	longest[NAME_MAX] = '\0';
	assert_int_equal(file_replace_at(p->fd, longest, "x", 1, 0600, &err), -ENAMETOOLONG);
	assert_int_equal(mkdirat(p->fd, "dir", 0700), 0);
	assert_int_equal(file_replace_at(p->fd, "dir", "x", 1, 0600, &err), -EISDIR);
	assert_non_null(strstr(err.text, "\"dir\""));
	assert_non_null(strstr(err.text, "Is a directory"));
	assert_int_equal(faccessat(p->fd, ".dir.tmp", F_OK, 0), -1);
	assert_int_equal(file_replace_at(-1, "f", "x", 1, 0600, &err), -EBADF);
}

static void test_opendir(void **state)
{
	_cleanup_close_ int made = -1, again = -1;
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	struct stat st;
	mode_t old;

	old = umask(077);
	assert_int_equal(file_opendir_at(p->fd, "d", 0755, &made, &err), 0);
	umask(old);
	assert_int_equal(fstat(made, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(fcntl(made, F_GETFD), FD_CLOEXEC);
	assert_int_equal(file_replace_at(made, "f", "x", 1, 0600, &err), 0);
	assert_int_equal(file_opendir_at(p->fd, "d", 0700, &again, &err), 0);
	assert_int_equal(faccessat(again, "f", F_OK, 0), 0);
	assert_int_equal(fstat(again, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
}

static void test_opendir_refused(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;
	struct place *p = *state;
	int fd = -7;

	put(p->fd, "plain", "", 0);
	assert_int_equal(file_opendir_at(p->fd, "plain", 0700, &fd, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, "plain"));
	assert_int_equal(file_opendir_at(p->fd, "no/such", 0700, &fd, &err), -ENOENT);
	assert_int_equal(fd, -7);
}

int main(void)
{
#define in_place(f) cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		in_place(test_read),
		in_place(test_read_at_the_limit),
		in_place(test_read_refused),
		in_place(test_readlink),
		in_place(test_readlink_base),
		in_place(test_replace),
		in_place(test_replace_in_the_current_folder),
		in_place(test_replace_leaves_the_old_file_alone),
		in_place(test_replace_is_never_seen_in_part),
		in_place(test_replace_after_a_crash),
		in_place(test_replace_refused),
		in_place(test_opendir),
		in_place(test_opendir_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
