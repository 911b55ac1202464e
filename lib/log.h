/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNET_LIB_LOG_H
#define VNET_LIB_LOG_H
/*
 * One call a message; it goes to the journal with fields when stderr is the
 * journal's (JOURNAL_STREAM), else to stderr. The last one who does not pass an
 * error on logs it; lib/, plugins/ and daemon/host/ log at debug only.
 */
#include "lib/err.h"

/* syslog(3) priorities; messages above the set one are dropped. Default LOG_INFO. */
void log_set_level(int priority);
int log_get_level(void);
/* @object: the attachment, PF or guest it is about (field VNETD_OBJECT), or NULL.
 * @message_id: of what an administrator has to act on (32 hex digits, field MESSAGE_ID), by
 * which tools and the message catalogue know the message; NULL: none. */
void log_event(const char *message_id, int priority, const char *object, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, followed by ": " and the error's text; field ERRNO is err->code. */
void log_event_err(const char *message_id, int priority, const char *object,
		   const struct vnet_err *err, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
#define log_msg(priority, object, ...) log_event(NULL, priority, object, __VA_ARGS__)
#define log_err(priority, object, err, ...) log_event_err(NULL, priority, object, err, __VA_ARGS__)
#define log_debug(object, ...) log_msg(7, object, __VA_ARGS__)
#define log_info(object, ...) log_msg(6, object, __VA_ARGS__)
#define log_warn(object, ...) log_msg(4, object, __VA_ARGS__)
#endif
