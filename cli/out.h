/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETCTL_OUT_H
#define VNETCTL_OUT_H
/*
 * What vnetctl prints: tables and trees by libsmartcols, single lines, and the reply
 * itself as JSON. Every field of a reply may be absent or null: it prints as "-".
 * Colour only on a terminal, and not where NO_COLOR is set. Text from elsewhere never
 * reaches a terminal with its control characters.
 */
#include <jansson.h>
#include <libsmartcols.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* ---- reading a reply ---- */

/* NULL where it is absent, null or no string. */
const char *out_str(const json_t *obj, const char *field);
int64_t out_int(const json_t *obj, const char *field, int64_t otherwise);
bool out_true(const json_t *obj, const char *field);
/* "100", "100 qos 3 proto 802.1ad"; NULL for none. @vlan: the object, may be NULL. */
const char *out_vlan(const json_t *vlan, char *buf, size_t size);

/* ---- lines ---- */

/* As fprintf, with control characters of the result replaced, newlines kept. */
void out_line(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What one attachment is, in one line; @with_state: and its state, where that is not
 * the one that one expects, in-use. */
void out_attachment(FILE *f, const json_t *attachment, bool with_state);
/* The whole reply, or an error, for a program. */
void out_json(const json_t *j);

/* ---- tables ---- */

enum out_tint { OUT_PLAIN, OUT_GOOD, OUT_WARN, OUT_BAD };

struct out_column {
	const char *name;
	int flags;  /* SCOLS_FL_* */
	bool prose; /* wrapped between words at the terminal's width; one a table, the last */
};

struct out_table {
	FILE *f;
	struct libscols_table *table;
	const struct out_column *columns;
	size_t n;
};

void out_table_init(struct out_table *t, FILE *f, const struct out_column *columns, size_t n);
/* Prints it, and frees it. */
void out_table_end(struct out_table *t);
struct libscols_line *out_row(struct out_table *t, struct libscols_line *parent);
/* NULL and "" become "-". */
void out_cell(struct libscols_line *row, size_t column, const char *text);
void out_cellf(struct libscols_line *row, size_t column, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void out_tint(struct libscols_line *row, size_t column, enum out_tint tint);
/* The state of an attachment or NIC, in its colour. */
void out_state(struct libscols_line *row, size_t column, const char *state);

/* Verdicts, as `why` shows them: neighbouring VFs of which the same is said share a line. */
void out_verdicts(FILE *f, const json_t *verdicts);
#endif
