/* The virtual card's clock, and the sounds that its microphone hears. */
#define _GNU_SOURCE
#include "card.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Frames read from a sound at a time; a stack buffer, so that the card costs the application no heap. */
#define PIECE_FRAMES 512
#define SOUND_CHANNELS_MAX 8

int64_t vcard_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static double true_rate(unsigned int rate_hz, int ppm)
{
	return rate_hz * (1.0 + ppm / 1e6);
}

void vcard_clock_start(struct vcard_clock *clock, int64_t at_ns, unsigned int rate_hz, int ppm)
{
	clock->anchor_ns = at_ns;
	clock->anchor_frame = 0;
	clock->rate_hz = true_rate(rate_hz, ppm);
	clock->ppm = ppm;
}

void vcard_clock_bend(struct vcard_clock *clock, int64_t at_ns, unsigned int rate_hz, int ppm)
{
	clock->anchor_frame = vcard_clock_frame(clock, at_ns);
	clock->anchor_ns = at_ns;
	clock->rate_hz = true_rate(rate_hz, ppm);
	clock->ppm = ppm;
}

double vcard_clock_frame(const struct vcard_clock *clock, int64_t at_ns)
{
	/* A millionth of a frame against rounding: at a period's own time the period has passed. */
	return clock->anchor_frame + (double)(at_ns - clock->anchor_ns) * clock->rate_hz / 1e9 + 1e-6;
}

int64_t vcard_clock_ns(const struct vcard_clock *clock, double frame)
{
	return clock->anchor_ns + (int64_t)ceil((frame - clock->anchor_frame) * 1e9 / clock->rate_hz - 1e-3);
}

static uint32_t le32(const unsigned char *b)
{
	return b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Finds the samples of a WAV file; raw files start at once. Answers what is wrong, or NULL. */
static const char *find_frames(struct vcard_sound *sound, int64_t bytes, unsigned int rate_hz)
{
	unsigned char head[16];
	sound->data_at = 0;
	sound->channels = 1;
	if (pread(sound->fd, head, 12, 0) < 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) {
		sound->frames = bytes / 2;
		return NULL;
	}
	for (int64_t at = 12; pread(sound->fd, head, 8, at) == 8; at += 8 + (le32(head + 4) + 1) / 2 * 2) {
		if (!memcmp(head, "fmt ", 4)) {
			unsigned char format[16];
			if (pread(sound->fd, format, 16, at + 8) < 16)
				break;
			if (format[14] != 16 || format[15])
				return "not 16 bits a sample";
			if (le32(format + 4) != rate_hz)
				return "not at the card's rate";
			sound->channels = format[2];
			if (!sound->channels || sound->channels > SOUND_CHANNELS_MAX)
				return "too many channels";
		} else if (!memcmp(head, "data", 4)) {
			int64_t size = le32(head + 4), rest = bytes - at - 8;
			sound->data_at = at + 8;
			sound->frames = (size < rest ? size : rest) / (2 * sound->channels);
			return NULL;
		}
	}
	return "no samples in it";
}

int vcard_sound_refresh(struct vcard_sound *sound, const struct vcard_slot *slot, unsigned int rate_hz,
			const char **why)
{
	uint32_t turn = __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE);
	if (turn == sound->turn || turn & 1)
		return 0;
	struct vcard_slot copy = *slot;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&slot->turn, __ATOMIC_RELAXED) != turn)
		return 0; /* being written: next time */
	copy.path[VCARD_PATH_BYTES - 1] = 0;
	if (sound->fd >= 0)
		close(sound->fd);
	sound->turn = turn;
	sound->loop = copy.loop != 0;
	sound->start_ns = copy.start_ns;
	sound->frames = 0;
	sound->fd = -1;
	*why = "silence";
	if (!copy.path[0])
		return 1;
	struct stat stat;
	sound->fd = open(copy.path, O_RDONLY | O_CLOEXEC);
	*why = "cannot be opened";
	if (sound->fd < 0)
		return 1;
	*why = fstat(sound->fd, &stat) ? "cannot be read" : find_frames(sound, stat.st_size, rate_hz);
	if (!*why && sound->frames == 0)
		*why = "empty";
	if (*why) {
		close(sound->fd);
		sound->fd = -1;
	}
	return 1;
}

/* Reads sound frames [at, at + frames), looped or with silence around, into piece ([frames, sound's channels]). */
static void fetch(const struct vcard_sound *sound, int64_t at, size_t frames, int16_t *piece)
{
	size_t width = sound->channels, done = 0;
	memset(piece, 0, frames * width * sizeof *piece);
	while (done < frames) {
		int64_t from = at + (int64_t)done;
		if (from < 0) {
			done += -from < (int64_t)(frames - done) ? (size_t)-from : frames - done;
			continue;
		}
		if (from >= sound->frames && !sound->loop)
			return;
		from %= sound->frames;
		size_t count = frames - done;
		if ((int64_t)count > sound->frames - from)
			count = (size_t)(sound->frames - from);
		if (pread(sound->fd, piece + done * width, count * width * 2,
			  sound->data_at + from * (int64_t)width * 2) < 0)
			return;
		done += count;
	}
}

/* A piece of a sound, on a card that runs true (step 1) or not (frames between frames are interpolated). */
static void add_piece(const struct vcard_sound *sound, double position, double step, size_t frames,
		      unsigned int channels, int32_t *mix)
{
	int16_t piece[(PIECE_FRAMES + 16) * SOUND_CHANNELS_MAX];
	int straight = step == 1.0;
	/* Not quite one half: the rounding edge must lie where no whole nanosecond can fall. */
	double first = straight ? floor(position + 0.5001) : floor(position);
	size_t need = straight ? frames : (size_t)(floor(position + step * (double)frames) - first) + 2;
	fetch(sound, (int64_t)first, need, piece);
	for (size_t i = 0; i < frames; i++) {
		double at = straight ? (double)i : position + step * (double)i - first;
		size_t low = (size_t)at;
		double part = at - (double)low;
		for (unsigned int c = 0; c < channels; c++) {
			size_t s = c < sound->channels ? c : sound->channels - 1;
			double value = piece[low * sound->channels + s];
			if (!straight)
				value += part * (piece[(low + 1) * sound->channels + s] - value);
			mix[i * channels + c] += (int32_t)lrint(value);
		}
	}
}

void vcard_sound_add(const struct vcard_sound *sound, const struct vcard_clock *clock, unsigned int rate_hz,
		     int64_t first, size_t frames, unsigned int channels, int32_t *mix)
{
	if (sound->fd < 0)
		return;
	/* Sounds run at the nominal rate in the world's time; the card's clock may not. */
	double step = clock->ppm ? rate_hz / clock->rate_hz : 1.0;
	double world = (double)(clock->anchor_ns - sound->start_ns) * rate_hz / 1e9;
	double position = world + ((double)first - clock->anchor_frame) * step;
	for (size_t done = 0; done < frames; done += PIECE_FRAMES) {
		size_t piece = frames - done < PIECE_FRAMES ? frames - done : PIECE_FRAMES;
		add_piece(sound, position + step * (double)done, step, piece, channels, mix + done * channels);
	}
}
