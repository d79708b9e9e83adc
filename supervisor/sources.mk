SRCS += supervisor/agent.c supervisor/agent_info.c supervisor/handle_agent.c
SRCS += supervisor/handle_save.c supervisor/null_nvram.c supervisor/null_save.c
SRCS += supervisor/backends.c supervisor/backends_kvm.c supervisor/configure.c supervisor/control.c \
	supervisor/devices.c supervisor/handle_devices.c supervisor/handle_stats.c \
	supervisor/handle_power.c supervisor/handlers.c \
	supervisor/null_backend.c supervisor/null_devices.c supervisor/nvram.c \
	supervisor/probe.c supervisor/sandbox.c supervisor/seccomp.c \
	supervisor/signals.c supervisor/supervisor.c
TESTS += tests/unit/test_agent.c
TESTS += tests/unit/test_null_backend.c tests/unit/test_sandbox.c \
	tests/unit/test_supervisor_nvram.c
SRCS += supervisor/handle_filesystem.c supervisor/share.c
SRCS += supervisor/console_log.c supervisor/handle_console.c
TESTS += tests/unit/test_console_log.c
