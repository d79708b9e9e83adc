#include "vmm-kvm/nvram_commits.h"

void nvram_commits_init(struct nvram_commits *c, struct run_gate *gate)
{
	*c = (struct nvram_commits){.gate = gate};
	pthread_mutex_init(&c->lock, NULL);
}

void nvram_commits_done(struct nvram_commits *c)
{
	pthread_mutex_destroy(&c->lock);
}

void nvram_commits_add(struct nvram_commits *c, uint64_t offset, uint64_t size)
{
	struct nvram_range *w = &c->waiting;
	uint64_t end = offset + size;

	if (!size)
		return;
	pthread_mutex_lock(&c->lock);
	if (w->size) {
		end = MAX(end, w->offset + w->size);
		offset = MIN(offset, w->offset);
	}
	*w = (struct nvram_range){
		.offset = offset,
		.size = end - offset,
		.ticket = run_gate_hold(c->gate),
	};
	pthread_mutex_unlock(&c->lock);
}

bool nvram_commits_next(struct nvram_commits *c, uint64_t *ret_offset,
			uint64_t *ret_size)
{
	bool start;

	pthread_mutex_lock(&c->lock);
	start = c->waiting.size && !c->under_way.size;
	if (start) {
		c->under_way = c->waiting;
		c->waiting = (struct nvram_range){0};
		*ret_offset = c->under_way.offset;
		*ret_size = c->under_way.size;
	}
	pthread_mutex_unlock(&c->lock);
	return start;
}

void nvram_commits_end(struct nvram_commits *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->under_way.size)
		run_gate_release(c->gate, c->under_way.ticket);
	c->under_way = (struct nvram_range){0};
	pthread_mutex_unlock(&c->lock);
}

bool nvram_commits_busy(struct nvram_commits *c)
{
	bool busy;

	pthread_mutex_lock(&c->lock);
	busy = c->waiting.size || c->under_way.size;
	pthread_mutex_unlock(&c->lock);
	return busy;
}
