/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef VNETD_TESTS_SERVER_CLIENT_H
#define VNETD_TESTS_SERVER_CLIENT_H
/*
 * The server on a socket of its own, clients and event loop in one thread: what a
 * client sends is served by pump(). Methods are the real ones, or held() for calls
 * that end when the test says so.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/server-priv.h"
#include "lib/json.h"

#define HELD_MAX 16

struct fixture {
	char dir[32], path[48];
	sd_event *event;
	struct server *server;
};

/* Dispatched calls that have not ended, oldest first. */
extern struct call *held_calls[HELD_MAX];
extern size_t n_held;

int server_setup(void **state);
int server_teardown(void **state);
#define SERVER_TEST(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)

/* Two things that a server may dispatch to. */
void hold_call(struct manager *m, struct call *c);
void reply_at_once(struct manager *m, struct call *c);
/* Ends the oldest with its own parameters. */
void end_held(void);

/* Until nothing is left to do. */
void pump(struct fixture *f);
int dial(const struct fixture *f);
void say(int fd, const char *text);
/* A call with parameter n; @more: further members, with a comma before. */
void say_n(int fd, int n, const char *more);
bool silent(int fd);
bool hung_up(int fd);
/* One message; the loop runs as long as some of it is missing. */
json_t *hear(struct fixture *f, int fd);
void expect_error(struct fixture *f, int fd, const char *error, const char *field,
		  const char *value);
void expect_n(struct fixture *f, int fd, int n);
#endif
