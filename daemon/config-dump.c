/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration in force as text that, parsed, gives the same again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/config.h"

static void dump_section(FILE *f, enum config_section section, const void *obj)
{
	const struct config_key *k;
	char value[CONFIG_VALUE_MAX];

	for (size_t i = 0; (k = config_key_at(i)); i++) {
		if (k->section != section)
			continue;
		fprintf(f, "# %s (%s)\n", k->description, k->accepts);
		for (size_t n = 0; k->print(k, obj, n, value); n++)
			fprintf(f, "%s = %s\n", k->name, value);
	}
}

char *config_dump(const struct config *c)
{
	char *text = NULL, line[REASON_MAX];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs("# The configuration of vnetd, as it is in force: see vnetd.conf(5).\n", f);
	for (size_t i = 0; i < c->n_errors; i++)
		fprintf(f, "# error: %s\n", config_error_str(&c->errors[i], line, sizeof(line)));
	fputs("\n[vnetd]\n", f);
	dump_section(f, CONFIG_VNETD, c);
	for (size_t i = 0; i < c->n_pools; i++) {
		const struct config_pool *p = &c->pools[i];

		if (p->disabled) {
			fprintf(f, "\n# pool %s is disabled: see the errors above\n", p->name);
			continue;
		}
		fprintf(f, "\n[pool %s]\n", p->name);
		dump_section(f, CONFIG_POOL, p);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

char *config_dump_keys(void)
{
	static const char *const sections[] = { [CONFIG_VNETD] = "vnetd", [CONFIG_POOL] = "pool" };
	const struct config_key *k;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; (k = config_key_at(i)); i++)
		fprintf(f, "%s\t%s\t%s\t%s\n", sections[k->section], k->name,
			k->fallback ? k->fallback : "-", k->description);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
