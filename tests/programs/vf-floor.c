/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor of provisioning: only what the kernel must be told to give all VFs of some
 * PFs to vfio-pci, one write after the other, with no check, no journal and no way back:
 *
 *	vf-floor COUNT PF...
 *
 * For each PF: sriov_drivers_autoprobe 0, sriov_numvfs COUNT; for each of its VFs:
 * driver_override vfio-pci, drivers_probe. Prints microseconds:
 *
 *	create USEC bind USEC total USEC vfs N
 *
 * For the lab and for hosts whose VFs nobody uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEVICES "/sys/bus/pci/devices"

static long now_usec(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000L + ts.tv_nsec / 1000;
}

static void put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0) {
		fprintf(stderr, "vf-floor: write %s to %s: %s\n", value, path, strerror(errno));
		exit(1);
	}
	close(fd);
}

static void put_at(const char *address, const char *attr, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", address, attr);
	put(path, value);
}

static void bind_vf(const char *pf, int index)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *vf;
	ssize_t n;

	snprintf(path, sizeof(path), DEVICES "/%s/virtfn%d", pf, index);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0) {
		fprintf(stderr, "vf-floor: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	target[n] = '\0';
	vf = basename(target);
	put_at(vf, "driver_override", "vfio-pci");
	put("/sys/bus/pci/drivers_probe", vf);
}

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[1]) : 0;
	long begun, made, done;

	if (count < 1) {
		fprintf(stderr, "usage: vf-floor COUNT PF...\n");
		return 2;
	}
	begun = now_usec();
	for (int i = 2; i < argc; i++) {
		put_at(argv[i], "sriov_drivers_autoprobe", "0");
		put_at(argv[i], "sriov_numvfs", argv[1]);
	}
	made = now_usec();
	for (int i = 2; i < argc; i++) {
		for (int k = 0; k < count; k++)
			bind_vf(argv[i], k);
	}
	done = now_usec();
	printf("create %ld bind %ld total %ld vfs %d\n", made - begun, done - made, done - begun,
	       count * (argc - 2));
	return 0;
}
