/*
 * `armvm-supervisor --probe`: what this host can do for a guest, for the
 * daemon, which knows no hypervisor itself. It hands over /dev/kvm as
 * descriptor WIRE_CONTROL_FD and reads one line of JSON (host_caps_fields)
 * from standard output.
 */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

/* The exit status: 0, or an error's, with its sentence on standard error. */
int probe_run(int kvm_fd);

#endif
