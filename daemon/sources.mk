SRCS += daemon/host_probe.c daemon/link_hold.c daemon/link_start.c daemon/manager.c \
	daemon/resource.c daemon/resource_boot.c daemon/rpc.c \
	daemon/rpc_guest.c daemon/device_op.c daemon/rpc_device.c \
	daemon/rpc_event.c daemon/rpc_host.c daemon/rpc_var.c daemon/rpc_vm.c \
	daemon/supervisor_link.c \
	daemon/interface.c daemon/nic_host.c daemon/nic_mac.c daemon/passt.c daemon/tap_stats.c daemon/vm.c daemon/vm_device_config.c \
	daemon/vm_devices.c daemon/vm_nic.c daemon/vm_nvram.c daemon/rpc_console.c \
	daemon/vm_live.c daemon/vm_resize.c daemon/vm_console.c daemon/vm_log.c \
	daemon/vm_run.c daemon/vm_start.c daemon/vm_wait.c
SRCS += daemon/job.c daemon/job_event.c daemon/job_key.c daemon/job_resume.c daemon/rpc_job.c
SRCS += daemon/rpc_define.c daemon/rpc_list.c daemon/tidy.c daemon/turn.c \
	daemon/vm_autostart.c daemon/vm_files.c daemon/vm_json.c \
	daemon/vm_policy.c
SRCS += daemon/access.c daemon/conf.c daemon/listen.c daemon/metrics.c daemon/metrics_vm.c daemon/rpc_stats.c \
	daemon/vm_stats.c \
	daemon/scope.c daemon/service.c
TESTS += tests/unit/test_conf.c tests/unit/test_interface.c
SRCS += daemon/job_steer.c daemon/rpc_snapshot.c daemon/save_file.c \
	daemon/snapshot_file.c daemon/snapshot_lead.c daemon/snapshot_vars.c \
	daemon/vm_restore.c daemon/vm_save.c
SRCS += daemon/dbus.c daemon/dbus_api.c daemon/dbus_auth.c \
	daemon/dbus_objects.c daemon/dbus_polkit.c daemon/dbus_read.c \
	daemon/dbus_signal.c \
	daemon/dbus_table.c daemon/dbus_value.c daemon/machine.c
TESTS += tests/unit/test_dbus_table.c tests/unit/test_dbus_value.c
SRCS += daemon/vm_vsock.c
TESTS += tests/unit/test_snapshot_lead.c
SRCS += daemon/vm_fs.c daemon/scope_join.c daemon/scope_left.c daemon/vm_processes.c
