/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What QEMU makes of it: a guest's memory is -machine memory-backend=ID, else that of the
 * nodes of -numa node,memdev=ID, else private. ID is of an -object memory-backend-...; with
 * memfd and shm "share" is on where it is not said, with the others off.
 */
#include "cli/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define VALUE_MAX 128 /* of an id or a type: longer ones are not looked at */

/* The next item of "a,b=c" at *@at, where ",," is a comma in it. false: there is none. */
static bool next_item(const char **at, char ret[static VALUE_MAX])
{
	const char *s = *at;
	size_t n = 0;

	if (!*s)
		return false;
	for (; *s && (s[0] != ',' || s[1] == ','); s++) {
		if (s[0] == ',')
			s++;
		if (n + 1 < VALUE_MAX)
			ret[n++] = *s;
	}
	ret[n] = '\0';
	*at = *s ? s + 1 : s;
	return true;
}

/* The last @key of "a,key=value": QEMU takes that. */
static bool get(const char *list, const char *key, char ret[static VALUE_MAX])
{
	char item[VALUE_MAX] = "";
	size_t len = strlen(key);
	bool found = false;

	while (next_item(&list, item)) {
		if (strncmp(item, key, len) != 0 || item[len] != '=')
			continue;
		snprintf(ret, VALUE_MAX, "%s", item + len + 1);
		found = true;
	}
	return found;
}

static bool is_true(const char *value)
{
	return strcmp(value, "on") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
}

struct object {
	char type[VALUE_MAX], id[VALUE_MAX], share[VALUE_MAX];
};

static void object_read_json(const char *arg, struct object *ret)
{
	_cleanup_json_ json_t *j = json_loads(arg, 0, NULL);
	const json_t *share = json_object_get(j, "share");

	snprintf(ret->type, VALUE_MAX, "%s",
		 json_string_value(json_object_get(j, "qom-type")) ?: "");
	snprintf(ret->id, VALUE_MAX, "%s", json_string_value(json_object_get(j, "id")) ?: "");
	if (share)
		strcpy(ret->share, json_is_true(share) ? "on" : "off");
}

static void object_read(const char *arg, struct object *ret)
{
	const char *at = arg;

	memset(ret, 0, sizeof(*ret));
	if (arg[0] == '{') {
		object_read_json(arg, ret);
		return;
	}
	if (next_item(&at, ret->type) && strchr(ret->type, '='))
		ret->type[0] = '\0';
	get(arg, "qom-type", ret->type);
	get(arg, "id", ret->id);
	get(arg, "share", ret->share);
}

static bool is_shared(const struct object *o)
{
	if (strncmp(o->type, "memory-backend-", strlen("memory-backend-")) != 0)
		return false;
	if (o->share[0])
		return is_true(o->share);
	return strcmp(o->type, "memory-backend-memfd") == 0 ||
	       strcmp(o->type, "memory-backend-shm") == 0;
}

/* Is @arg option @name, -name or --name? */
static bool is_option(const char *arg, const char *name)
{
	if (arg[0] != '-')
		return false;
	return strcmp(arg + (arg[1] == '-' ? 2 : 1), name) == 0;
}

static enum memory of_backend(char *const *argv, const char *id)
{
	struct object o;

	for (size_t i = 0; argv[i]; i++) {
		if (!is_option(argv[i], "object") || !argv[i + 1])
			continue;
		object_read(argv[i + 1], &o);
		if (strcmp(o.id, id) == 0)
			return is_shared(&o) ? MEMORY_SHARED : MEMORY_PRIVATE;
	}
	return MEMORY_PRIVATE; /* QEMU will not start */
}

static bool is_qemu(const char *arg)
{
	const char *slash = strrchr(arg, '/'), *name = slash ? slash + 1 : arg;

	return strncmp(name, "qemu-system-", strlen("qemu-system-")) == 0 ||
	       strcmp(name, "qemu-kvm") == 0 || strcmp(name, "kvm") == 0;
}

enum memory memory_of(char *const *argv)
{
	enum memory all = MEMORY_UNKNOWN, nodes = MEMORY_UNKNOWN;
	char id[VALUE_MAX];

	while (*argv && !is_qemu(*argv))
		argv++;
	if (!*argv)
		return MEMORY_UNKNOWN;
	for (size_t i = 1; argv[i]; i++) {
		const char *value = argv[i + 1] ?: "";

		if (is_option(argv[i], "readconfig"))
			return MEMORY_UNKNOWN;
		if ((is_option(argv[i], "machine") || is_option(argv[i], "M")) &&
		    get(value, "memory-backend", id))
			all = of_backend(argv, id);
		if (is_option(argv[i], "numa") && get(value, "memdev", id) &&
		    nodes != MEMORY_PRIVATE)
			nodes = of_backend(argv, id);
	}
	if (all != MEMORY_UNKNOWN)
		return all;
	return nodes != MEMORY_UNKNOWN ? nodes : MEMORY_PRIVATE;
}
