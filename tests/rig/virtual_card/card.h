/* What the virtual card's files share: the mapped control file, the microphone's sounds, the clock.
 *
 * Times are CLOCK_MONOTONIC nanoseconds. A frame's time is when it passes the converter.
 */
#ifndef VCARD_CARD_H
#define VCARD_CARD_H

#include <stddef.h>
#include <stdint.h>

#define VCARD_MAGIC 0x64726376u /* "vcrd" */
#define VCARD_VERSION 1u
#define VCARD_SLOTS 2
#define VCARD_PATH_BYTES 512

/* Bits of `vanish` and `busy`: which PCM is meant. */
#define VCARD_MIC 1u
#define VCARD_SPEAKER 2u

/* One sound before the microphone. The writer makes `turn` odd, writes, makes it even again; the card
 * takes a slot over whenever it sees a new even number. All of the layout is little-endian, without holes. */
struct vcard_slot {
	uint32_t turn;
	uint32_t loop;     /* 1: again and again from start_ns on; 0: once */
	int64_t start_ns;  /* when its first frame reaches the microphone */
	char path[VCARD_PATH_BYTES]; /* WAV S16, or raw S16_LE mono at the card's rate; empty: silence */
};

/* The control file. vcard-ctl and benches write it; the card only counts `runs`. */
struct vcard_control {
	uint32_t magic;
	uint32_t version;
	uint32_t vanish;        /* bits: calls and opening fail with ENODEV */
	uint32_t busy;          /* bits: opening fails with EBUSY */
	uint32_t zeros;         /* 1: the microphone delivers digital silence */
	int32_t mic_ppm;        /* how much faster than nominal the clock runs */
	int32_t speaker_ppm;
	uint32_t refuse_rate;   /* Hz; 0: none */
	uint32_t refuse_format; /* 0: none, 16: S16_LE, 32: S32_LE */
	uint32_t runs;          /* last run number given out, both PCMs together */
	struct vcard_slot slot[VCARD_SLOTS]; /* 0 "sound", 1 "mark"; the microphone hears their sum */
};

/* A device's clock: frame numbers against CLOCK_MONOTONIC, in straight pieces (the ppm may change). */
struct vcard_clock {
	int64_t anchor_ns;
	double anchor_frame;
	double rate_hz; /* true rate, with the ppm in it */
	int ppm;
};

int64_t vcard_now_ns(void);
void vcard_clock_start(struct vcard_clock *clock, int64_t at_ns, unsigned int rate_hz, int ppm);
void vcard_clock_bend(struct vcard_clock *clock, int64_t at_ns, unsigned int rate_hz, int ppm);
double vcard_clock_frame(const struct vcard_clock *clock, int64_t at_ns);
int64_t vcard_clock_ns(const struct vcard_clock *clock, double frame);

/* A sound that is open. */
struct vcard_sound {
	uint32_t turn;
	int fd; /* -1: silence */
	int loop;
	int64_t start_ns;
	int64_t data_at; /* byte offset of the first frame */
	int64_t frames;
	unsigned int channels;
};

/* Looks whether the slot has a new sound. Answers 1 where one was taken over (`sound->fd` tells whether it is
 * audible, `why` what was wrong otherwise), 0 where nothing changed. */
int vcard_sound_refresh(struct vcard_sound *sound, const struct vcard_slot *slot, unsigned int rate_hz,
			const char **why);

/* Adds frames [first, first + frames) of the stream to `mix` ([frames, channels]). */
void vcard_sound_add(const struct vcard_sound *sound, const struct vcard_clock *clock, unsigned int rate_hz,
		     int64_t first, size_t frames, unsigned int channels, int32_t *mix);

#endif
