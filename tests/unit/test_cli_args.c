#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

/* Split at blanks; good enough for these words. */
static int parse(const char *line, struct cli_args *args, struct error *e)
{
	static char copy[512];
	static char *argv[64];
	int argc = 0;

	snprintf(copy, sizeof(copy), "armvmctl %s", line);
	for (char *rest = copy, *word; (word = strsep(&rest, " "));)
		if (*word)
			argv[argc++] = word;
	*e = ERROR_INIT;
	return cli_args_parse(argc, argv, args, e);
}

static void test_command_options_and_operands(void **state)
{
	struct cli_args args;
	struct error e;

	assert_int_equal(parse("--socket /s create web --disk a --disk=b "
			       "--memory 2G -o json",
			       &args, &e),
			 0);
	assert_string_equal(args.command->name, "create");
	assert_int_equal(args.n_operands, 1);
	assert_string_equal(args.operands[0], "web");
	assert_string_equal(cli_option(&args, "socket"), "/s");
	assert_string_equal(cli_option(&args, "disk"), "a");
	assert_string_equal(cli_option(&args, "memory"), "2G");
	assert_string_equal(cli_option(&args, "output"), "json");
	assert_null(cli_option(&args, "vcpus"));
}

static void test_two_word_commands(void **state)
{
	struct cli_args args;
	struct error e;

	assert_int_equal(parse("var list web", &args, &e), 0);
	assert_string_equal(args.command->name, "var list");
	assert_string_equal(args.operands[0], "web");
	assert_int_equal(parse("image check -- --odd", &args, &e), 0);
	assert_string_equal(args.operands[0], "--odd");
}

static void test_mistakes_are_named(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"creat web", "did you mean \"create\"?"},
		{"frobnicate",
		 "no command \"frobnicate\" (see: armvmctl help)"},
		{"var", "armvmctl var list"},
		{"var lst web", "armvmctl var list"},
		{"list --outptu json", "did you mean \"--output\"?"},
		{"create x --meory=1", "did you mean \"--memory\"?"},
		{"list --frobnicate",
		 "unknown option \"--frobnicate\" of list"},
		{"--frobnicate list", "(see: armvmctl --help)"},
		{"list -x", "unknown option \"-x\""},
		{"start", "start needs NAME: armvmctl start NAME"},
		{"start a b", "\"b\" is one word too many"},
		{"list a", "\"a\" is one word too many: armvmctl list"},
		{"create x --memory", "--memory needs a value: --memory SIZE"},
		{"start x --console=1", "--console takes no value"},
		{"create x --memory 1 --memory 2", "--memory is given twice"},
		{"list -o xml", "table, json or jsonl, not \"xml\""},
		{"create x --hypervisor bhyve",
		 "auto, kvm, xen or null, not \"bhyve\""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cli_args args;
		struct error e;

		assert_int_equal(parse(rows[i].line, &args, &e), -EINVAL);
		if (!strstr(e.message, rows[i].says))
			fail_msg("%s: %s", rows[i].line, e.message);
	}
}

static void test_help_needs_no_operands(void **state)
{
	struct cli_args args;
	struct error e;

	assert_int_equal(parse("start --help", &args, &e), 0);
	assert_non_null(cli_option(&args, "help"));
	assert_int_equal(parse("-h", &args, &e), 0);
	assert_null(args.command);
}

static void test_more_options_than_fit(void **state)
{
	struct cli_args args;
	struct error e;
	char line[512] = "create x";

	for (int i = 0; i < 30; i++)
		strcat(line, " --disk a");
	assert_int_equal(parse(line, &args, &e), 0);
	char *argv[200] = {(char *)"armvmctl", (char *)"create"};

	for (int i = 2; i < 200; i++)
		argv[i] = (char *)"--disk=a";
	assert_int_equal(cli_args_parse(200, argv, &args, &e), -EINVAL);
}

static json_object *define(const char *line)
{
	struct cli_args args;
	struct error e;
	json_object *config = NULL;

	assert_int_equal(parse(line, &args, &e), 0);
	if (cli_definition(&args, &config, &e) < 0)
		fail_msg("%s: %s", line, e.message);
	return config;
}

static void expect_definition(const char *line, const char *json)
{
	_cleanup_json_ json_object *have = define(line), *want = NULL;
	struct error e = ERROR_INIT;

	assert_int_equal(json_parse(json, strlen(json), &want, &e), 0);
	if (!json_object_equal(want, have))
		fail_msg("%s\n got %s\nwant %s", line, json_text(have), json);
}

static void test_definitions(void **state)
{
	assert_return_code(chdir("/usr/lib"), errno);
	expect_definition("create web", "{\"name\":\"web\"}");
	expect_definition("create --vsock web",
			  "{\"name\":\"web\",\"vsock\":{\"cid\":\"auto\"}}");
	expect_definition(
		"create w --fs home=x,ro --fs s,socket=/s,queues=2",
		"{\"name\":\"w\",\"filesystems\":[{\"tag\":\"home\",\"path\":"
		"\"/usr/lib/x\",\"readonly\":true},{\"tag\":\"s\",\"socket\":"
		"\"/s\",\"queues\":2}]}");
	expect_definition(
		"create w --bus rng=mmio --bus vsock=pcie --fs s=/s,bus=mmio",
		"{\"name\":\"w\",\"buses\":{\"rng\":\"mmio\",\"vsock\":"
		"\"pcie\"},\"filesystems\":[{\"tag\":\"s\",\"path\":\"/s\","
		"\"bus\":\"mmio\"}]}");
	expect_definition("create web --vsock=5",
			  "{\"name\":\"web\",\"vsock\":{\"cid\":5}}");
	expect_definition(
		"create web --disk a.raw --memory 1.5G --vcpus 2 --nic "
		"bridge=br0,mac=52:54:00:00:00:01 --firmware ./fw "
		"--hypervisor null",
		"{\"name\":\"web\",\"disks\":[{\"path\":\"/usr/lib/a.raw\"}],"
		"\"memory\":1610612736,\"vcpus\":2,\"nics\":[{\"bridge\":"
		"\"br0\",\"mac\":\"52:54:00:00:00:01\"}],\"firmware\":"
		"\"/usr/lib/fw\",\"hypervisor\":\"null\"}");
	expect_definition(
		"create web --disk /a,,b,readonly,serial=s=1 --disk ../x,id=q",
		"{\"name\":\"web\",\"disks\":[{\"path\":\"/a,b\",\"readonly\":"
		"true,\"serial\":\"s=1\"},{\"path\":\"/usr/lib/../x\",\"id\":"
		"\"q\"}]}");
	expect_definition(
		"create web --nic tap=t,queues=4,mtu=9000,link=down,vhost=off,"
		"on_error=pause "
		"--nic user,forward=80,forward=udp:127.0.0.1:53:5353,"
		"forward=[::1]:22:2222",
		"{\"name\":\"web\",\"nics\":[{\"tap\":\"t\",\"queues\":4,"
		"\"mtu\":9000,\"link\":\"down\",\"vhost\":\"off\",\"on_error\":"
		"\"pause\"},{\"user\":"
		"true,\"forward\":[{\"host_port\":80},{\"protocol\":\"udp\","
		"\"address\":\"127.0.0.1\",\"host_port\":53,\"guest_port\":"
		"5353},{\"address\":\"::1\",\"host_port\":22,\"guest_port\":"
		"2222}]}]}");
}

static void test_bad_definitions(void **state)
{
	static const struct {
		const char *line, *says;
	} rows[] = {
		{"create", "create needs a name"},
		{"create x --disk ,readonly", "names no file"},
		{"create x --disk a,serial=",
		 "--disk: \"serial=\" is not one of: serial=..., id=..., "
		 "bus=..., queues=..., on_error=..., readonly"},
		{"create x --disk a,queues=0", "--disk queues="},
		{"create x --disk a,", "--disk: \"\" is not one of"},
		{"create x --disk a,readonly=1", "\"readonly=1\""},
		{"create x --memory 2Q", "--memory"},
		{"create x --vcpus 0", "--vcpus"},
		{"create x --vcpus two", "--vcpus"},
		{"create x --vsock=0", "--vsock"},
		{"create x --fs home", "--fs \"home\" names no folder"},
		{"create x --fs home=/h,rw", "\"rw\" is not one of"},
		{"create x --fs home=/h,queues=x", "--fs queues="},
		{"create x --bus disk=mmio",
		 "--bus: \"disk=mmio\" is not one of: rng=..., console=..., "
		 "balloon=..., vsock=..."},
		{"create x --nic br0",
		 "--nic: \"br0\" is not one of: tap=..., bridge=..., user, "
		 "forward=..., mac=..."},
		{"create x --nic user,queues=x", "--nic queues="},
		{"create x --nic user,forward=udp", "[:GUEST-PORT]: --nic "},
		{"create x --nic user,forward=1:65536", "\"65536\""},
		{"create x --nic mac=52:54:00:00:00:01",
		 "is connected to nothing"},
		{"create x --nic tap=t,mac=1", "--nic mac="},
		{"create x --from /nonexistent", "/nonexistent cannot be "},
		{"create x --from /usr", "/usr cannot be read"},
		{"create x --from /dev/null", "/dev/null"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct cli_args args;
		json_object *config = NULL;
		struct error e;

		assert_int_equal(parse(rows[i].line, &args, &e), 0);
		assert_true(cli_definition(&args, &config, &e) < 0);
		if (!strstr(e.message, rows[i].says))
			fail_msg("%s: %s", rows[i].line, e.message);
	}
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_definition_from_a_file(void **state)
{
	char dir[] = "/tmp/armvm-cli.XXXXXX";

	assert_non_null(mkdtemp(dir));
	assert_return_code(chdir("/usr"), errno);
	assert_return_code(chdir(dir), errno);
	write_file("d.json", "{\"name\":\"a\",\"uuid\":\"u\",\"vcpus\":1,"
			     "\"disks\":[{\"path\":\"/p\"}],\"firmware\":7}");
	expect_definition("create --from d.json",
			  "{\"name\":\"a\",\"uuid\":\"u\",\"vcpus\":1,"
			  "\"disks\":[{\"path\":\"/p\"}],\"firmware\":7}");
	expect_definition("create b --from d.json --vcpus 4 --disk /q",
			  "{\"name\":\"b\",\"vcpus\":4,\"disks\":[{\"path\":"
			  "\"/p\"},{\"path\":\"/q\"}],\"firmware\":7}");
	unlink("d.json");
	rmdir(dir);
}

/* The help, the manual and the completion speak of all there is. */
static char *read_text(const char *path)
{
	char *text = calloc(1, 1 << 18);
	FILE *f = fopen(path, "re");

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_true(fread(text, 1, (1 << 18) - 1, f) > 0);
	fclose(f);
	return text;
}

static char *root;

static void test_manual_is_complete(void **state)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	char want[80];

	assert_true(asprintf(&path, "%s/cli/armvmctl.1", root) > 0);
	text = read_text(path);
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_command *c = cli_commands[i];

		snprintf(want, sizeof(want), "\n.B %s", c->name);
		if (!strstr(text, want))
			fail_msg("armvmctl.1 lacks the command %s", c->name);
		for (const struct cli_option *o = c->options; o && o->name;
		     o++) {
			snprintf(want, sizeof(want), "\\-\\-%s", o->name);
			if (!strstr(text, want))
				fail_msg("armvmctl.1 lacks %s", want);
		}
	}
}

static void test_other_name(void **state)
{
	char define[] = "define", defin[] = "defin", web[] = "web";
	char *words[] = {define, web}, *close[] = {defin, web};
	struct error e = {0};
	const struct cli_command *c;
	size_t n;

	assert_return_code(cli_command_find(words, 2, &c, &n, &e), 0);
	assert_string_equal(c->name, "create");
	assert_int_equal(n, 1);
	assert_int_equal(cli_command_find(close, 2, &c, &n, &e), -EINVAL);
}

static void test_help_of_every_command(void **state)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_command *c = cli_commands[i];
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		cli_help_command(f, c);
		fclose(f);
		assert_non_null(strstr(text, "\nExamples:\n  "));
		assert_non_null(c->run);
		assert_true(c->max_operands <= CLI_OPERANDS_MAX);
		assert_true(c->summary[strlen(c->summary) - 1] != '.');
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_options_and_operands),
		cmocka_unit_test(test_two_word_commands),
		cmocka_unit_test(test_mistakes_are_named),
		cmocka_unit_test(test_help_needs_no_operands),
		cmocka_unit_test(test_more_options_than_fit),
		cmocka_unit_test(test_definitions),
		cmocka_unit_test(test_bad_definitions),
		cmocka_unit_test(test_definition_from_a_file),
		cmocka_unit_test(test_manual_is_complete),
		cmocka_unit_test(test_help_of_every_command),
		cmocka_unit_test(test_other_name),
	};
	int r;

	root = getcwd(NULL, 0);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	free(root);
	return r;
}
