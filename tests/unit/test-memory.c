/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a QEMU's command line says of its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/memory.h"
#include "lib/cleanup.h"

#define QEMU "/usr/bin/qemu-system-x86_64 -m 64 "
#define MEMFD QEMU "-object memory-backend-memfd,size=64M,id=ram "

static const struct {
	const char *command; /* a ' ' between two arguments */
	enum memory memory;
} cases[] = {
	{ QEMU "@net0", MEMORY_PRIVATE },
	{ MEMFD "-machine q35,memory-backend=ram", MEMORY_SHARED },
	{ MEMFD "-M memory-backend=ram", MEMORY_SHARED },
	{ MEMFD "--machine q35,memory-backend=ram --no-reboot", MEMORY_SHARED },
	{ "/usr/libexec/qemu-kvm --object memory-backend-shm,id=a -M memory-backend=a",
	  MEMORY_SHARED },
	/* made, and not what the guest has */
	{ MEMFD, MEMORY_PRIVATE },
	{ MEMFD "-machine memory-backend=other", MEMORY_PRIVATE },
	{ MEMFD "-device pc-dimm,memdev=ram", MEMORY_PRIVATE },
	/* share, as it is said and where it is not */
	{ QEMU "-object memory-backend-memfd,id=r,share=off -M memory-backend=r", MEMORY_PRIVATE },
	{ QEMU "-object memory-backend-file,id=r,mem-path=/h -M memory-backend=r", MEMORY_PRIVATE },
	{ QEMU "-object memory-backend-file,id=r,mem-path=/h,share=on -M memory-backend=r",
	  MEMORY_SHARED },
	{ QEMU "-object memory-backend-ram,id=r,share=yes -M memory-backend=r", MEMORY_SHARED },
	{ QEMU "-object memory-backend-ram,id=r,share=off,share=true -M memory-backend=r",
	  MEMORY_SHARED },
	{ QEMU "-object secret,id=r,share=on -M memory-backend=r", MEMORY_PRIVATE },
	{ QEMU "-object qom-type=memory-backend-ram,id=r,share=on -M memory-backend=r",
	  MEMORY_SHARED },
	{ QEMU "-object memory-backend-file,mem-path=/a,,share=on,id=r -M memory-backend=r",
	  MEMORY_PRIVATE },
	{ QEMU "-object {\"qom-type\":\"memory-backend-file\",\"id\":\"r\",\"share\":true} -M "
	       "memory-backend=r",
	  MEMORY_SHARED },
	{ QEMU "-object {\"qom-type\":\"memory-backend-memfd\",\"id\":\"r\",\"share\":false} -M "
	       "memory-backend=r",
	  MEMORY_PRIVATE },
	{ QEMU "-object { -M memory-backend=", MEMORY_PRIVATE },
	/* by nodes: all of them */
	{ MEMFD "-numa node,memdev=ram", MEMORY_SHARED },
	{ MEMFD "-numa node,nodeid=0,memdev=ram -numa cpu,node-id=0", MEMORY_SHARED },
	{ MEMFD "-object memory-backend-ram,id=b -numa node,memdev=b -numa node,memdev=ram",
	  MEMORY_PRIVATE },
	/* where it cannot be seen */
	{ "/root/run-vm.sh -m 64", MEMORY_UNKNOWN },
	{ QEMU "-readconfig /etc/vm.conf", MEMORY_UNKNOWN },
	/* somebody before QEMU */
	{ "vnetctl exec vm9 --mode tap -- " MEMFD "-machine memory-backend=ram", MEMORY_SHARED },
	{ "sudo -u nobody kvm -m 64", MEMORY_PRIVATE },
	{ QEMU "-object", MEMORY_PRIVATE },
	{ QEMU "-machine", MEMORY_PRIVATE },
};

static void test_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512], *rest = text, *argv[32];
		size_t n = 0;

		snprintf(text, sizeof(text), "%s", cases[i].command);
		while ((argv[n] = strsep(&rest, " ")))
			n++;
		if (memory_of(argv) != cases[i].memory)
			fail_msg("%s: not %d", cases[i].command, cases[i].memory);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory) };

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
