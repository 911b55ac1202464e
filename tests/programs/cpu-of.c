/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a command costs: `cpu-of COUNT COMMAND...` runs it COUNT times and prints the
 * median of its CPU time (user and system) and of its wall time, in microseconds:
 * "CPU WALL". Its stdin is read again each time where that is a file; its stdout goes
 * to /dev/null. Fails where the command cannot be run or ends by a signal.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 10000

extern char **environ;

static long usec(const struct timeval *t)
{
	return t->tv_sec * 1000000L + t->tv_usec;
}

static long now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static int run(char **argv, long *ret_cpu, long *ret_wall)
{
	posix_spawn_file_actions_t fa;
	struct rusage use;
	long begun = now_usec();
	int r, status;
	pid_t pid;

	lseek(STDIN_FILENO, 0, SEEK_SET); /* a pipe stays as it is */
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (r) {
		fprintf(stderr, "cpu-of: %s: %s\n", argv[0], strerror(r));
		return -1;
	}
	if (wait4(pid, &status, 0, &use) != pid || !WIFEXITED(status)) {
		fprintf(stderr, "cpu-of: %s did not end by itself\n", argv[0]);
		return -1;
	}
	*ret_cpu = usec(&use.ru_utime) + usec(&use.ru_stime);
	*ret_wall = now_usec() - begun;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[1]) : 0;
	long *cpu, *wall;

	if (n < 1 || n > COUNT_MAX) {
		fprintf(stderr, "usage: cpu-of COUNT COMMAND...\n");
		return 2;
	}
	cpu = calloc((size_t)n, sizeof(*cpu));
	wall = calloc((size_t)n, sizeof(*wall));
	if (!cpu || !wall)
		return 1;
	for (int i = 0; i < n; i++) {
		if (run(argv + 2, &cpu[i], &wall[i]) < 0)
			return 1;
	}
	qsort(cpu, (size_t)n, sizeof(*cpu), by_size);
	qsort(wall, (size_t)n, sizeof(*wall), by_size);
	printf("%ld %ld\n", cpu[n / 2], wall[n / 2]);
	free(cpu);
	free(wall);
	return 0;
}
