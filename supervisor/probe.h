/*
 * `armvm-supervisor --probe`: what this host's hypervisor can do for a guest,
 * for the daemon, which knows none itself. It hands over the hypervisor's
 * device, if it has one, as descriptor WIRE_CONTROL_FD and reads one line of
 * JSON from standard output: host_caps_fields or xen_caps_fields, or
 * {"error": a sentence}.
 */
#ifndef SUPERVISOR_PROBE_H
#define SUPERVISOR_PROBE_H

/* The exit status: 0, or an error's. */
int probe_run(int fd);

#endif
