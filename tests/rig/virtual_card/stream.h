/* What card.c (a stream that runs) and open.c (how it is opened) share. */
#ifndef VCARD_STREAM_H
#define VCARD_STREAM_H

#include "card.h"

#include <limits.h>

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

#define CHANNELS_MAX 8

struct card {
	snd_pcm_ioplug_t io;
	struct vcard_control *control;
	struct vcard_clock clock;
	struct vcard_sound sound[VCARD_SLOTS];
	char folder[PATH_MAX / 2];
	unsigned int bit;      /* VCARD_MIC or VCARD_SPEAKER */
	int timer_fd, log_fd, lock_fd;
	int file_fd;           /* speaker: this run's file */
	uint32_t run;          /* 0: no run begun since prepare */
	int running, gone;
	snd_pcm_uframes_t avail_min, stop_threshold, frame_bytes;
	int64_t shown;         /* pointer that the application saw last */
};

extern const snd_pcm_ioplug_callback_t card_callbacks;

/* Closes and frees all that a card holds. */
void card_free(struct card *card);

#endif
