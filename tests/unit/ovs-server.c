/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/ovs-server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCHEMA "/usr/share/openvswitch/vswitch.ovsschema"
#define BOUND_SEC "20" /* of one ovs-vsctl */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

/* A shell that ends with the test, and its children with it: they are a group. */
static pid_t shell(const char *command)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid > 0)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

static void end(pid_t *group)
{
	if (*group <= 0)
		return;
	kill(-*group, SIGCONT);
	kill(-*group, SIGKILL);
	waitpid(*group, NULL, 0);
	*group = 0;
}

static void run(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void run(const char *what, const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	errno = 0;
	must(system(command) == 0, what);
}

/* Where administrators have it, whoever runs the test. */
static void find_programs(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", getenv("PATH") ? getenv("PATH") : "");
	must(setenv("PATH", path, 1) == 0, "setenv");
}

/* The socket is there a moment before it is listened at. */
static void wait_for_server(const struct ovs_server *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/db.sock", s->dir);
	for (int i = 0; connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0; i++) {
		must(i < 2000, a.sun_path);
		usleep(10000);
	}
	close(fd);
}

void ovs_server_start(struct ovs_server *s, const char *root)
{
	char command[1024];

	find_programs();
	snprintf(s->dir, sizeof(s->dir), "%s/run/openvswitch", root);
	run("make a database", "mkdir -p %s && ovsdb-tool create %s/conf.db " SCHEMA, s->dir,
	    s->dir);
	snprintf(command, sizeof(command),
		 "exec ovsdb-server --no-chdir --remote=punix:%s/db.sock --unixctl=%s/ctl "
		 "-vconsole:off %s/conf.db",
		 s->dir, s->dir, s->dir);
	s->server = shell(command);
	wait_for_server(s);
	ovs_server_vsctl(s, NULL, 0, "init");
	ovs_server_vsctl(s, NULL, 0, "add-br br0 -- add-br br1");
}

void ovs_server_stop(struct ovs_server *s)
{
	end(&s->vswitchd);
	end(&s->server);
}

void ovs_server_vswitchd(struct ovs_server *s, const char *columns)
{
	char command[2048];

	end(&s->vswitchd);
	snprintf(command, sizeof(command),
		 "v() { ovs-vsctl --db=unix:%s/db.sock --no-wait \"$@\"; }\n"
		 "while sleep 0.02; do\n"
		 "  n=$(v get Open_vSwitch . next_cfg)\n"
		 "  [ \"$n\" != \"$(v get Open_vSwitch . cur_cfg)\" ] || continue\n"
		 "  set -- set Open_vSwitch . cur_cfg=$n\n"
		 "  for i in $(v --bare --columns=_uuid find Interface 'type=\"\"'); do\n"
		 "    set -- \"$@\" -- set Interface $i %s\n"
		 "  done\n"
		 "  v \"$@\"\n"
		 "done 2>/dev/null",
		 s->dir, columns);
	s->vswitchd = shell(command);
}

void ovs_server_vsctl(const struct ovs_server *s, char *ret, size_t size, const char *fmt, ...)
{
	char command[1024], dropped[256];
	size_t n, room = ret ? size : sizeof(dropped);
	char *to = ret ? ret : dropped;
	va_list ap;
	int len;
	FILE *f;

	len = snprintf(command, sizeof(command),
		       "ovs-vsctl --db=unix:%s/db.sock --no-wait --timeout=" BOUND_SEC " ", s->dir);
	va_start(ap, fmt);
	vsnprintf(command + len, sizeof(command) - (size_t)len, fmt, ap);
	va_end(ap);
	f = popen(command, "re");
	must(f != NULL, command);
	n = fread(to, 1, room - 1, f);
	to[n && to[n - 1] == '\n' ? n - 1 : n] = '\0';
	must(pclose(f) == 0, command);
}
