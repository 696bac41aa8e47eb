/* Checks that the virtual card behaves like a card: vcard-check.sh builds and runs it. Ends 0 if all holds.
 *
 * argv[1] is the card's folder, argv[2] a WAV that counts: frame k holds the sample k (1 s, 48 kHz).
 */
#define _GNU_SOURCE
#include "card.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <alsa/asoundlib.h>

#define RATE 48000
#define PERIOD 480
#define BUFFER 1920

static struct vcard_control *control;
static const char *folder, *counting;
static int failures;

static void check(int good, const char *what)
{
	printf("%s  %s\n", good ? "ok  " : "FAIL", what);
	failures += !good;
}

static void sleep_ms(double ms)
{
	struct timespec time = { .tv_nsec = (long)(ms * 1e6) };
	time.tv_sec = time.tv_nsec / 1000000000;
	time.tv_nsec %= 1000000000;
	nanosleep(&time, NULL);
}

static void play_to_mic(int slot, const char *path, int loop, int64_t start_ns)
{
	struct vcard_slot *s = &control->slot[slot];
	__atomic_store_n(&s->turn, s->turn | 1, __ATOMIC_SEQ_CST);
	s->loop = (uint32_t)loop;
	s->start_ns = start_ns;
	snprintf(s->path, sizeof s->path, "%s", path);
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_SEQ_CST);
}

/* Opens with 10 ms periods, four of them; the speaker starts when two are written. Answers the handle or NULL. */
static snd_pcm_t *open_pcm(const char *name, snd_pcm_stream_t stream, snd_pcm_format_t format, int *err)
{
	snd_pcm_t *pcm;
	snd_pcm_hw_params_t *hw;
	snd_pcm_sw_params_t *sw;
	snd_pcm_uframes_t period = PERIOD, buffer = BUFFER;
	snd_pcm_hw_params_alloca(&hw);
	snd_pcm_sw_params_alloca(&sw);
	*err = snd_pcm_open(&pcm, name, stream, SND_PCM_NONBLOCK);
	if (*err < 0)
		return NULL;
	snd_pcm_hw_params_any(pcm, hw);
	*err = snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED);
	*err = *err < 0 ? *err : snd_pcm_hw_params_set_format(pcm, hw, format);
	*err = *err < 0 ? *err : snd_pcm_hw_params_set_channels(pcm, hw, 1);
	*err = *err < 0 ? *err : snd_pcm_hw_params_set_rate(pcm, hw, RATE, 0);
	*err = *err < 0 ? *err : snd_pcm_hw_params_set_period_size_near(pcm, hw, &period, NULL);
	*err = *err < 0 ? *err : snd_pcm_hw_params_set_buffer_size_near(pcm, hw, &buffer);
	*err = *err < 0 ? *err : snd_pcm_hw_params(pcm, hw);
	if (*err < 0) {
		snd_pcm_close(pcm);
		return NULL;
	}
	snd_pcm_sw_params_current(pcm, sw);
	snd_pcm_sw_params_set_avail_min(pcm, sw, PERIOD);
	snd_pcm_sw_params_set_start_threshold(pcm, sw, stream == SND_PCM_STREAM_PLAYBACK ? 2 * PERIOD : 1);
	snd_pcm_sw_params(pcm, sw);
	return pcm;
}

/* Content, pacing and wake-ups of 100 periods. */
static void check_capture(const char *name)
{
	int err;
	int16_t got[100 * PERIOD];
	double latest = 0;
	snd_pcm_t *pcm = open_pcm(name, SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err);
	int64_t start = vcard_now_ns() + 100000000;
	printf("-- capture through %s\n", name);
	check(pcm != NULL, "opens");
	play_to_mic(0, counting, 0, start);
	snd_pcm_start(pcm);
	int64_t began = vcard_now_ns();
	int wakes = 0, whole = 1;
	for (int have = 0; have < 100 * PERIOD;) {
		err = snd_pcm_wait(pcm, 1000);
		int64_t late = vcard_now_ns() - began - (int64_t)(have / PERIOD + 1) * 10000000;
		latest = late / 1e6 > latest ? late / 1e6 : latest;
		snd_pcm_sframes_t frames = snd_pcm_readi(pcm, got + have, PERIOD);
		whole &= err == 1 && frames == PERIOD;
		if (frames < 0)
			break;
		have += (int)frames;
		wakes++;
	}
	check(whole && wakes == 100, "one wake-up and one period of frames every 10 ms");
	printf("      latest wake-up %.3f ms after its period's end\n", latest);
	check(latest < 8, "wake-ups come at period boundaries");
	int first = 0, even = 1;
	while (first < 100 * PERIOD && got[first] != 1)
		first++;
	for (int i = first; i < 99 * PERIOD && got[i] < 32000; i++)
		even &= got[i + 1] == got[i] + 1;
	double off_us = ((first - 1) * 1e9 / RATE - (double)(start - began)) / 1e3;
	printf("      sound's first frame %.1f us from where its time says\n", off_us);
	check(off_us > -300 && off_us < 60 && even, "the sound is there, at its time, without a gap");
	snd_pcm_sframes_t delay = 0;
	snd_pcm_readi(pcm, got, BUFFER);
	sleep_ms(4);
	double expected = fmod((double)(vcard_now_ns() - began) * RATE / 1e9, PERIOD);
	snd_pcm_delay(pcm, &delay);
	check(labs(delay - (long)expected) < 48 || labs(delay - (long)expected) > 432, "delay is exact inside a period");
	check(snd_pcm_avail_update(pcm) % PERIOD == 0, "avail moves by whole periods");
	sleep_ms(60);
	check(snd_pcm_readi(pcm, got, PERIOD) == -EPIPE, "a late reader gets EPIPE");
	check(snd_pcm_prepare(pcm) == 0 && snd_pcm_start(pcm) == 0, "and recovers");
	control->zeros = 1;
	play_to_mic(0, counting, 1, 0);
	sleep_ms(11);
	int sum = 0;
	for (snd_pcm_sframes_t i = snd_pcm_readi(pcm, got, PERIOD); i > 0; i--)
		sum |= got[i - 1];
	check(sum == 0, "zeros on demand");
	control->zeros = 0;
	snd_pcm_close(pcm);
}

static off_t newest_file(void)
{
	char path[4096];
	struct stat stat_;
	snprintf(path, sizeof path, "%s/speaker-%04u.raw", folder, control->runs);
	return stat(path, &stat_) ? -1 : stat_.st_size;
}

static void check_playback(const char *name)
{
	int err;
	int16_t samples[BUFFER];
	snd_pcm_sframes_t delay = 0;
	for (int i = 0; i < BUFFER; i++)
		samples[i] = (int16_t)(i + 1);
	snd_pcm_t *pcm = open_pcm(name, SND_PCM_STREAM_PLAYBACK, SND_PCM_FORMAT_S16_LE, &err);
	printf("-- playback through %s\n", name);
	check(pcm != NULL, "opens");
	check(snd_pcm_wait(pcm, 1000) == 1, "a stopped speaker is ready to be written to");
	check(snd_pcm_writei(pcm, samples, PERIOD) == PERIOD && snd_pcm_state(pcm) == SND_PCM_STATE_PREPARED,
	      "below the start threshold it does not start");
	snd_pcm_writei(pcm, samples + PERIOD, PERIOD);
	int64_t began = vcard_now_ns();
	check(snd_pcm_state(pcm) == SND_PCM_STATE_RUNNING, "at the threshold it does");
	sleep_ms(5);
	double heard = (double)(vcard_now_ns() - began) * RATE / 1e9;
	err = snd_pcm_delay(pcm, &delay);
	printf("      delay %ld, %.0f expected\n", (long)delay, 2 * PERIOD - heard);
	check(err == 0 && fabs((double)delay - (2 * PERIOD - heard)) < 24, "delay is exact inside a period");
	check(snd_pcm_avail_update(pcm) == BUFFER - 2 * PERIOD, "avail stands still until the period's end");
	snd_pcm_writei(pcm, samples, 2 * PERIOD);
	check(snd_pcm_writei(pcm, samples, PERIOD) == -EAGAIN, "a full ring takes nothing");
	check(snd_pcm_wait(pcm, 1000) == 1, "poll wakes when a period has been heard");
	double woke_ms = (double)(vcard_now_ns() - began) / 1e6;
	printf("      woken %.3f ms after the start\n", woke_ms);
	check(woke_ms >= 9.9 && woke_ms < 19, "at the period's end");
	sleep_ms(3.3);
	heard = (double)(vcard_now_ns() - began) * RATE / 1e9;
	int64_t before = vcard_now_ns();
	snd_pcm_drop(pcm);
	double took_ms = (double)(vcard_now_ns() - before) / 1e6;
	printf("      drop took %.3f ms; %ld frames heard, %.0f expected\n", took_ms, (long)newest_file() / 2, heard);
	check(fabs((double)newest_file() / 2 - heard) < 48 && took_ms < 5, "drop is silence at once, the file ends there");
	snd_pcm_prepare(pcm);
	snd_pcm_writei(pcm, samples, BUFFER); /* full: with room left, alsa-lib's wait answers without asking the card */
	sleep_ms(60);
	check(snd_pcm_wait(pcm, 100) == -EPIPE, "who feeds too late gets EPIPE from poll");
	check(snd_pcm_writei(pcm, samples, PERIOD) == -EPIPE, "and from write");
	check(newest_file() == 2 * BUFFER, "all that was written was heard");
	check(snd_pcm_prepare(pcm) == 0, "prepare makes ready again");
	snd_pcm_writei(pcm, samples, 3 * PERIOD);
	snd_pcm_nonblock(pcm, 0);
	began = vcard_now_ns();
	snd_pcm_drain(pcm);
	took_ms = (double)(vcard_now_ns() - began) / 1e6;
	printf("      drain of 30 ms took %.3f ms\n", took_ms);
	check(took_ms > 29 && took_ms < 38 && newest_file() == 3 * 2 * PERIOD, "drain plays out");
	snd_pcm_close(pcm);
}

static void check_vanish(const char *mic_name, const char *speaker_name)
{
	int err, err2;
	int16_t samples[BUFFER] = { 0 };
	snd_pcm_sframes_t delay;
	snd_pcm_t *mic = open_pcm(mic_name, SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err);
	snd_pcm_t *speaker = open_pcm(speaker_name, SND_PCM_STREAM_PLAYBACK, SND_PCM_FORMAT_S16_LE, &err2);
	printf("-- vanishing: %s, %s\n", mic_name, speaker_name);
	if (!mic || !speaker) {
		check(0, "both open at once");
		return;
	}
	snd_pcm_start(mic);
	snd_pcm_writei(speaker, samples, BUFFER);
	sleep_ms(12);
	control->vanish = VCARD_MIC | VCARD_SPEAKER;
	snd_pcm_readi(mic, samples, BUFFER); /* what the ring still held may come */
	err = snd_pcm_wait(mic, 100);
	printf("      wait says %d\n", err);
	check(err == -ENODEV, "wait on the microphone: ENODEV");
	check(snd_pcm_readi(mic, samples, PERIOD) == -ENODEV, "read: ENODEV");
	snd_pcm_wait(speaker, 100);
	check(snd_pcm_writei(speaker, samples, PERIOD) == -ENODEV, "write: ENODEV");
	check(snd_pcm_delay(speaker, &delay) == -ENODEV, "delay: ENODEV");
	check(snd_pcm_state(speaker) == SND_PCM_STATE_DISCONNECTED, "state: disconnected");
	check(snd_pcm_prepare(mic) == -ENODEV, "prepare: ENODEV");
	snd_pcm_close(mic);
	snd_pcm_close(speaker);
	check(!open_pcm(mic_name, SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err) && err == -ENODEV, "open: ENODEV");
	control->vanish = 0;
	mic = open_pcm(mic_name, SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err);
	check(mic && snd_pcm_start(mic) == 0 && snd_pcm_wait(mic, 100) == 1, "plugged in again it works");
	check(!open_pcm(mic_name, SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err) && err == -EBUSY,
	      "a second opening: EBUSY");
	if (mic)
		snd_pcm_close(mic);
}

static void check_opening(void)
{
	int err;
	snd_pcm_t *pcm;
	printf("-- opening\n");
	control->busy = VCARD_SPEAKER;
	check(!open_pcm("vspk", SND_PCM_STREAM_PLAYBACK, SND_PCM_FORMAT_S16_LE, &err) && err == -EBUSY, "busy on demand");
	control->busy = 0;
	control->refuse_format = 16;
	check(!open_pcm("vspk", SND_PCM_STREAM_PLAYBACK, SND_PCM_FORMAT_S16_LE, &err) && err == -EINVAL,
	      "S16_LE refused on demand");
	pcm = open_pcm("vmic", SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S32_LE, &err);
	check(pcm != NULL, "S32_LE taken");
	int32_t wide[PERIOD] = { 0 };
	play_to_mic(0, counting, 1, vcard_now_ns() - 100000000);
	snd_pcm_start(pcm);
	snd_pcm_wait(pcm, 100);
	snd_pcm_readi(pcm, wide, PERIOD);
	check(wide[9] > 4800 * 65536 && wide[9] < 9000 * 65536 && wide[10] - wide[9] == 65536, "with 16 bits in its upper half");
	snd_pcm_close(pcm);
	control->refuse_format = 0;
	control->refuse_rate = RATE;
	check(!open_pcm("vmic", SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err) && err == -EINVAL, "rate refused on demand");
	control->refuse_rate = 0;
}

static void check_drift(void)
{
	int err;
	int16_t samples[PERIOD];
	long frames = 0;
	control->mic_ppm = 5000; /* far beyond a crystal's, so that half a second shows it */
	snd_pcm_t *pcm = open_pcm("vmic", SND_PCM_STREAM_CAPTURE, SND_PCM_FORMAT_S16_LE, &err);
	int64_t start = vcard_now_ns();
	printf("-- drift\n");
	play_to_mic(0, counting, 0, start);
	snd_pcm_start(pcm);
	start = vcard_now_ns();
	for (int i = 0; i < 50; i++) {
		snd_pcm_wait(pcm, 100);
		frames += snd_pcm_readi(pcm, samples, PERIOD);
	}
	double rate = (double)frames / ((double)(vcard_now_ns() - start) / 1e9);
	printf("      %ld frames at %.0f Hz; the last frame read was recorded at frame %d of the sound\n", frames, rate,
	       samples[PERIOD - 1]);
	check(labs(samples[PERIOD - 1] - (long)(frames / 1.005)) < 100, "5000 ppm fast: the sound comes stretched");
	control->mic_ppm = 0;
	snd_pcm_close(pcm);
}

int main(int count, char **arguments)
{
	char path[4096];
	if (count < 3)
		return 64;
	folder = arguments[1];
	counting = arguments[2];
	snprintf(path, sizeof path, "%s/control", folder);
	control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, open(path, O_RDWR), 0);
	if (control == MAP_FAILED)
		return 66;
	setvbuf(stdout, NULL, _IOLBF, 0);
	check_capture("vmic");
	check_capture("plugvmic");
	check_playback("vspk");
	check_playback("plugvspk");
	check_vanish("vmic", "vspk");
	check_vanish("plugvmic", "plugvspk");
	check_opening();
	check_drift();
	printf("%d failed\n", failures);
	return failures != 0;
}
