/*
 * Tables of parameters that methods.c takes from other files of this folder.
 */
#ifndef API_PARAMS_H
#define API_PARAMS_H

#include "api/api.h"
#include "lib/model/vm_config.h"

#define VM_NAME_FIELD(type)                                                    \
	{                                                                      \
		.name = "name", .kind = JSON_STRING,                           \
		.offset = offsetof(struct type, name), .flags = JSON_REQUIRED, \
		.min = 1, .max = 255, .doc = "The VM's name or uuid.",         \
	}

/* api/params_device.c; each `kind` of methods.c names its structure. */
extern const struct json_field disk_add_params[], nic_add_params[];
extern const struct json_field device_params[];
extern const struct json_field device_remove_params[], nic_set_params[];
extern const struct json_field job_params[], job_wait_params[];
extern const struct json_field job_list_params[];
#define api_job_wait_params api_job_params
extern const struct json_field snapshot_save_params[];
extern const struct json_field snapshot_restore_params[];
extern const struct json_field snapshot_show_params[];
extern const struct json_field disk_resize_params[];
#define api_disk_add_params api_device_add_params
#define api_nic_add_params  api_device_add_params

/* api/params_console.c */
extern const struct json_field console_params[], console_take_params[];
extern const struct json_field log_params[];
/* api/params_job.c */
extern const struct json_field job_params[], job_wait_params[];
extern const struct json_field job_list_params[];
#define api_job_wait_params api_job_params

/* api/params_stats.c */
extern const struct json_field stats_list_params[];

#endif
