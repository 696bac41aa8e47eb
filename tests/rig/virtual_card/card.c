/* The virtual card: a microphone and a loudspeaker without hardware, as an ALSA external plugin (ioplug).
 *
 * It is exact where a daemon is not: frame k of a stream started at t0 passes the converter at t0 + k/rate of
 * CLOCK_MONOTONIC, whoever is awake. It behaves like a card's driver: the application is woken at, and sees the
 * pointer move at, period boundaries only, while delay() is exact; who is late gets EPIPE; drop() is silence at
 * once. tests/rig/README.md says how to use it.
 */
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MIX_FRAMES 512

static const char *const slot_names[VCARD_SLOTS] = { "sound", "mark" };

/* ---- the log: one JSON object a line, one write() a line ---- */

static void note(struct card *card, int64_t at_ns, const char *format, ...)
{
	char line[1400];
	int length = snprintf(line, sizeof line, "{\"at_ns\":%lld,\"pcm\":\"%s\",\"run\":%u,", (long long)at_ns,
			      card->bit == VCARD_MIC ? "mic" : "speaker", card->run);
	va_list values;
	va_start(values, format);
	length += vsnprintf(line + length, sizeof line - (size_t)length - 3, format, values);
	va_end(values);
	if (length > (int)sizeof line - 3)
		length = sizeof line - 3;
	line[length++] = '}';
	line[length++] = '\n';
	if (write(card->log_fd, line, (size_t)length) < 0)
		SNDERR("virtual card: the log cannot be written");
}

/* ---- where the stream is ---- */

static int vanished(struct card *card)
{
	if (!card->gone && (__atomic_load_n(&card->control->vanish, __ATOMIC_RELAXED) & card->bit))
		card->gone = 1;
	return card->gone;
}

/* Frames that have passed the converter by now. */
static int64_t exact_frame(struct card *card, int64_t now_ns)
{
	int ppm = card->bit == VCARD_MIC ? card->control->mic_ppm : card->control->speaker_ppm;
	ppm = ppm > 10000 ? 10000 : ppm < -10000 ? -10000 : ppm;
	if (ppm != card->clock.ppm) {
		vcard_clock_bend(&card->clock, now_ns, card->io.rate, ppm);
		note(card, now_ns, "\"event\":\"clock\",\"ppm\":%d,\"frame\":%.3f", ppm, card->clock.anchor_frame);
	}
	return (int64_t)vcard_clock_frame(&card->clock, now_ns);
}

static int is_late(struct card *card, int64_t frame)
{
	int64_t appl = (int64_t)card->io.appl_ptr;
	if (card->stop_threshold > card->io.buffer_size)
		return 0; /* the application wants a free-running ring */
	if (card->bit == VCARD_MIC)
		return frame - appl > (int64_t)card->io.buffer_size;
	return frame >= appl;
}

/* Ends a run: the speaker's file keeps what was heard, and the log tells. */
static void end_run(struct card *card, const char *why, int64_t at_ns, int64_t frames)
{
	card->running = 0;
	note(card, at_ns, "\"event\":\"stop\",\"why\":\"%s\",\"frames\":%lld,\"noticed_ns\":%lld", why,
	     (long long)frames, (long long)vcard_now_ns());
	if (card->file_fd >= 0 && ftruncate(card->file_fd, frames * (int64_t)card->frame_bytes))
		SNDERR("virtual card: the speaker's file cannot be cut");
}

static void end_run_now(struct card *card, const char *why)
{
	int64_t now = vcard_now_ns(), frames = exact_frame(card, now);
	if (card->bit == VCARD_SPEAKER && frames >= (int64_t)card->io.appl_ptr) {
		frames = (int64_t)card->io.appl_ptr;
		now = vcard_clock_ns(&card->clock, (double)frames);
	}
	end_run(card, why, now, frames);
}

static void close_file(struct card *card)
{
	if (card->file_fd >= 0)
		close(card->file_fd);
	card->file_fd = -1;
}

/* ---- waking the application ---- */

static void arm(struct card *card, int64_t at_ns)
{
	struct itimerspec when = { 0 };
	at_ns = at_ns < 1 ? 1 : at_ns;
	when.it_value.tv_sec = at_ns / 1000000000;
	when.it_value.tv_nsec = at_ns % 1000000000;
	timerfd_settime(card->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Whether a poll should return now, if the application's pointer were at `appl`. */
static int is_ready(struct card *card, int64_t appl)
{
	if (card->io.state == SND_PCM_STATE_DRAINING)
		return 0;
	if (card->bit == VCARD_MIC)
		return card->running && card->shown - appl >= (int64_t)card->avail_min;
	return (int64_t)card->io.buffer_size - (appl - card->shown) >= (int64_t)card->avail_min;
}

/* Sets the timer to fire at once where there is something to do, at the next period's end otherwise. */
static void arm_next(struct card *card, int64_t appl)
{
	int64_t period = (int64_t)card->io.period_size, now = vcard_now_ns();
	if (vanished(card) || is_ready(card, appl)) {
		arm(card, 1);
	} else if (!card->running) {
		arm(card, now + period * 1000000000 / (int64_t)card->io.rate);
	} else {
		int64_t next = (exact_frame(card, now) / period + 1) * period;
		if (card->io.state == SND_PCM_STATE_DRAINING && next > appl)
			next = appl;
		arm(card, vcard_clock_ns(&card->clock, (double)next));
	}
}

static int card_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *pfd, unsigned int nfds, unsigned short *revents)
{
	struct card *card = io->private_data;
	unsigned short event = card->bit == VCARD_MIC ? POLLIN : POLLOUT;
	*revents = 0;
	if (nfds != 1)
		return -EINVAL;
	if (!(pfd[0].revents & (POLLIN | POLLERR)))
		return 0;
	snd_pcm_avail_update(io->pcm); /* takes the pointer on, finds xruns */
	if (vanished(card))
		*revents = event | POLLERR | POLLHUP;
	else if (io->state == SND_PCM_STATE_XRUN)
		*revents = event | POLLERR;
	else if (io->state == SND_PCM_STATE_DRAINING || is_ready(card, (int64_t)io->appl_ptr))
		*revents = event;
	arm_next(card, (int64_t)io->appl_ptr);
	return 0;
}

/* ---- running ---- */

static int card_start(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (vanished(card))
		return -ENODEV;
	int64_t now = vcard_now_ns();
	if (!card->run)
		card->run = __atomic_add_fetch(&card->control->runs, 1, __ATOMIC_RELAXED);
	vcard_clock_start(&card->clock, now, io->rate,
			  card->bit == VCARD_MIC ? card->control->mic_ppm : card->control->speaker_ppm);
	card->running = 1;
	card->shown = 0;
	note(card, now,
	     "\"event\":\"start\",\"rate_hz\":%u,\"channels\":%u,\"format\":\"%s\",\"period_frames\":%lu,"
	     "\"buffer_frames\":%lu,\"ppm\":%d",
	     io->rate, io->channels, snd_pcm_format_name(io->format), io->period_size, io->buffer_size,
	     card->clock.ppm);
	arm_next(card, (int64_t)io->appl_ptr);
	return 0;
}

static int card_stop(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (card->running)
		end_run_now(card, io->state == SND_PCM_STATE_DRAINING ? "drained" : card->gone ? "gone" : "drop");
	else if (card->file_fd >= 0 && card->run && io->state == SND_PCM_STATE_PREPARED)
		if (ftruncate(card->file_fd, 0)) /* written, never started: nobody heard it */
			SNDERR("virtual card: the speaker's file cannot be cut");
	close_file(card);
	return 0;
}

static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (vanished(card)) {
		if (card->running)
			end_run_now(card, "gone");
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return card->shown;
	}
	if (!card->running)
		return card->shown;
	int64_t frame = exact_frame(card, vcard_now_ns());
	if (io->state == SND_PCM_STATE_DRAINING && frame >= (int64_t)io->appl_ptr)
		return card->shown = (int64_t)io->appl_ptr;
	if (io->state == SND_PCM_STATE_RUNNING && is_late(card, frame)) {
		int64_t dry = (int64_t)io->appl_ptr + (card->bit == VCARD_MIC ? (int64_t)io->buffer_size : 0);
		end_run(card, "xrun", vcard_clock_ns(&card->clock, (double)dry), dry);
		return -EPIPE;
	}
	card->shown = frame / (int64_t)io->period_size * (int64_t)io->period_size;
	return card->shown;
}

static int card_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
	struct card *card = io->private_data;
	if (vanished(card))
		return -ENODEV;
	if (io->state == SND_PCM_STATE_XRUN)
		return -EPIPE;
	int64_t frame = card->running ? exact_frame(card, vcard_now_ns()) : 0, appl = (int64_t)io->appl_ptr;
	if (card->running && io->state == SND_PCM_STATE_RUNNING && is_late(card, frame)) {
		snd_pcm_hwsync(io->pcm); /* the late application learns it here, as from a driver */
		return -EPIPE;
	}
	*delay = card->bit == VCARD_MIC ? frame - appl : appl > frame ? appl - frame : 0;
	return 0;
}

/* ---- moving frames ---- */

static void pack(const struct card *card, const int32_t *mix, size_t samples, void *to)
{
	for (size_t i = 0; i < samples; i++) {
		int32_t value = mix[i] > 32767 ? 32767 : mix[i] < -32768 ? -32768 : mix[i];
		if (card->io.format == SND_PCM_FORMAT_S32_LE)
			((int32_t *)to)[i] = value * 65536;
		else
			((int16_t *)to)[i] = (int16_t)value;
	}
}

static void hear(struct card *card, int64_t first, size_t frames, char *to)
{
	int32_t mix[MIX_FRAMES * CHANNELS_MAX];
	unsigned int channels = card->io.channels;
	for (size_t done = 0; done < frames; done += MIX_FRAMES) {
		size_t piece = frames - done < MIX_FRAMES ? frames - done : MIX_FRAMES;
		memset(mix, 0, piece * channels * sizeof *mix);
		for (int s = 0; s < VCARD_SLOTS && !card->control->zeros; s++)
			vcard_sound_add(&card->sound[s], &card->clock, card->io.rate, first + (int64_t)done, piece,
					channels, mix);
		pack(card, mix, piece * channels, to + done * card->frame_bytes);
	}
}

static void refresh_sounds(struct card *card)
{
	for (int s = 0; s < VCARD_SLOTS; s++) {
		const char *why = NULL;
		const struct vcard_slot *slot = &card->control->slot[s];
		if (vcard_sound_refresh(&card->sound[s], slot, card->io.rate, &why))
			note(card, vcard_now_ns(), "\"event\":\"%s\",\"start_ns\":%lld,\"frames\":%lld,\"trouble\":\"%s\"",
			     slot_names[s], (long long)slot->start_ns, (long long)card->sound[s].frames, why ? why : "");
	}
}

static int open_file(struct card *card)
{
	char path[PATH_MAX];
	if (!card->run)
		card->run = __atomic_add_fetch(&card->control->runs, 1, __ATOMIC_RELAXED);
	snprintf(path, sizeof path, "%s/speaker-%04u.raw", card->folder, card->run);
	card->file_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return card->file_fd < 0 ? -EIO : 0;
}

static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
				       snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct card *card = io->private_data;
	char *bytes = (char *)areas[0].addr + (areas[0].first + offset * areas[0].step) / 8;
	int64_t first = (int64_t)io->appl_ptr;
	if (vanished(card)) {
		card_pointer(io);
		return -ENODEV;
	}
	/* With mmap access the offset is the place in the ring, otherwise one in the caller's buffer. */
	if (io->access == SND_PCM_ACCESS_MMAP_INTERLEAVED) {
		snd_pcm_uframes_t here = io->appl_ptr % io->buffer_size;
		first += (int64_t)((offset + io->buffer_size - here) % io->buffer_size);
	}
	if (card->bit == VCARD_MIC) {
		refresh_sounds(card);
		hear(card, first, size, bytes);
	} else {
		if (card->file_fd < 0 && open_file(card) < 0)
			return -EIO;
		if (pwrite(card->file_fd, bytes, size * card->frame_bytes, first * (int64_t)card->frame_bytes) < 0)
			return -EIO;
	}
	arm_next(card, first + (int64_t)size);
	return (snd_pcm_sframes_t)size;
}

/* ---- setting up ---- */

static int card_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
	struct card *card = io->private_data;
	(void)params;
	if (vanished(card))
		return -ENODEV;
	unsigned int bits = (unsigned int)snd_pcm_format_physical_width(io->format);
	if (io->rate == card->control->refuse_rate || bits == card->control->refuse_format)
		return -EINVAL; /* asked to refuse after it was opened */
	card->frame_bytes = bits / 8 * io->channels;
	card->avail_min = io->period_size;
	card->stop_threshold = io->buffer_size;
	return 0;
}

static int card_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
	struct card *card = io->private_data;
	snd_pcm_sw_params_get_avail_min(params, &card->avail_min);
	snd_pcm_sw_params_get_stop_threshold(params, &card->stop_threshold);
	return vanished(card) ? -ENODEV : 0;
}

static int card_prepare(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (card->running)
		end_run_now(card, "drop");
	close_file(card);
	card->run = 0;
	card->shown = 0;
	if (vanished(card)) {
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return -ENODEV;
	}
	if (card->bit == VCARD_MIC)
		refresh_sounds(card);
	arm_next(card, 0);
	return 0;
}

static int card_drain(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	arm_next(card, (int64_t)io->appl_ptr);
	while (card->running && !vanished(card)) {
		int64_t end = vcard_clock_ns(&card->clock, (double)io->appl_ptr), now = vcard_now_ns();
		if (now >= end)
			break;
		if (io->nonblock)
			return -EAGAIN;
		int64_t step = end - now < 10000000 ? end : now + 10000000; /* so that vanishing is seen */
		struct timespec until = { .tv_sec = step / 1000000000, .tv_nsec = step % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	return card->gone ? -ENODEV : 0;
}

static int card_close(snd_pcm_ioplug_t *io)
{
	struct card *card = io->private_data;
	if (card->running)
		end_run_now(card, "closed");
	card_free(card);
	return 0;
}

const snd_pcm_ioplug_callback_t card_callbacks = {
	.start = card_start,
	.stop = card_stop,
	.pointer = card_pointer,
	.transfer = card_transfer,
	.close = card_close,
	.hw_params = card_hw_params,
	.sw_params = card_sw_params,
	.prepare = card_prepare,
	.drain = card_drain,
	.poll_revents = card_poll_revents,
	.delay = card_delay,
};
