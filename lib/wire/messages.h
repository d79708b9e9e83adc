/*
 * The catalogue of messages between daemon and supervisor. D: daemon to
 * supervisor, a request that is answered by one "reply" with the same id;
 * S: supervisor to daemon, no reply except where noted.
 *
 * Version: `hello` carries WIRE_VERSION; a daemon that meets another version
 * leaves the supervisor alone and reports it.
 *
 *  D hello        {version}                 → {version, pid, configured,
 *                                              hypervisor, state, reason,
 *                                              nvram_spilled_bytes}
 *                                              + the nvram descriptor, once
 *                                              configured (a daemon that
 *                                              restarted has none)
 *  D configure    {config, nvram_size, paused, adopt, live?[{kind, config}],
 *                 console_log_bytes, roles[]} + fds; paused: is how it shall
 *                 be started; adopt: the machine runs already, and its
 *                 supervisor has died: there is no "start", "state" tells how
 *                 it is, and its devices are those of config and live that it
 *                 has, of which no descriptors come; roles[i] says what
 *                 fd i is: "kvm", "firmware", "kernel", "initrd", "nvram",
 *                 "spill", "console-log:0" and "console-log:1" (each of at most
 *                 console_log_bytes; lib/wire/console_log.h), "vsock" (with its
 *                 context id set), "snapshot" (the machine is the one in it),
 *                 "fs:TAG", "disk:ID", "nic:ID" (of more queues "nic:ID/1",
 *                 ...), "vhost:ID" likewise. May be repeated to hand over more
 *                 than FD_PASS_MAX descriptors ("more": true on all but the
 *                 last).
 *  D start        {}                        → {} once the guest is started
 *  D shutdown     {}                        → {button, agent}: pressed, and
 *                                              who in the guest was listening
 *  D reboot       {}                        → {agent}: the guest was asked to
 *                                              start over, by its agent, too
 *  D stop         {}                        → {} then the process exits
 *  D reset, pause, resume {}                → {}
 *  D console      {device?: "default", "pl011", "virtio", who?, want?:
 *                 "write", "read", "take-over"} + fd (one end of a stream
 *                 socket pair)             → {device, session, writes, writer}
 *  D console-take {device, session, who}    → {} that session types now
 *  D agent        {command}                → what lib/model/guest_info.h has
 *                                              for "info"; {filesystems} for
 *                                              "freeze" and "thaw"; once the
 *                                              guest has answered
 *  D balloon      {target}                  → {} the guest was asked to make do
 *                                              with that many bytes
 *  D nvram-ack    {seq}                     no reply
 *  D save         {compress, hold} + fd (a blocking stream socket)
 *                                           → {resumed} once the paused
 *                                           machine has been written to it, as
 *                                           lib/snapshot/snapshot.h has it
 *                                           from MACHINE on; meanwhile
 *                                           "saving". Then a guest that ran
 *                                           runs on (resumed: is about to);
 *                                           with hold only after "resume", or
 *                                           when it failed, or the daemon has
 *                                           gone.
 *  D stats        {from?}                   → {stats, next}: what
 *                                              lib/model/vm_stats.h has; next:
 *                                              from where to ask again for more
 *                                              of its lists, 0: that was all
 *  D attach       {kind, config, timeout_ms} + fd of the disk, or those of the
 *                 nic: of each queue, then vhost's of each
 *                                           → {slot} once it is offered; then
 *                                           "device" until "active" or
 *                                           "failed"
 *  D detach       {kind, device, force, timeout_ms}
 *                                           → {} once the guest was asked;
 *                                           then "device" until "released" or
 *                                           "failed"
 *  D resize       {device}                 → {} the guest was told the new size
 *                                              of that disk
 *  D link         {device, up}              → {} a nic's cable is in, or out
 *  D devices      {}                        → {devices: [{kind, id, state,
 *                                              slot, address, driver,
 *                                              config}]}
 *  D filesystem   {tag} + fd (vhost-user)   → {} its server is another one now
 *  S filesystem-lost {tag, detail}          the server ended; told again after
 *                                           each hello until there is another
 *  S device       {kind, id, state, slot, address, driver, detail}
 *                                           a step of an attach or detach;
 *                                           state: a vm_device_state name;
 *                                           detail: why it "failed"
 *  S state        {state, reason}           state: a vm_state name; reason: a
 *                                           sentence ("the guest powered off")
 *                                           After "stopped" and "crashed" the
 *                                           daemon stays connected until the
 *                                           process has ended, or the next
 *                                           one is told again
 *  S event        {kind, detail}            "reset", "panic", "balloon",
 *                                           "watchdog", "console-log",
 *                                           "device-failed", "nic-failed",
 *                                           "io-error"
 *  S console-writer {device, session, who}  who types now; session 0: nobody
 *  S saving       {done, total}             bytes of memory looked at
 *  S nvram        {seq, offset, size}       the bytes stand in the shared nvram
 *                                           memory until acknowledged
 */
#ifndef LIB_WIRE_MESSAGES_H
#define LIB_WIRE_MESSAGES_H

#include "lib/base/fd.h"

#define WIRE_VERSION 1

/* X(NAME, text, direction, most descriptors it may carry) */
#define WIRE_MESSAGE_TABLE(X)                         \
	X(HELLO, "hello", 'D', 0)                     \
	X(CONFIGURE, "configure", 'D', FD_PASS_MAX)   \
	X(START, "start", 'D', 0)                     \
	X(SHUTDOWN, "shutdown", 'D', 0)               \
	X(REBOOT, "reboot", 'D', 0)                   \
	X(STOP, "stop", 'D', 0)                       \
	X(RESET, "reset", 'D', 0)                     \
	X(PAUSE, "pause", 'D', 0)                     \
	X(RESUME, "resume", 'D', 0)                   \
	X(CONSOLE, "console", 'D', 1)                 \
	X(CONSOLE_TAKE, "console-take", 'D', 0)       \
	X(AGENT, "agent", 'D', 0)                     \
	X(BALLOON, "balloon", 'D', 0)                 \
	X(NVRAM_ACK, "nvram-ack", 'D', 0)             \
	X(SAVE, "save", 'D', 1)                       \
	X(STATS, "stats", 'D', 0)                     \
	X(ATTACH, "attach", 'D', FD_PASS_MAX)         \
	X(DETACH, "detach", 'D', 0)                   \
	X(RESIZE, "resize", 'D', 0)                   \
	X(LINK, "link", 'D', 0)                       \
	X(DEVICES, "devices", 'D', 0)                 \
	X(FILESYSTEM, "filesystem", 'D', 1)           \
	X(REPLY, "reply", 'S', 1)                     \
	X(FILESYSTEM_LOST, "filesystem-lost", 'S', 0) \
	X(DEVICE, "device", 'S', 0)                   \
	X(STATE, "state", 'S', 0)                     \
	X(EVENT, "event", 'S', 0)                     \
	X(SAVING, "saving", 'S', 0)                   \
	X(CONSOLE_WRITER, "console-writer", 'S', 0)   \
	X(NVRAM, "nvram", 'S', 0)

enum wire_message {
#define X(name, text, direction, fds) WIRE_##name,
	WIRE_MESSAGE_TABLE(X)
#undef X
		WIRE_MESSAGE_COUNT
};

/* The supervisor's inherited descriptors and arguments:
 *   armvm-supervisor --control-fd 3 --uid N --name VM
 *                    [--log-level LEVEL] [--seccomp kill|log]
 * fd 3 is the listening SEQPACKET socket the daemon bound. */
#define WIRE_CONTROL_FD 3

const char *wire_message_text(enum wire_message m);
/* WIRE_MESSAGE_COUNT when unknown. */
enum wire_message wire_message_by_text(const char *text);
/* Who sends it: 'D' or 'S'. */
char wire_message_direction(enum wire_message m);
/* A channel ends when a message carries more descriptors than this. */
size_t wire_message_fds_max(enum wire_message m);

#endif
