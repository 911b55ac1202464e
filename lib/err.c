/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

#define WIRE_PREFIX "io.vnetd."

static const struct {
	const char *wire;
	int exit_code;
} names[] = {
	[VNET_E_FAILED] = { "Failed", 1 },
	[VNET_E_INVALID] = { "Invalid", 2 },
	[VNET_E_NOT_FOUND] = { "NotFound", 1 },
	[VNET_E_EXISTS] = { "Exists", 1 },
	[VNET_E_IN_USE] = { "InUse", 1 },
	[VNET_E_NOTHING_SERVES] = { "NothingServes", 4 },
	[VNET_E_DENIED] = { "Denied", 1 },
	[VNET_E_BUSY] = { "Busy", 1 },
	[VNET_E_UNAVAILABLE] = { "Unavailable", 1 },
	[VNET_E_LIMIT] = { "Limit", 1 },
	[VNET_E_STUCK] = { "Stuck", 1 },
	[VNET_E_RESIDUE] = { "Residue", 5 },
	[VNET_E_UNREACHABLE] = { "Unreachable", 3 },
};
_Static_assert(ARRAY_SIZE(names) == VNET_E_MAX, "a name for every error");

/* Cut text ends in "..." and never inside a UTF-8 sequence: JSON takes no half characters. */
static void mark_cut(char *buf, size_t size)
{
	size_t end = size - sizeof("...");

	while (end > 0 && ((unsigned char)buf[end] & 0xc0) == 0x80)
		end--;
	memcpy(buf + end, "...", sizeof("..."));
}

/* Formats all of @fmt and then @tail; the arguments may lie in the struct to be filled. */
static void format(char buf[static VNET_ERR_TEXT_MAX], const char *tail, const char *fmt,
		   va_list ap)
{
	int n = vsnprintf(buf, VNET_ERR_TEXT_MAX, fmt, ap);
	size_t len = n < 0 ? 0 : (size_t)n;

	if (len < VNET_ERR_TEXT_MAX)
		len += (size_t)snprintf(buf + len, VNET_ERR_TEXT_MAX - len, "%s%s",
					tail ? ": " : "", tail ? tail : "");
	if (len >= VNET_ERR_TEXT_MAX)
		mark_cut(buf, VNET_ERR_TEXT_MAX);
}

/* A caller that passes no error code still fails: success is never made up from a bug. */
static int sane_code(int code)
{
	return code < 0 ? code : -EIO;
}

static void fill(struct vnet_err *err, int code, enum vnet_err_name name, const char *text)
{
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->name = name;
	memcpy(err->text, text, strlen(text) + 1);
}

int vnet_err_set(struct vnet_err *err, int code, enum vnet_err_name name, const char *fmt, ...)
{
	char text[VNET_ERR_TEXT_MAX];
	va_list ap;

	code = sane_code(code);
	if (!err)
		return code;
	va_start(ap, fmt);
	format(text, NULL, fmt, ap);
	va_end(ap);
	fill(err, code, name, text);
	return code;
}

int vnet_err_errno(struct vnet_err *err, int code, const char *fmt, ...)
{
	char text[VNET_ERR_TEXT_MAX], unknown[32];
	const char *reason;
	va_list ap;

	code = sane_code(code);
	if (!err)
		return code;
	/* Not strerror(): that one is neither thread-safe nor the same in every locale. */
	reason = strerrordesc_np(-code);
	if (!reason) {
		snprintf(unknown, sizeof(unknown), "error %d", -code);
		reason = unknown;
	}
	va_start(ap, fmt);
	format(text, reason, fmt, ap);
	va_end(ap);
	fill(err, code, VNET_E_FAILED, text);
	return code;
}

int vnet_err_wrap(struct vnet_err *err, const char *fmt, ...)
{
	char text[VNET_ERR_TEXT_MAX];
	va_list ap;

	if (!err)
		return -EIO;
	err->code = sane_code(err->code);
	va_start(ap, fmt);
	format(text, err->text, fmt, ap);
	va_end(ap);
	memcpy(err->text, text, strlen(text) + 1);
	return err->code;
}

void vnet_err_at(struct vnet_err *err, const char *knob, const char *object)
{
	if (!err)
		return;
	if (knob && !err->knob[0])
		snprintf(err->knob, sizeof(err->knob), "%s", knob);
	if (object && !err->object[0])
		snprintf(err->object, sizeof(err->object), "%s", object);
}

const char *vnet_err_name_str(enum vnet_err_name name)
{
	return (size_t)name < ARRAY_SIZE(names) ? names[name].wire : "Failed";
}

enum vnet_err_name vnet_err_name_from(const char *wire_name)
{
	if (!wire_name || strncmp(wire_name, WIRE_PREFIX, strlen(WIRE_PREFIX)) != 0)
		return VNET_E_FAILED;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(wire_name + strlen(WIRE_PREFIX), names[i].wire) == 0)
			return (enum vnet_err_name)i;
	return VNET_E_FAILED;
}

int vnet_err_exit_code(enum vnet_err_name name)
{
	return (size_t)name < ARRAY_SIZE(names) ? names[name].exit_code : 1;
}
