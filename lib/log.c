/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define SD_JOURNAL_SUPPRESS_LOCATION /* the place would always be this file */
#include "lib/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define LINE_MAX_BYTES 2560 /* an error's text, what it was about, and room */

/* Atomic, because libvirt's threads log too. */
static _Atomic int max_level = LOG_INFO;

static const char *const level_names[] = { "emergency", "alert",  "critical", "error",
					   "warning",	"notice", "info",     "debug" };

void log_set_level(int priority)
{
	max_level = priority < LOG_EMERG ? LOG_EMERG : priority > LOG_DEBUG ? LOG_DEBUG : priority;
}

int log_get_level(void)
{
	return max_level;
}

/* JOURNAL_STREAM is inherited by whoever is started from a service; only the device and inode
 * tell whether our stderr is still that stream. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;
	char end;

	if (!stream || sscanf(stream, "%llu:%llu%c", &dev, &ino, &end) != 2)
		return false;
	return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void add_field(struct iovec *iov, int *n, char *text)
{
	iov[(*n)++] = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
}

/* What goes with a text; a member that is NULL or 0 is not there. */
struct about {
	const char *message_id, *object;
	int code;
};

static bool to_journal(int priority, const struct about *a, const char *text)
{
	char message[LINE_MAX_BYTES + 16], level[32], about[192], reason[32], id[64];
	struct iovec iov[5];
	int n = 0;

	snprintf(message, sizeof(message), "MESSAGE=%s", text);
	snprintf(level, sizeof(level), "PRIORITY=%d", priority);
	add_field(iov, &n, message);
	add_field(iov, &n, level);
	if (a->message_id) {
		snprintf(id, sizeof(id), "MESSAGE_ID=%s", a->message_id);
		add_field(iov, &n, id);
	}
	if (a->object) {
		snprintf(about, sizeof(about), "VNETD_OBJECT=%s", a->object);
		add_field(iov, &n, about);
	}
	if (a->code) {
		snprintf(reason, sizeof(reason), "ERRNO=%d", a->code < 0 ? -a->code : a->code);
		add_field(iov, &n, reason);
	}
	return sd_journal_sendv(iov, n) == 0;
}

/* One line, one write: lines of several threads and processes do not mix, and no text that
 * came from outside begins a line of its own. */
static void to_stderr(int priority, const char *object, const char *text)
{
	char line[LINE_MAX_BYTES + 256];
	bool named = !object || strstr(text, object);
	ssize_t written;
	int n;

	n = snprintf(line, sizeof(line), "vnetd: %s: %s%s%s", level_names[priority],
		     named ? "" : object, named ? "" : ": ", text);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 1)
		n = sizeof(line) - 1;
	for (char *p = line; *p; p++)
		memset(p, ' ', json_control_len(p));
	line[n] = '\n';
	/* Nobody can be told that stderr is gone. */
	written = write(STDERR_FILENO, line, (size_t)n + 1);
	(void)written;
}

static bool wanted(int *priority)
{
	*priority &= LOG_PRIMASK;
	return *priority <= max_level;
}

static void emit(int priority, const struct about *about, const struct vnet_err *err,
		 const char *fmt, va_list ap)
{
	char text[LINE_MAX_BYTES];
	int n = vsnprintf(text, sizeof(text), fmt, ap);

	if (err && n >= 0 && (size_t)n < sizeof(text))
		snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->text);
	if (!stderr_is_journal() || !to_journal(priority, about, text))
		to_stderr(priority, about->object, text);
}

void log_event(const char *message_id, int priority, const char *object, const char *fmt, ...)
{
	const struct about about = { .message_id = message_id, .object = object };
	int saved = errno;
	va_list ap;

	if (!wanted(&priority))
		return;
	va_start(ap, fmt);
	emit(priority, &about, NULL, fmt, ap);
	va_end(ap);
	errno = saved;
}

void log_event_err(const char *message_id, int priority, const char *object,
		   const struct vnet_err *err, const char *fmt, ...)
{
	const struct about about = {
		.message_id = message_id,
		.object = object,
		.code = err->code,
	};
	int saved = errno;
	va_list ap;

	if (!wanted(&priority))
		return;
	va_start(ap, fmt);
	emit(priority, &about, err, fmt, ap);
	va_end(ap);
	errno = saved;
}
