/* Opening a virtual card: its configuration, its folder, what it takes and what it refuses. */
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LIST_MAX 8

void card_free(struct card *card)
{
	int fds[] = { card->timer_fd, card->log_fd, card->lock_fd, card->file_fd, card->sound[0].fd, card->sound[1].fd };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (card->control)
		munmap(card->control, sizeof *card->control);
	free(card);
}

static int constrain(struct card *card, const unsigned int *rates, unsigned int rates_count,
		     const unsigned int *channels, unsigned int channels_count)
{
	static const unsigned int accesses[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
	unsigned int formats[2], kept[LIST_MAX], formats_count = 0, kept_count = 0;
	if (card->control->refuse_format != 16)
		formats[formats_count++] = SND_PCM_FORMAT_S16_LE;
	if (card->control->refuse_format != 32)
		formats[formats_count++] = SND_PCM_FORMAT_S32_LE;
	for (unsigned int i = 0; i < rates_count; i++)
		if (rates[i] != card->control->refuse_rate)
			kept[kept_count++] = rates[i];
	if (!kept_count) /* a card of one rate that refuses it: hw_params will say EINVAL */
		kept[kept_count++] = rates[0];
	snd_pcm_ioplug_t *io = &card->io;
	int err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);
	err = err < 0 ? err : snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, formats_count, formats);
	err = err < 0 ? err : snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_CHANNELS, channels_count, channels);
	err = err < 0 ? err : snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, kept_count, kept);
	err = err < 0 ? err : snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 18);
	err = err < 0 ? err : snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
	return err < 0 ? err : snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128, 1 << 20);
}

/* Opens folder/control, folder/log.jsonl and the lock that makes a second opening EBUSY. */
static int open_folder(struct card *card)
{
	char path[PATH_MAX];
	struct stat stat;
	snprintf(path, sizeof path, "%s/control", card->folder);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat) || stat.st_size < (off_t)sizeof *card->control) {
		SNDERR("virtual card: %s is missing or too short: `vcard-ctl %s` makes one", path, card->folder);
		if (fd >= 0)
			close(fd);
		return -ENOENT;
	}
	void *map = mmap(NULL, sizeof *card->control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return -ENOMEM;
	card->control = map;
	if (card->control->magic != VCARD_MAGIC || card->control->version != VCARD_VERSION)
		return -EINVAL;
	if (card->control->vanish & card->bit)
		return -ENODEV;
	snprintf(path, sizeof path, "%s/%s.lock", card->folder, card->bit == VCARD_MIC ? "mic" : "speaker");
	card->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (card->control->busy & card->bit || (card->lock_fd >= 0 && flock(card->lock_fd, LOCK_EX | LOCK_NB)))
		return -EBUSY;
	snprintf(path, sizeof path, "%s/log.jsonl", card->folder);
	card->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	card->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return card->log_fd < 0 || card->timer_fd < 0 || card->lock_fd < 0 ? -EIO : 0;
}

/* Reads `key 48000` or `key [ 16000 48000 ]` into list. */
static int read_list(snd_config_t *node, unsigned int *list, unsigned int *count)
{
	long value;
	snd_config_iterator_t at, next;
	*count = 0;
	if (snd_config_get_type(node) != SND_CONFIG_TYPE_COMPOUND) {
		*count = 1;
		return snd_config_get_integer(node, &value) < 0 || value < 1 ? -EINVAL : (list[0] = (unsigned int)value, 0);
	}
	snd_config_for_each(at, next, node) {
		if (*count == LIST_MAX || snd_config_get_integer(snd_config_iterator_entry(at), &value) < 0 || value < 1)
			return -EINVAL;
		list[(*count)++] = (unsigned int)value;
	}
	return *count ? 0 : -EINVAL;
}

struct wishes {
	const char *folder;
	unsigned int rates[LIST_MAX], rates_count, channels[LIST_MAX], channels_count;
};

static int read_wishes(snd_config_t *conf, struct wishes *wishes)
{
	snd_config_iterator_t at, next;
	snd_config_for_each(at, next, conf) {
		snd_config_t *node = snd_config_iterator_entry(at);
		const char *id;
		int err = 0;
		if (snd_config_get_id(node, &id) < 0 || !strcmp(id, "comment") || !strcmp(id, "type") || !strcmp(id, "hint"))
			continue;
		if (!strcmp(id, "folder"))
			err = snd_config_get_string(node, &wishes->folder);
		else if (!strcmp(id, "rates"))
			err = read_list(node, wishes->rates, &wishes->rates_count);
		else if (!strcmp(id, "channels"))
			err = read_list(node, wishes->channels, &wishes->channels_count);
		else
			err = -EINVAL;
		if (err < 0) {
			SNDERR("virtual card: `%s` is unknown or has a wrong value (folder, rates, channels)", id);
			return -EINVAL;
		}
	}
	for (unsigned int i = 0; i < wishes->channels_count; i++)
		if (wishes->channels[i] > CHANNELS_MAX)
			return -EINVAL;
	return wishes->folder && strlen(wishes->folder) < PATH_MAX / 2 ? 0 : -EINVAL;
}

SND_PCM_PLUGIN_DEFINE_FUNC(vcard)
{
	struct wishes wishes = { NULL, { 48000 }, 1, { 1, 2 }, 2 };
	(void)root;
	if (read_wishes(conf, &wishes) < 0)
		return -EINVAL;
	struct card *card = calloc(1, sizeof *card);
	if (!card)
		return -ENOMEM;
	card->timer_fd = card->log_fd = card->lock_fd = card->file_fd = -1;
	for (int s = 0; s < VCARD_SLOTS; s++)
		card->sound[s].fd = -1;
	strcpy(card->folder, wishes.folder);
	card->bit = stream == SND_PCM_STREAM_CAPTURE ? VCARD_MIC : VCARD_SPEAKER;
	int err = open_folder(card);
	if (err < 0) {
		card_free(card);
		return err;
	}
	card->io.version = SND_PCM_IOPLUG_VERSION;
	card->io.name = "virtual card";
	card->io.flags = SND_PCM_IOPLUG_FLAG_MONOTONIC | SND_PCM_IOPLUG_FLAG_BOUNDARY_WA;
	card->io.poll_fd = card->timer_fd;
	card->io.poll_events = POLLIN;
	card->io.callback = &card_callbacks;
	card->io.private_data = card;
	err = snd_pcm_ioplug_create(&card->io, name, stream, mode);
	if (err < 0) {
		card_free(card);
		return err;
	}
	err = constrain(card, wishes.rates, wishes.rates_count, wishes.channels, wishes.channels_count);
	if (err < 0) {
		snd_pcm_ioplug_delete(&card->io); /* closes and frees */
		return err;
	}
	*pcmp = card->io.pcm;
	return 0;
}
SND_PCM_PLUGIN_SYMBOL(vcard);
