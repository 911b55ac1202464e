/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults of the fake kernel: DIR/fail, whose lines tests/fake/kernel.h explains. What
 * counts down is counted down in the file itself, so that all processes share it. */
#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/file.h"
#include "tests/fake/priv.h"

#define FAIL_MAX 4096

static int errno_from(const char *name)
{
	for (int e = 1; e < 200; e++) {
		const char *known = strerrorname_np(e);

		if (known && strcmp(known, name) == 0)
			return e;
	}
	fprintf(stderr, "fake kernel: %s in the file fail is no errno\n", name);
	abort(); /* a test that does not test what it says */
}

static bool matches(const char *pattern, const char *op)
{
	return fnmatch(pattern, op, 0) == 0;
}

/* What is left of a line that says "COUNT times" and was used once. */
static void count_down(char *line, size_t size, const char *head, int count)
{
	if (count > 1)
		snprintf(line, size, "%.480s %d", head, count - 1);
	else
		line[0] = '\0';
}

struct verdict {
	int r;
	bool hang, die, changed;
};

/* One line: what it means for @op; @line becomes what stays of it, "" nothing. */
static struct verdict judge_line(char *line, size_t size, const char *op, bool is_write)
{
	struct verdict v = { .r = FAULT_NONE };
	char a[256] = "", b[256] = "", c[32] = "", head[sizeof(a) + sizeof(b)];
	int n = sscanf(line, "%255s %255s %31s", a, b, c);
	int count = n == 3 ? atoi(c) : 0;

	if (n < 2 || a[0] == '#')
		return v;
	if (strcmp(a, "nth") == 0) {
		if (!is_write)
			return v;
		v.changed = true;
		count = atoi(b);
		if (count <= 1) {
			v.r = -errno_from(c);
			line[0] = '\0';
		} else {
			snprintf(line, size, "nth %d %s", count - 1, c);
		}
		return v;
	}
	if (strcmp(a, "hang") == 0) {
		v.hang = matches(b, op);
		return v;
	}
	if (strcmp(a, "die") == 0) {
		v.die = v.changed = matches(b, op);
		if (v.die)
			line[0] = '\0';
		return v;
	}
	if (strcmp(a, "silent") == 0) {
		if (!matches(b, op))
			return v;
		v.r = FAULT_SILENT;
	} else {
		if (!matches(a, op))
			return v;
		v.r = -errno_from(b);
	}
	if (count > 0) {
		v.changed = true;
		snprintf(head, sizeof(head), "%s %s", a, b);
		count_down(line, size, head, count);
	}
	return v;
}

static struct verdict judge(struct fake *f, const char *op, bool is_write)
{
	struct verdict all = { .r = FAULT_NONE };
	char text[FAIL_MAX], left[FAIL_MAX] = "", *save = NULL;
	size_t n = 0;

	get_text(f, text, sizeof(text), "fail");
	for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		char line[512];
		struct verdict v = { .r = FAULT_NONE };

		snprintf(line, sizeof(line), "%s", s);
		if (all.r == FAULT_NONE && !all.hang && !all.die)
			v = judge_line(line, sizeof(line), op, is_write);
		if (v.r != FAULT_NONE)
			all.r = v.r;
		all.hang |= v.hang;
		all.die |= v.die;
		all.changed |= v.changed;
		if (line[0] && n < sizeof(left))
			n += (size_t)snprintf(left + n, sizeof(left) - n, "%s\n", line);
	}
	if (all.changed && n)
		put_file(f, left, "fail");
	else if (all.changed)
		take_away(f, "fail");
	return all;
}

int fake_fault(struct fake *f, const char *op, bool is_write)
{
	struct verdict v = judge(f, op, is_write);

	if (v.hang && is_write)
		fake_log(f, "hangs", op, "", 0, true);
	while (v.hang) {
		int r = fake_wait(f);

		if (r < 0)
			return r;
		v = judge(f, op, false);
	}
	if (v.die)
		raise(SIGKILL);
	return v.r;
}
