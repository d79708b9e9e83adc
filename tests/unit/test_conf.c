#include <setjmp.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/conf.h"

static int parse(const char *text, struct conf *c, struct error *e)
{
	*c = (struct conf){0};
	*e = ERROR_INIT;
	return conf_parse("conf", text, strlen(text), c, e);
}

static void good(void **state)
{
	struct error e;
	struct conf c;

	assert_int_equal(parse("", &c, &e), 0);
	conf_done(&c);
	assert_int_equal(parse("dbus auto", &c, &e), 0);
	assert_false(c.dbus_off);
	conf_done(&c);
	assert_int_equal(parse("dbus off", &c, &e), 0);
	assert_true(c.dbus_off);
	conf_done(&c);
	assert_int_equal(parse("# all of it\n\n"
			       "  http-listen\t[::1]:8443   # here\n"
			       "tls-cert \"/a b/c#d\"#\n"
			       "tls-key /k\n"
			       "client \"CN=a \\\"b\\\\,O=c\" operator\n"
			       "client CN=v viewer team=a \"env=b c\" x=\n"
			       "client CN=r admin",
			       &c, &e),
			 0);
	assert_string_equal(c.http_listen, "[::1]:8443");
	assert_string_equal(c.tls_cert, "/a b/c#d");
	assert_null(c.tls_client_ca);
	assert_int_equal(c.n_clients, 3);
	assert_string_equal(c.clients[0].subject, "CN=a \"b\\,O=c");
	assert_int_equal(c.clients[0].role, API_ROLE_OPERATOR);
	assert_int_equal(c.clients[1].role, API_ROLE_VIEWER);
	assert_int_equal(c.clients[2].role, API_ROLE_ADMIN);
	assert_null(c.clients[0].labels);
	assert_string_equal(json_text(c.clients[1].labels),
			    "{\"team\":\"a\",\"env\":\"b c\",\"x\":\"\"}");
	conf_done(&c);
}

static void bad(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"\n\nhttp-lisen x", "conf:3: no directive named \"http-lisen\""
				     "; did you mean \"http-listen\"?"},
		{"http-listen", "conf:1: exactly one value"},
		{"http-listen a b", "conf:1: exactly one value"},
		{"http-listen a\nhttp-listen b", "conf:2: given twice"},
		{"tls-key k", "conf:1: not an absolute path: \"k\""},
		{"dbus", "conf:1: expected: dbus auto, or: dbus off"},
		{"dbus yes", "conf:1: expected: dbus auto, or: dbus off"},
		{"dbus auto\ndbus off", "conf:2: given twice"},
		{"client CN=a", "conf:1: expected: client"},
		{"console-log 1KiB", "console-log is a size from 8 KiB"},
		{"console-log lots", "or no; not \"lots\""},
		{"console-log 2TiB", "to 1 GiB"},
		{"console-log", "conf:1: exactly one value"},
		{"console-log no\nconsole-log 1M", "conf:2: given twice"},
		{"client CN=a root", "conf:1: a role is viewer, operator or "
				     "admin, not \"root\""},
		{"client CN=a none", "not \"none\""},
		{"client CN=a viewer\nclient CN=a admin",
		 "conf:2: given twice"},
		{"client \"CN=a viewer", "conf:1: a \" has no end"},
		{"client \"CN=a\"viewer", "goes on after its \""},
		{"client CN=a viewer team",
		 "a label is KEY=VALUE, not \"team\""},
		{"client CN=a viewer =x", "a label is KEY=VALUE"},
		{"client CN=a viewer a=b a=c", "given twice: label \"a\""},
		{"client CN=a admin a=b", "labels limit viewers and operators"},
		{"client CN=a\"b\" viewer", "goes on after its \""},
		{"a b c d e f g h i j k l m n o p q r s t",
		 "conf:1: too many words"},
	};
	struct error e;
	struct conf c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].text, &c, &e), -EINVAL);
		if (!strstr(e.message, cases[i].want))
			fail_msg("%s: not %s", e.message, cases[i].want);
		assert_int_equal(c.n_clients, 0);
	}
	assert_int_equal(conf_parse("conf", "tls-key\0/k", 10, &c, &e),
			 -EINVAL);
}

static void console_log(void **state)
{
	struct error e = ERROR_INIT;
	struct conf c = {0};

	conf_defaults(&c);
	assert_int_equal(c.console_log_bytes, CONF_CONSOLE_LOG_DEFAULT);
	assert_int_equal(parse("console-log no", &c, &e), 0);
	conf_defaults(&c);
	assert_int_equal(c.console_log_bytes, 0);
	assert_int_equal(parse("console-log 64KiB", &c, &e), 0);
	conf_defaults(&c);
	assert_int_equal(c.console_log_bytes, KIB(64));
}

static void files(void **state)
{
	char path[] = "/tmp/armvm-conf.XXXXXX";
	int fd = mkstemp(path);
	struct error e = ERROR_INIT;
	struct conf c = {0};

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "tls-key /k\n", 11), 11);
	assert_int_equal(conf_read(path, &c, &e), 0);
	assert_string_equal(c.tls_key, "/k");
	conf_done(&c);
	assert_int_equal(fchmod(fd, 0620), 0);
	assert_int_equal(conf_read(path, &c, &e), -EACCES);
	assert_non_null(strstr(e.message, "mode 620"));
	close(fd);
	unlink(path);
	assert_int_equal(conf_read(path, &c, &e), -ENOENT);
	assert_int_equal(conf_read("/", &c, &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(console_log),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
