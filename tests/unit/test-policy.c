/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/policy.h"

enum { SELF = 990, USER = 1000, LOOK = 300, CHANGE = 301, OTHER = 302 };

static const struct policy_ids ids = {
	.self = SELF, .has_look = true, .look = LOOK, .has_change = true, .change = CHANGE
};

static bool allowed(const struct policy_ids *p, uid_t uid, gid_t gid, gid_t also,
		    enum access access)
{
	gid_t groups[] = { OTHER, also };
	struct peer peer = { .uid = uid, .gid = gid, .groups = groups, .n_groups = 2 };

	return policy_allows(p, &peer, access);
}

static void test_root_and_self_may_all(void **state)
{
	struct policy_ids none = { .self = SELF };

	(void)state;
	assert_true(allowed(&none, 0, OTHER, OTHER, ACCESS_LOOK));
	assert_true(allowed(&none, 0, OTHER, OTHER, ACCESS_CHANGE));
	assert_true(allowed(&none, SELF, OTHER, OTHER, ACCESS_LOOK));
	assert_true(allowed(&none, SELF, OTHER, OTHER, ACCESS_CHANGE));
}

static void test_groups(void **state)
{
	(void)state;
	/* as primary group, and as one of the others */
	assert_true(allowed(&ids, USER, LOOK, OTHER, ACCESS_LOOK));
	assert_true(allowed(&ids, USER, OTHER, LOOK, ACCESS_LOOK));
	assert_false(allowed(&ids, USER, LOOK, OTHER, ACCESS_CHANGE));
	assert_false(allowed(&ids, USER, OTHER, LOOK, ACCESS_CHANGE));
	assert_true(allowed(&ids, USER, CHANGE, OTHER, ACCESS_CHANGE));
	assert_false(allowed(&ids, USER, CHANGE, CHANGE, ACCESS_ROOT));
	assert_true(allowed(&ids, 0, OTHER, OTHER, ACCESS_ROOT));
	assert_true(allowed(&ids, USER, OTHER, CHANGE, ACCESS_CHANGE));
	/* who may change may look */
	assert_true(allowed(&ids, USER, OTHER, CHANGE, ACCESS_LOOK));
}

static void test_closed_by_default(void **state)
{
	struct policy_ids none = { .self = SELF };
	struct peer lonely = { .uid = USER, .gid = OTHER };

	(void)state;
	assert_false(allowed(&ids, USER, OTHER, OTHER, ACCESS_LOOK));
	assert_false(policy_allows(&ids, &lonely, ACCESS_LOOK));
	/* A group that does not exist is not the group with id 0. */
	assert_false(allowed(&none, USER, 0, 0, ACCESS_LOOK));
	assert_false(allowed(&none, USER, 0, 0, ACCESS_CHANGE));
}

static void test_refusal_says_what_to_do(void **state)
{
	struct peer peer = { .uid = geteuid() + 4242, .gid = 987654321, .pid = 17 };
	struct vnet_err err = VNET_ERR_INIT;

	(void)state;
	assert_int_equal(policy_check(&peer, ACCESS_CHANGE, "io.vnetd.Attach", &err), -EACCES);
	assert_int_equal(err.name, VNET_E_DENIED);
	assert_non_null(strstr(err.text, "io.vnetd.Attach"));
	assert_non_null(strstr(err.text, "usermod -aG vnet-admin"));
	assert_int_equal(policy_check(&peer, ACCESS_LOOK, "io.vnetd.List", &err), -EACCES);
	assert_non_null(strstr(err.text, "usermod -aG vnet USER"));
	peer.uid = geteuid();
	assert_int_equal(policy_check(&peer, ACCESS_CHANGE, "io.vnetd.Attach", &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_root_and_self_may_all),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_closed_by_default),
		cmocka_unit_test(test_refusal_says_what_to_do),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
