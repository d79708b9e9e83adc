#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "lib/base/fd.h"
#include "vmm-kvm/kvm_coalesced.h"
#include "vmm-kvm/kvm_counters.h"
#include "vmm-kvm/kvm_features.h"
#include "vmm-kvm/kvm_vcpu.h"

#define KICK_SIGNAL SIGRTMIN
/* Ours run no deeper than a device; 8 MiB, the default, may be given a huge
 * page of 2 MiB by the host. */
#define STACK_BYTES KIB(256)

#define REG_PC                                                 \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 KVM_REG_ARM_CORE_REG(regs.pc))
#define REG_X(n)                                               \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
	 (KVM_REG_ARM_CORE_REG(regs.regs[0]) + 2 * (n)))
#define REG_MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)

/* MPIDR_EL1: Aff3 in 39..32, Aff2..Aff0 in 23..0; the rest are flags. */
#define MPIDR_AFFINITY 0xff00ffffffull

struct kvm_vcpu {
	unsigned index;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct kvm_coalesced late;
	struct kvm_counters kvm;
	const struct kvm_vcpu_env *env;
	bool started;
	pthread_t thread;
	/* Written by its thread alone. */
	struct {
		atomic_uint_least64_t total, mmio, system_event, undecoded,
			interrupted, unanswered, late;
	} count;
	uint64_t ended_cpu_ns; /* of its thread, once that has ended */
};

static int vcpu_get(struct kvm_vcpu *c, uint64_t id, uint64_t *ret)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)ret};

	return ioctl(c->fd, KVM_GET_ONE_REG, &reg) ? -errno : 0;
}

int kvm_vcpu_affinity(struct kvm_vcpu *c, uint64_t *ret, struct error *e)
{
	uint64_t mpidr;
	int r = vcpu_get(c, REG_MPIDR_EL1, &mpidr);

	if (r)
		return error_set(e, r, "KVM does not tell vCPU %u's MPIDR: %s",
				 c->index, strerror(-r));
	*ret = mpidr & MPIDR_AFFINITY;
	return 0;
}

static int vcpu_set(struct kvm_vcpu *c, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};

	return ioctl(c->fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

int kvm_vcpu_set_entry(struct kvm_vcpu *c, uint64_t pc, const uint64_t args[4],
		       struct error *e)
{
	int r = vcpu_set(c, REG_PC, pc);

	for (unsigned i = 0; !r && i < 4; i++)
		r = vcpu_set(c, REG_X(i), args[i]);
	return r ? error_set(e, r, "KVM does not set vCPU %u's registers: %s",
			     c->index, strerror(-r))
		 : 0;
}

static int vcpu_open(struct kvm_vcpu *c, struct kvm_vm *vm, struct error *e)
{
	int size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *run;

	c->fd = ioctl(vm->fd, KVM_CREATE_VCPU, c->index);
	if (c->fd < 0)
		return error_set(e, -errno, "KVM cannot make vCPU %u: %s",
				 c->index, strerror(errno));
	if (size < (int)sizeof(*c->run))
		return error_set(e, -EIO, "KVM's vCPU area has %d bytes", size);
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   c->fd, 0);
	if (run == MAP_FAILED)
		return error_set(e, -errno, "cannot map vCPU %u: %s", c->index,
				 strerror(errno));
	c->run = run;
	c->run_size = (size_t)size;
	c->late = kvm_coalesced_of(vm, run, c->run_size);
	kvm_counters_open(&c->kvm, c->fd);
	return kvm_features_vcpu(vm, c->fd, c->index, &c->env->abi,
				 c->env->vls_set ? c->env->vls : NULL, e);
}

int kvm_vcpu_new(struct kvm_vm *vm, unsigned index,
		 const struct kvm_vcpu_env *env, struct kvm_vcpu **ret,
		 struct error *e)
{
	_cleanup_(kvm_vcpu_freep) struct kvm_vcpu *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set(e, -ENOMEM, "out of memory");
	c->index = index;
	c->fd = c->kvm.fd = -1;
	c->env = env;
	r = vcpu_open(c, vm, e);
	if (r)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int kvm_vcpu_finish(struct kvm_vcpu *c, uint32_t pmu_ppi, uint64_t pvtime_gpa,
		    struct error *e)
{
	return kvm_features_vcpu_finish(
		c->fd, c->index, &c->env->abi, pmu_ppi,
		pvtime_gpa + c->index * KVM_FEATURES_PVTIME_SIZE, e);
}

void kvm_vcpu_end(struct kvm_vcpu *c)
{
	if (!c->started)
		return;
	kvm_vcpu_kick(c);
	pthread_join(c->thread, NULL);
	c->started = false;
}

struct kvm_vcpu *kvm_vcpu_free(struct kvm_vcpu *c)
{
	if (!c)
		return NULL;
	kvm_vcpu_end(c);
	if (c->run)
		munmap(c->run, c->run_size);
	kvm_counters_close(&c->kvm);
	fd_close(c->fd);
	free(c);
	return NULL;
}

/* No other thread writes it, so that it need not be one instruction. */
static void count_more(atomic_uint_least64_t *counter, unsigned more)
{
	uint64_t n = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, n + more, memory_order_relaxed);
}

static void count(atomic_uint_least64_t *counter)
{
	count_more(counter, 1);
}

/*
 * The guest and KVM write `run` while we are outside KVM_RUN no more, so it is
 * ours here. mmio.data holds the value's bytes in memory order, little-endian
 * as this host.
 */
static void exit_mmio(struct kvm_vcpu *c)
{
	uint64_t addr = c->run->mmio.phys_addr;
	unsigned size = MIN(c->run->mmio.len, 8u);
	uint64_t value = 0;
	bool answered;

	count(&c->count.mmio);
	if (c->run->mmio.is_write) {
		memcpy(&value, c->run->mmio.data, size);
		answered = bus_write(c->env->bus, addr, size, value);
	} else {
		answered = bus_read(c->env->bus, addr, size, &value);
		memcpy(c->run->mmio.data, &value, size);
	}
	if (!answered)
		count(&c->count.unanswered);
}

static void vcpu_stop(struct kvm_vcpu *c, enum kvm_vcpu_stop why,
		      const char *detail)
{
	run_gate_close(c->env->gate);
	c->env->stopped(c->env->cookie, why, detail);
}

static void vcpu_fatal(struct kvm_vcpu *c, const char *fmt, ...)
	printf_like(2, 3);

static void vcpu_fatal(struct kvm_vcpu *c, const char *fmt, ...)
{
	char what[160], detail[256];
	uint64_t pc = 0;
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	(void)vcpu_get(c, REG_PC, &pc);
	snprintf(detail, sizeof(detail), "vCPU %u at pc %#" PRIx64 ": %s",
		 c->index, pc, what);
	vcpu_stop(c, KVM_VCPU_FATAL, detail);
}

/*
 * An access outside memory by an instruction the CPU does not describe to us
 * (a pair, a post-increment): real hardware without a device there would abort
 * it, so the guest gets that abort.
 */
static void exit_nisv(struct kvm_vcpu *c)
{
	struct kvm_vcpu_events events = {.exception.ext_dabt_pending = 1};

	count(&c->count.undecoded);
	count(&c->count.unanswered);
	if (ioctl(c->fd, KVM_SET_VCPU_EVENTS, &events))
		vcpu_fatal(c,
			   "an access to device memory at %#llx that cannot be "
			   "decoded",
			   (unsigned long long)c->run->arm_nisv.fault_ipa);
}

static void exit_system_event(struct kvm_vcpu *c)
{
	count(&c->count.system_event);
	switch (c->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vcpu_stop(c, KVM_VCPU_POWEROFF, "");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vcpu_stop(c, KVM_VCPU_RESET, "");
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vcpu_stop(c, KVM_VCPU_CRASH, "the guest reported a crash");
		break;
	default:
		vcpu_fatal(c, "unknown system event %u",
			   c->run->system_event.type);
	}
}

static void vcpu_exit(struct kvm_vcpu *c)
{
	struct kvm_run *run = c->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		exit_mmio(c);
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		exit_system_event(c);
		break;
	case KVM_EXIT_ARM_NISV:
		exit_nisv(c);
		break;
	case KVM_EXIT_INTR:
		count(&c->count.interrupted);
		break;
	case KVM_EXIT_FAIL_ENTRY:
		vcpu_fatal(c, "the CPU refused to enter the guest (%#llx)",
			   (unsigned long long)run->fail_entry
				   .hardware_entry_failure_reason);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		vcpu_fatal(c, "KVM internal error %u", run->internal.suberror);
		break;
	default:
		vcpu_fatal(c, "KVM exit %u, which no handler knows",
			   run->exit_reason);
	}
}

static void vcpu_run(struct kvm_vcpu *c)
{
	int r = ioctl(c->fd, KVM_RUN, 0) ? -errno : 0;
	unsigned lost = 0;

	count(&c->count.total);
	count_more(&c->count.late,
		   kvm_coalesced_drain(&c->late, c->env->bus, &lost));
	count_more(&c->count.unanswered, lost);
	if (!r)
		vcpu_exit(c);
	else if (r == -EINTR || r == -EAGAIN)
		count(&c->count.interrupted);
	else
		vcpu_fatal(c, "KVM_RUN: %s", strerror(-r));
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/*
 * No kick is lost: the kicker closes the gate, then sets immediate_exit, then
 * signals; we clear immediate_exit, then look at the gate. Either we see it
 * closed, or the kicker's store comes after ours and KVM_RUN returns at once.
 * The signal is for a thread that is inside the guest already.
 */
static void *vcpu_main(void *arg)
{
	struct kvm_vcpu *c = arg;
	sigset_t kick;
	char name[16];

	/* By the thread itself: another's name is set through a file. */
	snprintf(name, sizeof(name), "vcpu%u", c->index);
	prctl(PR_SET_NAME, name);
	sigemptyset(&kick);
	sigaddset(&kick, KICK_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
	for (;;) {
		__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (!run_gate_pass(c->env->gate))
			break;
		vcpu_run(c);
	}
	c->ended_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	run_gate_leave(c->env->gate);
	return NULL;
}

void kvm_vcpu_kick(struct kvm_vcpu *c)
{
	if (!c->started)
		return;
	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(c->thread, KICK_SIGNAL);
}

int kvm_vcpu_start(struct kvm_vcpu *c, struct error *e)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int r;

	/* Neither can fail. */
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, STACK_BYTES);
	/* Signals are the loop thread's; a vCPU only takes its kick. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	run_gate_join(c->env->gate);
	r = pthread_create(&c->thread, &attr, vcpu_main, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attr);
	if (r) {
		run_gate_leave(c->env->gate);
		return error_set(e, -r, "cannot start a thread for vCPU %u: %s",
				 c->index, strerror(r));
	}
	c->started = true;
	return 0;
}

/* Immediate exit: all but the guest itself is run (api.rst, section 5). */
int kvm_vcpu_settle(struct kvm_vcpu *c, struct error *e)
{
	int r;

	__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	r = ioctl(c->fd, KVM_RUN, 0) ? -errno : 0;
	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	return r && r != -EINTR && r != -EAGAIN
		       ? error_set(e, r, "KVM does not settle vCPU %u: %s",
				   c->index, strerror(-r))
		       : 0;
}

int kvm_vcpu_fd(const struct kvm_vcpu *c)
{
	return c->fd;
}

int kvm_vcpu_vls(struct kvm_vcpu *c, uint64_t ret[8], struct error *e)
{
	_Static_assert(KVM_ARM64_SVE_VLS_WORDS == 8, "struct kvm_vcpu_env");
	int r = 0;

	memset(ret, 0, 8 * sizeof(*ret));
	if (c->env->abi.sve)
		r = vcpu_get(c, KVM_REG_ARM64_SVE_VLS, ret);
	return r ? error_set(e, r, "KVM does not tell vCPU %u's vectors: %s",
			     c->index, strerror(-r))
		 : 0;
}

void kvm_vcpu_stats_add(struct kvm_vcpu *c, struct kvm_vcpu_stats *sum)
{
	clockid_t clock;

	sum->vcpu.exits += atomic_load(&c->count.total);
	sum->exits.mmio += atomic_load(&c->count.mmio);
	sum->exits.system_event += atomic_load(&c->count.system_event);
	sum->exits.undecoded += atomic_load(&c->count.undecoded);
	sum->exits.interrupted += atomic_load(&c->count.interrupted);
	sum->unanswered += atomic_load(&c->count.unanswered);
	sum->late_writes += atomic_load(&c->count.late);
	kvm_counters_add(&c->kvm, &sum->vcpu);
	if (!c->started)
		sum->vcpu.cpu_ns += c->ended_cpu_ns;
	else if (!pthread_getcpuclockid(c->thread, &clock))
		sum->vcpu.cpu_ns += clock_ns(clock);
}

static void on_kick(int number)
{
	/* Its arrival is all that matters: KVM_RUN returns. */
}

int kvm_vcpu_signal_init(struct error *e)
{
	struct sigaction action = {.sa_handler = on_kick};

	sigemptyset(&action.sa_mask);
	if (sigaction(KICK_SIGNAL, &action, NULL))
		return error_set(e, -errno, "cannot handle signal %d: %s",
				 KICK_SIGNAL, strerror(errno));
	return 0;
}
