/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What clients are told (io.vnetd.varlink) against what is served (methods.c, err.c). */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/methods.h"

#define WORDS_MAX 64

struct words {
	char word[WORDS_MAX][64];
	size_t n;
};

static void add_word(struct words *w, const char *start, size_t len)
{
	assert_true(w->n < WORDS_MAX && len < sizeof(w->word[0]));
	snprintf(w->word[w->n++], sizeof(w->word[0]), "%.*s", (int)len, start);
}

static bool has_word(const struct words *w, const char *word)
{
	for (size_t i = 0; i < w->n; i++) {
		if (strcmp(w->word[i], word) == 0)
			return true;
	}
	return false;
}

/* The names behind @keyword at the start of a line. */
static void names_of(const char *text, const char *keyword, struct words *ret)
{
	ret->n = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t len = strlen(keyword);

		line += *line == '\n';
		if (strncmp(line, keyword, len) == 0 && line[len] == ' ')
			add_word(ret, line + len + 1,
				 strspn(line + len + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							"abcdefghijklmnopqrstuvwxyz"));
	}
}

/* The parameters of method @name: words before a colon within its first parentheses. */
static void fields_of(const char *text, const char *name, struct words *ret)
{
	char start[80];
	const char *p, *end;

	ret->n = 0;
	snprintf(start, sizeof(start), "\nmethod %s(", name);
	p = strstr(text, start);
	assert_non_null(p);
	p += strlen(start);
	end = strchr(p, ')');
	assert_non_null(end);
	while (p < end) {
		const char *colon = memchr(p, ':', (size_t)(end - p)), *comma;

		if (!colon)
			break;
		while (isspace((unsigned char)*p))
			p++;
		add_word(ret, p, (size_t)(colon - p));
		comma = memchr(colon, ',', (size_t)(end - colon));
		p = comma ? comma + 1 : end;
	}
}

static void check_interface(const char *interface)
{
	const char *text = varlink_interface_text(interface);
	size_t served = 0, prefix = strlen(interface) + 1;
	const struct method *m;
	struct words names;

	assert_non_null(text);
	names_of(text, "method", &names);
	for (size_t i = 0; (m = methods_at(i)); i++) {
		const char *name = m->name + prefix;
		struct words fields;
		size_t n = 0;

		if (strncmp(m->name, interface, prefix - 1) != 0)
			continue;
		served++;
		assert_true(has_word(&names, name));
		fields_of(text, name, &fields);
		for (; m->fields[n]; n++)
			assert_true(has_word(&fields, m->fields[n]));
		assert_int_equal(n, fields.n);
	}
	assert_int_equal(served, names.n);
}

static void test_methods(void **state)
{
	(void)state;
	check_interface(VARLINK_VNETD);
	check_interface(VARLINK_SERVICE);
	assert_null(varlink_interface_text("io.vnet"));
}

static void test_errors(void **state)
{
	struct words names;
	size_t n = 0;

	(void)state;
	names_of(varlink_interface_text(VARLINK_VNETD), "error", &names);
	for (int e = 0; e < VNET_E_MAX; e++) {
		/* The one that a client makes up by itself. */
		if (e == VNET_E_UNREACHABLE)
			continue;
		assert_true(has_word(&names, vnet_err_name_str((enum vnet_err_name)e)));
		n++;
	}
	assert_int_equal(n, names.n);
}

/* Which of them change something: a new method has to be thought about here. */
static void test_access(void **state)
{
	const struct method *m;

	(void)state;
	for (size_t i = 0; (m = methods_at(i)); i++) {
		bool changes = strcmp(m->name, "io.vnetd.Attach") == 0 ||
			       strcmp(m->name, "io.vnetd.Exec") == 0 ||
			       strcmp(m->name, "io.vnetd.Detach") == 0 ||
			       strcmp(m->name, "io.vnetd.Bind") == 0 ||
			       strcmp(m->name, "io.vnetd.Reload") == 0;

		bool hook = strcmp(m->name, "io.vnetd.Hook") == 0;

		assert_int_equal(m->access, hook      ? ACCESS_ROOT
					    : changes ? ACCESS_CHANGE
						      : ACCESS_LOOK);
		assert_int_equal(!!m->request + !!m->target + !!m->plain + !!m->hook + !!m->bind +
					 !!m->service + (m->owned && !m->request && !m->target),
				 1);
		/* A descriptor is for those who take a QMP socket. */
		assert_int_equal(m->fds_max, m->owned && (m->request || m->target) ? 1 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_access),
	};

	return cmocka_run_group_tests_name("methods", tests, NULL, NULL);
}
