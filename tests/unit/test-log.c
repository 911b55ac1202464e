/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/messages.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* The journal is replaced by this: what was sent, a field a line. */
static char sent[8192];
static int journal_says;

int sd_journal_sendv(const struct iovec *iov, int n)
{
	sent[0] = '\0';
	for (int i = 0; i < n; i++)
		snprintf(sent + strlen(sent), sizeof(sent) - strlen(sent), "%.*s\n",
			 (int)iov[i].iov_len, (const char *)iov[i].iov_base);
	return journal_says;
}

/* stderr goes to a file in memory, the way back is kept. */
static int saved_stderr = -1, file = -1;

static int enter(void **state)
{
	(void)state;
	file = memfd_create("stderr", MFD_CLOEXEC);
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(file >= 0 && saved_stderr >= 0);
	assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_INFO);
	sent[0] = '\0';
	journal_says = 0;
	return 0;
}

static int leave(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	saved_stderr = close_fd(saved_stderr);
	file = close_fd(file);
	return 0;
}

/* What was written since the last call. */
static const char *written(void)
{
	static char buf[8192];
	ssize_t n = pread(file, buf, sizeof(buf) - 1, 0);

	buf[n < 0 ? 0 : n] = '\0';
	assert_int_equal(ftruncate(file, 0), 0);
	lseek(file, 0, SEEK_SET);
	return buf;
}

static void make_stderr_the_journal(void)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
}

static void test_line(void **state)
{
	(void)state;
	log_info(NULL, "ready with %d pools", 2);
	assert_string_equal(written(), "vnetd: info: ready with 2 pools\n");
	log_warn("ens1", "no VF left");
	assert_string_equal(written(), "vnetd: warning: ens1: no VF left\n");
	/* Said already: not twice. */
	log_warn("vm1/net0", "attach vm1/net0 took long");
	assert_string_equal(written(), "vnetd: warning: attach vm1/net0 took long\n");
	assert_string_equal(sent, "");
}

static void test_error_line(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	vnet_err_errno(&err, -EBUSY, "driver 0000:65:00.4");
	log_err(LOG_ERR, "vm1/net0", &err, "attach %s", "vm1/net0");
	assert_string_equal(written(), "vnetd: error: attach vm1/net0: driver 0000:65:00.4: Device "
				       "or resource busy\n");
}

static void test_level(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	log_debug(NULL, "not yet");
	assert_string_equal(written(), "");
	log_set_level(LOG_DEBUG);
	log_debug(NULL, "now");
	assert_string_equal(written(), "vnetd: debug: now\n");
	log_set_level(LOG_ERR);
	assert_int_equal(log_get_level(), LOG_ERR);
	log_warn(NULL, "dropped");
	log_err(LOG_WARNING, NULL, &err, "dropped");
	assert_string_equal(written(), "");
	log_msg(LOG_ERR, NULL, "kept");
	assert_string_equal(written(), "vnetd: error: kept\n");
	log_set_level(99);
	assert_int_equal(log_get_level(), LOG_DEBUG);
	log_set_level(-1);
	assert_int_equal(log_get_level(), LOG_EMERG);
}

static void test_no_line_of_its_own(void **state)
{
	(void)state;
	log_info(NULL, "guest \"%s\"", "a\nvnetd: error: b\x1b[31m\xc2\x9b");
	assert_string_equal(written(), "vnetd: info: guest \"a vnetd: error: b [31m  \"\n");
}

static void test_long_message(void **state)
{
	char longest[5000];
	const char *line;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	log_info("object", "%s", longest);
	line = written();
	assert_true(strlen(line) > VNET_ERR_TEXT_MAX + 500);
	assert_int_equal(line[strlen(line) - 1], '\n');
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_errno_survives(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_info(NULL, "into nothing");
	log_err(LOG_ERR, NULL, &err, "into nothing");
	assert_int_equal(errno, ENOTTY);
}

static void test_journal_fields(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	make_stderr_the_journal();
	log_info(NULL, "ready");
	assert_string_equal(sent, "MESSAGE=ready\nPRIORITY=6\n");
	log_warn("vm1/net0", "slow\nline");
	assert_string_equal(sent, "MESSAGE=slow\nline\nPRIORITY=4\nVNETD_OBJECT=vm1/net0\n");
	vnet_err_set(&err, -EBUSY, VNET_E_IN_USE, "held");
	log_err(LOG_ERR, "ens1", &err, "attach");
	assert_string_equal(sent, "MESSAGE=attach: held\nPRIORITY=3\nVNETD_OBJECT=ens1\n"
				  "ERRNO=16\n");
	assert_string_equal(written(), "");
}

/* By its MESSAGE_ID the catalogue finds the text; on stderr nobody would read it. */
static void test_event_has_its_id(void **state)
{
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	log_event(MSG_WORKER_STUCK, LOG_WARNING, "0000:65:00.0", "no answer");
	assert_string_equal(written(), "vnetd: warning: 0000:65:00.0: no answer\n");
	make_stderr_the_journal();
	log_event(MSG_WORKER_STUCK, LOG_WARNING, "0000:65:00.0", "no answer");
	assert_string_equal(sent, "MESSAGE=no answer\nPRIORITY=4\nMESSAGE_ID=" MSG_WORKER_STUCK
				  "\nVNETD_OBJECT=0000:65:00.0\n");
	vnet_err_set(&err, -EACCES, VNET_E_FAILED, "not root's");
	log_event_err(MSG_PLUGIN_REFUSED, LOG_ERR, "vnet-x.so", &err, "not loaded");
	assert_string_equal(
		sent, "MESSAGE=not loaded: not root's\nPRIORITY=3\nMESSAGE_ID=" MSG_PLUGIN_REFUSED
		      "\nVNETD_OBJECT=vnet-x.so\nERRNO=13\n");
	log_event(NULL, LOG_INFO, NULL, "as any other");
	assert_string_equal(sent, "MESSAGE=as any other\nPRIORITY=6\n");
	log_set_level(LOG_ERR);
	log_event(MSG_EVENTS_LOST, LOG_WARNING, NULL, "dropped");
	assert_string_equal(sent, "MESSAGE=as any other\nPRIORITY=6\n");
	assert_string_equal(written(), "");
}

/* A journal that does not take it: the line still goes where somebody may read it. */
static void test_journal_is_down(void **state)
{
	(void)state;
	make_stderr_the_journal();
	journal_says = -ENOENT;
	log_info(NULL, "ready");
	assert_string_equal(written(), "vnetd: info: ready\n");
}

/* The variable is inherited by all; only the inode tells. */
static void test_somebody_elses_journal_stream(void **state)
{
	static const char *const others[] = { "", "1", "1:2", "x:y", "1:2:3", "-" };
	char text[64];
	struct stat st;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		setenv("JOURNAL_STREAM", others[i], 1);
		log_info(NULL, "ready");
		assert_string_equal(written(), "vnetd: info: ready\n");
	}
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", text, 1);
	log_info(NULL, "ready");
	assert_string_equal(written(), "vnetd: info: ready\n");
	assert_string_equal(sent, "");
}

int main(void)
{
#define captured(f) cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		captured(test_line),
		captured(test_error_line),
		captured(test_level),
		captured(test_no_line_of_its_own),
		captured(test_long_message),
		captured(test_errno_survives),
		captured(test_journal_fields),
		captured(test_event_has_its_id),
		captured(test_journal_is_down),
		captured(test_somebody_elses_journal_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
