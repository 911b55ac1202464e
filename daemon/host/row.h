/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_HOST_ROW_H
#define VNETD_HOST_ROW_H
/*
 * Rows of a scan as JSON objects, both ways (nic-json.c, vf-json.c). A field with its
 * usual value is left out, and one that is absent is read as that.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/mac.h"
#include "lib/pciaddr.h"

void row_put_int(json_t *o, const char *field, int64_t value, int64_t usual);
void row_put_str(json_t *o, const char *field, const char *value);
void row_put_bool(json_t *o, const char *field, bool value);
void row_put_addr(json_t *o, const char *field, const struct pci_addr *a);
void row_put_mac(json_t *o, const char *field, bool has, const struct mac *m);

/* A row that is read. The first failure counts, what follows it is passed over. */
struct row {
	const json_t *o;
	struct vnet_err *err;
	int r;
};

int64_t row_get_int(struct row *row, const char *field, int64_t usual, int64_t min, int64_t max);
int row_get_small(struct row *row, const char *field, int usual);
uint16_t row_get_u16(struct row *row, const char *field);
bool row_get_bool(struct row *row, const char *field);
void row_get_str(struct row *row, const char *field, char *ret, size_t size);
int row_bad(struct row *row, const char *field, const char *text);
void row_get_addr(struct row *row, const char *field, struct pci_addr *ret);
bool row_get_mac(struct row *row, const char *field, struct mac *ret);
char *row_get_name(struct row *row, const char *field);
int row_get_tristate(struct row *row, const char *field);

/* Rows of @array into a fresh table of @size each, by @parse. */
int rows_get(const json_t *array, size_t size, void (*parse)(struct row *, void *), void **ret,
	     size_t *ret_n, struct vnet_err *err);
#endif
