#include "lib/model/vm_config.h"

/* Of the daemon's alone, at any time. */
bool vm_config_field_is_live(const char *field)
{
	static const char *const live[] = {
		"description",	      "labels",
		"autostart",	      "autostart_order",
		"autostart_delay_ms", "on_crash",
		"on_reboot",	      "cpu_weight"};

	for (size_t i = 0; i < ARRAY_SIZE(live); i++)
		if (streq(field, live[i]))
			return true;
	return false;
}

const char *vm_config_live_difference(const struct vm_config *a,
				      const struct vm_config *b)
{
	_cleanup_json_ json_object *ja = vm_config_to_json(a);
	_cleanup_json_ json_object *jb = vm_config_to_json(b);

	for (const struct json_field *f = vm_config_fields; f->name; f++) {
		json_object *va = NULL, *vb = NULL;

		json_object_object_get_ex(ja, f->name, &va);
		json_object_object_get_ex(jb, f->name, &vb);
		if (!vm_config_field_is_live(f->name) &&
		    !json_object_equal(va, vb))
			return f->name;
	}
	return NULL;
}
