/* What is asked of a Xen, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/fake_xenstore.h"
#include "tests/unit/fake_xl.h"
#include "vmm-xen/backend_internal.h"

static int setup(void **state)
{
	xen = (struct fake_xen){0};
	return 0;
}

static int ask(struct xen_caps *ret, struct error *e)
{
	struct session *s = NULL;
	int r = session_open(NULL, NULL, NULL, NULL, &s, e);

	if (r == 0)
		r = vmm_xen_ask(s, ret, e);
	session_close(s);
	return r;
}

static void test_what_xen_says_of_itself(void **state)
{
	static char capabilities[] = "xen-3.0-aarch64 xen-3.0-armv7l ";
	static char extra[] = ".9-pre";
	struct xen_caps caps = {0};
	struct error e = ERROR_INIT;

	assert_int_equal(sscanf(ARMVM_XEN_VERSION, "%d.%d",
				&xen.version.xen_version_major,
				&xen.version.xen_version_minor),
			 2);
	xen.version.xen_version_extra = extra;
	xen.version.capabilities = capabilities;
	xen.version.pagesize = 4096;
	assert_int_equal(ask(&caps, NULL), 0);
	assert_string_equal(caps.version, ARMVM_XEN_VERSION ".9-pre");
	assert_true(caps.aarch32);
	assert_int_equal(caps.memory, MIB(4));
	assert_int_equal(caps.available, MIB(2));
	json_release(xen_caps_fields, &caps);
	xen.version.xen_version_major = 9;
	xen.version.xen_version_minor = 1;
	assert_int_equal(ask(&caps, &e), -ENODEV);
	assert_string_equal(e.message,
			    "this host runs Xen 9.1, and this armvmd is built "
			    "for Xen " ARMVM_XEN_VERSION);
}

/* A domain without privileges: it reaches Xen, which refuses. */
static void test_no_control_domain(void **state)
{
	struct xen_caps caps = {0};
	struct error e = ERROR_INIT;

	assert_int_equal(sscanf(ARMVM_XEN_VERSION, "%d.%d",
				&xen.version.xen_version_major,
				&xen.version.xen_version_minor),
			 2);
	xen.fail_in = 4; /* after ctx_alloc, xs_open and version */
	assert_int_equal(ask(&caps, &e), -EIO);
	assert_string_equal(e.message,
			    "this is no control domain: Xen cannot be "
			    "controlled from this domain: physinfo does not "
			    "work today");
	json_release(xen_caps_fields, &caps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_what_xen_says_of_itself, setup),
		cmocka_unit_test_setup(test_no_control_domain, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
