#include "api/connection.h"

int call_take_options(json_object *params, struct api_options *ret,
		      bool *ret_given, struct error *e)
{
	_cleanup_json_ json_object *options = json_object_new_object();
	json_object *value;

	for (const struct json_field *f = api_option_fields; f->name; f++) {
		if (!json_object_is_type(params, json_type_object) ||
		    !json_object_object_get_ex(params, f->name, &value))
			continue;
		*ret_given = true;
		json_object_object_add(options, f->name,
				       json_object_get(value));
		json_object_object_del(params, f->name);
	}
	return *ret_given ? json_decode(options, api_option_fields, ret, "", e)
			  : 0;
}
