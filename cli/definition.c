/*
 * The options of `create` as a definition. Only what the daemon cannot know is
 * done here: relative paths, and the words of options; what a definition may
 * hold is judged by the daemon.
 */
#include "cli/cli.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/parse.h"

#define FROM_MAX MIB(1)

/*
 * Symbolic links stay: /dev/disk/by-id/... must mean the same disk tomorrow.
 * Returns an owned string, NULL without memory or working directory.
 */
static char *absolute(const char *path)
{
	_cleanup_free_ char *cwd = NULL;
	char *result = NULL;

	if (path[0] == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	while (strncmp(path, "./", 2) == 0)
		path += 2;
	if (!cwd || asprintf(&result, "%s/%s", cwd, path) < 0)
		return NULL;
	return result;
}

int cli_set_path(json_object *object, const char *key, const char *path,
		 struct error *e)
{
	_cleanup_free_ char *full = absolute(path);

	if (!full)
		return error_set(e, -errno,
				 "\"%s\" cannot be made absolute: %s", path,
				 strerror(errno));
	json_object_object_add(object, key, json_object_new_string(full));
	return 0;
}

/* The next part of "a,b=c": up to a lone comma; ",," stands for one. Writes
 * over the text; *rest is NULL after the last. */
char *cli_next_part(char **rest)
{
	char *part = *rest, *to = part, *from = part;

	for (; *from; *to++ = *from++) {
		if (from[0] != ',')
			continue;
		if (from[1] != ',')
			break;
		from++;
	}
	*rest = *from ? from + 1 : NULL;
	*to = 0;
	return part;
}

/* `accepted` is NULL-terminated; a name ending in '=' wants a value. */
int cli_set_part(json_object *object, const char *option, const char *part,
		 const char *const *accepted, struct error *e)
{
	char list[240] = "";

	for (const char *const *a = accepted; *a; a++) {
		size_t n = strlen(*a);
		bool valued = (*a)[n - 1] == '=';

		if (!valued && streq(part, *a)) {
			json_object_object_add(object, *a,
					       json_object_new_boolean(true));
			return 0;
		}
		if (valued && strncmp(part, *a, n) == 0 && part[n]) {
			_cleanup_free_ char *key = strndup(*a, n - 1);

			json_object_object_add(
				object, key, json_object_new_string(part + n));
			return 0;
		}
		snprintf(list + strlen(list), sizeof(list) - strlen(list),
			 "%s%s%s", a == accepted ? "" : ", ", *a,
			 valued ? "..." : "");
	}
	return error_set(e, -EINVAL, "--%s: \"%s\" is not one of: %s", option,
			 part, list);
}

int cli_part_to_number(json_object *object, const char *key, const char *what,
		       struct error *e)
{
	uint64_t number;
	int r = parse_u64(field_text(object, key), what, 1, UINT32_MAX, &number,
			  e);

	if (r == 0)
		json_object_object_add(object, key,
				       json_object_new_uint64(number));
	return r;
}

static int parse_disk(const char *value, json_object *disk, struct error *e)
{
	static const char *const accepted[] = {
		"serial=",   "id=",	 "bus=", "queues=",
		"on_error=", "readonly", NULL};
	_cleanup_free_ char *copy = strdup(value);
	char *rest = copy, *path = copy ? cli_next_part(&rest) : NULL;
	int r;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	if (!*path)
		return error_set(e, -EINVAL,
				 "--disk \"%s\" names no file: --disk "
				 "PATH[,serial=TEXT][,id=TEXT][,bus=mmio]"
				 "[,on_error=POLICY][,readonly]",
				 value);
	r = cli_set_path(disk, "path", path, e);
	while (r == 0 && rest)
		r = cli_set_part(disk, "disk", cli_next_part(&rest), accepted,
				 e);
	if (r == 0 && field_get(disk, "queues"))
		r = cli_part_to_number(disk, "queues", "--disk queues=", e);
	return r;
}

static int parse_fs(const char *value, json_object *fs, struct error *e)
{
	static const char *const accepted[] = {
		"queues=", "socket=", "bus=", "ro", NULL};
	_cleanup_free_ char *copy = strdup(value);
	char *rest = copy, *tag = copy ? cli_next_part(&rest) : NULL;
	char *path = tag ? strchr(tag, '=') : NULL;
	int r = 0;

	if (!copy)
		return error_set(e, -ENOMEM, "out of memory");
	if (path) {
		*path++ = '\0';
		r = cli_set_path(fs, "path", path, e);
	}
	json_object_object_add(fs, "tag", json_object_new_string(tag));
	while (r == 0 && rest)
		r = cli_set_part(fs, "fs", cli_next_part(&rest), accepted, e);
	if (r == 0 && field_get(fs, "queues"))
		r = cli_part_to_number(fs, "queues", "--fs queues=", e);
	if (r == 0 && field_get(fs, "socket"))
		r = cli_set_path(fs, "socket", field_text(fs, "socket"), e);
	if (r == 0 && !path && !field_get(fs, "socket"))
		return error_set(e, -EINVAL,
				 "--fs \"%s\" names no folder: --fs "
				 "TAG=PATH[,ro][,bus=mmio][,queues=N] or --fs "
				 "TAG,socket=PATH",
				 value);
	if (field_get(fs, "ro")) {
		json_object_object_del(fs, "ro");
		json_object_object_add(fs, "readonly",
				       json_object_new_boolean(true));
	}
	return r;
}

/* Append what `parse` makes of a value to the list under `key`. */
static int add_to_list(json_object *config, const char *key, const char *value,
		       int (*parse)(const char *, json_object *,
				    struct error *),
		       struct error *e)
{
	json_object *list = field_get(config, key);
	json_object *item = json_object_new_object();

	if (!json_object_is_type(list, json_type_array)) {
		list = json_object_new_array();
		json_object_object_add(config, key, list);
	}
	json_object_array_add(list, item);
	return parse(value, item, e);
}

static int set_number(json_object *config, const char *key, uint64_t value)
{
	json_object_object_add(config, key, json_object_new_uint64(value));
	return 0;
}

/* NAME=VALUE, one of those accepted, into the object under `key`. */
static int set_member(json_object *config, const char *key, const char *option,
		      const char *value, const char *const *accepted,
		      struct error *e)
{
	json_object *object = field_get(config, key);

	if (!json_object_is_type(object, json_type_object)) {
		object = json_object_new_object();
		json_object_object_add(config, key, object);
	}
	return cli_set_part(object, option, value, accepted, e);
}

static int set_feature(json_object *config, const char *value, struct error *e)
{
	static const char *const accepted[] = {
		"pmu=", "sve=", "pauth=", "mte=", "steal_time=", NULL};

	return set_member(config, "features", "feature", value, accepted, e);
}

static int set_bus(json_object *config, const char *value, struct error *e)
{
	static const char *const accepted[] = {
		"rng=", "console=", "balloon=", "vsock=", NULL};

	return set_member(config, "buses", "bus", value, accepted, e);
}

static int set_vsock(json_object *config, const char *value, struct error *e)
{
	json_object *vsock = json_object_new_object();
	int r = 0;

	json_object_object_add(config, "vsock", vsock);
	json_object_object_add(vsock, "cid", json_object_new_string(value));
	if (!streq(value, "auto"))
		r = cli_part_to_number(vsock, "cid", "--vsock", e);
	return r;
}

static const char *const path_options[] = {"firmware", "kernel", "initrd"};

static bool is_path(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(path_options); i++)
		if (streq(name, path_options[i]))
			return true;
	return false;
}

static int apply_option(json_object *config, const char *name,
			const char *value, struct error *e)
{
	uint64_t number;
	bool done;
	int r = cli_policy_apply(config, name, value, &done, e);

	if (done)
		return r;
	if (streq(name, "disk"))
		return add_to_list(config, "disks", value, parse_disk, e);
	if (streq(name, "nic"))
		return add_to_list(config, "nics", value, cli_parse_nic, e);
	if (is_path(name))
		return cli_set_path(config, name, value, e);
	if (streq(name, "feature"))
		return set_feature(config, value, e);
	if (streq(name, "bus"))
		return set_bus(config, value, e);
	if (streq(name, "fs"))
		return add_to_list(config, "filesystems", value, parse_fs, e);
	if (streq(name, "vsock"))
		return set_vsock(config, value, e);
	if (streq(name, "memory-backing"))
		name = "memory_backing";
	if (streq(name, "host-cpus"))
		name = "host_cpus";
	if (streq(name, "memory")) {
		r = parse_size(value, "--memory", &number, e);
		return r < 0 ? r : set_number(config, name, number);
	}
	if (streq(name, "vcpus")) {
		r = parse_u64(value, "--vcpus", 1, UINT32_MAX, &number, e);
		return r < 0 ? r : set_number(config, name, number);
	}
	if (streq(name, "max-hotplug")) {
		r = parse_u64(value, "--max-hotplug", 0, UINT32_MAX, &number,
			      e);
		return r < 0 ? r : set_number(config, "max_hotplug", number);
	}
	json_object_object_add(config, name, json_object_new_string(value));
	return 0;
}

static int read_all(int fd, const char *path, struct buf *text, struct error *e)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		if (text->size > FROM_MAX)
			return error_set(e, -EINVAL,
					 "%s is no definition: it is larger "
					 "than 1 MiB",
					 path);
		if (buf_append(text, chunk, (size_t)n) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	return n < 0 ? error_set(e, -errno, "%s cannot be read: %s", path,
				 strerror(errno))
		     : 0;
}

/* The field `key` of each object of a list. */
static int list_paths(json_object *list, const char *key, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < field_count(list) && r == 0; i++) {
		json_object *item = json_object_array_get_idx(list, i);

		if (json_object_is_type(field_get(item, key), json_type_string))
			r = cli_set_path(item, key, field_text(item, key), e);
	}
	return r;
}

/* Relative paths of a file mean what they mean on the command line. */
int cli_definition_paths(json_object *config, struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(path_options) && r == 0; i++) {
		const char *name = path_options[i];

		if (json_object_is_type(field_get(config, name),
					json_type_string))
			r = cli_set_path(config, name, field_text(config, name),
					 e);
	}
	if (r == 0)
		r = list_paths(field_get(config, "disks"), "path", e);
	if (r == 0)
		r = list_paths(field_get(config, "filesystems"), "path", e);
	return r;
}

static int read_definition(const char *path, json_object **ret, struct error *e)
{
	bool is_stdin = streq(path, "-");
	_cleanup_close_ int opened = is_stdin
					     ? -1
					     : open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_json_ json_object *config = NULL;
	_cleanup_buf_ struct buf text = {0};
	int r;

	if (is_stdin)
		path = "standard input";
	else if (opened < 0)
		return error_set(e, -errno, "%s cannot be opened: %s", path,
				 strerror(errno));
	r = read_all(is_stdin ? STDIN_FILENO : opened, path, &text, e);
	if (r < 0)
		return r;
	r = json_parse(text.size ? text.data : "", text.size, &config, e);
	if (r < 0)
		return error_prefix(e, r, "%s", path);
	if (!json_object_is_type(config, json_type_object))
		return error_set(e, -EINVAL,
				 "%s is no definition: a JSON object is asked "
				 "for",
				 path);
	r = cli_definition_paths(config, e);
	if (r == 0)
		*ret = TAKE_PTR(config);
	return r;
}

int cli_definition_apply(const struct cli_args *args, json_object *config,
			 struct error *e)
{
	int r = 0;

	for (size_t i = 0; i < args->n_options && r == 0; i++) {
		const char *name = args->options[i].option->name;
		bool global = streq(name, "output") || streq(name, "socket");

		if (!global && !streq(name, "from"))
			r = apply_option(config, name, args->options[i].value,
					 e);
	}
	return r;
}

int cli_definition(const struct cli_args *args, json_object **ret,
		   struct error *e)
{
	_cleanup_json_ json_object *config = NULL;
	const char *from = cli_option(args, "from");
	int r = 0;

	if (from)
		r = read_definition(from, &config, e);
	else if (args->n_operands == 0)
		return error_set(e, -EINVAL,
				 "create needs a name: armvmctl create NAME "
				 "--disk PATH");
	else
		config = json_object_new_object();
	if (r == 0 && args->n_operands > 0) {
		json_object_object_add(
			config, "name",
			json_object_new_string(args->operands[0]));
		/* A copy under a new name is another VM. */
		json_object_object_del(config, "uuid");
	}
	if (r == 0)
		r = cli_definition_apply(args, config, e);
	if (r == 0)
		*ret = TAKE_PTR(config);
	return r;
}
