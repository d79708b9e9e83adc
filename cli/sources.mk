SRCS += cli/args.c cli/ask_guest.c cli/balloon.c cli/call.c cli/clone.c cli/commands.c \
	cli/completion.c cli/console.c cli/create.c cli/definition.c \
	cli/delete.c cli/device.c cli/device_add.c cli/device_list.c \
	cli/definition_nic.c cli/nic_set.c cli/device_remove.c cli/disk_resize.c cli/edit.c cli/events.c cli/freeze.c cli/help.c \
	cli/host_info.c cli/image_check.c cli/list.c cli/output.c cli/job.c cli/pause.c cli/policy.c cli/rename.c \
	cli/reboot.c cli/reset.c cli/resume.c cli/set.c cli/show.c cli/shutdown.c cli/snapshot.c cli/start.c cli/stats.c \
	cli/stats_print.c cli/stats_since.c \
	cli/stop.c cli/table.c cli/terminal.c cli/var_kept.c cli/var_list.c cli/wait.c
TESTS += tests/unit/test_cli_args.c tests/unit/test_cli_stats.c \
	tests/unit/test_table.c
SRCS += cli/console_session.c cli/log.c cli/plain_text.c
SRCS += cli/complete.c cli/names.c
SRCS += cli/top.c cli/top_data.c cli/top_draw.c
TESTS += tests/unit/test_top.c
TESTS += tests/unit/test_plain_text.c
