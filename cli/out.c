/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/out.h"

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/cleanup.h"
#include "lib/json.h"

/* Prose that gets less room than this is not wrapped: it would be unreadable. */
#define PROSE_WIDTH_MIN 30

static void out_of_memory(void) __attribute__((noreturn));
static void out_of_memory(void)
{
	errx(EXIT_REFUSED, "out of memory");
}

/* ---- reading a reply ---- */

const char *out_str(const json_t *obj, const char *field)
{
	return json_string_value(json_object_get(obj, field));
}

int64_t out_int(const json_t *obj, const char *field, int64_t otherwise)
{
	const json_t *v = json_object_get(obj, field);

	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

bool out_true(const json_t *obj, const char *field)
{
	return json_is_true(json_object_get(obj, field));
}

const char *out_vlan(const json_t *vlan, char *buf, size_t size)
{
	int64_t id = out_int(vlan, "id", 0), qos = out_int(vlan, "qos", 0);
	const char *proto = out_str(vlan, "proto");
	bool plain = !proto || strcmp(proto, "802.1Q") == 0;
	char qos_text[32] = "";

	if (id == 0)
		return NULL;
	if (qos > 0)
		snprintf(qos_text, sizeof(qos_text), " qos %lld", (long long)qos);
	snprintf(buf, size, "%lld%s%s%s", (long long)id, qos_text, plain ? "" : " proto ",
		 plain ? "" : proto);
	return buf;
}

/* ---- lines ---- */

/* Names come from guests, processes and cards: none of them may steer the terminal. */
static void defuse(char *s)
{
	for (size_t len; *s; s += len) {
		len = *s == '\n' ? 0 : json_control_len(s);
		if (len == 0)
			len = 1;
		else
			memset(s, '?', len);
	}
}

void out_line(FILE *f, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	defuse(text);
	fputs(text, f);
}

void out_attachment(FILE *f, const json_t *a, bool with_state)
{
	const char *guest = out_str(a, "guest"), *name = out_str(a, "name");
	const char *mode = out_str(a, "mode"), *state = out_str(a, "state");
	const char *device = out_str(a, "device") ? out_str(a, "device") : out_str(a, "vf");
	const char *pool = out_str(a, "pool"), *mac = out_str(a, "mac");
	const char *from = pool ? pool : out_str(a, "pf");
	int64_t index = out_int(a, "vfIndex", -1);
	char buf[64];
	const char *vlan = out_vlan(json_object_get(a, "vlan"), buf, sizeof(buf));

	out_line(f, "%s/%s: %s", guest ? guest : "?", name ? name : "?", mode ? mode : "no mode");
	if (device)
		out_line(f, " %s", device);
	if (index >= 0 && from)
		out_line(f, " (VF %lld of %s)", (long long)index, from);
	else if (from)
		out_line(f, " (of %s)", from);
	if (mac)
		out_line(f, " mac %s", mac);
	if (vlan)
		out_line(f, " vlan %s", vlan);
	if (with_state && state && strcmp(state, "in-use") != 0)
		out_line(f, ": %s", state);
	out_line(f, "\n");
}

void out_json(const json_t *j)
{
	if (json_dumpf(j, stdout, JSON_INDENT(2)) < 0)
		out_of_memory();
	putchar('\n');
}

/* ---- tables ---- */

static bool is_terminal(FILE *f)
{
	return isatty(fileno(f));
}

static bool wants_colour(FILE *f)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return is_terminal(f) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void out_table_init(struct out_table *t, FILE *f, const struct out_column *columns, size_t n)
{
	*t = (struct out_table){ .f = f, .columns = columns, .n = n };
	t->table = scols_new_table();
	if (!t->table)
		out_of_memory();
	scols_table_set_stream(t->table, f);
	/* Lines are as long as they are: prose is wrapped by us, between words. */
	scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER);
	scols_table_enable_colors(t->table, wants_colour(f));
	scols_table_enable_minout(t->table, 1); /* no blanks at the end of a line */
	for (size_t i = 0; i < n; i++) {
		struct libscols_column *c;

		c = scols_table_new_column(t->table, columns[i].name, 0,
					   columns[i].flags |
						   (columns[i].prose ? SCOLS_FL_WRAP : 0));
		if (!c)
			out_of_memory();
		if (columns[i].prose) {
			scols_column_set_safechars(c, "\n");
			scols_column_set_wrapfunc(c, scols_wrapnl_chunksize, scols_wrapnl_nextchunk,
						  NULL);
		}
	}
}

struct libscols_line *out_row(struct out_table *t, struct libscols_line *parent)
{
	struct libscols_line *row = scols_table_new_line(t->table, parent);

	if (!row)
		out_of_memory();
	for (size_t i = 0; i < t->n; i++)
		out_cell(row, i, NULL);
	return row;
}

void out_cell(struct libscols_line *row, size_t column, const char *text)
{
	char *safe = strdup(text && *text ? text : "-");

	if (!safe)
		out_of_memory();
	defuse(safe);
	/* The table's from here on. */
	if (scols_line_refer_data(row, column, safe) < 0)
		out_of_memory();
}

void out_cellf(struct libscols_line *row, size_t column, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		out_of_memory();
	out_cell(row, column, text);
}

void out_tint(struct libscols_line *row, size_t column, enum out_tint tint)
{
	static const char *const colours[] = {
		[OUT_PLAIN] = NULL, [OUT_GOOD] = "green", [OUT_WARN] = "yellow", [OUT_BAD] = "red"
	};

	scols_cell_set_color(scols_line_get_cell(row, column), colours[tint]);
}

void out_state(struct libscols_line *row, size_t column, const char *state)
{
	static const struct {
		const char *state;
		enum out_tint tint;
	} tints[] = {
		{ "in-use", OUT_GOOD },	     { "up", OUT_GOOD },	{ "reserved", OUT_WARN },
		{ "preparing", OUT_WARN },   { "detaching", OUT_WARN }, { "releasing", OUT_WARN },
		{ "no carrier", OUT_WARN },  { "stuck", OUT_BAD },	{ "unknown", OUT_BAD },
		{ "unavailable", OUT_WARN },
	};

	out_cell(row, column, state);
	for (size_t i = 0; state && i < ARRAY_SIZE(tints); i++) {
		if (strcmp(state, tints[i].state) == 0)
			out_tint(row, column, tints[i].tint);
	}
}

/* How much room the last column has; 0 for as much as it wants. */
static size_t prose_width(const struct out_table *t)
{
	struct winsize size;
	size_t used = 0;

	if (!is_terminal(t->f) || ioctl(fileno(t->f), TIOCGWINSZ, &size) < 0)
		return 0;
	for (size_t i = 0; i + 1 < t->n; i++) {
		size_t width = strlen(t->columns[i].name);

		for (size_t l = 0; l < scols_table_get_nlines(t->table); l++) {
			struct libscols_line *row = scols_table_get_line(t->table, l);
			const char *data =
				scols_line_get_column_data(row,
							   scols_table_get_column(t->table, i));

			if (data && strlen(data) > width)
				width = strlen(data);
		}
		used += width + 1;
	}
	return used + PROSE_WIDTH_MIN < size.ws_col ? size.ws_col - used - 1 : 0;
}

static void wrap(char *text, size_t width)
{
	char *line = text, *space = NULL;

	for (char *p = text; *p; p++) {
		if (*p == ' ')
			space = p;
		if ((size_t)(p - line) < width || !space)
			continue;
		*space = '\n';
		line = space + 1;
		space = NULL;
	}
}

void out_table_end(struct out_table *t)
{
	size_t last = t->n - 1, width = t->columns[last].prose ? prose_width(t) : 0;

	for (size_t l = 0; width > 0 && l < scols_table_get_nlines(t->table); l++) {
		struct libscols_cell *cell =
			scols_line_get_cell(scols_table_get_line(t->table, l), last);
		char *text = strdup(scols_cell_get_data(cell));

		if (!text)
			out_of_memory();
		wrap(text, width);
		scols_cell_refer_data(cell, text);
	}
	if (scols_print_table(t->table) < 0)
		out_of_memory();
	scols_unref_table(t->table);
	t->table = NULL;
}

/* ---- verdicts ---- */

enum { COL_CHOSEN, COL_MODE, COL_POOL, COL_PF, COL_VF, COL_INDEX, COL_SERVES, COL_SCORE, COL_WHY };

static const struct out_column verdict_columns[] = {
	[COL_CHOSEN] = { .name = " " },
	[COL_MODE] = { .name = "MODE" },
	[COL_POOL] = { .name = "POOL" },
	[COL_PF] = { .name = "PF" },
	[COL_VF] = { .name = "VF" },
	[COL_INDEX] = { .name = "INDEX", .flags = SCOLS_FL_RIGHT },
	[COL_SERVES] = { .name = "SERVES" },
	[COL_SCORE] = { .name = "SCORE", .flags = SCOLS_FL_RIGHT },
	[COL_WHY] = { .name = "REASON", .prose = true },
};

/* The text behind what @v is called itself: its VF's address, or its PF's and index. */
static const char *skip_own_name(const char *s, const json_t *v)
{
	const char *pf = out_str(v, "pf"), *vf = out_str(v, "vf");
	char object[64];

	snprintf(object, sizeof(object), "%s/vf%lld", pf ? pf : "",
		 (long long)out_int(v, "vfIndex", -1));
	if (strncmp(s, object, strlen(object)) == 0 &&
	    !strchr("0123456789", s[strlen(object)] ? s[strlen(object)] : ' '))
		return s + strlen(object);
	return vf && strncmp(s, vf, strlen(vf)) == 0 ? s + strlen(vf) : s;
}

static bool same_text(const json_t *a, const json_t *b, const char *field)
{
	const char *s = out_str(a, field), *t = out_str(b, field);

	return s && t ? strcmp(s, t) == 0 : s == t;
}

/* Is @b the next VF of the same PF, of which the same is to be said? */
static bool goes_on(const json_t *a, const json_t *b)
{
	const char *s = out_str(a, "reason"), *t = out_str(b, "reason");
	int64_t index = out_int(a, "vfIndex", -1);

	if (index < 0 || out_int(b, "vfIndex", -1) != index + 1 || out_true(a, "chosen") ||
	    out_true(b, "chosen") || out_true(a, "serves") != out_true(b, "serves") ||
	    out_int(a, "score", 0) != out_int(b, "score", 0) || !same_text(a, b, "mode") ||
	    !same_text(a, b, "pool") || !same_text(a, b, "pf"))
		return false;
	for (; s && t; s++, t++) {
		s = skip_own_name(s, a);
		t = skip_own_name(t, b);
		if (*s != *t)
			return false;
		if (!*s)
			return true;
	}
	return false;
}

static void add_verdict(struct out_table *t, const json_t *v, int64_t last)
{
	struct libscols_line *row = out_row(t, NULL);
	int64_t index = out_int(v, "vfIndex", -1);
	bool serves = out_true(v, "serves");

	out_cell(row, COL_CHOSEN, out_true(v, "chosen") ? "*" : " ");
	out_cell(row, COL_MODE, out_str(v, "mode"));
	out_cell(row, COL_POOL, out_str(v, "pool"));
	out_cell(row, COL_PF, out_str(v, "pf"));
	out_cell(row, COL_VF, out_str(v, "vf"));
	if (last > index)
		out_cellf(row, COL_INDEX, "%lld-%lld", (long long)index, (long long)last);
	else if (index >= 0)
		out_cellf(row, COL_INDEX, "%lld", (long long)index);
	out_cell(row, COL_SERVES, serves ? "yes" : "no");
	out_tint(row, COL_SERVES, serves ? OUT_GOOD : OUT_BAD);
	out_cellf(row, COL_SCORE, "%lld", (long long)out_int(v, "score", 0));
	out_cell(row, COL_WHY, out_str(v, "reason"));
}

void out_verdicts(FILE *f, const json_t *verdicts)
{
	size_t n = json_array_size(verdicts), end;
	struct out_table t;

	out_table_init(&t, f, verdict_columns, ARRAY_SIZE(verdict_columns));
	for (size_t i = 0; i < n; i = end) {
		const json_t *first = json_array_get(verdicts, i);

		for (end = i + 1; end < n && goes_on(json_array_get(verdicts, end - 1),
						     json_array_get(verdicts, end));)
			end++;
		add_verdict(&t, first,
			    out_int(json_array_get(verdicts, end - 1), "vfIndex", -1));
	}
	out_table_end(&t);
}
