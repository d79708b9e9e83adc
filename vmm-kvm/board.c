#include "lib/host/blockdev.h"
#include "vmm-kvm/board_internal.h"

/* How long the power button is held: longer than a guest needs to come and
 * look at the pin (gpio-keys debounces for 5 ms). */
#define POWER_PRESS_MS 250

static int place(struct board *b, struct mmio_region *region, uint64_t base)
{
	region->base = base;
	return bus_add(b->bus, region);
}

static int add_serial(struct board *b, const struct board_params *p)
{
	struct pl011_params params = {
		.chardev = p->vmm->console,
		.bus = b->bus,
		.irq = board_line(p, BOARD_SPI_PL011),
	};
	int r = pl011_new(&params, &b->pl011);

	return r ? r : place(b, pl011_region(b->pl011), BOARD_PL011_BASE);
}

static int add_rtc(struct board *b, const struct board_params *p)
{
	struct pl031_params params = {
		.loop = p->vmm->loop,
		.bus = b->bus,
		.irq = board_line(p, BOARD_SPI_PL031),
	};
	int r = pl031_new(&params, &b->pl031);

	return r ? r : place(b, pl031_region(b->pl031), BOARD_PL031_BASE);
}

static int add_gpio(struct board *b, const struct board_params *p)
{
	struct pl061_params params = {.irq = board_line(p, BOARD_SPI_PL061)};
	int r = pl061_new(&params, &b->pl061);

	return r ? r : place(b, pl061_region(b->pl061), BOARD_PL061_BASE);
}

/* Firmware from 2026 on does not start without it; it offers no file, so
 * nothing but the device tree describes the machine. */
static int add_fw_cfg(struct board *b)
{
	int r = fw_cfg_new(&b->guest_mem, &b->fw_cfg);

	return r ? r : place(b, fw_cfg_region(b->fw_cfg), BOARD_FW_CFG_BASE);
}

static int add_msi_frame(struct board *b, const struct board_params *p)
{
	const struct gicv2m_params params = {
		.line = p->line,
		.first_intid = BOARD_SPI_MSI,
		.n_intids = BOARD_MSI_SPIS,
	};
	int r = gicv2m_new(&params, &b->gicv2m);

	return r ? r : place(b, gicv2m_region(b->gicv2m), BOARD_GIC_V2M_BASE);
}

static void watchdog_expired(void *cookie)
{
	struct board *b = cookie;

	b->note(b->cookie, BOARD_NOTE_WATCHDOG, 0);
}

static int add_watchdog(struct board *b, const struct board_params *p)
{
	struct sp805_params params = {
		.loop = p->vmm->loop,
		.bus = b->bus,
		.irq = board_line(p, BOARD_SPI_SP805),
		.clock_hz = BOARD_APB_CLOCK_HZ,
		.expired = watchdog_expired,
		.cookie = b,
	};
	int r = sp805_new(&params, &b->sp805);

	return r ? r : place(b, sp805_region(b->sp805), BOARD_SP805_BASE);
}

static void code_set_mapped(void *cookie, bool mapped)
{
	struct board *b = cookie;

	b->set_mapped(b->cookie, BOARD_BANK_CODE, mapped);
}

static void vars_set_mapped(void *cookie, bool mapped)
{
	struct board *b = cookie;

	b->set_mapped(b->cookie, BOARD_BANK_VARS, mapped);
}

static void vars_commit(void *cookie, uint64_t offset, uint64_t size)
{
	struct board *b = cookie;

	b->commit(b->cookie, offset, size);
}

static void vars_delay(void *cookie, uint64_t offset, uint64_t size, bool on)
{
	struct board *b = cookie;

	bus_delay_set(b->bus, BOARD_FLASH_VARS_BASE + offset, size, on);
}

static int add_flash(struct board *b)
{
	const struct board_bank_memory *code = board_bank(b, BOARD_BANK_CODE);
	const struct board_bank_memory *vars = board_bank(b, BOARD_BANK_VARS);
	struct cfi_flash_params params = {
		.name = "flash (code)",
		.content = code->hva,
		.content_size = code->size_bytes,
		.bank_size = BOARD_FLASH_BANK_SIZE,
		.readonly = true,
		.set_mapped = code_set_mapped,
		.cookie = b,
	};
	int r = cfi_flash_new(&params, &b->flash_code);

	if (!r)
		r = place(b, cfi_flash_region(b->flash_code),
			  BOARD_FLASH_CODE_BASE);
	if (r)
		return r;
	params = (struct cfi_flash_params){
		.name = "flash (variables)",
		.content = vars->hva,
		.content_size = vars->size_bytes,
		.bank_size = BOARD_FLASH_BANK_SIZE,
		.set_mapped = vars_set_mapped,
		.commit = vars_commit,
		.delay = vars_delay,
		.cookie = b,
	};
	r = cfi_flash_new(&params, &b->flash_vars);
	return r ? r
		 : place(b, cfi_flash_region(b->flash_vars),
			 BOARD_FLASH_VARS_BASE);
}

static int add_devices(struct board *b, const struct board_params *p,
		       struct error *e)
{
	int r = board_bank(b, BOARD_BANK_CODE)->hva ? add_flash(b) : 0;

	if (!r)
		r = add_serial(b, p);
	if (!r)
		r = add_rtc(b, p);
	if (!r)
		r = add_gpio(b, p);
	if (!r)
		r = add_watchdog(b, p);
	if (!r)
		r = add_fw_cfg(b);
	if (!r && b->abi.gic == VM_GIC_V2)
		r = add_msi_frame(b, p);
	if (r)
		return error_set(e, r, "cannot make the board's devices: %s",
				 strerror(-r));
	return board_add_pci(b, p, e);
}

static int add_memory(struct board *b, const struct board_params *p,
		      struct error *e)
{
	const struct vmm_params *v = p->vmm;
	const struct board_bank_memory *ram;
	const struct board_memory_params params = {
		.ram_size = p->space->ram_size,
		.backing = v->config->memory_backing,
		.pvtime = p->abi->steal_time,
		.firmware_fd = v->firmware_fd,
		.nvram_fd = v->nvram_fd,
		.nvram_size = v->nvram_size,
	};
	int r = board_memory_init(&b->memory, &params, e);

	if (r)
		return r;
	ram = board_bank(b, BOARD_BANK_RAM);
	r = guest_mem_add(&b->guest_mem, ram->gpa, ram->size_bytes, ram->hva);
	if (!r && ram->fd >= 0)
		guest_mem_set_file(&b->guest_mem, ram->gpa, ram->fd, 0);
	return r;
}

static void on_power_released(uv_timer_t *timer)
{
	struct board *b = timer->data;

	bus_lock(b->bus);
	pl061_set_input(b->pl061, BOARD_POWER_KEY_PIN, false);
	bus_unlock(b->bus);
}

int board_new(const struct board_params *p, struct board **ret, struct error *e)
{
	_cleanup_(board_freep) struct board *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return error_set(e, -ENOMEM, "out of memory");
	b->space = *p->space;
	b->abi = *p->abi;
	b->config = p->vmm->config;
	b->kernel_fd = p->vmm->kernel_fd;
	b->initrd_fd = p->vmm->initrd_fd;
	b->set_mapped = p->set_mapped;
	b->commit = p->commit;
	b->io_error = p->io_error;
	b->note = p->note;
	b->device_failed = p->device_failed;
	b->filesystem_lost = p->filesystem_lost;
	b->slots_changed = p->slots_changed;
	b->device_event = p->device_event;
	b->nic_failed = p->nic_failed;
	b->cookie = p->cookie;
	/* Neither can fail. */
	(void)uv_timer_init(p->vmm->loop, &b->power_timer);
	(void)uv_timer_init(p->vmm->loop, &b->slots_timer);
	b->power_timer.data = b->slots_timer.data = b;
	b->take_tick_ms = BOARD_TAKE_TICK_MS;
	b->open_timers = 2;
	r = bus_new(&b->bus);
	if (r)
		return error_set(e, r, "out of memory");
	r = add_memory(b, p, e);
	if (!r)
		r = add_devices(b, p, e);
	if (r)
		return r;
	*ret = TAKE_PTR(b);
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct board *b = handle->data;

	if (--b->open_timers == 0)
		free(b);
}

struct board *board_free(struct board *b)
{
	if (!b)
		return NULL;
	b->pci_mirror = pci_mirror_free(b->pci_mirror);
	board_free_mmio(b);
	board_slots_free(b);
	board_nics_free(b);
	while (b->n_functions)
		virtio_pci_free(b->functions[--b->n_functions]);
	board_free_filesystems(b);
	reg_page_free(b->reg_page);
	if (b->pvpanic) {
		bus_lock(b->bus);
		pvpanic_free(b->pvpanic);
		bus_unlock(b->bus);
	}
	pci_host_free(b->pci);
	gicv2m_free(b->gicv2m);
	sp805_free(b->sp805);
	fw_cfg_free(b->fw_cfg);
	pl061_free(b->pl061);
	pl031_free(b->pl031);
	pl011_free(b->pl011);
	cfi_flash_free(b->flash_vars);
	cfi_flash_free(b->flash_code);
	bus_free(b->bus);
	board_memory_done(&b->memory);
	uv_close((uv_handle_t *)&b->power_timer, on_timer_closed);
	uv_close((uv_handle_t *)&b->slots_timer, on_timer_closed);
	return NULL;
}

struct bus *board_bus(struct board *b)
{
	return b->bus;
}

const struct board_bank_memory *board_bank(const struct board *b,
					   enum board_bank bank)
{
	return &b->memory.banks[bank];
}

void board_sync(struct board *b)
{
	if (!b->flash_vars)
		return;
	bus_lock(b->bus);
	cfi_flash_sync(b->flash_vars);
	bus_unlock(b->bus);
}

void board_reset(struct board *b)
{
	uv_timer_stop(&b->power_timer);
	/* Reads under way would land in the RAM of the next boot. */
	for (unsigned i = 0; i < b->n_mmio; i++)
		if (b->mmio_devices[i].blockdev)
			blockdev_drain(b->mmio_devices[i].blockdev);
	board_slots_drain(b);
	bus_lock(b->bus);
	pl061_set_input(b->pl061, BOARD_POWER_KEY_PIN, false);
	pci_host_reset(b->pci);
	board_reset_mmio(b);
	fw_cfg_reset(b->fw_cfg);
	sp805_reset(b->sp805);
	pl061_reset(b->pl061);
	pl031_reset(b->pl031);
	pl011_reset(b->pl011);
	if (b->flash_vars) {
		cfi_flash_reset(b->flash_vars);
		cfi_flash_reset(b->flash_code);
	}
	bus_unlock(b->bus);
	board_memory_discard_ram(&b->memory);
	board_slots_reset(b);
}

void board_hold(struct board *b, bool held)
{
	bus_lock(b->bus);
	sp805_hold(b->sp805, held);
	bus_unlock(b->bus);
}

void board_set_balloon(struct board *b, uint64_t bytes)
{
	virtio_balloon_set_target(b->balloon, bytes);
}

bool board_power_watched(struct board *b)
{
	bool watched;

	bus_lock(b->bus);
	watched = pl061_watched(b->pl061, BOARD_POWER_KEY_PIN);
	bus_unlock(b->bus);
	return watched;
}

void board_press_power(struct board *b)
{
	bus_lock(b->bus);
	pl061_set_input(b->pl061, BOARD_POWER_KEY_PIN, true);
	bus_unlock(b->bus);
	/* Cannot fail: the callback is not NULL. */
	(void)uv_timer_start(&b->power_timer, on_power_released, POWER_PRESS_MS,
			     0);
}
