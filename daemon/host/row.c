/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

#define ROWS_MAX (1u << 20)

/* ---- writing: nothing for the usual value ---- */

void row_put_int(json_t *o, const char *field, int64_t value, int64_t usual)
{
	if (value != usual)
		json_put_int(o, field, value);
}

void row_put_str(json_t *o, const char *field, const char *value)
{
	if (value && *value)
		json_put_str(o, field, value);
}

void row_put_bool(json_t *o, const char *field, bool value)
{
	if (value)
		json_put_bool(o, field, true);
}

void row_put_addr(json_t *o, const char *field, const struct pci_addr *a)
{
	char buf[PCI_ADDR_STR];

	row_put_str(o, field, pci_addr_str(a, buf));
}

void row_put_mac(json_t *o, const char *field, bool has, const struct mac *m)
{
	char buf[MAC_STR];

	if (has)
		json_put_str(o, field, mac_str(m, buf));
}

/* ---- reading: what is absent stays as it is ---- */

int64_t row_get_int(struct row *row, const char *field, int64_t usual, int64_t min, int64_t max)
{
	int64_t v = usual;

	if (row->r == 0)
		row->r = json_get_int_opt(row->o, field, min, max, &v, row->err);
	return v;
}

int row_get_small(struct row *row, const char *field, int usual)
{
	return (int)row_get_int(row, field, usual, INT32_MIN, INT32_MAX);
}

uint16_t row_get_u16(struct row *row, const char *field)
{
	return (uint16_t)row_get_int(row, field, 0, 0, UINT16_MAX);
}

bool row_get_bool(struct row *row, const char *field)
{
	bool v = false;

	if (row->r == 0)
		row->r = json_get_bool_opt(row->o, field, &v, row->err);
	return v;
}

void row_get_str(struct row *row, const char *field, char *ret, size_t size)
{
	if (row->r == 0)
		row->r = json_get_str_opt(row->o, field, ret, size, row->err);
}

int row_bad(struct row *row, const char *field, const char *text)
{
	if (row->r == 0)
		row->r = vnet_err_set(row->err, -EINVAL, VNET_E_INVALID, "%s: '%s' is not valid",
				      field, text);
	return row->r;
}

void row_get_addr(struct row *row, const char *field, struct pci_addr *ret)
{
	char buf[64] = "";

	row_get_str(row, field, buf, sizeof(buf));
	if (*buf && pci_addr_parse(buf, ret) < 0)
		row_bad(row, field, buf);
}

bool row_get_mac(struct row *row, const char *field, struct mac *ret)
{
	char buf[64] = "";

	row_get_str(row, field, buf, sizeof(buf));
	if (*buf && mac_parse(buf, ret) < 0)
		row_bad(row, field, buf);
	return *buf;
}

char *row_get_name(struct row *row, const char *field)
{
	const json_t *v = json_object_get(row->o, field);
	char *s = NULL;

	if (json_is_string(v)) {
		s = strdup(json_string_value(v));
		if (!s)
			row->r = vnet_err_errno(row->err, -ENOMEM, "read scan");
	}
	return s;
}

int row_get_tristate(struct row *row, const char *field)
{
	return json_object_get(row->o, field) ? row_get_bool(row, field) : -1;
}

int rows_get(const json_t *array, size_t size, void (*parse)(struct row *, void *), void **ret,
	     size_t *ret_n, struct vnet_err *err)
{
	struct row row = { .err = err };
	const json_t *o;
	size_t i;

	if (!json_is_array(array) || json_array_size(array) > ROWS_MAX)
		return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "expected a list of rows");
	*ret = NULL;
	*ret_n = 0;
	if (!json_array_size(array))
		return 0;
	*ret = calloc(json_array_size(array), size);
	if (!*ret)
		return vnet_err_errno(err, -ENOMEM, "read scan");
	json_array_foreach (array, i, o) {
		if (!json_is_object(o))
			return vnet_err_set(err, -EINVAL, VNET_E_INVALID, "row %zu is no object",
					    i);
		row.o = o;
		parse(&row, (char *)*ret + i * size);
		*ret_n = i + 1; /* a half-read row owns something already */
		if (row.r < 0) {
			vnet_err_wrap(err, "row %zu", i);
			return row.r;
		}
	}
	return 0;
}
