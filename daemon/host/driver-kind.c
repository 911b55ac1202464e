/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/host/driver.h"

#include <string.h>
#include <time.h>

#include "lib/cleanup.h"

#define INTERFACE_TRIES 100
#define INTERFACE_STEP_MS 50

bool driver_is_for_programs(const char *driver)
{
	return strstr(driver, "vfio") || strncmp(driver, "uio_", 4) == 0 ||
	       strcmp(driver, "igb_uio") == 0 || strcmp(driver, "pci-stub") == 0 ||
	       strcmp(driver, "pci-pf-stub") == 0;
}

bool driver_blocks_group(const char *driver)
{
	return *driver && strncmp(driver, "vfio-", 5) != 0 && strcmp(driver, "pci-stub") != 0 &&
	       strcmp(driver, "pci-pf-stub") != 0 && strcmp(driver, "pcieport") != 0;
}

bool driver_of_siblings(struct kernel *k, const char *bdf, char ret[static DRIVER_NAME_MAX])
{
	_cleanup_closedir_ DIR *d = kernel_opendir(k, PCI_DEVICES "/%s/physfn", bdf);
	char driver[DRIVER_NAME_MAX];
	const struct dirent *e;

	while (d && (e = next_entry(d))) {
		if (suffix_number(e->d_name, "virtfn") < 0 ||
		    kernel_readlink_base(k, driver, sizeof(driver),
					 PCI_DEVICES "/%s/physfn/%s/driver", bdf, e->d_name) < 0 ||
		    driver_is_for_programs(driver))
			continue;
		strcpy(ret, driver);
		return true;
	}
	return false;
}

bool udev_is_done(struct kernel *k, int ifindex)
{
	return !kernel_exists(k, "run/udev/control") ||
	       kernel_exists(k, "run/udev/data/n%d", ifindex);
}

void driver_await_interface(struct kernel *k, const struct pci_addr *addr)
{
	const struct timespec step = { .tv_nsec = INTERFACE_STEP_MS * 1000000L };
	char bdf[PCI_ADDR_STR];
	int ifindex;

	if (kernel_read_number(k, 0, PCI_DEVICES "/%s/class", pci_addr_str(addr, bdf)) >> 16 != 2)
		return;
	for (int i = 0; i < INTERFACE_TRIES; i++) {
		if (function_interfaces(k, addr, &ifindex, 1) > 0 && udev_is_done(k, ifindex))
			return;
		nanosleep(&step, NULL);
	}
}
